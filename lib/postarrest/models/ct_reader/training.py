"""Training of the network that reads CT, from batches of simulated slices."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from postarrest.models.ct_reader.network import CLASSES, UNIT_MM, build, save

BATCH = 16
_IN_BRAIN = slice(CLASSES.index("white_matter"), None)


@dataclass(frozen=True)
class Slices:
    """Training slices, in the form of `simulate.wide.Sample`, stacked.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (n, 160, 160)
        Gray values.
    shares : numpy.ndarray of uint8, shape (n, 160, 160, 7)
        255 times the share of each pixel that is of each class.
    template_mm : numpy.ndarray of float16, shape (n, 160, 160, 3)
        Coordinates in the template.
    about : numpy.ndarray of float32, shape (n, 5)
        What the pooled features are to estimate.
    """

    image: np.ndarray
    shares: np.ndarray
    template_mm: np.ndarray
    about: np.ndarray


def losses(out: dict[str, Any], shares: Any, template: Any, about: Any) -> dict[str, Any]:
    """Return the parts of the loss.

    ``cross_entropy`` and ``dice`` of the shares; ``template``, the negative log likelihood of a Laplace
    distribution of the coordinates in the brain; ``about``, the mean squared error.
    """
    import tensorflow as tf

    brain = tf.reduce_sum(shares[..., _IN_BRAIN], axis=-1)
    weight = 0.15 + 0.85 * brain
    cross = -tf.reduce_sum(shares * tf.math.log(out["shares"] + 1e-6), axis=-1)
    overlap = tf.reduce_sum(shares * out["shares"], axis=(0, 1, 2))
    size = tf.reduce_sum(tf.square(shares) + tf.square(out["shares"]), axis=(0, 1, 2))
    error, log_scale = tf.abs(out["template"][..., :3] - template), out["template"][..., 3:]
    log_scale = tf.clip_by_value(log_scale, -6.0, 3.0)
    laplace = tf.reduce_sum(error * tf.exp(-log_scale) + log_scale, axis=-1)
    return {
        "cross_entropy": tf.reduce_sum(weight * cross) / tf.reduce_sum(weight),
        "dice": 1 - tf.reduce_mean((2 * overlap + 1) / (size + 1)),
        "template": tf.reduce_sum(brain * laplace) / tf.reduce_sum(brain) / 3,
        "about": tf.reduce_mean(tf.square(out["about"] - about)),
    }


_WEIGHTS = {"cross_entropy": 1.0, "dice": 0.5, "template": 0.25, "about": 0.25}


def train(
    chunks: Callable[[int], Iterator[Slices]],
    *,
    n_chunks: int,
    slices_per_chunk: int,
    rate: float,
    out: Path,
    work: Path,
    say: Callable[[str], None],
) -> None:
    """Train the network and save its weights; resume where an interrupted training stopped.

    The weights saved are an exponential moving average over the last steps.

    Parameters
    ----------
    chunks : callable
        Returns an iterator of chunks of slices, from the chunk of a given number on.
    n_chunks, slices_per_chunk : int
        How many chunks are used, each of them once, and how many slices each holds.
    rate : float
        Learning rate at its highest; it rises over the first twentieth of the steps and falls as a cosine.
    out : pathlib.Path
        File of the weights.
    work : pathlib.Path
        Folder for what a later call resumes from.
    say : callable
        Receives one line of progress after each chunk.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model, average = build(), build()
    average.set_weights(model.get_weights())
    n_steps = n_chunks * slices_per_chunk // BATCH
    warm_up = n_steps // 20
    falling = keras.optimizers.schedules.CosineDecay(
        0.0, n_steps - warm_up, warmup_target=rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(falling, weight_decay=1e-4, clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    done = tf.Variable(0, dtype=tf.int64)
    kept = tf.train.Checkpoint(model=model, average=average, optimizer=optimizer, done=done)
    manager = tf.train.CheckpointManager(kept, str(work), max_to_keep=1)
    kept.restore(manager.latest_checkpoint)

    @tf.function
    def step(image, shares, template, about):
        shares = tf.cast(shares, tf.float32) / 255
        shares /= tf.reduce_sum(shares, axis=-1, keepdims=True)
        template, image = tf.cast(template, tf.float32) / UNIT_MM, tf.cast(image, tf.float32)[..., None]
        with tf.GradientTape() as tape:
            parts = losses(model(image, training=True), shares, template, about)
            total = tf.add_n([_WEIGHTS[name] * value for name, value in parts.items()])
        optimizer.apply_gradients(
            zip(tape.gradient(total, model.trainable_variables), model.trainable_variables, strict=True)
        )
        for mean, now in zip(average.weights, model.weights, strict=True):
            mean.assign(0.995 * mean + 0.005 * now)
        return parts

    first = int(done.numpy())
    for number, chunk in zip(range(first, n_chunks), chunks(first), strict=False):
        found = [
            step(
                *(part[i : i + BATCH] for part in (chunk.image, chunk.shares, chunk.template_mm, chunk.about))
            )
            for i in range(0, slices_per_chunk, BATCH)
        ]
        means = {name: float(np.mean([one[name] for one in found])) for name in _WEIGHTS}
        done.assign_add(1)
        manager.save()
        say(f"chunk {number + 1} of {n_chunks}: " + ", ".join(f"{k} {v:.3f}" for k, v in means.items()))
    for chunk in chunks(n_chunks - 1):
        settle(average, chunk.image)
    save(average, out)


def settle(model: Any, images: np.ndarray) -> None:
    """Set the means and variances of batch normalisation to those that a network's own weights give.

    Those gathered in training are of weights that changed all the while.

    Parameters
    ----------
    model : keras.Model
        The network; changed in place.
    images : numpy.ndarray of uint8, shape (n, 160, 160)
        Slices.
    """
    import keras

    normalising = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    model.trainable = True
    for number, i in enumerate(range(0, len(images) - BATCH + 1, BATCH)):
        for layer in normalising:
            # The mean over all batches so far.
            layer.momentum = number / (number + 1)
        model(images[i : i + BATCH, ..., None], training=True)
