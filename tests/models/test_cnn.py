"""The network on small images: kept features, the head, Grad-CAM. One file, so that TensorFlow loads once."""

import dataclasses
import hashlib
import json
import shutil
import socket
import time

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import log_loss

from postarrest.models import parts, splits
from postarrest.models.cnn import features, finetune, fit, frozen, gradcam, groups, head, weights
from postarrest.models.cnn import network as net
from postarrest.models.cnn.backbone import backbone
from postarrest.models.crossfit import CrossFit
from postarrest.models.ct_reader import network as reader
from postarrest.models.leakage import Ledger
from postarrest.places import Here

# TensorFlow's and Keras's own, with this Python and NumPy
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SEED = 3
AUGMENTATION = {"rotation_deg": 10, "shift": 0.05, "zoom": 0.05}
EMBEDDED = {"architecture": "embedded", "weights": "embedded"}


def network(**changes):
    settings = {
        "architecture": "ResNet50",
        "weights": "none",
        "fit_image": "resize",
        "augmentation": AUGMENTATION,
        "copies": 1,
        "precision": "float32",
        "seed": SEED,
    }
    return net.Network(**(settings | changes))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A study of 60 slices in which good outcomes have a brighter left half."""
    here = Here("tiny", "report", tmp_path_factory.mktemp("project"))
    rng = np.random.default_rng(SEED)
    y = np.r_[np.ones(30, int), np.zeros(30, int)]
    images = rng.normal(90, 25, (60, 256, 256))
    images[y == 1, :, :128] += 50
    place = here.out("images.npz")
    ids = np.array([f"P{i:02d}" for i in range(60)])
    np.savez(place, patient_id=ids, images=images.clip(0, 255).astype(np.uint8))
    return here


@pytest.fixture(scope="module")
def y():
    return pd.Series([1] * 30 + [0] * 30, index=pd.Index([f"P{i:02d}" for i in range(60)], name="patient_id"))


@pytest.fixture(scope="module")
def found(here):
    return features.features(here, network())


@pytest.fixture(scope="module")
def embedded(here):
    """The embedded network's features of the same slices."""
    return features.features(here, network(**EMBEDDED))


@pytest.fixture(scope="module")
def table(y):
    settings = splits.Settings(seed=1, outer_folds=2, inner_folds=3)
    return splits.table(y, protocols=("holdout", "nested"), settings=settings)


def without_copies(found):
    """The features of the slices themselves; what is kept of them has a key of its own."""
    return dataclasses.replace(found, variants=found.variants[:, :1], key=f"{found.key}-originals")


def training(**changes):
    settings = {
        "space": {"learning_rate": {"choices": [0.001, 0.01]}, "width": {"choices": [0, 8]}},
        "fixed": {"dropout": 0.2, "weight_decay": 1e-4, "batch_size": 16, "epochs": 12},
        "class_weights": True,
        "patience": 4,
    }
    return head.Training(**(settings | changes))


def fold(y, table, keep, name="holdout-1"):
    split = splits.get(table, name)
    return CrossFit(split, y, Ledger(split), keep, trials=2, seed=SEED)


def holdout(found, y, table, keep, *, final=head.Head, **changes):
    return fit.fit_split(found, training(**changes), fold(y, table, keep), final=final)


@pytest.fixture(scope="module")
def result(found, y, table, tmp_path_factory):
    return holdout(found, y, table, tmp_path_factory.mktemp("optuna"))


def test_features_are_kept_and_found_again(here, found):
    kept = here.build(f"features/{found.key}.npy")
    first = kept.stat().st_mtime_ns
    again = features.features(here, network())
    assert kept.stat().st_mtime_ns == first
    np.testing.assert_array_equal(again.variants, found.variants)
    assert again.variants.shape == (60, 2, 2048)


