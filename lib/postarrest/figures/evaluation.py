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

from postarrest import performance
from postarrest.estimate import Estimate
from postarrest.figures import style
from postarrest.thresholds import MOST_FNR, describe, thinned


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


def curves(
    rows: pd.DataFrame,
    performance_table: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    focus: str,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Draw all models' ROC and precision-recall curves, with the band and operating points of one.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    performance_table, judged : pandas.DataFrame
        From :func:`postarrest.performance.table` and :func:`postarrest.thresholds.table`.
    focus : str
        Model whose band and operating points are drawn.
    n_resamples, seed
        Bootstrap of the band.
    """
    here = _here(rows)
    values = _values(rows)
    look = _leading(looks(list(values)), focus)
    y_good, score = values[focus]
    bands = performance.curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
    points = _points(judged, here, focus)
    prevalence = float(np.mean(y_good))
    with style.report_style():
        # Below the panels a line for each model: inside them some curve would always be covered.
        height = 3.9 + 0.15 * len(values)
        fig, (left, right) = plt.subplots(1, 2, figsize=(style.DOUBLE_COLUMN_IN, height))
        left.plot([0, 1], [0, 1], color="0.6", lw=0.8)
        right.axhline(prevalence, color="0.6", lw=0.8)
        right.annotate(
            f"no skill: {prevalence:.2f}",
            (0.01, prevalence),
            xytext=(0, -2),
            textcoords="offset points",
            va="top",
            color="0.35",
            fontsize=7,
        )
        for ax, lower, upper in (
            (left, "tpr_lower", "tpr_upper"),
            (right, "precision_lower", "precision_upper"),
        ):
            ax.fill_between(
                bands["at"], bands[lower], bands[upper], color=look[focus].color, alpha=0.15, lw=0
            )
        for model in [*(m for m in values if m != focus), focus]:
            drawn = {"color": look[model].color, "ls": look[model].dash, "lw": 2.2 if model == focus else 1.3}
            roc = _drawable(performance.roc_curve(*values[model]))
            left.plot(roc["fpr"], roc["tpr"], **drawn)
            pr = _drawable(performance.pr_curve(*values[model]))
            right.plot(pr["recall"], pr["precision"], **drawn)
        _operating_points(left, 1 - points["specificity"], points["sensitivity"], points["rule"])
        _operating_points(right, points["sensitivity"], points["ppv"], points["rule"], above=True)
        for ax, metric in ((left, "roc_auc"), (right, "pr_auc")):
            areas = {m: performance.quoted(performance_table, m, metric, **here) for m in values}
            _key(ax, look, areas, focus)
        _unit_square(
            left, "1 - specificity (poor outcomes predicted good)", "Sensitivity (good outcomes recognised)"
        )
        _unit_square(right, "Recall (good outcomes recognised)", "Precision (PPV of predicted good)")
        left.set_title("ROC curve: area (95 % CI)")
        right.set_title("Precision-recall curve: area (95 % CI)")
    return fig


def roc_panels(
    rows: pd.DataFrame,
    performance_table: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Draw each model's ROC curve in a panel of its own, with its band and operating points.

    Parameters
    ----------
    rows, performance_table, judged, n_resamples, seed
        As in :func:`curves`.
    """
    here = _here(rows)
    values = _values(rows)
    look = looks(list(values))
    with style.report_style():
        fig, axes = _grid(len(values), height=2.6)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            band = performance.curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
            roc = _drawable(performance.roc_curve(y_good, score))
            points = _points(judged, here, model)
            ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            ax.fill_between(
                band["at"], band["tpr_lower"], band["tpr_upper"], color=look[model].color, alpha=0.2, lw=0
            )
            ax.plot(roc["fpr"], roc["tpr"], color=look[model].color)
            _operating_points(ax, 1 - points["specificity"], points["sensitivity"], points["rule"], near=0.15)
            _unit_square(ax, "1 - specificity", "Sensitivity")
            ax.set_title(f"{_name(model)}\n{performance.quoted(performance_table, model, 'roc_auc', **here)}")
    return fig


def calibration(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    calibration_curves: Mapping[tuple[str, str, str, str], pd.DataFrame],
) -> Figure:
    """Draw calibration curves before and after Platt scaling over the histogram of the final predictions.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of every stage.
    table : pandas.DataFrame
        From :func:`postarrest.calibration.table`.
    calibration_curves : mapping of DataFrame
        From the same, by (outcome, set, model, stage).
    """
    here = _here(rows)
    values = _values(rows[(rows["stage"] == "final") & (rows["kind"] == "probability")])
    table = _part(table, here).set_index(["model", "stage"])
    stages = {"before_platt": ("before Platt", "0.35", "--"), "final": ("final", style.GOOD, "-")}
    columns = min(3, len(values))
    lines = math.ceil(len(values) / columns)
    with style.report_style():
        fig, axes = plt.subplots(
            2 * lines,
            columns,
            figsize=(max(style.SINGLE_COLUMN_IN, style.DOUBLE_COLUMN_IN * columns / 3), 3.4 * lines),
            height_ratios=[3, 1] * lines,
            squeeze=False,
        )
        for spare in range(len(values), lines * columns):
            axes[2 * (spare // columns), spare % columns].set_visible(False)
            axes[2 * (spare // columns) + 1, spare % columns].set_visible(False)
        for i, (model, (y_good, score)) in enumerate(values.items()):
            top, bottom = axes[2 * (i // columns), i % columns], axes[2 * (i // columns) + 1, i % columns]
            top.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            present = [stage for stage in stages if (model, stage) in table.index]
            for k, stage in enumerate(present):
                words, color, dash = stages[stage]
                line = calibration_curves[here["outcome"], here["set"], model, stage]
                top.plot(line["predicted"], line["observed"], color=color, ls=dash)
                if stage == "final":
                    top.fill_between(
                        line["predicted"], line["lower"], line["upper"], color=color, alpha=0.15, lw=0
                    )
                found = table.loc[(model, stage)]
                top.text(
                    0.03,
                    0.97 - 0.09 * k,
                    f"{words}: slope {found['slope']:.2f}, ICI {found['ici']:.3f}",
                    transform=top.transAxes,
                    va="top",
                    color=color,
                    fontsize=6.5,
                )
            top.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            if i % columns == 0:
                top.set_ylabel("Observed share of good outcomes")
            top.set_title(_name(model))
            _mirrored(bottom, y_good, score, edges=np.linspace(0, 1, 41))
            bottom.set(xlim=(-0.01, 1.01), xlabel="Predicted probability (good)")
            if i % columns == 0:
                bottom.set_ylabel("Patients")
    return fig


def decision_curves(rows: pd.DataFrame, table: pd.DataFrame, *, focus: str, most: float = 0.6) -> Figure:
    """Draw every model's net benefit against the threshold probability, with the band of one.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    table : pandas.DataFrame
        From :func:`postarrest.decision.table`.
    focus : str
        Model whose band is drawn; the last where it gives no probabilities.
    most : float
        Highest threshold drawn.
    """
    look = looks(list(_values(rows)))
    table = _part(table[table["threshold"] <= most + 1e-9], _here(rows))
    models = list(dict.fromkeys(table["model"]))
    focus = focus if focus in models else models[-1]
    look = _leading(look, focus)
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 3.6))
        reference = table[table["model"] == models[0]]
        ax.plot(reference["threshold"], reference["treat_all"], color="0.45", lw=1)
        ax.axhline(0, color="0.45", lw=1)
        ends = [("predict nobody good", 0.0, "0.35")]
        for model in models:
            mine = table[table["model"] == model]
            ax.plot(mine["threshold"], mine["net_benefit"], color=look[model].color, ls=look[model].dash)
            ends.append((_name(model), float(mine["net_benefit"].iloc[-1]), look[model].color))
        band = table[table["model"] == focus]
        ax.fill_between(
            band["threshold"], band["lower"], band["upper"], color=look[focus].color, alpha=0.12, lw=0
        )
        top = float(max(table["net_benefit"].max(), reference["treat_all"].max(), table["upper"].max()))
        bottom = -0.35 * top
        inside = reference[reference["treat_all"] > bottom]
        ax.annotate(
            "predict all good",
            (inside["threshold"].iloc[-1], inside["treat_all"].iloc[-1]),
            xytext=(4, 2),
            textcoords="offset points",
            color="0.35",
            fontsize=7,
        )
        ax.set(
            xlim=(0, most),
            ylim=(bottom, 1.05 * top),
            ylabel="Net benefit (good outcomes recognised per patient)",
        )
        ax.set_xlabel("Threshold probability of a good outcome")
        _end_labels(ax, ends)
    return fig


def thresholds(rows: pd.DataFrame, judged: pd.DataFrame) -> Figure:
    """Draw sensitivity, specificity and FNR with its upper limit against the threshold, a panel a model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    judged : pandas.DataFrame
        From :func:`postarrest.thresholds.table`: the thresholds that are marked.
    """
    here = _here(rows)
    values = _values(rows)
    lines = {
        "specificity": ("specificity", style.POOR, "--"),
        "sensitivity": ("sensitivity", style.GOOD, "-"),
        "fnr": ("FNR (false pessimism)", "black", "-"),
        "fnr_upper": ("FNR, upper 95 % limit", "black", ":"),
    }
    with style.report_style():
        fig, axes = _grid(len(values), height=2.9, columns=2)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            table = describe(y_good, score, thinned(np.unique(score), 500))
            for column, (_, color, dash) in lines.items():
                ax.plot(table["threshold"], table[column], color=color, ls=dash, lw=1.2)
            ax.axhline(MOST_FNR, color="0.5", lw=0.8)
            ax.annotate(
                "5 %",
                (1, MOST_FNR),
                xycoords=("axes fraction", "data"),
                fontsize=6.5,
                va="center",
                xytext=(2, 0),
                textcoords="offset points",
            )
            low, high = float(table["threshold"].min()), float(table["threshold"].max())
            if low == high:
                low, high = low - 0.05, high + 0.05
            marks = _points(judged, here, model)
            marks = marks[marks["threshold"].between(low, high)]
            ax.set(ylim=(0, 1.02), xlim=(low, high), xlabel="Threshold (predicted good from here on)")
            lines_above = _mark(ax, marks)
            ax.set_title(_name(model), pad=6 + 8 * lines_above)
        axes[0].set_ylabel("Share of patients")
        handles = [plt.Line2D([], [], color=c, ls=d, label=words) for words, c, d in lines.values()]
        fig.legend(handles=handles, loc="outside lower center", ncols=4)
    return fig


def distributions(rows: pd.DataFrame) -> Figure:
    """Draw each model's scores by outcome: good above the line, poor below it.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    """
    values = _values(rows)
    with style.report_style():
        fig, axes = _grid(len(values), height=1.9, columns=3)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            edges = np.histogram_bin_edges(score, bins=30)
            _mirrored(ax, y_good, score, edges=edges, share=True)
            ax.set(title=_name(model), xlabel="Score")
        axes[0].set_ylabel("Share of that outcome")
    return fig


def forest(rows: pd.DataFrame) -> Figure:
    """Draw ROC areas with intervals beside the published ones.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``label, estimate, lower, upper, published``: one line each, from the top; NaN where there is none.
    """
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 0.9 + 0.27 * len(rows)))
        for y, row in enumerate(rows.itertuples()):
            ax.plot([row.lower, row.upper], [y, y], color=style.GOOD, lw=1.4)
            ax.plot(row.estimate, y, "s", color=style.GOOD, ms=5)
            if not math.isnan(row.published):
                ax.plot(row.published, y, "D", mfc="white", mec="black", ms=5, zorder=4)
            text = str(Estimate(row.estimate, row.lower, row.upper)).replace("95 % CI ", "")
            text += "" if math.isnan(row.published) else f"   published {row.published:.2f}"
            ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(rows)), rows["label"])
        ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(0.45, float(rows["lower"].min()) - 0.02), 1.0))
        ax.set_xlabel("Area under the ROC curve (square: here, 95 % CI; diamond: published; 0.5: chance)")
    return fig


