"""DICOM files and series of CT, read into one axial slice in HU.

Only `HEADER_TAGS` of a header are ever parsed; none of them identifies a patient.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from postarrest.data.ct.reading import (
    MOST_PIXELS,
    MOST_SLICES,
    Remark,
    Unreadable,
    check_size,
    chosen,
    damaged,
)
from postarrest.data.errors import stays_inside

AIR_HU = -1024
CT_IMAGES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
# All that is read of a DICOM header: geometry, how stored values become HU, and what kind of image it is.
_IMAGE = ["SOPClassUID", "SeriesInstanceUID", "Modality", "ImageType", "InstanceNumber", "NumberOfFrames"]
_GEOMETRY = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "GantryDetectorTilt"]
_STORAGE = ["Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"]
_BITS = ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"]
_RESCALE = ["RescaleSlope", "RescaleIntercept", "RescaleType"]
_FRAMES = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
_REMARKS = ["BurnedInAnnotation", "LossyImageCompression"]
HEADER_TAGS = [*_IMAGE, *_GEOMETRY, *_STORAGE, *_BITS, *_RESCALE, *_FRAMES, *_REMARKS]
_PIXELS = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
_DAMAGED = ("a damaged DICOM header", "a DICOM file")


class _Frame(NamedTuple):
    """One axial frame of a DICOM file, from its header alone."""

    path: Path
    frame: int
    series: str
    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing_mm: tuple[float, float]
    slope: float
    intercept: float
    instance: int | None


def read(
    path: Path, index: int | None, position_mm: float | None
) -> tuple[NDArray[np.float32], tuple[float, float], list[Remark]]:
    """Return an axial slice in radiological orientation, the distances of rows and columns (mm), and remarks.

    Parameters
    ----------
    path : pathlib.Path
        A file, or a folder with the files of one axial series; other images in it are not used, and noted.
    index, position_mm : int, float or None
        Which slice; see `postarrest.data.ct.reading.chosen`.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If it is not a CT that can be read.
    """
    frames, notes = _axial_frames(_files(path) if path.is_dir() else [path])
    hu, spacing_mm, remarks = _slice_of(frames[chosen(_positions(frames), index, position_mm)])
    return hu, spacing_mm, notes + remarks


def read_all(
    path: Path,
) -> tuple[list[NDArray[np.float32]], tuple[float, float], NDArray[np.float64] | None, list[Remark]]:
    """Return every slice as `read` does, from the caudal end up, and their positions along the body (mm).

    The positions are None for a single slice.
    """
    frames, notes = _axial_frames(_files(path) if path.is_dir() else [path])
    slices = [_slice_of(frame) for frame in frames]
    sizes = {(hu.shape, spacing_mm) for hu, spacing_mm, _ in slices}
    if len(sizes) > 1:
        raise Unreadable(
            "series", f"slices of {len(sizes)} sizes or pixel spacings", "one of each in a series"
        )
    notes += dict.fromkeys(remark for *_, remarks in slices for remark in remarks)
    return [hu for hu, *_ in slices], slices[0][1], _positions(frames) if len(frames) > 1 else None, notes


def _slice_of(frame: _Frame) -> tuple[NDArray[np.float32], tuple[float, float], list[Remark]]:
    """Return one frame's slice, the distances of rows and columns, and notes."""
    header = _parsed(frame.path, pixels=True)
    with damaged(*_DAMAGED):
        notes = list(_remarks(header))
        padding = header.get("PixelPaddingValue")
        filler = np.nan if padding is None else np.float32(float(padding) * frame.slope + frame.intercept)
    hu = _stored_values(header, frame.frame) * np.float32(frame.slope) + np.float32(frame.intercept)
    hu[hu == filler] = AIR_HU
    if frame.orientation is None:
        found = "no orientation in the header: used as stored"
        remark = Remark("orientation", found, "the patient's right at the left, the front at the top")
        return hu, frame.spacing_mm, [*notes, remark]
    return *_radiological(hu, frame.orientation, frame.spacing_mm), notes


def _files(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name.upper() != "DICOMDIR")
    if not files:
        raise Unreadable("empty", "a folder without files", "the DICOM files of one series")
    if len(files) > MOST_SLICES:
        raise Unreadable("size", f"{len(files)} files", f"at most {MOST_SLICES}")
    for file in files:
        if not stays_inside(file, folder):
            raise Unreadable("link", "a link out of the CT's folder", "files inside the CT's folder")
        if not file.is_file():
            raise Unreadable("folder", "a folder inside the CT's folder", "the DICOM files of one series")
        check_size(file)
    return files


