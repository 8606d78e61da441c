"""The cost and the gain of training deeper than the head, in a study that has run.

In each split the head is trained on frozen features, then the last block or the whole network from there,
with the hyperparameters chosen for the head. Each model scores the split's test patients. In a hold-out
split, training stops by the loss in the tuning set. In an outer fold it has a set length, and the time is
that of the refit on all development patients (the four out-of-fold fits take about three times as long).

    make report STUDY=ensemble WEIGHTS=path && make benchmark-finetuning STUDY=ensemble WEIGHTS=path
"""

import argparse
import os
import time
from pathlib import Path

import pandas as pd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="ensemble")
    parser.add_argument("--depths", nargs="+", default=["head", "last_block"])
    parser.add_argument("--splits", type=int, help="how many of the study's splits; all, if not given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="CSV file for the result of each split")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(given.threads)

    from postarrest import places, scores
    from postarrest.evaluation import comparisons, delong
    from postarrest.models import splits
    from postarrest.models.cnn import features, finetune, fit
    from postarrest.models.cnn.head import Training
    from postarrest.models.cnn.network import Network
    from postarrest.models.crossfit import CrossFit
    from postarrest.models.leakage import Ledger
    from postarrest.study import load

    loaded, here = load.load(given.study), places.open(given.study, save_to="report")
    values = load.complete_parameters(loaded, "03_cnn")
    network, training = features.decided(here, Network.of(values)), Training.of(values)
    found = features.features(here, network)
    label = loaded.labels[0]
    y = pd.read_parquet(here.build("cohort.parquet"))[f"y_good_{label}"]
    table = pd.read_parquet(here.build("splits.parquet"))
    protocol = loaded.protocols[0]
    names = splits.with_test((protocol,), splits.Settings(**loaded.sections["splits"]))[: given.splits]
    print(f"{given.study}: {found.source}; {given.threads} threads\n")

    depths = {}
    for depth in given.depths:
        start = time.perf_counter()
        deeper = Training.of(values | {"depth": depth})
        depths[depth] = finetune.final(here, found, network, deeper)
        kept = sorted(here.build("features").glob(f"*-{depth}.npy"))
        size = f"{sum(p.stat().st_size for p in kept) / 1e6:.0f} MB kept" if kept else "nothing kept"
        print(f"{depth}: inputs of the trained part, {time.perf_counter() - start:.0f} s, {size}")

    rows, timed = [], []
    for name in names:
        split = splits.get(table, name)
        fold = CrossFit(split, y, Ledger(split), here.build("optuna"), values["trials"], values["seed"])
        # The search is finished and kept, so that this returns its result at once.
        chosen = training.fixed | fit.fit_split(found, training, fold).tuned.values
        ids, watch = split.development, None
        if protocol == "holdout":
            ids, tune = split.inner[0]
            watch = (tune, y.loc[tune].to_numpy())
        for depth, kind in depths.items():
            model = kind(found, chosen, values["class_weights"], values["seed"], watch, values["patience"])
            start = time.perf_counter()
            model.fit(pd.DataFrame(index=ids), y.loc[ids].to_numpy())
            seconds = time.perf_counter() - start
            score = model.predict_proba(pd.DataFrame(index=split.test))[:, 1]
            rows.append(
                pd.DataFrame(
                    {
                        **{"patient_id": split.test, "y_good": y.loc[split.test].to_numpy(), "model": depth},
                        **{"kind": "probability", "role": "test", "fold": split.fold, "score": score},
                        **{"outcome_label": label},
                    }
                )
            )
            timed.append((name, depth, len(ids), seconds, model.best_epoch_, len(model.curve_)))
            print(f"{name} {depth}: {len(ids)} patients, {seconds:.0f} s", flush=True)

    evaluated = scores.sets(scores.check(pd.concat(rows, ignore_index=True)))
    columns = ["split", "depth", "patients", "seconds", "epoch_kept", "epochs"]
    each = pd.DataFrame(timed, columns=columns)
    each["roc_auc"] = [delong.delong(r["y_good"], r["score"]).auc[0] for r in rows]
    print("\n" + each.round(3).to_string(index=False))
    print(
        "\n"
        + each.groupby("depth", sort=False)[["seconds", "roc_auc"]]
        .agg(["median", "mean"])
        .round(3)
        .to_string()
    )
    compared = comparisons.comparisons(evaluated)
    shown = compared[compared["metric"].isin(["roc_auc", "brier"]) & (compared["positive_class"] != "poor")]
    columns = [
        "set",
        "model_a",
        "model_b",
        "metric",
        "difference",
        "lower",
        "upper",
        "p",
        "method",
        "n",
        "n_good",
    ]
    print("\n" + shown[columns].round(3).to_string(index=False))
    if given.out:
        each.round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
