"""Look at the machine: what a report needs, what is there, and what to do where something is missing.

``python -m postarrest.pipeline.doctor`` prints one screen; the exit status is 1 if something keeps a report
from being made. It needs nothing but Python itself, since the environment may be what is missing.
"""

import argparse
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import NamedTuple

from postarrest.places import ROOT

GIB = 2**30
PYTHONS = ((3, 11), (3, 13))
# `make report` of the default studies on two cores (docs/running.md), and what a machine needs besides.
REPORT_GIB, LEAST_GIB = 4, 2
# The environment, and the results of the default studies with room to write them anew.
ENVIRONMENT_GIB, RESULTS_GIB = 4, 2
# Instruction sets by which numerical libraries choose their code; on ARM, bfloat16 has another name.
_SHOWN = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
_SETUP = "make env (if that changes nothing: rm -rf .venv, then make env)"


class Found(NamedTuple):
    """What was found of one thing.

    Parameters
    ----------
    what : str
        The thing, such as ``"memory"``.
    state : str
        ``"ok"``, ``"note"`` (a report can be made, but something is worth knowing) or ``"BLOCKS"``.
    found : str
        In words.
    advice : str
        What to do; blank if all is well.
    """

    what: str
    state: str
    found: str
    advice: str = ""


def python(version: Sequence[int]) -> Found:
    """Judge Python's version.

    Examples
    --------
    >>> python((3, 9, 2)).state, python((3, 12, 1)).state
    ('BLOCKS', 'ok')
    """
    words = ".".join(map(str, version[:3]))
    if PYTHONS[0] <= tuple(version[:2]) <= PYTHONS[1]:
        return Found("Python", "ok", words)
    advice = "install Python 3.11, 3.12 or 3.13, and name it: make PYTHON=/path/to/python3.12 env"
    return Found("Python", "BLOCKS", f"{words}; 3.11 to 3.13 is needed", advice)


def environment(installed: dict[str, str], locked: dict[str, str]) -> Found:
    """Judge the installed packages against those that the lock file has for this machine.

    Examples
    --------
    >>> environment({"numpy": "2.3.0"}, {"numpy": "2.4.1"}).found
    '1 of 1 package has another version than the lock file (numpy 2.3.0, locked 2.4.1)'
    """
    missing = [name for name in locked if name not in installed]
    other = [
        f"{name} {installed[name]}, locked {locked[name]}"
        for name in locked
        if installed.get(name, locked[name]) != locked[name]
    ]
    if missing:
        found = f"{len(missing)} of {len(locked)} packages are missing ({_few(missing)})"
        return Found("environment", "BLOCKS", found, _SETUP)
    if other:
        verb = "package has" if len(other) == 1 else "packages have"
        found = f"{len(other)} of {len(locked)} {verb} another version than the lock file ({_few(other)})"
        return Found("environment", "note", found, f"numbers may differ from the expected ones: {_SETUP}")
    return Found("environment", "ok", f"{len(locked)} packages, all as locked")


def _few(names: Sequence[str], most: int = 3) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _environment() -> Found:
    try:
        requirement = import_module("packaging.requirements").Requirement
    except ImportError:
        return Found("environment", "BLOCKS", "there is none yet", "make env (3 GB, several minutes, once)")
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [requirement(line.rstrip(" \\")) for line in lines if re.match("[a-z]", line)]
    here = [r for r in wanted if r.marker is None or r.marker.evaluate()]
    locked = {_normal(r.name): next(iter(r.specifier)).version for r in here}
    installed = {_normal(d.metadata["Name"]): d.version for d in metadata.distributions()}
    return environment(installed, locked)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def disk(free: int, *, has_environment: bool) -> Found:
    """Judge the free bytes on the project's disk.

    Examples
    --------
    >>> disk(3 * GIB, has_environment=True).state, disk(3 * GIB, has_environment=False).state
    ('ok', 'BLOCKS')
    """
    needed = RESULTS_GIB if has_environment else RESULTS_GIB + ENVIRONMENT_GIB
    found = f"{free / GIB:.1f} GiB free; about {needed} GiB are needed"
    if free >= needed * GIB:
        return Found("disk", "ok", found)
    return Found("disk", "BLOCKS", found, "free some space, or move the project to a larger disk")


