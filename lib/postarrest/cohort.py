"""A study's patients: tables read and checked, outcome labels, and who is included."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from postarrest import contract, tablefile
from postarrest.contract import DataFaults, Fault

ROW_NUMBERS = "{row}"
ALL_COLUMNS = "*"
CT_SUFFIXES = (".png", ".dcm", ".nii.gz", ".nii")
TABLE_FORMAT = ("encoding", "delimiter", "decimal", "sheet")
CRITERIA = ("exclusions", "min_age_years", "max_age_years", "max_rosc_to_ct_min", "require")
_CRITERION_COLUMNS = {
    "min_age_years": "age_years",
    "max_age_years": "age_years",
    "max_rosc_to_ct_min": "rosc_to_ct_min",
}
MODALITIES = ("gwr", "ct")

# What the revised label needs beside CPC.
_REVISED = ("awake_after_ct", "death_cause_intracranial")
_YES = ("yes", "y", "true", "1")
_NO = ("no", "n", "false", "0")
# A column of numbers with some words in it has faults; a column of words with some numbers in it holds
# categories.
_NUMBERS_FROM = 0.5
_MOST_LEVELS = 30
_ANISOCORIA_MM = 3
# Words that say "included" where the contract wants a blank cell.
_NOT_A_REASON = {"no", "none", "0", "false", "included", "n/a", "na", "-"}


@dataclass(frozen=True)
class StudyData:
    """A study's data as the contract wants them.

    Parameters
    ----------
    patients : pandas.DataFrame
        Index ``patient_id`` (text). Numbers, and yes/no as 1 and 0, are float with NaN for blank; codes and
        texts are pandas strings. Contract columns that the file has, then predictors, then ``y_good`` (1, 0)
        where the study names an outcome other than CPC.
    gwr : pandas.DataFrame or None
        One row a reading, columns of `contract.GWR`; ``reading`` is int.
    ct : pandas.Series or None
        ``patient_id`` -> path of the CT file or folder, for the patients who have one.
    rows : pandas.Series
        ``patient_id`` -> row of the patient table, by which a person can look a patient up without an id.
    faults : tuple of Fault
        What is wrong; empty in what `read` returns.
    warnings : tuple of Fault
        What is possible but worth a look.
    notes : tuple of str
        How the files were read.
    """

    patients: pd.DataFrame
    gwr: pd.DataFrame | None
    ct: pd.Series | None
    rows: pd.Series = field(repr=False)
    faults: tuple[Fault, ...] = field(repr=False)
    warnings: tuple[Fault, ...] = field(repr=False)
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Mapping:
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
class _Findings:
    """What a pass over the data brings to light."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    patients_file: str = ""


def read(
    data: Path,
    *,
    modalities: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    codes: Mapping[str, Mapping[Any, Any]] | None = None,
    units: Mapping[str, str] | None = None,
    outcome: Mapping[str, Any] | None = None,
    predictors: Sequence[str] = (),
    criteria: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    table_format: Mapping[str, str] | None = None,
) -> StudyData:
    """Read and check a study's data; everything wrong is told at once.

    Parameters
    ----------
    data : pathlib.Path
        The study's folder, or the patient table itself where there is nothing else.
    modalities : sequence of str
        What the study has beside its patient table: ``"gwr"``, ``"ct"``.
    columns : mapping
        Contract name -> the export's name. ``{"patient_id": "{row}"}`` numbers the rows.
    codes : mapping
        Contract name -> {the export's value: the contract's value, or None for missing}. The name ``"*"``
        stands for every column.
    units : mapping
        Contract name -> the export's unit, one of `contract.UNITS`.
    outcome : mapping
        Empty for CPC, or ``{"column": the export's name, "good": [values], "poor": [values], "meaning":
        text}``.
    predictors : sequence of str
        Further columns that models use: numbers, or categories; also patterns such as ``"eeg24h_*"``.
    criteria : mapping
        As for `select`: outcome and CT must be there for the patients who meet them.
    labels : sequence of str
        Outcome labels in use: ``"standard"``, ``"revised"``. The revised one needs columns of its own.
    table_format : mapping
        ``encoding``, ``delimiter``, ``decimal`` (``","``) and ``sheet`` of the tables, where the files don't
        tell.

    Raises
    ------
    postarrest.contract.DataFaults
        Listing every fault by file, row, column, found and expected.
    """
    study = examine(
        data,
        modalities=modalities,
        columns=columns,
        codes=codes,
        units=units,
        outcome=outcome,
        predictors=predictors,
        criteria=criteria,
        labels=labels,
        table_format=table_format,
    )
    if study.faults:
        raise DataFaults(study.faults)
    return study


