"""ROC and precision-recall curves."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.evaluation.curves import curve_bands, pr_curve, roc_curve
from postarrest.evaluation.discrimination import quoted
from postarrest.figures import looks, style


def curves(
    rows: pd.DataFrame,
    performance: pd.DataFrame,
    thresholds: pd.DataFrame,
    *,
    focus: str,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Draw all models' ROC and precision-recall curves, with the band and operating points of one.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, of one outcome label and set.
    performance, thresholds : pandas.DataFrame
        From :func:`postarrest.evaluation.discrimination.table` and
        :func:`postarrest.evaluation.thresholds.table`.
    focus : str
        Model whose band and operating points are drawn; the last model if it has no scores.
    n_resamples, seed : int
        Bootstrap of the band.
    """
    group = scores.group_of(rows)
    values = looks.outcomes_and_scores(rows)
    focus = focus if focus in values else list(values)[-1]
    look = looks.highlight(looks.of_models(values), focus)
    drawn = {
        model: {"color": kind.color, "ls": kind.dash, "lw": 2.2 if model == focus else 1.3}
        for model, kind in look.items()
    }
    y_good, score = values[focus]
    bands = curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
    points = looks.operating_points(thresholds, group, focus)
    prevalence = float(np.mean(y_good))
    # Each model's name and area below the panels: inside them some curve would always be covered.
    with style.drawing(1, 2, height=3.9 + 0.15 * len(values)) as (fig, (left, right)):
        left.plot([0, 1], [0, 1], color="0.6", lw=0.8)
        right.axhline(prevalence, color="0.6", lw=0.8)
        small = {"va": "top", "color": "0.35", "fontsize": 7}
        looks.note(right, f"no skill: {prevalence:.2f}", (0.01, prevalence), (0, -2), **small)
        for ax, rate in ((left, "tpr"), (right, "precision")):
            looks.band(ax, bands["at"], bands[f"{rate}_lower"], bands[f"{rate}_upper"], look[focus].color)
        # The model in focus is drawn last, on top of the others.
        for model in sorted(values, key=lambda model: model == focus):
            roc, pr = looks.at_most(roc_curve(*values[model])), looks.at_most(pr_curve(*values[model]))
            left.plot(roc["fpr"], roc["tpr"], **drawn[model])
            right.plot(pr["recall"], pr["precision"], **drawn[model])
        _draw_points(left, 1 - points["specificity"], points["sensitivity"], points["rule"])
        _draw_points(right, points["sensitivity"], points["ppv"], points["rule"], above=True)
        for ax, metric in ((left, "roc_auc"), (right, "pr_auc")):
            handles = []
            for model in values:
                area = str(quoted(performance, model, metric, **group)).replace("95 % CI ", "")
                handles.append(plt.Line2D([], [], **drawn[model], label=f"{looks.model_name(model)} {area}"))
            ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), handlelength=3.2)
        looks.unit_square(
            left, "1 - specificity (poor outcomes predicted good)", "Sensitivity (good outcomes recognised)"
        )
        looks.unit_square(right, "Recall (good outcomes recognised)", "Precision (PPV of predicted good)")
        left.set_title("ROC curve: area (95 % CI)")
        right.set_title("Precision-recall curve: area (95 % CI)")
    return fig


def roc_panels(
    rows: pd.DataFrame,
    performance: pd.DataFrame,
    thresholds: pd.DataFrame,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Draw each model's ROC curve in a separate panel, with its band and operating points.

    Parameters
    ----------
    rows, performance, thresholds, n_resamples, seed
        As in :func:`curves`.
    """
    group = scores.group_of(rows)
    values = looks.outcomes_and_scores(rows)
    look = looks.of_models(values)
    with style.panels(len(values), height=2.6) as (fig, axes):
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            bands = curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
            roc = looks.at_most(roc_curve(y_good, score))
            points = looks.operating_points(thresholds, group, model)
            ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            looks.band(ax, bands["at"], bands["tpr_lower"], bands["tpr_upper"], look[model].color, alpha=0.2)
            ax.plot(roc["fpr"], roc["tpr"], color=look[model].color)
            _draw_points(ax, 1 - points["specificity"], points["sensitivity"], points["rule"], near=0.15)
            looks.unit_square(ax, "1 - specificity", "Sensitivity")
            ax.set_title(f"{looks.model_name(model)}\n{quoted(performance, model, 'roc_auc', **group)}")
    return fig


def _draw_points(
    ax: Axes, x: pd.Series, y: pd.Series, rules: pd.Series, *, above: bool = False, near: float = 0.06
) -> None:
    """Mark points with the rules that chose them; rules that nearly agree share a label."""
    points = pd.DataFrame({"x": x, "y": y, "rule": rules}).dropna().astype({"x": float, "y": float})
    ax.plot(points["x"], points["y"], "o", mfc="white", mec="black", ms=4, zorder=5)
    labels: dict[tuple[float, float], list[str]] = {}
    for point in points.itertuples():
        place = point.x, point.y
        place = next((known for known in labels if math.dist(known, place) < near), place)
        labels.setdefault(place, []).append(point.rule)
    for (at_x, at_y), names in labels.items():
        # A ROC curve leaves room below its points, a precision-recall curve above them.
        right = at_x > 0.8
        offset = (3 if right else 5, 4 if above else -4)
        place = {"ha": "right" if right else "left", "va": "bottom" if above else "top"}
        looks.note(ax, ",\n".join(names), (at_x, at_y), offset, fontsize=5.5, zorder=6, **place)
