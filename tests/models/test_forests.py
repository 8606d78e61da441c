"""Forests give scikit-learn's own numbers, and what is fitted once is what would have been fitted again."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import PredefinedSplit

from postarrest.models import parts, super_learner, tabular
from postarrest.models.forests import ExtraTrees, Forest, Once
from postarrest.models.platt import platt

RNG = np.random.default_rng(2)
X = pd.DataFrame(RNG.normal(size=(80, 3)), columns=list("abc"))
Y = (X["a"] + RNG.normal(size=80) > 0).to_numpy().astype(int)
FOLDS = PredefinedSplit(np.arange(80) % 4)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(Forest, RandomForestClassifier), (ExtraTrees, ExtraTreesClassifier)]
)
@pytest.mark.parametrize("settings", [{}, {"class_weight": "balanced", "monotonic_cst": [1, 0, 0]}])
def test_probabilities_are_scikit_learns_to_the_last_bit(ours, theirs, settings):
    given = settings | {"n_estimators": 40, "random_state": 3}
    one, other = ours(**given).fit(X[:60], Y[:60]), theirs(**given).fit(X[:60], Y[:60])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_fitted_once_within_platt_scaling_changes_no_number_and_is_saved_alone():
    forest, fits = Forest(20, random_state=1), {}
    for left_out in range(4):
        inside = np.arange(80) % 4 != left_out
        folds = PredefinedSplit((np.arange(80) % 4)[inside])
        once = platt(Once(forest, fits), folds=folds).fit(X[inside], Y[inside])
        each = platt(forest, folds=folds).fit(X[inside], Y[inside])
        np.testing.assert_array_equal(once.predict_proba(X), each.predict_proba(X))
    whole = platt(Once(forest, fits), folds=FOLDS).fit(X, Y)
    np.testing.assert_array_equal(
        whole.predict_proba(X), platt(forest, folds=FOLDS).fit(X, Y).predict_proba(X)
    )
    # All patients; all but one fold; all but two.
    assert len(fits) == 1 + 4 + 6
    content = parts.dumped(whole, "ensemble")
    np.testing.assert_array_equal(parts.loaded(content, "ensemble").predict_proba(X), whole.predict_proba(X))
    assert len(content) < 2 * len(parts.dumped(platt(forest, folds=FOLDS).fit(X, Y), "ensemble"))


@pytest.mark.parametrize("learner", super_learner.LIBRARY)
def test_every_learner_is_saved_without_anything_of_scipy(learner):
    """SciPy's own classes and functions move between versions, and each Python has another SciPy."""
    algorithm, values = super_learner.LIBRARY[learner]
    fitted = tabular.estimator(algorithm, values, seed=1).fit(X, Y)
    content = parts.dumped(fitted, learner)
    with zipfile.ZipFile(io.BytesIO(content)) as inside:
        assert b"scipy" not in inside.read("schema.json")
    np.testing.assert_array_equal(parts.loaded(content, learner).predict_proba(X), fitted.predict_proba(X))
