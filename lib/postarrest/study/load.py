"""A study's parameter file made into each notebook's parameters, and all of a study's places.

A study is one YAML file in ``params/``. Its sections are ``study`` (what is run), ``common`` (keys of several
notebooks), one a notebook, and ``simulate`` and ``splits`` for the two steps that are not notebooks. The
parameters cell of a notebook is the schema of its section.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from postarrest.places import ROOT
from postarrest.study.schema import (
    Parameter,
    StudyError,
    dataclass_parameters,
    declared_parameters,
    faults_of_section,
    nearest_name,
    read_yaml,
    shown_value,
)

NOTEBOOKS = ("01_cohort", "02_gwr", "03_cnn", "04_stacking", "05_evaluation", "A1_simulation")
PROTOCOLS = ("holdout", "nested")
MODALITIES = ("gwr", "ct")
# The pipeline itself sets these for each run of a notebook; a study file can't.
_SET_BY_PIPELINE = frozenset({"study_name", "save_to", "split", "outcome_label"})


@dataclass(frozen=True)
class Study:
    """A checked study file.

    Parameters
    ----------
    name : str
        File name without ending.
    title, question : str
        What the report is called, and what it asks.
    protocols : tuple of str
        ``"holdout"`` (paper A), ``"nested"`` (paper B), or both.
    modalities : tuple of str
        Parts of the data that the study has beside its patient table: ``"gwr"``, ``"ct"``.
    outcome_labels : tuple of str
        Outcome labels of the hold-out protocol, the main one first.
    data : str
        Folder or file of real data; blank where the study has none.
    scores : str
        Scores table made elsewhere, of which the evaluation alone is run; blank otherwise.
    sections : Mapping
        ``common``, ``simulate``, ``splits`` and one section a notebook, as in the file.
    """

    name: str
    title: str
    question: str
    protocols: tuple[str, ...]
    modalities: tuple[str, ...]
    outcome_labels: tuple[str, ...]
    data: str
    scores: str
    sections: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def simulated(self) -> bool:
        """Whether the patients are simulated."""
        return not self.data and not self.scores

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Names of the notebooks that apply to this study, in reading order."""
        if self.scores:
            return ("05_evaluation",)
        applies = {
            "02_gwr": "gwr" in self.modalities,
            "03_cnn": "ct" in self.modalities,
            "04_stacking": "nested" in self.protocols,
            "A1_simulation": self.simulated and "ct" in self.modalities,
        }
        return tuple(name for name in NOTEBOOKS if applies.get(name, True))

    def parameters(self, notebook: str) -> dict[str, Any]:
        """Return what papermill passes to a notebook: its section over ``common``, declared keys alone."""
        declared = declared_parameters(notebook)
        common = {k: v for k, v in self.sections["common"].items() if k in declared}
        given = {
            "data_path": self.data,
            "modalities": list(self.modalities),
            "outcome_labels": list(self.outcome_labels),
            "outcome_label": self.outcome_labels[0],
        }
        given = {k: v for k, v in given.items() if k in declared}
        return given | common | dict(self.sections[notebook]) | {"study_name": self.name, "save_to": "report"}


def complete_parameters(study: Study, notebook: str, *, root: Path = ROOT) -> dict[str, Any]:
    """Return every parameter of a notebook as a study runs it: the study's, else the notebook's default."""
    declared = declared_parameters(notebook, root=root)
    return {name: p.default for name, p in declared.items()} | study.parameters(notebook)


def names(*, root: Path = ROOT) -> list[str]:
    """Return the studies that ``params/`` holds."""
    return sorted(p.stem for p in (root / "params").glob("*.yaml") if p.stem != "published")


