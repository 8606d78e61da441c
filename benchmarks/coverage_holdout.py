"""Which bootstrap interval keeps its coverage in a hold-out set whose split was stratified?

    python benchmarks/coverage_holdout.py --out docs/coverage-holdout.csv

Each cohort has 321 patients, about a fifth of them with a good outcome; a split stratified by outcome takes
64 of them as the hold-out set. The scores are true probabilities, with an AUC of 0.80; the truth is that of
two million patients.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special
from sklearn.model_selection import train_test_split

from postarrest.evaluation.bootstrap import bootstrap
from postarrest.evaluation.intervals import proportion_interval

N_COHORT, N_HOLDOUT, PREVALENCE, DISTANCE = 321, 64, 0.21, 1.2
MEASURES = ("pr_auc_good", "pr_auc_poor", "brier", "brier_skill", "log_loss")
BOOTSTRAPS = {
    "stratified": {"stratified": True},
    "unstratified": {"stratified": False},
    "stratified split": {"stratified": False, "n_cohort": N_COHORT},
}


def patients(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and the true probability of a good one from a score with normal distributions."""
    y_good = (rng.random(n) < PREVALENCE).astype(int)
    x = rng.normal(size=n) + DISTANCE * y_good
    return y_good, special.expit(special.logit(PREVALENCE) + DISTANCE * (x - DISTANCE / 2))


def intervals(seed: int) -> dict[tuple[str, str], tuple[float, float]]:
    y_good, score = patients(np.random.default_rng(seed), N_COHORT)
    _, y_good, _, score = train_test_split(
        y_good, score, test_size=N_HOLDOUT, stratify=y_good, random_state=seed
    )
    found = {}
    for how, settings in BOOTSTRAPS.items():
        drawn = bootstrap(y_good, score, models=["m"], seed=seed, **settings)
        for measure in MEASURES:
            estimate = drawn.interval("m", measure, method="bca")
            found[measure, how] = (estimate.lower, estimate.upper)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--sims", type=int, default=1500, help="simulated cohorts")
    given = arguments.parse_args()
    y_good, score = patients(np.random.default_rng(2_000_000), 2_000_000)
    truth = bootstrap(y_good, score, models=["m"], n_resamples=0, jackknife=False)
    simulated = Parallel(n_jobs=-1)(delayed(intervals)(seed) for seed in range(given.sims))
    rows = []
    for measure, how in simulated[0]:
        lower, upper = np.array([one[measure, how] for one in simulated]).T
        true, _ = truth.values("m", measure)
        covered = int(((lower <= true) & (true <= upper)).sum())
        limits = map(float, proportion_interval(covered, given.sims, method="wilson"))
        rows.append((measure, f"bootstrap BCa, {how}", true, covered / given.sims, *limits))
    columns = ["statistic", "interval", "true", "coverage", "coverage_lower", "coverage_upper"]
    table = pd.DataFrame(rows, columns=columns).assign(n_sims=given.sims)
    table.to_csv(given.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
