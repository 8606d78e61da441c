"""Paths that a person types after make: with a blank, with ~, and none."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from postarrest.pipeline import check_data
from postarrest.places import ROOT
from postarrest.study import load


@pytest.mark.parametrize("path", ["/mnt/ward 7/export", "~/my export", "data/b", "/a'b"])
@pytest.mark.parametrize("variable", ["DATA", "WEIGHTS"])
def test_a_path_reaches_the_pipeline_as_it_was_typed(variable, path):
    name = f"POSTARREST_{variable}"
    shown = subprocess.run(
        ["make", f"--eval=show: ; @printenv {name}", "show", "STUDY=smoke", f"{variable}={path}"],
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


@pytest.mark.parametrize(("given", "named"), [([], ""), (["STUDY=smoke"], "smoke"), (["STUDY=a b"], "a b")])
def test_make_check_data_names_a_study_only_if_one_is_asked_for(given, named):
    environment = {k: v for k, v in os.environ.items() if k != "STUDY"}
    shown = subprocess.run(
        ["make", "--dry-run", "check-data", *given],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.splitlines()[-1].split("check_data")[1].strip() == named


def test_check_data_of_nothing_says_what_to_type(capsys):
    assert check_data.main([]) == 2
    told = capsys.readouterr().err
    assert "make check-data STUDY=name DATA=/path/to/export" in told and "smoke" in told


# An interpreter that makes environments as Python does, but at once, and with a pip that takes a second.
FAKE_PYTHON = """#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  printf '#!/bin/bash\necho "$@" >> pip.txt; sleep 1; test -x .venv/bin/pip\n' > "$3/bin/pip"
  chmod +x "$3/bin/pip"
else
  exec {python} "$@"
fi
"""


def test_two_makes_at_once_create_one_environment(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    fake = tmp_path / "python"
    fake.write_text(FAKE_PYTHON.format(python=shlex.quote(sys.executable)))
    fake.chmod(0o755)
    # A target's own variables are no business of the environment's.
    asked = ["make", f"PYTHON={fake}", "env", "STUDY=smoke", "DATA=/a b"]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(asked, cwd=tmp_path, **said) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(text.count("The environment is ready.") for text in told) == [0, 1]
    assert sum("Another make is creating the environment; waiting for it." in text for text in told) == 1
    asked_of_pip = (tmp_path / "pip.txt").read_text().splitlines()
    assert ["-r requirements.lock" in line for line in asked_of_pip] == [True, False]


@pytest.mark.parametrize("made", [[], ["ensemble"]])
def test_jupyterlab_opens_with_results(tmp_path, made):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for study in made:
        (tmp_path / "reports" / study).mkdir(parents=True)
        (tmp_path / "reports" / study / "index.html").touch()
    command = ["make", "--dry-run", "lab", "READY="]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ("postarrest.pipeline report smoke" in shown) == (not made)
    assert ("default_url=/lab/tree/reports/smoke/index.html" in shown) == (not made)
    assert ("default_url=/lab/tree/notebooks/README.md" in shown) == bool(made)
