"""Forest plots: areas under the ROC curve (AUC), and the measures of a model in subgroups."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.evaluation.discrimination import main_model
from postarrest.evaluation.updating import IN_WORDS
from postarrest.figures import looks, style
from postarrest.words import interval_in_words, model_in_words, text_in_words


def forest(rows: pd.DataFrame) -> Figure:
    """Draw AUCs with their intervals alongside the published ones.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``label, estimate, lower, upper, published``: one row per line of the figure, from the top;
        ``published`` is NaN if no value was published.
    """
    with style.drawing(height=0.9 + 0.27 * len(rows)) as (fig, ax):
        places = np.arange(len(rows))
        ax.plot(rows[["lower", "upper"]].T, [places, places], color=style.GOOD, lw=1.4)
        ax.plot(rows["estimate"], places, "s", color=style.GOOD, ms=5)
        ax.plot(rows["published"], places, "D", mfc="white", mec="black", ms=5, zorder=4)
        for y, row in enumerate(rows.itertuples()):
            text = interval_in_words(row.estimate, row.lower, row.upper)
            text += "" if math.isnan(row.published) else f"   published {row.published:.2f}"
            _at_the_right(ax, text, y)
        _chance(ax, list(rows["label"]))
        ax.set(xlim=(min(0.45, rows["lower"].min() - 0.02), 1.0), ylim=(len(rows) - 0.4, -0.6))
        ax.set_xlabel("Area under the ROC curve (square: here, 95 % CI; diamond: published; 0.5: chance)")
    return fig


# Panels of the subgroups: measure, words, limits of the axis, value without a difference or skill.
_PANELS = (
    ("roc_auc", "AUC", (0.3, 1.0), 0.5),
    ("roc_auc_difference", "AUC, difference", None, 0.0),
    ("oe", "O:E", (0.2, 5.0), 1.0),
    ("slope", "Calibration slope", None, 1.0),
    ("brier_skill", "Brier skill", None, 0.0),
    ("false_pessimism", "False pessimism", None, 0.05),
    ("net_benefit", "Net benefit", None, 0.0),
)


def subgroups(rows: pd.DataFrame, table: pd.DataFrame, *, focus: str = "") -> Figure:
    """Draw the measures of the main model in each group with their intervals, one panel per measure.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of one outcome label and set of :func:`postarrest.scores.sets`.
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.subgroups.table`. Of a measure with several rules, the first is
        drawn.
    focus : str
        The main model, as for that table.
    """
    rows = scores.in_group(table, scores.group_of(rows))
    model = main_model(list(dict.fromkeys(rows["model"])), focus)
    rows = rows[rows["model"] == model]
    return _groups(rows, title=model_in_words(model))


def handlings(table: pd.DataFrame) -> Figure:
    """Draw the measures of each model by each way of handling missing values.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.missing.table`.
    """
    words = {True: " (the study's own)", False: ""}
    level = table["handling"].map(text_in_words) + table["own"].map(words)
    variable = table["model"].map(model_in_words) + ", " + table["patients"] + " patients"
    return _groups(table.assign(level=level, variable=variable, rule="", note=""), title="")


def updates(table: pd.DataFrame, model: str) -> Figure:
    """Draw the calibration and the Brier skill of each update of a frozen model.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.updating.performance`.
    model : str
        The model.
    """
    levels = {**IN_WORDS, "none": "as it was frozen"}
    rows = table[table["metric"].isin(["oe", "slope", "brier_skill"])]
    rows = rows.assign(variable="Update", level=rows["update"].map(levels), rule="", note="")
    return _groups(rows, title=model_in_words(model))


def bounds(table: pd.DataFrame, model: str) -> Figure:
    """Draw a model's AUC and false pessimism under what is assumed of withdrawn patients.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.withdrawal.bounds`.
    model : str
        Which model.
    """
    rows = table[table["model"] == model]
    variable = "of " + rows["n_unknown"].astype(str) + " patients in whom treatment was withdrawn"
    rows = rows.assign(variable=variable, level=rows["scenario"], n_good=rows["n_good"].astype(str), note="")
    # The number of good outcomes differs between the measures; that of the first is given.
    return _groups(rows, title=model_in_words(model))


def _groups(rows: pd.DataFrame, *, title: str) -> Figure:
    """Draw one row per variable and level, one panel per measure."""
    levels = rows.drop_duplicates(["variable", "level"])
    panels = [panel for panel in _PANELS if (rows["metric"] == panel[0]).any()]
    names, places, heads, place = [], {}, {}, 0.0
    for row in levels.itertuples():
        if row.level and row.variable not in heads:
            place += 1.2
            heads[row.variable] = place
        place += 1
        places[row.variable, row.level] = place
        names.append(f"{row.level or row.variable} (n = {row.n}, {row.n_good} good)")
    height = 0.9 + 0.17 * place
    with style.drawing(1, len(panels), height=height, sharey=True, squeeze=False) as (fig, axes):
        for ax, (metric, words, limits, line) in zip(axes[0], panels, strict=True):
            mine = rows[rows["metric"] == metric]
            mine = mine[mine["rule"] == mine["rule"].iloc[0]]
            y = [places[row.variable, row.level] for row in mine.itertuples()]
            ax.axvline(line, color="0.5", lw=0.8)
            ax.plot(mine[["lower", "upper"]].T, [y, y], color=style.GOOD, lw=1.2)
            ax.plot(mine["estimate"], y, "s", color=style.GOOD, ms=3.5)
            ax.set_xlabel(words + (f"\n({mine['rule'].iloc[0]})" if mine["rule"].iloc[0] else ""))
            if metric == "oe":
                ax.set_xscale("log")
                ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
                ax.minorticks_off()
            if limits:
                ax.set_xlim(min(limits[0], 0.98 * mine["lower"].min()), limits[1])
        fig.suptitle(title, fontsize=8)
        first = axes[0, 0]
        for row in levels[levels["metric"] == ""].itertuples():
            at = (0.02, places[row.variable, row.level])
            text = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 6, "color": "0.35"}
            text["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            first.annotate(row.note, at, **text)
        first.set_yticks(list(places.values()), names, fontsize=6.5)
        for name, y in heads.items():
            text = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center", "fontsize": 7}
            first.annotate(name, (-0.03, y), weight="bold", **text)
        first.set_ylim(place + 0.8, 0.2)
    return fig


def labels(rows: pd.DataFrame) -> Figure:
    """Draw AUCs with their intervals under two outcome labels, one row per model and set.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`postarrest.evaluation.labels.between_labels`.
    """
    rows = rows[rows["metric"] == "roc_auc"]
    first, second = [str(c).removesuffix("_n_good") for c in rows.columns if str(c).endswith("_n_good")]
    # Not the colours of the outcomes, since each label has both.
    drawn = {first: (-0.16, style.PALETTE[2], "s"), second: (0.16, style.NEUTRAL, "^")}
    with style.drawing(height=1.0 + 0.42 * len(rows)) as (fig, ax):
        for label, (offset, color, marker) in drawn.items():
            columns = (label, f"{label}_lower", f"{label}_upper")
            look = {"color": color, "marker": marker, "label": f"{label} label"}
            marks(ax, rows, columns, offset=offset, **look)
        _at_the_right(ax, f"{first} - {second}", -0.7)
        for y, row in enumerate(rows.itertuples()):
            _at_the_right(ax, interval_in_words(row.difference, row.lower, row.upper), y)
        names = [
            f"{model_in_words(row.model)} ({text_in_words(row.set)}, n = {row.n})"
            for row in rows.itertuples()
        ]
        pair_of_aucs(ax, names, least=rows[[f"{first}_lower", f"{second}_lower"]].min().min())
    return fig


def marks(
    ax: Axes,
    rows: pd.DataFrame,
    columns: tuple[str, str, str],
    *,
    offset: float,
    color: str,
    marker: str,
    label: str,
) -> None:
    """Draw an estimate with its limits (three columns) on every row, a little above or below the row."""
    places = np.arange(len(rows)) + offset
    ax.plot(rows[list(columns[1:])].astype(float).T, [places, places], color=color, lw=1.4)
    ax.plot(rows[columns[0]], places, marker, color=color, ms=5, label=label)


def pair_of_aucs(ax: Axes, names: list[str], *, least: float) -> None:
    """Name the rows, and set the axes and the legend of a panel with two AUCs on every row."""
    _chance(ax, names)
    ax.set(xlim=(min(0.45, least - 0.02), 1.0), ylim=(len(names) - 0.4, -1.0))
    ax.set_xlabel("Area under the ROC curve, 95 % CI (line at 0.5: chance)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7, frameon=False)


def split_spread(spread: pd.DataFrame) -> dict[str, Figure]:
    """Draw each model's AUC in repeated hold-out splits: every split, the first, and the median.

    Parameters
    ----------
    spread : pandas.DataFrame
        From :func:`postarrest.evaluation.discrimination.spread`.

    Returns
    -------
    dict of Figure
        By outcome label; empty without repeated splits. A figure's label gives the number of splits.
    """
    figures = {}
    for label, rows in spread.groupby("outcome_label", sort=False):
        figures[str(label)] = _spread_of_models(rows)
        figures[str(label)].set_label(f"{rows['fold'].nunique()} splits (outcome label {label})")
    return figures


def _spread_of_models(rows: pd.DataFrame) -> Figure:
    look = looks.of_models(rows["model"])
    with style.drawing(height=0.8 + 0.5 * len(look)) as (fig, ax):
        for y, (model, kind) in enumerate(look.items()):
            auc = rows[rows["model"] == model].sort_values("fold")["roc_auc"].to_numpy()
            median = np.median(auc)
            # A fixed jitter, so that each drawing is the same.
            offset = 0.26 * (np.arange(len(auc)) % 5 - 2) / 2
            ax.plot(auc, y + offset, kind.marker, color=kind.color, ms=4, alpha=0.6, mew=0)
            ax.plot(auc[0], y + offset[0], kind.marker, mfc="none", mec="black", ms=7)
            ax.plot([median] * 2, [y - 0.35, y + 0.35], color="black", lw=1.5)
            _at_the_right(ax, f"median {median:.2f}, from {auc.min():.2f} to {auc.max():.2f}", y)
        _chance(ax, [model_in_words(model) for model in look])
        ax.set_ylim(len(look) - 0.5, -0.5)
        ax.set_xlabel("Area under the ROC curve in each split (ringed: the first; line: median)")
    return fig


def _at_the_right(ax: Axes, text: str, y: float) -> None:
    """Write a text to the right of the panel."""
    ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)


def _chance(ax: Axes, names: list[str]) -> None:
    """Name the rows and draw the line at 0.5."""
    ax.axvline(0.5, color="0.5", lw=0.8)
    ax.set_yticks(range(len(names)), names)
