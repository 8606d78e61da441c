"""The network on small images: kept features, the head, Grad-CAM. One file, so that TensorFlow loads once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from postarrest.models import splits
from postarrest.models.cnn import alignment, features, finetune, fit, gradcam, head
from postarrest.models.cnn import network as net
from postarrest.models.crossfit import CrossFit
from postarrest.models.leakage import Ledger
from postarrest.places import Here

# TensorFlow's and Keras's own, with this Python and NumPy
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SEED = 3
AUGMENTATION = {"rotation_deg": 10, "shift": 0.05, "zoom": 0.05}


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
def table(y):
    settings = splits.Settings(seed=1, outer_folds=2, inner_folds=3)
    return splits.table(y, protocols=("holdout", "nested"), settings=settings)


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
    model = net.backbone(network())
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


def test_group_means_are_in_register():
    """The same head, moved, turned and of another size: its marked place stays in one place."""
    rows, columns = np.mgrid[:256, :256]

    def head(row, column, size, turn):
        r, c = (rows - row) / size, (columns - column) / size
        r, c = r * np.cos(turn) + c * np.sin(turn), c * np.cos(turn) - r * np.sin(turn)
        return (r**2 / 90**2 + c**2 / 70**2 < 1) * 200.0, np.exp(-((r - 40) ** 2 + (c + 20) ** 2) / 50)

    views = [head(120, 130, 1.0, 0.0), head(135, 120, 0.85, 0.2), head(128, 128, 1.15, -0.15)] * 2
    images, marks = np.stack([v[0] for v in views]), np.stack([v[1] for v in views]).astype(np.float32)
    y = np.array([1, 1, 1, 0, 0, 0])
    slices, means, titles = gradcam.group_means(marks, images, y, y == 1)
    assert titles == [
        "good outcome\n(n = 3)",
        "good, predicted good\n(n = 3)",
        "poor outcome\n(n = 3)",
        "poor, predicted poor\n(n = 3)",
        "predicted good\n(n = 3)",
        "predicted poor\n(n = 3)",
    ]
    for mean in means:
        # The three peaks lie on each other; as they came, they lie apart.
        assert mean.max() > 0.95
    assert marks[:3].mean(axis=0).max() < 0.6
    assert slices.shape == means.shape


def test_a_slice_without_a_head_stays_as_it_is():
    blank = np.zeros((1, 64, 64))
    heads = [alignment.outline(image) for image in blank]
    onto = alignment.common(heads, shape=(64, 64))
    assert heads == [None]
    np.testing.assert_array_equal(alignment.aligned(blank + 3, heads, onto), blank + 3)


@pytest.mark.parametrize("half_width", [84, 90, 96, 110])
def test_a_wide_head_is_not_turned_on_its_side(half_width):
    rows, columns = np.mgrid[:256, :256]
    head = ((rows - 128) / 90) ** 2 + ((columns - 128) / half_width) ** 2 < 1
    front = np.exp(-((rows - 60) ** 2 + (columns - 128) ** 2) / 50)
    found = alignment.outline(head)
    assert (found.length, found.width) == pytest.approx((90, half_width), abs=0.7)
    moved = alignment.aligned(front[None], [found], alignment.common([found], shape=(256, 256)))[0]
    assert np.unravel_index(moved.argmax(), moved.shape) == pytest.approx((60, 128), abs=1.5)


@pytest.mark.parametrize("fit_image", ["crop", "resize"])
def test_even_attention_has_each_tissue_s_share_of_what_is_seen(fit_image):
    net = network(fit_image=fit_image)
    tissue = np.zeros((2, 256, 256), np.uint8)
    tissue[:, 60:190, 70:180], tissue[:, 100:120, 100:120] = 1, 3
    even = gradcam.for_class(np.ones((2, 7, 7), np.float32), np.array([True, False]), net)
    even[1] = even[0]
    shares = gradcam.shares_by_outcome(
        np.concatenate([even] * 2), np.concatenate([tissue] * 2), np.array([1, 0, 1, 0]), net
    )
    np.testing.assert_allclose(shares["share"], shares["area"], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    row=st.floats(100, 156),
    column=st.floats(100, 156),
    size=st.floats(0.7, 1.1),
    turn=st.floats(-0.6, 0.6),
)
def test_an_ellipse_is_found_wherever_it_lies(row, column, size, turn):
    rows, columns = np.mgrid[:256, :256]
    r, c = rows - row, columns - column
    down, right = r * np.cos(turn) + c * np.sin(turn), c * np.cos(turn) - r * np.sin(turn)
    found = alignment.outline((down / 90 / size) ** 2 + (right / 70 / size) ** 2 < 1)
    assert found.centre == pytest.approx([row, column], abs=0.5)
    assert [found.length, found.width] == pytest.approx([90 * size, 70 * size], abs=0.7)
    assert found.tilt_rad == pytest.approx(turn, abs=0.03)


@pytest.mark.parametrize("depth", ["last_block", "all"])
def test_fine_tuning_starts_from_the_head_and_moves_the_right_layers(here, found, y, table, tmp_path, depth):
    fine = {"learning_rate": 1e-5, "epochs": 1, "batch_size": 16}
    final = finetune.final(here, found, network(), training(depth=depth, fine_tuning=fine))
    # The head is left where it began, so that the deeper part has something to gain.
    space = {"learning_rate": {"choices": [1e-7]}}
    fixed = {"width": 0, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 16, "epochs": 2}
    tuned = holdout(found, y, table, tmp_path, space=space, fixed=fixed, final=final)
    before = net.backbone(network())
    after = tuned.head.whole_model(network())
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
    source = net.weights_source(network(weights=str(path)))
    assert source.path == path
    assert path.name in source.words
    assert str(path.parent) not in source.words


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras lists every layer before it gives up
def test_weights_of_another_network_are_refused(shared):
    path = shared / "weights" / "resnet50_imagenet_notop.weights.h5"
    with pytest.raises(net.NetworkError, match="does not fit VGG19"):
        net.backbone(network(architecture="VGG19", weights=str(path)))


def test_no_weights_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    source = net.weights_source(network(weights="auto"))
    assert source.path is None
    assert "no pretrained weights" in source.words


def test_keras_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cached = tmp_path / "models" / net.NETWORKS["ResNet50"][1]
    cached.parent.mkdir()
    cached.write_bytes(b"weights")
    assert net.weights_source(network(weights="auto")).path == cached


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "VGG16"}, "Input should be 'VGG19' or 'ResNet50'"),
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
        net.weights_source(network(weights="nowhere.h5"))


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
