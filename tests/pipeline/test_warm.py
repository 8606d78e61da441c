"""A step that is a fork is one like any other: its words, its exit status, its end."""

import os
import subprocess
import sys
import time
from multiprocessing import connection
from pathlib import Path

import psutil
import pytest

from pipeline_project import copy_project
from postarrest.pipeline import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="steps are forked on Linux only")
UNKNOWN = ("splits", "--study", "nobody")
LONG = ("simulate", "--study", "smoke", "--threads", "1")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("warm") / "a project")
    (folder / "build" / ".tmp").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def environment(project):
    given = os.environ | {"PYTHONPATH": str(project / "lib"), "TMPDIR": str(project / "build" / ".tmp")}
    with warm.served(given, project) as further:
        end = time.monotonic() + 60
        while not (project / further[warm.PLACE]).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        yield further


def start(project: Path, environment: dict, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "postarrest.pipeline", *arguments]
    about = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=project, env=environment, **about)


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def forks(count: int) -> list[psutil.Process]:
    """The processes below the one that imports, as soon as there are so many."""
    end = time.monotonic() + 300
    while True:
        (server,) = (p for p in psutil.Process().children() if warm.__name__ in p.cmdline())
        found = server.children(recursive=True)
        found = [p for p in found if p.status() != psutil.STATUS_ZOMBIE]
        if len(found) == count:
            return found
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_says_what_a_process_of_its_own_says(project, environment):
    own = {name: value for name, value in environment.items() if name != warm.PLACE}
    assert ended(start(project, environment, *UNKNOWN)) == ended(start(project, own, *UNKNOWN))
    assert ended(start(project, environment, *UNKNOWN))[0] == 1


def test_it_does_what_it_is_asked_with_the_environment_of_who_asks(project, environment):
    here = environment | {"POSTARREST_DATA": "nowhere"}
    status, _, said = ended(start(project, here, "splits", "--study", "smoke"))
    assert (status, "nowhere" in said) == (1, True)


def test_what_computes_in_several_processes_is_no_fork(project, environment, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setenv(warm.PLACE, environment[warm.PLACE])
    of_nobody = ("--study", "nobody", "--threads")
    assert warm.run(("simulate", *of_nobody, "1")) == 1
    assert warm.run(("simulate", *of_nobody, "2")) is None
    notebook = ("notebook", "--parameters", "{}", *of_nobody, "2", "--notebook")
    assert warm.run((*notebook, "05_evaluation")) == 1
    assert warm.run((*notebook, "06_stability")) is None


def test_whoever_asks_takes_it_along(project, environment):
    asking = start(project, environment, *LONG)
    forks(2)
    asking.kill()
    asking.communicate()
    forks(0)
    assert not (project / "build" / "smoke" / "simulated.json").exists()


def test_whoever_asks_and_leaves_at_once_disturbs_nobody(project, environment):
    for _ in range(20):
        with connection.Client(str(project / environment[warm.PLACE]), "AF_UNIX") as client:
            client.send((list(UNKNOWN), {}))
    assert ended(start(project, environment, *UNKNOWN))[0] == 1
    forks(0)


def test_a_fork_that_is_killed_has_failed(project, environment):
    asking = start(project, environment, *LONG)
    forks(2)[-1].kill()
    assert ended(asking)[0] == 128 + 9


def test_several_run_at_once_and_each_ends(project, environment):
    several = [start(project, environment, *UNKNOWN) for _ in range(5)]
    assert [ended(one)[0] for one in several] == [1] * 5
    forks(0)


def test_after_a_change_of_the_code_a_step_imports_it_anew(project, environment):
    assert "changed" not in ended(start(project, environment, *UNKNOWN))[1]
    with (project / "lib" / "postarrest" / "pipeline" / "steps.py").open("a") as file:
        file.write("\nprint('changed')\n")
    assert "changed" in ended(start(project, environment, *UNKNOWN))[1]
