"""Two readings of mean attenuation in circular regions of interest (ROIs), placed on the noisy image."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import ndimage

from postarrest.simulate.phantom import SPACING_MM, Slice


@dataclass(frozen=True)
class Site:
    """Where a reader places the ROI of a region.

    Attributes
    ----------
    level : str
        The slice, a key of `phantom.LEVELS_MM`.
    at_mm : tuple of float
        MNI coordinates x and y on the right side; the left side mirrors them.
    tissue : str
        The tissue that should fill the ROI, a key of `phantom.TISSUES`.
    reach_mm : float
        Distance within which the reader looks for the best position.
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


def read_twice(slices: dict[str, Slice], *, rng: np.random.Generator, reader_sd_mm: float) -> pd.DataFrame:
    """Read all regions of one patient twice.

    At each reading the reader looks for a position near the region's usual one that its tissue fills, has a
    random preference among such positions, and places the ROI with a random error.

    Parameters
    ----------
    slices : dict of str to Slice
        The patient's slices by level.
    rng : numpy.random.Generator
        Source of the position and size of the ROIs.
    reader_sd_mm : float
        Standard deviation of the placement error, each axis, mm.

    Returns
    -------
    pandas.DataFrame
        32 rows: `reading` (1 | 2), `region`, `side` (L | R), `mean_hu`, `area_mm2`.
    """
    rows = []
    for (region, site), (side, sign) in product(SITES.items(), (("L", -1.0), ("R", 1.0))):
        image = slices[site.level]
        worth, corner = _worth(image, site, sign)
        for reading in (1, 2):
            # The reader's preference among positions varies over 1.5 mm.
            taste = ndimage.gaussian_filter(rng.standard_normal(worth.shape), 1.5 / SPACING_MM)
            preferred = worth + 0.06 * taste / taste.std()
            at = corner + np.unravel_index(preferred.argmax(), preferred.shape)
            at = at + reader_sd_mm / SPACING_MM * rng.standard_normal(2)
            # The published range, mm2.
            area = rng.uniform(10.0, 15.0)
            rows.append((reading, region, side, _mean_in_circle(image.hu, at, area), round(area, 1)))
    table = pd.DataFrame(rows, columns=["reading", "region", "side", "mean_hu", "area_mm2"])
    return table.sort_values("reading", kind="stable", ignore_index=True)


def gray_to_white(image: Slice) -> float:
    """Return the ratio of gray to white matter on a noisy slice to an observer who knows its tissues.

    The attenuation of white matter, cortex, deep nuclei and fluid is the least-squares solution of the
    brain's pixels on their shares; the ratio is that of the mean of cortex and deep nuclei to white matter.
    """
    shares = np.stack([image.fractions[name] for name in ("white_matter", "cortex", "deep_nuclei", "csf")])
    brain = shares.sum(axis=0) > 0.99
    white, cortex, deep, _ = np.linalg.lstsq(shares[:, brain].T, image.hu[brain], rcond=None)[0]
    return float((cortex + deep) / 2 / white)


def _worth(image: Slice, site: Site, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how suitable the positions around a site are for an ROI, and the first pixel of that window."""
    x, y = image.template_mm[:2]
    away = np.hypot(x - sign * site.at_mm[0], y - site.at_mm[1])
    row, column = np.unravel_index(away.argmin(), away.shape)
    r = int(site.reach_mm / SPACING_MM) + 5
    top, left = max(row - r, 0), max(column - r, 0)
    window = np.s_[top : row + r + 1, left : column + r + 1]
    filled = ndimage.gaussian_filter(image.fractions[site.tissue][window], 1.0 / SPACING_MM)
    # The other side of the midline is another region.
    own_side = sign * x[window] > 1.5
    worth = np.where(own_side, filled - 0.25 * (away[window] / site.reach_mm) ** 2, -10.0)
    return worth, np.array([top, left])


def _mean_in_circle(hu: np.ndarray, at: np.ndarray, area_mm2: float) -> float:
    """Return the mean HU of the pixels whose centre is inside a circle."""
    radius = np.sqrt(area_mm2 / np.pi) / SPACING_MM
    rows, columns = np.ogrid[: hu.shape[0], : hu.shape[1]]
    inside = (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2
    return round(float(hu[inside].mean()), 2)
