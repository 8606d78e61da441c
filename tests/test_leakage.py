"""Leaks that are planted are caught, and a cohort without signal scores one half."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from postarrest import splits, stacking, tabular
from postarrest.leakage import LeakageError, Ledger

SETTINGS = splits.Settings(seed=4, outer_folds=3, inner_folds=3)
MODELS = tabular.declared(
    {
        "lab": {"algorithm": "lightgbm", "predictors": ["initial_rhythm", "lactate_mmol_l", "low_flow_min"]},
        "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]},
    }
)


def ensemble_scores(patients, y, keep, *, trials=4):
    """Every outer fold of the ensemble: scores and leakage table."""
    table = splits.table(y, protocols=("nested",), settings=SETTINGS)
    scores, leaks = [], []
    for name in splits.names(("nested",), SETTINGS):
        split, ledger = splits.get(table, name), Ledger(int(name[-1]))
        common = {"trials": trials, "seed": 1, "keep": keep, "ledger": ledger}
        bases = stacking.fit_bases(
            MODELS, patients, y, split, spaces=tabular.SPACES, cnn_scores=keep / "none.csv", **common
        )
        stack = stacking.fit_stack(
            bases.out_of_fold, bases.test, y, split, space=tabular.SPACES["forest"], **common
        )
        ledger.check()
        standing = pd.DataFrame(index=y.index)
        scores.append(stacking.score_rows(bases, stack, standing, y, split, outcome="standard"))
        leaks.append(ledger.table())
    return pd.concat(scores), pd.concat(leaks)


@pytest.fixture(scope="module")
def fitted(patients, tmp_path_factory):
    return ensemble_scores(patients, patients["y_good"], tmp_path_factory.mktemp("optuna"))


def pooled_auc(scores, model):
    rows = scores[(scores["model"] == model) & (scores["role"] == "test") & (scores["stage"] == "final")]
    return roc_auc_score(rows["y_good"], rows["score"]), len(rows)


def test_no_stage_scores_whom_it_saw(fitted):
    _, leaks = fitted
    assert (leaks["n_in_both"] == 0).all()
    stages = " ".join(leaks["stage"].unique())
    for part in ("hyperparameters", "out-of-fold", "refitted", "ensemble", "before Platt", "logistic"):
        assert part in stages


def test_every_patient_is_tested_once_by_every_model(fitted, patients):
    scores, _ = fitted
    tested = scores[(scores["role"] == "test") & (scores["stage"] == "final")]
    for _, rows in tested.groupby("model"):
        assert sorted(rows["patient_id"]) == sorted(patients.index)


def test_signal_is_found(fitted):
    scores, _ = fitted
    assert pooled_auc(scores, "ensemble")[0] > 0.75


def test_platt_changes_no_order_within_a_fold(fitted):
    scores, _ = fitted
    rows = scores[(scores["model"] == "ensemble") & (scores["role"] == "test")]
    for _, fold in rows.groupby("fold"):
        wide = fold.pivot(index="patient_id", columns="stage", values="score").sort_values("before_platt")
        assert wide["final"].is_monotonic_increasing


def test_permuted_labels_score_one_half(patients, tmp_path):
    rng = np.random.default_rng(8)
    y = pd.Series(rng.permutation(patients["y_good"].to_numpy()), index=patients.index)
    scores, _ = ensemble_scores(patients, y, tmp_path)
    auc, n = pooled_auc(scores, "ensemble")
    good = int(y.sum())
    # Hanley and McNeil's standard error at an area of one half
    half_width = 1.96 * np.sqrt((n + 1) / (12 * good * (n - good)))
    assert abs(auc - 0.5) < half_width


def test_transformer_fitted_on_all_rows_is_caught(patients):
    """A quantile transform of everybody, test patients included, before the split."""
    x, y = patients[["low_flow_min", "pupil_left_mm"]], patients["y_good"]
    split = splits.get(splits.table(y, protocols=("nested",), settings=SETTINGS), "outer-1")
    ledger = Ledger(1)
    model = make_pipeline(QuantileTransformer(n_quantiles=50), LogisticRegression())
    everybody = ledger.fit(model, x, y, stage="planted leak")
    ledger.probability(everybody, x.loc[split.test])
    with pytest.raises(LeakageError, match=f"planted leak: {len(split.test)} of {len(split.test)}"):
        ledger.check()


def test_choice_made_on_test_patients_is_caught(patients):
    split = splits.get(splits.table(patients["y_good"], protocols=("nested",), settings=SETTINGS), "outer-1")
    ledger = Ledger(1)
    ledger.record("threshold", fitted_on=[*split.development, split.test[0]], scored=split.test)
    with pytest.raises(LeakageError, match="threshold: 1 of"):
        ledger.check()


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(lambda n: np.arange(n), id="running number"),
        pytest.param(lambda n: [f"N{i:05d}" for i in range(n)], id="record number"),
        pytest.param(lambda n: 7_000_000 + 13 * np.arange(n)[::-1], id="number that falls"),
    ],
)
def test_identifier_among_the_predictors_is_caught(patients, column):
    with_id = patients.assign(record=column(len(patients)))
    model = tabular.declared({"m": {"algorithm": "forest", "predictors": ["lactate_mmol_l", "record"]}})[0]
    with pytest.raises(tabular.ModelError, match="'record' is different in each patient"):
        tabular.predictors_of(model, with_id)


def test_outcomes_of_other_patients_are_refused(patients):
    y = patients["y_good"]
    with pytest.raises(ValueError, match="not of the same patients"):
        Ledger(1).fit(LogisticRegression(), patients[["low_flow_min"]], y.iloc[::-1], stage="x")