@pytest.mark.parametrize(
    "change",
    [{"copies": 0}, {"fit_image": "crop"}, {"augmentation": {"rotation_deg": 5}}, {"seed": 4}],
)
def test_whatever_features_depend_on_invalidates_them(here, found, change, monkeypatch):
    computed = []
    monkeypatch.setattr(
        features,
        "_compute",
        lambda images, net: computed.append(net) or np.zeros((60, 1, 4)),
    )
    assert features.features(here, network(**change)).key != found.key
    assert len(computed) == 1


def test_features_are_those_of_keras_applications(here, found):
    """The mean over the image of Keras's own network, with its own preprocessing, on the same weights."""
    import keras

    images = features.images(here, found.patients[:2]).astype(np.float32)
    model = backbone(network())
    theirs = keras.applications.ResNet50(include_top=False, weights=None, pooling="avg")
    for layer in theirs.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    resized = keras.ops.image.resize(images[..., None], (224, 224))
    coloured = np.repeat(np.asarray(resized), 3, axis=-1)
    expected = theirs.predict(keras.applications.resnet50.preprocess_input(coloured), verbose=0)
    np.testing.assert_allclose(found.variants[:2, 0], expected, rtol=1e-4, atol=1e-4)


def test_head_finds_a_plain_difference(result, y):
    good = y.loc[result.test.index] == 1
    assert result.test[good].min() > result.test[~good].max()


def test_early_stopping_restores_the_best_epoch(result):
    curve = result.head.curve_
    assert result.head.best_epoch_ == curve.loc[curve["tune_loss"].idxmin(), "epoch"]
    assert len(curve) <= result.head.best_epoch_ + 4


def test_same_seed_same_scores(found, y, table, result, tmp_path):
    again = holdout(found, y, table, tmp_path)
    pd.testing.assert_frame_equal(again.rows[0], result.rows[0], check_exact=True)


def test_nested_scores_every_patient_out_of_fold(found, y, table, tmp_path):
    outer = fold(y, table, tmp_path, "outer-1")
    space = {"learning_rate": {"low": 0.001, "high": 0.01, "log": True}, "epochs": {"choices": [3, 6]}}
    fixed = {"dropout": 0.2, "weight_decay": 1e-4, "batch_size": 16, "width": 0}
    nested = fit.fit_split(found, training(space=space, fixed=fixed, class_weights=False), outer)
    outer.ledger.check()
    scores = outer.score_table(nested.rows, outcome_label="standard")
    for _, rows in scores.groupby("stage"):
        assert sorted(rows.loc[rows["role"] == "train_oof", "patient_id"]) == sorted(outer.split.development)
        assert sorted(rows.loc[rows["role"] == "test", "patient_id"]) == sorted(outer.split.test)
    # Platt scaling changes probabilities and not their order.
    test = scores[scores["role"] == "test"].pivot(index="patient_id", columns="stage", values="score")
    assert test.sort_values("before_platt")["final"].is_monotonic_increasing


def test_saved_model_gives_the_same_probabilities(here, result, tmp_path):
    import keras

    model = result.head.whole_model(network())
    model.save(tmp_path / "model.keras")
    images = features.images(here, result.head.features.patients[:4]).astype(np.float32)[..., None]
    loaded = keras.models.load_model(tmp_path / "model.keras").predict(images, verbose=0)[:, 0]
    ours = result.head.predict_proba(pd.DataFrame(index=result.head.features.patients[:4]))[:, 1]
    np.testing.assert_allclose(loaded, ours, atol=1e-5)


def scored_when_frozen(fitted, own, images):
    """Probabilities by a network that was written and read, apart from its study."""
    content, arrays, about = frozen.of_head(fitted, own)
    arrays = parts.loaded(parts.dumped(arrays, "cnn"), "cnn")
    return frozen.probability(frozen.from_bytes(frozen.to_bytes(content)), arrays, about, images)


def test_a_frozen_network_scores_as_the_study_did_to_the_last_digits(here, result, y):
    ours = result.head.predict_proba(pd.DataFrame(index=y.index))[:, 1]
    images = features.images(here, y.index)
    found = scored_when_frozen(result.head, network(), images)
    np.testing.assert_allclose(found, ours, rtol=0, atol=1e-9)
    # Whoever else is scored.
    np.testing.assert_allclose(
        scored_when_frozen(result.head, network(), images[7:8]), ours[7:8], rtol=0, atol=1e-9
    )