def labels(rows: pd.DataFrame) -> Figure:
    """Draw ROC areas with their intervals under two outcome labels, a row a model and set.

    Parameters
    ----------
    rows : pandas.DataFrame
        From :func:`postarrest.performance.between_labels`.
    """
    rows = rows[rows["metric"] == "roc_auc"]
    lines = rows.to_dict("records")
    first, second = [str(c).removesuffix("_n_good") for c in rows.columns if str(c).endswith("_n_good")]
    # Not the colours of the outcomes: both labels tell of both.
    drawn = {first: (-0.16, style.PALETTE[2], "s"), second: (0.16, style.NEUTRAL, "^")}
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 1.0 + 0.42 * len(rows)))
        for label, (offset, color, marker) in drawn.items():
            for y, row in enumerate(lines):
                limits = [row[f"{label}_lower"], row[f"{label}_upper"]]
                ax.plot(limits, [y + offset] * 2, color=color, lw=1.4)
            places = np.arange(len(rows)) + offset
            ax.plot(rows[label], places, marker, color=color, ms=5, label=f"{label} label")
        at_the_right = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 7}
        ax.annotate(f"{first} - {second}", (1.02, -0.7), **at_the_right)
        for y, row in enumerate(lines):
            text = str(Estimate(row["difference"], row["lower"], row["upper"])).replace("95 % CI ", "")
            ax.annotate(text, (1.02, y), **at_the_right)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(rows)), [f"{_name(r['model'])} ({r['set']}, n = {r['n']})" for r in lines])
        least = float(rows[[f"{first}_lower", f"{second}_lower"]].min().min())
        ax.set(ylim=(len(rows) - 0.4, -1.0), xlim=(min(0.45, least - 0.02), 1.0))
        ax.set_xlabel("Area under the ROC curve, 95 % CI (line at 0.5: chance)")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7, frameon=False)
    return fig


