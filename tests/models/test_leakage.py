"""Planted leaks are caught, and permuted labels give an AUC of one half."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from postarrest import scores as scores_table
from postarrest.models import splits, stacking, super_learner, tabular
from postarrest.models.cnn import features, fit, head
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import LeakageError, Ledger, of_thresholds

SETTINGS = splits.Settings(seed=4, outer_folds=3, inner_folds=3)
MODELS = tabular.declared(
    {
        "lab": {"algorithm": "lightgbm", "predictors": ["initial_rhythm", "lactate_mmol_l", "low_flow_min"]},
        "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]},
    }
)


@pytest.fixture(scope="module", autouse=True)
def _small_forests():
    """Who is scored by what does not depend on the number of trees."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "STACK_TREES", 60)
        yield


def outer_folds(patients, y, keep, *, trials=4):
    """Every outer fold, with a ledger of its own."""
    table = splits.table(y, protocols=("nested",), settings=SETTINGS)
    for name in splits.with_test(("nested",), SETTINGS):
        split = splits.get(table, name)
        yield CrossFit(split, y, Ledger(split, patients), keep, trials, seed=1)


def ensemble_scores(patients, y, keep, *, models=MODELS):
    """Every outer fold of the ensemble: scores and leakage table."""
    scores, leaks = [], []
    for fold in outer_folds(patients, y, keep):
        name = fold.split.name
        bases = stacking.fit_bases(
            models,
            patients,
            fold,
            spaces=tabular.SPACES,
            cnn_scores=keep / f"scores_{name}.csv",
            cnn_lineage=keep / f"seen_{name}.json",
        )
        stack = stacking.fit_stack(bases.out_of_fold, bases.test, fold, space=tabular.SPACES["stack"])
        library = ("ridge", "boosting")
        second = super_learner.fit(patients, bases, fold, library=library)
        references = stacking.fit_references(patients, bases, fold)
        fold.ledger.check()
        rows = stack.rows + second.rows + references + bases.rows
        scores.append(fold.score_table(rows, outcome_label="standard"))
        leaks.append(fold.ledger.table())
    return pd.concat(scores), pd.concat(leaks)


@pytest.fixture(scope="module")
def fitted(patients, tmp_path_factory):
    return ensemble_scores(patients, patients["y_good"], tmp_path_factory.mktemp("optuna"))


def pooled_auc(scores, model):
    rows = scores[(scores["model"] == model) & (scores["role"] == "test") & (scores["stage"] == "final")]
    return roc_auc_score(rows["y_good"], rows["score"]), len(rows)


def test_no_stage_scores_patients_it_was_fitted_on(fitted):
    _, leaks = fitted
    assert (leaks["n_in_both"] == 0).all()
    stages = " ".join(leaks["stage"].unique())
    parts = ("hyperparameters", "out-of-fold", "refitted", "ensemble", "before Platt", "logistic")
    for part in (*parts, "super_learner_all_ridge: out-of-fold", "super_learner: combination"):
        assert part in stages


def test_every_patient_is_tested_once_by_every_model(fitted, patients):
    scores, _ = fitted
    tested = scores[(scores["role"] == "test") & (scores["stage"] == "final")]
    for _, rows in tested.groupby("model"):
        assert sorted(rows["patient_id"]) == sorted(patients.index)


def test_signal_is_found(fitted):
    scores, _ = fitted
    assert pooled_auc(scores, "ensemble")[0] > 0.75


def test_models_of_all_predictors_at_once_find_the_signal_too(fitted):
    scores, _ = fitted
    for model in (*stacking.REFERENCES, "super_learner"):
        assert pooled_auc(scores, model)[0] > 0.75


def test_platt_changes_no_order_within_a_fold(fitted):
    scores, _ = fitted
    rows = scores[(scores["model"] == "ensemble") & (scores["role"] == "test")]
    for _, fold in rows.groupby("fold"):
        wide = fold.pivot(index="patient_id", columns="stage", values="score").sort_values("before_platt")
        assert wide["final"].is_monotonic_increasing


HEAD = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 32, "epochs": 20}


def noise(patients):
    """Features that carry no information about the patients."""
    variants = np.random.default_rng(5).normal(size=(len(patients), 3, 30))
    return features.Features(patients.index, variants, "noise", "")


