"""The parameters that notebooks declare, and pydantic's errors in the words of a study file."""

import ast
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from postarrest.places import ROOT
from postarrest.settings import Settings

_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
_TYPE_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "keys with values",
    type(None): "nothing",
}
_EXPECTED = {
    "int": int,
    "float": float,
    "string": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "model": dict,
}
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


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
    lines = tagged[0].splitlines()
    found = {}
    for node in ast.parse(tagged[0]).body:
        line = lines[node.lineno - 1]
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
        Keys of the section, of which the nearest is named where one is unknown.

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
    # Without positions in lists, and pydantic's mark of a key that is itself wrong.
    names = [part for part in item["loc"] if isinstance(part, str) and part != "[key]"]
    place, value, kind = ".".join(names), item["input"], item["type"]
    if kind in _UNKNOWN:
        return f"'{place}' is unknown.{nearest_name(place, known) if len(names) == 1 else ''}"
    if kind in ("missing", "missing_argument"):
        return f"'{place}' is missing."
    expected = _TYPE_WORDS.get(_EXPECTED.get(kind.removesuffix("_type")))
    # What a validator of ours says is a sentence of its own.
    expected = expected or item["msg"].removeprefix("Value error, ").replace("Input should be ", "")
    hint = ""
    if kind == "float_type" and isinstance(value, str) and "e" in value.lower():
        hint = " In YAML, write 1.0e-3, not 1e-3."
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
    """YAML in which a text means what it shows: no anchors, no key twice."""

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(
                None, None, "anchors and aliases are not used in study files", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key_node, deep=True) for key_node, _ in node.value]
        for place, (key, (key_node, _)) in enumerate(zip(keys, node.value, strict=True)):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' appears twice", key_node.start_mark
                )
        return super().construct_mapping(node, deep)


def shown_value(value: Any) -> str:
    """Return a value with its type in words.

    Examples
    --------
    >>> shown_value("many")
    "'many' (text)"
    """
    return f"{value!r} ({_TYPE_WORDS.get(type(value), type(value).__name__)})"


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
