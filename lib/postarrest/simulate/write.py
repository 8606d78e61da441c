"""A simulated study on disk, in the form of a hospital's data folder."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from postarrest.data.ct import slices as slices_room
from postarrest.simulate import anatomy as anatomy_room
from postarrest.simulate import cohort, phantom, readings, truth
from postarrest.simulate.settings import Settings

# Says what the folder is, to people and to the next simulation.
_NOTICE = "SIMULATED.txt"
# The rescale intercept of stored values, as scanners write them.
_INTERCEPT = -1024


def write_study(settings: Settings, folder: Path) -> None:
    """Simulate a study and write its data folder.

    Parameters
    ----------
    settings : Settings
        What to simulate. The same settings give the same bytes, on any number of processor cores.
    folder : pathlib.Path
        Is made, or replaced as a whole when everything is written. It will hold `patients.csv`, `gwr.csv`,
        `ct/`, `truth.json` and a notice.

    Raises
    ------
    FileExistsError
        If the folder holds anything that is not an earlier simulated study.

    Examples
    --------
    >>> import tempfile
    >>> table_only = Settings(n_included=30, n_good=9, n_screened=40, ct="none", gwr=False, n_truth=1000)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_study(table_only, Path(place) / "study")
    ...     sorted(path.name for path in (Path(place) / "study").iterdir())
    ['SIMULATED.txt', 'patients.csv', 'truth.json']
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / _NOTICE).is_file():
        raise FileExistsError(f"{folder} holds something else than a simulated study; it is left as it is")
    work = folder.parent / f".{folder.name}.part"
    # What an interrupted run left.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        _fill(settings, work)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _fill(settings: Settings, folder: Path) -> None:
    """Write every file of the study."""
    drawn = cohort.draw(settings)
    patients = drawn.patients
    if settings.ct == "dicom":
        patients["ct_slice"] = pd.array(np.where(patients["exclusion"] == "", 0, None), dtype="Int64")
    _write_csv(patients, folder / "patients.csv")
    if settings.ct != "none" or settings.gwr:
        read = _images(settings, drawn, folder)
        if settings.gwr:
            _write_csv(pd.concat(read, ignore_index=True), folder / "gwr.csv")
    document = truth.document(settings)
    (folder / "truth.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / _NOTICE).write_text(
        "SIMULATED. No person stands behind any row or image of this folder: postarrest.simulate made all.\n",
        encoding="utf-8",
    )


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table; whole numbers without a decimal point, missing values blank."""
    table = table.copy()
    for name in table.select_dtypes("float").columns:
        known = table[name].dropna()
        if (known == known.round()).all():
            table[name] = table[name].astype("Int64")
    table.to_csv(path, index=False, lineterminator="\n")


def _images(settings: Settings, drawn: cohort.Cohort, folder: Path) -> list[pd.DataFrame]:
    """Render, write and read the slices of all included patients; one table of readings a patient."""
    if settings.ct != "none":
        (folder / "ct").mkdir()
        (folder / "tissue").mkdir()
    rows = np.flatnonzero(drawn.patients["exclusion"] == "")
    anatomy = anatomy_room.load_anatomy()
    jobs = (
        joblib.delayed(_one_patient)(
            settings,
            anatomy,
            folder,
            patient_id=drawn.patients["patient_id"].iat[row],
            # One seed a patient: the result does not depend on how many processes share the work.
            seed=np.random.SeedSequence([settings.seed, 1, int(row)]),
            severity=float(drawn.latents["severity"].iat[row]),
            atrophy=float(drawn.latents["atrophy"].iat[row]),
        )
        for row in rows
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Starting a process costs as much as a dozen patients.
    return joblib.Parallel(n_jobs=max(1, min(cores, len(rows) // 12)))(jobs)


def _one_patient(settings, anatomy, folder, *, patient_id, seed, severity, atrophy) -> pd.DataFrame | None:
    """Everything of one patient's images."""
    rng = np.random.default_rng(seed)
    head = phantom.draw_head(rng, severity=severity, atrophy=atrophy)
    levels = list(phantom.LEVELS_MM) if settings.gwr or settings.ct == "dicom" else ["basal_ganglia"]
    slices = {
        level: phantom.render(anatomy, head, level=level, noise_sd_hu=settings.noise_sd_hu, rng=rng)
        for level in levels
    }
    if settings.ct == "dicom":
        series = folder / "ct" / patient_id
        series.mkdir()
        for number, (level, image) in enumerate(slices.items(), start=1):
            data = dicom_bytes(
                image.hu, patient_id=patient_id, seed=settings.seed, level=level, number=number
            )
            (series / f"{number:03d}.dcm").write_bytes(data)
    elif settings.ct == "png":
        _write_png(slices_room.window(slices["basal_ganglia"].hu), folder / "ct" / f"{patient_id}.png")
    if settings.ct != "none":
        _write_png(slices["basal_ganglia"].tissue, folder / "tissue" / f"{patient_id}.png")
    if not settings.gwr:
        return None
    read = readings.read_twice(slices, rng=rng, reader_sd_mm=settings.reader_sd_mm)
    read.insert(0, "patient_id", patient_id)
    return read


