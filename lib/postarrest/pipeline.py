"""The steps of the pipeline, as commands: notebooks run by papermill, and the few steps that are none.

Snakemake decides what runs and when (``Snakefile``); this module is what it calls.
"""

import argparse
import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postarrest import study as studies
from postarrest.contract import DataFaults
from postarrest.files import whole, write_bytes
from postarrest.study import ROOT, StudyError

_PACKAGE = ROOT / "lib" / "postarrest"


class NotebookError(RuntimeError):
    """A notebook that stopped at an error; the message names the notebook, the cell and the error."""


def modules_of(path: Path) -> list[Path]:
    """Return a source file and every module of this library that it needs, directly or through another.

    A step is stale when a module that it needs has changed, and only then.

    Examples
    --------
    >>> [p.name for p in modules_of(_PACKAGE / "files.py")]
    ['__init__.py', 'files.py']
    """
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += [m for m in _imported(current) if m not in found]
    return sorted(found | {_PACKAGE / "__init__.py"})


def _imported(path: Path) -> set[Path]:
    imported = set()
    # What a function imports only when called is a check of study files or another command.
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "postarrest":
                place = _PACKAGE.joinpath(*parts[1:])
                candidates = (place.with_suffix(".py"), place / "__init__.py")
                imported |= {c for c in candidates if len(parts) > 1 and c.is_file()}
    return imported


def run_notebook(
    notebook: str, parameters: dict[str, Any], *, executed: Path, failed: Path, log: Path, threads: int
) -> None:
    """Execute a notebook with papermill.

    Parameters
    ----------
    notebook : str
        Name without ending.
    parameters : dict
        Values for its parameters cell.
    executed : pathlib.Path
        Where the executed notebook is put once it has run to its end.
    failed : pathlib.Path
        Where the executed part is kept for reading if it fails.
    log : pathlib.Path
        What the notebook printed.
    threads : int
        Threads that a numerical library may use.

    Raises
    ------
    NotebookError
        If a cell fails.
    """
    import jupytext
    import papermill
    from papermill.exceptions import PapermillExecutionError

    os.environ.update(_environment(threads))
    log.parent.mkdir(parents=True, exist_ok=True)
    failed.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="postarrest-") as folder:
        source, result = Path(folder) / "source.ipynb", Path(folder) / "result.ipynb"
        jupytext.write(jupytext.read(ROOT / "notebooks" / f"{notebook}.py"), source)
        with log.open("w", encoding="utf-8") as output:
            try:
                with _printed_to(output.fileno()):
                    papermill.execute_notebook(
                        source,
                        result,
                        parameters=parameters,
                        kernel_name="python3",
                        progress_bar=False,
                        stdout_file=output,
                        stderr_file=output,
                        # What C++ libraries print belongs in the log, not on the page.
                        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
                    )
            except PapermillExecutionError as error:
                failed.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(result, failed)
                output.write("\n".join(error.traceback))
                raise NotebookError(
                    f"notebooks/{notebook}.py stopped in cell {error.exec_count}: "
                    f"{error.ename}: {error.evalue}\n"
                    f"  what ran is kept in {_relative(failed)}, what it printed in {_relative(log)}"
                ) from error
        write_bytes(executed, result.read_bytes())


@contextmanager
def _printed_to(descriptor: int) -> Iterator[None]:
    """Send what this process and the kernel print outside any cell to a file, not to the terminal."""
    kept = os.dup(1), os.dup(2)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        yield
    finally:
        for place, original in enumerate(kept, start=1):
            os.dup2(original, place)
            os.close(original)


def _environment(threads: int) -> dict[str, str]:
    # One model, one thread: processes over folds use the cores (see reference figures in the benchmark).
    count = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict.fromkeys(names, count) | {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONHASHSEED": "0",
        "POSTARREST_THREADS": count,
    }


def _relative(path: Path) -> str:
    return Path(path).resolve().relative_to(ROOT).as_posix()


def make_splits(study: str) -> None:
    """Write ``build/<study>/splits.parquet`` from the study's cohort."""
    import pandas as pd

    from postarrest import splits

    loaded, here = studies.load(study), studies.open(study, save_to="report")
    cohort = pd.read_parquet(here.build("cohort.parquet"))
    settings = splits.Settings(**loaded.sections["splits"])
    try:
        divided = splits.table(cohort["y_good"], protocols=loaded.protocols, settings=settings)
    except ValueError as error:
        # Too few patients of an outcome: the cohort's fault, not the program's.
        raise StudyError(f"params/{study}.yaml: {error}") from error
    with whole(here.out("splits.parquet")) as place:
        divided.to_parquet(place, index=False)


def make_features(study: str, threads: int) -> None:
    """Compute and keep what the frozen part of a study's network makes of every image.

    Here, once, and not in the notebooks of several folds at the same time.
    """
    os.environ.update(_environment(threads))
    from postarrest import cnn, finetune

    here = studies.open(study, save_to="report")
    values = studies.complete_parameters(studies.load(study), "03_cnn")
    try:
        network = cnn.network_settings(values)
        finetune.inputs(here, cnn.keep_features(here, network), network, values["depth"])
    except cnn.NetworkError as error:
        raise StudyError(f"params/{study}.yaml, section '03_cnn': {error}") from error


