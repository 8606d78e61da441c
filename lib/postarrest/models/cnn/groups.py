"""Grad-CAM over groups of patients: sums without any patient's map, which can be added over folds."""

import math
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest.estimate import Estimate
from postarrest.files import whole
from postarrest.models.cnn.gradcam import TISSUES, attention_by_tissue, for_class, t_interval
from postarrest.models.cnn.network import Network

# True and predicted outcome of each class of patients, in the order of the sums.
_CLASSES = (("good", "good"), ("good", "poor"), ("poor", "good"), ("poor", "poor"))
_OUTCOMES = ("good", "poor")


def sums(
    cams: np.ndarray,
    tissues: np.ndarray,
    mapped_cams: np.ndarray,
    mapped_slices: np.ndarray,
    *,
    y_good: np.ndarray,
    predicted_good: np.ndarray,
    network: Network,
) -> dict[str, np.ndarray]:
    """Add up the maps and slices of patients by true and predicted outcome, and the attention by tissue.

    Parameters
    ----------
    cams, tissues : numpy.ndarray of shape (n, 256, 256)
        Maps of :func:`~postarrest.models.cnn.gradcam.for_class`, and labels of the same patients.
    mapped_cams, mapped_slices : numpy.ndarray of shape (n, rows, columns)
        Maps and slices in one space, from `ct_reader.template.registered`; NaN outside a patient's brain.
    y_good : numpy.ndarray of shape (n,)
        1 where the outcome is good.
    predicted_good : numpy.ndarray of bool, shape (n,)
        Whether it was predicted to be.
    network : Network
        Its settings: what was cropped has neither attention nor area.

    Returns
    -------
    dict of numpy.ndarray
        Every array can be added to that of other patients: ``n`` (4,) patients of each class; ``maps``,
        ``slices`` (4, rows, columns) and the patients with a value at each place (``maps_n``,
        ``slices_n``); ``share``, ``share_squared``, ``share_n`` (2, 5) by outcome and tissue; ``area`` (5,).
    """
    good = y_good == 1
    classes = [
        (good if true == "good" else ~good) & (predicted_good if predicted == "good" else ~predicted_good)
        for true, predicted in _CLASSES
    ]
    found = {"n": np.array([int(of.sum()) for of in classes])}
    for name, values in (("maps", mapped_cams), ("slices", mapped_slices)):
        known = np.isfinite(values)
        filled = np.where(known, values, 0).astype(float)
        found[name] = np.stack([filled[of].sum(axis=0) for of in classes])
        found[f"{name}_n"] = np.stack([known[of].sum(axis=0) for of in classes])
    shares = attention_by_tissue(cams, tissues)
    known, shares = np.isfinite(shares), np.nan_to_num(shares)
    of_outcome = (good, ~good)
    found["share_n"] = np.stack([known[of].sum(axis=0) for of in of_outcome])
    found["share"] = np.stack([shares[of].sum(axis=0) for of in of_outcome])
    found["share_squared"] = np.stack([(shares[of] ** 2).sum(axis=0) for of in of_outcome])
    seen = for_class(np.ones((1, 1, 1), dtype=np.float32), np.array([True]), network)
    found["area"] = attention_by_tissue(seen, tissues).sum(axis=0)
    return found


