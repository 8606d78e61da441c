"""Where in the slice a network looked: gradient-weighted class activation maps (Grad-CAM).

References
----------
Selvaraju RR et al. Grad-CAM: visual explanations from deep networks via gradient-based localization.
ICCV 2017.
Adebayo J et al. Sanity checks for saliency maps. NeurIPS 2018.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import spearmanr
from scipy.stats import t as student_t

from postarrest.cnn import NETWORKS, Network

TISSUES = ("outside the brain", "white matter", "cortex", "deep nuclei", "cerebrospinal fluid")


def maps(model: Any, network: Network, images: np.ndarray, *, towards_good: bool = True) -> np.ndarray:
    """Return Grad-CAM maps at the last convolution, laid over the 256 x 256 slices.

    Parameters
    ----------
    model : keras.Model
        Whole network, from :func:`postarrest.cnn.whole_model`.
    network : Network
        Its settings (last convolution, crop or resize).
    images : numpy.ndarray of shape (n, 256, 256)
        Slices.
    towards_good : bool
        Maps of what speaks for a good outcome, or for a poor one.

    Returns
    -------
    numpy.ndarray of shape (n, 256, 256), float32
        Not below 0; not scaled, so that maps of patients can be averaged and compared. 0 where the network
        did not look because the image was cropped.
    """
    import keras
    import tensorflow as tf

    convolutions = keras.Model(model.inputs[0], model.get_layer(NETWORKS[network.architecture][0]).output)
    # As a graph, each layer's output is let go when it has been used; called directly, Keras keeps them all.
    base = tf.function(lambda batch: convolutions(batch, training=False), reduce_retracing=True)
    names = [layer.name for layer in model.layers]
    tail, top = model.layers[names.index("pool") : -1], model.layers[-1]
    out = []
    for start in range(0, len(images), 8):
        batch = tf.constant(images[start : start + 8, ..., None], tf.float32)
        activation = base(batch)
        with tf.GradientTape() as tape:
            tape.watch(activation)
            hidden = activation
            for layer in tail:
                hidden = layer(hidden)
            # The logit: a sigmoid's gradient vanishes where the network is sure.
            logit = tf.matmul(hidden, top.kernel) + top.bias
            score = tf.reduce_sum(logit if towards_good else -logit)
        weight = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
        cam = tf.nn.relu(
            tf.reduce_sum(tf.cast(weight, tf.float32) * tf.cast(activation, tf.float32), axis=-1)
        )
        out.append(_to_slice(cam[..., None], network).numpy()[..., 0])
    return np.concatenate(out).astype(np.float32)


def _to_slice(cam: Any, network: Network) -> Any:
    import tensorflow as tf

    if network.fit_image == "resize":
        return tf.image.resize(cam, (256, 256))
    margin = (256 - 224) // 2
    return tf.image.pad_to_bounding_box(tf.image.resize(cam, (224, 224)), margin, margin, 256, 256)


def randomised(model: Any, *, seed: int) -> Any:
    """Return a copy of a network whose weights are shuffled within each layer, for Adebayo's sanity check."""
    import keras

    copy = keras.models.clone_model(model)
    rng = np.random.default_rng(seed)
    for ours, theirs in zip(copy.layers, model.layers, strict=True):
        ours.set_weights([rng.permuted(w.ravel()).reshape(w.shape) for w in theirs.get_weights()])
    return copy


def attention_by_tissue(cams: np.ndarray, tissues: np.ndarray) -> np.ndarray:
    """Return the share of each map that lies on each tissue.

    Parameters
    ----------
    cams : numpy.ndarray of shape (n, 256, 256)
        Maps.
    tissues : numpy.ndarray of shape (n, 256, 256), uint8
        Labels, positions in :data:`TISSUES`.

    Returns
    -------
    numpy.ndarray of shape (n, 5)
        Rows sum to 1; NaN where a map is 0 everywhere.

    Examples
    --------
    >>> cam = np.ones((1, 2, 2)); tissue = np.array([[[0, 1], [1, 3]]])
    >>> attention_by_tissue(cam, tissue).tolist()
    [[0.25, 0.5, 0.0, 0.25, 0.0]]
    """
    total = cams.sum(axis=(1, 2))
    shares = np.stack([(cams * (tissues == t)).sum(axis=(1, 2)) for t in range(len(TISSUES))], axis=1)
    return np.divide(shares, total[:, None], out=np.full(shares.shape, np.nan), where=total[:, None] > 0)


