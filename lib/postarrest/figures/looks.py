"""Shared by the evaluation's figures: each model's look, histograms, notes and selections.

Every model keeps one colour, dash and marker (:func:`of_models`). Good outcomes are blue and filled, poor
ones vermilion and hatched.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.evaluation.thresholds import thinned
from postarrest.figures import style
from postarrest.words import model_in_words, text_in_words


class Look(NamedTuple):
    """How a model is drawn."""

    color: str
    dash: object
    marker: str


# One colour per kind of model, whatever else is in a figure; its variants differ by dash and marker.
_KINDS = (
    ("#0072B2", ("ensemble", "ensemble_logistic", "super_learner")),
    ("#D55E00", ("ct", "cnn")),
    ("#009E73", ("ohca", "ohca_score", "clinical")),
    ("#CC79A7", ("pupil", "eeg24", "eeg48", "eeg72")),
    ("#E69F00", ("gwr_av", "gwr_bg", "gwr_ce")),
    ("#8C5A00", ("gwr_av_auto", "gwr_bg_auto", "gwr_ce_auto", "gwr_unmixed")),
    ("#000000", ("logistic_all", "forest_all")),
)
_KNOWN = {
    model: Look(color, style.DASHES[(kind + variant) % 8], style.MARKERS[(kind + variant) % 8])
    for kind, (color, models) in enumerate(_KINDS)
    for variant, model in enumerate(models)
}
_OF_PAPERS = ("ensemble", "ohca", "pupil", "ct", "cnn", "gwr_av", "gwr_bg", "gwr_ce")
_MOST_NAMED = 6
_OTHER_COLORS = ("#56B4E9", "#7F7F7F", "#6A3D9A")


def of_models(models: Iterable[str]) -> dict[str, Look]:
    """Return each model's colour, dash and marker: the same in every figure, if the model is a known one.

    Examples
    --------
    >>> of_models(["ct", "ensemble"])["ensemble"] == of_models(["ensemble", "pupil"])["ensemble"]
    True
    >>> of_models(["mri", "ct", "pet"])["pet"].color
    '#7F7F7F'
    """
    others = map(Look, cycle(_OTHER_COLORS), cycle(style.DASHES), cycle(style.MARKERS))
    return {model: _KNOWN.get(model) or next(others) for model in dict.fromkeys(models)}


def named(models: Iterable[str], focus: str) -> list[str]:
    """Return the models that a figure draws in colour and names.

    All, if they are few; otherwise those of the papers, as their readers know the figure, and the one in
    focus.

    Examples
    --------
    >>> named(["ct", "m1", "m2", "ohca", "m3", "m4", "m5"], focus="m2")
    ['ct', 'm2', 'ohca']
    """
    models = list(dict.fromkeys(models))
    known = [model for model in models if model in _OF_PAPERS or model == focus]
    return models if len(models) <= _MOST_NAMED else known


def size_in_words(values: Iterable[np.ndarray]) -> str:
    """Return the patients and good outcomes of a panel, from the outcomes of each of its models.

    Examples
    --------
    >>> size_in_words([np.array([1, 0, 0])]), size_in_words([np.array([1, 0, 0]), np.array([1, 0])])
    ('n = 3, 1 good', 'n = 2 to 3, 1 good')
    """
    sizes = [(len(y_good), int(np.sum(y_good))) for y_good in values]
    n, n_good = ([min(counts), max(counts)] for counts in zip(*sizes, strict=True))
    patients, good = (f"{a} to {b}" if a < b else f"{a}" for a, b in (n, n_good))
    return f"n = {patients}, {good} good"


def panel_title(model: str, *lines: str, width: int = 28) -> str:
    """Return a model's name in lines of at most ``width`` letters, and further lines, as a panel's title.

    Examples
    --------
    >>> print(panel_title("gwr_bg_auto", "n = 300"))
    GWR, basal ganglia
    (automatic, region)
    n = 300
    """
    return "\n".join([*textwrap.wrap(model_in_words(model), width), *lines])


def of_rules(rules: Iterable[str]) -> dict[str, Look]:
    """Return a colour, dash and marker for each rule, in the order of the rules."""
    each = map(Look, cycle(style.PALETTE), cycle(style.DASHES), cycle(style.MARKERS))
    return dict(zip(dict.fromkeys(rules), each, strict=False))


def highlight(look: Mapping[str, Look], focus: str) -> dict[str, Look]:
    """Return the looks with the solid line given to one model, in exchange for its own dash."""
    own = look[focus].dash
    return {
        model: kind._replace(dash="-" if model == focus else own if kind.dash == "-" else kind.dash)
        for model, kind in look.items()
    }


def by_set(
    draw: Callable[..., Figure], rows: pd.DataFrame, table: pd.DataFrame, *further: Any, **settings: Any
) -> dict[str, Figure]:
    """Draw one figure per outcome label and set.

    Parameters
    ----------
    draw : callable
        A figure of this package that draws the rows of one outcome label and set, such as
        :func:`postarrest.figures.curves.curves`.
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    table, *further, **settings
        Further arguments of ``draw``. Labels and sets without a row in ``table`` are left out.

    Returns
    -------
    dict of Figure
        By ``<outcome label>_<set>``. A figure's label says which patients it draws.
    """
    figures = {}
    for (label, name), mine in rows.groupby(["outcome_label", "set"], sort=False):
        if len(scores.in_group(table, {"outcome_label": label, "set": name})):
            key = f"{label}_{name}".replace("-", "_")
            figures[key] = draw(mine, table, *further, **settings)
            n = mine["patient_id"].nunique()
            figures[key].set_label(f"{label} outcome label, {text_in_words(name)} ({n} patients)")
    return figures


def operating_points(thresholds: pd.DataFrame, group: Mapping[str, str], model: str) -> pd.DataFrame:
    """Return the thresholds of a model that are drawn.

    Thresholds chosen on the test scores are drawn only if there are no others.
    """
    mine = scores.in_group(thresholds, group)
    mine = mine[(mine["model"] == model) & (mine["stage"] == "final")].dropna(subset="threshold")
    unbiased = mine[mine["chosen_on"] != "test"]
    points = unbiased if len(unbiased) else mine
    return points.astype(dict.fromkeys(("sensitivity", "specificity", "ppv"), float))


def outcomes_and_scores(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the outcomes and scores of each model's patients."""
    return {
        str(model): (mine["y_good"].to_numpy(), mine["score"].to_numpy())
        for model, mine in rows.groupby("model", sort=False)
    }


