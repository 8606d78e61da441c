"""One DICOM file's header made into its axial frames.

Only `HEADER_TAGS` of a header are ever parsed. None of them identifies a patient but `PatientID`, of which
only a keyed hash is kept; the key is new in each process, so that the hash means nothing outside it.
"""

import hashlib
import re
import secrets
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from postarrest.data.ct.reading import MOST_PIXELS, MOST_SLICES, Unreadable, damaged

CT_IMAGES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
# All that is read of a DICOM header: geometry, how stored values become HU, what kind of image it is, whose.
_IMAGE = ["SOPClassUID", "SeriesInstanceUID", "Modality", "ImageType", "InstanceNumber", "NumberOfFrames"]
_GEOMETRY = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "GantryDetectorTilt"]
_STORAGE = ["Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"]
_BITS = ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"]
_RESCALE = ["RescaleSlope", "RescaleIntercept", "RescaleType"]
_FRAMES = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
_REMARKS = ["BurnedInAnnotation", "LossyImageCompression", "ContrastBolusAgent"]
_PATIENT = "PatientID"
HEADER_TAGS = [*_IMAGE, *_GEOMETRY, *_STORAGE, *_BITS, *_RESCALE, *_FRAMES, *_REMARKS, _PATIENT]
_PIXELS = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
DAMAGED = ("a damaged DICOM header", "a DICOM file")
_HASH_KEY = secrets.token_bytes(32)


class Frame(NamedTuple):
    """One axial frame of a DICOM file, from its header alone."""

    path: Path
    frame: int
    series: str
    patient: str
    contrast: bool
    pixels: tuple[int, int]
    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing_mm: tuple[float, float]
    slope: float
    intercept: float
    instance: int | None


class OtherImage(Unreadable):
    """A sound DICOM file that is not an axial CT image, such as a localizer or a dose report."""

    patient = ""


def frames_of(path: Path) -> list[Frame]:
    """Return the axial frames of a DICOM file.

    Raises
    ------
    OtherImage
        If it is a sound file of another kind, or another plane.
    postarrest.data.ct.reading.Unreadable
        If it is not DICOM, or its header is not that of a CT in HU.
    """
    with damaged(*DAMAGED):
        header, patient = parsed(path)
        try:
            _check_kind(header)
            return [_frame(path, header, patient, number) for number in range(count_of_frames(header))]
        except OtherImage as other:
            other.patient = patient
            raise


def parsed(path: Path, *, pixels: bool = False) -> tuple[pydicom.Dataset, str]:
    """Return the tags of a DICOM file that are needed, and a hash of the patient's id, "" if it has none."""
    tags = HEADER_TAGS + _PIXELS * pixels
    # pydicom's warnings quote values that violate the standard; those that matter are checked here.
    with warnings.catch_warnings(), damaged(*DAMAGED):
        warnings.simplefilter("ignore")
        try:
            syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", "")
            if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian:
                expected = "an uncompressed or image-compressed one"
                raise Unreadable("compression", "a deflated DICOM file", expected)
            header = pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=not pixels)
        except pydicom.errors.InvalidDicomError:
            raise Unreadable("format", "a file that is not DICOM", "DICOM with its preamble") from None
        patient = str(header.get(_PATIENT) or "").strip()
        if _PATIENT in header:
            delattr(header, _PATIENT)
        # pydicom parses a value when it is first used: do so here, so that a damaged one is reported here.
        for element in header.iterall():
            str(element.keyword)
    return header, hashed(patient)


def hashed(patient: str) -> str:
    """Return a patient's id as this process alone can compare it, "" for none; letter case does not count."""
    return hashlib.blake2b(patient.casefold().encode(), key=_HASH_KEY).hexdigest() if patient else ""