def combine_scores(study: str, parts: list[str]) -> None:
    """Write ``build/<study>/scores.csv``, the one thing that the evaluation reads, from the models' parts."""
    from postarrest import scores

    here = studies.open(study, save_to="report")
    scores.write(scores.combine([Path(p) for p in parts]), here.out("scores.csv"))


def check_models(study: studies.Study) -> None:
    """Refuse a network, base models or search spaces that can't be run, before any kernel starts.

    Raises
    ------
    StudyError
        Listing every fault.
    """
    # Optuna and scikit-learn take seconds to import; only this needs them here.
    from postarrest import cnn, finetune, tabular, tuning

    faults = []

    def told(section: str, check: Callable[[], Any]) -> None:
        try:
            check()
        except (cnn.NetworkError, tabular.ModelError) as error:
            faults.extend(f"section '{section}': {line}" for line in str(error).splitlines())

    given = {
        notebook: studies.complete_parameters(study, notebook)
        for notebook in ("03_cnn", "04_stacking")
        if notebook in study.notebooks
    }
    if values := given.get("03_cnn"):
        told("03_cnn", lambda: cnn.network_settings(values))
        faults += [f"section '03_cnn': {fault}" for fault in tuning.faults_of_space(values["space"])]
        if values["depth"] not in finetune.DEPTHS:
            known = ", ".join(finetune.DEPTHS)
            faults.append(f"section '03_cnn': depth is {values['depth']!r}, expected one of {known}.")
    if stack := given.get("04_stacking"):
        told("04_stacking", lambda: tabular.declared(stack["models"]))
        for algorithm, space in stack["spaces"].items():
            if algorithm not in tabular.SPACES:
                faults.append(
                    f"section '04_stacking': spaces holds '{algorithm}', expected some of "
                    f"{', '.join(tabular.SPACES)}."
                )
            faults += [f"section '04_stacking': {fault}" for fault in tuning.faults_of_space(space)]
    if faults:
        raise StudyError("\n".join(f"params/{study.name}.yaml: {fault}" for fault in faults))


def report(names: list[str], *, cores: int, targets: list[str], extra: list[str]) -> int:
    """Check the studies' files, then let Snakemake make what is stale; return its exit status.

    Parameters
    ----------
    names : list of str
        Studies.
    cores : int
        Cores that may be used.
    targets : list of str
        What to make; blank for the studies' reports.
    extra : list of str
        Further arguments for Snakemake.
    """
    for name in names:
        check_models(studies.load(name))
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / ".lock").open("w") as lock:
        try:
            # The kernel lets go of this lock however the process ends, so none is ever left behind.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError("Another run of the pipeline is under way in this folder.") from None
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--cores", str(cores)),
            *("--nolock", "--rerun-incomplete", "--logger", "postarrest", "--keep-going"),
            *("--config", f"studies={' '.join(names)}"),
            *extra,
            *(["--", *targets] if targets else []),
        ]
        # Snakemake holds the lock too, should it outlive this process.
        return subprocess.run(command, cwd=ROOT, check=False, pass_fds=(lock.fileno(),)).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run a command of the pipeline; see ``python -m postarrest.pipeline --help``."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("report", "notebook", "splits", "features", "scores"):
        commands.add_parser(name)
    commands.choices["report"].add_argument("studies", nargs="+")
    commands.choices["report"].add_argument("--cores", type=int, default=os.cpu_count() or 1)
    commands.choices["report"].add_argument("--target", action="append", default=[])
    for name in ("notebook", "splits", "features", "scores"):
        commands.choices[name].add_argument("--study", required=True)
    for name in ("notebook", "features"):
        commands.choices[name].add_argument("--threads", type=int, default=1)
    commands.choices["notebook"].add_argument("--notebook", required=True)
    commands.choices["notebook"].add_argument("--run", default="")
    commands.choices["notebook"].add_argument("--parameters", type=json.loads, required=True)
    commands.choices["scores"].add_argument("parts", nargs="+")
    given, extra = parser.parse_known_args(arguments)
    if extra and given.command != "report":
        parser.error(f"unknown: {' '.join(extra)}")
    try:
        if given.command == "report":
            return report(given.studies, cores=given.cores, targets=given.target, extra=extra)
        if given.command == "notebook":
            here = studies.open(given.study, save_to="report")
            page = f"{given.notebook}_{given.run}" if given.run else given.notebook
            run_notebook(
                given.notebook,
                given.parameters,
                executed=here.report_dir / f"{page}.ipynb",
                failed=here.build(f"failed/{page}.ipynb"),
                log=here.build(f"logs/{page}.log"),
                threads=given.threads,
            )
        elif given.command == "splits":
            make_splits(given.study)
        elif given.command == "features":
            make_features(given.study, given.threads)
        else:
            combine_scores(given.study, given.parts)
    except (StudyError, NotebookError, DataFaults) as error:
        # Faults of files and failing cells are told in words; anything else is ours, with its trace.
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
