"""What a result was computed with: versions against the lock, processor, threads, commit."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from postarrest.places import ROOT

# What the methods of a paper name; the comparison with the lock covers every installed package.
NAMED = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "lightgbm",
    "optuna",
    "tensorflow",
    "keras",
    "statsmodels",
    "matplotlib",
    "pydicom",
    "nibabel",
    "papermill",
    "snakemake",
)


def describe(*, root: Path = ROOT) -> dict[str, Any]:
    """Return what this process computes with.

    Returns
    -------
    dict
        ``python``, ``system``, ``processor``, ``instructions`` (those by which numerical libraries choose
        their code), ``cores``, ``threads`` (of a numerical library), ``versions`` of the packages that
        methods name, ``n_installed``, ``differs_from_lock`` (a list of ``package installed, lock says
        version``), ``commit`` (blank outside version control) and ``changed`` (whether code, notebooks or
        parameters differ from that commit).
    """
    locked = read_lock(root / "requirements.lock")
    installed = _installed()
    commit, changed = _commit(root)
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "instructions": _instructions(),
        "cores": _cores(),
        "threads": int(os.environ.get("POSTARREST_THREADS") or os.environ.get("OMP_NUM_THREADS") or _cores()),
        "versions": {name: installed[name] for name in NAMED if name in installed},
        "n_installed": sum(name in locked for name in installed),
        "differs_from_lock": differences(installed, locked),
        "commit": commit,
        "changed": changed,
    }


def read_lock(path: Path) -> dict[str, list[str]]:
    """Return the versions that a lock has of each package; several where it depends on the platform.

    Examples
    --------
    >>> read_lock(ROOT / "requirements.lock")["pandas"][0].split(".")[0]
    '3'
    """
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", line)
        if match:
            found.setdefault(_normal(match[1]), []).append(match[2])
    return found


def differences(installed: dict[str, str], locked: dict[str, list[str]]) -> list[str]:
    """Return the installed packages whose version is not the lock's, in words.

    Examples
    --------
    >>> differences({"numpy": "2.3.0", "pip": "25.0"}, {"numpy": ["2.4.1"]})
    ['numpy 2.3.0, lock says 2.4.1']
    """
    return [
        f"{name} {version}, lock says {' or '.join(locked[name])}"
        for name, version in sorted(installed.items())
        if name in locked and version not in locked[name]
    ]


def agree(descriptions: Iterable[dict[str, Any]]) -> bool:
    """Return whether all steps were computed with the same versions on the same kind of machine."""
    compared = [repr([kind(d), d["commit"], d["changed"]]) for d in descriptions]
    return len(set(compared)) <= 1


def kind(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a description that decides whether results have the same bytes."""
    deciding = ("python", "system", "processor", "instructions", "versions")
    return {key: description[key] for key in deciding}


@cache
def _installed() -> dict[str, str]:
    return {_normal(d.metadata["Name"]): d.version for d in metadata.distributions()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cores() -> int:
    # The cores that this process may use, which a container or a scheduler can make fewer than there are.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text(encoding="utf-8", errors="replace"))
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine()


def _instructions() -> list[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return []
    match = re.search(r"^flags\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8", errors="replace"), re.M)
    flags = set(match[1].split()) if match else set()
    return [name for name in ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]


def _commit(root: Path) -> tuple[str, bool]:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, timeout=20
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # A copy without history may lie within another project's checkout, whose commit is not ours.
    if Path(git("rev-parse", "--show-toplevel") or "/dev/null").resolve() != root.resolve():
        return "", False
    commit = git("rev-parse", "--short=12", "HEAD") or ""
    return commit, bool(git("status", "--porcelain", "--", "lib", "notebooks", "params", "requirements.lock"))
