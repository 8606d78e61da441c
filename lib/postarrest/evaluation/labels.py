"""The same scores evaluated under two outcome labels."""

import pandas as pd

from postarrest.evaluation import intervals
from postarrest.evaluation.discrimination import METRICS, bootstrap_of, delong_of, short_interval


def between_labels(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare every threshold-free measure under one outcome label with the same under another.

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
    The scores of a model that was refitted under the second label differ as well; a marker differs only by
    the reclassified patients.
    """
    labels = list(dict.fromkeys(rows["outcome_label"]))
    columns = ["set", "model", "metric", "positive_class", "n", "n_changed"]
    differences = ["difference", "lower", "upper"]
    if len(labels) != 2:
        return pd.DataFrame(columns=[*columns, *differences])
    columns += [f"{label}{part}" for label in labels for part in ("_n_good", "", "_lower", "_upper")]
    found = []
    for (name, model), mine in rows.groupby(["set", "model"], sort=False):
        outcomes = mine.pivot(index="patient_id", columns="outcome_label", values="y_good").dropna()
        if not set(labels) <= set(outcomes) or (outcomes.nunique() < 2).any():
            continue
        scored = [
            mine[(mine["outcome_label"] == label) & mine["patient_id"].isin(outcomes.index)]
            for label in labels
        ]
        # Unstratified, and sorted by patient: the same seed draws the same patients under both labels.
        boots = [bootstrap_of(s, n_resamples=n_resamples, seed=seed, stratified=False) for s in scored]
        aucs = [delong_of(s).interval(model, transform="logit") for s in scored]
        n_changed = int((outcomes[labels[0]] != outcomes[labels[1]]).sum())
        for m, (measure, named) in enumerate(METRICS.items()):
            of_labels = [boot.interval(model, measure, method="bca") for boot in boots]
            if measure == "roc_auc":
                of_labels = aucs
            difference = intervals.interval(
                of_labels[0].value - of_labels[1].value,
                boots[0].resampled[0, m] - boots[1].resampled[0, m],
            )
            row = [name, model, *named, boots[0].n, n_changed]
            for boot, e in zip(boots, of_labels, strict=True):
                row += [boot.n_good, e.value, e.lower, e.upper]
            found.append([*row, difference.value, difference.lower, difference.upper])
    table = pd.DataFrame(found, columns=[*columns, *differences])
    return table.dropna(subset="difference", ignore_index=True)


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
