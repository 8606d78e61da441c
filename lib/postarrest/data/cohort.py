"""Inclusion criteria, participant flow and outcome labels."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from postarrest.data import errors

CRITERIA = ("exclusions", "min_age_years", "max_age_years", "max_rosc_to_ct_min", "require")
CRITERION_COLUMNS = {
    "min_age_years": "age_years",
    "max_age_years": "age_years",
    "max_rosc_to_ct_min": "rosc_to_ct_min",
}
# What the revised label needs beside CPC.
REVISED = ("awake_after_ct", "death_cause_intracranial")


def wrong_criterion(name: str, value: Any) -> str:
    """Return what a criterion should be, if it is not that."""
    if name == "exclusions":
        return (
            ""
            if isinstance(value, list) or value in ("all", "none")
            else "'all', 'none' or a list of reasons"
        )
    if name == "require":
        return "" if isinstance(value, list) else "a list of columns"
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"


def outcome_labels(patients: pd.DataFrame) -> pd.DataFrame:
    """Return outcome labels, good = 1.

    Parameters
    ----------
    patients : pandas.DataFrame
        Included patients, as `read_export` and `select` give them.

    Returns
    -------
    pandas.DataFrame
        ``y_good_standard``: CPC 1 or 2, or the study's own outcome. ``y_good_revised``, where the columns
        ``awake_after_ct`` and ``death_cause_intracranial`` exist: a patient who was awake with CPC 1 or 2
        after the CT and died later, not of an intracranial cause, counts as good too (Kawai et al. 2023).

    Raises
    ------
    ValueError
        If a patient has no outcome.

    Examples
    --------
    >>> outcome_labels(pd.DataFrame({"cpc": [1, 3, 5, 5], "awake_after_ct": [1, 0, 1, 1],
    ...                      "death_cause_intracranial": [None, None, 0, 1]}))
       y_good_standard  y_good_revised
    0                1               1
    1                0               0
    2                0               1
    3                0               0
    """
    outcome = patients["y_good"] if "y_good" in patients else patients["cpc"]
    if outcome.isna().any():
        raise ValueError(
            f"{outcome.isna().sum()} patients have no outcome; leave them out with select first."
        )
    standard = outcome == 1 if "y_good" in patients else outcome.isin([1, 2])
    made = pd.DataFrame({"y_good_standard": standard.astype(int)})
    if "cpc" in patients and set(REVISED) <= set(patients):
        woke = (patients["awake_after_ct"] == 1) & (patients["cpc"] == 5)
        made["y_good_revised"] = (standard | (woke & (patients["death_cause_intracranial"] == 0))).astype(int)
    return made


def select(patients: pd.DataFrame, *, criteria: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the included patients and the record of how they were selected.

    Parameters
    ----------
    patients : pandas.DataFrame
        All screened patients.
    criteria : mapping
        Applied in their order: ``exclusions`` (``"all"`` reasons that the data give, ``"none"``, or a list
        of reasons), ``min_age_years``, ``max_age_years``, ``max_rosc_to_ct_min``, ``require`` (columns that
        must not be blank). The data's own exclusions come first where they are not named. A patient whose
        value is not recorded does not meet a criterion, and is counted apart.

    Returns
    -------
    included : pandas.DataFrame
        Rows of `patients`.
    flow : pandas.DataFrame
        One row a step: ``step`` (screened, excluded, kept, included), ``reason``, ``n`` (patients),
        ``n_left``.

    Raises
    ------
    ValueError
        If a criterion is unknown or its column is not there.

    Examples
    --------
    >>> screened = pd.DataFrame({"age_years": [70, 12, 55, 61], "exclusion": [None, None, "trauma", None]})
    >>> included, flow = select(screened, criteria={"exclusions": "all", "min_age_years": 18})
    >>> included.index.tolist()
    [0, 3]
    >>> flow
           step                 reason  n  n_left
    0  screened                         4       4
    1  excluded                 trauma  1       3
    2  excluded  younger than 18 years  1       2
    3  included                         2       2
    """
    for name, value in criteria.items():
        if name not in CRITERIA:
            near = errors.nearest(name, CRITERIA)
            raise ValueError(f"criteria: found '{name}', expected one of {', '.join(CRITERIA)}{near}.")
        if wanted := wrong_criterion(name, value):
            raise ValueError(f"criteria.{name}: found {value!r}, expected {wanted}.")
    left = pd.Series(True, index=patients.index)
    flow = [("screened", "", len(patients), len(patients))]
    steps = dict(criteria) if "exclusions" in criteria else {"exclusions": "all", **criteria}
    for name, value in steps.items():
        for step, reason, applies in _steps(patients, left, name, value):
            out = applies & left
            if step == "excluded":
                left = left & ~out
            flow.append((step, reason, int(out.sum()), int(left.sum())))
    flow.append(("included", "", int(left.sum()), int(left.sum())))
    return patients[left], pd.DataFrame(flow, columns=["step", "reason", "n", "n_left"])


def _steps(
    patients: pd.DataFrame, left: pd.Series, name: str, value: Any
) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield what one criterion does: step, reason, and to which patients it applies."""
    if name == "exclusions":
        yield from _exclusion_steps(patients, value)
        return
    if name == "require":
        for column in value:
            yield "excluded", f"{column} not recorded", _column(patients, column).isna()
        return
    column = CRITERION_COLUMNS[name]
    values = _column(patients, column)
    if (values.isna() & left).any():
        yield "excluded", f"{column} not recorded", values.isna()
    reason = {
        "min_age_years": f"younger than {value:g} years",
        "max_age_years": f"older than {value:g} years",
        "max_rosc_to_ct_min": f"CT more than {value:g} min after the return of circulation",
    }[name]
    yield "excluded", reason, values < value if name.startswith("min") else values > value


def _exclusion_steps(patients: pd.DataFrame, value: Any) -> Iterator[tuple[str, str, pd.Series]]:
    reasons = patients["exclusion"] if "exclusion" in patients else pd.Series(pd.NA, index=patients.index)
    # Ties stand in the order of the alphabet, so that the record doesn't hang on the order of rows.
    by_size = reasons.dropna().value_counts().sort_index().sort_values(ascending=False, kind="stable").index
    if not isinstance(value, list) and value not in ("all", "none"):
        raise ValueError(
            f"criteria.exclusions: found {value!r}, expected 'all', 'none' or a list of reasons."
        )
    applied = list(by_size) if value == "all" else [] if value == "none" else value
    for reason in applied:
        yield "excluded", str(reason), (reasons == reason).fillna(False).astype(bool)
    for reason in by_size:
        if reason not in applied:
            yield "kept", str(reason), (reasons == reason).fillna(False).astype(bool)


def _column(patients: pd.DataFrame, name: str) -> pd.Series:
    if name not in patients:
        near = errors.nearest(name, patients.columns)
        raise ValueError(f"criteria: the data have no column '{name}'{near}.")
    return patients[name]
