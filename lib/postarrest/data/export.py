"""A study's data read and checked: patients, readings and where the CT images are."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from postarrest.data import contract, errors, plausible, tablefile
from postarrest.data.cells import typed_columns
from postarrest.data.cohort import REVISED, check_outcome, columns_of, good_or_poor, select
from postarrest.data.ct.finding import find_ct
from postarrest.data.ct.reading import ImageSize
from postarrest.data.errors import DataErrors, Finding, Findings, in_rows
from postarrest.data.mapping import ROW_NUMBERS, ExportSettings, setting_errors

# The report compares each reader with each other one.
_MOST_READERS = 20


@dataclass(frozen=True)
class StudyData:
    """A study's data in the form of the contract.

    Parameters
    ----------
    patients : pandas.DataFrame
        Index ``patient_id`` (text). Numbers, and yes/no as 1 and 0, are float with NaN for blank; codes and
        texts are pandas strings. Contract columns that the file has, then predictors, then ``y_good`` (1, 0)
        if the study names an outcome other than CPC.
    gwr : pandas.DataFrame or None
        One row per reading, columns of `contract.GWR`; ``reading`` is int.
    ct : pandas.Series or None
        ``patient_id`` -> path of the CT file or folder, for the patients who have one.
    rows : pandas.Series
        ``patient_id`` -> row of the patient table, by which a person can find a patient without an id.
    errors : tuple of Finding
        What is wrong; empty in what `read_export` returns.
    warnings : tuple of Finding
        What is possible but should be checked.
    notes : tuple of str
        How the files were read.
    image_size : str
        Whether a PNG of another size than 256 x 256 pixels is read: ``"exact"`` or ``"fit"``.
    """

    patients: pd.DataFrame
    gwr: pd.DataFrame | None
    ct: pd.Series | None
    rows: pd.Series = field(repr=False)
    errors: tuple[Finding, ...] = field(repr=False)
    warnings: tuple[Finding, ...] = field(repr=False)
    notes: tuple[str, ...]
    image_size: ImageSize = "exact"


def read_export(data: Path, **settings: Any) -> StudyData:
    """Read and check a study's data; all errors are reported at once.

    Parameters
    ----------
    data : pathlib.Path
        The study's folder, or the patient table itself if there is nothing else.
    **settings
        Fields of `postarrest.data.mapping.ExportSettings`.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error by file, row, column, found and expected.
    """
    study = examine(data, **settings)
    if study.errors:
        raise DataErrors(study.errors)
    return study


def examine(data: Path, **settings: Any) -> StudyData:
    """Read a study's data as `read_export` does, but return the errors instead of raising them.

    What could be read is returned with its errors (wrong cells are blank), so that the images can be checked
    in the same pass. Nothing should be computed from it.
    """
    data = Path(data)
    found = Findings()
    patients = pd.DataFrame({"patient_id": pd.Series(dtype="str")})
    gwr = ct = None
    mapping = _settings(data, settings, found)
    raw = None
    if mapping:
        others = [*map(mapping.export_name, mapping.predictors), mapping.outcome_column]
        raw = _raw(data, contract.PATIENTS, others, mapping, found)
    table = _patients(raw, mapping, found) if raw else None
    if table is not None:
        patients = table
        included = _included(patients, mapping.criteria, raw.file, found)
        if mapping.for_scoring:
            # Nobody must have a CT: whoever lacks one is scored as far as the models allow.
            included[:] = False
        else:
            check_outcome(patients, included, mapping, raw.file, found)
        shown = {name: mapping.shown_name(name) for name in patients}
        plausible.check(patients, included, file=raw.file, names=shown, found=found)
        if "ct" in mapping.modalities:
            ct = find_ct(data, patients, included, found)
        if "gwr" in mapping.modalities:
            # The tables of an export may name the id differently: the contract's name is accepted too.
            raw = _raw(data, contract.GWR, contract.GWR.columns, mapping, found)
            gwr = _gwr(raw, mapping, patients, included, found) if raw else None
    rows = pd.Series(patients.index, index=pd.Index(patients["patient_id"]), name="row")
    passed = map(tuple, (found.errors, found.warnings, found.notes))
    image_size = mapping.image_size if mapping else "exact"
    return StudyData(patients.set_index("patient_id"), gwr, ct, rows, *passed, image_size)


def fingerprint(data: Path) -> str:
    """Return a text that changes when any file of a study's data does, and that contains no file name.

    It is made from names, sizes and times of change, so nothing is read. File names may contain patients'
    ids: a list of what was read should keep this instead of them.

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