def split_spread(spread: pd.DataFrame) -> Figure:
    """Draw the ROC areas of repeated hold-out splits, a row a model: each split, the first, the median.

    Parameters
    ----------
    spread : pandas.DataFrame
        From :func:`postarrest.performance.spread`, of one outcome label.
    """
    models = list(dict.fromkeys(spread["model"]))
    look = looks(models)
    with style.report_style():
        fig, ax = plt.subplots(figsize=(style.DOUBLE_COLUMN_IN, 0.8 + 0.5 * len(models)))
        for y, model in enumerate(models):
            mine = spread[spread["model"] == model].sort_values("fold")
            auc = mine["roc_auc"].to_numpy()
            # Points side by side, the same at every drawing.
            offset = 0.26 * (np.arange(len(auc)) % 5 - 2) / 2
            ax.plot(auc, y + offset, look[model].marker, color=look[model].color, ms=4, alpha=0.6, mew=0)
            ax.plot(auc[0], y + offset[0], look[model].marker, mfc="none", mec="black", ms=7)
            ax.plot([np.median(auc)] * 2, [y - 0.35, y + 0.35], color="black", lw=1.5)
            text = f"median {np.median(auc):.2f}, from {auc.min():.2f} to {auc.max():.2f}"
            ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=7)
        ax.axvline(0.5, color="0.5", lw=0.8)
        ax.set_yticks(range(len(models)), [_name(m) for m in models])
        ax.set(
            ylim=(len(models) - 0.5, -0.5),
            xlabel="Area under the ROC curve in each split (ringed: the first; line: median)",
        )
    return fig


