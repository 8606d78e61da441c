"""The network's last block, or all of it, trained further from where the head's training ended.

The last block is trained from kept activations of the layer below it, which are computed once, like the
features; the whole network is trained from the slices themselves. The head starts from what it learned on
frozen features; its dropout and weight decay end with that first training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import whole
from postarrest.models.cnn.features import Features, images
from postarrest.models.cnn.head import FineTuning, Head, Training
from postarrest.models.cnn.network import Network, NetworkError, backbone, variants
from postarrest.models.kept import digest
from postarrest.places import Here

# The layer whose output the last block starts from, and how the names of the block's layers start.
_LAST_BLOCK = {"VGG19": ("block4_pool", "block5_"), "ResNet50": ("conv4_block6_out", "conv5_")}


@dataclass(frozen=True)
class Inputs:
    """Inputs of the trained part of a network: for each slice, and for each augmented copy.

    Parameters
    ----------
    layer : str
        Layer of the network that they come out of; blank for the slices themselves.
    variants : numpy.ndarray of shape (n, 1 + copies, ...)
        Slice first, float16, read from disk as needed.
    """

    layer: str
    variants: np.ndarray = field(repr=False)


def inputs(here: Here, found: Features, network: Network, depth: str) -> Inputs | None:
    """Return the inputs of the trained part, computed unless kept; None where only the head is trained.

    Parameters
    ----------
    here, found, network
        The study's places, its features and the network that made them.
    depth : str
        ``head``, ``last_block`` or ``all``.
    """
    if depth == "head":
        return None
    layer = _LAST_BLOCK[network.architecture][0] if depth == "last_block" else ""
    modules = ("cnn/network", "cnn/finetune")
    key = digest(found.key, layer, modules=modules, packages=("keras", "tensorflow"))
    place = here.build(f"features/{key}-{depth}.npy")
    if not place.is_file():
        _keep(here, found, network, layer, place)
    return Inputs(layer, np.load(place, mmap_mode="r"))


def _keep(here: Here, found: Features, network: Network, layer: str, place: Path) -> None:
    import keras

    slices = images(here, found.patients)
    base = backbone(network)
    below = keras.Model(base.inputs[0], base.get_layer(layer or "slice").output)
    shape = (len(slices), 1 + network.copies, *below.output.shape[1:])
    with whole(place) as beside:
        kept = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float16, shape=shape)
        for v, variant in enumerate(variants(slices, network)):
            for start in range(0, len(slices), 16):
                batch = variant[start : start + 16, ..., None]
                kept[start : start + 16, v] = np.asarray(below(batch, training=False))
        kept.flush()


@dataclass
class FineTuned(Head):
    """A head, and below it the network's last block or all of it, trained together.

    Batch normalisation keeps the statistics of the pretrained network: a batch of CT slices is too small for
    its own.

    Parameters
    ----------
    network : Network
        The network.
    given : Inputs
        Inputs of the trained part.
    fine : FineTuning
        Settings of this second training.
    """

    network: Network | None = None
    given: Inputs | None = None
    fine: FineTuning | None = None

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
        rows = self.features.rows(x.index)
        y, weight = self._weighted(y)
        keras.utils.set_random_seed(self.seed)
        self._part.compile(
            optimizer=keras.optimizers.Adam(self.fine.learning_rate), loss="binary_crossentropy"
        )
        rng = np.random.default_rng(self.seed)
        # The starting point is a candidate too: training further may only make it worse.
        start, first = self._part.get_weights(), len(self.curve_) + 1
        curve, best = self._train(
            lambda: self._epoch(rows, y, weight, rng),
            self._part.get_weights,
            "fine-tuning",
            first,
            self.fine.epochs,
        )
        if self.watch is not None:
            self._part.set_weights(best or start)
        self.curve_ = pd.concat([self.curve_, curve], ignore_index=True)
        return self

    def _trained_part(self) -> Any:
        import keras

        layer = self.given.layer
        start = _LAST_BLOCK[self.network.architecture][1]
        for one in self._model.layers:
            head = one.name in ("hidden", "good_outcome")
            convolution = not isinstance(one, keras.layers.BatchNormalization)
            one.trainable = head or (convolution and (not layer or one.name.startswith(start)))
        source = self._model.get_layer(layer).output if layer else self._model.inputs[0]
        return keras.Model(source, self._model.output)

    def _epoch(self, rows: np.ndarray, y: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> float:
        order = rng.permutation(len(y))
        variant = rng.integers(self.given.variants.shape[1], size=len(y))
        # Keras returns the mean over the batches since its last reset.
        self._part.reset_metrics()
        for start in range(0, len(y), self.fine.batch_size):
            batch = order[start : start + self.fine.batch_size]
            given = self.given.variants[rows[batch], variant[batch]].astype(np.float32)
            loss = self._part.train_on_batch(given, y[batch], sample_weight=weight[batch])
        if not all(np.isfinite(w).all() for w in self._part.get_weights()):
            raise NetworkError(
                "fine_tuning: found weights that are not finite; "
                f"the learning rate ({self.fine.learning_rate}) is too large."
            )
        return float(loss)

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        if self._part is None:
            return super().predict_proba(x)
        rows = self.features.rows(x.index)
        batches = [
            self.given.variants[rows[i : i + 16], 0].astype(np.float32) for i in range(0, len(rows), 16)
        ]
        out = [np.asarray(self._part(batch, training=False)) for batch in batches]
        good = np.concatenate(out)[:, 0].astype(np.float64)
        return np.column_stack([1 - good, good])

    def whole_model(self, network: Network) -> Any:
        """Return the whole network with the trained weights."""
        return self._model


def final(here: Here, found: Features, network: Network, training: Training) -> Callable[..., Head]:
    """Return the class of the model that is fitted once the hyperparameters are chosen, by its depth."""
    given = inputs(here, found, network, training.depth)
    if given is None:
        return Head
    return partial(FineTuned, network=network, given=given, fine=training.fine_tuning)
