"""What part of a slice is shown, how large, and which pixel lies under the mouse."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from postarrest.data.ct.slices import window

_OUTLINE_HU = -250
_MARGIN = 1.04


@dataclass(frozen=True)
class View:
    """A square part of a slice, drawn on a square canvas with equal scale in both directions.

    Rows and columns are those of the original slice (whole numbers are the centres of pixels); x and y are
    pixels of the canvas, from its upper left corner.

    Parameters
    ----------
    row, column : float
        What is in the middle.
    side_mm : float
        Length of a side.
    spacing_mm : tuple of float
        Distance between rows, and between columns.
    size : int
        Pixels of a side of the canvas.
    """

    row: float
    column: float
    side_mm: float
    spacing_mm: tuple[float, float]
    size: int

    @property
    def per_mm(self) -> float:
        """Pixels of the canvas per mm."""
        return self.size / self.side_mm

    def to_canvas(self, row: float, column: float) -> tuple[float, float]:
        """Return x and y of a place in the slice.

        Examples
        --------
        >>> View(row=64, column=64, side_mm=100, spacing_mm=(0.5, 0.5), size=500).to_canvas(64, 84)
        (300.0, 250.0)
        """
        x = self.size / 2 + (column - self.column) * self.spacing_mm[1] * self.per_mm
        y = self.size / 2 + (row - self.row) * self.spacing_mm[0] * self.per_mm
        return x, y

    def to_slice(self, x: float, y: float) -> tuple[float, float]:
        """Return row and column of a place on the canvas.

        Examples
        --------
        >>> View(row=64, column=64, side_mm=100, spacing_mm=(0.5, 0.5), size=500).to_slice(300, 250)
        (64.0, 84.0)
        """
        row = self.row + (y - self.size / 2) / (self.spacing_mm[0] * self.per_mm)
        column = self.column + (x - self.size / 2) / (self.spacing_mm[1] * self.per_mm)
        return row, column

    def drawn(self, hu: NDArray[np.float32], *, level_hu: float, width_hu: float) -> NDArray[np.uint8]:
        """Return the gray values of the canvas, shape (size, size).

        Measurements never use them: they are interpolated.
        """
        row_step = 1 / (self.spacing_mm[0] * self.per_mm)
        column_step = 1 / (self.spacing_mm[1] * self.per_mm)
        # Pillow counts from the corner of a pixel, not from its centre.
        top, left = (at + 0.5 for at in self.to_slice(0, 0))
        shown = Image.fromarray(hu).transform(
            (self.size, self.size),
            Image.Transform.AFFINE,
            (column_step, 0, left, 0, row_step, top),
            resample=Image.Resampling.BILINEAR,
            fillcolor=-1024,
        )
        return window(np.asarray(shown), level_hu=level_hu, width_hu=width_hu)


def whole_head(hu: Sequence[NDArray[np.float32]], *, spacing_mm: tuple[float, float], size: int) -> View:
    """Return the view that the head fills: the largest object in any slice, not the head holder.

    Parameters
    ----------
    hu : sequence of ndarray
        The slices of the series.
    spacing_mm : tuple of float
        Distance between rows, and between columns.
    size : int
        Pixels of a side of the canvas.
    """
    dense = np.zeros(hu[0].shape, bool)
    for one in hu:
        dense |= one > _OUTLINE_HU
    parts, count = ndimage.label(dense)
    head = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1 if count else ~dense
    (top, bottom), (left, right) = (np.flatnonzero(head.any(axis))[[0, -1]] for axis in (1, 0))
    sides_mm = ((bottom - top + 1) * spacing_mm[0], (right - left + 1) * spacing_mm[1])
    middle = (float(top + bottom) / 2, float(left + right) / 2)
    return View(*middle, side_mm=float(max(sides_mm)) * _MARGIN, spacing_mm=spacing_mm, size=size)
