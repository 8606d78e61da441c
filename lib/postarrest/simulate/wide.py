"""Heads of far wider variety than any study's, to train the network that reads CT (`models.ct_reader`).

Everything that a study of `simulate` holds fixed or varies a little is drawn widely here: contrast between
the tissues, also inverted; deformation, atrophy and midline shift; level and tilt of the slice; lesions;
noise, blur,
shading, gain and compression. Below the level of the basal ganglia the head has a skull base, orbits and
sinuses, made of random shapes, so that a network learns not to take them for anything else.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

from postarrest.simulate import phantom
from postarrest.simulate.anatomy import Anatomy

SIZE = 160
SPACING_MM = 1.4
# What a pixel can be, in the order of `Sample.shares`.
CLASSES = ("air", "bone_and_scalp", "white_matter", "cortex", "deep_nuclei", "csf", "lesion")
# What the pooled features are trained to tell of a head, in the order of `Sample.about`.
ABOUT = ("cortex_contrast", "deep_contrast", "atrophy", "lesion", "level")


@dataclass(frozen=True)
class Sample:
    """One training slice.

    Attributes
    ----------
    image : numpy.ndarray of uint8, shape (160, 160)
        The slice in the window of level 40, width 80 HU, pixels of 1.4 mm.
    shares : numpy.ndarray of uint8, shape (160, 160, 7)
        Share of each pixel that is of each of `CLASSES`; 255 is all of it.
    template_mm : numpy.ndarray of float16, shape (160, 160, 3)
        MNI coordinates of each pixel.
    about : numpy.ndarray of float32, shape (5,)
        `ABOUT`: contrast of cortex and of deep nuclei to white matter, 10 HU; atrophy; whether there is a
        lesion; level, 50 mm.
    """

    image: np.ndarray
    shares: np.ndarray
    template_mm: np.ndarray
    about: np.ndarray


def draw(anatomy: Anatomy, rng: np.random.Generator) -> Sample:
    """Draw a head and one slice of it.

    Parameters
    ----------
    anatomy : Anatomy
        The template, down to its lower end: `load_anatomy(-70)`.
    rng : numpy.random.Generator
        Source of randomness.
    """
    level_mm = rng.uniform(-20, 66) if rng.random() < 0.75 else rng.uniform(-62, 80)
    head = _head(rng)
    points, steps = _plane(head, level_mm, rng)
    flat = points.reshape(3, -1)
    reach = np.flatnonzero(np.hypot(flat[0] / 104, (flat[1] + 12) / 128) < 1)
    points_in = flat[:, reach]

    def texture(sd: float, coarse: int) -> np.ndarray:
        return sd * phantom.smooth_field(rng, coarse=coarse, size=SIZE).ravel()[reach]

    textures = {
        "sulci": texture(rng.uniform(0.3, 1.6), int(rng.integers(14, 40))),
        "ribbon": texture(rng.uniform(0.1, 0.9), int(rng.integers(18, 48))),
        "thickness": texture(1.0, int(rng.integers(4, 12))),
    }
    hu_in, parts = 0, 0
    for step in steps:
        at = points_in + step[:, None]
        maps = anatomy.at(at)
        hu_step, parts_step = phantom.compose(head, maps, at, textures)
        hu_step = _skull_base(hu_step, maps[4], at, textures)
        hu_in, parts = hu_in + hu_step / len(steps), parts + parts_step / len(steps)
    image = np.full(SIZE * SIZE, -1000.0, np.float32)
    image[reach] = hu_in
    shares = np.zeros((len(CLASSES), SIZE * SIZE), np.float32)
    shares[2:6, reach] = parts
    image, shares = image.reshape(SIZE, SIZE), shares.reshape(-1, SIZE, SIZE)
    if rng.random() < 0.3:
        image -= _leukoaraiosis(points, rng) * shares[2]
    image, shares = _lesions(image, shares, rng)
    image = np.maximum(image, _holder(rng))
    within = 1 - shares.sum(axis=0)
    shares[0] = within * (image < -250)
    shares[1] = within - shares[0]
    white = phantom.WHITE_HU + head.baseline_hu
    cortex = phantom.CORTEX_HU + head.baseline_hu + head.cortex_hu - phantom.CORTEX_LOSS_HU * head.severity
    deep = phantom.DEEP_HU + head.baseline_hu + head.deep_hu - phantom.DEEP_LOSS_HU * head.severity
    lesion = float(shares[6].sum() > 10)
    about = [(cortex - white) / 10, (deep - white) / 10, head.atrophy, lesion, level_mm / 50]
    return Sample(
        _scanned(image, rng),
        np.round(255 * np.moveaxis(np.clip(shares, 0, 1), 0, -1)).astype(np.uint8),
        np.moveaxis(points, 0, -1).astype(np.float16),
        np.array(about, np.float32),
    )


def _head(rng: np.random.Generator) -> phantom.Head:
    """Draw a head; its contrast does not depend on its severity, which here only effaces sulci."""
    size = rng.uniform(0.86, 1.08) * (1 + 0.05 * rng.standard_normal(3))
    tilt = np.deg2rad([rng.uniform(-20, 20), rng.uniform(-7, 7), rng.uniform(-26, 26)])
    severity = rng.uniform(-1, 4)
    # Swollen gray matter may be as dark as white matter, or darker.
    contrast = rng.uniform(-3, 15)
    cortex, deep = contrast + 1.5 * rng.standard_normal(2) - np.array([0, 2])
    white = rng.uniform(20, 35)
    return phantom.Head(
        to_template=np.diag(1 / size) @ Rotation.from_euler("XYZ", tilt).as_matrix().T,
        shift_mm=rng.uniform(-9, 9, 2),
        warp_mm=rng.uniform(0.5, 4.5) * rng.standard_normal((2, 5, 5)),
        level_mm={},
        severity=severity,
        atrophy=rng.uniform(-2, 3.6),
        baseline_hu=white - phantom.WHITE_HU,
        cortex_hu=white
        + cortex
        - phantom.CORTEX_HU
        - (white - phantom.WHITE_HU)
        + phantom.CORTEX_LOSS_HU * severity,
        deep_hu=white + deep - phantom.DEEP_HU - (white - phantom.WHITE_HU) + phantom.DEEP_LOSS_HU * severity,
        skull_mm=rng.uniform(3.5, 12),
        scalp_mm=rng.uniform(2, 12),
        fat_share=rng.uniform(0, 1),
        calcified=rng.random(3) < 0.5,
        csf_hu=rng.uniform(0, 14),
        sharpness=rng.uniform(0.8, 3.5),
    )


def _plane(head: phantom.Head, level_mm: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the template coordinates of the slice's middle, and steps through its thickness."""
    at = ((SIZE - 1) / 2 - np.arange(SIZE)) * SPACING_MM
    x, y = np.broadcast_to(at[None, :], (SIZE, SIZE)), np.broadcast_to(at[:, None], (SIZE, SIZE))
    local = np.stack([x - head.shift_mm[0], y - head.shift_mm[1], np.zeros_like(x)])
    finer = rng.uniform(0, 1.6) * rng.standard_normal((2, 11, 11))
    local[:2] += [phantom.upsample(w, SIZE) for w in head.warp_mm]
    local[:2] += [phantom.upsample(w, SIZE) for w in finer]
    local[2] += phantom.upsample(1.5 * rng.standard_normal((4, 4)), SIZE)
    centre = np.array([0.0, -18.0, level_mm])
    points = np.einsum("ij,jrc->irc", head.to_template, local) + centre[:, None, None]
    x, y, z = points
    nearness = np.exp(-((x / 32) ** 2 + ((y + 12) / 48) ** 2 + ((z - 12) / 18) ** 2))
    points[0] = x * (1 - np.clip(0.15 + 0.17 * head.atrophy, -0.15, 0.6) * nearness)
    if rng.random() < 0.15:
        # Midline shift: one hemisphere pushes the middle of the other aside.
        push = rng.uniform(3, 11) * rng.choice([-1, 1])
        points[0] += push * np.exp(
            -((x / 25) ** 2 + ((y - rng.uniform(-40, 30)) / 40) ** 2 + ((z - 10) / 40) ** 2)
        )
    thickness = rng.uniform(0.5, 8)
    steps = [head.to_template @ np.array([0.0, 0.0, t]) for t in (-thickness / 4, thickness / 4)]
    return points.astype(np.float32), np.array(steps, np.float32)


