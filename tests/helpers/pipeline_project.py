"""A copy of the project in which the pipeline runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from postarrest.places import ROOT

COPIED = (
    *("lib", "notebooks", "params", "docs", "Snakefile", "profiles"),
    *("pyproject.toml", "requirements.lock"),
)


def copy_project(folder: Path) -> Path:
    """Copy what the pipeline needs; its library finds the project by its own place."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("*.ipynb", "__pycache__", "*.egg-info")
            shutil.copytree(source, folder / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    # Of the same packages, with this copy's library before the installed one.
    environment = os.environ | {"PYTHONPATH": str(project / "lib")}
    for name in ("POSTARREST_DATA", "POSTARREST_WEIGHTS"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "postarrest.pipeline", "report", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def steps(done: subprocess.CompletedProcess) -> list[str]:
    """The steps that a run's lines name."""
    return re.findall(r"step \d+ of \d+, \d+ left[^:]*: (.*)", done.stderr)


def tables(project: Path) -> dict[str, bytes]:
    """The tables of the small study's report, byte by byte."""
    folder = project / "reports" / "smoke" / "tables"
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.csv"))}
