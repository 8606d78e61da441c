"""Figures of the cohort: participant flow and missing values."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from postarrest.figures import style

# Sizes of the flow chart in inches.
_LINE = 0.165
_PADDING = 0.1
_GAP = 0.28
_MARGIN = 0.1
_LEFT_WIDTH = 2.5
_RIGHT_WIDTH = 3.3


def flow(table: pd.DataFrame) -> Figure:
    """Draw the participant flow as boxes with counts and reasons.

    Parameters
    ----------
    table : pandas.DataFrame
        ``step, reason, n`` from `describe.flow`.

    Returns
    -------
    matplotlib.figure.Figure
        Boxes from screened through excluded to included patients and their outcomes, with their counts.
    """
    counts = table.set_index("step")["n"]
    excluded, kept = (table[table["step"] == step] for step in ("excluded", "kept"))
    n = int(counts["included"])
    included = ["Included", f"n = {n}"]
    if len(kept):
        included += ["despite a reason for exclusion:", *_reasons(kept)]
    right, half = _LEFT_WIDTH + _GAP, (_LEFT_WIDTH - 0.2) / 2
    width = right + _RIGHT_WIDTH + 2 * _MARGIN
    with style.drawing(width=width, height=1, layout="none") as (fig, ax):
        screened = _box(ax, ["Screened", f"n = {counts['screened']}"], 0, 0, _LEFT_WIDTH)
        text = [f"Excluded, n = {excluded['n'].sum()}", *_reasons(excluded)]
        to_the_right = _box(ax, text, right, screened.get_y() - _GAP, _RIGHT_WIDTH, align="left")
        main = _box(ax, included, 0, to_the_right.get_y() - _GAP, _LEFT_WIDTH)
        for outcome, left, colour in (("good", 0, style.GOOD), ("poor", _LEFT_WIDTH - half, style.POOR)):
            count = int(counts[f"{outcome} outcome"])
            text = [f"{outcome.capitalize()} outcome", f"n = {count} ({100 * count / n:.1f} %)"]
            box = _box(ax, text, left, main.get_y() - _GAP, half, colour=colour)
            x = box.get_center()[0]
            _arrow(ax, (x, main.get_y()), (x, main.get_y() - _GAP))
        x, side = to_the_right.get_center()
        x = screened.get_center()[0]
        _arrow(ax, (x, screened.get_y()), (x, to_the_right.get_y() - _GAP))
        _arrow(ax, (x, side), (right, side))
        height = 2 * _MARGIN - box.get_y()
        fig.set_size_inches(width, height)
        ax.set_position((0, 0, 1, 1))
        ax.set(xlim=(-_MARGIN, width - _MARGIN), ylim=(_MARGIN - height, _MARGIN))
        ax.axis("off")
    return fig


def missingness(table: pd.DataFrame) -> Figure:
    """Draw how often each variable is missing, by outcome.

    Parameters
    ----------
    table : pandas.DataFrame
        From `describe.missingness`; variables with no missing values are left out.

    Returns
    -------
    matplotlib.figure.Figure
        One row per variable: percentage missing among patients with a good and with a poor outcome.

    Raises
    ------
    ValueError
        If no variable has missing values.
    """
    shown = table[table["overall"] != "0"].iloc[::-1].reset_index(drop=True)
    if shown.empty:
        raise ValueError("No value is missing; there is nothing to draw.")
    good = {"marker": "o", "s": 26, "color": style.GOOD, "zorder": 3}
    poor = {"marker": "^", "s": 30, "facecolor": "white", "edgecolor": style.POOR, "zorder": 2}
    with style.drawing(width=style.DOUBLE_COLUMN_IN * 0.8, height=0.9 + 0.22 * len(shown)) as (fig, ax):
        ax.hlines(shown.index, shown["good_pct"], shown["poor_pct"], color="#BBBBBB", linewidth=1, zorder=1)
        ax.scatter(shown["good_pct"], shown.index, label="good", clip_on=False, **good)
        ax.scatter(shown["poor_pct"], shown.index, label="poor", clip_on=False, **poor)
        ax.set_yticks(shown.index, shown["variable"])
        ax.set(ylim=(-0.6, len(shown) - 0.4), xlim=(0, None), axisbelow=True)
        ax.set_xlabel("Missing, % of patients with this outcome")
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        fig.legend(title="Outcome", loc="outside upper right", ncols=2, title_fontsize=7)
    return fig


def _reasons(rows: pd.DataFrame) -> list[str]:
    wrap = textwrap.TextWrapper(46, initial_indent="- ", subsequent_indent="   ").wrap
    return [line for row in rows.itertuples() for line in wrap(f"{row.reason}: {row.n}")]


def _box(
    ax: Axes,
    lines: Sequence[str],
    left: float,
    top: float,
    width: float,
    *,
    align: str = "center",
    colour: str = style.NEUTRAL,
) -> Rectangle:
    """Draw a box of text, the first line bold."""
    height = len(lines) * _LINE + 2 * _PADDING
    outline = {"facecolor": "white", "edgecolor": colour, "lw": 1.2}
    box = ax.add_patch(Rectangle((left, top - height), width, height, **outline))
    x = left + (width / 2 if align == "center" else _PADDING)
    for number, line in enumerate(lines):
        y = top - _PADDING - (number + 0.5) * _LINE
        weight = "normal" if number else "bold"
        ax.text(x, y, line, ha=align, va="center", fontweight=weight, parse_math=False)
    return box


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": style.NEUTRAL, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=look)