def _parsed(path: Path, *, pixels: bool = False) -> pydicom.Dataset:
    """Return the tags of a DICOM file that are needed."""
    tags = HEADER_TAGS + _PIXELS * pixels
    # pydicom's warnings quote values that violate the standard; those that matter are checked here.
    with warnings.catch_warnings(), damaged(*_DAMAGED):
        warnings.simplefilter("ignore")
        try:
            syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", "")
            if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian:
                expected = "an uncompressed or image-compressed one"
                raise Unreadable("compression", "a deflated DICOM file", expected)
            header = pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=not pixels)
        except pydicom.errors.InvalidDicomError:
            raise Unreadable("format", "a file that is not DICOM", "DICOM with its preamble") from None
        # pydicom parses a value when it is first used: do so here, so that a damaged one is reported here.
        for element in header.iterall():
            str(element.keyword)
    return header


class OtherImage(Unreadable):
    """A sound DICOM file that is not an axial CT image, such as a localizer or a dose report."""


def _axial_frames(files: Sequence[Path]) -> tuple[list[_Frame], list[Remark]]:
    """Return the frames of the one axial CT series among some files, from the caudal end up."""
    frames: list[_Frame] = []
    others: list[OtherImage] = []
    for file in files:
        try:
            with damaged(*_DAMAGED):
                header = _parsed(file)
                _check_kind(header)
                frames += [_frame(file, header, number) for number in range(_count_of_frames(header))]
        except OtherImage as other:
            others.append(other)
    if not frames:
        raise others[0]
    notes = []
    if others:
        found = f"{len(others)} other files are not used (such as {others[0].found})"
        notes = [Remark("other files", found, "the files of one axial series")]
    series = {frame.series for frame in frames}
    if len(series) > 1:
        expected = "one series (the brain reconstruction)"
        raise Unreadable("series", f"{len(series)} axial CT series", expected)
    if len(frames) == 1:
        return frames, notes
    if any(frame.position is None or frame.orientation is None for frame in frames):
        raise Unreadable("position", "slices without a position in the header", "a position for each slice")
    first = frames[0].orientation
    if not all(np.allclose(frame.orientation, first, atol=1e-3) for frame in frames):
        raise Unreadable("orientation", "slices of different orientation in one series", "parallel slices")
    along = _positions(frames)
    frames = [frames[i] for i in np.argsort(along, kind="stable")]
    _check_gaps(frames, np.sort(along))
    return frames, notes


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


def _count_of_frames(header: pydicom.Dataset) -> int:
    rows, columns = int(header.get("Rows", 0)), int(header.get("Columns", 0))
    count = int(header.get("NumberOfFrames", 1) or 1)
    if not (0 < rows <= MOST_PIXELS and 0 < columns <= MOST_PIXELS and 0 < count <= MOST_SLICES):
        expected = f"up to {MOST_PIXELS} x {MOST_PIXELS} pixels and {MOST_SLICES} slices"
        raise Unreadable("size", f"{rows} x {columns} pixels and {count} slices", expected)
    return count


def _frame(path: Path, header: pydicom.Dataset, number: int) -> _Frame:
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    groups = [*per_frame[number : number + 1], *shared[:1]]

    def value(group: str, name: str) -> Any:
        for item in groups:
            if item.get(group):
                return item[group][0].get(name)
        return header.get(name)

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
    series = str(header.get("SeriesInstanceUID", ""))
    position = _vector(value("PlanePositionSequence", "ImagePositionPatient"), 3, "position")
    orientation = _vector(value("PlaneOrientationSequence", "ImageOrientationPatient"), 6, "orientation")
    instance = number if per_frame else header.get("InstanceNumber")
    instance = None if instance is None else int(instance)
    return _Frame(path, number, series, position, orientation, spacing_mm, slope, intercept, instance)


def _vector(value: Any, length: int, what: str) -> NDArray[np.float64] | None:
    if value is None or value == "":
        return None
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (length,) or not np.isfinite(vector).all():
        raise Unreadable(what, f"an image {what} that is not {length} finite numbers", f"{length} numbers")
    if length == 6:
        normal = np.cross(vector[:3], vector[3:])
        if abs(normal[2]) < 0.7 or not 0.9 < np.linalg.norm(normal) < 1.1:
            raise Unreadable("orientation", "a slice that is not axial", "axial slices")
    return vector


