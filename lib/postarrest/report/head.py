"""What the head of a page says: data, seeds, versions, machine, commit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from postarrest.models import splits
from postarrest.places import Here
from postarrest.report import environment
from postarrest.report.body import Body
from postarrest.report.rendering import listed
from postarrest.report.runs import Run
from postarrest.report.summary import Summary
from postarrest.study import load, schema
from postarrest.study.load import Study

# Notebooks whose results depend on the network's weights.
_WITH_NETWORK = ("03_cnn", "04_stacking", "05_evaluation")


@dataclass(frozen=True)
class Report:
    """Everything that the pages of a study are made from.

    Parameters
    ----------
    study : Study
        The study.
    here : Here
        Its places.
    notebooks : Mapping of Run to notebook
        The executed notebooks, in reading order.
    bodies : Mapping of Run to Body
        Their pages.
    environments : Mapping of Run to dict
        What each was computed with, where that was noted.
    result : Summary
        The main result.
    """

    study: Study
    here: Here
    notebooks: Mapping[Run, nbformat.NotebookNode]
    bodies: Mapping[Run, Body]
    environments: Mapping[Run, dict[str, Any]]
    result: Summary

    @property
    def computed(self) -> dict[str, Any]:
        """What the first notebook was computed with; this process where none noted it."""
        return next(iter(self.environments.values()), None) or environment.describe(root=self.here.root)

    @property
    def weights(self) -> str:
        """Where the network's weights are from; blank without a network."""
        if "03_cnn" not in self.study.notebooks:
            return ""
        noted = self.here.build("features.json")
        return json.loads(noted.read_text(encoding="utf-8"))["weights"] if noted.is_file() else "not noted"


def of_notebook(report: Report, run: Run) -> list[tuple[str, str]]:
    """Return the head of a notebook's page: names and values."""
    timing = report.notebooks[run]["metadata"]["papermill"]
    seeds = {k: v for k, v, _ in parameters(report, run) if k.endswith("seed")}
    about = [
        ("Study", report.study.title),
        ("Part", run.title),
        ("Data", _data(report.study)),
        ("Seed", _seeds(report.study, seeds)),
        ("Weights", report.weights if run.notebook in _WITH_NETWORK else ""),
        *_computed_with(report.environments.get(run)),
        ("Run", f"{timing['end_time'][:16].replace('T', ' ')}, {timing['duration']:.0f} s"),
    ]
    return [(name, value) for name, value in about if value]


def of_index(report: Report) -> list[tuple[str, str]]:
    """Return what the first page says of the whole computation: names and values."""
    study = report.study
    network = load.complete_parameters(study, "03_cnn", root=report.here.root) if report.weights else {}
    differing = environment.differing(report.environments.values())
    same = "every notebook ran with these versions, this commit and this kind of machine"
    if differing:
        same = f"NO: the notebooks differ in {listed(differing)}; each page has its own"
    about = [
        ("Data", _data(study)),
        ("Seed", _seeds(study, {})),
        *_computed_with(next(iter(report.environments.values()), None)),
        ("Precision", network.get("precision", "")),
        ("Weights", report.weights),
        ("Same throughout", same if report.environments else ""),
    ]
    return [(name, value) for name, value in about if value]


def parameters(report: Report, run: Run) -> list[tuple[str, str, str]]:
    """Return the parameters of a run: name, value and meaning. Of a path, only the last part is shown."""
    given = report.notebooks[run]["metadata"]["papermill"].get("parameters", {})
    declared = schema.declared_parameters(run.notebook, root=report.here.root)
    return [(name, _value(given.get(name, p.default)), p.help) for name, p in declared.items()]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False)


def _data(study: Study) -> str:
    if study.simulated:
        return "SIMULATED patients"
    if study.scores:
        return f"the scores table '{Path(study.scores).name}'"
    return f"the export '{Path(study.data).name}'"


def _seeds(study: Study, of_notebook: Mapping[str, str]) -> str:
    seeds = {} if study.scores else {"splits": splits.Settings(**study.sections["splits"]).seed}
    if study.simulated and "seed" in study.sections["simulate"]:
        seeds["simulation"] = study.sections["simulate"]["seed"]
    return ", ".join(f"{value} ({name})" for name, value in (seeds | dict(of_notebook)).items())


def _computed_with(described: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if described is None:
        return []
    versions, differing = described["versions"], described["differs_from_lock"]
    shown = [f"{p} {versions[p]}" for p in ("numpy", "pandas", "scikit-learn", "tensorflow") if p in versions]
    lock = f"all {described['n_installed']} packages as in the lock file"
    if differing:
        lock = f"{len(differing)} of {described['n_installed']} packages differ from the lock file: "
        lock += "; ".join(differing)
    threads = described["threads"]
    return [
        ("Versions", f"Python {described['python']}, {', '.join(shown)}; {lock}"),
        (
            "Machine",
            f"{described['processor']}, {described['cores']} cores, {described['system']}; "
            f"{threads} thread{'s' if threads > 1 else ''} per step",
        ),
        (
            "Commit",
            (described["commit"] or "not under version control")
            + (", with later changes" if described["changed"] else ""),
        ),
    ]
