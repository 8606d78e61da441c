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

from postarrest.estimate import Estimate
from postarrest.models.cnn import alignment
from postarrest.models.cnn.network import NETWORKS, Network

TISSUES = ("outside the brain", "white matter", "cortex", "deep nuclei", "cerebrospinal fluid")


def maps(model: Any, network: Network, images: np.ndarray) -> np.ndarray:
    """Return signed Grad-CAM maps at the last convolution: what speaks for a good outcome, and what against.

    Parameters
    ----------
    model : keras.Model
        Whole network, from :func:`postarrest.cnn.whole_model`.
    network : Network
        Its settings (last convolution, crop or resize).
    images : numpy.ndarray of shape (n, 256, 256)
        Slices.

    Returns
    -------
    numpy.ndarray of shape (n, rows, columns), float32
        Activations weighted by the mean gradient of the logit, before the ReLU of the method: its positive
        part is Grad-CAM for a good outcome and its negative part, turned, that for a poor one, because the
        logit of a poor outcome is that of a good one times -1. See :func:`for_class`. Not scaled, so that
        maps of patients can be averaged and compared.
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
            score = tf.reduce_sum(tf.matmul(hidden, top.kernel) + top.bias)
        weight = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
        signed = tf.reduce_sum(tf.cast(weight, tf.float32) * tf.cast(activation, tf.float32), axis=-1)
        out.append(signed.numpy())
    return np.concatenate(out)


def for_class(signed: np.ndarray, good: np.ndarray, network: Network) -> np.ndarray:
    """Return Grad-CAM of one class for each patient, laid over the 256 x 256 slices.

    Parameters
    ----------
    signed : numpy.ndarray of shape (n, rows, columns)
        From :func:`maps`.
    good : numpy.ndarray of bool, shape (n,)
        Whether the class of each patient is the good outcome.
    network : Network
        Its settings: where the image was cropped the network did not look, and the map is 0.

    Returns
    -------
    numpy.ndarray of shape (n, 256, 256), float32
        Not below 0.
    """
    import tensorflow as tf

    towards = np.where(good[:, None, None], signed, -signed)
    cam = np.maximum(towards, 0)[..., None]
    if network.fit_image == "resize":
        return tf.image.resize(cam, (256, 256)).numpy()[..., 0]
    margin = (256 - 224) // 2
    whole = tf.image.pad_to_bounding_box(tf.image.resize(cam, (224, 224)), margin, margin, 256, 256)
    return whole.numpy()[..., 0]


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


def shares_by_outcome(
    cams: np.ndarray, tissues: np.ndarray, y_good: np.ndarray, network: Network
) -> pd.DataFrame:
    """Return the mean share of attention on each tissue in good and poor outcomes.

    Parameters
    ----------
    cams, tissues : numpy.ndarray of shape (n, 256, 256)
        Maps of :func:`for_class` and labels of the same patients.
    y_good : numpy.ndarray of shape (n,)
        1 where the outcome is good.
    network : Network
        Its settings: what was cropped away has no area, as it has no attention.

    Returns
    -------
    pandas.DataFrame
        ``tissue, outcome, n, share, lower, upper, area``: mean share with its 95 % t interval, and the
        tissue's mean share of the area that the network sees. No rows where no tissue is known.
    """
    rows = []
    if len(cams):
        shares = attention_by_tissue(cams, tissues)
        even = np.ones((len(cams), 7, 7), dtype=np.float32)
        seen = for_class(even, np.ones(len(cams), dtype=bool), network)
        area = attention_by_tissue(seen, tissues).mean(axis=0)
        for outcome, of_group in (("good", y_good == 1), ("poor", y_good == 0)):
            for t, tissue in enumerate(TISSUES):
                values = shares[of_group, t]
                values = values[np.isfinite(values)]
                if len(values) < 2:
                    continue
                mean = mean_with_interval(values)
                rows.append((tissue, outcome, len(values), mean.value, mean.lower, mean.upper, area[t]))
    return pd.DataFrame(rows, columns=["tissue", "outcome", "n", "share", "lower", "upper", "area"])


def group_means(
    cams: np.ndarray, images: np.ndarray, y_good: np.ndarray, predicted_good: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return mean maps and mean slices, in register, by true, by predicted, and by both outcomes.

    Each map is that of its patient's predicted outcome, so that a group by true outcome alone holds maps of
    both. Heads are brought onto a common ellipse first (:mod:`postarrest.alignment`). Empty groups are left
    out.

    Parameters
    ----------
    cams, images : numpy.ndarray of shape (n, 256, 256)
        Maps and slices of the same patients.
    y_good : numpy.ndarray of shape (n,)
        1 where the outcome is good.
    predicted_good : numpy.ndarray of bool, shape (n,)
        Whether it was predicted to be.

    Returns
    -------
    (list of str, numpy.ndarray of shape (g, 256, 256), numpy.ndarray of shape (g, 256, 256))
        Titles with the groups' sizes, maps, slices.
    """
    heads = [alignment.outline(image) for image in images]
    onto = alignment.common(heads, shape=images.shape[1:])
    cams, images = alignment.aligned(cams, heads, onto), alignment.aligned(images, heads, onto)
    titles, maps_, slices = [], [], []
    good = y_good == 1
    groups = {
        "good outcome": good,
        "good, predicted good": good & predicted_good,
        "good, predicted poor": good & ~predicted_good,
        "poor outcome": ~good,
        "poor, predicted good": ~good & predicted_good,
        "poor, predicted poor": ~good & ~predicted_good,
        "predicted good": predicted_good,
        "predicted poor": ~predicted_good,
    }
    for title, group in groups.items():
        if group.any():
            titles.append(f"{title}\n(n = {int(group.sum())})")
            maps_.append(cams[group].mean(axis=0))
            slices.append(images[group].mean(axis=0))
    return titles, np.stack(maps_), np.stack(slices)


def agreement_with(signed: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Spearman correlation of two signed maps of each patient, place by place.

    Before the ReLU, because what it leaves of a map may be nothing, and two such maps would agree.

    Parameters
    ----------
    signed, others : numpy.ndarray of shape (n, rows, columns)
        From :func:`maps`.

    Returns
    -------
    numpy.ndarray of shape (n,)
        NaN where a map is the same everywhere.

    Examples
    --------
    >>> up = np.arange(9.0).reshape(1, 3, 3)
    >>> agreement_with(np.concatenate([up, up, up]), np.concatenate([2 * up, -up, 0 * up])).tolist()
    [1.0, -1.0, nan]
    """
    found = []
    for cam, other in zip(signed, others, strict=True):
        flat = np.ptp(cam) == 0 or np.ptp(other) == 0
        found.append(np.nan if flat else spearmanr(cam.ravel(), other.ravel()).statistic)
    return np.array(found)


def mean_with_interval(values: np.ndarray) -> Estimate:
    """Return the mean of a measure over patients with its 95 % t interval; NaN are left out.

    Examples
    --------
    >>> print(mean_with_interval(np.array([0.1, 0.2, 0.3, float("nan")])))
    0.20 (95 % CI -0.05 to 0.45)
    """
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else float("nan"))
    half = student_t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known))
    return Estimate(float(known.mean()), float(known.mean() - half), float(known.mean() + half))
