"""Possible cells that as a whole are hardly right: what would make every result wrong stops the run."""

from pathlib import Path

import pandas as pd
import pytest

from broken import gwr, many, patients
from postarrest.data import errors
from postarrest.data.export import examine
from postarrest.pipeline import check_data


def found(folder: Path, table: pd.DataFrame, **settings) -> tuple[list[str], list[str]]:
    """Rules of the errors and of the warnings."""
    table.to_csv(folder / "patients.csv", index=False)
    study = examine(folder, **settings)
    assert "Tanaka" not in errors.listing([*study.errors, *study.warnings])
    return [e.rule for e in study.errors], [w.rule for w in study.warnings]


def test_sound_data_are_neither(tmp_path):
    assert found(tmp_path, many(48)) == ([], [])


def test_few_copied_rows_are_a_warning_and_many_an_error(tmp_path):
    table = many(48)
    again = table.assign(patient_id=[f"again{i}" for i in range(48)])
    assert found(tmp_path, pd.concat([table, again[:2]])) == ([], ["copied", "copied"])
    stops, counted = found(tmp_path, pd.concat([table, again[:20]]))
    assert stops == ["copied"] and counted.count("copied") == 20


def test_ids_that_differ_in_capitals_are_a_warning(tmp_path):
    table = many(48)
    table.loc[[0, 1], "patient_id"] = ["abc", "ABC"]
    assert found(tmp_path, table) == ([], ["capitals", "capitals"])


@pytest.mark.parametrize(("code", "warned"), [("999", 6), ("-9", 6), ("30", 0)])
def test_numbers_that_mean_missing_are_a_warning(tmp_path, code, warned):
    table = many(48)
    table["ph"] = [code if i % 8 == 0 else str(20 + i % 7) for i in range(48)]
    assert found(tmp_path, table, predictors=["ph"]) == ([], ["missing"] * warned)


def test_a_value_missing_in_one_outcome_alone_is_a_warning(tmp_path):
    table = many(48)
    table["lactate_mmol_l"] = table["lactate_mmol_l"].where(table["cpc"].isin(["1", "2"]), "")
    stops, counted = found(tmp_path, table)
    assert stops == [] and "separates" in counted


def test_a_perfect_separation_in_few_patients_is_chance(tmp_path):
    table = many(18)
    table["found"] = table["cpc"].isin(["1", "2"]).astype(int)
    assert found(tmp_path, table, predictors=["found"]) == ([], [])


@pytest.mark.parametrize("cells", [{"mean_hu": "x"}, {"reading": ""}, {"region": "x"}, {"side": "L"}])
def test_readings_with_errors_in_every_row_have_no_ratios(tmp_path, cells):
    patients().to_csv(tmp_path / "patients.csv", index=False)
    gwr().assign(**cells).to_csv(tmp_path / "gwr.csv", index=False)
    study = examine(tmp_path, modalities=["gwr"])
    assert study.errors
    assert not {"ratio", "copied"} & {finding.rule for finding in [*study.errors, *study.warnings]}


def test_readings_that_agree_in_some_regions_are_not_copied(tmp_path):
    patients().to_csv(tmp_path / "patients.csv", index=False)
    table = gwr()
    table.loc[table.index[:-1], "mean_hu"] = "34.5"
    table.to_csv(tmp_path / "gwr.csv", index=False)
    assert examine(tmp_path, modalities=["gwr"]).warnings == ()


def test_the_page_and_the_summary_count_what_is_to_be_checked(tmp_path):
    table = many(48)
    table.loc[[0, 1], "patient_id"] = ["abc", "ABC"]
    table.to_csv(tmp_path / "patients.csv", index=False)
    assert "patient_id: capitals, 2 times" in check_data.check(tmp_path).summary
