"""The frozen network: its settings, its weights, its input and the augmentation of images."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from postarrest.settings import Settings

# Name of each network's last convolution (Grad-CAM uses it) and of its weights in Keras's cache.
NETWORKS = {
    "VGG19": ("block5_conv4", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    "ResNet50": ("conv5_block3_out", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
}
# Both networks were trained on images minus these channel means (blue, green, red). A gray slice has three
# equal channels, so their order makes no difference.
IMAGENET_MEANS = (103.939, 116.779, 123.68)
INPUT_PIXELS = 224


class NetworkError(ValueError):
    """A network that cannot be built or trained; the message says what was found and what was expected."""


class Augmentation(Settings):
    """Ranges of the random changes in augmented copies; None leaves a change out.

    Parameters
    ----------
    sharpness : list of float, optional
        Lower and upper end: 0 blurs fully, 0.5 changes nothing, 1 sharpens.
    rotation_deg : float, optional
        Largest rotation either way, degrees.
    erasing : float, optional
        Probability that a patch of 10 to 25 % of the image is erased.
    shift, zoom : float, optional
        Largest shift and zoom either way, shares of the image.
    """

    sharpness: list[float] | None = Field(None, min_length=2, max_length=2)
    rotation_deg: float | None = Field(None, ge=0)
    erasing: float | None = Field(None, ge=0, le=1)
    shift: float | None = Field(None, ge=0)
    zoom: float | None = Field(None, ge=0)


class Network(Settings):
    """A frozen network and how images reach it.

    Parameters
    ----------
    architecture : str
        ``VGG19`` or ``ResNet50``.
    weights : str
        ``auto`` (Keras's cache, else none), ``imagenet`` (Keras's cache, else its download), ``none``, or a
        file.
    fit_image : str
        ``crop`` (the central 224 of 256 pixels, as paper A) or ``resize`` (all, to 224, as paper B).
    augmentation : Augmentation
        Ranges of the random changes in augmented copies.
    copies : int
        Augmented copies of each image.
    precision : str
        ``float32`` or ``mixed_bfloat16``.
    seed : int
        Seed of augmentation, and of the weights where there are none to load.

    Raises
    ------
    pydantic.ValidationError
        Listing every error.
    """

    architecture: Literal["VGG19", "ResNet50"]
    weights: str
    fit_image: Literal["crop", "resize"]
    augmentation: Augmentation
    copies: int = Field(ge=0)
    precision: Literal["float32", "mixed_bfloat16"]
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class WeightsSource:
    """Where a network's weights come from.

    Parameters
    ----------
    path : pathlib.Path or None
        The file that is loaded; None for random weights.
    sha256 : str
        Its hash; blank where there is none.
    words : str
        The source as the report states it; it holds no path.
    """

    path: Path | None
    sha256: str
    words: str


def weights_source(network: Network) -> WeightsSource:
    """Find a network's weights.

    Raises
    ------
    NetworkError
        If a named file does not exist, or a requested download fails.
    """
    name = network.architecture
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / NETWORKS[name][1]
    if network.weights == "none" or (network.weights == "auto" and not cached.is_file()):
        words = (
            f"no pretrained weights: an untrained {name} with random weights (seed {network.seed}), so its "
            "results say little about transfer learning"
        )
        return WeightsSource(None, "", words)
    from_keras = network.weights in ("auto", "imagenet")
    if from_keras and not cached.is_file():
        import keras

        try:
            getattr(keras.applications, name)(include_top=False, weights="imagenet")
        except Exception as error:
            raise NetworkError(
                f"weights: Keras's download for {name} failed ({error}). Give a file, or 'none'."
            ) from error
    path = cached if from_keras else Path(network.weights).expanduser()
    if not path.is_file():
        raise NetworkError(
            f"weights: found no file '{path.name}'; expected auto, imagenet, none or a file's path."
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = f"weights of {name} from the file {path.name} ({sha256[:12]})"
    return WeightsSource(path, sha256, f"ImageNet weights of {name} from Keras" if from_keras else file)


def backbone(network: Network) -> Any:
    """Build the frozen network, from the 256 x 256 slice to its last convolution.

    The model is flat (no network nested in it), which Grad-CAM and use elsewhere need; its first layers are
    the preprocessing.

    Returns
    -------
    keras.Model
        From ``(n, 256, 256, 1)`` gray values of 0 to 255 to ``(n, 7, 7, d)`` or so.

    Raises
    ------
    NetworkError
        If the weights are not this network's.
    """
    import keras

    source = weights_source(network)
    keras.utils.set_random_seed(network.seed)
    keras.config.set_dtype_policy(network.precision)
    slices = keras.Input((256, 256, 1), name="slice")
    layer = keras.layers.CenterCrop if network.fit_image == "crop" else keras.layers.Resizing
    fitted = layer(INPUT_PIXELS, INPUT_PIXELS, name=network.fit_image)(slices)
    coloured = keras.layers.Concatenate(name="three_channels")([fitted] * 3)
    means = keras.layers.Normalization(mean=IMAGENET_MEANS, variance=(1.0, 1.0, 1.0), name="imagenet_means")
    application = getattr(keras.applications, network.architecture)
    whole = application(include_top=False, weights=None, input_tensor=means(coloured))
    keras.config.set_dtype_policy("float32")
    if source.path is not None:
        # The file is of the network alone; it fits, since the layers of the preprocessing have no weights.
        try:
            whole.load_weights(source.path)
        except (ValueError, OSError, KeyError) as error:
            file = f"'{source.path.name}' does not fit {network.architecture} without its top"
            raise NetworkError(f"weights: {file} ({error}).") from error
    whole.trainable = False
    last = whole.get_layer(NETWORKS[network.architecture][0]).output
    return keras.Model(slices, last, name=network.architecture.lower())


def augment(images: np.ndarray, network: Network, copy: int) -> np.ndarray:
    """Return one augmented copy of every image.

    Parameters
    ----------
    images : numpy.ndarray of shape (n, 256, 256), uint8
        Slices.
    network : Network
        Its augmentation and seed.
    copy : int
        Number of the copy; the same number gives the same copies.

    Returns
    -------
    numpy.ndarray of shape (n, 256, 256), float32
    """
    import keras

    layers = keras.layers
    # Outside the image is air, which the window shows as 0.
    outside = {"fill_mode": "constant", "fill_value": 0.0}
    patch = {"scale": (0.1, 0.25), "fill_value": 0.0, "value_range": (0, 255)}
    built = {
        "sharpness": lambda v, s: layers.RandomSharpness(tuple(v), value_range=(0, 255), seed=s),
        "rotation_deg": lambda v, s: layers.RandomRotation(v / 360, **outside, seed=s),
        "erasing": lambda v, s: layers.RandomErasing((v, v), **patch, seed=s),
        "shift": lambda v, s: layers.RandomTranslation(v, v, **outside, seed=s),
        "zoom": lambda v, s: layers.RandomZoom((-v, v), **outside, seed=s),
    }
    changes = sorted(network.augmentation.model_dump(exclude_none=True).items())
    seed = (network.seed + copy) * 10
    steps = [built[name](value, seed + i) for i, (name, value) in enumerate(changes)]
    out = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), 64):
        batch = images[start : start + 64, ..., None].astype(np.float32)
        for step in steps:
            batch = step(batch, training=True)
        out[start : start + 64] = np.clip(np.asarray(batch)[..., 0], 0, 255)
    return out


def variants(images: np.ndarray, network: Network) -> Iterator[np.ndarray]:
    """Yield the images, then each augmented copy of them, shape (n, 256, 256), float32."""
    yield images.astype(np.float32)
    for copy in range(1, network.copies + 1):
        yield augment(images, network, copy)
