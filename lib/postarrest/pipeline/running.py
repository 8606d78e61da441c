"""Processes of a run: started in one place, and none is left behind, however the run ends.

A run is a tree: the pipeline, Snakemake, a shell for each step, the step, a notebook's kernel, its workers.
Kernels have sessions of their own, so neither a signal to the process group nor the end of a parent reaches
them all. Every process of a run therefore has a mark in its environment, which children inherit, and a guard
outside the run ends all that have it as soon as the pipeline itself is gone.
"""

import errno
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from postarrest.pipeline import warm
from postarrest.places import ROOT

MARK = "POSTARREST_RUN"
# Time that Snakemake has to cancel the jobs of a cluster, in seconds.
_TO_CANCEL_S = 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
# Less than this is a full disk: what a step wrote in vain has been deleted again.
_ENOUGH_BYTES = 100 * 2**20


class Stopped(BaseException):
    """A signal that asks the run to end: Ctrl-C, SIGTERM, or the terminal was closed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        name = {signal.SIGINT: "Ctrl-C"}.get(self.number, signal.Signals(self.number).name)
        return f"Stopped by {name}. Finished steps are kept; the same command resumes the run."


def _stop(number: int, frame: FrameType | None) -> None:
    # Once is enough: the end of the processes must not be interrupted.
    for known in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(known, signal.SIG_IGN)
    raise Stopped(number)


@contextmanager
def ended_in_words() -> Iterator[None]:
    """Let a command end in one line where a person or the machine stops it, and not the code.

    Raises
    ------
    SystemExit
        With 128 + the signal's number if the command was stopped by one, with 1 if the disk is full or a
        folder cannot be written.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A command under nohup ignores the end of its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    except Stopped as stopped:
        sys.stderr.write(f"{stopped}\n")
        raise SystemExit(128 + stopped.number) from None
    except OSError as error:
        if not (words := in_words(error)):
            raise
        sys.stderr.write(f"{words}\n")
        raise SystemExit(1) from None


def in_words(error: OSError) -> str:
    """Return what a person can do about a full disk or a folder without write access; blank for others.

    Examples
    --------
    >>> in_words(OSError(errno.EROFS, "Read-only file system", "build"))
    'build cannot be written (Read-only file system). Run in a copy of the project that you may write to.'
    >>> in_words(OSError(errno.ENOENT, "No such file or directory"))
    ''
    """
    if error.errno in _FULL:
        return f"The disk is full{f' ({error.filename})' if error.filename else ''}. {_TO_FREE}"
    if error.errno is None:  # as of NumPy, which says how much of an array it could write
        return full_disk()
    if error.errno in _NOT_WRITABLE and error.filename:
        reason = f"{error.filename} cannot be written ({error.strerror})."
        return f"{reason} Run in a copy of the project that you may write to."
    return ""


_TO_FREE = "Free some space and run the same command again: it resumes where it stopped."


def full_disk(place: Path = ROOT) -> str:
    """Return in words that a disk is full; blank if it is not."""
    free = psutil.disk_usage(str(place)).free
    return f"The disk is full: {free / 2**20:.0f} MB are free. {_TO_FREE}" if free < _ENOUGH_BYTES else ""


@contextmanager
def guarded() -> Iterator[None]:
    """Give the processes that are started meanwhile a mark, and end all that have it afterwards.

    That happens also if this process is killed. Within a run that is guarded already, nothing is added.
    """
    if MARK in os.environ:
        yield
        return
    mark = secrets.token_hex(8)
    # The guard learns from its standard input, which the system closes, that this process is gone.
    guard = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.environ[MARK] = mark
    try:
        yield
    finally:
        del os.environ[MARK]
        end({MARK: mark})
        guard.stdin.close()
        guard.wait()


def end(marks: Mapping[str, str], *, but: int = 0) -> None:
    """End every process that has some values in its environment, at once, except one and this."""
    # Again, for what they started meanwhile; not for ever: the system may hold one that waits for a disk.
    for _ in range(10):
        found = [process for process in psutil.process_iter() if _has(process, marks, but)]
        if not found:
            return
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=2)


def _has(process: psutil.Process, marks: Mapping[str, str], but: int) -> bool:
    try:
        return process.pid not in (but, os.getpid()) and marks.items() <= process.environ().items()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):  # has just ended, or is another user's
        return False


def run(command: Sequence[str], *, cancels: bool, pass_fds: Sequence[int] = ()) -> int:
    """Run a command in the project's folder, with all that it starts, and return its exit status.

    Parameters
    ----------
    command : sequence of str
        Snakemake and its options.
    cancels : bool
        Whether the command must hear of an interruption, to cancel the jobs of a cluster. Otherwise it ends
        at once like its steps.
    pass_fds : sequence of int
        Open files that it keeps.
    """
    with temporary_folder() as further, guarded(), warm.served(os.environ | further, ROOT) as environment:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            pass_fds=pass_fds,
            env=environment,
            # Ctrl-C reaches this process alone, which then ends the others in order.
            start_new_session=True,
        )
        try:
            return process.wait()
        except Stopped:
            if cancels:
                process.send_signal(signal.SIGINT)
                end({MARK: os.environ[MARK]}, but=process.pid)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TO_CANCEL_S)
            raise


@contextmanager
def alone(place: Path = ROOT) -> Iterator[int]:
    """Hold the lock of a project's folder, and provide the number of the open file.

    The operating system releases the lock however the process ends; Snakemake is given the file too, in case
    it outlives this process.

    Raises
    ------
    BlockingIOError
        If another run holds it for longer than the processes of a killed run take to end.
    OSError
        If a folder of results cannot be written.
    """
    for name in ("build", "reports", ".snakemake"):
        (place / name).mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=place / name).close()
    with (place / "build" / ".lock").open("w") as lock:
        for left in reversed(range(20)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(0.1)
        yield lock.fileno()


@contextmanager
def temporary_folder() -> Iterator[Mapping[str, str]]:
    """Provide a folder for the temporary files of all steps, as environment variables.

    What a killed run has left in it is deleted by the next; its processes end, if its guard was killed too.
    """
    folder = ROOT / "build" / ".tmp"
    end({"TMPDIR": str(folder)})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield {"TMPDIR": str(folder), "JOBLIB_TEMP_FOLDER": str(folder)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _guard(mark: str) -> None:
    """Wait until the process that started this one is gone, and end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end({MARK: mark})


if __name__ == "__main__":
    _guard(sys.argv[1])
