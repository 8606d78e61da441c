"""What the readers of all image formats share: errors, size limits, and which slice is meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# An image beyond these is not a head CT, and reading it could fill the memory.
MOST_PIXELS = 4096
MOST_SLICES = 5000
MOST_FILE_BYTES = 2 * 2**30
# Whether a PNG must have 256 x 256 pixels, or an image of any size is padded and resampled to it.
ImageSize = Literal["exact", "fit"]


class Unreadable(Exception):
    """An error in an image: the rule it breaks, what was found, what is expected.

    `file` is the name of the file, if there are several. It may contain a patient's id.
    """

    file = ""

    def __init__(self, rule: str, found: str, expected: str):
        self.rule, self.found, self.expected = rule, found, expected
        super().__init__(found)


@dataclass(frozen=True)
class Remark:
    """What a person should know of an image that can be read.

    Parameters
    ----------
    rule : str
        What it is about, in a word or two: remarks of one rule are counted together.
    found, expected : str
        What is in the image, and what is usual.
    """

    rule: str
    found: str
    expected: str


@contextmanager
def damaged(what: str, expected: str) -> Iterator[None]:
    """Report a damaged file, whatever its parser raises: parsers of image files raise almost anything.

    Raises
    ------
    Unreadable
        For any exception except those that say more: `Unreadable` itself and the file system's.
    """
    try:
        yield
    except (Unreadable, OSError):
        raise
    except Exception as error:
        raise Unreadable("damaged", f"{what} ({type(error).__name__})", expected) from None


def check_size(path: Path) -> None:
    """Refuse a file that is empty or far larger than a head CT."""
    size = path.stat().st_size
    if size == 0:
        raise Unreadable("empty", "a file of 0 bytes", "an image")
    if size > MOST_FILE_BYTES:
        raise Unreadable("size", f"{size / 2**30:.1f} GB", f"at most {MOST_FILE_BYTES / 2**30:.0f} GB")


def chosen(along: NDArray[np.float64], index: int | None, position_mm: float | None) -> int:
    """Return which slice is meant.

    Parameters
    ----------
    along : ndarray
        Position of the slices along the body (mm), increasing towards the head.
    index : int or None
        Counted from 0 at the caudal end.
    position_mm : float or None
        The nearest slice is meant.

    Raises
    ------
    Unreadable
        If there are several slices and no choice, or the choice is outside the series.
    """
    count = len(along)
    if index is not None:
        if not 0 <= index < count:
            raise Unreadable("slice", f"ct_slice {index} in a series of {count} slices", f"0 to {count - 1}")
        return index
    if position_mm is not None:
        nearest = int(np.argmin(np.abs(along - position_mm)))
        reach = np.median(np.diff(along)) if count > 1 else 10
        if abs(along[nearest] - position_mm) > reach:
            found = f"ct_position_mm {position_mm:g} in a series from {along[0]:g} to {along[-1]:g} mm"
            raise Unreadable("slice", found, "a position within the series")
        return nearest
    if count > 1:
        expected = "a choice of slice: ct_slice or ct_position_mm"
        raise Unreadable("slice", f"a series of {count} slices", expected)
    return 0
