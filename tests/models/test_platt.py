"""Platt scaling against its published algorithm, and against scikit-learn's own use on a model."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from postarrest.models.platt import platt


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 120)
    return pd.DataFrame({"a": rng.normal(y), "b": rng.normal(0.5 * y)}), y


def test_the_sigmoid_is_of_the_probability_with_prior_corrected_targets(data):
    """Platt (1999): targets (n+ + 1) / (n+ + 2) and 1 / (n- + 2); the cross-entropy is minimised."""
    x, y = data
    p = 1 / (1 + np.exp(-x[["a"]]))
    good, poor = y.sum(), (1 - y).sum()
    target = np.where(y == 1, (good + 1) / (good + 2), 1 / (poor + 2))

    def scaled(parameters):
        return 1 / (1 + np.exp(parameters[0] * p["a"].to_numpy() + parameters[1]))

    def loss(parameters):
        q = scaled(parameters)
        return -(target * np.log(q) + (1 - target) * np.log(1 - q)).sum()

    best = minimize(loss, [0.0, 0.0]).x
    np.testing.assert_allclose(platt().fit(p, y).predict_proba(p)[:, 1], scaled(best), atol=1e-4)


def test_a_model_s_sigmoid_is_that_of_its_out_of_fold_probabilities(data):
    """One implementation: scaling a model, and scaling its out-of-fold probabilities, are the same."""
    x, y = data
    folds = PredefinedSplit(np.arange(len(y)) % 3)
    model = RandomForestClassifier(20, min_samples_leaf=5, random_state=1)
    scaled = platt(model, folds=folds).fit(x, y).predict_proba(x)
    out_of_fold = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    sigmoid = platt().fit(pd.DataFrame({"p": out_of_fold}), y)
    raw = model.fit(x, y).predict_proba(x)[:, 1]
    np.testing.assert_allclose(sigmoid.predict_proba(pd.DataFrame({"p": raw})), scaled, rtol=1e-12)
    theirs = CalibratedClassifierCV(model, method="sigmoid", cv=folds, ensemble=False).fit(x, y)
    np.testing.assert_array_equal(theirs.predict_proba(x), scaled)
