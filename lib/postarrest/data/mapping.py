"""A hospital's column names, codes and units mapped onto the data contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from postarrest.data import contract, errors
from postarrest.data.cohort import CRITERIA, wrong_criterion
from postarrest.data.errors import Finding

ROW_NUMBERS = "{row}"
ALL_COLUMNS = "*"
TABLE_FORMAT = ("encoding", "delimiter", "decimal", "sheet")
MODALITIES = ("gwr", "ct")


@dataclass(frozen=True)
class ColumnMapping:
    """How a study's export is mapped onto the contract."""

    columns: Mapping[str, str]
    codes: Mapping[str, Mapping[Any, Any]]
    units: Mapping[str, str]
    outcome: Mapping[str, Any]
    predictors: Sequence[str]
    table_format: Mapping[str, str]
    revised: bool

    def export_name(self, name: str) -> str:
        return str(self.columns.get(name, name))

    def shown_name(self, name: str) -> str:
        export = self.export_name(name)
        return name if export in (name, ROW_NUMBERS) else f"{name} (export: {export})"


@dataclass
class Findings:
    """What a pass over the data brings to light."""

    faults: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    patients_file: str = ""


def faults_of_mapping(
    mapping: ColumnMapping, modalities: Sequence[str], criteria: Mapping[str, Any], *, single_table: bool
) -> Iterator[Finding]:
    known = {*contract.PATIENTS.columns, *contract.GWR.columns}
    allowed = {*known, *mapping.predictors}

    def fault(where: str, found: str, expected: str) -> Finding:
        return Finding("study file", "settings", found, expected, column=where)

    for name in mapping.columns:
        if name not in allowed:
            yield fault("columns", f"'{name}'", f"a name of the contract{errors.nearest(name, allowed)}")
    for name in mapping.codes:
        if name not in {*allowed, ALL_COLUMNS}:
            yield fault("codes", f"'{name}'", f"a name of the contract{errors.nearest(name, allowed)}")
    for name, unit in mapping.units.items():
        if name not in contract.UNITS:
            near = errors.nearest(name, contract.UNITS)
            yield fault("units", f"'{name}'", f"a column with a unit{near}")
        elif unit not in contract.UNITS[name]:
            yield fault(f"units.{name}", f"'{unit}'", f"one of {', '.join(contract.UNITS[name])}")
    for name in mapping.table_format:
        if name not in TABLE_FORMAT:
            yield fault("table_format", f"'{name}'", f"one of {', '.join(TABLE_FORMAT)}")
    if mapping.table_format.get("decimal", ".") not in (".", ","):
        yield fault("table_format.decimal", f"'{mapping.table_format['decimal']}'", "'.' or ','")
    if len(mapping.table_format.get("delimiter", ",")) != 1:
        yield fault("table_format.delimiter", f"'{mapping.table_format['delimiter']}'", "one character")
    for name in modalities:
        if name not in MODALITIES:
            yield fault("modalities", f"'{name}'", f"some of {', '.join(MODALITIES)}")
    yield from _faults_of_outcome(mapping, fault)
    for name, value in criteria.items():
        if name not in CRITERIA:
            near = errors.nearest(name, CRITERIA)
            yield fault("criteria", f"'{name}'", f"one of {', '.join(CRITERIA)}{near}")
        elif wanted := wrong_criterion(name, value):
            yield fault(f"criteria.{name}", repr(value), wanted)
    if modalities and single_table:
        yield fault("data", "a single table", f"a folder that also has {' and '.join(modalities)}")
    if modalities and mapping.columns.get("patient_id") == ROW_NUMBERS:
        yield fault(
            "columns.patient_id", "'{row}'", f"a column with ids, to find {' and '.join(modalities)} by"
        )


def _faults_of_outcome(mapping: ColumnMapping, fault: Any) -> Iterator[Finding]:
    outcome = mapping.outcome
    if not outcome:
        return
    if mapping.revised:
        yield fault(
            "outcome_labels",
            "'revised' with an outcome of the study's own",
            "CPC, which the revised label changes",
        )
    missing = [key for key in ("column", "good", "poor", "meaning") if key not in outcome]
    if missing:
        yield fault("outcome", f"no {', '.join(missing)}", "column, good, poor and meaning")
        return
    if not isinstance(outcome["good"], list) or not isinstance(outcome["poor"], list):
        yield fault("outcome", "a single value", "lists: good: [0], poor: [1]")
        return
    both = {as_code(v) for v in outcome["good"]} & {as_code(v) for v in outcome["poor"]}
    if both:
        yield fault("outcome", f"{', '.join(sorted(both))} as good and as poor", "each value on one side")
    if outcome["column"] in [mapping.export_name(name) for name in mapping.predictors]:
        yield fault(
            "predictors",
            f"the outcome's own column '{outcome['column']}'",
            "columns known before the outcome",
        )


def as_code(value: Any) -> str:
    """Return one text for a value, however a YAML file or an export writes it (1, 1.0, '1'; yes, true)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value).strip().casefold()
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return {"true": "yes", "false": "no"}.get(text, text)


def as_cell(value: Any) -> str | float:
    if value is None or value == "":
        return np.nan
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
