"""Do 95 % intervals and tests hold for models that were trained? A simulation in which models are trained.

    python benchmarks/coverage_training.py --out docs/coverage-training.csv

Each simulated cohort is cross-validated in five folds, in each of which the procedures are fitted anew. The
intervals should cover the expected AUC of the procedure when trained on four fifths of such a cohort, or the
difference between two procedures; the truth is the mean over all fitted models of their AUC in 2,000 new
patients.

Predictors are independent and normal; about a fifth of the patients have a good outcome. Without signal the
outcome is independent of all predictors, as if permuted; with signal all have the same share of it. ``half``
and ``other half`` are one procedure on either half of the predictors: their true difference is 0, with signal
or without.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special
from scipy.stats import t
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from postarrest.evaluation.delong import DeLong, delong
from postarrest.evaluation.discrimination import PROCEDURE, mean_delong
from postarrest.evaluation.intervals import proportion_interval
from postarrest.models.platt import platt
from postarrest.models.tabular import estimator

FOLDS = 5
REPEATS = 3
NEW_PATIENTS = 2000
Procedure = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def lightgbm(x: np.ndarray, y: np.ndarray):
    model = estimator("lightgbm", LIGHTGBM, seed=1).fit(pd.DataFrame(x).rename(columns=str), y)
    return lambda new: model.predict_proba(pd.DataFrame(new).rename(columns=str))[:, 1]


def logistic(x: np.ndarray, y: np.ndarray, penalty: float = 1.0):
    """Ridge logistic regression; with a large penalty, the network's head without its hidden layer."""
    linear = LogisticRegression(C=1 / penalty, max_iter=200, tol=1e-3)
    model = make_pipeline(StandardScaler(), linear).fit(x, y)
    return lambda new: model.predict_proba(new)[:, 1]


def ensemble(x: np.ndarray, y: np.ndarray):
    """Out-of-fold scores of a logistic regression and of LightGBM, stacked by a forest and Platt scaled."""
    middle = x.shape[1] // 2
    linear = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-3))
    bases = [
        (slice(0, middle), linear),
        (slice(middle, None), estimator("lightgbm", LIGHTGBM, seed=1)),
    ]
    folds = StratifiedKFold(4, shuffle=True, random_state=1)
    frames = [pd.DataFrame(x[:, part]).rename(columns=str) for part, _ in bases]
    meta = np.column_stack(
        [
            cross_val_predict(model, frame, y, cv=folds, method="predict_proba")[:, 1]
            for (_, model), frame in zip(bases, frames, strict=True)
        ]
    )
    fitted = [model.fit(frame, y) for (_, model), frame in zip(bases, frames, strict=True)]
    forest = RandomForestClassifier(100, max_depth=4, min_samples_leaf=15, random_state=1)
    stack = platt(make_pipeline(QuantileTransformer(n_quantiles=30), forest), folds=folds).fit(meta, y)

    def score(new: np.ndarray) -> np.ndarray:
        columns = [
            model.predict_proba(pd.DataFrame(new[:, part]).rename(columns=str))[:, 1]
            for (part, _), model in zip(bases, fitted, strict=True)
        ]
        return stack.predict_proba(np.column_stack(columns))[:, 1]

    return score


LIGHTGBM = {"n_estimators": 60, "learning_rate": 0.05, "num_leaves": 7}


def part_of(procedure: Procedure, part: slice) -> Procedure:
    def fit(x: np.ndarray, y: np.ndarray):
        score = procedure(x[:, part], y)
        return lambda new: score(new[:, part])

    return fit


def halves(procedure: Procedure, n_predictors: int) -> dict[str, Procedure]:
    half = n_predictors // 2
    return {
        "all": procedure,
        "half": part_of(procedure, slice(0, half)),
        "other half": part_of(procedure, slice(half, 2 * half)),
    }


def cohort(rng: np.random.Generator, n: int, n_predictors: int, signal: float):
    while True:
        x = rng.normal(size=(n, n_predictors))
        y = (rng.random(n) < special.expit(-1.6 + signal * x.sum(axis=1) / np.sqrt(n_predictors))).astype(int)
        # Each fold needs two patients of either outcome.
        if y.sum() >= 2 * FOLDS:
            return x, y


