"""A head made of ellipses, as DICOM, NIfTI and PNG files, for tests of the readers."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 128
SPACING_MM = 1.8


def head(*, size: int = SIZE, spacing_mm: float = SPACING_MM, seed: int | None = None) -> np.ndarray:
    """HU of an elliptic head, 190 mm long and 150 mm wide, seen as radiologists do.

    A haemorrhage (70 HU) is in the front of the patient's left half, at the upper right of the image: it
    shows how an image is oriented.
    """
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * spacing_mm
    hu = np.full((size, size), -1000.0)
    hu[(x / 75) ** 2 + (y / 95) ** 2 <= 1] = 900
    hu[(x / 68) ** 2 + (y / 88) ** 2 <= 1] = 35
    hu[((np.abs(x) - 12) / 6) ** 2 + ((y - 5) / 25) ** 2 <= 1] = 8
    hu[(x - 35) ** 2 + (y + 45) ** 2 <= 15**2] = 70
    if seed is not None:
        hu += np.random.default_rng(seed).normal(0, 4, hu.shape).round()
    return hu


def header(**tags: object) -> FileDataset:
    """A CT header with the tags that the readers need and those given; ``None`` leaves a tag out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    file.SeriesInstanceUID = "1.2.3.4"
    file.Modality = "CT"
    file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    file.InstanceNumber = 1
    file.ImagePositionPatient = [-100.0, -120.0, 0.0]
    file.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    file.PixelSpacing = [SPACING_MM, SPACING_MM]
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.RescaleSlope, file.RescaleIntercept = "1", "-1024"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit = 15
    file.PixelRepresentation = 0
    for name, value in tags.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    return file


def dicom(hu: np.ndarray | None = None, **tags: object) -> FileDataset:
    """A CT file of some HU, stored with the rescale and sign that its tags state."""
    file = header(**tags)
    hu = head() if hu is None else hu
    slope = float(getattr(file, "RescaleSlope", 1) or 1)
    intercept = float(getattr(file, "RescaleIntercept", -1024))
    kind = np.int16 if file.PixelRepresentation else np.uint16
    stored = np.round((hu - intercept) / slope).astype(kind)
    file.Rows, file.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        file.NumberOfFrames = len(stored)
    file.PixelData = stored.tobytes()
    for name in ("Rows", "Columns", "NumberOfFrames"):
        if name in tags:
            setattr(file, name, tags[name])
    return file


def save(file: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, *, levels: int = 5, step_mm: float = 5.0, patient: int = 0, **tags: object) -> Path:
    """Write a series in which the brain of slice i has 30 + i HU, with file names in the opposite order.

    The ventricles of different patients differ by 1 HU.
    """
    for i in range(levels):
        hu = head()
        hu[hu == 35] = 30 + i
        hu[hu == 8] = 8 + patient
        file = dicom(hu, InstanceNumber=i + 1, ImagePositionPatient=[-100.0, -120.0, step_mm * i], **tags)
        save(file, folder / f"IM{levels - i:03d}.dcm")
    return folder


def png(path: Path, pixels: np.ndarray | None = None, *, patient: int = 0, **options: object) -> Path:
    """Write a PNG of the head in the window of level 40, width 80 HU, or of some pixels.

    The heads of different patients differ in a pixel.
    """
    if pixels is None:
        hu = head(size=256, spacing_mm=0.9)
        pixels = np.round(np.clip(hu / 80, 0, 1) * 255).astype(np.uint8)
        pixels[120, 120] = 100 + patient
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def nifti(path: Path, hu: np.ndarray | None = None, *, affine: np.ndarray | None = None) -> Path:
    """Write a volume with axes to the patient's left, back and head, as in DICOM."""
    import nibabel as nib

    if hu is None:
        hu = np.stack([head().T] * 3, axis=2)
    if affine is None:
        affine = np.diag([-SPACING_MM, -SPACING_MM, 5, 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(hu.astype(np.float32), affine), path)
    return path
