"""The runs of notebooks that make up a report, and what each of them left."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.files import write_text
from postarrest.models import splits
from postarrest.places import Here
from postarrest.report import body
from postarrest.report.body import PageError
from postarrest.study.load import Study


@dataclass(frozen=True)
class Run:
    """One run of a notebook: of its one, or of a split's.

    Parameters
    ----------
    notebook : str
        Name of the notebook.
    part : str
        Which run: ``"outer-3"``, ``"holdout-1-revised"``; blank where there is one.
    """

    notebook: str
    part: str = ""

    @property
    def name(self) -> str:
        """Name of the page, which is the executed notebook's without ending."""
        return f"{self.notebook}_{self.part}" if self.part else self.notebook

    @property
    def numbers(self) -> str:
        """Name of the file of numbers."""
        return f"{self.notebook}-{self.part}" if self.part else self.notebook

    @property
    def title(self) -> str:
        """What the part is, in words.

        Examples
        --------
        >>> Run("03_cnn", "holdout-1-revised").title
        'hold-out split 1, revised outcome'
        >>> Run("04_stacking", "outer-3").title
        'outer fold 3'
        """
        if not self.part:
            return ""
        kind, number, *label = self.part.split("-")
        words = f"{ {'holdout': 'hold-out split', 'outer': 'outer fold'}[kind] } {number}"
        return words + (f", {label[0]} outcome" if label and kind == "holdout" else "")


def runs(study: Study) -> list[Run]:
    """Return the runs of notebooks that make up a study's report, in reading order."""
    settings = splits.Settings(**study.sections["splits"])
    held = [
        (name, label)
        for name in splits.names(("holdout",), settings)
        for label in study.outcome_labels
        if "holdout" in study.protocols
    ]
    outer = splits.names(("nested",), settings) if "nested" in study.protocols else []
    parts = {
        "03_cnn": [f"{n}-{label}" for n, label in held] + [f"{n}-{study.outcome_labels[0]}" for n in outer],
        "04_stacking": outer,
    }
    return [Run(n, part) for n in study.notebooks for part in parts.get(n, [""])]


def join_tables(here: Here, parts: Sequence[str]) -> list[Path]:
    """Join the parts of tables that a notebook's runs left, as ``tables/<name>.csv`` with a column ``run``.

    Parameters
    ----------
    here : Here
        The study's places.
    parts : sequence of str
        The parts that belong to the study as it is, in reading order: others, of folds that it had once, stay
        out.

    Raises
    ------
    PageError
        If a table has parts and none of them belongs to the study.
    """
    folders = sorted(p for p in here.build("parts").glob("*") if p.is_dir())
    written = []
    faults = []
    for folder in folders:
        files = [folder / f"{part}.csv" for part in parts if (folder / f"{part}.csv").is_file()]
        if not files:
            faults.append(f"The parts of table '{folder.name}' are of no run of this study.")
            continue
        # As text: a number is to leave this as it came, to the last digit.
        tables = {f.stem: pd.read_csv(f, dtype=str, keep_default_na=False) for f in files}
        joined = pd.concat(tables, names=["run", None]).reset_index("run").fillna("")
        place = here.table(folder.name)
        write_text(place, joined.to_csv(index=False, lineterminator="\n"))
        written.append(place)
    if faults:
        raise PageError("\n".join(faults))
    return written


def join_numbers(here: Here, expected: Iterable[Run]) -> dict[str, Any]:
    """Return the numbers that the pages of a study left, by name."""
    joined: dict[str, Any] = {}
    for run in expected:
        place = here.numbers(run.numbers)
        if place.is_file():
            joined |= json.loads(place.read_text(encoding="utf-8"))
    return joined


def read_notebooks(here: Here, expected: Sequence[Run]) -> dict[Run, Any]:
    faults, found = [], {}
    for run in expected:
        path = here.report_dir / f"{run.name}.ipynb"
        if not path.is_file():
            faults.append(f"{path.name} is missing; 'make report STUDY={here.study}' runs it.")
            continue
        found[run] = body.read(path)
        faults += body.faults(found[run], run.name)
    if faults:
        raise PageError("\n".join(faults))
    return found


def environments_of_runs(here: Here, expected: Iterable[Run]) -> dict[Run, dict[str, Any]]:
    places = {run: here.build(f"environment/{run.numbers}.json") for run in expected}
    return {r: json.loads(p.read_text(encoding="utf-8")) for r, p in places.items() if p.is_file()}
