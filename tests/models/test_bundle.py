"""A frozen model: what is written, what is refused, and that it scores as the pipeline did."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from postarrest import scores
from postarrest.models import bundle, crossfit, leakage, ohca, parts, splits, stacking, tabular
from postarrest.models.bundle.files import BundleError

SETTINGS = splits.Settings(seed=4, outer_folds=2, inner_folds=3)
MODELS = tabular.declared(
    {
        "lab": {"algorithm": "lightgbm", "predictors": ["initial_rhythm", "lactate_mmol_l", "low_flow_min"]},
        "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm"]},
    }
)


@pytest.fixture(scope="module", autouse=True)
def _small_forests():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacking, "STACK_TREES", 40)
        patch.setitem(stacking.REFERENCES, "forest_all", ("forest", {"min_samples_leaf": 5}))
        yield


@pytest.fixture(scope="module")
def cohort(patients):
    canary = {name: f"CANARY-{name}" for name in patients.index}
    more = {"no_flow_min": 5.0, "creatinine_umol_l": 90.0, "y_good_standard": patients["y_good"]}
    return patients.assign(**more).rename(canary)


def fit(cohort, name: str, keep: Path) -> tuple[Path, pd.DataFrame]:
    """The study's models in one split, kept as notebook 04 does, and their scores."""
    table = splits.table(cohort["y_good"], protocols=("nested",), settings=SETTINGS)
    split = splits.get(table, name)
    ledger = leakage.Ledger(split, tabular.known_beforehand(cohort))
    fold = crossfit.CrossFit(split, cohort["y_good"], ledger, keep, trials=2, seed=1)
    nothing = {"cnn_scores": keep / "none", "cnn_lineage": keep / "none"}
    bases = stacking.fit_bases(MODELS, cohort, fold, spaces=tabular.SPACES, **nothing)
    stack = stacking.fit_stack(bases.out_of_fold, bases.test, fold, space=tabular.SPACES["stack"])
    references = stacking.fit_references(cohort, bases, fold)
    unfitted = ohca.comparator_scores(["ohca_score"], cohort, split, floor_min=0.5)
    rows = stack.rows + references + bases.rows + ohca.rows(unfitted, split)
    folder = keep / f"parts-{name}"
    parts.keep([*fold.parts, *ohca.parts(["ohca_score"], floor_min=0.5)], folder)
    return folder, fold.score_table(rows, outcome_label="standard")


def write(folder: Path, source: Path, cohort: pd.DataFrame, mask_below: int = 0) -> dict:
    kept = parts.kept(source)
    used = bundle.columns_of(kept)
    rule = {"poor_below": 0.3, "good_from": 0.5, "chosen_on": "out of fold", "note": ""}
    thresholds = {"ensemble": {"Youden": rule}}
    described = bundle.population(cohort, cohort["y_good"], variables=used, mask_below=mask_below)
    about = {"columns": bundle.contract_of(used, cohort), "ct": None, "export": bundle.export_of({}, used)}
    about |= {"models": ["ensemble"], "main": "ensemble", "thresholds": thresholds}
    auc = {"auc": 0.8, "auc_lower": 0.7, "auc_upper": None}
    about |= {"title": "Tiny", "intended_use": "None.", "simulated": True, "simulation": {}, "network": ""}
    about |= {"outcome": {"label": "standard", "meaning": "CPC 1 or 2"}}
    about |= {"out_of_fold": {"ensemble": {"kind": "probability"} | auc}}
    return bundle.write(folder, {source: kept}, population=described, study="tiny", **about)


@pytest.fixture(scope="module")
def tested(cohort, tmp_path_factory):
    """The models of an outer fold, frozen, and the fold's scores."""
    keep = tmp_path_factory.mktemp("outer")
    source, table = fit(cohort, "outer-1", keep)
    write(keep / "model", source, cohort)
    return keep / "model", table


@pytest.fixture
def copy(tested, tmp_path):
    return shutil.copytree(tested[0], tmp_path / "model")


