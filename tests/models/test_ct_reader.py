"""The network that reads CT: its input and output, regions, doubts, and its training in miniature."""

import numpy as np
import pytest
from scipy import ndimage

from postarrest.data import window
from postarrest.models.ct_reader import network, reading, regions, standard, template, training
from postarrest.pipeline import pretrain
from postarrest.simulate import phantom, wide
from postarrest.simulate.anatomy import load_anatomy

SPACING_MM = (phantom.SPACING_MM, phantom.SPACING_MM)


@pytest.fixture(scope="module")
def head():
    rng = np.random.default_rng(11)
    return phantom.draw_head(rng, severity=1.0, atrophy=0.0)


@pytest.fixture(scope="module")
def slices(head):
    """The three levels of one head, with little noise."""
    rng, anatomy = np.random.default_rng(12), load_anatomy()
    return {
        level: phantom.render(anatomy, head, level=level, noise_sd_hu=1.0, rng=rng)
        for level in phantom.LEVELS_MM
    }


@pytest.fixture(scope="module")
def model():
    return network.trained()


def true_sight(image: phantom.Slice) -> standard.Seen:
    """What a network sees that is never wrong."""
    shares = {**image.fractions, "lesion": np.zeros_like(image.hu)}
    outside = 1 - sum(shares.values())
    shares["air"] = outside * (image.hu < -250)
    shares["bone_and_scalp"] = outside - shares["air"]
    return standard.Seen(shares, image.template_mm, np.zeros_like(image.template_mm), SPACING_MM)


# ------------------------------------------------------------------------------------- input and output


def test_a_slice_looks_the_same_at_any_spacing_and_place(slices):
    hu = slices["basal_ganglia"].hu
    finer = np.kron(hu, np.ones((2, 2), np.float32))
    moved = np.full((300, 280), -1000.0, np.float32)
    moved[20:276, 14:270] = hu
    one = standard.standardised(hu, SPACING_MM).astype(float)
    for other, spacing in ((finer, np.array(SPACING_MM) * 256 / 512), (moved, SPACING_MM)):
        again = standard.standardised(other, tuple(spacing)).astype(float)
        assert np.corrcoef(one.ravel(), again.ravel())[0, 1] > 0.99


def test_answers_come_back_to_the_pixels_they_belong_to(slices):
    """A network that names each pixel's brightness and place: both must return to the slice's own pixels."""
    hu = slices["basal_ganglia"].hu
    shown = standard.standardised(hu, SPACING_MM) / 255
    shares = np.zeros((160, 160, len(network.CLASSES)), np.float32)
    shares[..., 2], shares[..., 0] = shown, 1 - shown
    seen = standard.on_own_grid({"shares": shares, "template": np.zeros((160, 160, 6))}, hu, SPACING_MM)
    brain = slices["basal_ganglia"].fractions["white_matter"] > 0.99
    smooth = ndimage.gaussian_filter(np.clip(hu / 80, 0, 1), 0.8)
    assert np.abs(seen.shares["white_matter"] - smooth)[brain].mean() < 0.02


# --------------------------------------------------------------------------------------------- regions


def test_regions_are_measured_right_where_the_tissue_is_known(slices, head):
    white = phantom.WHITE_HU + head.baseline_hu
    deep = phantom.DEEP_HU + head.baseline_hu + head.deep_hu - phantom.DEEP_LOSS_HU
    image = slices["basal_ganglia"]
    seen = true_sight(image)
    for region, about in regions.REGIONS.items():
        if about.level_mm != regions.BASAL_GANGLIA_MM:
            continue
        expected = deep if about.tissue == "deep_nuclei" else white
        for side in regions.SIDES.values():
            away = regions.ellipse(seen, about, side)
            area, circle = (f(image.hu, seen, about, away) for f in (regions.by_area, regions.by_circle))
            assert area.mean_hu == pytest.approx(expected, abs=1.5), region
            assert circle.mean_hu == pytest.approx(expected, abs=2.5), region
            assert circle.area_mm2 == pytest.approx(regions.CIRCLE_MM2, abs=2)
            # On its own side: x grows to the patient's right.
            assert (side * seen.template_mm[0][area.mask] > 0).all()


def test_unmixing_removes_partial_volume(slices, head):
    cortex = phantom.CORTEX_HU + head.baseline_hu + head.cortex_hu - phantom.CORTEX_LOSS_HU
    image = slices["centrum_semiovale"]
    found = regions.unmixed(image.hu, true_sight(image))
    assert found["cortex"] == pytest.approx(cortex, abs=1.5)
    assert found["white_matter"] == pytest.approx(phantom.WHITE_HU + head.baseline_hu, abs=1.0)


def test_a_region_without_its_tissue_is_not_measured(slices):
    image = slices["basal_ganglia"]
    seen = true_sight(image)
    shares = seen.shares | {"deep_nuclei": np.zeros_like(image.hu)}
    blind = standard.Seen(shares, seen.template_mm, seen.error_mm, SPACING_MM)
    region = regions.REGIONS["PU"]
    found = regions.by_area(image.hu, blind, region, regions.ellipse(blind, region, 1))
    assert np.isnan(found.mean_hu)
    assert not found.mask.any()


# -------------------------------------------------------------------------------------------- the reading


def read(model, slices, **how):
    return reading.read(model, [image.hu for image in slices.values()], SPACING_MM, **how)


