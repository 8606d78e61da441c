"""Files for a manuscript, opened as its authors would open them."""

import io
import json
import re

import docx
import openpyxl
import pandas as pd
import pytest

from postarrest import places
from postarrest.report import environment, methods, office
from postarrest.report.office import Table
from postarrest.report.used import NO_NETWORK, UsedNetwork
from postarrest.study import load
from postarrest.words import column_in_words, model_in_words
from report_project import make
from report_project import written as write_report

DESCRIBED = {
    "python": "3.11.9",
    "system": "Linux x86_64",
    "processor": "a processor",
    "threads": 1,
    "versions": {"numpy": "2.4.6", "keras": "3.15.1"},
    "commit": "abc123",
    "changed": False,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("manuscript") / "project") / "reports/tiny"


def network(**changes):
    return UsedNetwork(
        **{"architecture": "VGG19", "name": "VGG19", "source": "none", "weights": "none"} | changes
    )


def simulated():
    return load.load("holdout", environment={})


def test_word_has_the_tables_as_the_report_shows_them(written):
    document = docx.Document(written / "manuscript/tables.docx")
    captions = [p.text for p in document.paragraphs if re.match(r"Table \d", p.text)]
    assert captions[0] == "Table 1.1. Flow & all."
    flow = document.tables[0]
    assert [c.text for c in flow.rows[0].cells] == ["Step", "Reason", "Patients, n"]
    assert [c.text for c in flow.rows[1].cells] == ["screened", "", "110"]
    assert "SIMULATED PATIENTS" in document.sections[0].header.paragraphs[0].text


def test_a_long_table_is_left_to_the_spreadsheet(written):
    document = docx.Document(written / "manuscript/tables.docx")
    assert "202 rows: see sheet threshold_sweep of the spreadsheet." in [p.text for p in document.paragraphs]
    book = openpyxl.load_workbook(written / "manuscript/tables.xlsx")
    assert book["threshold_sweep"].max_row == 205


def test_excel_has_every_table_with_its_numbers_whole(written):
    book = openpyxl.load_workbook(written / "manuscript/tables.xlsx")
    names = {p.stem for p in (written / "tables").glob("*.csv")}
    assert set(book.sheetnames) == names | {"contents"}
    sheet = book["comparisons"]
    rows = list(sheet.iter_rows(min_row=3, values_only=True))
    found = pd.DataFrame(rows[1:], columns=rows[0])
    saved = pd.read_csv(written / "tables/comparisons.csv")
    assert list(found) == [column_in_words(column) for column in saved]
    assert set(found["Model A"]) == {model_in_words(model) for model in saved["model_a"]}
    numbers = saved.select_dtypes("number")
    of_numbers = found[[column_in_words(column) for column in numbers]]
    pd.testing.assert_frame_equal(of_numbers.set_axis(numbers.columns, axis=1), numbers, check_dtype=False)
    listed = [row[1] for row in book["contents"].iter_rows(min_row=4, values_only=True)]
    assert set(listed) == names


def test_the_supplement_has_s1_to_s7_in_one_file(written):
    book = openpyxl.load_workbook(written / "manuscript/supplement.xlsx")
    assert book.sheetnames == ["contents", "S1", "S2", "S3", "S4", "S5", "S6", "S7"]
    predictors = {row[2]: row for row in book["S1"].iter_rows(min_row=4, values_only=True)}
    assert predictors["No-flow time, min"][0] == "OHCA variables"
    assert predictors["No-flow time, min"][4] in (12, "12")
    assert {row[0] for row in book["S3"].iter_rows(min_row=4, values_only=True)} == {"Pupils"}
    assert {row[0] for row in book["S2"].iter_rows(min_row=4, values_only=True)} == {"OHCA variables"}
    heads = [cell.value for cell in next(book["S2"].iter_rows(min_row=3, max_row=3))]
    assert heads[3:] == ["Outer fold 1", "Outer fold 2", "All patients, for the frozen model"]
    assert book["S6"].max_row == 104  # the ensemble's alone
    document = docx.Document(written / "manuscript/supplement.docx")
    captions = [p.text[:8] for p in document.paragraphs if p.text.startswith("Table S")]
    assert captions == [f"Table S{i}" for i in range(1, 8)]


def test_the_manuscript_cites_each_table_and_figure_where_it_stands(written):
    document = docx.Document(written / "manuscript/manuscript.docx")
    texts = [p.text for p in document.paragraphs]
    run = json.loads((written / "summary.json").read_text())["run_hash"]
    assert any(f"Study tiny, run {run}" in text for text in texts)
    assert document.sections[0].footer.paragraphs[0].text == f"Study tiny, run {run}"
    headings = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    assert headings == ["Methods", "Results", "Limitations"]
    captions = [i for i, p in enumerate(document.paragraphs) if p.style.name == "Caption"]
    fields = {f for p in document.paragraphs for f in p._p.xpath("w:fldSimple/@w:instr")}
    assert fields == {"SEQ Table \\* ARABIC", "SEQ Figure \\* ARABIC"}
    cited = [text for text in texts if re.match(r"(Table|Figure) \d+ (shows|gives|compares)", text)]
    assert len(cited) == len(captions)
    comparisons = next(t for t in document.tables if t.rows[0].cells[0].text == "Model A")
    p_value = comparisons.rows[1].cells[3].paragraphs[0]
    assert [(r.text, bool(r.font.superscript)) for r in p_value.runs] == [(".02", False), ("a", True)]
    assert "a DeLong, for the procedure." in texts


