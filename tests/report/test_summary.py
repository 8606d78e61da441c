"""With few patients, the first page leads with the best supported model and says so."""

import pandas as pd
import pytest

from postarrest.report import summary
from postarrest.study import load

COLUMNS = "outcome_label set model metric positive_class estimate lower upper recommended n n_good"


@pytest.mark.parametrize(("n_good", "leads"), [(12, "ohca"), (30, "ensemble")])
def test_few_patients_do_not_support_a_model_of_models(tmp_path, n_good, leads):
    where = ["revised", "fold mean"]
    rows = [
        [*where, "ensemble", "roc_auc", "good", 0.48, 0.30, 0.66, True, 60, n_good],
        [*where, "ohca", "roc_auc", "good", 0.76, 0.60, 0.88, True, 60, n_good],
    ]
    rows += [[where[0], "pooled", *row[2:]] for row in rows]
    pd.DataFrame(rows, columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    text = " ".join(result.sentences)
    assert result.main == leads
    assert ("Only 12 patients have the rarer outcome" in text) == (n_good == 12)
    assert ("its AUC is optimistic" in text) == (n_good == 12)
    assert "0.48" in text and "0.76" in text


def test_the_network_that_a_study_is_about_leads_however_few_are_tested(tmp_path):
    where = ["revised", "holdout"]
    rows = [
        [*where, "gwr_bg", "roc_auc", "good", 0.91, 0.77, 0.97, True, 64, 13],
        [*where, "cnn", "roc_auc", "good", 0.82, 0.64, 0.92, True, 64, 13],
    ]
    pd.DataFrame(rows, columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    assert result.main == "cnn"
    assert "optimistic" not in result.text


@pytest.mark.parametrize(("tn", "chosen_on"), [(0, "frozen"), (9, "frozen"), (0, "train_oof")])
def test_that_a_threshold_predicts_nobody_poor_is_said_in_words(tmp_path, tn, chosen_on):
    where = {"outcome_label": "revised", "set": "holdout"}
    row = [*where.values(), "cnn", "roc_auc", "good", 0.82, 0.64, 0.92, True, 64, 44]
    pd.DataFrame([row], columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    rule = where | {"model": "cnn", "rule": "Spec-Max-CI", "stage": "final", "chosen_on": chosen_on}
    decided = {"threshold": 0.2, "tp": 44, "fn": 0, "tn": tn, "fp": 20 - tn, "fnr": 0.0, "note": ""}
    table = pd.DataFrame([rule | decided | {"fnr_upper": 0.0804}])
    table.to_csv(tmp_path / "thresholds.csv", index=False)
    study = load.load("smoke", environment={})
    study = study.model_copy(update={"model": "elsewhere"}) if chosen_on == "frozen" else study
    result = summary.of(study, tmp_path)
    text, limits = result.further["Thresholds"], result.further["Limits"]
    assert ("nobody was predicted to have a poor outcome: none of the 20" in text) == (tn == 0)
    assert ("0 of 44" in text) == (tn > 0)
    assert text.endswith("False pessimism was 0.0 % (upper 95 % confidence limit 8.0 %).")
    assert ("chosen where the model was fitted" in text) == (chosen_on == "frozen")
    # No patients were split where a frozen model is judged.
    assert ("split" in limits) == (chosen_on != "frozen")
    assert ("conditional on the model as it was frozen" in limits) == (chosen_on == "frozen")


def test_calibration_of_the_main_model_is_stated(tmp_path):
    where = ["revised", "fold mean"]
    row = [*where, "ensemble", "roc_auc", "good", 0.8, 0.7, 0.9, True, 90, 36]
    rows = [row, [where[0], "pooled", *row[2:]]]
    pd.DataFrame(rows, columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    calibration = pd.DataFrame(
        {"outcome_label": "revised", "set": "pooled", "model": "ensemble", "stage": ["before_platt", "final"]}
        | {"ici": [0.2, 0.031], "slope": [0.4, 0.87], "intercept": [-1.0, -0.004]}
    )
    calibration.to_csv(tmp_path / "calibration.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    assert result.headline == (
        "Ensemble (random forest): AUC 0.80 (95 % CI 0.70 to 0.90) in 90 patients, 36 with a good outcome"
    )
    assert "differed by 0.03 on average (ICI)" in result.further["Calibration"]
    assert "slope of 0.87 and an intercept of 0.00" in result.further["Calibration"]
    assert result.numbers["index.calibration_slope"] == {
        **{"value": 0.87, "lower": None, "upper": None},
        **{"unit": "", "table": "calibration"},
    }
    # Of fits without a slope nothing is stated.
    calibration.assign(slope=float("nan")).to_csv(tmp_path / "calibration.csv", index=False)
    assert "Calibration" not in summary.of(load.load("smoke", environment={}), tmp_path).further


def test_without_a_mean_over_folds_the_pooled_auc_is_stated(tmp_path):
    """As when each fold leaves out one patient."""
    row = ["revised", "pooled", "ensemble", "roc_auc", "good", 0.8, 0.7, 0.9, True, 90, 36]
    pd.DataFrame([row], columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    assert "AUC 0.80 (95 % CI 0.70 to 0.90) in 90 patients" in result.headline
    assert "folds" not in result.sentences[0]


def test_other_models_of_the_same_predictors_and_the_pooled_auc_are_named(tmp_path):
    rows = [
        ["revised", set_, model, "roc_auc", "good", auc, auc - 0.1, auc + 0.1, True, 200, 60]
        for set_, off in (("fold mean", 0), ("pooled", -0.01))
        for model, auc in (("ensemble", 0.78 + off), ("ohca", 0.74 + off), ("logistic_all", 0.81 + off))
    ]
    pd.DataFrame(rows, columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    assert (
        "In all test patients together, as in the figure, the AUC is 0.77 (95 % CI 0.67 to 0.87)."
        in result.text
    )
    assert "AUC of all predictors (logistic regression) 0.81 (95 % CI 0.71 to 0.91)." in result.text
    assert result.numbers["index.auc_logistic_all"]["value"] == 0.81
