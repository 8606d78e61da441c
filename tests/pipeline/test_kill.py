"""kill -9 in the middle of a run: the resumed run ends with the same tables, byte by byte."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline_project import copy_project, run, tables

pytestmark = pytest.mark.crash


# Enough for a search to be met in its middle.
TRIALS = 40


def project_in(folder: Path) -> Path:
    project = copy_project(folder / "project")
    params = project / "params" / "smoke.yaml"
    written = params.read_text()
    assert "04_stacking:\n  trials: 3" in written
    params.write_text(written.replace("04_stacking:\n  trials: 3", f"04_stacking:\n  trials: {TRIALS}"))
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    project = project_in(tmp_path_factory.mktemp("whole"))
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    return tables(project)


def start(project: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "postarrest.pipeline", "report", "smoke"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "lib")},
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: subprocess.Popen) -> None:
    """End all of a run, with no chance to tidy up: kernels have sessions of their own."""
    run = psutil.Process(process.pid)
    for one in [run, *run.children(recursive=True)]:
        # Some end with another.
        with suppress(psutil.NoSuchProcess):
            one.kill()


def finished(journal: Path) -> int:
    """Trials that an Optuna journal holds as finished: state 1 (complete) or 2 (pruned)."""
    return len(re.findall(rb'"state": ?[12]\b', journal.read_bytes()))


def reach(process: subprocess.Popen, line: str) -> None:
    if not any(line in told for told in process.stderr):
        pytest.fail(f"the run ended before '{line}'")


def reach_search(process: subprocess.Popen, project: Path) -> list[Path]:
    """Wait until a stack's search is in its middle; return the searches found."""
    found = []
    while not any(5 <= finished(journal) < TRIALS for journal in found):
        assert process.poll() is None, "the run ended before a search was met"
        time.sleep(0.05)
        found = list((project / "build" / "smoke" / "optuna").glob("*-ensemble-*.journal"))
    return found


def test_a_run_killed_in_five_steps_ends_with_the_same_tables(undisturbed, tmp_path):
    project = project_in(tmp_path)
    for line, after_s in [("simulate the patients", 3), ("(03_cnn)", 12), ("(04_stacking)", 10)]:
        with start(project) as process:
            reach(process, line)
            time.sleep(after_s)
            kill(process)
    with start(project) as process:
        searches = reach_search(process, project)
        kill(process)
    begun = [journal for journal in searches if finished(journal) < TRIALS]
    assert begun
    with start(project) as process:
        reach(process, "(05_evaluation)")
        time.sleep(8)
        kill(process)
    # The search that was cut went on where it had been.
    assert all(finished(journal) == TRIALS for journal in begun)
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    assert tables(project) == undisturbed
