"""The parameters that notebooks declare, and pydantic's errors in plain words."""

import ast
import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError, create_model

from postarrest.places import ROOT
from postarrest.refused import Refused
from postarrest.settings import TYPES_IN_WORDS, Settings
from postarrest.study.plain_yaml import PlainLoader

_MOST_BYTES = 2**20
_MOST_SHOWN = 80
# pydantic's errors of size, in words.
_LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_too_short": "text that is not blank",
    "string_pattern_mismatch": "text that is not blank",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
}
_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}


class StudyError(Refused):
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
    path = root / "notebooks" / f"{notebook}.py"
    return dict(_declared_in(path.name, path.read_text(encoding="utf-8")))


@lru_cache(maxsize=64)
def _declared_in(file: str, text: str) -> dict[str, Parameter]:
    cells = [cell.partition("\n") for cell in re.split(r"^# %% ?", text, flags=re.MULTILINE)]
    tagged = [source.strip() for head, _, source in cells if 'tags=["parameters"]' in head]
    if len(tagged) != 1:
        raise StudyError(f"{file}: {len(tagged)} cells are tagged 'parameters', expected one.")
    found = {}
    for node in ast.parse(tagged[0]).body:
        line = tagged[0].splitlines()[node.lineno - 1]
        kind = _TYPES.get(ast.unparse(node.annotation)) if isinstance(node, ast.AnnAssign) else None
        if kind is None or node.value is None or node.end_lineno != node.lineno or "#" not in line:
            raise StudyError(
                f"{file}: parameters cell, line {node.lineno}: found {line!r}, "
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
    return [f"section '{section}': {error}" for _, error in errors_by_key(check, known=known)]


def errors_by_key(
    check: Callable[[], Any], *, known: Iterable[str] = (), model: type[Settings] | None = None
) -> list[tuple[str, str]]:
    """Return what pydantic finds, one line per error, each with the key of the section that it concerns.

    Parameters
    ----------
    check : callable
        Validates the section.
    known : iterable of str
        Keys of the section.
    model : type of Settings, optional
        What is validated; it knows the names of nested keys.
    """
    try:
        check()
    except ValidationError as error:
        items = error.errors(include_url=False)
        return [
            (
                str(item["loc"][0]) if item["loc"] else "",
                _in_words(item, _names_at(model, item["loc"]) or known),
            )
            for item in items
        ]
    return []


def _names_at(model: type[Settings] | None, place: tuple[Any, ...]) -> list[str]:
    """Return the names that a nested model knows at a place."""
    for part in place[:-1]:
        # A part that is no field is a key or a position of a collection of such models.
        if model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[Settings] | None:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _in_words(item: Any, known: Iterable[str]) -> str:
    # Leave out positions in lists, and pydantic's mark of a key that is itself invalid.
    names = [part for part in item["loc"] if isinstance(part, str) and part != "[key]"]
    place, value, kind = ".".join(names), item["input"], item["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"'{place}' is unknown.{nearest_name(names[-1], known)}"
    if kind in ("missing", "missing_argument"):
        return f"'{place}' is missing."
    if kind == "setting" and (found := item["ctx"]["found"]):
        # What was found is not the value itself.
        # A rule for several keys together has no place of its own.
        return f"{place}{': ' if place else ''}found {found}, expected {item['ctx']['expected']}."
    message = item["msg"].removeprefix("Value error, ").replace("Input should be ", "")
    if kind in _LIMITS:
        message = _LIMITS[kind].format(**item.get("ctx", {}))
    expected = TYPES_IN_WORDS.get(kind.removesuffix("_type"), message)
    is_exponent = kind == "float_type" and isinstance(value, str) and "e" in value.lower()
    hint = " In YAML, write 1.0e-3, not 1e-3." if is_exponent else ""
    # The message of one of our own validators ("value_error") is a complete sentence.
    found = f"'{place}' is {shown_value(value)}, expected " if place and kind != "value_error" else ""
    return f"{found or (f'{place}: ' if place else '')}{expected}.{hint}"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of plain values (see :class:`postarrest.study.plain_yaml.PlainLoader`).

    Raises
    ------
    StudyError
        If it is no regular file of at most 1 MB in UTF-8, is not YAML, or has anything that is not plain: a
        key twice, tags, anchors, aliases, numbers that are ambiguous or not finite, or deep nesting.
    """
    try:
        if not path.is_file():
            # A pipe, for example, would be waited for.
            raise StudyError(f"{path.name}: found something else than a file; expected a text file in YAML.")
        if path.stat().st_size > _MOST_BYTES:
            raise StudyError(f"{path.name}: found a file of more than 1 MB; expected a study file.")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or error.context
        raise StudyError(f"{path.name} can't be read{place}: {problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).split("\n")[0]
        raise StudyError(f"{path.name} can't be read: {reason}.") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path.name}: found {shown_value(content)}, expected sections with keys.")
    return content


def shown_value(value: Any) -> str:
    """Return a value with its type in words.

    Examples
    --------
    >>> shown_value("many")
    "'many' (text)"
    """
    kind, text = type(value).__name__, repr(value)
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
    return f"{shown} ({TYPES_IN_WORDS.get(kind, kind)})"


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
