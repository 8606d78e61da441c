"""The membership model of aggregates, next to models that are fitted on the rows of both groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from postarrest.models import bundle
from postarrest.models.bundle.membership import membership, moments


def between(one: pd.DataFrame, other: pd.DataFrame, *, mask_below: int = 0):
    found = (moments(t, variables=list(one), mask_below=mask_below) for t in (one, other))
    return membership(*found, n_there=len(one), n_here=len(other))


def groups(rng, *, n: tuple[int, int], shift: float, p: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    mix = rng.normal(size=(p, p)) + 2 * np.eye(p)
    names = [f"x{i}" for i in range(p)]
    return tuple(
        pd.DataFrame(rng.normal(size=(size, p)) @ mix.T + by, columns=names)
        for size, by in zip(n, (0, shift), strict=True)
    )


def test_it_is_what_a_discriminant_fitted_on_the_rows_reaches_in_new_patients():
    rng = np.random.default_rng(2)
    one, other = groups(rng, n=(40_000, 20_000), shift=0.9)
    y, x = np.repeat([0, 1], [len(one), len(other)]), pd.concat([one, other])
    fitted = LinearDiscriminantAnalysis().fit(x[::2], y[::2])
    judged = roc_auc_score(y[1::2], fitted.decision_function(x[1::2]))
    assert between(one, other)[0].value == pytest.approx(judged, abs=0.005)


def test_its_interval_holds_what_was_planted_in_19_of_20_pairs_of_hospitals():
    rng = np.random.default_rng(3)
    found = [between(*groups(rng, n=(150, 80), shift=0.0))[0] for _ in range(200)]
    # Alike: the lower limit is above .5 in 2.5 % of pairs; 10 of 200 is the 98th percentile of 5.
    assert sum(one.lower > 0.5 for one in found) <= 10
    mix = np.eye(3)
    planted = norm.cdf(np.sqrt(0.6**2 * 3 / 2))
    inside = 0
    for _ in range(200):
        there, here = (pd.DataFrame(rng.normal(size=(n, 3)) @ mix + by) for n, by in ((150, 0), (80, 0.6)))
        auc = between(there.rename(columns=str), here.rename(columns=str))[0]
        inside += auc.lower <= planted <= auc.upper
    # Within three standard errors of 95 %.
    assert inside / 200 >= 0.95 - 3 * 0.0154


@given(scale=st.floats(0.01, 100), move=st.floats(-50, 50))
def test_units_do_not_matter(scale, move):
    one, other = groups(np.random.default_rng(4), n=(60, 50), shift=0.5)
    first, n = between(one, other)
    again, _ = between(one * scale + move, other * scale + move)
    assert n == 4
    assert (again.value, again.lower, again.upper) == pytest.approx(
        (first.value, first.lower, first.upper), abs=1e-6
    )


def test_counts_that_are_hidden_are_not_told_by_covariances():
    table = pd.DataFrame({"witnessed": [0, 1] * 20, "age_years": np.arange(40.0), "cause": ["cardiac"] * 40})
    assert moments(table, variables=list(table), mask_below=5)["names"] == ["age_years"]
    assert moments(table, variables=list(table), mask_below=0)["names"] == ["witnessed", "age_years"]


def test_a_model_that_kept_no_moments_is_compared_with_nobody():
    described = {"n": 60, "n_good": 20, "variables": {"age_years": {"label": "Age, years"}}}
    cohort = pd.DataFrame({"age_years": np.arange(40.0)})
    found = bundle.apart({"population": described}, cohort)
    assert (str(found["membership"]), found["n_compared"], found["compared"]) == ("not defined", 0, "none")
    known = described | {"moments": moments(cohort, variables=["age_years"], mask_below=0)}
    found = bundle.apart({"population": known}, cohort + 5)
    assert (found["n_compared"], found["compared"]) == (1, "Age, years")


def test_nothing_to_compare_is_no_number():
    few = pd.DataFrame({"age_years": np.arange(5.0)})
    auc, n = between(few, few)
    assert n == 0
    assert np.isnan(auc.value)
