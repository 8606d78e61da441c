"""Gray-to-white-matter ratios (GWR) from readings of regions on head CT, and how well two readings agree."""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from postarrest.data import contract
from postarrest.describe.agreement import FEWEST_PAIRS, compare_readings

# Regions of interest and their names: gray and white matter at the three levels that are read.
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
CUT_OFF = 1.2  # a ratio below it predicts a poor outcome
# A column of `measures` that is a single reading: its number and, with several readers, whose it is. Whatever
# a reader's name, the column of the reader's mean looks neither like one of these nor like "mean".
_READING = re.compile(r"reading[_ ](\d+)(?: of (.+))?", re.DOTALL)
# Estimate of an `Agreement` -> columns of the reliability table with its limits.
_LIMITS = {
    "spearman": ("spearman_lower", "spearman_upper"),
    "icc_a1": ("icc_lower", "icc_upper"),
    "icc_a2": ("icc_a2_lower", "icc_a2_upper"),
    "bias": ("bias_lower", "bias_upper"),
    "loa_lower": ("loa_lower_from", "loa_lower_to"),
    "loa_upper": ("loa_upper_from", "loa_upper_to"),
}


def by_region(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the attenuation of each region, the mean of both sides, for each reading.

    Parameters
    ----------
    readings : pandas.DataFrame
        One row per region and side: ``patient_id, reader, reading, region, side (L | R), mean_hu``. Where
        ``reader`` is blank or no column, there is one.

    Returns
    -------
    pandas.DataFrame
        Index ``(patient_id, reader, reading)``, one column for each of :data:`REGIONS`, in HU. A region that
        was read on one side only is missing.

    Raises
    ------
    ValueError
        If a patient, reader, reading, region and side occur in more than one row.

    Examples
    --------
    >>> readings = pd.DataFrame(
    ...     {"patient_id": "a", "reading": 1, "region": "CN", "side": ["L", "R"], "mean_hu": [35.0, 37.0]}
    ... )
    >>> by_region(readings).loc[("a", "", 1), "CN"]
    np.float64(36.0)
    """
    readings = readings.assign(reader=readings["reader"].fillna("") if "reader" in readings else "")
    key = ["patient_id", "reader", "reading", "region", "side"]
    repeated = int(readings.duplicated(key).sum())
    if repeated:
        what = "a patient, reader, reading, region and side"
        raise ValueError(f"gwr: {repeated} rows repeat {what}; expected one row for each.")
    columns = pd.MultiIndex.from_product([("L", "R"), REGIONS], names=["side", "region"])
    wide = readings.pivot(index=key[:3], columns=columns.names, values="mean_hu").reindex(columns=columns)
    # A sum is missing where one side is; a mean would skip it.
    return (wide["L"] + wide["R"]) / 2


def measures(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the attenuation of each region and the three ratios, by reading and as their mean.

    Parameters
    ----------
    readings : pandas.DataFrame
        As for :func:`by_region`.

    Returns
    -------
    pandas.DataFrame
        Index ``patient_id``; columns ``(measure, reading)`` with the measures :data:`REGIONS` (in HU) and
        :data:`RATIOS`, and for each ``reading_1``, ``reading_2``, any further reading, and ``mean``. With
        several readers these are ``reading 1 of reader A`` and so on, and ``reader A`` is the mean of a
        reader's own readings. A ratio is formed within a reading of a reader and then averaged over all
        readings; in a patient who was read once, ``mean`` is that reading.

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
    values["GWR-BG"], values["GWR-CE"] = contract.ratios(values)
    values["GWR-AV"] = (values["GWR-BG"] + values["GWR-CE"]) / 2
    if len(values.index.unique("reader")) > 1:
        parts = {
            f"reading {number} of {_in_words(reader)}": of_reading.droplevel(["reader", "reading"])
            for (reader, number), of_reading in values.groupby(["reader", "reading"])
        }
        means = values.groupby(["patient_id", "reader"]).mean()
        parts |= {_in_words(name): mean.droplevel("reader") for name, mean in means.groupby("reader")}
    else:
        numbers = sorted({1, 2} | set(values.index.unique("reading")))
        number = values.index.get_level_values("reading")
        parts = {f"reading_{n}": values[number == n].droplevel(["reader", "reading"]) for n in numbers}
    parts["mean"] = values.groupby("patient_id").mean()
    joined = pd.concat(parts, axis=1, names=["reading", "measure"]).swaplevel(axis=1)
    return joined.reindex(
        columns=pd.MultiIndex.from_product([[*REGIONS, *RATIOS], parts], names=joined.columns.names)
    )


def _in_words(reader: str) -> str:
    return f"reader {reader}" if reader else "the unnamed reader"


class Pair(NamedTuple):
    """Two readings, or the means of two readers: their columns in `measures`, and what is compared."""

    first: str
    second: str
    compared: str


def pairs(values: pd.DataFrame) -> list[Pair]:
    """Return what is compared: the readings of each reader with each other, and the readers' means.

    Parameters
    ----------
    values : pandas.DataFrame
        From :func:`measures`.

    Examples
    --------
    >>> columns = ["reading 1 of reader A", "reading 2 of reader A", "reading 1 of reader B"]
    >>> columns = pd.MultiIndex.from_product([["CN"], columns], names=["measure", "reading"])
    >>> [pair.compared for pair in pairs(pd.DataFrame(columns=columns))]
    ['reading 1 and 2 of reader A', 'readers A and B']
    """
    of_readers: dict[str, list[tuple[str, str]]] = {}
    for name in _single(values):
        number, reader = _READING.fullmatch(name).groups(default="")
        of_readers.setdefault(reader, []).append((number, name))
    found = []
    for reader, own in of_readers.items():
        for (one, first), (other, second) in combinations(own, 2):
            compared = (
                f"reading {one} and {other} of {reader}" if reader else f"reading {one} and reading {other}"
            )
            found.append(Pair(first, second, compared))
    return found + [Pair(one, other, _readers(one, other)) for one, other in combinations(of_readers, 2)]


def _readers(one: str, other: str) -> str:
    if one.startswith("reader ") and other.startswith("reader "):
        return f"readers {one.removeprefix('reader ')} and {other.removeprefix('reader ')}"
    return f"{one} and {other}"


def _single(values: pd.DataFrame) -> list[str]:
    """Return the columns that are single readings."""
    return [name for name in values.columns.unique("reading") if _READING.fullmatch(name)]


def times_measured(values: pd.DataFrame, measure: str = "GWR-AV") -> dict[str, int]:
    """Count the patients in whom a region or ratio was measured at least twice, once or not at all.

    Returns
    -------
    dict
        ``n`` (patients in ``values``), ``n_known``, ``n_twice`` (or more often, by one reader or several),
        ``n_once``.
    """
    times = values[measure][_single(values)].notna().sum(axis=1)
    counts = {"n": len(times), "n_known": (times > 0).sum(), "n_twice": (times >= 2).sum()}
    return {name: int(n) for name, n in counts.items()} | {"n_once": int((times == 1).sum())}


def comparable(values: pd.DataFrame) -> list[Pair]:
    """Return the pairs of :func:`pairs` that have a ratio in enough patients."""
    of = {name: values.xs(name, axis=1, level="reading") for name in values.columns.unique("reading")}
    return [pair for pair in pairs(values) if ratios_in_both(of[pair.first], of[pair.second])]


def ratios_in_both(first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """Return the ratios that enough patients have in two measurements to describe how well they agree.

    Parameters
    ----------
    first, second : pandas.DataFrame
        One column per measure, the same patients.
    """
    both = first.notna() & second.notna()
    return [ratio for ratio in RATIOS if both[ratio].sum() >= FEWEST_PAIRS]


def reliability(values: pd.DataFrame) -> pd.DataFrame:
    """Return the agreement of two readings for each region and ratio, as a table.

    Parameters
    ----------
    values : pandas.DataFrame
        From :func:`measures`.

    Returns
    -------
    pandas.DataFrame
        One row per pair of :func:`pairs` (``compared``) and measure. ``bias`` is the first minus the second
        and ``loa_*`` are the limits of agreement, both in ``unit``; ``*_from`` and ``*_to`` are the
        confidence limits of these. ``largest_difference`` is that of a single patient. For ratios,
        ``n_reclassified`` patients are on different sides of the cut-off 1.2 in the two readings, and
        ``kappa`` (Cohen) is the agreement beyond chance. A measure with fewer than three patients who were
        read twice has only its counts.
    """
    rows = [
        {"compared": pair.compared, "measure": measure}
        | agreement(measure, values[measure, pair.first], values[measure, pair.second])
        for pair in pairs(values)
        for measure in values.columns.unique("measure")
    ]
    return agreement_table(rows, first=["compared"])


def agreement(measure: str, first: pd.Series, second: pd.Series) -> dict[str, Any]:
    """Return how well two measurements of one region or ratio agree, as a row for `agreement_table`."""
    both = pd.concat([first, second], axis=1)
    known = both.dropna()
    row = {"unit": "ratio" if measure in RATIOS else "HU"}
    row |= {"n": len(known), "n_incomplete": len(both) - len(known)}
    if len(known) < FEWEST_PAIRS:
        return row
    result = compare_readings(*both.to_numpy().T)
    for name, (lower, upper) in _LIMITS.items():
        estimate = getattr(result, name)
        row |= {name: estimate.value, lower: estimate.lower, upper: estimate.upper}
    row["sd_difference"] = result.sd_difference
    row["largest_difference"] = known.diff(axis=1).iloc[:, 1].abs().max()
    if measure in RATIOS:
        below = (known < CUT_OFF).to_numpy().T
        row["n_reclassified"] = int((below[0] != below[1]).sum())
        # Without a patient on either side there is no agreement beyond chance.
        row["kappa"] = cohen_kappa_score(*below) if below.any() and not below.all() else np.nan
    return row


def agreement_table(rows: list[dict[str, Any]], *, first: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows of :func:`agreement` as a table whose first columns are named."""
    estimates = [column for name, limits in _LIMITS.items() for column in (name, *limits)]
    counts, last = ["measure", "unit", "n", "n_incomplete"], ["sd_difference", "largest_difference"]
    table = pd.DataFrame(rows, columns=[*first, *counts, *estimates, *last, "n_reclassified", "kappa"])
    return table.astype({"n_reclassified": "Int64"})


def markers(values: pd.DataFrame, *, ending: str = "") -> pd.DataFrame:
    """Return the ratios as markers: one column each, named ``gwr_bg``, ``gwr_ce``, ``gwr_av`` and an ending.

    Parameters
    ----------
    values : pandas.DataFrame
        From :func:`measures`; the mean of the readings is used.
    ending : str
        Of the names.
    """
    means = values.xs("mean", axis=1, level="reading")[list(RATIOS)]
    return means.rename(columns=lambda name: name.lower().replace("-", "_") + ending)


def marker_scores(
    markers: pd.DataFrame, cohort: pd.DataFrame, *, splits: pd.DataFrame, outcome_labels: Sequence[str]
) -> pd.DataFrame:
    """Return the ratios as rows of the scores table: one marker each, higher meaning a better outcome.

    A ratio is not fitted, so a patient's score is the same in every split; only the test patients differ.

    Parameters
    ----------
    markers : pandas.DataFrame
        From :func:`markers`. Patients in whom a ratio is missing have no row for it.
    cohort : pandas.DataFrame
        ``y_good_<label>`` for each outcome label, by ``patient_id``.
    splits : pandas.DataFrame
        ``split, patient_id, part``, from `splits.table`. Hold-out splits are used where there are any,
        otherwise the outer folds.
    outcome_labels : sequence of str
        Outcome labels, each with its own rows.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, y_good, model, kind, role, fold, score, outcome_label``, with the markers as
        models; role ``test`` for the test patients of a split, otherwise ``train_oof``.
    """
    markers = markers.rename_axis(index="patient_id", columns="model").stack().dropna().rename("score")
    holdout = splits["split"].str.startswith("holdout-")
    used = splits[holdout if holdout.any() else splits["split"].str.startswith("outer-")]
    rows = used.merge(markers.reset_index(), on="patient_id").assign(
        fold=lambda t: t["split"].str.rsplit("-", n=1).str[1].astype(int),
        role=lambda t: np.where(t["part"] == "test", "test", "train_oof"),
        kind="marker",
    )
    rows = rows.sort_values(["fold", "model", "role", "patient_id"])
    labelled = [
        rows.assign(y_good=rows["patient_id"].map(cohort[f"y_good_{label}"]).astype(int), outcome_label=label)
        for label in outcome_labels
    ]
    columns = ["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome_label"]
    return pd.concat(labelled, ignore_index=True)[columns]
