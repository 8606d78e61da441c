"""Errors in a study's data: what was found, where, and what was expected."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from postarrest.files import write_text
from postarrest.refused import Refused

_SHOWN_ROWS = 5
_SHOWN_FOUND = 3
# A column in the wrong unit is an error in every row; a list of a thousand of them is long enough.
_MOST_ALIKE = 1000


@dataclass(frozen=True)
class Finding:
    """One error in the data, or one value that a person should check.

    Parameters
    ----------
    file : str
        Path within the study's data folder.
    rule : str
        Name of the rule that is broken, such as ``"range"``.
    found, expected : str
        What is in the data, and what the contract asks for, in plain words.
    row : int, optional
        Row of a table, numbered as in a spreadsheet (the header is row 1).
    column : str
        Column of the contract, with the export's own name in brackets if it differs.
    verbatim : bool
        ``found`` is the content of a cell, which could be anything, not this package's description of it.
    alias : str
        Name of the file in messages if its path must not be shown because it contains a patient's id.
    """

    file: str
    rule: str
    found: str
    expected: str
    row: int | None = None
    column: str = ""
    verbatim: bool = False
    alias: str = ""


@dataclass
class Findings:
    """Errors, warnings and notes from one pass over a study's data.

    Parameters
    ----------
    errors, warnings : list of Finding
        Errors stop the study; warnings are for a person to check.
    notes : list of str
        How the files were read.
    """

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class DataErrors(Refused):
    """All errors in a study's data, found in one pass.

    The message lists every error. It may be kept in a log or an executed notebook, so a value that could be a
    person's name, number or date of birth is described in it, not shown; `table` contains the values
    themselves.

    Parameters
    ----------
    findings : sequence of Finding
        At least one.

    Attributes
    ----------
    findings : tuple of Finding
    table : pandas.DataFrame
        As returned by `findings_table`.

    Examples
    --------
    >>> print(DataErrors([Finding("patients.csv", "range", "200", "0 to 125 years", 7, "age_years")]))
    1 error in the data:
      patients.csv, row 7, age_years: found 200; expected 0 to 125 years.
    """

    def __init__(self, findings: Sequence[Finding]):
        self.findings = tuple(findings)
        self.table = findings_table(self.findings)
        count = len(self.findings)
        super().__init__(f"{count} error{'s' if count != 1 else ''} in the data:\n{listing(self.findings)}")


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return findings as a table: file, row, column, found, expected, rule.

    The table shows the values and the file names as they are, ids included. It is for the person who has the
    data and for ``build/``, never for a report.

    Examples
    --------
    >>> findings_table([Finding("patients.csv", "range", "200", "0 to 125 years", 7, "age_years")])
               file  row     column found        expected   rule
    0  patients.csv    7  age_years   200  0 to 125 years  range
    """
    columns = ["file", "row", "column", "found", "expected", "rule"]
    return pd.DataFrame(list(findings), columns=columns).astype({"row": "Int64"})


def in_rows(
    found: pd.Series, file: str, rule: str, expected: str | pd.Series, column: str = "", verbatim: bool = True
) -> list[Finding]:
    """Return one finding per row; after the first thousand, one that counts the rest.

    Parameters
    ----------
    found : pandas.Series of str
        Row of the file -> the cell's content, or a description of it if `verbatim` is false.
    expected : str or pandas.Series
        One text for all rows, or one per row.

    Examples
    --------
    >>> errors = in_rows(pd.Series("900", index=range(2, 5000)), "gwr.csv", "range", "-50 to 150 HU")
    >>> len(errors), errors[-1].found
    (1001, '3,998 more rows with this error')
    """
    expected = pd.Series(expected, index=found.index, dtype=object)
    listed = [
        Finding(file, rule, str(cell), expected[row], int(row), column, verbatim)
        for row, cell in found.iloc[:_MOST_ALIKE].items()
    ]
    if len(found) > _MOST_ALIKE:
        rest = f"{len(found) - _MOST_ALIKE:,} more rows with this error"
        listed.append(replace(listed[0], row=None, found=rest, verbatim=False))
    return listed


def listing(findings: Iterable[Finding]) -> str:
    """Return findings as lines of text without identifiers; the same finding in many rows is one line.

    More than five findings at one place that differ only in what was found are one line too.

    Examples
    --------
    >>> cells = pd.Series("Jane Doe", index=range(2, 12))
    >>> print(listing(in_rows(cells, "patients.csv", "number", "a number")))
      patients.csv, rows 2, 3, 4, 5, 6 and 5 more: found text of 8 characters; expected a number.
    """
    kinds: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for finding in findings:
        found = described(finding.found) if finding.verbatim else finding.found
        key = (finding.alias or finding.file, finding.column, finding.rule, finding.expected)
        rows = kinds.setdefault(key, {}).setdefault(found, [])
        rows += [] if finding.row is None else [finding.row]
    lines = []
    for (file, column, _, expected), of_found in kinds.items():
        for found, rows in _few(of_found).items():
            where = ", ".join(filter(None, (file, _rows_in_words(rows), column)))
            lines.append(printable(f"  {where}: found {found}; expected {expected}."))
    return "\n".join(lines)


