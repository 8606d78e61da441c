"""The HTML report, read as a reader would see it."""

import io
import json
import re
import shutil

import docx
import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from postarrest import places
from postarrest.pipeline import steps
from postarrest.report import body, cards, site, summary
from postarrest.report.body import PageError
from postarrest.study import load
from postarrest.study.runs import runs as runs_of
from report_project import make, run_all, written


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A study of both protocols with its pages written."""
    return written(tmp_path_factory.mktemp("project"))


def soup(root, name):
    return BeautifulSoup((root / "reports" / "tiny" / name).read_text(), "html.parser")


def test_runs_in_reading_order(built):
    held = load.load("tiny", root=built)
    assert [r.name for r in runs_of(held)] == [
        "01_cohort",
        "02_gwr",
        "02_gwr_automatic",
        "03_cnn_holdout-1-revised",
        "03_cnn_holdout-1-standard",
        "03_cnn_holdout_all-1-revised",
        "03_cnn_outer-1-revised",
        "03_cnn_outer-2-revised",
        "03_cnn_outer_all-1-revised",
        "04_stacking_outer-1",
        "04_stacking_outer-2",
        "04_stacking_outer_all-1",
        "05_evaluation",
        "A1_simulation",
    ]


def test_every_page_says_that_another_network_was_used(tmp_path, monkeypatch):
    root = make(tmp_path / "project")
    place = root / "build/tiny/features.json"
    place.parent.mkdir(parents=True)
    circular = "pretrained on heads of the same kind of simulation, with other settings and seeds"
    weights = f"VGG19's ImageNet weights were not available; the network used is another ({circular})"
    used = {"architecture": "embedded", "weights": "embedded", "instead_of": "VGG19"}
    record = {"used": used, "network": "embedded network", "source": "embedded"}
    place.write_text(json.dumps(record | {"weights": weights, "circular": circular}))
    run_all(root, monkeypatch)
    written = site.write_study("tiny", root=root)
    site.write_home(root=root)
    for path in [*written, root / "reports/index.html"]:
        page = BeautifulSoup(path.read_text(), "html.parser")
        assert weights in page.find(class_="notice").text, path.name
    report = root / "reports/tiny"
    assert circular in soup(root, "index.html").find("h2", id="judged").find_next("p").parent.text
    assert json.loads((report / "summary.json").read_text())["source"] == "embedded"
    methods = (report / "manuscript/methods.md").read_text()
    assert "was the input of the embedded network. This is the encoder of a U-Net" in methods
    assert "VGG19 with ImageNet weights had been planned, but these weights were not available." in methods
    assert f"The network was {circular}, so that its results in these simulated patients" in methods
    assert "the central 160 x 160 pixels of the slice resized to 171 x 171" in methods
    assert "and head CT (embedded network)." in methods
    supplement = docx.Document(report / "manuscript/supplement.docx")
    assert circular in supplement.sections[0].header.paragraphs[0].text


def test_every_page_stands_alone(built):
    for path in sorted(built.glob("reports/**/*.html")):
        page = BeautifulSoup(path.read_text(), "html.parser")
        assert not page.find_all(["link", "iframe", "object"]), path.name
        for tag in page.find_all(src=True):
            assert tag["src"].startswith("data:")
        assert "url(" not in page.find("style").text and "@import" not in page.find("style").text
        assert "http" not in re.sub(r"data:image/[^\"]+", "", str(page)).replace("http-equiv", "")


def test_every_link_leads_somewhere(built):
    for path in sorted(built.glob("reports/**/*.html")):
        page = BeautifulSoup(path.read_text(), "html.parser")
        for link in page.find_all("a", href=True):
            file, _, anchor = link["href"].partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path.name} links to {link['href']}"
            if anchor:
                there = BeautifulSoup(target.read_text(), "html.parser")
                assert there.find(id=anchor), f"{path.name} links to {link['href']}"


def test_ids_are_unique_and_pages_have_their_landmarks(built):
    for path in sorted(built.glob("reports/**/*.html")):
        page = BeautifulSoup(path.read_text(), "html.parser")
        ids = [tag["id"] for tag in page.find_all(id=True)]
        assert len(ids) == len(set(ids)), path.name
        assert len(page.find_all("h1")) == 1 and page.find("main") and page.html["lang"] == "en"


def test_figures_and_tables_are_numbered_and_referred_to(built):
    page = soup(built, "05_evaluation.html")
    captions = [c.get_text(" ", strip=True) for c in page.find_all("figcaption")]
    assert captions == [
        "Table 5.1. Performance.",
        "Table 5.2. Pairs of models.",
        "Table 5.3. Thresholds.",
        "Table 5.4. A table.",
        "Table 5.5. A table.",
        "Table 5.6. A table.",
        "Table 5.7. A table.",
        "Figure 5.1. ROC curves.",
    ]
    assert page.find("a", href="#tab-performance").text == "Table 5.1"
    fold = soup(built, "04_stacking_outer-2.html")
    assert fold.find("a", href="#tab-hyperparameters-outer-2").text == "Table 4.1 (outer fold 2)"
    assert fold.find("a", href="01_cohort.html#tab-flow").text == "Table 1.1"
    assert "not of a part that this study does not have" in fold.find("main").get_text()


def test_the_runs_of_a_notebook_are_on_one_page_which_alone_is_in_the_reading_order(built):
    page = soup(built, "03_cnn.html")
    links = [a["href"] for a in page.find("ul", class_="runs").find_all("a")]
    assert links[:2] == ["03_cnn_holdout-1-revised.html", "03_cnn_holdout-1-revised.ipynb"]
    assert len(links) == 2 * 6
    items = [c.get_text(" ", strip=True) for c in page.find_all("figcaption")]
    assert {item[:40] for item in items} == {
        "Table 3.1. Hyperparameters chosen in eac",
        "Table 3.2. Scores counted in each run, a",
        "Figure 3.1. Mean Grad-CAM of 16 test pat",
        "Figure 3.2. Share of Grad-CAM attention ",
        "Figure 3.3. Mean Grad-CAM of 8 patients ",
        "Figure 3.4. Share of Grad-CAM attention ",
    }
    assert any("in 16 test patients of all outer folds" in item for item in items)
    assert any("in 8 patients of the hold-out set" in item for item in items)
    stack = soup(built, "04_stacking.html")
    heads = [h.text for h in stack.find("figure", id="tab-hyperparameters").find_all("th", scope="col")]
    assert heads[3:] == ["Outer fold 1", "Outer fold 2", "All patients, for the frozen model"]
    assert {f["id"] for f in stack.find_all("figure", class_="plot")} == {
        "fig-stacking-search-folds",
        "fig-stacking-scores-folds",
    }
    turn = [a["href"] for a in stack.find("nav", class_="turn").find_all("a")]
    assert turn == ["03_cnn.html", "05_evaluation.html"]
    fold = soup(built, "04_stacking_outer-2.html").find("nav", class_="turn")
    assert [a["href"] for a in fold.find_all("a")] == ["04_stacking.html"]
    listed = [a["href"] for a in soup(built, "index.html").find("ol", class_="pages").find_all("a")]
    assert "04_stacking.html" in listed and "04_stacking_outer-2.html" not in listed


def test_code_is_there_and_folded(built):
    code = soup(built, "05_evaluation.html").find("details", class_="code")
    assert not code.has_attr("open") and "page.show()" in code.text


def test_the_head_says_what_was_computed_with_what(built):
    page = soup(built, "03_cnn_holdout-1-revised.html")
    assert page.find(class_="simulated").find("strong").text == "SIMULATED"
    head = dict(
        zip(
            [t.text for t in page.find(class_="box").find_all("dt")],
            [t.text for t in page.find(class_="box").find_all("dd")],
            strict=True,
        )
    )
    assert head["Part"] == "hold-out split 1, revised outcome"
    assert "5 (simulation)" in head["Seed"] and "Python 3." in head["Versions"]
    assert head["Run"] == "2026-01-31 12:34, 12 s"
    parameters = {row.find("th").text for row in page.find(class_="box").find("tbody").find_all("tr")}
    assert {"split", "precision", "weights", "seed"} <= parameters


def test_the_index_gives_the_main_result_from_the_tables(built):
    page = soup(built, "index.html")
    result = page.find(class_="result").text
    assert result.startswith(
        "Ensemble (random forest) discriminated good from poor outcome with a mean AUC over the outer "
        "folds of 0.82 (95 % CI 0.74 to 0.88) in 90 patients not used for fitting, 36 of them"
    )
    assert "the AUC was 0.70 (95 % CI 0.61 to 0.78) for OHCA variables;" in result
    assert "the difference was 0.12 (95 % CI 0.02 to 0.22), P = .02 (primary comparison)." in result
    judged = page.find("h2", id="judged").find_next_siblings("p", limit=2)
    thresholds, limits = (p.text for p in judged)
    assert thresholds.startswith("Thresholds. At the threshold") and "20 of 54 poor outcomes" in thresholds
    assert "0 of 36 patients with a good outcome" in thresholds
    assert limits.startswith("Limits. Performance in other hospitals is unknown")
    numbers = json.loads((built / "reports/tiny/numbers.json").read_text())
    assert numbers["index.auc"]["value"] == 0.82 and numbers["index.auc_difference"]["lower"] == 0.02
    assert numbers["05_evaluation.n"]["value"] == 90
    assert page.find("figure", id="fig-roc").find("img")["alt"] == "Curves above chance."
    assert "110 were screened and 90 included, 36 of them with a good outcome." in page.text


def test_every_number_of_the_main_result_is_kept(built):
    result = " ".join(json.loads((built / "reports/tiny/summary.json").read_text())["sentences"])
    # The level of an interval, and what the guideline limits, are no results.
    text = result.replace("95 % CI", "").replace("upper 95 % confidence limit", "")
    stated = {float(n) for n in re.findall(r"(?<![\w.])\d*\.?\d+", text)}
    numbers = json.loads((built / "reports/tiny/numbers.json").read_text())
    kept = {
        round(abs(entry[part]), digits)
        for name, entry in numbers.items()
        if name.startswith("index.")
        for part in ("value", "lower", "upper")
        if entry[part] is not None
        for digits in (0, 1, 2, 3)
    }
    assert stated and stated <= kept


def test_folds_parts_are_joined_with_their_run(built):
    joined = pd.read_csv(built / "reports/tiny/tables/hyperparameters.csv")
    assert joined["run"].drop_duplicates().tolist() == [
        "holdout-1-revised",
        "holdout-1-standard",
        "holdout_all-1-revised",
        "outer-1-revised",
        "outer-2-revised",
        "outer_all-1-revised",
        "outer-1",
        "outer-2",
        "outer_all-1",
    ]


def test_the_home_page_lists_the_studies(built):
    home = BeautifulSoup((built / "reports/index.html").read_text(), "html.parser")
    assert home.find("a", href="tiny/index.html").text == "A small study"
    assert "SIMULATED" in home.text


def test_a_study_without_ct_says_so(tmp_path, monkeypatch):
    root = make(tmp_path, protocols="nested", modalities="")
    run_all(root, monkeypatch)
    site.write_study("tiny", root=root)
    text = soup(root, "index.html").find("main").text
    assert "the study has no head CT" in text and "no readings of gray and white matter" in text
    assert not (root / "reports/tiny/03_cnn.html").exists()


def test_a_scores_table_from_elsewhere_has_a_report_too(tmp_path, monkeypatch):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "their_scores.csv").write_text("patient_id\n")
    scores = str(tmp_path / "export" / "their_scores.csv")
    root = make(tmp_path / "project", protocols="", modalities="", scores=scores)
    run_all(root, monkeypatch)
    written = {p.name for p in site.write_study("tiny", root=root)}
    assert written == {"index.html", "05_evaluation.html", "manuscript.html"}
    text = soup(root, "index.html").text
    assert "SIMULATED" not in text and "the scores table 'their_scores.csv'" in text
    assert "it evaluates a scores table made elsewhere" in text


def test_a_fold_that_the_study_no_longer_has_leaves_the_report(tmp_path, monkeypatch):
    root = make(tmp_path, protocols="nested", modalities="", folds=3)
    run_all(root, monkeypatch)
    site.write_study("tiny", root=root)
    file = root / "params/tiny.yaml"
    file.write_text(file.read_text().replace("outer_folds: 3", "outer_folds: 2"))
    site.write_study("tiny", root=root)
    assert not (root / "reports/tiny/04_stacking_outer-3.html").exists()
    joined = pd.read_csv(root / "reports/tiny/tables/hyperparameters.csv")
    assert joined["run"].unique().tolist() == ["outer-1", "outer-2", "outer_all-1"]


def test_the_leakage_page_counts(built):
    text = soup(built, "leakage.html").find("main").get_text(" ", strip=True)
    assert "None. 270 scores and choices were counted, in 9 notebook runs (1 kinds of stage" in text


def test_there_is_no_leakage_page_for_models_fitted_elsewhere(built, tmp_path):
    """With a scores table alone, only thresholds are chosen here."""
    shutil.copytree(built, tmp_path / "project")
    here = places.Here("tiny", save_to="report", root=tmp_path / "project")
    pd.read_csv(here.table("leakage")).assign(run="thresholds").to_csv(here.table("leakage"), index=False)
    assert cards.leakage(here) is None


def test_leakage_is_shown_prominently(built, tmp_path):
    shutil.copytree(built, tmp_path / "project")
    here = places.Here("tiny", save_to="report", root=tmp_path / "project")
    # The second is of a base model behind the ensemble's inputs, in test patients.
    leaks = ("03_cnn", "outer-1-revised", "n_in_both", 4), ("04_stacking", "outer-2", "n_indirect", 2)
    for notebook, part, column, n in leaks:
        place = here.page(f"{notebook}_{part}")
        saved = json.loads(place.read_text())
        table = pd.read_csv(io.StringIO(saved["tables"]["leakage"][part])).assign(**{column: n})
        saved["tables"]["leakage"][part] = table.to_csv(index=False)
        place.write_text(json.dumps(saved))
    site.write_study("tiny", root=tmp_path / "project")
    text = soup(tmp_path / "project", "leakage.html").find("main").get_text(" ", strip=True)
    assert "LEAKAGE: 6 scores" in text and "No result of this report may be used." in " ".join(text.split())


def test_tripod_has_all_items_and_marks_what_is_open(built):
    page = soup(built, "tripod-ai.html")
    rows = [
        row for table in page.find("main").find_all("table") for row in table.find("tbody").find_all("tr")
    ]
    numbers = [row.find("th").text for row in rows]
    assert {int(n.rstrip("abcdefg")) for n in numbers} == set(range(1, 28))
    assert len(numbers) == len(set(numbers)) == 52
    for row in rows:
        met, left = row.find_all("td")[1:]
        assert met.get_text(strip=True) or left.find(class_="open"), row.find("th").text
    funding = next(row for row in rows if row.find("th").text == "18a")
    assert funding.find(class_="open").text == "Funding."


def test_probast_is_answered_from_this_run(built):
    page = soup(built, "probast-ai.html")
    rows = [
        row for table in page.find("main").find_all("table") for row in table.find("tbody").find_all("tr")
    ]
    found = {row.find("th").text: row.find("strong").text for row in rows}
    assert len(found) == 34
    assert found["D1.1"] == "Not met." and "All patients are simulated." in rows[0].text
    assert found["D4.1"] == "Not met." and found["E4.5"] == "Met."
    assert found["D1.2"] == "Only the authors can say."


def test_the_model_card_has_the_main_models_numbers(built):
    page = soup(built, "model-card.html")
    assert page.find("h1").text == "Model card: Ensemble (random forest)"
    cells = [c.text for c in page.find("main").find("table").find("tbody").find("tr").find_all("td")]
    assert cells == ["ROC-AUC", "0.82 (0.74 to 0.88)", "90", "36"]
    assert "Not for the care of patients" in page.text and "must not be used on anybody" in page.text


def test_the_index_says_why_simulated_numbers_replicate_nothing(built, tmp_path):
    shutil.copytree(built, tmp_path / "project")
    (tmp_path / "project/reports/tiny/tables/published.csv").write_text("paper,item\nA,AUC\n")
    site.write_study("tiny", root=tmp_path / "project")
    text = soup(tmp_path / "project", "index.html").text
    assert "It cannot show that the papers' findings are true, and it is no replication." in text


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    root = make(tmp_path_factory.mktemp("once") / "project", protocols="holdout", modalities="gwr")
    made = run_all(root, patch)
    patch.undo()
    return root, made


@pytest.fixture
def small(tmp_path, run_once):
    """A study without CT whose notebooks have run, and its notebooks, to be changed."""
    root, made = run_once
    shutil.copytree(root, tmp_path / "project")
    return tmp_path / "project", {name: n.copied(tmp_path / "project") for name, n in made.items()}


def refusal(root):
    with pytest.raises(PageError) as refused:
        site.write_study("tiny", root=root)
    assert not (root / "reports/tiny/index.html").exists()
    return str(refused.value)


def test_a_killed_notebook_is_refused(small):
    root, made = small
    made["01_cohort"].save(ended=False)
    assert "01_cohort.ipynb did not run to its end" in refusal(root)


def test_all_reasons_are_reported_at_once(small):
    root, made = small
    notebook = nbformat.read(made["05_evaluation"].path, as_version=4)
    notebook.cells[-1].outputs = [v4.new_output("error", ename="ValueError", evalue="no scores")]
    nbformat.write(notebook, made["05_evaluation"].path)
    made["01_cohort"].path.unlink()
    result = refusal(root)
    assert "01_cohort.ipynb is missing" in result and "ValueError: no scores" in result


def test_a_picture_without_alternative_text_is_refused(small):
    root, made = small
    plot = v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="})
    cell = v4.new_code_cell("fig", outputs=[plot])
    made["01_cohort"].cells.append(cell)
    made["01_cohort"].save()
    assert "a picture has no alternative text" in refusal(root)


def test_a_path_of_the_machine_is_refused(small):
    root, made = small
    made["01_cohort"].markdown(f"The data lie in `{root}/secret`.")
    made["01_cohort"].save()
    assert f"01_cohort.html shows the path {root}" in refusal(root)


def test_a_parameter_that_is_a_path_is_shown_by_name(small):
    root, made = small
    notebook = made["05_evaluation"]
    notebook.given["scores_file"] = "/mnt/ward/exports/scores.csv"
    notebook.markdown("Read from /mnt/ward/exports/scores.csv.")
    notebook.save()
    site.write_study("tiny", root=root)
    text = (root / "reports/tiny/05_evaluation.html").read_text()
    assert "/mnt/ward" not in text and "scores.csv" in text


def test_an_identifier_is_refused(small):
    root, made = small
    here = places.Here("tiny", save_to="report", root=root)
    ids = pd.Index(["NARA-0007", "12", "1234567"], name="patient_id")
    pd.DataFrame({"y_good": [0, 1, 1]}, index=ids).to_parquet(here.out("cohort.parquet"))
    site.write_study("tiny", root=root)  # "12" may be any number
    (root / "reports/tiny/index.html").unlink()
    made["01_cohort"].markdown("Look at NARA-0007 and at 1234567.")
    made["01_cohort"].save()
    assert "shows the identifiers of 2 patients" in refusal(root)


def test_one_row_per_patient_is_refused(small, monkeypatch):
    root, made = small
    rows = pd.DataFrame({"patient_id": ["a"], "age_years": [70]})
    made["01_cohort"].show(monkeypatch, made["01_cohort"].page.table, rows, name="raw", caption="Raw.")
    made["01_cohort"].save()
    assert "tables/raw.csv has one row per patient" in refusal(root)


def test_a_page_that_is_too_large_is_refused(small):
    root, made = small
    cell = v4.new_output("display_data", data={"text/html": f"<p>{'x' * 3_100_000}</p>"})
    made["01_cohort"].cells.append(v4.new_code_cell("", outputs=[cell]))
    made["01_cohort"].save()
    assert "01_cohort.html has 3.1 MB" in refusal(root)


def test_what_is_printed_is_escaped_and_folded():
    cell = v4.new_code_cell("print(1)", outputs=[v4.new_output("stream", name="stdout", text="<b>1</b>")])
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Why?"), cell])
    printed = body.from_notebook(notebook, name="01_cohort").soup.find("details", class_="printed")
    assert printed.find("pre").text.strip() == "<b>1</b>" and not printed.has_attr("open")


def test_equal_headings_get_their_own_anchors():
    page = body.from_html("<h1>A</h1><h2>Who?</h2><h2>Who?</h2>", name="01_cohort")
    assert [h[1] for h in page.headings] == ["who", "who-2"]


def test_without_a_comparison_or_threshold_the_result_is_shorter(small):
    root, _ = small
    folder = root / "reports/tiny/tables"
    for name in ("comparisons", "thresholds"):
        (folder / f"{name}.csv").unlink()
    result = summary.of(load.load("tiny", root=root), folder)
    assert len(result.sentences) == 2 and list(result.further) == ["Limits"]
    assert result.further["Limits"].startswith("These intervals are conditional on the fitted models")
    assert result.sentences[1].endswith("the AUC was 0.70 (95 % CI 0.61 to 0.78) for GWR, average.")


def test_the_reason_is_given_where_no_threshold_meets_the_guideline(small):
    root, _ = small
    file = root / "reports/tiny/tables/thresholds.csv"
    thresholds = pd.read_csv(file).assign(tp=float("nan"), note="None: with 36 good outcomes it is 9.7 %.")
    thresholds.to_csv(file, index=False)
    result = summary.of(load.load("tiny", root=root), file.parent)
    assert result.further["Thresholds"].startswith("No threshold keeps the upper 95 % confidence limit")
    assert result.further["Thresholds"].endswith(
        "as the guideline requires: with 36 good outcomes it is 9.7 %."
    )


def test_a_study_that_was_not_evaluated_has_no_result(small):
    root, _ = small
    (root / "reports/tiny/tables/performance.csv").unlink()
    with pytest.raises(FileNotFoundError):
        summary.of(load.load("tiny", root=root), root / "reports/tiny/tables")


def test_the_command_reports_the_error_and_fails(capsys):
    assert steps.main(["pages", "--study", "no-such-study"]) == 1
    assert "No study 'no-such-study'" in capsys.readouterr().err


def test_no_home_without_a_report(tmp_path):
    with pytest.raises(PageError, match="No study has a report yet"):
        site.write_home(root=tmp_path)


def test_notebooks_are_not_changed(small):
    root, made = small
    before = made["01_cohort"].path.read_bytes()
    site.write_study("tiny", root=root)
    assert made["01_cohort"].path.read_bytes() == before
