"""However a run ends, no process of it stays, its lock is free, and the terminal shows one line."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from postarrest.pipeline import running

# A run in miniature: a step, and a kernel with a session of its own that hears no signal but the last.
KERNEL = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; time.sleep(600)"
STEP = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {KERNEL!r}], start_new_session=True)
subprocess.Popen([sys.executable, "-c", {KERNEL!r}]).wait()
"""
# As from a terminal, also where the tests themselves run in the background and ignore Ctrl-C.
RUN = f"""
import signal, sys
from pathlib import Path
[signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)]
from postarrest.pipeline import running
running.ROOT = Path(sys.argv[1])
with running.ended_in_words(), running.alone(running.ROOT) as lock:
    running.run([sys.executable, "-c", {STEP!r}, sys.argv[1]], cancels=sys.argv[2] == "yes", pass_fds=[lock])
"""


def of_run(place: Path) -> list[psutil.Process]:
    """The processes whose environment has the folder for temporary files of a project."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(place)):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def started_by(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until(condition, *, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path):
    def started(cancels: str = "no") -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path), cancels],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(running.__file__).parents[2])},
        )
        # The guard, the run, its two kernels, and what its steps are forked from.
        wait_until(lambda: len(started_by(process)) == 4 + (sys.platform == "linux"))
        return process

    yield started
    for process in of_run(tmp_path):
        process.kill()


@pytest.mark.parametrize("cancels", ["no", "yes"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_processes_in_one_line(start, tmp_path, sent, cancels):
    process = start(cancels)
    process.send_signal(sent)
    said = process.communicate(timeout=300)[1].splitlines()
    assert (process.returncode, said[-1:]) == (128 + sent, [str(running.Stopped(sent))])
    # What hears of the interruption may say so itself: here Python, which has no other way.
    assert len(said) == 1 or cancels == "yes"
    assert of_run(tmp_path) == []
    assert not (tmp_path / "build" / ".tmp").exists()


def test_a_killed_run_leaves_no_process_and_no_lock(start, tmp_path):
    process = start()
    (tmp_path / "build" / ".tmp" / "half").write_text("of a step")
    process.kill()
    process.communicate()
    with running.alone(tmp_path):
        assert of_run(tmp_path) == []
    again = start()
    # Nothing of the run before: no more than the place at which steps ask for a fork.
    assert {path.name for path in (tmp_path / "build" / ".tmp").iterdir()} <= {"warm"}
    again.terminate()
    again.communicate()


def test_a_second_run_is_refused(start, tmp_path):
    process = start()
    with pytest.raises(BlockingIOError), running.alone(tmp_path):
        pass
    process.kill()
    process.communicate()
    wait_until(lambda: not of_run(tmp_path))


def test_a_command_that_ends_returns_its_status_and_takes_its_processes_along(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "ROOT", tmp_path)
    left = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {KERNEL!r}]); sys.exit(7)"
    assert running.run([sys.executable, "-c", left], cancels=False) == 7
    assert of_run(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_a_full_disk_and_a_folder_without_write_access_are_told_in_words(number, words, capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended, running.ended_in_words():
        raise OSError(number, os.strerror(number), "/mnt/build/a.csv")
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert words in told and "/mnt/build/a.csv" in told and told.count("\n") == 1


def test_a_full_disk_is_told_in_words_also_where_numpy_gives_no_reason(capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    short = "500000 requested and 131056 written"
    with pytest.raises(OSError, match=short), running.ended_in_words():
        raise OSError(short)
    monkeypatch.setattr(running, "_ENOUGH_BYTES", running.psutil.disk_usage(str(running.ROOT)).total + 1)
    with pytest.raises(SystemExit), running.ended_in_words():
        raise OSError(short)
    assert capsys.readouterr().err.startswith("The disk is full: ")


def test_another_error_of_the_system_keeps_its_trace(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(FileNotFoundError), running.ended_in_words():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv")
