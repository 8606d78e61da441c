"""How fast are the forests, beside scikit-learn's own, and how well do they predict where patients are many?

    python benchmarks/benchmark_forests.py

Speed: medians of seven fits and predictions in turns, of processor time; one thread. Up to 5,000 patients
every tree is the same, which is tested (tests/models/test_forests.py).

Of more patients, a tree sees 5,000. Both kinds of forest are fitted to simulated patients and predict 20,000
others, three times; differences are given with their standard errors. It takes some minutes.
"""

import itertools
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score

from postarrest.models import ohca, tabular
from postarrest.models.forests import ExtraTrees, Forest
from postarrest.simulate import Settings, cohort

PAIRS = ((Forest, RandomForestClassifier), (ExtraTrees, ExtraTreesClassifier))
# Least patients in a leaf, and the greatest depth.
SHAPES = ((2, None), (5, None), (15, 8))
SETTINGS = {"n_estimators": 100, "max_depth": 5, "min_samples_leaf": 15, "random_state": 1}


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def compared(n: int, ours: type, theirs: type) -> dict[str, object]:
    """Time a forest of 100 trees on n patients and three predictors."""
    rng = np.random.default_rng(n)
    x, y = rng.random((n, 3)), (rng.random(n) < 0.15).astype(int)
    fitted = {kind: kind(**SETTINGS).fit(x, y) for kind in (ours, theirs)}
    fits = [[seconds(lambda k=kind: k(**SETTINGS).fit(x, y)) for kind in (ours, theirs)] for _ in range(7)]
    asked = [[seconds(lambda f=one: f.predict_proba(x)) for one in fitted.values()] for _ in range(7)]
    (fit, fit_theirs), (ask, ask_theirs) = (1000 * np.median(found, axis=0) for found in (fits, asked))
    return {
        "forest": theirs.__name__,
        "n": n,
        "fit_ms": fit,
        "times_faster": fit_theirs / fit,
        "predict_ms": ask,
        "times_faster_to_predict": ask_theirs / ask,
    }


def predicting(n: int, repeats: int = 3) -> pd.DataFrame:
    """Return AUC and log loss where trees see 5,000 of n patients, less those where they see all."""
    many = {"n_screened": 100_000, "n_included": 100_000, "n_good": 15_000, "n_relabelled": 0}
    patients = cohort.draw(Settings(**many, ct="none", gwr=False)).patients
    y = (patients["cpc"] <= 2).to_numpy().astype(int)
    columns = [*ohca.VARIABLES, "pupil_left_mm", "pupil_right_mm"]
    before = tabular.estimator("forest", {}, seed=1)[:-1]
    x = before.fit_transform(tabular.as_predictors(patients[columns]))
    rows = []
    for repeat, (ours, theirs), (leaf, depth) in itertools.product(range(repeats), PAIRS, SHAPES):
        drawn = np.random.default_rng(repeat).permutation(len(x))
        inside, others = drawn[:n], drawn[-20_000:]
        given = {"n_estimators": 200, "min_samples_leaf": leaf, "max_depth": depth, "random_state": repeat}
        each = [kind(**given).fit(x[inside], y[inside]) for kind in (ours, theirs)]
        good = [one.predict_proba(x[others])[:, 1].clip(1e-4, 1 - 1e-4) for one in each]
        auc, loss = ([of(y[others], p) for p in good] for of in (roc_auc_score, log_loss))
        about = (theirs.__name__, n, leaf, depth or "any")
        rows.append((*about, auc[1], auc[0] - auc[1], loss[1], loss[0] - loss[1]))
    keys = ["forest", "n", "least_leaf", "depth"]
    table = pd.DataFrame(rows, columns=[*keys, "auc", "auc_difference", "log_loss", "log_loss_difference"])
    found = table.groupby(keys, sort=False).agg(["mean", "sem"])
    return found.drop(columns=[("auc", "sem"), ("log_loss", "sem")]).reset_index()


def main() -> None:
    rows = [compared(n, *pair) for pair in PAIRS for n in (400, 5_000)]
    print("Forests beside scikit-learn's:")
    print(pd.DataFrame(rows).round(1).to_string(index=False), end="\n\n")
    print("Trees of 5,000 patients, less trees of all:")
    found = pd.concat([predicting(n) for n in (7_000, 80_000)])
    print(found.round(4).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
