"""Fisher's exact test of two groups over any number of levels."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import gammaln

# Either half of the levels may have this many tables; more would cost seconds and hundreds of megabytes.
_MOST_TABLES = 2_000_000
_DRAWN_TABLES = 99_999


def fisher_exact(counts: ArrayLike) -> tuple[float, str]:
    """Return the P value of Fisher's exact test of two groups over any number of levels, and its method.

    ``scipy.stats.fisher_exact`` is exact for two levels only; for more it estimates P from random tables
    (SciPy 1.17), so P would depend on a seed and could not be below 1 / number of tables. Here more levels
    (the Freeman-Halton test) are exact too: the possible tables of either half of the levels are listed, and
    the two lists are joined by binary search, so that six levels of hundreds of patients take milliseconds.
    Only if a list would be too long are random tables drawn, with a fixed seed.

    Parameters
    ----------
    counts : array_like of int, shape (n_levels, 2)
        Patients by level and group.

    Returns
    -------
    p : float
        Two-sided; NaN unless patients are found in at least two levels and in both groups.
    method : str
        ``"Fisher exact"``, or that with the number of drawn tables; blank where there is no test.

    References
    ----------
    Freeman GH, Halton JH. Biometrika 1951;38:141-149.

    Examples
    --------
    >>> p, method = fisher_exact([[8, 1], [2, 5]])
    >>> round(p, 7), method
    (0.034965, 'Fisher exact')
    >>> p, method = fisher_exact([[3, 1], [0, 2], [5, 9]])
    >>> round(p, 6), method
    (0.366563, 'Fisher exact')
    """
    table = np.asarray(counts, dtype=int).reshape(-1, 2)
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return math.nan, ""
    if len(table) == 2:
        return float(stats.fisher_exact(table).pvalue), "Fisher exact"
    smaller = int(np.argmin(table.sum(axis=0)))
    rows, total = table.sum(axis=1), int(table[:, smaller].sum())
    order = np.argsort(rows)
    halves = rows[order[::2]], rows[order[1::2]]
    if max(math.prod(min(int(n), total) + 1 for n in half) for half in halves) > _MOST_TABLES:
        drawn = stats.MonteCarloMethod(n_resamples=_DRAWN_TABLES, rng=np.random.default_rng(0))
        p = float(stats.fisher_exact(table, method=drawn).pvalue)
        return p, f"Fisher exact ({_DRAWN_TABLES:,} tables drawn)"
    log_all = float(_log_choose(rows.sum(), total))
    # As in R, a table counts as no more likely than the observed one up to a relative difference of 1e-7.
    limit = float(_log_choose(rows, table[:, smaller]).sum()) + 1e-7
    first, second = (_half_tables(half, total) for half in halves)
    p = 0.0
    for taken in sorted(first.keys() & {total - rest for rest in second}):
        logs, others = first[taken], second[total - taken]
        # Relative to the greatest of the list, so that no exponential overflows.
        cumulated = np.concatenate([[0.0], np.cumsum(np.exp(others - others[-1]))])
        within = cumulated[np.searchsorted(others, limit - logs, side="right")]
        p += float(np.sum(np.exp(logs + others[-1] - log_all) * within))
    return min(p, 1.0), "Fisher exact"


def _half_tables(rows: np.ndarray, total: int) -> dict[int, np.ndarray]:
    """List every way to take at most ``total`` patients from some levels.

    Returns
    -------
    dict
        Number of patients taken -> logarithms of the numbers of ways to choose them, one per table, sorted.
    """
    sums, logs = np.zeros(1, dtype=int), np.zeros(1)
    for size in rows:
        taken = np.arange(min(size, total) + 1)
        sums = np.add.outer(sums, taken).ravel()
        logs = np.add.outer(logs, _log_choose(size, taken)).ravel()
        sums, logs = sums[sums <= total], logs[sums <= total]
    order = np.lexsort((logs, sums))
    taken, starts = np.unique(sums[order], return_index=True)
    return dict(zip(taken.tolist(), np.split(logs[order], starts[1:]), strict=True))


def _log_choose(n: ArrayLike, k: ArrayLike) -> np.ndarray:
    n, k = np.asarray(n), np.asarray(k)
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
