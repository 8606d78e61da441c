"""The smoke study, both protocols in miniature, run by the pipeline in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline_project import copy_project, run, steps
from postarrest import models
from postarrest.pipeline import apply, stale
from postarrest.places import ROOT
from postarrest.study import load, schema
from postarrest.study.runs import runs


@pytest.fixture(scope="module")
def smoke(tmp_path_factory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("smoke") / "another name")
    # One core: other tests use the other.
    done = run(project, "smoke", "--cores", "1")
    assert done.returncode == 0, done.stderr
    # One line a step, each with how many are left, down to none.
    left = [int(n) for n in re.findall(r"step \d+ of \d+, (\d+) left", done.stderr)]
    assert left == list(range(len(left)))[::-1]
    # Nothing that a library prints while it is imported.
    assert "oneDNN" not in done.stderr
    return project


def table(project: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(project / "reports" / "smoke" / "tables" / f"{name}.csv")


def test_every_table_of_the_design_is_there(smoke):
    expected = {
        "flow": ["step", "reason", "n"],
        "table1": ["variable", "level", "overall", "good", "poor", "missing", "test", "p"],
        "gwr_values": ["measure", "overall", "good", "poor", "p", "n_below_cutoff"],
        "gwr_reliability": [
            *("measure", "n", "spearman", "icc_a1", "icc_lower", "icc_upper"),
            *("bias", "loa_lower", "loa_upper"),
        ],
        "performance": [
            *("model", "metric", "positive_class", "estimate", "lower", "upper"),
            *("ci_method", "n", "n_good"),
        ],
        "comparisons": ["model_a", "model_b", "metric", "difference", "lower", "upper", "p", "method"],
        "thresholds": [
            *("model", "rule", "chosen_on", "threshold", "tp", "fp", "fn", "tn"),
            *("sensitivity", "specificity", "ppv", "npv", "fnr", "fnr_upper"),
        ],
        "automatic_agreement": ["reader", "measure", "n", "icc_a1", "bias", "loa_lower", "n_flagged"],
        "reader_flags": ["reason", "n", "share"],
        "threshold_sweep": ["model", "threshold", "fnr"],
        "thresholds_fnr5": ["model", "threshold", "fnr"],
        "calibration": ["model", "stage", "intercept", "slope", "ici", "brier", "brier_skill"],
        "hyperparameters": ["fold", "model", "parameter", "value", "search_space"],
        "leakage": ["fold", "stage", "n_fitted_on", "n_scored", "n_in_both"],
        "sample_size": ["criterion", "needed_n", "needed_good", "have_n", "have_good", "met"],
        "stability": [
            *("model", "n_bootstraps", "mape", "share_reclassified", "auc_optimism", "slope_optimism"),
        ],
        "learning_curve": ["model", "n_good", "metric", "estimate", "lower", "upper"],
        "three_way": [
            *("model", "lower_threshold", "upper_threshold", "good", "indeterminate", "poor"),
            *("false_pessimism_upper", "false_optimism_upper"),
        ],
        "truth": ["model", "planted", "recovered", "lower", "upper"],
        "subgroups": [
            *("model", "variable", "level", "n", "n_good", "metric"),
            *("estimate", "lower", "upper", "p_interaction"),
        ],
        "shap": ["model", "predictor", "mean_abs", "rank", "rank_sd"],
        "missing_data": ["handling", "model", "metric", "estimate", "lower", "upper"],
        "published": ["paper", "item", "published", "here", "source"],
    }
    for name, columns in expected.items():
        assert set(columns) <= set(table(smoke, name).columns), name


def test_every_notebook_ran_to_its_end(smoke):
    executed = sorted(p.stem for p in (smoke / "reports" / "smoke").glob("*.ipynb"))
    assert executed == [
        "01_cohort",
        "02_gwr",
        "02_gwr_automatic",
        *(
            f"03_cnn_{s}"
            for s in (
                *("holdout-1-revised", "holdout-1-standard", "holdout_all-1-revised"),
                *("outer-1-revised", "outer-2-revised", "outer_all-1-revised"),
            )
        ),
        *(f"04_stacking_{split}" for split in ("outer-1", "outer-2", "outer_all-1")),
        "05_evaluation",
        "06_stability",
        "07_subgroups",
        "10_explanation",
        "11_missing",
        "A1_simulation",
    ]
    for name in executed:
        notebook = nbformat.read(smoke / "reports" / "smoke" / f"{name}.ipynb", as_version=4)
        assert notebook.metadata.papermill.exception is None
        assert (smoke / "reports" / "smoke" / f"{name}.html").is_file()


def test_leakage_is_absent_in_every_stage(smoke):
    leaks = table(smoke, "leakage")
    assert (leaks["n_in_both"] == 0).all()
    assert (leaks.loc[leaks["scored"] == "test", "n_indirect"] == 0).all()
    assert {"thresholds", "outer-1", "holdout-1-revised"} <= set(leaks["run"])
    # Every model of every fold has its thresholds chosen without the patients to whom they are applied.
    assert leaks["stage"].str.contains("thresholds").sum() >= 10
    assert leaks["n_scored"].min() > 0


def test_every_model_of_both_papers_is_evaluated(smoke):
    models = set(table(smoke, "performance")["model"])
    assert {f"gwr_{ratio}{end}" for ratio in ("bg", "ce", "av") for end in ("", "_auto")} <= models
    assert {"gwr_unmixed", "cnn", "ohca_score", "ohca", "pupil", "ct", "ensemble"} <= models


def export_with_ct_of(ids: list[str], smoke: Path, folder: Path) -> Path:
    """The study's export, with the CT of some of its patients alone."""

    def others(place: str, names: list[str]) -> set[str]:
        return set(names) - set(ids) if Path(place).name == "ct" else set()

    return shutil.copytree(smoke / "build" / "smoke" / "data", folder, ignore=others)