def examine(
    data: Path,
    *,
    modalities: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    codes: Mapping[str, Mapping[Any, Any]] | None = None,
    units: Mapping[str, str] | None = None,
    outcome: Mapping[str, Any] | None = None,
    predictors: Sequence[str] = (),
    criteria: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    table_format: Mapping[str, str] | None = None,
) -> StudyData:
    """Read a study's data as `read` does, but return faults instead of raising them.

    What could be read stands in the result beside its faults (cells that are wrong are blank), so that the
    images can be looked at in the same pass. Nothing is to be computed from it.
    """
    data = Path(data)
    mapping = _Mapping(
        columns or {},
        codes or {},
        units or {},
        outcome or {},
        predictors,
        table_format or {},
        revised="revised" in labels,
    )
    found = _Findings()
    found.faults += _faults_of_mapping(mapping, modalities, criteria or {}, single_table=data.is_file())
    patients = None if found.faults else _read_patients(data, mapping, found)
    gwr = ct = None
    if patients is None:
        patients = pd.DataFrame({"patient_id": pd.Series(dtype="str")})
    else:
        file = found.patients_file
        included = _included(patients, criteria or {}, file, found)
        _check_outcome(patients, included, mapping, file, found)
        if "ct" in modalities:
            ct = _find_ct(data, patients, included, found)
        if "gwr" in modalities:
            gwr = _read_gwr(data, mapping, patients, included, found)
    rows = pd.Series(patients.index, index=pd.Index(patients["patient_id"]), name="row")
    return StudyData(
        patients=patients.set_index("patient_id"),
        gwr=gwr,
        ct=ct,
        rows=rows,
        faults=tuple(found.faults),
        warnings=tuple(found.warnings),
        notes=tuple(found.notes),
    )


