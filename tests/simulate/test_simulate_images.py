"""The simulated slices, and the readings taken on them."""

import dataclasses

import numpy as np
import pytest

from postarrest.models import gwr
from postarrest.simulate import phantom, readings
from postarrest.simulate.anatomy import load_anatomy


@pytest.fixture(scope="module")
def anatomy():
    return load_anatomy()


@pytest.fixture(scope="module")
def typical():
    """A head like the template, in a straight position, without any variation of its own."""
    drawn = phantom.draw_head(np.random.default_rng(1), severity=0.0, atrophy=0.0)
    return dataclasses.replace(
        drawn,
        to_template=np.eye(3),
        shift_mm=np.zeros(2),
        warp_mm=np.zeros((2, 5, 5)),
        level_mm=dict.fromkeys(phantom.LEVELS_MM, 0.0),
        baseline_hu=0.0,
        cortex_hu=0.0,
        deep_hu=0.0,
        calcified=np.zeros(3, dtype=bool),
    )


def slices(anatomy, head, *, noise_sd_hu=0.0, seed=3):
    rng = np.random.default_rng(seed)
    return {
        level: phantom.render(anatomy, head, level=level, noise_sd_hu=noise_sd_hu, rng=rng)
        for level in phantom.LEVELS_MM
    }


def pixel_at(image, x, y):
    """Row and column of a position in the template."""
    away = np.hypot(image.template_mm[0] - x, image.template_mm[1] - y)
    return np.unravel_index(away.argmin(), away.shape)


def test_images_are_radiological(anatomy, typical):
    """The patient's left is on the image's right, the front at the top."""
    only_left_plexus = dataclasses.replace(typical, calcified=np.array([False, False, True]))
    image = slices(anatomy, only_left_plexus)["basal_ganglia"]
    calcium = image.hu - slices(anatomy, typical)["basal_ganglia"].hu
    row, column = np.unravel_index(calcium.argmax(), calcium.shape)
    assert calcium.max() > 30
    assert column > 128 + 10
    front, _ = pixel_at(image, 0, 60)
    assert front < row


@pytest.mark.parametrize(
    ("x", "y", "tissue"),
    [
        (14, 14, "deep_nuclei"),  # caudate head
        (26, 4, "deep_nuclei"),  # putamen
        (12, -18, "deep_nuclei"),  # thalamus
        (5, 29, "white_matter"),  # genu of the corpus callosum
        (0, -38, "csf"),  # cistern behind the pineal gland
        (40, 45, None),  # somewhere in the frontal lobe
    ],
)
def test_structures_are_at_their_coordinates(anatomy, typical, x, y, tissue):
    image = slices(anatomy, typical)["basal_ganglia"]
    for side in (1, -1):
        row, column = pixel_at(image, side * x, y)
        # A region of interest around the position, as large as the nuclei allow.
        around = image.tissue[row - 2 : row + 3, column - 2 : column + 3]
        if tissue is None:
            assert (around > 0).all()
        else:
            assert (around == phantom.TISSUES[tissue]).any()


def test_tissues_have_their_attenuation(anatomy, typical):
    for image in slices(anatomy, typical).values():
        pure = {name: image.hu[share > 0.98] for name, share in image.fractions.items()}
        assert np.median(pure["white_matter"]) == pytest.approx(phantom.WHITE_HU, abs=1)
        if pure["cortex"].size > 50:
            assert np.median(pure["cortex"]) == pytest.approx(phantom.CORTEX_HU, abs=1.5)
        assert image.hu[0, 0] < -900
        assert image.hu.max() > 1000


def test_noise_has_the_standard_deviation_asked_for(anatomy, typical):
    quiet, noisy = slices(anatomy, typical), slices(anatomy, typical, noise_sd_hu=4.0)
    for level in phantom.LEVELS_MM:
        assert (noisy[level].hu - quiet[level].hu)[100:150, 100:150].std() == pytest.approx(4, abs=0.5)


