"""A study file turned into each notebook's parameters.

A study is one YAML file in ``params/``. Its sections are ``study`` (what is run), ``common`` (keys of several
notebooks), one per notebook, and ``simulate`` and ``splits`` for the two steps that are not notebooks. The
parameters cell of a notebook is the schema of its section.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from postarrest.files import kind_at
from postarrest.models import bundle
from postarrest.models.settings import NAMED_WEIGHTS
from postarrest.places import ROOT
from postarrest.settings import Settings, distinct
from postarrest.study import schema
from postarrest.study.sections import between_sections, value_errors

NOTEBOOKS = (
    "01_cohort",
    "02_gwr",
    "02_gwr_automatic",
    "03_cnn",
    "04_stacking",
    "05_evaluation",
    "06_stability",
    "07_subgroups",
    "08_external",
    "09_sites",
    "10_explanation",
    "11_missing",
    "A1_simulation",
)
# Notebooks that only studies run whose file names their section.
OPTIONAL = ("06_stability", "07_subgroups", "10_explanation", "11_missing")
# Notebooks that go on from another, whose parameters they take: counts hidden there are hidden here too.
_FOLLOWS = {
    "07_subgroups": "01_cohort",
    "10_explanation": "04_stacking",
    "11_missing": "04_stacking",
}
# The pipeline sets these for each run of a notebook; a study file cannot.
SET_BY_PIPELINE = frozenset(
    {"study_name", "save_to", "split", "outcome_label", "data_path", "scores_file", "model_path"}
)
# A study's name is a folder's name, a part of an address and a pattern of Snakemake.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NOT_STUDIES = ("published", "expected")


_Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]


class About(Settings):
    """The section ``study`` of a study file; see :class:`Study`."""

    title: _Text
    question: _Text
    # The file has lists, which only a check that is not strict turns into tuples.
    protocols: Annotated[tuple[Literal["holdout", "nested"], ...], AfterValidator(distinct)] = Field(
        strict=False
    )
    modalities: Annotated[tuple[Literal["gwr", "ct"], ...], AfterValidator(distinct)] = Field(
        (), strict=False
    )
    outcome_labels: Annotated[tuple[Literal["revised", "standard"], ...], AfterValidator(distinct)] = Field(
        ("standard",), strict=False, min_length=1
    )
    data: str = Field("simulated", min_length=1)
    scores: str = ""
    model: str = ""
    sites: bool = False


class Study(About):
    """A checked study file.

    Parameters
    ----------
    name : str
        File name without ending.
    title, question : str
        Title of the report, and the question it asks.
    protocols : tuple of str
        ``"holdout"`` (paper A), ``"nested"`` (paper B), or both.
    modalities : tuple of str
        What the data have in addition to the patient table: ``"gwr"``, ``"ct"``.
    outcome_labels : tuple of str
        Outcome labels of the hold-out protocol, the main one first.
    data : str
        Folder or file of real data; blank where the study has none.
    scores : str
        Scores table from elsewhere, on which only the evaluation is run; blank otherwise.
    model : str
        Folder of a frozen model, which is validated in these patients instead of fitting any; blank
        otherwise.
    sites : bool
        Whether the patients are of several hospitals, named in the column ``site``, which are compared.
    sections : Mapping
        ``common``, ``simulate``, ``splits`` and one section per notebook, as in the file.
    asked : tuple of str
        Optional notebooks whose section the file names.
    """

    name: str
    data: str = ""
    sections: dict[str, dict[str, Any]] = Field(repr=False)
    asked: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether the patients are simulated."""
        return not self.data and not self.scores

    @property
    def by_site(self) -> bool:
        """Whether each outer fold leaves out a hospital."""
        return self.sections["splits"].get("by") == "site"

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Names of the notebooks that apply to this study, in reading order."""
        if self.scores:
            return ("05_evaluation",)
        if self.model:
            simulation = ("A1_simulation",) if self.simulated and "ct" in self.modalities else ()
            return ("01_cohort", "05_evaluation", "08_external", *simulation)
        applies = {
            "08_external": False,
            "02_gwr": "gwr" in self.modalities,
            "02_gwr_automatic": "ct" in self.modalities,
            "03_cnn": "ct" in self.modalities,
            "04_stacking": "nested" in self.protocols,
            "09_sites": self.sites,
            "A1_simulation": self.simulated and "ct" in self.modalities,
        } | {name: name in self.asked for name in OPTIONAL}
        for notebook, first in _FOLLOWS.items():
            applies[notebook] &= applies.get(first, True)
        return tuple(name for name in NOTEBOOKS if applies.get(name, True))

    @property
    def marker_files(self) -> tuple[str, ...]:
        """Names of the scores files of gray-to-white-matter ratios, manual and automatic, that it has."""
        return tuple(f"scores_{n[3:]}.csv" for n in ("02_gwr", "02_gwr_automatic") if n in self.notebooks)

    def section_of(self, notebook: str, key: str) -> str:
        """Return the section of the study file that sets a notebook's parameter; where none does, its own."""
        others = (_FOLLOWS.get(notebook, notebook), "common")
        return next((s for s in (notebook, *others) if key in self.sections[s]), notebook)

    def parameters(self, notebook: str) -> dict[str, Any]:
        """Return what papermill passes to a notebook.

        Of what it declares: the keys of ``common``, over these the section of the notebook that it follows,
        over these its own.
        """
        given = {
            "data_path": self.data,
            # A model of this project is named by its folder there.
            "model_path": self.model and str(ROOT / self.model),
            "modalities": list(self.modalities),
            "outcome_labels": list(self.outcome_labels),
            "outcome_label": self.outcome_labels[0],
            **self.sections["common"],
            **self.sections.get(_FOLLOWS.get(notebook, ""), {}),
        }
        declared = schema.declared_parameters(notebook)
        given = {k: v for k, v in given.items() if k in declared}
        return given | self.sections[notebook] | {"study_name": self.name, "save_to": "report"}


