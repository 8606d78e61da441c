"""One AutoML or stacking library fitted on the development patients of one outer fold.

Runs in the environment of ``requirements.txt`` beside it and knows nothing of postarrest: it reads
``train.parquet`` (predictors and ``y_good``) and ``test.parquet``, and writes ``probability.json``.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Found = tuple[np.ndarray, float]


def autogluon(preset: str) -> Callable[..., Found]:
    def fit(train: pd.DataFrame, test: pd.DataFrame, work: str, *, seconds: int, seed: int) -> Found:
        from autogluon.tabular import TabularPredictor

        predictor = TabularPredictor("y_good", eval_metric="roc_auc", path=work, verbosity=0)
        # In this process, so that its processor time and memory are counted.
        bagging = {"fold_fitting_strategy": "sequential_local"}
        further = {"ag_args_ensemble": bagging, "dynamic_stacking": False} if preset == "best_quality" else {}
        predictor.fit(train, presets=preset, time_limit=seconds, num_cpus=2, num_gpus=0, **further)
        own = predictor.leaderboard(silent=True).set_index("model")["score_val"][predictor.model_best]
        return predictor.predict_proba(test)[1].to_numpy(), float(own)

    return fit


def flaml(train: pd.DataFrame, test: pd.DataFrame, work: str, *, seconds: int, seed: int) -> Found:
    from flaml import AutoML

    automl = AutoML()
    x, y = train.drop(columns="y_good"), train["y_good"]
    automl.fit(
        x, y, task="classification", metric="roc_auc", time_budget=seconds, seed=seed, n_jobs=2, verbose=0
    )
    return automl.predict_proba(test)[:, 1], 1 - automl.best_loss


def mljar(train: pd.DataFrame, test: pd.DataFrame, work: str, *, seconds: int, seed: int) -> Found:
    from supervised import AutoML

    automl = AutoML(
        results_path=work,
        mode="Explain",
        eval_metric="auc",
        random_state=seed,
        explain_level=0,
        verbose=0,
        n_jobs=2,
    )
    automl.fit(train.drop(columns="y_good"), train["y_good"])
    # It minimises what is listed: minus the AUC.
    return automl.predict_proba(test)[:, 1], float(-automl.get_leaderboard()["metric_value"].min())


def sklearn_stack(train: pd.DataFrame, test: pd.DataFrame, work: str, *, seconds: int, seed: int) -> Found:
    from sklearn.compose import ColumnTransformer, make_column_selector
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = make_column_selector(dtype_exclude="number")
    numbers = make_column_selector(dtype_include="number")
    prepared = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
                numbers,
            ),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
        ],
        sparse_threshold=0,
    )
    learners = [
        ("boosting", HistGradientBoostingClassifier(random_state=seed)),
        ("logistic", LogisticRegression(max_iter=5000)),
        ("forest", RandomForestClassifier(500, min_samples_leaf=5, random_state=seed)),
    ]
    stack = make_pipeline(prepared, StackingClassifier(learners, LogisticRegression(), cv=5))
    stack.fit(train.drop(columns="y_good"), train["y_good"])
    return stack.predict_proba(test)[:, 1], float("nan")


PEERS: dict[str, Callable[..., Found]] = {
    "AutoGluon, best_quality": autogluon("best_quality"),
    "AutoGluon, medium_quality": autogluon("medium_quality"),
    "FLAML": flaml,
    "mljar, Explain": mljar,
    "scikit-learn, StackingClassifier": sklearn_stack,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--fold", type=Path, required=True, help="folder of the fold")
    parser.add_argument("--seconds", type=int, required=True, help="wall seconds, for libraries that ask")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    train, test = (pd.read_parquet(given.fold / f"{part}.parquet") for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as work:
        probability, own = PEERS[given.peer](
            train, test, str(Path(work) / "fit"), seconds=given.seconds, seed=1
        )
    given.out.write_text(json.dumps({"probability": probability.tolist(), "own": own}), encoding="utf-8")


if __name__ == "__main__":
    main()
