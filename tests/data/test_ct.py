"""A head CT in whatever form it comes is the same slice, the right way round, in HU."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID, EnhancedCTImageStorage

from heads import SPACING_MM, dicom, head, header, nifti, png, save, series
from postarrest.data import DataErrors, read_series, read_slice, read_slices, window
from postarrest.data.ct import slices

# The head of heads.py, stored as HU + 1024 in 16 bits, compressed by other software than what reads it here:
# imagecodecs 2026.3.6's ljpeg_encode(bitspersample=16) (liblj92), jpeg8_encode(lossless=True, predictor=1,
# bitspersample=16) (libjpeg-turbo 3.1.3: first-order prediction, what scanners write), jpegls_encode
# (CharLS 2.4.3), jpeg2k_encode(reversible=True, level=0, codecformat="J2K") (OpenJPEG 2.5.4), htj2k_encode
# (OpenJPH 0.26.3).
CODESTREAMS = Path(__file__).parents[1] / "helpers" / "codestreams"


# ---------------------------------------------------------------------- window and grid


def test_window_is_that_of_a_viewing_station():
    # DICOM PS3.3 C.11.2.1.3.2, linear exact: (x - (c - w/2)) / w, clipped, times 255.
    hu = np.array([-1024, 0, 20, 40, 60, 79.9, 80, 3000])
    assert window(hu).tolist() == [0, 0, 64, 128, 191, 255, 255, 255]
    assert window(np.array([300.0, 800, 1300]), level_hu=800, width_hu=1000).tolist() == [0, 128, 255]


@given(st.floats(-2000, 4000), st.floats(-2000, 4000))
def test_window_never_exchanges_dark_and_bright(a: float, b: float):
    gray = window(np.array(sorted([a, b])))
    assert gray[0] <= gray[1]


def test_grid_keeps_a_square_of_its_size_and_averages_a_finer_one():
    hu = np.random.default_rng(1).normal(30, 10, (256, 256)).astype(np.float32)
    assert slices.to_grid(hu, spacing_mm=(0.9, 0.9)) is hu
    fine = slices.to_grid(np.kron(hu, np.ones((2, 2))), spacing_mm=(0.45, 0.45))
    # The mean over the whole stays; noise falls as it does in larger pixels.
    assert fine.mean() == pytest.approx(hu.mean(), abs=0.05)
    assert 0.5 * hu.std() < fine.std() < hu.std()


def test_grid_keeps_shapes_where_pixels_or_fields_are_not_square():
    tall = np.full((100, 100), -1000.0)
    tall[40:60, 40:60] = 40
    grid = slices.to_grid(tall, spacing_mm=(2.0, 1.0))
    rows, columns = np.flatnonzero((grid > -480).any(axis=1)), np.flatnonzero((grid > -480).any(axis=0))
    assert grid.shape == (256, 256)
    # 20 rows of 2 mm and 20 columns of 1 mm on a field of 200 mm.
    assert len(rows) == pytest.approx(40 * 256 / 200, abs=1)
    assert len(columns) == pytest.approx(20 * 256 / 200, abs=1)
    assert rows.mean() == columns.mean() == pytest.approx(127.5, abs=0.6)


# ---------------------------------------------------------------------- DICOM


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"PixelRepresentation": 1, "RescaleIntercept": "0"},
        {"PixelRepresentation": 1, "RescaleIntercept": "-24"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-1024"},
        {"RescaleSlope": "2", "RescaleIntercept": "-1100"},
        {"BitsStored": 12, "HighBit": 11},
        {"PixelRepresentation": 1, "RescaleIntercept": "0", "BitsStored": 12, "HighBit": 11},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
    ids=str,
)
def test_stored_values_become_hu_whatever_their_rescale_and_sign(tags: dict, tmp_path: Path):
    hu = head(seed=3)
    found = read_slice(save(dicom(hu, **tags), tmp_path / "a.dcm"))
    assert found.source == "DICOM"
    assert found.spacing_mm == (SPACING_MM, SPACING_MM)
    assert found.hu.dtype == np.float32
    step = float(tags.get("RescaleSlope", 1))
    np.testing.assert_allclose(found.hu, np.maximum(hu, -1024), atol=max(step / 2, 1e-4))
    np.testing.assert_array_equal(found.image, window(slices.to_grid(found.hu, spacing_mm=found.spacing_mm)))


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("jpeg_lossless", "1.2.840.10008.1.2.4.57"),
        ("jpeg_lossless_sv1", "1.2.840.10008.1.2.4.70"),
        ("jpeg_ls", "1.2.840.10008.1.2.4.80"),
        ("jpeg_2000", "1.2.840.10008.1.2.4.90"),
        ("htj2k", "1.2.840.10008.1.2.4.201"),
    ],
)
def test_images_compressed_by_other_software_are_the_same(name: str, syntax: str, tmp_path: Path):
    file = dicom()
    file.file_meta.TransferSyntaxUID = UID(syntax)
    file.PixelData = encapsulate([(CODESTREAMS / f"head.{name}").read_bytes()])
    file["PixelData"].VR = "OB"
    np.testing.assert_array_equal(read_slice(save(file, tmp_path / "a.dcm")).hu, head())


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEG2000Lossless])
@pytest.mark.parametrize("sign", [0, 1])
def test_images_compressed_by_pydicom_are_the_same(syntax: UID, sign: int, tmp_path: Path):
    hu = head(seed=5)
    file = dicom(hu, PixelRepresentation=sign, RescaleIntercept="0" if sign else "-1100")
    file.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read_slice(save(file, tmp_path / "a.dcm")).hu, np.maximum(hu, -1024))


@pytest.mark.parametrize("syntax", [pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRBigEndian])
def test_byte_orders(syntax: UID, tmp_path: Path):
    file = dicom(PixelRepresentation=1, RescaleIntercept="0")
    file.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        file.PixelData = np.frombuffer(file.PixelData, "<i2").astype(">i2").tobytes()
    encoding = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
    pydicom.dcmwrite(tmp_path / "a.dcm", file, force_encoding=True, **encoding)
    np.testing.assert_array_equal(read_slice(tmp_path / "a.dcm").hu, head())


# Orientation of rows and columns, and how the head is stored so that it is the same head.
TURNED = {
    "as shown": ([1, 0, 0, 0, 1, 0], lambda hu: hu),
    "mirrored": ([-1, 0, 0, 0, 1, 0], lambda hu: hu[:, ::-1]),
    "upside down": ([1, 0, 0, 0, -1, 0], lambda hu: hu[::-1]),
    "turned by 180 degrees": ([-1, 0, 0, 0, -1, 0], lambda hu: hu[::-1, ::-1]),
    "transposed": ([0, 1, 0, 1, 0, 0], lambda hu: hu.T),
    "turned by 90 degrees": ([0, -1, 0, 1, 0, 0], lambda hu: hu.T[:, ::-1]),
    "tilted by 20 degrees": ([1, 0, 0, 0, 0.9397, -0.342], lambda hu: hu),
}


@pytest.mark.parametrize("name", TURNED)
def test_the_patients_right_is_at_the_left_and_the_front_at_the_top(name: str, tmp_path: Path):
    orientation, stored = TURNED[name]
    file = dicom(stored(head()), ImageOrientationPatient=orientation)
    found = read_slice(save(file, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.hu, head())


def test_spacing_follows_a_turned_image(tmp_path: Path):
    narrow = head()[:, 20:-20]
    file = dicom(narrow.T, ImageOrientationPatient=[0, 1, 0, 1, 0, 0], PixelSpacing=[1.8, 1.7])
    found = read_slice(save(file, tmp_path / "a.dcm"))
    assert found.spacing_mm == (1.7, 1.8)
    assert found.hu.shape == narrow.shape


def test_slices_are_counted_from_the_caudal_end_whatever_the_files_are_called(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=5)
    levels = [read_slice(folder, slice_index=i).hu[64, 64] for i in range(5)]
    assert levels == [30, 31, 32, 33, 34]


def test_slices_of_a_patient_who_lies_the_other_way_round_are_counted_the_same(tmp_path: Path):
    # Feet first supine: the scanner's order runs the other way, positions do not.
    for i in range(3):
        hu = head()
        hu[hu == 35] = 30 + i
        file = dicom(hu, InstanceNumber=3 - i, ImagePositionPatient=[-100, -120, -50 + 5 * i])
        save(file, tmp_path / f"{i}.dcm")
    assert [read_slice(tmp_path, slice_index=i).hu[64, 64] for i in range(3)] == [30, 31, 32]


@pytest.mark.parametrize(("position", "level"), [(10.0, 32), (11.0, 32), (13.0, 33), (-3.0, 30), (24.0, 34)])
def test_the_slice_nearest_to_a_position_is_read(position: float, level: int, tmp_path: Path):
    folder = series(tmp_path / "ct", levels=5)
    assert read_slice(folder, slice_position_mm=position).hu[64, 64] == level


def test_a_series_of_one_slice_needs_no_choice(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=1)
    assert read_slice(folder).hu[64, 64] == 30


def test_thicker_slices_above_the_skull_base_are_no_gap(tmp_path: Path):
    for i, z in enumerate([0, 5, 10, 15, 20, 30, 40]):
        save(dicom(InstanceNumber=7 - i, ImagePositionPatient=[-100, -120, z]), tmp_path / f"{i}.dcm")
    assert read_slice(tmp_path, slice_index=6).source == "DICOM"


def test_other_images_of_the_folder_are_not_used_and_noted(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3)
    save(dicom(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="9.1"), folder / "scout.dcm")
    save(header(SOPClassUID=pydicom.uid.XRayRadiationDoseSRStorage, Modality="SR"), folder / "dose.dcm")
    (folder / "DICOMDIR").write_bytes(b"an index")
    (folder / ".DS_Store").write_bytes(b"of another system")
    found = read_slice(folder, slice_index=2)
    assert found.hu[64, 64] == 32
    assert [note.found for note in found.notes] == [
        "files that are not used: a localizer (scout view), the modality SR"
    ]


def enhanced(order: list[int]) -> pydicom.Dataset:
    """An enhanced CT of four frames in some order: position and rescale stand in functional groups."""
    volume = np.stack([np.where(head() == 35, 30 + i, head()) for i in order])
    file = dicom(volume + 1024, SOPClassUID=EnhancedCTImageStorage, RescaleSlope=None, RescaleIntercept=None)
    file.PixelData = (volume + 1024).astype(np.uint16).tobytes()
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(file, name)

    def item(**tags: object) -> pydicom.Dataset:
        item = pydicom.Dataset()
        for name, value in tags.items():
            setattr(item, name, value)
        return item

    value = item(RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU")
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[SPACING_MM, SPACING_MM])],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[value],
    )
    file.SharedFunctionalGroupsSequence = [shared]
    file.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[-100, -120, 5 * i])]) for i in order
    ]
    return file


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_of_one_file_are_counted_by_position(compressed: bool, tmp_path: Path):
    file = enhanced([2, 0, 3, 1])
    if compressed:
        file.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    path = save(file, tmp_path / "a.dcm")
    assert [read_slice(path, slice_index=i).hu[64, 64] for i in range(4)] == [30, 31, 32, 33]


def test_what_lies_outside_the_scan_is_air(tmp_path: Path):
    corner = np.zeros((128, 128), bool)
    corner[:20, :20] = True
    for tags in ({"PixelPaddingValue": 3000}, {"PixelRepresentation": 1, "RescaleIntercept": "0"}):
        filler = 3000 - 1024 if "PixelPaddingValue" in tags else -3024
        found = read_slice(save(dicom(np.where(corner, filler, head()), **tags), tmp_path / "a.dcm"))
        assert (found.hu[corner] == -1024).all()
        np.testing.assert_array_equal(found.hu[~corner], head()[~corner])


def test_notes_mention_tilt_loss_and_burned_in_text(tmp_path: Path):
    tags = {"GantryDetectorTilt": "-15", "LossyImageCompression": "01", "BurnedInAnnotation": "YES"}
    notes = read_slice(save(dicom(**tags), tmp_path / "a.dcm")).notes
    assert [note.found for note in notes] == [
        "slices tilted by -15°",
        "text in the image, according to the header",
        "lossy compression",
    ]
    assert read_slice(save(dicom(GantryDetectorTilt="0"), tmp_path / "b.dcm")).notes == ()


def test_an_image_without_orientation_is_used_as_stored_and_noted(tmp_path: Path):
    file = dicom(ImageOrientationPatient=None, ImagePositionPatient=None)
    found = read_slice(save(file, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.hu, head())
    assert [note.found for note in found.notes] == ["no orientation in the header: used as stored"]


def test_no_name_number_or_date_is_read_of_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    identifying = {
        "PatientName": "Tanaka^Taro",
        "PatientID": "4711",
        "PatientBirthDate": "19500321",
        "StudyDate": "20200101",
        "AccessionNumber": "A4711",
        "InstitutionName": "A hospital",
    }
    path = save(dicom(**identifying), tmp_path / "a.dcm")
    read = []
    original = pydicom.dcmread

    def spy(*args: object, **options: object) -> pydicom.FileDataset:
        read.append(original(*args, **options))
        return read[-1]

    monkeypatch.setattr(pydicom, "dcmread", spy)
    found = read_slice(path)
    assert read
    for file in read:
        assert not {e.keyword for e in file.iterall()} & set(identifying)
    assert not any(str(value) in str(found) for value in identifying.values())


# ---------------------------------------------------------------------- NIfTI and PNG


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAS", "SAR", "PIL", "ASL"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_of_any_orientation_is_the_same_slice(axes: str, ending: str, tmp_path: Path):
    levels = np.stack([np.where(head() == 35, 30 + i, head()).T for i in range(4)], axis=2)
    affine = np.diag([-SPACING_MM, -SPACING_MM, 5, 1])
    image = nib.Nifti1Image(levels.astype(np.int16), affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
    path = tmp_path / f"a{ending}"
    nib.save(image.as_reoriented(turn), path)
    for i in range(4):
        found = read_slice(path, slice_index=i)
        np.testing.assert_array_equal(found.hu, np.where(head() == 35, 30 + i, head()))
    assert found.spacing_mm == pytest.approx((SPACING_MM, SPACING_MM))
    assert found.source == "NIfTI"
    assert read_slice(path, slice_position_mm=9).hu[64, 64] == 32


def test_a_nifti_volume_with_scaled_values_and_a_fourth_axis_of_one(tmp_path: Path):
    stored = (np.stack([head().T] * 2, axis=2)[..., None] + 1024) * 2
    image = nib.Nifti1Image(stored.astype(np.int16), np.diag([-1.8, -1.8, 5, 1]))
    image.header.set_slope_inter(0.5, -1024)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_slice(tmp_path / "a.nii", slice_index=1).hu, head())


def test_png_of_8_or_16_bits_gray_or_rgb_are_alike(tmp_path: Path):
    gray = np.asarray(Image.open(png(tmp_path / "gray.png")))
    assert gray.dtype == np.uint8
    wide = gray.astype(np.uint16) * 257
    png(tmp_path / "wide.png", wide)
    png(tmp_path / "rgb.png", np.stack([gray] * 3, axis=2))
    png(tmp_path / "rgba.png", np.dstack([gray, gray, gray, np.full_like(gray, 255)]))
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(np.dstack([gray, np.full_like(gray, 255)])).save(tmp_path / "la.png")
    for name in ("gray", "wide", "rgb", "rgba", "palette", "la"):
        found = read_slice(tmp_path / f"{name}.png")
        assert found.hu is None
        assert found.spacing_mm is None
        np.testing.assert_array_equal(found.image, gray, err_msg=name)


def test_the_same_head_is_nearly_the_same_image_from_all_formats(tmp_path: Path):
    fine = head(size=512, spacing_mm=0.45)
    from_dicom = read_slice(save(dicom(fine, PixelSpacing=[0.45, 0.45]), tmp_path / "a.dcm")).image
    volume = np.stack([fine.T] * 2, axis=2)
    affine = np.diag([-0.45, -0.45, 5, 1])
    from_nifti = read_slice(nifti(tmp_path / "a.nii.gz", volume, affine=affine), slice_index=0).image
    from_png = read_slice(png(tmp_path / "a.png")).image
    np.testing.assert_array_equal(from_dicom, from_nifti)
    # The PNG was drawn on the coarse grid itself: only edges differ.
    assert np.median(np.abs(from_png.astype(int) - from_dicom)) == 0
    assert (np.abs(from_png.astype(int) - from_dicom) > 40).mean() < 0.03


# ---------------------------------------------------------------------- many patients


def test_images_are_in_the_order_of_the_patients(tmp_path: Path):
    paths = pd.Series(
        {
            "B": png(tmp_path / "B.png"),
            "A": series(tmp_path / "A", levels=3),
            "C": save(dicom(), tmp_path / "C.dcm"),
        }
    )
    images = read_slices(paths, slice_index=pd.Series({"A": 2.0, "B": np.nan, "C": np.nan, "D": 7.0}))
    assert images.shape == (3, 256, 256)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], read_slice(paths["B"]).image)
    np.testing.assert_array_equal(images[1], read_slice(paths["A"], slice_index=2).image)
    np.testing.assert_array_equal(images[2], read_slice(paths["C"]).image)


def test_all_invalid_images_are_reported_by_row_and_not_by_name(tmp_path: Path):
    (tmp_path / "Tanaka.png").write_bytes(b"")
    (tmp_path / "Suzuki.dcm").write_bytes(b"no image at all")
    paths = pd.Series(
        {"Tanaka": tmp_path / "Tanaka.png", "ok": png(tmp_path / "ok.png"), "Suzuki": tmp_path / "Suzuki.dcm"}
    )
    with pytest.raises(DataErrors) as caught:
        read_slices(paths, rows=pd.Series({"Tanaka": 2, "ok": 3, "Suzuki": 9}))
    assert caught.value.table["row"].tolist() == [2, 9]
    assert caught.value.table["file"].tolist() == ["ct/Tanaka.png", "ct/Suzuki.dcm"]
    assert "Tanaka" not in str(caught.value)
    assert "CT, row 9: found a file that is not DICOM" in str(caught.value)
    with pytest.raises(DataErrors, match="CT number 3: found a file that is not DICOM"):
        read_slices(paths)
    assert caught.value.__cause__ is None


# ---------------------------------------------------------------------- a real head


def test_a_real_head_ct(shared: Path):
    folder = shared / "data" / "head-ct"
    found = read_slice(folder, slice_index=57)
    assert found.hu.shape == (256, 256)
    assert found.spacing_mm == pytest.approx((0.957, 0.957), abs=1e-3)
    # File 58 of the series, as stored: IM0001 is the lowest.
    plain = pydicom.dcmread(folder / "IM0058.dcm")
    expected = plain.pixel_array.astype(float) * plain.RescaleSlope + plain.RescaleIntercept
    np.testing.assert_array_equal(found.hu, expected)
    np.testing.assert_array_equal(found.image, window(expected))
    assert found.notes == ()


# ---------------------------------------------------------------------- whole series


def test_a_series_is_all_of_its_slices_from_the_caudal_end_up(tmp_path: Path):
    found = read_series(series(tmp_path / "P1"))
    assert [hu[64, 64] for hu in found.hu] == [30, 31, 32, 33, 34]
    np.testing.assert_array_equal(found.position_mm, [0, 5, 10, 15, 20])
    assert found.spacing_mm == (SPACING_MM, SPACING_MM)
    one = read_slice(tmp_path / "P1", slice_index=3)
    np.testing.assert_array_equal(found.hu[3], one.hu)


def test_a_volume_and_a_series_give_the_same_slices(tmp_path: Path):
    found = read_series(nifti(tmp_path / "a.nii.gz"))
    assert len(found.hu) == 3
    np.testing.assert_array_equal(found.hu[1], read_slice(tmp_path / "a.nii.gz", slice_index=1).hu)
    np.testing.assert_array_equal(np.diff(found.position_mm), [5, 5])


def test_a_png_is_a_series_of_one_slice_without_spacing(tmp_path: Path):
    found = read_series(png(tmp_path / "a.png"))
    (hu,) = found.hu
    assert found.spacing_mm is None
    assert found.position_mm is None
    assert (hu.min(), hu.max()) == (0, 80)
    np.testing.assert_array_equal(window(hu), read_slice(tmp_path / "a.png").image)


def test_a_series_above_the_head_is_read_and_a_broken_one_is_not(tmp_path: Path):
    """Unlike the one slice of a network, a slice of a series need not show a head."""
    folder = series(tmp_path / "P1")
    save(
        dicom(np.full((128, 128), -1000.0), ImagePositionPatient=[-100.0, -120.0, 25.0]), folder / "IM900.dcm"
    )
    assert len(read_series(folder).hu) == 6
    (folder / "IM003.dcm").write_bytes(b"no image")
    with pytest.raises(DataErrors, match="not DICOM"):
        read_series(folder)


def test_slices_of_two_sizes_are_no_series(tmp_path: Path):
    folder = series(tmp_path / "P1", levels=2)
    other = dicom(head(size=96, spacing_mm=2.4), ImagePositionPatient=[-100.0, -120.0, 10.0])
    other.PixelSpacing = [2.4, 2.4]
    save(other, folder / "IM900.dcm")
    with pytest.raises(DataErrors, match="2 sizes or pixel spacings"):
        read_series(folder)
