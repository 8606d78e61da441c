"""The network's last block, or all of it, trained further from where the head's training ended.

The last block is trained from kept activations of the layer below it, which are computed once, like the
features; the whole network is trained from the slices themselves. The head starts from what it learned on
frozen features; its dropout and weight decay end with that first training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import whole
from postarrest.models.cnn.backbone import backbone
from postarrest.models.cnn.features import Features, images, in_batches
from postarrest.models.cnn.head import Head, Training
from postarrest.models.cnn.network import Network, NetworkError, variants
from postarrest.models.ct_reader.network import compiled
from postarrest.models.kept import digest
from postarrest.places import Here

# The layer whose output the last block starts from, and how the names of its layers start.
# Of the embedded network, its stages at 20 and at 10 pixels.
_LAST_BLOCK = {
    "VGG19": ("block4_pool", ("block5_",)),
    "ResNet50": ("conv4_block6_out", ("conv5_",)),
    "embedded": ("below_last", ("stage2_", "stage3_")),
}


def cut(network: Network, depth: str) -> tuple[str, tuple[str, ...]]:
    """Return the layer below the trained part, and how the names of the trained layers start."""
    return _LAST_BLOCK[network.architecture] if depth == "last_block" else ("slice", ("",))


def upper_part(run: Callable[[Any], Any], given: np.ndarray) -> np.ndarray:
    """Return the probabilities that the trained part, compiled, makes of kept activations (float16)."""
    found = in_batches(lambda batch: np.asarray(run(batch.astype(np.float32))), given)
    return found[:, 0].astype(np.float64)


def inputs(here: Here, found: Features, network: Network, depth: str) -> np.ndarray | None:
    """Return the inputs of the trained part, computed unless kept; None where only the head is trained.

    Parameters
    ----------
    here, found, network
        The study's places, its features and the network that made them.
    depth : str
        ``head``, ``last_block`` or ``all``.

    Returns
    -------
    numpy.ndarray of shape (n, 1 + copies, ...), float16, or None
        For each slice, then for its augmented copies; read from disk as needed.
    """
    import keras

    if depth == "head":
        return None
    layer, _ = cut(network, depth)
    modules = ("cnn/network", "cnn/backbone", "cnn/finetune")
    key = digest(found.key, layer, modules=modules, packages=("keras", "tensorflow"))
    place = here.build(f"features/{key}-{depth}.npy")
    if not place.is_file():
        slices, base = images(here, found.patients), backbone(network)
        below = compiled(keras.Model(base.inputs[0], base.get_layer(layer).output))
        shape = (len(slices), 1 + network.copies, *base.get_layer(layer).output.shape[1:])
        with whole(place) as beside:
            kept = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float16, shape=shape)
            for v, variant in enumerate(variants(slices, network)):
                for start in range(0, len(slices), 16):
                    batch = variant[start : start + 16, ..., None].astype(np.float32)
                    kept[start : start + 16, v] = below(batch).numpy()
            kept.flush()
    return np.load(place, mmap_mode="r")


@dataclass
class FineTuned(Head):
    """A head, and below it the network's last block or all of it, trained together.

    Batch normalisation keeps the statistics of the pretrained network: a batch of CT slices is too small for
    its own.

    Parameters
    ----------
    network : Network
        The network.
    given : numpy.ndarray
        From :func:`inputs`.
    training : Training
        Its depth, and the settings of this second training.
    """

    network: Network | None = None
    given: np.ndarray | None = None
    training: Training | None = None

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "FineTuned":
        """Train the head on frozen features, then the deeper part with it.

        Raises
        ------
        NetworkError
            If training diverges.
        """
        # As long as there is no deeper part, the head alone is watched.
        self._part = None
        super().fit(x, y)
        import keras

        self._model = super().whole_model(self.network)
        self._part = self._trained_part()
        self._run = compiled(self._part)
        rows = self.features.rows(x.index)
        y, weight = self._weighted(y)
        keras.utils.set_random_seed(self.seed)
        fine = self.training.fine_tuning
        step = _step(self._part, keras.optimizers.Adam(fine.learning_rate))
        rng = np.random.default_rng(self.seed)

        def epoch() -> float:
            order = rng.permutation(len(y))
            variant = rng.integers(self.given.shape[1], size=len(y))
            total = 0.0
            for start in range(0, len(y), fine.batch_size):
                batch = order[start : start + fine.batch_size]
                given = self.given[rows[batch], variant[batch]].astype(np.float32)
                total += float(step(given, y[batch], weight[batch]))
            if not all(np.isfinite(w).all() for w in self._part.get_weights()):
                raise NetworkError(
                    "fine_tuning: found weights that are not finite; "
                    f"the learning rate ({fine.learning_rate}) is too large."
                )
            return total / len(y)

        # The starting point is a candidate too: training further may only make it worse.
        start, first = self._part.get_weights(), len(self.curve_) + 1
        curve, best = self._train(epoch, self._part.get_weights, "fine-tuning", first, fine.epochs)
        if self.watch is not None:
            self._part.set_weights(best or start)
        self.curve_ = pd.concat([self.curve_, curve], ignore_index=True)
        return self

    def _trained_part(self) -> Any:
        import keras

        layer, names = cut(self.network, self.training.depth)
        for one in self._model.layers:
            convolution = not isinstance(one, keras.layers.BatchNormalization) and one.name.startswith(names)
            one.trainable = convolution or one.name in ("hidden", "good_outcome")
        return keras.Model(self._model.get_layer(layer).output, self._model.output)

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        if self._part is None:
            return super().predict_proba(x)
        rows = self.features.rows(x.index)
        good = upper_part(self._run, self.given[rows, 0])
        return np.column_stack([1 - good, good])

    def whole_model(self, network: Network) -> Any:
        """Return the whole network with the trained weights."""
        return self._model


def _step(model: Any, optimizer: Any) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Any]:
    """Return one step of training, from inputs, outcomes and weights to the sum of the patients' losses.

    Compiled once, for batches of any size; Keras's own step is compiled for each size, seconds each time.
    """
    import keras
    import tensorflow as tf

    variables = model.trainable_variables
    optimizer.build(variables)
    column = tf.TensorSpec([None])

    @tf.function(input_signature=[tf.TensorSpec([None, *model.input_shape[1:]]), column, column])
    def step(given, y, weight):
        with tf.GradientTape() as tape:
            probability = model(given, training=True)
            each = keras.losses.binary_crossentropy(y[:, None], probability) * weight
            loss = tf.reduce_mean(each)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return tf.reduce_sum(each)

    return step


def final(here: Here, found: Features, network: Network, training: Training) -> Callable[..., Head]:
    """Return the class of the model that is fitted once the hyperparameters are chosen, by its depth."""
    given = inputs(here, found, network, training.depth)
    if given is None:
        return Head
    return partial(FineTuned, network=network, given=given, training=training)
