"""ROC and precision-recall curves."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest.estimate import Estimate
from postarrest.evaluation import curves as curves_room
from postarrest.evaluation import discrimination
from postarrest.figures import style
from postarrest.figures.looks import (
    Look,
    label_and_set,
    looks,
    model_name,
    operating_points_of,
    panel_grid,
    thin_line,
    unit_square,
    values_by_model,
)


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
    here = label_and_set(rows)
    values = values_by_model(rows)
    look = leading(looks(list(values)), focus)
    y_good, score = values[focus]
    bands = curves_room.curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
    points = operating_points_of(judged, here, focus)
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
            roc = thin_line(curves_room.roc_curve(*values[model]))
            left.plot(roc["fpr"], roc["tpr"], **drawn)
            pr = thin_line(curves_room.pr_curve(*values[model]))
            right.plot(pr["recall"], pr["precision"], **drawn)
        _operating_points(left, 1 - points["specificity"], points["sensitivity"], points["rule"])
        _operating_points(right, points["sensitivity"], points["ppv"], points["rule"], above=True)
        for ax, metric in ((left, "roc_auc"), (right, "pr_auc")):
            areas = {m: discrimination.quoted(performance_table, m, metric, **here) for m in values}
            _key(ax, look, areas, focus)
        unit_square(
            left, "1 - specificity (poor outcomes predicted good)", "Sensitivity (good outcomes recognised)"
        )
        unit_square(right, "Recall (good outcomes recognised)", "Precision (PPV of predicted good)")
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
    here = label_and_set(rows)
    values = values_by_model(rows)
    look = looks(list(values))
    with style.report_style():
        fig, axes = panel_grid(len(values), height=2.6)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            band = curves_room.curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
            roc = thin_line(curves_room.roc_curve(y_good, score))
            points = operating_points_of(judged, here, model)
            ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            ax.fill_between(
                band["at"], band["tpr_lower"], band["tpr_upper"], color=look[model].color, alpha=0.2, lw=0
            )
            ax.plot(roc["fpr"], roc["tpr"], color=look[model].color)
            _operating_points(ax, 1 - points["specificity"], points["sensitivity"], points["rule"], near=0.15)
            unit_square(ax, "1 - specificity", "Sensitivity")
            ax.set_title(
                f"{model_name(model)}\n{discrimination.quoted(performance_table, model, 'roc_auc', **here)}"
            )
    return fig


def leading(look: Mapping[str, Look], focus: str) -> dict[str, Look]:
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
            label=f"{model_name(model)} {str(area).replace('95 % CI ', '')}",
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
