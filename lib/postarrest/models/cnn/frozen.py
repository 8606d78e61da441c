"""A trained network apart from the study that trained it: written, read, and used on slices."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from postarrest.models.cnn.features import in_batches, pooled
from postarrest.models.cnn.finetune import FineTuned, cut, upper_part
from postarrest.models.cnn.head import Head, forward
from postarrest.models.cnn.network import LAST, Network
from postarrest.models.ct_reader.network import compiled


def of_head(head: Head, network: Network) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a trained network as it is frozen.

    The whole network is enough to use it anywhere. The head's own numbers, and where the study took features
    or activations from, make its scores here those of the study to the last digit: Keras would standardise in
    single precision, and the study kept activations in half precision.

    Parameters
    ----------
    head : Head
        Trained.
    network : Network
        Below it, with its weights decided.

    Returns
    -------
    model : keras.Model
        The whole network.
    arrays : dict
        The head's numbers; empty where more than the head was trained.
    settings : dict
        ``layer`` (whose output the study kept), ``head`` (whether only a head was trained on it) and
        ``input`` (what reaches the network, in words).
    """
    model, words = head.whole_model(network), {"input": network.input_in_words}
    if isinstance(head, FineTuned):
        layer, _ = cut(network, head.training.depth)
        return model, {}, {"layer": layer, "head": False} | words
    arrays = {"mean": head.mean_, "sd": head.sd_, "weights": list(head.weights_)}
    return model, arrays, {"layer": LAST[network.architecture], "head": True} | words


def to_bytes(model: Any) -> bytes:
    """Return a network in Keras's own format."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "network.keras"
        model.save(place)
        return place.read_bytes()


def from_bytes(content: bytes) -> Any:
    """Return a network from Keras's own format; nothing in it is executed."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "network.keras"
        place.write_bytes(content)
        return keras.models.load_model(place, compile=False, safe_mode=True)


def probability(
    model: Any, arrays: dict[str, Any], settings: dict[str, Any], images: np.ndarray
) -> np.ndarray:
    """Return the probability of a good outcome, before Platt scaling, of each slice.

    Parameters
    ----------
    model, arrays, settings
        From :func:`of_head`, perhaps written and read.
    images : numpy.ndarray of shape (n, 256, 256), uint8
        Slices, window 40 / 80 HU.

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    import keras

    layer = model.get_layer(settings["layer"]).output
    below = keras.Model(model.inputs[0], layer)
    if settings["head"]:
        return forward(pooled(below, images.astype(np.float32)), **arrays)
    run = compiled(below)

    def activations(batch: np.ndarray) -> np.ndarray:
        return run(batch[..., None].astype(np.float32)).numpy().astype(np.float16)

    return upper_part(compiled(keras.Model(layer, model.output)), in_batches(activations, images))
