"""Cells of a table file, CSV, Excel or Parquet, read as text.

Nothing is interpreted here: what a cell means is decided in `cells`. Whatever the format, a number arrives as
the text that a person would type, a date as ``2021-03-04``, and a blank cell as missing. pandas' own readers
are not used since they hide errors that must be reported: they fill rows that are cut short, rename columns
of the same name, and read Excel's error cells as missing.
"""

import csv
import datetime
import io
import itertools
import sys
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.data.encodings import CODECS, doubt, fitting
from postarrest.data.errors import DataErrors, Finding, nearest
from postarrest.data.mapping import TableFormat
from postarrest.data.workbook import hidden_from_readers

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
SUFFIXES = (*CSV_SUFFIXES, ".xlsx", ".xlsm", ".parquet")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# A registry of a whole country has some 100,000 arrests a year. Reading stops beyond these limits, so that a
# wrong file costs seconds and bounded memory.
MAX_ROWS = 1_000_000
MAX_BYTES = 512 * 2**20
# A UTF-8 file may have a byte-order mark.
_CODECS = {**CODECS, "utf-8": "utf-8-sig"}
# Of a longer file, this much shows whether it is in its encoding.
_SAMPLE_BYTES = 2**20


@dataclass(frozen=True)
class RawTable:
    """Cells of a table file.

    Parameters
    ----------
    file : str
        Name of the file.
    cells : pandas.DataFrame
        Text or missing, only the columns that were asked for. The index is the row as a spreadsheet numbers
        it, the header being row 1.
    header : tuple of str
        All column names of the file.
    note : str
        How the file was read: encoding, sheet.
    warnings : tuple of Finding
        What of the file is for a person to check.
    """

    file: str
    cells: pd.DataFrame
    header: tuple[str, ...]
    note: str
    warnings: tuple[Finding, ...] = ()


def matching(header: Sequence[str], names: Collection[str]) -> list[str]:
    """Return the columns of a header that some names, or patterns with ``*``, mean.

    Examples
    --------
    >>> matching(["age", "eeg24h_gpd", "eeg48h_gpd"], ["eeg24h_*", "age"])
    ['age', 'eeg24h_gpd']
    """
    patterns = [name for name in names if "*" in name]
    return [h for h in header if h in names or any(fnmatchcase(h, pattern) for pattern in patterns)]


def read(path: Path, *, names: Collection[str], table_format: TableFormat | None = None) -> RawTable:
    r"""Read the named columns of a table file.

    Parameters
    ----------
    path : pathlib.Path
        CSV (also ``.tsv``, ``.txt``), Excel (``.xlsx``, ``.xlsm``) or Parquet.
    names : collection of str
        Columns to read, also patterns with ``*``; those that the file lacks are left out.
    table_format : TableFormat, optional
        Encoding, delimiter and sheet, if they are not the default ones.

    Raises
    ------
    postarrest.data.errors.DataErrors
        If the file cannot be read as a table, listing what is wrong with it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "patients.csv"
    ...     _ = file.write_bytes("id;sex\nA1;男\nA2;女\n".encode("shift_jis"))
    ...     declared = TableFormat(encoding="shift_jis", delimiter=";")
    ...     read(file, names=["id", "sex"], table_format=declared).cells
       id sex
    2  A1   男
    3  A2   女
    """
    table_format = table_format or TableFormat()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise _refusal(path, "format", f"the ending {path.suffix!r}", f"one of {', '.join(SUFFIXES)}")
    try:
        _check_size(path, path.stat().st_size)
        if suffix == ".parquet":
            return _read_parquet(path, names)
        if suffix in (".xlsx", ".xlsm"):
            return _read_excel(path, names, table_format.sheet)
        return _read_csv(path, names, table_format)
    except OSError as error:
        raise _refusal(path, "readable", error.strerror or "an error of the file system", "a file") from None


def _refusal(path: Path, rule: str, found: str, expected: str, row: int | None = None) -> DataErrors:
    return DataErrors([Finding(path.name, rule, found, expected, row)])


def _check_size(path: Path, size: int, when: str = "") -> None:
    if size == 0:
        raise _refusal(path, "empty", "a file of 0 bytes", "a table with a header")
    if size > MAX_BYTES:
        raise _refusal(path, "size", f"{size / 2**20:.0f} MB{when}", f"at most {MAX_BYTES // 2**20} MB")


