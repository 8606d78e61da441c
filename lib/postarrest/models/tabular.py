"""Base models on tables: logistic regression, random forest and LightGBM, tuned inside the inner folds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from postarrest.models import tuning
from postarrest.models.kept import digest
from postarrest.models.leakage import Ledger
from postarrest.models.splits import Split
from postarrest.models.tuning import Space, Tuned, Values

# Paper B names what was tuned, not the ranges (its supplement was not found): these are ours.
SPACES: dict[str, dict[str, dict[str, Any]]] = {
    "logistic": {
        "C": {"low": 0.001, "high": 100.0, "log": True},
        "l1_ratio": {"choices": [0.0, 0.5, 1.0]},
    },
    "forest": {
        "max_depth": {"low": 2, "high": 8, "whole": True},
        "min_samples_leaf": {"low": 2, "high": 30, "whole": True},
        "max_features": {"choices": ["sqrt", 1.0]},
    },
    "lightgbm": {
        "learning_rate": {"low": 0.01, "high": 0.2, "log": True},
        "num_leaves": {"low": 2, "high": 31, "whole": True},
        "n_estimators": {"low": 20, "high": 300, "log": True, "whole": True},
    },
}
# What the outcome labels are made of.
_OUTCOME = ("cpc", "awake_after_ct", "death_cause_intracranial", "death_cause", "arrest_to_death_days")
ALGORITHMS = (*SPACES, "select", "cnn")
FOREST_TREES = 100


class ModelError(ValueError):
    """A base model that is declared in a way that can't be run; the message lists every fault."""


@dataclass(frozen=True)
class BaseModel:
    """A base model as a study file declares it.

    Parameters
    ----------
    name : str
        What the report calls it.
    algorithm : str
        ``logistic``, ``forest``, ``lightgbm``, ``select`` (the best of the three in the inner folds), or
        ``cnn`` (the scores of notebook 03).
    predictors : tuple of str
        Columns of the cohort; a name that ends in ``*`` stands for every column that starts so.
    """

    name: str
    algorithm: str
    predictors: tuple[str, ...] = ()


def declared(models: Mapping[str, Mapping[str, Any]]) -> tuple[BaseModel, ...]:
    """Read the base models that a study file declares.

    Parameters
    ----------
    models : Mapping
        ``{name: {algorithm: ..., predictors: [...]}}``.

    Raises
    ------
    ModelError
        For an unknown key or algorithm, a model without predictors, or a CNN with some.

    Examples
    --------
    >>> declared({"pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]}})[0].algorithm
    'logistic'
    """
    faults, found = [], []
    for name, spec in models.items():
        if not isinstance(spec, Mapping):
            faults.append(f"model '{name}': found {spec!r}, expected algorithm and predictors.")
            continue
        unknown = set(spec) - {"algorithm", "predictors"}
        algorithm, predictors = spec.get("algorithm"), spec.get("predictors", [])
        faults += [
            f"model '{name}': '{k}' is unknown; known: algorithm, predictors." for k in sorted(unknown)
        ]
        if algorithm not in ALGORITHMS:
            faults.append(f"model '{name}': algorithm is {algorithm!r}, expected {', '.join(ALGORITHMS)}.")
        elif (algorithm == "cnn") == bool(predictors):
            faults.append(f"model '{name}': a cnn has no predictors, every other algorithm has some.")
        found.append(BaseModel(name, str(algorithm), tuple(predictors)))
    networks = [model.name for model in found if model.algorithm == "cnn"]
    if len(networks) > 1:
        # Notebook 03 makes one network's scores; two names for them would be one model counted twice.
        faults.append(f"models {', '.join(networks)}: found {len(networks)} of algorithm cnn, expected one.")
    if faults:
        raise ModelError("\n".join(faults))
    return tuple(found)


