"""Figures of the evaluation.

``rows`` are always rows of :func:`postarrest.scores.sets` of one outcome label and set; from tables that hold
more, each figure takes its own part. Every model keeps one colour, dash and marker (:func:`looks`). Good
outcomes are blue and filled, poor ones vermilion and hatched.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest.evaluation.thresholds import thinned
from postarrest.figures import style


class Look(NamedTuple):
    """How a model is drawn."""

    color: str
    dash: object
    marker: str


def looks(models: Sequence[str]) -> dict[str, Look]:
    """Give each model its colour, dash and marker, in the order of the models.

    Examples
    --------
    >>> looks(["ct", "ensemble"])["ensemble"].marker
    '^'
    """
    kinds = len(style.PALETTE)
    return {
        model: Look(style.PALETTE[i % kinds], style.DASHES[i % kinds], style.MARKERS[i % kinds])
        for i, model in enumerate(dict.fromkeys(models))
    }


def model_name(model: str) -> str:
    return model.replace("_", " ")


def panel_grid(count: int, *, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = style.DOUBLE_COLUMN_IN if columns > 1 else style.SINGLE_COLUMN_IN * 1.4
    fig, axes = plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False)
    flat = list(axes.ravel())
    for ax in flat[count:]:
        ax.set_visible(False)
    return fig, flat


def unit_square(ax: Axes, xlabel: str, ylabel: str) -> None:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel)
    ax.set_aspect("equal")


def label_and_set(rows: pd.DataFrame) -> dict[str, str]:
    """Return which outcome label and set the rows are of."""
    return {column: str(rows[column].iloc[0]) for column in ("outcome_label", "set")}


def rows_of(table: pd.DataFrame, here: Mapping[str, str]) -> pd.DataFrame:
    return table[(table["outcome_label"] == here["outcome_label"]) & (table["set"] == here["set"])]


def operating_points_of(judged: pd.DataFrame, here: Mapping[str, str], model: str) -> pd.DataFrame:
    """Return a model's operating points; those chosen on the scores they judge only without others."""
    mine = rows_of(judged, here)
    mine = mine[(mine["model"] == model) & (mine["stage"] == "final")].dropna(subset="threshold")
    honest = mine[mine["chosen_on"] != "test"]
    points = honest if len(honest) else mine
    return points.astype(dict.fromkeys(("sensitivity", "specificity", "ppv"), float))


def values_by_model(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return outcome and score of each model's patients."""
    return {
        str(model): (mine["y_good"].to_numpy(), mine["score"].to_numpy())
        for model, mine in rows.groupby("model", sort=False)
    }


def mirrored_histogram(
    ax: Axes, y_good: np.ndarray, score: np.ndarray, *, edges: np.ndarray, share: bool = False
) -> None:
    """Draw a histogram of good outcomes upwards and of poor ones downwards."""
    y_good, score = np.asarray(y_good), np.asarray(score)
    for outcome, sign, color, hatch in ((1, 1, style.GOOD, None), (0, -1, style.POOR, "////")):
        mine = score[y_good == outcome]
        count, _ = np.histogram(mine, bins=edges)
        height = count / max(1, len(mine)) if share else count
        ax.bar(
            edges[:-1],
            sign * height,
            np.diff(edges),
            align="edge",
            color=color if hatch is None else "white",
            edgecolor=color,
            hatch=hatch,
            lw=0.4,
        )
    ax.axhline(0, color="black", lw=0.6)
    # Room for the words above low bars.
    bottom, top = ax.get_ylim()
    ax.set_ylim(1.1 * bottom, max(1.1 * top, -0.35 * bottom))
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.text(
        0.99,
        0.96,
        f"good, n = {int((y_good == 1).sum())}",
        transform=ax.transAxes,
        ha="right",
        va="top",
        color=style.GOOD,
        fontsize=6.5,
    )
    ax.text(
        0.99,
        0.04,
        f"poor, n = {int((y_good == 0).sum())}",
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        color=style.POOR,
        fontsize=6.5,
    )


def thin_line(line: pd.DataFrame, most: int = 2000) -> pd.DataFrame:
    """Return a line with no more points than a reader can see."""
    return line.iloc[thinned(np.arange(len(line)), most)]
