"""A circle on a slice: where it is, and the mean attenuation in it."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from postarrest.data.contract import REGIONS
from postarrest.data.ct.slices import Series
from postarrest.settings import Settings

# The published protocol: regions of 10 to 15 mm2, at three levels.
AREA_MM2 = (10.0, 15.0)
LEVELS: Mapping[str, tuple[str, ...]] = {
    "basal ganglia": ("CN", "PU", "PLIC", "CC"),
    "centrum semiovale": ("MC1", "MW1"),
    "high convexity": ("MC2", "MW2"),
}
REGION_NAMES: Mapping[str, str] = {
    "CN": "caudate nucleus",
    "PU": "putamen",
    "PLIC": "posterior limb of the internal capsule",
    "CC": "corpus callosum",
    "MC1": "medial cortex",
    "MW1": "medial white matter",
    "MC2": "medial cortex",
    "MW2": "medial white matter",
}


class Site(NamedTuple):
    """One place to measure: a region on one side.

    Examples
    --------
    >>> Site("CN", "R").name
    'CN R'
    """

    region: str
    side: Literal["R", "L"]

    @property
    def name(self) -> str:
        """The region and the side."""
        return f"{self.region} {self.side}"

    @property
    def level(self) -> str:
        """The level at which the region is measured, a key of `LEVELS`."""
        return next(level for level, regions in LEVELS.items() if self.region in regions)


# In the order in which they are placed. The patient's right is at the left of the image, so it comes first.
SITES = tuple(Site(region, side) for region in REGIONS for side in ("R", "L"))


class Place(NamedTuple):
    """The centre of a circle: the slice from the caudal end, and pixels of that slice.

    Whole numbers of `row` and `column` are the centres of pixels.
    """

    slice_index: int
    row: float
    column: float


class CircleError(ValueError):
    """A circle that cannot be measured; the message is for the reader."""


class Circle(Settings):
    """A circle on a slice of the original image.

    Parameters
    ----------
    slice_index : int
        Counted from 0 at the caudal end.
    row, column : float
        Its centre in pixels of the original slice; whole numbers are the centres of pixels.
    area_mm2 : float
        Area of the circle.
    mean_hu : float
        Mean attenuation, HU.
    placed : str
        ``"by hand"`` if no proposal was shown; else whether the circle is where it was proposed.
    """

    slice_index: int
    row: float
    column: float
    area_mm2: float
    mean_hu: float
    placed: Literal["by hand", "proposal accepted", "proposal moved"]

    @property
    def place(self) -> Place:
        """Its centre."""
        return Place(self.slice_index, self.row, self.column)


def measured(series: Series, at: Place, *, area_mm2: float, proposal: Place | None = None) -> Circle:
    """Return a circle with the mean attenuation in it, measured on the original image.

    Parameters
    ----------
    series : Series
        The head CT; its spacing must be known.
    at : Place
        The centre of the circle.
    area_mm2 : float
        Its area.
    proposal : Place, optional
        Where the circle was proposed, if the reader saw a proposal.

    Raises
    ------
    CircleError
        As for `mean_in_circle`.
    """
    mean_hu = mean_in_circle(
        series.hu[at.slice_index],
        row=at.row,
        column=at.column,
        area_mm2=area_mm2,
        spacing_mm=series.spacing_mm,
    )
    moved = "proposal accepted" if at == proposal else "proposal moved"
    placed = "by hand" if proposal is None else moved
    return Circle(**at._asdict(), area_mm2=area_mm2, mean_hu=mean_hu, placed=placed)


def mean_in_circle(
    hu: NDArray[np.float32],
    *,
    row: float,
    column: float,
    area_mm2: float,
    spacing_mm: tuple[float, float],
) -> float:
    """Return the mean attenuation of the pixels whose centre is inside a circle, HU.

    Viewing stations measure regions of interest in the same way.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
        Hounsfield units on the scanner's own grid.
    row, column : float
        Centre of the circle, in pixels.
    area_mm2 : float
        Area of the circle.
    spacing_mm : tuple of float
        Distance between rows, and between columns.

    Raises
    ------
    CircleError
        If the circle reaches beyond the image, or is smaller than a pixel and contains no pixel's centre.

    Examples
    --------
    >>> hu = np.zeros((20, 20), np.float32)
    >>> hu[:, 10:] = 40
    >>> mean_in_circle(hu, row=10, column=9.5, area_mm2=12.0, spacing_mm=(0.5, 0.5))
    20.0
    """
    radius_mm = np.sqrt(area_mm2 / np.pi)
    reach = np.divide(radius_mm, spacing_mm)
    first = np.subtract((row, column), reach)
    last = np.add((row, column), reach)
    if (first < -0.5).any() or (last > np.subtract(hu.shape, 0.5)).any():
        raise CircleError("The circle reaches beyond the image. Place it inside.")
    top, left = np.floor(first).astype(int).clip(0)
    bottom, right = np.ceil(last).astype(int) + 1
    part = hu[top:bottom, left:right]
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    away_mm = np.hypot((rows - row) * spacing_mm[0], (columns - column) * spacing_mm[1])
    inside = away_mm <= radius_mm
    if not inside.any():
        raise CircleError("The circle is smaller than a pixel. Make it larger.")
    return float(part[inside].mean(dtype=np.float64))