def test_grad_cam_is_that_of_its_definition(here, result):
    """Against the gradient by finite differences of the logit, channel by channel, on one image."""
    import keras

    model = result.head.whole_model(network())
    image = features.images(here, result.head.features.patients[:1])
    signed = gradcam.maps(model, network(), image)
    base = keras.Model(model.input, model.get_layer("conv5_block3_out").output)
    activation = base.predict(image[..., None].astype(np.float32), verbose=0)[0].astype(np.float64)
    fitted = result.head
    pooled = activation.mean(axis=(0, 1))

    def logit(values):
        hidden = (values - fitted.mean_) / fitted.sd_
        for kernel, bias in zip(fitted.weights_[:-2:2], fitted.weights_[1:-2:2], strict=True):
            hidden = np.maximum(hidden @ kernel.astype(np.float64) + bias, 0)
        return float((hidden @ fitted.weights_[-2].astype(np.float64) + fitted.weights_[-1])[0])

    step = 1e-5
    gradient = np.array(
        [(logit(pooled + step * e) - logit(pooled - step * e)) / (2 * step) for e in np.eye(2048)]
    )
    expected = (activation * gradient).sum(axis=-1) / (activation.shape[0] * activation.shape[1])
    np.testing.assert_allclose(signed[0], expected, atol=1e-3 * np.abs(expected).max())
    # The positive part supports a good outcome, the negative part a poor one; at the slice's size.
    for good, towards in ((True, expected), (False, -expected)):
        cam = gradcam.for_class(signed, np.array([good]), network())[0]
        part = np.maximum(towards, 0).astype(np.float32)[..., None]
        resized = np.asarray(keras.ops.image.resize(part, (256, 256)))[..., 0]
        np.testing.assert_allclose(cam, resized, atol=1e-3 * np.abs(expected).max())


def test_grad_cam_is_blank_where_the_image_was_cut_away():
    cam = gradcam.for_class(np.ones((1, 7, 7), np.float32), np.array([True]), network(fit_image="crop"))[0]
    assert (cam[16:240, 16:240] == 1).all()
    assert cam.sum() == 224**2


def test_the_embedded_network_is_the_reader_s_encoder(here, embedded):
    import keras

    assert embedded.variants.shape == (60, 2, 296)
    images = features.images(here, embedded.patients[:2]).astype(np.float32)
    resized = np.asarray(keras.ops.image.resize(images[..., None], (171, 171)))
    expected = np.asarray(reader.trained()(resized[:, 5:165, 5:165], training=False)["encoded"])
    np.testing.assert_allclose(backbone(network(**EMBEDDED)).predict(images, verbose=0), expected, atol=1e-4)
    np.testing.assert_allclose(embedded.variants[:2, 0], expected.mean(axis=(1, 2)), atol=1e-4)


def test_the_embedded_network_does_not_depend_on_how_others_fit_images(here, embedded):
    assert features.features(here, network(**EMBEDDED, fit_image="crop")).key == embedded.key


def test_the_embedded_network_s_maps_lie_where_it_looks(here, embedded, y, table, tmp_path):
    """A saved model gives the same maps; they are fine, and blank where the image does not reach it."""
    import keras

    fitted = holdout(embedded, y, table, tmp_path).head
    model = fitted.whole_model(network(**EMBEDDED))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not [layer for layer in loaded.layers if isinstance(layer, keras.Model)]
    images = features.images(here, embedded.patients[:3])
    probability = loaded.predict(images[..., None].astype(np.float32), verbose=0)[:, 0]
    ours = fitted.predict_proba(pd.DataFrame(index=embedded.patients[:3]))[:, 1]
    np.testing.assert_allclose(probability, ours, atol=1e-5)
    signed = gradcam.maps(loaded, network(**EMBEDDED), images)
    assert signed.shape == (3, 20, 20)
    np.testing.assert_allclose(signed, gradcam.maps(model, network(**EMBEDDED), images), atol=1e-5)
    cam = gradcam.for_class(np.ones_like(signed), np.ones(3, bool), network(**EMBEDDED))[0]
    assert (cam[7:247, 7:247] == 1).all() and cam.sum() == 240**2
    agreement = gradcam.agreement_with(
        signed, gradcam.maps(gradcam.randomised(model, seed=1), network(**EMBEDDED), images)
    )
    assert (np.abs(agreement) < 0.9).all()


