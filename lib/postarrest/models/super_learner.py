"""The second ensemble: a super learner, several learners on all predictors and on each group of them.

Paper B stacks one model per group of predictors, so that no base model sees two groups at once, and lets a
random forest combine their probabilities. Here the learners also see all predictors together, their settings
are fixed (no search whose best result is optimistic), their out-of-fold probabilities are means over repeated
stratified folds, and a logistic regression combines the log odds, starting from equal weights.

References
----------
van der Laan MJ, Polley EC, Hubbard AE. Super learner. Stat Appl Genet Mol Biol 2007;6:25.
Phillips RV, van der Laan MJ, Lee H, Gruber S. Practical considerations for specifying a super learner. Int J
Epidemiol 2023;52:1276-85.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, TypeAdapter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from postarrest.models import crossfit
from postarrest.models.crossfit import CrossFit
from postarrest.models.stacking import Bases, all_predictors, log_odds
from postarrest.models.tabular import estimator
from postarrest.models.tuning import Values
from postarrest.settings import distinct

MODEL = "super_learner"
# Learners that differ in kind, each with settings that suit some hundred to some thousand patients.
LIBRARY: dict[str, tuple[str, Values]] = {
    "ridge": ("logistic", {"C": 0.03, "l1_ratio": 0.0}),
    "lasso": ("logistic", {"C": 0.1, "l1_ratio": 1.0}),
    "splines": ("splines", {"C": 0.03, "l1_ratio": 0.0}),
    "forest": ("forest", {"n_estimators": 300, "min_samples_leaf": 2}),
    "extra_trees": ("extra_trees", {"n_estimators": 300, "min_samples_leaf": 2}),
    "boosting": (
        "lightgbm",
        {
            "n_estimators": 150,
            "learning_rate": 0.03,
            "num_leaves": 6,
            "min_child_samples": 15,
            "subsample": 0.7,
            "subsample_freq": 1,
            "colsample_bytree": 0.5,
            "reg_lambda": 5.0,
        },
    ),
}
# On each group of predictors alone.
OF_A_GROUP = ("splines",)
FOLDS = 5
# The draw of the folds matters the less, the more patients there are.
MOST_REPEATS, MOST_FITTED = 4, 4000


@dataclass(frozen=True)
class FittedSuperLearner:
    """The super learner in one outer fold.

    Parameters
    ----------
    rows : list of pandas.DataFrame
        Parts of the scores table, from :func:`postarrest.models.crossfit.rows`.
    weights : pandas.DataFrame
        ``fold, predictors, learner, auc, weight``: each learner's out-of-fold ROC-AUC in the development
        patients, and its weight in the ensemble, as a share of the sum of the weights.
    """

    rows: list[pd.DataFrame]
    weights: pd.DataFrame


Library = Annotated[list[Literal[*LIBRARY]], AfterValidator(distinct)]


def declared(library: Sequence[str]) -> tuple[str, ...]:
    """Return the learners that a study file names, checked.

    Raises
    ------
    pydantic.ValidationError
        If one is unknown or named twice.

    Examples
    --------
    >>> declared(["ridge", "forest"])
    ('ridge', 'forest')
    """
    return tuple(TypeAdapter(Library).validate_python(list(library)))


def repeated_folds(fold: CrossFit) -> list[tuple[pd.Index, pd.Index]]:
    """Return pairs of development patients to fit on and left out, in repeated stratified folds."""
    ids = fold.split.development
    y = fold.y.loc[ids].to_numpy()
    repeats = max(1, min(MOST_REPEATS, MOST_FITTED // len(ids)))
    n_folds = min(FOLDS, int(np.bincount(y, minlength=2).min()))
    folds = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=repeats, random_state=fold.seed)
    return [(ids[fitted], ids[left_out]) for fitted, left_out in folds.split(y, y)]


def around_the_mean(log_odds: pd.DataFrame) -> pd.DataFrame:
    """Return each row's mean, ten times as large, and every column's difference from it.

    A penalty on the coefficients of this table hardly touches the mean's slope, and draws the columns'
    weights towards each other instead of towards 0.

    Examples
    --------
    >>> around_the_mean(pd.DataFrame({"a": [0.0], "b": [1.0]})).to_numpy().tolist()
    [[5.0, -0.5, 0.5]]
    """
    mean = log_odds.mean(axis=1)
    return log_odds.sub(mean, axis=0).assign(mean=10 * mean)[["mean", *log_odds.columns]]


def combiner() -> Pipeline:
    """Return the unfitted meta-learner: logistic regression on log odds, with weights drawn to be equal.

    The penalty is that of a normal prior with a standard deviation of 0.17 for each weight's difference from
    the mean weight: in some hundred patients the weights stay nearly equal, in some thousand the patients
    decide. The slope of the mean is free, so that no further calibration is needed.
    """
    prepared = (FunctionTransformer(log_odds), FunctionTransformer(around_the_mean))
    return make_pipeline(*prepared, LogisticRegression(C=0.03, max_iter=1000))


def weights_of(fitted: Pipeline) -> np.ndarray:
    """Return the weight of each learner's log odds in a fitted :func:`combiner`."""
    mean, *differences = fitted[-1].coef_[0]
    return np.array(differences) - np.mean(differences) + 10 * mean / len(differences)


