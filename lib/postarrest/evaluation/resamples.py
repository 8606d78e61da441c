"""Bootstrap resamples and jackknife samples of patients, as counts of how often each patient was drawn."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike

# Counts in memory at a time: few enough for a processor's second-level cache, on which the speed depends.
CELLS = 2**18
# Beyond this many patients of a stratum the jackknife leaves out groups instead of single patients.
_LARGEST_JACKKNIFE = 1000
_JACKKNIFE_GROUPS = 200
# Up to so many patients threads save nothing that could be measured.
_ONE_THREAD = 20_000


def on_all_cores(function: Callable[..., Any], chunks: Iterable[tuple], *, n: int) -> list[Any]:
    """Return what a function makes of each chunk, in their order: the same numbers on any number of cores.

    Parameters
    ----------
    function : callable
        Called with the parts of a chunk, in a thread: it should leave most of its work to NumPy.
    chunks : iterable of tuple
        As from :func:`counts`; a few of them are in memory at a time.
    n : int
        Patients.

    Examples
    --------
    >>> on_all_cores(lambda good, poor: good + poor, iter([(1, 2), (3, 4)]), n=30_000)
    [3, 7]
    """
    cores = joblib.cpu_count() if n > _ONE_THREAD else 1
    return joblib.Parallel(n_jobs=cores, prefer="threads")(joblib.delayed(function)(*one) for one in chunks)


def counts(
    y_good: ArrayLike,
    *,
    n_resamples: int,
    seed: int,
    stratified: bool = True,
    n_cohort: int = 0,
    cells: int = CELLS,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw bootstrap resamples of patients, a chunk at a time.

    The resamples depend on the seed and on the numbers of good and poor outcomes, and not on the chunks.

    Parameters
    ----------
    y_good : array-like of {0, 1}
        Outcome of each patient.
    n_resamples : int
        How many.
    seed : int
        Seed of the random numbers.
    stratified : bool
        Resample good and poor outcomes separately, so that each resample has as many of each as the sample.
    n_cohort : int
        Size of the cohort from which a stratified split took these patients: the number of good outcomes then
        varies from resample to resample only as the prevalence in a cohort of that size does. 0: no split.
    cells : int
        About how many counts (resamples times patients) a chunk holds.

    Yields
    ------
    good, poor : numpy.ndarray of int32
        How often each patient with a good (poor) outcome was drawn: (resamples of the chunk, patients), the
        patients in the order of ``y_good``.

    Examples
    --------
    >>> good, poor = next(counts([1, 0, 0, 1, 0], n_resamples=4, seed=1))
    >>> good.sum(axis=1).tolist(), poor.sum(axis=1).tolist()
    ([2, 2, 2, 2], [3, 3, 3, 3])
    """
    y_good = np.asarray(y_good)
    n, n_good = len(y_good), int(np.sum(y_good))
    size = max(1, cells // n)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
    for start in range(0, n_resamples, size):
        rows = min(size, n_resamples - start)
        if n_cohort:
            prevalence = streams[0].binomial(n_cohort, n_good / n, rows) / n_cohort
            n_good_drawn = np.rint(n * prevalence).astype(int)
            yield _alike(streams[1], n_good_drawn, n_good), _alike(streams[2], n - n_good_drawn, n - n_good)
        elif stratified:
            yield _drawn(streams[0], rows, n_good), _drawn(streams[1], rows, n - n_good)
        else:
            drawn = _drawn(streams[0], rows, n)
            yield drawn[:, y_good == 1], drawn[:, y_good == 0]


def _drawn(stream: np.random.Generator, rows: int, n: int) -> np.ndarray:
    if not n:
        return np.zeros((rows, 0), np.int32)
    drawn = stream.integers(0, n, (rows, n))
    drawn += np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.int32)


def _alike(stream: np.random.Generator, sizes: np.ndarray, n: int) -> np.ndarray:
    """Draw ``sizes`` of ``n`` equally likely patients, one row of counts for each size."""
    return stream.multinomial(sizes, np.full(n, 1 / n)).astype(np.int32)


def jackknife_counts(y_good: np.ndarray, *, stratified: bool) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (stratum, good, poor): ones, and 0 where a patient (or a group of patients) is left out."""
    strata = (y_good == 1, y_good == 0) if stratified else (np.ones(len(y_good), bool),)
    for stratum, members in enumerate(strata):
        size = int(members.sum())
        groups = size if size <= _LARGEST_JACKKNIFE else _JACKKNIFE_GROUPS
        # Groups must not follow the order of the patients, which may be by date or by outcome.
        group = np.full(len(y_good), -1)
        group[members] = np.random.default_rng(0).permutation(size) % groups
        chunk = max(1, CELLS // len(y_good))
        for first in range(0, groups, chunk):
            left_out = np.arange(first, min(groups, first + chunk))
            kept = (group[None, :] != left_out[:, None]).astype(np.int32)
            yield stratum, kept[:, y_good == 1], kept[:, y_good == 0]
