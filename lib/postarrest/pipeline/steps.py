"""The steps of the pipeline as commands: notebooks executed by papermill, and the few other steps.

Snakemake decides what runs and when (``Snakefile``); it calls this module. A command imports what it
needs when it runs: to execute a notebook takes no model and no page, and each step is a process of its own.
"""

import argparse
import json
import os
import re
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postarrest import places
from postarrest.files import whole, write_text
from postarrest.pipeline import running
from postarrest.pipeline.notebook import run_notebook
from postarrest.pipeline.warm import thread_environment
from postarrest.places import ROOT
from postarrest.refused import Refused


def simulate(study: str, threads: int) -> None:
    """Write ``build/<study>/data/``, the simulated patients of a study."""
    os.environ.update(thread_environment(1, jobs=threads))
    from postarrest.simulate import Settings, write_study
    from postarrest.study import load

    here = places.open(study, save_to="report")
    write_study(Settings(**load.load(study).sections["simulate"]), here.data)
    # A copy for Snakemake, which deletes a step's outputs before it runs again: without its truth the folder
    # would no longer be recognised as a simulation that may be replaced.
    write_text(here.out("simulated.json"), (here.data / "truth.json").read_text(encoding="utf-8"))


def make_splits(study: str) -> None:
    """Write ``build/<study>/splits.parquet`` from the study's cohort, if the study can be run on it."""
    import pandas as pd

    from postarrest import describe
    from postarrest.data.errors import DataErrors
    from postarrest.models import splits
    from postarrest.study import StudyError, against_data, load

    loaded, here = load.load(study), places.open(study, save_to="report")
    cohort = pd.read_parquet(here.build("cohort.parquet"))
    # Told now, and not hours later by the notebook that they would stop.
    if errors := against_data.errors(loaded, cohort, cohort["y_good"]):
        raise DataErrors(errors)
    settings = splits.Settings(**loaded.sections["splits"])
    try:
        if loaded.sites:
            # Now, and not after hours of fitting.
            describe.sites.of(cohort)
        about = {"protocols": loaded.protocols, "settings": settings, "site": cohort.get("site")}
        table = splits.table(cohort["y_good"], **about)
    except ValueError as error:
        # Too few patients with one of the outcomes, or hospitals that do not fit the study file.
        raise StudyError(f"params/{study}.yaml: {error}") from error
    with whole(here.out("splits.parquet")) as place:
        table.to_parquet(place, index=False)


def make_features(study: str, threads: int) -> None:
    """Decide the frozen network's weights, and compute its features of every image, once for all folds."""
    os.environ.update(thread_environment(threads))
    from postarrest.models.cnn import features, finetune
    from postarrest.models.cnn.network import Network, NetworkError
    from postarrest.study import StudyError, load

    here = places.open(study, save_to="report")
    loaded = load.load(study)
    values = load.complete_parameters(loaded, "03_cnn")
    try:
        network = Network.of(values)
        found = features.keep_features(here, network, simulated=loaded.simulated)
        finetune.inputs(here, found, features.decided(here, network), values["depth"])
    except NetworkError as error:
        raise StudyError(f"params/{study}.yaml, section '03_cnn': {error}") from error


def read_ct(study: str, threads: int) -> None:
    """Read the regions of every included patient's head CT, and write a page to look at them."""
    os.environ.update(thread_environment(1))
    from postarrest.pipeline import read_ct

    read_ct.read_study(study, threads)


def freeze_study(study: str) -> None:
    """Write ``build/<study>/model/``: the models fitted on all patients, with thresholds."""
    from postarrest.pipeline import freeze

    freeze.freeze(study)


def combine_scores(study: str, parts: list[str]) -> None:
    """Write ``build/<study>/scores.csv``, the evaluation's only input, from the models' files."""
    from postarrest import scores
    from postarrest.study import StudyError, load, sections

    here, loaded = places.open(study, save_to="report"), load.load(study)
    table = scores.combine([Path(p) for p in parts])
    if loaded.scores:
        # Which models there are is only known from a table from elsewhere itself.
        named = {"05_evaluation": load.complete_parameters(loaded, "05_evaluation")}
        if errors := list(sections.errors_of_names(named, list(dict.fromkeys(table["model"])))):
            raise StudyError("\n".join(f"params/{study}.yaml: {error}" for error in errors))
    scores.write(table, here.out("scores.csv"), checked=True)