def predictors_of(model: BaseModel, cohort: pd.DataFrame) -> pd.DataFrame:
    """Return a model's predictors, indexed by patient.

    Raises
    ------
    ModelError
        If a predictor is not a column, is empty, belongs to the outcome, or identifies the patient rather
        than describing them.
    """
    names: list[str] = []
    faults = []
    for wanted in model.predictors:
        if wanted.endswith("*"):
            matching = [c for c in cohort.columns if str(c).startswith(wanted[:-1])]
        else:
            matching = [wanted] if wanted in cohort.columns else []
        if not matching:
            faults.append(f"model '{model.name}': no column '{wanted}' in the cohort.")
        faults += [
            f"model '{model.name}': predictor '{column}' is part of the outcome, unknown beforehand."
            for column in matching
            if _is_outcome(column)
        ]
        names += [c for c in matching if c not in names]
    # Yes and no, and whole numbers with gaps, are numbers to every model here.
    numeric = [c for c in names if pd.api.types.is_numeric_dtype(cohort[c])]
    x = cohort[names].astype(dict.fromkeys(numeric, "float64"))
    for column in x.columns:
        values = x[column].dropna()
        if values.empty:
            faults.append(f"model '{model.name}': predictor '{column}' has no value at all.")
        elif _identifies(values):
            faults.append(
                f"model '{model.name}': predictor '{column}' is different in each patient, "
                "like an identifier; a model would learn the patients by heart."
            )
    if faults:
        raise ModelError("\n".join(faults))
    return x


