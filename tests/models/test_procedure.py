"""The procedure as a function is the one of the notebooks, and may be repeated on bootstrap samples."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from postarrest.models import procedure, repeated, splits, stacking, tabular, tuning
from postarrest.models.cnn import fit
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.head import Training
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Ledger
from postarrest.models.tuning import Chosen

MODELS = tabular.declared(
    {
        "clinical": {"algorithm": "lightgbm", "predictors": ["initial_rhythm", "lactate_mmol_l"]},
        "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]},
    }
)


@pytest.fixture
def fold(patients, tmp_path):
    settings = splits.Settings(seed=2, outer_folds=3, inner_folds=3)
    split = splits.get(splits.table(patients["y_good"], protocols=("nested",), settings=settings), "outer-1")
    return CrossFit(split, patients["y_good"], Ledger(split, patients), tmp_path, trials=2, seed=1)


def same_folds(fold):
    """The inner folds of a split, as positions among its development patients."""
    ids = fold.split.development

    def folds(patients, y, *, n_folds, seed):
        assert list(patients) == list(ids)
        inner = tuple(tuple(pd.Index(ids.get_indexer(part)) for part in pair) for pair in fold.split.inner)
        return splits.Split("inner-1", inner, pd.Index([], dtype=int))

    return folds


def test_it_fits_what_the_notebooks_fit(patients, fold, tmp_path):
    cnn = {"cnn_scores": tmp_path / "none", "cnn_lineage": tmp_path / "none"}
    bases = stacking.fit_bases(MODELS, patients, fold, spaces=tabular.SPACES, **cnn)
    stack = stacking.fit_stack(bases.out_of_fold, bases.test, fold, space=tabular.SPACES["stack"])
    chosen = bases.settings | {"ensemble": Chosen("stack", stack.tuned.values | {"monotonic": False})}
    tuning.write_chosen(chosen, tmp_path / "chosen.json")
    read = procedure.read_chosen(tmp_path / "chosen.json", network=tmp_path / "none")
    assert read == chosen
    fitted = procedure.Nested(read, n_folds=3, seed=1, folds=same_folds(fold))
    rows = tabular.predictors_of_all(read, patients)
    own, y = rows.loc[fold.split.development], fold.y.loc[fold.split.development]
    found = fitted(own, y)(rows.loc[fold.split.test])
    table = pd.concat([*bases.rows, *stack.rows]).query("role == 'test' and stage == 'final'")
    expected = table.pivot(index="patient_id", columns="model", values="score")
    for model in ("clinical", "pupil", "ensemble", "ensemble_logistic"):
        assert found[model].to_numpy() == pytest.approx(
            expected.loc[found.index, model].to_numpy(), abs=1e-12
        )
    # Lactate, the pupil, and three levels of rhythm with missing as one.
    assert procedure.n_parameters(read, rows) == 4


def test_its_network_is_that_of_the_notebook(patients, fold, tmp_path):
    noise = np.random.default_rng(1).normal(size=(len(patients), 2, 8)).astype(np.float32)
    noise[:, :, 0] += patients["y_good"].to_numpy()[:, None]
    features = Features(patients.index, noise, "key", "random")
    fixed = {"dropout": 0.2, "weight_decay": 0.01, "batch_size": 32, "epochs": 3, "width": 4}
    training = Training(
        space={"learning_rate": {"choices": [0.01]}}, fixed=fixed, class_weights=True, patience=0
    )
    found = fit.fit_split(features, training, fold)
    table = pd.concat(found.rows).query("role == 'test' and stage == 'final'").set_index("patient_id")
    network = Chosen("cnn", fixed | found.tuned.values | {"class_weights": True})
    tuning.write_chosen({"cnn": network}, tmp_path / "network.json")
    stack = Chosen("stack", {"monotonic": False, "min_samples_leaf": 15})
    tuning.write_chosen({"ct": Chosen("cnn", {}), "ensemble": stack}, tmp_path / "chosen.json")
    chosen = procedure.read_chosen(tmp_path / "chosen.json", network=tmp_path / "network.json")
    own, y = patients.loc[fold.split.development], fold.y.loc[fold.split.development]
    fitted = procedure.Nested(chosen, n_folds=3, seed=1, features=features, folds=same_folds(fold))
    again = fitted(own, y)(patients.loc[fold.split.test])
    assert again["ct"].to_numpy() == pytest.approx(table.loc[again.index, "score"].to_numpy(), abs=1e-6)


def auc_of_noise(*, by_patient):
    """Mean out-of-fold AUC over bootstrap samples of a forest on noise."""
    aucs = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        noise, y = rng.normal(size=(200, 4)), np.arange(200) % 2
        drawn = np.sort(rng.integers(0, 200, 200))
        patients = pd.Index(drawn) if by_patient else pd.RangeIndex(200)
        split = procedure.by_patient(patients, pd.Series(y[drawn]), n_folds=4, seed=1)
        found = np.empty(200)
        for fit_rows, left_out in split.inner:
            model = RandomForestClassifier(50, random_state=0).fit(noise[drawn][fit_rows], y[drawn][fit_rows])
            found[left_out] = model.predict_proba(noise[drawn][left_out])[:, 1]
        aucs.append(roc_auc_score(y[drawn], found))
    return np.mean(aucs)


def test_a_patient_drawn_twice_leaks_into_no_inner_fold():
    assert auc_of_noise(by_patient=True) == pytest.approx(0.5, abs=0.06)
    # What would happen if the rows of one patient were split.
    assert auc_of_noise(by_patient=False) > 0.8


def mean_of_the_outcome(rows, y):
    """The least procedure: it predicts the prevalence, and counts its rows."""
    return lambda others: pd.DataFrame({"prevalence": y.mean(), "rows": float(len(rows))}, index=others.index)


def test_bootstrap_refits_on_patients_with_replacement(patients):
    settings = {"n_bootstraps": 3, "seed": 5}
    found = repeated.bootstrap(mean_of_the_outcome, patients, patients["y_good"], **settings)
    assert found.original["prevalence"].iloc[0] == pytest.approx(0.4)
    assert found.resampled.shape == (3, 160, 2)
    assert (found.drawn.sum(axis=1) == 160).all()
    weighted = (found.drawn * patients["y_good"].to_numpy()).sum(axis=1) / 160
    assert found.resampled[:, 0, 0] == pytest.approx(weighted)
    again = repeated.bootstrap(mean_of_the_outcome, patients, patients["y_good"], **settings)
    assert (again.drawn == found.drawn).all()


def test_smaller_samples_are_parts_of_larger_ones_with_the_same_prevalence(patients):
    def seen(rows, y):
        return lambda others: pd.DataFrame({"seen": others.index.isin(rows.index).astype(float)})

    settings = {"shares": [0.25, 0.5, 1.0], "repeats": 2, "test_share": 0.2, "seed": 1}
    found = repeated.learn(seen, patients, patients["y_good"], **settings)
    assert [(one.size, one.n, one.n_good) for one in found] == [(0, 32, 13), (1, 64, 26), (2, 128, 51)] * 2
    assert all((one.probability["seen"] == 0).all() and len(one.y_good) == 32 for one in found)


def test_hyperparameters_are_searched_in_each_sample_and_no_patient_is_split(patients):
    values = {"learning_rate": 0.1, "num_leaves": 4, "n_estimators": 20}
    stack = {"max_depth": 3, "min_samples_leaf": 15, "max_features": 1.0, "monotonic": False}
    chosen = {
        "clinical": Chosen("lightgbm", values, ["lactate_mmol_l", "low_flow_min"]),
        "ensemble": Chosen("stack", stack),
    }
    rows = tabular.predictors_of_all(chosen, patients)
    drawn = np.sort(np.random.default_rng(1).integers(0, 160, 160))
    own, y = rows.iloc[drawn], patients["y_good"].iloc[drawn]
    settings = {"n_folds": 3, "seed": 1}
    given = procedure.Nested(chosen, **settings)(own, y)(rows)
    found = procedure.Retuned(chosen, **settings, spaces=tabular.SPACES, trials=3)(own, y)(rows)
    assert not np.allclose(given["clinical"], found["clinical"])
    # A space with one point gives back the procedure without a search.
    points = {name: {"choices": [value]} for name, value in values.items()}
    of_stack = {name: {"choices": [value]} for name, value in stack.items() if name != "monotonic"}
    spaces = tabular.spaces({"lightgbm": points, "stack": of_stack})
    same = procedure.Retuned(chosen, **settings, spaces=spaces, trials=1)(own, y)(rows)
    pd.testing.assert_frame_equal(same, given)
