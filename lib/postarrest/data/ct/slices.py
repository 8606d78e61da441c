"""A head CT in any format read into one axial slice: Hounsfield units and a windowed image.

The readers of the formats are in `dicom`, `nifti` and `picture`; this module brings their slices into one
form and checks that they show a head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from postarrest.data.ct import dicom, looks, nifti, picture
from postarrest.data.ct.dicom import AIR_HU, Slices
from postarrest.data.ct.picture import PICTURES, SIZE
from postarrest.data.ct.reading import ImageSize, Remark, Unreadable, check_size
from postarrest.data.errors import DataErrors, Finding

LEVEL_HU = 40
WIDTH_HU = 80
# What a slice of a head looks like. The outline is everything denser than fat and air, holes filled.
_OUTLINE_HU = -250
_HEAD_MM = (80, 290)
_BONE_HU = 300
_SOFT_HU = (0, 100)
_LEAST_BONE = 0.02
_LEAST_SOFT = 0.2


@dataclass(frozen=True)
class CtSlice:
    """One axial slice of a head.

    Parameters
    ----------
    hu : ndarray of float32, shape (rows, columns), or None
        Hounsfield units on the scanner's grid, seen from below: the patient's right at the left, front at
        the top. None for a PNG or JPEG, which no longer has them.
    image : ndarray of uint8, shape (256, 256)
        The slice in the window of level 40, width 80 HU.
    spacing_mm : tuple of float or None
        Distance between the centres of rows, and of columns.
    source : str
        ``"DICOM"``, ``"NIfTI"``, ``"PNG"`` or ``"JPEG"``.
    notes : tuple of Remark
        For a person: tilted slices, lossy compression, burned-in text.
    pixels : tuple of int
        Rows and columns of the file's own image.
    patient : str
        Hash of the patient's id in a DICOM header, the same for one patient within a process; "" if unknown.
    """

    hu: NDArray[np.float32] | None
    image: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None
    source: str
    notes: tuple[Remark, ...]
    pixels: tuple[int, int]
    patient: str = field(default="", repr=False)


@dataclass(frozen=True)
class Series:
    """All axial slices of a head CT.

    Parameters
    ----------
    hu : list of ndarray of float32, each of shape (rows, columns)
        Hounsfield units, from the caudal end up, seen from below: the patient's right at the left, front at
        the top. From a PNG or JPEG they are its gray values in the window of level 40, width 80 HU, cut off
        at 0 and 80.
    spacing_mm : tuple of float or None
        Distance between the centres of rows, and of columns; None for a PNG or JPEG.
    position_mm : ndarray of float64, shape (n,), or None
        Position of each slice along the body's axis; None for a single slice.
    source : str
        ``"DICOM"``, ``"NIfTI"``, ``"PNG"`` or ``"JPEG"``.
    notes : tuple of Remark
        For a person.
    """

    hu: list[NDArray[np.float32]]
    spacing_mm: tuple[float, float] | None
    position_mm: NDArray[np.float64] | None
    source: str
    notes: tuple[Remark, ...]


def window(hu: NDArray, *, level_hu: float = LEVEL_HU, width_hu: float = WIDTH_HU) -> NDArray[np.uint8]:
    """Return Hounsfield units as gray values from 0 to 255, as a viewing station shows them.

    Examples
    --------
    >>> window(np.array([-1000.0, 0, 40, 80, 2000])).tolist()
    [0, 0, 128, 255, 255]
    """
    share = (np.asarray(hu, dtype=np.float64) - (level_hu - width_hu / 2)) / width_hu
    return np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)


def to_grid(
    hu: NDArray, *, spacing_mm: tuple[float, float], size: int = SIZE, outside: float = AIR_HU
) -> NDArray[np.float32]:
    """Return a slice resampled to a square grid that covers its whole field of view.

    A field that is not square is padded on both sides, an odd pixel at the bottom or right. Where the grid
    becomes coarser, values are averaged, so that noise falls as in a larger pixel; a slice that already is a
    square of `size` is returned unchanged.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        Hounsfield units.
    spacing_mm : tuple of float
        Distance between rows, and between columns.
    size : int
        Rows and columns of the result.
    outside : float
        What is around the field: air, by default.

    Examples
    --------
    >>> to_grid(np.zeros((512, 512)), spacing_mm=(0.45, 0.45)).shape
    (256, 256)
    """
    hu = np.asarray(hu, dtype=np.float32)
    if hu.shape == (size, size) and np.isclose(*spacing_mm, rtol=1e-3):
        return hu
    sides_mm = np.multiply(hu.shape, spacing_mm)
    missing = np.round((sides_mm.max() - sides_mm) / spacing_mm).astype(int)
    padded = np.pad(hu, [(n // 2, n - n // 2) for n in missing], constant_values=outside)
    return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.BILINEAR))


def read_slice(
    path: Path,
    *,
    slice_index: int | None = None,
    slice_position_mm: float | None = None,
    image_size: ImageSize = "exact",
) -> CtSlice:
    """Return one axial slice of a head CT.

    Parameters
    ----------
    path : pathlib.Path
        A DICOM file, a folder with the DICOM files of one series, a NIfTI file, or a PNG or JPEG in the
        window of level 40, width 80 HU.
    slice_index : int, optional
        Which slice of a series, counted from 0 at the caudal end. A series of one slice needs none.
    slice_position_mm : float, optional
        Instead of the index: position along the body's axis as in the header; the nearest slice is read.
    image_size : str
        ``"exact"``: a PNG must have 256 x 256 pixels. ``"fit"``: a PNG or JPEG of another size is padded with
        black to a square, the image in its middle, and resampled as by `to_grid`, so that pixels stay square.

    Raises
    ------
    postarrest.data.errors.DataErrors
        If it is not a slice of a head CT that can be read; the message says why.
    """
    path = Path(path)
    try:
        return _read(path, slice_index, slice_position_mm, image_size)
    except Unreadable as error:
        raise DataErrors([_finding(path.name, error)]) from None


def read_series(path: Path, *, image_size: ImageSize = "exact") -> Series:
    """Return all axial slices of a head CT.

    Parameters
    ----------
    path, image_size
        As for `read_slice`.

    Raises
    ------
    postarrest.data.errors.DataErrors
        If it cannot be read; the message says why. A slice of a series need not show a head: it may lie
        above or below it.
    """
    path = Path(path)
    try:
        return _read_all(path, image_size)
    except Unreadable as error:
        raise DataErrors([_finding(path.name, error)]) from None


def read_slices(paths: pd.Series, **choices: Any) -> NDArray[np.uint8]:
    """Return the windowed slices of many patients.

    Parameters
    ----------
    paths : pandas.Series
        ``patient_id`` -> path, as in `StudyData.ct`.
    **choices
        As for `read_each`.

    Returns
    -------
    ndarray of uint8, shape (n, 256, 256)
        In the order of `paths`.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every image that cannot be read.
    """
    found = [item if isinstance(item, Finding) else item.image for item in read_each(paths, **choices)]
    if errors := [item for item in found if isinstance(item, Finding)]:
        raise DataErrors(errors)
    return np.array(found, dtype=np.uint8).reshape(-1, SIZE, SIZE)


def read_each(
    paths: pd.Series,
    *,
    slice_index: pd.Series | None = None,
    slice_position_mm: pd.Series | None = None,
    rows: pd.Series | None = None,
    image_size: ImageSize = "exact",
) -> Iterator[CtSlice | Finding]:
    """Yield each patient's slice, or what is wrong with it.

    Parameters
    ----------
    paths : pandas.Series
        ``patient_id`` -> path, as in `StudyData.ct`.
    slice_index, slice_position_mm : pandas.Series, optional
        ``patient_id`` -> which slice, as for `read_slice`; NaN if the series has one slice.
    rows : pandas.Series, optional
        ``patient_id`` -> row of the patient table, which identifies the patient in messages; by default the
        position in `paths`, counted from 1.
    image_size : str
        As for `read_slice`.
    """
    for number, (patient, path) in enumerate(paths.items(), start=1):
        index = _choice(slice_index, patient, int)
        position_mm = _choice(slice_position_mm, patient, float)
        try:
            yield _read(Path(path), index, position_mm, image_size)
        except Unreadable as error:
            where = {"alias": f"CT number {number}"} if rows is None else {"row": int(rows[patient])}
            yield _finding(f"ct/{Path(path).name}", error, **where)


def _finding(place: str, error: Unreadable, *, row: int | None = None, alias: str = "CT") -> Finding:
    file = "/".join(filter(None, (place, error.file)))
    return Finding(file, error.rule, error.found, error.expected, row, alias=alias)


def _choice(series: pd.Series | None, patient: str, kind: type) -> Any:
    value = None if series is None else series.get(patient)
    return None if pd.isna(value) else kind(value)


def _read(path: Path, index: int | None, position_mm: float | None, image_size: ImageSize) -> CtSlice:
    with _opened(path) as source:
        if source == "picture":
            return _picture(path, image_size)
        if source == "NIfTI":
            hu, spacing_mm, remarks = nifti.read(path, index, position_mm)
            return _finished(source, Slices([hu], spacing_mm, None, remarks, ""))
        return _finished(source, dicom.read(path, index, position_mm))


def _picture(path: Path, image_size: ImageSize) -> CtSlice:
    gray, source = picture.read(path, image_size=image_size)
    pixels, notes = gray.shape, list(looks.narrow_range(gray))
    if source == "JPEG":
        notes.append(Remark("lossy", "a JPEG", "a PNG: small differences may be lost in a JPEG"))
    if gray.shape != (SIZE, SIZE):
        found = f"{gray.shape[1]} x {gray.shape[0]} pixels, padded and resampled"
        notes.append(Remark("image size", found, f"{SIZE} x {SIZE} pixels"))
        fitted = to_grid(gray, spacing_mm=(1, 1), outside=0)
        gray = np.floor(fitted + 0.5).astype(np.uint8)
    return CtSlice(None, gray, None, source, tuple(notes), pixels)


def _read_all(path: Path, image_size: ImageSize) -> Series:
    with _opened(path) as source:
        if source == "picture":
            one = _picture(path, image_size)
            hu = one.image.astype(np.float32) * np.float32(WIDTH_HU / 255) + (LEVEL_HU - WIDTH_HU / 2)
            clipped = Remark("clipped", "8-bit gray values, cut off at 0 and 80 HU", "Hounsfield units")
            return Series([hu], None, None, one.source, (clipped, *one.notes))
        read = Slices(*nifti.read_all(path), [], "") if source == "NIfTI" else dicom.read_all(path)
        finite = [_finite(one) for one in read.hu]
        return Series(finite, read.spacing_mm, read.position_mm, source, tuple(read.remarks))


@contextmanager
def _opened(path: Path) -> Iterator[str]:
    """Yield the kind of a file or folder; errors of the file system are reported as unreadable."""
    name = "" if path.is_dir() else path.name.lower()
    try:
        if not path.is_dir():
            if not path.is_file():
                raise Unreadable("readable", "no such file", "a DICOM file or folder, NIfTI, PNG or JPEG")
            check_size(path)
        kinds = {PICTURES: "picture", (".nii", ".nii.gz"): "NIfTI"}
        yield next((kind for endings, kind in kinds.items() if name.endswith(endings)), "DICOM")
    except OSError as error:
        found = error.strerror or "an error of the file system"
        raise Unreadable("readable", found, "a file that can be read") from None


def _finished(source: str, read: Slices) -> CtSlice:
    hu, spacing_mm = _finite(read.hu[0]), read.spacing_mm
    _check_head(hu, spacing_mm)
    image = window(to_grid(hu, spacing_mm=spacing_mm))
    return CtSlice(hu, image, spacing_mm, source, tuple(read.remarks), hu.shape, read.patient)


def _finite(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return Hounsfield units not below air; refuse values that are not numbers."""
    if not np.isfinite(hu).all():
        found = f"values that are infinite or not a number ({(~np.isfinite(hu)).mean():.2%} of the slice)"
        raise Unreadable("voxels", found, "finite HU")
    # Scanners fill what lies outside the scan with their own values below air.
    return np.maximum(hu, np.float32(AIR_HU))


