"""Random effects: an estimate of several hospitals together, and what to expect in the next hospital."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr
from scipy.stats import chi2, t

from postarrest.estimate import Estimate

# A prediction interval needs a mean and a spread: with two sites, the spread is one difference.
FEWEST_TO_PREDICT = 3
# Points that stand for the distribution of the between-site variance, and for that of a site given it.
_VARIANCES = 100
_SITES = 41
# Enough for every digit of a variance.
_HALVINGS = 64


@dataclass(frozen=True)
class Summary:
    """A random-effects summary of one effect in several sites.

    Parameters
    ----------
    mean : Estimate
        Mean of the sites' true effects; no interval with a single site.
    between_sd : Estimate
        Standard deviation of the true effects between sites; not defined with a single site, and without an
        interval where the sites agree more than by chance.
    prediction : Estimate
        ``mean`` with the prediction interval: limits between which the true effect of the next site is
        expected; none with fewer than three sites.
    n_sites : int
        Number of sites.
    q, p_heterogeneity : float
        Cochran's Q and its P value; NaN with a single site.
    """

    mean: Estimate
    between_sd: Estimate
    prediction: Estimate
    n_sites: int
    q: float
    p_heterogeneity: float


def combine(effect: ArrayLike, variance: ArrayLike, *, level: float = 0.95) -> Summary:
    """Summarise the effects of several sites by a random-effects model.

    The between-site variance is that of Paule and Mandel (1982), with the interval of its generalised Q
    statistic (Viechtbauer 2007). The mean has the interval of Hartung and Knapp (2001), never narrower than
    with their scale at 1: otherwise, sites that happen to agree would give an interval narrower than that of
    one common effect (Röver 2015). All these equal R's metafor.

    The prediction interval allows for how little a few sites say about the between-site variance: it is that
    of Nagashima et al. (2019), over the distribution of all variances that agree with Q. The usual one
    (Higgins 2009), which takes the variance as known, covers as little as 85 % of next sites.

    Parameters
    ----------
    effect : array-like of float, (sites,)
        Effects on a scale on which they are about normal, such as the logit of an AUC.
    variance : array-like of float, (sites,)
        Their sampling variances, above 0.
    level : float
        Coverage aimed at.

    Raises
    ------
    ValueError
        If there is no site, or a value is not finite, or a variance is not above 0.

    Examples
    --------
    >>> found = combine([1.2, 0.85, 1.55, 0.4], [0.020, 0.035, 0.050, 0.015])
    >>> print(found.mean)
    0.98 (95 % CI 0.20 to 1.76)
    >>> print(found.between_sd)
    0.46 (95 % CI 0.22 to 1.82)
    """
    y, v = np.asarray(effect, float), np.asarray(variance, float)
    if not len(y) or not np.isfinite([y, v]).all() or not (v > 0).all():
        raise ValueError("Effects must be finite numbers with variances above 0.")
    k = len(y)
    if k == 1:
        alone, none = Estimate(float(y[0]), level=level), Estimate(np.nan, level=level)
        return Summary(alone, none, alone, 1, np.nan, np.nan)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    between = _variances_at(y, v, np.array([k - 1, *chi2.ppf(tails[::-1], k - 1)]))
    means, errors = _mean(y, v, between[:1])
    mean, reach = float(means[0]), float(t.ppf(tails[1], k - 1) * errors[0])
    # All variances disagree with Q where it is too small even for one common effect: there is no interval.
    inside = between[2] > 0
    spread = Estimate(*np.sqrt(between).tolist(), level=level) if inside else Estimate(0.0, level=level)
    limits = _next_site(y, v, tails) if k >= FEWEST_TO_PREDICT else (np.nan, np.nan)
    q = float(_q(y, v, np.zeros(1))[0])
    return Summary(
        mean=Estimate(mean, mean - reach, mean + reach, level=level),
        between_sd=spread,
        prediction=Estimate(mean, *limits, level=level),
        n_sites=k,
        q=q,
        p_heterogeneity=float(chi2.sf(q, k - 1)),
    )


def _mean(y: np.ndarray, v: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and its standard error at each between-site variance."""
    weight = 1 / (v + between[:, None])
    total = weight.sum(axis=1)
    scale = np.maximum(1.0, _q(y, v, between) / (len(y) - 1))
    return weight @ y / total, np.sqrt(scale / total)


def _q(y: np.ndarray, v: np.ndarray, between: np.ndarray) -> np.ndarray:
    """Return the generalised Q statistic, which falls as the between-site variance rises."""
    weight = 1 / (v + between[:, None])
    mean = weight @ y / weight.sum(axis=1)
    return (weight * (y - mean[:, None]) ** 2).sum(axis=1)


def _variances_at(y: np.ndarray, v: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the between-site variance at which Q has each value; 0 where it is below that value already."""
    # Q is less than the sum of squares over the between-site variance: it is below the target at `high`.
    low, high = np.zeros(len(targets)), ((y - y.mean()) ** 2).sum() / targets
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _q(y, v, middle) > targets
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(_q(y, v, np.zeros(1)) <= targets, 0.0, (low + high) / 2)


def _next_site(y: np.ndarray, v: np.ndarray, tails: np.ndarray) -> tuple[float, float]:
    """Return the quantiles of the next site's true effect."""
    shares = (np.arange(_VARIANCES) + 0.5) / _VARIANCES
    between = _variances_at(y, v, chi2.ppf(shares, len(y) - 1))
    mean, error = _mean(y, v, between)
    z = ndtri((np.arange(_SITES) + 0.5) / _SITES)
    site = mean[:, None] + np.sqrt(between)[:, None] * z

    def above(effect: float, tail: float) -> float:
        return float(stdtr(len(y) - 1, (effect - site) / error[:, None]).mean()) - tail

    far = 1e3 * float(error.max())
    return tuple(float(brentq(above, site.min() - far, site.max() + far, args=(p,))) for p in tails)
