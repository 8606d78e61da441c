"""Tables for reading: rounded numbers, column heads and values in words."""

from typing import Any

import numpy as np
import pandas as pd

from postarrest.report.rendering import in_words, model_in_words, render, words

# A table with more rows is folded, and one with more cells is shown in part; its file has all.
_LONGEST_OPEN_TABLE = 60
_MOST_SHOWN_CELLS = 2500
_MODEL_COLUMNS = ("model", "model_a", "model_b")


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
    >>> table_html(pd.DataFrame({"p": [0.00002], "n": [3]}), anchor="a", caption="A").count("&lt;0.001")
    1
    """
    shown = data.head(max(1, _MOST_SHOWN_CELLS // max(1, data.shape[1])))
    return render(
        "table.html.j2",
        heads=[head_in_words(column) for column in data.columns],
        numeric=is_numeric(data),
        rows=shown_cells(shown, digits=digits, network=network).to_numpy().tolist(),
        n_rows=len(data),
        folded=len(data) > _LONGEST_OPEN_TABLE,
        anchor=anchor,
        caption=caption,
        name=name,
        note=note,
    )


def is_numeric(data: pd.DataFrame) -> list[bool]:
    """Return which columns hold numbers, which are aligned to the right."""
    return [dtype.kind in "iuf" for dtype in data.dtypes]


def head_in_words(column: Any) -> str:
    """Return a column's head for readers.

    Examples
    --------
    >>> head_in_words("n_good"), head_in_words("some_share")
    ('Good outcomes, n', 'Some share')
    """
    text = words()["columns"].get(column) or in_words(column)
    return text[:1].upper() + text[1:]


def shown_cells(data: pd.DataFrame, *, digits: int = 2, network: str = "") -> pd.DataFrame:
    """Return a table as text, each cell as the report shows it.

    Examples
    --------
    >>> shown_cells(pd.DataFrame({"auc": [0.8211, float("nan")], "n": [64, 64]})).to_numpy().tolist()
    [['0.82', '64'], ['', '64']]
    """
    columns = {name: _shown_column(data[name], digits, network) for name in data.columns}
    return pd.DataFrame(columns, index=data.index, dtype=object)


def number_in_words(value: float, digits: int = 2) -> str:
    """Return a number rounded for reading; a learning rate of 0.0003 is not shown as 0.00.

    Examples
    --------
    >>> number_in_words(0.0003), number_in_words(1 / 3)
    ('0.0003', '0.33')
    """
    return f"{value:.1g}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"


def _shown_column(column: pd.Series, digits: int, network: str) -> list[str]:
    whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    is_model, names = column.name in _MODEL_COLUMNS, words()["values"]
    is_p = column.name == "p" or str(column.name).startswith("p_")

    def cell(value: Any) -> str:
        if not isinstance(value, list | dict | tuple | np.ndarray) and pd.isna(value):
            return ""
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, str):
            return model_in_words(value, network) if is_model else names.get(value, value)
        if is_p:
            return "<0.001" if value < 0.001 else f"{value:.3f}"
        if isinstance(value, float | np.floating):
            return f"{value:.0f}" if whole else number_in_words(value, digits)
        return str(value)

    return [cell(value) for value in column]
