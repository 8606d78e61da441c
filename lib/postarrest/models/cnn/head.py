"""The head that is trained on frozen features, and its settings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, model_validator
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from postarrest.models import hyperparameters
from postarrest.models.cnn.backbone import backbone
from postarrest.models.cnn.features import Features
from postarrest.models.cnn.network import Network
from postarrest.models.tuning import Searched, Space, Values
from postarrest.settings import Settings

Hyperparameter = Literal["learning_rate", "dropout", "width", "weight_decay", "batch_size", "epochs"]
# The papers give no search spaces: these are ours, a grid for paper A's protocol and ranges for paper B's.
SPACES: dict[str, Space] = {
    "holdout": {
        "learning_rate": Searched(choices=[0.0003, 0.003]),
        "dropout": Searched(choices=[0.2, 0.5]),
        "width": Searched(choices=[0, 64]),
        "weight_decay": Searched(choices=[0.0001, 0.01]),
    },
    "nested": {
        "learning_rate": Searched(low=0.0001, high=0.01, log=True),
        "dropout": Searched(choices=[0.0, 0.25, 0.5]),
        "width": Searched(choices=[0, 64, 256]),
        "weight_decay": Searched(choices=[0.0001, 0.01]),
        "batch_size": Searched(choices=[16, 32, 64]),
        "epochs": Searched(choices=[5, 10, 20]),
    },
}


# What each depth of training trains, in words.
DEPTHS = {
    "head": "a head on frozen features",
    "last_block": "the head and the last block",
    "all": "the whole network",
}


class FineTuning(Settings):
    """Training of the network's last block, or of all of it, after the head's.

    Parameters
    ----------
    learning_rate : float
        Learning rate of Adam.
    epochs : int
        Most epochs.
    batch_size : int
        Patients per step.
    """

    learning_rate: float = Field(gt=0, le=1)
    epochs: int = Field(ge=1, le=5000)
    batch_size: int = Field(ge=1, le=4096)


def _within(values: dict[str, Any]) -> dict[str, Any]:
    hyperparameters.check(values, hyperparameters.HEAD)
    return values


class Training(Settings):
    """What is trained, and how its hyperparameters are chosen.

    Parameters
    ----------
    space : Space
        The search space: a grid of choices in hold-out splits. Empty for the protocol's own, :data:`SPACES`.
    fixed : dict
        Hyperparameters that are not searched.
    class_weights : bool
        Whether both outcomes have equal weight in training.
    patience : int
        Epochs without a better loss in the tuning set before training stops, in hold-out splits.
    depth : str
        ``head`` (the network stays as it is), ``last_block`` or ``all``.
    fine_tuning : FineTuning, optional
        Used where ``depth`` is not ``head``.

    Raises
    ------
    pydantic.ValidationError
        Listing every error.
    """

    space: Annotated[dict[Hyperparameter, Searched], AfterValidator(_within)]
    fixed: Annotated[dict[Hyperparameter, int | float], AfterValidator(_within)]
    class_weights: bool
    patience: int = Field(ge=0, le=5000)
    depth: Literal["head", "last_block", "all"] = "head"
    fine_tuning: FineTuning | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Training":
        missing = set(get_args(Hyperparameter)) - set(self.space or SPACES["holdout"]) - set(self.fixed)
        if missing:
            raise ValueError(f"neither space nor fixed gives {', '.join(sorted(missing))}")
        if self.depth != "head" and self.fine_tuning is None:
            raise ValueError(f"depth {self.depth} needs fine_tuning")
        return self

    def searched(self, protocol: str) -> Space:
        """Return the space that is searched in the splits of a protocol, ``holdout`` or ``nested``."""
        return self.space or SPACES[protocol]


@dataclass
class Head:
    """The part that is trained: dropout, one hidden layer (or none), one output.

    It follows scikit-learn's ``fit`` and ``predict_proba``; its table of predictors has no columns, since the
    patients in its index are looked up among the kept features.

    Parameters
    ----------
    features : Features
        Kept features.
    values : dict
        Each :data:`Hyperparameter`; ``epochs`` is the most, where training may stop early.
    class_weights : bool
        Whether the two outcomes have equal weight.
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
        self.mean_ = self.features.variants[rows, 0].mean(axis=0)
        # A channel that is the same in every patient must not become infinite.
        self.sd_ = np.maximum(self.features.variants[rows, 0].std(axis=0), 1e-6)
        variants = ((self.features.variants[rows] - self.mean_) / self.sd_).astype(np.float32)
        y, weight = self._weighted(y)
        given = self.values
        trainer = _trainer(variants.shape[2], int(given["width"]), self.seed)
        trainer.reset(given["learning_rate"])
        settings = int(given["batch_size"]), given["dropout"], given["weight_decay"]
        rng = np.random.default_rng(self.seed)

        def epoch() -> float:
            order = rng.permutation(len(y))
            # One variant of each patient per epoch: the slice itself or one of its augmented copies.
            variant = rng.integers(variants.shape[1], size=len(y))
            loss = trainer.epoch(variants[order, variant], y[order], weight[order], *settings)
            self.weights_ = trainer.weights()
            return float(loss)

        self.curve_, best = self._train(epoch, lambda: self.weights_, "head", 1, int(self.values["epochs"]))
        self.weights_ = best or self.weights_
        self.classes_ = np.array([0, 1])
        return self

    def _train(
        self, epoch: Callable[[], float], weights: Callable[[], Any], part: str, first: int, epochs: int
    ) -> tuple[pd.DataFrame, Any]:
        """Train until the watched loss has not improved for ``patience`` epochs, or for all epochs.

        Returns
        -------
        (pandas.DataFrame, object)
            The losses of each epoch, and the weights with the lowest watched loss; None where no loss is
            watched, or none was lower than before.
        """
        curve, best_weights, best_at = [], None, first - 1
        # Training that continues must improve on where it starts.
        best = np.inf if first == 1 or self.watch is None else self.watched()["tune_loss"]
        for number in range(first, first + epochs):
            curve.append({"part": part, "epoch": number, "train_loss": epoch()})
            if self.watch is None:
                self.best_epoch_ = number
                continue
            curve[-1] |= self.watched()
            if curve[-1]["tune_loss"] < best:
                best, best_weights = curve[-1]["tune_loss"], weights()
                self.best_epoch_ = best_at = number
            if number - best_at >= self.patience:
                break
        return pd.DataFrame(curve), best_weights

    def _weighted(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return outcomes and each patient's weight in the loss, as single precision."""
        y = np.asarray(y, dtype=np.float32)
        weight = np.ones_like(y)
        if self.class_weights:
            weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean())).astype(np.float32)
        return y, weight

    def watched(self) -> dict[str, float]:
        """Return loss and ROC-AUC in the watched patients with the current weights."""
        ids, y = self.watch
        probability = self.predict_proba(pd.DataFrame(index=ids))[:, 1]
        return {
            "tune_loss": float(log_loss(y, probability, labels=[0, 1])),
            "tune_auc": float(roc_auc_score(y, probability)),
        }

    def predict_proba(self, x: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a poor and of a good outcome, shape (n, 2)."""
        given = self.features.variants[self.features.rows(x.index), 0]
        good = forward(given, self.mean_, self.sd_, self.weights_)
        return np.column_stack([1 - good, good])

    def whole_model(self, network: Network) -> Any:
        """Return the whole network, from the 256 x 256 slice to the probability of a good outcome.

        Returns
        -------
        keras.Model
            Flat, with its preprocessing and the head's standardisation inside; saved by ``model.save``.
        """
        import keras

        base = backbone(network)
        pooled = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(base.output)
        scaling = {"mean": self.mean_, "variance": self.sd_**2}
        hidden = keras.layers.Normalization(**scaling, name="standardise", dtype="float32")(pooled)
        if len(self.weights_) > 2:
            width = self.weights_[0].shape[1]
            hidden = keras.layers.Dense(width, activation="relu", name="hidden", dtype="float32")(hidden)
        last = keras.layers.Dense(1, activation="sigmoid", name="good_outcome", dtype="float32")
        model = keras.Model(base.inputs[0], last(hidden), name=f"{base.name}_head")
        model.set_weights([*base.get_weights(), *self.weights_])
        return model


def forward(features: np.ndarray, mean: np.ndarray, sd: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Return the probability of a good outcome that a trained head makes of features, shape (n,)."""
    # In double precision, so that a patient's probability does not depend on who else is computed.
    hidden = ((features - mean) / sd).astype(np.float64)
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    return expit((hidden @ weights[-2] + weights[-1])[:, 0])


class _Trainer:
    """A compiled head whose weights are reset before each fit: building one takes longer than a fit.

    What differs between the trials of a search, but for the width, is given to each epoch.
    """

    def __init__(self, n_features: int, width: int, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        inputs = keras.Input((n_features,))
        hidden = keras.layers.Dense(width, activation="relu")(inputs) if width else inputs
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        layers = model.layers[1:]
        # One source of dropout for what each layer receives.
        sources = [keras.random.SeedGenerator(seed + number) for number in range(len(layers))]
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        self._model, self._optimizer = model, optimizer
        self._variables = (*model.variables, *optimizer.variables, *(source.state for source in sources))
        self._first = [variable.numpy() for variable in self._variables]

        table, column = tf.TensorSpec([None, n_features]), tf.TensorSpec([None])
        number = tf.TensorSpec([])

        @tf.function(input_signature=[table, column, column, tf.TensorSpec([], tf.int32), number, number])
        def epoch(x, y, weight, batch_size, dropout, weight_decay):
            total = tf.constant(0.0)
            for start in tf.range(0, tf.shape(x)[0], batch_size):
                part = slice(start, start + batch_size)
                with tf.GradientTape() as tape:
                    hidden = x[part]
                    for layer, source in zip(layers, sources, strict=True):
                        drawn = tf.cast(source.next(), tf.int32)
                        hidden = layer(tf.nn.experimental.stateless_dropout(hidden, dropout, seed=drawn))
                    each = tf.nn.sigmoid_cross_entropy_with_logits(y[part], hidden[:, 0]) * weight[part]
                    size = tf.add_n([tf.reduce_sum(tf.square(layer.kernel)) for layer in layers])
                    loss = tf.reduce_mean(each) + weight_decay * size
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                total += tf.reduce_sum(each)
            return total / tf.cast(tf.shape(x)[0], tf.float32)

        self.epoch = epoch

    def reset(self, learning_rate: float) -> None:
        for variable, value in zip(self._variables, self._first, strict=True):
            variable.assign(value)
        self._optimizer.learning_rate = learning_rate

    def weights(self) -> list[np.ndarray]:
        return [v.numpy() for v in self._model.trainable_variables]


# As many as there are widths in the default spaces.
_trainer = lru_cache(maxsize=3)(_Trainer)
