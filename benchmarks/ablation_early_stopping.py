"""Optimism from stopping training, and choosing from the grid, on the hold-out set, as in paper A's text.

For each hold-out split of a study that has run (by default the twenty of `holdout20`), the head is trained
twice on the same kept features: once as the study does (epochs and hyperparameters chosen on the tuning
set), once with the hold-out set in its place. The optimism is the difference of the two ROC-AUCs in the
hold-out set.

    make report STUDY=holdout20 && python benchmarks/ablation_early_stopping.py
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="holdout20")
    parser.add_argument("--out", type=Path, help="Markdown file for the result")
    given = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

    from postarrest import places
    from postarrest.models import splits
    from postarrest.models.cnn import features, fit, head, network
    from postarrest.models.crossfit import CrossFit
    from postarrest.models.leakage import Ledger
    from postarrest.study import load

    loaded, here = load.load(given.study), places.open(given.study, save_to="report")
    values = load.complete_parameters(loaded, "03_cnn")
    found = features.features(here, features.decided(here, network.Network.of(values)))
    training = head.Training.of(values)
    y = pd.read_parquet(here.build("cohort.parquet"))[f"y_good_{loaded.labels[0]}"]
    table = pd.read_parquet(here.build("splits.parquet"))
    rows = []
    for name in splits.with_test(("holdout",), splits.Settings(**loaded.sections["splits"])):
        honest = splits.get(table, name)
        train, _ = honest.inner[0]
        leaking = replace(honest, inner=((train, honest.test),))
        row = {"split": name}
        for way, split in (("tune", honest), ("holdout", leaking)):
            with tempfile.TemporaryDirectory() as folder:
                fold = CrossFit(split, y, Ledger(split), Path(folder), trials=1, seed=values["seed"])
                result = fit.fit_split(found, training, fold)
            row[f"auc_stopped_on_{way}"] = roc_auc_score(y[honest.test], result.test)
        rows.append(row)
    written = page(pd.DataFrame(rows))
    print(written)
    if given.out:
        given.out.write_text(written, encoding="utf-8")


def page(each: pd.DataFrame) -> str:
    """Return the result in words and as a table; ``each`` has one row per split."""
    gained = each["auc_stopped_on_holdout"] - each["auc_stopped_on_tune"]
    half = stats.t.ppf(0.975, len(gained) - 1) * gained.std(ddof=1) / np.sqrt(len(gained))
    rows = [
        f"| {r.split} | {r.auc_stopped_on_tune:.3f} | {stopped:.3f} |"
        for r, stopped in zip(each.itertuples(), each["auc_stopped_on_holdout"], strict=True)
    ]
    return "\n".join(
        [
            "# The optimism of stopping early on the hold-out set",
            "",
            "By paper A's text, training stops by the loss in the same patients on whom the network is then",
            "evaluated. Here the same head was trained twice in each hold-out split of the same simulated",
            "patients: with hyperparameters and length of training chosen on the tuning set, and on the",
            "hold-out set in its place. Written by `make ablation`, after `make report STUDY=holdout20`.",
            "",
            f"Mean ROC-AUC in the hold-out: {each['auc_stopped_on_tune'].mean():.3f} chosen on the tuning "
            f"set, {each['auc_stopped_on_holdout'].mean():.3f} chosen on the hold-out set;",
            f"optimism {gained.mean():.3f} (95 % CI {gained.mean() - half:.3f} to "
            f"{gained.mean() + half:.3f}; {len(gained)} splits, which share patients).",
            "",
            "| split | chosen on the tuning set | chosen on the hold-out set |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
