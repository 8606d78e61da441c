"""ROC and precision-recall curves."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.estimate import Estimate
from postarrest.evaluation.curves import curve_bands, pr_curve, roc_curve
from postarrest.evaluation.discrimination import quoted
from postarrest.figures import looks, style
from postarrest.words import interval_in_words, model_in_words

_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.3}


def curves(
    rows: pd.DataFrame,
    performance: pd.DataFrame,
    thresholds: pd.DataFrame,
    *,
    focus: str,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Draw the models' ROC and precision-recall curves, with the band and operating points of one.

    Of many models, those of the papers are in colour and named; the others are gray lines.

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
    named = looks.named(values, focus)
    others = [model for model in values if model not in named]
    look = looks.highlight(looks.of_models(values), focus)
    drawn = {
        model: {"color": kind.color, "ls": kind.dash, "lw": 2.2 if model == focus else 1.3}
        if model in named
        else {"color": "0.75", "ls": "-", "lw": 0.7}
        for model, kind in look.items()
    }
    y_good, score = values[focus]
    bands = curve_bands(y_good, score, n_resamples=n_resamples, seed=seed)
    points = looks.operating_points(thresholds, group, focus)
    prevalence = float(np.mean(y_good))
    # Each model's name and area below the panels: inside them some curve would always be covered.
    height = 3.9 + 0.15 * (len(named) + bool(others))
    with style.drawing(1, 2, height=height) as (fig, (left, right)):
        left.plot([0, 1], [0, 1], color="0.6", lw=0.8)
        right.axhline(prevalence, color="0.6", lw=0.8)
        for ax, rate in ((left, "tpr"), (right, "precision")):
            looks.band(ax, bands["at"], bands[f"{rate}_lower"], bands[f"{rate}_upper"], look[focus].color)
        # The model in focus is drawn last, on top of the others.
        for model in sorted(values, key=lambda model: (model in named, model == focus)):
            roc, pr = looks.at_most(roc_curve(*values[model])), looks.at_most(pr_curve(*values[model]))
            left.plot(roc["fpr"], roc["tpr"], **drawn[model])
            right.plot(pr["recall"], pr["precision"], **drawn[model])
        _draw_points(left, 1 - points["specificity"], points["sensitivity"], points["rule"])
        _draw_points(right, points["sensitivity"], points["ppv"], points["rule"], left=1.03, top=0.7)
        look_of_note = {"va": "top", "color": "0.35", "fontsize": 7, "bbox": _BACKGROUND}
        looks.note(right, f"no skill: {prevalence:.2f}", (0.01, prevalence), (0, -2), **look_of_note)
        for ax, metric in ((left, "roc_auc"), (right, "pr_auc")):
            areas = {model: quoted(performance, model, metric, **group) for model in values}
            # The largest area first, as the curves lie.
            names = sorted(named, key=lambda model, areas=areas: -areas[model].value)
            labels = {model: f"{model_in_words(model)} {_area(areas[model])}" for model in names}
            if others:
                least, most = (f(areas[model].value for model in others) for f in (min, max))
                labels[others[0]] = f"{len(others)} other models, {least:.2f} to {most:.2f}"
            handles = [plt.Line2D([], [], **drawn[model], label=label) for model, label in labels.items()]
            ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), handlelength=3.2)
        looks.unit_square(
            left, "1 - specificity (poor outcomes predicted good)", "Sensitivity (good outcomes recognised)"
        )
        looks.unit_square(right, "Recall (good outcomes recognised)", "Precision (PPV of predicted good)")
        size = looks.size_in_words(y for y, _ in values.values())
        left.set_title(f"ROC curves: area (95 % CI)\n{size}")
        right.set_title(f"Precision-recall curves: area (95 % CI)\n{size}")
    return fig


def _area(estimate: Estimate) -> str:
    return interval_in_words(estimate.value, estimate.lower, estimate.upper)


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
            rates = 1 - points["specificity"], points["sensitivity"]
            _draw_points(ax, *rates, points["rule"], left=0.64, line=0.075, width=13)
            looks.unit_square(ax, "1 - specificity", "Sensitivity")
            area = _area(quoted(performance, model, "roc_auc", **group))
            title = looks.panel_title(model, f"AUC {area}", looks.size_in_words([y_good]))
            ax.set_title(title, fontsize=7.5)
    return fig


def _draw_points(
    ax: Axes,
    x: pd.Series,
    y: pd.Series,
    rules: pd.Series,
    *,
    left: float = 0.76,
    top: float = 0.56,
    line: float = 0.055,
    width: int = 22,
) -> None:
    """Mark points, and list the rules that chose them, each with a line to its point.

    Parameters
    ----------
    x, y, rules : pandas.Series
        Places in the panel, and names. Rules that chose the same point share a label.
    left, top, line : float
        Where the list begins, and the height of a line of it, in units of the panel. A ROC curve leaves the
        lower right of its panel free; a list of another curve is to the right of the panel.
    width : int
        Letters of a line of the list.
    """
    points = pd.DataFrame({"x": x, "y": y, "rule": rules}).dropna().astype({"x": float, "y": float})
    ax.plot(points["x"], points["y"], "o", mfc="white", mec="black", ms=4, zorder=5)
    same = points.groupby(["x", "y"], sort=False)["rule"].agg(list).reset_index()
    # From the top, and at one height from the right: so the lines to the points do not cross the list.
    for point in same.sort_values(["y", "x"], ascending=False).itertuples():
        lines = textwrap.wrap(", ".join(point.rule), width)
        leader = {
            "arrowstyle": "-",
            "color": "0.5",
            "lw": 0.4,
            "shrinkA": 0,
            "shrinkB": 2,
            "relpos": (0, 0.5),
        }
        place = {"xytext": (left, top), "textcoords": "axes fraction", "ha": "left", "va": "top"}
        text = {"fontsize": 5.5, "linespacing": 1.0, "bbox": _BACKGROUND, "zorder": 6}
        ax.annotate("\n".join(lines), (point.x, point.y), arrowprops=leader, **place, **text)
        top -= line * len(lines) + 0.012
