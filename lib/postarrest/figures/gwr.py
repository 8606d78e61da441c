"""Figures of the gray-to-white-matter ratios: agreement of two readings, and values by outcome."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.describe import agreement as agreement_room
from postarrest.estimate import Estimate
from postarrest.figures import style
from postarrest.models import gwr

_HEIGHT_IN = 2.7
_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5}


def agreement(values: pd.DataFrame, *, measures: Sequence[str] = tuple(gwr.RATIOS)) -> Figure:
    """Draw the second reading against the first, one panel a ratio.

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures` or `gwr.ratios`.
    measures : sequence of str
        What is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A point a patient with both readings, the line of identity, Spearman's correlation and ICC(A,1).
    """
    with style.report_style():
        fig, axes = _panels(len(measures), share_y=False)
        for ax, measure in zip(axes, measures, strict=True):
            first, second = _pairs(values, measure)
            result = agreement_room.agreement(first, second)
            low, high = min(first.min(), second.min()), max(first.max(), second.max())
            margin = 0.05 * (high - low)
            limits = (low - margin, high + margin)
            ax.plot(limits, limits, color=style.NEUTRAL, linewidth=0.8, zorder=1)
            ax.annotate(
                "identity",
                (limits[1], limits[1]),
                xytext=(2, -5),
                textcoords="offset points",
                ha="right",
                va="top",
                rotation=45,
                fontsize=6,
            )
            ax.scatter(first, second, s=7, color=style.GOOD, alpha=0.55, linewidth=0, zorder=2)
            ax.set(xlim=limits, ylim=limits, aspect="equal", title=f"{measure} (n = {result.n})")
            ax.set(xlabel="Reading 1", ylabel="Reading 2" if ax is axes[0] else "")
            ax.text(
                0.97,
                0.03,
                f"Spearman {_interval(result.spearman)}\nICC(A,1) {_interval(result.icc_a1)}",
                transform=ax.transAxes,
                ha="right",
                va="bottom",
                fontsize=6,
                bbox=_BACKGROUND,
            )
    return fig


def bland_altman(values: pd.DataFrame, *, measures: Sequence[str] = tuple(gwr.RATIOS)) -> Figure:
    """Draw the difference of the readings against their mean, with bias and limits of agreement.

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures` or `gwr.ratios`.
    measures : sequence of str
        What is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A point a patient with both readings; lines and bands are bias and limits with 95 % intervals.
    """
    with style.report_style():
        fig, axes = _panels(len(measures), share_y=True)
        for ax, measure in zip(axes, measures, strict=True):
            first, second = _pairs(values, measure)
            result = agreement_room.agreement(first, second, digits=3)
            ax.scatter(
                (first + second) / 2,
                first - second,
                s=7,
                color=style.NEUTRAL,
                alpha=0.5,
                linewidth=0,
                zorder=2,
            )
            for name, line, dash, colour in (
                ("upper limit", result.loa_upper, "--", style.POOR),
                ("bias", result.bias, "-", style.GOOD),
                ("lower limit", result.loa_lower, "--", style.POOR),
            ):
                ax.axhspan(line.lower, line.upper, color=colour, alpha=0.15, linewidth=0, zorder=1)
                ax.axhline(line.value, color=colour, linestyle=dash, linewidth=1.1, zorder=3)
                ax.annotate(
                    f"{name} {line.value:+.3f}",
                    (1, line.value),
                    xycoords=("axes fraction", "data"),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="right",
                    va="bottom",
                    fontsize=6,
                    color=colour,
                    bbox=_BACKGROUND,
                )
            ax.set(title=f"{measure} (n = {result.n})", xlabel="Mean of both readings")
        axes[0].set_ylabel("Reading 1 minus reading 2")
    return fig


def by_outcome(
    values: pd.DataFrame,
    y_good: pd.Series,
    *,
    cut_off: float = gwr.CUT_OFF,
    mask_below: int = 0,
    measures: Sequence[str] = tuple(gwr.RATIOS),
) -> Figure:
    """Draw the ratios' distribution by outcome, with the cut-off.

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures` or `gwr.ratios`; the mean of the readings is drawn.
    y_good : pandas.Series of 0 and 1
        Outcome by ``patient_id``.
    cut_off : float
        A ratio below it predicts a poor outcome.
    mask_below : int
        Counts from 1 to below this are not written out; 0 writes all.
    measures : sequence of str
        What is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        For each ratio and outcome: a point a patient, a box of quartiles, the number below the cut-off.
    """
    # Jitter has no meaning, so it is the same in every run. Poor outcomes (0) stand at place 0, good at 1.
    rng = np.random.default_rng(0)
    with style.report_style():
        fig, axes = _panels(len(measures), share_y=True)
        for ax, measure in zip(axes, measures, strict=True):
            known = values[measure, "mean"].dropna()
            for place, (colour, marker) in enumerate([(style.POOR, "^"), (style.GOOD, "o")]):
                x = known[y_good.reindex(known.index) == place].to_numpy()
                ax.scatter(
                    place + rng.uniform(-0.28, 0.28, len(x)),
                    x,
                    s=8,
                    marker=marker,
                    facecolor=colour if place else "none",
                    edgecolor=colour,
                    linewidth=0 if place else 0.5,
                    alpha=0.6,
                )
                ax.boxplot(
                    x,
                    positions=[place],
                    widths=0.66,
                    showfliers=False,
                    medianprops={"color": "black", "linewidth": 1.5},
                    boxprops={"linewidth": 0.9},
                    whiskerprops={"linewidth": 0.9},
                    capprops={"linewidth": 0.9},
                )
                below = int((x < cut_off).sum())
                ax.annotate(
                    f"{f'<{mask_below}' if 0 < below < mask_below else below} of {len(x)} below",
                    (place, 0),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=6.5,
                )
            ax.axhline(cut_off, color="black", linestyle=":", linewidth=1)
            ax.set_xticks([0, 1], ["poor", "good"])
            ax.set(title=measure, xlabel="Outcome", xlim=(-0.55, 1.55))
        axes[-1].annotate(
            f"cut-off\n{cut_off:g}",
            (1, cut_off),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
        )
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low - 0.07 * (high - low), high)
        axes[0].set_ylabel("Gray-to-white-matter ratio")
    return fig


def reliability(table: pd.DataFrame) -> Figure:
    """Draw ICC(A,1) with its interval, and Spearman's correlation, for each region and ratio.

    Parameters
    ----------
    table : pandas.DataFrame
        From `gwr.reliability`.
    """
    shown = table.iloc[::-1].reset_index(drop=True)
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN * 0.8, 0.9 + 0.22 * len(shown)))
        error = [shown["icc_a1"] - shown["icc_lower"], shown["icc_upper"] - shown["icc_a1"]]
        ax.errorbar(
            shown["icc_a1"],
            shown.index,
            xerr=error,
            fmt="o",
            color=style.GOOD,
            markersize=4.5,
            capsize=2,
            label="ICC(A,1), 95 % interval",
        )
        ax.scatter(
            shown["spearman"],
            shown.index + 0.22,
            marker="D",
            s=16,
            facecolor="white",
            edgecolor=style.POOR,
            label="Spearman",
            zorder=3,
        )
        names = {"HU": gwr.REGIONS, "ratio": gwr.RATIOS}
        labels = [
            f"{measure}: {names[unit][measure]}"
            for measure, unit in zip(shown["measure"], shown["unit"], strict=True)
        ]
        ax.set_yticks(shown.index, labels)
        ax.set_xlabel("Agreement of both readings (1 = perfect)")
        ax.set_xlim(right=1.005)
        ax.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        ax.set_axisbelow(True)
        fig.legend(loc="outside upper right", ncols=2)
    return fig


def _panels(count: int, *, share_y: bool) -> tuple[Figure, np.ndarray]:
    fig, axes = plt.subplots(
        1, count, figsize=(style.DOUBLE_COLUMN_IN, _HEIGHT_IN), sharey=share_y, squeeze=False
    )
    return fig, axes[0]


def _pairs(values: pd.DataFrame, measure: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = values[measure][["reading_1", "reading_2"]].dropna().to_numpy()
    return pairs[:, 0], pairs[:, 1]


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.lower:.2f} to {estimate.upper:.2f})"
