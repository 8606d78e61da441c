"""Forests give scikit-learn's own numbers, and what is fitted once is what would have been fitted again."""

import io
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import PredefinedSplit

from postarrest.models import forests, parts, super_learner, tabular
from postarrest.models.crossfit import CrossFit
from postarrest.models.forests import ExtraTrees, Forest, Once
from postarrest.models.leakage import Ledger
from postarrest.models.platt import platt
from postarrest.models.splits import Split
from postarrest.models.tuning import Searched

RNG = np.random.default_rng(2)
X = pd.DataFrame(RNG.normal(size=(80, 3)), columns=list("abc"))
Y = (X["a"] + RNG.normal(size=80) > 0).to_numpy().astype(int)
FOLDS = PredefinedSplit(np.arange(80) % 4)


PAIRS = [(Forest, RandomForestClassifier), (ExtraTrees, ExtraTreesClassifier)]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(
    n=st.integers(8, 80),
    missing=st.sampled_from([0, 0.3]),
    labels=st.sampled_from([(0, 1), (1, 0), (0.0, 1.0), (False, True), (0, 1, 2)]),
    settings=st.fixed_dictionaries(
        {
            "n_estimators": st.integers(1, 12),
            "max_depth": st.sampled_from([None, 1, 3, 8]),
            "min_samples_leaf": st.integers(1, 30) | st.just(0.1),
            "min_samples_split": st.sampled_from([2, 5, 20]),
            "max_features": st.sampled_from(["sqrt", "log2", None, 1.0, 0.5]),
            "random_state": st.integers(0, 2**32 - 1),
        },
        optional={
            "bootstrap": st.booleans(),
            "criterion": st.sampled_from(["gini", "entropy"]),
            "monotonic_cst": st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3),
            "class_weight": st.just("balanced"),
            "max_samples": st.just(7),
            "ccp_alpha": st.just(0.01),
            "max_leaf_nodes": st.just(5),
        },
    ),
)
def test_trees_are_scikit_learns_to_the_last_bit(ours, theirs, n, labels, missing, settings):
    x = X[:n].mask(X[:n].abs() < missing)
    y = np.array(labels)[np.arange(n) % len(labels)]
    if settings.get("max_samples"):
        settings["bootstrap"] = True
    if len(labels) > 2:
        settings.pop("monotonic_cst", None)
    if missing:
        settings.pop("monotonic_cst", None)
    one, other = ours(**settings).fit(x, y), theirs(**settings).fit(x, y)
    np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))
    np.testing.assert_array_equal(one.predict(x), other.predict(x))
    assert vars(one).keys() == vars(other).keys()
    one = pickle.loads(pickle.dumps(one))
    assert vars(one).keys() == vars(other).keys()
    for tree, theirs_tree in zip(one.estimators_, other.estimators_, strict=True):
        assert tree.get_params() == theirs_tree.get_params()
        ours_grown, theirs_grown = tree.tree_.__getstate__(), theirs_tree.tree_.__getstate__()
        np.testing.assert_array_equal(ours_grown["nodes"], theirs_grown["nodes"])
        np.testing.assert_array_equal(ours_grown["values"], theirs_grown["values"])


def test_of_many_patients_a_bootstrap_sample_has_as_many_as_a_tree_may_see(monkeypatch):
    monkeypatch.setattr(forests, "MOST_IN_A_TREE", 30)
    x = X.mask(X.abs() < 0.3)
    given = {"n_estimators": 9, "min_samples_leaf": 2, "random_state": 3}
    ours = Forest(**given).fit(x, Y)
    theirs = RandomForestClassifier(**given, max_samples=30).fit(x, Y)
    np.testing.assert_array_equal(ours.predict_proba(x), theirs.predict_proba(x))


def test_of_many_patients_trees_without_bootstrap_samples_see_different_ones(monkeypatch):
    given = {"n_estimators": 9, "random_state": 3}
    theirs = ExtraTreesClassifier(**given).fit(X, Y)
    monkeypatch.setattr(forests, "MOST_IN_A_TREE", 80)
    np.testing.assert_array_equal(ExtraTrees(**given).fit(X, Y).predict_proba(X), theirs.predict_proba(X))
    monkeypatch.setattr(forests, "MOST_IN_A_TREE", 30)
    ours = ExtraTrees(**given).fit(X, Y)
    assert [tree.tree_.n_node_samples[0] for tree in ours.estimators_] == [30] * 9
    # Fully grown trees are sure of the patients that they have seen, and of them alone.
    seen = [tree.tree_.predict(X.to_numpy("float32"))[np.arange(80), Y] == 1 for tree in ours.estimators_]
    assert all(one.sum() >= 30 for one in seen)
    assert not all((one == seen[0]).all() for one in seen)
    np.testing.assert_array_equal(ours.predict_proba(X), ExtraTrees(**given).fit(X, Y).predict_proba(X))


@pytest.mark.parametrize(("space", "expected"), [({"max_depth": [2]}, 100), ({"n_estimators": [7]}, 7)])
def test_a_search_makes_do_with_few_trees_unless_their_number_is_searched(space, expected, tmp_path):
    made = []

    def make(values):
        made.append(Forest(**{"n_estimators": 500, "random_state": 1} | values))
        return made[-1]

    patients = np.arange(80)
    folds = tuple(
        (pd.Index(patients[patients % 2 == k]), pd.Index(patients[patients % 2 != k])) for k in (0, 1)
    )
    split = Split("outer-1", folds, pd.Index([], dtype=int))
    fold = CrossFit(split, pd.Series(Y), Ledger(split), keep=tmp_path, trials=2, seed=1)
    fold.tune(make, X, {name: Searched(choices=choices) for name, choices in space.items()}, name="forest")
    assert {one.n_estimators for one in made} == {expected}


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