def complete_parameters(study: Study, notebook: str, *, root: Path = ROOT) -> dict[str, Any]:
    """Return every parameter of a notebook as a study runs it: the study's, else the notebook's default."""
    declared = schema.declared_parameters(notebook, root=root)
    return {name: p.default for name, p in declared.items()} | study.parameters(notebook)


def names(*, root: Path = ROOT) -> list[str]:
    """Return the names of the studies in ``params/``."""
    return sorted(p.stem for p in (root / "params").glob("*.yaml") if p.stem not in _NOT_STUDIES)


def load(
    name: str, *, root: Path = ROOT, environment: Mapping[str, str] = os.environ, runs: bool = True
) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    name : str
        The study: ``params/<name>.yaml``.
    environment : Mapping
        ``POSTARREST_DATA`` replaces ``study.data``, ``POSTARREST_SCORES`` and ``POSTARREST_MODEL`` replace
        ``study.scores`` and ``study.model`` in a study that has them, and ``POSTARREST_WEIGHTS`` replaces
        ``weights`` of ``03_cnn``: paths differ between machines and do not belong in a study file.
    runs : bool
        Whether the study is to be run. If not, one that asks for its data, model or scores needs none, and
        they stay ``"ask"``.

    Raises
    ------
    StudyError
        Listing every error: no such study, text that is not YAML, unknown sections and keys (with the nearest
        known name), values of the wrong type, real data without a path, models that cannot be fitted.
    """
    if name not in names(root=root):
        raise schema.StudyError(f"No study '{name}'.{schema.nearest_name(name, names(root=root))}")
    if not _NAME.fullmatch(name):
        expected = "letters, digits, '-' and '_', at most 64"
        raise schema.StudyError(f"params/{name}.yaml: found a name with other signs; expected {expected}.")
    content = schema.read_yaml(root / "params" / f"{name}.yaml")
    schemas = _schemas(root)
    sections = {section: content.get(section, {}) for section in schemas}
    unknown = [section for section in content if section not in schemas]
    errors = [f"section '{s}' is unknown.{schema.nearest_name(s, schemas)}" for s in unknown]
    for section, model in schemas.items():
        keys = sections[section]
        if isinstance(keys, dict) and all(isinstance(key, str) for key in keys):
            errors += schema.errors_of(section, partial(model, **keys), known=model.__pydantic_fields__)
        else:
            found = schema.shown_value(keys)
            errors.append(f"section '{section}': found {found}, expected keys with values.")
    _refuse(name, errors)
    if weights := environment.get("POSTARREST_WEIGHTS"):
        # A path from here, since notebooks run in another folder; what is not there is reported below.
        found = weights not in NAMED_WEIGHTS and kind_at(weights)
        sections["03_cnn"]["weights"] = str(Path(weights).expanduser().resolve()) if found else weights
    about = About(**sections.pop("study"))
    data = environment.get("POSTARREST_DATA") or about.data
    scores = environment.get("POSTARREST_SCORES", about.scores) if about.scores else ""
    model = environment.get("POSTARREST_MODEL", about.model) if about.model else ""
    if runs and model == "ask":
        errors.append("needs a frozen model: name it, as in 'make report STUDY=... MODEL=folder'.")
    if model and about.protocols:
        errors.append("section 'study': a study with a frozen model fits none: expected protocols: [].")
    if runs and data == "ask":
        errors.append("needs real data: say where they are, as in 'make report STUDY=... DATA=path'.")
    if runs and scores == "ask":
        errors.append("needs a scores table: name it, as in 'make evaluate SCORES=file.csv'.")
    _refuse(name, errors)
    data = "" if data == "simulated" else _resolved(data, root)
    scores = _resolved(scores, root) if scores else ""
    if scores not in ("", "ask") and not Path(scores).is_file():
        errors.append(f"found a folder as scores table: '{Path(scores).name}'; expected a CSV file.")
    if model and _study_of(model, root) is None:
        model = _resolved(model, root)
    errors += _errors_of_model(name, model, root)
    _refuse(name, errors)
    asked = tuple(notebook for notebook in OPTIONAL if notebook in content)
    given = {
        "name": name,
        "data": data,
        "scores": scores,
        "model": model,
        "sections": sections,
        "asked": asked,
    }
    study = Study(**dict(about) | given)
    # Values are checked of every notebook, whether or not it applies to this study.
    every = {notebook: complete_parameters(study, notebook, root=root) for notebook in NOTEBOOKS}
    _refuse(name, value_errors(every, section_of=study.section_of))
    _refuse(name, list(between_sections(study, {notebook: every[notebook] for notebook in study.notebooks})))
    return study


def with_sources(names: Iterable[str], *, root: Path = ROOT) -> dict[str, Study]:
    """Return studies by name, and the studies whose frozen models they use, which must be made first.

    Raises
    ------
    StudyError
        As :func:`load`, and if a study makes no model for another, or studies use each other's.
    """
    found = {name: load(name, root=root) for name in names}
    waiting = list(found)
    # A model may be the update of another study's, and so on.
    for name in waiting:
        source = _study_of(found[name].model, root)
        if source and source not in found:
            found[source] = load(source, root=root)
            waiting.append(source)
        if source and not (found[source].protocols or found[source].model):
            _refuse(name, [f"section 'study': 'model' is that of '{source}', which makes no frozen model."])
    for name in found:
        chain = [name]
        while (source := _study_of(found[chain[-1]].model, root)) and source not in chain:
            chain.append(source)
        if source:
            _refuse(name, [f"section 'study': these use each other's frozen models: {', '.join(chain)}."])
    return found


def _errors_of_model(name: str, model: str, root: Path) -> Iterator[str]:
    """Yield why a study cannot use this frozen model."""
    place = root / model
    if model in ("", "ask"):
        return
    if place == (root / "build" / name / "model").resolve() or _study_of(model, root) == name:
        yield "section 'study': 'model' is the study's own frozen model; expected another study's."
    elif _study_of(model, root) is None and not (place / bundle.MANIFEST).is_file():
        found = "a file" if place.is_file() else f"a folder without {bundle.MANIFEST}"
        yield f"found {found} as model: '{place.name}'; expected the folder of a frozen model."


def _study_of(model: str, root: Path) -> str | None:
    """Return the study of this project that makes a frozen model; None for a model from elsewhere."""
    parts = Path(model).parts
    own = len(parts) == 3 and (parts[0], parts[2]) == ("build", "model") and parts[1] in names(root=root)
    return parts[1] if own else None


def _schemas(root: Path) -> dict[str, Any]:
    """Return the pydantic model of each section."""
    from postarrest import simulate
    from postarrest.models import splits

    found = {"study": About, "simulate": simulate.Settings, "splits": splits.Settings}
    common = {}
    for notebook in NOTEBOOKS:
        declared = schema.declared_parameters(notebook, root=root)
        own = {k: p for k, p in declared.items() if k not in SET_BY_PIPELINE | About.model_fields.keys()}
        found[notebook] = schema.section_of(own.values())
        common |= own
    return found | {"common": schema.section_of(common.values())}


def _refuse(name: str, errors: list[str]) -> None:
    if errors:
        raise schema.StudyError("\n".join(f"params/{name}.yaml: {error}" for error in errors))


def _resolved(data: str, root: Path) -> str:
    if data == "ask":
        return data
    # An absolute path stays as it is.
    given = data if data.startswith("~") else root / data
    if not kind_at(given):
        raise schema.StudyError(f"The data are not there: '{data[:200]}'.")
    return str(Path(given).expanduser().resolve())