def test_what_reaches_the_network_is_where_its_field_says():
    """A bright pixel changes the maps inside the field, and none outside it does."""
    frozen = backbone(network(**EMBEDDED))
    first, size = network(**EMBEDDED).field
    images = np.zeros((5, 256, 256, 1), np.float32)
    for image, place in zip(
        images[1:], (first - 2, first + 1, first + size - 2, first + size + 1), strict=True
    ):
        image[place, 128] = 255
    maps = np.asarray(frozen(images, training=False))
    changed = [bool(np.abs(one - maps[0]).max() > 1e-4) for one in maps[1:]]
    assert changed == [False, True, True, False]


@pytest.mark.parametrize("depth", ["last_block", "all"])
def test_the_embedded_network_is_fine_tuned(here, embedded, y, table, tmp_path, depth):
    fine = {"learning_rate": 1e-3, "epochs": 6, "batch_size": 16}
    own = network(**EMBEDDED)
    final = finetune.final(here, embedded, own, training(depth=depth, fine_tuning=fine))
    space = {"learning_rate": {"choices": [1e-7]}}
    fixed = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 2}
    tuned = holdout(embedded, y, table, tmp_path, space=space, fixed=fixed, final=final)
    before, after = backbone(own), tuned.head.whole_model(own)
    moved = {
        layer.name
        for layer in before.layers
        if layer.weights and (layer.get_weights()[0] != after.get_layer(layer.name).get_weights()[0]).any()
    }
    last = {f"stage{stage}_{half}_conv" for stage in (2, 3) for half in (0, 1)}
    first = {f"stage{stage}_{half}_conv" for stage in (0, 1) for half in (0, 1)}
    assert moved == (last if depth == "last_block" else first | last)
    ids = embedded.patients[:4]
    images = features.images(here, ids).astype(np.float32)[..., None]
    expected = tuned.head.predict_proba(pd.DataFrame(index=ids))[:, 1]
    np.testing.assert_allclose(after.predict(images, verbose=0)[:, 0], expected, atol=5e-3)
    again = scored_when_frozen(tuned.head, own, features.images(here, ids))
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-9)


def test_the_loss_of_fine_tuning_is_the_mean_over_all_patients(here, embedded, y):
    """Not of the last batch alone; nothing is learned here, so that it can be computed afterwards."""
    own = network(**EMBEDDED, copies=0)
    found = without_copies(embedded)
    fine = {"learning_rate": 1e-12, "epochs": 1, "batch_size": 16}
    kind = finetune.final(here, found, own, training(depth="last_block", fine_tuning=fine))
    values = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 3}
    fitted = kind(found, values | {"learning_rate": 0.001}, False, SEED)
    some = pd.DataFrame(index=y.index[10:48])
    fitted.fit(some, y[some.index].to_numpy())
    expected = log_loss(y[some.index], fitted.predict_proba(some)[:, 1])
    assert fitted.curve_["train_loss"].iloc[-1] == pytest.approx(expected, rel=1e-4)


def added_up(mapped_cams, y, predicted_good, *, cams=None, tissues=None, net=None):
    n = len(y)
    return groups.sums(
        np.ones((n, 256, 256)) if cams is None else cams,
        np.ones((n, 256, 256), np.uint8) if tissues is None else tissues,
        mapped_cams,
        2 * mapped_cams,
        y_good=y,
        predicted_good=predicted_good,
        network=net or network(),
    )


