"""Every combination of protocol, modality and models runs, or is refused beforehand.

``make test-combinations`` runs all of them to their end (hours).
"""

import numpy as np
import pandas as pd
import pytest
import yaml

import combinations
import fuzz_studies
from postarrest import describe, models
from postarrest.study import against_data, load, schema

EVERY = combinations.studies()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = fuzz_studies.project(tmp_path_factory.mktemp("combinations"))
    (folder / "params").mkdir()
    (folder / "data").mkdir()
    return folder


def loaded(root, name: str) -> load.Study:
    (root / "params" / f"{name}.yaml").write_text(yaml.safe_dump(EVERY[name]), encoding="utf-8")
    return load.load(name, root=root, environment={"POSTARREST_DATA": str(root / "data")})


@pytest.mark.parametrize("name", EVERY)
def test_a_study_is_refused_only_where_it_has_nothing_to_score(root, name):
    about = EVERY[name]["study"]
    base = [model["algorithm"] for model in EVERY[name]["04_stacking"]["base_models"].values()] or ["cnn"]
    nothing = "nested" not in about["protocols"] and not about["modalities"]
    no_image = "nested" in about["protocols"] and "cnn" in base and "ct" not in about["modalities"]
    if nothing or no_image:
        with pytest.raises(schema.StudyError, match=r"nothing to evaluate|needs head CT"):
            loaded(root, name)
    else:
        assert "05_evaluation" in loaded(root, name).notebooks


@pytest.fixture
def cohort():
    """46 included patients of whom only an age and the outcome are recorded."""
    ids = [f"P{i:02d}" for i in range(46)]
    return pd.DataFrame({"age_years": np.arange(46.0) % 37 + 0.5}, index=pd.Index(ids, name="patient_id"))


def test_what_the_models_need_of_the_data_is_told_before_anything_runs(root, cohort):
    y = pd.Series([0, 1] * 23, index=cohort.index)
    study = loaded(root, "nested_ct_both_standard_all")
    found = {error.column: error.expected for error in against_data.errors(study, cohort, y)}
    assert found["initial_rhythm"].startswith("a column of this name for base model 'ohca'")
    assert "comparators" in found["lactate_mmol_l"]
    assert against_data.errors(loaded(root, "nested_ct_choice_standard_few"), cohort, y) == []
    (few,) = against_data.errors(loaded(root, "nested_ct_choice_standard_few"), cohort, (y.cumsum() < 4) * y)
    assert few.found.startswith("The rarer outcome has 3 patients")
    numbered = cohort.assign(age_years=np.arange(46.0))
    (like_an_id,) = against_data.errors(loaded(root, "nested_ct_choice_standard_few"), numbered, y)
    assert "like an identifier" in like_an_id.found


def test_groups_without_patients_are_told_before_anything_runs(root, cohort):
    y = pd.Series([0, 1] * 23, index=cohort.index)
    content = EVERY["nested_ct_choice_standard_few"]
    groups = {"age_years": [80, 50], "sex": {"men": ["male"]}}
    text = yaml.safe_dump(content | {"07_subgroups": {"groups": groups}})
    (root / "params" / "grouped.yaml").write_text(text, encoding="utf-8")
    study = load.load("grouped", root=root, environment={"POSTARREST_DATA": str(root / "data")})
    found = [error.found for error in against_data.errors(study, cohort, y)]
    assert found == ["the cut points of 'age_years' do not ascend", "the cohort has no column 'sex'"]


def test_a_cohort_of_outcomes_alone_is_described(cohort):
    y = pd.Series([0, 1] * 23, index=cohort.index)
    missing = describe.missingness(cohort[[]], y, variables=[])
    assert len(missing) == 0 and not missing["overall"].ne("0").any()


def test_the_network_alone_has_references_of_its_probability(patients):
    y = patients["y_good"]
    table = models.splits.table(y, protocols=["nested"], settings=models.splits.Settings(outer_folds=2))
    split = models.splits.get(table, "outer-1")
    scored = (y * 0.5 + 0.2).rename("ct").to_frame()
    ledger = models.leakage.Ledger(split, scored)
    fold = models.crossfit.CrossFit(split, y, ledger, keep=None, trials=1, seed=1)
    empty = pd.DataFrame()
    only = {"ct": models.tuning.Chosen("cnn", {})}
    of_both = scored.loc[split.development], scored.loc[split.test]
    bases = models.stacking.Bases(*of_both, [], empty, {}, [], only)
    rows = models.stacking.fit_references(patients, bases, fold)
    assert [set(one["model"]) for one in rows] == [{"logistic_all"}, {"forest_all"}]
