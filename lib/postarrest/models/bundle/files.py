"""The folder of a frozen model, written and read: a manifest, and the files of its parts."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from postarrest.data.contract import PATIENTS
from postarrest.files import write_text
from postarrest.models import parts as kept_parts
from postarrest.models.bundle import manifest as manifests
from postarrest.models.ct_reader import network
from postarrest.models.parts import Part, PartError
from postarrest.refused import Refused

FORMAT = 1
MANIFEST = "manifest.json"
# What a manifest says of its own files, and not of the model.
OF_THE_FILES = ("format", "parts", "files", "packages", "sha256")
# Whose versions decide whether a part of a kind can be read, and scores the same.
_PACKAGES = {
    "estimator": ("scikit-learn", "lightgbm", "skops"),
    "network": ("keras", "tensorflow", "skops"),
}


class BundleError(Refused):
    """A frozen model that cannot be used; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Bundle:
    """A frozen model, read and checked.

    Parameters
    ----------
    manifest : dict
        What it says of itself; see :func:`write`.
    parts : tuple of Part
        Its models, each after those whose scores it uses.
    """

    manifest: dict[str, Any]
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """The columns that it needs."""
        return self.manifest["columns"]

    @property
    def kinds(self) -> set[str]:
        """Kinds of its parts."""
        return {part.kind for part in self.parts}


def write(
    folder: Path, sources: Mapping[Path, Iterable[Part]], *, formulas: Sequence[Part] = (), **about: Any
) -> dict[str, Any]:
    """Write a frozen model, whole or not at all; an earlier one in the folder is replaced.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle's folder.
    sources : Mapping
        Folder -> its parts, as :func:`postarrest.models.parts.keep` left them; in the order in which they
        use each other.
    formulas : sequence of Part
        Parts that need no file.
    **about
        What the manifest says besides: ``columns, export, ct, models, main, thresholds, population`` and
        whatever a reader should know, of plain values.

    Returns
    -------
    dict
        The manifest: ``format``, ``parts``, ``packages`` (versions that the parts need), ``files`` (the
        SHA-256 of each), what was given as ``about``, and ``sha256`` of all that.
    """
    every = [*(part for of_folder in sources.values() for part in of_folder), *formulas]
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        hashes = {}
        for source, parts in sources.items():
            for name in (file for part in parts for file in part.files):
                shutil.copyfile(source / name, work / name)
                hashes[name] = _sha256((work / name).read_bytes())
        listed = [
            {k: getattr(part, k) for k in ("name", "kind", "columns", "scores", "settings")} for part in every
        ]
        packages = sorted({p for part in every for p in _PACKAGES.get(part.kind, ())})
        manifest = {"format": FORMAT, **about, "parts": listed, "files": hashes}
        manifest["packages"] = {name: metadata.version(name) for name in packages}
        # As it will be read: JSON knows lists only.
        manifest = json.loads(json.dumps(manifest))
        manifest["sha256"] = _own_hash(manifest)
        write_text(work / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        work.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a frozen model's manifest, after every check that needs no model to be built.

    Raises
    ------
    BundleError
        If there is none, it or a file of the model was changed, it lacks what it must say, it is of a newer
        format, or the packages here are not those that the model needs.
    """
    folder = Path(folder)
    place = folder / MANIFEST
    if not place.is_file():
        raise BundleError(f"{folder.name}: found no {MANIFEST}; expected the folder of a frozen model.")
    try:
        manifest = json.loads(place.read_text(encoding="utf-8"))
        own_hash = _own_hash(manifest)
        version = manifest["format"]
        known = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    except OSError as error:
        raise BundleError(f"{MANIFEST}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = False
    if not known:
        raise BundleError(f"{MANIFEST}: found something else; expected that of a frozen model.")
    if version > FORMAT:
        newer = "It was made by a newer postarrest; update this one."
        raise BundleError(f"{MANIFEST}: found format {str(version)[:20]}; expected at most {FORMAT}. {newer}")
    if manifest.get("sha256") != own_hash:
        raise _changed(MANIFEST)
    if problems := manifests.problems(manifest):
        raise BundleError("\n".join(f"{MANIFEST}: {problem}." for problem in problems))
    for name, sha256 in manifest["files"].items():
        if Path(name).name != name or not (folder / name).is_file():
            raise BundleError(f"{name}: found no such file in {folder.name}; the manifest lists it.")
        if _sha256((folder / name).read_bytes()) != sha256:
            raise _changed(name)
    _check_versions(manifest["packages"])
    _check_contract(manifest["columns"])
    return manifest


def load(folder: Path) -> Bundle:
    """Read a frozen model. Nothing in it is executed: files hold numbers and names of known types.

    Raises
    ------
    BundleError
        As :func:`read_manifest`, and if a part is of an unknown kind or type.
    """
    manifest = read_manifest(folder)
    found: list[Part] = []
    for one in manifest["parts"]:
        try:
            found.append(_with_estimator(kept_parts.of_json(one), Path(folder)))
        except PartError as error:
            raise BundleError(f"{folder}: {error}") from error
    return Bundle(manifest, tuple(found))


def _with_estimator(part: Part, folder: Path) -> Part:
    if part.kind == "gwr_automatic" and part.settings["reader"] != network.fingerprint():
        found = f"model '{part.name}': found another network that reads CT than it was frozen with"
        raise BundleError(f"{found}; expected the postarrest of the manifest's commit.")
    if part.kind not in ("estimator", "network"):
        return part
    fitted = kept_parts.loaded((folder / f"{part.name}.skops").read_bytes(), part.name)
    if part.kind == "network":
        from postarrest.models.cnn import frozen

        fitted = (frozen.from_bytes((folder / f"{part.name}.keras").read_bytes()), fitted)
    return replace(part, estimator=fitted)


def _check_versions(packages: Mapping[str, str]) -> None:
    for name, made_with in packages.items():
        try:
            here = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            found = f"the model was frozen with {name[:80]} {made_with[:80]}, which is not installed"
            raise BundleError(f"{MANIFEST}: {found}; install it to use the model.") from None
        # A third number is a repair; the second may change what a model computes or how it is written.
        if here.split(".")[:2] != made_with.split(".")[:2]:
            found = f"the model was frozen with {name} {made_with}, and {here} is installed"
            raise BundleError(f"{MANIFEST}: {found}; install {name}=={made_with} to use it.")


def _check_contract(columns: Mapping[str, Mapping[str, Any]]) -> None:
    for name, about in columns.items():
        if name in PATIENTS.columns:
            unit = PATIENTS.columns[name].metadata["unit"]
            if unit != about["unit"]:
                found = f"{name} in {about['unit'] or 'no unit'}"
                raise BundleError(f"{MANIFEST}: found {found}; the data contract has {unit or 'no unit'}.")


def _changed(name: str) -> BundleError:
    return BundleError(f"{name}: found other bytes than those that were frozen; ask for an unchanged copy.")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _own_hash(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return _sha256(json.dumps(rest, sort_keys=True).encode())
