"""The included patients, saved for the other notebooks."""

import numpy as np
import pandas as pd

from postarrest.data.contract import GWR
from postarrest.data.ct.slices import read_slices
from postarrest.data.errors import DataErrors
from postarrest.data.export import StudyData
from postarrest.data.plausible import copied_images
from postarrest.files import whole, write_bytes
from postarrest.places import Here


def save_included(
    study: StudyData, included: pd.DataFrame, labels: pd.DataFrame, *, main_label: str, here: Here
) -> int:
    """Save the included patients with their outcome, their readings and their CT slices.

    Writes ``cohort.parquet`` (``y_good`` by the main label, ``y_good_<label>`` for each label, and the
    patients' variables), ``gwr.parquet`` and ``images.npz`` (``patient_id`` and ``images``, uint8 of
    256 x 256 pixels, in the order of the ids); both are empty where the study has no readings or no CT.

    Parameters
    ----------
    study : StudyData
        From `read_export`.
    included : pandas.DataFrame
        From `select`.
    labels : pandas.DataFrame
        From `outcome_labels`.
    main_label : str
        The label of ``y_good``.
    here : Here
        The study's places.

    Returns
    -------
    int
        Number of patients with a CT slice.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every image that can't be read, or is another patient's.
    """
    main = labels[f"y_good_{main_label}"].rename("y_good")
    variables = included.drop(columns=["y_good", "exclusion"], errors="ignore")
    write_bytes(here.out("cohort.parquet"), pd.concat([main, labels, variables], axis=1).to_parquet())
    readings = pd.DataFrame(columns=list(GWR.columns)) if study.gwr is None else study.gwr
    readings = readings[readings["patient_id"].isin(included.index)]
    write_bytes(here.out("gwr.parquet"), readings.to_parquet(index=False))
    paths = pd.Series(dtype=object) if study.ct is None else study.ct
    paths = paths[paths.index.isin(included.index)].sort_index()
    index, position_mm = included.get("ct_slice"), included.get("ct_position_mm")
    choices = {"slice_index": index, "slice_position_mm": position_mm, "rows": study.rows}
    slices = read_slices(paths, image_size=study.image_size, **choices)
    if copied := copied_images(slices, study.rows[paths.index]):
        raise DataErrors(copied)
    with whole(here.out("images.npz")) as place, place.open("wb") as file:
        np.savez(file, patient_id=paths.index.to_numpy(dtype=str), images=slices)
    return len(paths)
