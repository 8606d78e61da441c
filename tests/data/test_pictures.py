"""PNG and JPEG of any size are read in one exact way if a study asks for it; else the way is named."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from broken import IDS, patients
from heads import head, png
from postarrest.data import DataErrors, errors, read_series, read_slice, window
from postarrest.data.export import examine
from postarrest.models import bundle
from postarrest.pipeline import apply, check_data


def disc(rows: int, columns: int, radius: float) -> np.ndarray:
    """A gray disc with a bright rim, on black."""
    y, x = np.mgrid[:rows, :columns] - np.reshape([(rows - 1) / 2, (columns - 1) / 2], (2, 1, 1))
    return np.select([np.hypot(x, y) < 0.8 * radius, np.hypot(x, y) < radius], [120, 255], 0).astype(np.uint8)


def jpeg(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, "JPEG", quality=95, **options)
    return path


def fitted(path: Path) -> np.ndarray:
    return read_slice(path, image_size="fit").image


@pytest.mark.parametrize(("rows", "columns"), [(512, 512), (630, 470), (128, 200), (255, 255), (300, 64)])
def test_shapes_are_kept_whatever_the_size(rows: int, columns: int, tmp_path: Path):
    gray = fitted(png(tmp_path / "a.png", disc(rows, columns, radius := 0.4 * min(rows, columns))))
    assert gray.shape == (256, 256)
    down, across = np.nonzero(gray > 60)
    # The longer side fills the square; a disc stays a disc, in the middle.
    diameter = 2 * radius * 256 / max(rows, columns)
    assert np.ptp(down) + 1 == pytest.approx(diameter, abs=2)
    assert np.ptp(across) + 1 == pytest.approx(diameter, abs=2)
    assert (down.mean(), across.mean()) == pytest.approx((127.5, 127.5), abs=0.6)


def test_an_image_is_padded_with_black_and_no_pixel_of_it_is_changed_if_its_longer_side_fits(tmp_path: Path):
    tall = np.asarray(Image.open(png(tmp_path / "a.png")))[:, 20:-31]
    gray = fitted(png(tmp_path / "b.png", tall))
    np.testing.assert_array_equal(gray, np.pad(tall, [(0, 0), (25, 26)]))


def test_an_image_of_the_right_size_is_the_same_either_way(tmp_path: Path):
    path = png(tmp_path / "a.png")
    np.testing.assert_array_equal(fitted(path), read_slice(path).image)
    assert read_slice(path, image_size="fit").notes == ()


def test_a_finer_image_of_the_same_head_gives_the_same_image(tmp_path: Path):
    gray = window(head(size=512, spacing_mm=0.45))
    coarse = np.asarray(Image.open(png(tmp_path / "coarse.png"))).astype(int)
    found = read_slice(png(tmp_path / "fine.png", gray), image_size="fit")
    assert np.median(np.abs(found.image - coarse)) == 0
    assert (np.abs(found.image - coarse) > 40).mean() < 0.03
    assert [note.found for note in found.notes] == ["512 x 512 pixels, padded and resampled"]


def test_gray_in_colour_is_gray_and_a_jpeg_is_nearly_its_png(tmp_path: Path):
    gray = np.asarray(Image.open(png(tmp_path / "a.png")))
    plain = read_slice(jpeg(tmp_path / "plain.jpg", gray), image_size="fit")
    colour = read_slice(jpeg(tmp_path / "colour.JPEG", np.dstack([gray] * 3)), image_size="fit")
    np.testing.assert_array_equal(plain.image, colour.image)
    assert np.abs(plain.image.astype(int) - gray).mean() < 2
    assert plain.source == "JPEG"
    assert [note.rule for note in plain.notes] == ["lossy"]
    series = read_series(tmp_path / "plain.jpg", image_size="fit")
    np.testing.assert_array_equal(window(series.hu[0]), plain.image)


def test_photographs_in_colour_are_refused(tmp_path: Path):
    gray = np.asarray(Image.open(png(tmp_path / "a.png")))
    for name, write in (("a.png", png), ("a.jpg", jpeg)):
        path = write(tmp_path / name, np.dstack([gray, gray, np.roll(gray, 9)]))
        with pytest.raises(DataErrors, match="found a colour image"):
            read_slice(path, image_size="fit")


def test_an_image_that_a_camera_turned_is_refused(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    gray = np.asarray(Image.open(png(tmp_path / "a.png")))
    with pytest.raises(DataErrors, match="to be turned before it is shown"):
        read_slice(jpeg(tmp_path / "a.jpg", gray, exif=exif), image_size="fit")


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("lost", [1, 3, 12, 40, 1000])
def test_a_file_cut_off_at_its_end_is_refused(kind: str, lost: int, tmp_path: Path):
    pixels = np.asarray(Image.open(png(tmp_path / "a.png")))
    path = png(tmp_path / "b.png", pixels) if kind == "png" else jpeg(tmp_path / "b.jpg", pixels)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(DataErrors, match="damaged or cut off"):
        read_slice(path, image_size="fit")


def test_what_follows_the_end_of_a_file_is_no_error(tmp_path: Path):
    path = png(tmp_path / "a.png")
    path.write_bytes(path.read_bytes() + bytes(7))
    assert read_slice(path).source == "PNG"


@pytest.mark.parametrize(("rows", "columns"), [(63, 400), (20, 20)])
def test_a_thumbnail_is_refused(rows: int, columns: int, tmp_path: Path):
    with pytest.raises(DataErrors, match="expected a PNG or JPEG of 64 to 4096 pixels per side"):
        read_slice(png(tmp_path / "a.png", disc(rows, columns, 9)), image_size="fit")


# ---------------------------------------------------------------------- a study of such images


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Patients whose images differ in size, and are PNG or JPEG."""
    patients().to_csv(tmp_path / "patients.csv", index=False)
    (tmp_path / "ct").mkdir()
    for number, patient in enumerate(IDS):
        gray = window(head(size=300 + 10 * number, spacing_mm=0.7))
        if number % 2:
            jpeg(tmp_path / "ct" / f"{patient}.jpg", gray)
        else:
            png(tmp_path / "ct" / f"{patient}.png", gray)
    return tmp_path


