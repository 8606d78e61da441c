"""Tables for reading: rounded numbers, column heads and values in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from postarrest.report.rendering import render
from postarrest.words import (
    column_in_words,
    interval_in_words,
    is_p_value,
    note_in_words,
    number_in_words,
    p_in_words,
    text_in_words,
    uncapitalised,
    words,
)

# A table with more rows is folded, and one with more cells is shown in part; its file has all.
_LONGEST_OPEN_TABLE = 60
_MOST_SHOWN_CELLS = 2500
# Characters of a row, with the space between columns, that fit on an upright printed page in 7.5 and in 6
# points. Longer cells are wrapped.
_PORTRAIT, _PORTRAIT_SMALL, _WRAPPED = 125, 190, 24
# A table with more columns and at least so many rows says once what all its rows have in common.
_MOST_COLUMNS, _FEWEST_ROWS = 8, 3


def table_html(
    data: pd.DataFrame,
    *,
    anchor: str,
    caption: str,
    name: str = "",
    note: str = "",
    digits: int = 2,
    network: str = "",
) -> str:
    """Return a table with its caption and note as HTML.

    Parameters
    ----------
    data : pandas.DataFrame
        The table; its index is not shown.
    anchor : str
        Links to the table use ``tab-<anchor>``.
    caption, note : str
        What the table holds, and how to read it.
    name : str
        Name of its file in ``tables/``, without ending; blank if it has none.
    digits : int
        Decimals of real numbers.
    network : str
        Readers' name of the network on head CT.

    Examples
    --------
    >>> table_html(pd.DataFrame({"p": [0.00002], "n": [3]}), anchor="a", caption="A").count("&lt;.001")
    1
    """
    narrow, constant = narrowed(data, network=network)
    shown = narrow.head(max(1, _MOST_SHOWN_CELLS // max(1, narrow.shape[1])))
    cells, numeric = for_readers(shown, digits=digits, network=network)
    return render(
        "table.html.j2",
        heads=list(cells),
        numeric=numeric,
        rows=cells.to_numpy().tolist(),
        size=_size_in_print(cells),
        n_rows=len(data),
        folded=len(data) > _LONGEST_OPEN_TABLE,
        anchor=anchor,
        caption=note_in_words(caption),
        name=name,
        note=" ".join(filter(None, [constant, note_in_words(note)])),
    )


def _size_in_print(cells: pd.DataFrame) -> str:
    """Return "", "small" or "broad": how a table is printed so that no column is cut off."""
    heads = [max(map(len, head.split())) for head in cells]
    longest = [cells.iloc[:, k].str.len().clip(upper=_WRAPPED).max() for k in range(cells.shape[1])]
    characters = sum(2 + max(pair) for pair in zip(heads, longest, strict=True))
    return "" if characters <= _PORTRAIT else "small" if characters <= _PORTRAIT_SMALL else "broad"


def narrowed(data: pd.DataFrame, *, network: str = "") -> tuple[pd.DataFrame, str]:
    """Return a wide table without the columns that are the same in all rows, and a sentence that says these.

    Examples
    --------
    >>> wide = pd.DataFrame({c: [1, 2, 3] for c in "abcdefgh"} | {"set": "pooled", "note": ""})
    >>> narrow, sentence = narrowed(wide)
    >>> narrow.shape, sentence
    ((3, 8), 'All rows: patients pooled.')
    """
    limits = _limits(data)
    in_cells = {column for value, pair in limits.items() for column in (value, *pair)}
    if len(data) < _FEWEST_ROWS or data.shape[1] - 2 * len(limits) <= _MOST_COLUMNS:
        return data, ""
    # P values belong in their column even if they are all alike.
    several = [c for c in data.columns if c not in in_cells and not is_p_value(c)]
    constant = [c for c in several if data[c].astype(str).nunique() == 1]
    # Of rows that are all alike, the first column stays.
    constant = constant[len(constant) == data.shape[1] :]
    cells, _ = for_readers(data[constant].head(1), network=network)
    said = [f"{uncapitalised(head)} {cell}" for head, cell in zip(cells, cells.iloc[0], strict=True) if cell]
    return data.drop(columns=constant), f"All rows: {'; '.join(said)}." if said else ""


def for_readers(data: pd.DataFrame, *, digits: int = 2, network: str = "") -> tuple[pd.DataFrame, list[bool]]:
    """Return a table as pages and Word files show it, and which of its columns hold numbers.

    Heads and values are in words, and an estimate is in one cell with its limits.

    Parameters
    ----------
    data, digits, network
        As for :func:`table_html`.

    Examples
    --------
    >>> table = pd.DataFrame({"auc": [0.8211, 0.7], "lower": [0.71, 0.6], "upper": [0.9, 0.8], "n": [64, 64]})
    >>> shown, numeric = for_readers(table)
    >>> list(shown), shown.to_numpy().tolist()[0], numeric
    (['AUC (95 % CI)', 'Patients, n'], ['0.82 (0.71 to 0.90)', '64'], [True, True])
    """
    limits = _limits(data)
    in_cells = {column for pair in limits.values() for column in pair}
    kept = [column for column in data.columns if column not in in_cells]
    heads = [_head(column, column in limits) for column in kept]
    cells = [
        [
            interval_in_words(*row, digits) if row[0] == row[0] else ""
            for row in _triples(data, column, limits)
        ]
        if column in limits
        else _cells(data[column], digits, network)
        for column in kept
    ]
    shown = pd.DataFrame(dict(enumerate(cells)), index=data.index, dtype=object).set_axis(heads, axis=1)
    return shown, [data[column].dtype.kind in "iuf" for column in kept]


def _limits(data: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the columns of numbers whose limits are columns too, with these."""
    columns = list(data.columns)
    named = words()["intervals"]
    found = {}
    for place, column in enumerate(columns):
        pair = tuple(named.get(column, (f"{column}_lower", f"{column}_upper")))
        if columns[place + 1 : place + 3] == ["lower", "upper"]:
            pair = ("lower", "upper")
        if all(c in columns and data[c].dtype.kind in "iuf" for c in (column, *pair)):
            found[column] = pair
    return found


def _head(column: Any, with_limits: bool) -> str:
    text = column_in_words(column)
    return f"{text} ({words()['limits'].get(column, '95 % CI')})" if with_limits else text


def _triples(data: pd.DataFrame, column: str, limits: Mapping[str, tuple[str, str]]) -> np.ndarray:
    values = data[[column, *limits[column]]].to_numpy(float, copy=True)
    # A threshold that is the same in all folds has no range.
    values[values[:, 1] == values[:, 2], 1:] = np.nan
    return values


def _cells(column: pd.Series, digits: int, network: str) -> list[str]:
    whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    name, is_p = str(column.name), is_p_value(column.name)

    def cell(value: Any) -> str:
        if not isinstance(value, list | dict | tuple | np.ndarray) and pd.isna(value):
            return ""
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, str):
            return text_in_words(value, column=name, network=network)
        if is_p:
            return p_in_words(value)
        if isinstance(value, float | np.floating):
            # 69 years need no thousandths where a share in the same column has them.
            fewer = (abs(value) >= 10) + (abs(value) >= 100)
            return number_in_words(value, 0 if whole else max(0, digits - fewer))
        return text_in_words(str(value))

    return [cell(value) for value in column]
