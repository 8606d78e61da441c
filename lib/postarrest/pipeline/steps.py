"""The steps of the pipeline, as commands: notebooks run by papermill, and the few steps that are none.

Snakemake decides what runs and when (``Snakefile``); this module is what it calls.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postarrest import places
from postarrest.data.errors import DataErrors
from postarrest.files import whole
from postarrest.pipeline.notebook import NotebookError, run_notebook, thread_environment
from postarrest.places import ROOT
from postarrest.study import load
from postarrest.study.schema import StudyError


def make_splits(study: str) -> None:
    """Write ``build/<study>/splits.parquet`` from the study's cohort."""
    import pandas as pd

    from postarrest.models import splits

    loaded, here = load.load(study), places.open(study, save_to="report")
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
    os.environ.update(thread_environment(threads))
    from postarrest.models.cnn import features, finetune
    from postarrest.models.cnn.network import Network, NetworkError

    here = places.open(study, save_to="report")
    values = load.complete_parameters(load.load(study), "03_cnn")
    try:
        network = Network.of(values)
        finetune.inputs(here, features.keep_features(here, network), network, values["depth"])
    except NetworkError as error:
        raise StudyError(f"params/{study}.yaml, section '03_cnn': {error}") from error


def combine_scores(study: str, parts: list[str]) -> None:
    """Write ``build/<study>/scores.csv``, the one thing that the evaluation reads, from the models' parts."""
    from postarrest import scores

    here = places.open(study, save_to="report")
    scores.write(scores.combine([Path(p) for p in parts]), here.out("scores.csv"))


def check_models(study: load.Study) -> None:
    """Refuse a network, base models or search spaces that can't be run, before any kernel starts.

    Raises
    ------
    StudyError
        Listing every fault.
    """
    # scikit-learn takes seconds to import; only this needs it here.
    from pydantic import ValidationError

    from postarrest.models import cnn, tabular

    faults = []

    def check(section: str, settings: Callable[[], Any]) -> None:
        try:
            settings()
        except ValidationError as error:
            for found in error.errors():
                place = ".".join(str(part) for part in found["loc"])
                expected = found["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
                faults.append(f"section '{section}': {place}: found {found['input']!r}; {expected}.")

    if "03_cnn" in study.notebooks:
        network = load.complete_parameters(study, "03_cnn")
        check("03_cnn", lambda: cnn.network.Network.of(network))
        check("03_cnn", lambda: cnn.head.Training.of(network))
    if "04_stacking" in study.notebooks:
        stack = load.complete_parameters(study, "04_stacking")
        check("04_stacking", lambda: tabular.declared(stack["base_models"]))
        check("04_stacking", lambda: tabular.spaces(stack["spaces"]))
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
        check_models(load.load(name))
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
            here = places.open(given.study, save_to="report")
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
    except (StudyError, NotebookError, DataErrors) as error:
        # Faults of files and failing cells are told in words; anything else is ours, with its trace.
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
