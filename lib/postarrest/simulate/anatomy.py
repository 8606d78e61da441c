"""The template anatomy of every simulated head."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

_PAD = (8, 6, 0)
# Deep nuclei of the right side, as ellipsoids: centre and radii, MNI, mm.
_NUCLEI = {
    "caudate head": ((13, 12, 9), (8, 14, 15)),
    "caudate body": ((17, -8, 21), (6, 18, 8)),
    "lentiform": ((25, 0, 1), (9.5, 20, 13)),
    "thalamus": ((11, -19, 8), (10, 15, 10)),
}


@dataclass(frozen=True)
class Anatomy:
    """Maps of the template on a grid of 1 mm.

    Attributes
    ----------
    maps : numpy.ndarray of float32, shape (z, y, x, 5)
        Probability of white matter and of gray matter; share of the gray matter that is deep nuclei; share of
        the fluid that is in the ventricles; distance to the smooth outer surface of the brain, mm, positive
        inside. What an axial slice shows lies close together in memory.
    origin_mm : tuple of float
        MNI coordinates of the first voxel.
    """

    maps: np.ndarray
    origin_mm: tuple[float, float, float]

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Interpolate all maps linearly; outside the grid, return the value of the nearest voxel.

        Parameters
        ----------
        points_mm : numpy.ndarray, shape (3, n)
            MNI coordinates.

        Returns
        -------
        numpy.ndarray of float32, shape (5, n)
            The values of the maps.
        """
        *shape, kinds = self.maps.shape
        shape = shape[::-1]
        index = points_mm - np.array(self.origin_mm, dtype=np.float32)[:, None]
        index = np.clip(index, 0, np.array(shape)[:, None] - 1.001).astype(np.float32)
        lower = index.astype(np.int32)
        x, y, z = np.stack([1 - (index - lower), index - lower], axis=-1)
        # Each point is a weighted sum of the eight voxels around it: one row of a sparse matrix.
        weights = (x.astype(np.float32)[:, :, None] * y[:, None, :]).astype(np.float32)
        weights = (weights[..., None] * z[:, None, None, :]).astype(np.float32)
        corners = np.ravel_multi_index(np.indices((2, 2, 2)).reshape(3, 8), shape, order="F").astype(np.int32)
        voxels = np.ravel_multi_index(lower, shape, order="F").astype(np.int32)[:, None] + corners
        rows = np.arange(0, voxels.size + 1, 8, dtype=np.int32)
        size = (len(voxels), np.prod(shape))
        matrix = sparse.csr_array((weights.ravel(), voxels.ravel(), rows), shape=size)
        return (matrix @ self.maps.reshape(-1, kinds)).T


def load_anatomy(lowest_mm: int = -25) -> Anatomy:
    """Return the template's maps, derived from the gray- and white-matter maps that nilearn ships.

    Parameters
    ----------
    lowest_mm : int
        Level at which the maps begin, MNI; the template ends at -72.

    Returns
    -------
    Anatomy
        Maps from there to 90 mm above the anterior commissure.
    """
    # nilearn takes seconds to import, and only this function needs it.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    image = load_mni152_gm_template(resolution=1)
    corner = image.affine[:3, 3]
    low, high = int(lowest_mm - corner[2]), int(90 - corner[2])
    gray, white = (
        # The template's box is tight; padding makes room for skull and scalp.
        np.pad(np.asarray(m.dataobj, dtype=np.float32)[:, :, low:high], [(p, p) for p in _PAD])
        for m in (image, load_mni152_wm_template(resolution=1))
    )
    origin = (float(corner[0] - _PAD[0]), float(corner[1] - _PAD[1]), float(corner[2] + low))
    grid = np.ogrid[tuple(slice(n) for n in gray.shape)]
    x, y, z = (axis + start for axis, start in zip(grid, origin, strict=True))
    nuclei = {name: _soft_ellipsoid(np.abs(x), y, z, *shape) for name, shape in _NUCLEI.items()}
    depth = _depth(gray + white)
    # The template counts much of thalamus and lentiform nucleus as white matter; on CT they are gray.
    gray = np.maximum(gray, 0.8 * nuclei["thalamus"] * (gray + white) * (gray > 0.15))
    gray = np.maximum(gray, 0.9 * nuclei["lentiform"] * (gray + white) * (gray > 0.35))
    white = np.minimum(white, np.maximum(1 - gray, 0))
    ventricles = _soft_ellipsoid(x, y, z, (0, -14, 12), (34, 50, 22))
    maps = (white, gray, np.maximum.reduce(list(nuclei.values())), ventricles, depth)
    return Anatomy(np.ascontiguousarray(np.stack([one.T for one in maps], axis=-1)), origin)


def _depth(brain: np.ndarray) -> np.ndarray:
    """Distance to the smooth outer surface of the brain, mm, positive inside."""
    coarse = ndimage.gaussian_filter(brain[::2, ::2, ::2], 1.0, mode="nearest") > 0.3
    # Closing by 30 mm bridges the fissures, like the dura.
    grown = ndimage.distance_transform_edt(~coarse) <= 15
    hull = ndimage.distance_transform_edt(grown) > 15
    signed = 2 * (ndimage.distance_transform_edt(hull) - ndimage.distance_transform_edt(~hull))
    signed = ndimage.gaussian_filter(signed.astype(np.float32), 1.0, mode="nearest")
    # Back to the full grid.
    index = np.meshgrid(*(np.arange(n) / 2 for n in brain.shape), indexing="ij")
    return ndimage.map_coordinates(signed, index, output=np.float32, order=1, mode="nearest")


def _soft_ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """Return 1 inside an ellipsoid and 0 outside, with a smooth edge of about 2 mm."""
    r = np.sqrt(sum(((p - c) / a) ** 2 for p, c, a in zip((x, y, z), centre, radii, strict=True)))
    return (1 / (1 + np.exp(np.clip((r - 1) * min(radii), -30, 30)))).astype(np.float32)