def test_group_means_leave_out_where_most_patients_have_no_brain():
    cams = np.array([[[1.0, 2.0]], [[3.0, np.nan]], [[5.0, np.nan]], [[7.0, 1.0]]])
    y = np.array([1, 1, 1, 0])
    slices, means, titles = groups.means(added_up(cams, y, y == 1))
    assert titles == [
        "good outcome\n(n = 3)",
        "good, predicted good\n(n = 3)",
        "poor outcome\n(n = 1)",
        "poor, predicted poor\n(n = 1)",
        "predicted good\n(n = 3)",
        "predicted poor\n(n = 1)",
    ]
    np.testing.assert_allclose(means[:, 0], [[3, 0], [3, 0], [7, 1], [7, 1], [3, 0], [7, 1]])
    np.testing.assert_allclose(slices, 2 * means)


def test_sums_of_folds_give_the_means_and_shares_of_all_their_patients(tmp_path):
    rng = np.random.default_rng(3)
    mapped, y = rng.random((9, 4, 5)), np.array([1, 0, 1, 0, 1, 0, 1, 0, 1])
    mapped[rng.random(mapped.shape) < 0.3] = np.nan
    cams, tissues = rng.random((9, 256, 256)), rng.integers(0, 5, (9, 256, 256)).astype(np.uint8)
    predicted = rng.random(9) < 0.5
    parts = []
    for part in (slice(0, 4), slice(4, 9)):
        parts.append(tmp_path / f"{part.start}.npz")
        of = {"cams": cams[part], "tissues": tissues[part]}
        groups.write(added_up(mapped[part], y[part], predicted[part], **of), parts[-1])
    together, whole = groups.read(parts), added_up(mapped, y, predicted, cams=cams, tissues=tissues)
    for one, other in zip(groups.means(together), groups.means(whole), strict=True):
        if isinstance(one, list):
            assert one == other
        else:
            np.testing.assert_allclose(one, other, atol=1e-12)
    found = groups.shares(together)
    own = gradcam.attention_by_tissue(cams, tissues)[y == 1, 2]
    row = found[(found["tissue"] == gradcam.TISSUES[2]) & (found["outcome"] == "good")].iloc[0]
    expected = gradcam.mean_with_interval(own)
    assert row["n"] == 5
    np.testing.assert_allclose(
        row[["share", "lower", "upper"]].astype(float),
        [expected.value, expected.lower, expected.upper],
        atol=1e-9,
    )


@pytest.mark.parametrize("change", [{"fit_image": "crop"}, {"fit_image": "resize"}, EMBEDDED])
def test_even_attention_has_each_tissue_s_share_of_what_is_seen(change):
    net = network(**change)
    tissue = np.zeros((2, 256, 256), np.uint8)
    tissue[:, 60:190, 70:180], tissue[:, 100:120, 100:120] = 1, 3
    even = gradcam.for_class(np.ones((2, 7, 7), np.float32), np.array([True, False]), net)
    even[1] = even[0]
    of = {"cams": np.concatenate([even] * 2), "tissues": np.concatenate([tissue] * 2), "net": net}
    y = np.array([1, 0, 1, 0])
    shares = groups.shares(added_up(np.ones((4, 2, 2)), y, y == 1, **of))
    np.testing.assert_allclose(shares["share"], shares["area"], atol=1e-6)


