"""The convolutional network on one CT slice: its weights, its kept features, and the head that is trained.

A frozen backbone is a fixed function, so what it makes of each image, and of a set number of augmented
copies, is computed once a study and kept. What is then tuned and trained is a head on those features.
TensorFlow is imported only where a network is run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from postarrest.models import tuning
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.head import Head
from postarrest.models.kept import digest
from postarrest.models.leakage import Ledger
from postarrest.models.splits import Split
from postarrest.models.tuning import Space, Tuned, Values


@dataclass(frozen=True)
class CnnScores:
    """What the CNN gives in one split.

    Parameters
    ----------
    tuned : Tuned
        The search for hyperparameters.
    head : Head
        The head that scored the test patients.
    scores : pandas.DataFrame
        Rows of the scores table: ``patient_id, stage, role, score``.
    """

    tuned: Tuned
    head: Head
    scores: pd.DataFrame


def fit_holdout(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    patience: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Paper A: try a grid on the tune patients, stop early on them, score the hold-out once.

    Parameters
    ----------
    found : Features
        Kept features.
    y : pandas.Series
        1 where the outcome is good.
    split : Split
        Train, tune and hold-out patients.
    space : Mapping
        The grid: choices of each hyperparameter.
    fixed : dict
        Hyperparameters that are not searched, among them ``epochs``, the most.
    class_weights, patience, seed
        As for :class:`Head`.
    keep : pathlib.Path
        Folder for Optuna's studies.
    ledger : Ledger
        Takes down what was fitted on whom.
    final : callable
        Makes what is fitted once the hyperparameters are chosen: a head, or one that is fine-tuned with a
        part of the network below it (:func:`postarrest.finetune.final`).
    """
    train, tune = split.inner[0]
    watch = (tune, y.loc[tune].to_numpy())

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        return kind(found, fixed | values, class_weights, seed, watch, patience)

    def auc(values: Values) -> float:
        fitted = head(values).fit(pd.DataFrame(index=train), y.loc[train].to_numpy())
        return float(fitted.curve_["tune_auc"].iloc[fitted.best_epoch_ - 1])

    name = digest("grid", found.key, space, fixed, class_weights, patience, y, split.membership, seed)
    journal = keep / f"{split.name}-cnn-{name}.journal"
    tuned = tuning.grid(auc, space, patients=split.development, keep=journal)
    # The tune patients are not fitted on, but the grid and the length of training are chosen by them.
    chosen = ledger.choice("cnn: hyperparameters and epochs", on=tuned.patients)
    fitted = ledger.fit(
        head(tuned.values, final),
        pd.DataFrame(index=train),
        y.loc[train],
        stage="cnn: head for the hold-out",
        after=[chosen],
    )
    rows = [
        _rows(ledger.probability(fitted, pd.DataFrame(index=tune)), "final", "train_oof"),
        _rows(ledger.probability(fitted, pd.DataFrame(index=split.test)), "final", "test"),
    ]
    return CnnScores(tuned, fitted.estimator, pd.concat(rows, ignore_index=True))


def fit_nested(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    trials: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Paper B: tune in the inner folds, score out of fold, refit, and calibrate by Platt scaling.

    The parameters are those of :func:`fit_holdout`, with ``trials`` of Optuna. Epochs are a hyperparameter
    here: stopping early on an inner fold would make that fold's judgement, and its out-of-fold scores,
    optimistic.
    """
    development = split.development

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        return kind(found, fixed | values, class_weights, seed)

    def aucs(values: Values) -> Iterator[float]:
        for fit_ids, judge_ids in split.inner:
            fitted = head(values).fit(pd.DataFrame(index=fit_ids), y.loc[fit_ids].to_numpy())
            yield float(
                roc_auc_score(y.loc[judge_ids], fitted.predict_proba(pd.DataFrame(index=judge_ids))[:, 1])
            )

    name = digest("nested", found.key, space, fixed, class_weights, y, split.membership, seed)
    tuned = tuning.search(
        aucs,
        space,
        n_folds=len(split.inner),
        patients=development,
        trials=trials,
        seed=seed,
        keep=keep / f"{split.name}-ct-{name}.journal",
    )
    chosen = ledger.choice("ct: hyperparameters", on=tuned.patients)
    parts = []
    for fit_ids, judge_ids in split.inner:
        fitted = ledger.fit(
            head(tuned.values, final),
            pd.DataFrame(index=fit_ids),
            y.loc[fit_ids],
            stage="ct: out-of-fold head",
            after=[chosen],
        )
        parts.append(ledger.probability(fitted, pd.DataFrame(index=judge_ids)))
    raw = pd.concat(parts).loc[development]
    refit = ledger.fit(
        head(tuned.values, final),
        pd.DataFrame(index=development),
        y.loc[development],
        stage="ct: refitted head",
        after=[chosen],
    )
    raw_test = ledger.probability(refit, pd.DataFrame(index=split.test))
    calibrated = []
    for _, judge_ids in split.inner:
        others = development.difference(judge_ids)
        scale = ledger.fit(platt(), raw.loc[others].to_frame(), y.loc[others], stage="ct: Platt, out of fold")
        calibrated.append(ledger.probability(scale, raw.loc[judge_ids].to_frame()))
    scale = ledger.fit(platt(), raw.to_frame(), y.loc[development], stage="ct: Platt for the test patients")
    rows = [
        _rows(raw, "before_platt", "train_oof"),
        _rows(raw_test, "before_platt", "test"),
        _rows(pd.concat(calibrated).loc[development], "final", "train_oof"),
        _rows(ledger.probability(scale, raw_test.to_frame()), "final", "test"),
    ]
    return CnnScores(tuned, refit.estimator, pd.concat(rows, ignore_index=True))


def fit_split(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    patience: int,
    trials: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Fit a split by the protocol that it belongs to: :func:`fit_holdout` or :func:`fit_nested`."""
    common = {"space": space, "fixed": fixed, "class_weights": class_weights, "seed": seed}
    common |= {"keep": keep, "ledger": ledger, "final": final}
    if split.protocol == "holdout":
        return fit_holdout(found, y, split, **common, patience=patience)
    return fit_nested(found, y, split, **common, trials=trials)


def score_rows(result: CnnScores, y: pd.Series, split: Split, *, outcome_label: str) -> pd.DataFrame:
    """Return a result as rows of the scores table.

    The model is called ``cnn`` in hold-out splits (paper A) and ``ct`` in outer folds (paper B).
    """
    rows = result.scores.assign(
        y_good=y.loc[result.scores["patient_id"]].to_numpy(),
        model={"holdout": "cnn", "nested": "ct"}[split.protocol],
        kind="probability",
        fold=split.fold,
        outcome_label=outcome_label,
    )
    return rows[["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome_label", "stage"]]


def platt() -> Pipeline:
    """Return Platt scaling: logistic regression, all but unpenalised, on the logit of a probability."""
    return make_pipeline(FunctionTransformer(_logit), LogisticRegression(C=1e6))


def _logit(probability: pd.DataFrame) -> np.ndarray:
    p = probability.to_numpy().clip(1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def _rows(score: pd.Series, stage: str, role: str) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": score.index, "stage": stage, "role": role, "score": score.to_numpy()})
