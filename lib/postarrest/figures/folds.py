"""Several runs of one notebook side by side: AUCs of the searches and of the test patients, and scores."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import looks, style
from postarrest.words import model_in_words

_OUTCOMES = ((1, -0.18, style.GOOD, "good"), (0, 0.18, style.POOR, "poor"))


def search(aucs: pd.DataFrame) -> Figure:
    """Draw each model's AUC in the search and in the test patients, one dot per fold, and their means.

    Parameters
    ----------
    aucs : pandas.DataFrame
        ``model, fold, inner, test``: the AUC with the chosen hyperparameters in the patients on whom they
        were chosen, and in the test patients; NaN where there is none.
    """
    models = list(dict.fromkeys(aucs["model"]))
    look = looks.of_models(models)
    with style.drawing(height=1.1 + 0.45 * len(models)) as (fig, ax):
        for y, model in enumerate(models):
            mine = aucs[aucs["model"] == model]
            for column, offset, face in (("inner", -0.16, "white"), ("test", 0.16, look[model].color)):
                known = mine[column].dropna()
                point = {"mfc": face, "mec": look[model].color, "ms": 4.5}
                ax.plot(known, [y + offset] * len(known), look[model].marker, **point)
                if len(known) > 1:
                    ax.plot([known.mean()] * 2, [y + offset - 0.13, y + offset + 0.13], color="black", lw=1.2)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(models)), [model_in_words(model) for model in models])
        ax.set_ylim(len(models) - 0.5, -0.5)
        ax.set_xlabel("Area under the ROC curve of each run (line at 0.5: chance)")
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        ax.set_axisbelow(True)
        dots = {"marker": "o", "ls": "", "mec": style.NEUTRAL, "ms": 4.5}
        handles = [
            plt.Line2D([], [], mfc="white", label="where hyperparameters were chosen", **dots),
            plt.Line2D([], [], mfc=style.NEUTRAL, label="test patients", **dots),
            plt.Line2D([], [], color="black", lw=1.2, label="mean"),
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def scores(rows: pd.DataFrame) -> Figure:
    """Draw the distribution of each model's scores by fold and outcome.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of one outcome label and set of :func:`postarrest.scores.sets`, of the final stage. Boxes are
        the quartiles, whiskers the 5th and 95th percentiles.
    """
    of_models = dict(list(rows.groupby("model", sort=False)))
    with style.panels(len(of_models), height=2.1) as (fig, axes):
        for ax, (model, mine) in zip(axes, of_models.items(), strict=False):
            folds = sorted(mine["fold"].unique())
            for outcome, offset, color, _ in _OUTCOMES:
                values = [mine.loc[(mine["fold"] == f) & (mine["y_good"] == outcome), "score"] for f in folds]
                box = {"facecolor": color if outcome else "white", "edgecolor": color, "alpha": 0.75}
                line = {"color": color, "lw": 0.8}
                ax.boxplot(
                    values,
                    positions=np.arange(len(folds)) + offset,
                    widths=0.3,
                    whis=(5, 95),
                    showfliers=False,
                    patch_artist=True,
                    boxprops=box,
                    medianprops={"color": "black", "lw": 1},
                    whiskerprops=line,
                    capprops=line,
                )
            ax.set_xticks(range(len(folds)), folds)
            ax.set_title(looks.panel_title(model, f"n = {len(mine)}"), fontsize=8)
            ax.set_xlabel("Fold")
        axes[0].set_ylabel("Score")
        handles = [
            plt.Rectangle((0, 0), 1, 1, fc=color if outcome else "white", ec=color, label=f"{word} outcome")
            for outcome, _, color, word in _OUTCOMES
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=2)
    return fig
