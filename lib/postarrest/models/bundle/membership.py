"""How alike are the patients of two hospitals? A membership model, from aggregates of one of them.

References
----------
Debray TPA et al. A new framework to enhance the interpretation of external validation studies of clinical
prediction models. J Clin Epidemiol 2015;68:279-289.
Reiser B. Confidence intervals for the Mahalanobis distance. Commun Stat Simul Comput 2001;30:37-45.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import ncf, norm

from postarrest.estimate import Estimate

# Fewer values describe no distribution.
_FEWEST = 20


def moments(cohort: pd.DataFrame, *, variables: Iterable[str], mask_below: int) -> dict[str, Any]:
    """Return the means of patients' variables and the covariances between them, for :func:`membership`.

    Parameters
    ----------
    cohort : pandas.DataFrame
        One row per patient.
    variables : iterable of str
        Columns; texts are left out. A missing value counts as the mean of the others.
    mask_below : int
        If counts are hidden, variables of 0 and 1 are left out: their covariances tell counts.

    Returns
    -------
    dict
        ``names`` (list of p), ``mean`` (p), ``covariance`` (p x p, of a sample), in the variables' units.

    Examples
    --------
    >>> moments(pd.DataFrame({"age_years": np.arange(20.0)}), variables=["age_years"], mask_below=5)
    {'names': ['age_years'], 'mean': [9.5], 'covariance': [[35.0]]}
    """
    values = cohort[list(variables)].select_dtypes("number").astype(float)
    counted = values.isin([0, 1]) | values.isna()
    kept = [
        name
        for name in values
        if values[name].count() >= _FEWEST and not (mask_below and counted[name].all())
    ]
    filled = values[kept].fillna(values[kept].mean())
    covariance = np.atleast_2d(np.cov(filled.to_numpy(), rowvar=False)) if kept else np.zeros((0, 0))
    return {"names": kept, "mean": filled.mean().tolist(), "covariance": covariance.tolist()}


def membership(
    there: Mapping[str, Any], here: Mapping[str, Any], *, n_there: int, n_here: int
) -> tuple[Estimate, int]:
    """Return the AUC with which a linear discriminant tells the patients of two groups apart.

    With normal variables of one covariance in both groups, that is the AUC of the best membership model,
    ``Phi(D / sqrt 2)`` for the Mahalanobis distance D between the groups, corrected for what chance alone
    separates. Its interval inverts the noncentral F distribution of D squared (Reiser 2001).

    Parameters
    ----------
    there, here : Mapping
        From :func:`moments`.
    n_there, n_here : int
        Patients.

    Returns
    -------
    (Estimate, int)
        The AUC, .5 if the groups are alike, and the number of variables compared. Not defined without any, or
        with more than patients.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> young, old = (pd.DataFrame({"age_years": rng.normal(mean, 10, 400)}) for mean in (60, 70))
    >>> one, other = (moments(t, variables=["age_years"], mask_below=0) for t in (young, old))
    >>> print(membership(one, other, n_there=400, n_here=400)[0])  # planted: Phi(1 / sqrt 2) = .76
    0.77 (95 % CI 0.74 to 0.80)
    """
    names = [name for name in there["names"] if name in here["names"]]
    (mean, covariance), (mean_here, covariance_here) = (_of(one, names) for one in (there, here))
    n, freedom = n_there + n_here, n_there + n_here - 2
    pooled = ((n_there - 1) * covariance + (n_here - 1) * covariance_here) / freedom
    sd = np.sqrt(np.diag(pooled))
    vary = sd > 0
    p = int(vary.sum())
    if p == 0 or n - p - 3 <= 0:
        return Estimate(np.nan), p
    apart = (mean_here - mean)[vary] / sd[vary]
    squared = float(apart @ np.linalg.pinv(pooled[np.ix_(vary, vary)] / np.outer(sd[vary], sd[vary])) @ apart)
    per_unit = n_there * n_here / n
    unbiased = (n - p - 3) / freedom * squared - p / per_unit
    statistic = (n - p - 1) / (freedom * p) * per_unit * squared

    def distance_at(probability: float) -> float:
        def off(noncentrality: float) -> float:
            return ncf.cdf(statistic, p, n - p - 1, noncentrality) - probability

        if off(1e-9) <= 0:
            return 0.0
        top = 1.0 + p * statistic
        while off(top) > 0:
            top *= 2
        return brentq(off, 1e-9, top) / per_unit

    lower, upper = distance_at(0.975), distance_at(0.025)
    value, lower, upper = (float(norm.cdf(np.sqrt(max(d, 0) / 2))) for d in (unbiased, lower, upper))
    return Estimate(value, lower, upper), p


def _of(found: Mapping[str, Any], names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    at = [found["names"].index(name) for name in names]
    return np.array(found["mean"], float)[at], np.array(found["covariance"], float).reshape(
        (len(found["names"]),) * 2
    )[np.ix_(at, at)]
