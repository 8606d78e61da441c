"""Calibration of predicted probabilities: O:E, intercept, slope, smoothed curve, ICI, E50 and E90."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit
from scipy.stats import norm

from postarrest import scores
from postarrest.estimate import Estimate
from postarrest.evaluation import resamples

# Share of the patients in the neighbourhood of each point of the smoothed curve.
SPAN = 0.75
_GRID = 101
# Counts of resamples in memory at a time: matrix products are faster with many.
_CELLS = 2**22


@dataclass(frozen=True)
class Recalibration:
    """Logistic recalibration of probabilities (Cox 1958; Van Calster 2016).

    Parameters
    ----------
    intercept : Estimate
        Calibration in the large: the log odds to add to all predictions, the slope held at 1. 0 is ideal;
        below 0 the probabilities of a good outcome are too high.
    slope : Estimate
        Factor of the predictions' log odds. 1 is ideal; below 1 the predictions are too extreme.
    n_bounded : int
        Probabilities moved away from 0 or 1, whose log odds are infinite.
    note : str
        Why there is no slope; blank otherwise.
    """

    intercept: Estimate
    slope: Estimate
    n_bounded: int
    note: str = ""


def recalibrate(y_good: ArrayLike, probability: ArrayLike, *, level: float = 0.95) -> Recalibration:
    """Estimate calibration intercept and slope by maximum likelihood, with Wald intervals.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    probability : array-like of float, (patients,)
        Predicted probability of a good outcome. Those closer to 0 or 1 than 1 / (2 n), half a patient, are
        moved there, since the log odds of 0 are infinite; ``n_bounded`` is their number.
    level : float
        Coverage aimed at.

    Examples
    --------
    >>> found = recalibrate([0, 0, 1, 0, 1, 1], [0.1, 0.6, 0.4, 0.2, 0.7, 0.8])
    >>> print(found.slope)
    1.56 (95 % CI −0.75 to 3.87)
    """
    y_good, probability = _checked(y_good, probability)
    x, n_bounded = log_odds(probability)
    ones = np.ones_like(x)
    intercept = _last_coefficient(fit_logistic(y_good, [ones], offset=x), level)
    note = why_no_slope(y_good, x)
    slope = Estimate(np.nan)
    if not note:
        slope = _last_coefficient(fit_logistic(y_good, [ones, x]), level)
    return Recalibration(intercept, slope, n_bounded, note)


def log_odds(probability: np.ndarray) -> tuple[np.ndarray, int]:
    """Return log odds, and how many probabilities were first moved away from 0 or 1 by half a patient.

    Examples
    --------
    >>> x, n_bounded = log_odds(np.array([0.0, 0.5]))
    >>> x.round(2).tolist(), n_bounded
    ([-1.1, 0.0], 1)
    """
    edge = 1 / (2 * len(probability))
    bounded = np.clip(probability, edge, 1 - edge)
    return logit(bounded), int((bounded != probability).sum())


def why_no_slope(y_good: np.ndarray, x: np.ndarray) -> str:
    """Return why no slope can be fitted to log odds ``x``; blank if one can.

    Examples
    --------
    >>> why_no_slope(np.array([0, 1, 1]), np.array([0.3, 0.3, 0.3]))
    'no slope: all predictions are equal'
    """
    good, poor = x[y_good == 1], x[y_good == 0]
    if np.ptp(x) < 1e-12:
        return "no slope: all predictions are equal"
    if good.min() >= poor.max() or good.max() <= poor.min():
        return "no slope: the predictions separate the outcomes perfectly"
    return ""


def fit_logistic(y_good: np.ndarray, design: list[np.ndarray], *, offset: np.ndarray | None = None) -> Any:
    """Fit a logistic regression on given columns by maximum likelihood; return statsmodels' result."""
    import statsmodels.api as sm

    family = sm.families.Binomial()
    return sm.GLM(y_good, np.column_stack(design), family=family, offset=offset).fit(tol=1e-12)


def _last_coefficient(fitted: Any, level: float) -> Estimate:
    lower, upper = fitted.conf_int(1 - level)[-1]
    return Estimate(float(fitted.params[-1]), float(lower), float(upper), level=level)