def once(seed: int, procedures: dict[str, Procedure], *, repeats: int, **size):
    """Return (repeats * folds, procedures) of AUCs in test and in new patients, and DeLong's variances."""
    rng = np.random.default_rng([seed, size["n"], size["n_predictors"]])
    x, y = cohort(rng, **size)
    new_x, new_y = cohort(rng, **size | {"n": NEW_PATIENTS})
    tests, new = [], []
    for repeat in range(repeats):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
        for train, test in folds.split(x, y):
            fitted = [fit(x[train], y[train]) for fit in procedures.values()]
            scored = np.column_stack([score(x[test]) for score in fitted])
            tests.append(delong(y[test], scored, models=list(procedures)))
            new.append(delong(new_y, np.column_stack([score(new_x) for score in fitted])).auc)
    return np.array([test.auc for test in tests]), np.array(new), mean_delong(tests[:FOLDS])


def corrected_t(values: np.ndarray) -> tuple[float, float, float]:
    """Nadeau and Bengio (2003): estimate, standard error and quantile from AUCs of folds."""
    error = np.sqrt(values.var(ddof=1) * (1 / len(values) + 1 / (FOLDS - 1)))
    return values.mean(), error, t.ppf(0.975, len(values) - 1)


def intervals(values: np.ndarray, test: DeLong, a: str, b: str) -> dict[str, tuple[float, float]]:
    """Each kind of interval of the AUC of ``a``, or of ``a`` minus ``b``; ``values`` is one per fold."""
    found = {}
    for words, mine in (("DeLong", test), (PROCEDURE, test.for_procedure(FOLDS))):
        estimate = mine.difference(a, b)[0] if b else mine.interval(a, transform="logit")
        found[words] = (estimate.lower, estimate.upper)
    series = {"corrected t, one cross-validation": values[:FOLDS]}
    if len(values) > FOLDS:
        series[f"corrected t, {len(values) // FOLDS} cross-validations"] = values
    for words, values in series.items():
        centre, error, quantile = corrected_t(values)
        found[words] = (centre - quantile * error, centre + quantile * error)
    return found


def cell(name: str, procedures: dict[str, Procedure], pairs, *, n_sims: int, repeats: int, **size):
    simulated = Parallel(n_jobs=-1)(
        delayed(once)(seed, procedures, repeats=repeats, **size) for seed in range(n_sims)
    )
    truth = np.mean([new for _, new, _ in simulated], axis=(0, 1))
    for a, b in pairs:
        weights = np.array([(label == a) - (label == b) for label in procedures], dtype=int)
        # Two halves of the predictors differ by simulation error alone.
        true = 0.0 if (a, b) == ("half", "other half") else truth @ weights
        estimates = [aucs[:FOLDS].mean(axis=0) @ weights for aucs, _, _ in simulated]
        each = [intervals(aucs @ weights, test, a, b) for aucs, _, test in simulated]
        for words in each[0]:
            lower, upper = np.array([one[words] for one in each]).T
            covered = (lower <= true) & (true <= upper)
            low, high = map(float, proportion_interval(covered.sum(), n_sims, method="wilson"))
            yield {"procedure": name, **size, "estimand": f"{a} - {b}" if b else a, "interval": words} | {
                "true": true,
                "sd": np.std(estimates, ddof=1),
                "half_width": np.mean(upper - lower) / 2,
                "coverage": covered.mean(),
                "coverage_lower": low,
                "coverage_upper": high,
                "n_sims": n_sims,
            }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--sims", type=int, default=400, help="simulated cohorts per cell")
    given = arguments.parse_args()
    head = partial(logistic, penalty=1000.0)
    single = [("all", ""), ("half", "other half"), ("all", "half")]
    two = [("logistic", ""), ("lightgbm", ""), ("lightgbm", "logistic")]
    three = [("ensemble", ""), ("ensemble", "logistic"), ("ensemble", "lightgbm")]
    rows: list[dict] = []
    for n in (64, 321, 533):
        for signal in (0.0, 1.2):
            cells = [
                (f"logistic, {p} predictors", halves(logistic, p), single, p, REPEATS, 1) for p in (5, 8, 40)
            ]
            cells += [("trees, 8 predictors", {"logistic": logistic, "lightgbm": lightgbm}, two, 8, 1, 2)]
            if n > 64:
                all_three = {"ensemble": ensemble, "logistic": logistic, "lightgbm": lightgbm}
                cells += [("ensemble, 8 predictors", all_three, three, 8, 1, 4)]
            cells += [("head, 2048 features", halves(head, 2048), single, 2048, 1, 5)]
            for name, procedures, pairs, p, repeats, costly in cells:
                size = {"n": n, "n_predictors": p, "signal": signal}
                rows += cell(name, procedures, pairs, n_sims=given.sims // costly, repeats=repeats, **size)
                pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
