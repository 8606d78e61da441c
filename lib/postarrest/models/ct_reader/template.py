"""Maps of many patients brought into one space, that of the MNI template, by what the network sees."""

from typing import Any

import numpy as np
from scipy import ndimage

from postarrest.models.ct_reader.standard import Seen, see_windowed

# Columns run to the patient's left, rows to the back, in steps of 2 mm.
STEP_MM = 2.0
_X_MM, _Y_MM = np.arange(80, -81, -STEP_MM), np.arange(84, -117, -STEP_MM)
SHAPE = (len(_Y_MM), len(_X_MM))


def registered(images: np.ndarray, maps: np.ndarray, model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return slices and maps of patients in the space of the template, and the tissue of each pixel.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (n, 256, 256)
        Slices in the window of level 40, width 80 HU.
    maps : numpy.ndarray, shape (n, 256, 256)
        A map of each.
    model : keras.Model
        From `network.trained`.

    Returns
    -------
    images, maps : numpy.ndarray of float32, shape (n, *SHAPE)
        Each pixel counts where its coordinates say, by its share of brain, and gaps are filled from their
        neighbours; NaN outside the patient's brain.
    tissue : numpy.ndarray of uint8, shape (n, 256, 256)
        As from :func:`tissues`, on the patients' own slices.
    """
    parts = [
        (_one(image, seen), _one(value, seen), tissues(seen))
        for image, value, seen in zip(images, maps, see_windowed(model, images), strict=True)
    ]
    slices, values, tissue = (np.stack(part) for part in zip(*parts, strict=True))
    return slices, values, tissue


def _one(value: np.ndarray, seen: Seen) -> np.ndarray:
    """Return one patient's map on the grid of the template."""
    brain = seen.brain > 0.5
    column = np.rint((_X_MM[0] - seen.template_mm[0][brain]) / STEP_MM).astype(int)
    row = np.rint((_Y_MM[0] - seen.template_mm[1][brain]) / STEP_MM).astype(int)
    inside = (row >= 0) & (row < SHAPE[0]) & (column >= 0) & (column < SHAPE[1])
    place = np.ravel_multi_index((row[inside], column[inside]), SHAPE)
    size = SHAPE[0] * SHAPE[1]
    weight = np.bincount(place, seen.brain[brain][inside], minlength=size).reshape(SHAPE)
    total = np.bincount(place, (seen.brain * value)[brain][inside], minlength=size).reshape(SHAPE)
    weight, total = (ndimage.gaussian_filter(part, 0.8) for part in (weight, total))
    known = weight > 0.05
    return np.where(known, total / np.where(known, weight, 1), np.nan).astype(np.float32)


def tissues(seen: Seen) -> np.ndarray:
    """Return the tissue of each pixel: 0 outside the brain, 1 white matter, 2 cortex, 3 deep nuclei, 4 fluid.

    A lesion counts as white matter, in which most of them lie.
    """
    shares = seen.shares
    inside = [
        shares["white_matter"] + shares["lesion"],
        shares["cortex"],
        shares["deep_nuclei"],
        shares["csf"],
    ]
    outside = shares["air"] + shares["bone_and_scalp"]
    return np.stack([outside, *inside]).argmax(axis=0).astype(np.uint8)
