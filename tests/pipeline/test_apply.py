"""A frozen model applied to an export: everybody is in the file, or nothing is written."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from postarrest import data, evaluation, simulate
from postarrest.models import bundle, crossfit, leakage, parts, splits, stacking, tabular
from postarrest.pipeline import apply, freeze

SETTINGS = splits.Settings(seed=4, outer_folds=2, inner_folds=3)
PREDICTORS = ["initial_rhythm", "low_flow_min", "creatinine_umol_l", "lactate_mmol_l"]
MODELS = {
    "ohca": {"algorithm": "lightgbm", "predictors": PREDICTORS},
    "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm", "pupil_right_mm"]},
}


@pytest.fixture(scope="module", autouse=True)
def _small_forests():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "STACK_TREES", 40)
        yield


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> Path:
    """The tables of a simulated hospital, without CT."""
    settings = simulate.Settings(
        n_screened=150, n_included=120, n_good=45, n_relabelled=0, ct="none", gwr=False, n_truth=1000, seed=5
    )
    simulate.write_study(settings, folder := tmp_path_factory.mktemp("hospital") / "export")
    return folder


@pytest.fixture(scope="module")
def frozen(export, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """A model of these patients, and its scores of the test patients of the first outer fold."""
    keep = tmp_path_factory.mktemp("fits")
    study = data.read_export(export, outcome_labels=["standard"])
    cohort, _ = data.select(study.patients, criteria={"exclusions": "all"})
    y = data.outcome_labels(cohort)["y_good_standard"]
    split = splits.get(splits.table(y, protocols=("nested",), settings=SETTINGS), "outer-1")
    ledger = leakage.Ledger(split, tabular.known_beforehand(cohort))
    fold = crossfit.CrossFit(split, y, ledger, keep, trials=2, seed=1)
    nothing = {"cnn_scores": keep / "none", "cnn_lineage": keep / "none"}
    bases = stacking.fit_bases(tabular.declared(MODELS), cohort, fold, spaces=tabular.SPACES, **nothing)
    stack = stacking.fit_stack(bases.out_of_fold, bases.test, fold, space=tabular.SPACES["stack"])
    table = fold.score_table(stack.rows + bases.rows, outcome_label="standard")
    table = table[table["stage"] == "final"]
    parts.keep(fold.parts, keep / "parts")
    kept = parts.kept(keep / "parts")
    used = bundle.columns_of(kept)
    development = table[table["role"] == "train_oof"]
    names = list(dict.fromkeys(table["model"]))
    about = {
        "study": "first",
        "title": "First",
        "intended_use": "None.",
        "network": "",
        "simulation": {},
        "outcome": {"label": "standard", "meaning": "CPC 1 or 2"},
        "out_of_fold": freeze.described(development),
        "columns": bundle.contract_of(used, cohort),
        "export": bundle.export_of({}, used),
        "thresholds": freeze.chosen(development, fixed={"0.5": ["probability", 0.5]}),
        "population": bundle.population(cohort, y, variables=["age_years", *used], mask_below=5),
    }
    bundle.write(
        keep / "model", {keep / "parts": kept}, models=names, main="ensemble", simulated=True, **about
    )
    return keep / "model", table[table["role"] == "test"]


@pytest.fixture
def copied(export, tmp_path) -> Path:
    return shutil.copytree(export, tmp_path / "export")


def edit(folder: Path, change) -> None:
    table = pd.read_csv(folder / "patients.csv", dtype=str, keep_default_na=False)
    change(table).to_csv(folder / "patients.csv", index=False)


def run(model: Path, folder: Path, out: Path, *more: str) -> int:
    return apply.main(["--model", str(model), "--data", str(folder), "--out", str(out), *more])


def test_everybody_is_scored_as_the_pipeline_scored_them(frozen, export, tmp_path):
    model, table = frozen
    assert run(model, export, tmp_path / "out.csv") == 0
    written = pd.read_csv(tmp_path / "out.csv", index_col="patient_id", keep_default_na=False)
    screened = pd.read_csv(export / "patients.csv")
    assert list(written.index) == list(screened["patient_id"])
    for name, rows in table.groupby("model"):
        mine = written.loc[rows["patient_id"], name].astype(float)
        np.testing.assert_allclose(mine, rows["score"], rtol=0, atol=1e-9)
    excluded = written["to_mind"].str.contains("the export has a reason for exclusion")
    assert excluded.sum() == screened["exclusion"].notna().sum()


def test_decisions_follow_the_thresholds(frozen, export, tmp_path):
    run(frozen[0], export, tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    rules = json.loads((frozen[0] / "manifest.json").read_text())["thresholds"]["ensemble"]
    assert {"Youden", "Spec-Max", "Spec-Max-CI", "0.5"} <= set(rules)
    half = written["ensemble, 0.5"]
    assert ((half == "good") == (written["ensemble"] >= 0.5)).all()
    assert set(half) <= {"good", "poor"}
    one_sided = rules["Spec-Max"]
    undecided = (written["ensemble"] >= one_sided["poor_below"]) & (
        written["ensemble"] < one_sided["good_from"]
    )
    assert ((written["ensemble, Spec-Max"] == "indeterminate") == undecided).all()
    # With so few good outcomes no threshold keeps the upper limit of false pessimism below 5 %.
    assert rules["Spec-Max-CI"]["poor_below"] is None
    assert "poor" not in set(written["ensemble, Spec-Max-CI"])


def test_the_outcome_is_not_needed_and_changes_nothing(frozen, copied, export, tmp_path):
    outcome = ["cpc", "awake_after_ct", "death_cause_intracranial", "death_cause", "arrest_to_death_days"]
    edit(copied, lambda t: t.drop(columns=outcome))
    assert run(frozen[0], copied, tmp_path / "without.csv") == 0
    run(frozen[0], export, tmp_path / "with.csv")
    assert (tmp_path / "without.csv").read_bytes() == (tmp_path / "with.csv").read_bytes()


def test_units_and_names_of_another_hospital_are_mapped(frozen, copied, export):
    def foreign(table):
        lactate = pd.to_numeric(table["lactate_mmol_l"]) * 9.01
        table = table.assign(lactate=lactate).drop(columns="lactate_mmol_l")
        return table.replace({"initial_rhythm": {"vf_vt": "VF"}})

    edit(copied, foreign)
    loaded = bundle.load(frozen[0])
    mapping = loaded.manifest["export"] | {
        "columns": {"lactate_mmol_l": "lactate"},
        "codes": {"initial_rhythm": {"VF": "vf_vt"}},
        "units": {"lactate_mmol_l": "mg/dL"},
    }
    there = apply.apply(loaded, copied, mapping=mapping).scored.scores["ensemble"]
    here = apply.apply(loaded, export).scored.scores["ensemble"]
    np.testing.assert_allclose(there, here, atol=0.05)


def without(name):
    return lambda table: table.drop(columns=name)


def with_value(name, value):
    return lambda table: table.assign(**{name: value})


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (without(["lactate_mmol_l"]), ["lactate_mmol_l: found no such column"]),
        (
            without(["lactate_mmol_l", "pupil_left_mm"]),
            ["lactate_mmol_l: found no such column", "pupil_left_mm: found no such column"],
        ),
        (without(["patient_id"]), ["patient_id: found no such column"]),
        # 1.0 mg/dL is a normal value; 1 umol/L is none.
        (
            with_value("creatinine_umol_l", "1.0"),
            ["this looks like mg/dL; set units: {creatinine_umol_l: mg/dL}"],
        ),
        (
            with_value("initial_rhythm", "sinus"),
            ["initial_rhythm: found text of 5 characters; expected vf_vt"],
        ),
        (lambda table: table.iloc[:0], ["found a header and no rows"]),
    ],
)
def test_wrong_exports_are_refused_and_nothing_is_written(frozen, copied, tmp_path, capsys, change, messages):
    edit(copied, change)
    out = tmp_path / "results" / "out.csv"
    out.parent.mkdir()
    out.write_text("of an earlier run")
    assert run(frozen[0], copied, out) == 1
    said = capsys.readouterr().err
    assert all(message in said for message in messages), said
    assert "Traceback" not in said
    assert list(out.parent.iterdir()) == [out]
    assert out.read_text() == "of an earlier run"


def test_scores_replace_nothing_of_the_export_or_the_model(frozen, copied, tmp_path, capsys):
    model = shutil.copytree(frozen[0], tmp_path / "model")
    os.mkfifo(tmp_path / "pipe")
    places = [
        copied / "patients.csv",
        copied / "new.csv",
        model / "manifest.json",
        tmp_path,
        tmp_path / "pipe",
    ]
    before = [(copied / "patients.csv").read_bytes(), (model / "manifest.json").read_bytes()]
    for out in places:
        assert run(model, copied, out) == 2
        assert "expected" in capsys.readouterr().err
    assert [(copied / "patients.csv").read_bytes(), (model / "manifest.json").read_bytes()] == before
    assert not (copied / "new.csv").exists()


def test_a_changed_model_is_refused(frozen, export, tmp_path, capsys):
    model = shutil.copytree(frozen[0], tmp_path / "model")
    place = model / "pupil.skops"
    place.write_bytes(place.read_bytes()[:-1] + b"\0\0")
    assert run(model, export, tmp_path / "out.csv") == 1
    assert capsys.readouterr().err.startswith("pupil.skops: found other bytes")
    assert not (tmp_path / "out.csv").exists()


def test_a_marker_of_another_network_that_reads_ct_is_refused(frozen, tmp_path):
    loaded = bundle.load(frozen[0])
    about = {k: v for k, v in loaded.manifest.items() if k not in bundle.OF_THE_FILES}
    marker = parts.Part("gwr_av_auto", (), (), kind="gwr_automatic", settings={"reader": "0" * 64})
    bundle.write(tmp_path / "model", {frozen[0]: loaded.parts}, formulas=[marker], **about)
    with pytest.raises(bundle.BundleError, match="'gwr_av_auto': found another network that reads CT"):
        bundle.load(tmp_path / "model")


def test_no_patient_of_the_training_is_in_the_model(frozen, export):
    import zipfile

    ids = [name.encode() for name in pd.read_csv(export / "patients.csv")["patient_id"]]
    for path in frozen[0].iterdir():
        contents = [path.read_bytes()]
        if path.suffix == ".skops":
            with zipfile.ZipFile(path) as inside:
                contents = [inside.read(name) for name in inside.namelist()]
        assert not [one for one in ids for content in contents if one in content], path.name


FITTED = {"n": 60, "n_good": 25, "study": "second"}
UPDATES = {
    "none": {"kind": "none", "intercept": 0.0, "slope": 1.0, "edge": 0.01},
    "intercept": {"kind": "intercept", "intercept": -0.7, "slope": 1.0, "edge": 0.01},
    "intercept and slope": {"kind": "intercept and slope", "intercept": 0.2, "slope": 0.6, "edge": 0.01},
    "revision": {"kind": "revision"},
}


@pytest.mark.parametrize("kind", UPDATES)
def test_an_updated_model_is_a_frozen_model_that_says_what_it_was_made_from(frozen, export, tmp_path, kind):
    model, table = frozen
    first = bundle.load(model)
    mine = table[table["model"] == "ensemble"]
    cross_fitted = mine.assign(model="ensemble_updated", role="train_oof")
    fixed = {"0.5": ["probability", 0.5]}
    given = {"scored": table, "cross_fitted": cross_fitted, "fixed": fixed}
    freeze.update(model, tmp_path / "model", fitted=FITTED | UPDATES[kind], **given)
    again = bundle.load(tmp_path / "model")
    assert again.manifest["made_from"] == {"study": "first", "sha256": first.manifest["sha256"]}
    assert again.manifest["update"]["kind"] == kind
    assert again.manifest["main"] == ("ensemble" if kind == "none" else "ensemble_updated")
    assert run(tmp_path / "model", export, tmp_path / "out.csv") == 0
    written = pd.read_csv(tmp_path / "out.csv", index_col="patient_id").loc[mine["patient_id"]]
    np.testing.assert_allclose(written["ensemble"], mine["score"], rtol=0, atol=1e-9)
    if kind in ("intercept", "intercept and slope"):
        update = evaluation.updating.Update(**UPDATES[kind], n=60, n_good=25)
        expected = update.apply(mine["score"])
        np.testing.assert_allclose(written["ensemble_updated"], expected, rtol=0, atol=1e-9)
    if kind == "revision":
        bases = table.pivot(index="patient_id", columns="model", values="score")[["ohca", "pupil"]]
        y = mine.set_index("patient_id")["y_good"]
        expected = stacking.linear().fit(bases.loc[y.index], y).predict_proba(bases.loc[y.index])[:, 1]
        np.testing.assert_allclose(written["ensemble_updated"], expected, rtol=0, atol=1e-9)


def test_a_model_is_made_from_its_base_models(frozen):
    assert bundle.bases(bundle.load(frozen[0]), "ensemble") == ["ohca", "pupil"]
    assert bundle.bases(bundle.load(frozen[0]), "pupil") == []
    assert bundle.refitted(pd.DataFrame(index=[0, 1]), pd.Series([0, 1])) == {}
