"""ROC and precision-recall curves with bootstrap bands."""

from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from postarrest.evaluation import resamples


def roc_curve(y_good: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    """Return the ROC curve: ``threshold, fpr, tpr``, the good outcome positive."""
    from sklearn import metrics

    fpr, tpr, threshold = metrics.roc_curve(y_good, score)
    return pd.DataFrame({"threshold": threshold, "fpr": fpr, "tpr": tpr})


def pr_curve(y_good: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    """Return the precision-recall curve: ``threshold, recall, precision``, the good outcome positive."""
    from sklearn import metrics

    precision, recall, threshold = metrics.precision_recall_curve(y_good, score)
    return pd.DataFrame({"threshold": [*threshold, np.inf], "recall": recall, "precision": precision})


def curve_bands(
    y_good: ArrayLike,
    score: ArrayLike,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return pointwise bootstrap bands of the ROC and the precision-recall curve.

    Patients are resampled without strata: the precision depends on the prevalence.

    Returns
    -------
    pandas.DataFrame
        ``at, tpr_lower, tpr_upper, precision_lower, precision_upper`` at 101 points from 0 to 1: of the false
        positive rate for the ROC curve, of the recall for the other.
    """
    y_good, score = np.asarray(y_good), np.asarray(score, float)
    order = np.argsort(-score, kind="stable")
    # Patients with equal scores are predicted good together: a curve has a point at the last of each tie.
    last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    good_at = np.flatnonzero(y_good[order] == 1)
    poor_at = np.flatnonzero(y_good[order] == 0)
    of_good = order[good_at], np.searchsorted(good_at, last, "right")
    of_poor = order[poor_at], np.searchsorted(poor_at, last, "right")
    place = np.empty(len(y_good), int)
    place[y_good == 1] = np.arange(len(good_at))
    place[y_good == 0] = np.arange(len(poor_at))

    at = np.linspace(0, 1, 101)

    def drawn(*chunk: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for good, poor in zip(*chunk, strict=True):
            tp = np.concatenate([[0], np.cumsum(good[place[of_good[0]]])])[of_good[1]]
            fp = np.concatenate([[0], np.cumsum(poor[place[of_poor[0]]])])[of_poor[1]]
            if tp[-1] and fp[-1]:
                reached = np.searchsorted(tp, at * tp[-1] * (1 - 1e-12), "left")
                precision = tp[reached] / np.maximum(tp + fp, 1)[reached]
                found.append((np.interp(at, np.r_[0, fp / fp[-1]], np.r_[0, tp / tp[-1]]), precision))
        return found

    chunks = resamples.counts(y_good, n_resamples=n_resamples, seed=seed, stratified=False)
    parts = resamples.on_all_cores(drawn, chunks, n=len(y_good))
    tpr, precision = zip(*chain.from_iterable(parts), strict=True)
    tails = [(1 - level) / 2, (1 + level) / 2]
    bands = np.vstack([at, np.quantile(tpr, tails, axis=0), np.quantile(precision, tails, axis=0)])
    names = ["at", "tpr_lower", "tpr_upper", "precision_lower", "precision_upper"]
    return pd.DataFrame(bands.T, columns=names)