def _name(model: str) -> str:
    return model.replace("_", " ")


def _grid(count: int, *, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = style.DOUBLE_COLUMN_IN if columns > 1 else style.SINGLE_COLUMN_IN * 1.4
    fig, axes = plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False)
    flat = list(axes.ravel())
    for ax in flat[count:]:
        ax.set_visible(False)
    return fig, flat


def _unit_square(ax: Axes, xlabel: str, ylabel: str) -> None:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel)
    ax.set_aspect("equal")


def _mark(ax: Axes, marks: pd.DataFrame) -> int:
    """Draw chosen thresholds as lines with their rules above the panel; return how many lines of text."""
    low, high = ax.get_xlim()
    width_of_letter = 0.06 / (ax.get_figure().get_figwidth() / 2)
    taken: list[float] = []
    for threshold, same in marks.sort_values("threshold").groupby("threshold"):
        ax.axvline(threshold, color="0.6", lw=0.6, zorder=0)
        text = ", ".join(same["rule"])
        half = width_of_letter * len(text) / 2
        middle = min(max((threshold - low) / (high - low), half), 1 - half) if half < 0.5 else 0.5
        line = next((k for k, end in enumerate(taken) if end < middle - half), len(taken))
        taken[line : line + 1] = [middle + half]
        ax.annotate(
            text,
            (middle, 1),
            xycoords="axes fraction",
            xytext=(0, 2 + 8 * line),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=5.5,
        )
        ax.annotate(
            "",
            (threshold, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2 + 8 * line),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.5},
        )
    return len(taken)