def test_a_frozen_model_scores_as_the_pipeline_did(smoke, tmp_path):
    """The models of an outer fold and a hold-out split, frozen and applied to the hold-out set's export."""
    build = smoke / "build" / "smoke"
    manifest = json.loads((build / "model" / "manifest.json").read_text())
    kept = ("03_cnn_holdout-1-revised", "03_cnn_outer-1-revised", "04_stacking_outer-1")
    sources = {build / "models" / name: models.parts.kept(build / "models" / name) for name in kept}
    about = {k: v for k, v in manifest.items() if k not in ("format", "parts", "files", "packages", "sha256")}
    ratios = ("gwr_bg", "gwr_ce", "gwr_av")
    formulas = [models.parts.Part(name, (), (), kind="gwr") for name in ratios]
    formulas += [one for one in models.bundle.load(build / "model").parts if one.kind == "gwr_automatic"]
    models.bundle.write(tmp_path / "model", sources, formulas=formulas, **about)
    tested = pd.read_csv(build / "scores_cnn_holdout-1-revised.csv").query("role == 'test'")["patient_id"]
    export = export_with_ct_of([*tested], smoke, tmp_path / "data")
    found = apply.apply(models.bundle.load(tmp_path / "model"), export).scored.scores
    before = {"ct": "ct_before_platt", "ensemble": "ensemble_before_platt"}
    compared = set()
    for file in ("cnn_holdout-1-revised", "cnn_outer-1-revised", "stacking_outer-1", "gwr", "gwr_automatic"):
        table = pd.read_csv(build / f"scores_{file}.csv")
        table = table[(table["role"] == "test") & (table["outcome_label"] == "revised")]
        table = table[table["patient_id"].isin(tested)]
        assert len(table) > 0
        for (model, stage), rows in table.groupby(["model", "stage"]):
            part = before[model] if stage == "before_platt" else model
            if part in found:
                mine = found.loc[rows["patient_id"], part]
                assert mine.to_numpy() == pytest.approx(rows["score"].to_numpy(), rel=0, abs=1e-9)
                compared.add(part)
    assert {"cnn", "ct_before_platt", "ct", "ohca", "ensemble", "ohca_score", "gwr_av"} <= compared
    assert {"gwr_bg_auto", "gwr_av_auto", "gwr_unmixed"} <= compared