def test_the_same_report_gives_the_same_files(written):
    held = simulated()
    tables = [Table("Table 1", "One.", pd.DataFrame({"a": [0.5, 1.25], "b": ["x", "y"]}), "one")]
    assert office.word(held, tables) == office.word(held, tables)
    first = office.excel(held, tables)
    assert first == office.excel(held, tables)
    assert openpyxl.load_workbook(io.BytesIO(first)).properties.created.year == 1980


def test_a_text_that_looks_like_a_formula_stays_a_text():
    tables = [Table("Table 1", "One.", pd.DataFrame({"a": ["=1+1", "-0.5", "<0.001"]}), "one")]
    sheet = openpyxl.load_workbook(io.BytesIO(office.excel(simulated(), tables)))["one"]
    assert [sheet.cell(row, 1).value for row in (4, 5, 6)] == ["'=1+1", "−0.5", "<0.001"]


def test_a_spreadsheet_has_words_for_infinity_and_links_from_its_contents():
    data = pd.DataFrame({"lr_positive": [2.5, float("inf"), None], "n": [1, 2, 3]})
    book = openpyxl.load_workbook(io.BytesIO(office.excel(simulated(), [Table("T", "One.", data, "one")])))
    sheet = book["one"]
    assert [sheet.cell(row, 1).value for row in (4, 5, 6)] == [2.5, "inf", None]
    assert [sheet.cell(row, 2).number_format for row in (4, 5)] == ["General", "General"]
    assert sheet["A4"].number_format == "0.00##"
    assert sheet["A3"].font.bold
    assert book["contents"]["B4"].hyperlink.target == "#'one'!A1"


def test_word_escapes_what_xml_would_take_for_its_own():
    tables = [Table("Table 1", "a < b & c", pd.DataFrame({"p": ["<0.001 & more"]}), "one")]
    document = docx.Document(io.BytesIO(office.word(simulated(), tables)))
    assert document.tables[0].rows[1].cells[0].text == "<0.001 & more"


def test_methods_are_those_of_the_parameters():
    held = load.load("holdout", environment={})
    text = dict(methods.methods(held, DESCRIBED, network=network(weights="ImageNet"), root=places.ROOT))
    assert set(text) == {
        "Patients and outcome",
        "Training, tuning and hold-out sets",
        "Gray-to-white-matter ratio",
        "Network on head CT",
        "Statistical analysis",
        "Software",
    }
    assert f"seed {held.sections['splits']['seed']}" in text["Training, tuning and hold-out sets"]
    assert (
        "a training set (64 %), a tuning set (16 %) and a hold-out set (20 %"
        in text["Training, tuning and hold-out sets"]
    )
    described = text["Network on head CT"]
    assert "was the input of VGG19. It had ImageNet. It received the central 224 x 224 pixels" in described
    assert "and was run in single precision." in described
    assert "Not searched were batch size (32) and epochs (60)." in described
    # Sentences, without a parameter's name and value in parentheses.
    assert "rotation by up to 10° either way" in described and "deg" not in described
    assert "erasing of a patch of 10 to 25 % of the image, with a probability of 0.3." in described
    assert "Python 3.11.9 with numpy 2.4.6 and keras 3.15.1" in text["Software"]
    assert "commit abc123." in text["Software"]


def test_methods_of_a_network_that_is_trained_further_say_how():
    held = load.load("holdout", environment={})
    held.sections["03_cnn"] |= {"depth": "last_block", "copies": 0}
    text = dict(methods.methods(held, DESCRIBED, network=network(), root=places.ROOT))["Network on head CT"]
    assert "computed once for each slice, without augmented copies." in text
    held.sections["03_cnn"] |= {"augmentation": {"shift": 0.05, "zoom": 0.1}, "copies": 1}
    changed = dict(methods.methods(held, DESCRIBED, network=network(), root=places.ROOT))
    assert "1 augmented copy of it. Copies were changed" in changed["Network on head CT"]
    assert "shift by up to 5 % of the image either way" in changed["Network on head CT"]
    assert "and zoom by up to 10 % either way." in changed["Network on head CT"]
    assert "for 10 epochs at a learning rate of 1e-05 in batches of 16." in text


def test_methods_follow_a_changed_parameter():
    held = load.load("ensemble", environment={})
    held.sections["04_stacking"]["trials"] = 77
    held.sections["splits"]["outer_folds"] = 9
    text = dict(methods.methods(held, DESCRIBED, network=network(), root=places.ROOT))
    assert "in 77 trials" in text["Base models and ensemble"]
    assert "9 outer and" in text["Nested cross-validation"]
    assert "no-flow time, low-flow time, creatinine and lactate" in text["Base models and ensemble"]


def test_methods_of_a_study_without_images_have_no_network(tmp_path):
    root = make(tmp_path / "project", protocols="nested", modalities="")
    held = load.load("tiny", root=root)
    text = dict(methods.methods(held, environment.describe(root=root), network=NO_NETWORK, root=root))
    assert "Network on head CT" not in text and "Gray-to-white-matter ratio" not in text
