"""Small counts hidden."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def mask_small(counts: pd.Series, *, below: int = 5, total_shown: bool = True) -> pd.Series:
    """Return counts as text in which those of few patients are hidden.

    Parameters
    ----------
    counts : pandas.Series of int
        Numbers of patients.
    below : int
        Counts of 1 to ``below - 1`` become ``"<below"``.
    total_shown : bool
        The counts' sum is known to the reader. If exactly one count is hidden, the next smallest is hidden
        too, since a subtraction would give the one.

    Examples
    --------
    >>> mask_small(pd.Series([122, 3, 9, 0])).tolist()
    ['122', '<5', 'hidden', '0']
    """
    small = (counts > 0) & (counts < below)
    text = counts.map(str).where(~small, f"<{below}")
    others = counts[(counts > 0) & ~small]
    if total_shown and small.sum() == 1 and len(others):
        text.loc[others.idxmin()] = "hidden"
    return text


HIDDEN = "hidden"


def reasons_together(rows: pd.DataFrame, *, below: int) -> pd.DataFrame:
    """Put rare reasons of one step together; each reason's own words could tell of a person."""
    rows = rows[["step", "reason", "n"]]
    by_size = rows[(rows["n"] > 0) & (rows["reason"] != "")].sort_values("n", kind="stable")
    rare = by_size[by_size["n"] < below]
    if rare.empty:
        return rows
    if rare["n"].sum() < below:
        rare = by_size.head(len(rare) + 1)
    together = pd.DataFrame(
        {"step": rows["step"].iloc[0], "reason": "other reasons, each rare", "n": [rare["n"].sum()]}
    )
    return pd.concat([rows.drop(rare.index), together])


def hide_small(counts: np.ndarray, texts: Sequence[Sequence[str]], *, below: int) -> list[list[str]]:
    """Return texts with small counts hidden, and with them what they could be worked out from.

    Each row's first count is the sum of the others (where there are others), and each column's sum is known:
    a lone hidden count could be had by subtraction, so the next smallest of its row or column is hidden too.
    """
    hidden = (counts > 0) & (counts < below)
    small = hidden.copy()
    before = -1
    while hidden.sum() != before:
        before = hidden.sum()
        for lines, line_hidden in ((counts, hidden), (counts.T, hidden.T)):
            for line, gone in zip(lines, line_hidden, strict=True):
                others = np.flatnonzero(~gone & (line > 0))
                if gone.sum() == 1 and len(others):
                    gone[others[np.argmin(line[others])]] = True
    return [
        [f"<{below}" if s else HIDDEN if h else text for s, h, text in zip(*row, strict=True)]
        for row in zip(small, hidden, texts, strict=True)
    ]