def _skull_base(hu: np.ndarray, depth: np.ndarray, points: np.ndarray, textures: dict) -> np.ndarray:
    """Return the HU with bone, air, fat and muscle of random shape around the lower brain, and two orbits."""
    x, y, z = points
    low = np.clip((-6 - z) / 14, 0, 1)
    # The face, in front of the brain and below it.
    face = np.clip(1.15 - np.hypot(x / 72, (y - 28) / 72), 0, 0.15) / 0.15
    around = (depth < -1.5) & (face > 0) & (low > 0)
    kind = textures["thickness"] + 0.6 * textures["sulci"] / max(textures["sulci"].std(), 1e-3)
    made = np.select([kind > 0.7, kind < -1.0, kind < -0.4], [700.0, -950.0, -80.0], 50.0)
    for side in (-1, 1):
        r = np.sqrt((x - side * 32) ** 2 + (y - 62) ** 2 + (z + 34) ** 2)
        made = np.where(r < 12.5, 15.0, np.where((r < 20) & (kind > -1.5), -85.0, made))
    made = np.where(hu < -900, made * face - 1000 * (1 - face), made)
    return np.where(around, low * made + (1 - low) * hu, hu)


def _leukoaraiosis(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how much darker white matter is around the ventricles, HU."""
    x, y, z = points
    away = np.sqrt((x / 30) ** 2 + ((y + 12) / 55) ** 2 + ((z - 20) / 22) ** 2)
    patches = 1 + 0.5 * phantom.smooth_field(rng, coarse=10, size=SIZE)
    return rng.uniform(2, 11) * np.exp(-(away**2)) * np.clip(patches, 0, 2)


def _holder(rng: np.random.Generator) -> np.ndarray:
    """Return a head holder of random shape, or none, as an image of air."""
    if rng.random() < 0.3:
        return np.full((SIZE, SIZE), -1000.0, np.float32)
    at = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    radius = np.hypot(
        at[None, :] * rng.uniform(0.8, 1.1) + rng.uniform(-8, 8), at[:, None] + rng.uniform(-25, 10)
    )
    shell = np.clip(rng.uniform(1, 3) - np.abs(radius - rng.uniform(102, 122)), 0, 1)
    return -1000 + rng.uniform(900, 1400) * shell * (at[:, None] > rng.uniform(0, 50))


def _lesions(
    image: np.ndarray, shares: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return image and shares with an infarct, an old defect or a haemorrhage in one slice of five."""
    if rng.random() < 0.2:
        brain = shares[2:6].sum(axis=0)
        rows, columns = np.nonzero(brain > 0.9)
        if len(rows) > 200:
            i = rng.integers(len(rows))
            r, c = np.ogrid[:SIZE, :SIZE]
            radius = rng.uniform(4, 26) * rng.uniform(0.7, 1.4, 2) / SPACING_MM
            field = phantom.smooth_field(rng, coarse=12, size=SIZE)
            away = np.hypot((r - rows[i]) / radius[0], (c - columns[i]) / radius[1]) + 0.25 * field
            there = np.clip((1.1 - away) / 0.2, 0, 1) * brain
            hu = rng.choice([rng.uniform(45, 85), rng.uniform(10, 24), rng.uniform(2, 12)])
            image = image * (1 - there) + hu * there
            shares[2:6] *= 1 - there
            shares[6] = there
    if rng.random() < 0.06:
        # Blood between the brain and the skull, or in the ventricles.
        image = image + shares[5] * rng.uniform(15, 50)
    return image, shares


def _scanned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the slice as a scanner and an archive give it: blurred, shaded, noisy, windowed, compressed."""
    # A template that is the mean of many heads is as soft as the widest of these.
    blur = rng.uniform(1.2, 3) if rng.random() < 0.12 else rng.uniform(0.2, 1.4)
    image = ndimage.gaussian_filter(image, blur, mode="nearest")
    shading = rng.uniform(0, 3.5) * phantom.smooth_field(rng, coarse=3, size=SIZE)
    noise = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    if rng.random() < 0.7:
        noise = ndimage.gaussian_filter(noise, rng.uniform(0.3, 1.0))
        noise -= rng.uniform(0, 1) * ndimage.gaussian_filter(noise, 2.0)
    image = image + shading + rng.uniform(0, 7) * noise / noise.std()
    image = (image - 40) * rng.uniform(0.85, 1.15) + 40 + rng.uniform(-4, 4)
    shown = np.round(255 * np.clip(image / 80, 0, 1)).astype(np.uint8)
    if rng.random() < 0.15:
        n = int(rng.integers(70, SIZE))
        shown = np.asarray(Image.fromarray(shown).resize((n, n)).resize((SIZE, SIZE)))
    if rng.random() < 0.2:
        file = io.BytesIO()
        Image.fromarray(shown).save(file, "JPEG", quality=int(rng.integers(30, 95)))
        shown = np.asarray(Image.open(file))
    return shown
