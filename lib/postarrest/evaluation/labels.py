"""The same scores evaluated under two outcome labels."""

import numpy as np
import pandas as pd

from postarrest.evaluation import intervals
from postarrest.evaluation.discrimination import METRICS, resample, short_interval, table

# Average precision depends on the prevalence, which a label changes, so that a difference would mean nothing.
_COMPARED = [measure for measure, (metric, _) in METRICS.items() if metric != "pr_auc"]


def between_labels(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare measures that need no threshold under one outcome label with the same under another.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, metric, positive_class, n, n_changed`` (patients whose outcome is reclassified); for
        each label ``<label>_n_good, <label>, <label>_lower, <label>_upper`` with the quoted interval; and
        ``difference, lower, upper`` (first label minus second) with a paired bootstrap percentile interval,
        in patients that the model scores under both labels. No rows if there is only one label.

    Notes
    -----
    Average precision is left out: it depends on the prevalence, which the label changes.
    The scores of a model that was refitted under the second label differ as well; a marker differs only by
    the reclassified patients.
    """
    labels = list(dict.fromkeys(rows["outcome_label"]))
    keys = ["set", "model", "metric", "positive_class"]
    quoted = [f"{label}{part}" for label in labels for part in ("_n_good", "", "_lower", "_upper")]
    columns = [*keys, "n", "n_changed", *quoted, "difference", "lower", "upper"]
    if len(labels) != 2:
        return pd.DataFrame(columns=[c for c in columns if c not in quoted])
    of_patient = rows.groupby(["set", "model", "patient_id"])["outcome_label"]
    rows = rows[of_patient.transform("nunique") == 2]
    of_label = rows.groupby(["set", "model", "outcome_label"])["y_good"].transform("nunique")
    rows = rows[of_label.groupby([rows["set"], rows["model"]]).transform("min") == 2]
    resampled = resample(rows, n_resamples=n_resamples, seed=seed)
    performed = table(resampled)
    performed = performed[performed["recommended"]].set_index([*keys, "outcome_label"])
    # Unstratified, and sorted by patient: the same seed draws the same patients under both labels.
    boots = {
        (part.outcome_label, part.set, model): part.bootstraps["unstratified"]
        for part in resampled
        for model in part.bootstraps["unstratified"].models
    }
    found = []
    for (name, model), mine in rows.groupby(["set", "model"], sort=False):
        outcomes = mine.pivot(index="patient_id", columns="outcome_label", values="y_good")
        n_changed = int((outcomes[labels[0]] != outcomes[labels[1]]).sum())
        first, second = (boots[label, name, model] for label in labels)
        for measure in _COMPARED:
            (value, drawn), (other, other_drawn) = (b.values(model, measure) for b in (first, second))
            difference = intervals.interval(value - other, drawn - other_drawn)
            if np.isnan(difference.value):
                continue
            key = (name, model, *METRICS[measure])
            row = [*key, first.n, n_changed]
            for label in labels:
                row += performed.loc[(*key, label), ["n_good", "estimate", "lower", "upper"]].tolist()
            found.append([*row, difference.value, difference.lower, difference.upper])
    return pd.DataFrame(found, columns=columns)


def labels_at_thresholds(decisions: pd.DataFrame) -> pd.DataFrame:
    """Compare the accuracy of decisions at thresholds under one outcome label with that under another.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`at_thresholds`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, rule, chosen_on, metric, positive_class`` and, for each label, the estimate with its
        interval as text: sensitivity and PPV for both classes. No rows if there is only one label.
    """
    labels = list(dict.fromkeys(decisions["outcome_label"]))
    keys = ["set", "model", "rule", "chosen_on", "metric", "positive_class"]
    # The specificity for one class is the sensitivity for the other, the NPV of one the PPV of the other.
    shown = decisions[decisions["metric"].isin(["sensitivity", "ppv"])]
    if len(labels) != 2 or shown.empty:
        return pd.DataFrame(columns=[*keys, *labels])
    shown = shown.assign(text=[short_interval(*r) for r in shown[["estimate", "lower", "upper"]].to_numpy()])
    wide = shown.pivot(index=keys, columns="outcome_label", values="text")[labels]
    order = pd.MultiIndex.from_frame(shown[keys].drop_duplicates())
    return wide.reindex(order).fillna("").rename_axis(columns=None).reset_index()