def _check_head(hu: NDArray[np.float32], spacing_mm: tuple[float, float]) -> None:
    """Refuse what is not an axial slice of a head in Hounsfield units, judging by values and extent."""
    from scipy import ndimage

    if hu.min() > -500:
        raise Unreadable("hu", f"no air (lowest value {hu.min():g})", "Hounsfield units, air about -1000")
    if hu.max() < _BONE_HU:
        raise Unreadable("hu", f"no bone (highest value {hu.max():g})", "Hounsfield units, a skull above 300")
    parts, _ = ndimage.label(hu > _OUTLINE_HU)
    largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
    outline = ndimage.binary_fill_holes(parts == largest)
    extent = [(np.ptp(i) + 1) * mm for i, mm in zip(np.nonzero(outline), spacing_mm, strict=True)]
    least, most = _HEAD_MM
    if not all(least <= side <= most for side in extent):
        found = f"a body of {extent[0]:.0f} x {extent[1]:.0f} mm"
        raise Unreadable("head", found, f"a head, {least} to {most} mm")
    inside = hu[outline]
    bone = (inside > _BONE_HU).mean()
    soft = ((inside >= _SOFT_HU[0]) & (inside <= _SOFT_HU[1])).mean()
    if bone < _LEAST_BONE or soft < _LEAST_SOFT:
        found = f"{bone:.0%} bone and {soft:.0%} soft tissue in the outline"
        raise Unreadable("head", found, "a skull with a brain in it")