def _write_png(image: np.ndarray, path: Path) -> None:
    """Write an 8-bit gray image."""
    Image.fromarray(image).save(path, format="PNG")


def dicom_bytes(hu: np.ndarray, *, patient_id: str, seed: int, level: str, number: int) -> bytes:
    """One slice as a DICOM CT image.

    Parameters
    ----------
    hu : numpy.ndarray, shape (256, 256)
        The slice, HU.
    patient_id : str
        The simulated patient's number.
    seed : int
        The study's seed, part of the unique identifiers.
    level : str
        A key of `phantom.LEVELS_MM`.
    number : int
        Place in the series, 1 = lowest.

    Returns
    -------
    bytes
        A DICOM file without any date, name or institution; its identifiers are derived from seed and patient.
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(seed, patient_id, number)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("postarrest")
    meta.ImplementationVersionName = "POSTARREST_SIM"
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"):
        setattr(image, keyword, "")
    image.Modality = "CT"
    image.Manufacturer = "postarrest simulation"
    image.StudyDescription = "SIMULATED"
    image.SeriesDescription = "SIMULATED HEAD 5 MM"
    image.PatientName = "SIMULATED^PATIENT"
    image.PatientID = patient_id
    image.PatientBirthDate = ""
    image.PatientSex = ""
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "NO PERSON: SIMULATED"
    image.BodyPartExamined = "HEAD"
    image.SliceThickness = phantom.THICKNESS_MM
    image.KVP = 120
    image.PatientPosition = "HFS"
    image.StudyInstanceUID = _uid(seed, patient_id, "study")
    image.SeriesInstanceUID = _uid(seed, patient_id, "series")
    image.StudyID = "1"
    image.SeriesNumber = 1
    image.AcquisitionNumber = 1
    image.InstanceNumber = number
    corner = -(phantom.SIZE - 1) / 2 * phantom.SPACING_MM
    image.ImagePositionPatient = [corner, corner, phantom.LEVELS_MM[level]]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.FrameOfReferenceUID = _uid(seed, patient_id, "frame")
    image.PositionReferenceIndicator = ""
    image.SliceLocation = phantom.LEVELS_MM[level]
    image.ImageComments = f"SIMULATED, {level.replace('_', ' ')}"
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = hu.shape
    image.PixelSpacing = [phantom.SPACING_MM, phantom.SPACING_MM]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = 40, 80
    image.RescaleIntercept, image.RescaleSlope = _INTERCEPT, 1
    image.RescaleType = "HU"
    image.PixelData = (hu - _INTERCEPT).astype("<u2").tobytes()
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid(*parts: object) -> str:
    """Return a valid unique identifier (2.25, from 128 bits) that depends on nothing but its parts."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
