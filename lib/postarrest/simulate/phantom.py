"""Axial head CT slices of simulated patients, on the anatomy of the MNI152 template.

Coordinates are MNI, in mm (x to the right, y to the front, z up). Images are in radiological orientation: the
patient's right is on the left, the front at the top.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation

from postarrest.simulate.anatomy import Anatomy

SIZE = 256
# A field of view of 240 mm.
SPACING_MM = 0.9375
THICKNESS_MM = 5.0
# The three levels of the published measurements: height above the anterior commissure, mm.
LEVELS_MM = {"basal_ganglia": 7.0, "centrum_semiovale": 36.0, "high_convexity": 54.0}
# The codes of the tissue maps.
TISSUES = {"outside": 0, "white_matter": 1, "cortex": 2, "deep_nuclei": 3, "csf": 4}
_PARTS = tuple(TISSUES)[1:]
# Attenuation without injury, HU.
WHITE_HU = 28.0
CORTEX_HU = 39.1
DEEP_HU = 36.8
CSF_HU = 6.0
# Loss of attenuation per within-outcome standard deviation of severity, HU. It is larger in cortex, where
# partial volume hides some of it, so that the measured attenuation of both falls equally.
CORTEX_LOSS_HU = 1.29
DEEP_LOSS_HU = 1.11
# Standard deviations between patients that do not depend on the injury, HU: of the whole brain, and of cortex
# and deep nuclei separately.
BASELINE_SD_HU = 1.3
CORTEX_SD_HU = 0.95
DEEP_SD_HU = 0.65


@dataclass(frozen=True)
class Head:
    """How one patient's head differs from the template, the same in all slices.

    Attributes
    ----------
    to_template : numpy.ndarray, shape (3, 3)
        Rotation and scaling from patient to template coordinates.
    shift_mm : numpy.ndarray, shape (2,)
        Distance of the head from the scanner's centre, to the right and to the front.
    warp_mm : numpy.ndarray, shape (2, 5, 5)
        In-plane displacements on a coarse grid.
    level_mm : dict of str to float
        Distance of each slice from its level.
    severity, atrophy : float
        The latent variables of the patient.
    baseline_hu, cortex_hu, deep_hu : float
        The patient's deviation in attenuation: of the whole brain, and in addition of cortex and deep nuclei.
    skull_mm, scalp_mm, fat_share : float
        Thickness of calvarium and scalp, and the share of fat in the latter.
    calcified : numpy.ndarray of bool, shape (3,)
        Whether the pineal gland, the right and the left choroid plexus are calcified.
    csf_hu : float
        Attenuation of cerebrospinal fluid.
    sharpness : float
        Power of the odds of the template's tissues. The template is the mean of 152 brains: at 1 its
        borders are as soft as in that mean, at 2.2 as sharp as in one brain.
    """

    to_template: np.ndarray
    shift_mm: np.ndarray
    warp_mm: np.ndarray
    level_mm: dict[str, float]
    severity: float
    atrophy: float
    baseline_hu: float
    cortex_hu: float
    deep_hu: float
    skull_mm: float
    scalp_mm: float
    fat_share: float
    calcified: np.ndarray
    csf_hu: float = CSF_HU
    sharpness: float = 2.2


def draw_head(rng: np.random.Generator, *, severity: float, atrophy: float) -> Head:
    """Draw one patient's anatomy, position and attenuation.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    severity : float
        Of the injury, in within-outcome standard deviations; 0 is the mean of good outcomes.
    atrophy : float
        Standard normal; higher values mean wider ventricles and sulci.

    Returns
    -------
    Head
        The patient's geometry and attenuation.
    """
    # First size, then shape; the template is a little larger than most heads.
    size = np.array([0.97, 0.96, 1.0]) * (1 + 0.03 * rng.standard_normal())
    size = size * (1 + 0.02 * rng.standard_normal(3))
    pitch, roll, yaw = np.deg2rad([3.0, 1.8, 4.0]) * rng.standard_normal(3)
    rotation = Rotation.from_euler("XYZ", [pitch, -roll, yaw]).as_matrix()
    return Head(
        to_template=np.diag(1 / size) @ rotation.T,
        shift_mm=np.array([4.0, 5.0]) * rng.standard_normal(2),
        warp_mm=1.7 * rng.standard_normal((2, 5, 5)),
        level_mm=dict(zip(LEVELS_MM, np.array([1.5, 2.0, 2.0]) * rng.standard_normal(3), strict=True)),
        severity=severity,
        atrophy=atrophy,
        baseline_hu=BASELINE_SD_HU * rng.standard_normal(),
        cortex_hu=CORTEX_SD_HU * rng.standard_normal(),
        deep_hu=DEEP_SD_HU * rng.standard_normal(),
        skull_mm=float(np.clip(6.8 + 1.2 * rng.standard_normal(), 4, 11)),
        scalp_mm=float(np.clip(5.5 + 1.3 * rng.standard_normal(), 3, 10)),
        fat_share=float(rng.uniform(0.3, 0.9)),
        calcified=rng.random(3) < np.array([0.55, 0.45, 0.45]),
    )


def on_scanner(head: Head, *, gray_shift_hu: float, white_shift_hu: float) -> Head:
    """Return a head as another scanner shows it: gray and white matter brighter or darker.

    Scanners differ by 0.98 to 10.3 HU in gray matter and 1.05 to 7.55 HU in white matter (Oh et al., 2019).
    """
    further = gray_shift_hu - white_shift_hu
    return replace(
        head,
        baseline_hu=head.baseline_hu + white_shift_hu,
        cortex_hu=head.cortex_hu + further,
        deep_hu=head.deep_hu + further,
    )


@dataclass(frozen=True)
class Slice:
    """One simulated slice.

    Attributes
    ----------
    hu : numpy.ndarray of float32, shape (256, 256)
        Attenuation, HU.
    tissue : numpy.ndarray of uint8, shape (256, 256)
        The tissue with the largest share of each pixel, see `TISSUES`.
    fractions : dict of str to numpy.ndarray
        Share of each pixel that is white matter, cortex, deep nuclei and cerebrospinal fluid.
    template_mm : numpy.ndarray, shape (3, 256, 256)
        MNI coordinates of each pixel's centre.
    """

    hu: np.ndarray
    tissue: np.ndarray
    fractions: dict[str, np.ndarray]
    template_mm: np.ndarray


def render(
    anatomy: Anatomy, head: Head, *, level: str, noise_sd_hu: float, rng: np.random.Generator
) -> Slice:
    """Simulate one slice of one patient.

    Parameters
    ----------
    anatomy : Anatomy
        The template.
    head : Head
        The patient.
    level : str
        A key of `LEVELS_MM`.
    noise_sd_hu : float
        Standard deviation of the noise of a pixel, HU.
    rng : numpy.random.Generator
        Source of the patient's own sulci and of the noise.

    Returns
    -------
    Slice
        Attenuation, tissue and coordinates on one grid.
    """
    middle, steps = _plane(head, level)
    # Only the head is sampled: around it are air and the head holder.
    reach = np.hypot(middle[0] / 98, (middle[1] + 18) / 122) < 1
    points = middle[:, reach]
    texture = {
        "sulci": 0.7 * smooth_field(rng, coarse=26)[reach],
        "ribbon": 0.4 * smooth_field(rng, coarse=32)[reach],
        "thickness": smooth_field(rng, coarse=6)[reach],
    }
    total, shares = 0, 0
    for step in steps:
        at = points + step[:, None]
        hu, parts = compose(head, anatomy.at(at), at, texture)
        total, shares = total + hu / len(steps), shares + parts / len(steps)

    image = _holder()
    image[reach] = np.maximum(image[reach], total)
    # The scanner's point spread function has a standard deviation of 0.62 mm.
    image = ndimage.gaussian_filter(image, 0.62 / SPACING_MM, mode="nearest")
    image += _noise(rng, noise_sd_hu)
    fractions = np.zeros((len(_PARTS), SIZE, SIZE), np.float32)
    fractions[:, reach] = shares
    tissue = np.zeros((SIZE, SIZE), np.uint8)
    tissue[reach] = np.where(shares.sum(0) > 0.5, shares.argmax(0) + 1, 0)
    hu = np.clip(np.round(image), -1024, 3071)
    return Slice(hu, tissue, dict(zip(_PARTS, fractions, strict=True)), middle)


def _plane(head: Head, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the template coordinates of the slice's middle, and the steps through its thickness."""
    at = ((SIZE - 1) / 2 - np.arange(SIZE)) * SPACING_MM
    # Radiological: columns run to the patient's left, rows to the back.
    x, y = np.broadcast_to(at[None, :], (SIZE, SIZE)), np.broadcast_to(at[:, None], (SIZE, SIZE))
    local = np.stack([x - head.shift_mm[0], y - head.shift_mm[1], np.full_like(x, head.level_mm[level])])
    local[:2] += [upsample(w) for w in head.warp_mm]
    # The middle of the head in the template is at the centre of the scanner.
    centre = np.array([0.0, -18.0, LEVELS_MM[level]])
    points = np.einsum("ij,jrc->irc", head.to_template, local) + centre[:, None, None]
    # Wide ventricles displace the surrounding tissue, which is nearer the midline in the template.
    x, y, z = points
    nearness = np.exp(-((x / 32) ** 2 + ((y + 12) / 48) ** 2 + ((z - 12) / 18) ** 2))
    points[0] = x * (1 - np.clip(0.15 + 0.14 * head.atrophy, -0.1, 0.5) * nearness)
    # The slice is sampled at three positions through its thickness.
    steps = np.array([head.to_template @ np.array([0.0, 0.0, t]) for t in (-1.65, 0.0, 1.65)])
    return points.astype(np.float32), steps.astype(np.float32)


