"""Which CT files belong to which patient."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from postarrest.data import errors
from postarrest.data.ct.picture import PICTURES
from postarrest.data.errors import Finding, Findings

CT_SUFFIXES = (*PICTURES, ".dcm", ".nii.gz", ".nii")


def find_ct(data: Path, patients: pd.DataFrame, included: pd.Series, found: Findings) -> pd.Series:
    """Return ``patient_id`` -> path of the CT; missing, double and surplus ones are added to `found`."""
    paths: dict[str, Path] = {}
    by_id: dict[str, list[Path]] = {}
    try:
        for entry in sorted((data / "ct").iterdir()):
            by_id.setdefault(_patient_of(entry), []).append(entry)
    except OSError as error:
        expected = "a folder with the patients' CT"
        found.errors.append(Finding("ct", "readable", error.strerror or "an error", expected))
        return pd.Series(paths, dtype=object)
    for row, patient in patients["patient_id"].items():
        entries = by_id.pop(patient, [])
        wrong = _wrong(entries, patient, needed=included[row], data=data)
        if wrong:
            found.errors.append(Finding("ct", *wrong, row=int(row), alias="CT"))
        elif entries:
            paths[patient] = entries[0]
    found.warnings += [
        Finding(f"ct/{entry.name}", "patient", "a CT of no patient", "the id of a patient", alias="ct")
        for entries in by_id.values()
        for entry in entries
    ]
    return pd.Series(paths, dtype=object, name="ct").rename_axis("patient_id")


def _wrong(entries: Sequence[Path], patient: str, *, needed: bool, data: Path) -> tuple[str, str, str] | None:
    """Return rule, found and expected if there is an error in where a patient's CT is."""
    if len(entries) > 1:
        kinds = ", ".join(entry.name.removeprefix(patient) or "a folder" for entry in entries)
        return "several", f"{len(entries)} CTs ({kinds})", "one per patient"
    if not entries:
        expected = f"<patient_id> with {', '.join(CT_SUFFIXES)}, or a folder of this name"
        return ("missing", "no CT of an included patient", expected) if needed else None
    if not errors.stays_inside(entries[0], data):
        return "link", "a link out of the study's folder", "files inside the study's folder"
    return None


def _patient_of(entry: Path) -> str:
    suffix = next((s for s in CT_SUFFIXES if entry.name.lower().endswith(s) and not entry.is_dir()), "")
    return entry.name[: len(entry.name) - len(suffix)]