def memory(total: int, cores: int) -> Found:
    """Judge the memory, in bytes, that this machine or its container has.

    Examples
    --------
    >>> memory(3 * GIB, 8).advice
    'one step at a time: make report CORES=1'
    """
    found = f"{total / GIB:.1f} GiB; make report takes about {REPORT_GIB} GiB on 2 cores"
    if total < LEAST_GIB * GIB:
        return Found("memory", "BLOCKS", found, "use a machine with more memory")
    if total < REPORT_GIB * GIB:
        return Found("memory", "note", found, "one step at a time: make report CORES=1")
    # Each core runs a step of its own.
    bearable = int(total / GIB // (REPORT_GIB / 2))
    if bearable < cores:
        advice = f"fewer steps at a time: make report CORES={bearable}"
        return Found("memory", "note", f"{found}, here on {cores}", advice)
    return Found("memory", "ok", found)


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # What a container or a scheduler allows.
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(Path(limit)).strip()
        total = min(total, int(text)) if text.isdigit() else total
    return total


def processor(machine: str, name: str, features: Sequence[str], cores: int) -> Found:
    """Judge the processor; `features` are the names that the system gives its instruction sets.

    Examples
    --------
    >>> processor("x86_64", "Old", ["sse4_2"], 2).state, processor("x86_64", "New", ["avx", "avx2"], 2).state
    ('BLOCKS', 'ok')
    """
    shown = [feature for feature in _SHOWN if feature in features]
    found = f"{name or machine}, {cores} core{'s' if cores > 1 else ''}; {', '.join(shown) or 'no AVX'}"
    if machine.lower() in ("x86_64", "amd64"):
        if "avx" not in features:
            advice = "TensorFlow needs AVX, in a virtual machine often a setting: processor type 'host'"
            return Found("processor", "BLOCKS", found, advice)
        if "avx2" not in features:
            return Found("processor", "note", found, "without AVX2 everything takes about twice as long")
    if not set(_BFLOAT16) & set(features):
        found += "; no bfloat16, so keep precision: float32"
    return Found("processor", "ok", found)


def _processor() -> Found:
    info = _text(Path("/proc/cpuinfo"))
    lines = dict(re.findall(r"^(model name|flags|Features)\s*:\s*(.+)$", info, re.M))
    name, features = lines.get("model name", ""), lines.get("flags", lines.get("Features", "")).split()
    if not info:
        # macOS, on Intel and on ARM
        name = _said("sysctl", "-n", "machdep.cpu.brand_string")
        intel = _said("sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features").lower()
        features = intel.replace("avx1.0", "avx").split()
        arm = {"bf16": "hw.optional.arm.FEAT_BF16", "asimd": "hw.optional.AdvSIMD"}
        features += [feature for feature, key in arm.items() if _said("sysctl", "-n", key) == "1"]
    return processor(platform.machine(), name, features, cores_allowed())


def cores_allowed() -> int:
    """Return how many cores this process may use; a container or a scheduler may allow fewer than all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def weights(cached: dict[str, bool]) -> Found:
    """Say which networks have ImageNet's weights on this machine.

    Examples
    --------
    >>> weights({"VGG19": True, "ResNet50": False}).found
    'ImageNet weights of VGG19 found, of ResNet50 not'
    """
    have = [name for name, there in cached.items() if there]
    lack = [name for name, there in cached.items() if not there]
    if not lack:
        return Found("weights", "ok", f"ImageNet weights of {' and '.join(have)} found")
    found = f"ImageNet weights of {' and '.join(have)} found, of {' and '.join(lack)} not" if have else ""
    advice = (
        "make report downloads them (80 or 95 MB, once); without the internet, it uses the embedded network"
    )
    return Found("weights", "note", found or f"no ImageNet weights of {' or '.join(lack)}", advice)


def _weights() -> Iterator[Found]:
    try:
        known = import_module("postarrest.models.cnn.weights")
    except ImportError:  # reported with the environment
        return
    yield weights({name: known.cached(name).is_file() for name in known.NETWORKS})


def folder(place: Path) -> Found:
    """Judge whether a project's folder can be written, and whether a run is in progress there."""
    for name in ("", "build", "reports", ".snakemake"):
        if (place / name).exists() and not os.access(place / name, os.W_OK):
            advice = "run in a copy of the project that you may write to"
            return Found("folder", "BLOCKS", f"{place / name} cannot be written", advice)
    lock = place / "build" / ".lock"
    if lock.exists():
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Found(
                    "folder", "note", "a run is in progress here", "wait for it, or stop it by Ctrl-C"
                )
            except OSError as error:
                advice = "two runs at once would not notice each other here: start only one"
                return Found("folder", "note", f"its file system has no locks ({error.strerror})", advice)
    return Found("folder", "ok", "can be written; no run is in progress")


def slurm(programs: dict[str, bool], *, has_plugin: bool, accounts: bool) -> Found:
    """Judge what runs on Slurm need: its programs, Snakemake's plugin, and accounting.

    Examples
    --------
    >>> slurm({"sbatch": True, "squeue": True, "scancel": True}, has_plugin=False, accounts=True).advice
    '.venv/bin/pip install snakemake-executor-plugin-slurm'
    """
    missing = [name for name, there in programs.items() if not there]
    if missing:
        return Found("Slurm", "BLOCKS", f"no {', '.join(missing)}", "run on a login node of the cluster")
    if not has_plugin:
        advice = ".venv/bin/pip install snakemake-executor-plugin-slurm"
        return Found("Slurm", "BLOCKS", "found, but not Snakemake's plugin for it", advice)
    start = 'make report STUDY=... SNAKEMAKE="--executor slurm --jobs 10'
    if not accounts:
        advice = f'{start} --slurm-status-command squeue"'
        return Found("Slurm", "note", "found, with its plugin, but without accounting", advice)
    return Found("Slurm", "ok", f'found, with its plugin: {start}"')


def _slurm() -> Found:
    programs = {name: shutil.which(name) is not None for name in ("sbatch", "squeue", "scancel")}
    try:
        metadata.version("snakemake-executor-plugin-slurm")
        has_plugin = True
    except metadata.PackageNotFoundError:
        has_plugin = False
    asked = ("sacct", "--noheader", "--starttime", "now-1hours")
    accounts = (
        shutil.which("sacct") is not None and subprocess.run(asked, capture_output=True).returncode == 0
    )
    return slurm(programs, has_plugin=has_plugin, accounts=accounts)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def examine(*, with_slurm: bool = False) -> Iterator[Found]:
    """Look at this machine, and yield what is found."""
    yield python(sys.version_info)
    yield _environment()
    yield _processor()
    yield memory(_memory(), cores_allowed())
    yield disk(shutil.disk_usage(ROOT).free, has_environment=(ROOT / ".venv" / ".ready").exists())
    yield folder(ROOT)
    yield from _weights()
    if with_slurm:
        yield _slurm()


def screen(found: Sequence[Found]) -> list[str]:
    """Return the lines to print: what was found, what to do, and whether a report can be made."""
    lines = []
    for one in found:
        lines.append(f"{one.state:<8}{one.what:<13}{one.found}")
        if one.advice:
            lines.append(f"{'':<8}{'':<13}-> {one.advice}")
    blocking = [one.what for one in found if one.state == "BLOCKS"]
    last = f"Not yet: {', '.join(blocking)}." if blocking else "A report can be made: make report"
    return [*lines, last]


def main(arguments: Sequence[str]) -> int:
    """Print what was found; return 1 if something keeps a report from being made."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline.doctor", description=__doc__)
    parser.add_argument("--slurm", action="store_true", help="look for Slurm too")
    found = list(examine(with_slurm=parser.parse_args(arguments).slurm))
    print("\n".join(screen(found)))
    return int(any(one.state == "BLOCKS" for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
