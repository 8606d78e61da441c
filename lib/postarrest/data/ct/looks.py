"""Whether an image looks like a slice of a head, judged by its gray values or Hounsfield units alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from postarrest.data.ct.reading import Remark, Unreadable

_HEAD = "a head in the window of level 40, width 80 HU, on black"
# On slices of a real head, cut and enlarged in 200 ways, the skull was the outermost bright thing in at least
# 94 % of directions; on photographs and noise, in at most 50 %.
_DIRECTIONS, _LEAST_SKULL = 72, 0.7
_DARK, _BRIGHT = 40, 230
# In the same slices, from the basal ganglia up, 4 to 96 % of the brain's gray values span 96 or more of 255
# steps, and at most 48 in a window of 350 HU; those of simulated heads, 70 or more.
_LEAST_SPREAD = 55
_BRAIN_HU = (0, 80)
_THUMBNAIL = 64
# Of slices in one series, those next to each other are alike: see `unlike`.
_MARGIN = 0.01


def check_gray(gray: NDArray[np.uint8]) -> None:
    """Refuse gray values that are not those of a head on black, in the window of level 40, width 80 HU.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If they are constant, inverted, black and white, or without black around a skull.
    """
    if gray.min() == gray.max():
        raise Unreadable("head", "an image of one gray value", _HEAD)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    if np.median(border) > 200:
        raise Unreadable("head", "a bright background, as in an inverted image", _HEAD)
    if ((gray > 20) & (gray < 235)).mean() < 0.03:
        raise Unreadable("head", "hardly any gray between black and white", _HEAD)
    if _dark_corners(gray) < 2 or _skull(gray) < _LEAST_SKULL:
        raise Unreadable("head", "no skull on black, as in a photograph or noise", _HEAD)


def narrow_range(gray: NDArray[np.uint8]) -> Iterator[Remark]:
    """Yield a remark if the brain's gray values are so alike as in a much wider window than 80 HU."""
    bright, most = gray >= _BRIGHT, np.maximum.accumulate
    inside = (
        most(bright, 1) & most(bright[:, ::-1], 1)[:, ::-1] & most(bright, 0) & most(bright[::-1], 0)[::-1]
    )
    brain = gray[inside & ~bright & (gray > 0)]
    if len(brain) and (spread := np.subtract(*np.percentile(brain, [96, 4]))) < _LEAST_SPREAD:
        found = f"gray values of the brain within {spread:.0f} of 255 steps, as in a window of 350 HU"
        yield Remark("window", found, f"{_LEAST_SPREAD} steps or more, as in a window of 80 HU")


def unlike(hu: NDArray, neighbours: Sequence[NDArray]) -> Iterator[Remark]:
    """Yield a remark if a slice is less like both its neighbours than they are like each other.

    Slices of one head change steadily: this is not so if the slice is of another patient, or lies elsewhere.

    Parameters
    ----------
    hu : ndarray
        The slice.
    neighbours : sequence of two ndarrays of the same shape
        The slices below and above.
    """
    own, below, above = (_thumbnail(one) for one in (hu, *neighbours))
    with np.errstate(invalid="ignore"):  # a slice of air has no correlation
        like_each_other = np.corrcoef(below, above)[0, 1]
        like_own = max(np.corrcoef(own, below)[0, 1], np.corrcoef(own, above)[0, 1])
    if like_own < like_each_other - _MARGIN:
        found = f"a slice unlike its neighbours (r {like_own:.2f}, theirs {like_each_other:.2f})"
        yield Remark("neighbours", found, "slices of one patient, moving steadily")


def _thumbnail(hu: NDArray) -> NDArray:
    brain = np.clip(hu, *_BRAIN_HU)
    step = max(1, max(brain.shape) // _THUMBNAIL)
    return ndimage.uniform_filter(brain, step)[::step, ::step].ravel()


def _dark_corners(gray: NDArray[np.uint8]) -> int:
    n = max(2, round(min(gray.shape) * 0.06))
    corners = (gray[:n, :n], gray[:n, -n:], gray[-n:, :n], gray[-n:, -n:])
    return sum(np.median(corner) < _DARK for corner in corners)


def _skull(gray: NDArray[np.uint8]) -> float:
    """Return the share of directions in which something bright has mostly dark outside of it."""
    rows, columns = gray.shape
    middle = ndimage.center_of_mass(gray.astype(float))
    angle = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    away = np.arange(max(rows, columns))
    y = np.rint(middle[0] + np.outer(np.sin(angle), away)).astype(int)
    x = np.rint(middle[1] + np.outer(np.cos(angle), away)).astype(int)
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    values = gray[y.clip(0, rows - 1), x.clip(0, columns - 1)]
    bright = inside & (values >= _BRIGHT)
    # From the outermost bright pixel outwards, where most must be darker than what is in the head.
    beyond = inside & (np.cumsum(bright[:, ::-1], axis=1)[:, ::-1] == 0)
    dark = (beyond & (values < 100)).sum(axis=1) >= beyond.sum(axis=1) / 2
    return float((bright.any(axis=1) & dark).mean())
