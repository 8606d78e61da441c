"""Where a simulated study's ensemble loses what was planted: docs/where-lost.csv.

A ladder of AUCs in the study's own patients, from an observer who knows everything but the outcome to the
ensembles of the report (pooled test patients). Each rung is told one thing less than the one above it: the
severity of the injury, the attenuation of the tissues, the tissue of each pixel of the noisy image (then only
the network's reading), the distribution of the predictors (then only the study's patients).
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from postarrest import places, scores, simulate
from postarrest.evaluation import delong
from postarrest.models.stacking import log_odds
from postarrest.simulate import cohort, truth, write
from postarrest.study import load

CLINICAL = [*truth.OHCA_VARIABLES, *truth.PUPIL_VARIABLES]


def clinical(settings: simulate.Settings, patients: pd.DataFrame) -> np.ndarray:
    """Return log odds by the clinical predictors, from boosting on a very large sample."""
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 11]))
    good = np.arange(settings.n_truth) % 2 == 0
    drawn = cohort.variables(good, settings=settings, rng=rng).patients
    rhythms = pd.CategoricalDtype(sorted(drawn["initial_rhythm"].dropna().unique()))
    both = [table[CLINICAL].astype({"initial_rhythm": rhythms}) for table in (drawn, patients)]
    model = LGBMClassifier(n_estimators=300, learning_rate=0.05, num_leaves=15, n_jobs=1, verbose=-1)
    return model.fit(both[0], good).predict(both[1], raw_score=True)


def of_one(y: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Return log odds by some columns in these patients, whose few weights are cross-fitted."""
    together = np.column_stack(columns)
    return cross_val_predict(LogisticRegression(C=100), together, y, cv=10, method="decision_function")


def ladder(study: str) -> pd.DataFrame:
    """Return one row per rung and per ensemble of the report."""
    loaded, here = load.load(study), places.open(study)
    settings = simulate.Settings(**loaded.sections["simulate"])
    drawn = cohort.draw(settings)
    included = drawn.patients["exclusion"] == ""
    with tempfile.TemporaryDirectory() as folder:
        unseen = dataclasses.replace(settings, ct="none")
        _, ratio = write.simulate_images(unseen, drawn, Path(folder))
    patients = drawn.patients[included].set_index("patient_id")
    severity = drawn.latents.loc[included, "severity"].to_numpy()
    table = scores.read(here.build("scores.csv"))
    y, wide = scores.wide(scores.sets(table).query("stage == 'final' and kind == 'probability'"))
    at = patients.index.get_indexer(wide.index)
    known = clinical(settings, patients)[at]
    white, cortex, deep = truth.tissue_attenuation(severity[at], np.random.default_rng(settings.seed))
    network = log_odds(wide[["ct"]]).to_numpy().ravel()
    told = {
        "severity of the injury": [-severity[at]],
        "attenuation of the tissues": [white, cortex, deep],
        "tissue of each pixel of the image": [ratio.to_numpy()[at]],
        "the network's reading": [network],
    }
    rows = [("ct", told_of, of_one(y, *values)) for told_of, values in told.items()]
    rows += [("ensemble", told_of, of_one(y, known, *values)) for told_of, values in told.items()]
    rows += [
        ("ensemble", f"the study's patients only: {name}", wide[name]) for name in ENSEMBLES if name in wide
    ]
    found = []
    for model, told_of, score in rows:
        auc = delong.delong(y, np.asarray(score)).interval("0", transform="logit")
        found.append((study, model, told_of, auc.value, auc.lower, auc.upper, len(y), int(np.sum(y))))
    return pd.DataFrame(found, columns=["study", "model", "told", "auc", "lower", "upper", "n", "n_good"])


ENSEMBLES = ("super_learner", "ensemble_logistic", "ensemble", "logistic_all", "forest_all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="ensemble", help="a simulated study whose report has been made")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = ladder(given.study)
    found.round(4).to_csv(given.out, index=False, lineterminator="\n")
    print(found.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
