"""The runs of notebooks that make up a report, and the files that each run wrote."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import nbformat
import pandas as pd

from postarrest.files import write_text
from postarrest.models import splits
from postarrest.places import Here
from postarrest.report.body import PageError, problems
from postarrest.study.load import Study


@dataclass(frozen=True)
class Run:
    """One run of a notebook: its only one, or that of one split.

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
    def stem(self) -> str:
        """Name of the files of numbers and environment, without ending."""
        return f"{self.notebook}-{self.part}" if self.part else self.notebook

    @property
    def title(self) -> str:
        """The part in words.

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
        if kind == "outer":
            return f"outer fold {number}"
        return f"hold-out split {number}" + (f", {label[0]} outcome" if label else "")


def runs(study: Study) -> list[Run]:
    """Return the runs of notebooks that make up a study's report, in reading order."""
    settings = splits.Settings(**study.sections["splits"])
    holdout, outer = (
        splits.names((protocol,), settings) if protocol in study.protocols else []
        for protocol in ("holdout", "nested")
    )
    main = study.outcome_labels[0]
    parts = {
        "03_cnn": [f"{split}-{label}" for split in holdout for label in study.outcome_labels]
        + [f"{split}-{main}" for split in outer],
        "04_stacking": outer,
    }
    return [Run(notebook, part) for notebook in study.notebooks for part in parts.get(notebook, [""])]


def read_notebooks(here: Here, expected: Sequence[Run]) -> dict[Run, nbformat.NotebookNode]:
    """Return the executed notebooks.

    Raises
    ------
    PageError
        Listing every notebook that is missing, did not run to its end or stopped at an error.
    """
    reasons, found = [], {}
    for run in expected:
        path = here.report_dir / f"{run.name}.ipynb"
        if path.is_file():
            found[run] = nbformat.read(path, as_version=4)
            reasons += problems(found[run], run.name)
        else:
            reasons.append(f"{path.name} is missing; 'make report STUDY={here.study}' runs it.")
    if reasons:
        raise PageError("\n".join(reasons))
    return found


def join_tables(here: Here, parts: Sequence[str]) -> None:
    """Join the parts of tables that a notebook's runs saved, as ``tables/<name>.csv`` with a column ``run``.

    Parameters
    ----------
    here : Here
        The study's places.
    parts : sequence of str
        The parts that the study has now, in reading order. Files of other parts, such as those of folds that
        the study had before, are ignored.

    Raises
    ------
    PageError
        If a table has parts and none of them belongs to the study.
    """
    reasons = []
    for folder in sorted(p for p in here.build("parts").glob("*") if p.is_dir()):
        files = [folder / f"{part}.csv" for part in parts if (folder / f"{part}.csv").is_file()]
        if not files:
            reasons.append(f"The parts of table '{folder.name}' belong to no run of this study.")
            continue
        # Read as text, so that every number is written again to its last digit.
        tables = {f.stem: pd.read_csv(f, dtype=str, keep_default_na=False) for f in files}
        joined = pd.concat(tables, names=["run", None]).reset_index("run").fillna("")
        write_text(here.table(folder.name), joined.to_csv(index=False, lineterminator="\n"))
    if reasons:
        raise PageError("\n".join(reasons))


def join_numbers(here: Here, expected: Iterable[Run]) -> dict[str, Any]:
    """Return the numbers of all pages of a study, by name."""
    joined: dict[str, Any] = {}
    for run in expected:
        place = here.numbers(run.stem)
        if place.is_file():
            joined |= json.loads(place.read_text(encoding="utf-8"))
    return joined


def environments(here: Here, expected: Iterable[Run]) -> dict[Run, dict[str, Any]]:
    """Return what each run was computed with, as its page noted."""
    places = {run: here.build(f"environment/{run.stem}.json") for run in expected}
    return {r: json.loads(p.read_text(encoding="utf-8")) for r, p in places.items() if p.is_file()}