def test_a_study_reads_them_if_it_asks_for_it(export: Path):
    result = check_data.check(export, modalities=["ct"], image_size="fit")
    assert not result.errors
    assert "CT: image size, 6 times" in result.summary
    assert "3 JPEG, 3 PNG" in result.summary


def test_a_study_that_does_not_gets_one_message_for_each_kind(export: Path):
    found = check_data.check(export, modalities=["ct"]).errors
    assert len(found) == 6
    assert errors.listing(found).splitlines() == [
        *(
            f"  CT, row {row}: found {size} x {size} pixels; expected a PNG of 256 x 256 pixels, or "
            "image_size: fit, which pads and resamples other sizes."
            for row, size in ((2, 300), (4, 320), (6, 340))
        ),
        "  CT, rows 3, 5, 7: found a JPEG; expected a PNG of 256 x 256 pixels, or image_size: fit, which "
        "pads and resamples other sizes.",
    ]


def test_a_frozen_model_reads_images_as_its_study_did(export: Path):
    kept = bundle.export_of({"image_size": "fit"}, [])
    assert bundle.export_of({}, [])["image_size"] == "exact"
    study = examine(export, modalities=["ct"], for_scoring=True, **kept)
    (ids, images), unreadable = apply._slices(study, study.patients)
    assert ids.tolist() == IDS
    assert unreadable.empty
    np.testing.assert_array_equal(images[0], fitted(export / "ct" / f"{IDS[0]}.png"))


# ---------------------------------------------------------------------- real slices


def as_hospitals_export(gray: np.ndarray, number: int) -> bytes:
    """A slice cut to the head with some margin, enlarged or reduced, as PNG or JPEG, gray or in colour."""
    down, across = np.nonzero(ndimage.binary_opening(gray > 30, iterations=3))
    margin = number % 17
    cut = gray[
        max(down.min() - margin, 0) : down.max() + margin,
        max(across.min() - margin, 0) : across.max() + margin,
    ]
    factor = 0.7 + (number * 37 % 200) / 100
    size = (round(cut.shape[1] * factor), round(cut.shape[0] * factor))
    image = Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.convert("RGB" if number % 3 == 0 else "L").save(buffer, "JPEG" if number % 4 == 0 else "PNG")
    return buffer.getvalue()


def test_two_hundred_images_of_differing_sizes_from_a_real_ct(shared: Path, tmp_path: Path):
    """200 images of slices of one real head CT, in some 170 sizes, are all read, and look alike."""
    (tmp_path / "ct").mkdir()
    ids, sizes, shares = [f"p{number:03d}" for number in range(200)], set(), []
    for number, patient in enumerate(ids):
        gray = read_slice(shared / "data" / "head-ct" / f"IM{35 + number % 50:04d}.dcm").image
        content = as_hospitals_export(gray, number)
        kind = "jpg" if number % 4 == 0 else "png"
        (tmp_path / "ct" / f"{patient}.{kind}").write_bytes(content)
        with Image.open(io.BytesIO(content)) as image:
            sizes.add(image.size)
            shares.append(image.width / image.height)
    table = pd.concat([patients()] * 34, ignore_index=True)[:200].assign(patient_id=ids)
    assert len(sizes) > 150
    table.to_csv(tmp_path / "patients.csv", index=False)
    result = check_data.check(tmp_path, modalities=["ct"], image_size="fit")
    assert [error for error in result.errors if error.file.startswith("ct")] == []
    assert "50 JPEG, 150 PNG" in result.summary
    for number in range(0, 200, 20):
        gray = fitted(next((tmp_path / "ct").glob(f"p{number:03d}.*")))
        rows, columns = np.flatnonzero(gray.max(axis=1) > 8), np.flatnonzero(gray.max(axis=0) > 8)
        # Width over height of the head stays as it was; the rest is black.
        assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(shares[number], rel=0.12)
    exact = check_data.check(tmp_path, modalities=["ct"])
    lines = [line for line in errors.listing(exact.errors).splitlines() if "CT" in line]
    # One line for all sizes, one for JPEG.
    assert len(lines) == 2
    assert all("image_size: fit" in line for line in lines)
