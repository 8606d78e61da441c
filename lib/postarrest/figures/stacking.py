"""Figures of the ensemble: the nested design, the meta-features and their importance."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from postarrest.figures.style import DOUBLE_COLUMN_IN, GOOD, NEUTRAL, POOR, SINGLE_COLUMN_IN, report_style


def nested_design(counts: pd.DataFrame, *, highlight: str = "") -> Figure:
    """Draw the outer and inner folds as they were divided, with their patients and good outcomes.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``split, part, n, n_good``, from :func:`postarrest.splits.counts`.
    highlight : str
        Split that is framed.
    """
    outer = counts[counts["split"].str.startswith("outer-")]
    names = sorted(outer["split"].unique(), key=lambda s: int(s.rsplit("-", 1)[1]))
    with report_style():
        fig, ax = plt.subplots(figsize=(DOUBLE_COLUMN_IN, 0.42 * len(names) + 0.9))
        for row, name in enumerate(names):
            parts = outer[outer["split"] == name].sort_values("part")
            left = 0
            for part in parts.itertuples():
                test = part.part == "test"
                ax.barh(
                    row,
                    part.n,
                    left=left,
                    color=POOR if test else "#BBD7EA",
                    hatch="//" if test else "",
                    edgecolor="white",
                    height=0.8,
                )
                ax.text(
                    left + part.n / 2,
                    row,
                    f"{'outer test' if test else part.part.replace('-', ' ')}\n{part.n} ({part.n_good} good)",
                    ha="center",
                    va="center",
                    fontsize=6,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
                )
                left += part.n
            if name == highlight:
                ax.add_patch(Rectangle((0, row - 0.45), left, 0.9, fill=False, lw=1.6, ec="black"))
        ax.set_yticks(range(len(names)), [f"outer fold {n.rsplit('-', 1)[1]}" for n in names])
        ax.invert_yaxis()
        ax.set_xlabel("patients; each inner fold judges models that were fitted on the other inner folds")
        ax.spines["left"].set_visible(False)
    return fig


def meta_features(meta: pd.DataFrame, y_good: pd.Series) -> Figure:
    """Draw the distribution of each base model's out-of-fold probability by outcome (paper B's Figure S1).

    Parameters
    ----------
    meta : pandas.DataFrame
        One column a base model, indexed by patient.
    y_good : pandas.Series
        Outcome of the same patients.
    """
    good = y_good.loc[meta.index] == 1
    with report_style():
        fig, axes = plt.subplots(1, meta.shape[1], figsize=(DOUBLE_COLUMN_IN, 2.2), sharey=True)
        for ax, model in zip(np.atleast_1d(axes), meta.columns, strict=True):
            bins = np.linspace(meta[model].min(), meta[model].max(), 21)
            for group, colour, dash, label in (
                (good, GOOD, "-", f"good (n = {int(good.sum())})"),
                (~good, POOR, "--", f"poor (n = {int((~good).sum())})"),
            ):
                share = np.histogram(meta.loc[group, model], bins)[0] / max(int(group.sum()), 1)
                ax.stairs(share, bins, color=colour, ls=dash, lw=1.4, label=label)
            ax.set_title(model)
            ax.set_xlabel("probability of a good outcome")
        np.atleast_1d(axes)[0].set_ylabel("share of the group")
        np.atleast_1d(axes)[-1].legend()
    return fig


def importance(table: pd.DataFrame) -> Figure:
    """Draw what the ensemble loses when a base model's probabilities are shuffled.

    Parameters
    ----------
    table : pandas.DataFrame
        ``model, importance, sd``.
    """
    ordered = table.sort_values("importance")
    with report_style():
        fig, ax = plt.subplots(figsize=(SINGLE_COLUMN_IN, 0.35 * len(ordered) + 0.8))
        ax.errorbar(
            ordered["importance"],
            range(len(ordered)),
            xerr=ordered["sd"],
            fmt="o",
            color=NEUTRAL,
            capsize=2,
            ms=4,
        )
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(range(len(ordered)), ordered["model"])
        ax.set_xlabel("loss of ROC-AUC when shuffled\n(mean and SD of 50 shuffles)")
    return fig