def upsample(coarse: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Return a smooth surface through a coarse grid, on a square grid of `size`."""
    n = len(coarse)
    # Cubic B-splines along the rows, which are also those along the columns.
    weights = BSpline.design_matrix(np.linspace(0, n - 1, size), np.arange(-3, n + 3), 3).toarray()
    edged = np.pad(coarse, 1, mode="edge")
    return (weights @ edged @ weights.T).astype(np.float32)


def smooth_field(rng: np.random.Generator, *, coarse: int, size: int = SIZE) -> np.ndarray:
    """Return a smooth random surface of standard deviation 1 on a square grid of `size`."""
    field = upsample(rng.standard_normal((coarse, coarse)), size)
    return field / field.std()


def compose(head: Head, maps: np.ndarray, points: np.ndarray, texture: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the HU, shape (n,), and the shares of the tissues, shape (4, n), of points in a thin plane."""
    white, gray, deep, ventricle, depth = maps
    # The patient's own terms widen or narrow the fluid spaces.
    fluid = np.clip(1 - white - gray, 0, 1)
    effaced = np.logaddexp(0, head.severity)
    in_sulci = 0.9 + 0.8 * head.atrophy - 0.35 * effaced + texture["sulci"]
    in_ventricles = 0.5 + 0.7 * head.atrophy - 0.1 * effaced
    odds = np.stack([white, gray, fluid]) + 0.004
    odds **= head.sharpness
    odds[0] *= np.exp(-texture["ribbon"] * (1 - deep))
    odds[2] *= np.exp(ventricle * in_ventricles + (1 - ventricle) * in_sulci)
    odds *= soft_step(depth + 0.3, 0.6) / odds.sum(0)
    gap_mm = np.clip(1.3 + 0.6 * head.atrophy - 0.2 * effaced, 0.5, None)
    wm, gm, _ = odds
    parts = np.stack(
        [wm, gm * (1 - deep), gm * deep, np.clip(soft_step(depth + gap_mm, 0.5) - wm - gm, 0, 1)]
    )
    own = head.baseline_hu
    attenuation = [
        WHITE_HU + own,
        CORTEX_HU + own + head.cortex_hu - CORTEX_LOSS_HU * head.severity,
        DEEP_HU + own + head.deep_hu - DEEP_LOSS_HU * head.severity,
        head.csf_hu,
    ]
    hu = np.array(attenuation, dtype=np.float32) @ parts
    # The sagittal sinus fills the groove along the midline with blood.
    hu += parts[3] * 40 * np.exp(-((points[0] / 5) ** 2)) * np.clip((8 - depth) / 4, 0, 1)
    around = _around(head, gap_mm + depth, points, texture["thickness"])
    return hu + around + _extras(head, depth, points), parts


def soft_step(value: np.ndarray, width_mm: float) -> np.ndarray:
    """Return 0 below zero and 1 above, with a linear edge between."""
    return np.clip(value / width_mm + 0.5, 0, 1)


def _around(head: Head, inside_mm: np.ndarray, points: np.ndarray, thickness: np.ndarray) -> np.ndarray:
    """Return the HU of skull, scalp and air by their distance from the inner table; 0 inside it."""
    x, y, z = points
    out = -inside_mm
    # The skull is thin at the temples, where it is covered by muscle.
    temple = np.exp(-(((y - 12) / 26) ** 2)) * np.clip((np.abs(x) - 35) / 20, 0, 1)
    temple = temple * np.clip((34 - z) / 20, 0, 1)
    skull = head.skull_mm * (1 + 0.12 * thickness) * (1 - 0.45 * temple)
    muscle = 7.0 * temple
    scalp = head.scalp_mm * (1 + 0.1 * thickness) * (1 - 0.3 * temple)
    edges = [soft_step(out - at, 0.5) for at in (0, skull, skull + muscle, skull + muscle + scalp)]
    diploe = np.clip(1 - np.abs(out / skull - 0.5) / 0.28, 0, 1)
    # There is fat between the aponeurosis on the bone and the skin.
    place = (out - skull - muscle) / scalp
    fat = np.clip((place - 0.22) / 0.1, 0, 1) * np.clip((0.62 - place) / 0.1, 0, 1) * head.fat_share
    in_bone, in_muscle, in_scalp = np.subtract(edges[:-1], edges[1:])
    return in_bone * (1350 - 650 * diploe) + in_muscle * 55 + in_scalp * (55 - 150 * fat) - 1000 * edges[3]


def _extras(head: Head, depth: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the HU added by falx, calcified pineal gland and plexus, and beam hardening at the bone."""
    x, y, z = points
    inside = soft_step(depth, 1.0)
    at_falx = np.clip((np.hypot(y + 18, z - 10) - 52) / 4, 0, 1)
    extras = inside * (24 * at_falx * np.exp(-((x / 0.9) ** 2)) + 2 * np.exp(-np.maximum(depth, 0) / 5))
    for a, b, c in np.array([(0, -31, 3), (24, -43, 8), (-24, -43, 8)])[head.calcified]:
        extras += 95 * np.exp(-(((x - a) ** 2 + (y - b) ** 2) / 2.2**2 + ((z - c) / 3.0) ** 2))
    return extras


def _holder() -> np.ndarray:
    """Return an image of air with the scanner's head holder, HU."""
    at = (np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM
    radius = np.hypot(at[None, :] / 1.02, (at[:, None] + 4) * 0.98)
    shell = soft_step(1.4 - np.abs(radius - 117), 0.8) * np.clip((at[:, None] - 28) / 3, 0, 1)
    return (-1000 + 1300 * shell).astype(np.float32)


def _noise(rng: np.random.Generator, sd: float) -> np.ndarray:
    """Return the noise of filtered back-projection, HU: few low and few of the highest frequencies."""
    f = np.fft.fftfreq(SIZE, SPACING_MM)
    r = np.hypot(f[:, None], f[None, : SIZE // 2 + 1])
    amplitude = np.sqrt((r + 0.02) * np.exp(-((r / 0.32) ** 2)))
    image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * amplitude, s=(SIZE, SIZE))
    return (sd * image / image.std()).astype(np.float32)
