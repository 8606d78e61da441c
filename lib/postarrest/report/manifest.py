"""Hashes of what a report was made from and of what it consists of."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from postarrest.files import write_text
from postarrest.places import ROOT, Here
from postarrest.study.load import Study

# In the order in which one thing follows from another, so that the first difference is the cause of the rest.
KINDS = ("lock", "code", "data", "scores", "outputs")
NAME = "manifest.json"
# What a study reads of its data folder. Single CTs are named after patients, so a folder has one hash.
_DATA = ("patients.*", "gwr.*", "truth.json", "ct", "tissue")


@dataclass(frozen=True)
class Difference:
    """A file that is not as the manifest says.

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


def of(study: Study, *, root: Path = ROOT) -> dict[str, dict[str, str]]:
    """Return the SHA-256 of what a report was made from and of what it consists of, by kind and file."""
    here = Here(study.name, save_to="report", root=root)
    code = [
        *root.glob("lib/**/*.py"),
        *root.glob("lib/postarrest/templates/**/*"),
        *root.glob("notebooks/*.py"),
    ]
    code += [root / "Snakefile", root / "params" / f"{study.name}.yaml", root / "params" / "published.yaml"]
    code += [root / "docs" / name for name in ("coverage.csv", "simulation-seeds.csv", "tripod-ai.yaml")]
    outputs = [p for p in here.report_dir.rglob("*") if p.is_file() and not _is_aside(p)]
    return {
        "lock": _hashes([root / "requirements.lock"], root),
        "code": _hashes((p for p in code if p.is_file()), root),
        "data": _data_hashes(Path(study.data) if study.data else here.data),
        "scores": _hashes((p for p in [here.build("scores.csv")] if p.is_file()), root),
        "outputs": _hashes((p for p in outputs if p.name != NAME), here.report_dir),
    }


def write(study: Study, *, root: Path = ROOT) -> Path:
    """Write ``reports/<study>/manifest.json``, last of all of the report."""
    place = Here(study.name, save_to="report", root=root).report_dir / NAME
    write_text(place, json.dumps(of(study, root=root), indent=1, sort_keys=True) + "\n")
    return place


def check(study: Study, *, root: Path = ROOT) -> list[Difference]:
    """Return what is not as the manifest says, causes before consequences.

    Data and scores that are not on this machine at all are not compared: a reviewer has the report alone.

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


def _hashes(files: Iterable[Path], root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): _sha256(p) for p in sorted(files) if p.is_file()}


def _data_hashes(data: Path) -> dict[str, str]:
    if data.is_file():
        return {data.name: _sha256(data)}
    found = {}
    for pattern in _DATA:
        for path in sorted(data.glob(pattern)):
            found[path.name] = _sha256(path) if path.is_file() else _folder_sha256(path)
    return found


def _folder_sha256(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()} {_sha256(path)}\n".encode())
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_aside(path: Path) -> bool:
    return path.name.startswith(".") or any(part.startswith(".ipynb") for part in path.parts)