def test_the_frozen_model_is_of_all_patients_and_holds_none(smoke, tmp_path):
    build = smoke / "build" / "smoke"
    frozen = models.bundle.load(build / "model")
    assert (frozen.manifest["population"]["n"], frozen.manifest["main"]) == (90, "ensemble")
    assert {"ensemble", "ct", "cnn", "gwr_av", "gwr_av_auto", "logistic_all"} <= set(
        frozen.manifest["models"]
    )
    ids = pd.read_csv(build / "data" / "patients.csv", dtype=str)["patient_id"]
    for path in (build / "model").iterdir():
        contents = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as inside:
                contents += [inside.read(name) for name in inside.namelist()]
        assert not [p for p in ids for content in contents if p.encode() in content], path.name
    # A patient without a CT is scored by what needs none, and one whose CT is broken too; both are listed.
    some = sorted(path.name for path in (build / "data" / "ct").iterdir())[:12]
    data = export_with_ct_of(some, smoke, tmp_path / "data")
    first, second = some[:2]
    shutil.rmtree(data / "ct" / first)
    for file in (data / "ct" / second).iterdir():
        file.write_bytes(file.read_bytes()[:3000])
    applied = apply.apply(frozen, data)
    rows = applied.table.set_index("patient_id")
    assert len(rows) == len(ids)
    assert rows.loc[[first, second], "ensemble"].isna().all()
    assert rows.loc[[first, second], "ohca"].notna().all()
    assert "ensemble: no head CT" in rows.loc[first, "not_scored"]
    assert "ensemble: the head CT cannot be read" in rows.loc[second, "not_scored"]
    assert "gwr_av_auto: no head CT" in rows.loc[first, "not_scored"]
    shutil.rmtree(data / "ct")
    with pytest.raises(ValueError, match="1 error in the data:\n  ct: found No such file"):
        apply.apply(frozen, data)


HEADER = "patient_id,reader,reading,region,side,mean_hu,area_mm2\n"


