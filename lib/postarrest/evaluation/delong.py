"""DeLong's variance of the AUC and the paired test of two AUCs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from postarrest.estimate import Estimate


@dataclass(frozen=True)
class DeLong:
    """ROC areas of several models in the same patients, with their covariance (DeLong 1988).

    Parameters
    ----------
    models : tuple of str
        Names of the models.
    auc : numpy.ndarray
        ROC areas, (models,).
    covariance : numpy.ndarray
        Their covariance, (models, models); NaN with fewer than two patients of an outcome.
    """

    models: tuple[str, ...]
    auc: np.ndarray
    covariance: np.ndarray

    def for_procedure(self, n_folds: int) -> "DeLong":
        """Return the variances for the modelling procedure instead of the models that it happened to fit.

        ``self`` holds mean AUCs over the folds of a cross-validation, with variances given the fitted models.
        Training on other patients would give other models. Nadeau and Bengio (2003) add, to the variance of a
        mean over folds, the ratio of test to training patients times the variance in one fold: with K folds a
        factor of 1 + K / (K - 1), 2.25 for five.

        Examples
        --------
        >>> delong([0, 0, 1, 1], [.1, .6, .4, .8]).for_procedure(5).covariance.round(4)
        array([[0.2812]])
        """
        return replace(self, covariance=self.covariance * (1 + n_folds / (n_folds - 1)))

    def interval(self, model: str, *, transform: str = "none", level: float = 0.95) -> Estimate:
        """Return an area with its interval.

        Parameters
        ----------
        model : str
            Which.
        transform : str
            ``"none"`` (symmetric, cut at 0 and 1, as R's pROC) or ``"logit"`` (symmetric on the logit scale,
            so that it stays between 0 and 1).
        level : float
            Coverage aimed at.

        Returns
        -------
        Estimate
            Without limits where the variance is 0: perfect or constant scores.
        """
        if transform not in ("none", "logit"):
            raise ValueError(f"The transform is {transform!r}, expected 'none' or 'logit'.")
        at = self.models.index(model)
        auc, error = float(self.auc[at]), math.sqrt(self.covariance[at, at])
        # Rounding leaves a variance of 1e-18 where there is none.
        if not error > 1e-8:
            return Estimate(auc, level=level)
        z = norm.ppf((1 + level) / 2)
        if transform == "logit":
            width = z * error / (auc * (1 - auc))
            lower, upper = expit(logit(auc) - width), expit(logit(auc) + width)
        else:
            lower, upper = max(0.0, auc - z * error), min(1.0, auc + z * error)
        return Estimate(auc, float(lower), float(upper), level=level)

    def difference(self, model_a: str, model_b: str, *, level: float = 0.95) -> tuple[Estimate, float]:
        """Return area(a) - area(b) with its paired interval, and the two-sided p value of no difference."""
        a, b = self.models.index(model_a), self.models.index(model_b)
        value = float(self.auc[a] - self.auc[b])
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        if not variance > 1e-16:
            return Estimate(value, level=level), float("nan")
        error = math.sqrt(variance)
        z = norm.ppf((1 + level) / 2)
        p = float(2 * norm.sf(abs(value) / error))
        return Estimate(value, value - z * error, value + z * error, level=level), p


def delong(y_good: ArrayLike, scores: ArrayLike, *, models: Sequence[str] = ()) -> DeLong:
    """Estimate ROC areas and their covariance by DeLong's method, in n log n (Sun and Xu 2014).

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome; the scores point towards 1.
    scores : array-like of float, (patients,) or (patients, models)
        Finite scores.
    models : sequence of str
        Names; numbers where none are given.

    Examples
    --------
    >>> result = delong([0, 0, 1, 1, 0, 1], [.1, .4, .35, .8, .2, .7], models=["ct"])
    >>> print(result.interval("ct"))
    0.89 (95 % CI 0.58 to 1.00)
    """
    y_good, values = np.asarray(y_good), np.asarray(scores, float)
    values = values[:, None] if values.ndim == 1 else values
    good, poor = values[y_good == 1], values[y_good == 0]
    m, n = len(good), len(poor)
    # A patient's component: the share of the other class that scores on the right side, ties counting half.
    among_all = rankdata(np.vstack([good, poor]), axis=0)
    v_good = (among_all[:m] - rankdata(good, axis=0)) / n
    v_poor = 1 - (among_all[m:] - rankdata(poor, axis=0)) / m
    covariance = np.full((values.shape[1], values.shape[1]), np.nan)
    if m > 1 and n > 1:
        covariance = np.atleast_2d(np.cov(v_good.T)) / m + np.atleast_2d(np.cov(v_poor.T)) / n
    names = tuple(models) or tuple(str(i) for i in range(values.shape[1]))
    return DeLong(names, v_good.mean(axis=0), covariance)
