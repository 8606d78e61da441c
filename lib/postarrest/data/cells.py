"""The cells of an export converted to the contract's types."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from postarrest.data import checks, contract, errors
from postarrest.data.errors import Finding
from postarrest.data.mapping import ALL_COLUMNS, ColumnMapping, Findings, as_cell, as_code

_YES = ("yes", "y", "true", "1")
_NO = ("no", "n", "false", "0")
# A column of numbers with some words in it has faults; a column of words with some numbers in it holds
# categories.
_NUMBERS_FROM = 0.5
_MOST_LEVELS = 30
_ANISOCORIA_MM = 3
# Words that say "included" where the contract wants a blank cell.
_NOT_A_REASON = {"no", "none", "0", "false", "included", "n/a", "na", "-"}


def typed_columns(
    cells: pd.DataFrame, schema: pa.DataFrameSchema, mapping: ColumnMapping, file: str, found: Findings
) -> pd.DataFrame:
    """Return a table with the contract's types; whatever doesn't fit is a fault."""
    shown = {name: mapping.shown_name(name) for name in cells}
    typed: dict[str, pd.Series] = {}
    for name in cells:
        kind = schema.columns[name].metadata["kind"] if name in schema.columns else "predictor"
        column = _decoded(cells[name], {**mapping.codes.get(ALL_COLUMNS, {}), **mapping.codes.get(name, {})})
        where = Where(file, shown[name], mapping.table_format.get("decimal", "."), found)
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
    found.faults += checks.check(table, schema, **places)
    found.warnings += checks.implausible(table, schema, **places)
    found.warnings += _odd_columns(table, cells, file, shown)
    return table


@dataclass(frozen=True)
class Where:
    file: str
    column: str
    decimal: str
    found: Findings

    def faults(self, rule: str, cells: pd.Series, expected: str | Callable[[str], str]) -> None:
        """Tell of some cells, all of which break one rule."""
        self.found.faults += errors.many(
            cells.index,
            lambda row: Finding(
                self.file,
                rule,
                cells[row],
                expected if isinstance(expected, str) else expected(cells[row]),
                row,
                self.column,
                verbatim=True,
            ),
        )


def _decoded(column: pd.Series, codes: Mapping[Any, Any]) -> pd.Series:
    if not codes:
        return column
    plain = {as_code(key): as_cell(value) for key, value in codes.items()}
    return column.map(lambda cell: plain.get(as_code(None if pd.isna(cell) else cell), cell)).astype("str")


def _ids(column: pd.Series, where: Where) -> pd.Series:
    where.faults("id", column[column.isna()].fillna(""), contract.ID_EXPECTED)
    # Blank ids are told already; numbering them keeps them from being told again as equal to each other.
    return column.where(column.notna(), "row" + column.index.astype(str))


def _numbers(column: pd.Series, where: Where) -> pd.Series:
    text = column.str.replace(",", ".") if where.decimal == "," else column
    is_number = text.str.fullmatch(errors.NUMBER_PATTERN).fillna(False).astype(bool)
    where.faults("number", column[column.notna() & ~is_number], lambda c: _number_expected(c, where.decimal))
    numbers = pd.to_numeric(text.where(is_number)).astype(float)
    where.faults("number", column[np.isinf(numbers)], "a finite number")
    return numbers.where(~np.isinf(numbers))


def _number_expected(cell: str, decimal: str) -> str:
    what = errors.described(cell)
    if what in ("a date", "a clock time"):
        return f"a number, not {what}"
    if what == "a formula":
        return "a number; save the results of formulas as values"
    if cell.startswith("#"):
        return "a number, not a spreadsheet's error"
    if "inf" in cell.casefold():
        return "a finite number"
    if "," in cell and errors.is_number(cell.replace(",", "")) and "." in cell:
        return "a number without marks for thousands"
    if decimal == "." and errors.is_number(cell.replace(",", ".", 1)):
        return "a number with a decimal point; say table_format: {decimal: ','} for decimal commas"
    if any(c.isdigit() and not c.isascii() for c in cell):
        return "a number in ASCII digits, not full-width ones"
    if any(c.isdigit() for c in cell):
        return "a number without a unit or sign beside it"
    return "a number or a blank cell; say codes: {column: {word: null}} for words that mean missing"


def _yes_no(column: pd.Series, where: Where) -> pd.Series:
    plain = column.map(as_code, na_action="ignore")
    numbers = plain.map({**dict.fromkeys(_YES, 1.0), **dict.fromkeys(_NO, 0.0)}).astype(float)
    where.faults("codes", column[column.notna() & numbers.isna()], "yes | no (or 1 | 0)")
    return numbers


def _coded(column: pd.Series, codes: Sequence[str]) -> pd.Series:
    plain = {code.casefold(): code for code in codes}
    return column.map(lambda cell: plain.get(cell.casefold(), cell), na_action="ignore").astype("str")


def _predictor(column: pd.Series, where: Where) -> pd.Series:
    given = column.dropna()
    text = given.str.replace(",", ".") if where.decimal == "," else given
    are_numbers = text.str.fullmatch(errors.NUMBER_PATTERN).astype(bool)
    if given.empty:
        where.found.faults.append(
            Finding(where.file, "empty", "no value in any row", "values of a predictor", column=where.column)
        )
        return column.astype(float)
    if are_numbers.mean() >= _NUMBERS_FROM:
        return _numbers(column, where)
    if given.nunique() > max(_MOST_LEVELS, 0.5 * len(given)):
        found = f"{given.nunique()} different texts in {len(given)} rows"
        expected = "a predictor: numbers, or a few categories"
        where.found.faults.append(Finding(where.file, "categories", found, expected, column=where.column))
    odd = given[given.str.startswith("=") | given.str.startswith("#")]
    where.faults("formula", odd, "a value, not a formula or a spreadsheet's error")
    return column


def _odd_columns(
    table: pd.DataFrame, cells: pd.DataFrame, file: str, shown: Mapping[str, str]
) -> Iterator[Finding]:
    """Warn of what no single cell shows."""
    for name in table:
        if name != "exclusion" and cells[name].isna().all():
            yield Finding(file, "empty", "no value in any row", "some values", column=shown[name])
    if {"pupil_left_mm", "pupil_right_mm"} <= set(table):
        apart = (table["pupil_left_mm"] - table["pupil_right_mm"]).abs()
        for row in apart.index[apart > _ANISOCORIA_MM]:
            found = f"pupils {apart[row]:g} mm apart"
            expected = f"at most {_ANISOCORIA_MM} mm as a rule"
            yield Finding(file, "anisocoria", found, expected, int(row), "pupil_left_mm, pupil_right_mm")
    if "exclusion" in table:
        reasons = table["exclusion"].dropna()
        for row in reasons.index[reasons.str.casefold().isin(_NOT_A_REASON)]:
            expected = "a reason, or a blank cell for an included patient"
            yield Finding(
                file, "exclusion", reasons[row], expected, int(row), shown["exclusion"], verbatim=False
            )
    for name in ("exclusion", "cause", "death_cause"):
        if name in table and table[name].nunique() > _MOST_LEVELS:
            found = f"{table[name].nunique()} different texts"
            yield Finding(file, "categories", found, f"at most {_MOST_LEVELS} as a rule", column=shown[name])
