"""How fast is the bootstrap of all measures, beside a loop over scikit-learn, SciPy and `confidenceinterval`?

    python benchmarks/benchmark_bootstrap.py                 # table on the screen
    python benchmarks/benchmark_bootstrap.py --out docs/benchmark_bootstrap.csv

The others are timed on fewer resamples and their time per resample is multiplied, as the table says; ours is
timed in full. All run in one thread. Ratios are of processor time, which other work on the machine disturbs
less than wall time. Agreement: the largest difference of any measure between our resamples and scikit-learn
on the same drawn patients, and between our DeLong limits and those of `confidenceinterval`.
"""

import argparse
import gc
import resource
import time
from pathlib import Path

import confidenceinterval
import numpy as np
import pandas as pd
from confidenceinterval.bootstrap import bootstrap_ci
from scipy import stats
from scipy.special import expit
from sklearn import metrics
from threadpoolctl import threadpool_limits

from postarrest.evaluation import bootstrap, delong

MODELS = 4
RESAMPLES = 1000
SHIFTS = np.array([1.0, 0.55, 0.66, 1.3])


def cohort(n: int) -> tuple[np.ndarray, np.ndarray]:
    """15 % good outcomes and the probabilities of four models; three decimals, so that some are tied."""
    rng = np.random.default_rng(n)
    y = (rng.random(n) < 0.15).astype(int)
    return y, np.round(expit(rng.normal(size=(n, MODELS)) + SHIFTS * y[:, None] - 2), 3)


def by_scikit_learn(y: np.ndarray, p: np.ndarray) -> list[float]:
    """All measures of one model by scikit-learn."""
    brier = metrics.brier_score_loss(y, p)
    return [
        metrics.roc_auc_score(y, p),
        metrics.average_precision_score(y, p),
        metrics.average_precision_score(1 - y, -p),
        brier,
        1 - brier / (y.mean() * (1 - y.mean())),
        metrics.log_loss(y, p),
    ]


def loop(y: np.ndarray, p: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """The usual way: draw patients, call every metric of every model."""
    rng = np.random.default_rng(seed)
    good, poor = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    found = np.empty((MODELS, len(bootstrap.MEASURES), resamples))
    for b in range(resamples):
        drawn = np.r_[rng.choice(good, len(good)), rng.choice(poor, len(poor))]
        for m in range(MODELS):
            found[m, :, b] = by_scikit_learn(y[drawn], p[drawn, m])
    return found


def disagreement(y: np.ndarray, p: np.ndarray, *, resamples: int) -> float:
    """Largest difference between ours and scikit-learn on the same drawn patients."""
    ours = bootstrap.bootstrap(y, p, n_resamples=resamples, seed=1, jackknife=False).resampled
    worst, b = 0.0, 0
    for good, poor in resamples.counts(y, n_resamples=resamples, seed=1):
        for row in range(len(good)):
            times = np.empty(len(y), int)
            times[y == 1], times[y == 0] = good[row], poor[row]
            drawn = np.repeat(np.arange(len(y)), times)
            for m in range(MODELS):
                worst = max(worst, np.abs(ours[m, :, b] - by_scikit_learn(y[drawn], p[drawn, m])).max())
            b += 1
    return worst


def by_scipy(y: np.ndarray, p: np.ndarray, *, resamples: int) -> None:
    """scipy.stats.bootstrap, percentile, one measure and model at a time, over the two outcomes' patients."""
    for m in range(MODELS):
        for measure in range(len(bootstrap.MEASURES)):

            def statistic(good, poor, measure=measure):
                outcome = np.r_[np.ones(len(good), int), np.zeros(len(poor), int)]
                return _one(measure, outcome, np.r_[good, poor])

            stats.bootstrap(
                (p[y == 1, m], p[y == 0, m]),
                statistic,
                vectorized=False,
                n_resamples=resamples,
                method="percentile",
                rng=1,
            )


def _one(measure: int, y: np.ndarray, p: np.ndarray) -> float:
    functions = (
        metrics.roc_auc_score,
        metrics.average_precision_score,
        lambda y, p: metrics.average_precision_score(1 - y, -p),
        metrics.brier_score_loss,
        lambda y, p: 1 - metrics.brier_score_loss(y, p) / (y.mean() * (1 - y.mean())),
        metrics.log_loss,
    )
    return functions[measure](y, p)


def by_confidenceinterval(y: np.ndarray, p: np.ndarray, *, resamples: int) -> None:
    """The `confidenceinterval` package: its bootstrap of the same measures, one at a time."""
    for m in range(MODELS):
        for measure in range(len(bootstrap.MEASURES)):
            bootstrap_ci(
                y,
                p[:, m],
                lambda a, b, measure=measure: _one(measure, a, b),
                confidence_level=0.95,
                n_resamples=resamples,
                method="bootstrap_percentile",
            )


def delong_disagreement(y: np.ndarray, p: np.ndarray) -> float:
    """Largest difference of a DeLong limit between ours and `confidenceinterval`."""
    ours = delong.delong(y, p)
    worst = 0.0
    for m in range(MODELS):
        area, (lower, upper) = confidenceinterval.roc_auc_score(y, p[:, m])
        mine = ours.interval(str(m))
        worst = max(worst, abs(mine.value - area), abs(mine.lower - lower), abs(mine.upper - min(upper, 1)))
    return worst


def timed(function, *arguments, repeats: int = 1, **settings) -> tuple[float, float]:
    """Best processor time of some runs, and the wall time of that run."""
    runs = []
    for _ in range(repeats):
        gc.collect()
        wall, processor = time.perf_counter(), time.process_time()
        function(*arguments, **settings)
        runs.append((time.process_time() - processor, time.perf_counter() - wall))
    return min(runs)


def main() -> None:
    """Time every way at every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    # Few resamples suffice to time the others: a resample costs them the same each time.
    for n, few in ((533, 20), (2_000, 10), (10_000, 5), (100_000, 2)):
        y, p = cohort(n)
        ours = {"n_resamples": RESAMPLES, "seed": 1}
        ways = {
            "postarrest": (bootstrap.bootstrap, RESAMPLES, ours | {"jackknife": False}),
            "postarrest with BCa": (bootstrap.bootstrap, RESAMPLES, ours),
            "loop over scikit-learn": (loop, few, {"resamples": few, "seed": 1}),
            "scipy.stats.bootstrap": (by_scipy, few, {"resamples": few}),
            "confidenceinterval": (by_confidenceinterval, few, {"resamples": few}),
        }
        of_n = []
        for way, (function, resamples, settings) in ways.items():
            cpu, wall = timed(function, y, p, repeats=5 if n < 5_000 else 2, **settings)
            whole = RESAMPLES / resamples
            of_n.append(
                {"way": way, "cpu_s": cpu * whole, "wall_s": wall * whole, "timed_resamples": resamples}
            )
        agreement = disagreement(y, p, resamples=few), delong_disagreement(y, p)
        rows += [
            {"n": n, "models": MODELS, "measures": len(bootstrap.MEASURES), "resamples": RESAMPLES}
            | row
            | {"times_ours": row["cpu_s"] / of_n[0]["cpu_s"]}
            for row in of_n
        ]
        print(
            f"n = {n}: largest difference to scikit-learn {agreement[0]:.1e}, "
            f"of DeLong limits to confidenceinterval {agreement[1]:.1e}",
            flush=True,
        )
    table = pd.DataFrame(rows)
    table["cpu_ns_per_n_log_n"] = 1e9 * table["cpu_s"] / (table["n"] * np.log(table["n"]))
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory of the whole benchmark: {peak:.2f} GiB")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(arguments.out, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
