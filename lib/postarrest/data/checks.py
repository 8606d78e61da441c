"""All rules of the data contract applied to a table in one pass."""

import re
from functools import partial

import pandas as pd
import pandera.pandas as pa

from postarrest.data.errors import Finding, Findings, in_rows, is_number


def check(
    table: pd.DataFrame,
    schema: pa.DataFrameSchema,
    found: Findings,
    *,
    cells: pd.DataFrame,
    file: str,
    names: dict[str, str],
) -> None:
    """Add every violation of a schema's rules to the errors in `found`, and rare values to the warnings.

    Rare values are possible, but outside the usual range: a person should check them.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed columns; the index is the row of the file.
    schema : pandera.DataFrameSchema
        `PATIENTS` or `GWR`; columns may be missing from the table.
    found : Findings
        Extended in place.
    cells : pandas.DataFrame
        The same rows as they are in the file, for the message.
    file : str
        Name of the file in messages.
    names : dict
        Name of each column in messages.
    """
    # Without the optional column there is one reader.
    key = [name for name in schema.unique if name in table or name != "reader"]
    if set(key) <= set(table.columns):
        found.errors += _duplicates(table, key, file, names)
    present = schema.select_columns([c for c in schema.columns if c in table.columns])
    present.unique = None
    try:
        present.validate(table, lazy=True)
        failures = []
    except pa.errors.SchemaErrors as error:
        failures = error.failure_cases.groupby(["column", "check"], sort=False)["index"]
    for (column, expected), index in failures:
        rows, about = index.astype(int), schema.columns[column].metadata
        values, what = table.loc[rows, column], cells.loc[rows, column]
        rule = {"id": "id", "code": "codes", "yes or no": "codes"}.get(about["kind"], "range")
        if rule == "id":
            what = values.map(_id_in_words)
        elif expected == "a whole number":
            rule = "whole"
        elif rule == "range":
            expected = values.combine(what, partial(_range_expected, about=about, allowed=expected))
        found.errors += in_rows(what, file, rule, expected, names[column], verbatim=rule != "id")
    for name in present.columns:
        about = schema.columns[name].metadata
        if "plausible" in about:
            low, high = about["plausible"]
            odd = table[name].between(*about["bounds"]) & ~table[name].between(low, high)
            usual = " ".join(f"{low:g} to {high:g} {about['unit']} as a rule".split())
            found.warnings += in_rows(cells.loc[odd, name], file, "plausible", usual, names[name])


def _duplicates(table: pd.DataFrame, key: list[str], file: str, names: dict[str, str]) -> list[Finding]:
    what, column = f"combination of {', '.join(key)}", ""
    if len(key) == 1:
        what, column = "patient", names[key[0]]
    first = table.index.to_series().groupby([table[name] for name in key], dropna=False).transform("first")
    found = f"the same {what} as in row " + first[table.duplicated(key)].astype(str)
    return in_rows(found, file, "duplicate", f"each {what} once", column, verbatim=False)


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


def _range_expected(value: float, cell: str, *, about: dict, allowed: str) -> str:
    """Return the allowed range in words, with what a value outside it probably is."""
    hint = about["below" if value < about["bounds"][0] else "above"]
    if is_number(cell) and float(cell) != value:
        hint = f"converted it is {value:.4g}; is this cell in another unit than the column?"
    return f"{allowed} ({hint})" if hint else allowed
