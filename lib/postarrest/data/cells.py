"""The cells of an export converted to the types of the contract."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import pandera.pandas as pa

from postarrest.data import checks, contract, errors
from postarrest.data.errors import Finding, Findings, in_rows
from postarrest.data.mapping import ExportSettings, as_code
from postarrest.data.tablefile import CSV_SUFFIXES

_YES_NO = {**dict.fromkeys(("yes", "y", "1"), 1.0), **dict.fromkeys(("no", "n", "0"), 0.0)}
# A column of numbers with some words in it has errors; a column of words with some numbers in it is
# categorical.
_NUMBERS_FROM = 0.5
_EITHER = ".,"
_MOST_LEVELS = 30
_ANISOCORIA_MM = 3
# Nothing that is measured is larger, and models that keep numbers in 32 bits stop at 3.4e38. Statistics
# programs export a missing value as one of the largest numbers that they know.
_LARGEST = 1e15
# Words that mean "included", where the contract expects a blank cell.
_NOT_A_REASON = {"no", "none", "0", "false", "included", "n/a", "na", "-"}
# Reports the cells of one column that break a rule: cells, rule, what is expected.
Report = Callable[[pd.Series, str, str | pd.Series], None]


def typed_columns(
    cells: pd.DataFrame, schema: pa.DataFrameSchema, settings: ExportSettings, file: str, found: Findings
) -> pd.DataFrame:
    """Return a table with the types of the contract; cells that do not fit are added to `found`."""
    shown = {name: settings.shown_name(name) for name in cells}
    typed: dict[str, pd.Series] = {}
    for name in cells:

        def report(cells: pd.Series, rule: str, expected: str | pd.Series, name: str = name) -> None:
            found.errors += in_rows(cells, file, rule, expected, shown[name])

        about = schema.columns[name].metadata if name in schema.columns else {"kind": "predictor"}
        column = _decoded(cells[name], settings.codes_of(name))
        signs = _decimal_signs(settings.table_format.decimal, file)
        match about["kind"]:
            case "id":
                column = _ids(column, report)
            case "number" | "whole number":
                factor = contract.UNITS.get(name, {}).get(settings.units.get(name, ""), 1)
                column = _numbers(column, signs, report) * factor
            case "yes or no":
                column = _yes_no(column, report)
            case "code":
                plain = {code.casefold(): code for code in about["codes"]}
                column = column.str.casefold().map(plain).fillna(column).astype("str")
            case "text":
                _report_formulas(column, report)
            case "predictor":
                column = _predictor(column, signs, report)
                if column.notna().any() or cells[name].isna().all():  # else its cells are errors
                    found.errors += _predictor_errors(column, file, shown[name])
        typed[name] = column
    table = pd.DataFrame(typed, index=cells.index)
    checks.check(table, schema, found, cells=cells, file=file, names=shown)
    found.warnings += _odd_columns(table, cells, file, shown)
    return table


def _decoded(column: pd.Series, codes: Mapping[str, str | float]) -> pd.Series:
    if not codes:
        return column
    return column.map(lambda cell: codes.get(as_code(None if pd.isna(cell) else cell), cell)).astype("str")


def _ids(column: pd.Series, report: Report) -> pd.Series:
    report(column[column.isna()].fillna(""), "id", contract.ID_EXPECTED)
    # Numbered, so that blank ids are not reported again as equal to each other.
    return column.where(column.notna(), "row" + column.index.astype(str))


def _decimal_signs(declared: str, file: str) -> str:
    """Return the decimal signs of a file's numbers.

    With a decimal comma, a point in a text file separates thousands. Other files also store numbers as such,
    which arrive with a point.
    """
    return declared if declared == "." or file.lower().endswith(CSV_SUFFIXES) else _EITHER


def _as_numbers(column: pd.Series, signs: str) -> pd.Series:
    """Return numbers, NaN for anything that is not one."""
    text = column.str.replace(",", ".", regex=False) if "," in signs else column
    if "." not in signs:
        text = text.mask(column.str.contains(".", regex=False, na=False))
    is_number = text.str.fullmatch(errors.NUMBER_PATTERN).fillna(False).astype(bool)
    return pd.to_numeric(text.where(is_number)).astype(float)


def _numbers(column: pd.Series, signs: str, report: Report) -> pd.Series:
    numbers = _as_numbers(column, signs)
    wrong = column[column.notna() & numbers.isna()]
    report(wrong, "number", wrong.map(lambda cell: _number_expected(cell, signs)).astype(object))
    report(column[np.isinf(numbers)], "number", "a finite number")
    too_large = numbers.abs() > _LARGEST
    expected = "a number up to 1e15; for one that means missing, set codes: {column: {number: null}}"
    report(column[too_large & ~np.isinf(numbers)], "number", expected)
    return numbers.where(~too_large)


def _number_expected(cell: str, signs: str) -> str:
    what = errors.described(cell)
    has_separators = {",", "."} <= {*cell} and errors.is_number(cell.replace(",", ""))
    has_point = signs == "," and errors.is_number(cell.replace(".", "").replace(",", ".", 1))
    has_comma = signs == "." and errors.is_number(cell.replace(",", ".", 1))
    has_wide_digit = any(c.isdigit() and not c.isascii() for c in cell)
    # The first that applies is returned.
    reasons = {
        f"a number, not {what}": what in ("a date", "a clock time"),
        "a number; save the results of formulas as values": what == "a formula",
        "a number, not a spreadsheet's error": cell.startswith("#"),
        "a finite number": "inf" in cell.casefold(),
        "a number with a decimal comma and no point, as table_format says": has_point,
        "a number without thousands separators": has_separators,
        "a number with a decimal point; for decimal commas, set table_format: {decimal: ','}": has_comma,
        "a number in ASCII digits, not full-width ones": has_wide_digit,
        "a number without a percent sign: 45 for 45 %, in every row": cell.endswith("%"),
        "a number without a unit or sign next to it": any(map(str.isdigit, cell)),
        "a number or a blank cell; for words that mean missing, set codes: {column: {word: null}}": True,
    }
    return next(reason for reason, applies in reasons.items() if applies)


def _yes_no(column: pd.Series, report: Report) -> pd.Series:
    numbers = column.map(as_code, na_action="ignore").map(_YES_NO).astype(float)
    report(column[column.notna() & numbers.isna()], "codes", "yes | no (or 1 | 0)")
    return numbers


def _predictor(column: pd.Series, signs: str, report: Report) -> pd.Series:
    """Return a column of numbers or, if fewer than half of its values are numbers, of categories."""
    # Numbers in percent or with another decimal sign are numbers that a person must change, not categories.
    numbers = _as_numbers(column.dropna().str.removesuffix("%").str.strip(), _EITHER)
    if numbers.notna().mean() >= _NUMBERS_FROM or column.isna().all():
        return _numbers(column, signs, report)
    _report_formulas(column, report)
    return column


def _report_formulas(column: pd.Series, report: Report) -> None:
    odd = column[column.str.startswith(("=", "#"), na=False)]
    report(odd, "formula", "a value, not a formula or a spreadsheet's error")


def _predictor_errors(column: pd.Series, file: str, shown: str) -> Iterator[Finding]:
    """Yield reasons why a typed column cannot be used as a predictor."""
    levels, n = column.nunique(), column.count()
    if n == 0:
        yield Finding(file, "empty", "no value in any row", "values of a predictor", column=shown)
    elif not pd.api.types.is_numeric_dtype(column) and levels > max(_MOST_LEVELS, 0.5 * n):
        found = f"{levels} different texts in {n} rows"
        yield Finding(file, "categories", found, "numbers, or a few categories", column=shown)


def _odd_columns(
    table: pd.DataFrame, cells: pd.DataFrame, file: str, shown: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield warnings that concern more than a single cell."""
    for name in table:
        if name != "exclusion" and cells[name].isna().all():
            yield Finding(file, "empty", "no value in any row", "some values", column=shown[name])
        if name in ("exclusion", "cause", "death_cause") and table[name].nunique() > _MOST_LEVELS:
            found = f"{table[name].nunique()} different texts"
            yield Finding(file, "categories", found, f"at most {_MOST_LEVELS} as a rule", column=shown[name])
    if {"pupil_left_mm", "pupil_right_mm"} <= set(table):
        apart = (table["pupil_left_mm"] - table["pupil_right_mm"]).abs()
        apart = apart[apart > _ANISOCORIA_MM].map("pupils that differ by {:g} mm".format)
        usual = f"at most {_ANISOCORIA_MM} mm as a rule"
        columns = "pupil_left_mm, pupil_right_mm"
        yield from in_rows(apart, file, "anisocoria", usual, columns, verbatim=False)
    if "exclusion" in table:
        odd = table["exclusion"][table["exclusion"].str.casefold().isin(_NOT_A_REASON)]
        expected = "a reason, or a blank cell for an included patient"
        yield from in_rows(odd, file, "exclusion", expected, shown["exclusion"], verbatim=False)
