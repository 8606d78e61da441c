"""A report set against its manifest and against the kept numbers."""

import json
import shutil

import docx
import pandas as pd
import pytest

from postarrest.pipeline import compare, verify
from postarrest.report import manifest, site
from postarrest.study import load
from report_project import make, run_all


@pytest.fixture(scope="module")
def written_once(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    root = make(tmp_path_factory.mktemp("verify") / "project", protocols="holdout", modalities="gwr")
    run_all(root, patch)
    patch.undo()
    data = root / "build/tiny/data"
    (data / "ct").mkdir(parents=True)
    (data / "patients.csv").write_text("patient_id\nP1\n")
    (data / "ct" / "P1.png").write_bytes(b"png")
    (root / "build/tiny/scores.csv").write_text("patient_id,score\nP1,0.5\n")
    site.write_study("tiny", root=root)
    return root


@pytest.fixture
def report(written_once, tmp_path):
    shutil.copytree(written_once, tmp_path / "project")
    return tmp_path / "project"


def differing(root):
    found = manifest.check(load.load("tiny", root=root), root=root)
    return [(d.kind, d.file, d.what) for d in found]


def test_an_unchanged_report_agrees_with_its_manifest(report):
    assert differing(report) == []


def test_the_manifest_names_no_patient(report):
    recorded = json.loads((report / "reports/tiny/manifest.json").read_text())
    assert set(recorded["data"]) == {"patients.csv", "ct"}
    assert "P1" not in (report / "reports/tiny/manifest.json").read_text()


@pytest.mark.parametrize(
    ("file", "kind", "named"),
    [
        ("requirements.lock", "lock", "requirements.lock"),
        ("notebooks/01_cohort.py", "code", "notebooks/01_cohort.py"),
        ("build/tiny/data/ct/P1.png", "data", "ct"),
        ("build/tiny/scores.csv", "scores", "build/tiny/scores.csv"),
        ("reports/tiny/tables/performance.csv", "outputs", "tables/performance.csv"),
        ("reports/tiny/index.html", "outputs", "index.html"),
    ],
)
def test_a_changed_file_is_named(report, file, kind, named):
    path = report / file
    path.write_bytes(path.read_bytes() + b" ")
    assert differing(report) == [(kind, named, "changed")]


def test_causes_come_before_consequences(report):
    (report / "reports/tiny/tables/performance.csv").unlink()
    (report / "reports/tiny/tables/new.csv").write_text("a\n1\n")
    (report / "build/tiny/scores.csv").write_text("other")
    assert differing(report) == [
        ("scores", "build/tiny/scores.csv", "changed"),
        ("outputs", "tables/new.csv", "new"),
        ("outputs", "tables/performance.csv", "missing"),
    ]


def test_a_reviewer_without_the_data_checks_the_rest(report):
    shutil.rmtree(report / "build/tiny/data")
    (report / "build/tiny/scores.csv").unlink()
    assert differing(report) == []


def test_a_study_that_asks_for_its_data_is_verified_without(report):
    params = report / "params/tiny.yaml"
    params.write_text(params.read_text().replace("study:", "study:\n  data: ask", 1))
    study = load.load("tiny", root=report, environment={}, runs=False)
    assert [d.file for d in manifest.check(study, root=report)] == ["params/tiny.yaml"]
    # Named, they are compared.
    given = {"POSTARREST_DATA": str(report / "build/tiny/data")}
    (report / "build/tiny/data/patients.csv").write_text("other")
    study = load.load("tiny", root=report, environment=given, runs=False)
    assert [d.file for d in manifest.check(study, root=report)] == ["params/tiny.yaml", "patients.csv"]


def test_a_word_file_is_current_as_long_as_the_report_is_of_its_run(report, tmp_path):
    copy = tmp_path / "sent to a coauthor.docx"
    shutil.copy(report / "reports/tiny/manuscript/manuscript.docx", copy)
    passed, lines = verify.of_copy(copy, root=report)
    assert passed and "CURRENT" in lines[0]
    place = report / "reports/tiny/summary.json"
    tables = report / "reports/tiny/manuscript/tables.docx"
    assert verify.of_copy(tables, root=report)[0]
    run = json.loads(place.read_text())["run_hash"]
    place.write_text(place.read_text().replace(run, "0" * 12))
    passed, lines = verify.of_copy(copy, root=report)
    assert not passed and f"OUT OF DATE. It is from run {run} of the study tiny" in lines[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "no such file"), (b"PK no", "not a Word file"), ("", "does not say which run")],
)
def test_a_file_that_is_not_a_reports_is_refused_in_one_line(tmp_path, content, why):
    path = tmp_path / "other.docx"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        docx.Document().save(str(path))
    passed, (line,) = verify.of_copy(path, root=tmp_path)
    assert not passed and why in line


def snapshot(root):
    return verify.snapshot_of("tiny", root=root)


def elsewhere(kept):
    return kept | {"environment": kept["environment"] | {"processor": "another"}}


def tamper(root, column, position, value, table="performance"):
    path = root / f"reports/tiny/tables/{table}.csv"
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    cells.loc[position, column] = value
    cells.to_csv(path, index=False)


def test_the_same_report_passes(report):
    kept = snapshot(report)
    same = compare.compare(kept, snapshot(report))
    assert same.passed and same.same_machine and same.compared > 20 and not same.not_identical


def test_on_the_same_machine_a_last_digit_is_reported(report):
    kept = snapshot(report)
    tamper(report, "estimate", 0, "0.7000000001")
    comparison = compare.compare(kept, snapshot(report))
    assert not comparison.passed and comparison.not_identical == ["performance"]
    assert compare.compare(elsewhere(kept), snapshot(report)).passed


