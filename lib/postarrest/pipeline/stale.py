"""Which source files a step depends on."""

import ast
from pathlib import Path

from postarrest.places import ROOT

_PACKAGE = ROOT / "lib" / "postarrest"


def modules_of(path: Path) -> list[Path]:
    """Return a source file and every module of this library that it needs, directly or through another.

    A step is stale when a module that it needs has changed, and only then.

    Examples
    --------
    >>> [p.name for p in modules_of(_PACKAGE / "files.py")]
    ['__init__.py', 'files.py']
    """
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += [m for m in _imported(current) if m not in found]
    # The data contract is a table next to its module.
    tables = {module.with_suffix(".yaml") for module in found if module.with_suffix(".yaml").is_file()}
    return sorted(found | tables | {_PACKAGE / "__init__.py"})


def _imported(path: Path) -> set[Path]:
    imported = set()
    # What a function imports only when called is a check of study files or another command.
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "postarrest":
                place = _PACKAGE.joinpath(*parts[1:])
                candidates = (place.with_suffix(".py"), place / "__init__.py")
                imported |= {c for c in candidates if len(parts) > 1 and c.is_file()}
    return imported
