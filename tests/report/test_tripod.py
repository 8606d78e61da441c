"""TRIPOD+AI, PROBAST+AI, the model card and the methods say what the study is and what its pages found."""

from types import SimpleNamespace

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from postarrest.places import ROOT, Here
from postarrest.report import found, main_model, site, tripod
from postarrest.report.summary import Summary
from postarrest.study import load
from postarrest.study.schema import read_yaml
from report_project import make, run_all

CHECKLIST = read_yaml(ROOT / "docs" / "tripod-ai.yaml")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Pages of the study of a frozen model."""
    root = make(tmp_path_factory.mktemp("frozen"), protocols="", modalities="", model="build/other/model")
    (root / "build/other/model/manifest.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        run_all(root, patch)
    site.write_study("tiny", root=root)
    return root / "reports/tiny"


def rows(page):
    """The cells of a checklist's page, by item."""
    soup = BeautifulSoup(page.read_text(), "html.parser")
    found = [
        row for table in soup.find("main").find_all("table") for row in table.find("tbody").find_all("tr")
    ]
    cells = {row.find("th").text: row.find_all("td") for row in found}
    return {item: [" ".join(td.get_text(" ").split()) for td in of_item] for item, of_item in cells.items()}


def test_of_a_frozen_model_tripod_says_what_an_external_evaluation_is(frozen):
    shown = rows(frozen / "tripod-ai.html")
    assert "evaluation of a model that was fitted and frozen elsewhere" in shown["4"][1]
    assert shown["16"][1].startswith("This is an external evaluation")
    assert "with an AUC of 0.66 (95 % CI 0.61 to 0.71)" in shown["16"][1]
    assert "Split at random" not in shown["20c"][1] and shown["20c"][1].startswith("Table 8.1")
    # The study has no such page.
    assert not [item for item, cells in shown.items() if "leakage" in cells[1]]
    for item in ("12f", "24"):
        assert "these patients support a new intercept and slope" in shown[item][1]
        assert "not updated" not in shown[item][1]


def test_the_words_for_a_kind_of_study_leave_nothing_unsaid():
    values = dict.fromkeys(("update", "apart", "groups"), "Said.")
    items = [item for section in CHECKLIST["sections"] for item in section["items"]]
    for kind in tripod.KINDS:
        assert any(kind in item for item in items)
        shown = tripod.for_study(CHECKLIST, [kind], values)
        changed = [item for section in shown["sections"] for item in section["items"]]
        assert all(
            (item["met"] or item["open"]) and set(item) == {"item", "asks", "met", "open"} for item in changed
        )
        assert not [item for item in changed if "{" in item["met"]]
    # Without a kind, every study has the same words.
    plain = [item for section in tripod.for_study(CHECKLIST, [], {})["sections"] for item in section["items"]]
    assert [item["met"] for item in plain] == [item["met"] for item in items]


def test_of_a_frozen_model_probast_appraises_the_external_evaluation(frozen):
    shown = rows(frozen / "probast-ai.html")
    assert {cells[1] for item, cells in shown.items() if item.startswith("D")} == {
        "Not applicable. Fitted elsewhere."
    }
    assert shown["E4.1"][1].startswith("Met. External")
    text = BeautifulSoup((frozen / "probast-ai.html").read_text(), "html.parser").find("main").get_text(" ")
    assert "is an external one" in text and "within one cohort" not in text


def test_the_methods_tell_the_model_as_frozen_from_its_update(frozen):
    text = (frozen / "manuscript/methods.md").read_text()
    assert "all results are those of the model as it was frozen" in text
    assert "updates of the main model (a new intercept; a new intercept and slope) were examined" in text
    assert "It chose a new intercept and slope; the model with this update" in text
    assert "tuned or updated" not in text
    card = BeautifulSoup((frozen / "model-card.html").read_text(), "html.parser").get_text(" ")
    assert "these patients support a new intercept and slope" in card


def test_an_update_that_the_patients_do_not_support_is_not_said_to_be_frozen(tmp_path):
    here = Here("tiny", save_to="report", root=tmp_path)
    assert found.update(here) == {}
    here.out("update.json").write_text('{"kind": "none"}')
    here.table("updating").parent.mkdir(parents=True, exist_ok=True)
    here.table("updating").write_text("update\nnone\nintercept\n")
    update = found.update(here)
    assert update["supported"] == "" and update["examined"] == ["a new intercept"]
    assert "support none of them" in update["sentence"] and "frozen again" not in update["sentence"]


