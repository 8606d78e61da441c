"""What a notebook shows and saves."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from postarrest.estimate import Estimate
from postarrest.places import ROOT, Here
from postarrest.report import Page, environment, page, tables
from report_project import figure


@pytest.fixture
def shown(monkeypatch):
    collected = []
    monkeypatch.setattr(page, "display", collected.append)
    return collected


@pytest.fixture
def here(tmp_path):
    # The lock is read where the project is; results go elsewhere.
    (tmp_path / "requirements.lock").write_text((ROOT / "requirements.lock").read_text())
    return Here("tiny", save_to="report", root=tmp_path)


def test_a_table_is_shown_rounded_and_saved_in_full(shown, here):
    data = pd.DataFrame(
        {"model": ["cnn", "a<b"], "n_good": [13, 14], "estimate": [1 / 3, np.nan], "p": [0.0002, 0.04]}
    )
    Page(here, notebook="05_evaluation").table(data, name="performance", caption="All & sundry.")
    pd.testing.assert_frame_equal(pd.read_csv(here.table("performance")), data)
    table = BeautifulSoup(shown[0].data, "html.parser").find("figure", id="tab-performance")
    assert [h.text for h in table.find_all("th", scope="col")] == [
        "Model",
        "Good outcomes, n",
        "Estimate",
        "P value",
    ]
    assert [c.text for c in table.find_all("td")] == ["13", "0.33", "<.001", "14", "", ".04"]
    assert [h.text for h in table.find_all("th", scope="row")] == ["CNN on head CT", "a<b"]
    assert table.find("figcaption").text == "All & sundry."


def test_small_numbers_are_not_shown_as_zero_and_counts_not_as_fractions():
    cells, numeric = tables.for_readers(pd.DataFrame({"rate": [0.0003, 0.5], "n": [3.0, np.nan]}))
    assert numeric == [True, True]
    assert cells.to_numpy().tolist() == [["0.0003", "3"], ["0.50", ""]]


def test_a_column_that_is_the_same_in_all_rows_is_said_once_even_the_first():
    wide = pd.DataFrame({c: [1, 2, 3] for c in "abcdefgh"})
    wide.insert(0, "outcome_label", "revised")
    shown, said = tables.narrowed(wide)
    assert list(shown) == list("abcdefgh")
    assert said == "All rows: outcome label revised."
    alike = pd.DataFrame({c: [1, 1, 1] for c in "abcdefghi"})
    assert list(tables.narrowed(alike)[0]) == ["a"]


@pytest.mark.parametrize(("columns", "size"), [(6, ""), (9, "small"), (14, "broad")])
def test_a_table_is_printed_small_or_on_a_broad_page_rather_than_cut_off(columns, size):
    data = pd.DataFrame({f"sensitivity {k}": [0.5, k / 20] for k in range(columns)} | {"model": "cnn"})
    html = tables.table_html(data.assign(note="x" * 100), anchor="a", caption="A")
    assert BeautifulSoup(html, "html.parser").find("table")["class"] == ["data", *filter(None, [size])]


def test_a_part_of_a_table_waits_to_be_joined(shown, here):
    Page(here, notebook="04_stacking", part="outer-2").table(
        pd.DataFrame({"fold": [2]}), name="leakage", caption="None."
    )
    assert not here.table("leakage").exists()
    saved = json.loads(here.page("04_stacking_outer-2").read_text())
    assert saved["tables"] == {"leakage": {"outer-2": "fold\n2\n"}}


def test_a_figure_is_saved_in_three_formats_with_the_same_bytes_each_time(shown, here):
    own = Page(here, notebook="05_evaluation")
    kept = []
    for _ in range(2):
        own.figure(figure(), name="roc", caption="ROC.", alt='Above "chance".')
        kept.append({e: here.figure(f"roc.{e}").read_bytes() for e in ("svg", "pdf", "png")})
    assert kept[0] == kept[1]
    assert kept[0]["pdf"].startswith(b"%PDF") and kept[0]["png"].startswith(b"\x89PNG")
    image = BeautifulSoup(shown[0].data, "html.parser").find("img")
    assert image["alt"] == 'Above "chance".' and image["src"].startswith("data:image/svg+xml")


def test_notes_show_code(shown, here):
    data = pd.DataFrame({"p": [0.5]})
    Page(here, notebook="01_cohort").table(data, name="a", caption="A.", note="`p` is not <0.05.")
    note = BeautifulSoup(shown[0].data, "html.parser").find("p", class_="note")
    assert note.text == "p is not <0.05." and note.find("code").text == "p"


def test_a_standard_table_has_its_words_from_the_list(shown, here):
    own = Page(here, notebook="05_evaluation")
    own.standard_table(pd.DataFrame({"n": [90]}), name="evaluated")
    table = BeautifulSoup(shown[0].data, "html.parser").find("figure", id="tab-evaluated")
    assert table.find("figcaption").text.startswith("Patients in whom each model is evaluated")
    assert here.table("evaluated").is_file()
    with pytest.raises(KeyError):
        own.standard_table(pd.DataFrame({"n": [90]}), name="unknown")


def test_patients_of_fits_are_not_described_as_those_of_thresholds(shown, here):
    counted = pd.DataFrame({"stage": ["ohca: refitted model"], "n_indirect": [0]})
    own = Page(here, notebook="10_explanation")
    own.standard_table(counted, name="leakage", part="explanation", described="leakage_of_fits")
    table = BeautifulSoup(shown[0].data, "html.parser").find("figure", id="tab-leakage")
    assert "hyperparameters were chosen or a model was fitted" in table.find("figcaption").text
    assert "threshold" not in table.text and "Indirect, n: patients scored" in table.text
    # Every ledger of a notebook has these words; only the evaluation's rows are of thresholds.
    for path in (ROOT / "notebooks").glob("*.py"):
        calls = re.findall(r"standard_table\((.*name=\"leakage\".*)\)\n", path.read_text())
        assert all(("ledger" in path.read_text()) == ("leakage_of_fits" in call) for call in calls), path.name


def test_a_table_that_does_not_apply_is_left_out_with_the_reason(shown, here):
    own = Page(here, notebook="05_evaluation")
    own.standard_table(pd.DataFrame({"outcome_label": ["standard"]}), name="split_spread")
    own.standard_table(pd.DataFrame(columns=["outcome_label"]), name="split_spread")
    assert shown[-1].data == '<p class="absent">The hold-out split was not repeated in this study.</p>'
    assert not here.table("split_spread").exists()


def test_several_figures_are_named_by_key_and_captioned_by_label(shown, here):
    figs = {"revised_all": figure(), "standard_all": figure()}
    for key, fig in figs.items():
        fig.set_label(f"label {key}")
    Page(here, notebook="05_evaluation").figures(
        figs, name="roc", caption="ROC, {label}.", alt="Above.", main_first=True
    )
    drawn = [BeautifulSoup(one.data, "html.parser").find("figure") for one in shown]
    assert [one["id"] for one in drawn] == ["fig-roc", "fig-roc-standard-all"]
    assert drawn[1].find("figcaption").text == "ROC, label standard_all."
    assert here.figure("roc.svg").is_file() and here.figure("roc_standard_all.svg").is_file()


def test_png_has_300_dpi(shown, here):
    from PIL import Image

    Page(here, notebook="05_evaluation").figure(figure(), name="roc", caption="ROC.", alt="Above.")
    with Image.open(here.figure("roc.png")) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width == 1050


def test_a_large_drawing_is_shown_as_png(shown, here):
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    rng = np.random.default_rng(0)
    ax.scatter(*rng.random((2, 4000)))
    Page(here, notebook="02_gwr").figure(fig, name="cloud", caption="Cloud.", alt="A cloud.")
    assert BeautifulSoup(shown[0].data, "html.parser").find("img")["src"].startswith("data:image/webp")
    assert len(shown[0].data) < 300_000 < here.figure("cloud.svg").stat().st_size


def test_every_number_of_a_sentence_is_saved_with_its_unit_and_table(shown, here):
    Page(here, notebook="05_evaluation").text(
        "AUC {auc} ([](#tab-performance)), bias {bias} HU, {share} % of {n} in {where}.",
        table="performance",
        units={"bias": "HU", "share": "%"},
        auc=Estimate(0.8211, 0.7, 0.9),
        bias=np.float32(0.25),
        share=20.9,
        n=np.int64(321),
        where="all",
    )
    assert shown[0].data == (
        'AUC 0.82 (95 % CI 0.70 to 0.90) ([Table "performance"](#tab-performance)), bias 0.25 HU, '
        "20.90 % of 321 in all."
    )
    saved = json.loads(here.page("05_evaluation").read_text())["numbers"]
    assert set(saved) == {f"05_evaluation.{n}" for n in ("auc", "bias", "share", "n")}
    auc = {"value": 0.8211, "lower": 0.7, "upper": 0.9, "unit": "", "table": "performance"}
    assert saved["05_evaluation.auc"] == auc
    assert saved["05_evaluation.bias"]["unit"] == "HU" and saved["05_evaluation.share"]["unit"] == "%"
    assert saved["05_evaluation.n"]["value"] == 321 and isinstance(saved["05_evaluation.n"]["value"], int)


def test_units_and_tables_are_not_guessed_from_the_sentence(shown, here):
    Page(here, notebook="02_gwr").text("{bias} HU ([](#tab-gwr-reliability)).", bias=0.5)
    saved = json.loads(here.page("02_gwr").read_text())["numbers"]["02_gwr.bias"]
    assert saved["unit"] == "" and saved["table"] == ""


def test_the_same_sentence_about_several_models_saves_the_numbers_of_each(shown, here):
    own = Page(here, notebook="05_evaluation")
    for model, auc, n in (("cnn", Estimate(0.8, 0.7, 0.9), 64), ("gwr_av", Estimate(0.7, 0.6, 0.8), 60)):
        own.text("{auc} in {n}", of=model, auc=auc, n=n)
    saved = json.loads(here.page("05_evaluation").read_text())["numbers"]
    assert {name: entry["value"] for name, entry in saved.items()} == {
        "05_evaluation.auc_cnn": 0.8,
        "05_evaluation.n_cnn": 64,
        "05_evaluation.auc_gwr_av": 0.7,
        "05_evaluation.n_gwr_av": 60,
    }


def test_a_reference_reads_as_words_in_jupyterlab(shown, here):
    Page(here, notebook="01_cohort").text("See [](#fig-flow), [the table of patients](#tab-table1).")
    assert shown[0].data == 'See [Figure "flow"](#fig-flow), [the table of patients](#tab-table1).'


def test_a_table_without_rows_is_one_sentence(shown, here):
    Page(here, notebook="05_evaluation").table(
        pd.DataFrame({"model": []}), name="split_spread", caption="Spread over splits."
    )
    text = BeautifulSoup(shown[0].data, "html.parser")
    assert text.get_text().strip() == "This study has nothing for the table “Spread over splits.”"
    assert not text.find("table") and here.table("split_spread").read_text() == "model\n"


def test_yes_no_and_identifiers_are_shown_in_words(shown, here):
    data = pd.DataFrame({"set": ["holdout"], "recommended": [True], "model": ["ensemble_logistic"]})
    cells = tables.for_readers(data)[0].to_numpy().tolist()
    assert cells == [["hold-out", "yes", "Ensemble (logistic regression)"]]


def test_an_estimate_is_in_one_cell_with_its_limits():
    data = pd.DataFrame(
        {
            "slope": [0.8, np.nan],
            "slope_lower": [-0.5, np.nan],
            "slope_upper": [1.2, np.nan],
            "threshold": [0.31, 0.5],
            "threshold_min": [0.28, 0.5],
            "threshold_max": [0.35, 0.5],
            "fnr_upper": [0.05, 0.1],
        }
    )
    cells, numeric = tables.for_readers(data)
    assert list(cells) == [
        "Calibration slope (95 % CI)",
        "Threshold (range over folds)",
        "FNR, upper 95 % limit",
    ]
    assert cells.to_numpy().tolist() == [
        ["0.80 (−0.50 to 1.20)", "0.31 (0.28 to 0.35)", "0.05"],
        ["", "0.50", "0.10"],
    ]
    assert numeric == [True, True, True]


def test_a_sentence_names_a_model_as_the_tables_do(shown, here):
    Page(here, notebook="05_evaluation").text("{model}: {change}", model="gwr_av", change=-0.25)
    assert shown[0].data == "GWR, average: −0.25"


def test_a_sentence_without_its_number_is_refused(shown, here):
    with pytest.raises(KeyError, match="auc"):
        Page(here, notebook="05_evaluation").text("AUC {auc}.")


def test_what_is_not_defined_is_null(shown, here):
    Page(here, notebook="05_evaluation").number("slope", float("nan"), table="calibration")
    kept = json.loads(here.page("05_evaluation").read_text())["numbers"]
    assert kept["05_evaluation.slope"]["value"] is None


def test_a_page_notes_what_it_is_computed_with(here):
    Page(here, notebook="03_cnn", part="outer-1-standard")
    noted = json.loads(here.page("03_cnn_outer-1-standard").read_text())["environment"]
    assert noted["versions"]["numpy"] == np.__version__
    assert noted["commit"] == "" and noted["changed"] is False  # the folder is not under version control


def test_versions_that_the_lock_does_not_have_are_named():
    lock = environment.read_lock(ROOT / "requirements.lock")
    assert len(lock) > 100
    installed = {"pandas": "1.0", "numpy": lock["numpy"][0], "elsewhere": "9"}
    assert environment.differences(installed, lock) == [f"pandas 1.0, lock says {lock['pandas'][0]}"]