def at_most(line: pd.DataFrame, points: int = 2000) -> pd.DataFrame:
    """Thin a line to no more points than can be distinguished."""
    return line.iloc[thinned(np.arange(len(line)), points)]


def unit_square(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Give a panel axes from 0 to 1 of equal length."""
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal")


def band(ax: Axes, x: pd.Series, lower: pd.Series, upper: pd.Series, color: str, alpha: float = 0.15) -> None:
    """Fill the area between the limits of an interval."""
    ax.fill_between(x, lower, upper, color=color, alpha=alpha, lw=0)


def note(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float] = (0, 2),
    *,
    fontsize: float = 6,
    va: str = "bottom",
    **look: Any,
) -> None:
    """Write a text ``offset`` points away from a place in the panel."""
    ax.annotate(text, at, xytext=offset, textcoords="offset points", fontsize=fontsize, va=va, **look)


def histogram_edges(values: np.ndarray, *, bins: int) -> np.ndarray:
    """Return the edges of equal bins over all values, or of fewer where numbers so large lie no closer.

    Examples
    --------
    >>> histogram_edges(np.array([0.0, 1.0]), bins=2).tolist()
    [0.0, 0.5, 1.0]
    >>> histogram_edges(np.array([1e17, 1e17 + 16]), bins=30).tolist()
    [1e+17, 1.0000000000000002e+17]
    """
    low, high = float(np.min(values)), float(np.max(values))
    if low == high:
        around = max(0.5, float(np.spacing(abs(low))))
        low, high = low - around, high + around
    return np.unique(np.linspace(low, high, bins + 1))


def mirrored_histogram(
    ax: Axes, y_good: np.ndarray, score: np.ndarray, *, edges: np.ndarray, share: bool = False
) -> None:
    """Draw a histogram of good outcomes upwards and of poor ones downwards."""
    for outcome, word, sign, color, face, hatch in (
        (1, "good", 1, style.GOOD, style.GOOD, None),
        (0, "poor", -1, style.POOR, "white", "////"),
    ):
        mine = score[y_good == outcome]
        count, _ = np.histogram(mine, bins=edges)
        height = sign * (count / max(1, len(mine)) if share else count)
        look = {"color": face, "edgecolor": color, "hatch": hatch, "lw": 0.4}
        ax.bar(edges[:-1], height, np.diff(edges), align="edge", **look)
        y, va = (0.96, "top") if outcome else (0.04, "bottom")
        look = {"ha": "right", "va": va, "color": color, "fontsize": 6.5}
        ax.text(0.99, y, f"{word}, n = {len(mine)}", transform=ax.transAxes, **look)
    ax.axhline(0, color="black", lw=0.6)
    # Room for the words above low bars.
    bottom, top = ax.get_ylim()
    ax.set_ylim(1.1 * bottom, max(1.1 * top, -0.35 * bottom))
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
