"""The frozen network, built from its settings."""

from typing import Any

from postarrest.models.cnn import embedded
from postarrest.models.cnn.network import IMAGENET_MEANS, INPUT_PIXELS, LAST, Network, NetworkError
from postarrest.models.cnn.weights import source


def backbone(network: Network) -> Any:
    """Build the frozen network, from the 256 x 256 slice to its last convolution.

    The model is flat (no network nested in it), which Grad-CAM and use elsewhere need; its first layers are
    the preprocessing.

    Parameters
    ----------
    network : Network
        Its settings, with weights decided (:func:`postarrest.models.cnn.weights.settled`).

    Returns
    -------
    keras.Model
        From ``(n, 256, 256, 1)`` gray values of 0 to 255 to ``(n, 7, 7, d)`` or so; of the embedded network,
        to ``(n, 20, 20, 296)``.

    Raises
    ------
    NetworkError
        If its weights are not there, or not this network's.
    """
    import keras

    weights = source(network).path
    keras.utils.set_random_seed(network.seed)
    keras.config.set_dtype_policy(network.precision)
    slices = keras.Input((256, 256, 1), name="slice")
    if network.architecture == "embedded":
        whole, load = embedded.encoder(slices), embedded.load
    else:
        # The file is of the network alone; it fits, since the layers of the preprocessing have no weights.
        whole, load = _of_keras(slices, network), lambda model, path: model.load_weights(path)
    keras.config.set_dtype_policy("float32")
    if weights is not None:
        try:
            load(whole, weights)
        except (ValueError, OSError, KeyError) as error:
            top = "" if network.architecture == "embedded" else " without its top"
            file = f"'{weights.name}' does not fit the {network.name}{top}"
            raise NetworkError(f"weights: {file} ({error}).") from error
    whole.trainable = False
    last = whole.get_layer(LAST[network.architecture]).output
    return keras.Model(slices, last, name=network.architecture.lower())


def _of_keras(slices: Any, network: Network) -> Any:
    import keras

    layer = keras.layers.CenterCrop if network.fit_image == "crop" else keras.layers.Resizing
    fitted = layer(INPUT_PIXELS, INPUT_PIXELS, name=network.fit_image)(slices)
    coloured = keras.layers.Concatenate(name="three_channels")([fitted] * 3)
    means = keras.layers.Normalization(mean=IMAGENET_MEANS, variance=(1.0, 1.0, 1.0), name="imagenet_means")
    application = getattr(keras.applications, network.architecture)
    return application(include_top=False, weights=None, input_tensor=means(coloured))
