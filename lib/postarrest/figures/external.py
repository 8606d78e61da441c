"""A frozen model's own patients beside those in whom it is validated."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import forest, style
from postarrest.words import model_in_words, text_in_words


def differences(beside: pd.DataFrame) -> Figure:
    """Draw the standardised difference of each characteristic, the largest at the top.

    Parameters
    ----------
    beside : pandas.DataFrame
        From :func:`postarrest.models.bundle.beside`.
    """
    rows = beside.dropna(subset="standardised_difference")
    rows = rows.sort_values("standardised_difference", key=abs, ascending=False, ignore_index=True)
    levels = [text_in_words(level, column="level") for level in rows["level"]]
    names = [f"{of}: {level}" if level else of for of, level in zip(rows["variable"], levels, strict=True)]
    values, places = rows["standardised_difference"], np.arange(len(rows))
    with style.drawing(height=0.9 + 0.2 * len(rows)) as (fig, ax):
        ax.axvspan(-0.1, 0.1, color="0.92", lw=0)
        ax.axvline(0, color="black", lw=0.8)
        ax.hlines(places, 0, values, color=style.GOOD, lw=1)
        ax.plot(values, places, "o", color=style.GOOD, ms=4)
        ax.set_yticks(places, names)
        widest = max(0.5, float(values.abs().max()) * 1.1)
        ax.set(xlim=(-widest, widest), ylim=(len(rows) - 0.4, -0.6))
        ax.set_xlabel("Standardised difference: higher here to the right (gray: at most 0.1)")
    return fig


def aucs(external: pd.DataFrame) -> Figure:
    """Draw each model's AUC here and where it was fitted.

    Parameters
    ----------
    external : pandas.DataFrame
        From :func:`postarrest.evaluation.external.beside_frozen`.
    """
    rows = external[external["metric"] == "roc_auc"].reset_index(drop=True)
    there, here = ("frozen", "frozen_lower", "frozen_upper"), ("estimate", "lower", "upper")
    drawn = {
        "where it was fitted, out of fold": (there, -0.15, style.NEUTRAL, "D"),
        "here": (here, 0.15, style.PALETTE[2], "s"),
    }
    with style.drawing(height=1.1 + 0.35 * len(rows)) as (fig, ax):
        for label, (columns, offset, color, marker) in drawn.items():
            forest.marks(ax, rows, columns, offset=offset, color=color, marker=marker, label=label)
        names = [f"{model_in_words(row.model)} (n = {row.n})" for row in rows.itertuples()]
        forest.pair_of_aucs(ax, names, least=rows[["lower", "frozen_lower"]].astype(float).min().min())
    return fig
