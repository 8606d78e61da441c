"""Every rule of the data contract applied to a table in one pass."""

import re
from collections.abc import Callable, Iterator, Sequence

import pandas as pd
import pandera.pandas as pa

from postarrest.data.contract import ID_EXPECTED
from postarrest.data.errors import Finding, is_number, many


def check(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Finding]:
    """Return every place where a table breaks a schema's rules.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed columns, the index being the row of the file.
    schema : pandera.DataFrameSchema
        `PATIENTS` or `GWR`; columns that the table lacks are not asked for.
    cells : pandas.DataFrame
        The same rows as they stand in the file, for the message.
    file : str
        What to call the file.
    names : dict
        How to call each column, for the message.
    """
    present = schema.select_columns([c for c in schema.columns if c in table.columns])
    if not set(present.unique or []) <= set(table.columns):
        present.unique = None
    try:
        present.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        failures = error.failure_cases
    else:
        return []
    found: list[Finding] = []
    for (context, column, rule), cases in failures.groupby(["schema_context", "column", "check"], sort=False):
        if context != "Column" and column != schema.unique[0]:
            continue  # rows that repeat several columns are told once, not for each of these columns
        key = [column] if context == "Column" else list(schema.unique)
        rows = cases["index"].drop_duplicates().astype(int).tolist()
        place = {"file": file, "column": names.get(column, column) if context == "Column" else ""}
        if "uniqueness" in rule:
            found += _duplicates(table, key, rows, place)
        elif column == "patient_id":
            found += many(
                rows,
                lambda row, place=place: Finding(
                    rule="id",
                    found=_what_is_wrong_with_id(table.loc[row, "patient_id"]),
                    expected=ID_EXPECTED,
                    row=row,
                    **place,
                ),
            )
        else:
            found += many(
                rows, _out_of_bounds(table[column], cells[column], schema.columns[column], rule, place)
            )
    return found


def _duplicates(table: pd.DataFrame, key: list[str], rows: Sequence[int], place: dict) -> Iterator[Finding]:
    what = "patient" if key == ["patient_id"] else "combination of " + ", ".join(key)
    keys = table[key].apply(tuple, axis=1)
    first = {value: row for row, value in reversed(list(keys.items()))}
    return many(
        rows,
        lambda row: Finding(
            rule="duplicate",
            found=f"the same {what} as in row {first[keys[row]]}",
            expected=f"each {what} once",
            row=row,
            **place,
        ),
    )


def _what_is_wrong_with_id(value: str) -> str:
    if re.search(r"[/\\]|\.\.", value):
        return "an id with a path in it"
    if len(value) > 64:
        return f"an id of {len(value)} characters"
    if value[0] in "=+-@":
        return f"an id that starts with {value[0]!r}, as a formula does"
    strange = sorted({c for c in value if not re.fullmatch(r"[\w.\-]", c)})
    if strange:
        return f"an id with {', '.join('a blank' if c.isspace() else ascii(c) for c in strange)} in it"
    return f"an id that starts with {value[0]!r} and ends with {value[-1]!r}"


def _out_of_bounds(
    values: pd.Series, cells: pd.Series, column: pa.Column, expected: str, place: dict
) -> Callable[[int], Finding]:
    """Return what makes the fault of one row."""
    about = column.metadata
    rule = "range" if expected == about.get("range") else "codes" if "codes" in about else "whole"

    def fault(row: int) -> Finding:
        value, cell = values[row], str(cells[row])
        wanted = expected
        if rule == "range":
            low, _ = about["bounds"]
            hint = about["below_means"] if value < low else about["above_means"]
            if is_number(cell) and float(cell) != value:
                wanted += f"; converted it is {value:.4g}: is this cell in another unit than the column"
            elif hint:
                wanted += f" ({hint})"
        return Finding(rule=rule, found=cell, expected=wanted, row=row, verbatim=True, **place)

    return fault


def implausible(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Finding]:
    """Return values that are possible but so rare that a person should look: warnings, not faults.

    The parameters are those of `check`.
    """
    found = []
    for name, column in schema.columns.items():
        if name not in table.columns or "plausible" not in (column.metadata or {}):
            continue
        low, high = column.metadata["plausible"]
        least, most = column.metadata["bounds"]
        values = table[name]
        odd = values[((values < low) & (values >= least)) | ((values > high) & (values <= most))]
        usual = f"{low:g} to {high:g} {column.metadata['unit']} as a rule".replace("  ", " ")
        place = {"file": file, "column": names.get(name, name)}
        found += many(
            odd.index,
            lambda row, name=name, usual=usual, place=place: Finding(
                rule="plausible",
                found=str(cells.loc[row, name]),
                expected=usual,
                row=row,
                verbatim=True,
                **place,
            ),
        )
    return found
