"""Which source files a step depends on."""

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from postarrest.places import ROOT

_LIB = ROOT / "lib"
_IMPORT = re.compile(r"^from postarrest[\w.]* import (?:\([^)]*\)|.+)$", re.MULTILINE)


def modules_of(path: Path) -> list[Path]:
    """Return a source file and every module of this library that it uses, directly or through another.

    A step is out of date if and only if one of these files has changed. A name used through a package
    (``models.splits.get`` after ``from postarrest import models``) counts as a use of the module that defines
    it, not of the whole package.

    Parameters
    ----------
    path : pathlib.Path
        A module of the library or a notebook.

    Examples
    --------
    >>> [p.name for p in modules_of(_LIB / "postarrest" / "estimate.py")]
    ['estimate.py']
    """
    found: set[Path] = set()
    waiting = {path}
    while waiting:
        found |= waiting
        waiting = set().union(*map(_used_by, waiting)) - found
    # Some modules read a table in the same folder, or templates or weights that they name.
    tables = {m.with_suffix(".yaml") for m in found if m.with_suffix(".yaml").is_file()}
    named = {
        file
        for m in found
        for pattern in ("templates/*", "*.npz")
        for file in m.parent.glob(pattern)
        if file.name in m.read_text(encoding="utf-8")
    }
    return sorted(found | tables | named)


@cache
def _used_by(path: Path) -> set[Path]:
    """Return the modules whose names a file uses."""
    found = set()
    for local, name in _imported(path).items():
        # Few names are packages; only of these the attributes matter, and finding them takes longest.
        found |= _modules_behind(name, used=lambda local=local: _attributes(path).get(local, set()))
    return found


@cache
def _imported(path: Path) -> dict[str, str]:
    """Return the names that a file imports from this library, each with the dotted name behind it."""
    # Imports inside functions belong to checks and commands, not to results. The statements alone are parsed:
    # whole files, at every start of the pipeline, take a second.
    own = ast.parse("\n".join(_IMPORT.findall(path.read_text(encoding="utf-8")))).body
    return {a.asname or a.name: f"{node.module}.{a.name}" for node in own for a in node.names}


@cache
def _attributes(path: Path) -> dict[str, set[str]]:
    """Return the attributes that a file uses of each name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
    return found


def _modules_behind(name: str, *, used: Callable[[], set[str]]) -> set[Path]:
    """Return the module of a dotted name; for a package, those that define the attributes that are used."""
    place = _LIB.joinpath(*name.split("."))
    if place.with_suffix(".py").is_file():
        return {place.with_suffix(".py")}
    face = place / "__init__.py"
    if face.is_file():
        return set().union(*(_modules_behind(f"{name}.{a}", used=set) for a in used())) or {face}
    # A name that a module or package defines or imports.
    room, _, own = name.rpartition(".")
    face = _LIB.joinpath(*room.split("."), "__init__.py")
    if not face.is_file():
        return _modules_behind(room, used=set)
    imported = _imported(face)
    return _modules_behind(imported[own], used=set) if own in imported else {face}
