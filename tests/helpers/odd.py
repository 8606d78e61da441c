"""Data that are possible and hardly right, and what a user is asked to check; printed by ``broken.py``."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom

from broken import CANARY, IDS, Broken, at, bright, checked, gwr, many, patients, png_bytes, sheet, with_spo2
from heads import dicom, head, header, png, save, series
from postarrest.data import errors, window

ODD: list[Broken] = []
FIRST = {"ct_slice": ["", "1", "", "", "", ""]}


def odd(name: str) -> Callable:
    def keep(make: Callable[[Path], dict[str, Any] | None]) -> Callable:
        ODD.append(Broken(name, lambda folder: make(folder) or {}))
        return make

    return keep


@functools.cache
def own_head(number: int, *, size: int = 256) -> np.ndarray:
    """Gray values of a head that lies elsewhere in each patient."""
    return np.roll(window(head(size=size, spacing_mm=0.9 * 256 / size)), 6 * number, axis=1)


def write_heads(folder: Path, **columns: list) -> dict[str, Any]:
    """Write a head of its own for each patient but the second."""
    patients().assign(**columns).to_csv(folder / "patients.csv", index=False)
    for number, patient in enumerate(IDS):
        if number != 1:
            png(folder / "ct" / f"{patient}.png", own_head(number))
    return {"modalities": ["ct"]}


# ---------------------------------------------------------------------- tables


@odd("ids that differ in capitals")
def _(folder):
    table = patients()
    table["patient_id"] = [CANARY, CANARY.upper(), *IDS[2:]]
    table.to_csv(folder / "patients.csv", index=False)


@odd("ids that differ in full-width characters")
def _(folder):
    table = patients()
    table["patient_id"] = [f"{CANARY}1", f"{CANARY}１", *IDS[2:]]
    table.to_csv(folder / "patients.csv", index=False)


@odd("three spellings of a hospital, and two of a category")
def _(folder):
    site = ["Osaka", "osaka", "ＯＳＡＫＡ", "Osaka", "Kyoto", "Kyoto"]
    came_from = ["Home", "Home", "home", "Ward", "Ward", "Ward"]
    patients().assign(site=site, came_from=came_from).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["came_from"]}


def contradicting(name: str, **columns: list) -> None:
    @odd(name)
    def _(folder: Path) -> None:
        patients().assign(**columns).to_csv(folder / "patients.csv", index=False)


# Their CPC is 1, 5, 2, 5, 3, 5.
contradicting("a survivor with days to death", arrest_to_death_days=["", "3", "9", "0", "", "1"])
contradicting("a survivor with a cause of death", death_cause=["", "sepsis", "", "brain", "sepsis", "brain"])
contradicting("a survivor who died of the brain", death_cause_intracranial=["0", "1", "", "1", "1", "0"])
contradicting("a good CPC in a patient who was never awake", awake_after_ct=["1", "0", "0", "0", "0", "0"])
contradicting(
    "treatment withdrawn after death",
    arrest_to_death_days=["", "3", "", "0", "", "1"],
    withdrawal_day=["", "3", "", "2", "", "1"],
)
contradicting(
    "a day of withdrawal where treatment was not withdrawn",
    treatment_withdrawn=["0", "1", "0", "0", "0", "1"],
    withdrawal_day=["", "3", "", "2", "", "1"],
)
contradicting(
    "a CT after death",
    arrest_to_death_days=["", "3", "", "0", "", "0"],
    rosc_to_ct_min=["60", "75", "50", "170", "110", "1500"],
)
contradicting(
    "a low-flow time longer than the whole time",
    arrest_to_circulation_min=["25", "30", "18", "50", "30", "35"],
)


@odd("two rows again under new ids")
def _(folder):
    again = many().assign(patient_id=[f"{CANARY}B{i}" for i in range(24)])[:2]
    pd.concat([many(), again]).to_csv(folder / "patients.csv", index=False)


@odd("999 for missing")
def _(folder):
    ph = ["999" if i % 6 == 0 else f"7.{i % 5}" for i in range(24)]
    many().assign(ph=ph).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["ph"]}


@odd("a value missing in one outcome alone")
def _(folder):
    table = many()
    known = table["cpc"].isin(["1", "2"])
    table.assign(lactate_mmol_l=table["lactate_mmol_l"].where(known, "")).to_csv(
        folder / "patients.csv", index=False
    )


def written_in(encoding: str, *, read_as: str, causes: list[str]) -> None:
    @odd(f"{encoding} read as {read_as}")
    def _(folder: Path) -> dict[str, Any]:
        table = patients().assign(cause=causes)
        (folder / "patients.csv").write_bytes(table.to_csv(index=False).encode(encoding))
        return {"table_format": {"encoding": read_as}}


JAPANESE = ["心筋梗塞", "肺塞栓", "くも膜下出血", "窒息", "大動脈解離", "心室細動"]
CHINESE = ["心源性休克", "心肌炎", "中毒", "窒息", "淹溺", "心律失常"]
RUSSIAN = ["Инфаркт миокарда", "Тромбоэмболия", "Утопление", "Асфиксия", "Передозировка", "Неизвестно"]
written_in("euc_jp", read_as="gb18030", causes=JAPANESE)
written_in("euc_jp", read_as="latin-1", causes=JAPANESE)
written_in("shift_jis", read_as="gb18030", causes=JAPANESE)
written_in("gb18030", read_as="euc_jp", causes=CHINESE)
written_in("gb18030", read_as="koi8-r", causes=CHINESE)
written_in("koi8-r", read_as="shift_jis", causes=RUSSIAN)
written_in("koi8-r", read_as="cp1251", causes=RUSSIAN)
written_in("koi8-r", read_as="cp1252", causes=RUSSIAN)
written_in("utf-8", read_as="koi8-r", causes=RUSSIAN)


@odd("a ratio of gray to white matter above 2")
def _(folder):
    hu = gwr()["mean_hu"].mask((gwr().index >= 4) & (gwr().index < 8), "12")
    patients().to_csv(folder / "patients.csv", index=False)
    gwr().assign(mean_hu=hu).to_csv(folder / "gwr.csv", index=False)
    return {"modalities": ["gwr"]}


@odd("a second reading copied from the first")
def _(folder):
    patients().to_csv(folder / "patients.csv", index=False)
    gwr().assign(mean_hu="34.5").to_csv(folder / "gwr.csv", index=False)
    return {"modalities": ["gwr"]}


@odd("rows hidden by a filter in an Excel file")
def _(folder):
    book = sheet()
    book.active.auto_filter.ref = "A1:M7"
    for row in (3, 4, 6):
        book.active.row_dimensions[row].hidden = True
    book.save(folder / "patients.xlsx")


@odd("a hidden column in an Excel file")
def _(folder):
    book = sheet()
    book.active.column_dimensions["C"].hidden = True
    book.save(folder / "patients.xlsx")


@odd("a hidden sheet of the right name beside a visible one")
def _(folder):
    book = sheet()
    book.active.title = "patients"
    book.active.sheet_state = "hidden"
    shown = book.create_sheet("export")
    for row in book["patients"].iter_rows(values_only=True):
        shown.append(row)
    book.active = shown
    book.save(folder / "patients.xlsx")


@odd("numbers in percent in an Excel file")
def _(folder):
    return with_spo2(folder, [0.97, 0.88, 0.91, 0.99, 0.85, 0.9])


# ---------------------------------------------------------------------- images


@odd("a CT of no patient")
def _(folder):
    png(at(folder, ".png"), own_head(1))
    png(folder / "ct" / f"{CANARY}99.png", own_head(9))
    return write_heads(folder)


@odd("a JPEG of another size, with image_size: fit")
def _(folder):
    mapping = write_heads(folder)
    at(folder, ".jpg").write_bytes(png_bytes(own_head(1, size=400), "JPEG"))
    return mapping | {"image_size": "fit"}


@odd("an image of another patient, saved once more")
def _(folder):
    mapping = write_heads(folder)
    png(at(folder, ".png"), own_head(3) // 2 * 2)
    return mapping


@odd("a window of 350 HU")
def _(folder):
    png(at(folder, ".png"), window(head(size=256, spacing_mm=0.9), width_hu=350))
    return write_heads(folder)


@odd("wider images in good outcomes")
def _(folder):
    table = many()
    table.to_csv(folder / "patients.csv", index=False)
    good = table["cpc"].isin(["1", "2"])
    for number, patient in enumerate(table["patient_id"]):
        wide = good[number] != (number % 8 == 0)
        pixels = np.roll(own_head(number % 6), 5 * (number // 6), axis=0)
        # Wider by black at both sides: no pixel of the head differs.
        png(folder / "ct" / f"{patient}.png", np.pad(pixels, [(0, 0), (40, 40)]) if wide else pixels)
    return {"modalities": ["ct"], "image_size": "fit"}


# ---------------------------------------------------------------------- DICOM


def odd_series(name: str, change: Callable[[Path], None]) -> None:
    def make(folder: Path) -> dict[str, Any]:
        change(series(at(folder, ""), levels=3))
        return write_heads(folder, **FIRST)

    odd(name)(make)


def odd_dicom(name: str, hu: np.ndarray | None = None, /, **tags: Any) -> None:
    def make(folder: Path) -> dict[str, Any]:
        save(dicom(hu, **tags), at(folder, ".dcm"))
        return write_heads(folder)

    odd(name)(make)


def _reports(folder: Path) -> None:
    report = {"SOPClassUID": pydicom.uid.XRayRadiationDoseSRStorage, "Modality": "SR"}
    save(header(**report), folder / "dose.dcm")
    save(dicom(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="9.1"), folder / "scout.dcm")
    for number in range(2):
        plane = [1, 0, 0, 0, 0, -1]
        save(dicom(ImageOrientationPatient=plane, SeriesInstanceUID="9.2"), folder / f"coronal{number}.dcm")


def _clutter(folder: Path) -> None:
    (folder / "Thumbs.db").write_bytes(b"previews")
    for number in range(2):
        (folder / f"{CANARY}{number}.jpg").write_bytes(png_bytes(bright(), "JPEG"))


def _of_another(folder: Path) -> None:
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        image.PatientID = CANARY
        save(image, file)
    report = {"SOPClassUID": pydicom.uid.XRayRadiationDoseSRStorage, "Modality": "SR"}
    save(header(**report, PatientID=f"{CANARY}2"), folder / "dose.dcm")


def _bone_kernel(folder: Path) -> None:
    rng = np.random.default_rng(5)
    for series_uid, sd in (("1.2.3.4", 3), ("1.2.3.5", 12)):
        for i in range(3):
            hu = head() + (head() > -500) * rng.normal(0, sd, (128, 128))
            tags = {"ImagePositionPatient": [-100, -120, 5 * i], "SeriesInstanceUID": series_uid}
            save(dicom(hu, InstanceNumber=i + 1, **tags), folder / f"{series_uid}-{i}.dcm")
    for i in range(1, 4):
        (folder / f"IM{i:03d}.dcm").unlink()


def _another_head(folder: Path) -> None:
    hu = np.roll(head(), (5, -7), axis=(0, 1))
    save(dicom(hu, InstanceNumber=2, ImagePositionPatient=[-100, -120, 5]), folder / "IM002.dcm")


odd_series("a scout, a dose report and reformats in the folder", _reports)
odd_series("Thumbs.db and JPEGs in the folder", _clutter)
odd_series("another patient's report in the folder", _of_another)
odd_series("a bone reconstruction in the folder", _bone_kernel)
odd_series("a slice of another head in a series", _another_head)
odd_dicom("a tilted gantry", GantryDetectorTilt="-15")
odd_dicom("pixels that are not square", np.repeat(head(), 2, axis=0), PixelSpacing=[0.9, 1.8])
odd_dicom("lossy compression", LossyImageCompression="01")
odd_dicom("text burned into the image", BurnedInAnnotation="YES")
odd_dicom("no orientation", ImageOrientationPatient=None, ImagePositionPatient=None)


@odd("one person's CT under two ids")
def _(folder):
    mapping = write_heads(folder)
    for number in (1, 2):
        (folder / "ct" / f"{IDS[number]}.png").unlink(missing_ok=True)
        hu = np.roll(head(), 4 * number, axis=0)
        save(dicom(hu, PatientID=CANARY), folder / "ct" / f"{IDS[number]}.dcm")
    return mapping


# ---------------------------------------------------------------------- the list


def remarks(case: Broken, place: Path) -> list[str]:
    """Return what a user is asked to check, for one kind of odd data, made in an empty folder."""
    result = checked(case, place)
    assert not result.errors, errors.listing(result.errors)
    return [line.strip() for line in errors.listing(result.warnings).splitlines()]


HEAD = """
## Please check

Possible data that are hardly right, as made by `tests/helpers/odd.py`. They stop nothing: `make check-data`
lists them, and notebook 01 counts them.

| odd data | message |
|---|---|
"""
