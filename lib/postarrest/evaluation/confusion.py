"""The confusion matrix at a threshold, and the measures of accuracy that follow from it."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from postarrest.evaluation.intervals import proportion_interval


def confusion(
    y_good: ArrayLike, score: ArrayLike, thresholds: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count true and false decisions at each threshold.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    score : array-like of float, (patients,)
        Score; at least the threshold means predicted good.
    thresholds : array-like of float, (thresholds,)
        Thresholds.

    Returns
    -------
    tp, fp, fn, tn : numpy.ndarray of int, (thresholds,)
        With the good outcome as the positive class.

    Examples
    --------
    >>> [int(c[0]) for c in confusion([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], [0.5])]
    [2, 1, 0, 1]
    """
    y_good, score, thresholds = np.asarray(y_good), np.asarray(score, float), np.asarray(thresholds, float)
    good, poor = np.sort(score[y_good == 1]), np.sort(score[y_good == 0])
    fn, tn = np.searchsorted(good, thresholds, "left"), np.searchsorted(poor, thresholds, "left")
    return good.size - fn, poor.size - tn, fn, tn


def proportions(
    tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the measures that are proportions, each as a count and the number that it is a part of.

    Examples
    --------
    >>> proportions(12, 20, 1, 31)["npv"]
    (31, 32)
    """
    good, poor = tp + fn, tn + fp
    found = {"sensitivity": (tp, good), "specificity": (tn, poor)}
    return found | {"ppv": (tp, tp + fp), "npv": (tn, tn + fn), "fnr": (fn, good)}


def rates(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> dict[str, np.ndarray]:
    """Return measures of accuracy from the counts of a decision; NaN where a denominator is 0.

    Parameters
    ----------
    tp, fp, fn, tn : array-like of number
        Counts (or sums of weights) with the good outcome as the positive class.

    Returns
    -------
    dict of numpy.ndarray
        ``sensitivity, specificity, ppv, npv, fnr, f1, f2, balanced_accuracy, youden, lr_positive,
        lr_negative``. A likelihood ratio with no false positive (no true negative) is infinite.

    Examples
    --------
    >>> {k: round(float(v), 2) for k, v in rates(12, 20, 1, 31).items() if k in ("ppv", "f2", "lr_positive")}
    {'ppv': 0.38, 'f2': 0.71, 'lr_positive': 2.35}
    """
    tp, fp, fn, tn = (np.asarray(c, float) for c in (tp, fp, fn, tn))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {name: count / n for name, (count, n) in proportions(tp, fp, fn, tn).items()}
        sensitivity, specificity = found["sensitivity"], found["specificity"]
        return found | {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "f2": 5 * tp / (5 * tp + fp + 4 * fn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "youden": sensitivity + specificity - 1,
            "lr_positive": sensitivity / (1 - specificity),
            "lr_negative": (1 - sensitivity) / specificity,
        }


def describe(y_good: ArrayLike, score: ArrayLike, thresholds: ArrayLike) -> pd.DataFrame:
    """Tabulate the accuracy at each threshold.

    Returns
    -------
    pandas.DataFrame
        ``threshold, tp, fp, fn, tn, sensitivity, specificity, ppv, npv, fnr, fnr_upper``, the last the upper
        limit of the 95 % Clopper-Pearson interval; no values where the threshold is NaN.

    Examples
    --------
    >>> describe([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], [0.5])[["tp", "fp", "fnr", "fnr_upper"]].round(2)
       tp  fp  fnr  fnr_upper
    0   2   1  0.0       0.84
    """
    thresholds = np.asarray(thresholds, float)
    return tabulate(thresholds, *confusion(y_good, score, thresholds))


def with_intervals(
    y_good: ArrayLike, score: ArrayLike, thresholds: ArrayLike, *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Tabulate the accuracy at each threshold with 95 % intervals.

    Proportions have Clopper-Pearson intervals. F1 and F2 have bootstrap percentile intervals: at a given
    threshold only a patient's cell of the confusion matrix matters, so a bootstrap of patients is a
    multinomial draw of the four cells.

    Returns
    -------
    pandas.DataFrame
        ``threshold, tp, fp, fn, tn``, then ``sensitivity, specificity, ppv, npv, fnr, f1, f2``, each followed
        by its ``_lower`` and ``_upper``.

    Examples
    --------
    >>> table = with_intervals([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], [0.5])
    >>> table[["specificity", "specificity_lower", "specificity_upper", "f1"]].round(2).iloc[0].tolist()
    [0.5, 0.01, 0.99, 0.8]
    """
    counts = confusion(y_good, score, thresholds)
    shares = np.stack(counts, axis=1) / len(np.asarray(y_good))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(sum(counts), shares, size=(n_resamples, len(shares)))
    resampled, values = rates(*np.moveaxis(drawn, -1, 0)), rates(*counts)
    limits = {measure: proportion_interval(*count) for measure, count in proportions(*counts).items()}
    limits |= {f: np.nanquantile(resampled[f], [0.025, 0.975], axis=0) for f in ("f1", "f2")}
    table = {"threshold": thresholds} | dict(zip(("tp", "fp", "fn", "tn"), counts, strict=True))
    for measure, (lower, upper) in limits.items():
        table |= {measure: values[measure], f"{measure}_lower": lower, f"{measure}_upper": upper}
    return pd.DataFrame(table)


def tabulate(threshold: np.ndarray, tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike):
    """Return the table of :func:`describe` from counts; no values where the threshold is NaN."""
    counts = {k: np.asarray(v, int) for k, v in {"tp": tp, "fp": fp, "fn": fn, "tn": tn}.items()}
    found, shares = rates(**counts), proportions(**counts)
    shown = {name: found[name] for name in shares}
    upper = proportion_interval(*shares["fnr"])[1]
    table = pd.DataFrame({"threshold": threshold} | counts | shown | {"fnr_upper": upper})
    table = table.astype(dict.fromkeys(counts, "Int64"))
    table.loc[np.isnan(threshold), table.columns[1:]] = pd.NA
    return table
