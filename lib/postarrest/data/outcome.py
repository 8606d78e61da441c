"""The outcome column of an export, standard or the study's own."""

import pandas as pd

from postarrest.data import errors
from postarrest.data.cells import Where
from postarrest.data.cohort import REVISED
from postarrest.data.errors import Finding
from postarrest.data.mapping import ColumnMapping, Findings, as_code


def named_outcome(column: pd.Series, mapping: ColumnMapping, file: str, found: Findings) -> pd.Series:
    outcome = mapping.outcome
    sides = {as_code(v): 1.0 for v in outcome["good"]} | {as_code(v): 0.0 for v in outcome["poor"]}
    y_good = column.map(as_code, na_action="ignore").map(sides).astype(float)
    expected = f"good: {outcome['good']}, poor: {outcome['poor']}"
    where = Where(file, str(outcome["column"]), ".", found)
    where.faults("codes", column[column.notna() & y_good.isna()], expected)
    # A value that is told as a fault must not be told once more as missing.
    return y_good.where(column.isna() | y_good.notna(), 0.0)


def check_outcome(
    patients: pd.DataFrame, included: pd.Series, mapping: ColumnMapping, file: str, found: Findings
) -> None:
    name, shown = (
        ("y_good", mapping.outcome["column"]) if mapping.outcome else ("cpc", mapping.shown_name("cpc"))
    )
    if name not in patients:
        return
    already = {fault.row for fault in found.faults if fault.column == shown}
    blank = [row for row in patients.index[included & patients[name].isna()] if row not in already]
    expected = "the outcome of every included patient; say why in exclusion otherwise"
    found.faults += errors.many(
        blank, lambda row: Finding(file, "outcome", "a blank cell", expected, row, shown)
    )
    if mapping.revised and {"cpc", *REVISED} <= set(patients):
        died = included & (patients["cpc"] == 5)
        asked = {
            "awake_after_ct": (died, "yes or no for a patient who died, which the revised label asks"),
            "death_cause_intracranial": (
                died & (patients["awake_after_ct"] == 1),
                "yes or no for a patient who woke and died",
            ),
        }
        for column, (of_whom, expected) in asked.items():
            found.faults += [
                Finding(file, "outcome", "a blank cell", expected, int(row), column)
                for row in patients.index[of_whom & patients[column].isna()]
            ]
    good = patients.loc[included, name].dropna().isin([1] if mapping.outcome else [1, 2])
    if not included.any():
        found.faults.append(
            Finding(file, "included", "no included patient", "some patients with a blank exclusion")
        )
    elif len(good) and not already and good.nunique() < 2:
        side = "good" if good.iloc[0] else "poor"
        found.faults.append(
            Finding(
                file, "outcome", f"a {side} outcome in every included patient", "both outcomes", column=shown
            )
        )
