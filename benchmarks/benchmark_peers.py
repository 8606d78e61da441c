"""Ensembles of other libraries on a study's own outer folds and predictors: docs/peers-<study>.csv.

``make benchmark-peers STUDY=...`` after the study's report. Each model of each fold is fitted in a process of
its own, whose processor time and largest memory are measured; the other libraries in the environment of
``benchmarks/peers/requirements.txt``. A CNN counts as one predictor: its out-of-fold probability.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from postarrest import places, scores
from postarrest.evaluation import calibration, delong
from postarrest.files import write_text
from postarrest.models import crossfit, leakage, splits, stacking, super_learner, tabular, tuning
from postarrest.pipeline.warm import thread_environment
from postarrest.study import load

FIT = Path(__file__).parent / "peers" / "fit.py"
PEERS = (
    "AutoGluon, best_quality",
    "AutoGluon, medium_quality",
    "FLAML",
    "mljar, Explain",
    "scikit-learn, StackingClassifier",
)
OWN = ("super_learner", "ensemble")
# Fitted by the report, whose scores are taken where they are not fitted again for their cost.
FROM_THE_REPORT = ("ensemble", "ensemble_logistic", *stacking.REFERENCES)


class Study:
    """A study whose report has been made, and what its models of each outer fold see."""

    def __init__(self, name: str, permuted: int = 0):
        self.permuted = permuted
        self.here = places.open(name, save_to="scratch")
        self.loaded = load.load(name)
        self.stacking = load.complete_parameters(self.loaded, "04_stacking")
        self.label = self.stacking["outcome_label"]
        self.cohort = pd.read_parquet(self.here.build("cohort.parquet"))
        y = self.cohort[f"y_good_{self.label}"]
        if permuted:
            y = y.sample(frac=1, random_state=permuted).set_axis(y.index)
        self.y = y
        self.table = pd.read_parquet(self.here.build("splits.parquet"))
        self.scores = scores.read(self.here.build("scores.csv"))

    def split(self, fold: int) -> splits.Split:
        return splits.get(self.table, f"outer-{fold}")

    def folds(self) -> list[int]:
        return sorted(set(self.scores["fold"][self.scores["model"] == "ensemble"]))

    def bases(self, fold: int) -> stacking.Bases:
        chosen = tuning.read_chosen(self.here.build(f"chosen_outer-{fold}.json"))
        settings = {name: one for name, one in chosen.items() if one.algorithm != "stack"}
        networks = [name for name, one in settings.items() if one.algorithm == "cnn"]
        final = self.scores[(self.scores["fold"] == fold) & (self.scores["stage"] == "final")]
        wide = final[final["model"].isin(["ct"] if networks else [])]
        wide = wide.pivot(index=["role", "patient_id"], columns="model", values="score")
        split = self.split(fold)
        parts = {
            role: wide.xs(role, level="role").rename(columns={"ct": networks[0]})
            if networks
            else pd.DataFrame(index=ids)
            for role, ids in (("train_oof", split.development), ("test", split.test))
        }
        return stacking.Bases(parts["train_oof"], parts["test"], [], pd.DataFrame(), {}, [], settings)

    def crossfit(self, fold: int, keep: Path) -> crossfit.CrossFit:
        known = tabular.known_beforehand(self.cohort)
        ledger = leakage.Ledger(self.split(fold), known)
        return crossfit.CrossFit(
            self.split(fold), self.y, ledger, keep, trials=self.stacking["trials"], seed=self.stacking["seed"]
        )


def export(study: Study, fold: int, folder: Path) -> None:
    """Write what a model may see of a fold: predictors of both parts, the outcome of one."""
    x, x_test = stacking.all_predictors(study.cohort, study.bases(fold), study.split(fold))
    x.assign(y_good=study.y[x.index]).reset_index(drop=True).to_parquet(folder / "train.parquet")
    x_test.reset_index(drop=True).to_parquet(folder / "test.parquet")


def fit_own(study: Study, model: str, fold: int) -> dict[str, object]:
    """Fit one of this project's ensembles on a fold, as notebook 04 does, without its report."""
    with tempfile.TemporaryDirectory() as keep:
        fitted = study.crossfit(fold, Path(keep))
        part = f"outer-{fold}-{study.label}"
        if model == "super_learner":
            # What the network's scores were fitted on.
            if (seen := study.here.build(f"seen_cnn_{part}.json")).is_file():
                fitted.ledger.adopt(seen)
            library = super_learner.declared(study.stacking["super_learner"])
            rows = super_learner.fit(study.cohort, study.bases(fold), fitted, library=library).rows
        else:
            bases = stacking.fit_bases(
                tabular.declared(study.stacking["base_models"]),
                study.cohort,
                fitted,
                spaces=tabular.spaces(study.stacking["spaces"]),
                cnn_scores=study.here.build(f"scores_cnn_{part}.csv"),
                cnn_lineage=study.here.build(f"seen_cnn_{part}.json"),
            )
            space = tabular.spaces(study.stacking["spaces"])["stack"]
            rows = stacking.fit_stack(bases.out_of_fold, bases.test, fitted, space=space).rows
    table = pd.concat(rows)
    table = table[(table["model"] == model) & (table["stage"] == "final")].set_index("patient_id")
    train = table[table["role"] == "train_oof"]["score"]
    test = table.loc[table["role"] == "test", "score"]
    own = float(roc_auc_score(study.y[train.index], train))
    return {"probability": test[study.split(fold).test].tolist(), "own": own}


