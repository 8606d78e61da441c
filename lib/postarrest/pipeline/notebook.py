"""Execute one notebook with papermill."""

import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from postarrest.files import write_text
from postarrest.pipeline import running, warm
from postarrest.places import ROOT, Here, run_name
from postarrest.refused import Refused


class NotebookError(Refused):
    """A notebook that stopped at an error; the message names the notebook, the cell and the error."""


def run_notebook(
    study: str, notebook: str, parameters: dict[str, Any], *, run: str = "", threads: int = 1
) -> None:
    """Execute a notebook of a study with papermill.

    The executed notebook is saved with the report once it has run to its end. If it fails, the part that ran
    is saved in ``failed/`` instead; what it printed is in ``logs/``.

    Parameters
    ----------
    study, notebook : str
        Name of the study, and of the notebook without ending.
    parameters : dict
        Values for its parameters cell, among them ``save_to`` (see `postarrest.places.Here`).
    run : str
        The split or fold, if the notebook runs once for each.
    threads : int
        Cores for what the notebook does side by side. Numerical libraries have one thread: how a matrix
        product rounds may depend on how many there are.

    Raises
    ------
    NotebookError
        If a cell fails, or the kernel is ended from outside.
    """
    import jupytext
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    os.environ.update(warm.thread_environment(1, jobs=threads))
    here, name = Here(study, parameters["save_to"]), run_name(notebook, run)
    failed, log = here.out(f"failed/{name}.ipynb"), here.out(f"logs/{name}.log")
    failed.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="postarrest-") as folder, log.open("w", encoding="utf-8") as file:
        source, result = Path(folder) / "source.ipynb", Path(folder) / "result.ipynb"
        jupytext.write(jupytext.read(ROOT / "notebooks" / f"{notebook}.py"), source)
        try:
            with running.guarded(), _printed_to(file.fileno()), _kernel():
                papermill.execute_notebook(
                    source,
                    result,
                    parameters=parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    stdout_file=file,
                    stderr_file=file,
                    # What C++ libraries print belongs in the log, not on the page.
                    extra_arguments=["--IPKernelApp.capture_fd_output=False"],
                )
        except PapermillExecutionError as error:
            shutil.copy(result, failed)
            file.write("\n".join(error.traceback) + "\n")
            raise NotebookError(
                f"notebooks/{notebook}.py stopped in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"  what ran is saved in {failed.relative_to(ROOT)}, its output in {log.relative_to(ROOT)}"
            ) from error
        except DeadKernelError as error:
            raise NotebookError(
                f"notebooks/{notebook}.py: its Python process was ended from outside, as a system does that "
                f"runs out of memory (make doctor shows how much there is)\n"
                f"  its output is in {log.relative_to(ROOT)}"
            ) from error
        executed = nbformat.read(result, as_version=4)
        kept = without_folders(executed, [*_paths(parameters), str(source), str(result), str(ROOT)])
        write_text(here.report_dir / f"{name}.ipynb", nbformat.writes(nbformat.from_dict(kept)) + "\n")


def _kernel() -> AbstractContextManager[None]:
    """Have the kernel be a fork of this process, if this has its imports because it is one itself."""
    if not multiprocessing.parent_process():
        return nullcontext()
    from postarrest.pipeline import kernel

    return kernel.forked()


def _paths(parameters: dict[str, Any]) -> list[str]:
    return [value for value in parameters.values() if isinstance(value, str) and Path(value).is_absolute()]


def without_folders(content: Any, paths: Sequence[str]) -> Any:
    """Return nested values in which paths of this machine are shortened to their last part.

    A path of a hospital's data can name a ward, a person or a study; the report is given away.

    Parameters
    ----------
    content : object
        An executed notebook, or a part of it.
    paths : sequence of str
        Absolute paths.

    Examples
    --------
    >>> without_folders({"cells": ["data_path = '/mnt/ward 7/export'"]}, ["/mnt/ward 7/export", "/mnt"])
    {'cells': ["data_path = 'export'"]}
    """
    if isinstance(content, dict):
        return {key: without_folders(value, paths) for key, value in content.items()}
    if isinstance(content, list):
        return [without_folders(value, paths) for value in content]
    if isinstance(content, str):
        # Longest first: one path may contain another. A text in a cell has its marks escaped.
        for path in sorted(paths, key=len, reverse=True):
            for written in {path, path.replace("\\", "\\\\").replace('"', '\\"')}:
                content = content.replace(written, Path(path).name)
    return content


@contextmanager
def _printed_to(descriptor: int) -> Iterator[None]:
    """Send what this process and the kernel print outside any cell to a file, not to the terminal."""
    kept = {place: os.dup(place) for place in (1, 2)}
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        for place in kept:
            os.dup2(descriptor, place)
        yield
    finally:
        for place, original in kept.items():
            os.dup2(original, place)
            os.close(original)
