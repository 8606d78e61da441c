"""Base models on tables: logistic regression, random forest and LightGBM, tuned in the inner folds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, TypeAdapter, model_validator
from scipy.interpolate import BSpline
from scipy.stats import spearmanr
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from postarrest.data.contract import is_outcome
from postarrest.models import hyperparameters, ohca
from postarrest.models.crossfit import CrossFit, OutOfFold
from postarrest.models.forests import ExtraTrees, Forest
from postarrest.models.tuning import Chosen, Searched, Space, Tuned, Values
from postarrest.settings import Settings, distinct, wrong

# Paper B names what was tuned, not the ranges (its supplement was not found): these are ours.
SPACES: dict[str, Space] = {
    "logistic": {
        "C": Searched(low=0.001, high=100.0, log=True),
        "l1_ratio": Searched(choices=[0.0, 0.5, 1.0]),
    },
    "forest": {
        "max_depth": Searched(low=2, high=8, whole=True),
        "min_samples_leaf": Searched(low=2, high=30, whole=True),
        "max_features": Searched(choices=["sqrt", 1.0]),
    },
    # Leaves of two patients, as a base model's may be, are a hazard to a stack of few good outcomes.
    "stack": {
        "max_depth": Searched(low=2, high=8, whole=True),
        "min_samples_leaf": Searched(low=15, high=30, whole=True),
        "max_features": Searched(choices=["sqrt", 1.0]),
    },
    "lightgbm": {
        "learning_rate": Searched(low=0.01, high=0.2, log=True),
        "num_leaves": Searched(low=2, high=31, whole=True),
        "n_estimators": Searched(low=20, high=300, log=True, whole=True),
    },
}
SELECTED_FROM = ("logistic", "forest", "lightgbm")
# Paper B's three base models.
PUBLISHED = {
    "ohca": {"algorithm": "lightgbm", "predictors": ohca.VARIABLES},
    "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm", "pupil_right_mm"]},
    "ct": {"algorithm": "cnn"},
}
FOREST_TREES = 100
# What names of scores that are not base models begin with.
_TAKEN = ("ensemble", "super_learner", "logistic_all", "forest_all", "ohca_score", "gwr")


class ModelError(ValueError):
    """Predictors that a base model cannot use; the message lists every error."""


class BaseLearner(Settings):
    """A base model as a study file declares it.

    Parameters
    ----------
    algorithm : str
        ``logistic``, ``forest``, ``lightgbm``, ``select`` (the best of the three in the inner folds), or
        ``cnn`` (the scores of notebook 03).
    predictors : list of str
        Columns of the cohort; a name that ends in ``*`` stands for every column that starts so.
    """

    algorithm: Literal["logistic", "forest", "lightgbm", "select", "cnn"]
    predictors: Annotated[list[Annotated[str, Field(min_length=1)]], AfterValidator(distinct)] = Field([])

    @model_validator(mode="after")
    def _has_predictors(self) -> "BaseLearner":
        if (self.algorithm == "cnn") == bool(self.predictors):
            raise ValueError("a cnn has no predictors; every other algorithm needs some")
        return self


def _one_network(models: dict[str, BaseLearner]) -> dict[str, BaseLearner]:
    networks = [name for name, model in models.items() if model.algorithm == "cnn"]
    if len(networks) > 1:
        # Notebook 03 saves one network's scores; under two names they would count twice.
        found = f"{len(networks)} models of algorithm cnn ({', '.join(networks)})"
        raise ValueError(f"found {found}, expected one")
    return models


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name):
        raise wrong("a name of up to 40 letters, digits, '_' or '-' that begins with a letter")
    return name


def _own_names(models: dict[str, BaseLearner]) -> dict[str, BaseLearner]:
    # Other rows of the scores table have these names, and some disks know no capitals.
    taken = [
        name
        for name, model in models.items()
        if name.casefold().startswith(_TAKEN)
        or name.casefold() == "all"
        or (model.algorithm != "cnn" and name.casefold() in ("ct", "cnn"))
    ]
    if taken:
        raise wrong("another name: scores of this package are called so", f"a base model '{taken[0]}'")
    distinct([name.casefold() for name in models])
    return models


def _within(written: dict[str, Space]) -> dict[str, Space]:
    for algorithm, space in written.items():
        if not space:
            raise wrong("at least one hyperparameter", f"none of {algorithm}")
        hyperparameters.check(space, hyperparameters.TABULAR[algorithm], of=algorithm)
    return written


BaseModels = Annotated[
    dict[Annotated[str, AfterValidator(_name)], BaseLearner],
    AfterValidator(_one_network),
    AfterValidator(_own_names),
]
Spaces = Annotated[dict[Literal["logistic", "forest", "lightgbm", "stack"], Space], AfterValidator(_within)]


def declared(models: Mapping[str, Any]) -> dict[str, BaseLearner]:
    """Return the base models that a study file declares, by name, checked.

    Parameters
    ----------
    models : Mapping
        ``{name: {algorithm: ..., predictors: [...]}}``; empty for paper B's three.

    Raises
    ------
    pydantic.ValidationError
        Listing every error: an unknown key or algorithm, a model without predictors, or a CNN with some.

    Examples
    --------
    >>> declared({"pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]}})["pupil"].algorithm
    'logistic'
    >>> list(declared({}))
    ['ohca', 'pupil', 'ct']
    """
    return TypeAdapter(BaseModels).validate_python(models or PUBLISHED)


def spaces(written: Mapping[str, Any]) -> dict[str, Space]:
    """Return the search space of each algorithm and of the stack: the study file's, else :data:`SPACES`.

    Raises
    ------
    pydantic.ValidationError
        Listing every error: an unknown algorithm, or a space that cannot be searched.
    """
    return SPACES | TypeAdapter(Spaces).validate_python(written)


def predictors_of(name: str, model: BaseLearner, cohort: pd.DataFrame) -> pd.DataFrame:
    """Return a model's predictors, indexed by patient.

    Raises
    ------
    ModelError
        If a predictor is not a column, is empty, belongs to the outcome, or identifies the patient rather
        than describing them.
    """
    matching = {wanted: [c for c in cohort if _matches(c, wanted)] for wanted in model.predictors}
    errors = [f"no column '{wanted}' in the cohort." for wanted, columns in matching.items() if not columns]
    names = list(dict.fromkeys(chain.from_iterable(matching.values())))
    x = as_predictors(cohort[names])
    for column in names:
        values = x[column].dropna()
        if is_outcome(column):
            errors.append(f"predictor '{column}' is part of the outcome and unknown beforehand.")
        elif values.empty:
            errors.append(f"predictor '{column}' has no values.")
        elif _identifies(values):
            like = "is different in each patient, like an identifier; a model would memorise the patients."
            errors.append(f"predictor '{column}' {like}")
    if errors:
        raise ModelError("\n".join(f"model '{name}': {error}" for error in errors))
    return x


def as_predictors(columns: pd.DataFrame) -> pd.DataFrame:
    """Return columns of the cohort with yes, no and whole numbers as the real numbers that models use."""
    numeric = [c for c in columns if pd.api.types.is_numeric_dtype(columns[c])]
    return columns.astype(dict.fromkeys(numeric, "float64"))


def predictors_of_all(chosen: Mapping[str, Chosen], cohort: pd.DataFrame) -> pd.DataFrame:
    """Return the predictors of all base models as one table, each column once.

    From the whole cohort, so that the type of a column is the same in every sample of it.
    """
    names = dict.fromkeys(column for one in chosen.values() for column in one.predictors)
    return as_predictors(cohort[list(names)])


def known_beforehand(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return a cohort's table without the columns that outcome labels are derived from.

    Examples
    --------
    >>> list(known_beforehand(pd.DataFrame(columns=["age_years", "cpc", "y_good_standard"])).columns)
    ['age_years']
    """
    return cohort[[column for column in cohort.columns if not is_outcome(column)]]


def _matches(column: str, wanted: str) -> bool:
    # Only a final * is a wildcard: a hospital's column may contain ? or [.
    return column.startswith(wanted[:-1]) if wanted.endswith("*") else column == wanted


def _identifies(values: pd.Series) -> bool:
    if len(values) < 20:
        return False
    distinct = values.nunique() / len(values)
    if not pd.api.types.is_numeric_dtype(values):
        return distinct > 0.5
    if distinct < 0.98 or (values != values.round()).any():
        return False
    # A volume in mm³ is a whole number too, and different in each patient. A running number leaves few
    # numbers out, follows the order of the patients, or is part of their identifier.
    dense = values.max() - values.min() + 1 < 2 * len(values)
    order = abs(spearmanr(values, np.arange(len(values))).statistic) > 0.99
    digits = values.index.astype(str).str.extract(r"(\d+)$", expand=False)
    same = (pd.to_numeric(digits).to_numpy() == values.to_numpy()).mean() > 0.98
    return bool(dense or order or same)


class Splines(SplineTransformer):
    """scikit-learn's cubic splines, saved as numbers alone.

    SciPy's splines hold functions of SciPy's own, which another version of SciPy does not have.

    Examples
    --------
    >>> import pickle
    >>> x = np.arange(8.0)[:, None]
    >>> one = Splines(n_knots=4, knots="quantile").fit(x)
    >>> bool((pickle.loads(pickle.dumps(one)).transform(x) == one.transform(x)).all())
    True
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        fitted = state.get("bsplines_", [])
        return state | {"bsplines_": [(s.t, s.c, s.k, s.extrapolate) for s in fitted]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"bsplines_": [BSpline(*one) for one in state["bsplines_"]]})


def estimator(algorithm: str, values: Values, *, seed: int) -> Pipeline:
    """Return an unfitted model.

    Text is one-hot encoded, with missing as a level of its own. Numbers: logistic regression and forests
    impute the median, with an indicator, and the former standardises, splines after a cubic spline of each
    number; LightGBM takes missing values as they are. All of this is fitted with the model, on the same
    patients.

    Parameters
    ----------
    algorithm : str
        ``logistic``, ``splines`` (the same on cubic splines), ``forest``, ``extra_trees`` or ``lightgbm``.
    values : dict
        Hyperparameters.
    seed : int
        Seed of the model.
    """
    prepare: Any = SimpleImputer(strategy="median", add_indicator=True)
    if algorithm in ("logistic", "splines"):
        curves = [Splines(n_knots=4, knots="quantile")] if algorithm == "splines" else []
        prepare = make_pipeline(prepare, *curves, StandardScaler())
        solver = {"solver": "lbfgs"} if not values.get("l1_ratio") else {"solver": "saga", "tol": 1e-3}
        model = LogisticRegression(**values, **solver, max_iter=10_000, random_state=seed)
    elif algorithm in ("forest", "extra_trees"):
        trees = Forest if algorithm == "forest" else ExtraTrees
        model = trees(**{"n_estimators": FOREST_TREES} | values, n_jobs=1, random_state=seed)
    else:
        from lightgbm import LGBMClassifier

        prepare = "passthrough"
        reproducible = {"random_state": seed, "deterministic": True, "force_row_wise": True}
        model = LGBMClassifier(**values, **reproducible, n_jobs=1, verbosity=-1)
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers, text = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    columns = ColumnTransformer([("numbers", prepare, numbers), ("text", encode, text)])
    # Without column names, which LightGBM would insist on at prediction.
    return Pipeline([("columns", columns), ("model", model)])


@dataclass(frozen=True)
class FittedBase:
    """A base model in one split.

    Parameters
    ----------
    algorithm : str
        The algorithm used (the one selected, if there was a choice).
    tuned : dict of str to Tuned
        The search of each algorithm that was tried.
    scores : OutOfFold
        Probabilities of the development and of the test patients.
    """

    algorithm: str
    tuned: dict[str, Tuned]
    scores: OutOfFold


def fit_base(
    name: str, model: BaseLearner, x: pd.DataFrame, fold: CrossFit, *, spaces: Mapping[str, Space]
) -> FittedBase:
    """Tune a base model in the inner folds, score development patients out of fold, refit for the test.

    Parameters
    ----------
    name, model
        The model, from :func:`declared`.
    x : pandas.DataFrame
        Its predictors, indexed by patient.
    fold : CrossFit
        The split.
    spaces : Mapping
        Search space of each algorithm, from :func:`spaces`.
    """
    make = partial(estimator, seed=fold.seed)
    tuned = {
        algorithm: fold.tune(
            partial(make, algorithm),
            x,
            hyperparameters.scaled(spaces[algorithm], n=len(fold.split.development), algorithm=algorithm),
            name=f"{name}-{algorithm}",
        )
        for algorithm in (SELECTED_FROM if model.algorithm == "select" else [model.algorithm])
    }
    # Of equal algorithms the first, in the order of SELECTED_FROM.
    best = max(tuned, key=lambda algorithm: tuned[algorithm].auc)
    used = frozenset().union(*(one.patients for one in tuned.values()))
    chosen = fold.ledger.choice(f"{name}: hyperparameters", on=used)
    stages = (f"{name}: out-of-fold model", f"{name}: refitted model")
    scores = fold.out_of_fold(
        lambda _: make(best, tuned[best].values), x, x, stages=stages, after=[chosen], keep_as=name
    )
    return FittedBase(best, tuned, scores)
