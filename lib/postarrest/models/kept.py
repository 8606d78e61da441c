"""Names for results kept on disk, derived from all they depend on, so that no outdated one is used."""

import ast
import functools
import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_PACKAGES = ("keras", "tensorflow", "optuna", "scikit-learn", "lightgbm")


def digest(*parts: Any, modules: Sequence[str] = ("**/*",), packages: Sequence[str] = _PACKAGES) -> str:
    """Return a short hash of whatever a kept result depends on.

    Parameters
    ----------
    *parts
        Tables, arrays, and settings of plain values.
    modules : sequence of str
        Modules of this folder whose code counts, without comments and docstrings; all of them by default.
    packages : sequence of str
        Packages whose versions count.

    Examples
    --------
    >>> digest("features", {"zoom": 0.1}) == digest("features", {"zoom": 0.1})
    True
    >>> digest("features", {"zoom": 0.1}) == digest("features", {"zoom": 0.2})
    False
    """
    hashed = hashlib.sha256(_code(tuple(modules)).encode())
    hashed.update(json.dumps([version(name) for name in packages]).encode())
    for part in parts:
        if isinstance(part, pd.DataFrame | pd.Series):
            columns = [str(name) for name in part.columns] if isinstance(part, pd.DataFrame) else []
            hashed.update(json.dumps(columns).encode())
            part = pd.util.hash_pandas_object(part).to_numpy()
        if isinstance(part, np.ndarray):
            hashed.update(np.ascontiguousarray(part).tobytes())
        else:
            # Not sorted: the order of a search space decides which of two equal combinations comes first.
            hashed.update(json.dumps(part, default=repr).encode())
    return hashed.hexdigest()[:12]


@functools.cache
def _code(modules: tuple[str, ...]) -> str:
    room = Path(__file__).parent
    files = sorted(file for module in modules for file in room.glob(f"{module}.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return "\n".join(ast.dump(tree) for tree in trees)
