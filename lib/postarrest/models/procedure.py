"""The nested protocol's modelling procedure as one function of the patients, so that it can be repeated.

A *procedure* takes patients and their outcomes, and returns a function that predicts other patients: one
column of probabilities per model. In a bootstrap sample a patient may have several rows, which share an inner
fold: otherwise the out-of-fold probabilities that the stack learns from would come from models fitted on the
same patient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold

from postarrest.models import stacking, tabular, tuning
from postarrest.models.cnn import features
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.head import Head
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Ledger
from postarrest.models.platt import platt
from postarrest.models.splits import Split
from postarrest.models.tuning import Chosen, Space, Values
from postarrest.places import Here

Predict = Callable[[pd.DataFrame], pd.DataFrame]
Procedure = Callable[[pd.DataFrame, pd.Series], Predict]
STACKS = ("ensemble", "ensemble_logistic")


def read_chosen(path: Path, *, network: Path) -> dict[str, Chosen]:
    """Read the models of one outer fold as they were chosen.

    Parameters
    ----------
    path : pathlib.Path
        Written by notebook 04: base models in the order of the stack's inputs, then ``ensemble``.
    network : pathlib.Path
        Written by notebook 03: the hyperparameters of a base model that is the network on CT.
    """
    chosen = tuning.read_chosen(path)
    return {
        name: tuning.read_chosen(network)["cnn"] if one.algorithm == "cnn" else one
        for name, one in chosen.items()
    }


def kept_features(chosen: Mapping[str, Chosen], here: Here) -> Features | None:
    """Return the kept features of each CT slice; None if no base model is the network on CT."""
    return features.kept(here) if any(one.algorithm == "cnn" for one in chosen.values()) else None


def n_parameters(chosen: Mapping[str, Chosen], rows: pd.DataFrame) -> int:
    """Count candidate predictor parameters: one for a number, one less than its levels for a text.

    A network on CT counts once, as the probability that it adds, and so has far more.

    Examples
    --------
    >>> rows = pd.DataFrame({"age_years": [50.0, 60.0, 70.0], "rhythm": ["a", "b", "c"]})
    >>> n_parameters({"all": Chosen("logistic", {}, ["age_years", "rhythm"])}, rows)
    3
    """
    numeric = rows.select_dtypes("number").columns
    levels = sum(
        max(rows[column].nunique(dropna=False) - 1, 0) for column in rows.columns.difference(numeric)
    )
    return len(numeric) + int(levels) + sum(one.algorithm == "cnn" for one in chosen.values())


def by_patient(patients: pd.Index, y: pd.Series, *, n_folds: int, seed: int) -> Split:
    """Split rows into inner folds, stratified by outcome; all rows of a patient share a fold.

    Parameters
    ----------
    patients : pandas.Index
        Patient of each row.
    y : pandas.Series
        1 where the outcome is good, of each row.
    n_folds, seed : int
        Number of folds, and their seed.

    Returns
    -------
    Split
        Of the rows' positions, without test patients.

    Examples
    --------
    >>> drawn = pd.Index(["a", "a", "b", "c", "d", "d", "e", "f"])
    >>> split = by_patient(drawn, pd.Series([1, 1, 0, 0, 1, 1, 0, 1]), n_folds=2, seed=1)
    >>> [set(drawn[fit]) & set(drawn[left_out]) for fit, left_out in split.inner]
    [set(), set()]
    """
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    inner = tuple((pd.Index(fit), pd.Index(left_out)) for fit, left_out in folds.split(y, y, patients))
    return Split("inner-1", inner, pd.Index([], dtype=int))


@dataclass(frozen=True)
class Nested:
    """Base models, their out-of-fold probabilities, the stacks on these, and Platt scaling.

    Hyperparameters are given and not searched for.

    Parameters
    ----------
    chosen : Mapping
        Base models in the order of the stack's inputs, and ``ensemble``. ``class_weights`` is one of the
        network's hyperparameters, and ``monotonic`` one of the ensemble's.
    n_folds, seed : int
        Inner folds, and the seed of all models.
    features : Features, optional
        Features of each CT slice, on which the network's head is refitted.
    folds : callable
        Splits rows into inner folds.
    """

    chosen: Mapping[str, Chosen]
    n_folds: int
    seed: int
    features: Features | None = None
    folds: Callable[..., Split] = by_patient

    @property
    def _bases(self) -> list[str]:
        return [name for name in self.chosen if name not in STACKS]

    @property
    def names(self) -> list[str]:
        """Names of the models that it fits."""
        return [*self._bases, *STACKS]

    def __call__(self, rows: pd.DataFrame, y: pd.Series) -> Predict:
        """Fit everything on these rows (patients in the index) and return what predicts others."""
        split = self.folds(rows.index, y, n_folds=self.n_folds, seed=self.seed)
        bases = {name: self._base(self.chosen[name], rows, y.to_numpy(), split) for name in self._bases}
        meta = pd.DataFrame({name: out_of_fold for name, (out_of_fold, _) in bases.items()})
        stacks = {name: one.fit(meta, y.to_numpy()) for name, one in self._stacks(meta, y, split).items()}

        def predict(others: pd.DataFrame) -> pd.DataFrame:
            found = pd.DataFrame({name: of(others) for name, (_, of) in bases.items()}, index=others.index)
            return found.assign(**{name: _good(one, found) for name, one in stacks.items()})

        return predict

    def _stacks(self, meta: pd.DataFrame, y: pd.Series, split: Split) -> dict[str, Any]:
        """Return the unfitted stacks by name."""
        values = dict(self.chosen["ensemble"].values)
        constraints = [1] * len(self._bases) if values.pop("monotonic") else None
        make = partial(stacking.forest, split=split, seed=self.seed, monotonic_cst=constraints)
        chosen = replace(self.chosen["ensemble"], values=values)
        forest = make(self._values(chosen, make, meta, y.to_numpy(), split))
        calibrated = platt(forest, folds=PredefinedSplit(split.inner_fold.sort_index()))
        return dict(zip(STACKS, (calibrated, stacking.linear()), strict=True))

    def _values(
        self, chosen: Chosen, make: Callable[[Values], Any], x: pd.DataFrame, y: np.ndarray, split: Split
    ) -> Values:
        """Return the hyperparameters with which a model is fitted on these rows."""
        return chosen.values

    def _base(
        self, chosen: Chosen, rows: pd.DataFrame, y: np.ndarray, split: Split
    ) -> tuple[np.ndarray, Callable[[pd.DataFrame], np.ndarray]]:
        """Return a base model's out-of-fold probabilities, and the refitted model."""
        columns = chosen.predictors
        x = rows[columns]
        if chosen.algorithm == "cnn":
            return self._network(dict(chosen.values), x, y, split)
        settled = partial(tabular.estimator, chosen.algorithm, seed=self.seed)
        make = partial(settled, self._values(chosen, settled, x, y, split))
        fitted = make().fit(x, y)
        return _left_out(make, x, y, split), lambda others: _good(fitted, others[columns])

    def _network(
        self, values: Values, x: pd.DataFrame, y: np.ndarray, split: Split
    ) -> tuple[np.ndarray, Callable[[pd.DataFrame], np.ndarray]]:
        """Return the same of the network's head on kept features, Platt scaled on its out-of-fold outputs."""
        weighted = values.pop("class_weights")
        make = partial(Head, self.features, values, weighted, self.seed)
        raw = pd.DataFrame({"raw": _left_out(make, x, y, split)})
        head, scaled = make().fit(x, y), platt().fit(raw, y)

        def predict(others: pd.DataFrame) -> np.ndarray:
            return _good(scaled, pd.DataFrame({"raw": _good(head, others[[]])}))

        return _left_out(platt, raw, y, split), predict