def test_scores_are_those_of_the_pipeline(tested, cohort):
    frozen, table = bundle.load(tested[0]), table_of_test(tested[1])
    found = bundle.score(frozen, cohort).scores
    names = {"before_platt": "ensemble_before_platt"}
    assert set(table["model"]) >= {"lab", "pupil", "ensemble", "logistic_all", "ohca_score"}
    for (model, stage), rows in table.groupby(["model", "stage"]):
        mine = found.loc[rows["patient_id"], names.get(stage, model)]
        np.testing.assert_allclose(mine, rows["score"], rtol=0, atol=1e-9)


def table_of_test(table):
    return table[table["role"] == "test"]


def test_one_patient_scores_as_among_all(tested, cohort):
    frozen = bundle.load(tested[0])
    every = bundle.score(frozen, cohort).scores
    one = bundle.score(frozen, cohort.iloc[[3]]).scores
    np.testing.assert_allclose(one, every.iloc[[3]], rtol=0, atol=1e-12)


def test_the_split_on_all_patients_has_out_of_fold_scores_and_no_test(cohort, tmp_path):
    source, table = fit(cohort, "outer_all-1", tmp_path)
    assert set(table["role"]) == {"train_oof"}
    assert set(table["patient_id"]) == set(cohort.index)
    scores.write(table, tmp_path / "scores.csv", tested=False)
    assert len(scores.read(tmp_path / "scores.csv", tested=False)) == len(table)
    with pytest.raises(ValueError, match="no test row of model"):
        scores.read(tmp_path / "scores.csv")
    assert {part.name for part in parts.kept(source)} >= {"lab", "ensemble", "ensemble_before_platt"}


def test_no_patient_is_in_the_bundle(tested, cohort):
    manifest = json.loads((tested[0] / "manifest.json").read_text())
    for path in tested[0].iterdir():
        content = path.read_bytes()
        if path.suffix == ".skops":
            import zipfile

            with zipfile.ZipFile(path) as inside:
                content = b"".join(inside.read(name) for name in inside.namelist())
        assert b"CANARY" not in content, path.name
        # Nothing as long as the patients are many, but for what the models themselves hold.
        assert b"test_fold" not in content, path.name
    moments = manifest["population"].pop("moments")
    assert json.dumps(manifest["population"]).count("[") == 0
    # Means and covariances: as many as variables, not as patients.
    variables = len(moments["names"])
    assert 0 < variables <= len(manifest["population"]["variables"]) < len(cohort)
    assert np.shape(moments["mean"]) == (variables,)
    assert np.shape(moments["covariance"]) == (variables, variables)


def test_small_counts_are_hidden(tested, cohort, tmp_path):
    few = cohort.assign(initial_rhythm=["pea"] * 3 + ["asystole"] * (len(cohort) - 3))
    described = bundle.population(few, few["y_good"], variables=list(few.columns), mask_below=5)["variables"]
    assert described["initial_rhythm"]["levels"]["pea"] is None
    low_flow = np.sort(few["low_flow_min"].dropna())
    assert (described["low_flow_min"]["low"], described["low_flow_min"]["high"]) == (
        low_flow[4],
        low_flow[-5],
    )


def edited(folder: Path, change) -> None:
    """Change the manifest as somebody would who also repairs its hash."""
    place = folder / "manifest.json"
    manifest = json.loads(place.read_text())
    change(manifest)
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    manifest["sha256"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    place.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["ensemble.skops", "manifest.json"])
def test_a_changed_byte_is_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    at = content.index(b'"title"') + 3 if b'"title"' in content else len(content) // 2
    content[at] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: found"):
        bundle.load(copy)