def _check_kind(header: pydicom.Dataset) -> None:
    modality = str(header.get("Modality", ""))
    if modality != "CT":
        found = "no modality in the header (cut off?)"
        if modality:
            found = f"the modality {modality}" if re.fullmatch("[A-Z]{2,5}", modality) else "another modality"
        raise OtherImage("modality", found, "CT")
    if header.get("SOPClassUID") not in CT_IMAGES:
        raise OtherImage("modality", "no CT image (a screenshot or a report)", "the CT's own images")
    if "LOCALIZER" in [str(v).upper() for v in np.atleast_1d(header.get("ImageType", []))]:
        raise OtherImage("localizer", "a localizer (scout view)", "an axial slice")
    samples = int(header.get("SamplesPerPixel", 1))
    if samples != 1:
        raise OtherImage("colour", f"a colour image ({samples} values per pixel)", "one gray value per pixel")


def count_of_frames(header: pydicom.Dataset) -> int:
    """Return the number of frames; refuse sizes that are not those of a head CT."""
    rows, columns = int(header.get("Rows", 0)), int(header.get("Columns", 0))
    count = int(header.get("NumberOfFrames", 1) or 1)
    if not (0 < rows <= MOST_PIXELS and 0 < columns <= MOST_PIXELS and 0 < count <= MOST_SLICES):
        expected = f"up to {MOST_PIXELS} x {MOST_PIXELS} pixels and {MOST_SLICES} slices"
        raise Unreadable("size", f"{rows} x {columns} pixels and {count} slices", expected)
    return count


def _frame(path: Path, header: pydicom.Dataset, patient: str, number: int) -> Frame:
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    groups = [*per_frame[number : number + 1], *shared[:1]]

    def value(group: str, name: str) -> Any:
        for item in groups:
            if item.get(group):
                return item[group][0].get(name)
        return header.get(name)

    position = _vector(value("PlanePositionSequence", "ImagePositionPatient"), 3, "position")
    orientation = _vector(value("PlaneOrientationSequence", "ImageOrientationPatient"), 6, "orientation")
    slope, intercept, kind = (value("PixelValueTransformationSequence", name) for name in _RESCALE)
    if slope is None or intercept is None:
        raise Unreadable("rescale", "no rescale slope and intercept", "both, to get Hounsfield units")
    slope, intercept = float(slope), float(intercept)
    if not (np.isfinite(slope) and np.isfinite(intercept) and slope > 0):
        found = f"rescale slope {slope:g}, intercept {intercept:g}"
        raise Unreadable("rescale", found, "finite numbers, the slope above 0")
    if str(kind or "HU") != "HU":
        raise Unreadable("rescale", "a rescale to another unit than HU", "Hounsfield units")
    spacing = value("PixelMeasuresSequence", "PixelSpacing")
    if spacing is None or len(spacing) != 2:
        raise Unreadable("spacing", "no pixel spacing", "the distance between pixels in mm")
    spacing_mm = (float(spacing[0]), float(spacing[1]))
    if not all(0.05 < s < 5 for s in spacing_mm):
        found = f"a pixel spacing of {spacing_mm[0]:g} x {spacing_mm[1]:g} mm"
        raise Unreadable("spacing", found, "0.05 to 5 mm")
    instance = number if per_frame else header.get("InstanceNumber")
    return Frame(
        path=path,
        frame=number,
        series=str(header.get("SeriesInstanceUID", "")),
        patient=patient,
        contrast=bool(header.get("ContrastBolusAgent")),
        pixels=(int(header.Rows), int(header.Columns)),
        position=position,
        orientation=orientation,
        spacing_mm=spacing_mm,
        slope=slope,
        intercept=intercept,
        instance=None if instance is None else int(instance),
    )


def _vector(value: Any, length: int, what: str) -> NDArray[np.float64] | None:
    if value is None or value == "":
        return None
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (length,) or not np.isfinite(vector).all():
        raise Unreadable(what, f"an image {what} that is not {length} finite numbers", f"{length} numbers")
    if length == 6:
        normal = np.cross(vector[:3], vector[3:])
        if not 0.9 < np.linalg.norm(normal) < 1.1:
            raise Unreadable("orientation", "a slice that is not axial", "axial slices")
        if abs(normal[2]) < 0.7:
            raise OtherImage("orientation", "a slice that is not axial", "axial slices")
    return vector
