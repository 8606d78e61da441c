"""Forest plots: published beside reproduced, both outcome labels, spread over splits."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.estimate import Estimate
from postarrest.figures import style
from postarrest.figures.looks import looks, model_name


def forest(rows: pd.DataFrame) -> Figure:
    """Draw ROC areas with intervals beside the published ones.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``label, estimate, lower, upper, published``: one line each, from the top; NaN where there is none.
    """
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 0.9 + 0.27 * len(rows)))
        for y, row in enumerate(rows.itertuples()):
            ax.plot([row.lower, row.upper], [y, y], color=style.GOOD, lw=1.4)
            ax.plot(row.estimate, y, "s", color=style.GOOD, ms=5)
            if not math.isnan(row.published):
                ax.plot(row.published, y, "D", mfc="white", mec="black", ms=5, zorder=4)
            text = str(Estimate(row.estimate, row.lower, row.upper)).replace("95 % CI ", "")
            text += "" if math.isnan(row.published) else f"   published {row.published:.2f}"
            ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(rows)), rows["label"])
        ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(0.45, float(rows["lower"].min()) - 0.02), 1.0))
        ax.set_xlabel("Area under the ROC curve (square: here, 95 % CI; diamond: published; 0.5: chance)")
    return fig


def labels(rows: pd.DataFrame) -> Figure:
    """Draw ROC areas with their intervals under two outcome labels, a row a model and set.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`postarrest.performance.between_labels`.
    """
    rows = rows[rows["metric"] == "roc_auc"]
    lines = rows.to_dict("records")
    first, second = [str(c).removesuffix("_n_good") for c in rows.columns if str(c).endswith("_n_good")]
    # Not the colours of the outcomes: both labels tell of both.
    drawn = {first: (-0.16, style.PALETTE[2], "s"), second: (0.16, style.NEUTRAL, "^")}
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 1.0 + 0.42 * len(rows)))
        for label, (offset, color, marker) in drawn.items():
            for y, row in enumerate(lines):
                limits = [row[f"{label}_lower"], row[f"{label}_upper"]]
                ax.plot(limits, [y + offset] * 2, color=color, lw=1.4)
            places = np.arange(len(rows)) + offset
            ax.plot(rows[label], places, marker, color=color, ms=5, label=f"{label} label")
        at_the_right = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 7}
        ax.annotate(f"{first} - {second}", (1.02, -0.7), **at_the_right)
        for y, row in enumerate(lines):
            text = str(Estimate(row["difference"], row["lower"], row["upper"])).replace("95 % CI ", "")
            ax.annotate(text, (1.02, y), **at_the_right)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(
            range(len(rows)), [f"{model_name(r['model'])} ({r['set']}, n = {r['n']})" for r in lines]
        )
        least = float(rows[[f"{first}_lower", f"{second}_lower"]].min().min())
        ax.set(ylim=(len(rows) - 0.4, -1.0), xlim=(min(0.45, least - 0.02), 1.0))
        ax.set_xlabel("Area under the ROC curve, 95 % CI (line at 0.5: chance)")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7, frameon=False)
    return fig


def split_spread(spread: pd.DataFrame) -> Figure:
    """Draw the ROC areas of repeated hold-out splits, a row a model: each split, the first, the median.

    Parameters
    ----------
    spread : pandas.DataFrame
        From :func:`postarrest.performance.spread`, of one outcome label.
    """
    models = list(dict.fromkeys(spread["model"]))
    look = looks(models)
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 0.8 + 0.5 * len(models)))
        for y, model in enumerate(models):
            mine = spread[spread["model"] == model].sort_values("fold")
            auc = mine["roc_auc"].to_numpy()
            # Points side by side, the same at every drawing.
            offset = 0.26 * (np.arange(len(auc)) % 5 - 2) / 2
            ax.plot(auc, y + offset, look[model].marker, color=look[model].color, ms=4, alpha=0.6, mew=0)
            ax.plot(auc[0], y + offset[0], look[model].marker, mfc="none", mec="black", ms=7)
            ax.plot([np.median(auc)] * 2, [y - 0.35, y + 0.35], color="black", lw=1.5)
            text = f"median {np.median(auc):.2f}, from {auc.min():.2f} to {auc.max():.2f}"
            ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(models)), [model_name(m) for m in models])
        ax.set(
            ylim=(len(models) - 0.5, -0.5),
            xlabel="Area under the ROC curve in each split (ringed: the first; line: median)",
        )
    return fig
