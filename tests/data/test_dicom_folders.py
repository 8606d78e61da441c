"""Folders of DICOM files as hospitals have them: what is read, what is not, and whose it is."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from broken import CANARY, IDS, good_png, patients
from heads import dicom, head, header, png, save, series
from postarrest.data import DataErrors, errors, read_series, read_slice
from postarrest.pipeline import check_data

SR = {"SOPClassUID": pydicom.uid.XRayRadiationDoseSRStorage, "Modality": "SR"}


def noisy(folder: Path, *, sd: float, levels: int = 3, uid: str, **tags) -> Path:
    """A series with noise of a standard deviation (HU), files named by its id."""
    rng = np.random.default_rng(4)
    for i in range(levels):
        hu = head() + (head() > -500) * rng.normal(0, sd, (128, 128))
        position = [-100.0, -120.0, 15.0 * i / levels]
        file = dicom(hu, InstanceNumber=i + 1, ImagePositionPatient=position, SeriesInstanceUID=uid, **tags)
        save(file, folder / f"{uid}-{i}.dcm")
    return folder


def notes(folder: Path, **choice) -> dict[str, str]:
    return {note.rule: note.found for note in read_slice(folder, **choice).notes}


# ---------------------------------------------------------------------- several series


@pytest.mark.parametrize("first", ["1.1", "1.9"])
def test_of_two_reconstructions_the_one_with_less_noise_is_read_and_why_is_said(first: str, tmp_path: Path):
    bone = "1.9" if first == "1.1" else "1.1"
    noisy(noisy(tmp_path, sd=3, uid=first), sd=12, uid=bone, levels=6)
    found = read_slice(tmp_path, slice_index=2)
    assert found.hu[head() == 35].std() == pytest.approx(3, rel=0.1)
    assert len(read_series(tmp_path).hu) == 3
    said = notes(tmp_path, slice_index=2)["series"]
    numbers = re.fullmatch(
        r"2 axial CT series, of which the one with the least noise \((.*) HU; next (.*)\) is read, 3 slices",
        said,
    )
    assert [float(n) for n in numbers.groups()] == pytest.approx([3, 12], rel=0.1)


def test_a_series_without_contrast_is_read_before_a_smoother_one_with_it(tmp_path: Path):
    noisy(tmp_path, sd=3, uid="1.1", ContrastBolusAgent="Iohexol")
    noisy(tmp_path, sd=5, uid="1.2")
    found = read_slice(tmp_path, slice_index=1)
    assert found.hu[head() == 35].std() == pytest.approx(5, rel=0.1)
    assert notes(tmp_path, slice_index=1)["series"] == (
        "2 axial CT series, of which the one without contrast is read, 3 slices"
    )


def test_two_series_of_the_same_noise_are_not_guessed_at(tmp_path: Path):
    noisy(noisy(tmp_path, sd=5, uid="1.1"), sd=5.5, uid="1.2")
    with pytest.raises(DataErrors, match="2 axial CT series of about the same noise"):
        read_slice(tmp_path, slice_index=0)


def test_a_series_that_is_not_read_may_have_gaps(tmp_path: Path):
    noisy(noisy(tmp_path, sd=3, uid="1.1"), sd=12, uid="1.2", levels=6)
    (tmp_path / "1.2-3.dcm").unlink()
    assert len(read_series(tmp_path).hu) == 3


def test_reformats_in_other_planes_scouts_and_reports_are_not_used(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3)
    for number, plane in enumerate([[1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]]):
        save(dicom(ImageOrientationPatient=plane, SeriesInstanceUID=f"8.{number}"), folder / f"m{number}.dcm")
    save(dicom(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="9.1"), folder / "scout.dcm")
    save(header(**SR), folder / "dose.dcm")
    assert read_slice(folder, slice_index=2).hu[64, 64] == 32
    assert notes(folder, slice_index=2) == {
        "other files": "files that are not used: a localizer (scout view), 2 x a slice that is not axial, "
        "the modality SR"
    }


# ---------------------------------------------------------------------- what else lies in a folder


def test_what_systems_and_viewers_leave_is_named_and_not_used(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3)
    (folder / "Thumbs.db").write_bytes(b"previews of Windows")
    (folder / "DICOMDIR").write_bytes(b"the index")
    png(folder / "preview.png")
    for name in ("Tanaka_Taro.jpg", "Tanaka_Hana.JPG"):
        Image.new("L", (64, 64)).save(folder / name, "JPEG")
    said = notes(folder, slice_index=1)["other files"]
    assert said == "files that are not used: Thumbs.db, 2 x a .jpg file, a .png file"


def test_a_file_that_should_be_dicom_is_named_only_to_who_has_the_data(tmp_path: Path):
    folder = series(tmp_path / "ct" / IDS[1], levels=3)
    (folder / f"{CANARY}-3").write_bytes(b"no image" * 40)
    patients().to_csv(tmp_path / "patients.csv", index=False)
    for number, patient in enumerate([IDS[0], *IDS[2:]]):
        (tmp_path / "ct" / f"{patient}.png").write_bytes(good_png(number))
    (error,) = check_data.check(tmp_path, modalities=["ct"]).errors
    assert error.file == f"ct/{IDS[1]}/{CANARY}-3"
    assert errors.listing([error]) == (
        "  CT, row 3: found a file that is not DICOM; expected DICOM with its preamble."
    )


# ---------------------------------------------------------------------- geometry


def test_a_tilt_is_noticed_by_the_slices_themselves(tmp_path: Path):
    tilted = dicom(ImageOrientationPatient=[1, 0, 0, 0, 0.9397, -0.342])
    assert notes(save(tilted, tmp_path / "a.dcm")) == {"tilt": "slices tilted by 20°"}
    turned = dicom(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    assert notes(save(turned, tmp_path / "b.dcm")) == {}


def test_a_tilted_series_is_ordered_along_its_own_normal(tmp_path: Path):
    # The table moves along the body's axis: positions in the header rise by 5 mm, whatever the tilt.
    for i in range(4):
        hu = np.where(head() == 35, 30 + i, head())
        tags = {"ImageOrientationPatient": [1, 0, 0, 0, 0.9397, -0.342], "GantryDetectorTilt": "20"}
        save(
            dicom(hu, InstanceNumber=i, ImagePositionPatient=[-100, -120, 5 * i], **tags),
            tmp_path / f"{i}.dcm",
        )
    found = read_series(tmp_path)
    assert [hu[64, 64] for hu in found.hu] == [30, 31, 32, 33]
    np.testing.assert_allclose(np.diff(found.position_mm), 5, rtol=1e-6)
    assert [note.found for note in found.notes] == ["slices tilted by 20°"]


def test_pixels_that_are_not_square_are_made_square_and_noted(tmp_path: Path):
    squeezed = np.repeat(head(size=128), 2, axis=0)
    path = save(dicom(squeezed, PixelSpacing=[0.9, 1.8]), tmp_path / "a.dcm")
    assert notes(path) == {"pixels": "pixels of 0.9 x 1.8 mm, resampled to square ones"}
    square = read_slice(save(dicom(), tmp_path / "b.dcm")).image.astype(int)
    assert (np.abs(read_slice(path).image - square) > 40).mean() < 0.02


# ---------------------------------------------------------------------- whose images


def test_the_id_in_a_header_is_compared_and_kept_nowhere(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3, PatientID="4711")
    same = read_slice(series(tmp_path / "b", levels=1, PatientID=" 4711 "))
    other = read_slice(series(tmp_path / "c", levels=1, PatientID="4712"))
    found = read_slice(folder, slice_index=1)
    assert found.patient == same.patient != other.patient
    assert len(found.patient) == 128
    assert "4711" not in f"{found} {found.patient}"
    assert read_slice(series(tmp_path / "d", levels=1)).patient == ""


@pytest.mark.parametrize("reader", [lambda path: read_slice(path, slice_index=0), read_series])
def test_a_slice_of_another_patient_in_a_series_is_an_error(reader, tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3, PatientID="4711")
    file = pydicom.dcmread(folder / "IM002.dcm")
    file.PatientID = "815"
    save(file, folder / "IM002.dcm")
    with pytest.raises(DataErrors, match="the ids of 2 patients in the headers of one series") as caught:
        reader(folder)
    assert "4711" not in str(caught.value)
    assert "815" not in str(caught.value)


def test_another_patients_report_in_the_folder_is_noted(tmp_path: Path):
    folder = series(tmp_path / "ct", levels=3, PatientID="4711")
    save(header(**SR, PatientID="815"), folder / "dose.dcm")
    assert notes(folder, slice_index=0)["patient"] == (
        "another patient's id in the header of a file that is not used"
    )


def test_the_ct_of_another_patient_of_the_table_is_refused(tmp_path: Path):
    patients().assign(ct_slice="0").to_csv(tmp_path / "patients.csv", index=False)
    swapped = {IDS[1]: IDS[4], IDS[4]: IDS[1]}
    for number, patient in enumerate(IDS):
        own = np.roll(head(), 4 * number, axis=0)
        save(dicom(own, PatientID=swapped.get(patient, patient)), tmp_path / "ct" / patient / "1.dcm")
    result = check_data.check(tmp_path, modalities=["ct"])
    assert errors.listing(result.errors) == (
        "  CT, row 3: found the id of row 6 in its header; expected the CT of the row's own patient.\n"
        "  CT, row 6: found the id of row 3 in its header; expected the CT of the row's own patient."
    )


def test_one_patient_under_two_ids_is_to_be_checked(tmp_path: Path):
    patients().assign(ct_slice="0").to_csv(tmp_path / "patients.csv", index=False)
    for number, patient in enumerate(IDS):
        name = "4711" if number in (1, 4) else f"own{number}"
        own = np.roll(head(), 4 * number, axis=0)
        save(dicom(own, PatientID=name), tmp_path / "ct" / patient / "1.dcm")
    result = check_data.check(tmp_path, modalities=["ct"])
    assert not result.errors
    assert errors.listing(result.warnings) == (
        "  CT, rows 3, 6: found one patient's id in the headers of 2 patients; expected an id of its own in "
        "each patient's headers, or none."
    )