def test_what_was_found_in_groups_of_patients_is_where_it_is_asked_for(tmp_path, monkeypatch):
    root = make(tmp_path, protocols="holdout", modalities="gwr", further="07_subgroups: {least: 5}\n")
    run_all(root, monkeypatch)
    site.write_study("tiny", root=root)
    said = (
        "1 of 1 tests found a difference between groups after correction (Holm): Sex <b>, roc auc (P = 0.020)"
    )
    shown = rows(root / "reports/tiny/tripod-ai.html")
    assert said in shown["14"][1] and "Table 7.1" in shown["23a"][1] and shown["23a"][2] == ""
    card = BeautifulSoup((root / "reports/tiny/model-card.html").read_text(), "html.parser")
    assert said in " ".join(card.get_text(" ").split())
    assert "has not been established" not in card.text
    assert card.find("main").find("a", href="07_subgroups.html#tab-subgroups")


@pytest.mark.parametrize(
    ("p", "says"), [(0.4, "none of 1 tests found a difference"), (None, "No variable has two groups")]
)
def test_groups_without_a_difference_are_not_said_to_be_alike(tmp_path, p, says):
    here = Here("tiny", save_to="report", root=tmp_path)
    here.table("subgroups").parent.mkdir(parents=True, exist_ok=True)
    where = {"outcome_label": "standard", "set": "pooled"}
    row = where | {"model": "ensemble", "variable": "Sex", "level": "male", "metric": "oe", "rule": ""}
    table = pd.DataFrame(
        [row | {"p_interaction": p, "p_holm": p}, row | {"set": "all", "p_interaction": 0.001}]
    )
    table.to_csv(here.table("subgroups"), index=False)
    report = SimpleNamespace(
        study=SimpleNamespace(notebooks=("07_subgroups",)), here=here, result=Summary("ensemble", where)
    )
    assert says in found.in_groups(report)
    # A table that an earlier run left behind is not of this study.
    report.study.notebooks = ()
    assert found.in_groups(report) == ""


def test_without_a_page_of_groups_their_performance_is_not_established(frozen):
    card = BeautifulSoup((frozen / "model-card.html").read_text(), "html.parser").text
    assert "Performance by sex, age or other groups has not been established." in card
    assert "few good outcomes" in rows(frozen / "tripod-ai.html")["14"][2]


def test_the_card_of_a_ratio_is_not_that_of_the_network(tmp_path, monkeypatch):
    root = make(tmp_path, protocols="holdout", modalities="gwr, ct")
    run_all(root, monkeypatch)
    for path in (root / "reports/tiny/tables").glob("*.csv"):
        path.write_text(path.read_text().replace("gwr_av", "gwr_bg_auto").replace("cnn", "ohca_score"))
    site.write_study("tiny", root=root)
    soup = BeautifulSoup((root / "reports/tiny/model-card.html").read_text(), "html.parser")
    card = " ".join(soup.find("main").get_text(" ").split())
    assert "finds without a person. It is a measurement: nothing was fitted to outcomes." in card
    assert "Calibration and net benefit are those of probabilities, which it does not predict" in card
    assert "its results in these patients are circular" in card
    for wrong in (
        "only a head on its features",
        "clinical usefulness",
        "Which values are missing",
        "was fitted",
    ):
        assert wrong not in card.replace("nothing was fitted", ""), wrong


OHCA = {"algorithm": "lightgbm", "predictors": ["no_flow_min", "lactate_mmol_l"]}


@pytest.mark.parametrize(
    ("main", "says", "fitted", "network"),
    [
        ("ensemble", "calibrated by Platt scaling", True, True),
        ("ensemble_logistic", "logistic regression combines", True, True),
        ("super_learner", "A super learner", True, True),
        ("forest_all", "A random forest on the predictors", True, True),
        ("ensemble_updated", "update of it that was made in further patients", True, True),
        ("ct", "one head CT slice", True, True),
        ("cnn", "one head CT slice", True, True),
        ("ohca", "gradient-boosted trees, LightGBM, on no-flow time and lactate.", True, False),
        ("gwr_av", "regions that readers placed", False, False),
        ("gwr_ce_auto", "finds without a person", False, False),
        ("gwr_unmixed", "of pure tissue", False, False),
        ("ohca_score", "Adrie 2006", False, False),
        ("theirs", "which was fitted elsewhere", True, False),
    ],
)
def test_a_card_says_what_the_main_model_is_whatever_kind_it_is(main, says, fitted, network):
    study = load.load("ensemble", environment={})
    study.sections["04_stacking"]["base_models"] = {"ohca": OHCA, "ct": {"algorithm": "cnn"}}
    where = SimpleNamespace(root=ROOT)
    of = main_model.of(SimpleNamespace(study=study, result=Summary(main, {}), here=where))
    assert says in of.what and (of.fitted, of.network) == (fitted, network)
    assert of.automatic == (main in ("gwr_ce_auto", "gwr_unmixed"))
    assert of.tabular == (fitted and main not in ("ct", "cnn"))
