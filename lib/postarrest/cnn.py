"""The convolutional network on one CT slice: its weights, its kept features, and the head that is trained.

A frozen backbone is a fixed function, so what it makes of each image, and of a set number of augmented
copies, is computed once a study and kept. What is then tuned and trained is a head on those features.
TensorFlow is imported only where a network is run.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from postarrest import tuning
from postarrest.files import whole, write_text
from postarrest.kept import code_of, digest
from postarrest.leakage import Ledger
from postarrest.splits import Split
from postarrest.study import Here
from postarrest.tuning import Space, Tuned, Values

# Name of each network's last convolution (Grad-CAM looks there) and of its weights in Keras's cache.
NETWORKS = {
    "VGG19": ("block5_conv4", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    "ResNet50": ("conv5_block3_out", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
}
# Both networks were trained on images less these means (blue, green, red). A gray slice has three equal
# channels, so the order in which they stand makes no difference.
_IMAGENET_MEANS = (103.939, 116.779, 123.68)
_INPUT_PIXELS = 224
_AUGMENTATIONS = ("sharpness", "rotation_deg", "erasing", "shift", "zoom")


class NetworkError(ValueError):
    """A network that can't be built as asked; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Network:
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
    augmentation : Mapping
        Ranges: ``sharpness`` (0 blurs fully, 0.5 leaves alone, 1 sharpens), ``rotation_deg``, ``erasing``
        (chance that a patch is erased), ``shift`` and ``zoom`` (shares of the image).
    copies : int
        Augmented copies of each image.
    precision : str
        ``float32`` or ``mixed_bfloat16``.
    seed : int
        Seed of augmentation, and of the weights where there are none to load.
    """

    architecture: str
    weights: str
    fit_image: str
    augmentation: Mapping[str, Any]
    copies: int
    precision: str
    seed: int

    def __post_init__(self) -> None:
        faults = []
        if self.architecture not in NETWORKS:
            faults.append(f"architecture is {self.architecture!r}, expected {' or '.join(NETWORKS)}.")
        if self.fit_image not in ("crop", "resize"):
            faults.append(f"fit_image is {self.fit_image!r}, expected crop or resize.")
        if self.precision not in ("float32", "mixed_bfloat16"):
            faults.append(f"precision is {self.precision!r}, expected float32 or mixed_bfloat16.")
        if self.copies < 0:
            faults.append(f"copies is {self.copies}, expected 0 or more.")
        unknown = sorted(set(self.augmentation) - set(_AUGMENTATIONS))
        faults += [f"augmentation '{u}' is unknown; known: {', '.join(_AUGMENTATIONS)}." for u in unknown]
        if faults:
            raise NetworkError("\n".join(faults))


def network_settings(parameters: Mapping[str, Any]) -> Network:
    """Return the network that a notebook's parameters describe."""
    names = ("architecture", "weights", "fit_image", "augmentation", "copies", "precision", "seed")
    return Network(**{name: parameters[name] for name in names})


@dataclass(frozen=True)
class WeightsSource:
    """Where a network's weights come from.

    Parameters
    ----------
    kind : str
        ``file``, ``keras`` or ``none``.
    path : pathlib.Path or None
        The file that is loaded.
    sha256 : str
        Its hash; blank where there is none.
    words : str
        The source as the report states it; it holds no path.
    """

    kind: str
    path: Path | None
    sha256: str
    words: str


def weights_source(network: Network) -> WeightsSource:
    """Find a network's weights.

    Raises
    ------
    NetworkError
        If a named file is not there, or a download that was asked for fails.
    """
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    cached /= NETWORKS[network.architecture][1]
    if network.weights == "none" or (network.weights == "auto" and not cached.is_file()):
        return WeightsSource(
            "none",
            None,
            "",
            f"no pretrained weights: an untrained {network.architecture} with random weights "
            f"(seed {network.seed}), so its results say little about transfer learning",
        )
    if network.weights in ("auto", "imagenet"):
        if not cached.is_file():
            _download(network.architecture)
        return WeightsSource(
            "keras", cached, _sha256(cached), f"ImageNet weights of {network.architecture} from Keras"
        )
    path = Path(network.weights).expanduser()
    if not path.is_file():
        raise NetworkError(
            f"weights: found no file '{path.name}'; expected auto, imagenet, none or a file's path."
        )
    sha256 = _sha256(path)
    return WeightsSource(
        "file", path, sha256, f"weights of {network.architecture} from the file {path.name} ({sha256[:12]})"
    )


