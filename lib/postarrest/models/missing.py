"""Ways of handling missing values, and base models that are missing altogether when the ensemble is used."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - it makes the import below possible
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from postarrest.models import stacking
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Fitted
from postarrest.models.tabular import BaseLearner, estimator, fit_base, predictors_of
from postarrest.models.tuning import Space, Values

NATIVE, MEDIAN, MULTIPLE, COMPLETE = "native", "median_indicator", "multiple_imputation", "complete_cases"
# The ensemble with all its base models, and with some of them replaced by a constant.
ALL_KNOWN, WITHOUT = "all_known", "without"
# Every combination of missing base models is tried only up to this number of base models.
_MOST_COMBINED = 4


class MultipleImputation(ClassifierMixin, BaseEstimator):
    """A model fitted on several imputations of its predictors; the probabilities are averaged.

    Each imputation draws missing values from the posterior predictive distribution of a Bayesian linear
    regression on the other predictors (chained equations; van Buuren 2007). It uses no outcome, since a
    patient to be predicted has none, and is fitted on the same patients as the model.

    Parameters
    ----------
    model : Pipeline
        From :func:`handled_by`, with a step ``impute``.
    imputations : int
        Number of imputations.
    seed : int
        Seed of the first; each further one has the next.
    """

    def __init__(self, model: Pipeline, imputations: int = 5, seed: int = 0):
        self.model = model
        self.imputations = imputations
        self.seed = seed

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "MultipleImputation":
        """Fit every imputation, and the model on each."""
        self.classes_ = np.unique(y)
        each = [clone(self.model) for _ in range(self.imputations)]
        self.models_ = [
            model.set_params(impute__random_state=self.seed + i).fit(x, y) for i, model in enumerate(each)
        ]
        return self

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the mean of the probabilities over the imputations."""
        return np.mean([model.predict_proba(x) for model in self.models_], axis=0)


def handled_by(handling: str, algorithm: str, values: Values, *, seed: int, imputations: int = 5) -> Any:
    """Return an unfitted model that handles missing numbers in a given way; missing text is a level.

    Parameters
    ----------
    handling : str
        ``native`` (LightGBM only), ``median_indicator``, ``multiple_imputation``, or ``complete_cases``
        (nothing is imputed: the caller leaves out patients with a missing value).
    algorithm, values, seed
        As for :func:`postarrest.models.tabular.estimator`.
    imputations : int
        Number of imputations.

    Raises
    ------
    ValueError
        If the handling is unknown.
    """
    known = (NATIVE, MEDIAN, MULTIPLE, COMPLETE)
    if handling not in known:
        raise ValueError(f"The handling is {handling!r}, expected one of {', '.join(known)}.")
    model = estimator(algorithm, values, seed=seed)
    # LightGBM splits on values as they are; the others need their numbers imputed, which changes nothing
    # where none is missing.
    if handling in (NATIVE, COMPLETE):
        return model
    scaler = [StandardScaler()] if algorithm == "logistic" else []
    if handling == MEDIAN:
        imputed = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        return model.set_params(columns__numbers=make_pipeline(imputed, *scaler))
    steps = [("columns", model.named_steps["columns"].set_params(numbers="passthrough"))]
    steps.append(("impute", IterativeImputer(sample_posterior=True, keep_empty_features=True, max_iter=5)))
    steps += [("scale", one) for one in scaler]
    return MultipleImputation(Pipeline([*steps, ("model", model.named_steps["model"])]), imputations, seed)


def compare(
    models: Mapping[str, BaseLearner],
    cohort: pd.DataFrame,
    folds: Sequence[CrossFit],
    *,
    spaces: Mapping[str, Space],
    imputations: int = 5,
) -> pd.DataFrame:
    """Score the test patients of each outer fold by base models that handle missing values in several ways.

    Parameters
    ----------
    models : Mapping
        From :func:`postarrest.models.tabular.declared`; the network on CT is left out.
    cohort : pandas.DataFrame
        Patients with their predictors.
    folds : sequence of CrossFit
        The outer folds; the hyperparameters are those that notebook 04 chose, and searches that were kept are
        not repeated.
    spaces : Mapping
        From :func:`postarrest.models.tabular.spaces`.
    imputations : int
        Number of imputations.

    Returns
    -------
    pandas.DataFrame
        ``model, handling, own, complete, fold, patient_id, y_good, score``: ``own`` marks the handling of the
        study's own model, ``complete`` patients with no missing predictor of that model; only these have a
        score by ``complete_cases``. A handling that fails to apply has no rows: ``complete_cases`` where the
        complete development patients of a fold all have the same outcome.
    """
    parts = [
        part
        for name, model in models.items()
        if model.algorithm != "cnn"
        for fold in folds
        for part in _in_fold(name, model, cohort, fold, spaces, imputations)
    ]
    if not parts:
        columns = ["model", "handling", "own", "complete", "fold", "patient_id", "y_good", "score"]
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    # A handling that applies in some folds only would be compared in other patients.
    n_folds = table.groupby(["model", "handling"])["fold"].transform("nunique")
    return table[n_folds == len(folds)].reset_index(drop=True)


