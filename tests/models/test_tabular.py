import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from postarrest.models import ohca, splits, tabular, tuning
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Ledger


def fit(patients, algorithm, tmp_path, *, split_seed=2, inner_folds=3):
    y = patients["y_good"]
    predictors = ["initial_rhythm", "lactate_mmol_l", "low_flow_min", "pupil_left_mm"]
    model = tabular.BaseLearner(algorithm=algorithm, predictors=predictors)
    settings = splits.Settings(seed=split_seed, outer_folds=3, inner_folds=inner_folds)
    split = splits.get(splits.table(y, protocols=("nested",), settings=settings), "outer-1")
    fold = CrossFit(split, y, Ledger(split, patients), tmp_path, trials=3, seed=1)
    x = tabular.predictors_of("m", model, patients)
    return tabular.fit_base("m", model, x, fold, spaces=tabular.SPACES), split


@pytest.mark.parametrize("algorithm", ["logistic", "forest", "lightgbm"])
def test_each_algorithm_takes_missing_values_and_text(patients, algorithm, tmp_path):
    base, split = fit(patients, algorithm, tmp_path)
    assert base.algorithm == algorithm
    assert sorted(base.scores.development.index) == list(split.development)
    assert list(base.scores.test.index) == list(split.test)
    for scores in (base.scores.development, base.scores.test):
        assert scores.between(0, 1).all()
        assert scores.nunique() > 5


def test_select_takes_the_best_in_the_inner_folds(patients, tmp_path):
    base, _ = fit(patients, "select", tmp_path)
    assert set(base.tuned) == {"logistic", "forest", "lightgbm"}
    assert base.tuned[base.algorithm].auc == max(t.auc for t in base.tuned.values())


def test_same_seed_same_scores(patients, tmp_path):
    one, other = (fit(patients, "lightgbm", tmp_path / str(i))[0].scores for i in range(2))
    pd.testing.assert_series_equal(one.test, other.test, check_exact=True)
    pd.testing.assert_series_equal(one.development, other.development, check_exact=True)


@pytest.mark.parametrize("changed", [{"split_seed": 3}, {"inner_folds": 4}])
def test_a_search_is_not_resumed_once_the_splits_have_changed(patients, tmp_path, changed):
    """Its test patients may be among those on whom the old hyperparameters were chosen."""
    fit(patients, "lightgbm", tmp_path / "one")
    after, _ = fit(patients, "lightgbm", tmp_path / "one", **changed)
    fresh, _ = fit(patients, "lightgbm", tmp_path / "other", **changed)
    pd.testing.assert_frame_equal(after.tuned["lightgbm"].history, fresh.tuned["lightgbm"].history)
    pd.testing.assert_series_equal(after.scores.test, fresh.scores.test, check_exact=True)
    assert len(list((tmp_path / "one").glob("*.journal"))) == 2


def test_whole_numbers_that_are_measured_are_predictors(patients):
    """Different in each patient, as an identifier is, but neither dense nor in the patients' order."""
    rng = np.random.default_rng(4)
    volume = rng.permutation(1_200_000 + 300 * np.arange(len(patients)) + rng.integers(0, 300, len(patients)))
    few = pd.Series(np.nan, index=patients.index)
    few.iloc[:25] = rng.choice(np.arange(40, 400), 25, replace=False)
    table = patients.assign(brain_volume_mm3=volume, ck_u_l=few)
    model = tabular.BaseLearner(algorithm="forest", predictors=["brain_volume_mm3", "ck_u_l"])
    assert list(tabular.predictors_of("m", model, table).columns) == ["brain_volume_mm3", "ck_u_l"]


