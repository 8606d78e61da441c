"""``make site-summary`` and ``make pool``: the page of a network, and summaries that cannot be pooled."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy.special import expit

from postarrest import places, scores
from postarrest.pipeline import network, steps
from postarrest.study import load


def hospital(root, name, *, seed, site=None, n=150):
    """A study of one hospital (or several) with its scores, and what it shares."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.5, 1.2, n)
    y = (rng.random(n) < expit(x + rng.normal(0, 0.3))).astype(int)
    ids = [f"{name}-{i:04d}" for i in range(n)]
    about = {"patient_id": ids, "y_good": y, "kind": "probability", "fold": 1, "role": "test"}
    table = pd.concat(
        [pd.DataFrame(about | {"model": m, "score": expit(x * s)}) for m, s in (("ensemble", 1), ("ct", 0.5))]
    )
    build = root / "build" / name
    build.mkdir(parents=True)
    scores.write(table, build / "scores.csv")
    cohort = pd.DataFrame({"y_good": y}, index=pd.Index(ids, name="patient_id"))
    if site:
        cohort["site"] = [site[i % len(site)] for i in range(n)]
    cohort.to_parquet(build / "cohort.parquet")
    (root / "params" / f"{name}.yaml").write_text(
        "study: {title: T, question: Q, protocols: [nested], modalities: [ct]}\n"
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two hospitals, the second of three sites, each with its summary."""
    (tmp_path / "params").mkdir()
    hospital(tmp_path, "one", seed=1)
    hospital(tmp_path, "two", seed=2, site=["Northgate", "Southgate", "Westgate"], n=300)
    loading, opening = load.load, places.open
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "open", lambda study, save_to: places.Here(study, save_to, tmp_path))
    notebooks = tmp_path / "notebooks"
    notebooks.symlink_to(opening("one").root / "notebooks")
    monkeypatch.setattr(load, "load", lambda name: loading(name, root=tmp_path, environment={}))
    for name in ("one", "two"):
        assert steps.main(["site-summary", name]) == 0
    return tmp_path


def summary(project, name):
    return project / "reports" / name / "site-summary.json"


def test_summaries_are_pooled_into_a_page(project, capsys):
    assert steps.main(["pool", *(str(summary(project, name)) for name in ("one", "two"))]) == 0
    page = BeautifulSoup((project / "reports/pool/index.html").read_text(), "html.parser")
    assert len(page.find_all("figure")) >= 2
    assert all(image["alt"] for image in page.find_all("img"))
    assert not re.search("northgate|southgate|westgate|one-0|two-0", str(page), re.I)
    sites = pd.read_csv(project / "reports/pool/tables/sites.csv")
    assert sites["site"].nunique() == 4
    assert {"hospital 1", "hospital 2, site 3"} <= set(sites["site"])
    together = pd.read_csv(project / "reports/pool/tables/pooled.csv").set_index(["model", "metric"])
    assert together.loc[("ensemble", "oe"), "n"] == 450
    assert "hospital 2:" in capsys.readouterr().out


def test_a_summary_names_no_hospital_and_no_patient(project):
    text = summary(project, "two").read_text()
    assert not re.search("northgate|southgate|westgate|two-0", text, re.I)
    assert [one["site"] for one in json.loads(text)["sites"]] == ["site 1", "site 2", "site 3"]


def changed(content, change):
    copy = json.loads(json.dumps(content))
    change(copy)
    return json.dumps(copy)


def negative(content):
    content["sites"][0]["models"]["ensemble"]["decisions"][0]["tn"] = -3


BAD = {
    "not JSON": (
        lambda c: "patient_id,y_good\nA,1\n",
        r"bad\.json: not JSON; expected a file of 'make site-summary'\.",
    ),
    "another format": (lambda c: '{"sites": []}', r"bad\.json: another format"),
    "newer": (
        lambda c: changed(c, lambda d: d.update(version=9)),
        r"bad\.json: version 9 of the format, expected 1",
    ),
    "other model": (
        lambda c: changed(c, lambda d: d.update(model="x")),
        r"bad\.json: the model is 'x', that of .*'procedure",
    ),
    "other outcome": (
        lambda c: changed(c, lambda d: d.update(outcome="x")),
        r"bad\.json: the outcome is 'x'",
    ),
    "negative count": (
        lambda c: changed(c, negative),
        r"bad\.json: sites\.0\.models\.ensemble\.decisions\.0\.tn: found -3; ",
    ),
    "unknown key": (lambda c: changed(c, lambda d: d.update(rows=[1])), r"bad\.json: rows: "),
    "nested": (lambda c: "[" * 10_000 + "]" * 10_000, r"bad\.json: not JSON"),
    "thousands of digits": (
        lambda c: json.dumps(c).replace('"version": 1', f'"version": {"7" * 5000}'),
        r"bad\.json: not JSON",
    ),
    "a text of a thousand signs as version": (
        lambda c: changed(c, lambda d: d.update(version="9" * 5000)),
        r"bad\.json: version 9{80} of the format",
    ),
    "no hospital": (
        lambda c: changed(c, lambda d: d.update(sites=[])),
        r"bad\.json: sites: list should have",
    ),
    "no text": (
        lambda c: changed(c, lambda d: d["sites"][0].update(site="a\ud800")),
        r"bad\.json: sites\.0\.site: found characters that cannot be printed",
    ),
    "a name of two lines": (
        lambda c: changed(c, lambda d: d["sites"][0].update(models={"a\nb": model_of(d)})),
        r"sites\.0\.models\.a\?b: found characters that cannot be printed",
    ),
    "hospital twice": (
        lambda c: changed(c, lambda d: d["sites"].append(d["sites"][0])),
        r"bad\.json: summary: found a hospital twice; expected each once",
    ),
    "too much hidden": (
        lambda c: changed(c, lambda d: d.update(suppressed_below=10**12)),
        r"suppressed_below: found 1000000000000; expected to be less than or equal to 100|suppressed_below",
    ),
    "more hidden than there are patients": (
        lambda c: changed(c, lambda d: d.update(suppressed_below=60)),
        r"found .* with counts hidden below 60",
    ),
    "does not add up": (
        lambda c: changed(c, lambda d: d["sites"][0].update(good=d["sites"][0]["good"] - 1)),
        r"sites\.0: found \d+ good and \d+ poor outcomes of 100 patients; expected as many together",
    ),
}


def model_of(content):
    return content["sites"][0]["models"]["ensemble"]


# A part of the first hospital's model, what is put there, and what the message says.
BAD_MODELS = [
    ("bins", [], "found a probability with other parts; expected sums, expected and 10 bins"),
    ("sums", None, "found a probability with other parts"),
    ("record.expected", None, "found a probability with other parts"),
    ("kind", "marker", "found a marker with other parts"),
    ("sums.fit", [1.0], "sums: found 1 and 3 numbers of fit and its information; expected 2 and 3"),
    ("sums.fit_information", [0.0, 0.0, 0.0], "sums: found an information of fit that is not above 0"),
    ("sums.squared_error", 1e9, "found squared_error 1e+09; expected 0 to 100 of 100 patients"),
    ("sums.squared_error", float("inf"), "found squared_error inf; expected 0 to 100"),
    ("sums.weight_xx", 0.0, "found a weight_x that is too large"),
    ("sums.residual", 0.25, "found residual 0.25; expected"),
    ("record.expected", -3.0, "found expected -3; expected 0 to 100"),
    ("record.expected", 101.0, "found expected 101; expected 0 to 100"),
    ("record.auc_variance", float("inf"), "record.auc_variance: found inf; expected"),
    ("record.auc", 1e-300, "found auc 1e-300; expected a share of"),
    ("record.auc_variance", 0.0, "found auc_variance 0; expected"),
    ("record.auc_variance", 0.2, "found auc_variance 0.2; expected"),
    ("record.n_good", 100, "found n_good 100 of n 100; expected at least 2 of each outcome"),
    ("record.slope_se", 0.0, "record.slope_se: found 0.0; expected"),
    ("bins.0.good", 10**9, "bins.0.good: found 1000000000; expected a whole number from 0 to 1,000,000"),
    ("bins.0.expected", None, "bins.0: found a bin that is hidden in part"),
    ("bins.0", {"good": "hidden", "poor": "hidden", "expected": 1.0}, "a bin that is hidden in part"),
    ("bins.0", {"good": 90, "poor": 0, "expected": 1.0}, "good outcomes in the bins; expected at most"),
    (
        "bins.0",
        {"good": 0, "poor": 1, "expected": 0.9},
        "found expected 0.9 of 1 patients in the bin 0 to 0.1",
    ),
    ("decisions.0.fp", "<7", "decisions at 0.5 do not add up|'<7' with counts hidden below 5"),
    ("decisions.0.chosen_on", "luck", "decisions.0.chosen_on: expected 'train_oof' or 'fixed'"),
    ("decisions.0.threshold", float("nan"), "decisions.0.threshold: found nan; expected a finite number"),
]


@pytest.mark.parametrize(("place", "value", "message"), BAD_MODELS)
def test_what_no_patients_can_give_is_not_pooled(project, capsys, place, value, message):
    content = json.loads(summary(project, "two").read_text())
    at = model_of(content)
    *way, last = (int(part) if part.isdigit() else part for part in place.split("."))
    for part in way:
        at = at[part]
    at[last] = value
    bad = project / "bad.json"
    bad.write_text(json.dumps(content))
    assert steps.main(["pool", str(summary(project, "one")), str(bad)]) == 1
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert said.startswith("bad.json: sites.0.models.ensemble") or "'<7'" in said
    assert any(words in said for words in message.split("|")), said
    assert not (project / "reports/pool").exists()


def test_one_name_means_one_kind_and_one_threshold(project, capsys):
    content = json.loads(summary(project, "two").read_text())
    decisions = content["sites"][0]["models"]["ensemble"]["decisions"]
    assert decisions[0]["rule"] == "0.5"
    decisions[0]["threshold"] = 0.4
    content["sites"][1]["models"]["ct"] |= {"kind": "marker", "sums": None, "bins": []}
    content["sites"][1]["models"]["ct"]["record"]["expected"] = None
    bad = project / "bad.json"
    bad.write_text(json.dumps(content))
    assert steps.main(["pool", str(summary(project, "one")), str(bad)]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert [line.split(": ", 1)[1].split(", in ")[0] for line in said] == [
        "the fixed threshold '0.5' of 'ensemble' is 0.4",
        "'ct' is marker",
    ]


def test_a_name_that_no_file_can_have_is_one_message(project, capsys):
    assert steps.main(["pool", "x" * 5000 + ".json"]) == 1
    assert capsys.readouterr().err.strip() == "x" * 200 + ": no such file."


def test_a_summary_that_could_not_be_pooled_is_not_written(project, capsys):
    before = summary(project, "one").read_text()
    assert steps.main(["site-summary", "one", "--model", "a\tb"]) == 1
    assert "one: no summary of these scores: model: found characters" in capsys.readouterr().err
    assert summary(project, "one").read_text() == before


def test_models_that_a_scores_table_from_elsewhere_lacks_are_told_before_it_is_evaluated(project, capsys):
    table = project / "build" / "one" / "scores.csv"
    (project / "params" / "given.yaml").write_text(
        f"study: {{title: T, question: Q, protocols: [], modalities: [], scores: '{table}'}}\n"
        "05_evaluation: {primary: [ensemble, w], focus: ensembel}\n"
    )
    assert steps.main(["scores", "--study", "given", str(table)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "params/given.yaml: section '05_evaluation': 'primary' names 'w', which has no scores."
        " Known: ct, ensemble.",
        "params/given.yaml: section '05_evaluation': 'focus' names 'ensembel', which has no scores."
        " Did you mean 'ensemble'?",
    ]
    assert not (project / "build" / "given" / "scores.csv").exists()


def test_names_of_hospitals_and_models_are_shown_as_they_are(project):
    text = summary(project, "two").read_text()
    odd = project / "odd.json"
    odd.write_text(text.replace('"site 1"', '"{a} $b_c$ <i>"').replace('"ct"', '"{x} $y"'))
    assert steps.main(["pool", str(odd)]) == 0
    page = BeautifulSoup((project / "reports/pool/index.html").read_text(), "html.parser")
    assert "{a} $b_c$ <i>" in page.get_text() and "{x} $y" in page.get_text()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_summary_is_one_message_and_nothing_is_written(project, capsys, kind):
    make, message = BAD[kind]
    bad = project / "bad.json"
    bad.write_text(make(json.loads(summary(project, "two").read_text())))
    assert steps.main(["pool", str(summary(project, "one")), str(bad)]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert re.search(message, said[0])
    assert not (project / "reports/pool").exists()


def test_every_bad_summary_has_its_message(project, capsys):
    one = str(summary(project, "one"))
    assert steps.main(["pool", one, one, str(project / "none.json")]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert [line.split(": ")[1] for line in said] == [
        "no such file.",
        f"the same as {one}; its patients would count twice.",
    ]


def test_hospitals_that_are_all_too_small_are_one_message(project, capsys):
    few = json.loads(summary(project, "one").read_text())
    few["sites"][0] |= {"models": {}, "note": "too few: fewer than 10 of an outcome"}
    place = project / "few.json"
    place.write_text(json.dumps(few))
    assert steps.main(["pool", str(place)]) == 1
    assert capsys.readouterr().err.startswith("No hospital of these summaries has enough patients")


def test_without_scores_there_is_no_summary(project, capsys):
    (project / "build/one/scores.csv").unlink()
    assert steps.main(["site-summary", "one"]) == 1
    assert capsys.readouterr().err == "one: no scores yet; make report STUDY=one.\n"


@pytest.mark.parametrize("below", ["0", "-5", "1", "4", "101"])
def test_less_than_is_promised_is_never_hidden(project, capsys, below):
    before = summary(project, "one").read_text()
    assert steps.main(["site-summary", "one", "--mask-below", below]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"MASK (--mask-below): found {below}; expected a whole number from 5 to 100")
    assert summary(project, "one").read_text() == before


def test_the_same_study_in_two_hospitals_is_one_model(project):
    models = {json.loads(summary(project, name).read_text())["model"] for name in ("one", "two")}
    assert len(models) == 1
    network.site_summary("one", mask_below=5, model="ensemble of 2026")
    assert json.loads(summary(project, "one").read_text())["model"] == "ensemble of 2026"
