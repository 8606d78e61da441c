"""Distributions of scores, performance over all thresholds, and decision curves."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.evaluation.confusion import describe
from postarrest.evaluation.thresholds import MOST_FNR, thinned
from postarrest.figures import looks, style
from postarrest.words import model_in_words

# Words, colour and dash of each measure.
MEASURES = {
    "specificity": ("specificity", style.POOR, "--"),
    "sensitivity": ("sensitivity", style.GOOD, "-"),
    "fnr": ("FNR (false pessimism)", "black", "-"),
    "fnr_upper": ("FNR, upper 95 % limit", "black", ":"),
}


def distributions(rows: pd.DataFrame) -> Figure:
    """Draw each model's scores by outcome: good above the line, poor below it.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, of one outcome label and set.
    """
    values = looks.outcomes_and_scores(rows)
    with style.panels(len(values), height=1.9) as (fig, axes):
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            edges = looks.histogram_edges(score, bins=30)
            looks.mirrored_histogram(ax, y_good, score, edges=edges, share=True)
            ax.set_title(looks.panel_title(model), fontsize=8)
            ax.set_xlabel("Score")
        axes[0].set_ylabel("Share of that outcome")
    return fig


def decision_curves(rows: pd.DataFrame, table: pd.DataFrame, *, focus: str, most: float = 0.6) -> Figure:
    """Draw every model's net benefit against the threshold probability, with the band of one.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, of one outcome label and set.
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.decision.table`.
    focus : str
        Model whose band is drawn; the last model if it predicts no probabilities.
    most : float
        Highest threshold drawn.
    """
    table = scores.in_group(table[table["threshold"] <= most + 1e-9], scores.group_of(rows))
    of_models = dict(list(table.groupby("model", sort=False)))
    focus = focus if focus in of_models else list(of_models)[-1]
    look = looks.highlight(looks.of_models(rows["model"]), focus)
    reference, shown = next(iter(of_models.values())), of_models[focus]
    with style.drawing(height=3.6) as (fig, ax):
        ax.plot(reference["threshold"], reference["treat_all"], color="0.45", lw=1)
        ax.axhline(0, color="0.45", lw=1)
        ends = [("predict nobody good", 0.0, "0.35")]
        named = looks.named(of_models, focus)
        for model, mine in of_models.items():
            if model not in named:
                ax.plot(mine["threshold"], mine["net_benefit"], color="0.75", lw=0.7, zorder=1)
                continue
            ax.plot(mine["threshold"], mine["net_benefit"], color=look[model].color, ls=look[model].dash)
            ends.append((model_in_words(model), float(mine["net_benefit"].iloc[-1]), look[model].color))
        if others := len(of_models) - len(named):
            looks.note(ax, f"gray: {others} other models", (0.99, 0.97), xycoords="axes fraction", **_CORNER)
        looks.band(ax, shown["threshold"], shown["lower"], shown["upper"], look[focus].color, alpha=0.12)
        top = float(max(table["net_benefit"].max(), reference["treat_all"].max(), table["upper"].max()))
        bottom = -0.35 * top
        inside = reference.loc[reference["treat_all"] > bottom, ["threshold", "treat_all"]].to_numpy()
        text = {
            "color": "0.35",
            "fontsize": 7,
            "bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.3},
        }
        looks.note(ax, "predict all good", tuple(inside[-1]), (4, 2), va="baseline", **text)
        ax.set(xlim=(0, most), ylim=(bottom, 1.05 * top))
        ax.set_xlabel("Threshold probability of a good outcome")
        ax.set_ylabel("Net benefit (good outcomes recognised per patient)")
        outcomes = rows[rows["model"].isin(list(of_models))].groupby("model")["y_good"]
        ax.set_title(looks.size_in_words(y.to_numpy() for _, y in outcomes), fontsize=8)
        _end_labels(ax, ends)
    return fig


def thresholds(rows: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Draw sensitivity, specificity and FNR against the threshold, one panel per model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, of one outcome label and set.
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.thresholds.table`: the thresholds that are marked.
    """
    group = scores.group_of(rows)
    values = looks.outcomes_and_scores(rows)
    with style.panels(len(values), height=2.9, columns=2) as (fig, axes):
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            found = describe(y_good, score, thinned(np.unique(score), 500))
            for column, (_, color, dash) in MEASURES.items():
                ax.plot(found["threshold"], found[column], color=color, ls=dash, lw=1.2)
            ax.axhline(MOST_FNR, color="0.5", lw=0.8)
            at_the_right = {"xycoords": ax.get_yaxis_transform(), "va": "center"}
            looks.note(ax, "5 %", (1, MOST_FNR), (2, 0), fontsize=6.5, **at_the_right)
            low, high = float(score.min()), float(score.max())
            if low == high:
                low, high = low - 0.05, high + 0.05
            marks = looks.operating_points(table, group, model)
            marks = marks[marks["threshold"].between(low, high)]
            ax.set(ylim=(0, 1.02), xlim=(low, high), xlabel="Threshold (predicted good from here on)")
            title = looks.panel_title(model, looks.size_in_words([y_good]), width=44)
            ax.set_title(title, pad=6 + 8 * _mark(ax, marks), fontsize=8)
        axes[0].set_ylabel("Share of patients")
        handles = [plt.Line2D([], [], color=c, ls=d, label=words) for words, c, d in MEASURES.values()]
        fig.legend(handles=handles, loc="outside lower center", ncols=4 if len(values) > 1 else 2)
    return fig


# Words and look of each decision, from the left.
DECISIONS = {
    "poor": ("predicted poor", {"facecolor": "white", "edgecolor": style.POOR, "hatch": "////", "lw": 0.5}),
    "indeterminate": ("indeterminate", {"facecolor": "0.85", "edgecolor": "white", "lw": 0.5}),
    "good": ("predicted good", {"facecolor": style.GOOD, "edgecolor": "white", "lw": 0.5}),
}


def three_way(table: pd.DataFrame) -> Figure:
    """Draw the shares predicted poor, indeterminate and good of both outcomes, one bar per model.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.three_way.table`, of one outcome label and set.
    """
    n_models = table["model"].nunique()
    ways = list(table.groupby("chosen_on", sort=False))
    height = len(ways) * (0.9 + 0.24 * n_models)
    with style.drawing(len(ways), 2, height=height, sharey="row", squeeze=False) as (fig, axes):
        for (chosen_on, mine), pair in zip(ways, axes, strict=True):
            shown = mine.iloc[::-1]
            names = [model_in_words(model) for model in shown["model"]]
            n_poor = shown["n"] - shown["n_good"]
            wrong = {"poor": shown["n_false_pessimism"], "good": shown["good"] - shown["n_false_optimism"]}
            right = {"poor": shown["poor"] - shown["n_false_pessimism"], "good": shown["n_false_optimism"]}
            for ax, outcome, n, counts in zip(
                pair, ("good", "poor"), (shown["n_good"], n_poor), (wrong, right), strict=True
            ):
                counts["indeterminate"] = n - counts["poor"] - counts["good"]
                left = np.zeros(len(shown))
                for decision, (_, look) in DECISIONS.items():
                    share = (counts[decision] / n).to_numpy(float)
                    ax.barh(names, share, left=left, **look)
                    left += share
                of = f"{n.iloc[0]}" if n.nunique() == 1 else f"{n.min()} to {n.max()}"
                ax.set(xlim=(0, 1), title=f"{outcome.capitalize()} outcomes (n = {of})")
                ax.set_xlabel("Share of them")
            pair[0].set_ylabel(f"Chosen on\n{_CHOSEN_ON[chosen_on]}", fontsize=7)
        handles = [plt.Rectangle((0, 0), 1, 1, label=words, **look) for words, look in DECISIONS.values()]
        fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


_CHOSEN_ON = {"train_oof": "training\nscores", "test": "these\nscores"}


_CORNER = {"ha": "right", "va": "top", "color": "0.45", "fontsize": 6.5}


def _mark(ax: Axes, marks: pd.DataFrame) -> int:
    """Draw chosen thresholds as lines, with their rules above the panel; return the number of text lines."""
    low, high = ax.get_xlim()
    width_of_letter = 0.06 / (ax.get_figure().get_figwidth() / 2)
    # Where the text of each line ends; a rule is written on the first line with room for it.
    taken: list[float] = []
    for threshold, same in marks.sort_values("threshold").groupby("threshold"):
        ax.axvline(threshold, color="0.6", lw=0.6, zorder=0)
        text = ", ".join(same["rule"])
        half = width_of_letter * len(text) / 2
        middle = min(max((threshold - low) / (high - low), half), 1 - half) if half < 0.5 else 0.5
        line = next((k for k, end in enumerate(taken) if end < middle - half), len(taken))
        taken[line : line + 1] = [middle + half]
        offset = (0, 2 + 8 * line)
        centred = {"xycoords": "axes fraction", "ha": "center", "va": "bottom"}
        # Lines to rules further up pass behind a rule's text.
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        looks.note(ax, text, (middle, 1), offset, fontsize=5.5, bbox=behind, zorder=4, **centred)
        leader = {"arrowstyle": "-", "color": "0.6", "lw": 0.5}
        looks.note(ax, "", (threshold, 1), offset, xycoords=("data", "axes fraction"), arrowprops=leader)
    return len(taken)


def _end_labels(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write labels at the right end of lines, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = 0.05 * (high - low)
    at = -math.inf
    place = {"xycoords": ("axes fraction", "data"), "textcoords": ("axes fraction", "data"), "va": "center"}
    for text, y, color in sorted(ends, key=lambda end: max(end[1], low)):
        at = max(max(y, low), at + gap)
        look = {"color": color, "fontsize": 7, "annotation_clip": False}
        ax.annotate(text, (1, y), xytext=(1.02, at), **place, **look)
