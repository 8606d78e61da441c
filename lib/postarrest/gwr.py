"""Gray-to-white-matter ratios (GWR) from readings of regions on head CT, and how well two readings agree."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from postarrest.estimate import Estimate

# Region of interest -> its name. Gray and white matter of the three levels that are read.
REGIONS = {
    "CN": "caudate nucleus",
    "PU": "putamen",
    "PLIC": "posterior limb of the internal capsule",
    "CC": "corpus callosum",
    "MC1": "cortex, centrum semiovale",
    "MW1": "white matter, centrum semiovale",
    "MC2": "cortex, high convexity",
    "MW2": "white matter, high convexity",
}
RATIOS = {
    "GWR-BG": "basal ganglia, (CN + PU) / (PLIC + CC)",
    "GWR-CE": "cerebrum, (MC1 + MC2) / (MW1 + MW2)",
    "GWR-AV": "average of GWR-BG and GWR-CE",
}
READINGS = (1, 2)
CUT_OFF = 1.2  # a ratio below it predicts a poor outcome

_FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Agreement:
    """Agreement of two readings of the same patients.

    Parameters
    ----------
    n : int
        Patients with both readings.
    n_incomplete : int
        Patients with one reading missing, who are not in ``n``.
    spearman : Estimate
        Spearman's rank correlation (which is association, not agreement).
    icc_a1 : Estimate
        Intraclass correlation for absolute agreement of single readings.
    bias : Estimate
        Mean of first minus second, in the readings' unit.
    sd_difference : float
        Standard deviation of the differences, in the readings' unit.
    loa_lower, loa_upper : Estimate
        Limits within which 95 % of the differences lie (Bland and Altman), in the readings' unit.
    """

    n: int
    n_incomplete: int
    spearman: Estimate
    icc_a1: Estimate
    bias: Estimate
    sd_difference: float
    loa_lower: Estimate
    loa_upper: Estimate


def by_region(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the HU of each region, the mean of both sides, for each reading.

    Parameters
    ----------
    readings : pandas.DataFrame
        One row a region: ``patient_id, reading (1 | 2), region, side (L | R), mean_hu``.

    Returns
    -------
    pandas.DataFrame
        Index ``(patient_id, reading)``, one column for each of :data:`REGIONS`, in HU. A region that was read
        on one side only is missing.

    Raises
    ------
    ValueError
        If a patient, reading, region and side stand in more than one row.

    Examples
    --------
    >>> readings = pd.DataFrame(
    ...     {"patient_id": "a", "reading": 1, "region": "CN", "side": ["L", "R"], "mean_hu": [35.0, 37.0]}
    ... )
    >>> by_region(readings).loc[("a", 1), "CN"]
    np.float64(36.0)
    """
    key = ["patient_id", "reading", "region", "side"]
    repeated = int(readings.duplicated(key).sum())
    if repeated:
        raise ValueError(
            f"gwr: {repeated} rows repeat a patient, reading, region and side; expected one row for each."
        )
    wide = readings.pivot(index=key[:2], columns=key[2:], values="mean_hu")
    wide = wide.reindex(columns=pd.MultiIndex.from_product([REGIONS, ("L", "R")], names=key[2:]))
    # A sum, not a mean that skips: half a region is not the region.
    return (wide.xs("L", axis=1, level="side") + wide.xs("R", axis=1, level="side"))[list(REGIONS)] / 2