def _settings(data: Path, settings: Mapping[str, Any], found: Findings) -> ExportSettings | None:
    try:
        mapping = ExportSettings.model_validate(settings)
    except ValidationError as error:
        found.errors += setting_errors(error)
        return None
    if mapping.modalities and data.is_file():
        expected = f"a folder that also has {' and '.join(mapping.modalities)}"
        found.errors.append(Finding("study file", "settings", "a single table", expected, column="data"))
        return None
    return mapping


def _table_of(data: Path, stem: str) -> Path:
    """Return the one file of a table."""
    if data.is_file():
        return data
    try:
        suffixes = tablefile.SUFFIXES
        files = sorted(p for p in data.iterdir() if p.stem == stem and p.suffix.lower() in suffixes)
    except OSError as error:
        what, expected = error.strerror or "an error", "the study's folder"
        raise DataErrors([Finding("data", "readable", what, expected)]) from None
    if len(files) != 1:
        what = ", ".join(f.name for f in files) or "no such file"
        expected = f"one file named {stem}, ending in one of {', '.join(suffixes)}"
        raise DataErrors([Finding(stem, "readable", what, expected)])
    if not errors.stays_inside(files[0], data):
        what = "a link out of the study's folder"
        raise DataErrors([Finding(files[0].name, "link", what, "a file in it")])
    return files[0]


def _raw(
    data: Path, schema: Any, others: Iterable[str], mapping: ExportSettings, found: Findings
) -> tablefile.RawTable | None:
    """Return the cells of a schema's columns and of others, which are given by the export's names."""
    names = {*map(mapping.export_name, schema.columns), *others}
    try:
        raw = tablefile.read(_table_of(data, schema.name), names=names, table_format=mapping.table_format)
    except DataErrors as error:
        found.errors += error.findings
        return None
    found.notes.append(f"{raw.file}: {len(raw.cells)} rows, {raw.note}")
    found.warnings += raw.warnings
    return raw


def _patients(raw: tablefile.RawTable, mapping: ExportSettings, found: Findings) -> pd.DataFrame | None:
    predictors = _named_predictors(mapping, raw, found)
    exports = {n: mapping.export_name(n) for n in (*contract.PATIENTS.columns, *predictors)}
    present = {name: export for name, export in exports.items() if export in raw.header}
    mapped = [name for name in mapping.columns if name in contract.PATIENTS.columns]
    required = [*predictors, "patient_id", *mapped, *(REVISED if "revised" in mapping.outcome_labels else [])]
    needed = [*map(mapping.export_name, required)]
    needed += [] if mapping.for_scoring else [mapping.outcome_column]
    found.errors += _missing_columns([n for n in needed if n not in (*raw.header, ROW_NUMBERS)], raw)
    found.warnings += _unused_columns(raw, present, mapping.outcome_column)
    cells = raw.cells[list(present.values())].set_axis(list(present), axis=1)
    if mapping.columns.get("patient_id") == ROW_NUMBERS:
        numbers = pd.Series(range(1, len(cells) + 1), index=cells.index).astype("str")
        cells.insert(0, "patient_id", numbers.str.zfill(len(str(len(cells)))))
    patients = typed_columns(cells, contract.PATIENTS, mapping, raw.file, found)
    if mapping.outcome and mapping.outcome.column in raw.cells:
        column = raw.cells[mapping.outcome.column]
        patients["y_good"] = good_or_poor(column, mapping.outcome, raw.file, found)
    return patients if "patient_id" in patients else None


def _named_predictors(mapping: ExportSettings, raw: tablefile.RawTable, found: Findings) -> list[str]:
    """Return the names of the predictors; a pattern is replaced by the columns that match it."""
    names: list[str] = []
    for name in mapping.predictors:
        matched = tablefile.matching(raw.header, [name]) if "*" in name else []
        # The study's own outcome is kept in a column named like a label, which no predictor may replace.
        told = [m for m in matched if m == mapping.outcome_column or contract.is_outcome(m)]
        if told:
            what, expected = f"{told[0]!r} among the predictors", "columns known before the outcome"
            found.errors.append(Finding(raw.file, "settings", what, expected, column=name))
        names += matched or [name]
    return names


def _missing_columns(missing: Sequence[str], raw: tablefile.RawTable) -> Iterator[Finding]:
    for name in dict.fromkeys(missing):
        expected = f"a column of this name{errors.nearest(name, raw.header)}"
        yield Finding(raw.file, "column", "no such column", expected, 1, name)


