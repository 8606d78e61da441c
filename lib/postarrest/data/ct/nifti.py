"""NIfTI volumes in HU, read into one axial slice."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from postarrest.data.ct.looks import unlike
from postarrest.data.ct.reading import MOST_PIXELS, Remark, Unreadable, chosen, damaged

# nibabel would log what it corrects in a header; what matters is checked here.
nib.imageglobals.logger.disabled = True
# 1,024 slices of 512 x 512 pixels: 2 GB in the largest number type.
_MOST_VOXELS = 2**28
_CUT_OFF = ("damaged or cut-off voxels", "all voxels that the header describes")


def read(
    path: Path, index: int | None, position_mm: float | None
) -> tuple[NDArray[np.float32], tuple[float, float], list[Remark]]:
    """Return an axial slice in radiological orientation, the distances of rows and columns (mm), and remarks.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.
    index, position_mm : int, float or None
        Which slice; see `postarrest.data.ct.reading.chosen`.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If it is not a volume that can be read.
    """
    volume, along = _opened(path)
    at = chosen(along, index, position_mm)
    (hu,) = _slices(volume, [at])
    remarks = list(unlike(hu, _slices(volume, [at - 1, at + 1]))) if 0 < at < len(along) - 1 else []
    return hu, _spacing_mm(volume), remarks


def read_all(
    path: Path,
) -> tuple[list[NDArray[np.float32]], tuple[float, float], NDArray[np.float64] | None]:
    """Return every slice as `read` does, from the caudal end up, and their positions along the body (mm).

    The positions are None for a single slice.
    """
    volume, along = _opened(path)
    return _slices(volume, range(len(along))), _spacing_mm(volume), along if len(along) > 1 else None


def _opened(path: Path) -> tuple[nib.Nifti1Image, NDArray[np.float64]]:
    """Return a volume whose axes run to the patient's right, front and head, and the slices' positions."""
    _check_header(path)
    with damaged("a damaged NIfTI header", "a NIfTI file"):
        image = nib.load(path)
        axes = nib.aff2axcodes(image.affine)
    shape = image.shape
    if len(shape) < 3 or max(shape[3:], default=1) > 1:
        raise Unreadable("size", f"{len(shape)} dimensions", "a volume of 3")
    if max(shape) > MOST_PIXELS or min(shape) < 1 or np.prod(shape, dtype=float) > _MOST_VOXELS:
        raise Unreadable("size", f"{' x '.join(map(str, shape))} voxels", f"up to {MOST_PIXELS} per side")
    if None in axes or not np.isfinite(image.affine).all():
        raise Unreadable("orientation", "an affine without three directions", "voxel sizes and orientation")
    with _whole():
        volume = nib.as_closest_canonical(nib.squeeze_image(image))
        return volume, volume.affine[2, 3] + volume.affine[2, 2] * np.arange(volume.shape[2])


def _slices(volume: nib.Nifti1Image, indices: Iterable[int]) -> list[NDArray[np.float32]]:
    with _whole():
        planes = [np.asarray(volume.dataobj[..., index], dtype=np.float32) for index in indices]
    return [np.ascontiguousarray(plane.T[::-1, ::-1]) for plane in planes]


def _spacing_mm(volume: nib.Nifti1Image) -> tuple[float, float]:
    column_mm, row_mm = nib.affines.voxel_sizes(volume.affine)[:2]
    return float(row_mm), float(column_mm)


@contextmanager
def _whole() -> Iterator[None]:
    try:
        with damaged(*_CUT_OFF):
            yield
    except OSError:  # nibabel's own, for a file that was opened before
        raise Unreadable("damaged", *_CUT_OFF) from None


def _check_header(path: Path) -> None:
    """Refuse files that are not NIfTI, or whose voxels are not plain numbers or start far after the header.

    nibabel reads everything between header and voxels into memory, whatever its size.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            start = file.read(540)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Unreadable("damaged", "a damaged gzip file", "a NIfTI file packed by gzip") from None
    kinds = [kind for kind in (nib.Nifti1Header, nib.Nifti2Header) if kind.may_contain_header(start)]
    if not kinds:
        raise Unreadable("format", "a file that is not NIfTI", "a NIfTI file (.nii or .nii.gz)")
    with damaged("a damaged NIfTI header", "a NIfTI file"):
        header = kinds[0](start[: kinds[0].sizeof_hdr], check=False)
        offset, voxel = float(header["vox_offset"]), header.get_data_dtype()
    if not 0 <= offset <= 2**20:
        raise Unreadable("damaged", f"voxels that start at byte {offset:g}", "a header of at most 1 MB")
    if voxel.kind not in "iuf" or voxel.itemsize > 8:
        raise Unreadable("format", f"voxels of the type {voxel}", "one integer or real number per voxel")
