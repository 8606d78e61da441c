"""The super learner: folds, weights, and what it gains."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from postarrest.models import splits, stacking, super_learner, tuning
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Ledger

SETTINGS = splits.Settings(seed=4, outer_folds=3, inner_folds=3)


def crossfit(y, known=None):
    split = splits.get(splits.table(y, protocols=("nested",), settings=SETTINGS), "outer-1")
    return CrossFit(split, y, Ledger(split, pd.DataFrame() if known is None else known), None, 1, seed=1)


def outcome(n, n_good):
    return pd.Series([1] * n_good + [0] * (n - n_good), index=[f"P{i:05d}" for i in range(n)])


@given(st.integers(60, 9000), st.floats(0.05, 0.5))
def test_each_development_patient_is_left_out_equally_often(n, share):
    y = outcome(n, max(12, int(share * n)))
    fold = crossfit(y)
    pairs = super_learner.repeated_folds(fold)
    left_out = pd.concat([ids.to_series() for _, ids in pairs]).value_counts()
    assert set(left_out.index) == set(fold.split.development)
    assert left_out.nunique() == 1
    assert all(fitted.intersection(ids).empty for fitted, ids in pairs)
    assert all(y[fitted].nunique() == 2 for fitted, _ in pairs)


def test_larger_studies_repeat_their_folds_less_often():
    repeats = [len(super_learner.repeated_folds(crossfit(outcome(n, n // 3)))) / 5 for n in (300, 3000, 9000)]
    assert repeats == [4, 2, 1]


def test_with_few_patients_the_weights_stay_close_to_equal_and_with_many_the_better_learner_wins():
    rng = np.random.default_rng(0)

    def weights(n):
        y = rng.integers(0, 2, n)
        logits = {"right": 2 * y - 1 + rng.normal(size=n), "noise": rng.normal(size=n)}
        table = pd.DataFrame(logits).transform(lambda z: 1 / (1 + np.exp(-z)))
        found = super_learner.weights_of(super_learner.combiner().fit(table, y))
        return found[1] / found[0]

    assert weights(40) > 0.3
    assert weights(20_000) < 0.05


def test_equal_learners_get_equal_weights_and_their_slope_is_corrected():
    """Two copies of probabilities whose log odds are twice too large: together a slope of one half."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=20_000)
    y = rng.random(20_000) < 1 / (1 + np.exp(-z))
    twice = 1 / (1 + np.exp(-2 * z))
    weights = super_learner.weights_of(
        super_learner.combiner().fit(pd.DataFrame({"a": twice, "b": twice}), y)
    )
    assert weights == pytest.approx([0.25, 0.25], abs=0.02)


def test_an_unknown_learner_is_refused():
    with pytest.raises(ValidationError, match="'ridge', 'lasso'"):
        super_learner.declared(["rigde"])


def test_predictors_of_two_groups_that_matter_only_together_are_found():
    """The outcome depends on whether two predictors of different groups agree: late fusion can't see it."""
    rng = np.random.default_rng(2)
    index = [f"P{i:03d}" for i in range(400)]
    cohort = pd.DataFrame(rng.integers(0, 2, (400, 2)).astype(float), columns=["a", "b"], index=index)
    y = ((cohort["a"] == cohort["b"]) ^ (rng.random(400) < 0.1)).astype(int)
    groups = {column: tuning.Chosen("logistic", {}, [column]) for column in ("a", "b")}
    fold = crossfit(y, cohort)
    nothing = stacking.Bases(
        pd.DataFrame(index=fold.split.development),
        pd.DataFrame(index=fold.split.test),
        [],
        None,
        {},
        [],
        groups,
    )
    found = super_learner.fit(cohort, nothing, fold, library=("ridge", "forest"))
    scores = found.rows[0].query("role == 'test'").set_index("patient_id")["score"]
    assert roc_auc_score(y[scores.index], scores) > 0.8
    best = found.weights.set_index(["predictors", "learner"])["weight"].idxmax()
    assert best == ("all", "forest")


def test_without_learners_nothing_is_fitted():
    found = super_learner.fit(pd.DataFrame(), None, None, library=())
    assert found.rows == []
    assert found.weights.empty
