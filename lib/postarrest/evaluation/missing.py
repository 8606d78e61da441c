"""Missing data: the same models compared between ways of handling missing values."""

import numpy as np
import pandas as pd

from postarrest.evaluation import calibration, discrimination
from postarrest.evaluation.delong import delong

# Measures shown, by their names in the tables of performance and calibration.
_PERFORMANCE = ("roc_auc", "brier")
_CALIBRATION = {"oe": "oe", "calibration_slope": "slope"}
_COLUMNS = ["model", "handling", "own", "patients", "n", "n_good", "metric", "estimate", "lower", "upper"]


def table(scored: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Tabulate the performance of each model by each way of handling missing values.

    Parameters
    ----------
    scored : pandas.DataFrame
        ``model, handling, own, complete, fold, patient_id, y_good, score``: test patients of the outer folds,
        as :func:`postarrest.models.missing.compare` returns them.
    n_resamples, seed : int
        Bootstrap of the Brier score.

    Returns
    -------
    pandas.DataFrame
        ``model, handling, own, patients, n, n_good, metric, estimate, lower, upper, p``. ``patients`` is
        ``all`` or, where a model has incomplete patients, also ``complete``, in whom every handling can be
        compared. ``roc_auc`` (DeLong, logit), ``brier`` (bootstrap BCa), ``oe``, ``calibration_slope`` and
        ``roc_auc_difference``, the paired difference to the study's own handling in the same patients
        (DeLong), with its P value.
    """
    found = []
    for model, mine in scored.groupby("model", sort=False):
        groups = [("all", mine[~_only_complete(mine)])]
        if not mine["complete"].all():
            groups.append(("complete", mine[mine["complete"]]))
        for patients, rows in groups:
            if rows["y_good"].nunique() == 2:
                parts = _measures(rows, n_resamples=n_resamples, seed=seed)
                found.append(parts.assign(model=model, patients=patients))
    if not found:
        return pd.DataFrame(columns=[*_COLUMNS, "p"])
    return pd.concat(found, ignore_index=True)[[*_COLUMNS, "p"]]


def _only_complete(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are of a handling that scores no incomplete patient, although there are some."""
    covers = rows.groupby("handling")["patient_id"].transform("nunique")
    return covers < rows["patient_id"].nunique()


def _measures(rows: pd.DataFrame, **resampling: int) -> pd.DataFrame:
    """Return the measures of every handling in the same patients."""
    about = {"outcome_label": "", "stage": "final", "set": "all", "kind": "probability", "role": "test"}
    as_scores = rows.drop(columns="model").rename(columns={"handling": "model"}).assign(**about)
    performance = discrimination.table(discrimination.resample(as_scores, **resampling))
    performance = performance[performance["recommended"] & performance["metric"].isin(_PERFORMANCE)]
    performance = performance[performance["positive_class"] == "good"]
    parts = [performance[["model", "n", "n_good", "metric", "estimate", "lower", "upper"]]]
    calibrated, _ = calibration.table(as_scores, n_resamples=0)
    for metric, column in _CALIBRATION.items():
        names = {column: "estimate", f"{column}_lower": "lower", f"{column}_upper": "upper"}
        parts.append(calibrated[["model", "n", "n_good", *names]].rename(columns=names).assign(metric=metric))
    own = rows.loc[rows["own"], "handling"].iloc[0]
    wide = rows.pivot(index="patient_id", columns="handling", values="score")
    y = rows.drop_duplicates("patient_id").set_index("patient_id")["y_good"].loc[wide.index].to_numpy()
    aucs = delong(y, wide, models=list(wide))
    for handling in wide.columns.drop(own):
        e, p = aucs.difference(handling, own)
        counts = {"n": len(y), "n_good": int(y.sum())}
        row = {"model": handling, "metric": "roc_auc_difference", "estimate": e.value, "p": p}
        parts.append(pd.DataFrame([row | counts | {"lower": e.lower, "upper": e.upper}]))
    joined = pd.concat(parts, ignore_index=True).rename(columns={"model": "handling"})
    order = {name: k for k, name in enumerate(dict.fromkeys(rows["handling"]))}
    joined = joined.assign(own=joined["handling"] == own, p=joined.get("p", np.nan))
    return joined.sort_values("handling", key=lambda names: names.map(order), kind="stable")
