"""Rooms import one way, modules are small, notebooks use faces, and dependencies are declared."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from postarrest.places import ROOT

LIB = ROOT / "lib" / "postarrest"
# From the top down; a room imports only from those below it.
ROOMS = (
    *("pipeline", "report", "study", "reading", "figures", "simulate", "evaluation", "models", "scores"),
    *("describe", "words", "data", "settings", "refused", "places", "estimate", "files"),
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
MODULES = sorted(LIB.rglob("*.py"))


def room_of(module: str) -> str:
    """The room of a dotted name, such as ``postarrest.models.cnn.head``."""
    return module.split(".")[1]


def imports(path: Path) -> list[tuple[str, str]]:
    """Every name that a file imports from this library, also inside functions, with its module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "postarrest":
            for alias in node.names:
                whole = node.module == "postarrest"
                found.append((f"postarrest.{alias.name}" if whole else node.module, alias.name))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(LIB)))
def test_rooms_import_downwards(path):
    own = path.relative_to(LIB).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    below = ROOMS[ROOMS.index(own) :]
    assert [module for module, _ in imports(path) if room_of(module) not in below] == []


def test_the_evaluation_knows_neither_data_nor_models():
    for path in (LIB / "evaluation").glob("*.py"):
        assert not {room_of(module) for module, _ in imports(path)} & {"data", "models"}, path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(LIB)))
def test_modules_are_small_and_keep_their_private_names(path):
    assert path.read_text(encoding="utf-8").count("\n") <= 400
    assert [name for _, name in imports(path) if name.startswith("_")] == []


def test_every_room_says_what_goes_in_and_out():
    for face in LIB.rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
        if face.parent != LIB:
            assert "\nIn: " in text and "\nOut: " in text, face


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_import_faces(path):
    for module, _ in imports(path):
        # postarrest.<room> or a module on the ground, and nothing inside a room.
        assert module.count(".") == 1, module


def test_every_imported_package_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        Requirement(line).name.lower().replace("_", "-")
        for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    }
    helpers = {
        path.stem for folder in ("tests/helpers", "benchmarks") for path in (ROOT / folder).glob("*.py")
    }
    own = {"postarrest", "snakemake_logger_plugin_postarrest", *helpers}
    distributions = packages_distributions()
    undeclared = set()
    for folder in ("lib", "notebooks", "benchmarks", "tests"):
        # benchmarks/peers runs in an environment of its own, with its own list of packages.
        for path in set((ROOT / folder).rglob("*.py")) - set((ROOT / "benchmarks" / "peers").glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                else:
                    names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                for name in {n.split(".")[0] for n in names} - own - set(sys.stdlib_module_names):
                    providers = {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
                    if not providers & declared:
                        undeclared.add(f"{name} ({path.relative_to(ROOT)})")
    assert undeclared == set()
