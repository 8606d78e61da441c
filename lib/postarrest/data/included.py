"""The included patients, saved for the other notebooks."""

import numpy as np
import pandas as pd

from postarrest.data.contract import GWR
from postarrest.data.export import StudyData
from postarrest.data.images import Images
from postarrest.files import whole, write_bytes
from postarrest.places import Here


def save_included(
    study: StudyData,
    images: Images,
    included: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    main_label: str,
    here: Here,
) -> None:
    """Save the included patients with their outcome, their readings and their CT slices.

    Writes ``cohort.parquet`` (``y_good`` by the main label, ``y_good_<label>`` for each label, and the
    patients' variables), ``gwr.parquet`` and ``images.npz`` (``patient_id`` and ``images``, uint8 of
    256 x 256 pixels, in the order of the ids); both are empty where the study has no readings or no CT.

    Parameters
    ----------
    study : StudyData
        From `read_export`.
    images : Images
        Of the included patients, from `read_images`.
    included : pandas.DataFrame
        From `select`.
    labels : pandas.DataFrame
        From `outcome_labels`.
    main_label : str
        The label of ``y_good``.
    here : Here
        The study's places.
    """
    main = labels[f"y_good_{main_label}"].rename("y_good")
    variables = included.drop(columns=["y_good", "exclusion"], errors="ignore")
    write_bytes(here.out("cohort.parquet"), pd.concat([main, labels, variables], axis=1).to_parquet())
    readings = pd.DataFrame(columns=list(GWR.columns)) if study.gwr is None else study.gwr
    readings = readings[readings["patient_id"].isin(included.index)]
    write_bytes(here.out("gwr.parquet"), readings.to_parquet(index=False))
    order = np.argsort(images.files.index.to_numpy(dtype=str))
    ids = images.files.index.to_numpy(dtype=str)[order]
    with whole(here.out("images.npz")) as place, place.open("wb") as file:
        np.savez(file, patient_id=ids, images=images.slices[order])