def load(name: str, *, root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    name : str
        The study: ``params/<name>.yaml``.
    environment : Mapping
        ``POSTARREST_DATA`` replaces ``study.data``, ``POSTARREST_SCORES`` replaces ``study.scores`` in a
        study that has that, and ``POSTARREST_WEIGHTS`` replaces ``weights`` of ``03_cnn``: paths differ from
        machine to machine and have no place in a study file.

    Raises
    ------
    StudyError
        Listing every fault: a study that is not there, text that is not YAML, unknown sections and keys (with
        the nearest real name), values of another type, real data without a path.
    """
    path = root / "params" / f"{name}.yaml"
    if name not in names(root=root):
        raise StudyError(f"No study '{name}'.{nearest_name(name, names(root=root))}")
    content = read_yaml(path)
    schemas = _schemas(root)
    faults: list[str] = []
    for section, keys in content.items():
        if section not in schemas:
            faults.append(f"section '{section}' is unknown.{nearest_name(section, schemas)}")
        elif not isinstance(keys, dict):
            faults.append(f"section '{section}': found {shown_value(keys)}, expected keys with values.")
        else:
            faults += faults_of_section(section, keys, schemas[section])
    if faults:
        raise StudyError("\n".join(f"params/{path.name}: {fault}" for fault in faults))

    sections = {section: dict(content.get(section, {})) for section in schemas}
    if "POSTARREST_WEIGHTS" in environment:
        weights = environment["POSTARREST_WEIGHTS"]
        sections["03_cnn"]["weights"] = str(Path(weights).expanduser().resolve())
    faults = _faults_of_settings(sections)
    if faults:
        raise StudyError("\n".join(f"params/{path.name}: {fault}" for fault in faults))
    about = sections.pop("study")
    data = environment.get("POSTARREST_DATA") or about.get("data", "simulated")
    scores = about.get("scores", "")
    scores = environment.get("POSTARREST_SCORES", scores) if scores else ""
    faults = _faults_of_study(about, data, scores)
    if faults:
        raise StudyError("\n".join(f"params/{path.name}: {fault}" for fault in faults))
    return Study(
        name=name,
        title=about["title"],
        question=about["question"],
        protocols=tuple(about["protocols"]),
        modalities=tuple(about.get("modalities", [])),
        outcome_labels=tuple(about.get("outcome_labels", ["standard"])),
        data="" if data == "simulated" else str(_resolved(data, root)),
        scores=str(_resolved(scores, root)) if scores else "",
        sections=sections,
    )


def _schemas(root: Path) -> dict[str, dict[str, Parameter]]:
    from postarrest.models.splits import Settings as SplitSettings
    from postarrest.simulate import Settings as SimulateSettings

    about = {
        "title": Parameter("title", str, None, "name of the report"),
        "question": Parameter("question", str, None, "what it asks"),
        "protocols": Parameter("protocols", list, None, "holdout, nested"),
        "modalities": Parameter("modalities", list, [], "gwr, ct"),
        "outcome_labels": Parameter("outcome_labels", list, ["standard"], "revised, standard"),
        "data": Parameter("data", str, "simulated", "simulated, ask (DATA=...), or a path"),
        "scores": Parameter(
            "scores", str, "", "ask (SCORES=...), or a path; blank where the study has models"
        ),
    }
    schemas = {
        "study": about,
        "simulate": dataclass_parameters(SimulateSettings),
        "splits": dataclass_parameters(SplitSettings),
    }
    common: dict[str, Parameter] = {}
    for notebook in NOTEBOOKS:
        schema = {
            k: v
            for k, v in declared_parameters(notebook, root=root).items()
            if k not in _SET_BY_PIPELINE and k not in about
        }
        schemas[notebook] = schema
        common |= schema
    return schemas | {"common": common}


def _faults_of_settings(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from postarrest.models.splits import Settings as SplitSettings
    from postarrest.models.tabular import declared
    from postarrest.simulate import Settings as SimulateSettings

    faults = []
    checks = (
        lambda: SimulateSettings(**sections["simulate"]),
        lambda: SplitSettings(**sections["splits"]),
        lambda: declared(sections["04_stacking"].get("base_models", {})),
    )
    for check in checks:
        try:
            check()
        except ValidationError as error:
            for found in error.errors():
                place = ".".join(str(part) for part in found["loc"])
                expected = found["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
                faults.append(f"section 'splits': {place}: found {found['input']!r}; {expected}.")
        except ValueError as error:
            faults += str(error).splitlines()
    return faults


def _faults_of_study(about: Mapping[str, Any], data: str, scores: str) -> list[str]:
    faults = [
        f"section 'study': '{key}' is missing."
        for key in ("title", "question", "protocols")
        if key not in about
    ]
    for key, known in (
        ("protocols", PROTOCOLS),
        ("modalities", MODALITIES),
        ("outcome_labels", ("revised", "standard")),
    ):
        for value in about.get(key, []):
            if value not in known:
                faults.append(
                    f"section 'study': '{key}' holds {shown_value(value)}, expected some of {', '.join(known)}."
                )
    if data == "ask":
        faults.append("runs on real data: say where they are, as in 'make report STUDY=... DATA=path'.")
    if scores == "ask":
        faults.append("evaluates a scores table: say where it is, as in 'make evaluate SCORES=file.csv'.")
    return faults


def _resolved(data: str, root: Path) -> Path:
    path = Path(data).expanduser()
    path = path if path.is_absolute() else root / path
    if not path.exists():
        raise StudyError(f"The data are not there: '{data}'.")
    return path.resolve()