def _positions(frames: Sequence[_Frame]) -> NDArray[np.float64]:
    """Return where slices lie along the body's axis (mm, rising towards the head)."""
    if frames[0].position is None or frames[0].orientation is None:
        return np.zeros(len(frames))
    normal = np.cross(frames[0].orientation[:3], frames[0].orientation[3:])
    normal *= np.sign(normal[2])
    # Along the normal, since with a tilted gantry the table moves along the axis, but slices follow the
    # normal; in units of the table's movement, which is what headers and viewing stations show.
    return np.array([frame.position @ normal for frame in frames]) / normal[2]


def _check_gaps(frames: Sequence[_Frame], along: NDArray[np.float64]) -> None:
    steps = np.diff(along)
    if (steps < 0.01).any():
        raise Unreadable("series", "two slices at one position", "one reconstruction")
    for i in np.flatnonzero(steps > 1.5 * np.median(steps)):
        below, above = frames[i].instance, frames[i + 1].instance
        # Sequential scans have thicker slices above the skull base: a wider step counts as a gap only if the
        # numbering jumps too, or is missing.
        if below is None or above is None or abs(above - below) != 1:
            found = f"a gap of {steps[i]:.1f} mm above slice {i}, elsewhere {np.median(steps):.1f} mm"
            raise Unreadable("gap", found, "all slices of the series")


def _stored_values(header: pydicom.Dataset, frame: int) -> NDArray[np.float32]:
    syntax = header.file_meta.get("TransferSyntaxUID")
    if "PixelData" not in header:
        raise Unreadable("damaged", "no pixel data", "an image")
    with warnings.catch_warnings(), damaged("damaged or cut-off pixel data", "an image"):
        warnings.simplefilter("ignore")
        if syntax in pydicom.uid.AllTransferSyntaxes and syntax.is_encapsulated:
            _check_codestream(header, frame)
        try:
            values = pydicom.pixels.pixel_array(header, index=frame, raw=True)
        except NotImplementedError:
            name = pydicom.uid.UID(syntax or "").name
            expected = "one with an installed decoder"
            raise Unreadable("compression", f"the compression '{name}'", expected) from None
    return values.astype(np.float32)


def _check_codestream(header: pydicom.Dataset, frame: int) -> None:
    """Refuse compressed data of another size than the header's before a decoder allocates memory for them."""
    from pydicom.encaps import get_frame

    stream = get_frame(header.PixelData, frame, number_of_frames=_count_of_frames(header))
    size = _codestream_size(stream)
    expected = (int(header.Rows), int(header.Columns))
    if size is not None and size != expected:
        found = f"compressed data of {size[0]} x {size[1]} pixels"
        raise Unreadable("damaged", found, f"{expected[0]} x {expected[1]}, as the header says")


def _codestream_size(stream: bytes) -> tuple[int, int] | None:
    """Return rows and columns as a JPEG or JPEG 2000 codestream states them; None if it is neither."""
    if stream[:4] == b"\xff\x4f\xff\x51":
        columns, rows, left, top = (int.from_bytes(stream[i : i + 4], "big") for i in (8, 12, 16, 20))
        return rows - top, columns - left
    if stream[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(stream) and stream[place] == 0xFF:
        marker, length = stream[place + 1], int.from_bytes(stream[place + 2 : place + 4], "big")
        # Start-of-frame markers of JPEG (C0 to CF but for C4, C8 and CC) and of JPEG-LS (F7).
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return tuple(int.from_bytes(stream[i : i + 2], "big") for i in (place + 5, place + 7))
        place += 2 + length
    return None


def _radiological(
    hu: NDArray[np.float32], orientation: NDArray[np.float64], spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Turn a slice so that columns run to the patient's left and rows to the back (DICOM's +x and +y)."""
    along_columns, along_rows = orientation[:3], orientation[3:]
    if abs(along_columns[0]) < abs(along_columns[1]):
        hu, along_columns, along_rows = hu.T, along_rows, along_columns
        spacing_mm = (spacing_mm[1], spacing_mm[0])
    if along_columns[0] < 0:
        hu = hu[:, ::-1]
    if along_rows[1] < 0:
        hu = hu[::-1]
    return np.ascontiguousarray(hu), spacing_mm


def _remarks(header: pydicom.Dataset) -> Iterator[Remark]:
    tilt = header.get("GantryDetectorTilt")
    if tilt is not None and abs(float(tilt)) > 0.5:
        yield Remark(
            "gantry tilt", f"a gantry tilted by {float(tilt):g}°", "slices at one angle in all patients"
        )
    if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
        yield Remark("burned-in text", "text in the image, according to the header", "an image without names")
    if str(header.get("LossyImageCompression", "")) == "01":
        yield Remark("lossy", "lossy compression", "none: small differences in HU may be lost")
