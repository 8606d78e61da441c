"""Platt scaling, the same for every model: a sigmoid of the predicted probability.

Paper B calibrated with scikit-learn's ``CalibratedClassifierCV``, whose sigmoid ``1 / (1 + exp(a p + b))``
is of the probability ``p`` itself and not of its logit. Its two parameters are fitted by maximum
likelihood, with the targets moved a little from 0 and 1 according to the number of patients of either
outcome (Platt 1999).

The alternative, logistic regression on the logit, can return a calibrated probability unchanged; the
sigmoid of the probability cannot. ``docs/open-points.md`` gives the effect of the choice.

References
----------
Platt JC. Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods.
Advances in Large Margin Classifiers 1999, pages 61-74.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose probability of a good outcome is the only column of its table."""

    classes_ = np.array([0, 1])

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "Given":
        """Fit nothing."""
        return self

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        good = np.asarray(x, dtype=float)[:, 0]
        return np.column_stack([1 - good, good])

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        """Return the likelier outcome."""
        return (self.predict_proba(x)[:, 1] > 0.5).astype(int)


def platt(model: Any = None, *, folds: Any = 2) -> CalibratedClassifierCV:
    """Return an unfitted model with Platt scaling.

    Parameters
    ----------
    model : scikit-learn classifier, optional
        The model, unfitted. Without one, the table that is given to ``fit`` holds out-of-fold probabilities,
        to which the sigmoid alone is fitted.
    folds : cross-validation splitter
        Folds within the fitted patients. The sigmoid is fitted to the predictions for the patients left out:
        predictions for patients the model was fitted on would be too extreme.

    Examples
    --------
    >>> p = pd.DataFrame({"p": [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]})
    >>> scaled = platt().fit(p, [0, 0, 1, 0, 1, 0, 1, 1]).predict_proba(p)[:, 1]
    >>> [round(float(v), 2) for v in scaled[[0, -1]]]
    [0.24, 0.76]
    """
    model = Given() if model is None else model
    return CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False)
