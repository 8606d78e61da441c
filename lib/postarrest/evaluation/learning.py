"""Learning curves: performance by the number of patients that a procedure was fitted on."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from postarrest.estimate import Estimate
from postarrest.evaluation.intervals import mean_over_splits


def table(learned: Iterable, *, test_share: float) -> pd.DataFrame:
    """Tabulate the performance in test patients by the number of patients that a procedure was fitted on.

    Parameters
    ----------
    learned : iterable
        From :func:`postarrest.models.repeated.learn`, in the order of its repeats.
    test_share : float
        Share of the patients in each test set.

    Returns
    -------
    pandas.DataFrame
        One row per model, size and metric: ``model, n, n_good, metric, estimate, lower, upper, n_repeats``.
        ``roc_auc`` and ``brier`` are means over the repeats; ``roc_auc_gain`` is the mean difference from the
        next smaller size in the same test patients. The interval is that of
        :func:`postarrest.evaluation.intervals.mean_over_splits`: test and training sizes are those of the
        largest sample, which is cautious for smaller ones, that overlap less.
    """
    values: dict[tuple[str, int, str], list[float]] = {}
    sizes = {}
    for one in learned:
        sizes[one.size] = (one.n, one.n_good)
        for model, probability in one.probability.items():
            measured = {
                "roc_auc": roc_auc_score(one.y_good, probability),
                "brier": brier_score_loss(one.y_good, probability),
            }
            for metric, value in measured.items():
                values.setdefault((str(model), one.size, metric), []).append(float(value))
    for model, size, metric in [key for key in values if key[2] == "roc_auc" and key[1]]:
        before = np.array(values[model, size - 1, metric])
        values[model, size, "roc_auc_gain"] = list(np.array(values[model, size, metric]) - before)
    found = [
        (model, *sizes[size], metric, mean.value, mean.lower, mean.upper, len(repeats))
        for (model, size, metric), repeats in values.items()
        for mean in [mean_over_splits(np.array(repeats), test_share=test_share)]
    ]
    columns = ["model", "n", "n_good", "metric", "estimate", "lower", "upper", "n_repeats"]
    found = pd.DataFrame(found, columns=columns)
    order = {model: number for number, model in enumerate(dict.fromkeys(found["model"]))}
    key = found["model"].map(order)
    return found.assign(key=key).sort_values(["key", "metric", "n"], ignore_index=True).drop(columns="key")


def last_gain(curve: pd.DataFrame, model: str) -> dict[str, object]:
    """Return what the last patients added to a model's AUC, for use in a sentence.

    Parameters
    ----------
    curve : pandas.DataFrame
        From :func:`table`.
    model : str
        Which model.

    Returns
    -------
    dict
        ``model`` (in words), ``gain`` (an Estimate), and the numbers of good outcomes ``n_good_before`` and
        ``n_good_after``.
    """
    mine = curve[curve["model"] == model]
    gain = mine[mine["metric"] == "roc_auc_gain"].iloc[-1]
    sizes = mine.loc[mine["metric"] == "roc_auc", "n_good"]
    words = {"model": model}
    numbers = {"n_good_before": int(sizes.iloc[-2]), "n_good_after": int(sizes.iloc[-1])}
    return {"gain": Estimate(gain["estimate"], gain["lower"], gain["upper"], digits=3)} | numbers | words
