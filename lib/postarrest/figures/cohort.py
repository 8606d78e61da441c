"""Figures of the cohort: participant flow and missing values."""

import textwrap
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from postarrest.figures import style

_LINE_IN = 0.165
_PADDING_IN = 0.1
_GAP_IN = 0.28
_MARGIN_IN = 0.1
_LEFT_WIDTH_IN = 2.5
_RIGHT_WIDTH_IN = 3.3
_WRAP_CHARACTERS = 46
_ROW_IN = 0.22


@dataclass
class _Box:
    """A box of text in the flow chart, in inches; the first line is bold."""

    lines: list[str]
    left: float
    width: float
    align: str = "center"
    colour: str = style.NEUTRAL
    top: float = 0.0

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE_IN + 2 * _PADDING_IN

    @property
    def bottom(self) -> float:
        return self.top - self.height

    @property
    def centre(self) -> float:
        return self.left + self.width / 2

    def draw(self, ax: Axes) -> None:
        corner = (self.left, self.bottom)
        ax.add_patch(
            Rectangle(corner, self.width, self.height, facecolor="white", edgecolor=self.colour, lw=1.2)
        )
        x = self.centre if self.align == "center" else self.left + _PADDING_IN
        for number, line in enumerate(self.lines):
            y = self.top - _PADDING_IN - (number + 0.5) * _LINE_IN
            weight = "normal" if number else "bold"
            ax.text(x, y, line, ha=self.align, va="center", fontweight=weight, parse_math=False)


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
    good, poor = (int(counts[f"{outcome} outcome"]) for outcome in ("good", "poor"))
    right, half = _LEFT_WIDTH_IN + _GAP_IN, (_LEFT_WIDTH_IN - 0.2) / 2
    boxes = [
        _Box(["Screened", f"n = {counts['screened']}"], 0, _LEFT_WIDTH_IN),
        _Box([f"Excluded, n = {excluded['n'].sum()}", *_reasons(excluded)], right, _RIGHT_WIDTH_IN, "left"),
        _Box(included, 0, _LEFT_WIDTH_IN),
        _Box(["Good outcome", _share(good, n)], 0, half, colour=style.GOOD),
        _Box(["Poor outcome", _share(poor, n)], _LEFT_WIDTH_IN - half, half, colour=style.POOR),
    ]
    for above, box in pairwise(boxes):
        box.top = above.bottom - _GAP_IN
    boxes[-1].top = boxes[-2].top
    width = right + _RIGHT_WIDTH_IN + 2 * _MARGIN_IN
    height = 2 * _MARGIN_IN - boxes[-1].bottom

    with style.report_style():
        fig = plt.figure(figsize=(width, height), layout="none")
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=(-_MARGIN_IN, width - _MARGIN_IN), ylim=(_MARGIN_IN - height, _MARGIN_IN))
        ax.axis("off")
        for box in boxes:
            box.draw(ax)
        screened, to_the_right, main, *outcomes = boxes
        side = to_the_right.top - to_the_right.height / 2
        _arrow(ax, (screened.centre, screened.bottom), (main.centre, main.top))
        _arrow(ax, (screened.centre, side), (to_the_right.left, side))
        for outcome in outcomes:
            _arrow(ax, (outcome.centre, main.bottom), (outcome.centre, outcome.top))
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
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN * 0.8, 0.9 + _ROW_IN * len(shown)))
        ax.hlines(shown.index, shown["good_pct"], shown["poor_pct"], color="#BBBBBB", linewidth=1, zorder=1)
        ax.scatter(shown["good_pct"], shown.index, label="good", clip_on=False, **good)
        ax.scatter(shown["poor_pct"], shown.index, label="poor", clip_on=False, **poor)
        ax.set_yticks(shown.index, shown["variable"])
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.set_xlim(left=0)
        ax.margins(x=0.08)
        ax.set_xlabel("Missing, % of patients with this outcome")
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        ax.set_axisbelow(True)
        fig.legend(title="Outcome", loc="outside upper right", ncols=2, title_fontsize=7)
    return fig


def _reasons(rows: pd.DataFrame) -> list[str]:
    wrap = textwrap.TextWrapper(_WRAP_CHARACTERS, initial_indent="- ", subsequent_indent="   ").wrap
    texts = (f"{reason}: {n}" for reason, n in zip(rows["reason"], rows["n"], strict=True))
    return [line for text in texts for line in wrap(text)]


def _share(n: int, total: int) -> str:
    return f"n = {n} ({100 * n / total:.1f} %)"


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": style.NEUTRAL, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=look)
