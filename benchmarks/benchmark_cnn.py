"""Time that the CNN of the nested study takes as designed, and that retraining the whole network would take.

Both are measured on a few images and extrapolated to the published size: 533 patients, 5 outer and 4 inner
folds, 20 trials, 4 augmented copies, 10 epochs on average.

    make benchmark
"""

import argparse
import os
import time

import numpy as np
import pandas as pd

PATIENTS, OUTER, INNER, TRIALS, COPIES, EPOCHS = 533, 5, 4, 20, 4, 10


def timed(function, *, least: int = 3) -> float:
    """Return the median seconds of a call, after one that does not count."""
    function()
    taken = []
    for _ in range(least):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="ResNet50")
    # As in one fold of the pipeline; folds that run at once shorten the wall time.
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(given.threads)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    from postarrest.models.cnn.backbone import backbone
    from postarrest.models.cnn.features import Features, pooled
    from postarrest.models.cnn.head import Head
    from postarrest.models.cnn.network import Network, augment

    rng = np.random.default_rng(0)
    network = Network(
        architecture=given.architecture,
        weights="none",
        fit_image="resize",
        augmentation={"rotation_deg": 10, "shift": 0.05, "zoom": 0.05},
        copies=COPIES,
        precision="float32",
        seed=1,
    )
    images = rng.integers(0, 256, (64, 256, 256)).astype(np.float32)
    per_copy = timed(lambda: augment(images, network, 1)) / len(images)
    images = images[:32]
    frozen = backbone(network)
    per_image = timed(lambda: pooled(frozen, images)) / len(images)

    n = PATIENTS * (OUTER - 1) // OUTER * (INNER - 1) // INNER
    ids = pd.Index([str(i) for i in range(n)])
    kept = rng.normal(size=(n, 1 + COPIES, frozen.output.shape[-1])).astype(np.float32)
    features = Features(ids, kept, "benchmark", "random")
    y = (np.arange(n) % 6 == 0).astype(int)
    values = {
        **{"learning_rate": 1e-3, "dropout": 0.25, "width": 64, "weight_decay": 1e-4},
        **{"batch_size": 32, "epochs": EPOCHS},
    }
    per_fit = timed(lambda: Head(features, values, False, 1).fit(pd.DataFrame(index=ids), y))

    head = Head(features, values, False, 1).fit(pd.DataFrame(index=ids), y)
    whole = head.whole_model(network)
    for layer in whole.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    whole.compile(optimizer=keras.optimizers.Adam(1e-5), loss="binary_crossentropy")
    batch, outcome = images[:16, ..., None], y[:16].astype(np.float32)
    per_trained = timed(lambda: whole.train_on_batch(batch, outcome)) / 16

    fits = OUTER * (TRIALS * INNER + INNER + 1)
    designed = {
        "augmented copies, once": PATIENTS * COPIES * per_copy,
        "features of every slice and copy, once": PATIENTS * (1 + COPIES) * per_image,
        f"{fits} heads on kept features": fits * per_fit,
    }
    # The naive way augments each slice anew in each epoch.
    naive = fits * n * EPOCHS * (per_trained + per_copy)
    rows = [*designed.items(), ("as designed, together", sum(designed.values()))]
    rows.append((f"{fits} trainings of the whole network", naive))
    print(
        f"{given.architecture}, {given.threads} thread(s); medians of 3, extrapolated to the published size"
    )
    print(f"  an augmented copy            {1000 * per_copy:8.1f} ms  ({1 / per_copy:.0f} a second)")
    print(f"  a slice through the network  {1000 * per_image:8.1f} ms  ({1 / per_image:.0f} a second)")
    print(f"  a head, {EPOCHS} epochs          {1000 * per_fit:8.1f} ms")
    print(f"  a slice in whole training    {1000 * per_trained:8.1f} ms  ({1 / per_trained:.1f} a second)")
    for what, seconds in rows:
        print(f"  {what:42s} {seconds / 60:10.1f} min")
    print(f"  ratio {naive / sum(designed.values()):.0f}")


if __name__ == "__main__":
    main()
