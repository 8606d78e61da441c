"""Names for results kept on disk, made of all that they depend on, so that no stale one is taken up."""

import ast
import functools
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_FITTING = (
    "tabular",
    "tuning",
    "stacking",
    "cnn/network",
    "cnn/features",
    "cnn/head",
    "cnn/fit",
    "cnn/finetune",
)


def digest(*parts: Any, modules: Sequence[str] = _FITTING) -> str:
    """Return a short hash of whatever a kept result depends on.

    Beside the given parts these are the code of ``modules`` of this library (without comments and
    docstrings) and the versions of the packages that they compute with.

    Examples
    --------
    >>> digest("features", {"zoom": 0.1}, modules=()) == digest("features", {"zoom": 0.1}, modules=())
    True
    >>> digest("features", {"zoom": 0.1}, modules=()) == digest("features", {"zoom": 0.2}, modules=())
    False
    """
    hashed = hashlib.sha256()
    if modules:
        hashed.update(_code_and_versions(tuple(modules)).encode())
    for part in parts:
        if isinstance(part, pd.DataFrame | pd.Series):
            hashed.update(np.ascontiguousarray(pd.util.hash_pandas_object(part).to_numpy()).tobytes())
            if isinstance(part, pd.DataFrame):
                hashed.update(json.dumps([str(c) for c in part.columns]).encode())
        elif isinstance(part, np.ndarray):
            hashed.update(np.ascontiguousarray(part).tobytes())
        else:
            # Unsorted: the order of a search space decides which of two equal combinations comes first.
            hashed.update(json.dumps(part, default=str).encode())
    return hashed.hexdigest()[:12]


def code_of(*functions: Callable[..., Any]) -> str:
    """Return the code of some functions, without what only a reader sees: comments, docstrings, layout."""
    return "\n".join(_plain(ast.parse(textwrap.dedent(inspect.getsource(f)))) for f in functions)


@functools.cache
def _code_and_versions(modules: tuple[str, ...]) -> str:
    packages = ("keras", "tensorflow", "optuna", "scikit-learn", "lightgbm")
    told = [f"{name} {version(name)}" for name in packages]
    files = [Path(__file__).parent / f"{module}.py" for module in modules]
    return "\n".join([*told, *(_plain(ast.parse(file.read_text(encoding="utf-8"))) for file in files)])


def _plain(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)
