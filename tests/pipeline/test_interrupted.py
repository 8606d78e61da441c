"""Runs that are killed, stopped, or get no space: no process stays, and the resumed run has the same bytes.

The study has tables alone, so that steps are many and short; `test_kill` has the whole of both protocols.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline_project import copy_project, run, tables

pytestmark = pytest.mark.crash

KILLS, STOPS, SEED = 20, 3, 22
# The small study without images and readings, whose steps take seconds.
EDITS = {
    "protocols: [holdout, nested]": "protocols: [nested]",
    "modalities: [gwr, ct]": "modalities: []",
    "outcome_labels: [revised, standard]": "outcome_labels: [revised]",
    "ct: dicom": "ct: none",
    "gwr: true": "gwr: false",
    "n_relabelled: 3": "n_relabelled: 0",
    "04_stacking:\n": "04_stacking:\n  base_models:\n"
    "    ohca: {algorithm: lightgbm, predictors: [initial_rhythm, low_flow_min]}\n"
    "    pupil: {algorithm: logistic, predictors: [pupil_left_mm]}\n",
    "11_missing:\n  imputations: 2\n": "",
}


def project_in(folder: Path) -> Path:
    project = copy_project(folder / "project")
    params = project / "params" / "smoke.yaml"
    text = params.read_text()
    for old, new in EDITS.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    params.write_text(text)
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[dict[str, bytes], float]:
    """The tables of a run that nothing interrupts, and the seconds that it takes."""
    project = project_in(tmp_path_factory.mktemp("whole"))
    began = time.monotonic()
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    return tables(project), time.monotonic() - began


def start(project: Path, said: Path) -> subprocess.Popen:
    with said.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "postarrest.pipeline", "report", "smoke"],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project / "lib")},
            stdout=subprocess.DEVNULL,
            stderr=file,
            # As from a terminal, also where the tests themselves run in the background and ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def of_project(project: Path) -> list[psutil.Process]:
    """Processes that a run in a project has started, which have its folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            values = process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(project) in values.get("TMPDIR", "") + values.get("PYTHONPATH", ""):
            found.append(process)
    return found


def all_ended(project: Path, *, within_s: float = 20) -> bool:
    end = time.monotonic() + within_s
    while left := of_project(project):
        if time.monotonic() > end:
            print([" ".join(process.cmdline())[:200] for process in left])
            return False
        time.sleep(0.1)
    return True


def kill_pipeline(process: subprocess.Popen) -> None:
    process.kill()


def kill_everything(process: subprocess.Popen) -> None:
    """Kill the guard too: what starts meanwhile is ended by the next run."""
    whole = psutil.Process(process.pid)
    for one in [*whole.children(recursive=True), whole]:
        # Some end with another.
        with suppress(psutil.NoSuchProcess):
            one.kill()


def kill_snakemake(process: subprocess.Popen) -> None:
    for child in psutil.Process(process.pid).children():
        if "snakemake" in child.cmdline():
            child.kill()


def interrupted_at_random(project: Path, seconds: float, said: Path) -> list[str]:
    """Interrupt runs of a project again and again; return how each ended, in words."""
    draw = random.Random(SEED)
    kinds = [kill_pipeline, kill_everything, kill_snakemake]
    ways = [kinds[i % 3] for i in range(KILLS)] + [signal.SIGTERM, signal.SIGINT] * STOPS
    draw.shuffle(ways)
    ended = []
    while ways:
        process, moment = start(project, said), draw.uniform(0, seconds / 5)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            way = ways.pop()
            if isinstance(way, signal.Signals):
                process.send_signal(way)
                status = process.wait(60)
                # A run that has just begun has no handler yet, and dies of the signal itself.
                assert status in (128 + way, -way), said.read_text()
                ended.append(f"{way.name}: {status}")
            else:
                way(process)
                ended.append(f"{way.__name__}: {process.wait(60)}")
            if way is not kill_everything:
                assert all_ended(project), ended
            assert "Traceback" not in said.read_text(), said.read_text()
        else:
            assert process.returncode == 0, said.read_text()
            # It was finished: from the beginning.
            for name in ("build", "reports", ".snakemake"):
                shutil.rmtree(project / name)
    return ended


def test_a_run_interrupted_at_random_moments_ends_with_the_same_tables(undisturbed, tmp_path):
    expected, seconds = undisturbed
    project = project_in(tmp_path)
    ended = interrupted_at_random(project, seconds, tmp_path / "said.txt")
    assert len(ended) == KILLS + 2 * STOPS
    print(*ended, sep="\n")
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    assert tables(project) == expected
    assert all_ended(project)
    assert not (project / "build" / ".tmp").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 60 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only the administrator can mount a disk of 60 MB")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no disk of 60 MB can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_in_one_message_and_the_run_resumes(undisturbed, small_disk, monkeypatch):
    # The library's byte code would fill the disk before any step does.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    project = project_in(small_disk)
    for left_kb in (0, 8, 32, 1024, 2048, 4096):
        # The disk gets full at another step each time, or already for Snakemake's own files.
        free = shutil.disk_usage(small_disk).free - left_kb * 2**10
        (small_disk / "full").write_bytes(bytes(max(free, 0)))
        done = run(project, "smoke")
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stderr.splitlines()[-1].startswith("The disk is full"), done.stderr
        assert all_ended(project)
        (small_disk / "full").unlink()
    subprocess.run(["mount", "-o", "remount,size=1g", str(small_disk)], check=True)
    done = run(project, "smoke")
    assert done.returncode == 0, done.stderr
    assert tables(project) == undisturbed[0]


def test_a_read_only_checkout_ends_in_one_message(small_disk):
    project = project_in(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run(project, "smoke")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{project}/build cannot be written (Read-only file system). "
        "Run in a copy of the project that you may write to."
    ]