def measured(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """Run a command; return its wall and processor seconds, and its largest memory in GiB."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | environment)
        # Of this process and those that it started and waited for.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command[:4])}: {said.read().decode()[-3000:]}")
    seconds = {"wall_s": time.perf_counter() - started, "processor_s": used.ru_utime + used.ru_stime}
    return seconds | {"memory_gib": used.ru_maxrss / 2**20}


def fitted(study: Study, fold: int, model: str, *, python: str, seconds: int) -> pd.DataFrame:
    """Fit a model on a fold in a process of its own; return the test patients' scores and what they cost.

    What was fitted before is kept in ``build/<study>/peers/``.
    """
    kept = study.here.build(f"peers/{study.permuted}-{fold}-{model}.json")
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.json"
            if model in OWN:
                about = ["--study", study.loaded.name, "--permuted", str(study.permuted), "--fold", str(fold)]
                command = [sys.executable, __file__, *about, "--own", model, "--out", str(out)]
                cost = measured(command, thread_environment(1))
            else:
                export(study, fold, Path(folder))
                about = ["--peer", model, "--fold", folder, "--seconds", str(seconds), "--out", str(out)]
                # AutoML libraries share out the threads themselves.
                threads = thread_environment(1) if model.startswith("scikit-learn") else {}
                cost = measured([python, str(FIT), *about], threads)
            found = json.loads(out.read_text(encoding="utf-8")) | cost
        write_text(kept, json.dumps(found))
        print(f"fold {fold}, {model}: {cost['processor_s']:.0f} s of processor time", flush=True)
    found = json.loads(kept.read_text(encoding="utf-8"))
    rows = pd.DataFrame({"patient_id": study.split(fold).test, "score": found.pop("probability")})
    return rows.assign(model=model, fold=fold, **found)


def judged(rows: pd.DataFrame, y: pd.Series, *, reference: str) -> pd.DataFrame:
    """Return one row per model: pooled test scores, its own estimate beside the folds' mean, and cost."""
    wide = rows.pivot(index="patient_id", columns="model", values="score")[list(dict.fromkeys(rows["model"]))]
    outcome = y[wide.index].to_numpy()
    compared = delong.delong(outcome, wide.to_numpy(), models=list(wide))
    found = []
    for model, mine in rows.groupby("model", sort=False):
        p = wide[model].to_numpy()
        auc = compared.interval(str(model), transform="logit")
        row = {"model": model, "auc": auc.value, "auc_lower": auc.lower, "auc_upper": auc.upper}
        if model != reference:
            difference, _ = compared.difference(str(model), reference)
            row |= {"difference": difference.value, "lower": difference.lower, "upper": difference.upper}
        row |= {
            "brier": brier_score_loss(outcome, p),
            "log_loss": log_loss(outcome, np.clip(p, 1e-6, 1 - 1e-6)),
        }
        row["slope"] = calibration.recalibrate(outcome, p).slope.value
        folds = mine.groupby("fold")
        own = folds["own"].first()
        outer = folds.apply(
            lambda one: roc_auc_score(y[one["patient_id"]], one["score"]), include_groups=False
        )
        row |= {"own_estimate": own.mean(), "mean_auc": outer.mean(), "optimism": (own - outer).mean()}
        costs = folds[["wall_s", "processor_s", "memory_gib"]].first()
        row |= {
            "processor_s": costs["processor_s"].sum(min_count=len(own)),
            "wall_s": costs["wall_s"].sum(min_count=len(own)),
        }
        found.append(
            row | {"memory_gib": costs["memory_gib"].max(), "n": len(p), "n_good": int(outcome.sum())}
        )
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a study whose report has been made")
    parser.add_argument("--python", default="", help="the interpreter of the other libraries' environment")
    parser.add_argument("--models", nargs="+", default=[*PEERS, *OWN])
    parser.add_argument(
        "--seconds", type=int, default=60, help="wall seconds for a fold, for libraries that ask"
    )
    parser.add_argument(
        "--permuted", type=int, default=0, help="a seed: outcomes are permuted among patients"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--own", help=argparse.SUPPRESS)
    parser.add_argument("--fold", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    study = Study(given.study, given.permuted)
    if given.own:
        given.out.write_text(json.dumps(fit_own(study, given.own, given.fold)), encoding="utf-8")
        return
    about = {"python": given.python, "seconds": given.seconds}
    rows = [fitted(study, fold, model, **about) for fold in study.folds() for model in given.models]
    if not given.permuted:
        test = study.scores[(study.scores["role"] == "test") & (study.scores["stage"] == "final")]
        reported = set(FROM_THE_REPORT) - set(given.models)
        more = test[test["model"].isin(reported)][["patient_id", "model", "fold", "score"]]
        rows.append(more.assign(own=np.nan, wall_s=np.nan, processor_s=np.nan, memory_gib=np.nan))
    table = judged(pd.concat(rows, ignore_index=True), study.y, reference="super_learner")
    table.insert(0, "outcome", "permuted" if given.permuted else "as it is")
    table.insert(0, "study", given.study)
    table.round(4).to_csv(given.out, index=False, lineterminator="\n")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