def test_every_byte_of_the_manifest_counts(copy):
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text.replace('"poor_below": 0.3', '"poor_below": 0.2'))
    with pytest.raises(BundleError, match=r"manifest\.json: found other bytes"):
        bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=2), "found format 2; expected at most 1"),
        (lambda m: m["packages"].update({"scikit-learn": "1.2.0"}), "frozen with scikit-learn 1.2.0"),
        (lambda m: m["columns"]["lactate_mmol_l"].update(unit="mg/dL"), "lactate_mmol_l in mg/dL"),
        (lambda m: m["files"].update({"absent.skops": "0"}), "absent.skops: found no such file"),
        (lambda m: m["files"].update({"../up": "0"}), "found no such file"),
        (lambda m: m["parts"].pop(0), "which is no part"),
        (
            lambda m: m["packages"].update({"no-such": "1.0"}),
            "frozen with no-such 1.0, which is not installed",
        ),
        (lambda m: m["packages"].update({"": "1.0"}), "which is not installed"),
        (lambda m: m["population"].update(n_good=10**6), "population: found n_good 1000000 of n"),
        (
            lambda m: m["population"].update(n="12"),
            r"population\.n: found 12 \(text\); expected a whole number",
        ),
        (lambda m: m["population"]["moments"]["mean"].pop(), r"population\.moments: found other sizes"),
        (lambda m: m["parts"].append(m["parts"][0]), r"parts: found '\w+' twice"),
        (lambda m: m["parts"][0].update(name="../up"), r"parts\.0: found the name '\.\./up'"),
        (lambda m: m["parts"][0].update(kind="magic"), r"parts\.0\.kind: found magic \(text\); expected"),
        (
            lambda m: m["parts"][0].update(kind="recalibrated"),
            r"parts\.0: found 0 scores of kind recalibrated",
        ),
        (
            lambda m: m["parts"][-1].update(settings={}),
            r"parts\.\d: found no setting floor_min; expected a num",
        ),
        (lambda m: m["export"].update(colums={}), "export: found colums; expected codes, columns"),
        (lambda m: m["files"].clear(), "needs lab.skops, which files does not list"),
        (lambda m: m["columns"].clear(), "which columns does not list"),
        (lambda m: m["thresholds"].clear(), "thresholds: found none of ensemble"),
        (lambda m: m["out_of_fold"].clear(), "out_of_fold: found nothing of ensemble"),
        (lambda m: m.update(main="lab"), "main: found lab; expected one of models"),
        (lambda m: m.update(format=float("inf")), "found something else"),
        (lambda m: m.update(format=True), "found something else"),
    ],
)
def test_another_bundle_than_this_library_reads_is_refused(copy, change, message):
    edited(copy, change)
    with pytest.raises(BundleError, match=message):
        bundle.load(copy)


@pytest.mark.parametrize("value", [None, 7, "text", [[]], {"a": {}}])
def test_whatever_is_said_otherwise_is_told_in_words(copy, value):
    """Of every field; what may be anything is no field that is used."""
    used = ["parts", "files", "columns", "packages", "main", "models", "thresholds", "export", "population"]
    used += ["simulated", "simulation", "out_of_fold", "outcome", "study", "title", "intended_use"]
    intact = (copy / "manifest.json").read_text()
    for name in used:
        allowed = {"text": ("main", "study", "title", "intended_use")}.get(str(value), ())
        if name in allowed or (name == "simulation" and isinstance(value, dict)):
            continue
        edited(copy, lambda m, name=name: m.update({name: value}))
        with pytest.raises(BundleError, match=rf"manifest\.json: |{name}"):
            bundle.load(copy)
        (copy / "manifest.json").write_text(intact)
    edited(copy, lambda m: [m.pop(name) for name in used])
    with pytest.raises(BundleError) as error:
        bundle.load(copy)
    # All in one message.
    assert {line.split(": ")[1] for line in str(error.value).splitlines()} == set(used)


@pytest.mark.parametrize(
    "text",
    ["[" * 10_000, '{"format": ' + "7" * 5000 + "}", '{"format": 1e999}', '{"format": [1]}', "{}", "\ud800"],
)
def test_what_is_no_manifest_is_refused(copy, text):
    (copy / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BundleError, match=r"manifest\.json: found something else; expected that of a frozen"):
        bundle.load(copy)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"found no manifest\.json"):
        bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(BundleError, match="found something else"):
        bundle.load(tmp_path)


