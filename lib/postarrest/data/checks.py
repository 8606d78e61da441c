"""All rules of the data contract applied to a table in one pass."""

import re

import pandas as pd
import pandera.pandas as pa

from postarrest.data.contract import ID_EXPECTED
from postarrest.data.errors import Finding, in_rows, is_number


def check(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Finding]:
    """Return every place where a table breaks a schema's rules.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed columns; the index is the row of the file.
    schema : pandera.DataFrameSchema
        `PATIENTS` or `GWR`; columns that the table lacks are not required.
    cells : pandas.DataFrame
        The same rows as they are in the file, for the message.
    file : str
        Name of the file in messages.
    names : dict
        Name of each column in messages.
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
        rows = cases["index"].astype(int).unique()
        if context != "Column":
            # Rows that repeat a combination of columns fail once per column; they are reported once.
            if column == schema.unique[0]:
                found += _duplicates(table, rows, list(schema.unique), file, names[column])
        elif column == "patient_id":
            what = table.loc[rows, column].map(_id_in_words)
            found += in_rows(what, file, "id", ID_EXPECTED, names[column], verbatim=False)
        else:
            about = schema.columns[column].metadata
            is_range = "bounds" in about and rule != "a whole number"
            expected = (
                _range_expected(table.loc[rows, column], cells[column], about, rule) if is_range else rule
            )
            name = "range" if is_range else "codes" if "codes" in about else "whole"
            found += in_rows(cells.loc[rows, column], file, name, expected, names[column])
    return found


def _duplicates(table: pd.DataFrame, rows: pd.Index, key: list[str], file: str, column: str) -> list[Finding]:
    what = "patient" if len(key) == 1 else f"combination of {', '.join(key)}"
    numbers = table.index.to_series()
    first = numbers.groupby([table[name] for name in key], dropna=False).transform("first")
    found = f"the same {what} as in row " + first[rows].astype(str)
    shown = column if len(key) == 1 else ""
    return in_rows(found, file, "duplicate", f"each {what} once", shown, verbatim=False)


def _id_in_words(value: str) -> str:
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


def _range_expected(values: pd.Series, cells: pd.Series, about: dict, allowed: str) -> pd.Series:
    """Return the allowed range in words, with what a value outside it probably is."""

    def expected(row: int) -> str:
        value, cell = values[row], str(cells[row])
        hint = about["below" if value < about["bounds"][0] else "above"]
        if is_number(cell) and float(cell) != value:
            hint = f"converted it is {value:.4g}; is this cell in another unit than the column?"
        return f"{allowed} ({hint})" if hint else allowed

    return pd.Series({row: expected(row) for row in values.index}, dtype=object)


def implausible(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Finding]:
    """Return values that are possible but so rare that a person should check them: warnings, not errors.

    The parameters are those of `check`.
    """
    found = []
    for name in table.columns.intersection(list(schema.columns)):
        about = schema.columns[name].metadata
        if "plausible" in about:
            low, high = about["plausible"]
            odd = table[name].between(*about["bounds"]) & ~table[name].between(low, high)
            usual = f"usually {low:g} to {high:g} {about['unit']}".rstrip()
            found += in_rows(cells.loc[odd, name], file, "plausible", usual, names[name])
    return found
