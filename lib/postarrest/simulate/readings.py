"""What a reader measures: circular regions of interest on the noisy image, placed by eye, twice."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from postarrest.simulate.phantom import SPACING_MM, Slice


@dataclass(frozen=True)
class Site:
    """Where a reader looks for a region.

    Attributes
    ----------
    level : str
        The slice.
    at_mm : tuple of float
        MNI coordinates on the right side; the left is its mirror image.
    tissue : str
        What must fill the ROI.
    reach_mm : float
        How far around the reader looks for the best place.
    """

    level: str
    at_mm: tuple[float, float]
    tissue: str
    reach_mm: float


SITES = {
    "CN": Site("basal_ganglia", (13.0, 14.0), "deep_nuclei", 5.0),
    "PU": Site("basal_ganglia", (26.0, 4.0), "deep_nuclei", 5.0),
    "PLIC": Site("basal_ganglia", (21.0, -11.0), "white_matter", 5.0),
    "CC": Site("basal_ganglia", (5.0, 29.0), "white_matter", 5.0),
    "MC1": Site("centrum_semiovale", (6.0, 8.0), "cortex", 6.0),
    "MW1": Site("centrum_semiovale", (24.0, -4.0), "white_matter", 4.0),
    "MC2": Site("high_convexity", (7.0, -2.0), "cortex", 6.0),
    "MW2": Site("high_convexity", (20.0, -8.0), "white_matter", 5.0),
}
# The reader stops at an ROI of this size; the published range is 10 to 15 mm2.
AREA_MM2 = (10.0, 15.0)


def read_twice(slices: dict[str, Slice], *, rng: np.random.Generator, reader_sd_mm: float) -> pd.DataFrame:
    """Measure all regions of one patient twice.

    Each time the reader looks for a place near the region's usual position that its tissue fills, prefers
    one such place to another by habit of the moment, and hits it with an unsteady hand.

    Parameters
    ----------
    slices : dict of str to Slice
        The patient's slices by level.
    rng : numpy.random.Generator
        For position and size of the ROIs.
    reader_sd_mm : float
        Standard deviation of the hand's error, each axis, mm.

    Returns
    -------
    pandas.DataFrame
        32 rows: `reading` (1 | 2), `region`, `side` (L | R), `mean_hu`, `area_mm2`.
    """
    rows = []
    for region, site in SITES.items():
        image = slices[site.level]
        for side, sign in (("L", -1.0), ("R", 1.0)):
            worth, corner = _worth(image, site, sign)
            for reading in (1, 2):
                fancy = ndimage.gaussian_filter(rng.standard_normal(worth.shape), _FANCY_MM / SPACING_MM)
                liked = worth + _FANCY * fancy / fancy.std()
                at = corner + np.unravel_index(liked.argmax(), liked.shape)
                at = at + reader_sd_mm / SPACING_MM * rng.standard_normal(2)
                area = rng.uniform(*AREA_MM2)
                rows.append((reading, region, side, _mean_in_circle(image.hu, at, area), round(area, 1)))
    table = pd.DataFrame(rows, columns=["reading", "region", "side", "mean_hu", "area_mm2"])
    return table.sort_values("reading", kind="stable", ignore_index=True)


# How far the reader's preference among places counts beside the share of the wanted tissue, and over which
# distance it varies.
_FANCY = 0.06
_FANCY_MM = 1.5


def _worth(image: Slice, site: Site, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how good the places around a site are for an ROI, and the first pixel of that window."""
    x, y = image.template_mm[:2]
    away = np.hypot(x - sign * site.at_mm[0], y - site.at_mm[1])
    row, column = np.unravel_index(away.argmin(), away.shape)
    r = int(site.reach_mm / SPACING_MM) + 5
    top, left = max(row - r, 0), max(column - r, 0)
    window = np.s_[top : row + r + 1, left : column + r + 1]
    filled = ndimage.gaussian_filter(image.fractions[site.tissue][window], 1.0 / SPACING_MM)
    # What lies on the other side of the midline is not this region.
    own_side = sign * x[window] > 1.5
    worth = np.where(own_side, filled - 0.25 * (away[window] / site.reach_mm) ** 2, -10.0)
    return worth, np.array([top, left])


def _mean_in_circle(hu: np.ndarray, at: np.ndarray, area_mm2: float) -> float:
    """Return the mean HU of the pixels whose centre is in a circle."""
    radius = np.sqrt(area_mm2 / np.pi) / SPACING_MM
    row, column = (int(np.clip(v, 4, hu.shape[0] - 5)) for v in np.round(at))
    rows, columns = np.ogrid[row - 4 : row + 5, column - 4 : column + 5]
    inside = (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2
    return round(float(hu[row - 4 : row + 5, column - 4 : column + 5][inside].mean()), 2)
