"""Names, numbers and dates of birth planted in a study's data, to test that none is in a report or a log.

``python tests/helpers/canary.py`` (``make canary``; minutes) simulates the smoke study, plants them in its
tables, file names and DICOM headers, runs the whole pipeline on it in a copy of the project, once as it is
and once with a patient's name instead of a number, and searches every byte of reports, logs and terminal.
"""

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pydicom

from postarrest.study import load

NAME, ID, BIRTHDAYS = "Zzyxquist", "QX77413ZB", ("19310729", "1931-07-29", "29.07.1931")
CANARIES = (NAME, ID, *BIRTHDAYS)


def plant(data: Path) -> None:
    """Plant canaries in a simulated study: in ids, further columns, file names and headers."""
    for table in ("patients", "gwr"):
        path = data / f"{table}.csv"
        if path.exists():
            cells = pd.read_csv(path, dtype=str, keep_default_na=False)
            cells["patient_id"] = ID + cells["patient_id"]
            cells["name"], cells["born"], cells["note"] = (
                f"{NAME} Jorunn",
                BIRTHDAYS[1],
                f"{NAME}, {BIRTHDAYS[2]}",
            )
            cells.to_csv(path, index=False)
    for folder in [p for p in (data / "ct", data / "tissue") if p.is_dir()]:
        for entry in list(folder.iterdir()):
            entry.rename(entry.with_name(ID + entry.name))
    for path in sorted((data / "ct").rglob("*.dcm")):
        file = pydicom.dcmread(path)
        file.PatientName, file.PatientID = f"{NAME}^Jorunn", ID
        file.PatientBirthDate = file.StudyDate = file.AcquisitionDate = BIRTHDAYS[0]
        file.AccessionNumber = file.StudyID = ID
        file.ReferringPhysicianName = file.OperatorsName = f"{NAME}^Kari"
        file.StudyDescription = file.SeriesDescription = f"{NAME} {BIRTHDAYS[1]}"
        file.save_as(path)
        path.rename(path.with_name(f"{NAME}_{BIRTHDAYS[0]}_{path.name}"))
    (data / "truth.json").unlink(missing_ok=True)


def forms(text: str) -> list[bytes]:
    """Return the forms of a text in a file: plain, in UTF-16, and anywhere in a base64 text."""
    plain = text.encode()
    found = [plain, text.encode("utf-16-le"), text.encode("utf-16-be")]
    for shift in range(3):
        # Only whole groups of three bytes, since the letters at both ends depend on their neighbours.
        whole = plain[(3 - shift) % 3 :]
        found.append(base64.b64encode(whole[: len(whole) // 3 * 3]))
    return found


def traces(data: bytes, *, where: str) -> Iterator[str]:
    """Yield where canaries are in some bytes, also inside archives."""
    lower = data.lower()
    for canary in CANARIES:
        if any(form in data for form in forms(canary)) or canary.lower().encode() in lower:
            yield f"{where}: {canary}"
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from traces(archive.read(name), where=f"{where}:{name}")


def search(*folders: Path) -> tuple[list[str], int, int]:
    """Return the canaries in all files of folders and in their names, and the numbers of files and bytes."""
    found, count, size = [], 0, 0
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            found += traces(data, where=str(path))
            found += traces(path.name.encode(), where=f"name of {path}")
            count, size = count + 1, size + len(data)
    return found, count, size


def run(project: Path, data: Path, *command: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(project / "lib"), "POSTARREST_DATA": str(data)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, check=False
    )


def main() -> int:
    from pipeline_project import copy_project

    argparse.ArgumentParser(description=__doc__).parse_args()
    summary = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        project, data = copy_project(place / "project"), place / "data"
        settings = json.dumps(dict(load.load("smoke").sections["simulate"]))
        subprocess.run(
            [sys.executable, "-m", "postarrest.simulate", "--settings", settings, "--out", str(data)],
            check=True,
        )
        plant(data)
        planted, _, _ = search(data)
        places = (project / "reports", project / "build" / "smoke" / "logs", project / ".snakemake")
        found = []
        for case in ("valid", "with an error"):
            if case == "with an error":
                cells = pd.read_csv(data / "patients.csv", dtype=str, keep_default_na=False)
                cells.loc[0, "lactate_mmol_l"] = f"{NAME} Jorunn"
                cells.to_csv(data / "patients.csv", index=False)
            for step in (
                ("postarrest.pipeline.check_data", "smoke"),
                ("postarrest.pipeline", "report", "smoke"),
            ):
                done = run(project, data, *step)
                summary[f"{' '.join(step)}, {case}"] = f"exit {done.returncode}"
                found += traces(done.stdout + done.stderr, where=f"terminal of {' '.join(step)}, {case}")
            traced, count, size = search(*places)
            found += [f"{case}: {trace}" for trace in traced]
            summary[f"searched, {case}"] = f"{count} files, {size / 1e6:.1f} MB"
    summary |= {"canaries planted": len(planted), "canaries found": len(found)}
    print(*found, json.dumps(summary, indent=1), sep="\n")
    expected = [summary[f"postarrest.pipeline report smoke, {case}"] for case in ("valid", "with an error")]
    return 0 if planted and not found and expected[0] == "exit 0" != expected[1] else 1


if __name__ == "__main__":
    sys.exit(main())