@pytest.mark.parametrize(
    ("depth", "copies", "fine"),
    [
        ("last_block", 1, {"learning_rate": 1e-5, "batch_size": 16}),
        # Small batches take less memory; without trained weights, copies are so unlike the originals that the
        # loss would rise with these.
        ("all", 0, {"learning_rate": 1e-6, "batch_size": 4}),
    ],
)
def test_fine_tuning_starts_from_the_head_and_moves_the_right_layers(
    here, found, y, table, tmp_path, depth, copies, fine
):
    own = network(copies=copies)
    found = found if copies else without_copies(found)
    final = finetune.final(here, found, own, training(depth=depth, fine_tuning=fine | {"epochs": 1}))
    # The head is left where it began, so that the deeper part has something to gain.
    space = {"learning_rate": {"choices": [1e-7]}}
    fixed = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 2}
    tuned = holdout(found, y, table, tmp_path, space=space, fixed=fixed, final=final)
    before = backbone(own)
    after = tuned.head.whole_model(own)
    moved = {
        layer.name
        for layer in before.layers
        if layer.weights
        and any(
            (a != b).any()
            for a, b in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        )
    }
    assert "conv5_block3_3_conv" in moved
    assert ("conv1_conv" in moved) == (depth == "all")
    assert not [name for name in moved if name.endswith("_bn")]
    # One curve: the head's epochs, then those of the fine-tuning.
    curve = tuned.head.curve_
    assert curve["part"].tolist() == ["head", "head", "fine-tuning"]
    assert curve["epoch"].tolist() == [1, 2, 3]
    # The scores are those of the model that is saved, on the slices themselves.
    ids = tuned.head.features.patients[:4]
    images = features.images(here, ids).astype(np.float32)[..., None]
    expected = tuned.head.predict_proba(pd.DataFrame(index=ids))[:, 1]
    # Activations are kept in half precision.
    np.testing.assert_allclose(after.predict(images, verbose=0)[:, 0], expected, atol=5e-3)


def test_fine_tuning_that_only_makes_it_worse_is_undone(here, found, y, table, tmp_path):
    """So large a step spoils the network; what stays is where it started, and the curve says so."""
    fine = {"learning_rate": 0.001, "epochs": 1, "batch_size": 16}
    final = finetune.final(here, found, network(), training(depth="last_block", fine_tuning=fine))
    space = {"learning_rate": {"choices": [0.01]}}
    fixed = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 2}
    arguments = {"space": space, "fixed": fixed}
    alone = holdout(found, y, table, tmp_path / "head", **arguments)
    tuned = holdout(found, y, table, tmp_path / "deep", **arguments, final=final)
    curve = tuned.head.curve_
    assert curve["tune_loss"].iloc[-1] > curve["tune_loss"].iloc[:-1].min()
    assert tuned.head.best_epoch_ == alone.head.best_epoch_
    # Activations are kept in half precision.
    np.testing.assert_allclose(tuned.test, alone.test, atol=5e-3)


def test_fine_tuning_that_diverges_is_an_error(here, found, y, table, tmp_path):
    fine = {"learning_rate": 0.5, "epochs": 9, "batch_size": 16}
    final = finetune.final(here, found, network(), training(depth="last_block", fine_tuning=fine))
    fixed = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 2}
    space = {"learning_rate": {"choices": [0.01]}}
    with pytest.raises(net.NetworkError, match="fine_tuning: found weights that are not finite"):
        holdout(found, y, table, tmp_path, space=space, fixed=fixed, final=final)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": "deep"}, "Input should be 'head', 'last_block' or 'all'"),
        ({"depth": "all"}, "depth all needs fine_tuning"),
        ({"fixed": {"dropout": 0.2}}, "neither space nor fixed gives batch_size, epochs, weight_decay"),
        ({"fixed": {"layers": 3}}, "Input should be 'learning_rate', 'dropout'"),
        ({"patience": -1}, "greater than or equal to 0"),
    ],
)
def test_impossible_training_is_an_error(change, message):
    with pytest.raises(ValidationError, match=message):
        training(**change)


def test_an_empty_space_is_the_protocol_s_own():
    own = training(space={}, fixed={"batch_size": 32, "epochs": 60})
    assert own.searched("holdout") == head.SPACES["holdout"]
    assert own.searched("nested") == head.SPACES["nested"]


def test_shuffled_weights_give_other_maps(here, result):
    model = result.head.whole_model(network())
    images = features.images(here, result.head.features.patients[:2])
    before = gradcam.maps(model, network(), images)
    after = gradcam.maps(gradcam.randomised(model, seed=1), network(), images)
    agreement = gradcam.agreement_with(before, after)
    assert np.isfinite(agreement).all()
    assert (np.abs(agreement) < 0.9).all()


