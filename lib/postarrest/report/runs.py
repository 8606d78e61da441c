"""What the runs of a study's notebooks saved for its report."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from postarrest.data.errors import safe_csv
from postarrest.models import splits
from postarrest.places import Here
from postarrest.report import environment
from postarrest.report.body import Body, PageError, from_notebook, problems
from postarrest.report.summary import Summary
from postarrest.report.used import UsedNetwork
from postarrest.study.load import Study
from postarrest.study.runs import Run
from postarrest.study.schema import declared_parameters

# Notebooks whose results depend on the network's weights.
_WITH_NETWORK = (
    *("03_cnn", "04_stacking", "05_evaluation", "06_stability", "07_subgroups"),
    *("08_external", "10_explanation", "11_missing"),
)


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
        What each was computed with, where it was recorded.
    result : Summary
        The main result.
    network : UsedNetwork
        The network on head CT.
    run_hash : str
        What the run is cited by (:func:`postarrest.report.manifest.run_hash`).
    overviews : Mapping of str to Body
        The page over the runs of each notebook that ran several times, by the notebook's name.
    """

    study: Study
    here: Here
    notebooks: Mapping[Run, nbformat.NotebookNode]
    bodies: Mapping[Run, Body]
    environments: Mapping[Run, dict[str, Any]]
    result: Summary
    network: UsedNetwork
    run_hash: str
    overviews: Mapping[str, Body] = field(default_factory=dict)

    def chapters(self) -> list[tuple[str, str]]:
        """Return the notebooks in reading order, each with the name of its page, or of that over its runs."""
        names = {run.notebook: run.name for run in reversed(self.bodies)}
        order = dict.fromkeys(run.notebook for run in self.bodies)
        return [(name, name if name in self.overviews else names[name]) for name in order]

    def in_order(self) -> list[Body]:
        """Return the pages of the notebooks in reading order, that over several runs before these."""
        found = []
        for notebook, _ in self.chapters():
            found += [self.overviews[notebook]] if notebook in self.overviews else []
            found += [body for run, body in self.bodies.items() if run.notebook == notebook]
        return found

    @property
    def run_date(self) -> str:
        """Day on which the last notebook ended."""
        return max(n["metadata"]["papermill"]["end_time"] for n in self.notebooks.values())[:10]

    @property
    def citation(self) -> str:
        """How to cite this report."""
        patients = "Report on simulated patients" if self.study.simulated else "Report"
        commit = f", commit {self.computed['commit']}" if self.computed["commit"] else ""
        return (
            f"{self.study.title}. {patients}, computed {self.run_date}, run {self.run_hash}. "
            f"postarrest {metadata.version('postarrest')}{commit}."
        )

    @property
    def computed(self) -> dict[str, Any]:
        """What the first notebook was computed with; this process if none recorded it."""
        return next(iter(self.environments.values()), None) or environment.describe(root=self.here.root)

    @property
    def weights(self) -> str:
        """Source of the network's weights; blank without a network."""
        if "03_cnn" not in self.study.notebooks:
            return ""
        return self.network.weights or "not noted"

    @property
    def seeds(self) -> dict[str, Any]:
        """The seeds of the splits and of the simulation."""
        study = self.study
        seeds = {"splits": splits.Settings(**study.sections["splits"]).seed} if study.protocols else {}
        if study.simulated and "seed" in study.sections["simulate"]:
            seeds["simulation"] = study.sections["simulate"]["seed"]
        return seeds

    def head(self, run: Run) -> dict[str, Any]:
        """Return what the head of a notebook's page shows; paths are shortened to their last part."""
        papermill = self.notebooks[run]["metadata"]["papermill"]
        given = papermill.get("parameters", {})
        declared = declared_parameters(run.notebook, root=self.here.root).items()
        parameters = [(name, _value(given.get(name, p.default)), p.help) for name, p in declared]
        return {
            "part": run.title,
            "seeds": self.seeds | {name: value for name, value, _ in parameters if name.endswith("seed")},
            "weights": self.weights if run.notebook in _WITH_NETWORK else "",
            "computed": self.environments.get(run),
            "timing": papermill,
            "parameters": parameters,
        }


def _value(value: Any) -> str:
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False)


def read_notebooks(
    here: Here, expected: Sequence[Run]
) -> tuple[dict[Run, nbformat.NotebookNode], dict[Run, Body]]:
    """Return the executed notebooks, and the pages made from them.

    Raises
    ------
    PageError
        Listing every notebook that is missing, did not run to its end, stopped at an error or has a picture
        without alternative text.
    """
    notebooks, bodies, reasons = {}, {}, []
    for run in expected:
        path = here.report_dir / f"{run.name}.ipynb"
        if not path.is_file():
            reasons.append(f"{path.name} is missing; 'make report STUDY={here.study}' runs it.")
            continue
        notebooks[run] = nbformat.read(path, as_version=4)
        reasons += problems(notebooks[run], run.name)
        try:
            bodies[run] = from_notebook(notebooks[run], name=run.name)
        except PageError as error:
            reasons.append(str(error))
    if reasons:
        raise PageError("\n".join(reasons))
    return notebooks, bodies


def records(here: Here, expected: Iterable[Run]) -> dict[Run, dict[str, Any]]:
    """Return what each run saved for the report: ``numbers``, parts of ``tables``, and ``environment``."""
    found = {run: _read_json(here.page(run.name)) for run in expected}
    return {run: record for run, record in found.items() if record}


def join_tables(here: Here, saved: Mapping[Run, Mapping[str, Any]]) -> None:
    """Join the tables' parts, in reading order, as ``tables/<name>.csv`` with a column ``run``."""
    parts: dict[str, dict[str, pd.DataFrame]] = {}
    for record in saved.values():
        for name, texts in record["tables"].items():
            for part, text in texts.items():
                # Read as text, so that every number is written again to its last digit.
                table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
                parts.setdefault(name, {})[part] = table
    for name, tables in parts.items():
        joined = pd.concat(tables, names=["run", None]).reset_index("run").fillna("")
        safe_csv(joined, here.table(name))


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