def test_a_foreign_type_is_refused(copy):
    """Even where the hashes agree: whoever made the bundle decides nothing about what code runs."""
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    content = skops.io.dumps(FunctionTransformer(shutil.rmtree))
    (copy / "ensemble.skops").write_bytes(content)
    edited(copy, lambda m: m["files"].update({"ensemble.skops": hashlib.sha256(content).hexdigest()}))
    with pytest.raises(BundleError, match=r"model 'ensemble' holds shutil\.rmtree"):
        bundle.load(copy)


def test_a_model_that_could_not_be_read_is_not_kept(tmp_path):
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(parts.PartError, match=r"which models/parts\.py does not list"):
        parts.keep([parts.Part("odd", (), (), FunctionTransformer(shutil.rmtree))], tmp_path)


def test_thresholds_travel(tested):
    assert len(bundle.thresholds_of("")) == 0
    table = bundle.thresholds_of(str(tested[0]))
    assert table[["model", "rule", "threshold"]].to_numpy().tolist() == [["ensemble", "Youden", 0.3]]


def test_the_populations_stand_beside_each_other(tested, cohort):
    manifest = bundle.read_manifest(tested[0])
    y = cohort["y_good"]
    same = bundle.beside(manifest, cohort, y)
    assert (same["standardised_difference"].fillna(0) == 0).all()
    assert (same["frozen"] == same["here"]).all()
    other = cohort.assign(
        low_flow_min=cohort["low_flow_min"] + cohort["low_flow_min"].std(), initial_rhythm="pea"
    )
    shown = bundle.beside(manifest, other, y).set_index(["variable", "level"])["standardised_difference"]
    assert shown["Low-flow time, min", ""] == pytest.approx(1)
    few = bundle.beside(manifest, cohort.iloc[:3], y.iloc[:3], mask_below=5)
    assert few.loc[few["variable"] == "Low-flow time, min", "here"].tolist() == [""]


def test_scores_become_test_rows_and_decisions_are_counted(tested, cohort):
    frozen = bundle.load(tested[0])
    about = frozen.manifest | {"out_of_fold": {"ensemble": {"kind": "probability"}}}
    scored = bundle.score(frozen, cohort)
    rows = bundle.rows(scored, about, cohort["y_good"], outcome_label="standard")
    checked = scores.check(rows)
    assert set(checked["role"]) == {"test"}
    assert checked.groupby(["model", "stage"]).size().to_dict() == {
        ("ensemble", "before_platt"): len(cohort),
        ("ensemble", "final"): len(cohort),
    }
    counts = bundle.decided(scored, about, cohort["y_good"]).set_index("decision").astype({"n": int})
    assert counts["n"].sum() == len(cohort)
    assert counts.loc["poor", "n"] == (scored.scores["ensemble"] < 0.3).sum()
    nobody = bundle.Scored(scored.scores * np.nan, scored.reasons.replace("", "no head CT"))
    with pytest.raises(BundleError, match="ensemble, could score nobody: no head CT"):
        bundle.rows(nobody, about, cohort["y_good"], outcome_label="standard")


def test_missing_values_are_flagged_and_scored_where_the_model_can(tested, cohort):
    frozen = bundle.load(tested[0])
    rows = cohort.iloc[:3].copy()
    rows.iloc[0, rows.columns.get_loc("lactate_mmol_l")] = np.nan
    rows.iloc[1, rows.columns.get_loc("low_flow_min")] = 500.0
    rows.iloc[2, rows.columns.get_loc("initial_rhythm")] = "other"
    found = bundle.score(frozen, rows)
    assert found.scores["ensemble"].notna().all()
    assert np.isnan(found.scores["ohca_score"].iloc[0])
    assert found.reasons["ohca_score"].iloc[0] == "no value of lactate_mmol_l"
    by_patient = bundle.flags(frozen, rows).groupby("patient_id")["reason"].agg("; ".join)
    assert "lactate_mmol_l is missing" in by_patient[rows.index[0]]
    assert "low_flow_min is outside" in by_patient[rows.index[1]]
    assert "initial_rhythm is of a category" in by_patient[rows.index[2]]
