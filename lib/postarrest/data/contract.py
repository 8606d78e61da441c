"""The data contract: the schemas of a study's tables, made from ``contract.yaml``.

The pandera schemas `PATIENTS` and `GWR` are the contract; `checks` applies them, and the tables of
``docs/data-dictionary.md`` are made from them (see `dictionary`).
"""

from pathlib import Path
from typing import Any

import pandera.pandas as pa

from postarrest.files import load_yaml

# A patient's id becomes a file name in ct/, so it contains no path and nothing that a shell or a spreadsheet
# would interpret.
ID_PATTERN = r"[^\W_](?:[\w.\-]{0,62}[\w\-])?"
ID_EXPECTED = "1 to 64 letters, digits, '.', '-' or '_', beginning with a letter or digit"


def _column(
    kind: str, meaning: str, needed_for: str, label: str = "", allowed: Any = None, **about: Any
) -> pa.Column:
    """Return one column; its arguments are the keys of ``contract.yaml``."""
    defaults = {"unit": "", "other_units": {}, "below": "", "above": ""}
    about = {"kind": kind, "part": needed_for, **defaults, **about}
    checks = []
    if kind == "id":
        checks = [pa.Check.str_matches(f"^{ID_PATTERN}$", error=ID_EXPECTED)]
    elif kind == "code":
        checks = [pa.Check.isin(about["codes"], error=" | ".join(about["codes"]))]
    elif kind == "yes or no":
        about["codes"] = ("yes", "no")
        checks = [pa.Check.isin([0, 1], error="yes | no")]
    elif allowed:
        low, high = about["bounds"] = tuple(allowed)
        about["plausible"] = tuple(about.pop("usual", allowed))
        checks = [pa.Check.in_range(low, high, error=f"{low:g} to {high:g} {about['unit']}".rstrip())]
    if kind == "whole number":
        checks.append(pa.Check(lambda s: s % 1 == 0, error="a whole number"))
    return pa.Column(
        str if kind in ("id", "code", "text") else float,
        checks,
        nullable=kind != "id",
        required=kind == "id",
        title=label,
        description=meaning,
        metadata=about,
    )


def _schema(name: str, unique: list[str]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {column: _column(**about) for column, about in _CONTRACT[name]["columns"].items()},
        name=name,
        unique=unique,
        report_duplicates="exclude_first",
        description=_CONTRACT[name]["description"],
    )


_CONTRACT = load_yaml(Path(__file__).with_suffix(".yaml"))
PATIENTS = _schema("patients", unique=["patient_id"])
GWR = _schema("gwr", unique=["patient_id", "reader", "reading", "region", "side"])
COLUMNS = {**PATIENTS.columns, **GWR.columns}
# The columns that outcome labels are derived from, which no model may use.
OUTCOME = (
    *("cpc", "awake_after_ct", "death_cause_intracranial", "death_cause", "arrest_to_death_days"),
    *("treatment_withdrawn", "withdrawal_day"),
)
# The regions of each ratio: gray matter, and the white matter by which it is divided.
RATIOS = ((("CN", "PU"), ("PLIC", "CC")), (("MC1", "MC2"), ("MW1", "MW2")))
REGIONS = tuple(GWR.columns["region"].metadata["codes"])
# Factors from the units of laboratories and exports onto the contract's, by column.
UNITS: dict[str, dict[str, float]] = {
    name: {column.metadata["unit"]: 1, **column.metadata["other_units"]}
    for name, column in COLUMNS.items()
    if column.metadata["other_units"]
}
# Names for readers: of the columns in Table 1, in its order, and of codes.
NAMES = {name: column.title for name, column in PATIENTS.columns.items() if column.title}
LEVELS: dict[str, str] = _CONTRACT["levels"]


def ratios(hu: Any) -> list[Any]:
    """Return each of `RATIOS` from the attenuation of regions, HU: numbers by name, or columns of a table.

    Examples
    --------
    >>> ratios({"CN": 36, "PU": 36, "PLIC": 30, "CC": 30, "MC1": 35, "MW1": 28, "MC2": 35, "MW2": 28})
    [1.2, 1.25]
    """
    return [(hu[a] + hu[b]) / (hu[c] + hu[d]) for (a, b), (c, d) in RATIOS]


def is_outcome(name: str) -> bool:
    """Return whether a column tells the outcome, by its name: one of `OUTCOME`, or an outcome label.

    Examples
    --------
    >>> is_outcome("cpc"), is_outcome("y_good_standard"), is_outcome("age_years")
    (True, True, False)
    """
    return name in OUTCOME or str(name).startswith("y_good")
