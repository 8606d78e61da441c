"""DICOM files and series of CT, read into one axial slice in HU.

What a header says is read by `headers`; which files are one series, and their order, by `series`; this module
chooses among series and reads pixels.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray

from postarrest.data.ct.headers import DAMAGED, Frame, count_of_frames, parsed
from postarrest.data.ct.looks import unlike
from postarrest.data.ct.reading import Remark, Unreadable, chosen, damaged
from postarrest.data.ct.series import axial_series, in_order, positions

AIR_HU = -1024
_TILT = 0.5
_SOFT_HU = (0, 80)
# Two reconstructions differ by more than this in noise; two scans by the same one do not.
_NOISIER = 1.2


class Slices(NamedTuple):
    """What was read of one patient's CT: slices, distances of rows and columns, positions, remarks, whose."""

    hu: list[NDArray[np.float32]]
    spacing_mm: tuple[float, float]
    position_mm: NDArray[np.float64] | None
    remarks: list[Remark]
    patient: str


def read(path: Path, index: int | None, position_mm: float | None) -> Slices:
    """Return an axial slice in radiological orientation.

    Parameters
    ----------
    path : pathlib.Path
        A file, or a folder with the files of an axial series; other images in it are not used, and noted. Of
        several series, the one with the least noise is read (see ``docs/images.md``).
    index, position_mm : int, float or None
        Which slice; see `postarrest.data.ct.reading.chosen`.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If it is not a CT that can be read.
    """
    frames, remarks = _series(path)
    at = chosen(positions(frames), index, position_mm)
    hu, spacing_mm, more = _slice_of(frames[at])
    if 0 < at < len(frames) - 1:
        more += unlike(hu, [_slice_of(frames[beside])[0] for beside in (at - 1, at + 1)])
    return Slices([hu], spacing_mm, None, remarks + more, _patient_of(frames))


def read_all(path: Path) -> Slices:
    """Return every slice as `read` does, from the caudal end up; positions are None for a single slice."""
    frames, remarks = _series(path)
    slices = [_slice_of(frame) for frame in frames]
    remarks += dict.fromkeys(remark for *_, more in slices for remark in more)
    along = positions(frames) if len(frames) > 1 else None
    return Slices([hu for hu, *_ in slices], slices[0][1], along, remarks, _patient_of(frames))


def _patient_of(frames: list[Frame]) -> str:
    return max(frame.patient for frame in frames)


def _series(path: Path) -> tuple[list[Frame], list[Remark]]:
    """Return the frames of the axial series that is read, from the caudal end up, and remarks."""
    by_series, remarks = axial_series(path)
    if len(by_series) == 1:
        (frames,) = by_series.values()
        return in_order(frames), remarks
    found = f"{len(by_series)} axial CT series"
    patients = {frame.patient for frames in by_series.values() for frame in frames} - {""}
    if len(patients) > 1:
        raise Unreadable("patient", f"{found} of {len(patients)} patients", "one patient's files")
    native = [frames for frames in by_series.values() if not any(frame.contrast for frame in frames)]
    candidates = native or list(by_series.values())
    why = " without contrast" if len(candidates) < len(by_series) else ""
    noise = [_noise(frames) for frames in candidates]
    best, *others = np.argsort(noise, kind="stable")
    if others:
        if not noise[others[0]] > _NOISIER * noise[best]:
            raise Unreadable(
                "series", f"{found} of about the same noise", "one series (the brain reconstruction)"
            )
        why += f" with the least noise ({noise[best]:.1f} HU; next {noise[others[0]]:.1f})"
    frames = in_order(candidates[best])
    found += f", of which the one{why} is read, {len(frames)} slices"
    return frames, [*remarks, Remark("series", found, "one series; ct_slice counts in the one that is read")]


def _noise(frames: list[Frame]) -> float:
    """Return the noise of a series in HU: how neighbours in soft tissue differ in its middle slice."""
    middle = np.argsort(positions(frames), kind="stable")[len(frames) // 2]
    hu, *_ = _slice_of(frames[middle])
    soft = (hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1])
    steps = np.abs(np.diff(hu, axis=1))[soft[:, 1:] & soft[:, :-1]]
    return float(1.4826 * np.median(steps) / np.sqrt(2)) if len(steps) else np.inf


def _slice_of(frame: Frame) -> tuple[NDArray[np.float32], tuple[float, float], list[Remark]]:
    """Return one frame's slice, the distances of rows and columns, and remarks."""
    header, _ = parsed(frame.path, pixels=True)
    with damaged(*DAMAGED):
        remarks = list(_remarks(header, frame))
        padding = header.get("PixelPaddingValue")
        filler = np.nan if padding is None else np.float32(float(padding) * frame.slope + frame.intercept)
    hu = _stored_values(header, frame.frame) * np.float32(frame.slope) + np.float32(frame.intercept)
    hu[hu == filler] = AIR_HU
    if frame.orientation is None:
        found = "no orientation in the header: used as stored"
        remark = Remark("orientation", found, "the patient's right at the left, the front at the top")
        return hu, frame.spacing_mm, [*remarks, remark]
    return *_radiological(hu, frame.orientation, frame.spacing_mm), remarks


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

    stream = get_frame(header.PixelData, frame, number_of_frames=count_of_frames(header))
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


def _remarks(header: pydicom.Dataset, frame: Frame) -> Iterator[Remark]:
    tilt = float(header.get("GantryDetectorTilt") or 0)
    if frame.orientation is not None and not abs(tilt) > _TILT:
        normal = np.cross(frame.orientation[:3], frame.orientation[3:])
        tilt = np.degrees(np.arccos(min(1, abs(normal[2]) / np.linalg.norm(normal))))
    if abs(tilt) > _TILT:
        yield Remark("tilt", f"slices tilted by {tilt:.3g}°", "slices at the same angle in all patients")
    if not np.isclose(*frame.spacing_mm, rtol=1e-3):
        found = f"pixels of {frame.spacing_mm[0]:g} x {frame.spacing_mm[1]:g} mm, resampled to square ones"
        yield Remark("pixels", found, "square pixels")
    if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
        yield Remark("burned-in text", "text in the image, according to the header", "an image without names")
    if str(header.get("LossyImageCompression", "")) == "01":
        yield Remark("lossy", "lossy compression", "none: small differences in HU may be lost")
