"""NIfTI volumes in HU, read into one axial slice."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from postarrest.data.ct.reading import MOST_FILE_BYTES, MOST_PIXELS, Unreadable, chosen, damaged

# Kinds of voxel that are one plain number: int8 to uint64, float32, float64 (the standard's codes).
_NUMBERS = frozenset({2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280})


def read(
    path: Path, index: int | None, position_mm: float | None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return an axial slice in radiological orientation, and the distances between its rows and columns (mm).

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.
    index, position_mm : int, float or None
        Which slice; see `postarrest.imagefile.chosen`.

    Raises
    ------
    postarrest.imagefile.Unreadable
        If it is not a volume that can be read.
    """
    _check_start(path)
    with _quiet(), damaged("a damaged NIfTI header", "a NIfTI file"):
        image = nib.load(path)
        shape = image.shape
        orientation = nib.orientations.io_orientation(image.affine)
        spacing = np.abs(np.asarray(image.header.get_zooms()[:3], dtype=np.float64))
    if len(shape) > 3 and set(shape[3:]) == {1}:
        image = image.slicer[(slice(None),) * 3 + (0,) * (len(shape) - 3)]
        shape = shape[:3]
    if len(shape) != 3:
        raise Unreadable("size", f"{len(shape)} dimensions", "a volume of 3")
    if max(shape) > MOST_PIXELS or min(shape) < 1 or np.prod(shape, dtype=float) > MOST_FILE_BYTES:
        raise Unreadable("size", f"{' x '.join(map(str, shape))} voxels", f"up to {MOST_PIXELS} a side")
    if np.isnan(orientation).any() or not np.isfinite(image.affine).all() or not (spacing > 0).all():
        raise Unreadable("orientation", "an affine without three directions", "voxel sizes and orientation")
    # Axes of the file that run to the right, to the front and to the head (nibabel's RAS), and which way.
    right, front, head = (int(np.flatnonzero(orientation[:, 0] == axis)[0]) for axis in range(3))
    along = nib.affines.apply_affine(image.affine, np.eye(3)[head] * np.arange(shape[head])[:, None])[:, 2]
    order = np.argsort(along, kind="stable")
    selection: list[Any] = [slice(None)] * 3
    selection[head] = int(order[chosen(along[order], index, position_mm)])
    try:
        with _quiet(), damaged("damaged or cut-off voxels", "all voxels that the header tells of"):
            hu = np.asarray(image.dataobj[tuple(selection)], dtype=np.float32)
    except OSError:  # nibabel's own, of a file that was opened above
        raise Unreadable(
            "damaged", "damaged or cut-off voxels", "all voxels that the header tells of"
        ) from None
    if right < front:
        hu = hu.T
    if orientation[right, 1] > 0:
        hu = hu[:, ::-1]
    if orientation[front, 1] > 0:
        hu = hu[::-1]
    return hu, (float(spacing[front]), float(spacing[right]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel from telling the log what it corrects in a header; what matters of it is checked here."""
    log = nib.imageglobals.logger
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was_disabled


def _check_start(path: Path) -> None:
    """Refuse what is not NIfTI, has voxels that are no plain numbers, or has them far behind its header.

    What lies between header and voxels is unpacked into memory whatever its size.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            head = file.read(540)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Unreadable("damaged", "a damaged gzip file", "a NIfTI file packed by gzip") from None
    # Where the offset of the voxels and their kind stand, by the size of the header: NIfTI-1 and NIfTI-2.
    places = {348: ("f4", 108, 70), 540: ("i8", 168, 12)}
    for order, mark in (("little", "<"), ("big", ">")):
        kind, offset_at, code_at = places.get(int.from_bytes(head[:4], order), ("", 0, 0))
        if kind and len(head) > 352:
            offset = np.frombuffer(head, mark + kind, count=1, offset=offset_at)[0]
            code = int(np.frombuffer(head, mark + "i2", count=1, offset=code_at)[0])
            break
    else:
        raise Unreadable("format", "a file that is not NIfTI", "a NIfTI file (.nii or .nii.gz)")
    if not 0 <= offset <= 2**20:
        raise Unreadable("damaged", f"voxels that start at byte {offset:g}", "a header of at most 1 MB")
    if code not in _NUMBERS:
        raise Unreadable("format", f"voxels of the kind {code}", "one integer or real number a voxel")
