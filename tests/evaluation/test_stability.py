"""Stability against values worked out by hand, and against what must hold of models that memorise."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from evaluation_data import nested_scores
from postarrest import scores
from postarrest.estimate import Estimate
from postarrest.evaluation import learning, stability


@pytest.fixture
def fits():
    """Four patients, three bootstraps, one model."""
    original = pd.DataFrame({"m": [0.1, 0.4, 0.6, 0.9]})
    resampled = np.array([[0.1, 0.5, 0.6, 0.9], [0.2, 0.4, 0.4, 0.9], [0.1, 0.3, 0.6, 0.9]])[:, :, None]
    drawn = np.array([[0, 1, 1, 2], [0, 2, 1, 1], [1, 0, 1, 2]])
    return original, resampled, drawn


def test_prediction_errors_are_those_of_riley_and_collins(fits):
    original, resampled, drawn = fits
    of_patients = stability.errors_of_patients(original, resampled)["m"]
    assert of_patients.tolist() == pytest.approx([0.1 / 3, 0.2 / 3, 0.2 / 3, 0])
    found = stability.predictions([0, 0, 1, 1], original, resampled, drawn).iloc[0]
    assert found["mape"] == pytest.approx(0.5 / 12)
    assert found["mape_median"] == pytest.approx((0.1 + 0.2) / 6)
    assert (found["n"], found["n_good"], found["n_bootstraps"]) == (4, 2, 3)
    # Of the models without them, the first patient's predictions are 0.1 and 0.2, the second's 0.3 only; the
    # others are in every sample.
    assert found["mape_new"] == pytest.approx((0.05 + 0) / 2)


def test_changed_decisions_are_counted(fits):
    original, resampled, _ = fits
    thresholds = pd.DataFrame(
        {"model": ["m", "other"], "rule": "0.5", "chosen_on": "fixed", "threshold": [0.5, 0.5]}
    )
    found = stability.decisions(original, resampled, thresholds)
    assert found["model"].tolist() == ["m"]
    # The second patient changes in the first model, the third in the second.
    assert found["share_reclassified"].item() == pytest.approx(2 / 12)
    assert found["share_unstable"].item() == pytest.approx(2 / 4)


def cross_validation(model):
    return {(model, metric): Estimate(0.7, 0.6, 0.8) for metric in stability.MEASURES}


def logistic(rng, n):
    x = rng.normal(size=n)
    return x, (rng.random(n) < expit(x)).astype(int)


def test_a_score_that_is_not_fitted_has_no_optimism():
    rng = np.random.default_rng(1)
    x, y = logistic(rng, 400)
    drawn = np.array([np.bincount(rng.integers(0, 400, 400), minlength=400) for _ in range(200)])
    original = pd.DataFrame({"m": expit(x)})
    resampled = np.broadcast_to(expit(x)[None, :, None], (200, 400, 1))
    found = stability.optimism(y, original, resampled, drawn, cross_validation("m")).set_index("metric")
    assert found["apparent"]["roc_auc"] == pytest.approx(roc_auc_score(y, x))
    assert found["optimism"]["roc_auc"] == pytest.approx(0, abs=0.005)
    assert found["optimism"]["slope"] == pytest.approx(0, abs=0.03)
    assert found["corrected"]["roc_auc"] == pytest.approx(roc_auc_score(y, x), abs=0.005)
    # The interval is about that of DeLong: 1.96 standard errors of 0.023.
    width = found["corrected_upper"]["roc_auc"] - found["corrected_lower"]["roc_auc"]
    assert width == pytest.approx(4 * 0.023, rel=0.25)
    assert found["cross_validated_upper"]["slope"] == 0.8


def test_a_model_that_memorises_is_found_out_in_the_patients_not_drawn():
    rng = np.random.default_rng(2)
    y = np.arange(200) % 2
    drawn = np.array([np.bincount(rng.integers(0, 200, 200), minlength=200) for _ in range(50)])
    # It knows the patients it was fitted on, and nothing of others.
    noise = rng.random((50, 200))
    resampled = np.where(drawn > 0, 0.2 + 0.5 * y + 0.1 * noise, noise)[:, :, None]
    original = pd.DataFrame({"m": 0.2 + 0.5 * y + 0.1 * noise[0]})
    found = stability.optimism(y, original, resampled, drawn, cross_validation("m")).set_index("metric")
    auc = found.loc["roc_auc"]
    assert auc["apparent"] == 1
    assert auc["not_drawn"] == pytest.approx(0.5, abs=0.03)
    # Harrell's correction falls short, since most of the cohort was drawn.
    assert auc["corrected"] > 0.75
    # Perfectly separated, its own sample has no slope.
    assert found.loc["slope", "n_undefined"] == 50


def test_the_cross_validated_values_are_those_of_the_evaluation():
    table = scores.check(nested_scores())
    rows = scores.sets(table[table["stage"] == "final"])
    found = stability.cross_validated(rows)
    mine = rows[rows["model"] == "ensemble"]
    folds = [roc_auc_score(fold["y_good"], fold["score"]) for _, fold in mine.groupby("fold")]
    assert found["ensemble", "roc_auc"].value == pytest.approx(np.mean(folds))
    assert set(found) == {(model, metric) for model in ("ensemble", "ct") for metric in stability.MEASURES}


def learned(values):
    """Repeats of two sizes whose AUCs are given: the order of two good and two poor outcomes."""
    orders = {1.0: [0.1, 0.2, 0.3, 0.4], 0.75: [0.1, 0.3, 0.2, 0.4], 0.5: [0.1, 0.4, 0.2, 0.3]}
    y = np.array([0, 0, 1, 1])
    return [
        SimpleNamespace(
            size=size,
            n=10 * (size + 1),
            n_good=2 * (size + 1),
            y_good=y,
            probability=pd.DataFrame({"m": orders[auc]}),
        )
        for repeat in values
        for size, auc in enumerate(repeat)
    ]


def test_the_learning_curve_has_the_interval_of_nadeau_and_bengio():
    curve = learning.table(learned([(0.5, 0.75), (0.75, 1.0), (0.5, 1.0)]), test_share=0.2)
    auc = curve[curve["metric"] == "roc_auc"].set_index("n_good")
    assert auc["estimate"].to_dict() == pytest.approx({2: 1.75 / 3, 4: 2.75 / 3})
    sd = np.std([0.5, 0.75, 0.5], ddof=1)
    # t of 2 degrees of freedom.
    half = 4.302653 * sd * np.sqrt(1 / 3 + 0.25)
    assert auc["upper"][2] == pytest.approx(1.75 / 3 + half)
    gain = learning.last_gain(curve, "m")
    assert gain["gain"].value == pytest.approx(1 / 3)
    assert (gain["n_good_before"], gain["n_good_after"]) == (2, 4)


def test_the_table_has_the_columns_that_others_rely_on(fits):
    original, resampled, drawn = fits
    predicted = stability.predictions([0, 0, 1, 1], original, resampled, drawn)
    thresholds = pd.DataFrame({"model": ["m"], "rule": "0.5", "chosen_on": "fixed", "threshold": [0.5]})
    decided = stability.decisions(original, resampled, thresholds)
    excess = pd.DataFrame({"model": "m", "metric": ["roc_auc", "slope"], "optimism": [0.05, 0.2]})
    found = stability.table(predicted, decided, excess, rule="0.5").iloc[0]
    columns = ["model", "n_bootstraps", "mape", "share_reclassified", "auc_optimism", "slope_optimism"]
    assert found[columns].tolist() == pytest.approx(["m", 3, 0.5 / 12, 2 / 12, 0.05, 0.2])
    none = stability.table(predicted, decided, excess, rule="Spec-Max-CI").iloc[0]
    assert np.isnan(none["share_reclassified"])


def test_two_ways_are_compared_in_the_same_samples(fits):
    original, resampled, drawn = fits
    steady = np.broadcast_to(original.to_numpy(), (2, 4, 1))
    ways = {"one": (original, resampled, drawn), "other": (original, steady, drawn[:2])}
    # In the first two samples one patient each was not drawn: no AUC without both outcomes.
    drawn[:2] = [[0, 2, 2, 0], [0, 2, 2, 0]]
    found = stability.retuned([0, 0, 1, 1], ways).set_index("hyperparameters")
    assert found["n_bootstraps"].tolist() == [2, 2]
    assert found["mape"].tolist() == pytest.approx([0.4 / 8, 0])
    assert found["auc_not_drawn"].tolist() == [1, 1]