def read_tissues(folder: Path, patients: pd.Index) -> tuple[pd.Index, np.ndarray]:
    """Return the tissue maps of those patients who have one (those of a simulation do).

    Parameters
    ----------
    folder : pathlib.Path
        Folder of ``<patient_id>.png`` label maps; it need not be there.
    patients : pandas.Index
        Patients.

    Returns
    -------
    (pandas.Index, numpy.ndarray of shape (m, 256, 256))
    """
    known = [p for p in patients if (folder / f"{p}.png").is_file()]
    maps = np.zeros((len(known), 256, 256), dtype=np.uint8)
    for i, patient in enumerate(known):
        with Image.open(folder / f"{patient}.png") as image:
            maps[i] = np.asarray(image)
    return pd.Index(known, name=patients.name), maps


def shares_by_outcome(cams: np.ndarray, tissues: np.ndarray, y_good: np.ndarray) -> pd.DataFrame:
    """Return the mean share of attention on each tissue in good and poor outcomes.

    Parameters
    ----------
    cams, tissues : numpy.ndarray of shape (n, 256, 256)
        Maps and labels of the same patients.
    y_good : numpy.ndarray of shape (n,)
        1 where the outcome is good.

    Returns
    -------
    pandas.DataFrame
        ``tissue, outcome, n, share, lower, upper, area``: mean share with its 95 % t interval, and the
        tissue's mean share of the area. No rows where no tissue is known.
    """
    rows = []
    if len(cams):
        shares = attention_by_tissue(cams, tissues)
        area = attention_by_tissue(np.ones_like(tissues, dtype=float), tissues).mean(axis=0)
        for outcome, of_group in (("good", y_good == 1), ("poor", y_good == 0)):
            for t, tissue in enumerate(TISSUES):
                values = shares[of_group, t]
                values = values[np.isfinite(values)]
                if len(values) < 2:
                    continue
                half = student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
                mean = values.mean()
                rows.append((tissue, outcome, len(values), mean, mean - half, mean + half, area[t]))
    return pd.DataFrame(rows, columns=["tissue", "outcome", "n", "share", "lower", "upper", "area"])


def group_means(
    cams: np.ndarray, images: np.ndarray, y_good: np.ndarray, predicted_good: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return mean maps and mean slices by true and predicted outcome; empty groups are left out.

    Returns
    -------
    (list of str, numpy.ndarray of shape (g, 256, 256), numpy.ndarray of shape (g, 256, 256))
        Titles with the groups' sizes, maps, slices.
    """
    titles, maps_, slices = [], [], []
    for truth, true in (("good", y_good == 1), ("poor", y_good == 0)):
        for prediction, called in (("good", predicted_good), ("poor", ~predicted_good)):
            group = true & called
            if group.any():
                titles.append(f"{truth}, predicted {prediction}\n(n = {int(group.sum())})")
                maps_.append(cams[group].mean(axis=0))
                slices.append(images[group].mean(axis=0))
    return titles, np.stack(maps_), np.stack(slices)


def agreement_with(cams: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Spearman correlation of two maps of each patient, pixel by pixel; NaN where one is flat."""
    found = []
    for cam, other in zip(cams, others, strict=True):
        flat = np.ptp(cam) == 0 or np.ptp(other) == 0
        found.append(np.nan if flat else spearmanr(cam.ravel(), other.ravel()).statistic)
    return np.array(found)