def test_real_imagenet_weights_name_their_source(shared):
    path = shared / "weights" / "resnet50_imagenet_notop.weights.h5"
    source = weights.source(network(weights=str(path)))
    assert source.path == path and source.kind == f"file-{source.sha256[:12]}"
    assert path.name in source.words
    assert str(path.parent) not in source.words


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras lists every layer before it gives up
def test_weights_of_another_network_are_refused(shared, tmp_path):
    path = shared / "weights" / "resnet50_imagenet_notop.weights.h5"
    with pytest.raises(net.NetworkError, match="does not fit the VGG19"):
        backbone(network(architecture="VGG19", weights=str(path)))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(net.NetworkError, match=r"'other.npz' does not fit the embedded network"):
        backbone(network(architecture="embedded", weights=str(tmp_path / "other.npz")))


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    """An empty cache of Keras; what the server is asked for is listed, and it does not answer."""
    asked = []
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "answers", lambda url: bool(asked.append(url)))
    return asked


def test_without_imagenet_the_embedded_network_takes_the_place(no_cache, capsys):
    found = weights.settled(network(architecture="VGG19", weights="auto"))
    assert (found.architecture, found.weights) == ("embedded", "embedded")
    expected = (
        "VGG19's ImageNet weights were not available; the network used is the embedded reader (U-Net "
        "encoder), pretrained on simulated heads"
    )
    assert weights.source(found).words == expected and weights.source(found).kind == "embedded"
    assert capsys.readouterr().err == f"{expected} (their server does not answer).\n"
    assert [url.rsplit("/", 1)[1] for url in no_cache] == [
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ]


def test_imagenet_that_cannot_be_had_is_an_error(no_cache):
    with pytest.raises(
        net.NetworkError, match=r"ImageNet's weights of ResNet50 could not be had \(their server"
    ):
        weights.settled(network(weights="imagenet"))


@pytest.mark.parametrize(
    ("asked", "settled"),
    [
        (("VGG19", "embedded"), ("embedded", "embedded")),
        (("embedded", "auto"), ("embedded", "embedded")),
        (("embedded", "none"), ("embedded", "none")),
        (("ResNet50", "none"), ("ResNet50", "none")),
        (("ResNet50", "file.h5"), ("ResNet50", "file.h5")),
    ],
)
def test_what_is_asked_for_by_name_needs_no_server(no_cache, asked, settled):
    found = weights.settled(network(architecture=asked[0], weights=asked[1]))
    assert (found.architecture, found.weights) == settled and not no_cache and not found.instead_of


def test_keras_cache_is_used(no_cache, tmp_path):
    cached = tmp_path / "keras/models/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    source = weights.source(weights.settled(network(weights="auto")))
    assert source.path == cached and source.kind == "imagenet" and not no_cache


@pytest.mark.parametrize("whole", [True, False])
def test_a_download_is_kept_only_if_it_is_the_expected_file(monkeypatch, tmp_path, capsys, whole):
    (tmp_path / "server/resnet").mkdir(parents=True)
    known = net.NETWORKS["ResNet50"]
    (tmp_path / "server" / known.file).write_bytes(b"weights" if whole else b"weig")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "IMAGENET_URL", f"{(tmp_path / 'server').as_uri()}/")
    md5 = hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    monkeypatch.setitem(net.NETWORKS, "ResNet50", dataclasses.replace(known, md5=md5))
    found = weights.settled(network(weights="auto"))
    assert found.weights == ("imagenet" if whole else "embedded")
    assert [p.name for p in (tmp_path / "keras/models").iterdir()] == [known.file.split("/")[1]] * whole
    said = capsys.readouterr().err
    assert "Downloading ImageNet's weights of ResNet50 (95 MB), once." in said
    assert ("the file is not the expected one" in said) != whole


