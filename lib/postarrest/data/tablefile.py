"""A table file, CSV, Excel or Parquet, read into cells of text just as they stand.

Nothing is interpreted here: what a cell means is for `cohort` to say. Whatever the format, a number arrives
as the text that a person would type, a date as ``2021-03-04``, and a blank cell as missing.
"""

import csv
import datetime
import io
import itertools
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.data.encoding import CHUNK, DELIMITERS, known_encoding, told_delimiter, told_encoding
from postarrest.data.errors import DataErrors, Finding, nearest, refusal

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".parquet")
# A registry of a whole country has some 100,000 arrests a year. Reading stops beyond these, so that a wrong
# file costs seconds and bounded memory.
MAX_ROWS = 1_000_000
MAX_BYTES = 512 * 2**20
MAX_COLUMNS = 16_384


@dataclass(frozen=True)
class RawTable:
    """Cells of a table file.

    Parameters
    ----------
    cells : pandas.DataFrame
        Text or missing; the index is the row as a spreadsheet counts, the header being row 1. Only columns
        that were asked for.
    header : tuple of str
        All column names of the file.
    notes : tuple of str
        How the file was read: encoding, delimiter, sheet.
    """

    cells: pd.DataFrame
    header: tuple[str, ...]
    notes: tuple[str, ...]


def find(folder: Path, stem: str) -> list[Path]:
    """Return the files of a folder that could be the table ``stem``, in any format."""
    return sorted(p for p in folder.iterdir() if p.stem == stem and p.suffix.lower() in SUFFIXES)


