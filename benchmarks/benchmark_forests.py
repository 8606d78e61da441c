"""How fast are the forests, beside scikit-learn's own, which have the same trees?

    python benchmarks/benchmark_forests.py

Medians of seven fits and predictions in turns, of processor time; one thread. That every tree is the same is
tested (tests/models/test_forests.py).
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from postarrest.models.forests import ExtraTrees, Forest

PAIRS = ((Forest, RandomForestClassifier), (ExtraTrees, ExtraTreesClassifier))
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


def main() -> None:
    rows = [compared(n, *pair) for pair in PAIRS for n in (400, 10_000)]
    print("Forests beside scikit-learn's:")
    print(pd.DataFrame(rows).round(1).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
