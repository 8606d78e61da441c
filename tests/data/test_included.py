"""The included patients as they are saved for the other notebooks."""

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
    return here, data.save_included(read, included, labels, main_label="standard", here=here)


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