def fingerprint(data: Path) -> str:
    """Return a text that changes when any file of a study's data does, and that tells no file's name.

    Names, sizes and times of change are what it is made from, so that it costs no reading. File names may
    hold patients' ids: whatever keeps a list of what it has read should keep this in its stead.

    Parameters
    ----------
    data : pathlib.Path
        The study's folder or patient table.
    """
    data = Path(data)
    files = sorted(p for p in data.rglob("*") if p.is_file()) if data.is_dir() else [data]
    digest = hashlib.sha256()
    for path in files:
        about = path.stat()
        digest.update(f"{path.relative_to(data)}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# ---------------------------------------------------------------------- the mapping


def _faults_of_mapping(
    mapping: _Mapping, modalities: Sequence[str], criteria: Mapping[str, Any], *, single_table: bool
) -> Iterator[Fault]:
    known = {*contract.PATIENTS.columns, *contract.GWR.columns}
    allowed = {*known, *mapping.predictors}

    def fault(where: str, found: str, expected: str) -> Fault:
        return Fault("study file", "settings", found, expected, column=where)

    for name in mapping.columns:
        if name not in allowed:
            yield fault("columns", f"'{name}'", f"a name of the contract{contract.nearest(name, allowed)}")
    for name in mapping.codes:
        if name not in {*allowed, ALL_COLUMNS}:
            yield fault("codes", f"'{name}'", f"a name of the contract{contract.nearest(name, allowed)}")
    for name, unit in mapping.units.items():
        if name not in contract.UNITS:
            near = contract.nearest(name, contract.UNITS)
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
            near = contract.nearest(name, CRITERIA)
            yield fault("criteria", f"'{name}'", f"one of {', '.join(CRITERIA)}{near}")
        elif wanted := _wrong_criterion(name, value):
            yield fault(f"criteria.{name}", repr(value), wanted)
    if modalities and single_table:
        yield fault("data", "a single table", f"a folder that also has {' and '.join(modalities)}")
    if modalities and mapping.columns.get("patient_id") == ROW_NUMBERS:
        yield fault(
            "columns.patient_id", "'{row}'", f"a column with ids, to find {' and '.join(modalities)} by"
        )


def _wrong_criterion(name: str, value: Any) -> str:
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


def _faults_of_outcome(mapping: _Mapping, fault: Any) -> Iterator[Fault]:
    outcome = mapping.outcome
    if not outcome:
        return
    if mapping.revised:
        yield fault(
            "labels", "'revised' with an outcome of the study's own", "CPC, which the revised label changes"
        )
    missing = [key for key in ("column", "good", "poor", "meaning") if key not in outcome]
    if missing:
        yield fault("outcome", f"no {', '.join(missing)}", "column, good, poor and meaning")
        return
    if not isinstance(outcome["good"], list) or not isinstance(outcome["poor"], list):
        yield fault("outcome", "a single value", "lists: good: [0], poor: [1]")
        return
    both = {_as_code(v) for v in outcome["good"]} & {_as_code(v) for v in outcome["poor"]}
    if both:
        yield fault("outcome", f"{', '.join(sorted(both))} as good and as poor", "each value on one side")
    if outcome["column"] in [mapping.export_name(name) for name in mapping.predictors]:
        yield fault(
            "predictors",
            f"the outcome's own column '{outcome['column']}'",
            "columns known before the outcome",
        )


# ---------------------------------------------------------------------- patients


def _read_patients(data: Path, mapping: _Mapping, found: _Findings) -> pd.DataFrame | None:
    """Return typed patients (index: row of the file), or None where there is no table to speak of."""
    path = data if data.is_file() else _table_of(data, "patients", found)
    if path is None:
        return None
    found.patients_file = path.name
    wanted = {mapping.export_name(name) for name in (*contract.PATIENTS.columns, *mapping.predictors)}
    raw = _raw(path, wanted | {str(mapping.outcome.get("column", "cpc"))}, mapping, found)
    if raw is None:
        return None
    predictors, missing = _named_predictors(mapping, raw.header, path.name, found)
    names = dict.fromkeys([*contract.PATIENTS.columns, *predictors])
    present = {n: mapping.export_name(n) for n in names if mapping.export_name(n) in raw.header}
    required = ["patient_id", *(n for n in mapping.columns if n in contract.PATIENTS.columns)]
    if not mapping.outcome:
        required.append("cpc")
    if mapping.revised:
        required += [name for name in _REVISED if name not in required]
    missing += [e for e in map(mapping.export_name, required) if e not in (*raw.header, ROW_NUMBERS)]
    if mapping.outcome and mapping.outcome["column"] not in raw.header:
        missing.append(str(mapping.outcome["column"]))
    found.faults += _missing_columns(missing, raw.header, path.name)
    _warn_of_unknown(raw.header, present, mapping, path.name, found)

    cells = pd.DataFrame({name: raw.cells[export] for name, export in present.items()}, index=raw.cells.index)
    if mapping.columns.get("patient_id") == ROW_NUMBERS:
        width = len(str(len(cells)))
        numbers = [f"{i:0{width}d}" for i in range(1, len(cells) + 1)]
        cells.insert(0, "patient_id", pd.Series(numbers, index=cells.index, dtype="str"))
    patients = _typed(cells, contract.PATIENTS, mapping, path.name, found)
    if mapping.outcome and mapping.outcome["column"] in raw.cells:
        patients["y_good"] = _named_outcome(raw.cells[mapping.outcome["column"]], mapping, path.name, found)
    return patients if "patient_id" in patients else None


def _named_predictors(
    mapping: _Mapping, header: Sequence[str], file: str, found: _Findings
) -> tuple[list[str], list[str]]:
    """Return the names of predictors, patterns made into names, and the export's names that are not there."""
    names: list[str] = []
    missing = []
    for name in mapping.predictors:
        matched = tablefile.matching(header, [name]) if "*" in name else []
        if "*" in name and mapping.outcome.get("column", mapping.export_name("cpc")) in matched:
            expected = "columns known before the outcome"
            found.faults.append(
                Fault(file, "settings", "the outcome among the predictors", expected, column=name)
            )
        if mapping.export_name(name) not in header and not matched:
            missing.append(mapping.export_name(name))
        names += matched if "*" in name else [name]
    return names, missing


def _missing_columns(missing: Sequence[str], header: Sequence[str], file: str) -> Iterator[Fault]:
    for name in dict.fromkeys(missing):
        near = contract.nearest(name, header)
        yield Fault(file, "column", "no such column", f"a column of this name{near}", row=1, column=name)


def _table_of(data: Path, stem: str, found: _Findings) -> Path | None:
    try:
        files = tablefile.find(data, stem)
    except OSError as error:
        found.faults.append(Fault("data", "readable", error.strerror or "an error", "the study's folder"))
        return None
    if len(files) == 1 and contract.stays_inside(files[0], data):
        return files[0]
    if len(files) == 1:
        found.faults.append(Fault(files[0].name, "link", "a link out of the study's folder", "a file in it"))
    else:
        what = ", ".join(f.name for f in files) if files else "no such file"
        endings = ", ".join(tablefile.SUFFIXES)
        found.faults.append(Fault(stem, "readable", what, f"one file named {stem} with one of {endings}"))
    return None


def _raw(path: Path, wanted: set[str], mapping: _Mapping, found: _Findings) -> tablefile.RawTable | None:
    options = {k: v for k, v in mapping.table_format.items() if k != "decimal"}
    try:
        raw = tablefile.read(path, names=wanted, **options)
    except DataFaults as error:
        found.faults += error.items
        return None
    found.notes.append(f"{path.name}: {len(raw.cells)} rows, {', '.join(raw.notes)}")
    return raw


def _warn_of_unknown(
    header: Sequence[str], present: Mapping[str, str], mapping: _Mapping, file: str, found: _Findings
) -> None:
    """Warn of columns that are unused although their name is nearly one of the contract's."""
    absent = [name for name in contract.PATIENTS.columns if name not in present]
    used = {*present.values(), str(mapping.outcome.get("column"))}
    for name in header:
        near = contract.nearest(name, absent, cutoff=0.8)
        if name not in used and near:
            found.warnings.append(
                Fault(file, "column", "a column that is not used", f"a name of the contract{near}", 1, name)
            )


def _typed(
    cells: pd.DataFrame, schema: pa.DataFrameSchema, mapping: _Mapping, file: str, found: _Findings
) -> pd.DataFrame:
    """Return a table with the contract's types; whatever doesn't fit is a fault."""
    shown = {name: mapping.shown_name(name) for name in cells}
    typed: dict[str, pd.Series] = {}
    for name in cells:
        kind = schema.columns[name].metadata["kind"] if name in schema.columns else "predictor"
        column = _decoded(cells[name], {**mapping.codes.get(ALL_COLUMNS, {}), **mapping.codes.get(name, {})})
        where = _Where(file, shown[name], mapping.table_format.get("decimal", "."), found)
        if name == "patient_id":
            typed[name] = _ids(column, where)
        elif kind in ("number", "whole number"):
            factor = contract.UNITS.get(name, {}).get(mapping.units.get(name, ""), 1)
            typed[name] = _numbers(column, where) * factor
        elif kind == "yes or no":
            typed[name] = _yes_no(column, where)
        elif kind == "code":
            typed[name] = _coded(column, schema.columns[name].metadata["codes"])
        elif kind == "text":
            typed[name] = column
        else:
            typed[name] = _predictor(column, where)
    table = pd.DataFrame(typed, index=cells.index)
    places = {"cells": cells, "file": file, "names": shown}
    found.faults += contract.check(table, schema, **places)
    found.warnings += contract.implausible(table, schema, **places)
    found.warnings += _odd_columns(table, cells, file, shown)
    return table


@dataclass(frozen=True)
class _Where:
    file: str
    column: str
    decimal: str
    found: _Findings

    def faults(self, rule: str, cells: pd.Series, expected: str | Callable[[str], str]) -> None:
        """Tell of some cells, all of which break one rule."""
        self.found.faults += contract.many(
            cells.index,
            lambda row: Fault(
                self.file,
                rule,
                cells[row],
                expected if isinstance(expected, str) else expected(cells[row]),
                row,
                self.column,
                verbatim=True,
            ),
        )


def _as_code(value: Any) -> str:
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


def _decoded(column: pd.Series, codes: Mapping[Any, Any]) -> pd.Series:
    if not codes:
        return column
    plain = {_as_code(key): _as_cell(value) for key, value in codes.items()}
    return column.map(lambda cell: plain.get(_as_code(None if pd.isna(cell) else cell), cell)).astype("str")


def _as_cell(value: Any) -> str | float:
    if value is None or value == "":
        return np.nan
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _ids(column: pd.Series, where: _Where) -> pd.Series:
    where.faults("id", column[column.isna()].fillna(""), contract.ID_EXPECTED)
    # Blank ids are told already; numbering them keeps them from being told again as equal to each other.
    return column.where(column.notna(), "row" + column.index.astype(str))


def _numbers(column: pd.Series, where: _Where) -> pd.Series:
    text = column.str.replace(",", ".") if where.decimal == "," else column
    is_number = text.str.fullmatch(contract.NUMBER_PATTERN).fillna(False).astype(bool)
    where.faults("number", column[column.notna() & ~is_number], lambda c: _number_expected(c, where.decimal))
    numbers = pd.to_numeric(text.where(is_number)).astype(float)
    where.faults("number", column[np.isinf(numbers)], "a finite number")
    return numbers.where(~np.isinf(numbers))


def _number_expected(cell: str, decimal: str) -> str:
    what = contract.described(cell)
    if what in ("a date", "a clock time"):
        return f"a number, not {what}"
    if what == "a formula":
        return "a number; save the results of formulas as values"
    if cell.startswith("#"):
        return "a number, not a spreadsheet's error"
    if "inf" in cell.casefold():
        return "a finite number"
    if "," in cell and contract.is_number(cell.replace(",", "")) and "." in cell:
        return "a number without marks for thousands"
    if decimal == "." and contract.is_number(cell.replace(",", ".", 1)):
        return "a number with a decimal point; say table_format: {decimal: ','} for decimal commas"
    if any(c.isdigit() and not c.isascii() for c in cell):
        return "a number in ASCII digits, not full-width ones"
    if any(c.isdigit() for c in cell):
        return "a number without a unit or sign beside it"
    return "a number or a blank cell; say codes: {column: {word: null}} for words that mean missing"


def _yes_no(column: pd.Series, where: _Where) -> pd.Series:
    plain = column.map(_as_code, na_action="ignore")
    numbers = plain.map({**dict.fromkeys(_YES, 1.0), **dict.fromkeys(_NO, 0.0)}).astype(float)
    where.faults("codes", column[column.notna() & numbers.isna()], "yes | no (or 1 | 0)")
    return numbers


def _coded(column: pd.Series, codes: Sequence[str]) -> pd.Series:
    plain = {code.casefold(): code for code in codes}
    return column.map(lambda cell: plain.get(cell.casefold(), cell), na_action="ignore").astype("str")


def _predictor(column: pd.Series, where: _Where) -> pd.Series:
    given = column.dropna()
    text = given.str.replace(",", ".") if where.decimal == "," else given
    are_numbers = text.str.fullmatch(contract.NUMBER_PATTERN).astype(bool)
    if given.empty:
        where.found.faults.append(
            Fault(where.file, "empty", "no value in any row", "values of a predictor", column=where.column)
        )
        return column.astype(float)
    if are_numbers.mean() >= _NUMBERS_FROM:
        return _numbers(column, where)
    if given.nunique() > max(_MOST_LEVELS, 0.5 * len(given)):
        found = f"{given.nunique()} different texts in {len(given)} rows"
        expected = "a predictor: numbers, or a few categories"
        where.found.faults.append(Fault(where.file, "categories", found, expected, column=where.column))
    odd = given[given.str.startswith("=") | given.str.startswith("#")]
    where.faults("formula", odd, "a value, not a formula or a spreadsheet's error")
    return column


def _odd_columns(
    table: pd.DataFrame, cells: pd.DataFrame, file: str, shown: Mapping[str, str]
) -> Iterator[Fault]:
    """Warn of what no single cell shows."""
    for name in table:
        if name != "exclusion" and cells[name].isna().all():
            yield Fault(file, "empty", "no value in any row", "some values", column=shown[name])
    if {"pupil_left_mm", "pupil_right_mm"} <= set(table):
        apart = (table["pupil_left_mm"] - table["pupil_right_mm"]).abs()
        for row in apart.index[apart > _ANISOCORIA_MM]:
            found = f"pupils {apart[row]:g} mm apart"
            expected = f"at most {_ANISOCORIA_MM} mm as a rule"
            yield Fault(file, "anisocoria", found, expected, int(row), "pupil_left_mm, pupil_right_mm")
    if "exclusion" in table:
        reasons = table["exclusion"].dropna()
        for row in reasons.index[reasons.str.casefold().isin(_NOT_A_REASON)]:
            expected = "a reason, or a blank cell for an included patient"
            yield Fault(
                file, "exclusion", reasons[row], expected, int(row), shown["exclusion"], verbatim=False
            )
    for name in ("exclusion", "cause", "death_cause"):
        if name in table and table[name].nunique() > _MOST_LEVELS:
            found = f"{table[name].nunique()} different texts"
            yield Fault(file, "categories", found, f"at most {_MOST_LEVELS} as a rule", column=shown[name])


# ---------------------------------------------------------------------- outcome


def _named_outcome(column: pd.Series, mapping: _Mapping, file: str, found: _Findings) -> pd.Series:
    outcome = mapping.outcome
    sides = {_as_code(v): 1.0 for v in outcome["good"]} | {_as_code(v): 0.0 for v in outcome["poor"]}
    y_good = column.map(_as_code, na_action="ignore").map(sides).astype(float)
    expected = f"good: {outcome['good']}, poor: {outcome['poor']}"
    where = _Where(file, str(outcome["column"]), ".", found)
    where.faults("codes", column[column.notna() & y_good.isna()], expected)
    # A value that is told as a fault must not be told once more as missing.
    return y_good.where(column.isna() | y_good.notna(), 0.0)


def _check_outcome(
    patients: pd.DataFrame, included: pd.Series, mapping: _Mapping, file: str, found: _Findings
) -> None:
    name, shown = (
        ("y_good", mapping.outcome["column"]) if mapping.outcome else ("cpc", mapping.shown_name("cpc"))
    )
    if name not in patients:
        return
    already = {fault.row for fault in found.faults if fault.column == shown}
    blank = [row for row in patients.index[included & patients[name].isna()] if row not in already]
    expected = "the outcome of every included patient; say why in exclusion otherwise"
    found.faults += contract.many(
        blank, lambda row: Fault(file, "outcome", "a blank cell", expected, row, shown)
    )
    if mapping.revised and {"cpc", *_REVISED} <= set(patients):
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
                Fault(file, "outcome", "a blank cell", expected, int(row), column)
                for row in patients.index[of_whom & patients[column].isna()]
            ]
    good = patients.loc[included, name].dropna().isin([1] if mapping.outcome else [1, 2])
    if not included.any():
        found.faults.append(
            Fault(file, "included", "no included patient", "some patients with a blank exclusion")
        )
    elif len(good) and not already and good.nunique() < 2:
        side = "good" if good.iloc[0] else "poor"
        found.faults.append(
            Fault(
                file, "outcome", f"a {side} outcome in every included patient", "both outcomes", column=shown
            )
        )