def test_a_trained_models_number_beyond_its_tolerance_is_reported(report):
    kept = elsewhere(snapshot(report))
    tamper(report, "estimate", 1, "0.85")
    found = compare.compare(kept, snapshot(report)).deviations
    assert [str(d) for d in found] == [
        "tables/performance.csv, row 2, estimate: expected 0.82, here 0.85 (trained)"
    ]


def test_a_markers_number_must_agree_except_for_the_last_digits(report):
    kept = elsewhere(snapshot(report))
    tamper(report, "estimate", 0, "0.70001")  # gwr_av
    assert [d.tolerance for d in compare.compare(kept, snapshot(report)).deviations] == ["computed"]


@pytest.mark.parametrize(
    ("page", "passes"),
    [("06_stability", True), ("07_subgroups", True), ("02_gwr_automatic", True), ("02_gwr", False)],
)
def test_what_a_trained_model_says_is_trained_on_every_page(page, passes):
    """Another processor changes the third digit of a trained model, and no digit of a reading by hand."""

    def with_value(value):
        csv = f"measure,estimate\nGWR-AV,{value}\n"
        table = {"page": page, "sha256": value, "csv": csv}
        return {"environment": {"processor": value}, "numbers": {}, "tables": {"one": table}}

    assert compare.compare(with_value("0.681"), with_value("0.683")).passed == passes


def test_counts_of_patients_must_agree(report):
    kept = elsewhere(snapshot(report))
    tamper(report, "n", 1, "91")
    tamper(report, "n", 2, "89", table="flow")
    assert [d.place for d in compare.compare(kept, snapshot(report)).deviations] == [
        "tables/flow.csv, row 3, n",
        "tables/performance.csv, row 2, n",
    ]


def test_words_must_be_the_same(report):
    kept = elsewhere(snapshot(report))
    tamper(report, "model", 1, "ensemble")
    assert [d.here for d in compare.compare(kept, snapshot(report)).deviations] == ["ensemble"]


def test_numbers_within_words_are_compared_as_numbers(report):
    tamper(report, "note", 0, "0.82 (95 % CI 0.74 to 0.88)", table="thresholds")
    kept = elsewhere(snapshot(report))
    tamper(report, "note", 0, "0.83 (95 % CI 0.74 to 0.88)", table="thresholds")
    assert compare.compare(kept, snapshot(report)).passed
    tamper(report, "note", 0, "0.86 (95 % CI 0.74 to 0.88)", table="thresholds")
    assert not compare.compare(kept, snapshot(report)).passed


def test_a_number_of_the_text_is_compared(report):
    kept = elsewhere(snapshot(report))
    place = report / "reports/tiny/numbers.json"
    numbers = json.loads(place.read_text())
    numbers["index.auc"]["value"] = 0.9
    del numbers["05_evaluation.n"]
    numbers["05_evaluation.made_up"] = numbers["05_evaluation.auc"]
    place.write_text(json.dumps(numbers))
    found = {d.place: d.here for d in compare.compare(kept, snapshot(report)).deviations}
    assert found == {
        "index.auc (value)": "0.9",
        "05_evaluation.n": "nothing",
        "05_evaluation.made_up": "a number",
    }


def test_missing_tables_rows_and_columns_are_reported(report):
    kept = elsewhere(snapshot(report))
    folder = report / "reports/tiny/tables"
    (folder / "comparisons.csv").unlink()
    pd.read_csv(folder / "performance.csv").iloc[:2].to_csv(folder / "performance.csv", index=False)
    pd.read_csv(folder / "flow.csv").drop(columns="reason").to_csv(folder / "flow.csv", index=False)
    found = {d.place: d.here for d in compare.compare(kept, snapshot(report)).deviations}
    assert found == {
        "tables/comparisons.csv": "nothing",
        "tables/flow.csv, columns": "step, n",
        "tables/performance.csv": "2 rows",
    }


def test_the_evaluation_alone_is_compared_alone(report):
    kept = elsewhere(snapshot(report))
    (report / "reports/tiny/tables/flow.csv").unlink()
    here = snapshot(report)
    here["numbers"] = {n: e for n, e in here["numbers"].items() if n.startswith("05_")}
    assert compare.compare(kept, here, only="05_evaluation").passed


def test_kept_numbers_are_read_back(report):
    place = verify.keep("tiny", root=report)
    assert place == report / "reports/expected/tiny.json"
    assert compare.compare(json.loads(place.read_text()), snapshot(report)).passed


def test_kept_numbers_are_those_of_one_source_of_weights(report):
    summary = report / "reports/tiny/summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"source": "embedded"}))
    assert verify.keep("tiny", root=report).name == "tiny-embedded.json"
    assert verify.missing("tiny", "imagenet", root=report) == (
        "There are no expected numbers of the study tiny with weights from the source 'imagenet'. "
        "There are some for: embedded."
    )


def test_what_a_search_chose_is_reported_but_no_error(report):
    folder = report / "reports/tiny/tables"
    (folder / "base_search.csv").write_text("trial,value\n1,0.7\n")
    kept = elsewhere(snapshot(report))
    (folder / "base_search.csv").write_text("trial,value\n1,0.9\n2,0.8\n")
    comparison = compare.compare(kept, snapshot(report))
    assert comparison.passed and comparison.not_compared == ["base_search"]


def test_the_command_reports_a_missing_study(capsys):
    assert verify.main(["--study", "no-such-study"]) == 1
    assert "No study 'no-such-study'" in capsys.readouterr().err