def measures(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the HU of each region and the three ratios, by reading and as their mean.

    Parameters
    ----------
    readings : pandas.DataFrame
        As for :func:`by_region`.

    Returns
    -------
    pandas.DataFrame
        Index ``patient_id``; columns ``(measure, reading)`` with the measures :data:`REGIONS` (in HU) and
        :data:`RATIOS`, and for each ``reading_1``, ``reading_2`` and ``mean``. A ratio is formed within a
        reading and then averaged; where a patient was read once, ``mean`` is that reading.

    Examples
    --------
    >>> hu = {"CN": 36, "PU": 36, "PLIC": 30, "CC": 30, "MC1": 35, "MW1": 28, "MC2": 35, "MW2": 28}
    >>> readings = pd.DataFrame(
    ...     [("a", reading, region, side, float(value))
    ...      for reading in (1, 2) for region, value in hu.items() for side in "LR"],
    ...     columns=["patient_id", "reading", "region", "side", "mean_hu"],
    ... )
    >>> measures(readings).loc["a", ("GWR-AV", "mean")]
    np.float64(1.225)
    """
    values = by_region(readings)
    values["GWR-BG"] = (values["CN"] + values["PU"]) / (values["PLIC"] + values["CC"])
    values["GWR-CE"] = (values["MC1"] + values["MC2"]) / (values["MW1"] + values["MW2"])
    values["GWR-AV"] = (values["GWR-BG"] + values["GWR-CE"]) / 2
    names = {reading: f"reading_{reading}" for reading in READINGS}
    wide = values.rename_axis(columns="measure").unstack("reading").rename(columns=names, level="reading")
    order = pd.MultiIndex.from_product(
        [[*REGIONS, *RATIOS], [*names.values(), "mean"]], names=["measure", "reading"]
    )
    means = wide.T.groupby(level="measure").mean().T
    means.columns = pd.MultiIndex.from_product([means.columns, ["mean"]])
    return pd.concat([wide, means], axis=1).reindex(columns=order)


def ratios(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the three ratios alone: the last nine columns of :func:`measures`."""
    return measures(readings)[list(RATIOS)]


def icc_a1(ratings: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return ICC(A,1): absolute agreement of single ratings, subjects and raters random.

    The interval is McGraw and Wong's, from the F distribution with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    ratings : array_like of shape (n_subjects, n_ratings)
        At least two subjects and two ratings, none missing.
    level : float
        Coverage of the interval.

    Raises
    ------
    ValueError
        If there are fewer, if a rating is missing, or if all ratings are equal (nothing to agree on).

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
        raise ValueError(
            f"ICC: found ratings of shape {x.shape}; expected at least 2 subjects and 2 ratings."
        )
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
        return Estimate(1.0, 1.0, 1.0, level)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    df = (a * ms_columns + b * ms_error) ** 2 / (
        (a * ms_columns) ** 2 / (k - 1) + (b * ms_error) ** 2 / ((n - 1) * (k - 1))
    )
    tail = (1 + level) / 2
    f_lower, f_upper = stats.f.ppf(tail, n - 1, df), stats.f.ppf(tail, df, n - 1)
    noise = k * ms_columns + (k * n - k - n) * ms_error
    lower = n * (ms_rows - f_lower * ms_error) / (f_lower * noise + n * ms_rows)
    upper = n * (f_upper * ms_rows - ms_error) / (noise + n * f_upper * ms_rows)
    return Estimate(icc, float(lower), float(upper), level)


def agreement(first: ArrayLike, second: ArrayLike, *, level: float = 0.95, digits: int = 2) -> Agreement:
    """Return how two readings of the same patients agree.

    Spearman's interval is Bonett and Wright's, that of the bias Student's; those of the limits of agreement
    are exact for normal differences (non-central t).

    Parameters
    ----------
    first, second : array_like of shape (n,)
        The readings in the same order of patients; NaN where one is missing. Pairs that are not complete are
        left out and counted in ``n_incomplete``.
    level : float
        Coverage of the intervals.
    digits : int
        Decimals that bias and limits show.

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
    >>> result = agreement([1.21, 1.30, 1.25, 1.33, 1.18], [1.20, 1.31, 1.27, 1.30, float("nan")], digits=3)
    >>> result.n, result.n_incomplete, str(result.bias)
    (4, 1, '0.003 (95 % CI -0.033 to 0.038)')
    """
    pairs = np.column_stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)])
    complete = pairs[~np.isnan(pairs).any(axis=1)]
    n = len(complete)
    if n < _FEWEST_PAIRS:
        raise ValueError(f"Agreement: found {n} complete pairs; expected at least {_FEWEST_PAIRS}.")
    icc = icc_a1(complete, level=level)
    differences = complete[:, 0] - complete[:, 1]
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    tail = (1 + level) / 2
    margin = float(stats.t.ppf(tail, n - 1)) * sd / math.sqrt(n)
    z = float(stats.norm.ppf(0.975))
    near, far = stats.nct.ppf([1 - tail, tail], n - 1, z * math.sqrt(n)) * sd / math.sqrt(n)
    return Agreement(
        n=n,
        n_incomplete=len(pairs) - n,
        spearman=_spearman(complete, level=level),
        icc_a1=icc,
        bias=Estimate(bias, bias - margin, bias + margin, level, digits),
        sd_difference=sd,
        loa_lower=Estimate(bias - z * sd, float(bias - far), float(bias - near), level, digits),
        loa_upper=Estimate(bias + z * sd, float(bias + near), float(bias + far), level, digits),
    )


