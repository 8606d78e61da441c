"""SHA-256 of every file that a report was made from and of every file in it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from postarrest.files import write_text
from postarrest.places import ROOT, Here
from postarrest.report.rendering import as_json
from postarrest.study.load import Study

# Causes before consequences, so that the first difference explains the others.
KINDS = ("lock", "code", "data", "scores", "outputs")
NAME = "manifest.json"
_CODE = (
    "lib/**/*.py",
    "lib/**/templates/**/*",
    "lib/**/*.yaml",
    "lib/**/*.npz",
    "notebooks/*.py",
    "Snakefile",
    "params/published.yaml",
)
_CODE += ("docs/coverage.csv", "docs/simulation-seeds.csv", "docs/tripod-ai.yaml", "docs/probast-ai.yaml")
# What a study reads of its data folder. CT files are named after patients, so a folder has one hash.
_DATA = ("patients.*", "gwr.*", "truth.json", "ct", "tissue")


class Difference(NamedTuple):
    """A file that differs from the manifest.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    file : str
        The file or, of data, the folder.
    what : str
        ``"changed"``, ``"missing"`` or ``"new"``.
    """

    kind: str
    file: str
    what: str


def causes(study: Study, *, root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of what a report is made from, by kind and file."""
    here = Here(study.name, save_to="report", root=root)
    data = Path(study.data) if study.data else here.data
    return {
        "lock": _hashes([root / "requirements.lock"], root),
        "code": _hashes(_matching(root, (*_CODE, f"params/{study.name}.yaml")), root),
        "data": {p.name: _sha256(p) for p in ([data] if data.is_file() else _matching(data, _DATA))},
        "scores": _hashes([here.build("scores.csv")], root),
    }


def run_hash(recorded: Mapping[str, Mapping[str, str]]) -> str:
    """Return the hash that a run is cited by: 12 hexadecimal digits, of everything the report is made from.

    Parameters
    ----------
    recorded : Mapping
        From :func:`causes`, or a report's ``manifest.json``.

    Examples
    --------
    >>> before = {"lock": {"requirements.lock": "ab"}, "code": {}, "data": {}, "scores": {}}
    >>> run_hash(before) == run_hash(before | {"outputs": {"index.html": "cd"}})
    True
    """
    text = as_json({kind: recorded[kind] for kind in KINDS if kind != "outputs"})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def of(study: Study, *, root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of what a report was made from and of what is in it, by kind and file."""
    return causes(study, root=root) | {"outputs": _outputs(study, root)}


def _outputs(study: Study, root: Path) -> dict[str, str]:
    folder = Here(study.name, save_to="report", root=root).report_dir
    # The manifest itself, hidden files and Jupyter's checkpoints are not part of the report.
    found = _hashes(folder.rglob("*"), folder).items()
    return {name: sha for name, sha in found if name != NAME and "/." not in f"/{name}"}


def write(study: Study, made_from: Mapping[str, Mapping[str, str]], *, root: Path = ROOT) -> Path:
    """Write ``reports/<study>/manifest.json``, after everything else in the report.

    Parameters
    ----------
    study : Study
        The study.
    made_from : Mapping
        From :func:`causes`.
    root : pathlib.Path
        The project's folder.
    """
    place = Here(study.name, save_to="report", root=root).report_dir / NAME
    write_text(place, as_json(dict(made_from) | {"outputs": _outputs(study, root)}))
    return place


def check(study: Study, *, root: Path = ROOT) -> list[Difference]:
    """Return what differs from the manifest, causes before consequences.

    Data and scores that are missing on this machine are not compared: a reviewer has the report alone.

    Raises
    ------
    FileNotFoundError
        If the study has no manifest.
    """
    place = Here(study.name, save_to="report", root=root).report_dir / NAME
    recorded = json.loads(place.read_text(encoding="utf-8"))
    found = of(study, root=root)
    differing = []
    for kind in KINDS:
        then, now = recorded[kind], found[kind]
        if kind in ("data", "scores") and not now:
            continue
        for file in sorted(then.keys() | now.keys()):
            if then.get(file) != now.get(file):
                what = "missing" if file not in now else "new" if file not in then else "changed"
                differing.append(Difference(kind, file, what))
    return differing


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def _hashes(files: Iterable[Path], root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): _sha256(p) for p in sorted(files) if p.is_file()}


def _sha256(path: Path) -> str:
    """Return the hash of a file, or of a folder's file names and their hashes."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    lines = [f"{name} {found}\n" for name, found in _hashes(path.rglob("*"), path).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
