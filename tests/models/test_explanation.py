"""Contributions add up to the prediction, and predictors that were not planted contribute little."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from postarrest.evaluation import explanation as ranked
from postarrest.models import crossfit, explanation, splits, tabular
from postarrest.models.tuning import Searched

SPACES = tabular.SPACES | {
    "lightgbm": {
        "learning_rate": Searched(choices=[0.05]),
        "num_leaves": Searched(choices=[6]),
        "n_estimators": Searched(choices=[60]),
    }
}


def explained(cohort: pd.DataFrame, models: dict, tmp_path, trials: int = 1):
    y = cohort["y_good"]
    settings = splits.Settings(seed=3, outer_folds=3, inner_folds=3)
    table = splits.table(y, protocols=("nested",), settings=settings)
    known = tabular.known_beforehand(cohort)
    folds = crossfit.outer_folds(table, y, known, keep=tmp_path, trials=trials, seed=1)
    declared = tabular.declared(models)
    return explanation.explain(declared, cohort, folds, spaces=SPACES), folds


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    rng = np.random.default_rng(8)
    n = 900
    x = pd.DataFrame(rng.normal(size=(n, 4)), columns=["strong", "weak", "noise_1", "noise_2"])
    rhythm = np.where(rng.random(n) < 0.4, "vf_vt", "pea").astype(object)
    good = rng.random(n) < expit(-0.5 + 2.0 * x["strong"] + 0.8 * x["weak"] + 1.5 * (rhythm == "vf_vt"))
    x = x.assign(rhythm=rhythm, y_good=good.astype(int)).set_axis([f"P{i:04d}" for i in range(n)])
    x.index.name = "patient_id"
    models = {"ohca": {"algorithm": "lightgbm", "predictors": ["strong", "weak", "noise_*", "rhythm"]}}
    return explained(x, models, tmp_path_factory.mktemp("searches"))


def test_contributions_add_up_to_the_prediction(patients, tmp_path):
    x = patients.drop(columns="y_good")
    fitted = tabular.estimator("lightgbm", {"n_estimators": 50}, seed=1).fit(x, patients["y_good"])
    parts = explanation.contributions(fitted, x)
    assert list(parts.columns) == [*x.columns, explanation.BASELINE]
    np.testing.assert_allclose(parts.sum(axis=1), logit(fitted.predict_proba(x)[:, 1]), atol=1e-6)
    assert parts[explanation.BASELINE].nunique() == 1


def test_every_patient_is_explained_once_by_a_model_fitted_without_that_patient(planted):
    found, folds = planted
    assert found.largest_gap < 1e-6
    each = found.contributions.groupby("patient_id")
    assert (each["predictor"].nunique() == 5).all() and (each.size() == 5).all()
    for fold in folds:
        fold.ledger.check()
        mine = found.contributions[found.contributions["fold"] == fold.split.fold]
        assert set(mine["patient_id"]) == set(fold.split.test)


def test_planted_predictors_rank_first_and_others_are_near_0(planted):
    table = ranked.importance(planted[0].contributions, n_resamples=200).set_index("predictor")
    assert list(table.index[:3]) == ["strong", "rhythm", "weak"]
    assert table["mean_abs"]["strong"] > 1.0
    assert (table.loc[["noise_1", "noise_2"], "mean_abs"] < 0.1 * table["mean_abs"]["strong"]).all()
    assert (table.loc[["strong", "rhythm", "weak"], "rank_sd"] <= 0.6).all()
    assert table["mean_abs"].between(table["lower"], table["upper"]).all()
    assert (table["upper"] - table["lower"] < 0.3).all()
    (agreed,) = ranked.agreement(planted[0].contributions)
    assert agreed["n_folds"] == 3 and agreed["spearman"] > 0.8


def test_models_of_other_algorithms_are_left_out(patients, tmp_path):
    models = {"pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]}}
    found, _ = explained(patients, models, tmp_path)
    assert found.contributions.empty and found.largest_gap == 0
    assert ranked.importance(found.contributions).empty
    assert ranked.agreement(found.contributions) == []
