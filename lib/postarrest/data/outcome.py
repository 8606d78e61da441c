"""The outcome of each patient: CPC, or another column that the study names."""

import pandas as pd

from postarrest.data.cohort import REVISED
from postarrest.data.errors import Finding, Findings, in_rows
from postarrest.data.mapping import ExportSettings, Outcome, as_code


def named_outcome(column: pd.Series, outcome: Outcome, file: str, found: Findings) -> pd.Series:
    """Return 1 for a good and 0 for a poor outcome; other values are added to the errors in `found`."""
    sides = {as_code(v): 1.0 for v in outcome.good} | {as_code(v): 0.0 for v in outcome.poor}
    y_good = column.map(as_code, na_action="ignore").map(sides).astype(float)
    expected = f"good: {outcome.good}, poor: {outcome.poor}"
    found.errors += in_rows(column[column.notna() & y_good.isna()], file, "codes", expected, outcome.column)
    # 0, so that a wrong value is not reported again as missing.
    return y_good.where(column.isna() | y_good.notna(), 0.0)


def check_outcome(
    patients: pd.DataFrame, included: pd.Series, settings: ExportSettings, file: str, found: Findings
) -> None:
    """Add to the errors in `found` what the included patients' outcomes lack."""
    name, shown = (
        ("y_good", settings.outcome.column) if settings.outcome else ("cpc", settings.shown_name("cpc"))
    )
    if name not in patients:
        return

    def blank(column: str, shown: str, of_whom: pd.Series, expected: str) -> list[Finding]:
        cells = pd.Series("", index=patients.index[of_whom & patients[column].isna()])
        return in_rows(cells, file, "outcome", expected, shown)

    reported = patients.index.isin([error.row for error in found.errors if error.column == shown])
    expected = "the outcome of every included patient, or a reason in exclusion"
    found.errors += blank(name, shown, included & ~reported, expected)
    if "revised" in settings.outcome_labels and {"cpc", *REVISED} <= set(patients):
        died = included & (patients["cpc"] == 5)
        woke = died & (patients["awake_after_ct"] == 1)
        awake, intracranial = REVISED
        expected = "yes or no for a patient who died, which the revised label needs"
        found.errors += blank(awake, awake, died, expected)
        found.errors += blank(intracranial, intracranial, woke, "yes or no for a patient who woke and died")
    good = patients.loc[included, name].dropna().isin([1] if settings.outcome else [1, 2])
    if not included.any():
        expected = "some patients with a blank exclusion"
        found.errors.append(Finding(file, "included", "no included patient", expected))
    elif not reported.any() and good.nunique() == 1:
        what = f"a {'good' if good.iloc[0] else 'poor'} outcome in every included patient"
        found.errors.append(Finding(file, "outcome", what, "both outcomes", column=shown))