def _in_fold(
    name: str,
    model: BaseLearner,
    cohort: pd.DataFrame,
    fold: CrossFit,
    spaces: Mapping[str, Space],
    imputations: int,
) -> Iterator[pd.DataFrame]:
    x = predictors_of(name, model, cohort)
    base = fit_base(name, model, x, fold, spaces=spaces)
    tuned = base.tuned[base.algorithm]
    chosen = fold.ledger.choice(f"{name}: hyperparameters", on=tuned.patients)
    complete = x.notna().all(axis=1)
    own = NATIVE if base.algorithm == "lightgbm" else MEDIAN
    development, test = fold.split.development, fold.split.test

    def rows(handling: str, score: pd.Series) -> pd.DataFrame:
        ids = score.index
        found = {"patient_id": ids, "y_good": fold.y.loc[ids].to_numpy(), "score": score.to_numpy()}
        about = {"model": name, "handling": handling, "own": handling == own, "fold": fold.split.fold}
        return pd.DataFrame(found | about).assign(complete=complete.loc[ids].to_numpy())

    yield rows(own, base.scores.test)
    for handling in (MEDIAN, MULTIPLE, COMPLETE):
        if handling == own:
            continue
        fitted_on, scored = development, test
        if handling == COMPLETE:
            fitted_on, scored = (ids[complete.loc[ids]] for ids in (development, test))
            if fold.y.loc[fitted_on].nunique() < 2 or scored.empty:
                continue
        how = {"seed": fold.seed, "imputations": imputations}
        made = handled_by(handling, base.algorithm, tuned.values, **how)
        stage = f"{name}: {handling.replace('_', ' ')}"
        fitted = fold.ledger.fit(made, x.loc[fitted_on], fold.y.loc[fitted_on], stage=stage, after=[chosen])
        yield rows(handling, fold.ledger.probability(fitted, x.loc[scored]))


def missing_at_use(
    models: Mapping[str, BaseLearner],
    cohort: pd.DataFrame,
    folds: Sequence[CrossFit],
    *,
    spaces: Mapping[str, Space],
    monotonic: bool,
    scores_of: Path,
    label: str,
) -> pd.DataFrame:
    """Score the test patients by the ensemble as if some of its base models were missing.

    The probability of a missing base model is replaced by its mean in the development patients (out of fold).

    Parameters
    ----------
    models, cohort, folds, spaces
        As for :func:`compare`.
    monotonic : bool
        As for :func:`postarrest.models.stacking.fit_stack`.
    scores_of : pathlib.Path
        Folder of the network's scores.
    label : str
        Outcome label.

    Returns
    -------
    pandas.DataFrame
        As :func:`compare`; the handling is ``all_known``, or ``without`` and the names of what is missing.
        Up to four base models, all combinations but that of all; of more, one after the other.
    """
    parts = []
    for fold in folds:
        part = f"{fold.split.name}-{label}"
        network = {
            "cnn_scores": scores_of / f"scores_cnn_{part}.csv",
            "cnn_lineage": scores_of / f"seen_cnn_{part}.json",
        }
        bases = stacking.fit_bases(models, cohort, fold, spaces=spaces, **network)
        inputs = bases.out_of_fold, bases.test
        stack = stacking.fit_stack(*inputs, fold, space=spaces["stack"], monotonic=monotonic)
        y, meta = fold.y.loc[fold.split.test].to_numpy(), bases.test.loc[fold.split.test]
        for missing in patterns(list(meta.columns)):
            score = replaced(stack.refitted, meta, bases.out_of_fold[list(missing)].mean())
            handling = f"{WITHOUT} {', '.join(missing)}" if missing else ALL_KNOWN
            about = {"model": "ensemble", "handling": handling, "own": not missing, "complete": True}
            found = {"patient_id": meta.index, "y_good": y, "score": score, "fold": fold.split.fold}
            parts.append(pd.DataFrame(found | about))
    return pd.concat(parts, ignore_index=True)


def replaced(stack: Fitted, meta: pd.DataFrame, means: pd.Series) -> np.ndarray:
    """Return the ensemble's probabilities with some of its inputs replaced by constants."""
    return stack.estimator.predict_proba(meta.assign(**means))[:, 1]


def patterns(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return which base models are missing: none, and every combination that leaves at least one.

    Examples
    --------
    >>> patterns(["ohca", "pupil"])
    [(), ('ohca',), ('pupil',)]
    """
    most = len(names) - 1 if len(names) <= _MOST_COMBINED else 1
    return [missing for k in range(most + 1) for missing in combinations(names, k)]