def network_scores(patients, y, keep):
    """Every outer fold of the network on noise, saved as by notebook 03."""
    space = {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
    training = head.Training(space=space, fixed=HEAD, class_weights=True, patience=0)
    for fold in outer_folds(patients, y, keep):
        result = fit.fit_split(noise(patients), training, fold)
        fold.ledger.check()
        fold.ledger.write(keep / f"seen_{fold.split.name}.json")
        table = fold.score_table(result.rows, outcome_label="standard")
        scores_table.write(table, keep / f"scores_{fold.split.name}.csv")


def test_permuted_labels_score_one_half(patients, tmp_path):
    rng = np.random.default_rng(8)
    y = pd.Series(rng.permutation(patients["y_good"].to_numpy()), index=patients.index)
    network_scores(patients, y, tmp_path)
    models = MODELS | tabular.declared({"ct": {"algorithm": "cnn"}})
    scores, leaks = ensemble_scores(patients, y, tmp_path, models=models)
    network = pd.concat(scores_table.read(path) for path in sorted(tmp_path.glob("scores_*.csv")))
    assert (leaks["n_in_both"] == 0).all()
    good, n = int(y.sum()), len(y)
    # Hanley and McNeil's standard error at an area of one half
    half_width = 1.96 * np.sqrt((n + 1) / (12 * good * (n - good)))
    for table, model in (
        (scores, "ensemble"),
        (scores, "ensemble_logistic"),
        (scores, "super_learner"),
        (scores, "forest_all"),
        (network, "ct"),
    ):
        auc, tested = pooled_auc(table, model)
        assert tested == n
        assert abs(auc - 0.5) < half_width, model


def test_a_network_fitted_on_the_test_patients_is_caught_in_the_stack(patients, tmp_path):
    """The leak is planted in the other notebook: its head was fitted on every patient."""
    fold = next(outer_folds(patients, patients["y_good"], tmp_path, trials=2))
    leaking = head.Head(noise(patients), HEAD | {"learning_rate": 0.01}, True, 1)
    everybody = pd.DataFrame(index=patients.index)
    network = Ledger(fold.split, patients)
    fitted = network.fit(leaking, everybody, fold.y, stage="ct: leaking head")
    scored = network.probability(fitted, everybody).to_frame("ct")
    network.write(tmp_path / "seen.json")
    with pytest.raises(LeakageError, match="ct: leaking head"):
        network.check()

    fold.ledger.adopt(tmp_path / "seen.json")
    stacking.fit_stack(scored, scored, fold, space=tabular.SPACES["stack"])
    with pytest.raises(LeakageError, match="stack for the test patients"):
        fold.ledger.check()


def test_base_models_behind_the_stack_s_inputs_are_counted_as_indirect(fitted):
    """They were fitted on the development patients that the stack scores, and never on test patients."""
    _, leaks = fitted
    assert (leaks.loc[leaks["scored"] == "test", "n_indirect"] == 0).all()
    stacks = leaks[leaks["stage"].str.contains("out-of-fold stack")]
    assert (stacks["scored"] == "training side").all()
    assert (stacks["n_indirect"] == stacks["n_scored"]).all()


def test_a_mean_of_scores_that_nobody_recorded_is_refused(patients, outer):
    ledger = Ledger(outer, patients)
    with pytest.raises(LeakageError, match="no earlier stage has recorded"):
        ledger.mean([pd.Series(0.5, index=outer.test)])


def test_a_mean_of_scores_counts_the_patients_behind_each_of_them(patients, outer):
    """One of two averaged models was fitted on test patients: whoever uses the mean is caught."""
    ledger = Ledger(outer, patients)
    x, y = patients[["low_flow_min"]].fillna(0), patients["y_good"]
    parts = []
    for ids in (outer.development, outer.test):
        model = ledger.fit(LogisticRegression(), x.loc[ids], y[ids], stage="one of two")
        parts.append(ledger.probability(model, x.loc[outer.test]))
    mean = ledger.mean(parts)
    assert np.allclose(mean, np.mean(parts, axis=0))
    fresh = ledger.fit(
        DummyClassifier(), x.loc[outer.development], y[outer.development], stage="uses the mean"
    )
    ledger.probability(fresh, mean.to_frame("mean"))
    with pytest.raises(LeakageError, match="uses the mean"):
        ledger.check()


NUMBERS = ["low_flow_min", "lactate_mmol_l", "pupil_left_mm"]


@pytest.fixture(scope="module")
def outer(patients):
    return splits.get(splits.table(patients["y_good"], protocols=("nested",), settings=SETTINGS), "outer-1")


def test_a_transformer_fitted_on_every_patient_is_caught(patients, outer):
    """A quantile transform of all patients feeds a model of the development patients."""
    x, y = patients[["low_flow_min"]], patients["y_good"]
    transform = QuantileTransformer(n_quantiles=50).set_output(transform="pandas")
    leaking = transform.fit_transform(x)
    ledger = Ledger(outer, patients)
    with pytest.raises(LeakageError, match="planted leak: the values of 'low_flow_min' are neither known"):
        ledger.fit(
            LogisticRegression(), leaking.loc[outer.development], y[outer.development], stage="planted leak"
        )
    honest = make_pipeline(QuantileTransformer(n_quantiles=50), LogisticRegression())
    fitted = ledger.fit(honest, x.loc[outer.development], y[outer.development], stage="in its pipeline")
    with pytest.raises(LeakageError, match="in its pipeline: the values of 'low_flow_min'"):
        ledger.probability(fitted, leaking.loc[outer.test])
    ledger.probability(fitted, x.loc[outer.test])
    ledger.check()


def test_a_model_fitted_on_every_patient_is_caught(patients, outer):
    x, y = patients[["low_flow_min"]], patients["y_good"]
    ledger = Ledger(outer, patients)
    everybody = ledger.fit(LogisticRegression(), x, y, stage="planted leak")
    ledger.probability(everybody, x.loc[outer.test])
    with pytest.raises(LeakageError, match=f"planted leak: {len(outer.test)} of {len(outer.test)}"):
        ledger.check()


def test_a_base_model_fitted_on_test_patients_is_caught_behind_a_stack(patients, outer):
    """The stack itself is fitted on development patients alone; the base model behind it is not."""
    x, y = patients[["low_flow_min"]], patients["y_good"]
    ledger = Ledger(outer, patients)
    base = ledger.fit(LogisticRegression(), x, y, stage="base")
    meta = ledger.probability(base, x.loc[outer.development]).to_frame("base")
    stack = ledger.fit(LogisticRegression(), meta, y[outer.development], stage="stack")
    others = ledger.fit(LogisticRegression(), x.loc[outer.development], y[outer.development], stage="other")
    inputs = ledger.probability(others, x.loc[outer.test]).to_frame("base")
    ledger.probability(stack, inputs)
    n = len(outer.test)
    with pytest.raises(LeakageError, match=f"stack: {n} of {n}"):
        ledger.check()


def test_inputs_by_a_base_model_fitted_on_the_scored_patients_are_caught(patients, outer):
    x, y = patients[["low_flow_min"]], patients["y_good"]
    ledger = Ledger(outer, patients)
    fits = outer.development
    clean = ledger.fit(LogisticRegression(), x.loc[fits], y[fits], stage="base")
    stack = ledger.fit(
        LogisticRegression(), ledger.probability(clean, x.loc[fits]).to_frame("base"), y[fits], stage="stack"
    )
    dirty = ledger.fit(LogisticRegression(C=0.1), x, y, stage="other")
    ledger.probability(stack, ledger.probability(dirty, x.loc[outer.test]).to_frame("base"))
    counted = ledger.table().set_index(["stage", "scored"])
    assert counted.loc[("stack", "test"), "n_in_both"] == 0
    assert counted.loc[("stack", "test"), "n_indirect"] == len(outer.test)


def test_scores_of_another_notebook_keep_the_patients_behind_them(patients, outer, tmp_path):
    x, y = patients[["low_flow_min"]], patients["y_good"]
    first = Ledger(outer, patients)
    network = first.fit(LogisticRegression(), x, y, stage="network")
    scored = first.probability(network, x)
    first.write(tmp_path / "seen.json")
    second = Ledger(outer, patients)
    second.adopt(tmp_path / "seen.json")
    meta = scored.to_frame("ct")
    fits = outer.development
    stack = second.fit(LogisticRegression(), meta.loc[fits], y[fits], stage="stack")
    second.probability(stack, meta.loc[outer.test])
    with pytest.raises(LeakageError, match="stack: "):
        second.check()
    with pytest.raises(LeakageError, match="'ct'"):
        Ledger(outer, patients).fit(LogisticRegression(), meta.loc[fits], y[fits], stage="unknown network")


def test_scores_of_another_split_are_refused(patients, outer, tmp_path):
    Ledger(outer).write(tmp_path / "seen.json")
    table = splits.table(patients["y_good"], protocols=("nested",), settings=SETTINGS)
    with pytest.raises(ValueError, match="split outer-1, expected outer-2"):
        Ledger(splits.get(table, "outer-2")).adopt(tmp_path / "seen.json")


def test_patients_of_another_split_are_refused(patients, outer):
    x, y = patients[["low_flow_min"]], patients["y_good"]
    fewer = splits.Split(outer.name, outer.inner, outer.test[2:])
    ledger, fits = Ledger(fewer, patients), outer.development
    message = "2 patients are not of outer-1"
    with pytest.raises(LeakageError, match=f"head: {message}"):
        ledger.fit(LogisticRegression(), x, y, stage="head")
    model = ledger.fit(LogisticRegression(), x.loc[fits], y[fits], stage="head")
    with pytest.raises(LeakageError, match=f"head: {message}"):
        ledger.probability(model, x.loc[outer.test])
    with pytest.raises(LeakageError, match=f"threshold: {message}"):
        ledger.choice("threshold", on=outer.test)


def test_choice_made_on_test_patients_is_caught(patients, outer):
    ledger = Ledger(outer)
    ledger.choice("threshold", on=[*outer.development, outer.test[0]])
    with pytest.raises(LeakageError, match="threshold: 1 of"):
        ledger.check()


def test_choice_made_on_test_patients_is_caught_in_what_is_fitted_with_it(patients, outer):
    x, y = patients[["low_flow_min"]], patients["y_good"]
    ledger = Ledger(outer, patients)
    grid = ledger.choice("grid", on=outer.test)
    fits = outer.development
    model = ledger.fit(LogisticRegression(), x.loc[fits], y[fits], stage="head", after=[grid])
    ledger.probability(model, x.loc[outer.test])
    with pytest.raises(LeakageError, match="head: "):
        ledger.check()


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.integers(0, 119), min_size=8, max_size=60, unique=True),
    changed=st.integers(0, 1000),
    column=st.sampled_from(NUMBERS),
)
def test_no_changed_value_passes_as_known(patients, outer, rows, changed, column):
    """Any single value that differs from what is known is found."""
    x = patients[NUMBERS].iloc[rows]
    y = patients["y_good"].iloc[rows]
    strange = x.copy()
    at = x.index[changed % len(x)]
    strange.loc[at, column] = 0.123 if pd.isna(x.loc[at, column]) else np.nan
    ledger = Ledger(outer, patients)
    model = make_pipeline(SimpleImputer(), StandardScaler(), DummyClassifier())
    ledger.fit(model, x, y, stage="as known")
    with pytest.raises(LeakageError, match=column):
        ledger.fit(model, strange, y, stage="changed")