def labels(patients: pd.DataFrame) -> pd.DataFrame:
    """Return outcome labels, good = 1.

    Parameters
    ----------
    patients : pandas.DataFrame
        Included patients, as `read` and `select` give them.

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
    >>> labels(pd.DataFrame({"cpc": [1, 3, 5, 5], "awake_after_ct": [1, 0, 1, 1],
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
    if "cpc" in patients and set(_REVISED) <= set(patients):
        woke = (patients["awake_after_ct"] == 1) & (patients["cpc"] == 5)
        made["y_good_revised"] = (standard | (woke & (patients["death_cause_intracranial"] == 0))).astype(int)
    return made


# ---------------------------------------------------------------------- who is included


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
            near = contract.nearest(name, CRITERIA)
            raise ValueError(f"criteria: found '{name}', expected one of {', '.join(CRITERIA)}{near}.")
        if wanted := _wrong_criterion(name, value):
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
    column = _CRITERION_COLUMNS[name]
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
        near = contract.nearest(name, patients.columns)
        raise ValueError(f"criteria: the data have no column '{name}'{near}.")
    return patients[name]


def _included(patients: pd.DataFrame, criteria: Mapping[str, Any], file: str, found: _Findings) -> pd.Series:
    possible = {}
    for name, value in criteria.items():
        needed = (
            value if name == "require" else [_CRITERION_COLUMNS[name]] if name in _CRITERION_COLUMNS else []
        )
        missing = [column for column in needed if column not in patients]
        for column in missing:
            expected = f"the column that criteria.{name} needs{contract.nearest(column, patients.columns)}"
            found.faults.append(Fault(file, "column", "no such column", expected, 1, column))
        if not missing:
            possible[name] = value
    included, _ = select(patients, criteria=possible)
    return pd.Series(patients.index.isin(included.index), index=patients.index)


# ---------------------------------------------------------------------- GWR and CT


def _read_gwr(
    data: Path, mapping: _Mapping, patients: pd.DataFrame, included: pd.Series, found: _Findings
) -> pd.DataFrame | None:
    path = _table_of(data, "gwr", found)
    if path is None:
        return None
    names = list(contract.GWR.columns)
    exports = {name: mapping.export_name(name) for name in names}
    raw = _raw(path, {*names, *exports.values()}, mapping, found)
    if raw is None:
        return None
    # Tables of one export rarely call a patient's id differently, but may: both names are good here.
    present = {n: e if e in raw.header else n for n, e in exports.items() if {n, e} & set(raw.header)}
    missing = [exports[name] for name in names if name not in present]
    found.faults += _missing_columns(missing, raw.header, path.name)
    cells = pd.DataFrame({name: raw.cells[export] for name, export in present.items()}, index=raw.cells.index)
    gwr = _typed(cells, contract.GWR, mapping, path.name, found)
    for name in set(cells) - {"patient_id", "area_mm2"}:
        found.faults += contract.many(
            cells.index[cells[name].isna()],
            lambda row, name=name: Fault(
                path.name, "blank", "a blank cell", "a value; no row where there is no reading", row, name
            ),
        )
    if missing:
        return None
    unknown = gwr.index[~gwr["patient_id"].isin(patients["patient_id"]) & cells["patient_id"].notna()]
    found.faults += contract.many(
        unknown,
        lambda row: Fault(
            path.name, "patient", "an id that no patient has", "an id of the patient table", row, "patient_id"
        ),
    )
    found.warnings += _incomplete_readings(gwr, patients.loc[included, "patient_id"])
    if gwr["reading"].notna().all():
        gwr = gwr.astype({"reading": int})
    return gwr.reset_index(drop=True)


def _incomplete_readings(gwr: pd.DataFrame, included: pd.Series) -> Iterator[Fault]:
    complete = 2 * len(contract.REGIONS) * 2
    counts = gwr.groupby("patient_id").size().reindex(included, fill_value=0)
    for what, number in (("no", (counts == 0).sum()), ("some", ((counts > 0) & (counts < complete)).sum())):
        if number:
            expected = (
                f"{complete} readings a patient (2 readings of {len(contract.REGIONS)} regions on 2 sides)"
            )
            yield Fault("gwr", "complete", f"{number} included patients with {what} readings", expected)


def _find_ct(data: Path, patients: pd.DataFrame, included: pd.Series, found: _Findings) -> pd.Series:
    paths: dict[str, Path] = {}
    folder = data / "ct"
    by_id: dict[str, list[Path]] = {}
    try:
        for entry in sorted(folder.iterdir()):
            by_id.setdefault(_patient_of(entry), []).append(entry)
    except OSError as error:
        expected = "a folder with the patients' CT"
        found.faults.append(Fault("ct", "readable", error.strerror or "an error", expected))
        return pd.Series(paths, dtype=object)
    for row, patient in patients["patient_id"].items():
        entries = by_id.pop(patient, [])
        wrong = _wrong_with_ct(entries, patient, needed=included[row], data=data)
        if wrong:
            found.faults.append(Fault("ct", *wrong, row=int(row), alias="CT"))
        elif entries:
            paths[patient] = entries[0]
    for entries in by_id.values():
        for entry in entries:
            found.warnings.append(
                Fault(
                    f"ct/{entry.name}",
                    "patient",
                    "a CT that no patient has",
                    "the id of a patient",
                    alias="ct",
                )
            )
    return pd.Series(paths, dtype=object, name="ct").rename_axis("patient_id")


def _wrong_with_ct(
    entries: Sequence[Path], patient: str, *, needed: bool, data: Path
) -> tuple[str, str, str] | None:
    """Return rule, found and expected, if anything is wrong with where a patient's CT lies."""
    if len(entries) > 1:
        kinds = ", ".join(entry.name.removeprefix(patient) or "a folder" for entry in entries)
        return "several", f"{len(entries)} CTs ({kinds})", "one a patient"
    if not entries:
        expected = f"<patient_id> with {', '.join(CT_SUFFIXES)}, or a folder of this name"
        return ("missing", "no CT of an included patient", expected) if needed else None
    if not contract.stays_inside(entries[0], data):
        return "link", "a link out of the study's folder", "files inside the study's folder"
    return None


def _patient_of(entry: Path) -> str:
    if entry.is_dir():
        return entry.name
    for suffix in CT_SUFFIXES:
        if entry.name.lower().endswith(suffix):
            return entry.name[: -len(suffix)]
    return entry.name
