"""A study's patients: tables read and checked, outcome labels, and who is included."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.data import contract, errors, tablefile
from postarrest.data.cells import typed_columns
from postarrest.data.cohort import CRITERION_COLUMNS, REVISED, select
from postarrest.data.ct.finding import find_ct
from postarrest.data.errors import DataErrors, Finding
from postarrest.data.mapping import ROW_NUMBERS, ColumnMapping, Findings, faults_of_mapping
from postarrest.data.outcome import check_outcome, named_outcome


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
    faults : tuple of Finding
        What is wrong; empty in what `read_export` returns.
    warnings : tuple of Finding
        What is possible but worth a look.
    notes : tuple of str
        How the files were read.
    """

    patients: pd.DataFrame
    gwr: pd.DataFrame | None
    ct: pd.Series | None
    rows: pd.Series = field(repr=False)
    faults: tuple[Finding, ...] = field(repr=False)
    warnings: tuple[Finding, ...] = field(repr=False)
    notes: tuple[str, ...]


def read_export(
    data: Path,
    *,
    modalities: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    codes: Mapping[str, Mapping[Any, Any]] | None = None,
    units: Mapping[str, str] | None = None,
    outcome: Mapping[str, Any] | None = None,
    predictors: Sequence[str] = (),
    criteria: Mapping[str, Any] | None = None,
    outcome_labels: Sequence[str] = (),
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
    outcome_labels : sequence of str
        Outcome labels in use: ``"standard"``, ``"revised"``. The revised one needs columns of its own.
    table_format : mapping
        ``encoding``, ``delimiter``, ``decimal`` (``","``) and ``sheet`` of the tables, where the files don't
        tell.

    Raises
    ------
    postarrest.data.errors.DataErrors
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
        outcome_labels=outcome_labels,
        table_format=table_format,
    )
    if study.faults:
        raise DataErrors(study.faults)
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
    outcome_labels: Sequence[str] = (),
    table_format: Mapping[str, str] | None = None,
) -> StudyData:
    """Read a study's data as `read_export` does, but return faults instead of raising them.

    What could be read stands in the result beside its faults (cells that are wrong are blank), so that the
    images can be looked at in the same pass. Nothing is to be computed from it.
    """
    data = Path(data)
    mapping = ColumnMapping(
        columns or {},
        codes or {},
        units or {},
        outcome or {},
        predictors,
        table_format or {},
        revised="revised" in outcome_labels,
    )
    found = Findings()
    found.faults += faults_of_mapping(mapping, modalities, criteria or {}, single_table=data.is_file())
    patients = None if found.faults else _read_patients(data, mapping, found)
    gwr = ct = None
    if patients is None:
        patients = pd.DataFrame({"patient_id": pd.Series(dtype="str")})
    else:
        file = found.patients_file
        included = _included(patients, criteria or {}, file, found)
        check_outcome(patients, included, mapping, file, found)
        if "ct" in modalities:
            ct = find_ct(data, patients, included, found)
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


def _read_patients(data: Path, mapping: ColumnMapping, found: Findings) -> pd.DataFrame | None:
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
        required += [name for name in REVISED if name not in required]
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
    patients = typed_columns(cells, contract.PATIENTS, mapping, path.name, found)
    if mapping.outcome and mapping.outcome["column"] in raw.cells:
        patients["y_good"] = named_outcome(raw.cells[mapping.outcome["column"]], mapping, path.name, found)
    return patients if "patient_id" in patients else None


def _named_predictors(
    mapping: ColumnMapping, header: Sequence[str], file: str, found: Findings
) -> tuple[list[str], list[str]]:
    """Return the names of predictors, patterns made into names, and the export's names that are not there."""
    names: list[str] = []
    missing = []
    for name in mapping.predictors:
        matched = tablefile.matching(header, [name]) if "*" in name else []
        if "*" in name and mapping.outcome.get("column", mapping.export_name("cpc")) in matched:
            expected = "columns known before the outcome"
            found.faults.append(
                Finding(file, "settings", "the outcome among the predictors", expected, column=name)
            )
        if mapping.export_name(name) not in header and not matched:
            missing.append(mapping.export_name(name))
        names += matched if "*" in name else [name]
    return names, missing


