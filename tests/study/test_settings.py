"""Every value of a study file is checked before anything runs, and all errors are reported at once."""

import os
import random
import time
from pathlib import Path

import pytest
import yaml

import fuzz_studies
from postarrest.pipeline import check_data
from postarrest.places import ROOT
from postarrest.study import load, schema
from postarrest.study.schema import StudyError
from postarrest.study.sections import MODELS

LOGISTIC = {"algorithm": "logistic", "predictors": ["age_years"]}
OUTCOME = {"column": "died", "good": [0], "poor": [1], "meaning": "alive"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = fuzz_studies.project(tmp_path_factory.mktemp("settings"))
    (folder / "params").mkdir()
    (folder / "data").mkdir()
    return folder


def load_with(root: Path, **sections: dict) -> load.Study:
    """Load a study of real patients with head CT in which these keys are set."""
    about = {"title": "t", "question": "q", "protocols": ["nested"], "modalities": ["ct"], "data": "data"}
    content = sections | {"study": about | sections.get("study", {})}
    (root / "params" / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load.load("mine", root=root, environment={})


def test_a_study_of_plain_settings_is_accepted(root):
    assert load_with(root).notebooks == (
        *("01_cohort", "02_gwr_automatic", "03_cnn", "04_stacking", "05_evaluation"),
    )


COHORT = [
    ({"codes": None}, "'codes' is None (nothing), expected keys with values."),
    ({"codes": 5}, "'codes' is 5 (a whole number), expected keys with values."),
    ({"codes": [1]}, "'codes' is [1] (a list), expected keys with values."),
    ({"codes": {"sex": None}}, "'codes.sex' is None (nothing), expected keys with values."),
    ({"codes": {"sex": {"M": ["male"]}}}, "'codes.sex.M' is ['male'] (a list), expected a single value."),
    (
        {"codes": {"sex": {"M": "man"}}},
        "found sex: 'man', expected one of male, female, or null for missing.",
    ),
    ({"codes": {"sex": {1: "male", "1": "female"}}}, "expected one meaning for each value."),
    ({"codes": {"se": {"M": "male"}}}, "expected a column of the contract (nearest: 'sex')."),
    ({"predictors": "x"}, "'predictors' is 'x' (text), expected a list."),
    ({"predictors": [1]}, "'predictors' is 1 (a whole number), expected text."),
    ({"predictors": ["x", "x"]}, "predictors: found x twice, expected each once."),
    ({"predictors": ["cpc"]}, "expected a column known before the outcome."),
    ({"criteria": {"require": [1]}}, "'criteria.require' is 1 (a whole number), expected text."),
    ({"criteria": {"min_age_yrs": 18}}, "'criteria.min_age_yrs' is unknown. Did you mean 'min_age_years'?"),
    (
        {"criteria": {"min_age_years": 90, "max_age_years": 20}},
        "found min_age_years 90 above max_age_years 20",
    ),
    ({"criteria": {"exclusions": [1]}}, "expected 'all', 'none' or a list of reasons."),
    ({"table_format": {"delimiter": 5}}, "'table_format.delimiter' is 5 (a whole number), expected text."),
    ({"table_format": {"encoding": 5}}, "'table_format.encoding' is 5 (a whole number), expected text."),
    ({"table_format": {"encoding": "undefined"}}, "expected an encoding that Python knows"),
    ({"table_format": {"delimiter": ",", "decimal": ","}}, "found ',' as delimiter and as decimal sign"),
    ({"table_format": {"delimiter": "\n"}}, "expected a sign that separates cells"),
    ({"columns": {"age_years": "A", "lactate_mmol_l": "A"}}, "found 'A' for age_years and lactate_mmol_l"),
    ({"columns": {"age_years": ""}}, "expected text that is not blank."),
    ({"outcome": {"column": "died"}}, "'outcome.good' is missing."),
    ({"outcome": OUTCOME | {"good": []}}, "'outcome.good' is [] (a list), expected at least 1 of them."),
    ({"outcome": OUTCOME | {"poor": ["0"]}}, "found 0 as good and as poor"),
    ({"units": {"age_years": 5}}, "'units.age_years' is 5 (a whole number), expected text."),
    ({"mask_below": -3}, "'mask_below' is -3 (a whole number), expected at least 0."),
    ({"table1_variables": ["sexx"]}, "names 'sexx', which is no column. Did you mean 'sex'?"),
    ({"data_path": "/"}, "'data_path' is unknown."),
]
STACKING = [
    ({"trials": 0}, "'trials' is 0 (a whole number), expected at least 1."),
    ({"trials": -5}, "'trials' is -5 (a whole number), expected at least 1."),
    ({"comparators": ["x"]}, "'comparators' is 'x' (text), expected 'ohca_score'."),
    ({"base_models": {"a": None}}, "'base_models.a' is None (nothing), expected keys with values."),
    (
        {"base_models": {"a": LOGISTIC | {"predictors": "age_years"}}},
        "is 'age_years' (text), expected a list.",
    ),
    ({"base_models": {"a": LOGISTIC | {"predictors": ["ages"]}}}, "uses 'ages', which is no column."),
    ({"base_models": {"a": LOGISTIC | {"predictors": ["cpc"]}}}, "is part of the outcome"),
    ({"base_models": {"a": LOGISTIC | {"predictors": ["*"]}}}, "is part of the outcome"),
    ({"base_models": {5: LOGISTIC}}, "'base_models' is 5 (a whole number), expected text."),
    *(
        ({"base_models": {name: LOGISTIC}}, "expected a name of up to 40 letters, digits, '_' or '-'")
        for name in ("", "../../x", "a/b", "a b", "<script>", "=1", "x" * 41, "é")
    ),
    *(
        ({"base_models": {name: LOGISTIC}}, f"found a base model '{name}', expected another name")
        for name in (
            "ensemble",
            "Ensemble",
            "ensemble_logistic",
            "forest_all",
            "ohca_score",
            "gwr_av",
            "ct",
            "cnn",
        )
    ),
    ({"base_models": {"a": LOGISTIC, "A": LOGISTIC | {"predictors": ["cause"]}}}, "expected each once."),
    (
        {"spaces": {"logistic": {"C": {"choices": [-1]}}}},
        "found C -1 of logistic, expected C 1e-06 to 1e+06.",
    ),
    ({"spaces": {"logistic": {"c": {"choices": [1]}}}}, "found 'c' of logistic, expected one of C, l1_ratio"),
    (
        {"spaces": {"forest": {"max_depth": {"low": 1, "high": 3}}}},
        "expected max_depth 1 to 100, whole or null.",
    ),
    ({"spaces": {"stack": {"max_depth": {"choices": None}}}}, "expected choices, or low and high."),
    ({"spaces": {"stack": {"max_depth": {"low": None, "high": 3}}}}, "expected choices, or low and high."),
    ({"spaces": {"stack": {}}}, "found none of stack, expected at least one hyperparameter."),
]
OTHERS = [
    ("common", {"seed": -1}, "section 'common': 'seed' is -1 (a whole number), expected at least 0."),
    ("common", {"mask_below": -3}, "section 'common': 'mask_below' is -3"),
    ("splits", {"outer_folds": 1_000_000}, "expected at most 50."),
    ("splits", {"outer_folds": 1e6}, "expected a whole number."),
    ("simulate", {"n_screened": 10**12}, "expected at most 100000."),
    ("study", {"protocols": []}, "'protocols' is empty, expected 'holdout', 'nested' or both."),
    ("study", {"protocols": ["nested", "nested"]}, "found nested twice, expected each once."),
    ("study", {"outcome_labels": ["standard", "standard"]}, "found standard twice, expected each once."),
    ("study", {"outcome_labels": []}, "expected at least 1 of them."),
    ("study", {"title": " "}, "'title' is ' ' (text), expected text that is not blank."),
    ("study", {"data": ""}, "expected text that is not blank."),
    ("study", {"data": "/dev/null"}, "The data are not there"),
    ("05_evaluation", {"n_resamples": 0}, "expected at least 20."),
    ("05_evaluation", {"focus": "ensembl"}, "names 'ensembl', which has no scores. Did you mean 'ensemble'?"),
    ("05_evaluation", {"primary": ["ensemble"]}, "expected the names of two models, or none."),
    ("05_evaluation", {"primary": ["ensemble", "gwr_av"]}, "names 'gwr_av', which has no scores."),
    ("05_evaluation", {"fixed_thresholds": {"a": ["x"]}}, "expected [models, threshold]"),
    ("05_evaluation", {"fixed_thresholds": {"Youden": ["x", 1]}}, "expected another name"),
    ("03_cnn", {"weights": "not/there"}, "embedded, none, or the path of a file."),
    ("03_cnn", {"weights": str(ROOT / "README.md")}, "found 'README.md', which is another kind of file"),
    ("03_cnn", {"copies": 10**6}, "expected at most 50."),
    (
        "03_cnn",
        {"fixed": {"epochs": 0, "batch_size": 8}},
        "found epochs 0, expected epochs 1 to 5000, whole.",
    ),
    ("03_cnn", {"augmentation": {"sharpness": [1.0, 0.0]}}, "sharpness goes from 1.0 down to 0.0"),
    ("02_gwr", {"cut_off": -1.0}, "expected at least 0.5."),
    ("02_gwr_automatic", {"struck_out": "not/there"}, "expected the path of a file, or blank."),
    ("A1_simulation", {"n_slices": 0}, "expected at least 2."),
]


@pytest.mark.parametrize(
    ("section", "keys", "message"),
    [*(("01_cohort", *c) for c in COHORT), *(("04_stacking", *c) for c in STACKING), *OTHERS],
    ids=str,
)
def test_a_value_that_cannot_be_honoured_is_refused_before_anything_runs(root, section, keys, message):
    with pytest.raises(StudyError) as error:
        load_with(root, **{section: keys})
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) <= 3


def test_errors_of_several_sections_are_reported_together(root):
    with pytest.raises(StudyError) as error:
        load_with(root, **{"04_stacking": {"trials": 0}, "05_evaluation": {"n_resamples": 0}})
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 3000, "found values nested deeper than 12 levels"),
        ("a: {[1]: 2}", "found a list or keys with values as a key"),
        ("a: " + "9" * 10_000, "found a number of 10000 digits; expected at most 18"),
        ("a: 010", "expected a number like 10, or text as '010'"),
        ("a: 1:30", "expected a number like 10, or text as '1:30'"),
        ("a: 0x1F", "which some programs read as another number"),
        ("a: 1_000", "which some programs read as another number"),
        ("a: .nan", "found .nan; expected a finite number"),
        ("a: -.inf", "found -.inf; expected a finite number"),
        ("a: 1.0e+400", "found a number that is too large"),
        ('a: "\\ud800"', "found the character U+D800; expected printable text"),
        ('a: "\\e[2J"', "found the character U+001B; expected printable text"),
        ('a: "\\u202e"', "found the character U+202E; expected printable text"),
        ("5: {}", "section '5' is unknown"),
        ("study: {5: x}", "expected keys with values"),
    ],
)
def test_a_text_that_means_different_things_is_refused(root, text, message):
    (root / "params" / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as error:
        load.load("mine", root=root, environment={})
    assert message in str(error.value)


def test_what_is_no_file_is_refused_and_not_waited_for(root):
    os.mkfifo(root / "params" / "pipe.yaml")
    (root / "params" / "folder.yaml").mkdir()
    (root / "params" / "two words.yaml").write_text("a: 1")
    started = time.monotonic()
    for name, message in (
        ("pipe", "else than a file"),
        ("folder", "else than a file"),
        ("two words", "other signs"),
    ):
        with pytest.raises(StudyError, match=message):
            load.load(name, root=root, environment={})
    assert time.monotonic() - started < 10


def test_check_data_refuses_before_anything_is_read(monkeypatch, capsys, tmp_path):
    """It begins by loading the study file; so does the pipeline, in test_pipeline.py."""
    begun = []
    monkeypatch.setattr(check_data, "check", lambda *a, **k: begun.append(a))
    monkeypatch.setenv("POSTARREST_WEIGHTS", str(tmp_path / "none.h5"))
    assert check_data.main(["smoke"]) == 2
    assert capsys.readouterr().err.count("section '03_cnn': 'weights' is") == 1
    assert begun == []


@pytest.mark.parametrize("notebook", load.NOTEBOOKS)
def test_every_parameter_with_a_range_has_one(notebook):
    """A new parameter of a notebook is to be declared in one of the models of its section."""
    ranged = {
        name
        for name, parameter in schema.declared_parameters(notebook).items()
        if parameter.type is not bool and name not in load.SET_BY_PIPELINE | load.About.model_fields.keys()
    }
    declared = {name for model in MODELS.get(notebook, ()) for name in model.model_fields}
    assert ranged - declared == set()


def test_a_few_hundred_changed_study_files_give_no_traceback(root):
    """``make fuzz-studies`` tries 10,000."""
    found = [fuzz_studies.outcome(fuzz_studies.text(random.Random(n)), root) for n in range(300)]
    assert {"accepted", "refused"} == set(found)
