"""make doctor: what blocks a report, what is worth knowing, and what to do."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from postarrest.models.cnn.network import NETWORKS
from postarrest.pipeline import doctor
from postarrest.places import ROOT


def looked(*arguments: str, python: tuple[str, ...] = (sys.executable,)) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*python, "-m", "postarrest.pipeline.doctor", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_an_environment_it_says_how_to_make_one():
    # -S: no package but Python's own.
    done = looked(python=(sys.executable, "-S"))
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    there = lines.index("BLOCKS  environment  there is none yet")
    assert lines[there + 1].strip() == "-> make env (3 GB, several minutes, once)"
    assert lines[-1].startswith("Not yet: environment")


def test_one_screen_names_everything_once():
    done = looked("--slurm")
    things = [line[8:21].strip() for line in done.stdout.splitlines()[:-1]]
    expected = ["Python", "environment", "processor", "memory", "disk", "folder", "weights", "Slurm"]
    assert [thing for thing in things if thing] == expected
    assert len(done.stdout.splitlines()) < 24 and done.stderr == ""
    blocked = "BLOCKS" in done.stdout
    assert done.returncode == int(blocked)


FINE = doctor.Found("disk", "ok", "9 GiB")


@pytest.mark.parametrize(
    ("found", "status", "last"),
    [
        ([FINE], 0, "A report can be made: make report"),
        ([FINE, doctor.Found("weights", "note", "none", "wait")], 0, "A report can be made: make report"),
        ([doctor.Found("Python", "BLOCKS", "3.9", "install"), FINE], 1, "Not yet: Python."),
    ],
)
def test_the_exit_status_says_whether_something_blocks(found, status, last, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda with_slurm: iter(found))
    assert doctor.main([]) == status
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_packages_of_the_lock_that_belong_to_other_machines_are_not_missed():
    found = doctor.environment({"a": "1", "b": "2"}, {"a": "1", "b": "2"})
    assert (found.state, found.found) == ("ok", "2 packages, all as locked")
    found = doctor.environment({"a": "1"}, {"a": "1", "b": "2", "c": "2", "d": "1", "e": "1"})
    assert (found.state, found.found) == ("BLOCKS", "4 of 5 packages are missing (b, c, d, and 1 more)")


@pytest.mark.parametrize(
    ("gib", "cores", "state", "advice"),
    [
        (1.5, 2, "BLOCKS", "use a machine with more memory"),
        (3, 2, "note", "one step at a time: make report CORES=1"),
        (8, 2, "ok", ""),
        (16, 64, "note", "fewer steps at a time: make report CORES=8"),
    ],
)
def test_memory_is_judged_by_the_steps_that_run_at_once(gib, cores, state, advice):
    found = doctor.memory(int(gib * doctor.GIB), cores)
    assert (found.state, found.advice) == (state, advice)


@pytest.mark.parametrize(
    ("machine", "features", "state", "words"),
    [
        ("x86_64", ["sse4_2"], "BLOCKS", "no AVX"),
        ("x86_64", ["avx"], "note", "avx"),
        ("x86_64", ["avx", "avx2", "fma"], "ok", "no bfloat16, so keep precision: float32"),
        ("x86_64", ["avx", "avx2", "amx_bf16"], "ok", "avx, avx2, amx_bf16"),
        ("aarch64", ["asimd", "bf16"], "ok", "asimd, bf16"),
    ],
)
def test_a_processor_is_judged_by_its_instructions(machine, features, state, words):
    found = doctor.processor(machine, "A processor", features, 4)
    assert found.state == state and words in found.found


def test_a_run_in_progress_and_a_folder_without_write_access_are_seen(tmp_path, monkeypatch):
    assert doctor.folder(tmp_path).state == "ok"
    (tmp_path / "build").mkdir()
    with (tmp_path / "build" / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert doctor.folder(tmp_path).found == "a run is in progress here"
    assert doctor.folder(tmp_path).state == "ok"
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place).name != "build")
    found = doctor.folder(tmp_path)
    assert found.state == "BLOCKS" and found.found.endswith("build cannot be written")


def test_weights_are_looked_for_where_keras_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert next(doctor._weights()).found == "no ImageNet weights of VGG19 or ResNet50"
    (tmp_path / "models").mkdir()
    for known in NETWORKS.values():
        (tmp_path / "models" / Path(known.file).name).touch()
    assert next(doctor._weights()).state == "ok"


@pytest.mark.parametrize(
    ("programs", "has_plugin", "accounts", "state", "words"),
    [
        ({"sbatch": False, "squeue": True}, True, True, "BLOCKS", "no sbatch"),
        ({"sbatch": True}, False, True, "BLOCKS", "not Snakemake's plugin"),
        ({"sbatch": True}, True, False, "note", "without accounting"),
        ({"sbatch": True}, True, True, "ok", "with its plugin"),
    ],
)
def test_a_cluster_is_judged_by_its_programs(programs, has_plugin, accounts, state, words):
    found = doctor.slurm(programs, has_plugin=has_plugin, accounts=accounts)
    assert found.state == state and words in found.found
