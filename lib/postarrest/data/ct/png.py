"""PNG images of a slice in the window of level 40, width 80 HU."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from postarrest.data.ct.reading import Unreadable, damaged

SIZE = 256
_EXPECTED = f"a PNG of {SIZE} x {SIZE} pixels"
_HEAD = "a head in the window of level 40, width 80 HU, on black"


def read(path: Path) -> NDArray[np.uint8]:
    """Return the gray values of a PNG of 256 x 256 pixels; 8 or 16 bits, gray or equal red, green and blue.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If it is not such an image of a head.
    """
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            raise Unreadable("format", "a file that is not PNG", _EXPECTED)
    try:
        with warnings.catch_warnings(), damaged("a damaged PNG", _EXPECTED):
            # Pillow warns of very large images; the size is checked before anything is unpacked.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["PNG"]) as image:
                if image.size != (SIZE, SIZE):
                    raise Unreadable("size", f"{image.width} x {image.height} pixels", _EXPECTED)
                if getattr(image, "n_frames", 1) != 1:
                    raise Unreadable("format", f"an animation of {image.n_frames} images", _EXPECTED)
                gray = _gray(image)
    except OSError:  # Pillow's own, for a file that was opened above
        raise Unreadable("damaged", "a damaged PNG", _EXPECTED) from None
    _check_head(gray)
    return gray


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.max() < 2**15:
            found = f"16 bits of which the brightest is {wide.max()}"
            raise Unreadable("depth", found, "gray values that fill 8 or 16 bits")
        return np.floor(wide / 257 + 0.5).astype(np.uint8)
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] != 255).any():
        raise Unreadable("format", "a PNG with transparent parts", "an opaque image")
    if (pixels[..., :3] != pixels[..., :1]).any():
        raise Unreadable("colour", "a colour image", "gray values (or equal red, green and blue)")
    return pixels[..., 0].copy()


def _check_head(gray: NDArray[np.uint8]) -> None:
    if gray.min() == gray.max():
        raise Unreadable("head", "an image of one gray value", _HEAD)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    if np.median(border) > 200:
        raise Unreadable("head", "a bright background, as in an inverted image", _HEAD)
    if ((gray > 20) & (gray < 235)).mean() < 0.03:
        raise Unreadable("head", "hardly any gray between black and white", _HEAD)