@dataclass(frozen=True)
class Retuned(Nested):
    """The same with the hyperparameters of base models and of the stack searched anew on the rows given.

    Those of the network's head, and the algorithm of each base model, stay as they were chosen.

    Parameters
    ----------
    spaces : Mapping
        Search spaces, from :func:`postarrest.models.tabular.spaces`.
    trials : int
        Optuna's trials for each model.
    """

    spaces: Mapping[str, Space] = field(default_factory=dict)
    trials: int = 50

    def _values(
        self, chosen: Chosen, make: Callable[[Values], Any], x: pd.DataFrame, y: np.ndarray, split: Split
    ) -> Values:
        # By position, since a patient may have several rows.
        x, y_good = x.reset_index(drop=True), pd.Series(y)
        with TemporaryDirectory() as folder:
            settings = {"keep": Path(folder), "trials": self.trials, "seed": self.seed}
            fold = CrossFit(split, y_good, Ledger(split), **settings)
            return fold.tune(make, x, self.spaces[chosen.algorithm], name=chosen.algorithm).values


def _left_out(make: Callable[[], Any], x: pd.DataFrame, y: np.ndarray, split: Split) -> np.ndarray:
    found = np.empty(len(x))
    for fit, left_out in split.inner:
        found[left_out] = _good(make().fit(x.iloc[fit], y[fit]), x.iloc[left_out])
    return found


def _good(fitted: Any, x: pd.DataFrame) -> np.ndarray:
    return fitted.predict_proba(x)[:, 1]
