"""Gray-to-white-matter ratios (GWR) from readings of regions on head CT, and how well two readings agree."""

import math

import numpy as np
import pandas as pd

from postarrest.describe.agreement import FEWEST_PAIRS, Agreement, agreement
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
    values: pd.DataFrame, *, y_good: pd.Series, splits: pd.DataFrame, outcome_label: str
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
    outcome_label : str
        Name of the outcome label.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, y_good, model, kind, role, fold, score, outcome_label``, with the models ``gwr_bg``,
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
        outcome_label=outcome_label,
    )
    rows = placed.merge(long, on="patient_id", how="inner")
    columns = ["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome_label"]
    order = ["fold", "model", "role", "patient_id"]
    return rows.sort_values(order, ignore_index=True)[columns].astype({"y_good": int})


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
    if n < FEWEST_PAIRS:
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
