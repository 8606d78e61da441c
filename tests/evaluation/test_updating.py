"""Updates of a frozen model against R, and planted miscalibration found and repaired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chi2

from evaluation_data import golden_case
from golden_values import R_CALIBRATION, R_UPDATES
from postarrest.evaluation import calibration, updating


def cohort(seed, *, shift=0.0, factor=1.0, n=250):
    """A small cohort: outcomes, the frozen model's probabilities, and the true ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1, 1.5, n)
    truth = expit(shift + factor * x)
    return (rng.random(n) < truth).astype(int), expit(x), truth


@pytest.mark.parametrize("case", R_UPDATES)
def test_updates_equal_r(case):
    y, a, _ = golden_case(*case)
    intercept = updating.fit(y, a, "intercept")
    assert intercept.intercept == pytest.approx(R_CALIBRATION[case]["intercept"][0], rel=1e-7)
    both = updating.fit(y, a, "intercept and slope")
    np.testing.assert_allclose([both.intercept, both.slope], R_UPDATES[case]["coefficients"], rtol=1e-7)


@pytest.mark.parametrize("case", R_UPDATES)
def test_likelihood_ratio_tests_equal_r(case):
    y, a, b = golden_case(*case)
    known = np.array(R_UPDATES[case]["log_likelihood"])
    found = updating.closed_test(y, a, revision=pd.DataFrame({"b": b})).steps
    statistic = 2 * (known[-1] - known[: len(found)])
    np.testing.assert_allclose(found["statistic"], statistic, rtol=1e-6)
    assert found["df"].tolist() == [3, 2, 1][: len(found)]
    np.testing.assert_allclose(found["p"], chi2.sf(statistic, found["df"]), rtol=1e-5)
    # The tests end at the first that is not rejected.
    assert found["rejected"][:-1].all()


def test_a_predictor_that_the_model_has_already_adds_no_coefficient():
    y, p, _ = cohort(1)
    x, _ = calibration.log_odds(p)
    steps = updating.closed_test(y, p, revision=pd.DataFrame({"same": 2 * x + 1})).steps
    assert steps.loc[0, "df"] == 2


PLANTED = {
    "none": {},
    "intercept": {"shift": -0.9},
    "intercept and slope": {"shift": 0.3, "factor": 0.4},
}


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_miscalibration_is_found_and_repaired_by_the_right_update(planted):
    chosen, repaired = 0, 0
    for seed in range(100):
        y, p, truth = cohort(seed, **PLANTED[planted])
        chosen += updating.closed_test(y, p).update == planted
        updated = updating.cross_fit(y, p, folds=5, seed=seed).probabilities[planted]
        repaired += np.abs(updated - truth).mean() < np.abs(p - truth).mean()
    assert chosen >= 90
    assert repaired >= 90 or planted == "none"


def test_each_patient_is_updated_by_a_fit_without_that_patient():
    y, p, _ = cohort(4)
    before = updating.cross_fit(y, p, seed=3).probabilities
    changed = p.copy()
    changed[7] = 0.999
    after = updating.cross_fit(y, changed, seed=3).probabilities
    for kind in ("intercept", "intercept and slope"):
        # All fits but that of patient 7's own fold have seen the change; the fold's other patients show it.
        same = np.isclose(before[kind], after[kind], rtol=1e-12)
        assert same.sum() == len(y) // 10 - 1
        assert not same[7]
    assert (after["none"] == changed).all()


@given(st.integers(0, 10**6), st.floats(-1.5, 1.5), st.floats(0.4, 2))
@settings(max_examples=15)
def test_an_update_leaves_nothing_to_correct_in_its_own_patients(seed, shift, factor):
    y, p, _ = cohort(seed, shift=shift, factor=factor, n=400)
    again = calibration.recalibrate(y, updating.fit(y, p, "intercept and slope").apply(p))
    # Not quite: an update to an extreme probability is moved to half a patient again.
    assert again.intercept.value == pytest.approx(0, abs=5e-3)
    assert again.slope.value == pytest.approx(1, abs=5e-3)
    large = calibration.recalibrate(y, updating.fit(y, p, "intercept").apply(p))
    assert large.intercept.value == pytest.approx(0, abs=5e-3)
    np.testing.assert_array_equal(updating.fit(y, p, "none").apply(p), p)


def test_performance_has_each_update_with_its_good_outcomes():
    y, p, truth = cohort(5, shift=-1)
    updated = updating.cross_fit(y, p, folds=5, seed=1, further={"refit": truth})
    table, gains = updating.performance(y, updated, n_resamples=200, seed=1)
    assert list(dict.fromkeys(table["update"])) == [*updating.UPDATES, "refit"]
    fewest = table.drop_duplicates("update").set_index("update")["n_good_fitted"]
    assert fewest["none"] == 0
    # Four fifths of the good outcomes, to the next whole number.
    assert y.sum() * 4 / 5 - 1 < fewest["intercept"] <= y.sum() * 4 / 5
    assert np.isnan(fewest["refit"])
    wide = table.pivot(index="update", columns="metric", values="estimate")
    assert wide.loc["none", "oe"] < 0.8 < wide.loc["intercept", "oe"]
    assert wide.loc["none", "brier"] == pytest.approx(((p - y) ** 2).mean())
    better = gains.set_index(["update", "metric"]).loc[("intercept", "log_loss")]
    assert better["upper"] < 0
    assert better["difference"] == pytest.approx(
        wide.loc["intercept", "log_loss"] - wide.loc["none", "log_loss"]
    )


def test_without_a_slope_there_is_no_such_update():
    y = np.array([0, 1] * 20)
    updated = updating.cross_fit(y, np.full(40, 0.3))
    assert list(updated.probabilities) == ["none", "intercept"]
    assert updated.notes == {"intercept and slope": "no slope: all predictions are equal"}
    steps = updating.closed_test(y, np.full(40, 0.3)).steps
    assert steps["largest"].tolist() == ["intercept"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: updating.fit([0, 1], [0.2, 0.3], "refit"), "expected one of none, intercept"),
        (lambda: updating.fit([0, 0], [0.2, 0.3], "intercept"), "same outcome"),
        (lambda: updating.fit([0, 1], [0.3, 0.3], "intercept and slope"), "all predictions are equal"),
        (lambda: updating.cross_fit([0, 0, 1], [0.2, 0.3, 0.4]), "two patients of either outcome"),
        (lambda: updating.closed_test([1, 1], [0.2, 0.3]), "same outcome"),
        (
            lambda: updating.closed_test([0, 1], [0.2, 0.3], revision=pd.DataFrame({"b": [1, np.nan]})),
            "predictor of the revision is missing",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
