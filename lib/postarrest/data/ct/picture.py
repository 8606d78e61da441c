"""PNG and JPEG images of a slice in the window of level 40, width 80 HU."""

import mmap
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from postarrest.data.ct.looks import check_gray
from postarrest.data.ct.reading import MOST_PIXELS, ImageSize, Unreadable, damaged

SIZE = 256
PICTURES = (".png", ".jpg", ".jpeg")
_LEAST_PIXELS = 64
_SIZED = f"a PNG of {SIZE} x {SIZE} pixels"
_FIT = f"{_SIZED}, or image_size: fit, which pads and resamples other sizes"
_ANY = f"a PNG or JPEG of {_LEAST_PIXELS} to {MOST_PIXELS} pixels per side"
# By a PNG's kind of colour: gray, colour, palette, gray and colour with transparency.
_VALUES_PER_PIXEL = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}


def read(path: Path, *, image_size: ImageSize = "exact") -> tuple[NDArray[np.uint8], str]:
    """Return the gray values of an image and its format; 8 or 16 bits, gray or equal red, green and blue.

    Parameters
    ----------
    path : pathlib.Path
        ``.png``, ``.jpg`` or ``.jpeg``.
    image_size : str
        ``"exact"`` reads only a PNG of 256 x 256 pixels; ``"fit"`` also other sizes, and JPEG, as they are.

    Raises
    ------
    postarrest.data.ct.reading.Unreadable
        If it is not such an image of a head.
    """
    kind = "PNG" if path.name.lower().endswith(".png") else "JPEG"
    with path.open("rb") as file:
        if not file.read(8).startswith(_SIGNATURES[kind]):
            raise Unreadable("format", f"a file that is not {kind}", f"a {kind}, as its name says")
    if kind == "JPEG" and image_size == "exact":
        raise Unreadable("format", "a JPEG", _FIT)
    cut_off = (f"a {kind} damaged or cut off", "the whole file")
    if not _has_end(path, kind):
        raise Unreadable("damaged", *cut_off)
    try:
        with warnings.catch_warnings(), damaged(*cut_off):
            # Pillow warns of very large images; the size is checked before anything is unpacked.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=[kind]) as image:
                _check_size(image.size, image_size)
                if getattr(image, "n_frames", 1) != 1:
                    raise Unreadable("format", f"an animation of {image.n_frames} images", "one image")
                if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                    found = "an image that is to be turned before it is shown, as of a camera"
                    raise Unreadable("orientation", found, "upright pixels, the front of the head at the top")
                gray = _gray(image)
    except OSError:  # Pillow's own, for a file that was opened above
        raise Unreadable("damaged", *cut_off) from None
    check_gray(gray)
    return gray, kind


def _check_size(size: tuple[int, int], image_size: ImageSize) -> None:
    fits = all(_LEAST_PIXELS <= side <= MOST_PIXELS for side in size)
    if not (fits if image_size == "fit" else size == (SIZE, SIZE)):
        expected = _ANY if image_size == "fit" else _FIT if fits else _SIZED
        raise Unreadable("size", f"{size[0]} x {size[1]} pixels", expected)


def _has_end(path: Path, kind: str) -> bool:
    """Return whether a file has its end; decoders fill up the last rows, or forgive that they are missing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if kind == "PNG":
            chunks = list(_chunks(content))
            return any(name == b"IEND" for name, _ in chunks) and _has_all_rows(chunks)
        # The last scan is closed.
        return content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda")


def _has_all_rows(chunks: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a PNG holds as many rows as its header says, unless they are interlaced."""
    header = next((content for name, content in chunks if name == b"IHDR"), b"")
    if len(header) != 13:
        return False
    columns, rows, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced or columns > MOST_PIXELS or rows > MOST_PIXELS:
        return True
    # A row begins with the number of its filter.
    expected = rows * (1 + (columns * bits * _VALUES_PER_PIXEL.get(colour, 1) + 7) // 8)
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    try:
        return len(zlib.decompressobj().decompress(packed, expected)) == expected
    except zlib.error:
        return False


def _chunks(content: mmap.mmap) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and contents of a PNG's chunks that are complete."""
    place = 8
    while place + 12 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if end > len(content):
            return
        yield content[place + 4 : place + 8], content[place + 8 : end - 4]
        place = end


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