def test_noise_of_neighbouring_pixels_correlates(anatomy, typical):
    noise = (
        slices(anatomy, typical, noise_sd_hu=10.0)["basal_ganglia"].hu
        - slices(anatomy, typical)["basal_ganglia"].hu
    )[60:190, 70:180]
    beside = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    far = np.corrcoef(noise[:, 20:].ravel(), noise[:, :-20].ravel())[0, 1]
    assert beside > 0.2
    assert abs(far) < 0.05


def test_injury_lowers_gray_matter_and_leaves_white_matter(anatomy, typical):
    well, ill = (
        # With noise, the rounding to whole HU does not add up.
        slices(anatomy, dataclasses.replace(typical, severity=severity), noise_sd_hu=4.0)["basal_ganglia"]
        for severity in (0.0, 3.0)
    )
    core = {name: (well.fractions[name] > 0.97) & (ill.fractions[name] > 0.97) for name in well.fractions}
    change = {
        name: (ill.hu - well.hu)[core[name]].mean() for name in ("white_matter", "cortex", "deep_nuclei")
    }
    assert change["white_matter"] == pytest.approx(0, abs=0.15)
    assert change["cortex"] == pytest.approx(-3 * phantom.CORTEX_LOSS_HU, abs=0.4)
    assert change["deep_nuclei"] == pytest.approx(-3 * phantom.DEEP_LOSS_HU, abs=0.4)


def test_injury_effaces_sulci_and_atrophy_widens_all_fluid_spaces(anatomy, typical):
    def fluid(**changes):
        image = slices(anatomy, dataclasses.replace(typical, **changes))["basal_ganglia"]
        x, y, _ = image.template_mm
        ventricles = np.hypot(x / 30, (y + 12) / 45) < 1
        csf = image.fractions["csf"]
        return csf[ventricles].sum(), csf[~ventricles].sum()

    usual, effaced, old = fluid(), fluid(severity=4.0), fluid(atrophy=2.0)
    assert effaced[1] < 0.85 * usual[1]
    assert old[0] > 1.3 * usual[0]
    assert old[1] > 1.2 * usual[1]


def test_an_roi_on_a_uniform_image_reads_its_value(anatomy, typical):
    even = {
        level: dataclasses.replace(image, hu=np.full_like(image.hu, 31.0))
        for level, image in slices(anatomy, typical).items()
    }
    table = readings.read_twice(even, rng=np.random.default_rng(4), reader_sd_mm=1.0)
    assert (table["mean_hu"] == 31.0).all()
    assert table["area_mm2"].between(10, 15).all()
    assert len(table) == 2 * 8 * 2
    assert set(table["region"]) == set(gwr.REGIONS)


def test_gray_matter_reads_higher_than_white_matter(anatomy, typical):
    table = readings.read_twice(slices(anatomy, typical), rng=np.random.default_rng(4), reader_sd_mm=0.3)
    mean = table.groupby("region")["mean_hu"].mean()
    for gray, white in (("CN", "PLIC"), ("PU", "CC"), ("MC1", "MW1"), ("MC2", "MW2")):
        assert mean[gray] > mean[white] + 5
    for white in ("PLIC", "CC", "MW1", "MW2"):
        assert mean[white] == pytest.approx(phantom.WHITE_HU, abs=1.2)


def test_two_readings_differ_more_with_a_less_precise_reader(anatomy, typical):
    image = slices(anatomy, typical, noise_sd_hu=4.0)

    def spread(sd_mm):
        table = readings.read_twice(image, rng=np.random.default_rng(5), reader_sd_mm=sd_mm)
        wide = table.pivot(index=["region", "side"], columns="reading", values="mean_hu")
        return (wide[1] - wide[2]).std()

    assert 0 < spread(0.0) < spread(3.0)


def test_heads_differ_and_one_seed_gives_one_head():
    def head(seed):
        return phantom.draw_head(np.random.default_rng(seed), severity=1.0, atrophy=0.5)

    assert np.array_equal(head(1).warp_mm, head(1).warp_mm)
    assert not np.allclose(head(1).to_template, head(2).to_template)
    assert head(1).baseline_hu != head(2).baseline_hu