def observed_to_expected(y_good: ArrayLike, probability: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return O:E, the ratio of observed good outcomes to the sum of the predicted probabilities.

    1 is ideal; below 1 the probabilities of a good outcome are too high. The interval is symmetric for the
    logarithm, whose variance is (1 - O / n) / O (Debray 2017).

    Examples
    --------
    >>> print(observed_to_expected([0, 0, 1, 0, 1, 1], [0.1, 0.6, 0.4, 0.2, 0.7, 0.8]))
    1.07 (95 % CI 0.48 to 2.38)
    """
    y_good, probability = _checked(y_good, probability)
    ratio = y_good.sum() / probability.sum()
    z = norm.ppf((1 + level) / 2)
    factor = np.exp(z * np.sqrt((1 - y_good.mean()) / y_good.sum()))
    return Estimate(float(ratio), float(ratio / factor), float(ratio * factor), level=level)


def curve(
    y_good: ArrayLike,
    probability: ArrayLike,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Smooth the observed frequency of a good outcome over its predicted probability.

    A local line (degree 1, tricube weights over the nearest 75 % of the patients, no robustness steps;
    Cleveland 1979) is fitted at 101 points over the range of the predictions. R's ``lowess`` does the same;
    its ``loess`` fits parabolas unless ``degree = 1``. Bands are bootstrap percentiles over patients with the
    neighbourhoods fixed, which makes a resample one matrix product; not stratified by outcome, since
    calibration concerns the number of good outcomes.

    Returns
    -------
    curve : pandas.DataFrame
        ``predicted, observed, lower, upper``.
    distances : dict of str to float
        Of the patients' distances between that curve and their prediction (Austin and Steyerberg 2019) the
        mean ``ici``, the median ``e50`` and the 90th percentile ``e90``; NaN where all predictions are equal.
        They have no interval: a distance is never below 0, so a bootstrap of it is shifted upwards and can
        exclude the estimate itself.
    """
    y_good, probability = _checked(y_good, probability)
    grid = np.linspace(probability.min(), probability.max(), _GRID)
    if grid[0] == grid[-1]:
        empty = pd.DataFrame(columns=["predicted", "observed", "lower", "upper"], dtype=float)
        return empty, dict.fromkeys(("ici", "e50", "e90"), np.nan)
    smoother = _Smoother(y_good, probability, grid)
    observed = smoother(np.ones((1, len(y_good))))[0]
    lower = upper = np.full(_GRID, np.nan)
    if n_resamples:
        draws = {"n_resamples": n_resamples, "seed": seed, "stratified": False, "cells": _CELLS}
        drawn = resamples.on_all_cores(
            lambda *chunk: smoother(_whole(y_good, *chunk)), resamples.counts(y_good, **draws), n=len(y_good)
        )
        lower, upper = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    distance = np.abs(np.interp(probability, grid, observed) - probability)
    distances = {"ici": distance.mean(), "e50": np.median(distance), "e90": np.quantile(distance, 0.9)}
    frame = {"predicted": grid, "observed": observed, "lower": lower, "upper": upper}
    return pd.DataFrame(frame), {name: float(value) for name, value in distances.items()}


class _Smoother:
    """Local lines at fixed points, refitted for any weights of the patients."""

    def __init__(self, y: np.ndarray, x: np.ndarray, grid: np.ndarray):
        self.y, self.x, self.grid = y.astype(float), x, grid
        distance = np.abs(grid[:, None] - x[None, :])
        neighbours = int(SPAN * len(x) + 1e-10)
        reach = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1]
        # If that share of the predictions are equal, all of them lie at the edge and would have no weight.
        nearer = (distance < reach[:, None]).any(axis=1)
        reach = np.where(nearer, reach, 1.001 * reach + 1e-9 * np.ptp(x))[:, None]
        self.kernel = np.clip(1 - (distance / reach) ** 3, 0, None) ** 3

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return the curve for each row of weights, (rows, grid)."""
        x, y = self.x, self.y
        s0, s1, s2, t0, t1 = (
            (weights * term) @ self.kernel.T for term in (np.ones_like(x), x, x * x, y, x * y)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_x, mean_y = s1 / s0, t0 / s0
            variance = s2 / s0 - mean_x**2
            slope = (t1 / s0 - mean_x * mean_y) / variance
        # Where a neighbourhood has one prediction only, the line is its mean.
        slope = np.where(variance > 1e-10 * np.ptp(x) ** 2, slope, 0.0)
        return np.clip(mean_y + slope * (self.grid - mean_x), 0, 1)


def _whole(y_good: np.ndarray, good: np.ndarray, poor: np.ndarray) -> np.ndarray:
    weights = np.empty((len(good), len(y_good)))
    weights[:, y_good == 1] = good
    weights[:, y_good == 0] = poor
    return weights


def table(
    rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, dict[tuple[str, str, str, str], pd.DataFrame]]:
    """Tabulate the calibration of every model that predicts probabilities, before and after Platt scaling.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`, of every stage.
    n_resamples, seed : int
        Bootstrap of the curves and the ICI.

    Returns
    -------
    table : pandas.DataFrame
        ``outcome_label, set, model, stage, n, n_good, oe, oe_lower, oe_upper, intercept, ..., slope, ...,
        ici, e50, e90, brier, brier_skill, n_bounded, note``; no rows if no model predicts probabilities.
    curves : dict
        The smoothed curve of each (outcome, set, model, stage).
    """
    found, curves = [], {}
    probabilities = rows[rows["kind"] == "probability"]
    for key, mine in probabilities.groupby(["outcome_label", "set", "model", "stage"], sort=False):
        y_good, wide = scores.wide(mine)
        values = wide.iloc[:, 0].to_numpy()
        fitted = recalibrate(y_good, values)
        curves[key], distances = curve(y_good, values, n_resamples=n_resamples, seed=seed)
        brier = float(np.mean((values - y_good) ** 2))
        found.append(
            dict(zip(["outcome_label", "set", "model", "stage"], key, strict=True))
            | {"n": len(y_good), "n_good": int(y_good.sum())}
            | _columns("oe", observed_to_expected(y_good, values))
            | _columns("intercept", fitted.intercept)
            | _columns("slope", fitted.slope)
            | distances
            | {"brier": brier, "brier_skill": 1 - brier / float(y_good.mean() * (1 - y_good.mean()))}
            | {"n_bounded": fitted.n_bounded, "note": fitted.note}
        )
    columns = ["outcome_label", "set", "model", "stage", "n", "n_good"]
    return (pd.DataFrame(found) if found else pd.DataFrame(columns=columns)), curves


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_lower": estimate.lower, f"{name}_upper": estimate.upper}


def _checked(y_good: ArrayLike, probability: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("A probability is outside 0 to 1.")
    if len(np.unique(y_good)) < 2:
        raise ValueError("All patients have the same outcome.")
    return y_good, probability
