"""Automatic readings of one patient's head CT, and the reasons why they may be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import theilslopes

from postarrest.data import contract
from postarrest.models.ct_reader import regions, standard
from postarrest.models.ct_reader.regions import REGIONS, SIDES, Measured
from postarrest.models.ct_reader.standard import Seen

# The three ways of reading, and their names as readers.
READERS = {"region": "automatic, region", "circle": "automatic, circle", "unmixed": "automatic, unmixed"}
LEVELS_MM = {
    "basal ganglia": regions.BASAL_GANGLIA_MM,
    "centrum semiovale": regions.CENTRUM_MM,
    "high convexity": regions.CONVEXITY_MM,
}
# A level that is further from every slice than this is not read.
REACH_MM = 8.0
# Why a reading is doubted. The limits were fixed on simulated heads and on no study (docs/ct-reader.md).
REASONS = {
    "level": "no slice within 8 mm of the level",
    "unsure": "tissue or place not recognised with certainty",
    "lesion": "blood, infarct or defect in a region",
    "missing": "a region was not found",
    "cut off": "head cut off by the edge of the image",
    "metal": "metal in the slice",
    "contrast": "denser than brain is without contrast agent",
    "8 bits": "gray values of 8 bits, clipped to 0 to 80 HU",
    "sides": "sides differ by more than 6 HU",
    "implausible": "ratio below 0.9 or above 1.7",
}
_UNSURE_SHARE, _UNSURE_MM = 0.6, 5.0
_LESION_SHARE = 0.05
_METAL_HU, _CONTRAST_HU, _SIDES_HU = 2900.0, 50.0, 6.0
_PLAUSIBLE = (0.9, 1.7)
# Millimetres of the template per millimetre of a head: the template is as large as a large head.
_SCALE = (0.95, 1.2)


@dataclass(frozen=True)
class Level:
    """One slice that was read.

    Attributes
    ----------
    index : int
        The slice, counted from the caudal end.
    level_mm : float
        Its height above the anterior commissure.
    seen : Seen
        What the network sees in it.
    measured : dict of (region, side) to Measured
        The regions by area.
    circles : dict of (region, side) to Measured
        The same regions by circle.
    """

    index: int
    level_mm: float
    seen: Seen
    measured: dict[tuple[str, str], Measured]
    circles: dict[tuple[str, str], Measured]


@dataclass(frozen=True)
class AutomaticReading:
    """The readings of one patient.

    Attributes
    ----------
    rows : pandas.DataFrame
        ``reader, reading, region, side, mean_hu, area_mm2``: the contract's ``gwr`` table without the
        patient.
    flags : tuple of str
        Keys of :data:`REASONS`; empty if there is no doubt.
    levels : dict of str to Level
        The slice of each of :data:`LEVELS_MM` that was found.
    doubt : float
        0 for no doubt to 1: one minus the lowest sureness of a region's tissue; 1 where a region is missing.
    """

    rows: pd.DataFrame
    flags: tuple[str, ...]
    levels: dict[str, Level]
    doubt: float


def read(
    model: Any,
    slices: Sequence[np.ndarray],
    spacing_mm: tuple[float, float],
    *,
    position_mm: Sequence[float] | None = None,
    clipped: bool = False,
) -> AutomaticReading:
    """Read the eight regions on both sides wherever the CT shows them.

    Parameters
    ----------
    model : keras.Model
        From `network.load`.
    slices : sequence of numpy.ndarray, each of shape (rows, columns)
        Hounsfield units, from the caudal to the cranial end, seen from below, front at the top.
    spacing_mm : tuple of float
        Distance between the centres of rows, and of columns.
    position_mm : sequence of float, optional
        Position of each slice along the body's axis.
    clipped : bool
        Whether the values come from 8-bit gray values, cut off at 0 and 80 HU.
    """
    images = standard.inputs(slices, spacing_mm)
    out = standard.predicted(model, images)
    level_mm = of_series(standard.levels_mm(out), position_mm)
    levels, rows, flags = {}, [], set()
    for name, target_mm in LEVELS_MM.items():
        index = _nearest(level_mm, target_mm)
        if index is None:
            continue
        hu = slices[index]
        # The mirror image of each slice of a series would take as long as the slices themselves.
        own = {key: values[[index]] for key, values in out.items()}
        both = standard.with_mirror_image(model, images[[index]], own)
        seen = standard.on_own_grid({key: values[0] for key, values in both.items()}, hu, spacing_mm)
        here = {region: about for region, about in REGIONS.items() if about.level_mm == target_mm}
        places = list(product(here, SIDES))
        away = {(r, s): regions.ellipse(seen, here[r], SIDES[s]) for r, s in places}
        by_area = {place: regions.by_area(hu, seen, here[place[0]], away[place]) for place in places}
        circles = {place: regions.by_circle(hu, seen, here[place[0]], away[place]) for place in places}
        tissues = regions.unmixed(hu, seen)
        brain_mm2 = float((seen.brain > 0.5).sum() * np.prod(spacing_mm))
        for region, side in places:
            values = {
                "region": (by_area[region, side].mean_hu, by_area[region, side].area_mm2),
                "circle": (circles[region, side].mean_hu, circles[region, side].area_mm2),
                "unmixed": (tissues[here[region].tissue], brain_mm2),
            }
            rows += [(READERS[way], 1, region, side, *found) for way, found in values.items()]
        levels[name] = Level(index, float(level_mm[index]), seen, by_area, circles)
        flags |= _doubts_of_slice(hu, seen, by_area)
    if "basal ganglia" not in levels:
        flags.add("level")
    if clipped:
        flags.add("8 bits")
    table = pd.DataFrame(rows, columns=["reader", "reading", "region", "side", "mean_hu", "area_mm2"])
    table = table[table["mean_hu"].notna()].reset_index(drop=True)
    flags |= _doubts_of_ratio(table)
    sureness = [one.sureness for level in levels.values() for one in level.measured.values()]
    doubt = 1 - min(sureness, default=0.0)
    # As the table of readings is written: whoever reads a CT again gets the same ratios to the last digit.
    table = table.map(lambda value: round(value, 2) if isinstance(value, float) else value)
    return AutomaticReading(table, tuple(name for name in REASONS if name in flags), levels, doubt)


def of_series(level_mm: np.ndarray, position_mm: Sequence[float] | None) -> np.ndarray:
    """Return the levels of a series as a line over the slices' positions, robust to single wrong levels.

    The line rises as steeply as heads allow: in slices without detail, levels are drawn to the middle.
    """
    known = np.isfinite(level_mm) & (level_mm > -40) & (level_mm < 75)
    if known.sum() < 8 or position_mm is None:
        return level_mm
    position = np.asarray(position_mm, float)
    slope = np.clip(theilslopes(level_mm[known], position[known]).slope, *_SCALE)
    intercept = np.median(level_mm[known] - slope * position[known])
    return np.where(np.isfinite(level_mm), intercept + slope * position, np.nan)


def _nearest(level_mm: np.ndarray, target_mm: float) -> int | None:
    away = np.where(np.isfinite(level_mm), np.abs(level_mm - target_mm), np.inf)
    index = int(away.argmin())
    return index if away[index] <= REACH_MM else None


def _doubts_of_slice(hu: np.ndarray, seen: Seen, measured: dict[tuple[str, str], Measured]) -> set[str]:
    flags = set()
    edge = np.concatenate([seen.brain[0], seen.brain[-1], seen.brain[:, 0], seen.brain[:, -1]])
    if (edge > 0.5).any():
        flags.add("cut off")
    if (hu > _METAL_HU).any():
        flags.add("metal")
    brain = seen.brain > 0.9
    if brain.any() and np.median(hu[brain]) > _CONTRAST_HU:
        flags.add("contrast")
    found = [one for one in measured.values() if one.mask.any()]
    if len(found) < len(measured):
        flags.add("missing")
    if any(one.lesion > _LESION_SHARE for one in measured.values()):
        flags.add("lesion")
    placed_mm = [float(seen.error_mm[:, one.mask].mean()) for one in found]
    if any(one.sureness < _UNSURE_SHARE for one in found) or any(error > _UNSURE_MM for error in placed_mm):
        flags.add("unsure")
    return flags


def _doubts_of_ratio(table: pd.DataFrame) -> set[str]:
    flags = set()
    by_area = table[table["reader"] == READERS["region"]]
    sides = by_area.pivot(index="region", columns="side", values="mean_hu").reindex(columns=list(SIDES))
    if ((sides["L"] - sides["R"]).abs() > _SIDES_HU).any():
        flags.add("sides")
    mean = sides.mean(axis=1).reindex(list(REGIONS))
    ratios = [ratio for ratio in contract.ratios(mean) if np.isfinite(ratio)]
    if any(not _PLAUSIBLE[0] <= ratio <= _PLAUSIBLE[1] for ratio in ratios):
        flags.add("implausible")
    return flags
