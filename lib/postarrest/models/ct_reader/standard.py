"""A slice of any size in the form that the network takes, and its answer on the slice's own grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from postarrest.models.ct_reader.network import CLASSES, SIZE, SPACING_MM, UNIT_MM, compiled

# Denser than this is head: above fat and air, also where the window of level 40, width 80 HU has cut off
# the rest.
_OUTLINE_HU = 1.0
_AIR_HU = -1000.0
# The field of view of an image that does not say its own.
FIELD_MM = 240.0
# The part of a slice in which all regions lie: to either side, and from back to front.
MIDDLE_MM = (40, -25, 35)
# One graph for each network.
_compiled = cache(compiled)


@dataclass(frozen=True)
class Seen:
    """What the network sees in a slice, on the slice's own grid.

    Attributes
    ----------
    shares : dict of str to numpy.ndarray of float32, shape (rows, columns)
        Share of each pixel that is of each of `network.CLASSES`.
    template_mm : numpy.ndarray of float32, shape (3, rows, columns)
        MNI coordinates: x to the patient's right, y to the front, z up.
    error_mm : numpy.ndarray of float32, shape (3, rows, columns)
        Expected absolute error of each coordinate.
    spacing_mm : tuple of float
        Distance between the centres of rows, and of columns.
    """

    shares: dict[str, np.ndarray]
    template_mm: np.ndarray
    error_mm: np.ndarray
    spacing_mm: tuple[float, float]

    @cached_property
    def brain(self) -> np.ndarray:
        """Share of each pixel that is brain, fluid or a lesion."""
        return 1 - self.shares["air"] - self.shares["bone_and_scalp"]

    @cached_property
    def sure(self) -> dict[str, np.ndarray]:
        """Share of each tissue of the brain around a pixel: highest deep inside the tissue."""
        around = 1.0 / np.array(self.spacing_mm)
        tissues = ("white_matter", "cortex", "deep_nuclei")
        return {name: ndimage.gaussian_filter(self.shares[name], around) for name in tissues}


def centre(hu: np.ndarray) -> tuple[float, float]:
    """Return the row and column of the middle of the head's outline."""
    parts, n = ndimage.label(ndimage.binary_opening(hu > _OUTLINE_HU, iterations=2))
    if not n:
        return (hu.shape[0] - 1) / 2, (hu.shape[1] - 1) / 2
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows, columns = np.flatnonzero(largest.any(axis=1)), np.flatnonzero(largest.any(axis=0))
    return (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2


def standardised(hu: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Return a slice as the network takes it: 160 x 160 pixels of 1.4 mm around the head, window 40 / 80 HU.

    Parameters
    ----------
    hu : numpy.ndarray, shape (rows, columns)
        Hounsfield units, seen from below, front at the top.
    spacing_mm : tuple of float
        Distance between the centres of rows, and of columns.

    Returns
    -------
    numpy.ndarray of uint8, shape (160, 160)
    """
    scale = np.divide(SPACING_MM, spacing_mm)
    # A pixel that becomes larger averages those that it covers.
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), 0.3 * np.maximum(scale - 1, 0), mode="nearest")
    steps = np.arange(SIZE) - (SIZE - 1) / 2
    rows, columns = (c + s * steps for c, s in zip(centre(hu), scale, strict=True))
    at = np.meshgrid(rows, columns, indexing="ij")
    standard = ndimage.map_coordinates(smooth, at, order=1, mode="constant", cval=_AIR_HU)
    return np.round(255 * np.clip(standard / 80, 0, 1)).astype(np.uint8)


def inputs(slices: Sequence[np.ndarray], spacing_mm: tuple[float, float]) -> np.ndarray:
    """Return slices of one spacing as the network takes them, uint8 of shape (n, 160, 160, 1)."""
    return np.stack([standardised(hu, spacing_mm) for hu in slices])[..., None]


def predicted(model: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the network's answer to slices, on its own grid of 160 x 160 pixels.

    Parameters
    ----------
    model : keras.Model
        From `network.trained`.
    images : numpy.ndarray of shape (n, 160, 160, 1)
        From :func:`inputs`.

    Returns
    -------
    dict of str to numpy.ndarray
        ``shares``, (n, 160, 160, 7), and ``template``, (n, 160, 160, 6).
    """
    run = _compiled(model)
    parts = [run(images[i : i + 16].astype(np.float32)) for i in range(0, len(images), 16)]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in ("shares", "template")}


def with_mirror_image(model: Any, images: np.ndarray, out: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the mean of the answer to slices, from :func:`predicted`, and of that to their mirror images."""
    mirrored = {name: values[:, :, ::-1] for name, values in predicted(model, images[:, :, ::-1]).items()}
    mirrored["template"] = mirrored["template"] * np.array([-1, 1, 1, 1, 1, 1], np.float32)
    return {name: (out[name] + mirrored[name]) / 2 for name in out}


def levels_mm(out: dict[str, np.ndarray]) -> np.ndarray:
    """Return the height of each slice above the anterior commissure where the regions lie; NaN without brain.

    A slice may be tilted, so its height is that of its middle part (:data:`MIDDLE_MM`).
    """
    brain = 1 - out["shares"][..., :2].sum(axis=-1)
    x, y, z = np.moveaxis(UNIT_MM * out["template"][..., :3], -1, 0)
    weight = np.where((brain > 0.5) & in_middle(x, y), brain, 0.0)
    area = weight.sum(axis=(1, 2))
    sums = (weight * z).sum(axis=(1, 2))
    # Less than 5 cm2 is no slice through a brain.
    return np.where(area * SPACING_MM**2 > 500, sums / np.maximum(area, 1), np.nan)


def in_middle(x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Return which places of the template are in the middle part, where all regions lie."""
    return (np.abs(x_mm) < MIDDLE_MM[0]) & (y_mm > MIDDLE_MM[1]) & (y_mm < MIDDLE_MM[2])


def on_own_grid(out: dict[str, np.ndarray], hu: np.ndarray, spacing_mm: tuple[float, float]) -> Seen:
    """Return the network's answer to one slice on the slice's own grid.

    Parameters
    ----------
    out : dict of str to numpy.ndarray
        ``shares``, (160, 160, 7), and ``template``, (160, 160, 6), of the network.
    hu, spacing_mm
        As for :func:`standardised`.
    """
    scale = np.divide(SPACING_MM, spacing_mm)
    rows, columns = (
        (np.arange(n) - c) / s + (SIZE - 1) / 2 for n, c, s in zip(hu.shape, centre(hu), scale, strict=True)
    )
    between_rows, between_columns = _linear(rows), _linear(columns)
    far = [np.abs(at - (SIZE - 1) / 2) > SIZE / 2 for at in (rows, columns)]
    outside = far[0][:, None] | far[1][None, :]

    def back(channel: np.ndarray) -> np.ndarray:
        return between_rows @ channel.astype(np.float32) @ between_columns.T

    shares = {name: back(out["shares"][..., i]) for i, name in enumerate(CLASSES)}
    for name in CLASSES:
        shares[name] = np.where(outside, float(name == "air"), shares[name])
    template = np.stack([UNIT_MM * back(out["template"][..., i]) for i in range(3)])
    error = np.stack([UNIT_MM * back(np.exp(out["template"][..., 3 + i])) for i in range(3)])
    return Seen(shares, template, error, tuple(spacing_mm))


def see_windowed(model: Any, images: np.ndarray) -> Iterator[Seen]:
    """Yield what the network sees in slices without a known spacing, in the window of level 40, width 80 HU.

    Without mirror images: for means over patients, which take half the time so.

    Parameters
    ----------
    model : keras.Model
        From `network.trained`.
    images : numpy.ndarray of uint8, shape (n, 256, 256)
        Gray values; the field of view is taken for :data:`FIELD_MM`.
    """
    spacing_mm = FIELD_MM / images.shape[1]
    for start in range(0, len(images), 16):
        hu = images[start : start + 16].astype(np.float32) * (80 / 255)
        out = predicted(model, inputs(hu, (spacing_mm, spacing_mm)))
        for i, one in enumerate(hu):
            yield on_own_grid({key: values[i] for key, values in out.items()}, one, (spacing_mm, spacing_mm))


def _linear(at: np.ndarray) -> np.ndarray:
    """Return the matrix that interpolates linearly at positions of the network's grid, (n, 160)."""
    at = np.clip(at, 0, SIZE - 1)
    return np.clip(1 - np.abs(at[:, None] - np.arange(SIZE)), 0, 1).astype(np.float32)
