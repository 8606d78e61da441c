"""Stability of predictions between models fitted on bootstrap samples, and learning curves."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from postarrest.evaluation import stability
from postarrest.figures import looks, style
from postarrest.words import model_in_words

_BINS = 20
# Points drawn of each calibration curve: many curves share a panel.
_STEP = 4


def predictions(original: pd.DataFrame, resampled: np.ndarray) -> Figure:
    """Draw predictions of the models fitted on bootstrap samples against those of the model of the cohort.

    Parameters
    ----------
    original : pandas.DataFrame of shape (patients, models)
        Probabilities by the models fitted on the cohort.
    resampled : numpy.ndarray of shape (bootstraps, patients, models)
        Probabilities by the models fitted on bootstrap samples.
    """
    with style.panels(original.shape[1], height=2.6) as (fig, axes):
        for number, (ax, model) in enumerate(zip(axes, original, strict=False)):
            x, y = original[model].to_numpy(), resampled[:, :, number]
            every = np.broadcast_to(x, y.shape)
            shape = {"gridsize": 30, "extent": (0, 1, 0, 1), "mincnt": 1}
            ax.hexbin(every.ravel(), y.ravel(), cmap="Greys", bins="log", lw=0, **shape)
            ax.plot([0, 1], [0, 1], color=style.GOOD, lw=0.8)
            # Hexagons count patients together, so that no single one is drawn; so do these limits.
            at, lower, upper = _limits(x, y)
            for limit in (lower, upper):
                ax.plot(at, limit, color=style.POOR, ls="--", lw=1)
            looks.unit_square(ax, "Model of the whole cohort", "")
            ax.set_title(looks.panel_title(model, f"n = {len(x)}"), fontsize=8)
        axes[0].set_ylabel("Models of bootstrap samples")
        lines = [
            plt.Line2D([], [], color=style.GOOD, lw=0.8, label="equal"),
            plt.Line2D([], [], color=style.POOR, ls="--", lw=1, label="95 % of the predictions"),
        ]
        fig.legend(handles=lines, loc="outside lower center", ncols=2)
    return fig


def _limits(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the middle of groups of patients of similar prediction, and the range of 95 % in each."""
    groups = [group for group in np.array_split(np.argsort(x, kind="stable"), _BINS) if len(group)]
    limits = np.array([np.quantile(y[:, group], [0.025, 0.975]) for group in groups])
    return np.array([np.median(x[group]) for group in groups]), limits[:, 0], limits[:, 1]


def errors(of_patients: pd.DataFrame) -> Figure:
    """Draw the distribution of the patients' mean absolute prediction error, one panel per model.

    Parameters
    ----------
    of_patients : pandas.DataFrame
        From :func:`postarrest.evaluation.stability.errors_of_patients`.
    """
    edges = np.linspace(0, max(0.02, float(of_patients.to_numpy().max())), 31)
    with style.panels(of_patients.shape[1], height=1.8) as (fig, axes):
        for ax, (model, values) in zip(axes, of_patients.items(), strict=False):
            ax.hist(values, bins=edges, color="0.7", edgecolor="white", lw=0.3)
            middle, high = values.median(), values.quantile(0.9)
            ax.axvline(middle, color="black", lw=1)
            ax.axvline(high, color="black", ls=":", lw=1)
            text = f"median {middle:.3f}\n90th percentile {high:.3f}"
            place = {"transform": ax.transAxes, "ha": "right", "va": "top", "fontsize": 6.5}
            # Over the lines, which it explains.
            ax.text(0.98, 0.95, text, bbox={"facecolor": "white", "lw": 0, "pad": 1}, **place)
            ax.set_title(looks.panel_title(str(model)), fontsize=8)
            ax.set_xlabel("MAPE (probability)")
        axes[0].set_ylabel(f"Patients (n = {len(of_patients)})")
    return fig


