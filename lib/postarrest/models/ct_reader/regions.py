"""Attenuation of the eight regions on both sides, measured in HU on the original slice in three ways.

``region``: the pixels of a region whose tissue is surest, without the extremes. ``circle``: one circle of
12.5 mm2, as a reader places it. ``unmixed``: attenuation of pure tissue, the least-squares solution of the
slice's pixels on the shares of the tissues, which removes partial volume; the same for all regions of a
tissue.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from postarrest.models.ct_reader.standard import Seen

CIRCLE_MM2 = 12.5


@dataclass(frozen=True)
class Region:
    """Where a region lies in the template.

    Attributes
    ----------
    level_mm : float
        Height of its slice above the anterior commissure.
    tissue : str
        Its tissue, one of `network.CLASSES`.
    at_mm, reach_mm : tuple of float
        Middle (x to either side, y to the front) and half axes of the ellipse that it is looked for in.
    area_mm2 : float
        Area that is measured, of the pixels whose tissue is surest.
    """

    level_mm: float
    tissue: str
    at_mm: tuple[float, float]
    reach_mm: tuple[float, float]
    area_mm2: float


BASAL_GANGLIA_MM, CENTRUM_MM, CONVEXITY_MM = 7.0, 36.0, 54.0
REGIONS = {
    "CN": Region(BASAL_GANGLIA_MM, "deep_nuclei", (13, 13), (7, 11), 60),
    "PU": Region(BASAL_GANGLIA_MM, "deep_nuclei", (26, 3), (7, 16), 100),
    "PLIC": Region(BASAL_GANGLIA_MM, "white_matter", (21, -11), (6, 8), 40),
    "CC": Region(BASAL_GANGLIA_MM, "white_matter", (5, 29), (8, 7), 40),
    "MC1": Region(CENTRUM_MM, "cortex", (6, 8), (7, 18), 60),
    "MW1": Region(CENTRUM_MM, "white_matter", (24, -4), (8, 18), 120),
    "MC2": Region(CONVEXITY_MM, "cortex", (7, -2), (8, 18), 60),
    "MW2": Region(CONVEXITY_MM, "white_matter", (20, -8), (9, 18), 100),
}
SIDES = {"L": -1, "R": 1}


@dataclass(frozen=True)
class Measured:
    """One region on one side.

    Attributes
    ----------
    mean_hu, area_mm2 : float
        Mean attenuation, and the area that it was measured in; NaN and 0 where the region was not found.
    sureness : float
        Mean share of the region's tissue in that area.
    lesion : float
        Share of the ellipse that the network takes for a lesion.
    mask : numpy.ndarray of bool, shape (rows, columns)
        The pixels measured.
    """

    mean_hu: float
    area_mm2: float
    sureness: float
    lesion: float
    mask: np.ndarray


def ellipse(seen: Seen, region: Region, side: int) -> np.ndarray:
    """Return how far each pixel is from the middle of a region, in half axes; 1 is its edge."""
    x, y = side * seen.template_mm[0], seen.template_mm[1]
    (x0, y0), (rx, ry) = region.at_mm, region.reach_mm
    away = np.hypot((x - x0) / rx, (y - y0) / ry)
    # The other side of the midline is another region.
    return np.where((x > 1) & (seen.brain > 0.5), away, np.inf)


def by_area(hu: np.ndarray, seen: Seen, region: Region, away: np.ndarray) -> Measured:
    """Measure a region in the pixels whose tissue is surest, without the highest and lowest fifth.

    ``away`` is from :func:`ellipse`.
    """
    inside = away < 1
    pixel_mm2 = float(np.prod(seen.spacing_mm))
    share = seen.shares[region.tissue]
    sure = seen.sure[region.tissue]
    wanted = min(int(region.area_mm2 / pixel_mm2), int(inside.sum()))
    lesion = float(seen.shares["lesion"][inside].mean()) if inside.any() else 0.0
    if wanted < 4:
        return Measured(np.nan, 0.0, 0.0, lesion, np.zeros(hu.shape, bool))
    mask = inside & (sure >= np.partition(sure[inside], -wanted)[-wanted]) & (share > 0.5)
    if mask.sum() < 4:
        return Measured(np.nan, 0.0, 0.0, lesion, np.zeros(hu.shape, bool))
    values = np.sort(hu[mask])
    cut = len(values) // 5
    mean = float(values[cut : len(values) - cut].mean())
    return Measured(mean, float(mask.sum() * pixel_mm2), float(share[mask].mean()), lesion, mask)


def by_circle(hu: np.ndarray, seen: Seen, region: Region, away: np.ndarray) -> Measured:
    """Measure a region in one circle, where its tissue fills it best and not far from the middle.

    ``away`` is from :func:`ellipse`.
    """
    spacing = np.array(seen.spacing_mm)
    worth = np.where(away < 1, seen.sure[region.tissue] - 0.2 * away**2, -np.inf)
    if not np.isfinite(worth).any():
        return Measured(np.nan, 0.0, 0.0, 0.0, np.zeros(hu.shape, bool))
    row, column = np.unravel_index(worth.argmax(), worth.shape)
    rows, columns = np.ogrid[: hu.shape[0], : hu.shape[1]]
    distance = np.hypot((rows - row) * spacing[0], (columns - column) * spacing[1])
    mask = distance <= np.sqrt(CIRCLE_MM2 / np.pi)
    lesion = float(seen.shares["lesion"][mask].mean())
    share = float(seen.shares[region.tissue][mask].mean())
    return Measured(float(hu[mask].mean()), float(mask.sum() * np.prod(spacing)), share, lesion, mask)


def unmixed(hu: np.ndarray, seen: Seen) -> dict[str, float]:
    """Return the attenuation of pure white matter, cortex and deep nuclei in a slice, HU; NaN for none."""
    names = ("white_matter", "cortex", "deep_nuclei", "csf")
    used = (seen.brain > 0.98) & (seen.shares["lesion"] < 0.05)
    # Near the bone, its edge and the scanner's shading disturb.
    used &= ndimage.binary_erosion(seen.brain > 0.9, iterations=3)
    used &= (hu > -10) & (hu < 70)
    shares = np.stack([seen.shares[name][used] for name in names], axis=1)
    enough = shares.sum(axis=0) * np.prod(seen.spacing_mm) > 100
    found = dict.fromkeys(names, float("nan"))
    if enough[0]:
        solved = np.linalg.lstsq(shares[:, enough], hu[used], rcond=None)[0]
        found |= dict(zip(np.array(names)[enough].tolist(), solved.tolist(), strict=True))
    return found