def known_beforehand(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return a cohort's table without what the outcome labels are made of.

    Examples
    --------
    >>> list(known_beforehand(pd.DataFrame(columns=["age_years", "cpc", "y_good_standard"])).columns)
    ['age_years']
    """
    return cohort[[column for column in cohort.columns if not _is_outcome(column)]]


def _is_outcome(column: str) -> bool:
    return column in _OUTCOME or str(column).startswith("y_good")


def _identifies(values: pd.Series) -> bool:
    if len(values) < 20:
        return False
    distinct = values.nunique() / len(values)
    if not pd.api.types.is_numeric_dtype(values):
        return distinct > 0.5
    if distinct < 0.98 or (values != values.round()).any():
        return False
    # A volume in mm³ is a whole number too, and different in each patient. What marks a running number is
    # that it leaves few numbers out, follows the order of the patients, or is that of their identifier.
    dense = values.max() - values.min() + 1 < 2 * len(values)
    order = abs(spearmanr(values, np.arange(len(values))).statistic) > 0.99
    digits = values.index.astype(str).str.extract(r"(\d+)$", expand=False)
    same = (pd.to_numeric(digits).to_numpy() == values.to_numpy()).mean() > 0.98
    return bool(dense or order or same)


def estimator(algorithm: str, values: Values, x: pd.DataFrame, *, seed: int) -> Pipeline:
    """Return an unfitted model for these predictors.

    Text is one-hot encoded, with a missing value as a level of its own. Numbers: logistic regression and
    forests impute the median, with an indicator, and the former standardises; LightGBM takes missing values
    as they are. All of it is fitted with the model, on the same patients.
    """
    text = [c for c in x.columns if not pd.api.types.is_numeric_dtype(x[c])]
    numbers = [c for c in x.columns if c not in text]
    imputed = SimpleImputer(strategy="median", add_indicator=True)
    if algorithm == "logistic":
        prepare = make_pipeline(imputed, StandardScaler())
        model = LogisticRegression(**values, solver="saga", max_iter=10_000, tol=1e-3, random_state=seed)
    elif algorithm == "forest":
        prepare = imputed
        model = RandomForestClassifier(**values, n_estimators=FOREST_TREES, n_jobs=1, random_state=seed)
    elif algorithm == "lightgbm":
        from lightgbm import LGBMClassifier

        prepare = "passthrough"
        model = LGBMClassifier(
            **values, n_jobs=1, random_state=seed, verbosity=-1, deterministic=True, force_row_wise=True
        )
    else:
        raise ValueError(f"algorithm is {algorithm!r}, expected one of {', '.join(SPACES)}.")
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("numbers", prepare, numbers), ("text", encode, text)])
    # LightGBM would tie itself to column names; an array has none.
    return Pipeline([("columns", columns), ("model", model)])


@dataclass(frozen=True)
class BaseScores:
    """What a base model contributes in one split.

    Parameters
    ----------
    algorithm : str
        The algorithm used (the one selected, where there was a choice).
    tuned : dict of str to Tuned
        The search of each algorithm that was tried.
    out_of_fold : pandas.Series
        Probability of a good outcome of every development patient, by a model fitted without the patient.
    test : pandas.Series
        Probability of every test patient, by the model refitted on all development patients.
    """

    algorithm: str
    tuned: dict[str, Tuned]
    out_of_fold: pd.Series
    test: pd.Series


def fit_base(
    model: BaseModel,
    x: pd.DataFrame,
    y: pd.Series,
    split: Split,
    *,
    trials: int,
    seed: int,
    spaces: Mapping[str, Space],
    keep: Path,
    ledger: Ledger,
) -> BaseScores:
    """Tune a base model in the inner folds, score development patients out of fold, refit for the test.

    Parameters
    ----------
    model : BaseModel
        The model.
    x : pandas.DataFrame
        Its predictors, indexed by patient.
    y : pandas.Series
        1 where the outcome is good.
    split : Split
        Inner folds and test patients.
    trials : int
        Optuna's trials for each algorithm.
    seed : int
        Seed.
    spaces : Mapping
        Search space of each algorithm.
    keep : pathlib.Path
        Folder for Optuna's studies.
    ledger : Ledger
        Takes down what was fitted on whom.
    """
    algorithms = tuple(SPACES) if model.algorithm == "select" else (model.algorithm,)
    tuned = {}
    for algorithm in algorithms:
        space = spaces[algorithm]
        name = digest("base", algorithm, space, x, y, split.membership, seed, FOREST_TREES)
        tuned[algorithm] = tuning.search(
            lambda values, algorithm=algorithm: inner_aucs(algorithm, values, x, y, split, seed=seed),
            space,
            n_folds=len(split.inner),
            patients=split.development,
            trials=trials,
            seed=seed,
            keep=keep / f"{split.name}-{model.name}-{algorithm}-{name}.journal",
        )
    # The first of equals, in the order of SPACES.
    algorithm = max(tuned, key=lambda a: tuned[a].auc)
    values = tuned[algorithm].values
    seen = frozenset().union(*(one.patients for one in tuned.values()))
    chosen = ledger.choice(f"{model.name}: hyperparameters", on=seen)
    parts = []
    for fit_ids, judge_ids in split.inner:
        fitted = ledger.fit(
            estimator(algorithm, values, x, seed=seed),
            x.loc[fit_ids],
            y.loc[fit_ids],
            stage=f"{model.name}: out-of-fold model",
            after=[chosen],
        )
        parts.append(ledger.probability(fitted, x.loc[judge_ids]))
    development = split.development
    refit = ledger.fit(
        estimator(algorithm, values, x, seed=seed),
        x.loc[development],
        y.loc[development],
        stage=f"{model.name}: refitted model",
        after=[chosen],
    )
    test = ledger.probability(refit, x.loc[split.test])
    return BaseScores(algorithm, tuned, pd.concat(parts).loc[development], test)


def inner_aucs(
    algorithm: str, values: Values, x: pd.DataFrame, y: pd.Series, split: Split, *, seed: int
) -> Iterator[float]:
    """Yield the ROC-AUC of each inner fold for given hyperparameters."""
    for fit_ids, judge_ids in split.inner:
        model = estimator(algorithm, values, x, seed=seed).fit(x.loc[fit_ids], y.loc[fit_ids].to_numpy())
        yield float(roc_auc_score(y.loc[judge_ids], model.predict_proba(x.loc[judge_ids])[:, 1]))
