"""The included patients as they are saved for the other notebooks."""

import dataclasses

import numpy as np
import pandas as pd
from PIL import Image

from heads import png
from postarrest import data
from postarrest.places import Here


def study(folder, *, images=True):
    """Three screened patients of whom the first two are included."""
    ids = pd.Index(["b", "a", "c"], name="patient_id")
    patients = pd.DataFrame({"cpc": [1.0, 5.0, 2.0], "exclusion": [None, None, "trauma"]}, index=ids)
    gwr = pd.DataFrame({"patient_id": ["a", "b", "c"], "mean_hu": [30.0, 31.0, 32.0]})
    head = np.asarray(Image.open(png(folder / "b.png")))
    png(folder / "a.png", np.roll(head, 3, axis=0))
    png(folder / "c.png", np.roll(head, 5, axis=0))
    paths = pd.Series([folder / f"{name}.png" for name in ids], index=ids) if images else None
    return data.StudyData(patients, gwr, paths, pd.Series([2, 3, 4], index=ids), (), (), ())


def saved(folder, **kind):
    read = study(folder, **kind)
    included, _ = data.select(read.patients, criteria={})
    here = Here("tiny", save_to="report", root=folder)
    labels = data.outcome_labels(included)
    images = data.read_images(read, included)
    data.save_included(read, images, included, labels, main_label="standard", here=here)
    return here, len(images.slices)


def test_patients_readings_and_slices_of_the_included_alone(tmp_path):
    here, n_ct = saved(tmp_path)
    cohort = pd.read_parquet(here.build("cohort.parquet"))
    assert list(cohort.columns) == ["y_good", "y_good_standard", "cpc"]
    assert cohort["y_good"].to_dict() == {"b": 1, "a": 0}
    assert pd.read_parquet(here.build("gwr.parquet"))["patient_id"].tolist() == ["a", "b"]
    assert n_ct == 2
    with np.load(here.build("images.npz")) as images:
        assert images["patient_id"].tolist() == ["a", "b"]
        slices = [data.read_slice(tmp_path / f"{name}.png").image for name in ("a", "b")]
        np.testing.assert_array_equal(images["images"], slices)


def test_a_study_without_ct_has_no_slices(tmp_path):
    """The file is there all the same: the pipeline waits for it."""
    here, n_ct = saved(tmp_path, images=False)
    assert n_ct == 0
    assert np.load(here.build("images.npz"))["images"].shape == (0, 256, 256)


def test_images_are_read_once_with_what_is_known_of_their_files(tmp_path):
    read = study(tmp_path)
    images = data.read_images(read, read.patients)
    assert images.slices.shape == (3, 256, 256)
    assert images.files.index.tolist() == ["b", "a", "c"]
    assert images.files["row"].tolist() == [2, 3, 4]
    assert list(images.export.columns) == [
        "format",
        "height of the image in pixels",
        "width of the image in pixels",
        "distance of rows in mm",
        "distance of columns in mm",
        "size of the file relative to its content",
    ]
    assert images.export["size of the file relative to its content"].between(0.9, 1.1).all()
    assert not images.warnings


def test_an_image_saved_twice_in_two_ways_is_noticed(tmp_path):
    read = study(tmp_path)
    Image.open(tmp_path / "b.png").save(tmp_path / "c.jpg", quality=80)
    paths = read.ct.where(read.ct.index != "c", tmp_path / "c.jpg")
    images = data.read_images(dataclasses.replace(read, ct=paths, image_size="fit"), read.patients)
    assert [(w.rule, w.row) for w in images.warnings] == [("lossy", 4), ("similar", 4)]
