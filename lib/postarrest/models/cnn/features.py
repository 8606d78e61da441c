"""Features of each CT slice from the frozen network, computed once per study."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import whole, write_text
from postarrest.models.cnn.backbone import backbone
from postarrest.models.cnn.network import Network, NetworkError, variants
from postarrest.models.cnn.weights import CIRCULAR, settled, source
from postarrest.models.kept import digest
from postarrest.places import Here


@dataclass(frozen=True)
class Features:
    """The frozen network's features of each patient's slice.

    Parameters
    ----------
    patients : pandas.Index
        Patients, in the order of the rows.
    variants : numpy.ndarray of shape (n, 1 + copies, d)
        Features of the slice, then of its augmented copies: the mean over the image of each channel of the
        last convolution.
    key : str
        Hash of all that the features depend on.
    source : str
        Source of the weights, in words.
    """

    patients: pd.Index
    variants: np.ndarray = field(repr=False)
    key: str
    source: str

    def rows(self, ids: pd.Index) -> np.ndarray:
        """Return the row of each patient.

        Raises
        ------
        KeyError
            If a patient has no slice.
        """
        return _rows(self.patients, ids)


def images(here: Here, ids: pd.Index) -> np.ndarray:
    """Return the slices of some patients, shape (n, 256, 256), uint8.

    Raises
    ------
    KeyError
        If a patient has no slice.
    """
    patients, every = slices(here)
    return every[_rows(patients, ids)]


def decided(here: Here, network: Network) -> Network:
    """Return a network with the weights that were decided for the study; without a decision, decide now.

    Parameters
    ----------
    here : Here
        The study's places; :func:`keep_features` left its decision in ``features.json``.
    network : Network
        The network as the study asks for it.
    """
    record = _record(here)
    asked = {"architecture": network.architecture, "weights": network.weights}
    if network.weights == "auto" and record.get("asked") == asked:
        return network.model_copy(update=record["used"])
    return settled(network)


def features(here: Here, network: Network) -> Features:
    """Return the features of a study's images, computed unless they are kept.

    They are kept under the hash of all that they depend on (images, settings and weights of the network, the
    code and the packages that compute them) and of nothing else, so that other changes do not recompute them.

    Parameters
    ----------
    here : Here
        The study's places; the images are in ``images.npz``.
    network : Network
        The frozen network, from :func:`decided`.

    Raises
    ------
    NetworkError
        If a run for the report would use other features than the study's other runs.
    """
    found, record = _features(here, network), _record(here)
    if found.key == record.get("key"):
        # What the features step found, and knew of the patients.
        return replace(found, source=record["weights"])
    if record and here.save_to == "report":
        raise NetworkError(
            f"build/{here.study}/features.json: found features of other images, settings, weights or "
            f"versions ({record['weights']}); expected those of this run ({found.source}). Delete the "
            f"file, and run 'make report STUDY={here.study}' again."
        )
    return found


def kept(here: Here) -> Features:
    """Return the features that a study's features step kept, whatever network they are of."""
    record = _record(here)
    variants = np.load(here.build(f"features/{record['key']}.npy"))
    return Features(slices(here)[0], variants, record["key"], record["weights"])


def keep_features(here: Here, network: Network, *, simulated: bool) -> Features:
    """Decide a study's weights, compute its features, and describe both in ``features.json``.

    Every later run of the study uses this decision (:func:`decided`), whatever is to be had by then.

    Parameters
    ----------
    here : Here
        The study's places.
    network : Network
        The network as the study asks for it.
    simulated : bool
        Whether the patients are simulated; the network may have been pretrained on their like.
    """
    used = settled(network)
    found, weights = _features(here, used), source(used)
    words = weights.words
    if simulated and weights.kind == "embedded":
        words += f" (circular: {CIRCULAR})"
    about = {
        "key": found.key,
        "shape": found.variants.shape,
        "asked": {"architecture": network.architecture, "weights": network.weights},
        "used": {name: getattr(used, name) for name in ("architecture", "weights", "instead_of")},
        "network": used.name,
        "source": weights.kind,
        "weights": words,
        "circular": CIRCULAR if words != weights.words else "",
    }
    write_text(here.out("features.json"), json.dumps(about, indent=1) + "\n")
    return found


def _features(here: Here, network: Network) -> Features:
    patients, every = slices(here)
    weights = source(network)
    # The weights by their content: a path differs from machine to machine.
    settings = network.model_dump(exclude={"instead_of"}) | {"weights": weights.sha256}
    modules = ["cnn/network", "cnn/backbone", "cnn/features"]
    if network.architecture == "embedded":
        # What the other networks do to an image does not change it.
        del settings["fit_image"]
        modules += ["cnn/embedded", "ct_reader/network"]
    key = digest(
        *("features", every, list(patients), settings),
        modules=modules,
        packages=("keras", "tensorflow"),
    )
    place = here.build(f"features/{key}.npy")
    if not place.is_file():
        computed = _compute(every, network)
        with whole(place) as beside, beside.open("wb") as file:
            np.save(file, computed)
    return Features(patients, np.load(place), key, weights.words)


def _record(here: Here) -> dict[str, Any]:
    place = here.build("features.json")
    return json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}


def slices(here: Here) -> tuple[pd.Index, np.ndarray]:
    """Return the patients with a CT slice, and the slices, shape (n, 256, 256), uint8."""
    with np.load(here.build("images.npz")) as kept:
        return pd.Index(kept["patient_id"].astype(str), name="patient_id"), kept["images"]


def _rows(patients: pd.Index, ids: pd.Index) -> np.ndarray:
    rows = patients.get_indexer(ids)
    if (rows < 0).any():
        raise KeyError(f"{int((rows < 0).sum())} patients have no CT slice.")
    return rows


def _compute(images: np.ndarray, network: Network) -> np.ndarray:
    model = backbone(network)
    return np.stack([pooled(model, variant) for variant in variants(images, network)], axis=1)


def pooled(model: Any, images: np.ndarray) -> np.ndarray:
    """Return the mean over the image of each channel of a backbone's output, shape (n, d), float32."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def run(batch):
        return tf.reduce_mean(tf.cast(model(batch, training=False), tf.float32), axis=(1, 2))

    return in_batches(lambda batch: run(batch[..., None]).numpy(), images)


def in_batches(run: Callable[[np.ndarray], np.ndarray], given: np.ndarray, *, size: int = 16) -> np.ndarray:
    """Return what a network makes of its inputs, in batches that are all of one size.

    The result for one patient then is the same, bit for bit, whoever else is computed: kernels are chosen by
    the size of a batch.

    Examples
    --------
    >>> in_batches(lambda batch: batch * 2, np.arange(5), size=4).tolist()
    [0, 2, 4, 6, 8]
    """
    found = []
    for start in range(0, len(given), size):
        batch = given[start : start + size]
        padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        found.append(run(padded)[: len(batch)])
    return np.concatenate(found)