def reliability(values: pd.DataFrame) -> pd.DataFrame:
    """Return the agreement of the two readings for each region and ratio, as a table.

    Parameters
    ----------
    values : pandas.DataFrame
        From :func:`measures` or :func:`ratios`.

    Returns
    -------
    pandas.DataFrame
        One row a measure. ``bias`` is reading 1 minus reading 2 and ``loa_*`` are the limits of agreement,
        both in ``unit``; ``*_from`` and ``*_to`` are the limits' own intervals. A measure with fewer than
        three patients who were read twice has only its counts.
    """
    return pd.DataFrame([_reliability_row(measure, values[measure]) for measure in _names(values)])


def marker_scores(
    values: pd.DataFrame, *, y_good: pd.Series, splits: pd.DataFrame, outcome: str
) -> pd.DataFrame:
    """Return the ratios as rows of the scores table: a marker each, higher meaning a better outcome.

    A ratio is not fitted to anyone, so its score is the same in every split; what differs is which patients
    are held out.

    Parameters
    ----------
    values : pandas.DataFrame
        From :func:`measures` or :func:`ratios`. Patients in whom a ratio is missing have no row for it.
    y_good : pandas.Series
        1 where the outcome was good, by ``patient_id``.
    splits : pandas.DataFrame
        ``split, patient_id, part``, as `splits.table` makes it. The hold-out splits are used; in a study that
        has none, the outer folds are.
    outcome : str
        Name of the outcome label.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, y_good, model, kind, role, fold, score, outcome``, with the models ``gwr_bg``,
        ``gwr_ce`` and ``gwr_av``; role ``test`` for held-out patients and ``train_oof`` for the others.
    """
    scores = values.xs("mean", axis=1, level="reading")[list(RATIOS)]
    scores = scores.rename(columns=lambda name: name.lower().replace("-", "_"))
    long = (
        scores.rename_axis(index="patient_id", columns="model").stack().dropna().rename("score").reset_index()
    )
    holdout = splits["split"].str.startswith("holdout-")
    used = splits[holdout] if holdout.any() else splits
    placed = used.assign(
        fold=used["split"].str.rsplit("-", n=1).str[1].astype(int),
        role=np.where(used["part"] == "test", "test", "train_oof"),
        y_good=used["patient_id"].map(y_good),
        kind="marker",
        outcome=outcome,
    )
    rows = placed.merge(long, on="patient_id", how="inner")
    columns = ["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome"]
    order = ["fold", "model", "role", "patient_id"]
    return rows.sort_values(order, ignore_index=True)[columns].astype({"y_good": int})


def _spearman(pairs: np.ndarray, *, level: float) -> Estimate:
    n = len(pairs)
    if (np.ptp(pairs, axis=0) == 0).any():
        return Estimate(math.nan, level=level)
    rho = float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    if abs(rho) >= 1 or n < 4:
        return Estimate(rho, level=level)
    margin = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    centre = math.atanh(rho)
    return Estimate(rho, math.tanh(centre - margin), math.tanh(centre + margin), level)


def _names(values: pd.DataFrame) -> list[str]:
    return list(values.columns.get_level_values("measure").unique())


def _reliability_row(measure: str, columns: pd.DataFrame) -> dict[str, object]:
    first, second = columns["reading_1"], columns["reading_2"]
    n = int((first.notna() & second.notna()).sum())
    row: dict[str, object] = {
        "measure": measure,
        "unit": "ratio" if measure in RATIOS else "HU",
        "n": n,
        "n_incomplete": len(columns) - n,
    }
    if n < _FEWEST_PAIRS:
        none = Estimate(math.nan)
        result = Agreement(n, len(columns) - n, none, none, none, math.nan, none, none)
    else:
        result = agreement(first, second)
    for name, estimate, lower, upper in (
        ("spearman", result.spearman, "spearman_lower", "spearman_upper"),
        ("icc_a1", result.icc_a1, "icc_lower", "icc_upper"),
        ("bias", result.bias, "bias_lower", "bias_upper"),
        ("loa_lower", result.loa_lower, "loa_lower_from", "loa_lower_to"),
        ("loa_upper", result.loa_upper, "loa_upper_from", "loa_upper_to"),
    ):
        row |= {name: estimate.value, lower: estimate.lower, upper: estimate.upper}
    return row | {"sd_difference": result.sd_difference}
