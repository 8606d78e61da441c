"""Hide small counts of patients: the only place that decides what a table shows of a small group."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

HIDDEN = "hidden"


def hide_small_counts(
    counts: ArrayLike, texts: ArrayLike | None = None, *, below: int, totals_known: bool = True
) -> np.ndarray:
    """Return counts as text, with small counts hidden.

    A single hidden count of a row or column whose total is known follows by subtraction. So the next smallest
    count of that row or column is hidden too, until no row or column has a single hidden count.

    Parameters
    ----------
    counts : array_like of int, shape (n,) or (n_rows, n_columns)
        Numbers of patients.
    texts : array_like of str, optional
        Text shown for each count, such as ``"12 (30.0 %)"``; by default the count itself.
    below : int
        Counts from 1 to ``below - 1`` become ``"<below"``; 0 hides none.
    totals_known : bool
        The reader knows the total of each row and column, or one count of it is the sum of the others.

    Returns
    -------
    numpy.ndarray of str, of the shape of `counts`
        ``"<below"`` for small counts, ``"hidden"`` for those hidden to protect them.

    Examples
    --------
    >>> hide_small_counts([122, 3, 9, 0], below=5).tolist()
    ['122', '<5', 'hidden', '0']
    """
    counts = np.asarray(counts)
    shown = np.array(counts.astype(str) if texts is None else texts, dtype=object).reshape(counts.shape)
    small = (counts > 0) & (counts < below)
    hidden = small.copy()
    grid, mask = np.atleast_2d(counts), np.atleast_2d(hidden)
    n_hidden = -1
    while totals_known and hidden.sum() != n_hidden:
        n_hidden = hidden.sum()
        for line, line_mask in [*zip(grid, mask, strict=True), *zip(grid.T, mask.T, strict=True)]:
            others = np.flatnonzero(~line_mask & (line > 0))
            if line_mask.sum() == 1 and len(others):
                line_mask[others[np.argmin(line[others])]] = True
    shown[hidden] = HIDDEN
    shown[small] = f"<{below}"
    return shown


def merge_rare_reasons(
    rows: pd.DataFrame, *, below: int, label: str = "other reasons, each rare"
) -> pd.DataFrame:
    """Merge the rare reasons of one step: a reason in free text could identify a patient.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``step, reason, n``, all of one step.
    below : int
        Reasons of 1 to ``below - 1`` patients are merged. If they are fewer than ``below`` together, the next
        most frequent reason is merged with them.
    label : str
        The reason of the merged row.
    """
    rows = rows[["step", "reason", "n"]]
    by_size = rows[(rows["n"] > 0) & (rows["reason"] != "")].sort_values("n", kind="stable")
    rare = by_size[by_size["n"] < below]
    if rare.empty:
        return rows
    if rare["n"].sum() < below:
        rare = by_size.head(len(rare) + 1)
    merged = rare.head(1).assign(reason=label, n=rare["n"].sum())
    return pd.concat([rows.drop(rare.index), merged])