def _few(rows_of: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return what was found and in which rows; of more than five findings, three and a count."""
    if len(rows_of) <= _SHOWN_ROWS:
        return rows_of
    first = "; ".join(list(rows_of)[:_SHOWN_FOUND])
    rows = sorted(row for rows in rows_of.values() for row in rows)
    return {f"{first}; and {len(rows_of) - _SHOWN_FOUND} others": rows}


def _rows_in_words(rows: Sequence[int]) -> str:
    if len(rows) <= 1:
        return "".join(f"row {row}" for row in rows)
    more = len(rows) - _SHOWN_ROWS
    return f"rows {', '.join(map(str, rows[:_SHOWN_ROWS]))}" + (f" and {more} more" if more > 0 else "")


_SHORT_NUMBER = (
    r"[<>~=≤≥]?\s*[+-]?[0-9]{0,6}(?:[.,][0-9]{1,6})?(?:e[+-]?[0-9]{1,4})?"
    r"\s?(?:mg|µg|ug|g|mm|cm|min|h|s|%|mg/dL|mmol/L|µmol/L|umol/L|years|y)?|[+-]?(?:inf|nan)"
)
# Words common in exports that do not identify a patient.
_COMMON_WORD = (
    r"n/?a|n\.a\.|nan|nd|n\.d\.|null|none|nil|missing|unknown|unk|unclear|other|pending|not done|"
    r"not measured|not recorded|not available|yes|no|maybe|true|false|male|female|man|woman|dead|"
    r"alive|died|survived|good|poor|left|right|both|vf|vt|vf/vt|pvt|pea|asystole|rosc|ecmo|ecpr|hi|lo|high|low|max|min|.|"
    r"#(?:n/a|ref!|div/0!|value!|name\?|num!|null!)"
)
# What may be shown of a cell, by the first pattern that it matches; a cell in full only in the first two.
_DESCRIPTIONS = {
    r"": "a blank cell",
    _SHORT_NUMBER: "{cell}",
    _COMMON_WORD: "{cell!r}",
    r"[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?.*": "a date",
    r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})\b.*": "a date",
    r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:\s?[ap]m)?": "a clock time",
    r"=.*": "a formula",
    r"[0-9]+": "a number of {length} digits",
    r".*": "text of {length} characters",
}


def described(cell: str) -> str:
    """Return a cell's content in a form that contains no name, record number or date of birth.

    Short numbers, also with a decimal comma or a unit, and words common in exports are returned as they are;
    anything else is described.

    Examples
    --------
    >>> described("4,5"), described("12 mg/dL"), described("1950-03-21"), described("Jane Doe")
    ('4,5', '12 mg/dL', 'a date', 'text of 8 characters')
    >>> described("31415926"), described(""), described("=A1*2"), described("n.d.")
    ('a number of 8 digits', 'a blank cell', 'a formula', "'n.d.'")
    """
    cell = cell.strip()
    patterns = (p for p in _DESCRIPTIONS if re.fullmatch(p, cell, re.IGNORECASE | re.DOTALL))
    return _DESCRIPTIONS[next(patterns)].format(cell=cell, length=len(cell))


def printable(text: str) -> str:
    r"""Return a line with a blank for each character that a terminal acts on instead of showing it.

    Names of columns and categories come from a file: they may contain line ends and escape codes.

    Examples
    --------
    >>> printable("inter-hospital\ntransfer"), printable("\x1b[2J")
    ('inter-hospital transfer', ' [2J')
    """
    return "".join(character if character.isprintable() else " " for character in text)


def stays_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, links followed, ends in a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return ``" (nearest: 'x')"`` for the most similar of some names, or an empty text.

    Examples
    --------
    >>> nearest("lactate", ["lactate_mmol_l", "cpc"])
    " (nearest: 'lactate_mmol_l')"
    """
    by_folded = {str(n).casefold(): str(n) for n in names}
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=cutoff)
    return f" (nearest: '{by_folded[close[0]]}')" if close else ""


NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def is_number(cell: str) -> bool:
    """Return whether a cell's text is a plain number with a decimal point."""
    return re.fullmatch(NUMBER_PATTERN, cell.strip()) is not None


def safe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is one that a spreadsheet would read as a formula.

    An apostrophe is put before text that starts with ``= + - @``, a tab or a line end and is not a number.

    Examples
    --------
    >>> safe_cells(pd.DataFrame({"=A1": ["=1+1", "-2.5", "plain"]}))
        '=A1
    0  '=1+1
    1   -2.5
    2  plain
    """
    safe = table.rename(columns=_safe_cell)
    for place, kind in enumerate(safe.dtypes):
        if kind.kind == "O":  # only text can be a formula
            safe.isetitem(place, safe.iloc[:, place].map(_safe_cell))
    return safe


def _safe_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # Some readers start a new row at a lone carriage return; a line feed is quoted.
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    if not text.startswith(tuple("=+-@\t\n")) or is_number(text) or text in ("-inf", "+inf"):
        return text
    return "'" + text


def safe_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV (UTF-8), whole or not at all; no cell of it opens as a formula."""
    write_text(path, safe_csv_text(table))


def safe_csv_text(table: pd.DataFrame) -> str:
    """Return a table as the text of a CSV file; no cell of it opens as a formula.

    Examples
    --------
    >>> print(safe_csv_text(pd.DataFrame({"model": ["=1+1", "-2"], "auc": [-0.5, 1]})))
    model,auc
    '=1+1,-0.5
    -2,1.0
    <BLANKLINE>
    """
    return safe_cells(table).to_csv(index=False, lineterminator="\n")
