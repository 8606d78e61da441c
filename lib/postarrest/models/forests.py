"""scikit-learn's forests, with less work around the same numbers; of many patients, each tree sees some."""

from copy import copy
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._classes import CRITERIA_CLF, DENSE_SPLITTERS
from sklearn.tree._tree import DepthFirstTreeBuilder, Tree

_HANDLED = {
    "n_estimators",
    "max_depth",
    "min_samples_leaf",
    "min_samples_split",
    "max_features",
    "monotonic_cst",
    "bootstrap",
    "criterion",
    "random_state",
    "n_jobs",
}
# The range of the seeds of a forest's trees.
_MAX_SEED = np.iinfo(np.int32).max
# A tree is grown on at most so many patients, drawn for it. Random forests of 80,000 simulated patients then
# predict others as well as with whole bootstrap samples, or better (docs/open-points.md).
MOST_IN_A_TREE = 5_000
# Trees while hyperparameters are searched for, of some hundred patients; and the fewest, of several thousand.
_MOST_SEARCHED, _FEWEST_SEARCHED = 100, 25


class _OneByOne:
    """Trees fitted and asked one after another, each by scikit-learn's compiled code alone.

    Around each tree scikit-learn checks its settings and the table again, which takes several times as long
    as the tree itself where there are some hundred patients, and ten times as long where it predicts. The
    trees are the same, to the last bit, and so is the sum over them.

    Of more than :data:`MOST_IN_A_TREE` patients, each tree draws as many: with replacement where it draws a
    bootstrap sample (scikit-learn's ``max_samples``), else without.
    """

    @property
    def _plain(self) -> bool:
        """Whether only settings that are handled here differ from scikit-learn's defaults."""
        given, usual = self.get_params(), type(self)().get_params()  # type: ignore[attr-defined]
        whole = ("min_samples_leaf", "min_samples_split", "random_state")
        deepest = given["max_depth"]
        return (
            all(isinstance(given[name], int | np.integer) for name in whole)
            and (deepest is None or (isinstance(deepest, int | np.integer) and deepest > 0))
            and all(given[name] == usual[name] for name in given if name not in _HANDLED)
        )

    def fit(self, x: Any, y: np.ndarray) -> Self:
        """Fit the trees.

        Parameters
        ----------
        x : table or numpy.ndarray of shape (n, predictors)
            Numbers.
        y : numpy.ndarray of shape (n,)
            The outcome of each row.
        """
        if not self._plain:
            return super().fit(x, y)  # type: ignore[misc]
        # scikit-learn checks everything, and shows the settings of a tree: of one, with a single split.
        first_alone, asked = copy(self), {n: getattr(self, n) for n in ("n_estimators", "max_depth")}
        first_alone.n_estimators = first_alone.max_depth = 1  # type: ignore[attr-defined]
        super(_OneByOne, first_alone).fit(x, y)  # type: ignore[misc]
        vars(self).update(vars(first_alone) | asked)
        first = self.estimators_[0]
        first.max_depth = self.max_depth  # type: ignore[attr-defined]
        x = np.ascontiguousarray(self._validate_X_predict(x))  # type: ignore[attr-defined]
        y = np.searchsorted(self.classes_, y).astype(float)[:, None]  # type: ignore[attr-defined]
        seeds = np.random.RandomState(self.random_state).randint(_MAX_SEED, size=self.n_estimators)  # type: ignore[attr-defined]
        missing = first._compute_missing_values_in_feature_mask(x)
        # One source for all trees, seeded anew for each: to make one takes longer than a tree.
        source = np.random.RandomState(0)
        self.estimators_ = [self._tree(first, (x, y, missing), int(seed), source) for seed in seeds]
        return self

    def _tree(
        self, first: DecisionTreeClassifier, given: tuple, seed: int, source: np.random.RandomState
    ) -> DecisionTreeClassifier:
        """Return a tree with the settings of the first; given are predictors, outcome and what is missing."""
        (x, y, missing), weight = given, None
        n, most = len(x), min(len(x), MOST_IN_A_TREE)
        source.seed(seed)
        if self.bootstrap or n > most:  # type: ignore[attr-defined]
            drawn = source.choice(n, most, replace=self.bootstrap)  # type: ignore[attr-defined]
            weight = np.bincount(drawn, minlength=n).astype(float)
        if n > most:
            # scikit-learn's code would pass over the others; to leave them out is faster.
            inside = np.flatnonzero(weight)
            x, y, weight = x[inside], y[inside], weight[inside]
        source.seed(seed)
        leaf, n_classes = first.min_samples_leaf, np.array([first.n_classes_], dtype=np.intp)
        criterion = CRITERIA_CLF[first.criterion](1, n_classes)
        # Trees constrain the probability of the first class.
        signs = None if first.monotonic_cst is None else -np.asarray(first.monotonic_cst, dtype=np.int8)
        splitter = DENSE_SPLITTERS[first.splitter](criterion, first.max_features_, leaf, 0.0, source, signs)
        least_split = max(first.min_samples_split, 2 * leaf)
        deepest = np.iinfo(np.int32).max if first.max_depth is None else first.max_depth
        builder = DepthFirstTreeBuilder(splitter, least_split, leaf, 0.0, deepest, 0.0)
        grown = Tree(x.shape[1], n_classes, 1)
        builder.build(grown, x, y, weight, missing)
        return _like(first, seed, grown)

    def __getstate__(self) -> dict[str, Any]:
        # All trees in a few arrays: as objects, some hundred of them take seconds to write and to read.
        state = dict(super().__getstate__())  # type: ignore[misc]
        if trees := state.get("estimators_"):
            grown = [tree.tree_.__getstate__() for tree in trees]
            arrays = {name: np.concatenate([one[name] for one in grown]) for name in ("nodes", "values")}
            numbers = {name: np.array([one[name] for one in grown]) for name in ("node_count", "max_depth")}
            seeds = {"random_state": np.array([tree.random_state for tree in trees])}
            state |= {"estimators_": trees[:1], "trees_": arrays | numbers | seeds}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        trees = state.pop("trees_", None)
        super().__setstate__(state)  # type: ignore[misc]
        if trees is None:
            return
        first = self.estimators_[0]
        ends = np.cumsum(trees["node_count"])[:-1]
        parts = (np.split(trees[name], ends) for name in ("nodes", "values"))
        numbers = (trees[name].tolist() for name in ("node_count", "max_depth", "random_state"))
        self.estimators_ = []
        for nodes, values, count, depth, seed in zip(*parts, *numbers, strict=True):
            grown = Tree(first.n_features_in_, np.array([first.n_classes_], dtype=np.intp), 1)
            grown.__setstate__({"nodes": nodes, "values": values, "node_count": count, "max_depth": depth})
            self.estimators_.append(_like(first, seed, grown))

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return the mean of the trees' probabilities, shape (n, classes)."""
        x = self._validate_X_predict(x)  # type: ignore[attr-defined]
        total = np.zeros((x.shape[0], len(self.classes_)))  # type: ignore[attr-defined]
        for one in self.estimators_:
            total += one.tree_.predict(x)[:, : total.shape[1]]
        return total / len(self.estimators_)


