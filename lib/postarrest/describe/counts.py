"""Numbers of patients: participant flow, unusual values, doubted readings."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from postarrest.data.errors import Finding
from postarrest.describe.masking import hide_small_counts, merge_rare_reasons


def data_warnings(findings: Iterable[Finding], *, mask_below: int = 0) -> pd.DataFrame:
    """Count the unusual values in a study's data by the range that is usual, without the values themselves.

    Parameters
    ----------
    findings : iterable of Finding
        The ``warnings`` of `data.read_export`.
    mask_below : int
        Counts below this are hidden; 0 shows all.

    Returns
    -------
    pandas.DataFrame
        ``file, column, expected, n``, with ``n`` as text.
    """
    columns = ["file", "column", "expected"]
    table = pd.DataFrame([(w.alias or w.file, w.column, w.expected) for w in findings], columns=columns)
    table = table.groupby(columns, as_index=False).size().rename(columns={"size": "n"})
    return table.assign(n=hide_small_counts(table["n"], below=mask_below, totals_known=False))


def flow(selected: pd.DataFrame, y_good: pd.Series, *, mask_below: int = 0) -> pd.DataFrame:
    """Return the participant flow: the steps of `data.select`, and the outcomes of the included patients.

    Parameters
    ----------
    selected : pandas.DataFrame
        ``step, reason, n`` from `data.select`.
    y_good : pandas.Series of 0 and 1
        Outcome of the included patients.
    mask_below : int
        Reasons of fewer patients than this are merged into one; 0 merges none.

    Returns
    -------
    pandas.DataFrame
        ``step, reason, n, n_left``: ``n`` patients at a step (screened, excluded, kept despite a reason for
        exclusion, included, good outcome, poor outcome), and how many remain after it.

    Examples
    --------
    >>> selected = pd.DataFrame(
    ...     [("screened", "", 9), ("excluded", "stroke", 4), ("excluded", "trauma", 1), ("included", "", 4)],
    ...     columns=["step", "reason", "n"],
    ... )
    >>> flow(selected, pd.Series([1, 0, 0, 0]))
               step  reason  n  n_left
    0      screened          9       9
    1      excluded  stroke  4       5
    2      excluded  trauma  1       4
    3      included          4       4
    4  good outcome          1       1
    5  poor outcome          3       3
    """
    steps = ["screened", "excluded", "kept", "included"]
    parts = [merge_rare_reasons(selected[selected["step"] == step], below=mask_below) for step in steps]
    table = pd.concat(parts, ignore_index=True)
    table["n_left"] = table["n"].iloc[0] - table["n"].where(table["step"] == "excluded", 0).cumsum()
    good, poor = int((y_good == 1).sum()), int((y_good != 1).sum())
    outcomes = [("good outcome", "", good, good), ("poor outcome", "", poor, poor)]
    return pd.concat([table, pd.DataFrame(outcomes, columns=table.columns)], ignore_index=True)


def flag_counts(flags: pd.DataFrame, *, n_patients: int, mask_below: int = 0) -> pd.DataFrame:
    """Count the patients whose automatic reading is doubted, by reason.

    Parameters
    ----------
    flags : pandas.DataFrame
        ``patient_id, reason``.
    n_patients : int
        Number of patients in the study.
    mask_below : int
        As for :func:`table1`.

    Returns
    -------
    pandas.DataFrame
        ``reason, n`` (text), ``share`` (NaN where the count is hidden); the last row is any reason.

    Examples
    --------
    >>> flags = pd.DataFrame({"patient_id": ["a", "a", "b"], "reason": ["metal", "level", "metal"]})
    >>> flag_counts(flags, n_patients=4)
           reason  n  share
    0       metal  2   0.50
    1       level  1   0.25
    2  any reason  2   0.50
    """
    counts = flags.groupby("reason")["patient_id"].nunique().sort_values(ascending=False, kind="stable")
    counts["any reason"] = flags["patient_id"].nunique()
    # Where no patient has two reasons, the last count is the sum of the others.
    shown = hide_small_counts(counts, below=mask_below)
    share = np.where([text.isdigit() for text in shown], counts / n_patients, np.nan)
    return pd.DataFrame({"reason": counts.index, "n": shown, "share": share})
