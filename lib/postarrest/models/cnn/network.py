"""The frozen network: its settings, its input and the augmentation of images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from postarrest.models.cnn import embedded
from postarrest.models.ct_reader.network import SIZE
from postarrest.settings import Seed, Settings


@dataclass(frozen=True)
class Known:
    """What is known of a network of Keras: its ImageNet weights' file at Keras's server, size and MD5."""

    file: str
    megabytes: int
    md5: str


_KERAS = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
NETWORKS = {
    "VGG19": Known(f"vgg19/{_KERAS.format('vgg19')}", 80, "253f8cb515780f3b799900260a226db6"),
    "ResNet50": Known(f"resnet/{_KERAS.format('resnet50')}", 95, "4d473c1dd8becc155b73f8504c6f6626"),
}
# The layer that Grad-CAM uses: the last convolution, or what joins the last ones.
LAST = {"VGG19": "block5_conv4", "ResNet50": "conv5_block3_out", "embedded": "encoded"}
# For readers.
NAMES = {"VGG19": "VGG19", "ResNet50": "ResNet50", "embedded": "embedded network"}
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

    sharpness: list[Annotated[float, Field(ge=0, le=1)]] | None = Field(None, min_length=2, max_length=2)
    rotation_deg: float | None = Field(None, ge=0, le=180)
    erasing: float | None = Field(None, ge=0, le=1)
    shift: float | None = Field(None, ge=0, le=0.5)
    zoom: float | None = Field(None, ge=0, le=0.5)

    @model_validator(mode="after")
    def _in_order(self) -> "Augmentation":
        if self.sharpness and self.sharpness[0] > self.sharpness[1]:
            raise ValueError(
                f"sharpness goes from {self.sharpness[0]} down to {self.sharpness[1]}, expected up"
            )
        return self


class Network(Settings):
    """A frozen network and how images reach it.

    Parameters
    ----------
    architecture : str
        ``VGG19``, ``ResNet50`` or ``embedded``.
    weights : str
        ``auto`` (Keras's cache, else its download, else the embedded network), ``imagenet`` (cache or
        download), ``embedded`` (the embedded network, whatever the architecture), ``none``, or a file.
    fit_image : str
        ``crop`` (the central 224 of 256 pixels, as paper A) or ``resize`` (all, to 224, as paper B). The
        embedded network always takes the central 160 of 171 pixels of 1.4 mm.
    augmentation : Augmentation
        Ranges of the random changes in augmented copies.
    copies : int
        Augmented copies of each image.
    precision : str
        ``float32`` or ``mixed_bfloat16``.
    seed : int
        Seed of augmentation, and of the weights where there are none to load.
    instead_of : str
        Set where weights are decided: the architecture asked for, where its weights were not available.

    Raises
    ------
    pydantic.ValidationError
        Listing every error.
    """

    architecture: Literal["VGG19", "ResNet50", "embedded"]
    weights: str
    fit_image: Literal["crop", "resize"]
    augmentation: Augmentation
    copies: int = Field(ge=0, le=50)
    precision: Literal["float32", "mixed_bfloat16"]
    seed: Seed
    instead_of: str = ""

    @model_validator(mode="after")
    def _exists(self) -> "Network":
        if self.architecture == "embedded" and self.weights == "imagenet":
            raise ValueError("the embedded network has no ImageNet weights; expected auto, embedded or none")
        return self

    @property
    def name(self) -> str:
        """Its name for readers."""
        return NAMES[self.architecture]

    @property
    def field(self) -> tuple[int, int]:
        """First row (and column) of the slice that reaches the network, and how many do, of 256."""
        if self.architecture == "embedded":
            # The central 160 of 171 pixels; Keras rounds the first one down.
            scale = 256 / embedded.PIXELS
            return round((embedded.PIXELS - SIZE) // 2 * scale), round(SIZE * scale)
        size = INPUT_PIXELS if self.fit_image == "crop" else 256
        return (256 - size) // 2, size

    @property
    def input_in_words(self) -> str:
        """What reaches the network of a slice of 256 x 256 pixels.

        Examples
        --------
        >>> Network(
        ...     architecture="VGG19", weights="none", fit_image="crop", augmentation=Augmentation(), copies=0,
        ...     precision="float32", seed=1,
        ... ).input_in_words
        'the central 224 x 224 pixels in three equal channels, minus the ImageNet channel means'
        """
        if self.architecture == "embedded":
            whole = f"the slice resized to {embedded.PIXELS} x {embedded.PIXELS}"
            return f"the central {SIZE} x {SIZE} pixels of {whole}"
        fitted = "the central" if self.fit_image == "crop" else "the whole slice resized to"
        pixels = f"{INPUT_PIXELS} x {INPUT_PIXELS} pixels"
        return f"{fitted} {pixels} in three equal channels, minus the ImageNet channel means"


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