def report(names: list[str], *, cores: int, targets: list[str], extra: list[str]) -> int:
    """Let Snakemake check the study files and run what is missing or out of date; return its exit status.

    Parameters
    ----------
    names : list of str
        Studies.
    cores : int
        Cores that may be used.
    targets : list of str
        Files to make; if empty, the studies' reports.
    extra : list of str
        Further options for Snakemake.
    """
    started = time.monotonic()
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--nolock"),
        # Steps of several studies run side by side: work in one process takes less time in all.
        *("--config", f"studies={' '.join(names)}", f"cores_a_step={max(1, cores // len(names))}"),
        *("--logger-postarrest-times", f"build/step-times-{'-'.join(names)}.json"),
        *extra,
        *(["--", *targets] if targets else []),
    ]
    try:
        with running.alone() as lock:
            # Only options can name a cluster, whose jobs Snakemake cancels.
            cancels = bool(extra) or "SNAKEMAKE_PROFILE" in os.environ
            done = running.run(command, cancels=cancels, pass_fds=[lock])
    except BlockingIOError:
        raise Refused("The pipeline is already running in this folder.") from None
    if done and (full := running.full_disk()):
        raise Refused(full)
    page = ROOT / "reports" / ("index.html" if len(names) > 1 else f"{names[0]}/index.html")
    dry = {"-n", "--dry-run", "--dryrun"} & set(extra)
    if done == 0 and not targets and not dry and page.is_file():
        for name in names:
            about = json.loads((ROOT / "reports" / name / "summary.json").read_text(encoding="utf-8"))
            print(f"{name}: {about['headline']}{' (SIMULATED)' if about['simulated'] else ''}")
        minutes, seconds = divmod(round(time.monotonic() - started), 60)
        print(f"Open {page.relative_to(ROOT)} ({minutes} min {seconds} s)")
    return done


def write_pages(name: str) -> None:
    """Write all pages of a study, from what its notebooks left."""
    from postarrest.report import site

    site.write_study(name)


def write_home() -> None:
    """Write ``reports/index.html``, which leads to the studies."""
    from postarrest.report import site

    site.write_home()


def site_summary(study: str, *, mask_below: int | None, model: str) -> None:
    """Write what a hospital may share of its study with others: aggregates, and no patient."""
    from postarrest import evaluation
    from postarrest.pipeline import network

    below = evaluation.network.BELOW if mask_below is None else mask_below
    network.site_summary(study, mask_below=below, model=model)


def pool(summaries: list[str]) -> None:
    """Write one page of several hospitals' summaries."""
    from postarrest.pipeline import network

    network.pool(summaries)


_COMMANDS = {
    "report": report,
    "notebook": run_notebook,
    "simulate": simulate,
    "splits": make_splits,
    "features": make_features,
    "read_ct": read_ct,
    "scores": combine_scores,
    "freeze": freeze_study,
    "pages": write_pages,
    "home": write_home,
    "site-summary": site_summary,
    "pool": pool,
}


# Commands that Snakemake runs for one study.
_STEPS = ("notebook", "simulate", "splits", "features", "read_ct", "scores", "freeze")


def main(arguments: list[str] | None = None) -> int:
    """Run a command of the pipeline; see ``python -m postarrest.pipeline --help``."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {
        name: commands.add_parser(name, help=run.__doc__.split("\n")[0]) for name, run in _COMMANDS.items()
    }
    parsers["report"].add_argument("names", metavar="studies", nargs="+")
    parsers["report"].add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parsers["report"].add_argument("--target", dest="targets", action="append", default=[])
    for name in _STEPS:
        parsers[name].add_argument("--study", required=True)
    parsers["pages"].add_argument("--study", dest="name", required=True)
    for name in ("notebook", "simulate", "features", "read_ct"):
        parsers[name].add_argument("--threads", type=int, default=1)
    parsers["notebook"].add_argument("--notebook", required=True)
    parsers["notebook"].add_argument("--run", default="")
    parsers["notebook"].add_argument("--parameters", type=json.loads, required=True)
    parsers["scores"].add_argument("parts", nargs="+")
    parsers["site-summary"].add_argument("study")
    parsers["site-summary"].add_argument("--mask-below", type=int)
    parsers["site-summary"].add_argument("--model", default="")
    parsers["pool"].add_argument("summaries", nargs="+")
    given, extra = parser.parse_known_args(arguments)
    options = vars(given)
    command = options.pop("command")
    if command == "report":
        options["extra"] = extra
    elif extra:
        parser.error(f"unknown: {' '.join(extra)}")
    try:
        status = _COMMANDS[command](**options)
    except Refused as error:
        # Errors in files and failing cells are reported in words; anything else is a bug, with its trace.
        if running.MARK in os.environ:
            # One block after a blank line: it is found at the end of a step's log and shown with the step.
            sys.stderr.write("\n" + re.sub(r"\n\s*\n", "\n", str(error)) + "\n")
        else:
            sys.stderr.write(f"{error}\n")
        return 1
    if command in _STEPS:
        _note_time(options["study"], _step_name(command, options))
    return status if command == "report" else 0


def _step_name(command: str, options: Mapping[str, Any]) -> str:
    return places.run_name(options["notebook"], options["run"]) if command == "notebook" else command


def _note_time(study: str, step: str) -> None:
    """Note a step's processor time and memory, with those of the processes it has started and seen end."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    noted = {
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in used),
        # Of the largest process: Linux counts in KiB, macOS in bytes.
        "peak_mib": max(one.ru_maxrss for one in used) / (2**20 if sys.platform == "darwin" else 2**10),
    }
    write_text(places.open(study, save_to="report").out(f"time/{step}.json"), json.dumps(noted))
