"""A few slices of a simulated study, for display."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from postarrest.data.cohort import outcome_labels
from postarrest.data.ct.slices import read_slice, read_slices, window
from postarrest.data.export import read_export


def example_slices(
    data: Path, *, n: int, real_ct: str = "", real_slices: Sequence[int] = ()
) -> dict[str, np.ndarray]:
    """Read slices of simulated patients by outcome, and one of a real head CT for comparison.

    Parameters
    ----------
    data : pathlib.Path
        A folder written by `write_study`.
    n : int
        Number of patients, half of them with a good outcome by the revised label.
    real_ct : str
        Folder or file of a real head CT; blank: none.
    real_slices : sequence of int
        Its slices, counted from 0 at the caudal end, whose mean is returned.

    Returns
    -------
    dict of str to numpy.ndarray
        Name of the group to slices, uint8, shape (n, 256, 256), window level 40, width 80 HU.
    """
    study = read_export(data, modalities=["ct"])
    included = study.patients.loc[study.ct.index]
    good = outcome_labels(included)["y_good_revised"] == 1
    patients = {"good outcome": good.index[good][: n // 2], "poor outcome": good.index[~good][: n - n // 2]}
    index = included.get("ct_slice")
    groups = {group: read_slices(study.ct[ids], slice_index=index) for group, ids in patients.items()}
    if real_ct:
        hu = [read_slice(Path(real_ct), slice_index=number).hu for number in real_slices]
        groups["real head CT"] = window(np.mean(hu, axis=0))[None]
    return groups
