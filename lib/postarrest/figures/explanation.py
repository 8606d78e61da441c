"""Figures of what drives a model: contributions of its predictors to the patients' log odds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from postarrest.figures.style import NEUTRAL, POOR, drawing, panels
from postarrest.words import capitalised, identifier_in_words, text_in_words

_LOG_ODDS = "contribution to the log odds of a good outcome"
# Yellow to blue, in order of lightness, which the colour-blind see as well.
_COLORS = "cividis"


def beeswarm(contributions: pd.DataFrame, importance: pd.DataFrame) -> Figure:
    """Draw each patient's contributions, one row per predictor, the most important first.

    Parameters
    ----------
    contributions : pandas.DataFrame
        ``predictor, value, contribution`` of one model, one row per patient and predictor.
    importance : pandas.DataFrame
        Rows of that model of :func:`postarrest.evaluation.explanation.importance`.
    """
    with drawing(height=0.9 + 0.5 * len(importance)) as (fig, ax):
        ax.axvline(0, color="0.5", lw=0.8)
        for y, row in enumerate(importance.itertuples()):
            mine = contributions[contributions["predictor"] == row.predictor]
            x, values = mine["contribution"].to_numpy(float), _numbers(mine["value"])
            offset = y + 0.38 * _spread(x)
            known = values.notna().to_numpy()
            if known.any():
                colors = values[known].rank(pct=True)
                look = {"cmap": _COLORS, "vmin": 0, "vmax": 1, "s": 5, "lw": 0}
                ax.scatter(x[known], offset[known], c=colors, **look)
            ax.scatter(x[~known], offset[~known], color="0.7", s=5, lw=0)
            text = f"{row.mean_abs:.2f} ({row.lower:.2f} to {row.upper:.2f})"
            ax.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=6.5)
        head = ("axes fraction", "data")
        ax.annotate("mean size (95 % CI)", (1.01, -0.75), xycoords=head, va="center", fontsize=6.5)
        ax.set_yticks(range(len(importance)), [_name(p) for p in importance["predictor"]])
        ax.set(ylim=(len(importance) - 0.4, -1.0), xlabel=_LOG_ODDS)
        bar = fig.colorbar(ScalarMappable(cmap=_COLORS), ax=ax, location="bottom", aspect=60, pad=0.02)
        bar.set_ticks([0, 1], labels=["lowest value", "highest value (gray: missing, or a category)"])
        bar.ax.tick_params(labelsize=6.5)
    return fig


def dependence(contributions: pd.DataFrame, importance: pd.DataFrame) -> Figure:
    """Draw each predictor's contribution against its value, one panel per predictor.

    Parameters
    ----------
    contributions, importance : pandas.DataFrame
        As for :func:`beeswarm`.
    """
    with panels(len(importance), height=2.1) as (fig, axes):
        for ax, predictor in zip(axes, importance["predictor"], strict=False):
            mine = contributions[contributions["predictor"] == predictor]
            numbers, contribution = _numbers(mine["value"]), mine["contribution"].astype(float)
            ax.axhline(0, color="0.5", lw=0.8)
            if numbers.notna().any():
                _against_number(ax, numbers, contribution)
            else:
                _against_category(ax, mine["value"], contribution)
            ax.set_xlabel(f"{_name(predictor)} (n = {int(mine['value'].notna().sum())})")
        fig.supylabel("contribution, log odds", fontsize=8)
    return fig


def _against_number(ax: Axes, numbers: pd.Series, contribution: pd.Series) -> None:
    known = numbers.notna()
    ax.scatter(numbers[known], contribution[known], color=NEUTRAL, s=5, lw=0, alpha=0.5)
    bands = pd.qcut(numbers[known], 5, labels=False, duplicates="drop")
    for _, values in contribution[known].groupby(bands):
        _mean(ax, float(numbers[values.index].median()), values)
    if not known.all():
        low, high = numbers.min(), numbers.max()
        place = low - 0.15 * (high - low)
        jitter = 0.03 * (high - low) * _spread(contribution[~known].to_numpy())
        ax.scatter(place + jitter, contribution[~known], color="0.7", s=5, lw=0)
        _mean(ax, place, contribution[~known])
        ax.annotate("missing", (place, 1), xycoords=("data", "axes fraction"), ha="center", fontsize=6)


def _against_category(ax: Axes, values: pd.Series, contribution: pd.Series) -> None:
    names = values.where(values.notna(), "missing").astype(str)
    levels = list(names.value_counts().index)
    for place, level in enumerate(levels):
        mine = contribution[names == level]
        ax.scatter(place + 0.3 * _spread(mine.to_numpy()), mine, color=NEUTRAL, s=5, lw=0, alpha=0.5)
        _mean(ax, place, mine)
    texts = [text_in_words(level).replace(" or ", " or\n") for level in levels]
    ax.set_xticks(range(len(levels)), texts, fontsize=6)


def _mean(ax: Axes, place: float, values: pd.Series) -> None:
    """Draw the mean of some contributions with its 95 % interval."""
    width = 1.96 * values.sem() if len(values) > 1 else 0.0
    ax.errorbar(place, values.mean(), yerr=width, fmt="D", color=POOR, ms=3.5, capsize=2, lw=1, zorder=3)


def _numbers(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce")


def _spread(x: np.ndarray) -> np.ndarray:
    """Return offsets from -1 to 1 that keep equal points apart, the same in each drawing."""
    if not len(x):
        return x
    bins = np.digitize(x, np.linspace(x.min(), x.max() + 1e-9, 60))
    place = pd.Series(bins).groupby(bins).cumcount().to_numpy()
    # Alternating sides: 0, 1, -1, 2, -2 ...
    side = np.where(place % 2, 1, -1) * ((place + 1) // 2)
    return side / max(1, np.abs(side).max())


def _name(predictor: str) -> str:
    return capitalised(identifier_in_words(predictor))
