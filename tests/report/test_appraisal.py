"""PROBAST+AI: a run that is broken in one way has another answer to the question that asks for it."""

from dataclasses import replace

import pandas as pd
import pytest

from postarrest.places import ROOT
from postarrest.report import appraisal
from postarrest.report.appraisal import AUTHORS, MET, NOT_APPLICABLE, NOT_MET
from postarrest.study.schema import read_yaml

CHECKLIST = read_yaml(ROOT / "docs" / "probast-ai.yaml")


def sound() -> appraisal.Evidence:
    """A run of real patients to which nothing can be objected."""
    limits = {"estimate": [0.8], "lower": [0.7], "upper": [0.9]}
    tables = {
        "flow": pd.DataFrame({"step": ["screened", "included", "good outcome"], "n": [120, 100, 30]}),
        "evaluated": pd.DataFrame({"model": ["ensemble"], "set": "pooled", "n": 100, "n_good": 30}),
        "leakage": pd.DataFrame(
            {"scored": ["test", "train_oof"], "n_in_both": [0, 0], "n_indirect": [0, 60], "stage": "stack"}
        ),
        "sample_size": pd.DataFrame(
            {
                "purpose": ["development", "external validation"],
                "target": ["shrinkage", "O:E"],
                "met": [True, True],
            }
        ),
        "hyperparameters": pd.DataFrame({"model": ["ohca"], "value": [3]}),
        "performance": pd.DataFrame(limits),
        "calibration": pd.DataFrame(
            {"model": ["ct", "ct"], "stage": ["before_platt", "final"], "slope_lower": [0.8, 0.9]}
        ),
        "decision_curve": pd.DataFrame(limits),
    }
    return appraisal.Evidence(tables, False, True, class_weights=True, networks=["ct"])


def verdicts(run) -> dict[str, str]:
    return {answer["item"]: answer["verdict"] for answer in appraisal.appraise(CHECKLIST, run)}


def with_table(name, **columns):
    run = sound()
    return replace(run, tables=run.tables | {name: run.tables[name].assign(**columns)})


def without_table(name):
    run = sound()
    return replace(run, tables={key: table for key, table in run.tables.items() if key != name})


def test_the_checklist_has_16_and_18_questions_and_every_check_is_used():
    items = [i for part in CHECKLIST["parts"] for domain in part["domains"] for i in domain["items"]]
    assert [sum(i["item"].startswith(part) for i in items) for part in "DE"] == [16, 18]
    assert len({i["item"] for i in items}) == 34
    assert {i["check"] for i in items if i["check"]} == set(appraisal.CHECKS)
    # A question is answered from the run, or is left to the authors in words.
    assert all(i["check"] or i["open"] for i in items)


def test_a_sound_run_meets_whatever_can_be_derived():
    found = verdicts(sound())
    assert NOT_MET not in found.values()
    checked = ["D2.2", "D3.1", *(f"D4.{k}" for k in range(1, 6)), *(f"E4.{k}" for k in range(1, 8))]
    assert {found[item] for item in checked} == {MET}
    assert found["D1.2"] == found["E3.4"] == found["D1.1"] == AUTHORS


@pytest.mark.parametrize(
    ("broken", "items"),
    [
        (replace(sound(), simulated=True), ["D1.1", "E1.1"]),
        (replace(sound(), differing=["versions"]), ["D2.2", "E2.2"]),
        (replace(sound(), standard_outcome=False), ["D3.1", "E3.1"]),
        (replace(sound(), linear=["pupil"]), ["D4.2"]),
        (replace(sound(), networks=["ct", "cnn"]), ["D4.4"]),
        (with_table("sample_size", met=[False, True]), ["D4.1"]),
        (with_table("sample_size", met=[True, False]), ["E4.2"]),
        (without_table("sample_size"), ["D4.1", "E4.2"]),
        (with_table("evaluated", n=90, n_good=27), ["D4.3", "E4.3"]),
        (with_table("evaluated", n_good=50), ["E4.4"]),
        (without_table("hyperparameters"), ["D4.5"]),
        (with_table("leakage", n_in_both=[1, 0]), ["E4.1", "E4.5"]),
        (with_table("leakage", n_in_both=[0, 1]), ["E4.5"]),
        (with_table("leakage", n_indirect=[2, 60]), ["E4.6"]),
        (without_table("leakage"), ["E4.1", "E4.5", "E4.6"]),
        (without_table("decision_curve"), ["E4.7"]),
        (with_table("performance", lower=float("nan")), ["E4.7"]),
        (with_table("calibration", slope_lower=float("nan")), ["E4.7"]),
    ],
)
def test_breaking_a_run_flips_the_questions_that_ask_for_it(broken, items):
    before, after = verdicts(sound()), verdicts(broken)
    assert [item for item in before if before[item] != after[item]] == items
    assert {after[item] for item in items} == {NOT_MET}


def test_what_was_not_counted_is_not_stated_as_none():
    answers = {a["item"]: a["reason"] for a in appraisal.appraise(CHECKLIST, without_table("leakage"))}
    assert {answers[item] for item in ("E4.1", "E4.5", "E4.6")} == {"Not counted in this run."}


def test_without_class_weights_nothing_had_to_be_recalibrated():
    found = verdicts(replace(sound(), class_weights=False))
    assert found["D4.4"] == found["E4.4"] == NOT_APPLICABLE


def test_an_outcome_of_the_studys_own_is_for_the_authors_to_justify():
    assert verdicts(replace(sound(), standard_outcome=None))["D3.1"] == AUTHORS


def of_a_frozen_model(**changes):
    """A run in which nothing was fitted: no leakage, hyperparameters or sample size."""
    whole = with_table("evaluated", set="holdout")
    kept = {k: v for k, v in whole.tables.items() if k not in ("leakage", "hyperparameters", "sample_size")}
    return replace(whole, tables=kept, frozen=True, class_weights=False, **changes)


def test_a_frozen_model_is_evaluated_in_others_and_its_development_elsewhere():
    answers = {a["item"]: a for a in appraisal.appraise(CHECKLIST, of_a_frozen_model(simulated=True))}
    found = {item: answer["verdict"] for item, answer in answers.items()}
    assert {found[item] for item in found if item.startswith("D")} == {NOT_APPLICABLE}
    assert found["E4.1"] == found["E4.3"] == found["E4.4"] == found["E4.5"] == found["E4.7"] == MET
    assert found["E4.6"] == NOT_APPLICABLE and found["E4.2"] == NOT_MET
    assert answers["E4.3"]["reason"].startswith("100 of 100 included patients are evaluated; missing")
    assert "30 of 100 have a good outcome" in answers["E4.4"]["reason"]
    # A reason never contradicts its verdict.
    assert not any(answer["reason"].startswith("0 ") for answer in answers.values())


def test_whether_real_patients_were_fitted_on_elsewhere_only_the_authors_can_say():
    assert verdicts(of_a_frozen_model())["E4.5"] == AUTHORS


def test_patients_whom_a_frozen_model_cannot_score_count_as_not_evaluated():
    some = of_a_frozen_model()
    evaluated = some.tables["evaluated"].assign(n=90, n_good=27)
    assert verdicts(replace(some, tables=some.tables | {"evaluated": evaluated}))["E4.3"] == NOT_MET
