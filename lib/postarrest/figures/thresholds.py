"""Performance over all thresholds, and decision curves."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest.evaluation.thresholds import MOST_FNR, describe, thinned
from postarrest.figures import style
from postarrest.figures.curves import leading
from postarrest.figures.looks import (
    label_and_set,
    looks,
    model_name,
    operating_points_of,
    panel_grid,
    rows_of,
    values_by_model,
)


def decision_curves(rows: pd.DataFrame, table: pd.DataFrame, *, focus: str, most: float = 0.6) -> Figure:
    """Draw every model's net benefit against the threshold probability, with the band of one.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    table : pandas.DataFrame
        From :func:`postarrest.decision.table`.
    focus : str
        Model whose band is drawn; the last where it gives no probabilities.
    most : float
        Highest threshold drawn.
    """
    look = looks(list(values_by_model(rows)))
    table = rows_of(table[table["threshold"] <= most + 1e-9], label_and_set(rows))
    models = list(dict.fromkeys(table["model"]))
    focus = focus if focus in models else models[-1]
    look = leading(look, focus)
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 3.6))
        reference = table[table["model"] == models[0]]
        ax.plot(reference["threshold"], reference["treat_all"], color="0.45", lw=1)
        ax.axhline(0, color="0.45", lw=1)
        ends = [("predict nobody good", 0.0, "0.35")]
        for model in models:
            mine = table[table["model"] == model]
            ax.plot(mine["threshold"], mine["net_benefit"], color=look[model].color, ls=look[model].dash)
            ends.append((model_name(model), float(mine["net_benefit"].iloc[-1]), look[model].color))
        band = table[table["model"] == focus]
        ax.fill_between(
            band["threshold"], band["lower"], band["upper"], color=look[focus].color, alpha=0.12, lw=0
        )
        top = float(max(table["net_benefit"].max(), reference["treat_all"].max(), table["upper"].max()))
        bottom = -0.35 * top
        inside = reference[reference["treat_all"] > bottom]
        ax.annotate(
            "predict all good",
            (inside["threshold"].iloc[-1], inside["treat_all"].iloc[-1]),
            xytext=(4, 2),
            textcoords="offset points",
            color="0.35",
            fontsize=7,
        )
        ax.set(
            xlim=(0, most),
            ylim=(bottom, 1.05 * top),
            ylabel="Net benefit (good outcomes recognised per patient)",
        )
        ax.set_xlabel("Threshold probability of a good outcome")
        _end_labels(ax, ends)
    return fig


def thresholds(rows: pd.DataFrame, judged: pd.DataFrame) -> Figure:
    """Draw sensitivity, specificity and FNR with its upper limit against the threshold, a panel a model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    judged : pandas.DataFrame
        From :func:`postarrest.thresholds.table`: the thresholds that are marked.
    """
    here = label_and_set(rows)
    values = values_by_model(rows)
    lines = {
        "specificity": ("specificity", style.POOR, "--"),
        "sensitivity": ("sensitivity", style.GOOD, "-"),
        "fnr": ("FNR (false pessimism)", "black", "-"),
        "fnr_upper": ("FNR, upper 95 % limit", "black", ":"),
    }
    with style.report_style():
        fig, axes = panel_grid(len(values), height=2.9, columns=2)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            table = describe(y_good, score, thinned(np.unique(score), 500))
            for column, (_, color, dash) in lines.items():
                ax.plot(table["threshold"], table[column], color=color, ls=dash, lw=1.2)
            ax.axhline(MOST_FNR, color="0.5", lw=0.8)
            ax.annotate(
                "5 %",
                (1, MOST_FNR),
                xycoords=("axes fraction", "data"),
                fontsize=6.5,
                va="center",
                xytext=(2, 0),
                textcoords="offset points",
            )
            low, high = float(table["threshold"].min()), float(table["threshold"].max())
            if low == high:
                low, high = low - 0.05, high + 0.05
            marks = operating_points_of(judged, here, model)
            marks = marks[marks["threshold"].between(low, high)]
            ax.set(ylim=(0, 1.02), xlim=(low, high), xlabel="Threshold (predicted good from here on)")
            lines_above = _mark(ax, marks)
            ax.set_title(model_name(model), pad=6 + 8 * lines_above)
        axes[0].set_ylabel("Share of patients")
        handles = [plt.Line2D([], [], color=c, ls=d, label=words) for words, c, d in lines.values()]
        fig.legend(handles=handles, loc="outside lower center", ncols=4)
    return fig


def _mark(ax: Axes, marks: pd.DataFrame) -> int:
    """Draw chosen thresholds as lines with their rules above the panel; return how many lines of text."""
    low, high = ax.get_xlim()
    width_of_letter = 0.06 / (ax.get_figure().get_figwidth() / 2)
    taken: list[float] = []
    for threshold, same in marks.sort_values("threshold").groupby("threshold"):
        ax.axvline(threshold, color="0.6", lw=0.6, zorder=0)
        text = ", ".join(same["rule"])
        half = width_of_letter * len(text) / 2
        middle = min(max((threshold - low) / (high - low), half), 1 - half) if half < 0.5 else 0.5
        line = next((k for k, end in enumerate(taken) if end < middle - half), len(taken))
        taken[line : line + 1] = [middle + half]
        ax.annotate(
            text,
            (middle, 1),
            xycoords="axes fraction",
            xytext=(0, 2 + 8 * line),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=5.5,
        )
        ax.annotate(
            "",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2 + 8 * line),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.5},
        )
    return len(taken)


def _end_labels(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write labels at the right end of lines, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = 0.05 * (high - low)
    at = -math.inf
    for text, y, color in sorted(ends, key=lambda end: max(end[1], low)):
        at = max(max(y, low), at + gap)
        ax.annotate(
            text,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(1.02, at),
            textcoords=("axes fraction", "data"),
            va="center",
            color=color,
            fontsize=7,
            annotation_clip=False,
        )
