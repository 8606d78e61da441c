"""Heads aligned, so that maps of different patients can be averaged.

Heads differ in size, position and rotation. Each is described by an ellipse, whose centre, axes and tilt are
mapped to those of a common one. This is coarse compared with registration to an atlas, but enough for maps
with a resolution of 12 to 32 pixels.

The axis nearer to the vertical is taken as front to back, whichever is longer: patients lie on their back,
and a wide head must not be turned on its side.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Below this ratio of its axes a head is too round for its tilt to be known.
_LEAST_ELONGATION = 1.05


@dataclass(frozen=True)
class Ellipse:
    """A head's outline in its slice.

    Parameters
    ----------
    centre : numpy.ndarray of shape (2,)
        Row and column, pixels.
    length, width : float
        Half axes from front to back (the one nearer to the vertical) and from side to side, pixels.
    tilt_rad : float
        Angle of the length to the vertical, -pi/4 to pi/4, positive where its lower end lies to the right.
    """

    centre: np.ndarray
    length: float
    width: float
    tilt_rad: float

    @property
    def frame(self) -> np.ndarray:
        """The matrix that turns and stretches the unit circle to the ellipse, shape (2, 2)."""
        sine, cosine = np.sin(self.tilt_rad), np.cos(self.tilt_rad)
        return np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([self.length, self.width])


def outline(image: np.ndarray) -> Ellipse | None:
    """Return the ellipse with the moments of a head's filled outline.

    Parameters
    ----------
    image : numpy.ndarray of shape (rows, columns)
        A slice, in which air is 0.

    Returns
    -------
    Ellipse or None
        None where nothing is brighter than air.

    Examples
    --------
    >>> rows, columns = np.mgrid[:256, :256]
    >>> head = outline((((rows - 120) / 90) ** 2 + ((columns - 130) / 70) ** 2 < 1) * 200)
    >>> [round(float(v)) for v in (*head.centre, head.length, head.width)]
    [120, 130, 90, 70]
    """
    parts, n = ndimage.label(image > 0)
    if not n:
        return None
    largest = 1 + np.argmax(ndimage.sum_labels(parts > 0, parts, range(1, n + 1)))
    places = np.argwhere(ndimage.binary_fill_holes(parts == largest)).astype(float)
    centre = places.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(places.T, bias=True))
    # A filled ellipse has a quarter of the squared half axis as its variance.
    halves = 2 * np.sqrt(np.maximum(variance, 0.25))
    upright = int(np.argmax(np.abs(axes[0])))
    down, right = axes[:, upright] * np.sign(axes[0, upright])
    # The tilt of a round head is noise.
    turned = halves.max() / halves.min() >= _LEAST_ELONGATION
    tilt = float(np.arctan2(right, down)) if turned else 0.0
    return Ellipse(centre, float(halves[upright]), float(halves[1 - upright]), tilt)


def common(outlines: list[Ellipse | None], *, shape: tuple[int, int]) -> Ellipse:
    """Return the upright ellipse in the middle of the image with the median axes of the outlines found."""
    axes = [(one.length, one.width) for one in outlines if one is not None] or [(1.0, 1.0)]
    length, width = np.median(axes, axis=0)
    return Ellipse((np.array(shape) - 1) / 2, float(length), float(width), 0.0)


def aligned(stack: np.ndarray, outlines: list[Ellipse | None], onto: Ellipse) -> np.ndarray:
    """Move slices, or maps over them, so that each head's ellipse matches a common one.

    Parameters
    ----------
    stack : numpy.ndarray of shape (n, rows, columns)
        Slices, or maps at the same pixels.
    outlines : list of Ellipse or None
        The head of each; without one, the slice is not changed.
    onto : Ellipse
        From :func:`common`.

    Returns
    -------
    numpy.ndarray of shape (n, rows, columns), float32
        Linear interpolation; 0 outside.

    Examples
    --------
    >>> rows, columns = np.mgrid[:256, :256]
    >>> head = (((rows - 110) / 60) ** 2 + ((columns - 140) / 45) ** 2 < 1) * 1.0
    >>> large = Ellipse(np.array([127.5, 127.5]), 90.0, 67.5, 0.0)
    >>> round(float(aligned(head[None], [outline(head)], large).sum() / head.sum()), 1)
    2.3
    """
    out = np.empty(stack.shape, dtype=np.float32)
    for i, (image, own) in enumerate(zip(stack, outlines, strict=True)):
        if own is None:
            out[i] = image
            continue
        matrix = own.frame @ np.linalg.inv(onto.frame)
        offset = own.centre - matrix @ onto.centre
        out[i] = ndimage.affine_transform(image.astype(np.float32), matrix, offset, order=1)
    return out