def _like(first: DecisionTreeClassifier, seed: int, grown: Tree) -> DecisionTreeClassifier:
    tree = copy(first)
    tree.random_state, tree.tree_ = seed, grown
    return tree


class Forest(_OneByOne, RandomForestClassifier):
    """scikit-learn's random forest.

    Examples
    --------
    >>> x, y = np.arange(20.0)[:, None], np.arange(20) > 9
    >>> Forest(50, random_state=1).fit(x, y).predict_proba(x[[0, 19]])[:, 1].round(1).tolist()
    [0.0, 1.0]
    """


class ExtraTrees(_OneByOne, ExtraTreesClassifier):
    """scikit-learn's extremely randomised trees."""


def for_search(model: Any, *, n: int) -> Any:
    """Return a model as a search for hyperparameters judges it: a forest with fewer trees, others unchanged.

    More trees lower the noise of a forest and leave its mean as it is. The noise also falls with the
    patients: the ROC-AUC of 100 trees varies from seed to seed by .010 (SD) with 426 simulated patients and
    by .005 with 1,000, that of 25 trees by .003 with 4,000.

    Parameters
    ----------
    model : scikit-learn classifier
        The model, unfitted.
    n : int
        Patients whom it is fitted on.

    Examples
    --------
    >>> [for_search(Forest(500), n=n).n_estimators for n in (300, 1000, 2000, 9000)]
    [100, 100, 50, 25]
    """
    if isinstance(model, Forest):
        trees = max(_FEWEST_SEARCHED, _MOST_SEARCHED * 1000 // max(n, 1000))
        model.n_estimators = min(model.n_estimators, trees)
    return model


class Once(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted once on the same patients, however often it is asked to.

    Platt scaling within cross-validation fits a model on the same patients several times: of 26 fits of a
    stack in four inner folds 11 differ.

    Parameters
    ----------
    model : scikit-learn classifier
        The model, unfitted, with a fixed seed. Its predictors are numbers.
    fits : dict
        Models fitted so far, which all clones share.

    Examples
    --------
    >>> x, y, fits = pd.DataFrame({"a": np.arange(20.0)}), np.arange(20) > 9, {}
    >>> for one in (Once(Forest(5, random_state=1), fits), Once(Forest(5, random_state=1), fits)):
    ...     one = one.fit(x, y)
    >>> len(fits)
    1
    """

    def __init__(self, model: Any, fits: dict[tuple[bytes, bytes], Any]):
        self.model = model
        self.fits = fits

    def __sklearn_clone__(self) -> "Once":
        return Once(clone(self.model), self.fits)

    def __getstate__(self) -> dict[str, Any]:
        # A model that is saved holds itself alone.
        return super().__getstate__() | {"model": None, "fits": {}}

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "Once":
        """Fit the model, or take the one that was fitted on the same numbers."""
        key = np.asarray(x, dtype=float).tobytes(), np.asarray(y, dtype=float).tobytes()
        if key not in self.fits:
            self.fits[key] = clone(self.model).fit(x, y)
        self.fitted_ = self.fits[key]
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the model's probabilities, shape (n, classes)."""
        return self.fitted_.predict_proba(x)

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        """Return the likelier outcome."""
        return self.fitted_.predict(x)
