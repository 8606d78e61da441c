"""The network's last block, or all of it, trained further from where the head's training ended.

The last block is trained from kept activations of the layer below it, which are computed once, like the
features; the whole network is trained from the slices themselves. The head starts from what it learned on
frozen features; its dropout and weight decay end with that first training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import whole
from postarrest.models.cnn import features
from postarrest.models.cnn import head as head_room
from postarrest.models.cnn import network as network_room
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.head import Head
from postarrest.models.cnn.network import Network
from postarrest.models.kept import code_of, digest
from postarrest.places import Here

DEPTHS = ("head", "last_block", "all")
# The layer whose output the last block starts from, and how the names of the block's layers start.
_LAST_BLOCK = {"VGG19": ("block4_pool", "block5_"), "ResNet50": ("conv4_block6_out", "conv5_")}


@dataclass(frozen=True)
class Inputs:
    """What the trained part of a network gets: of each slice, and of each augmented copy.

    Parameters
    ----------
    layer : str
        Layer of the network that they come out of; blank for the slices themselves.
    variants : numpy.ndarray of shape (n, 1 + copies, ...)
        Slice first, float16, read from disk as they are needed.
    """

    layer: str
    variants: np.ndarray = field(repr=False)


def inputs(here: Here, found: Features, network: Network, depth: str) -> Inputs | None:
    """Return what the trained part gets, computed if it is not kept; None where only the head is trained.

    Raises
    ------
    postarrest.cnn.NetworkError
        If the depth is unknown.
    """
    if depth not in DEPTHS:
        raise network_room.NetworkError(f"depth is {depth!r}, expected one of {', '.join(DEPTHS)}.")
    if depth == "head":
        return None
    layer = _LAST_BLOCK[network.architecture][0] if depth == "last_block" else ""
    key = digest(found.key, code_of(_keep), layer, modules=())
    place = here.build(f"features/{key}-{depth}.npy")
    if not place.is_file():
        _keep(here, found, network, layer, place)
    return Inputs(layer, np.load(place, mmap_mode="r"))


def _keep(here: Here, found: Features, network: Network, layer: str, place: Path) -> None:
    import keras

    images = features.images(here, found.patients)
    variants = [images, *(network_room.augment(images, network, c + 1) for c in range(network.copies))]
    base = network_room.backbone(network)
    below = keras.Model(base.inputs[0], base.get_layer(layer).output) if layer else None
    shape = (len(images), len(variants), *(below.output.shape[1:] if below is not None else (256, 256, 1)))
    with whole(place) as beside:
        kept = np.lib.format.open_memmap(beside, mode="w+", dtype=np.float16, shape=shape)
        for v, variant in enumerate(variants):
            for start in range(0, len(images), 16):
                batch = variant[start : start + 16, ..., None].astype(np.float32)
                made = batch if below is None else np.asarray(below(batch, training=False))
                kept[start : start + 16, v] = made
        kept.flush()


@dataclass
class FineTuned(Head):
    """A head, and below it the network's last block or all of it, trained together.

    Batch normalisation keeps ImageNet's statistics: a batch of CT slices is too small and too unlike for its
    own.

    Parameters
    ----------
    network : Network
        The network.
    given : Inputs
        What the trained part gets.
    fine : Mapping
        ``learning_rate, epochs, batch_size`` of this second training.
    """

    network: Network | None = None
    given: Inputs | None = None
    fine: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "FineTuned":
        """Train the head on frozen features, then the deeper part with it.

        Raises
        ------
        postarrest.cnn.NetworkError
            If training diverges.
        """
        # Until the deeper part is there, the head alone is what is watched.
        self._part = None
        super().fit(x, y)
        import keras

        self.model_ = head_room.whole_model(self.network, self)
        self._part = self._trained_part(keras)
        rows = self.features.rows(x.index)
        y = np.asarray(y, dtype=np.float32)
        weight = np.ones_like(y)
        if self.class_weights:
            weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean())).astype(np.float32)
        keras.utils.set_random_seed(self.seed)
        self._part.compile(
            optimizer=keras.optimizers.Adam(float(self.fine["learning_rate"])), loss="binary_crossentropy"
        )
        rng = np.random.default_rng(self.seed)
        of_head, kept_epoch = self.curve_, self.best_epoch_
        # Where it starts is a candidate too: training further may only make it worse.
        best, best_weights, since = np.inf, None, 0
        if self.watch is not None:
            best, best_weights = self.watched()["tune_loss"], self._part.get_weights()
        curve = []
        for epoch in range(len(of_head) + 1, len(of_head) + int(self.fine["epochs"]) + 1):
            order = rng.permutation(len(y))
            variant = rng.integers(self.given.variants.shape[1], size=len(y))
            size = int(self.fine["batch_size"])
            # Keras gives the mean over the batches since it was last reset.
            self._part.reset_metrics()
            for start in range(0, len(y), size):
                of_batch = order[start : start + size]
                batch = self.given.variants[rows[of_batch], variant[of_batch]].astype(np.float32)
                loss = self._part.train_on_batch(batch, y[of_batch], sample_weight=weight[of_batch])
            if not all(np.isfinite(w).all() for w in self._part.get_weights()):
                raise network_room.NetworkError(
                    f"fine_tuning: found weights that are not finite after epoch {epoch - len(of_head)}; "
                    f"the learning rate ({self.fine['learning_rate']}) is too large."
                )
            row = {"part": "fine-tuning", "epoch": epoch, "train_loss": float(loss)}
            if self.watch is None:
                kept_epoch = epoch
            else:
                row |= self.watched()
                since += 1
                if row["tune_loss"] < best:
                    best, best_weights = row["tune_loss"], self._part.get_weights()
                    kept_epoch, since = epoch, 0
            curve.append(row)
            if since >= self.patience:
                break
        if best_weights is not None:
            self._part.set_weights(best_weights)
        self.curve_ = pd.concat([of_head, pd.DataFrame(curve)], ignore_index=True)
        self.best_epoch_ = kept_epoch
        return self

    def _trained_part(self, keras: Any) -> Any:
        layer = self.given.layer
        start = _LAST_BLOCK[self.network.architecture][1]
        for one in self.model_.layers:
            head = one.name in ("hidden", "good_outcome")
            convolution = not isinstance(one, keras.layers.BatchNormalization)
            one.trainable = head or (convolution and (not layer or one.name.startswith(start)))
        source = self.model_.get_layer(layer).output if layer else self.model_.inputs[0]
        return keras.Model(source, self.model_.output)

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        if self._part is None:
            return super().predict_proba(x)
        rows = self.features.rows(x.index)
        out = [
            np.asarray(
                self._part(self.given.variants[rows[i : i + 16], 0].astype(np.float32), training=False)
            )
            for i in range(0, len(rows), 16)
        ]
        good = np.concatenate(out)[:, 0].astype(np.float64)
        return np.column_stack([1 - good, good])

    def whole_model(self) -> Any:
        """Return the whole network with the trained weights."""
        return self.model_


def final(
    here: Here, found: Features, network: Network, *, depth: str, fine: Mapping[str, Any]
) -> Callable[..., Head]:
    """Return what makes the model that is fitted once the hyperparameters are chosen.

    Parameters
    ----------
    here, found, network
        The study's places, its features and the network that made them.
    depth : str
        ``head`` (the network stays as it is), ``last_block`` or ``all``.
    fine : Mapping
        ``learning_rate, epochs, batch_size`` of the fine-tuning.
    """
    given = inputs(here, found, network, depth)
    return Head if given is None else partial(FineTuned, network=network, given=given, fine=fine)


def whole_model(network: Network, head: Head) -> Any:
    """Return the whole network of a head, fine-tuned or not; see :func:`postarrest.cnn.whole_model`."""
    return head.whole_model() if isinstance(head, FineTuned) else head_room.whole_model(network, head)