def fit(cohort: pd.DataFrame, bases: Bases, fold: CrossFit, *, library: Sequence[str]) -> FittedSuperLearner:
    """Fit the learners and their combination on the development patients, and score the test patients.

    Parameters
    ----------
    cohort : pandas.DataFrame
        Patients with their predictors.
    bases : Bases
        The base models of this fold: each is a group of predictors. A CNN counts as one predictor among all,
        and its probability as a learner of its own.
    fold : CrossFit
        The outer fold.
    library : sequence of str
        Learners on all predictors, from :func:`declared`; without any, nothing is fitted.
    """
    if not library:
        return FittedSuperLearner([], pd.DataFrame())
    x, x_test = all_predictors(cohort, bases, fold.split)
    networks = bases.networks
    groups = {name: one.predictors for name, one in bases.settings.items() if name not in networks}
    # The only group is the same as all predictors.
    alone = len(groups) == 1 and not networks
    wanted = [("all", list(x), learner) for learner in library]
    wanted += [(n, group, learner) for n, group in groups.items() for learner in OF_A_GROUP if not alone]
    inner = repeated_folds(fold)
    development, test = {}, {}
    for group, columns, learner in wanted:
        name = f"{MODEL}_{group}_{learner}"
        stages = (f"{name}: out-of-fold model", f"{name}: refitted model")
        make = partial(estimator, *LIBRARY[learner], seed=fold.seed)
        own = (x[columns], x_test[columns])
        found = fold.out_of_fold(lambda _, make=make: make(), *own, stages=stages, inner=inner, keep_as=name)
        development[name], test[name] = found.development.loc[fold.split.development], found.test
    meta = pd.DataFrame(development).join(bases.out_of_fold[networks])
    meta_test = pd.DataFrame(test).join(bases.test[networks])
    stages = (f"{MODEL}: out-of-fold combination", f"{MODEL}: combination for the test patients")
    combined = fold.out_of_fold(lambda _: combiner(), meta, meta_test, stages=stages, keep_as=MODEL)
    y = fold.y.loc[meta.index]
    weights = weights_of(combined.refitted.estimator)
    table = pd.DataFrame(
        {
            "fold": fold.split.fold,
            "predictors": [group for group, *_ in wanted] + networks,
            "learner": [learner for *_, learner in wanted] + ["cnn"] * len(networks),
            "auc": [float(roc_auc_score(y, meta[name])) for name in meta],
            "weight": weights / weights.sum(),
        }
    )
    return FittedSuperLearner([crossfit.rows(combined.development, combined.test, model=MODEL)], table)
