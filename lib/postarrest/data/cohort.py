"""Inclusion criteria, participant flow, outcomes and outcome labels."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from pydantic import ValidationError

from postarrest.data.errors import DataErrors, Finding, Findings, in_rows, nearest
from postarrest.data.mapping import Criteria, ExportSettings, Outcome, as_code, setting_errors

# What the revised label needs besides CPC.
REVISED = ("awake_after_ct", "death_cause_intracranial")
# In place of a reason that one patient has, which may be a free text about that patient.
GIVEN_ONCE = "reasons given for one patient each"
# Column and reason of each criterion that is a limit.
LIMITS = {
    "min_age_years": ("age_years", "younger than {:g} years"),
    "max_age_years": ("age_years", "older than {:g} years"),
    "max_rosc_to_ct_min": ("rosc_to_ct_min", "CT more than {:g} min after the return of circulation"),
}


def outcome_labels(patients: pd.DataFrame) -> pd.DataFrame:
    """Return the outcome labels, 1 = good.

    Parameters
    ----------
    patients : pandas.DataFrame
        Included patients, as returned by `select`.

    Returns
    -------
    pandas.DataFrame
        ``y_good_standard``: CPC 1 or 2, or the study's own outcome. ``y_good_revised``, if the columns
        ``awake_after_ct`` and ``death_cause_intracranial`` exist: a patient who was awake with CPC 1 or 2
        after the CT and later died of another than an intracranial cause also counts as good (Kawai et al.
        2023).

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
        raise ValueError(f"{outcome.isna().sum()} patients have no outcome; exclude them with select first.")
    standard = outcome == 1 if "y_good" in patients else outcome.isin([1, 2])
    labels = pd.DataFrame({"y_good_standard": standard.astype(int)})
    if "cpc" in patients and set(REVISED) <= set(patients):
        woke_and_died = (patients["awake_after_ct"] == 1) & (patients["cpc"] == 5)
        revised = standard | (woke_and_died & (patients["death_cause_intracranial"] == 0))
        labels["y_good_revised"] = revised.astype(int)
    return labels