def matching(header: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the columns of a header that some names, or patterns with ``*``, mean.

    Examples
    --------
    >>> matching(["age", "eeg24h_gpd", "eeg48h_gpd"], ["eeg24h_*", "age"])
    ['age', 'eeg24h_gpd']
    """
    patterns = [name for name in names if "*" in name]
    return [h for h in header if h in names or any(fnmatchcase(h, pattern) for pattern in patterns)]


def read(
    path: Path,
    *,
    names: Collection[str],
    label: str = "",
    encoding: str = "",
    delimiter: str = "",
    sheet: str = "",
) -> RawTable:
    r"""Read the named columns of a table file.

    Parameters
    ----------
    path : pathlib.Path
        CSV (also ``.tsv``, ``.txt``), Excel (``.xlsx``, ``.xlsm``) or Parquet.
    names : collection of str
        Columns to read, also patterns with ``*``; those that the file lacks are left out.
    label : str
        What to call the file in messages; its name by default.
    encoding : str
        Of a CSV; blank = UTF-8, UTF-16 with its mark, Shift-JIS or Latin-1, told apart by the bytes.
    delimiter : str
        Of a CSV; blank = whichever of comma, semicolon, tab and bar makes the header's names.
    sheet : str
        Of an Excel file; blank = its only sheet that is not empty, or the one named as the file.

    Raises
    ------
    postarrest.data.errors.DataErrors
        If the file can't be read as a table, listing what is wrong with it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "patients.csv"
    ...     _ = file.write_bytes("id;sex\nA1;男\nA2;女\n".encode("shift_jis"))
    ...     table = read(file, names=["id", "sex"])
    >>> table.notes
    ('Shift-JIS', 'semicolon')
    >>> table.cells
       id sex
    2  A1   男
    3  A2   女
    """
    label = label or path.name
    names = set(names)
    try:
        _check_file(path, label)
        suffix = path.suffix.lower()
        if suffix in (".xlsx", ".xlsm"):
            return _read_excel(path, names, label, sheet)
        if suffix == ".parquet":
            return _read_parquet(path, names, label)
        return _read_csv(path, names, label, encoding, delimiter)
    except OSError as error:
        raise refusal(
            label, "readable", error.strerror or type(error).__name__, "a file that can be read"
        ) from None


def _check_file(path: Path, label: str) -> None:
    if path.suffix.lower() == ".xls":
        raise refusal(label, "format", "an Excel file of before 2007", "a table saved as .xlsx or .csv")
    if path.suffix.lower() not in SUFFIXES:
        raise refusal(label, "format", f"the ending {path.suffix!r}", f"one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise refusal(label, "readable", "no such file", "a table")
    size = path.stat().st_size
    if size == 0:
        raise refusal(label, "empty", "a file of 0 bytes", "a table with a header")
    if size > MAX_BYTES:
        raise refusal(label, "size", f"{size / 2**20:.0f} MB", f"at most {MAX_BYTES // 2**20} MB")


def _read_csv(path: Path, names: set[str], label: str, encoding: str, delimiter: str) -> RawTable:
    _check_lines(path, label)
    encoding = known_encoding(encoding, label) if encoding else told_encoding(path, label)
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline(CHUNK)
            if "\0" in first:
                raise refusal(label, "text", "bytes that are not text", "a text file with delimiters")
            delimiter = delimiter or told_delimiter(first, names)
            rows = csv.reader(itertools.chain([first], file), delimiter=delimiter, strict=True)
            table = _collect(rows, names, label, ragged=True)
    except UnicodeDecodeError as error:
        raise refusal(
            label,
            "encoding",
            f"bytes at {error.start} that are not {encoding}",
            "one encoding in the whole file, named by table_format: {encoding: ...}",
        ) from None
    except csv.Error as error:
        raise refusal(
            label,
            "quotes",
            f"a quote that is not closed or stands alone ({error})",
            "quotes in pairs around a cell",
        ) from None
    words = {"utf-8-sig": "UTF-8", "cp932": "Shift-JIS", "cp1252": "Latin-1 (Windows)", "latin-1": "Latin-1"}
    return RawTable(
        table.cells, table.header, (words.get(encoding, encoding), DELIMITERS.get(delimiter, delimiter))
    )


def _check_lines(path: Path, label: str) -> None:
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            lines += chunk.count(b"\n")
            if lines > MAX_ROWS + 1:
                raise refusal(label, "size", f"more than {MAX_ROWS:,} rows", f"at most {MAX_ROWS:,} rows")


def _collect(rows: Iterator[list], names: set[str], label: str, *, ragged: bool) -> RawTable:
    """Gather the wanted columns of rows that come one by one."""
    header = tuple("" if h is None else str(h).strip() for h in next(rows, []))
    if not any(header):
        raise refusal(label, "header", "a first row without names", "the names of the columns", row=1)
    if len(header) > MAX_COLUMNS:
        raise refusal(label, "size", f"{len(header)} columns", f"at most {MAX_COLUMNS}")
    wanted = set(matching(header, names))
    places = {name: i for i, name in enumerate(header) if name in wanted}
    faults = [
        Finding(label, "header", f"{header.count(name)} columns of this name", "one", row=1, column=name)
        for name in places
        if header.count(name) > 1
    ]
    columns: dict[str, list] = {name: [] for name in places}
    # The same few texts stand in most cells: each is kept once.
    kept: dict[str, str] = {}
    numbers = []
    for number, row in enumerate(rows, start=2):
        if not any(cell is not None and str(cell).strip() for cell in row):
            continue
        if len(numbers) == MAX_ROWS:
            raise refusal(label, "size", f"more than {MAX_ROWS:,} rows", f"at most {MAX_ROWS:,} rows")
        if ragged and len(row) != len(header):
            faults.append(
                Finding(label, "cells", f"{len(row)} cells", f"{len(header)}, as in the header", row=number)
            )
            continue
        numbers.append(number)
        for name, place in places.items():
            cell = row[place] if place < len(row) else None
            text = "" if cell is None else cell.strip() if isinstance(cell, str) else _as_text(cell)
            columns[name].append(kept.setdefault(text, text) if text else None)
    if faults:
        raise DataErrors(faults)
    if not numbers:
        raise refusal(label, "empty", "a header and no rows", "at least one row")
    index = pd.Index(numbers)
    return RawTable(pd.DataFrame(columns, index=index, dtype="str"), header, ())


def _as_text(cell: object) -> str:
    match cell:
        case bool():
            return "yes" if cell else "no"
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime.datetime() if cell.time() == datetime.time():
            return cell.date().isoformat()
        case datetime.datetime() | datetime.date() | datetime.time():
            return cell.isoformat()
        case datetime.timedelta():
            return str(cell)
        case _:
            return str(cell)


def _read_excel(path: Path, names: set[str], label: str, sheet: str) -> RawTable:
    content = path.read_bytes()
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise refusal(
            label, "format", "a file with a password, or an old .xls", "an .xlsx without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > MAX_BYTES:
            raise refusal(
                label, "size", f"{unpacked / 2**20:.0f} MB when unpacked", f"at most {MAX_BYTES // 2**20} MB"
            )
        # openpyxl warns of formats and validations that it leaves out; only cells matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read_sheet(content, names, label, sheet, stem=path.stem)
    except DataErrors:
        raise
    except Exception as error:  # openpyxl lets whatever its XML and zip parsers raise come through
        raise refusal(
            label, "format", f"a damaged Excel file ({type(error).__name__})", "an .xlsx file"
        ) from None


def _read_sheet(content: bytes, names: set[str], label: str, sheet: str, *, stem: str) -> RawTable:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    chosen = _chosen_sheet(book, label, sheet, stem=stem)
    table = _collect(chosen.iter_rows(values_only=True), names, label, ragged=False)
    formula = table.cells.map(lambda cell: str(cell).startswith("="))
    if not formula.any(axis=None):
        return RawTable(table.cells, table.header, (f"sheet {chosen.title}",))
    # What a person sees in a formula's cell is the result that Excel kept.
    results = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)[chosen.title]
    shown = _collect(results.iter_rows(values_only=True), names, label, ragged=False).cells
    shown = shown.reindex(table.cells.index)
    notes = (f"sheet {chosen.title}", "results of formulas as Excel kept them")
    return RawTable(shown.where(shown.notna() | ~formula, table.cells), table.header, notes)


def _chosen_sheet(book: Any, label: str, sheet: str, *, stem: str) -> Any:
    sheets = [s for s in book.worksheets if any(any(c is not None for c in row) for row in _first_rows(s))]
    titles = [s.title for s in sheets]
    wanted = sheet or (stem if stem in titles else titles[0] if len(titles) == 1 else "")
    if wanted in titles:
        return sheets[titles.index(wanted)]
    if sheet:
        raise refusal(
            label, "sheet", f"no sheet '{sheet}'{nearest(sheet, titles)}", f"one of {', '.join(titles)}"
        )
    raise refusal(
        label,
        "sheet",
        f"{len(titles)} sheets that are not empty",
        f"one, or one named {stem}, or its name in table_format: {{sheet: ...}}",
    )


def _first_rows(sheet: Any) -> Iterator[tuple]:
    return sheet.iter_rows(max_row=5, values_only=True)


def _read_parquet(path: Path, names: set[str], label: str) -> RawTable:
    try:
        header, wanted, rows = _parquet_rows(path, names, label)
    except DataErrors:
        raise
    except Exception:  # damaged bytes make pyarrow raise its own errors, and Python's on what it returns
        raise refusal(label, "format", "a damaged Parquet file", "a Parquet file") from None
    collected = _collect(itertools.chain([wanted], rows), names, label, ragged=False)
    return RawTable(collected.cells, header, ("Parquet",))


def _parquet_rows(path: Path, names: set[str], label: str) -> tuple[tuple[str, ...], list[str], list[list]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        header = tuple(file.schema_arrow.names)
        about = file.metadata
        if about.num_rows > MAX_ROWS:
            raise refusal(label, "size", f"{about.num_rows:,} rows", f"at most {MAX_ROWS:,} rows")
        unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        if unpacked > MAX_BYTES:
            found = f"{unpacked / 2**20:.0f} MB when unpacked"
            raise refusal(label, "size", found, f"at most {MAX_BYTES // 2**20} MB")
        wanted = matching(header, names)
        nested = [n for n in wanted if pa.types.is_nested(file.schema_arrow.field(n).type)]
        if nested:
            raise DataErrors(
                [
                    Finding(label, "format", "lists in cells", "one value a cell", column=name)
                    for name in nested
                ]
            )
        columns = [table_column.to_pylist() for table_column in file.read(columns=wanted).columns]
    # A float that is no number is how pandas writes a blank cell.
    return (
        header,
        wanted,
        [[None if cell != cell else cell for cell in row] for row in zip(*columns, strict=True)],
    )
