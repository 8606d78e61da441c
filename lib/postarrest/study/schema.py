"""The parameters that notebooks declare, and a study file checked against them."""

import ast
import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import GenericAlias
from typing import Any

import yaml

from postarrest.places import ROOT

_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}


class StudyError(ValueError):
    """A study file that can't be run; the message lists every fault found in it."""


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


def faults_of_section(section: str, keys: Mapping[str, Any], schema: Mapping[str, Parameter]) -> list[str]:
    faults = []
    for key, value in keys.items():
        if key not in schema:
            faults.append(f"section '{section}': '{key}' is unknown.{nearest_name(key, schema)}")
        elif not _fits(value, schema[key].type):
            hint = ""
            if schema[key].type is float and isinstance(value, str) and "e" in value.lower():
                hint = " In YAML, write 1.0e-3, not 1e-3."
            faults.append(
                f"section '{section}': '{key}' is {shown_value(value)}, "
                f"expected {_TYPE_WORDS.get(schema[key].type, 'another type')}.{hint}"
            )
    return faults


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


def shown_value(value: Any) -> str:
    kind = _TYPE_WORDS.get(type(value), "nothing" if value is None else type(value).__name__)
    return f"{value!r} ({kind})"


def nearest_name(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(sorted(str(k) for k in known))}."