def select(patients: pd.DataFrame, *, criteria: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the included patients and the record of how they were selected.

    Parameters
    ----------
    patients : pandas.DataFrame
        All screened patients.
    criteria : mapping
        Fields of `postarrest.data.mapping.Criteria`, applied in the order given. The data's own exclusions
        come first if ``exclusions`` is not among them. A patient whose value is not recorded does not meet a
        criterion, and is counted separately.

    Returns
    -------
    included : pandas.DataFrame
        Rows of `patients`.
    flow : pandas.DataFrame
        One row per step: ``step`` (screened, excluded, kept, included), ``reason``, ``n`` (patients),
        ``n_left``. Reasons in the data that only one patient has are one row, `GIVEN_ONCE`, unless the
        criterion names them.

    Raises
    ------
    ValueError
        If a criterion is not one of `Criteria`, has a value of another type, or needs a missing column.

    Examples
    --------
    >>> reasons = [None, None, "trauma", "trauma", None, "seen by Dr No"]
    >>> screened = pd.DataFrame({"age_years": [70, 12, 55, 40, 61, 50], "exclusion": reasons})
    >>> included, flow = select(screened, criteria={"exclusions": "all", "min_age_years": 18})
    >>> included.index.tolist()
    [0, 4]
    >>> flow
           step                              reason  n  n_left
    0  screened                                      6       6
    1  excluded                              trauma  2       4
    2  excluded  reasons given for one patient each  1       3
    3  excluded               younger than 18 years  1       2
    4  included                                      2       2
    """
    try:
        Criteria.model_validate(criteria)
    except ValidationError as error:
        raise DataErrors(setting_errors(error, "criteria")) from None
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


def columns_of(name: str, value: Any) -> list[str]:
    """Return the columns that a criterion needs."""
    return value if name == "require" else [LIMITS[name][0]] if name in LIMITS else []


def _steps(
    patients: pd.DataFrame, left: pd.Series, name: str, value: Any
) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield what one criterion does: step, reason, and to which patients it applies."""
    if name == "exclusions":
        reasons = patients.get("exclusion", pd.Series(pd.NA, index=patients.index, dtype="str"))
        named = value if isinstance(value, list) else []
        once = reasons.map(reasons.value_counts()).eq(1) & ~reasons.isin(named)
        reasons = reasons.mask(once, GIVEN_ONCE)
        # Ties in alphabetical order, so that the record does not depend on the order of the rows.
        by_size = reasons.value_counts().sort_index().sort_values(ascending=False, kind="stable").index
        applied = {"all": list(by_size), "none": []}.get(value, value) if isinstance(value, str) else value
        kept = [reason for reason in by_size if reason not in applied]
        for step, listed in (("excluded", applied), ("kept", kept)):
            for reason in listed:
                yield step, str(reason), (reasons == reason).fillna(False).astype(bool)
        return
    for column in columns_of(name, value):
        if column not in patients:
            near = nearest(column, patients.columns)
            raise ValueError(f"criteria.{name}: the data have no column '{column}'{near}.")
        missing = patients[column].isna()
        if name == "require" or (missing & left).any():
            yield "excluded", f"{column} not recorded", missing
    if name in LIMITS:
        column, reason = LIMITS[name]
        values = patients[column]
        yield "excluded", reason.format(value), values < value if name.startswith("min") else values > value


def good_or_poor(column: pd.Series, outcome: Outcome, file: str, found: Findings) -> pd.Series:
    """Return 1 for a good and 0 for a poor outcome; other values are added to the errors in `found`."""
    values = {as_code(v): 1.0 for v in outcome.good} | {as_code(v): 0.0 for v in outcome.poor}
    y_good = column.map(as_code, na_action="ignore").map(values).astype(float)
    expected = f"good: {outcome.good}, poor: {outcome.poor}"
    wrong = column.notna() & y_good.isna()
    found.errors += in_rows(column[wrong], file, "codes", expected, outcome.column)
    # 0, so that a wrong value is not reported again as missing.
    return y_good.mask(wrong, 0.0)


def check_outcome(
    patients: pd.DataFrame, included: pd.Series, settings: ExportSettings, file: str, found: Findings
) -> None:
    """Add missing outcomes of the included patients, and an outcome that does not vary, to the errors."""
    name, shown, good_values = "cpc", settings.shown_name("cpc"), [1, 2]
    if settings.outcome:
        name, shown, good_values = "y_good", settings.outcome.column, [1]
    if name not in patients:
        return

    def report_blank(column: str, shown: str, of_whom: pd.Series, expected: str) -> None:
        cells = pd.Series("", index=patients.index[of_whom & patients[column].isna()])
        found.errors += in_rows(cells, file, "outcome", expected, shown)

    reported = patients.index.isin([error.row for error in found.errors if error.column == shown])
    expected = "the outcome of every included patient, or a reason in exclusion"
    report_blank(name, shown, included & ~reported, expected)
    if "revised" in settings.outcome_labels and {"cpc", *REVISED} <= set(patients):
        died = included & (patients["cpc"] == 5)
        woke = died & (patients["awake_after_ct"] == 1)
        awake, intracranial = REVISED
        report_blank(awake, awake, died, "yes or no for a patient who died, which the revised label needs")
        report_blank(intracranial, intracranial, woke, "yes or no for a patient who woke and died")
    good = patients.loc[included, name].dropna().isin(good_values)
    if not included.any():
        expected = "some patients with a blank exclusion"
        found.errors.append(Finding(file, "included", "no included patient", expected))
    elif not reported.any() and good.nunique() == 1:
        what = f"a {'good' if good.iloc[0] else 'poor'} outcome in every included patient"
        found.errors.append(Finding(file, "outcome", what, "both outcomes", column=shown))
