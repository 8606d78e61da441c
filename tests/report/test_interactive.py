"""What the script of the pages needs, and that it is the only one that may run."""

import base64
import hashlib
import json
import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from postarrest.report import interactive, manifest
from postarrest.report.rendering import TEMPLATES
from report_project import written

SCRIPT = (TEMPLATES / "page.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return written(tmp_path_factory.mktemp("project")) / "reports" / "tiny"


def soup(report, name):
    return BeautifulSoup((report / name).read_text(encoding="utf-8"), "html.parser")


def embedded(report, page, name):
    return json.loads(soup(report, page).find("script", id=name).string)


def test_the_script_is_small_and_fetches_nothing():
    assert len(SCRIPT.encode()) < 15_000
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\b|eval\(|localStorage|cookie", SCRIPT)


def test_every_page_allows_this_script_alone_by_its_hash(report):
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    paths = [*report.glob("*.html"), report.parent / "index.html"]
    assert len(paths) > 10
    for path in paths:
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
        assert policy.split("; ") == [
            "default-src 'none'",
            "img-src data:",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{digest}'",
        ]
        kinds = [script.get("type") for script in page.find_all("script")]
        assert kinds.count(None) == 1 and set(kinds) <= {None, "application/json"}, path.name
        assert page.find("script", type=False).string == SCRIPT


def test_the_slider_has_the_numbers_of_the_tables(report):
    data = embedded(report, "05_evaluation.html", "sweep")
    sweep = pd.read_csv(report / "tables" / "threshold_sweep.csv")
    benefit = pd.read_csv(report / "tables" / "decision_curve.csv")
    options = soup(report, "05_evaluation.html").find(id="slider").find_all("option")
    assert [o.text for o in options] == ["Ensemble (random forest)", "OHCA variables"]
    for option, model in zip(options, ("ensemble", "ohca"), strict=True):
        shown = pd.DataFrame(data["series"][int(option["value"])]["rows"], columns=data["columns"])
        saved = sweep[sweep["model"] == model].reset_index(drop=True)
        assert len(shown) == len(saved) == 101
        for column in ("threshold", "tp", "fp", "fn", "tn"):
            assert shown[column].tolist() == saved[column].tolist()
        for column in interactive.COLUMNS[5:-2]:
            expected = (100 * saved[column]).round(1)
            pd.testing.assert_series_equal(shown[column], expected, check_dtype=False)
        mine = benefit[benefit["model"] == model].set_index("threshold")
        drawn = shown.set_index("threshold").loc[mine.index]
        for column in ("net_benefit", "treat_all"):
            assert drawn[column].tolist() == mine[column].round(4).tolist()
        assert shown[["net_benefit", "treat_all"]].iloc[[0, -1]].isna().all(axis=None)


def test_the_slider_starts_at_the_models_own_threshold():
    rows = {"outcome_label": "standard", "set": "pooled", "model": ["a", "b"], "threshold": 0.17}
    sweep = pd.DataFrame(rows | dict.fromkeys(["tp", "fp", "fn", "tn", *interactive.COLUMNS[5:-2]], 1))
    benefit = pd.DataFrame(rows | {"net_benefit": 0.1, "treat_all": 0.0})
    chosen = pd.DataFrame(rows | {"rule": "Spec-Max", "chosen_on": ["train_oof", "test"]})
    groups, series = interactive.sweep_rows(sweep, benefit, chosen)
    assert groups == {"Pooled patients, standard outcome label": [(0, "a"), (1, "b")]}
    # One chosen on the patients that it is judged in is no place to start.
    assert [of_model["start"] for of_model in series] == [17, 50]


def test_the_search_finds_headings_and_captions_of_every_page(report):
    entries = embedded(report, "index.html", "entries")
    assert {href.partition("#")[0] for _, _, href in entries} == {
        path.name for path in report.glob("*.html") if path.name != "index.html"
    }
    assert ["The patients", "Table 1.1. Flow & all.", "01_cohort.html#tab-flow"] in entries
    for _, _, href in entries:
        file, _, anchor = href.partition("#")
        assert not anchor or soup(report, file).find(id=anchor), href


def test_a_reference_to_another_page_has_its_table_at_hand(report):
    page = soup(report, "04_stacking_outer-2.html")
    kept = page.find("template", attrs={"data-of": "01_cohort.html#tab-flow"})
    assert "Flow & all." in kept.text and kept.find("table") and not kept.find(id=True)
    # That of the page itself is shown from the page.
    assert not page.find("template", attrs={"data-of": re.compile("hyperparameters")})


def test_pages_are_cited_by_the_hash_of_their_run(report):
    run = manifest.run_hash(json.loads((report / "manifest.json").read_text(encoding="utf-8")))
    for path in report.glob("*.html"):
        cited = soup(report, path.name).find(class_="cite").text
        assert cited.startswith("A small study. Report on simulated patients, computed 2026-01-31, run ")
        assert run in cited, path.name


def test_the_run_has_another_hash_after_a_change(report):
    recorded = json.loads((report / "manifest.json").read_text(encoding="utf-8"))
    changed = recorded | {"lock": {"requirements.lock": "0" * 64}}
    assert manifest.run_hash(changed) != manifest.run_hash(recorded)
