"""The ensemble: base models' out-of-fold probabilities, stacked by a random forest and calibrated.

All fitting uses the development patients of one outer fold; its test patients are scored at the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer

from postarrest import scores
from postarrest.models import crossfit, tuning
from postarrest.models.crossfit import CrossFit, OutOfFold
from postarrest.models.forests import Forest, Once
from postarrest.models.hyperparameters import scaled
from postarrest.models.leakage import Fitted
from postarrest.models.parts import Part
from postarrest.models.platt import platt
from postarrest.models.splits import Split
from postarrest.models.tabular import BaseLearner, estimator, fit_base, predictors_of, predictors_of_all
from postarrest.models.tuning import Chosen, Space, Tuned, Values

# Trees of the fitted forest.
STACK_TREES = 500


@dataclass(frozen=True)
class FittedStack:
    """The ensemble in one outer fold.

    Parameters
    ----------
    tuned : Tuned
        The random forest's search.
    rows : list of pandas.DataFrame
        Parts of the scores table, from :func:`postarrest.models.crossfit.rows`.
    importance : pandas.DataFrame
        ``fold, model, importance, sd``: loss of ROC-AUC in the test patients (see :attr:`Split.shown`) when
        a base model's probabilities are shuffled.
    refitted : Fitted
        The calibrated ensemble for the test patients.
    """

    tuned: Tuned
    rows: list[pd.DataFrame]
    importance: pd.DataFrame
    refitted: Fitted


def forest(values: Values, split: Split, *, seed: int, monotonic_cst: list[int] | None = None) -> Pipeline:
    """Return paper B's stack, unfitted: quantile transform, then a random forest.

    The transform has as many quantiles as the smallest fit has patients: one number for every fit of an outer
    fold, so that the stack before and after Platt scaling is the same.

    Parameters
    ----------
    values : dict
        The forest's hyperparameters.
    split : Split
        The outer fold.
    seed : int
        Seed of the forest.
    monotonic_cst : list of int, optional
        Constraints on the forest, one for each base model.
    """
    left_out = max(len(ids) for _, ids in split.inner)
    n_quantiles = min(len(split.development) - 2 * left_out, 1000)
    transform = QuantileTransformer(n_quantiles=n_quantiles, subsample=None, random_state=seed)
    fixed = {"n_estimators": STACK_TREES, "monotonic_cst": monotonic_cst, "n_jobs": 1, "random_state": seed}
    return Pipeline([("quantiles", transform), ("model", Forest(**values, **fixed))])


def log_odds(probabilities: pd.DataFrame) -> pd.DataFrame:
    """Return log odds; probabilities of 0 and 1 count as one in a thousand.

    Examples
    --------
    >>> log_odds(pd.DataFrame({"ct": [0.0, 0.5, 0.9]}))["ct"].round(2).tolist()
    [-6.91, 0.0, 2.2]
    """
    return probabilities.clip(0.001, 0.999).apply(logit)


def linear() -> Pipeline:
    """Return the comparator of the forest, unfitted: logistic regression on the base models' log odds."""
    return make_pipeline(FunctionTransformer(log_odds), LogisticRegression(C=1.0))