def _read_csv(path: Path, names: Collection[str], table_format: TableFormat) -> RawTable:
    with path.open("rb") as file:
        is_utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if is_utf16 else table_format.encoding
    delimiter = table_format.delimiter or ("\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        with path.open(encoding=_CODECS.get(encoding, encoding), newline="") as file:
            lines = _text_lines(path, file)
            first = next(lines, "")
            _check_delimiter(path, first, names, delimiter)
            rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
            table = _collect(path, rows, names, encoding, same_length=True)
    except UnicodeError:
        expected = f"{encoding} throughout"
        if others := fitting(_sample(path))[:2]:
            expected += f"; if it is {' or '.join(others)}, set table_format: {{encoding: {others[0]}}}"
        raise _refusal(path, "encoding", f"bytes that are not {encoding}", expected) from None
    except csv.Error as error:
        found = f"a quote that is not closed or stands alone ({error})"
        raise _refusal(path, "quotes", found, "quotes in pairs around a cell") from None
    found = "" if is_utf16 else doubt(_sample(path), encoding)
    expected = "words that a person can read; else set table_format: {encoding: ...}"
    return replace(table, warnings=(Finding(path.name, "encoding", found, expected),) if found else ())


def _sample(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SAMPLE_BYTES)


def _text_lines(path: Path, file: Iterable[str]) -> Iterator[str]:
    for line in file:
        if "\0" in line:
            expected = "text; for UTF-16 without its mark, set table_format: {encoding: utf-16-le}"
            raise _refusal(path, "text", "bytes that are not text", expected)
        yield line


def _check_delimiter(path: Path, first: str, names: Collection[str], delimiter: str) -> None:
    """Refuse a header that contains none of the names, but would with another delimiter."""

    def columns(delimiter: str) -> list[str]:
        return matching([name.strip(' \r\n"') for name in first.split(delimiter)], names)

    for other, word in DELIMITERS.items():
        if not columns(delimiter) and columns(other):
            setting = repr(other).replace("'", '"')
            expected = f"{DELIMITERS.get(delimiter, delimiter)}; set table_format: {{delimiter: {setting}}}"
            raise _refusal(path, "delimiter", f"{word} between the columns", expected, row=1)


def _collect(
    path: Path, rows: Iterator[Sequence], names: Collection[str], note: str, *, same_length: bool = False
) -> RawTable:
    """Collect the wanted columns of rows; `same_length`: every row must have as many cells as the header."""
    header = tuple(_as_text(name) for name in next(rows, []))
    if not any(header):
        raise _refusal(path, "header", "a first row without names", "the names of the columns", row=1)
    wanted = dict.fromkeys(matching(header, names))
    places = [header.index(name) for name in wanted]
    errors = [
        Finding(path.name, "header", f"{header.count(name)} columns of this name", "one", 1, name)
        for name in wanted
        if header.count(name) > 1
    ]
    numbers, cells = [], []
    for number, row in enumerate(rows, start=2):
        texts = [_as_text(cell) for cell in row]
        if not any(texts):
            continue
        if len(numbers) == MAX_ROWS:
            raise _refusal(path, "size", f"more than {MAX_ROWS:,} rows", f"at most {MAX_ROWS:,} rows")
        if same_length and len(row) != len(header):
            expected = f"{len(header)}, as in the header"
            errors.append(Finding(path.name, "cells", f"{len(row)} cells", expected, number))
        numbers.append(number)
        # Most cells hold the same few texts: each is kept in memory once.
        cells.append([sys.intern(texts[i]) if i < len(texts) else "" for i in places])
    if errors:
        raise DataErrors(errors)
    if not numbers:
        raise _refusal(path, "empty", "a header and no rows", "at least one row")
    table = pd.DataFrame(cells, index=numbers, columns=list(wanted), dtype="str")
    return RawTable(path.name, table.mask(table == ""), header, note)


def _as_text(cell: object) -> str:
    if cell is None or cell != cell:  # NaN is how pandas writes a blank cell to Parquet
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        cell = cell.date()
    return cell.isoformat() if isinstance(cell, (datetime.date, datetime.time)) else str(cell).strip()


def _read_excel(path: Path, names: Collection[str], sheet: str) -> RawTable:
    content = path.read_bytes()
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        found = "a file with a password, or an old .xls"
        raise _refusal(path, "format", found, "an .xlsx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_size(path, sum(item.file_size for item in archive.infolist()), when=" when unpacked")
        # openpyxl warns of formats and validations that it leaves out; only cells matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read_sheet(path, content, names, sheet)
    except DataErrors:
        raise
    except Exception as error:  # openpyxl lets through whatever its XML and zip parsers raise
        found = f"a damaged Excel file ({type(error).__name__})"
        raise _refusal(path, "format", found, "an .xlsx file") from None


def _read_sheet(path: Path, content: bytes, names: Collection[str], sheet: str) -> RawTable:
    import openpyxl

    def book(*, results: bool) -> openpyxl.Workbook:
        return openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=results)

    def table(*, results: bool) -> RawTable:
        return _collect(path, _rows(book(results=results)[title]), names, note)

    plain = book(results=False)
    title = _chosen_sheet(path, plain, sheet)
    note = f"sheet {title}"
    formulas = table(results=False)
    columns = {name: formulas.header.index(name) + 1 for name in formulas.cells}
    about = {"sheet": title, "file": path.name, "columns": columns, "rows": formulas.cells.index}
    errors, doubts = hidden_from_readers(content, **about)
    if errors:
        raise DataErrors(errors)
    if not sheet and plain[title].sheet_state != "visible":
        expected = "a sheet that is shown, or its name in table_format: {sheet: ...}"
        doubts.append(Finding(path.name, "hidden", "a hidden sheet, which is read", expected))
    formulas = replace(formulas, warnings=tuple(doubts))
    if not formulas.cells.apply(lambda column: column.str.startswith("=", na=False)).any(axis=None):
        return formulas
    # What a person sees in a formula's cell is the result that Excel saved.
    cells = table(results=True).cells.reindex(formulas.cells.index).fillna(formulas.cells)
    return replace(formulas, cells=cells, note=f"{note}, results of formulas as saved by Excel")


def _rows(sheet: Any, last: int | None = None) -> Iterator[tuple]:
    from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

    # Each as long as its own last cell: a sheet with one cell in its far corner has 17 thousand million.
    sheet.reset_dimensions()
    for row in sheet.iter_rows(max_row=last, values_only=True):
        # A formula of several cells is an object; like any other, it begins with =.
        yield tuple("={}" if isinstance(cell, ArrayFormula | DataTableFormula) else cell for cell in row)


def _chosen_sheet(path: Path, book: Any, sheet: str) -> str:
    titles = [s.title for s in book.worksheets if any(map(any, _rows(s, last=5)))]
    wanted = sheet or (path.stem if path.stem in titles or len(titles) != 1 else titles[0])
    if wanted in titles:
        return wanted
    if sheet:
        found = f"no sheet '{sheet}'{nearest(sheet, titles)}"
        raise _refusal(path, "sheet", found, f"one of {', '.join(titles)}")
    expected = f"one, or one named {path.stem}, or its name in table_format: {{sheet: ...}}"
    raise _refusal(path, "sheet", f"{len(titles)} sheets with content", expected)


def _read_parquet(path: Path, names: Collection[str]) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, about = file.schema_arrow, file.metadata
        if about.num_rows > MAX_ROWS:
            raise _refusal(path, "size", f"{about.num_rows:,} rows", f"at most {MAX_ROWS:,} rows")
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        encoded = sum(group.total_byte_size for group in groups)
        _check_size(path, max(1, encoded), when=" when unpacked")
        wanted = matching(schema.names, names)
        if nested := [name for name in wanted if pa.types.is_nested(schema.field(name).type)]:
            about_each = (path.name, "format", "lists in cells", "one value per cell")
            raise DataErrors([Finding(*about_each, column=name) for name in nested])

        def rows_of(dictionaries: list[str] | None, most: int) -> list[tuple]:
            with pq.ParquetFile(path, read_dictionary=dictionaries) as file:
                batches = file.iter_batches(most, columns=wanted)
                return list(itertools.chain.from_iterable(_parquet_rows(path, batches)))

        try:
            # A text that is repeated stands in the file once, and in a dictionary here too.
            rows = rows_of(wanted, 2**16)
        except (OSError, NotImplementedError):
            # Texts written as differences have no dictionary, but none is longer than all that the file
            # encodes. How a column is written is not asked: of a damaged one, that ends the process.
            rows = rows_of(None, max(1, min(2**16, MAX_BYTES // max(1, encoded))))
    except DataErrors:
        raise
    except Exception:  # damaged bytes make pyarrow raise its own errors, and Python's on what it returns
        raise _refusal(path, "format", "a damaged Parquet file", "a Parquet file") from None
    table = _collect(path, itertools.chain([wanted], rows), names, "Parquet")
    return replace(table, header=tuple(schema.names))


def _parquet_rows(path: Path, batches: Iterable[Any]) -> Iterator[Iterator[tuple]]:
    """Yield the rows of each batch; stop as soon as what they hold, in bytes, is beyond the limit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unpacked = 0
    for batch in batches:
        columns = []
        for column in batch.columns:
            is_text = pa.types.is_dictionary(column.type) and not pa.types.is_primitive(
                column.type.value_type
            )
            lengths = pc.binary_length(column.dictionary).take(column.indices) if is_text else None
            unpacked += (pc.sum(lengths).as_py() or 0) if is_text else column.nbytes
            _check_size(path, max(1, unpacked), when=" when unpacked")
            columns.append(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
        yield zip(*(column.to_pylist() for column in columns), strict=True)
