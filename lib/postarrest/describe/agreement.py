"""Agreement of two readings: Spearman, ICC(A,1), Bland-Altman."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from postarrest.estimate import Estimate

FEWEST_PAIRS = 3
_TAIL = 0.975  # upper tail of 95 % intervals


@dataclass(frozen=True)
class Agreement:
    """Agreement of two readings of the same patients.

    Parameters
    ----------
    n : int
        Patients with both readings.
    n_incomplete : int
        Patients with a missing reading, who are not counted in ``n``.
    spearman : Estimate
        Spearman's rank correlation (a measure of association, not of agreement).
    icc_a1, icc_a2 : Estimate
        Intraclass correlation for absolute agreement of single readings, and of the mean of two.
    bias : Estimate
        Mean of the first minus the second reading, in the readings' unit.
    sd_difference : float
        Standard deviation of the differences, in the readings' unit.
    loa_lower, loa_upper : Estimate
        Bland and Altman's 95 % limits of agreement, in the readings' unit.
    """

    n: int
    n_incomplete: int
    spearman: Estimate
    icc_a1: Estimate
    icc_a2: Estimate
    bias: Estimate
    sd_difference: float
    loa_lower: Estimate
    loa_upper: Estimate


def icc_a1(ratings: ArrayLike) -> Estimate:
    """Estimate ICC(A,1): absolute agreement of single ratings, with subjects and raters as random effects.

    The 95 % interval is McGraw and Wong's, from the F distribution with Satterthwaite's degrees of freedom.
    Neither SciPy nor statsmodels has an intraclass correlation.

    Parameters
    ----------
    ratings : array_like of float, shape (n_subjects, n_ratings)
        At least two subjects and two ratings, none missing.

    Raises
    ------
    ValueError
        If there are fewer ratings, if one is missing, or if all are equal.

    References
    ----------
    McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients. Psychological
    Methods 1996;1:30-46 (case 2A). The same as ICC(2,1) of Shrout and Fleiss, Psychological Bulletin
    1979;86:420-428.

    Examples
    --------
    >>> str(icc_a1([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]))
    '0.29 (95 % CI 0.02 to 0.76)'
    """
    x = np.asarray(ratings, dtype=float)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(f"ICC: found shape {x.shape}; expected at least 2 subjects and 2 ratings.")
    if not np.isfinite(x).all():
        raise ValueError("ICC: a rating is missing or infinite; expected complete ratings.")
    n, k = x.shape
    rows, columns = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    ms_rows = k * np.var(rows, ddof=1)
    ms_columns = n * np.var(columns, ddof=1)
    ms_error = np.sum((x - rows - columns + x.mean()) ** 2) / ((n - 1) * (k - 1))
    total = ms_rows + (k - 1) * ms_error + k / n * (ms_columns - ms_error)
    if total == 0:
        raise ValueError("ICC: all ratings are equal; expected subjects that differ.")
    icc = float((ms_rows - ms_error) / total)
    if icc == 1:
        return Estimate(1.0, 1.0, 1.0)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    columns_part, error_part = a * ms_columns, b * ms_error
    df = (columns_part + error_part) ** 2 / (columns_part**2 / (k - 1) + error_part**2 / ((n - 1) * (k - 1)))
    f_lower, f_upper = stats.f.ppf(_TAIL, n - 1, df), stats.f.ppf(_TAIL, df, n - 1)
    noise = k * ms_columns + (k * n - k - n) * ms_error
    lower = n * (ms_rows - f_lower * ms_error) / (f_lower * noise + n * ms_rows)
    upper = n * (f_upper * ms_rows - ms_error) / (noise + n * f_upper * ms_rows)
    return Estimate(icc, float(lower), float(upper))


def of_mean(single: Estimate, *, k: int = 2) -> Estimate:
    """Return ICC(A,k), the agreement of means of k ratings, from ICC(A,1) (Spearman and Brown).

    Examples
    --------
    >>> print(of_mean(Estimate(0.903, 0.88, 0.92)))
    0.95 (95 % CI 0.94 to 0.96)
    """
    limits = (k * icc / (1 + (k - 1) * icc) for icc in (single.value, single.lower, single.upper))
    return Estimate(*limits)


def compare_readings(first: ArrayLike, second: ArrayLike, *, digits: int = 2) -> Agreement:
    """Estimate how well two readings of the same patients agree.

    The 95 % intervals are Bonett and Wright's for Spearman's correlation, Student's for the bias, and for the
    limits of agreement exact for normally distributed differences (non-central t).

    Parameters
    ----------
    first, second : array_like of float, shape (n,)
        The readings, patients in the same order; NaN where one is missing. Incomplete pairs are left out and
        counted in ``n_incomplete``.
    digits : int
        Decimals of bias and limits when printed.

    Raises
    ------
    ValueError
        If the lengths differ, if fewer than three pairs are complete, or if all readings are equal.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;327:307-310. Carkeet A. Optom Vis Sci 2015;92:e71-e80 (intervals of the
    limits). Bonett DG, Wright TA. Psychometrika 2000;65:23-28 (Spearman's interval).

    Examples
    --------
    >>> first, second = [1.21, 1.30, 1.25, 1.33, 1.18], [1.20, 1.31, 1.27, 1.30, float("nan")]
    >>> result = compare_readings(first, second, digits=3)
    >>> result.n, result.n_incomplete, str(result.bias)
    (4, 1, '0.003 (95 % CI −0.033 to 0.038)')
    """
    pairs = np.column_stack([first, second]).astype(float)
    complete = pairs[~np.isnan(pairs).any(axis=1)]
    n = len(complete)
    if n < FEWEST_PAIRS:
        raise ValueError(f"Agreement: found {n} complete pairs; expected at least {FEWEST_PAIRS}.")
    single = icc_a1(complete)
    differences = complete[:, 0] - complete[:, 1]
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    margin = float(stats.t.ppf(_TAIL, n - 1)) * sd / math.sqrt(n)
    z = float(stats.norm.ppf(0.975))  # 95 % of the differences lie within bias +/- z SD
    near, far = stats.nct.ppf([1 - _TAIL, _TAIL], n - 1, z * math.sqrt(n)) * sd / math.sqrt(n)
    return Agreement(
        n=n,
        n_incomplete=len(pairs) - n,
        spearman=_spearman(complete),
        icc_a1=single,
        icc_a2=of_mean(single),
        bias=Estimate(bias, bias - margin, bias + margin, digits=digits),
        sd_difference=sd,
        loa_lower=Estimate(bias - z * sd, float(bias - far), float(bias - near), digits=digits),
        loa_upper=Estimate(bias + z * sd, float(bias + near), float(bias + far), digits=digits),
    )


def _spearman(pairs: np.ndarray) -> Estimate:
    n = len(pairs)
    if (np.ptp(pairs, axis=0) == 0).any():
        return Estimate(math.nan)
    rho = float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    if abs(rho) >= 1 or n < 4:
        return Estimate(rho)
    margin = float(stats.norm.ppf(_TAIL)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    centre = math.atanh(rho)
    return Estimate(rho, math.tanh(centre - margin), math.tanh(centre + margin))