def test_star_stands_for_columns_that_start_so(patients):
    table = patients.assign(eeg24_a=1.0, eeg24_b=[0.0, 1.0] * 80, eeg48_a=0.5)
    model = tabular.BaseLearner(algorithm="logistic", predictors=["eeg24_*"])
    assert list(tabular.predictors_of("eeg", model, table).columns) == ["eeg24_a", "eeg24_b"]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"m": {"algorithm": "svm", "predictors": ["a"]}}, "Input should be 'logistic', 'forest'"),
        ({"m": {"algorithm": "forest"}}, "a cnn has no predictors; every other algorithm needs some"),
        ({"m": {"algorithm": "cnn", "predictors": ["a"]}}, "a cnn has no predictors"),
        ({"m": {"algorithm": "forest", "predictors": ["a"], "trees": 5}}, "Extra inputs are not permitted"),
        ({"m": {"algorithm": "forest", "predictors": "a"}}, "Input should be a valid list"),
        ({"m": "forest"}, "Input should be a valid dictionary"),
        ({"ct": {"algorithm": "cnn"}, "again": {"algorithm": "cnn"}}, "found 2 models of algorithm cnn"),
    ],
)
def test_wrong_declarations_are_errors(models, message):
    with pytest.raises(ValidationError, match=message):
        tabular.declared(models)


def test_errors_of_several_declarations_are_reported_together():
    with pytest.raises(ValidationError) as error:
        tabular.declared({"one": {"algorithm": "svm"}, "two": {"algorithm": "forest", "trees": 5}})
    assert {found["loc"][0] for found in error.value.errors()} == {"one", "two"}


def test_a_study_replaces_single_search_spaces():
    forest = {"max_depth": {"choices": [3]}}
    spaces = tabular.spaces({"forest": forest})
    assert spaces["logistic"] == tabular.SPACES["logistic"]
    assert spaces["forest"] == TypeAdapter(tuning.Space).validate_python(forest)
    with pytest.raises(ValidationError, match="svm"):
        tabular.spaces({"svm": forest})


def test_absent_and_empty_predictors_are_reported_together(patients):
    model = tabular.BaseLearner(algorithm="forest", predictors=["nothing", "blank", "low_flow_min"])
    with pytest.raises(tabular.ModelError) as error:
        tabular.predictors_of("m", model, patients.assign(blank=np.nan))
    assert "model 'm': no column 'nothing'" in str(error.value)
    assert "model 'm': predictor 'blank' has no values" in str(error.value)


@pytest.mark.parametrize(("rhythm", "expected"), [("asystole", 48.95), ("vf_vt", 35.95)])
def test_ohca_score_worked_example(rhythm, expected):
    """Worked from the published formula: no-flow 5, low-flow 30 min, creatinine 100 umol/L, lactate 10."""
    patient = pd.DataFrame(
        {
            "initial_rhythm": [rhythm, rhythm, None],
            "no_flow_min": [5.0, np.nan, 5.0],
            "low_flow_min": 30.0,
            "creatinine_umol_l": 100.0,
            "lactate_mmol_l": 10.0,
        }
    )
    score = ohca.ohca_score(patient)
    assert score.iloc[0] == pytest.approx(expected, abs=0.005)
    assert score.iloc[1:].isna().all()


def test_ohca_score_has_a_floor_for_no_flow():
    patient = pd.DataFrame(
        {
            "initial_rhythm": ["pea"] * 2,
            "no_flow_min": [0.0, 0.5],
            "low_flow_min": 20.0,
            "creatinine_umol_l": 90.0,
            "lactate_mmol_l": 8.0,
        }
    )
    score = ohca.ohca_score(patient)
    assert score.iloc[0] == score.iloc[1]


@pytest.mark.parametrize("predictor", ["cpc", "arrest_to_death_days", "y_good_standard", "y_*"])
def test_the_outcome_is_no_predictor(patients, predictor):
    cohort = patients.assign(cpc=1, arrest_to_death_days=3.0, y_good_standard=patients["y_good"])
    model = tabular.BaseLearner(algorithm="logistic", predictors=["lactate_mmol_l", predictor])
    with pytest.raises(tabular.ModelError, match="is part of the outcome"):
        tabular.predictors_of("m", model, cohort)
