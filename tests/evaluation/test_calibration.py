"""Calibration and decision curves against R, statsmodels and hand-made cases."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from evaluation_data import golden_case, holdout_scores, nested_scores
from golden_values import R_CALIBRATION, R_LOESS
from postarrest import scores
from postarrest.evaluation import calibration, confusion, decision


@pytest.mark.parametrize("case", R_CALIBRATION)
def test_intercept_and_slope_equal_r(case):
    y, a, _ = golden_case(*case)
    found = calibration.recalibrate(y, a)
    for name in ("slope", "intercept"):
        ours = getattr(found, name)
        np.testing.assert_allclose([ours.value, ours.lower, ours.upper], R_CALIBRATION[case][name], rtol=1e-6)


@pytest.mark.parametrize("case", R_LOESS)
def test_distances_equal_those_of_local_lines_of_r(case):
    """R fits at each patient, this project at 101 points: equal as printed, to three decimals."""
    y, a, _ = golden_case(*case)
    _, distances = calibration.curve(y, a, n_resamples=0)
    assert distances == pytest.approx(R_LOESS[case], abs=5e-4)


@pytest.mark.parametrize("case", R_CALIBRATION)
def test_curve_equals_lowess_of_r_and_statsmodels(case):
    y, a, _ = golden_case(*case)
    curve, distances = calibration.curve(y, a, n_resamples=0)
    smooth = sm.nonparametric.lowess(y, a, frac=0.75, it=0, xvals=curve["predicted"].to_numpy())
    np.testing.assert_allclose(curve["observed"], np.clip(smooth, 0, 1), atol=1e-9)
    # R gives values at the patients; between our 101 points the curve is interpolated.
    known = np.clip(R_CALIBRATION[case]["y"], 0, 1)
    at_patients = np.interp(R_CALIBRATION[case]["x"], curve["predicted"], curve["observed"])
    np.testing.assert_allclose(at_patients, known, atol=2e-3)
    at_all = np.clip(sm.nonparametric.lowess(y, a, frac=0.75, it=0, delta=0, return_sorted=False), 0, 1)
    assert distances["ici"] == pytest.approx(np.abs(at_all - a).mean(), abs=1e-3)


def test_curve_of_a_resample_is_the_curve_of_the_drawn_patients_in_fixed_neighbourhoods():
    # A weight of two for everybody changes nothing.
    y, a, _ = golden_case(64, 20, 6)
    smoother = calibration._Smoother(y, a, np.linspace(a.min(), a.max(), 101))
    once, twice = smoother(np.ones((1, 64))), smoother(np.full((1, 64), 2.0))
    np.testing.assert_allclose(once, twice)


def test_observed_to_expected_covers_the_true_ratio():
    rng = np.random.default_rng(3)
    truth = np.full(200, 0.2)
    covered = []
    for _ in range(2000):
        y = (rng.random(200) < truth).astype(int)
        found = calibration.observed_to_expected(y, truth * 0.8)
        covered.append(found.lower <= 1 / 0.8 <= found.upper)
    # Standard error of the simulation: .005.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@given(st.floats(-1.5, 1.5), st.floats(0.4, 2.5))
@settings(max_examples=15)
def test_recalibration_finds_the_true_values(shift, factor):
    rng = np.random.default_rng(1)
    truth = rng.normal(-1, 1.2, 20000)
    y = (rng.random(20000) < expit(truth)).astype(int)
    found = calibration.recalibrate(y, expit((truth - shift) / factor))
    assert found.slope.value == pytest.approx(factor, rel=0.06)
    if factor == 1:
        assert found.intercept.value == pytest.approx(shift, abs=0.06)
    # Once recalibrated there is nothing left to correct.
    fitted = sm.GLM(y, sm.add_constant((truth - shift) / factor), family=sm.families.Binomial()).fit()
    again = calibration.recalibrate(y, fitted.fittedvalues)
    assert again.slope.value == pytest.approx(1, abs=1e-5)
    assert again.intercept.value == pytest.approx(0, abs=1e-5)


def test_perfect_and_constant_predictions_have_no_slope():
    y = np.array([0, 0, 0, 1, 1, 1])
    perfect = calibration.recalibrate(y, [0, 0.1, 0.2, 0.7, 0.8, 1])
    assert np.isnan(perfect.slope.value)
    assert "perfectly" in perfect.note
    assert perfect.n_bounded == 2
    constant = calibration.recalibrate(y, [0.3] * 6)
    assert np.isnan(constant.slope.value)
    assert constant.intercept.value == pytest.approx(logit(0.5) - logit(0.3))
    curve, distances = calibration.curve(y, [0.3] * 6)
    assert curve.empty
    assert np.isnan(distances["ici"])


def test_curve_of_mostly_equal_predictions():
    # A random forest without signal gives most patients the same probability.
    rng = np.random.default_rng(0)
    p = np.where(rng.random(300) < 0.9, 0.15, rng.choice([0.05, 0.3, 0.6], 300))
    y = (rng.random(300) < p).astype(int)
    curve, distances = calibration.curve(y, p, n_resamples=50, seed=1)
    assert np.isfinite(curve["observed"]).all()
    assert curve["observed"].between(0, 1).all()
    assert 0 <= distances["ici"] < 0.3


def test_table_has_each_stage_and_no_markers():
    rows = scores.sets(scores.check(nested_scores()))
    table, curves = calibration.table(rows, n_resamples=50, seed=1)
    assert set(map(tuple, table[["model", "stage"]].to_numpy())) == {
        ("ensemble", "final"),
        ("ensemble", "before_platt"),
        ("ct", "final"),
    }
    assert set(curves) == {
        ("standard", "pooled", *key) for key in table[["model", "stage"]].itertuples(index=False)
    }
    assert {"model", "stage", "intercept", "slope", "oe", "ici", "e50", "e90", "brier", "brier_skill"} <= set(
        table
    )
    mine = rows[(rows["model"] == "ct")]
    assert table.set_index("model").loc["ct", "brier"] == pytest.approx(
        ((mine["score"] - mine["y_good"]) ** 2).mean()
    )
    markers = scores.sets(scores.check(holdout_scores()))
    empty, none = calibration.table(markers[markers["kind"] == "marker"])
    assert empty.empty
    assert not none


@pytest.mark.parametrize(("y", "p"), [([0, 1], [0.2, 1.2]), ([0, 0], [0.2, 0.3])])
def test_bad_arguments_are_refused(y, p):
    with pytest.raises(ValueError, match=r"outside 0 to 1|same outcome"):
        calibration.recalibrate(y, p)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_net_benefit_by_its_definition(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 40)
    assume(0 < y.sum() < 40)
    p = rng.integers(0, 101, 40) / 100
    curve = decision.curve(y, p, n_resamples=50, seed=1)
    grid = curve["threshold"].to_numpy()
    np.testing.assert_allclose(grid, np.arange(1, 100) / 100)
    # A prediction of 0.29 reaches the threshold 0.29.
    tp, fp, _, _ = confusion.confusion(y, np.round(p, 2), np.round(grid, 2))
    np.testing.assert_allclose(curve["net_benefit"], (tp - fp * grid / (1 - grid)) / 40, atol=1e-12)
    everybody = decision.curve(y, np.ones(40), n_resamples=20, seed=1)
    np.testing.assert_allclose(everybody["net_benefit"], everybody["treat_all"], atol=1e-12)
    nobody = decision.curve(y, np.zeros(40), n_resamples=20, seed=1)
    assert (nobody["net_benefit"] == 0).all()
    np.testing.assert_allclose(nobody[["lower", "upper"]], 0)


def test_decision_band_is_a_bootstrap_of_patients():
    y, a, _ = golden_case(321, 21, 6)
    band = decision.curve(y, a, n_resamples=4000, seed=2).iloc[29]
    rng = np.random.default_rng(3)
    drawn = rng.integers(0, 321, (4000, 321))
    named = a[drawn] >= 0.3
    net = ((named & (y[drawn] == 1)).sum(axis=1) - (named & (y[drawn] == 0)).sum(axis=1) * 3 / 7) / 321
    np.testing.assert_allclose([band["lower"], band["upper"]], np.quantile(net, [0.025, 0.975]), atol=0.006)
    gain = net - (y[drawn].mean(axis=1) - (1 - y[drawn]).mean(axis=1) * 3 / 7)
    limits = np.quantile(gain, [0.025, 0.975])
    np.testing.assert_allclose([band["gain_lower"], band["gain_upper"]], limits, atol=0.012)
    assert band["gain"] == pytest.approx(band["net_benefit"] - band["treat_all"], abs=1e-15)