@pytest.fixture
def read_again(smoke):
    """Runs notebooks on the readings in a study of the same patients with other readings."""
    build, report = (smoke / folder / "readers" for folder in ("build", "reports"))
    build.mkdir()
    for name in ("cohort.parquet", "splits.parquet", "gwr.parquet", "gwr_auto.csv", "reader_flags.csv"):
        shutil.copy(smoke / "build" / "smoke" / name, build)

    def execute(*notebooks: str) -> None:
        given = json.dumps({"study_name": "readers", "save_to": "report"})
        for name in notebooks:
            options = ["--study", "readers", "--notebook", name, "--parameters", given]
            done = subprocess.run(
                [sys.executable, "-m", "postarrest.pipeline", "notebook", *options],
                cwd=smoke,
                env=os.environ | {"PYTHONPATH": str(smoke / "lib")},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr

    yield build, report / "tables", execute
    shutil.rmtree(build)
    shutil.rmtree(report)


def test_two_readers_are_compared_and_their_mean_is_the_marker(read_again):
    build, tables, execute = read_again
    one = pd.read_parquet(build / "gwr.parquet")
    other = one[one["reading"] == 1].assign(reader="B", mean_hu=lambda t: t["mean_hu"] + 0.5)
    both = pd.concat([one.assign(reader="A"), other], ignore_index=True)
    both.to_parquet(build / "gwr.parquet", index=False)
    execute("02_gwr", "02_gwr_automatic")
    reliability = pd.read_csv(tables / "gwr_reliability.csv")
    assert reliability["compared"].unique().tolist() == ["reading 1 and 2 of reader A", "readers A and B"]
    drawn = {path.stem for path in (tables.parent / "figures").glob("gwr_*.svg")}
    assert {"gwr_reliability", "gwr_agreement_2", "gwr_bland_altman_2"} <= drawn
    scored = pd.read_csv(build / "scores_gwr.csv").query("model == 'gwr_av'")
    mean = models.gwr.measures(both)["GWR-AV", "mean"]
    assert scored["score"].to_numpy() == pytest.approx(mean[scored["patient_id"]].to_numpy())
    # Nobody who read is mistaken for the network, or the other way round.
    assert set(pd.read_csv(tables / "automatic_agreement.csv")["reader"]) == {
        *("automatic, region", "automatic, circle", "automatic, unmixed")
    }


def test_without_readings_by_hand_there_are_automatic_ones_alone(read_again):
    build, tables, execute = read_again
    pd.DataFrame(columns=HEADER.strip().split(",")).to_parquet(build / "gwr.parquet", index=False)
    execute("02_gwr_automatic")
    assert "gwr_av_auto" in set(pd.read_csv(build / "scores_gwr_automatic.csv")["model"])
    assert not (tables / "automatic_agreement.csv").exists()


def test_without_a_readable_ct_there_are_no_automatic_scores(read_again):
    build, tables, execute = read_again
    (build / "gwr_auto.csv").write_text(HEADER)
    (build / "reader_flags.csv").write_text("patient_id,reason\n")
    execute("02_gwr_automatic")
    assert len(pd.read_csv(build / "scores_gwr_automatic.csv")) == 0
    assert not (tables / "automatic_agreement.csv").exists()
    assert pd.read_csv(tables / "reader_flags.csv")["n"].tolist() == [0]


def test_options_for_snakemake_are_passed_on_with_their_values():
    """As for a cluster: an option's value must not be mistaken for a study."""
    shown = subprocess.run(
        ["make", "--dry-run", "report", "STUDY=smoke", "SNAKEMAKE=--executor slurm --jobs 7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = next(line for line in shown.splitlines() if "postarrest.pipeline report" in line)
    assert re.search(r"report smoke --cores \d+ --executor slurm --jobs 7$", command)


def test_an_executor_can_be_named(smoke):
    done = run(smoke, "smoke", "--cores", "2", "--executor", "dryrun", "--forceall")
    assert done.returncode == 0, done.stderr
    assert len(steps(done)) > 10


def test_second_run_does_nothing(smoke):
    done = run(smoke, "smoke")
    assert done.returncode == 0, done.stderr
    assert steps(done) == []


def test_the_evaluation_of_scores_from_elsewhere_makes_no_report_out_of_date(smoke, monkeypatch):
    monkeypatch.setenv("POSTARREST_SCORES", str(smoke / "build" / "smoke" / "scores_gwr.csv"))
    done = run(smoke, "evaluate")
    assert done.returncode == 0, done.stderr
    assert "the index of all reports" in steps(done)
    monkeypatch.delenv("POSTARREST_SCORES")
    done = run(smoke, "smoke")
    assert done.returncode == 0, done.stderr
    assert steps(done) == []


def edited(smoke: Path, tmp_path: Path, file: str, old: str, new: str) -> list[str]:
    """The steps that a dry run would repeat after an edit, which is then undone."""
    path = smoke / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    kept = path.stat()
    try:
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        done = run(smoke, "smoke", "--dry-run")
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert done.returncode == 0, done.stderr
    return steps(done)


def notebooks_in(done: list[str]) -> set[str]:
    return {m for step in done for m in re.findall(r"\((\w\d_\w+)\)", step)}


def test_parameter_of_one_notebook_reruns_it_and_what_follows(smoke, tmp_path):
    done = edited(smoke, tmp_path, "params/smoke.yaml", "n_resamples: 200", "n_resamples: 201")
    assert notebooks_in(done) == {"05_evaluation"}
    done = edited(
        smoke, tmp_path, "params/smoke.yaml", "04_stacking:\n  trials: 3", "04_stacking:\n  trials: 4"
    )
    assert notebooks_in(done) == {
        *("04_stacking", "05_evaluation", "06_stability", "07_subgroups", "10_explanation", "11_missing")
    }
    done = edited(smoke, tmp_path, "params/smoke.yaml", "n_bootstraps: 4", "n_bootstraps: 5")
    assert notebooks_in(done) == {"06_stability"}


def test_changed_code_reruns_what_needs_it(smoke, tmp_path):
    done = edited(smoke, tmp_path, "lib/postarrest/evaluation/calibration.py", '"""', '"""Changed. ')
    assert notebooks_in(done) == {"05_evaluation", "06_stability", "07_subgroups", "11_missing"}
    done = edited(smoke, tmp_path, "lib/postarrest/models/gwr.py", '"""', '"""Changed. ')
    assert "02_gwr" in notebooks_in(done)
    assert "03_cnn" not in notebooks_in(done)


def test_changed_simulation_reruns_all(smoke, tmp_path):
    done = edited(smoke, tmp_path, "params/smoke.yaml", "  gwr: true\n  seed: 7", "  gwr: true\n  seed: 8")
    assert notebooks_in(done) == {one.notebook for one in runs(load.load("smoke"))}


@pytest.mark.parametrize(
    ("file", "made_by", "not_repeated"),
    [
        ("gwr.parquet", "read and check the patients (01_cohort)", "simulate the patients"),
        ("splits.parquet", "split the patients", "(01_cohort)"),
        (
            "seen_cnn_outer-1-revised.json",
            "outer-1, revised outcome (03_cnn)",
            "outer-2, revised outcome (03_cnn)",
        ),
        ("chosen_outer-1.json", "outer-1 (04_stacking)", "outer-2 (04_stacking)"),
        ("pages/05_evaluation.json", "(05_evaluation)", "(04_stacking)"),
    ],
)
def test_a_deleted_file_is_made_again_by_its_step(smoke, file, made_by, not_repeated):
    path = smoke / "build" / "smoke" / file
    aside = path.rename(path.with_suffix(".aside"))
    try:
        done = run(smoke, "smoke", "--dry-run")
    finally:
        aside.rename(path)
    assert done.returncode == 0, done.stderr
    again = steps(done)
    assert any(made_by in step for step in again)
    assert not any(not_repeated in step for step in again)


def test_failing_notebook_is_named_with_cell_and_error(smoke, tmp_path):
    project = tmp_path / "failing"
    shutil.copytree(smoke, project)
    notebook = project / "notebooks" / "07_subgroups.py"
    notebook.write_text(notebook.read_text() + '\n# %%\nraise ValueError("planted failure")\n')
    done = run(project, "smoke")
    assert done.returncode != 0
    assert "notebooks/07_subgroups.py stopped in cell" in done.stderr
    assert "ValueError: planted failure" in done.stderr
    assert "FAILED: smoke: performance in subgroups (07_subgroups)" in done.stderr
    kept = nbformat.read(project / "build" / "smoke" / "failed" / "07_subgroups.ipynb", as_version=4)
    assert any(out.output_type == "error" for cell in kept.cells for out in cell.get("outputs", []))
    # The previous report is not replaced by half of a new one.
    assert (project / "build" / "smoke" / "logs" / "07_subgroups.log").read_text()


def test_an_error_in_a_study_file_is_reported_before_any_step(smoke, tmp_path):
    path = smoke / "params" / "smoke_wrong.yaml"
    path.write_text((smoke / "params" / "smoke.yaml").read_text().replace("n_resamples", "n_resampels"))
    done = run(smoke, "smoke_wrong")
    path.unlink()
    assert done.returncode == 1
    assert steps(done) == []
    assert "'n_resampels' is unknown. Did you mean 'n_resamples'?" in done.stderr


def test_a_run_ends_with_the_page_to_open(smoke):
    done = run(smoke, "smoke")
    result, page = done.stdout.strip().splitlines()
    assert re.fullmatch(r"smoke: .+: AUC 0\.\d\d \(95 % CI .+\) in \d+ patients, .+ \(SIMULATED\)", result)
    assert re.fullmatch(r"Open reports/smoke/index\.html \(\d+ min \d+ s\)", page)


def test_fine_tuning_runs_side_by_side_from_activations_made_once(smoke):
    """Two labels at once, like outer folds: neither may read a file that the other has half written."""
    written = (smoke / "params" / "smoke.yaml").read_text()
    written = written.replace("protocols: [holdout, nested]", "protocols: [holdout]")
    written = re.sub(r"\n06_stability:\n(?:  .*\n)+", "\n", written)
    fine = "  depth: last_block\n  fine_tuning: {learning_rate: 0.00001, epochs: 1, batch_size: 16}"
    written = written.replace("patience: 2", f"patience: 2\n{fine}\n  shown_patients: 2")
    fewer = "n_screened: 60\n  n_included: 50\n  n_good: 20"
    written = re.sub(r"n_screened: .*\n  n_included: .*\n  n_good: .*", fewer, written)
    (smoke / "params" / "deep.yaml").write_text(written)
    parts = [f"holdout-1-{label}" for label in ("revised", "standard")]
    targets = [part for r in parts for part in ("--target", f"build/deep/scores_cnn_{r}.csv")]
    done = run(smoke, "deep", "--cores", "2", *targets)
    (smoke / "params" / "deep.yaml").unlink()
    assert done.returncode == 0, done.stderr
    kept = list((smoke / "build" / "deep" / "features").glob("*-last_block.npy"))
    assert len(kept) == 1
    for r in parts:
        executed = nbformat.read(smoke / "reports" / "deep" / f"03_cnn_{r}.ipynb", as_version=4)
        started = executed.metadata.papermill.start_time
        assert kept[0].stat().st_mtime < datetime.fromisoformat(started).timestamp()
        assert "the head and the last block" in str(executed.cells)


def test_no_identifier_reaches_the_report(smoke):
    patients = pd.read_csv(smoke / "build" / "smoke" / "data" / "patients.csv", dtype=str)["patient_id"]
    shown = []
    for path in (smoke / "reports").rglob("*"):
        if path.suffix in {".html", ".ipynb", ".csv", ".json", ".svg"}:
            text = path.read_text(encoding="utf-8")
            shown += [f"{path.name}: {p}" for p in patients if p in text]
    assert shown == []


def test_no_number_of_a_table_is_shown_in_full(smoke):
    for page in (smoke / "reports" / "smoke").glob("*.html"):
        cells = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("table.data td")
        assert not [c.text for c in cells if re.search(r"\d\.\d{6}", c.text)], page.name


def test_no_path_of_the_machine_reaches_the_report(smoke):
    places = {str(smoke), str(Path.home()), sys.prefix}
    for path in (smoke / "reports").rglob("*"):
        if path.suffix in {".html", ".csv", ".json", ".svg"}:
            text = path.read_text(encoding="utf-8")
            assert not [p for p in places if p in text], path.name


def test_numbers_are_kept_by_name(smoke):
    numbers = json.loads((smoke / "reports" / "smoke" / "numbers.json").read_text())
    assert len(numbers) > 20


def test_notebooks_are_narrative_and_calls():
    import ast

    import jupytext

    for name in load.NOTEBOOKS:
        for cell in jupytext.read(ROOT / "notebooks" / f"{name}.py").cells:
            if cell.cell_type != "code":
                continue
            tree = ast.parse(cell.source)
            kinds = [type(node).__name__ for node in ast.walk(tree)]
            assert not {"FunctionDef", "ClassDef", "Try", "While"} & set(kinds), name
            loops = [n for n in ast.walk(tree) if isinstance(n, ast.For)]
            assert not [m for n in loops for m in ast.walk(n) if isinstance(m, ast.For) and m is not n], name
            assert not re.search(r"import warnings|filterwarnings|simplefilter", cell.source), name


def test_papermill_by_hand_explains_the_parameters(tmp_path):
    import jupytext

    place = tmp_path / "05_evaluation.ipynb"
    jupytext.write(jupytext.read(ROOT / "notebooks" / "05_evaluation.py"), place)
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--help-notebook", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for parameter in schema.declared_parameters("05_evaluation").values():
        assert parameter.name in done.stdout
        assert parameter.help in " ".join(done.stdout.split())


def test_a_module_is_followed_to_what_it_needs():
    needed = {p.name for p in stale.modules_of(ROOT / "notebooks" / "02_gwr.py")}
    assert {"gwr.py", "page.py", "places.py", "estimate.py"} <= needed
    assert not {"fit.py", "stacking.py", "tabular.py"} & needed
    assert "contract.yaml" in {p.name for p in stale.modules_of(ROOT / "notebooks" / "01_cohort.py")}
    network = {
        p.name for p in stale.modules_of(ROOT / "lib" / "postarrest" / "models" / "cnn" / "finetune.py")
    }
    assert {"weights.py", "embedded.py", "reader.npz"} <= network
