"""Steps that need not import anything: forks of one process that has.

A step is a process of its own and a notebook's kernel is another, and to import what they use takes each of
them seconds, more than many a step. On Linux a run therefore has a process that imports once, at the first
step, and steps are forks of it, as a notebook's kernel is one of its step. The process has a single thread
whenever it is forked. Where it is not (on macOS, whose frameworks do not survive a fork; on a cluster's
nodes; after a change of the code), and for a step that computes in several processes, or in threads of a
library that reads their number while it is imported, a step starts in the usual way.
"""

import gc
import importlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, reduction
from multiprocessing.connection import Connection
from pathlib import Path

from postarrest.places import ROOT

PLACE = "POSTARREST_WARM"
_FORK = multiprocessing.get_context("fork")
_MODULES = (
    *("postarrest.pipeline.steps", "postarrest.pipeline.freeze", "postarrest.pipeline.read_ct"),
    *("postarrest.evaluation", "postarrest.figures", "postarrest.report.site", "postarrest.simulate"),
    *("jupytext", "papermill", "ipykernel.kernelapp", "lightgbm", "optuna", "statsmodels.api"),
)
# Steps and notebooks with the network, and what they import besides.
_WITH_NETWORK = {"features", "read_ct", "03_cnn", "08_external"}
_OF_NETWORK = ("tensorflow", "keras")
# Steps that use several cores: the features in TensorFlow's threads, the others in processes. A fork would
# end only after joblib's processes, which wait for more work for five minutes.
_BY_ITSELF = {"simulate", "read_ct", "features", "06_stability"}
# Fixed while libraries are imported: Arrow's allocator would begin a thread, and matplotlib choose another
# way of drawing than in a kernel that imports it itself.
_AT_IMPORT = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}


def thread_environment(threads: int, *, jobs: int = 1) -> dict[str, str]:
    """Return the environment in which numerical libraries use so many threads, and joblib so many cores."""
    # One thread per model; the folds, or joblib's processes, use the cores.
    count = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict.fromkeys(names, count) | {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONHASHSEED": "0",
        "LOKY_MAX_CPU_COUNT": str(jobs),
        "POSTARREST_THREADS": count,
    }


@contextmanager
def served(environment: Mapping[str, str], root: Path) -> Iterator[Mapping[str, str]]:
    """Have a process that steps are forked from, and provide the environment in which they find it.

    Parameters
    ----------
    environment : mapping
        Of the run; its temporary files have a folder of their own.
    root : pathlib.Path
        The project's folder, in which steps run.
    """
    if sys.platform != "linux":
        yield environment
        return
    # Relative: the system allows a socket's name 107 bytes.
    place = str(Path(environment["TMPDIR"], "warm").relative_to(root))
    server = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, place],
        cwd=root,
        env=environment | thread_environment(1) | _AT_IMPORT,
        stdin=subprocess.DEVNULL,
        # What libraries print while they are imported is for nobody; of an error a step that starts by itself
        # tells.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield environment | {PLACE: place}
    finally:
        server.kill()
        server.wait()


def run(arguments: Sequence[str]) -> int | None:
    """Let a command of the pipeline run in a fork, and return its exit status; none if it must run here.

    Parameters
    ----------
    arguments : sequence of str
        Of ``python -m postarrest.pipeline``.
    """
    if PLACE not in os.environ or (_threads(arguments) > 1 and _BY_ITSELF & {*arguments}):
        return None
    try:
        server = connection.Client(os.environ[PLACE], "AF_UNIX")
    except OSError:  # gone, or of another node of a cluster, to which its name was passed on
        return None
    begun = False
    try:
        with server:
            server.send((list(arguments), dict(os.environ)))
            for stream in (1, 2):
                reduction.send_handle(server, stream, None)
            begun = server.recv()
            status = server.recv() if begun else None
    except (EOFError, ConnectionError):
        # Killed, with the step; or ended by an error in what it imports, which the step will show.
        status = -signal.SIGKILL if begun else None
    if status is None:
        return None
    # What a shell makes of a process that a signal has ended.
    return status if status >= 0 else 128 - status


def _threads(arguments: Sequence[str]) -> int:
    return int(arguments[[*arguments].index("--threads") + 1]) if "--threads" in arguments else 1


def _serve(place: str) -> None:
    """Fork for each step that is asked for."""
    imported_s = None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        while True:
            # Whoever asked may be gone at any moment.
            with (
                Connection(listener.accept()[0].detach()) as client,
                suppress(EOFError, ConnectionError),
                _asked(client) as asked,
            ):
                if imported_s is None:
                    imported_s = time.time()
                    _import(_MODULES)
                if _WITH_NETWORK & {*asked[0]}:
                    _import(_OF_NETWORK)
                fits = _changed_s() < imported_s
                client.send(fits)
                if fits:
                    _FORK.Process(target=_answer, args=(listener, client, *asked)).start()
            # Notes which of the earlier ones have ended.
            multiprocessing.active_children()


@contextmanager
def _asked(client: Connection) -> Iterator[tuple[list[str], dict[str, str], list[int]]]:
    """Provide a step's arguments, its environment, and the streams that it writes to."""
    streams: list[int] = []
    try:
        arguments, environment = client.recv()
        streams += [reduction.recv_handle(client) for _ in (1, 2)]
        yield arguments, environment, streams
    finally:
        for stream in streams:
            os.close(stream)


def _import(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    # A collection would write into every object, and so copy them all for each fork.
    gc.collect()
    gc.freeze()


def _changed_s() -> float:
    """Return when a file of this library was changed last."""
    return max(path.stat().st_mtime for path in (ROOT / "lib").rglob("*.py"))


def _answer(
    listener: socket.socket,
    client: Connection,
    arguments: list[str],
    environment: dict[str, str],
    streams: list[int],
) -> None:
    """Run a step in a process of its own, and tell its exit status; end it if whoever asked is gone."""
    listener.close()
    step = _FORK.Process(target=_step, args=(client, arguments, environment, streams))
    step.start()
    if client in connection.wait([client, step.sentinel]):
        step.kill()
        step.join()
    else:
        step.join()
        client.send(step.exitcode)


def _step(client: Connection, arguments: list[str], environment: dict[str, str], streams: list[int]) -> None:
    client.close()
    for place, stream in zip((1, 2), streams, strict=True):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    from postarrest.pipeline import running, steps

    with running.ended_in_words():
        sys.exit(steps.main(arguments))


if __name__ == "__main__":
    _serve(sys.argv[1])
