"""Hospitals: forest plots, and false pessimism by hospital."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from postarrest.evaluation.sites import METRICS
from postarrest.figures import style
from postarrest.words import interval_in_words

_PANELS = {
    "roc_auc": "Area under the ROC curve",
    "oe": "Observed : expected good outcomes",
    "slope": "Calibration slope",
}
_MEAN, _NEXT = "mean", "next hospital"


def forest(effects: pd.DataFrame, summary: pd.DataFrame, *, model: str) -> Figure:
    """Draw one model's AUC, O:E and calibration slope by hospital, with their mean and prediction interval.

    Parameters
    ----------
    effects : pandas.DataFrame
        From :func:`postarrest.evaluation.sites.effects`.
    summary : pandas.DataFrame
        From :func:`postarrest.evaluation.sites.summary`.
    model : str
        Which model; a marker has only an AUC.
    """
    mine = effects[effects["model"] == model]
    pooled = summary[summary["model"] == model].set_index("metric")
    shown = [metric for metric in _PANELS if metric in pooled.index]
    sizes = mine[mine["metric"] == "roc_auc"].sort_values("n", ascending=False, kind="stable")
    sites = list(sizes["site"])
    height = 0.9 + 0.34 * (len(sites) + 2)
    with style.drawing(1, len(shown), height=height, squeeze=False, sharey=True) as (fig, axes):
        for ax, metric in zip(axes[0], shown, strict=True):
            rows = mine[mine["metric"] == metric].set_index("site").loc[sites]
            _panel(ax, rows, pooled.loc[metric])
            ax.axvline(METRICS[metric].ideal, color="0.5", lw=0.8, ls="--", zorder=0)
            ax.set_xlabel(_PANELS[metric])
            if metric == "oe":
                ax.set_xscale("log")
                ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
                ax.xaxis.set_major_locator(MaxNLocator(4))
                ax.xaxis.set_minor_locator(NullLocator())
        names = [f"{site} (n = {n:g})" for site, n in zip(sites, sizes["n"], strict=True)]
        axes[0, 0].set_yticks(range(len(sites) + 2), [*names, _MEAN, _NEXT])
        axes[0, 0].set_ylim(len(sites) + 1.6, -0.6)
    return fig


def _panel(ax: Axes, rows: pd.DataFrame, pooled: pd.Series) -> None:
    limits = [*rows[["lower", "upper"]].to_numpy().ravel(), pooled["lower"], pooled["upper"]]
    places = np.arange(len(rows))
    ax.plot(rows[["lower", "upper"]].T, [places, places], color=style.GOOD, lw=1.2)
    ax.plot(rows["estimate"], places, "s", color=style.GOOD, ms=4)
    for place, row in zip(places, rows.itertuples(), strict=True):
        text = row.note if math.isnan(row.estimate) else interval_in_words(row.estimate, row.lower, row.upper)
        _above(ax, "too few" if text.startswith("too few") else text, place)
    mean = len(rows)
    ax.axhline(mean - 0.5, color="0.7", lw=0.6)
    if math.isnan(pooled["estimate"]):
        return
    ends = pooled[["lower", "upper"]].fillna(pooled["estimate"]).astype(float)
    corners = [ends["lower"], pooled["estimate"], ends["upper"], pooled["estimate"]]
    ax.fill(corners, [mean, mean - 0.22, mean, mean + 0.22], color=style.NEUTRAL)
    _above(ax, interval_in_words(*pooled[["estimate", "lower", "upper"]].astype(float)), mean)
    ahead = pooled[["next_lower", "next_upper"]].astype(float)
    if ahead.notna().all():
        ax.plot(ahead, [mean + 1] * 2, color=style.POOR, lw=3, solid_capstyle="butt")
        _above(ax, f"{ahead.iloc[0]:.2f} to {ahead.iloc[1]:.2f}", mean + 1)
    else:
        _above(ax, pooled["note"], mean + 1)
    # A prediction from a few hospitals can span orders of magnitude; the panel shows where it leaves.
    known = np.array([v for v in limits if not math.isnan(v)])
    least, most = known.min(), known.max()
    room = 1.5 * (most - least)
    low = max(float(np.nanmin([ahead.iloc[0], least])), least - room, least / 4 if least > 0 else -np.inf)
    high = min(float(np.nanmax([ahead.iloc[1], most])), most + room)
    margin = 0.06 * (high - low)
    ax.set_xlim(low - min(margin, low / 2 if low > 0 else margin), high + margin)


def _above(ax: Axes, text: str, place: float) -> None:
    """Write a text at the right end of a row, above its line."""
    where = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom", "fontsize": 5.5}
    box = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
    ax.annotate(text, (0.99, place - 0.24), bbox=box, zorder=5, **where)


def false_pessimism(accuracy: pd.DataFrame, *, model: str, rules: Sequence[str]) -> Figure:
    """Draw one model's false pessimism by hospital at some thresholds, with its upper 95 % limit.

    Parameters
    ----------
    accuracy : pandas.DataFrame
        From :func:`postarrest.evaluation.sites.accuracy`, or from ``pooling.accuracy``; of the latter, what
        the false pessimism can be is drawn where counts are hidden.
    model : str
        Which model.
    rules : sequence of str
        Which thresholds; those that the model does not have are left out.
    """
    mine = accuracy[(accuracy["model"] == model) & accuracy["rule"].isin(rules)]
    shown = [rule for rule in rules if rule in set(mine["rule"])] or ["no threshold"]
    sites = list(dict.fromkeys(mine["site"]))
    with style.drawing(1, len(shown), height=0.9 + 0.34 * len(sites), squeeze=False, sharey=True) as (
        fig,
        axes,
    ):
        for ax, rule in zip(axes[0], shown, strict=True):
            rows = mine[mine["rule"] == rule]
            places = np.array([sites.index(name) for name in rows["site"]])
            fnr, upper = (100 * rows[column].astype(float) for column in ("fnr", "fnr_upper"))
            ax.plot([fnr, upper], [places, places], color=style.GOOD, lw=1.2)
            ax.plot(fnr, places, "o", color=style.GOOD, ms=4)
            ax.axvline(5, color="0.5", lw=0.8, ls="--", zorder=0)
            for place, row in zip(places, rows.itertuples(), strict=True):
                _above(ax, _missed(row), place)
            if "fnr_lowest" in rows:
                hidden = rows["fnr"].isna().to_numpy()
                possible = 100 * rows.loc[hidden, ["fnr_lowest", "fnr_highest"]].astype(float)
                ax.plot(possible.T, [places[hidden]] * 2, color=style.NEUTRAL, lw=3, alpha=0.5)
            ax.set(title=rule, xlabel="False pessimism, %", xlim=(-1, max(12.0, 1.1 * upper.max())))
        axes[0, 0].set_yticks(range(len(sites)), sites)
        axes[0, 0].set_ylim(len(sites) - 0.4, -0.7)
    return fig


def _missed(row: Any) -> str:
    """Return how many good outcomes were missed, as far as it is known."""
    if str(row.fn).isdigit() and str(row.tp).isdigit():
        return f"{row.fn} of {int(row.fn) + int(row.tp)}"
    if hasattr(row, "fnr_lowest"):
        return f"{100 * row.fnr_lowest:.1f} to {100 * row.fnr_highest:.1f} %"
    return "hidden"