def test_thresholds_chosen_on_test_patients_are_counted():
    rows = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c", "b", "d"],
            "role": ["train_oof"] * 3 + ["test"] * 2,
            "model": "m",
            "outcome_label": "standard",
            "stage": "final",
            "fold": 2,
        }
    )
    counted = of_thresholds(rows).iloc[0]
    assert counted[["fold", "n_fitted_on", "n_scored", "n_in_both"]].tolist() == [2, 3, 2, 1]


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
    model = tabular.BaseLearner(algorithm="forest", predictors=["lactate_mmol_l", "record"])
    with pytest.raises(tabular.ModelError, match="'record' is different in each patient"):
        tabular.predictors_of("m", model, with_id)


def test_the_number_within_the_identifier_is_caught(patients):
    """In no order and with wide gaps, as a hospital's record numbers may be."""
    numbers = np.random.default_rng(1).choice(10**7, len(patients), replace=False)
    table = patients.set_axis([f"H{number:07d}" for number in numbers]).assign(record=numbers)
    model = tabular.BaseLearner(algorithm="forest", predictors=["record"])
    with pytest.raises(tabular.ModelError, match="'record' is different in each patient"):
        tabular.predictors_of("m", model, table)


def test_outcomes_of_other_patients_are_refused(patients, outer):
    y = patients["y_good"]
    with pytest.raises(ValueError, match="not of the same patients"):
        Ledger(outer, patients).fit(LogisticRegression(), patients[["low_flow_min"]], y.iloc[::-1], stage="x")
