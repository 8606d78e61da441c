"""Errors in a study's data: what was found, where, and what was expected."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.files import write_text

_FAULT_COLUMNS = ["file", "row", "column", "found", "expected", "rule"]
_SHOWN_ROWS = 5
# A column in a wrong unit makes a fault in every row; a table of a million rows needs no million of them.
_MOST_ALIKE = 1000


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the data, or worth a look.

    Parameters
    ----------
    file : str
        Path within the study's data folder.
    rule : str
        Name of the rule that is broken, such as ``"range"``.
    found, expected : str
        What stands there, and what the contract asks for, in plain words.
    row : int, optional
        Row of a table as a spreadsheet counts (the header is row 1).
    column : str
        Column of the contract, with the export's own name in brackets where it differs.
    verbatim : bool
        ``found`` is a cell's own content, which could be anything, rather than this package's words about it.
    alias : str
        What to call the file where its path must not be shown because it holds a patient's id.
    """

    file: str
    rule: str
    found: str
    expected: str
    row: int | None = None
    column: str = ""
    verbatim: bool = False
    alias: str = ""


def fault_table(faults: Iterable[Finding]) -> pd.DataFrame:
    """Return faults as a table: file, row, column, found, expected, rule.

    The table tells what stands in the data, file names with ids included: it is for the screen of the person
    who has the data and for ``build/``, never for a report.

    Examples
    --------
    >>> fault_table([Finding("patients.csv", "range", "200", "0 to 125 years", row=7, column="age_years")])
               file  row     column found        expected   rule
    0  patients.csv    7  age_years   200  0 to 125 years  range
    """
    table = pd.DataFrame(
        [[getattr(fault, c) for c in _FAULT_COLUMNS] for fault in faults], columns=_FAULT_COLUMNS
    )
    return table.astype({"row": "Int64"})


class DataErrors(ValueError):
    """Everything that is wrong with a study's data, found in one pass.

    The text of the error lists every fault. A log or an executed notebook may keep that text, so a value
    that could be a person's name, number or birthday is described in it instead of shown; `faults` has it as
    it stands.

    Parameters
    ----------
    items : sequence of Finding
        At least one.

    Attributes
    ----------
    items : tuple of Finding
    faults : pandas.DataFrame
        file, row, column, found, expected, rule.

    Examples
    --------
    >>> fault = Finding("patients.csv", "range", "200", "0 to 125 years", row=7, column="age_years")
    >>> print(DataErrors([fault]))
    1 fault in the data:
      patients.csv, row 7, age_years: found 200, expected 0 to 125 years
    """

    def __init__(self, items: Sequence[Finding]):
        self.items = tuple(items)
        self.faults = fault_table(self.items)
        count = len(self.items)
        super().__init__(f"{count} fault{'s' if count != 1 else ''} in the data:\n" + listing(self.items))


def many(rows: Sequence[int], make: Callable[[int], Finding]) -> Iterator[Finding]:
    """Yield a fault for each of some rows, and beyond the first thousand one that counts the others.

    Examples
    --------
    >>> found = list(many(range(2, 5000), lambda row: Finding("gwr.csv", "range", "900", "HU", row=row)))
    >>> len(found), found[-1].found
    (1001, '3,998 more rows with such a fault')
    """
    for row in rows[:_MOST_ALIKE]:
        yield make(int(row))
    if len(rows) > _MOST_ALIKE:
        rest = f"{len(rows) - _MOST_ALIKE:,} more rows with such a fault"
        yield replace(make(int(rows[0])), row=None, found=rest, verbatim=False)


