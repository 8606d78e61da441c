"""Figures of the cohort: participant flow and missing values."""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from postarrest.figures import style

_LINE_IN = 0.165
_PADDING_IN = 0.1
_GAP_IN = 0.28
_LEFT_WIDTH_IN = 2.5
_RIGHT_WIDTH_IN = 3.3
_WRAP_CHARACTERS = 46
_ROW_IN = 0.22


def flow(table: pd.DataFrame) -> Figure:
    """Draw the participant flow as boxes with counts and reasons.

    Parameters
    ----------
    table : pandas.DataFrame
        ``step, reason, n`` from `tables.flow`.

    Returns
    -------
    matplotlib.figure.Figure
        Boxes from screened through excluded to included patients and their outcomes, with their counts.
    """
    counts = table.set_index("step")["n"]
    excluded, kept = (table[table["step"] == step] for step in ("excluded", "kept"))
    included = int(counts["included"])
    texts = {
        "screened": ["Screened", f"n = {counts['screened']}"],
        "excluded": [f"Excluded, n = {excluded['n'].sum()}", *_reasons(excluded)],
        "included": ["Included", f"n = {included}"],
        "good": ["Good outcome", _share(int(counts["good outcome"]), included)],
        "poor": ["Poor outcome", _share(int(counts["poor outcome"]), included)],
    }
    if len(kept):
        texts["included"] += ["with a reason that is not applied here:", *_reasons(kept)]
    heights = {name: len(lines) * _LINE_IN + 2 * _PADDING_IN for name, lines in texts.items()}
    width = _LEFT_WIDTH_IN + _RIGHT_WIDTH_IN + _GAP_IN
    levels = ("screened", "excluded", "included", "good")
    height = sum(heights[name] for name in levels) + _GAP_IN * (len(levels) - 1)
    tops, top = {}, height
    for name in levels:
        tops[name] = top
        top -= heights[name] + _GAP_IN

    with style.report_style():
        fig = plt.figure(figsize=(width + 0.2, height + 0.2), layout="none")
        ax = fig.add_axes((0, 0, 1, 1))
        ax.set(xlim=(-0.1, width + 0.1), ylim=(-0.1, height + 0.1))
        ax.axis("off")
        middle = _LEFT_WIDTH_IN / 2
        _box(ax, texts["screened"], left=0, top=tops["screened"], width=_LEFT_WIDTH_IN)
        right = _LEFT_WIDTH_IN + _GAP_IN
        _box(ax, texts["excluded"], left=right, top=tops["excluded"], width=_RIGHT_WIDTH_IN, align="left")
        _box(ax, texts["included"], left=0, top=tops["included"], width=_LEFT_WIDTH_IN)
        _arrow(ax, (middle, tops["screened"] - heights["screened"]), (middle, tops["included"]))
        side = tops["excluded"] - heights["excluded"] / 2
        _arrow(ax, (middle, side), (right, side))
        bottom = tops["included"] - heights["included"]
        outcome_width = (_LEFT_WIDTH_IN - 0.2) / 2
        for name, left, colour in (
            ("good", 0.0, style.GOOD),
            ("poor", _LEFT_WIDTH_IN - outcome_width, style.POOR),
        ):
            _box(ax, texts[name], left=left, top=tops["good"], width=outcome_width, colour=colour)
            centre = left + outcome_width / 2
            _arrow(ax, (centre, bottom), (centre, tops["good"]))
    return fig


def missingness(table: pd.DataFrame) -> Figure:
    """Draw how often each variable is missing, by outcome.

    Parameters
    ----------
    table : pandas.DataFrame
        From `tables.missingness`; variables that nobody lacks are left out.

    Returns
    -------
    matplotlib.figure.Figure
        A row a variable: percentage missing among patients with a good and with a poor outcome.

    Raises
    ------
    ValueError
        If no variable is missing in anybody.
    """
    shown = table[table["overall"] != "0"].iloc[::-1].reset_index(drop=True)
    if shown.empty:
        raise ValueError("No value is missing; there is nothing to draw.")
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN * 0.8, 0.9 + _ROW_IN * len(shown)))
        ax.hlines(shown.index, shown["good_pct"], shown["poor_pct"], color="#BBBBBB", linewidth=1, zorder=1)
        ax.scatter(
            shown["good_pct"],
            shown.index,
            color=style.GOOD,
            marker="o",
            s=26,
            zorder=3,
            label="good",
            clip_on=False,
        )
        ax.scatter(
            shown["poor_pct"],
            shown.index,
            facecolor="white",
            edgecolor=style.POOR,
            marker="^",
            s=30,
            zorder=2,
            label="poor",
            clip_on=False,
        )
        ax.set_yticks(shown.index, shown["variable"])
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.set_xlim(left=0)
        ax.margins(x=0.08)
        ax.set_xlabel("Patients without a value, % of the outcome's patients")
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        ax.set_axisbelow(True)
        fig.legend(title="Outcome", loc="outside upper right", ncols=2, title_fontsize=7)
    return fig


def _reasons(rows: pd.DataFrame) -> list[str]:
    lines = []
    for reason, n in zip(rows["reason"], rows["n"], strict=True):
        lines += textwrap.wrap(
            f"{reason}: {n}", _WRAP_CHARACTERS, initial_indent="- ", subsequent_indent="   "
        )
    return lines


def _share(n: int, total: int) -> str:
    return f"n = {n} ({100 * n / total:.1f} %)"


def _box(
    ax: Axes,
    lines: list[str],
    *,
    left: float,
    top: float,
    width: float,
    align: str = "center",
    colour: str = style.NEUTRAL,
) -> None:
    height = len(lines) * _LINE_IN + 2 * _PADDING_IN
    ax.add_patch(Rectangle((left, top - height), width, height, facecolor="white", edgecolor=colour, lw=1.2))
    for number, line in enumerate(lines):
        x = left + (width / 2 if align == "center" else _PADDING_IN)
        y = top - _PADDING_IN - (number + 0.5) * _LINE_IN
        weight = "bold" if number == 0 else "normal"
        ax.text(x, y, line, ha=align, va="center", fontweight=weight, parse_math=False)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": style.NEUTRAL, "shrinkA": 0, "shrinkB": 0}
    )
