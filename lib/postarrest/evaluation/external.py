"""A frozen model judged in other patients: beside what it did where it was fitted."""

from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.evaluation.intervals import proportion_interval
from postarrest.evaluation.thresholds import LIMITS


def beside_frozen(performance: pd.DataFrame, out_of_fold: pd.DataFrame) -> pd.DataFrame:
    """Return each measure here, and the AUC where the model was fitted.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`postarrest.evaluation.discrimination.table`.
    out_of_fold : pandas.DataFrame
        Index: model; ``auc, auc_lower, auc_upper`` where it was fitted, in patients left out of the fit.

    Returns
    -------
    pandas.DataFrame
        ``model, metric, positive_class, estimate, lower, upper, ci_method, n, n_good, frozen, frozen_lower,
        frozen_upper``: the interval that is recommended for each measure.
    """
    columns = ["model", "metric", "positive_class", "estimate", "lower", "upper", "ci_method", "n", "n_good"]
    shown = performance.loc[performance["recommended"], columns].reset_index(drop=True)
    is_auc = shown["metric"] == "roc_auc"
    for end in ("", "_lower", "_upper"):
        shown[f"frozen{end}"] = shown["model"].map(out_of_fold[f"auc{end}"].astype(float)).where(is_auc)
    return shown


def stated(external: pd.DataFrame, calibration: pd.DataFrame, model: str) -> dict[str, Any]:
    """Return a model's AUC, calibration slope and intercept, for a sentence."""
    auc = external[(external["model"] == model) & (external["metric"] == "roc_auc")].iloc[0]
    found = {"auc": Estimate(auc["estimate"], auc["lower"], auc["upper"])}
    mine = calibration[(calibration["model"] == model) & (calibration["stage"] == "final")]
    for name in ("slope", "intercept"):
        values = mine[[name, f"{name}_lower", f"{name}_upper"]].iloc[0] if len(mine) else [float("nan")]
        found[name] = Estimate(*map(float, values))
    return found


def false_pessimism(carried: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Return what a model's frozen thresholds did to patients with a good outcome, one entry per rule.

    Parameters
    ----------
    carried : pandas.DataFrame
        From :func:`postarrest.evaluation.thresholds.table`, frozen thresholds only.
    model : str
        The model.

    Returns
    -------
    list of dict
        ``rule, wrong`` (good outcomes predicted poor), ``n_good`` and ``fnr`` with its exact interval.

    Examples
    --------
    >>> rows = pd.DataFrame({"model": ["m"], "rule": ["Spec-Max"], "fn": [1], "tp": [19]})
    >>> print(false_pessimism(rows, "m")[0]["fnr"])
    0.05 (95 % CI 0.00 to 0.25)
    """
    mine = carried[(carried["model"] == model) & carried["rule"].isin(LIMITS)]
    found = []
    for row in mine.dropna(subset="fn").itertuples():
        wrong, n_good = int(row.fn), int(row.fn + row.tp)
        lower, upper = proportion_interval(wrong, n_good)
        fnr = Estimate(wrong / n_good, float(lower), float(upper))
        found.append({"rule": row.rule, "wrong": wrong, "n_good": n_good, "fnr": fnr})
    return found