def listing(faults: Sequence[Finding]) -> str:
    """Return faults as lines of text without identifiers; the same fault in many rows is one line.

    Examples
    --------
    >>> print(listing([Finding("patients.csv", "number", "Jane Doe", "a number", row=r, column="no_flow_min",
    ...                      verbatim=True) for r in range(2, 12)]))
      patients.csv, rows 2, 3, 4, 5, 6 and 5 more, no_flow_min: found text of 8 characters, expected a number
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for fault in faults:
        found = described(fault.found) if fault.verbatim else fault.found
        key = (fault.alias or fault.file, fault.column, found, fault.expected)
        rows = groups.setdefault(key, [])
        if fault.row is not None:
            rows.append(fault.row)
    lines = []
    for (file, column, found, expected), rows in groups.items():
        place = [file, *([_rows_in_words(rows)] if rows else []), *([column] if column else [])]
        lines.append(f"  {', '.join(place)}: found {found}, expected {expected}")
    return "\n".join(lines)


def _rows_in_words(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    named = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    return f"rows {named}" + (f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else "")


_SHORT_NUMBER = re.compile(
    r"[<>~=≤≥]?\s*[+-]?[0-9]{0,6}(?:[.,][0-9]{1,6})?(?:e[+-]?[0-9]{1,4})?"
    r"\s?(?:mg|µg|ug|g|mm|cm|min|h|s|%|mg/dL|mmol/L|µmol/L|umol/L|years|y)?|[+-]?(?:inf|nan)",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?.*|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})\b.*"
)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:\s?[ap]m)?", re.IGNORECASE)
# Words of exports that say nothing of who a patient is.
_COMMON_WORD = re.compile(
    r"n/?a|n\.a\.|nan|nd|n\.d\.|null|none|nil|missing|unknown|unk|unclear|other|pending|not done|"
    r"not measured|not recorded|not available|yes|no|maybe|true|false|male|female|man|woman|dead|"
    r"alive|died|survived|good|poor|left|right|both|vf|vt|vf/vt|pvt|pea|asystole|rosc|ecmo|ecpr|hi|lo|high|low|max|min|.|"
    r"#(?:n/a|ref!|div/0!|value!|name\?|num!|null!)",
    re.IGNORECASE,
)


def described(cell: str) -> str:
    """Return a cell's content so that no name, record number or birthday stands in it.

    Short numbers, also with a decimal comma or a unit, stand as they are, and so do words that are common in
    exports; anything else is described.

    Examples
    --------
    >>> described("4,5"), described("12 mg/dL"), described("1950-03-21"), described("Jane Doe")
    ('4,5', '12 mg/dL', 'a date', 'text of 8 characters')
    >>> described("31415926"), described(""), described("=A1*2"), described("n.d.")
    ('a number of 8 digits', 'a blank cell', 'a formula', "'n.d.'")
    """
    cell = cell.strip()
    if not cell:
        return "a blank cell"
    if _SHORT_NUMBER.fullmatch(cell):
        return cell
    if _COMMON_WORD.fullmatch(cell):
        return repr(cell)
    if _DATE.fullmatch(cell):
        return "a date"
    if _CLOCK.fullmatch(cell):
        return "a clock time"
    if cell.startswith("="):
        return "a formula"
    if re.fullmatch(r"[0-9]+", cell):
        return f"a number of {len(cell)} digits"
    return f"text of {len(cell)} characters"


def stays_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, links followed, ends in a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return ``" (nearest: 'x')"`` for the most alike of some names, or nothing.

    Examples
    --------
    >>> nearest("lactate", ["lactate_mmol_l", "cpc"])
    " (nearest: 'lactate_mmol_l')"
    """
    by_folded = {str(n).casefold(): str(n) for n in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=cutoff)
    return f" (nearest: '{by_folded[close[0]]}')" if close else ""


NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def is_number(cell: str) -> bool:
    """Return whether a cell's text is a plain number with a decimal point."""
    return re.fullmatch(NUMBER_PATTERN, cell.strip()) is not None


def safe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is one that a spreadsheet would take for a formula.

    Text that starts with ``= + - @``, a tab or a line end, and is not a number, gets an apostrophe before it.

    Examples
    --------
    >>> safe_cells(pd.DataFrame({"=A1": ["=1+1", "-2.5", "plain"]}))
        '=A1
    0  '=1+1
    1   -2.5
    2  plain
    """
    safe = table.copy()
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
            safe.isetitem(position, column.map(_safe_cell).astype(object))
    safe.columns = [_safe_cell(name) for name in safe.columns]
    return safe


def _safe_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # A lone carriage return would start a new row for some readers; a line feed is put in quotes.
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if text.startswith(tuple("=+-@\t\n")) and not is_number(text) else text


def safe_csv(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a table as CSV (UTF-8), whole or not at all, in which no cell opens as a formula.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    path : pathlib.Path
        The file.
    index : bool
        Write the index as the first column.
    """
    write_text(
        path, safe_cells(table.reset_index() if index else table).to_csv(index=False, lineterminator="\n")
    )


pass


def refusal(label: str, rule: str, found: str, expected: str, **where: Any) -> DataErrors:
    return DataErrors([Finding(label, rule, found, expected, **where)])
