"""What each step of combining the base models gains or loses: docs/ensemble-ablation.csv.

On the base models' out-of-fold probabilities of a study that has been run, in its own outer folds, and on
those of the same base models fitted in other ways. Each variant is fitted on the development patients and
scores the test patients; the rows of models that the study itself fitted are those of its scores table.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark_peers import Study
from scipy.optimize import nnls
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer

from postarrest import places, scores
from postarrest.evaluation import calibration, delong, optimism
from postarrest.evaluation.thresholds import choose
from postarrest.models.platt import platt
from postarrest.models.splits import Split
from postarrest.models.stacking import REFERENCES, linear, log_odds
from postarrest.models.super_learner import MODEL, combiner
from postarrest.models.tabular import estimator
from postarrest.models.tuning import Chosen

REFERENCE = "ensemble"
FITTED = (REFERENCE, "ensemble_logistic", *REFERENCES, MODEL)


class Combination(ClassifierMixin, BaseEstimator):
    """A classifier of 0 and 1 by its probabilities."""

    classes_ = np.array([0, 1])

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        return (self.predict_proba(x)[:, 1] > 0.5).astype(int)


class NonNegative(Combination):
    """Non-negative least squares on probabilities, with weights that sum to 1."""

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "NonNegative":
        weights, _ = nnls(np.asarray(x, float), np.asarray(y, float))
        self.weights_ = weights / weights.sum()
        return self

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        good = np.asarray(x, float) @ self.weights_
        return np.column_stack([1 - good, good])


class Averaged(Combination):
    """The mean of forests that differ in their seed alone."""

    def __init__(self, seeds: int = 5):
        self.seeds = seeds

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "Averaged":
        self.forests_ = [forest(seed=seed).fit(x, y) for seed in range(self.seeds)]
        return self

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        return np.mean([one.predict_proba(x) for one in self.forests_], axis=0)


def forest(*, seed: int = 1, leaf: int = 20) -> RandomForestClassifier:
    return RandomForestClassifier(500, max_depth=4, min_samples_leaf=leaf, n_jobs=1, random_state=seed)


def quantiles(model: Any) -> Any:
    return make_pipeline(QuantileTransformer(n_quantiles=200, random_state=1), model)


def on_the_mean() -> Any:
    mean = FunctionTransformer(lambda p: log_odds(p).mean(axis=1).to_frame("mean"))
    return make_pipeline(mean, LogisticRegression(C=1000))


COMBINED: dict[str, Callable[[], Any]] = {
    "forest of fixed settings, quantiles": lambda: quantiles(forest()),
    "forest of fixed settings, no quantiles": forest,
    "forest of fixed settings, quantiles, leaves of 2": lambda: quantiles(forest(leaf=2)),
    "forest of fixed settings, 5 seeds averaged": Averaged,
    "forest of fixed settings, quantiles, Platt on the probability": lambda: platt(
        quantiles(forest()), folds=4
    ),
    "logistic regression on probabilities": lambda: LogisticRegression(C=1.0),
    "logistic regression on log odds": linear,
    "logistic regression on log odds, balanced classes": lambda: make_pipeline(
        FunctionTransformer(log_odds), LogisticRegression(class_weight="balanced")
    ),
    "non-negative least squares": NonNegative,
    "mean of log odds, its slope fitted": on_the_mean,
    "log odds, weights drawn to be equal": combiner,
}


def variants(table: pd.DataFrame, bases: list[str]) -> pd.DataFrame:
    """Return the scores table of every variant."""
    final = table[table["stage"] == "final"]
    parts = [final[final["model"].isin((*FITTED, *bases))]]
    for fold, rows in final[final["model"].isin(bases)].groupby("fold"):
        meta = rows.pivot(index=["role", "patient_id"], columns="model", values="score")[bases]
        y = rows.drop_duplicates("patient_id").set_index("patient_id")["y_good"]
        x, x_test = meta.loc["train_oof"], meta.loc["test"]
        folds = StratifiedKFold(4, shuffle=True, random_state=int(fold))
        for name, make in COMBINED.items():
            own = cross_val_predict(make(), x, y[x.index], cv=folds, method="predict_proba")[:, 1]
            test = make().fit(x, y[x.index]).predict_proba(x_test)[:, 1]
            both = {"train_oof": pd.Series(own, x.index), "test": pd.Series(test, x_test.index)}
            scored = pd.concat(both, names=["role", "patient_id"]).clip(0, 1).rename("score").reset_index()
            about = {"model": name, "fold": fold, "stage": "final", "kind": "probability"}
            about |= {"outcome_label": rows["outcome_label"].iloc[0]}
            parts.append(scored.assign(y_good=y[scored["patient_id"]].to_numpy(), **about))
    return pd.concat(parts, ignore_index=True)


REFITTED: dict[str, dict[str, Any]] = {
    "base models as chosen, line on log odds": {},
    "base models with default settings": {"searched": False},
    "base models with five repeats of the inner folds": {"repeats": 5},
    "base models with balanced classes": {"class_weight": "balanced"},
    "base models without class weights": {"class_weight": None},
}


def refitted(study: Study) -> pd.DataFrame:
    """Return the scores table of variants of the base models, each below a line on log odds."""
    found = []
    for fold in study.folds():
        bases, split = study.bases(fold), study.split(fold)
        y = study.y[split.development]
        for name, settings in REFITTED.items():
            x, x_test = bases.out_of_fold[bases.networks].copy(), bases.test[bases.networks].copy()
            for model, one in bases.settings.items():
                if one.algorithm != "cnn":
                    x[model], x_test[model] = _scored(study, split, one, fold=fold, **settings)
            folds = StratifiedKFold(4, shuffle=True, random_state=fold)
            own = cross_val_predict(linear(), x, y[x.index], cv=folds, method="predict_proba")[:, 1]
            test = linear().fit(x, y[x.index]).predict_proba(x_test)[:, 1]
            for role, ids, score in (("train_oof", x.index, own), ("test", x_test.index, test)):
                part = pd.DataFrame({"patient_id": ids, "score": score, "y_good": study.y[ids].to_numpy()})
                found.append(part.assign(role=role, model=name, fold=fold))
    table = pd.concat(found, ignore_index=True)
    return table.assign(stage="final", kind="probability", outcome_label=study.label)


def _scored(
    study: Study,
    split: Split,
    chosen: Chosen,
    *,
    fold: int,
    searched: bool = True,
    repeats: int = 1,
    **weights: Any,
) -> tuple[pd.Series, pd.Series]:
    """Return a base model's out-of-fold and test probabilities, after refitting it."""
    values = (chosen.values if searched else {}) | weights
    x, y = study.cohort[chosen.predictors], study.y
    # The first repeat is the study's own inner folds.
    inner = list(split.inner)
    for repeat in range(1, repeats):
        shuffled = StratifiedKFold(len(split.inner), shuffle=True, random_state=100 * fold + repeat)
        ids = split.development
        inner += [(ids[a], ids[b]) for a, b in shuffled.split(ids, y[ids])]

    def probability(fitted_on: pd.Index, scored: pd.Index) -> pd.Series:
        model = estimator(chosen.algorithm, values, seed=1).fit(x.loc[fitted_on], y[fitted_on])
        return pd.Series(model.predict_proba(x.loc[scored])[:, 1], scored)

    left_out = pd.concat([probability(a, b) for a, b in inner])
    return left_out.groupby(level=0).mean(), probability(split.development, split.test)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model: pooled test scores, and what training promised."""
    rows = scores.sets(table)
    y, wide = scores.wide(rows)
    compared = delong.delong(y, wide.to_numpy(), models=list(wide))
    inner = optimism.inner_outer(rows, table).set_index("model")
    fnr = optimism.realised_fnr(rows, table).query("rule == 'Spec-Max'").set_index("model")
    expected = fnr_expected(table)
    found_of_models = []
    for model in wide:
        p = wide[model].to_numpy()
        row = {"model": model, "auc": roc_auc_score(y, p)}
        if model != REFERENCE:
            found, _ = compared.difference(model, REFERENCE)
            row |= {"difference": found.value, "lower": found.lower, "upper": found.upper}
        row |= {"brier": brier_score_loss(y, p), "slope": calibration.recalibrate(y, p).slope.value}
        row |= {"mean_auc": inner.loc[model, "outer"], "optimism": inner.loc[model, "optimism"]}
        row |= {"fnr_expected": expected[model], "fnr_realised": fnr["fnr"].get(model)}
        row |= {"n": len(y), "n_good": int(y.sum())}
        found_of_models.append(row)
    return pd.DataFrame(found_of_models)


def fnr_expected(table: pd.DataFrame) -> pd.Series:
    """Return the false pessimism to be expected at Spec-Max where test and training scores are alike.

    Of n patients with a good outcome, k lie below a threshold that was chosen between two of them: another
    patient lies below it with a probability of (k + 1) / (n + 1).
    """
    train = table[(table["role"] == "train_oof") & (table["stage"] == "final")]
    found = {}
    for (model, fold), mine in train.groupby(["model", "fold"]):
        at = choose(mine["y_good"].to_numpy(), mine["score"].to_numpy(), "Spec-Max").threshold
        good = mine.loc[mine["y_good"] == 1, "score"]
        found[model, fold] = ((good < at).sum() + 1) / (len(good) + 1)
    return pd.Series(found).groupby(level=0).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--studies", nargs="+", default=["ensemble"], help="studies whose report has been made"
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = []
    for study in given.studies:
        table = scores.read(places.open(study).build("scores.csv"))
        fitted = {*FITTED, "ohca_score"}
        is_base = (table["kind"] == "probability") & ~table["model"].isin(fitted)
        bases = list(dict.fromkeys(table.loc[is_base, "model"]))
        both = [variants(table, bases), refitted(Study(study))]
        found.append(judged(pd.concat(both, ignore_index=True)).assign(study=study))
    result = pd.concat(found)
    result.insert(0, "study", result.pop("study"))
    result.round(4).to_csv(given.out, index=False, lineterminator="\n")
    print(result.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
