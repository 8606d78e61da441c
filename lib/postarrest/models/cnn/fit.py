"""The CNN in one split, by either protocol: hyperparameters chosen, the head trained, patients scored.

A frozen network is a fixed function, so its features of each slice are computed once per study and kept. What
is tuned and trained is a head on these features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from postarrest.models import crossfit, tuning
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.head import Head, Training
from postarrest.models.crossfit import CrossFit
from postarrest.models.parts import Part
from postarrest.models.platt import platt
from postarrest.models.tuning import Tuned, Values


@dataclass(frozen=True)
class FittedCnn:
    """The CNN in one split.

    Parameters
    ----------
    tuned : Tuned
        The search for hyperparameters.
    head : Head
        The head that scored the test patients.
    out_of_fold, test : pandas.Series
        Its probabilities before Platt scaling: of patients it was not fitted on (the tuning set, or every
        development patient out of fold), and of the test patients.
    rows : list of pandas.DataFrame
        Rows of the scores table, from :func:`postarrest.models.crossfit.rows`.
    """

    tuned: Tuned
    head: Head
    out_of_fold: pd.Series
    test: pd.Series
    rows: list[pd.DataFrame]


def fit_split(
    found: Features, training: Training, fold: CrossFit, *, final: Callable[..., Head] = Head
) -> FittedCnn:
    """Fit the CNN in a split by the protocol that the split belongs to.

    Parameters
    ----------
    found : Features
        Kept features.
    training : Training
        What is trained, and how its hyperparameters are chosen.
    fold : CrossFit
        The split.
    final : callable
        Class of the model that is fitted once the hyperparameters are chosen: a head, or one that is
        fine-tuned with a part of the network below it (:func:`postarrest.models.cnn.finetune.final`).
    """
    return (_fit_holdout if fold.split.protocol == "holdout" else _fit_nested)(found, training, fold, final)


def _fit_holdout(
    found: Features, training: Training, fold: CrossFit, final: Callable[..., Head]
) -> FittedCnn:
    """Paper A: try a grid on the tuning set, stop training early on it, score the hold-out set once.

    The model is called ``cnn`` in the scores table.
    """
    split, y = fold.split, fold.y
    train, tune = split.inner[0]
    watch = (tune, y.loc[tune].to_numpy())
    x = pd.DataFrame(index=y.index)

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        values = training.fixed | values
        return kind(found, values, training.class_weights, fold.seed, watch, training.patience)

    def judged(values: Values) -> tuple[float, float]:
        fitted = head(values).fit(x.loc[train], y.loc[train].to_numpy())
        best = fitted.curve_.iloc[fitted.best_epoch_ - 1]
        return float(best["tune_auc"]), float(best["tune_loss"])

    space = training.searched("holdout")
    about = (found.key, space, training.fixed, training.class_weights, training.patience)
    journal = fold.journal("cnn", *about)
    tuned = tuning.grid(judged, space, patients=split.development, keep=journal)
    # The head is not fitted on the tuning set, but the grid and the length of training are chosen on it.
    chosen = fold.ledger.choice("cnn: hyperparameters and epochs", on=tuned.patients)
    model, stage = head(tuned.values, final), "cnn: head for the hold-out"
    fitted = fold.ledger.fit(model, x.loc[train], y.loc[train], stage=stage, after=[chosen])
    fold.parts.append(Part("cnn", (), (), fitted.estimator, kind="network"))
    tuning_set, test = (fold.ledger.probability(fitted, x.loc[ids]) for ids in (tune, split.test))
    rows = [crossfit.rows(tuning_set, test, model="cnn")]
    return FittedCnn(tuned, fitted.estimator, tuning_set, test, rows)


def _fit_nested(found: Features, training: Training, fold: CrossFit, final: Callable[..., Head]) -> FittedCnn:
    """Paper B: tune in the inner folds, score out of fold, refit, and calibrate by Platt scaling.

    The number of epochs is a hyperparameter here: stopping early on an inner fold would make that fold's AUC,
    and its out-of-fold scores, optimistic. The model is called ``ct`` in the scores table.
    """
    x = pd.DataFrame(index=fold.y.index)

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        return kind(found, training.fixed | values, training.class_weights, fold.seed)

    about = (found.key, training.fixed, training.class_weights)
    tuned = fold.tune(head, x, training.searched("nested"), name="ct", about=about)
    chosen = fold.ledger.choice("ct: hyperparameters", on=tuned.patients)
    stages = ("ct: out-of-fold head", "ct: refitted head")
    raw = fold.out_of_fold(lambda _: head(tuned.values, final), x, x, stages=stages, after=[chosen])
    fold.parts.append(Part("ct_before_platt", (), (), raw.refitted.estimator, kind="network"))
    development = raw.development.loc[fold.split.development]
    stages = ("ct: Platt, out of fold", "ct: Platt for the test patients")
    given = [one.to_frame("ct_before_platt") for one in (development, raw.test)]
    scaled = fold.out_of_fold(lambda _: platt(), *given, stages=stages, keep_as="ct")
    rows = [
        crossfit.rows(development, raw.test, model="ct", stage="before_platt"),
        crossfit.rows(scaled.development.loc[fold.split.development], scaled.test, model="ct"),
    ]
    return FittedCnn(tuned, raw.refitted.estimator, development, raw.test, rows)
