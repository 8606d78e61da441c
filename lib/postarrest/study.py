"""A study's parameter file made into each notebook's parameters, and all of a study's places.

A study is one YAML file in ``params/``. Its sections are ``study`` (what is run), ``common`` (keys of several
notebooks), one a notebook, and ``simulate`` and ``splits`` for the two steps that are not notebooks. The
parameters cell of a notebook is the schema of its section.
"""

import ast
import difflib
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import GenericAlias
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ("01_cohort", "02_gwr", "03_cnn", "04_stacking", "05_evaluation", "A1_simulation")
PROTOCOLS = ("holdout", "nested")
MODALITIES = ("gwr", "ct")

_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
# The pipeline itself sets these for each run of a notebook; a study file can't.
_SET_BY_PIPELINE = frozenset({"study_name", "save_to", "split", "outcome_label"})


class StudyError(ValueError):
    """A study file that can't be run; the message lists every fault found in it."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook: its name, type, default and the comment that explains it."""

    name: str
    type: type
    default: Any
    help: str


@dataclass(frozen=True)
class Here:
    """Where a notebook of a study reads and writes.

    Parameters
    ----------
    study : str
        Name of the study.
    save_to : str
        ``"report"`` (the pipeline: the study's own ``build/`` and ``reports/``) or the name of a folder under
        ``build/<study>/`` for trying things, so that no trial overwrites a published number.
    root : pathlib.Path
        The project.
    """

    study: str
    save_to: str = "scratch"
    root: Path = ROOT

    @property
    def data(self) -> Path:
        """Folder of the study's simulated data."""
        return self.root / "build" / self.study / "data"

    @property
    def report_dir(self) -> Path:
        """Folder of the report."""
        if self.save_to == "report":
            return self.root / "reports" / self.study
        return self._build / self.save_to / "report"

    @property
    def _build(self) -> Path:
        return self.root / "build" / self.study

    def build(self, name: str) -> Path:
        """Return where the pipeline keeps an intermediate file, for reading."""
        return self._build / name

    def out(self, name: str) -> Path:
        """Return where this run writes an intermediate file; its folder is made."""
        place = self._build / name if self.save_to == "report" else self._build / self.save_to / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def table(self, name: str) -> Path:
        """Return where a table of the report is written."""
        return self.report_dir / "tables" / f"{name}.csv"

    def part(self, name: str, part: str) -> Path:
        """Return where one run's part of a table is written, before the parts are joined."""
        return self.out(f"parts/{name}/{part}.csv")

    def figure(self, file_name: str) -> Path:
        """Return where a figure of the report is written."""
        return self.report_dir / "figures" / file_name

    def numbers(self, page: str) -> Path:
        """Return where a page's numbers are written, before they are joined."""
        return self.out(f"numbers/{page}.json")


def open(study: str, *, save_to: str = "scratch") -> Here:
    """Return the places of a study.

    Examples
    --------
    >>> open("holdout").build("cohort.parquet").relative_to(ROOT).as_posix()
    'build/holdout/cohort.parquet'
    """
    return Here(study, save_to)


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
    labels : tuple of str
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
    labels: tuple[str, ...]
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
            "data": self.data,
            "modalities": list(self.modalities),
            "labels": list(self.labels),
            "label": self.labels[0],
        }
        given = {k: v for k, v in given.items() if k in declared}
        return given | common | dict(self.sections[notebook]) | {"study_name": self.name, "save_to": "report"}


def declared_parameters(notebook: str, *, root: Path = ROOT) -> dict[str, Parameter]:
    """Return the parameters that a notebook's parameters cell declares, by name.

    Parameters
    ----------
    notebook : str
        Name without ending, such as ``"05_evaluation"``.

    Raises
    ------
    StudyError
        If the notebook has no parameters cell, or a line of it is not ``name: type = value  # comment``.

    Examples
    --------
    >>> declared_parameters("05_evaluation")["study_name"].type
    <class 'str'>
    """
    import jupytext

    path = root / "notebooks" / f"{notebook}.py"
    cells = jupytext.read(path).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise StudyError(f"{path.name}: {len(tagged)} cells are tagged 'parameters', expected one.")
    lines = tagged[0].splitlines()
    found = {}
    for node in ast.parse(tagged[0]).body:
        line = lines[node.lineno - 1]
        kind = _annotated_type(node)
        if kind is None or node.end_lineno != node.lineno or "#" not in line:
            raise StudyError(
                f"{path.name}: parameters cell, line {node.lineno}: found {line!r}, "
                "expected 'name: type = value  # comment' on one line."
            )
        found[node.target.id] = Parameter(
            name=node.target.id,
            type=kind,
            default=ast.literal_eval(node.value),
            help=line.rsplit("#", 1)[1].strip(),
        )
    return found


