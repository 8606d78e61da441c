"""The network that reads head CT: what each pixel is, and where in the template it lies.

A U-Net of less than a million parameters, made once from simulated heads (`training`) and kept beside this
module as half-precision numbers. It takes a slice of 160 x 160 pixels of 1.4 mm (`standard`).
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 160
SPACING_MM = 1.4
# What a pixel can be.
CLASSES = ("air", "bone_and_scalp", "white_matter", "cortex", "deep_nuclei", "csf", "lesion")
# What the pooled features are trained to estimate of a slice.
ABOUT = ("cortex_contrast", "deep_contrast", "atrophy", "lesion", "level")
# Coordinates are learned in units of 50 mm.
UNIT_MM = 50.0
WEIGHTS = Path(__file__).with_name("reader.npz")
# Channels at 80, 40, 20 and 10 pixels.
WIDTHS = (32, 64, 88, 112)


def build() -> Any:
    """Build the network, with random weights.

    Returns
    -------
    keras.Model
        From gray values of 0 to 255, shape (n, 160, 160, 1), to a dict: ``shares``, (n, 160, 160, 7), of
        :data:`CLASSES`; ``template``, (n, 160, 160, 6), coordinates in units of 50 mm and the logarithm of
        their mean absolute errors; ``about``, (n, 5), :data:`ABOUT`; and the last maps of the encoder,
        ``encoded``, (n, 20, 20, 296).
    """
    import keras
    from keras import layers, ops

    slices = keras.Input((SIZE, SIZE, 1), name="standard_slice")
    x = entrance(slices)
    encoded = [x := stage(x, number) for number in range(len(WIDTHS))]
    for width, skipped in zip(WIDTHS[-2::-1], encoded[-2::-1], strict=True):
        x = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), skipped])
        x = _convolve(_convolve(x, width), width)
    out = _to_space(layers.Conv2D(4 * (len(CLASSES) + 6), 3, padding="same")(x), 2)
    shares = layers.Softmax(name="shares")(out[..., : len(CLASSES)])
    template = layers.Identity(name="template")(out[..., len(CLASSES) :])
    fine, middle, coarse, coarsest = encoded
    maps = joined(layers.AveragePooling2D(4)(fine), layers.AveragePooling2D(2)(middle), coarse, coarsest)
    about = layers.Dense(len(ABOUT), name="about")(layers.GlobalAveragePooling2D()(maps))
    outputs = {"shares": shares, "template": template, "about": about, "encoded": maps}
    return keras.Model(slices, {name: ops.cast(value, "float32") for name, value in outputs.items()})


def entrance(slices: Any) -> Any:
    """Scale gray values of 0 to 255 to -1 to 1, and move blocks of 2 x 2 pixels into channels."""
    from keras import layers

    return _to_depth(layers.Rescaling(1 / 127.5, offset=-1.0)(slices), 2)


def stage(x: Any, number: int) -> Any:
    """Apply a stage of the encoder: two convolutions, the first of which halves the size after stage 0.

    The names of its layers with weights begin with ``stage<number>_``.
    """
    for half in range(2):
        stride = 2 if number and not half else 1
        x = _convolve(x, WIDTHS[number], stride, name=f"stage{number}_{half}")
    return x


def joined(fine: Any, middle: Any, coarse: Any, coarsest: Any) -> Any:
    """Join the stages' maps at 20 x 20 pixels; the last ones come at 10 x 10."""
    from keras import layers

    return layers.Concatenate(name="encoded")([fine, middle, coarse, layers.UpSampling2D(2)(coarsest)])


def _convolve(x: Any, width: int, stride: int = 1, *, name: str | None = None) -> Any:
    from keras import layers

    x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=name and f"{name}_conv")(
        x
    )
    return layers.ReLU()(layers.BatchNormalization(momentum=0.98, name=name and f"{name}_bn")(x))


def _to_depth(x: Any, block: int) -> Any:
    """Move blocks of pixels into channels."""
    from keras import layers

    _, rows, columns, depth = x.shape
    x = layers.Reshape((rows // block, block, columns // block, block, depth))(x)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    return layers.Reshape((rows // block, columns // block, block * block * depth))(x)


def _to_space(x: Any, block: int) -> Any:
    """Move channels back into blocks of pixels."""
    from keras import layers

    _, rows, columns, depth = x.shape
    x = layers.Reshape((rows, columns, block, block, depth // block**2))(x)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    return layers.Reshape((rows * block, columns * block, depth // block**2))(x)


def save(model: Any, path: Path) -> None:
    """Save a network's weights as half-precision numbers."""
    np.savez_compressed(path, *[weights.astype(np.float16) for weights in model.get_weights()])


def fingerprint() -> str:
    """Return the SHA-256 of the trained network's file."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def load_encoder(encoder: Any, path: Path = WEIGHTS) -> None:
    """Load a model that has the weights of the encoder alone; they come first in the file.

    Raises
    ------
    ValueError
        If the weights do not fit.
    """
    with np.load(path, allow_pickle=False) as kept:
        names = kept.files[: len(encoder.weights)]
        encoder.set_weights([kept[name].astype(np.float32) for name in names])


@cache
def trained(path: Path = WEIGHTS) -> Any:
    """Return the trained network, always the same object."""
    model = build()
    with np.load(path, allow_pickle=False) as kept:
        model.set_weights([kept[name].astype(np.float32) for name in kept.files])
    model.trainable = False
    return model


def compiled(model: Any) -> Callable[[Any], Any]:
    """Return any network as a graph: called directly, Keras is slower and keeps the output of every layer."""
    import tensorflow as tf

    return tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
