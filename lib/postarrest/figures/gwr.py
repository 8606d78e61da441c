"""Figures of the gray-to-white-matter ratios: agreement of two readings, and values by outcome."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest.describe import compare_readings, hide_small_counts
from postarrest.estimate import Estimate
from postarrest.figures import looks, style
from postarrest.models import gwr

_HEIGHT_IN = 2.7
_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}


def agreement(first: pd.DataFrame, second: pd.DataFrame, *, names: tuple[str, str]) -> Figure:
    """Draw the second of two readings against the first, one panel per ratio.

    Parameters
    ----------
    first, second : pandas.DataFrame
        One column per measure, the same patients. Ratios that too few patients have in both are left out.
    names : tuple of str
        What the two are called.

    Returns
    -------
    matplotlib.figure.Figure
        One point per patient with both readings, the line of identity, Spearman's correlation and ICC(A,1).
    """
    ratios = gwr.ratios_in_both(first, second)
    with style.panels(len(ratios), height=_HEIGHT_IN) as (fig, axes):
        for ax, (measure, one, other, result) in zip(axes, _compared(first, second, ratios), strict=True):
            low, high = np.min([one, other]), np.max([one, other])
            margin = 0.05 * (high - low)
            limits = (low - margin, high + margin)
            ax.plot(limits, limits, color=style.NEUTRAL, linewidth=0.8, zorder=1)
            looks.note(ax, "identity", (limits[1], limits[1]), (2, -5), ha="right", va="top", rotation=45)
            ax.scatter(one, other, s=7, color=style.GOOD, alpha=0.55, linewidth=0, zorder=2)
            ax.set(xlim=limits, ylim=limits, aspect="equal", title=f"{measure} (n = {result.n})")
            ax.set(xlabel=_capitalised(names[0]), ylabel=_capitalised(names[1]) if ax is axes[0] else "")
            text = f"Spearman {_interval(result.spearman)}\nICC(A,1) {_interval(result.icc_a1)}"
            looks.note(ax, text, (0.97, 0.03), xycoords="axes fraction", ha="right", bbox=_BACKGROUND)
    return fig


def bland_altman(first: pd.DataFrame, second: pd.DataFrame, *, names: tuple[str, str]) -> Figure:
    """Draw the difference of two readings against their mean, with bias and limits of agreement.

    Parameters
    ----------
    first, second : pandas.DataFrame
        One column per measure, the same patients. Ratios that too few patients have in both are left out.
    names : tuple of str
        What the two are called.

    Returns
    -------
    matplotlib.figure.Figure
        One point per patient with both readings; lines and bands are bias and limits with 95 % intervals.
    """
    ratios = gwr.ratios_in_both(first, second)
    shape = {"height": _HEIGHT_IN, "sharey": True, "squeeze": False}
    with style.drawing(1, len(ratios), **shape) as (fig, ((*axes,),)):
        for ax, (measure, one, other, result) in zip(axes, _compared(first, second, ratios), strict=True):
            means, differences = (one + other) / 2, one - other
            ax.scatter(means, differences, s=7, color=style.NEUTRAL, alpha=0.5, linewidth=0, zorder=2)
            for name, line, dash, colour in (
                ("upper limit", result.loa_upper, "--", style.POOR),
                ("bias", result.bias, "-", style.GOOD),
                ("lower limit", result.loa_lower, "--", style.POOR),
            ):
                ax.axhspan(line.lower, line.upper, color=colour, alpha=0.15, linewidth=0, zorder=1)
                ax.axhline(line.value, color=colour, linestyle=dash, linewidth=1.1, zorder=3)
                right = {"xycoords": ax.get_yaxis_transform(), "ha": "right"}
                text = f"{name} {line.value:+.3f}"
                looks.note(ax, text, (1, line.value), color=colour, bbox=_BACKGROUND, **right)
            ax.set(title=f"{measure} (n = {result.n})", xlabel="Mean of both readings")
        axes[0].set_ylabel(_capitalised(f"{names[0]} minus {names[1]}"))
    return fig


def by_outcome(
    values: pd.DataFrame,
    cohort: pd.DataFrame,
    *,
    outcome_labels: Sequence[str],
    cut_off: float = gwr.CUT_OFF,
    mask_below: int = 0,
) -> Figure:
    """Draw the distribution of the ratios by outcome, with the cut-off; one row of panels per outcome label.

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures`; the mean of the readings is drawn.
    cohort : pandas.DataFrame
        ``y_good_<label>`` (0 or 1) for each outcome label, by ``patient_id``.
    outcome_labels : sequence of str
        Outcome labels drawn.
    cut_off : float
        A ratio below it predicts a poor outcome.
    mask_below : int
        Counts from 1 to below this are hidden, as in the table of these values; 0 shows all.

    Returns
    -------
    matplotlib.figure.Figure
        For each ratio and outcome: one point per patient, a box of quartiles, the number below the cut-off.
    """
    # Jitter has no meaning, so it is the same in every run.
    rng = np.random.default_rng(0)
    shape = len(outcome_labels), len(gwr.RATIOS)
    with style.drawing(*shape, height=_HEIGHT_IN * shape[0], sharey=True, squeeze=False) as (fig, axes):
        for row, label in zip(axes, outcome_labels, strict=True):
            for ax, measure in zip(row, gwr.RATIOS, strict=True):
                known = values[measure, "mean"].dropna()
                good = cohort[f"y_good_{label}"].reindex(known.index) == 1
                _clouds(ax, [known[~good], known[good]], rng, cut_off, mask_below)
                ax.set(title=measure, xlim=(-0.55, 1.55))
            row[0].set_ylabel(f"Gray-to-white-matter ratio\n({label} label)")
            right = {"xycoords": row[-1].get_yaxis_transform(), "va": "center", "fontsize": 6.5}
            looks.note(row[-1], f"cut-off\n{cut_off:g}", (1, cut_off), (3, 0), **right)
        for ax in axes[-1]:
            ax.set_xlabel("Outcome")
        # Room for the counts below the lowest points.
        low, high = axes[0, 0].get_ylim()
        axes[0, 0].set_ylim(low - 0.07 * (high - low), high)
    return fig


def reliability(table: pd.DataFrame) -> Figure:
    """Draw ICC(A,1) with its interval, and Spearman's correlation, for each region and ratio.

    Parameters
    ----------
    table : pandas.DataFrame
        From `gwr.reliability`, the rows of one pair of readings. Measures without agreement are left out.
    """
    shown = table.dropna(subset="icc_a1").iloc[::-1].reset_index(drop=True)
    icc, names = shown["icc_a1"], gwr.REGIONS | gwr.RATIOS
    with style.drawing(width=style.DOUBLE_COLUMN_IN * 0.8, height=0.9 + 0.22 * len(shown)) as (fig, ax):
        error = [icc - shown["icc_lower"], shown["icc_upper"] - icc]
        look = {"fmt": "o", "color": style.GOOD, "markersize": 4.5, "capsize": 2}
        ax.errorbar(icc, shown.index, xerr=error, label="ICC(A,1), 95 % interval", **look)
        look = {"marker": "D", "s": 16, "facecolor": "white", "edgecolor": style.POOR, "zorder": 3}
        ax.scatter(shown["spearman"], shown.index + 0.22, label="Spearman", **look)
        ax.set_yticks(shown.index, [f"{measure}: {names[measure]}" for measure in shown["measure"]])
        ax.set(xlabel="Agreement of both readings (1 = perfect)", xlim=(None, 1.005), axisbelow=True)
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        fig.legend(loc="outside upper right", ncols=2)
    return fig


def _clouds(
    ax: Axes, by_outcome: Sequence[pd.Series], rng: np.random.Generator, cut_off: float, mask_below: int
) -> None:
    """Draw poor outcomes at 0 and good ones at 1: points, boxes and the number below the cut-off."""
    n_below = [int((x < cut_off).sum()) for x in by_outcome]
    # Hidden together with their sum, which the table of these values shows.
    _, *shown = hide_small_counts([sum(n_below), *n_below], below=mask_below)
    markers = [
        {"marker": "^", "facecolor": "none", "edgecolor": style.POOR, "linewidth": 0.5},
        {"marker": "o", "facecolor": style.GOOD, "edgecolor": style.GOOD, "linewidth": 0},
    ]
    median = {"color": "black", "linewidth": 1.5}
    for place, (x, look) in enumerate(zip(by_outcome, markers, strict=True)):
        ax.scatter(place + rng.uniform(-0.28, 0.28, len(x)), x, s=8, alpha=0.6, **look)
        ax.boxplot(x, positions=[place], widths=0.66, showfliers=False, medianprops=median)
        text = f"{shown[place]} of {len(x)} below"
        looks.note(ax, text, (place, 0), xycoords=ax.get_xaxis_transform(), ha="center", fontsize=6.5)
    ax.axhline(cut_off, color="black", linestyle=":", linewidth=1)
    ax.set_xticks([0, 1], ["poor", "good"])


def _compared(
    first: pd.DataFrame, second: pd.DataFrame, ratios: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, Any]]:
    """Yield each ratio with the patients' first and second readings and their agreement."""
    for measure in ratios:
        one, other = pd.concat([first[measure], second[measure]], axis=1).dropna().to_numpy().T
        yield measure, one, other, compare_readings(one, other)


def _capitalised(text: str) -> str:
    # str.capitalize would also change the names of readers, which may be long.
    return textwrap.fill(text[:1].upper() + text[1:], width=40)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.lower:.2f} to {estimate.upper:.2f})"