def complete_parameters(study: Study, notebook: str, *, root: Path = ROOT) -> dict[str, Any]:
    """Return every parameter of a notebook as a study runs it: the study's, else the notebook's default."""
    declared = declared_parameters(notebook, root=root)
    return {name: p.default for name, p in declared.items()} | study.parameters(notebook)


def _annotated_type(node: ast.stmt) -> type | None:
    if not isinstance(node, ast.AnnAssign) or node.value is None or not isinstance(node.target, ast.Name):
        return None
    return _TYPES.get(ast.unparse(node.annotation).split("[")[0])


def dataclass_parameters(settings: type) -> dict[str, Parameter]:
    """Return the fields of a settings dataclass as parameters, by name."""
    found = {}
    for item in fields(settings):
        kind = item.type.__origin__ if isinstance(item.type, GenericAlias) else item.type
        default = item.default if item.default is not MISSING else None
        found[item.name] = Parameter(item.name, kind if isinstance(kind, type) else object, default, "")
    return found


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
        raise StudyError(f"No study '{name}'.{_nearest(name, names(root=root))}")
    content = read_yaml(path)
    schemas = _schemas(root)
    faults: list[str] = []
    for section, keys in content.items():
        if section not in schemas:
            faults.append(f"section '{section}' is unknown.{_nearest(section, schemas)}")
        elif not isinstance(keys, dict):
            faults.append(f"section '{section}': found {_shown(keys)}, expected keys with values.")
        else:
            faults += _faults_of_section(section, keys, schemas[section])
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
        labels=tuple(about.get("labels", ["standard"])),
        data="" if data == "simulated" else str(_resolved(data, root)),
        scores=str(_resolved(scores, root)) if scores else "",
        sections=sections,
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of plain values.

    Raises
    ------
    StudyError
        If it is not YAML, not UTF-8, has a key twice, or uses tags, anchors or aliases.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path.name} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path.name}: found {_shown(content)}, expected sections with keys.")
    return content


class _PlainLoader(yaml.SafeLoader):
    """YAML without what makes a text mean something else than it shows."""

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(
                None, None, "anchors and aliases are not used in study files", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _schemas(root: Path) -> dict[str, dict[str, Parameter]]:
    from postarrest.simulate import Settings as SimulateSettings
    from postarrest.splits import Settings as SplitSettings

    about = {
        "title": Parameter("title", str, None, "name of the report"),
        "question": Parameter("question", str, None, "what it asks"),
        "protocols": Parameter("protocols", list, None, "holdout, nested"),
        "modalities": Parameter("modalities", list, [], "gwr, ct"),
        "labels": Parameter("labels", list, ["standard"], "revised, standard"),
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


def _faults_of_section(section: str, keys: Mapping[str, Any], schema: Mapping[str, Parameter]) -> list[str]:
    faults = []
    for key, value in keys.items():
        if key not in schema:
            faults.append(f"section '{section}': '{key}' is unknown.{_nearest(key, schema)}")
        elif not _fits(value, schema[key].type):
            hint = ""
            if schema[key].type is float and isinstance(value, str) and "e" in value.lower():
                hint = " In YAML, write 1.0e-3, not 1e-3."
            faults.append(
                f"section '{section}': '{key}' is {_shown(value)}, "
                f"expected {_TYPE_WORDS.get(schema[key].type, 'another type')}.{hint}"
            )
    return faults


def _faults_of_settings(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    from postarrest.simulate import Settings as SimulateSettings
    from postarrest.splits import Settings as SplitSettings
    from postarrest.tabular import declared

    faults = []
    checks = (
        lambda: SimulateSettings(**sections["simulate"]),
        lambda: SplitSettings(**sections["splits"]),
        lambda: declared(sections["04_stacking"].get("models", {})),
    )
    for check in checks:
        try:
            check()
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
        ("labels", ("revised", "standard")),
    ):
        for value in about.get(key, []):
            if value not in known:
                faults.append(
                    f"section 'study': '{key}' holds {_shown(value)}, expected some of {', '.join(known)}."
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


_TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "keys with values",
}


def _fits(value: Any, kind: type) -> bool:
    if kind is object:
        return True
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    kind = _TYPE_WORDS.get(type(value), "nothing" if value is None else type(value).__name__)
    return f"{value!r} ({kind})"


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(sorted(str(k) for k in known))}."