def fit_stack(
    meta: pd.DataFrame, meta_test: pd.DataFrame, fold: CrossFit, *, space: Space, monotonic: bool = False
) -> FittedStack:
    """Tune, fit and calibrate the ensemble on the development patients, and score the test patients.

    Parameters
    ----------
    meta : pandas.DataFrame
        Out-of-fold probabilities of the development patients, one column per base model.
    meta_test : pandas.DataFrame
        Probabilities of the test patients by the refitted base models, the same columns.
    fold : CrossFit
        The outer fold.
    space : Space
        Search space of the random forest; sizes of its leaves are cut to what the patients allow.
    monotonic : bool
        Whether a higher probability of a base model may never lower that of the stack.

    Notes
    -----
    A development patient's meta-features come from base models whose hyperparameters were chosen with that
    patient in the inner folds (as in the paper), which makes them slightly optimistic in the development
    patients. The test patients are unaffected.
    """
    split, seed = fold.split, fold.seed
    meta, meta_test = meta.loc[split.development], meta_test.loc[split.test]

    constraints = [1] * len(meta.columns) if monotonic else None
    make = partial(forest, split=split, seed=seed, monotonic_cst=constraints)
    space = scaled(space, n=len(split.development))
    tuned = fold.tune(make, meta, space, name="ensemble", about={"monotonic": monotonic})
    chosen_forest = partial(Once, make(tuned.values), {})
    chosen = fold.ledger.choice("ensemble: hyperparameters", on=tuned.patients)

    def score(make: Callable[[pd.Index], Any], name: str, *after: Fitted, keep_as: str = "") -> OutOfFold:
        stages = (f"{name}: out-of-fold stack", f"{name}: stack for the test patients")
        return fold.out_of_fold(make, meta, meta_test, stages=stages, after=after, keep_as=keep_as or name)

    def calibrated(ids: pd.Index) -> CalibratedClassifierCV:
        return platt(chosen_forest(), folds=PredefinedSplit(split.inner_fold.loc[ids]))

    before = score(
        lambda _: chosen_forest(), "ensemble before Platt", chosen, keep_as="ensemble_before_platt"
    )
    after = score(calibrated, "ensemble", chosen)
    logistic = score(lambda _: linear(), "ensemble_logistic")
    rows = [
        crossfit.rows(before.development, before.test, model="ensemble", stage="before_platt"),
        crossfit.rows(after.development, after.test, model="ensemble"),
        crossfit.rows(logistic.development, logistic.test, model="ensemble_logistic"),
    ]
    meta_shown = pd.concat([meta, meta_test]).loc[split.shown]
    y_shown = fold.y.loc[split.shown].to_numpy()
    # The more patients are shuffled, the less one shuffle differs from another.
    repeats = max(5, 50 * 1000 // max(len(y_shown), 1000))
    shuffling = {"scoring": "roc_auc", "n_repeats": repeats, "random_state": seed}
    shuffled = permutation_importance(after.refitted.estimator, meta_shown, y_shown, **shuffling)
    importance = {"importance": shuffled.importances_mean, "sd": shuffled.importances_std}
    table = pd.DataFrame({"fold": split.fold, "model": list(meta.columns), **importance})
    return FittedStack(tuned, rows, table, after.refitted)


# Models of all predictors at once, with settings that need no search: what stacking has to beat.
REFERENCES = {
    "logistic_all": ("logistic", {"C": 1.0, "l1_ratio": 0.0}),
    "forest_all": ("forest", {"n_estimators": STACK_TREES, "min_samples_leaf": 5}),
}


def fit_references(cohort: pd.DataFrame, bases: "Bases", fold: CrossFit) -> list[pd.DataFrame]:
    """Fit logistic regression and a random forest on all predictors at once, without a search.

    Parameters
    ----------
    cohort : pandas.DataFrame
        Patients with their predictors.
    bases : Bases
        The base models of this fold. A CNN counts as one predictor, its probability.
    fold : CrossFit
        The outer fold.

    Returns
    -------
    list of pandas.DataFrame
        Parts of the scores table.
    """
    x, x_test = all_predictors(cohort, bases, fold.split)
    rows = []
    for name, (algorithm, values) in REFERENCES.items():
        stages = (f"{name}: out-of-fold model", f"{name}: model for the test patients")
        make = partial(estimator, algorithm, values, seed=fold.seed)
        found = fold.out_of_fold(lambda _, make=make: make(), x, x_test, stages=stages, keep_as=name)
        rows.append(crossfit.rows(found.development, found.test, model=name))
    return rows


def all_predictors(cohort: pd.DataFrame, bases: "Bases", split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the predictors of all base models, of the development and of the test patients.

    A CNN counts as one predictor, its probability, of development patients out of fold.
    """
    columns = predictors_of_all(bases.settings, cohort)
    both = ((split.development, bases.out_of_fold), (split.test, bases.test))
    x, x_test = (columns.loc[ids].join(of[bases.networks]) for ids, of in both)
    return x, x_test


@dataclass(frozen=True)
class Bases:
    """The base models of one outer fold.

    Parameters
    ----------
    out_of_fold, test : pandas.DataFrame
        Probabilities of the development and of the test patients, one column per base model.
    chosen : list of pandas.DataFrame
        Parts of the ``hyperparameters`` table.
    algorithms : pandas.DataFrame
        ``fold, model, algorithm, auc, used``: every algorithm that was tried.
    histories : dict of (str, str) to pandas.DataFrame
        Trials of each search, by model and algorithm.
    rows : list of pandas.DataFrame
        Parts of the scores table; the CNN's are in a table of its own.
    settings : dict of str to Chosen
        Each model as it was chosen; of the CNN, notebook 03 writes the hyperparameters.
    """

    out_of_fold: pd.DataFrame
    test: pd.DataFrame
    chosen: list[pd.DataFrame]
    algorithms: pd.DataFrame
    histories: dict[tuple[str, str], pd.DataFrame]
    rows: list[pd.DataFrame]
    settings: dict[str, Chosen]

    @property
    def networks(self) -> list[str]:
        """Names of the base models that are the network on CT."""
        return [name for name, one in self.settings.items() if one.algorithm == "cnn"]


def fit_bases(
    models: Mapping[str, BaseLearner],
    cohort: pd.DataFrame,
    fold: CrossFit,
    *,
    spaces: Mapping[str, Space],
    cnn_scores: Path,
    cnn_lineage: Path,
) -> Bases:
    """Fit every base model that a study declares, and read the CNN's scores from its table.

    Parameters
    ----------
    models : Mapping
        From :func:`postarrest.models.tabular.declared`.
    cohort : pandas.DataFrame
        Patients with their predictors.
    fold : CrossFit
        The outer fold.
    spaces : Mapping
        From :func:`postarrest.models.tabular.spaces`.
    cnn_scores : pathlib.Path
        Scores table of the CNN in this fold; read where a model's algorithm is ``cnn``.
    cnn_lineage : pathlib.Path
        The patients behind these scores, as notebook 03's ledger saved them.
    """
    split = fold.split
    development, test, chosen, tried, histories, rows, settings = {}, {}, [], [], {}, [], {}
    for name, model in models.items():
        if model.algorithm == "cnn":
            fold.ledger.adopt(cnn_lineage)
            final = scores.read(cnn_scores, tested=len(split.test) > 0).query("stage == 'final'")
            saved = final.set_index("patient_id")["score"]
            development[name], test[name] = saved.loc[split.development], saved.loc[split.test]
            if name != "ct":
                fold.parts.append(Part(name, (), ("ct",), kind="same"))
            settings[name] = Chosen("cnn", {})
            continue
        x = predictors_of(name, model, cohort)
        base = fit_base(name, model, x, fold, spaces=spaces)
        development[name] = base.scores.development.loc[split.development]
        test[name] = base.scores.test
        rows.append(crossfit.rows(development[name], test[name], model=name))
        chosen.append(tuning.chosen_table(base.tuned[base.algorithm], fold=split.fold, model=name))
        settings[name] = Chosen(base.algorithm, base.tuned[base.algorithm].values, list(x))
        for algorithm, tuned in base.tuned.items():
            tried.append((split.fold, name, algorithm, tuned.auc, algorithm == base.algorithm))
            histories[name, algorithm] = tuned.history
    algorithms = pd.DataFrame(tried, columns=["fold", "model", "algorithm", "auc", "used"])
    return Bases(pd.DataFrame(development), pd.DataFrame(test), chosen, algorithms, histories, rows, settings)
