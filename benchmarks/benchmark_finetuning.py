"""What training deeper than the head costs, and what it gains, in a study that has run.

In the study's first splits the head is trained on frozen features, then from there the last block or the
whole network, each with the hyperparameters that were chosen for the head, and each scores the split's test
patients. Training is stopped by the tune patients in a hold-out split, and has a set length in an outer fold,
where it is that of the refit on all development patients (the four out-of-fold fits of a fold cost about
three times as much again).

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
    from postarrest.models.cnn import network as network_room
    from postarrest.models.leakage import Ledger
    from postarrest.study import load

    loaded, here = load.load(given.study), places.open(given.study, save_to="report")
    values = load.complete_parameters(loaded, "03_cnn")
    network = network_room.network_settings(values)
    found = features.features(here, network)
    label = loaded.labels[0]
    y = pd.read_parquet(here.build("cohort.parquet"))[f"y_good_{label}"]
    divided = pd.read_parquet(here.build("splits.parquet"))
    protocol = loaded.protocols[0]
    names = splits.names((protocol,), splits.Settings(**loaded.sections["splits"]))[: given.splits]
    print(f"{given.study}: {found.source}; {given.threads} threads\n")

    depths = {}
    for depth in given.depths:
        start = time.perf_counter()
        depths[depth] = finetune.final(here, found, network, depth=depth, fine=values["fine_tuning"])
        kept = sorted(here.build("features").glob(f"*-{depth}.npy"))
        size = f"{sum(p.stat().st_size for p in kept) / 1e6:.0f} MB kept" if kept else "nothing kept"
        print(f"{depth}: what the trained part gets, {time.perf_counter() - start:.0f} s, {size}")

    common = {
        name: values[name] for name in ("space", "fixed", "class_weights", "patience", "trials", "seed")
    }
    rows, told = [], []
    for name in names:
        split = splits.get(divided, name)
        # The search has been done: it is taken up, and gives its result at once.
        head = fit.fit_split(found, y, split, **common, keep=here.build("optuna"), ledger=Ledger(split))
        chosen = values["fixed"] | head.tuned.values
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
            told.append((name, depth, len(ids), seconds, model.best_epoch_, len(model.curve_)))
            print(f"{name} {depth}: {len(ids)} patients, {seconds:.0f} s", flush=True)

    table = scores.sets(scores.check(pd.concat(rows, ignore_index=True)))
    columns = ["split", "depth", "patients", "seconds", "epoch_kept", "epochs"]
    each = pd.DataFrame(told, columns=columns)
    each["roc_auc"] = [delong.delong(r["y_good"], r["score"]).auc[0] for r in rows]
    print("\n" + each.round(3).to_string(index=False))
    print(
        "\n"
        + each.groupby("depth", sort=False)[["seconds", "roc_auc"]]
        .agg(["median", "mean"])
        .round(3)
        .to_string()
    )
    compared = comparisons.comparisons(table)
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
