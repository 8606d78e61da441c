"""Which CT files belong to which patient."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from postarrest.data import errors
from postarrest.data.errors import Finding
from postarrest.data.mapping import Findings

CT_SUFFIXES = (".png", ".dcm", ".nii.gz", ".nii")


def find_ct(data: Path, patients: pd.DataFrame, included: pd.Series, found: Findings) -> pd.Series:
    paths: dict[str, Path] = {}
    folder = data / "ct"
    by_id: dict[str, list[Path]] = {}
    try:
        for entry in sorted(folder.iterdir()):
            by_id.setdefault(_patient_of(entry), []).append(entry)
    except OSError as error:
        expected = "a folder with the patients' CT"
        found.faults.append(Finding("ct", "readable", error.strerror or "an error", expected))
        return pd.Series(paths, dtype=object)
    for row, patient in patients["patient_id"].items():
        entries = by_id.pop(patient, [])
        wrong = _wrong_with_ct(entries, patient, needed=included[row], data=data)
        if wrong:
            found.faults.append(Finding("ct", *wrong, row=int(row), alias="CT"))
        elif entries:
            paths[patient] = entries[0]
    for entries in by_id.values():
        for entry in entries:
            found.warnings.append(
                Finding(
                    f"ct/{entry.name}",
                    "patient",
                    "a CT that no patient has",
                    "the id of a patient",
                    alias="ct",
                )
            )
    return pd.Series(paths, dtype=object, name="ct").rename_axis("patient_id")


def _wrong_with_ct(
    entries: Sequence[Path], patient: str, *, needed: bool, data: Path
) -> tuple[str, str, str] | None:
    """Return rule, found and expected, if anything is wrong with where a patient's CT lies."""
    if len(entries) > 1:
        kinds = ", ".join(entry.name.removeprefix(patient) or "a folder" for entry in entries)
        return "several", f"{len(entries)} CTs ({kinds})", "one a patient"
    if not entries:
        expected = f"<patient_id> with {', '.join(CT_SUFFIXES)}, or a folder of this name"
        return ("missing", "no CT of an included patient", expected) if needed else None
    if not errors.stays_inside(entries[0], data):
        return "link", "a link out of the study's folder", "files inside the study's folder"
    return None


def _patient_of(entry: Path) -> str:
    if entry.is_dir():
        return entry.name
    for suffix in CT_SUFFIXES:
        if entry.name.lower().endswith(suffix):
            return entry.name[: -len(suffix)]
    return entry.name
