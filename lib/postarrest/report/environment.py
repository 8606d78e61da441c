"""What a result was computed with: versions compared with the lock file, processor, threads, commit."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from postarrest.places import ROOT

# Packages that a paper's methods name; the comparison with the lock file covers every installed package.
NAMED = ("numpy", "pandas", "scipy", "scikit-learn", "lightgbm", "optuna", "tensorflow", "keras")
NAMED += ("statsmodels", "matplotlib", "pydicom", "nibabel", "papermill", "snakemake")
# Instruction sets by which numerical libraries choose their code.
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
# Results can have the same bytes only if all of these agree.
_KIND = ("python", "system", "processor", "instructions", "versions")


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
    # A container or a scheduler may allow fewer cores than there are.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    flags = _cpuinfo("flags").split()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "cores": cores,
        "threads": int(os.environ.get("POSTARREST_THREADS") or os.environ.get("OMP_NUM_THREADS") or cores),
        "versions": {name: installed[name] for name in NAMED if name in installed},
        "n_installed": sum(name in locked for name in installed),
        "differs_from_lock": differences(installed, locked),
        "commit": commit,
        "changed": changed,
    }


def read_lock(path: Path) -> dict[str, list[str]]:
    """Return the locked versions of each package; several where they depend on the platform.

    Examples
    --------
    >>> read_lock(ROOT / "requirements.lock")["pandas"][0].split(".")[0]
    '3'
    """
    found: dict[str, list[str]] = {}
    pattern = r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)"
    for name, version in re.findall(pattern, path.read_text(encoding="utf-8"), re.M):
        found.setdefault(_normal(name), []).append(version)
    return found


def differences(installed: Mapping[str, str], locked: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the installed packages whose version is not the locked one, in words.

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


def differing(descriptions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys in which several steps differ: versions, kind of machine, commit.

    Examples
    --------
    >>> here = describe()
    >>> differing([here, here]), differing([here, here | {"python": "3.9.0"}])
    ([], ['python'])
    """
    first, *others = descriptions or [{}]
    return [key for key in (*_KIND, "commit", "changed") if any(d[key] != first[key] for d in others)]


def kind(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a description that decides whether results have the same bytes."""
    return {key: description[key] for key in _KIND}


@cache
def _installed() -> dict[str, str]:
    return {_normal(d.metadata["Name"]): d.version for d in metadata.distributions()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cpuinfo(name: str) -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    match = re.search(rf"^{name}\s*:\s*(.+)$", text, re.M)
    return match[1].strip() if match else ""


def _commit(root: Path) -> tuple[str, bool]:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        with suppress(FileNotFoundError, subprocess.CalledProcessError):
            return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=20).strip()
        return ""

    # A copy without history may lie within another project's checkout, whose commit is not ours.
    if Path(git("rev-parse", "--show-toplevel") or "/dev/null").resolve() != root.resolve():
        return "", False
    changed = git("status", "--porcelain", "--", "lib", "notebooks", "params", "requirements.lock")
    return git("rev-parse", "--short=12", "HEAD"), bool(changed)
