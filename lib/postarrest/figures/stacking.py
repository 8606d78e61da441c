"""Figures of the ensemble: the nested design, the meta-features and their importance."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from postarrest.figures import looks
from postarrest.figures.style import GOOD, NEUTRAL, POOR, SINGLE_COLUMN_IN, drawing
from postarrest.words import model_in_words


def nested_design(counts: pd.DataFrame, *, highlight: str = "") -> Figure:
    """Draw the outer and inner folds with their patients and good outcomes.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``split, part, n, n_good``, from :func:`postarrest.models.splits.counts`.
    highlight : str
        Split that is framed.
    """
    outer = counts[counts["split"].str.startswith("outer-")]
    names = sorted(outer["split"].unique(), key=lambda name: int(name.rsplit("-", 1)[1]))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    text = {"ha": "center", "va": "center", "fontsize": 6, "bbox": box}
    with drawing(height=0.42 * len(names) + 0.9) as (fig, ax):
        for row, name in enumerate(names):
            left = 0
            for part in outer[outer["split"] == name].sort_values("part").itertuples():
                label, fill = part.part.replace("-", " "), {"color": "#BBD7EA"}
                if part.part == "test":
                    label, fill = "outer test", {"color": POOR, "hatch": "//"}
                ax.barh(row, part.n, left=left, edgecolor="white", height=0.8, **fill)
                ax.text(left + part.n / 2, row, f"{label}\n{part.n} ({part.n_good} good)", **text)
                left += part.n
            if name == highlight:
                ax.add_patch(Rectangle((0, row - 0.45), left, 0.9, fill=False, lw=1.6, ec="black"))
        ax.set_yticks(range(len(names)), [name.replace("-", " fold ") for name in names])
        ax.invert_yaxis()
        ax.set_xlabel("Patients; models fitted on the other inner folds score each inner fold")
        ax.spines["left"].set_visible(False)
    return fig


def meta_features(meta: pd.DataFrame, y_good: pd.Series) -> Figure:
    """Draw the distribution of each base model's out-of-fold probability by outcome (paper B's Figure S1).

    Parameters
    ----------
    meta : pandas.DataFrame
        One column per base model, indexed by patient.
    y_good : pandas.Series
        Outcome of the same patients.
    """
    good = y_good.loc[meta.index] == 1
    groups = (("good", good, {"color": GOOD}), ("poor", ~good, {"color": POOR, "ls": "--"}))
    with drawing(1, meta.shape[1], height=2.2, sharey=True, squeeze=False) as (fig, axes):
        for ax, model in zip(axes[0], meta.columns, strict=True):
            bins = np.linspace(meta[model].min(), meta[model].max(), 21)
            for outcome, group, line in groups:
                share = np.histogram(meta.loc[group, model], bins)[0] / max(group.sum(), 1)
                ax.stairs(share, bins, lw=1.4, label=f"{outcome} (n = {group.sum()})", **line)
            ax.set_title(looks.panel_title(model), fontsize=8)
            ax.set_xlabel("Probability (good)")
        axes[0, 0].set_ylabel("Share of that outcome")
        axes[0, -1].legend()
    return fig


def importance(table: pd.DataFrame) -> Figure:
    """Draw the ensemble's loss of ROC-AUC when a base model's probabilities are shuffled.

    Parameters
    ----------
    table : pandas.DataFrame
        ``model, importance, sd``.
    """
    ordered = table.sort_values("importance")
    at = range(len(ordered))
    with drawing(width=SINGLE_COLUMN_IN, height=0.35 * len(ordered) + 0.8) as (fig, ax):
        ax.errorbar(ordered["importance"], at, xerr=ordered["sd"], fmt="o", color=NEUTRAL, capsize=2, ms=4)
        ax.axvline(0, color="black", lw=0.8)
        ax.set_yticks(at, ordered["model"].map(model_in_words))
        ax.set_xlabel("Loss of ROC-AUC when shuffled\n(mean and SD of 50 shuffles)")
    return fig
