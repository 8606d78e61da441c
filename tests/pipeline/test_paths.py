"""Paths that a person types after make: with a blank, with ~, and none."""

import subprocess

import pytest

from postarrest.pipeline import check_data
from postarrest.places import ROOT
from postarrest.study import load


@pytest.mark.parametrize("path", ["/mnt/ward 7/export", "~/my export", "data/b", "/a'b"])
@pytest.mark.parametrize("variable", ["DATA", "WEIGHTS"])
def test_a_path_reaches_the_pipeline_as_it_was_typed(variable, path):
    name = f"POSTARREST_{variable}"
    shown = subprocess.run(
        [
            "make",
            "--no-print-directory",
            f"--eval=show: ; @printenv {name}",
            "show",
            "STUDY=smoke",
            f"{variable}={path}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.splitlines() == [path]


def test_data_in_a_folder_with_a_blank_and_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my export").mkdir()
    loaded = load.load("smoke", environment={"POSTARREST_DATA": "~/my export"})
    assert loaded.data == str(tmp_path / "my export")


def test_check_data_of_several_studies_reports_each(capsys, monkeypatch):
    monkeypatch.setenv("POSTARREST_SCORES", __file__)
    assert check_data.main(["evaluate", "nothing"]) == 2
    reported = capsys.readouterr().err
    assert "make evaluate checks them" in reported and "No study 'nothing'" in reported
