"""Whether an image shows a head, and a slice belongs to its series, is judged by gray values alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from heads import head, nifti
from postarrest.data import read_series, read_slice, window
from postarrest.data.ct import looks
from postarrest.data.ct.reading import Unreadable

GRAY = window(head(size=256, spacing_mm=0.9))


def shapes() -> dict[str, np.ndarray]:
    """Images that are no head, each with gray values that a head has too."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:256, :256]
    noise = rng.integers(0, 256, (256, 256))
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, (256, 256)), 12)
    cloud = np.interp(smooth, [smooth.min(), smooth.max()], [0, 255])
    return {
        "noise": noise,
        "clouds": cloud,
        "a slope": (x + y) / 2,
        "a picture in a black frame": np.pad(cloud[30:-30, 30:-30], 30),
        "stripes": 127 + 120 * np.sin(x / 9),
        "a page of text": np.where(rng.random((256, 256)) < 0.1, 60, 255),
        "a gray disc without a skull": np.where(np.hypot(x - 128, y - 128) < 90, 120 + y % 40, 0),
    }


@pytest.mark.parametrize("name", shapes())
def test_what_is_no_head_is_refused(name: str):
    with pytest.raises(Unreadable):
        looks.check_gray(shapes()[name].astype(np.uint8))


def test_photographs_are_refused():
    datasets = pytest.importorskip("sklearn.datasets")
    for photograph in datasets.load_sample_images().images:
        with pytest.raises(Unreadable, match="no skull on black"):
            looks.check_gray(np.asarray(Image.fromarray(photograph).convert("L")))


@pytest.mark.parametrize("change", ["as it is", "cut to the head", "off the middle", "a gap in the skull"])
def test_a_head_is_a_head(change: str):
    gray = GRAY.copy()
    if change == "cut to the head":
        down, across = np.nonzero(gray)
        gray = gray[down.min() : down.max() + 1, across.min() : across.max() + 1]
    elif change == "off the middle":
        gray = np.roll(gray, (15, 30), axis=(0, 1))
    elif change == "a gap in the skull":
        gray[:60, 115:145] = np.minimum(gray[:60, 115:145], 110)
    looks.check_gray(gray)


@pytest.mark.parametrize(("width_hu", "odd"), [(80, False), (350, True), (400, True)])
def test_a_much_wider_window_is_noticed(width_hu: float, odd: bool):
    assert bool([*looks.narrow_range(window(head(size=256, spacing_mm=0.9), width_hu=width_hu))]) == odd


def test_a_slice_of_another_head_is_noticed_in_a_volume(tmp_path: Path):
    hu = np.stack([head(seed=i).T for i in range(5)], axis=2)
    path = nifti(tmp_path / "a.nii", hu)
    assert read_slice(path, slice_index=2).notes == ()
    hu[..., 2] = np.roll(hu[..., 2], (6, 6), axis=(0, 1))
    path = nifti(tmp_path / "b.nii", hu)
    assert [note.rule for note in read_slice(path, slice_index=2).notes] == ["neighbours"]
    assert read_slice(path, slice_index=0).notes == ()


def test_slices_of_air_are_alike_to_nothing():
    air = np.full((64, 64), -1000.0)
    assert [*looks.unlike(air, [air, air])] == []


# ---------------------------------------------------------------------- a real head


@pytest.fixture(scope="module")
def real() -> list[np.ndarray]:
    folder = Path(__file__).parents[3] / "shared" / "data" / "head-ct"
    if not folder.is_dir():
        pytest.skip("the folder 'shared' with real data is not next to the project")
    return read_series(folder).hu


def test_every_slice_of_a_real_head_is_one(real: list[np.ndarray]):
    for hu in real[5:95]:  # above, hardly any brain is left
        looks.check_gray(window(hu))
    brain = real[45:85]
    assert not any([*looks.narrow_range(window(hu))] for hu in brain)
    assert all([*looks.narrow_range(window(hu, width_hu=350))] for hu in brain)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])
def test_slices_of_a_real_series_are_like_their_neighbours_and_others_are_not(
    step: int, real: list[np.ndarray]
):
    strangers = 0
    for i in range(34, 90):
        beside = [real[i - step], real[i + step]]
        assert [*looks.unlike(real[i], beside)] == []
        larger = ndimage.affine_transform(real[i], np.eye(2) / 1.08, offset=128 * (1 - 1 / 1.08), order=1)
        strangers += bool([*looks.unlike(np.roll(larger, 5, axis=0), beside)])
    assert strangers >= 28  # of 56: a head 8 % larger that lies 5 mm further back
