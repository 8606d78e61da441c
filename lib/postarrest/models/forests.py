"""scikit-learn's forests, with less work around the same numbers."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier


class _OneByOne:
    """Predictions by one tree after another.

    scikit-learn checks the table again for each tree, which takes ten times as long as the tree itself where
    there are some dozen patients. The sum is over the same trees in the same order.
    """

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return the mean of the trees' probabilities, shape (n, classes)."""
        x = self._validate_X_predict(x)  # type: ignore[attr-defined]
        total = np.zeros((x.shape[0], len(self.classes_)))  # type: ignore[attr-defined]
        for one in self.estimators_:  # type: ignore[attr-defined]
            total += one.tree_.predict(x)[:, : total.shape[1]]
        return total / len(self.estimators_)  # type: ignore[attr-defined]


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