def test_a_head_is_read_at_its_three_levels(model, slices):
    found = read(model, slices)
    assert [level.index for level in found.levels.values()] == [0, 1, 2]
    assert len(found.rows) == 3 * 16
    for name, level in zip(slices, found.levels.values(), strict=True):
        x, y, z = slices[name].template_mm
        true = z[(slices[name].tissue > 0) & standard.in_middle(x, y)].mean()
        assert level.level_mm == pytest.approx(true, abs=5)
    by_area = (
        found.rows[found.rows["reader"] == reading.READERS["region"]].groupby("region")["mean_hu"].mean()
    )
    ratio = (by_area["CN"] + by_area["PU"]) / (by_area["PLIC"] + by_area["CC"])
    true = (phantom.DEEP_HU - phantom.DEEP_LOSS_HU) / phantom.WHITE_HU
    assert ratio == pytest.approx(true, abs=0.12)


def test_a_slice_of_another_level_is_not_read(model, slices):
    found = read(model, {"high": slices["high_convexity"]})
    assert "level" in found.flags
    assert set(found.rows["region"]) <= {"MC1", "MW1", "MC2", "MW2"}


def test_a_patient_without_a_brain_has_no_reading(model):
    found = reading.read(model, [np.full((256, 256), -1000.0, np.float32)], SPACING_MM)
    assert found.rows.empty
    assert found.flags == ("level",)
    assert found.doubt == 1


def blood(hu, image):
    x, y = image.template_mm[:2]
    return np.where(np.hypot(x - 26, y - 3) < 9, 68.0, hu)


@pytest.mark.parametrize(
    ("flag", "change"),
    [
        ("lesion", blood),
        ("metal", lambda hu, _: np.where(np.arange(hu.size).reshape(hu.shape) % 5000 == 0, 3000.0, hu)),
        ("contrast", lambda hu, image: np.where(image.tissue > 0, hu + 28, hu)),
        ("cut off", lambda hu, _: hu[60:]),
    ],
)
def test_what_disturbs_a_reading_is_flagged(model, slices, flag, change):
    image = slices["basal_ganglia"]
    undisturbed = reading.read(model, [image.hu], SPACING_MM).flags
    disturbed = reading.read(model, [change(image.hu, image).astype(np.float32)], SPACING_MM).flags
    assert flag not in undisturbed
    assert flag in disturbed


def test_a_wrong_level_of_one_slice_does_not_move_the_line():
    position = np.arange(0, 60, 5.0)
    level = position - 20
    level[4] = 70
    smoothed = reading.of_series(level, position)
    np.testing.assert_allclose(smoothed, position - 20, atol=0.5)


# --------------------------------------------------------------------------------------- template space


def test_the_same_place_of_different_heads_comes_to_one_place(model):
    """A mark at one place of the template, on heads that are moved, turned and of another size."""
    anatomy, images, marks = load_anatomy(), [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        head = phantom.draw_head(rng, severity=0.0, atrophy=0.5)
        image = phantom.render(anatomy, head, level="basal_ganglia", noise_sd_hu=2.0, rng=rng)
        x, y = image.template_mm[:2]
        images.append(window(image.hu))
        marks.append(100 * np.exp(-((x - 26) ** 2 + (y - 3) ** 2) / 50))
    slices, maps, tissue = template.registered(np.stack(images), np.stack(marks), model)
    assert slices.shape == maps.shape == (4, *template.SHAPE)
    peaks = [np.unravel_index(np.nanargmax(one), one.shape) for one in maps]
    # Rows begin at y = 84 mm and columns at x = 80 mm, in steps of 2 mm.
    at_mm = np.array([(80 - 2 * column, 84 - 2 * row) for row, column in peaks])
    assert np.abs(at_mm - [26, 3]).max() < 7
    assert np.abs(at_mm.mean(axis=0) - [26, 3]).max() < 4
    assert set(np.unique(tissue)) == {0, 1, 2, 3, 4}


# --------------------------------------------------------------------------------------------- training


def test_the_same_seed_draws_the_same_training_slice():
    anatomy = load_anatomy(-70)
    one, other = (wide.draw(anatomy, np.random.default_rng(4)) for _ in range(2))
    for name in ("image", "shares", "template_mm", "about"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.shares.sum(axis=-1), 255, atol=4)
    assert wide.CLASSES == network.CLASSES
    assert wide.ABOUT == network.ABOUT


def test_the_network_is_small_and_its_file_is_its_weights(model):
    assert model.count_params() < 1_000_000
    assert network.WEIGHTS.stat().st_size < 2_000_000
    with np.load(network.WEIGHTS, allow_pickle=False) as kept:
        assert [kept[name].shape for name in kept.files] == [w.shape for w in network.build().get_weights()]


def test_an_interrupted_training_resumes_as_if_uninterrupted(tmp_path):
    anatomy = load_anatomy(-70)

    def chunks(start):
        for number in range(start, 2):
            yield pretrain.slices(anatomy, number, n=8)

    def train(name, stop_after=2):
        lines = []

        def say(line):
            lines.append(line)
            if len(lines) == stop_after:
                raise KeyboardInterrupt

        settings = {"n_chunks": 2, "slices_per_chunk": 8, "work": tmp_path / name, "say": say, "rate": 1e-3}
        out = tmp_path / f"{name}.npz"
        try:
            training.train(chunks, out=out, **settings)
        except KeyboardInterrupt:
            training.train(chunks, out=out, **settings | {"say": lines.append})
        return [values for _, values in sorted(np.load(out).items())], lines

    whole, lines = train("whole", stop_after=3)
    cut, _ = train("cut", stop_after=1)
    assert [line.split(":")[0] for line in lines] == ["chunk 1 of 2", "chunk 2 of 2"]
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
