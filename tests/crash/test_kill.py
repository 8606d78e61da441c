"""kill -9 in the middle of a run: the resumed run ends with the same tables, byte by byte."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from test_pipeline import copy_project, run

pytestmark = pytest.mark.crash


def tables(project: Path) -> dict[str, bytes]:
    folder = project / "reports" / "smoke" / "tables"
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    project = copy_project(tmp_path_factory.mktemp("whole") / "project")
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    return tables(project)


def killed_when(project: Path, line: str, *, after_s: float) -> None:
    """Start a run and kill all of it, with no chance to tidy up, some seconds after a line appears."""
    environment = os.environ | {"PYTHONPATH": str(project / "lib")}
    with subprocess.Popen(
        [sys.executable, "-m", "postarrest.pipeline", "report", "smoke"],
        cwd=project,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for told in process.stderr:
            if line in told:
                break
        else:
            pytest.fail(f"the run ended before '{line}'")
        time.sleep(after_s)
        # Kernels have sessions of their own: the whole tree, the lowest last, so that nobody is told.
        run = psutil.Process(process.pid)
        for one in [run, *run.children(recursive=True)]:
            one.kill()


@pytest.mark.parametrize(
    ("line", "after_s"),
    [("simulate the patients", 3), ("(03_cnn)", 12), ("(04_stacking)", 10), ("(05_evaluation)", 8)],
)
def test_resumed_run_ends_with_the_same_tables(undisturbed, tmp_path, line, after_s):
    project = copy_project(tmp_path / "project")
    killed_when(project, line, after_s=after_s)
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    assert tables(project) == undisturbed
