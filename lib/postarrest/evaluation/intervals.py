"""Confidence intervals: bootstrap percentiles and BCa, exact and Wilson for proportions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit
from statsmodels.stats.proportion import proportion_confint

from postarrest.estimate import Estimate


def interval(
    value: float,
    resampled: np.ndarray,
    left_out: Sequence[np.ndarray] = (),
    *,
    method: str = "percentile",
    level: float = 0.95,
) -> Estimate:
    """Make an interval of the values that a statistic takes in resamples.

    Parameters
    ----------
    value : float
        The statistic in the sample.
    resampled : numpy.ndarray
        In the resamples, (resamples,). Undefined ones (NaN) are left out.
    left_out : sequence of numpy.ndarray
        Its jackknife values, one array a stratum; only ``"bca"`` needs them.
    method : str
        ``"percentile"`` or ``"bca"``.
    level : float
        Coverage aimed at.

    Raises
    ------
    ValueError
        If the method is unknown, or ``"bca"`` is asked for without jackknife values.

    Examples
    --------
    >>> print(interval(0.5, np.linspace(0, 1, 1001)))
    0.50 (95 % CI 0.03 to 0.97)
    """
    if method not in ("percentile", "bca"):
        raise ValueError(f"The interval's method is {method!r}, expected 'percentile' or 'bca'.")
    if method == "bca" and not len(left_out):
        raise ValueError("A BCa interval needs jackknife values.")
    value = float(value)
    defined = resampled[np.isfinite(resampled)]
    # Rounding makes the last digits of equal resamples differ.
    if defined.size < 2 or np.ptp(defined) <= 1e-12 * max(1.0, abs(value)):
        return Estimate(value, level=level)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _bca_tails(value, defined, left_out, tails)
        if np.isnan(tails).any():
            return Estimate(value, level=level)
    lower, upper = np.quantile(defined, tails)
    return Estimate(value, float(lower), float(upper), level=level)


def _bca_tails(
    value: float, defined: np.ndarray, left_out: Sequence[np.ndarray], tails: np.ndarray
) -> np.ndarray:
    below = ((defined < value).mean() + (defined <= value).mean()) / 2
    cubes = squares = 0.0
    for stratum in left_out:
        groups = stratum.size
        influence = (groups - 1) * (stratum.mean() - stratum)
        cubes += (influence**3).sum() / groups**3
        squares += (influence**2).sum() / groups**2
    if not 0 < below < 1 or not squares > 0:
        return np.full(2, np.nan)
    acceleration = cubes / (6 * squares**1.5)
    bias = ndtri(below)
    z = bias + ndtri(tails)
    return ndtr(bias + z / (1 - acceleration * z))


def mean_over_splits(values: np.ndarray, *, test_share: float, digits: int = 2) -> Estimate:
    """Return a mean over repeated splits of the same patients, with its 95 % interval.

    By Student's t with the variance of Nadeau and Bengio (2003), since the splits share training patients.
    One split has no interval.

    Parameters
    ----------
    values : numpy.ndarray
        One value per split.
    test_share : float
        Share of the patients tested in each: 1/k in a cross-validation of k folds.
    digits : int
        Of the estimate.

    References
    ----------
    Nadeau C, Bengio Y. Inference for the generalization error. Machine Learning 2003;52:239-281.

    Examples
    --------
    >>> print(mean_over_splits(np.array([0.70, 0.74, 0.78, 0.82, 0.76]), test_share=0.2))
    0.76 (95 % CI 0.68 to 0.84)
    """
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(mean, digits=digits)
    error = np.std(values, ddof=1) * np.sqrt(1 / n + test_share / (1 - test_share))
    half = float(stdtrit(n - 1, 0.975) * error)
    return Estimate(mean, mean - half, mean + half, digits=digits)


def proportion_interval(
    count: ArrayLike, n: ArrayLike, *, method: str = "clopper-pearson", level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of a proportion.

    Parameters
    ----------
    count, n : array-like of int
        How many of how many.
    method : str
        ``"clopper-pearson"`` (exact: covers at least the level) or ``"wilson"`` (covers it on average).
    level : float
        Two-sided coverage.

    Returns
    -------
    lower, upper : numpy.ndarray
        NaN where ``n`` is 0.

    Examples
    --------
    >>> lower, upper = proportion_interval(0, 13)
    >>> float(lower), round(float(upper), 3)
    (0.0, 0.247)
    """
    names = {"clopper-pearson": "beta", "wilson": "wilson"}
    if method not in names:
        raise ValueError(f"The interval's method is {method!r}, expected one of {', '.join(names)}.")
    count, n = np.broadcast_arrays(np.asarray(count, float), np.asarray(n, float))
    lower, upper = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    some = n > 0
    low, high = proportion_confint(count[some], n[some], alpha=1 - level, method=names[method])
    # Rounding leaves limits such as -1e-19 at the ends.
    lower[some], upper[some] = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return lower, upper
