"""The parameters that notebooks declare, and pydantic's errors in plain words."""

import ast
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from postarrest.places import ROOT
from postarrest.settings import TYPES_IN_WORDS, Settings

_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}


class StudyError(ValueError):
    """A study file that cannot be run; the message lists every error in it."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook: its name, type, default and the comment that explains it."""

    name: str
    type: type
    default: Any
    help: str


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
    found = {}
    for node in ast.parse(tagged[0]).body:
        line = tagged[0].splitlines()[node.lineno - 1]
        kind = _TYPES.get(ast.unparse(node.annotation)) if isinstance(node, ast.AnnAssign) else None
        if kind is None or node.value is None or node.end_lineno != node.lineno or "#" not in line:
            raise StudyError(
                f"{path.name}: parameters cell, line {node.lineno}: found {line!r}, "
                "expected 'name: type = value  # comment' on one line."
            )
        name, comment = node.target.id, line.rsplit("#", 1)[1].strip()
        found[name] = Parameter(name, kind, ast.literal_eval(node.value), comment)
    return found


def section_of(parameters: Iterable[Parameter]) -> type[Settings]:
    """Return the model of a study file's section with these parameters."""
    return create_model("section", __base__=Settings, **{p.name: (p.type, p.default) for p in parameters})


def errors_of(section: str, check: Callable[[], Any], *, known: Iterable[str] = ()) -> list[str]:
    """Return what pydantic finds when a section is checked, one line per error.

    Parameters
    ----------
    section : str
        Name of the section.
    check : callable
        Validates the section.
    known : iterable of str
        Keys of the section; for an unknown key, the message names the most similar one.

    Examples
    --------
    >>> model = section_of([Parameter("trials", int, 50, "")])
    >>> errors_of("04_stacking", lambda: model(trails=5), known=["trials"])
    ["section '04_stacking': 'trails' is unknown. Did you mean 'trials'?"]
    >>> errors_of("04_stacking", lambda: model(trials=5.5))
    ["section '04_stacking': 'trials' is 5.5 (a number), expected a whole number."]
    """
    try:
        check()
    except ValidationError as error:
        return [f"section '{section}': {_in_words(item, known)}" for item in error.errors(include_url=False)]
    return []


def _in_words(item: Any, known: Iterable[str]) -> str:
    # Leave out positions in lists, and pydantic's mark of a key that is itself invalid.
    names = [part for part in item["loc"] if isinstance(part, str) and part != "[key]"]
    place, value, kind = ".".join(names), item["input"], item["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"'{place}' is unknown.{nearest_name(place, known) if len(names) == 1 else ''}"
    if kind in ("missing", "missing_argument"):
        return f"'{place}' is missing."
    message = item["msg"].removeprefix("Value error, ").replace("Input should be ", "")
    expected = TYPES_IN_WORDS.get(kind.removesuffix("_type"), message)
    is_exponent = kind == "float_type" and isinstance(value, str) and "e" in value.lower()
    hint = " In YAML, write 1.0e-3, not 1e-3." if is_exponent else ""
    # The message of one of our own validators ("value_error") is a complete sentence.
    found = f"'{place}' is {shown_value(value)}, expected " if place and kind != "value_error" else ""
    return f"{found or (f'{place}: ' if place else '')}{expected}.{hint}"


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
        raise StudyError(f"{path.name}: found {shown_value(content)}, expected sections with keys.")
    return content


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors, aliases and repeated keys, so that every text means what it shows."""

    def compose_node(self, parent, index):
        event = self.peek_event()
        if getattr(event, "anchor", None):
            problem = "anchors and aliases are not used in study files"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in keys:
                problem = f"the key '{key}' appears twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            keys.append(key)
        return super().construct_mapping(node, deep)


def shown_value(value: Any) -> str:
    """Return a value with its type in words.

    Examples
    --------
    >>> shown_value("many")
    "'many' (text)"
    """
    kind = type(value).__name__
    return f"{value!r} ({TYPES_IN_WORDS.get(kind, kind)})"


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the most similar of some names, or else all of them.

    Examples
    --------
    >>> nearest_name("ensembel", ["ensemble", "holdout"])
    " Did you mean 'ensemble'?"
    """
    known = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known)}."
