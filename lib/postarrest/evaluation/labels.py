"""The same scores evaluated under two outcome labels."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from postarrest.evaluation import intervals
from postarrest.evaluation.discrimination import METRICS, bootstrap_of, delong_of, short_interval


def between_labels(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Set every threshold-free measure under one outcome label beside the same under another.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, metric, positive_class, n, n_changed`` (patients whose outcome the label changes), for
        each label its ``<label>_n_good, <label>,
        <label>_lower, <label>_upper`` with the quoted interval, and ``difference, lower, upper`` (first
        label less second) with the paired bootstrap's percentile interval: in patients that the model scores
        under both labels, each resample draws the same for both. No rows where there is one label only.

    Notes
    -----
    A model that was trained anew under the second label differs in its scores as well, a marker in the
    patients who changed sides alone.
    """
    labels = list(dict.fromkeys(rows["outcome_label"]))
    columns = ["set", "model", "metric", "positive_class", "n", "n_changed", "difference", "lower", "upper"]
    found: list[dict[str, object]] = []
    if len(labels) == 2:
        columns[6:6] = [f"{one}{part}" for one in labels for part in ("_n_good", "", "_lower", "_upper")]
        for _, mine in rows.groupby(["set", "model"], sort=False):
            pair = {label: mine[mine["outcome_label"] == label] for label in labels}
            both = set.intersection(*(set(one["patient_id"]) for one in pair.values()))
            pair = {label: one[one["patient_id"].isin(both)] for label, one in pair.items()}
            if all(one["y_good"].nunique() == 2 for one in pair.values()):
                found += _labels_beside(pair, n_resamples, seed)
    return pd.DataFrame(found, columns=columns)


def _labels_beside(
    pair: Mapping[str, pd.DataFrame], n_resamples: int, seed: int
) -> Iterator[dict[str, object]]:
    # Unstratified, and sorted by patient: the same seed draws the same patients under both labels.
    boots = [
        bootstrap_of(mine, n_resamples=n_resamples, seed=seed, stratified=False) for mine in pair.values()
    ]
    model, where = boots[0].models[0], next(iter(pair.values()))["set"].iloc[0]
    first, second = (mine.set_index("patient_id")["y_good"] for mine in pair.values())
    n_changed = int((first != second.loc[first.index]).sum())
    for m, (measure, (metric, positive_class)) in enumerate(METRICS.items()):
        values = [float(boot.estimate[0, m]) for boot in boots]
        if np.isnan(values).any():
            continue
        row = {"set": where, "model": model, "metric": metric, "positive_class": positive_class}
        row |= {"n": boots[0].n, "n_changed": n_changed}
        for (label, mine), boot in zip(pair.items(), boots, strict=True):
            if metric == "roc_auc":
                one = delong_of(mine).interval(model, transform="logit")
            else:
                one = boot.interval(model, measure, method="bca")
            row |= {f"{label}_n_good": boot.n_good, label: one.value}
            row |= {f"{label}_lower": one.lower, f"{label}_upper": one.upper}
        resampled = boots[0].resampled[0, m] - boots[1].resampled[0, m]
        difference = intervals.interval(values[0] - values[1], resampled)
        yield row | {"difference": difference.value, "lower": difference.lower, "upper": difference.upper}


def labels_at_thresholds(decisions: pd.DataFrame) -> pd.DataFrame:
    """Set what decisions are worth under one outcome label beside the same under another.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`at_thresholds`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, rule, chosen_on, metric, positive_class`` and, for each label, the estimate with its
        interval in words; sensitivity and PPV for both classes. No rows where there is one label only.
    """
    labels = list(dict.fromkeys(decisions["outcome_label"]))
    keys = ["set", "model", "rule", "chosen_on", "metric", "positive_class"]
    # The specificity for one class is the sensitivity for the other, the NPV of one the PPV of the other.
    shown = decisions[decisions["metric"].isin(["sensitivity", "ppv"])]
    if len(labels) != 2 or shown.empty:
        return pd.DataFrame(columns=[*keys, *labels])
    shown = shown.assign(text=[short_interval(*r) for r in shown[["estimate", "lower", "upper"]].to_numpy()])
    wide = shown.pivot(index=keys, columns="outcome_label", values="text")[labels]
    order = list(dict.fromkeys(map(tuple, shown[keys].to_numpy())))
    return wide.loc[order].fillna("").rename_axis(columns=None).reset_index()
