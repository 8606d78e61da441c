"""Grad-CAM: the regions of a slice that support the predicted outcome.

References
----------
Selvaraju RR et al. Grad-CAM: visual explanations from deep networks via gradient-based localization.
ICCV 2017.
Adebayo J et al. Sanity checks for saliency maps. NeurIPS 2018.
"""

from typing import Any

import numpy as np
from scipy.stats import spearmanr
from scipy.stats import t as student_t

from postarrest.estimate import Estimate
from postarrest.models.cnn.features import in_batches
from postarrest.models.cnn.network import LAST, Network
from postarrest.models.ct_reader.network import compiled

CHECKED = 20
TISSUES = ("outside the brain", "white matter", "cortex", "deep nuclei", "cerebrospinal fluid")


def maps(model: Any, network: Network, images: np.ndarray) -> np.ndarray:
    """Return signed Grad-CAM maps at the last convolution: support for a good outcome, and against it.

    Parameters
    ----------
    model : keras.Model
        Whole network, from :meth:`postarrest.models.cnn.head.Head.whole_model`.
    network : Network
        Its settings (last convolution).
    images : numpy.ndarray of shape (n, 256, 256)
        Slices.

    Returns
    -------
    numpy.ndarray of shape (n, rows, columns), float32
        Activations weighted by the mean gradient of the logit, before the ReLU of the method. The positive
        part is Grad-CAM for a good outcome, and minus the negative part that for a poor one, since the
        logit of a poor outcome is minus that of a good one. See :func:`for_class`. Not scaled, so that maps
        of patients can be averaged and compared.
    """
    import keras
    import tensorflow as tf

    convolutions = keras.Model(model.inputs[0], model.get_layer(LAST[network.architecture]).output)
    base = compiled(convolutions)
    names = [layer.name for layer in model.layers]
    tail, top = model.layers[names.index("pool") : -1], model.layers[-1]

    def signed(batch: np.ndarray) -> np.ndarray:
        activation = base(tf.constant(batch[..., None], tf.float32))
        with tf.GradientTape() as tape:
            tape.watch(activation)
            hidden = activation
            for layer in tail:
                hidden = layer(hidden)
            # The logit: a sigmoid's gradient vanishes where the probability is near 0 or 1.
            score = tf.reduce_sum(tf.matmul(hidden, top.kernel) + top.bias)
        weight = tf.reduce_mean(tape.gradient(score, activation), axis=(1, 2), keepdims=True)
        return tf.reduce_sum(tf.cast(weight, tf.float32) * tf.cast(activation, tf.float32), axis=-1).numpy()

    return in_batches(signed, images, size=8)


def for_class(signed: np.ndarray, good: np.ndarray, network: Network) -> np.ndarray:
    """Return Grad-CAM of one outcome for each patient, at the size of the slices.

    Parameters
    ----------
    signed : numpy.ndarray of shape (n, rows, columns)
        From :func:`maps`.
    good : numpy.ndarray of bool, shape (n,)
        Whether that outcome is the good one.
    network : Network
        Its settings: the map is 0 where the image does not reach the network.

    Returns
    -------
    numpy.ndarray of shape (n, 256, 256), float32
        Not below 0.
    """
    import tensorflow as tf

    towards = np.where(good[:, None, None], signed, -signed)
    first, size = network.field
    cam = tf.image.resize(np.maximum(towards, 0)[..., None], (size, size)).numpy()[..., 0]
    margins = (first, 256 - first - size)
    return np.pad(cam, ((0, 0), margins, margins))


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


def sanity_check(
    model: Any, network: Network, images: np.ndarray, signed: np.ndarray, cams: np.ndarray, *, seed: int
) -> dict[str, Estimate | int]:
    """Compare maps with those of the same network with shuffled weights (Adebayo 2018).

    In at most :data:`CHECKED` patients, evenly among all: the check repeats the network's whole pass.

    Parameters
    ----------
    model, network, images
        As for :func:`maps`.
    signed : numpy.ndarray of shape (n, rows, columns)
        The network's maps.
    cams : numpy.ndarray of shape (n, 256, 256)
        Maps of the predicted outcome, from :func:`for_class`.
    seed : int
        Seed of the shuffling.

    Returns
    -------
    dict
        ``correlation``: mean Spearman correlation; ``size``: mean of its absolute value; ``n_checked``,
        ``n_test`` and ``n_flat``: patients compared, all, and those of the check with a constant map;
        ``n_blank``: patients of all in whom no region supports the predicted outcome.
    """
    some = np.unique(np.linspace(0, len(images) - 1, CHECKED).round().astype(int))
    agreement = agreement_with(signed[some], maps(randomised(model, seed=seed), network, images[some]))
    return {
        "correlation": mean_with_interval(agreement),
        "size": mean_with_interval(np.abs(agreement)),
        "n_checked": int(np.isfinite(agreement).sum()),
        "n_test": len(images),
        "n_flat": int(np.isnan(agreement).sum()),
        "n_blank": int((cams.max(axis=(1, 2)) == 0).sum()),
    }


def agreement_with(signed: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Spearman correlation of two signed maps of each patient over their places.

    Maps before the ReLU: after it two maps may be 0 everywhere, and would agree.

    Parameters
    ----------
    signed, others : numpy.ndarray of shape (n, rows, columns)
        From :func:`maps`.

    Returns
    -------
    numpy.ndarray of shape (n,)
        NaN where a map is constant.

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
    0.20 (95 % CI −0.05 to 0.45)
    """
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else float("nan"))
    return t_interval(float(known.mean()), float(known.std(ddof=1)), len(known))


def t_interval(mean: float, sd: float, n: int) -> Estimate:
    """Return a mean over n patients with its 95 % t interval, from the standard deviation.

    Examples
    --------
    >>> print(t_interval(0.2, 0.02, 3))
    0.20 (95 % CI 0.15 to 0.25)
    """
    half = float(student_t.ppf(0.975, n - 1)) * sd / np.sqrt(n)
    return Estimate(mean, float(mean - half), float(mean + half))
