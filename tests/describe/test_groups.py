"""Groups of patients as a study file declares them."""

import pandas as pd
import pytest
from pydantic import ValidationError

from postarrest.describe import groups


@pytest.fixture
def cohort():
    return pd.DataFrame(
        {
            "age_years": [40.0, 50.0, 64.9, 65.0, None],
            "sex": ["female", "male", None, "male", "male"],
            "witnessed": [1.0, 0.0, 1.0, None, 1.0],
            "initial_rhythm": ["vf_vt", "pea", "asystole", "other", "vf_vt"],
            "site": [1.0, 2.0, 2.0, 10.0, 1.0],
        },
        index=pd.Index(list("abcde"), name="patient_id"),
    )


def test_a_cut_point_belongs_to_the_group_above_it(cohort):
    found = groups.grouped(cohort, {"age_years": [50, 65]})["Age, years"]
    assert found.tolist() == ["<50", "50 to <65", "50 to <65", "≥65", "not recorded"]
    assert list(found.cat.categories) == ["<50", "50 to <65", "≥65", "not recorded"]


def test_levels_have_the_names_and_the_order_of_table_1(cohort):
    found = groups.grouped(cohort, {"sex": [], "witnessed": [], "initial_rhythm": [], "site": []})
    assert list(found["Sex"].cat.categories) == ["male", "female", "not recorded"]
    assert found["Witnessed arrest"].tolist() == ["yes", "no", "yes", "not recorded", "yes"]
    assert found["Initial rhythm"].tolist()[0] == "VF or pulseless VT"
    assert list(found["site"].cat.categories) == ["site 1", "site 2", "site 3"]


def test_values_are_joined_under_a_name(cohort):
    found = groups.grouped(
        cohort, {"initial_rhythm": {"shock": ["vf_vt"], "none": ["pea", "asystole", "other"]}}
    )
    assert found["Initial rhythm"].tolist() == ["shock", "none", "none", "none", "shock"]


def test_default_groups_are_those_that_the_study_has(cohort):
    assert list(groups.grouped(cohort.drop(columns="site"), {}).columns) == [
        "Sex",
        "Age, years",
        "Initial rhythm",
        "Witnessed arrest",
    ]


def test_every_error_is_reported(cohort):
    wrong = {
        "sexe": [],
        "age_years": [65, 50],
        "sex": [1],
        "initial_rhythm": {"shock": ["vf_vt"], "again": ["vf_vt"]},
    }
    with pytest.raises(ValueError, match="groups") as error:
        groups.grouped(cohort, wrong)
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "no column 'sexe' (nearest: 'sex')" in lines[0]
    assert "do not ascend" in lines[1] and "is text and has cut points" in lines[2]
    assert "1 values of 'initial_rhythm' are in two groups. 3 patients' values" in lines[3]
    many = pd.DataFrame({"age_years": range(30)})
    with pytest.raises(ValueError, match="has 30 values; expected cut points"):
        groups.grouped(many, {"age_years": []})


def test_a_study_file_with_other_groups_is_refused():
    with pytest.raises(ValidationError):
        groups.declared({"sex": "male"})
