"""PNG images of a slice in the window of level 40, width 80 HU."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from postarrest.data.ct.reading import Unreadable, damaged

SIZE = 256


def read(path: Path) -> NDArray[np.uint8]:
    """Return the gray values of a PNG of 256 x 256 pixels; 8 or 16 bits, gray or equal red, green and blue.

    Raises
    ------
    postarrest.imagefile.Unreadable
        If it is not such an image of a head.
    """
    expected = f"a PNG of {SIZE} x {SIZE} pixels"
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 26 or head[12:16] != b"IHDR":
        raise Unreadable("format", "a file that is not PNG", expected)
    # The size is read before anything is unpacked: a small file can hold an image larger than the memory.
    columns, rows = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    if (rows, columns) != (SIZE, SIZE):
        raise Unreadable("size", f"{columns} x {rows} pixels", expected)
    try:
        with damaged("a damaged PNG", expected), Image.open(path, formats=["PNG"]) as image:
            frames = getattr(image, "n_frames", 1)
            image.load()
            bands = image.getbands()
            pixels = np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)
    except OSError:  # Pillow's own, of a file that was opened above
        raise Unreadable("damaged", "a damaged PNG", expected) from None
    if frames != 1:
        raise Unreadable("format", f"an animation of {frames} images", expected)
    gray = _gray(pixels, transparent="A" in bands or (pixels.ndim == 3 and pixels.shape[2] in (2, 4)))
    _check_gray(gray)
    return gray


def _gray(pixels: NDArray, *, transparent: bool) -> NDArray[np.uint8]:
    if pixels.ndim == 3:
        if transparent:
            if (pixels[..., -1] != pixels.dtype.type(255)).any():
                raise Unreadable("format", "a PNG with transparent parts", "an opaque image")
            pixels = pixels[..., :-1]
        if (pixels != pixels[..., :1]).any():
            raise Unreadable("colour", "a colour image", "gray values (or equal red, green and blue)")
        pixels = pixels[..., 0]
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.max() < 2**15:
        raise Unreadable(
            "depth", f"16 bits of which the brightest is {pixels.max()}", "gray values that fill 8 or 16 bits"
        )
    return np.floor(pixels / 257 + 0.5).astype(np.uint8)


def _check_gray(gray: NDArray[np.uint8]) -> None:
    expected = "a head in the window of level 40, width 80 HU, on black"
    if gray.min() == gray.max():
        raise Unreadable("head", "an image of one gray value", expected)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    if np.median(border) > 200:
        raise Unreadable("head", "a bright background, as in an inverted image", expected)
    if ((gray > 20) & (gray < 235)).mean() < 0.03:
        raise Unreadable("head", "hardly any gray between black and white", expected)