def means(added: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return mean slices and mean maps by true, by predicted, and by both outcomes.

    Each map is that of its patient's predicted outcome, so that a group by true outcome alone holds maps of
    both. Empty groups are left out.

    Parameters
    ----------
    added : Mapping
        From :func:`sums`.

    Returns
    -------
    (numpy.ndarray of shape (g, rows, columns), numpy.ndarray of the same shape, list of str)
        Slices, maps, and titles with the groups' sizes; 0 where most of a group's patients have no brain.
    """
    groups = {
        "good outcome": [0, 1],
        "good, predicted good": [0],
        "good, predicted poor": [1],
        "poor outcome": [2, 3],
        "poor, predicted good": [2],
        "poor, predicted poor": [3],
        "predicted good": [0, 2],
        "predicted poor": [1, 3],
    }
    sizes = {title: int(added["n"][of].sum()) for title, of in groups.items()}
    shown = {title: of for title, of in groups.items() if sizes[title]}

    def mean(name: str, title: str, of: list[int]) -> np.ndarray:
        n = added[f"{name}_n"][of].sum(axis=0)
        return np.where(2 * n > sizes[title], added[name][of].sum(axis=0) / np.maximum(n, 1), 0)

    slices, maps = (np.stack([mean(name, *g) for g in shown.items()]) for name in ("slices", "maps"))
    return slices, maps, [f"{title}\n(n = {sizes[title]})" for title in shown]


def shares(added: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the mean share of attention on each tissue in good and poor outcomes.

    Parameters
    ----------
    added : Mapping
        From :func:`sums`.

    Returns
    -------
    pandas.DataFrame
        ``tissue, outcome, n, share, lower, upper, area``: mean share with its 95 % t interval, and the
        tissue's mean share of the area that the network sees. A tissue known in fewer than two patients of
        an outcome has no row.
    """
    rows = []
    for k, outcome in enumerate(_OUTCOMES):
        for t, tissue in enumerate(TISSUES):
            n, total, squared = (added[name][k, t] for name in ("share_n", "share", "share_squared"))
            if n < 2:
                continue
            mean = total / n
            sd = math.sqrt(max(squared - n * mean**2, 0) / (n - 1))
            e = t_interval(float(mean), sd, int(n))
            area = added["area"][t] / added["n"].sum()
            rows.append((tissue, outcome, int(n), e.value, e.lower, e.upper, area))
    return pd.DataFrame(rows, columns=["tissue", "outcome", "n", "share", "lower", "upper", "area"])


def looked_at(of_tissues: pd.DataFrame) -> dict[str, str | Estimate]:
    """Return where the attention lay, for a sentence, in percent.

    Parameters
    ----------
    of_tissues : pandas.DataFrame
        From :func:`shares`.

    Returns
    -------
    dict
        ``outside`` and ``outside_area``: attention on what is no brain, and the area of that; ``tissue``,
        ``most`` and ``most_area``: of the tissue with most attention for its area; "none" and NaN if no
        attention could be counted.

    Examples
    --------
    >>> of_tissues = pd.DataFrame({"tissue": ["outside the brain", "cortex", "white matter"], "n": 9,
    ...                            "share": [0.5, 0.3, 0.2], "area": [0.6, 0.2, 0.2]})
    >>> looked_at(of_tissues)["tissue"]
    'cortex'
    """
    weighted = of_tissues.assign(share=of_tissues["share"] * of_tissues["n"]).groupby("tissue")
    shares = 100 * weighted["share"].sum() / weighted["n"].sum()
    area = 100 * weighted["area"].first()
    brain = (shares / area).drop(TISSUES[0], errors="ignore")
    most = str(brain.idxmax()) if len(brain) else "none"

    def percent(of: pd.Series, tissue: str) -> Estimate:
        return Estimate(float(of.get(tissue, np.nan)), digits=0)

    outside = {"outside": percent(shares, TISSUES[0]), "outside_area": percent(area, TISSUES[0])}
    return outside | {"tissue": most, "most": percent(shares, most), "most_area": percent(area, most)}


def write(added: Mapping[str, np.ndarray], path: Path) -> None:
    """Write sums to a file."""
    with whole(path) as place, place.open("wb") as file:
        np.savez_compressed(file, **added)


def read(paths: Iterable[Path]) -> dict[str, np.ndarray]:
    """Return the sums of several files added together."""
    parts = []
    for path in paths:
        with np.load(path) as arrays:
            parts.append({name: arrays[name] for name in arrays.files})
    return reduce(lambda one, other: {name: one[name] + other[name] for name in one}, parts)