def calibration(curves: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Draw the calibration curve of every model in the cohort.

    Parameters
    ----------
    curves : mapping
        From :func:`postarrest.evaluation.stability.calibration_curves`.
    """
    with style.panels(len(curves), height=2.6) as (fig, axes):
        for ax, (model, (first, *others)) in zip(axes, curves.items(), strict=False):
            for line in others:
                ax.plot(line["predicted"][::_STEP], line["observed"][::_STEP], color="0.6", lw=0.3, alpha=0.6)
            ax.plot([0, 1], [0, 1], color="black", lw=0.6)
            ax.plot(first["predicted"], first["observed"], color=style.GOOD, lw=1.5)
            looks.unit_square(ax, "Predicted probability (good)", "")
            ax.set_title(looks.panel_title(model), fontsize=8)
        axes[0].set_ylabel("Observed share of good outcomes")
        lines = [
            plt.Line2D([], [], color=style.GOOD, label="model of the whole cohort"),
            plt.Line2D([], [], color="0.6", lw=0.8, label="models of bootstrap samples"),
        ]
        fig.legend(handles=lines, loc="outside lower center", ncols=2)
    return fig


def decisions(original: pd.DataFrame, resampled: np.ndarray, table: pd.DataFrame) -> Figure:
    """Draw the share of models that decide otherwise, by predicted probability and rule.

    Parameters
    ----------
    original, resampled
        As for :func:`predictions`.
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.stability.decisions`.
    """
    look = looks.of_rules(table["rule"])
    models = list(dict.fromkeys(table["model"]))
    with style.panels(len(models), height=2.2) as (fig, axes):
        for ax, model in zip(axes, models, strict=False):
            x = original[model].to_numpy()
            for row in table[table["model"] == model].itertuples():
                otherwise = stability.changes(original, resampled, model, row.threshold).mean(axis=0)
                groups = [g for g in np.array_split(np.argsort(x, kind="stable"), _BINS) if len(g)]
                at = [np.median(x[group]) for group in groups]
                share = [otherwise[group].mean() for group in groups]
                ax.plot(at, share, color=look[row.rule].color, ls=look[row.rule].dash, lw=1.1)
            ax.set(ylim=(0, 1), xlabel="Predicted probability (good)")
            ax.set_title(looks.panel_title(model, f"n = {len(x)}"), fontsize=8)
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        axes[0].set_ylabel("Models deciding otherwise")
        lines = [plt.Line2D([], [], color=one.color, ls=one.dash, label=rule) for rule, one in look.items()]
        fig.legend(handles=lines, loc="outside lower center", ncols=5)
    return fig


def learning_curve(table: pd.DataFrame) -> Figure:
    """Draw AUC and Brier score against the number of good outcomes, with 95 % intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.learning.table`.
    """
    look = looks.of_models(table["model"])
    with style.drawing(1, 2, height=3.2) as (fig, axes):
        for ax, (metric, words) in zip(
            axes, {"roc_auc": "AUC", "brier": "Brier score (lower is better)"}.items(), strict=True
        ):
            shown = table[table["metric"] == metric]
            gap = 0.012 * shown["n_good"].max()
            for number, (model, mine) in enumerate(shown.groupby("model", sort=False)):
                # Side by side, so that intervals do not hide each other.
                x = mine["n_good"] + gap * (number - (len(look) - 1) / 2)
                ends = [mine["estimate"] - mine["lower"], mine["upper"] - mine["estimate"]]
                one = look[model]
                drawn = {"color": one.color, "ls": one.dash, "marker": one.marker, "ms": 3.5, "lw": 1.1}
                ax.errorbar(x, mine["estimate"], yerr=ends, elinewidth=0.6, **drawn)
            ax.set(xlabel="Good outcomes in the training patients, n", ylabel=words)
            ax.set_xticks(sorted(shown["n_good"].unique()))
        lines = [
            plt.Line2D([], [], color=one.color, ls=one.dash, marker=one.marker, label=model_in_words(model))
            for model, one in look.items()
        ]
        fig.legend(handles=lines, loc="outside lower center", ncols=3)
    return fig