def _leading(look: Mapping[str, Look], focus: str) -> dict[str, Look]:
    """Return the looks with the solid line given to one model, in exchange for its own dash."""
    own = look[focus].dash
    return {
        model: kind._replace(dash="-" if model == focus else own if kind.dash == "-" else kind.dash)
        for model, kind in look.items()
    }


def _key(ax: Axes, look: Mapping[str, Look], areas: Mapping[str, Estimate], focus: str) -> None:
    """Write each model's name and area beside its line below the panel."""
    handles = [
        plt.Line2D(
            [],
            [],
            color=look[model].color,
            ls=look[model].dash,
            lw=2.2 if model == focus else 1.3,
            label=f"{_name(model)} {str(area).replace('95 % CI ', '')}",
        )
        for model, area in areas.items()
    ]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), handlelength=3.2)


def _operating_points(
    ax: Axes, x: pd.Series, y: pd.Series, rules: pd.Series, *, above: bool = False, near: float = 0.06
) -> None:
    """Mark points with the rules that chose them; rules that nearly agree share a label."""
    points = pd.DataFrame({"x": x, "y": y, "rule": rules}).dropna().astype({"x": float, "y": float})
    ax.plot(points["x"], points["y"], "o", mfc="white", mec="black", ms=4, zorder=5)
    labels: list[tuple[float, float, list[str]]] = []
    for point in points.itertuples():
        place = next((k for k in labels if math.hypot(k[0] - point.x, k[1] - point.y) < near), None)
        if place:
            place[2].append(point.rule)
        else:
            labels.append((point.x, point.y, [point.rule]))
    for at_x, at_y, names in labels:
        # A ROC curve leaves room below its points, a precision-recall curve above them.
        outer = at_x > 0.8
        ax.annotate(
            ",\n".join(names),
            (at_x, at_y),
            xytext=(3 if outer else 5, 4 if above else -4),
            textcoords="offset points",
            fontsize=5.5,
            ha="right" if outer else "left",
            va="bottom" if above else "top",
            zorder=6,
        )


def _here(rows: pd.DataFrame) -> dict[str, str]:
    """Return which outcome label and set the rows are of."""
    return {column: str(rows[column].iloc[0]) for column in ("outcome", "set")}


def _part(table: pd.DataFrame, here: Mapping[str, str]) -> pd.DataFrame:
    return table[(table["outcome"] == here["outcome"]) & (table["set"] == here["set"])]


def _points(judged: pd.DataFrame, here: Mapping[str, str], model: str) -> pd.DataFrame:
    """Return a model's operating points; those chosen on the scores they judge only without others."""
    mine = _part(judged, here)
    mine = mine[(mine["model"] == model) & (mine["stage"] == "final")].dropna(subset="threshold")
    honest = mine[mine["chosen_on"] != "test"]
    points = honest if len(honest) else mine
    return points.astype(dict.fromkeys(("sensitivity", "specificity", "ppv"), float))


def _values(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return outcome and score of each model's patients."""
    return {
        str(model): (mine["y_good"].to_numpy(), mine["score"].to_numpy())
        for model, mine in rows.groupby("model", sort=False)
    }


def _mirrored(
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


def _end_labels(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write labels at the right end of lines, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = 0.05 * (high - low)
    at = -math.inf
    for text, y, color in sorted(ends, key=lambda end: max(end[1], low)):
        at = max(max(y, low), at + gap)
        ax.annotate(
            text,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(1.02, at),
            textcoords=("axes fraction", "data"),
            va="center",
            color=color,
            fontsize=7,
            annotation_clip=False,
        )


def _drawable(line: pd.DataFrame, most: int = 2000) -> pd.DataFrame:
    """Return a line with no more points than a reader can see."""
    return line.iloc[thinned(np.arange(len(line)), most)]