def _download(architecture: str) -> None:
    import keras

    try:
        getattr(keras.applications, architecture)(include_top=False, weights="imagenet")
    except Exception as error:
        raise NetworkError(
            f"weights: Keras's download for {architecture} failed ({error}). Give a file, or 'none'."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def backbone(network: Network) -> Any:
    """Build the frozen network, from the 256 x 256 slice to its last convolution.

    The model is flat (no network nested in it), which is what Grad-CAM and reading by others need; its first
    layers are the preprocessing.

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
    try:
        slices = keras.Input((256, 256, 1), name="slice")
        layer = keras.layers.CenterCrop if network.fit_image == "crop" else keras.layers.Resizing
        fitted = layer(_INPUT_PIXELS, _INPUT_PIXELS, name=network.fit_image)(slices)
        coloured = keras.layers.Concatenate(name="three_channels")([fitted] * 3)
        normalised = keras.layers.Normalization(
            mean=_IMAGENET_MEANS, variance=(1.0, 1.0, 1.0), name="imagenet_means"
        )(coloured)
        whole = getattr(keras.applications, network.architecture)(
            include_top=False, weights=None, input_tensor=normalised
        )
    finally:
        keras.config.set_dtype_policy("float32")
    if source.path is not None:
        # A weights file is of the network alone, without the preprocessing before it.
        alone = getattr(keras.applications, network.architecture)(include_top=False, weights=None)
        try:
            alone.load_weights(source.path)
        except (ValueError, OSError, KeyError) as error:
            raise NetworkError(
                f"weights: '{source.path.name}' does not fit {network.architecture} without its top "
                f"({error})."
            ) from error
        for layer in alone.layers:
            whole.get_layer(layer.name).set_weights(layer.get_weights()) if layer.weights else None
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
        Holds the ranges.
    copy : int
        Which copy; the same number gives the same copies.

    Returns
    -------
    numpy.ndarray of shape (n, 256, 256), float32
    """
    import keras

    layers = keras.layers
    # Outside the image is air, which the window shows as 0.
    outside = {"fill_mode": "constant", "fill_value": 0.0}
    built = {
        "sharpness": lambda v, s: layers.RandomSharpness(tuple(v), value_range=(0, 255), seed=s),
        "rotation_deg": lambda v, s: layers.RandomRotation(v / 360, **outside, seed=s),
        "erasing": lambda v, s: layers.RandomErasing(
            (v, v), scale=(0.1, 0.25), fill_value=0.0, value_range=(0, 255), seed=s
        ),
        "shift": lambda v, s: layers.RandomTranslation(v, v, **outside, seed=s),
        "zoom": lambda v, s: layers.RandomZoom((-v, v), **outside, seed=s),
    }
    steps = [
        built[name](value, (network.seed + copy) * 10 + i)
        for i, (name, value) in enumerate(sorted(network.augmentation.items()))
    ]
    out = np.empty(images.shape, dtype=np.float32)
    for start in range(0, len(images), 64):
        batch = images[start : start + 64, ..., None].astype(np.float32)
        for step in steps:
            batch = step(batch, training=True)
        out[start : start + 64] = np.clip(np.asarray(batch)[..., 0], 0, 255)
    return out


@dataclass(frozen=True)
class Features:
    """What a frozen network makes of each patient's slice.

    Parameters
    ----------
    patients : pandas.Index
        Patients, in the order of the rows.
    original : numpy.ndarray of shape (n, d)
        Features of the slices: the mean over the image of each channel of the last convolution.
    copies : numpy.ndarray of shape (n, c, d)
        Features of their augmented copies.
    key : str
        Hash of all that the features depend on.
    source : str
        Source of the weights, in words.
    """

    patients: pd.Index
    original: np.ndarray = field(repr=False)
    copies: np.ndarray = field(repr=False)
    key: str
    source: str

    def rows(self, ids: pd.Index) -> np.ndarray:
        """Return the row of each patient.

        Raises
        ------
        KeyError
            If a patient has no slice.
        """
        found = self.patients.get_indexer(ids)
        if (found < 0).any():
            raise KeyError(f"{int((found < 0).sum())} patients have no CT slice among the kept features.")
        return found


def images(here: Here, ids: pd.Index) -> np.ndarray:
    """Return the slices of some patients, shape (n, 256, 256), uint8.

    Raises
    ------
    KeyError
        If a patient has no slice.
    """
    with np.load(here.build("images.npz")) as kept:
        rows = pd.Index(kept["patient_id"].astype(str)).get_indexer(ids)
        if (rows < 0).any():
            raise KeyError(f"{int((rows < 0).sum())} patients have no CT slice.")
        return kept["images"][rows]


def features(here: Here, network: Network) -> Features:
    """Return the features of a study's images, computed if they are not kept.

    They are kept under the hash of all that they depend on (images, architecture, weights, augmentation,
    precision, and the code and the Keras that compute them) and of nothing else, so that changing anything
    else finds them again.

    Parameters
    ----------
    here : Here
        The study's places; the images are in ``images.npz``.
    network : Network
        The frozen network.
    """
    with np.load(here.build("images.npz")) as kept:
        patients, slices = pd.Index(kept["patient_id"].astype(str), name="patient_id"), kept["images"]
    source = weights_source(network)
    described = asdict(network) | {"weights": source.sha256 or "none", "input": _INPUT_PIXELS}
    if source.sha256 and not network.augmentation:
        described.pop("seed")
    made_by = [version("keras"), version("tensorflow"), code_of(backbone, augment, pooled, _compute)]
    made_by += [NETWORKS[network.architecture][0], _IMAGENET_MEANS]
    key = digest("features", slices, list(patients), described, made_by, modules=())
    place = here.build(f"features/{key}.npz")
    if not place.is_file():
        original, copies = _compute(slices, network)
        with whole(place) as beside, beside.open("wb") as file:
            np.savez(file, original=original, copies=copies)
    with np.load(place) as kept:
        return Features(patients, kept["original"], kept["copies"], key, source.words)


def keep_features(here: Here, network: Network) -> Features:
    """Compute a study's features ahead of the notebooks, and write which they are to ``features.json``."""
    found = features(here, network)
    about = {
        "key": found.key,
        "weights": found.source,
        "architecture": network.architecture,
        "precision": network.precision,
        "n_images": len(found.patients),
        "n_copies": int(found.copies.shape[1]),
        "n_features": int(found.original.shape[1]),
    }
    write_text(here.out("features.json"), json.dumps(about, indent=1) + "\n")
    return found


def _compute(images: np.ndarray, network: Network) -> tuple[np.ndarray, np.ndarray]:
    model = backbone(network)
    original = pooled(model, images.astype(np.float32))
    copies = [pooled(model, augment(images, network, c + 1)) for c in range(network.copies)]
    if not copies:
        return original, np.empty((len(images), 0, original.shape[1]), dtype=np.float32)
    return original, np.stack(copies, axis=1)


def pooled(model: Any, images: np.ndarray) -> np.ndarray:
    """Return the mean over the image of each channel of a backbone's output, shape (n, d), float32."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def run(batch):
        return tf.reduce_mean(tf.cast(model(batch, training=False), tf.float32), axis=(1, 2))

    batches = [run(images[i : i + 16, ..., None]).numpy() for i in range(0, len(images), 16)]
    return np.concatenate(batches)


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


@dataclass(frozen=True)
class CnnScores:
    """What the CNN gives in one split.

    Parameters
    ----------
    tuned : Tuned
        The search for hyperparameters.
    head : Head
        The head that scored the test patients.
    scores : pandas.DataFrame
        Rows of the scores table: ``patient_id, stage, role, score``.
    """

    tuned: Tuned
    head: Head
    scores: pd.DataFrame


def fit_holdout(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    patience: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Paper A: try a grid on the tune patients, stop early on them, score the hold-out once.

    Parameters
    ----------
    found : Features
        Kept features.
    y : pandas.Series
        1 where the outcome is good.
    split : Split
        Train, tune and hold-out patients.
    space : Mapping
        The grid: choices of each hyperparameter.
    fixed : dict
        Hyperparameters that are not searched, among them ``epochs``, the most.
    class_weights, patience, seed
        As for :class:`Head`.
    keep : pathlib.Path
        Folder for Optuna's studies.
    ledger : Ledger
        Takes down what was fitted on whom.
    final : callable
        Makes what is fitted once the hyperparameters are chosen: a head, or one that is fine-tuned with a
        part of the network below it (:func:`postarrest.finetune.final`).
    """
    train, tune = split.inner[0]
    watch = (tune, y.loc[tune].to_numpy())

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        return kind(found, fixed | values, class_weights, seed, watch, patience)

    def auc(values: Values) -> float:
        fitted = head(values).fit(pd.DataFrame(index=train), y.loc[train].to_numpy())
        return float(fitted.curve_["tune_auc"].iloc[fitted.best_epoch_ - 1])

    name = digest("grid", found.key, space, fixed, class_weights, patience, y, split.membership, seed)
    journal = keep / f"{split.name}-cnn-{name}.journal"
    tuned = tuning.grid(auc, space, patients=split.development, keep=journal)
    # The tune patients are not fitted on, but the grid and the length of training are chosen by them.
    chosen = ledger.choice("cnn: hyperparameters and epochs", on=tuned.patients)
    fitted = ledger.fit(
        head(tuned.values, final),
        pd.DataFrame(index=train),
        y.loc[train],
        stage="cnn: head for the hold-out",
        after=[chosen],
    )
    rows = [
        _rows(ledger.probability(fitted, pd.DataFrame(index=tune)), "final", "train_oof"),
        _rows(ledger.probability(fitted, pd.DataFrame(index=split.test)), "final", "test"),
    ]
    return CnnScores(tuned, fitted.estimator, pd.concat(rows, ignore_index=True))


def fit_nested(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    trials: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Paper B: tune in the inner folds, score out of fold, refit, and calibrate by Platt scaling.

    The parameters are those of :func:`fit_holdout`, with ``trials`` of Optuna. Epochs are a hyperparameter
    here: stopping early on an inner fold would make that fold's judgement, and its out-of-fold scores,
    optimistic.
    """
    development = split.development

    def head(values: Values, kind: Callable[..., Head] = Head) -> Head:
        return kind(found, fixed | values, class_weights, seed)

    def aucs(values: Values) -> Iterator[float]:
        for fit_ids, judge_ids in split.inner:
            fitted = head(values).fit(pd.DataFrame(index=fit_ids), y.loc[fit_ids].to_numpy())
            yield float(
                roc_auc_score(y.loc[judge_ids], fitted.predict_proba(pd.DataFrame(index=judge_ids))[:, 1])
            )

    name = digest("nested", found.key, space, fixed, class_weights, y, split.membership, seed)
    tuned = tuning.search(
        aucs,
        space,
        n_folds=len(split.inner),
        patients=development,
        trials=trials,
        seed=seed,
        keep=keep / f"{split.name}-ct-{name}.journal",
    )
    chosen = ledger.choice("ct: hyperparameters", on=tuned.patients)
    parts = []
    for fit_ids, judge_ids in split.inner:
        fitted = ledger.fit(
            head(tuned.values, final),
            pd.DataFrame(index=fit_ids),
            y.loc[fit_ids],
            stage="ct: out-of-fold head",
            after=[chosen],
        )
        parts.append(ledger.probability(fitted, pd.DataFrame(index=judge_ids)))
    raw = pd.concat(parts).loc[development]
    refit = ledger.fit(
        head(tuned.values, final),
        pd.DataFrame(index=development),
        y.loc[development],
        stage="ct: refitted head",
        after=[chosen],
    )
    raw_test = ledger.probability(refit, pd.DataFrame(index=split.test))
    calibrated = []
    for _, judge_ids in split.inner:
        others = development.difference(judge_ids)
        scale = ledger.fit(platt(), raw.loc[others].to_frame(), y.loc[others], stage="ct: Platt, out of fold")
        calibrated.append(ledger.probability(scale, raw.loc[judge_ids].to_frame()))
    scale = ledger.fit(platt(), raw.to_frame(), y.loc[development], stage="ct: Platt for the test patients")
    rows = [
        _rows(raw, "before_platt", "train_oof"),
        _rows(raw_test, "before_platt", "test"),
        _rows(pd.concat(calibrated).loc[development], "final", "train_oof"),
        _rows(ledger.probability(scale, raw_test.to_frame()), "final", "test"),
    ]
    return CnnScores(tuned, refit.estimator, pd.concat(rows, ignore_index=True))


def fit_split(
    found: Features,
    y: pd.Series,
    split: Split,
    *,
    space: Space,
    fixed: Values,
    class_weights: bool,
    patience: int,
    trials: int,
    seed: int,
    keep: Path,
    ledger: Ledger,
    final: Callable[..., Head] = Head,
) -> CnnScores:
    """Fit a split by the protocol that it belongs to: :func:`fit_holdout` or :func:`fit_nested`."""
    common = {"space": space, "fixed": fixed, "class_weights": class_weights, "seed": seed}
    common |= {"keep": keep, "ledger": ledger, "final": final}
    if split.protocol == "holdout":
        return fit_holdout(found, y, split, **common, patience=patience)
    return fit_nested(found, y, split, **common, trials=trials)


def score_rows(result: CnnScores, y: pd.Series, split: Split, *, outcome: str) -> pd.DataFrame:
    """Return a result as rows of the scores table.

    The model is called ``cnn`` in hold-out splits (paper A) and ``ct`` in outer folds (paper B).
    """
    rows = result.scores.assign(
        y_good=y.loc[result.scores["patient_id"]].to_numpy(),
        model={"holdout": "cnn", "nested": "ct"}[split.protocol],
        kind="probability",
        fold=split.fold,
        outcome=outcome,
    )
    return rows[["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome", "stage"]]


def platt() -> Pipeline:
    """Return Platt scaling: logistic regression, all but unpenalised, on the logit of a probability."""
    return make_pipeline(FunctionTransformer(_logit), LogisticRegression(C=1e6))


def _logit(probability: pd.DataFrame) -> np.ndarray:
    p = probability.to_numpy().clip(1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def _rows(score: pd.Series, stage: str, role: str) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": score.index, "stage": stage, "role": role, "score": score.to_numpy()})


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