def _unused_columns(raw: tablefile.RawTable, present: Mapping[str, str], outcome: str) -> Iterator[Finding]:
    """Yield columns that are not used although their name is almost one of the contract's."""
    absent = [name for name in contract.PATIENTS.columns if name not in present]
    for name in raw.header:
        near = errors.nearest(name, absent, cutoff=0.8)
        if near and name not in {*present.values(), outcome}:
            yield Finding(raw.file, "column", "a column that is not used", f"a contract name{near}", 1, name)


def _included(patients: pd.DataFrame, criteria: Mapping[str, Any], file: str, found: Findings) -> pd.Series:
    """Return who meets the criteria; a criterion whose columns are missing is reported and not applied."""
    possible = {}
    for name, value in criteria.items():
        missing = [column for column in columns_of(name, value) if column not in patients]
        for column in missing:
            expected = f"the column that criteria.{name} needs{errors.nearest(column, patients.columns)}"
            found.errors.append(Finding(file, "column", "no such column", expected, 1, column))
        if not missing:
            possible[name] = value
    included, _ = select(patients, criteria=possible)
    return pd.Series(patients.index.isin(included.index), index=patients.index)


def _gwr(
    raw: tablefile.RawTable,
    mapping: ExportSettings,
    patients: pd.DataFrame,
    included: pd.Series,
    found: Findings,
) -> pd.DataFrame | None:
    exports = {name: mapping.export_name(name) for name in contract.GWR.columns}
    present = {n: e if e in raw.header else n for n, e in exports.items() if {n, e} & set(raw.header)}
    optional = {"reader"} - set(mapping.columns)
    missing = [export for name, export in exports.items() if name not in present and name not in optional]
    found.errors += _missing_columns(missing, raw)
    cells = raw.cells[list(present.values())].set_axis(list(present), axis=1)
    gwr = typed_columns(cells, contract.GWR, mapping, raw.file, found)
    for name in cells.columns.difference(["patient_id", "reader", "area_mm2"]):
        blank = cells.loc[cells[name].isna(), name].fillna("")
        expected = "a value; leave out the row if there is no reading"
        found.errors += in_rows(blank, raw.file, "blank", expected, name)
    if missing:
        return None
    unknown = ~gwr["patient_id"].isin(patients["patient_id"]) & cells["patient_id"].notna()
    what = pd.Series("an id of no patient", index=gwr.index[unknown])
    expected = "an id of the patient table"
    found.errors += in_rows(what, raw.file, "patient", expected, "patient_id", verbatim=False)
    found.warnings += _incomplete_readings(gwr, patients.loc[included, "patient_id"])
    if gwr["reading"].notna().all():
        gwr = gwr.astype({"reading": int})
    gwr["reader"] = gwr["reader"].fillna("") if "reader" in gwr else ""
    _check_readers(gwr["reader"], raw.file, found)
    plausible.check_readings(gwr, file=raw.file, found=found)
    return gwr.reset_index(drop=True)


def _check_readers(readers: pd.Series, file: str, found: Findings) -> None:
    """Add too many readers to the errors, and rows that may be of another reader to the warnings."""
    names = readers.unique()
    if len(names) > _MOST_READERS:
        # A column of patients' ids, for example, would otherwise reach the report.
        expected = f"at most {_MOST_READERS}, in a column that names who read"
        found.errors.append(Finding(file, "readers", f"{len(names)} readers", expected, column="reader"))
    if len(names) > 1:
        blank = readers[readers == ""]
        expected = "a name in every row, as a rule, where there are several readers"
        found.warnings += in_rows(blank, file, "readers", expected, "reader")
    if len(set(map(plausible.folded, names))) < len(names):
        what = "names of readers that differ only in capitals or full-width characters"
        found.warnings.append(Finding(file, "readers", what, "one spelling per reader", column="reader"))


def _incomplete_readings(gwr: pd.DataFrame, included: pd.Series) -> Iterator[Finding]:
    sessions = [name for name in ("reader", "reading") if name in gwr]
    n_readings = max(2, len(gwr[sessions].drop_duplicates()))
    complete = n_readings * len(contract.REGIONS) * 2
    counts = gwr.groupby("patient_id").size().reindex(included, fill_value=0)
    what = f"{n_readings} readings of {len(contract.REGIONS)} regions on 2 sides"
    expected = f"{complete} readings per patient ({what})"
    for what, number in (("no", (counts == 0).sum()), ("some", ((counts > 0) & (counts < complete)).sum())):
        if number:
            yield Finding("gwr", "complete", f"{number} included patients with {what} readings", expected)