def _missing_columns(missing: Sequence[str], header: Sequence[str], file: str) -> Iterator[Finding]:
    for name in dict.fromkeys(missing):
        near = errors.nearest(name, header)
        yield Finding(file, "column", "no such column", f"a column of this name{near}", row=1, column=name)


def _table_of(data: Path, stem: str, found: Findings) -> Path | None:
    try:
        files = tablefile.find(data, stem)
    except OSError as error:
        found.faults.append(Finding("data", "readable", error.strerror or "an error", "the study's folder"))
        return None
    if len(files) == 1 and errors.stays_inside(files[0], data):
        return files[0]
    if len(files) == 1:
        found.faults.append(
            Finding(files[0].name, "link", "a link out of the study's folder", "a file in it")
        )
    else:
        what = ", ".join(f.name for f in files) if files else "no such file"
        endings = ", ".join(tablefile.SUFFIXES)
        found.faults.append(Finding(stem, "readable", what, f"one file named {stem} with one of {endings}"))
    return None


def _raw(path: Path, wanted: set[str], mapping: ColumnMapping, found: Findings) -> tablefile.RawTable | None:
    options = {k: v for k, v in mapping.table_format.items() if k != "decimal"}
    try:
        raw = tablefile.read(path, names=wanted, **options)
    except DataErrors as error:
        found.faults += error.items
        return None
    found.notes.append(f"{path.name}: {len(raw.cells)} rows, {', '.join(raw.notes)}")
    return raw


def _warn_of_unknown(
    header: Sequence[str], present: Mapping[str, str], mapping: ColumnMapping, file: str, found: Findings
) -> None:
    """Warn of columns that are unused although their name is nearly one of the contract's."""
    absent = [name for name in contract.PATIENTS.columns if name not in present]
    used = {*present.values(), str(mapping.outcome.get("column"))}
    for name in header:
        near = errors.nearest(name, absent, cutoff=0.8)
        if name not in used and near:
            found.warnings.append(
                Finding(file, "column", "a column that is not used", f"a name of the contract{near}", 1, name)
            )


def _included(patients: pd.DataFrame, criteria: Mapping[str, Any], file: str, found: Findings) -> pd.Series:
    possible = {}
    for name, value in criteria.items():
        needed = (
            value if name == "require" else [CRITERION_COLUMNS[name]] if name in CRITERION_COLUMNS else []
        )
        missing = [column for column in needed if column not in patients]
        for column in missing:
            expected = f"the column that criteria.{name} needs{errors.nearest(column, patients.columns)}"
            found.faults.append(Finding(file, "column", "no such column", expected, 1, column))
        if not missing:
            possible[name] = value
    included, _ = select(patients, criteria=possible)
    return pd.Series(patients.index.isin(included.index), index=patients.index)


def _read_gwr(
    data: Path, mapping: ColumnMapping, patients: pd.DataFrame, included: pd.Series, found: Findings
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
    gwr = typed_columns(cells, contract.GWR, mapping, path.name, found)
    for name in set(cells) - {"patient_id", "area_mm2"}:
        found.faults += errors.many(
            cells.index[cells[name].isna()],
            lambda row, name=name: Finding(
                path.name, "blank", "a blank cell", "a value; no row where there is no reading", row, name
            ),
        )
    if missing:
        return None
    unknown = gwr.index[~gwr["patient_id"].isin(patients["patient_id"]) & cells["patient_id"].notna()]
    found.faults += errors.many(
        unknown,
        lambda row: Finding(
            path.name, "patient", "an id that no patient has", "an id of the patient table", row, "patient_id"
        ),
    )
    found.warnings += _incomplete_readings(gwr, patients.loc[included, "patient_id"])
    if gwr["reading"].notna().all():
        gwr = gwr.astype({"reading": int})
    return gwr.reset_index(drop=True)


def _incomplete_readings(gwr: pd.DataFrame, included: pd.Series) -> Iterator[Finding]:
    complete = 2 * len(contract.REGIONS) * 2
    counts = gwr.groupby("patient_id").size().reindex(included, fill_value=0)
    for what, number in (("no", (counts == 0).sum()), ("some", ((counts > 0) & (counts < complete)).sum())):
        if number:
            expected = (
                f"{complete} readings a patient (2 readings of {len(contract.REGIONS)} regions on 2 sides)"
            )
            yield Finding("gwr", "complete", f"{number} included patients with {what} readings", expected)
