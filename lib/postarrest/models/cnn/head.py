"""The head that is trained on frozen features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from postarrest.models.cnn.features import Features
from postarrest.models.cnn.network import Network, backbone
from postarrest.models.tuning import Values


@dataclass
class Head:
    """The part that is trained: dropout, one hidden layer (or none), one output.

    It follows scikit-learn's ``fit`` and ``predict_proba``; its table of predictors holds no values, since
    the patients in its index are looked up among the kept features.

    Parameters
    ----------
    features : Features
        Kept features.
    values : dict
        ``learning_rate, dropout, width, weight_decay, batch_size`` and ``epochs`` (the most, where training
        may stop early).
    class_weights : bool
        Whether the two outcomes weigh the same in all.
    seed : int
        Seed of the head's weights, of dropout and of the order of patients.
    watch : tuple of (pandas.Index, numpy.ndarray), optional
        Patients and outcomes whose loss is watched: training stops when it has not improved for ``patience``
        epochs, and the best epoch's weights are restored.
    patience : int
        Epochs.
    """

    features: Features
    values: Values
    class_weights: bool
    seed: int
    watch: tuple[pd.Index, np.ndarray] | None = None
    patience: int = 10

    def fit(self, x: pd.DataFrame, y: np.ndarray) -> "Head":
        """Train the head on the patients in the index of ``x``."""
        rows = self.features.rows(x.index)
        self.mean_ = self.features.original[rows].mean(axis=0)
        # A channel that is the same in every patient says nothing; it must not become infinite.
        self.sd_ = np.maximum(self.features.original[rows].std(axis=0), 1e-6)
        # One variant of each patient an epoch: the slice itself or one of its augmented copies.
        variants = np.concatenate([self.features.original[rows, None], self.features.copies[rows]], axis=1)
        variants = ((variants - self.mean_) / self.sd_).astype(np.float32)
        y = np.asarray(y, dtype=np.float32)
        weight = np.ones_like(y)
        if self.class_weights:
            weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean())).astype(np.float32)
        trainer = _trainer(
            variants.shape[2],
            int(self.values["width"]),
            float(self.values["dropout"]),
            float(self.values["weight_decay"]),
            int(self.values["batch_size"]),
            self.seed,
        )
        trainer.reset(float(self.values["learning_rate"]))
        rng = np.random.default_rng(self.seed)
        curve, best, best_weights = [], np.inf, None
        for epoch in range(1, int(self.values["epochs"]) + 1):
            order = rng.permutation(len(y))
            variant = rng.integers(variants.shape[1], size=len(y))
            loss = trainer.epoch(variants[order, variant], y[order], weight[order])
            row = {"part": "head", "epoch": epoch, "train_loss": loss}
            if self.watch is not None:
                self.weights_ = trainer.weights()
                row |= self.watched()
                if row["tune_loss"] < best:
                    best, best_weights = row["tune_loss"], self.weights_
            curve.append(row)
            if self.watch is not None and epoch - np.argmin([r["tune_loss"] for r in curve]) > self.patience:
                break
        self.weights_ = best_weights if best_weights is not None else trainer.weights()
        self.curve_ = pd.DataFrame(curve)
        self.best_epoch_ = (
            int(self.curve_["tune_loss"].idxmin()) + 1 if self.watch is not None else len(curve)
        )
        self.classes_ = np.array([0, 1])
        return self

    def watched(self) -> dict[str, float]:
        """Return loss and ROC-AUC in the patients who are watched, as training stands."""
        ids, y = self.watch
        probability = self.predict_proba(pd.DataFrame(index=ids))[:, 1]
        return {
            "tune_loss": float(log_loss(y, probability, labels=[0, 1])),
            "tune_auc": float(roc_auc_score(y, probability)),
        }

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        hidden = (self.features.original[self.features.rows(x.index)] - self.mean_) / self.sd_
        for kernel, bias in zip(self.weights_[:-2:2], self.weights_[1:-2:2], strict=True):
            hidden = np.maximum(hidden @ kernel + bias, 0)
        logit = (hidden @ self.weights_[-2] + self.weights_[-1])[:, 0].astype(np.float64)
        good = expit(logit)
        return np.column_stack([1 - good, good])


class _Trainer:
    """A compiled head whose weights are set back before each fit: building one takes longer than a fit."""

    def __init__(
        self, n_features: int, width: int, dropout: float, weight_decay: float, batch: int, seed: int
    ) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        decay = keras.regularizers.L2(weight_decay)
        inputs = keras.Input((n_features,))
        hidden = keras.layers.Dropout(dropout, seed=seed)(inputs)
        if width:
            hidden = keras.layers.Dense(width, activation="relu", kernel_regularizer=decay)(hidden)
            hidden = keras.layers.Dropout(dropout, seed=seed + 1)(hidden)
        self._model = keras.Model(inputs, keras.layers.Dense(1, kernel_regularizer=decay)(hidden))
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self._model.trainable_variables)
        self._first = [v.numpy() for v in (*self._model.variables, *self._optimizer.variables)]
        model, optimizer = self._model, self._optimizer

        @tf.function(reduce_retracing=True)
        def run(x, y, weight):
            total = tf.constant(0.0)
            for start in tf.range(0, tf.shape(x)[0], batch):
                part = slice(start, start + batch)
                with tf.GradientTape() as tape:
                    logit = model(x[part], training=True)[:, 0]
                    each = tf.nn.sigmoid_cross_entropy_with_logits(y[part], logit) * weight[part]
                    loss = tf.reduce_mean(each) + tf.add_n(model.losses)
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                total += tf.reduce_sum(each)
            return total / tf.cast(tf.shape(x)[0], tf.float32)

        self._run = run

    def reset(self, learning_rate: float) -> None:
        for variable, value in zip(
            (*self._model.variables, *self._optimizer.variables), self._first, strict=True
        ):
            variable.assign(value)
        self._optimizer.learning_rate = learning_rate

    def epoch(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        return float(self._run(x, y, weight))

    def weights(self) -> list[np.ndarray]:
        return [v.numpy() for v in self._model.trainable_variables]


_TRAINERS: dict[tuple[Any, ...], _Trainer] = {}


def _trainer(*key: Any) -> _Trainer:
    # The inner folds of one trial share a compiled head; the next trial's differs, so only the last is kept.
    if key not in _TRAINERS:
        _TRAINERS.clear()
        _TRAINERS[key] = _Trainer(*key)
    return _TRAINERS[key]


def whole_model(network: Network, head: Head) -> Any:
    """Assemble the whole network, from the 256 x 256 slice to the probability of a good outcome.

    Returns
    -------
    keras.Model
        Flat, with its preprocessing and the head's standardisation inside; saved by ``model.save``.
    """
    import keras

    base = backbone(network)
    pooled_maps = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(base.output)
    hidden = keras.layers.Normalization(
        mean=head.mean_, variance=head.sd_**2, name="standardise", dtype="float32"
    )(pooled_maps)
    weights = list(head.weights_)
    if len(weights) > 2:
        layer = keras.layers.Dense(weights[0].shape[1], activation="relu", name="hidden", dtype="float32")
        hidden = layer(hidden)
        layer.set_weights(weights[:2])
    layer = keras.layers.Dense(1, activation="sigmoid", name="good_outcome", dtype="float32")
    output = layer(hidden)
    layer.set_weights(weights[-2:])
    return keras.Model(base.inputs[0], output, name=f"{base.name}_head")