def test_the_files_are_those_of_keras():
    from keras.src.applications import resnet, vgg19

    vgg, of_resnet = net.NETWORKS["VGG19"], net.NETWORKS["ResNet50"]
    assert weights.IMAGENET_URL + vgg.file == vgg19.WEIGHTS_PATH_NO_TOP
    assert (weights.IMAGENET_URL + of_resnet.file).startswith(resnet.BASE_WEIGHTS_PATH)
    assert of_resnet.md5 == resnet.WEIGHTS_HASHES["resnet50"][1]


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        assert not weights.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", within_s=0.2)

    # Nor is the look-up of a name waited for, which has no limit of its own.
    def slow(*_, **__):
        time.sleep(2)
        raise OSError

    monkeypatch.setattr(weights.urllib.request, "urlopen", slow)
    assert not weights.answers("https://nowhere.invalid/", within_s=0.2)
    assert time.monotonic() - start < 2


def test_the_decision_is_made_once_per_study(here, no_cache, tmp_path, monkeypatch):
    own = Here("once", "report", tmp_path)
    shutil.copy(here.build("images.npz"), own.out("images.npz"))
    monkeypatch.setattr(features, "_compute", lambda images, _: np.zeros((len(images), 1, 4)))
    asked = network(architecture="VGG19", weights="auto")
    kept = features.keep_features(own, asked, simulated=True)
    assert len(no_cache) == 1
    # Even if the weights are to be had by now.
    cached = tmp_path / "keras/models/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    found = features.features(own, features.decided(own, asked))
    assert len(no_cache) == 1 and found.key == kept.key
    assert found.source.startswith("VGG19's ImageNet weights were not available;")
    assert "pretrained on heads of the same kind of simulation, with other settings and seeds" in found.source
    # A run that would mix two networks stops; one that is not for the report may use another.
    with pytest.raises(net.NetworkError, match=r"build/once/features.json: found features of other"):
        features.features(own, weights.settled(asked))
    aside = Here("once", "scratch", tmp_path)
    assert features.features(aside, weights.settled(asked)).source == "ImageNet weights of VGG19 from Keras"


def test_real_patients_are_not_called_circular(here, no_cache, tmp_path, monkeypatch):
    own = Here("real", "report", tmp_path)
    shutil.copy(here.build("images.npz"), own.out("images.npz"))
    monkeypatch.setattr(features, "_compute", lambda images, _: np.zeros((len(images), 1, 4)))
    features.keep_features(own, network(**EMBEDDED), simulated=False)
    record = json.loads(own.build("features.json").read_text())
    assert (
        record["circular"] == ""
        and record["source"] == "embedded"
        and record["network"] == "embedded network"
    )
    assert record["weights"] == weights.READER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "VGG16"}, "Input should be 'VGG19', 'ResNet50' or 'embedded'"),
        ({"architecture": "embedded", "weights": "imagenet"}, "embedded network has no ImageNet weights"),
        ({"fit_image": "stretch"}, "Input should be 'crop' or 'resize'"),
        ({"precision": "float16"}, "Input should be 'float32' or 'mixed_bfloat16'"),
        ({"copies": -1}, "greater than or equal to 0"),
        ({"augmentation": {"flip": True}}, r"augmentation\.flip\n  Extra inputs are not permitted"),
        ({"augmentation": {"sharpness": 0.5}}, "Input should be a valid list"),
    ],
)
def test_impossible_networks_are_errors(change, message):
    with pytest.raises(ValidationError, match=message):
        network(**change)


def test_missing_weights_are_an_error():
    with pytest.raises(net.NetworkError, match=r"found no file 'nowhere.h5'"):
        weights.source(network(weights="nowhere.h5"))


def test_a_patient_without_a_slice_is_an_error(here, found):
    with pytest.raises(KeyError, match="1 patients have no CT slice"):
        features.images(here, pd.Index(["P00", "nobody"]))
    with pytest.raises(KeyError, match="1 patients have no CT slice"):
        found.rows(pd.Index(["nobody"]))


def test_attention_shares_sum_to_one():
    rng = np.random.default_rng(0)
    shares = gradcam.attention_by_tissue(rng.random((3, 8, 8)), rng.integers(0, 5, (3, 8, 8)))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    flat = gradcam.attention_by_tissue(np.zeros((1, 8, 8)), np.zeros((1, 8, 8), int))
    assert np.isnan(flat).all()
