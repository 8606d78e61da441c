"""Thresholds: how they are chosen, and what follows from a decision.

A patient whose score is at least the threshold is predicted to have a good outcome. The positive class is the
good outcome unless a column says otherwise, so the false negative rate (FNR) is false pessimism: the share of
good-outcome patients predicted poor, which the ERC/ESICM guideline calls the false positive rate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from postarrest.evaluation.intervals import proportion_interval

RULES = ("F1-max", "F2-max", "Youden", "Spec-Max", "Spec-Max-CI", "FNR 0")
# What the guideline and paper B tolerate of false pessimism.
MOST_FNR = 0.05


@dataclass(frozen=True)
class Choice:
    """A threshold that a rule chose.

    Parameters
    ----------
    rule : str
        One of :data:`RULES`.
    threshold : float
        Predicted good from this score on; NaN where no threshold meets the rule.
    note : str
        Why there is none; blank otherwise.
    """

    rule: str
    threshold: float
    note: str = ""


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


def rates(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> dict[str, np.ndarray]:
    """Return what follows from the counts of a decision; NaN where a denominator is 0.

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
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "fnr": fn / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "f2": 5 * tp / (5 * tp + fp + 4 * fn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "youden": sensitivity + specificity - 1,
            "lr_positive": sensitivity / (1 - specificity),
            "lr_negative": (1 - sensitivity) / specificity,
        }


def choose(y_good: ArrayLike, score: ArrayLike, rule: str) -> Choice:
    """Choose a threshold among the observed scores.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    score : array-like of float, (patients,)
        Score.
    rule : str
        ``F1-max``, ``F2-max``, ``Youden``: the highest of that measure. ``Spec-Max``: the highest specificity
        with FNR < 5 %. ``Spec-Max-CI``: the same with the upper limit of the FNR's 95 % Clopper-Pearson
        interval at most 5 %. ``FNR 0``: the highest specificity without any false pessimism. Of equal
        thresholds the lowest is taken, which calls fewest patients poor.

    Returns
    -------
    Choice
        With a note instead of a threshold where none meets the rule.

    Raises
    ------
    ValueError
        If the rule is unknown.

    Examples
    --------
    >>> choose([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], "Youden").threshold
    0.3
    >>> choose([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], "Spec-Max-CI").note[:52]
    'None: with 3 good outcomes an FNR of 0 has the upper'
    """
    if rule not in RULES:
        raise ValueError(f"The rule is {rule!r}, expected one of {', '.join(RULES)}.")
    n_good = int(np.sum(y_good))
    if n_good in (0, len(np.asarray(y_good))):
        return Choice(rule, float("nan"), "None: the patients it would be chosen on have one outcome only.")
    candidates = np.unique(np.asarray(score, float))
    tp, fp, fn, tn = confusion(y_good, score, candidates)
    found = rates(tp, fp, fn, tn)
    if rule in ("F1-max", "F2-max", "Youden"):
        value = found[rule.removesuffix("-max").lower()]
        allowed = np.isfinite(value)
    else:
        value = found["specificity"]
        if rule == "Spec-Max":
            allowed = found["fnr"] < MOST_FNR
        elif rule == "FNR 0":
            allowed = fn == 0
        else:
            # The limit rises with the count, so it is enough to know up to which count it holds.
            limits = proportion_interval(np.arange(n_good + 1), n_good)[1]
            allowed = fn < (limits <= MOST_FNR).sum()
    if not allowed.any():
        return Choice(rule, float("nan"), _why_none(n_good))
    # Candidates ascend, and argmax takes the first of equals.
    return Choice(rule, float(candidates[np.argmax(np.where(allowed, value, -np.inf))]))


def _why_none(n_good: int) -> str:
    upper = float(proportion_interval(0, n_good)[1])
    # The least n for which 1 - (alpha / 2)^(1 / n) is at most 5 %.
    needed = int(np.ceil(np.log(0.025) / np.log(1 - MOST_FNR)))
    return (
        f"None: with {n_good} good outcomes an FNR of 0 has the upper limit {100 * upper:.1f} %; "
        f"at least {needed} good outcomes are needed for 5 %."
    )


def describe(y_good: ArrayLike, score: ArrayLike, thresholds: ArrayLike) -> pd.DataFrame:
    """Tabulate what follows at each threshold.

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
    return _tabulate(thresholds, *confusion(y_good, score, thresholds))


def table(
    rows: pd.DataFrame, train: pd.DataFrame, *, fixed: Mapping[str, tuple[str, float]] | None = None
) -> pd.DataFrame:
    """Choose thresholds on the training side and, marked, on the test scores; apply both to the test scores.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    train : pandas.DataFrame
        The scores table, on whose ``train_oof`` rows thresholds are chosen.
    fixed : mapping of (str, float)
        Thresholds that nobody chooses, by name: of which models (a kind, ``probability`` or ``marker``, or a
        pattern of names such as ``gwr_*``) and the threshold.

    Returns
    -------
    pandas.DataFrame
        One row an outcome label, set, model, rule and ``chosen_on``, with the columns of :func:`describe`.
        ``chosen_on`` is ``train_oof`` (each fold's test patients are judged by the threshold that their own
        training side gave, then the counts are summed; ``threshold`` is the folds' median, ``threshold_min``
        and ``threshold_max`` their range), ``test`` (chosen on the very scores that are evaluated, as paper B
        seems to have done: optimistic) or ``fixed``. Where a fold's rule has no threshold there are no
        counts, and ``note`` says why.
    """
    parts = []
    for (outcome, stage, name, model), mine in rows.groupby(
        ["outcome_label", "stage", "set", "model"], sort=False
    ):
        label = {"outcome_label": outcome, "stage": stage, "set": name, "model": model}
        folds = [of_fold for _, of_fold in mine.groupby("fold")]
        same = (train["outcome_label"] == outcome) & (train["stage"] == stage) & (train["model"] == model)
        side = dict(list(train[same & (train["role"] == "train_oof")].groupby("fold")))
        for rule in RULES:
            # In the set of all patients, those that a threshold would be chosen on are evaluated themselves.
            if name != "all" and all(of_fold["fold"].iloc[0] in side for of_fold in folds):
                oofs = [side[of_fold["fold"].iloc[0]] for of_fold in folds]
                chosen = [choose(oof["y_good"], oof["score"], rule) for oof in oofs]
                parts.append(_judged(folds, chosen, label | {"rule": rule, "chosen_on": "train_oof"}))
            on_test = choose(mine["y_good"], mine["score"], rule)
            parts.append(_judged([mine], [on_test], label | {"rule": rule, "chosen_on": "test"}))
        for rule, (which, threshold) in (fixed or {}).items():
            if which == mine["kind"].iloc[0] or fnmatchcase(str(model), which):
                given = Choice(rule, float(threshold))
                parts.append(_judged([mine], [given], label | {"rule": rule, "chosen_on": "fixed"}))
    judged = pd.DataFrame(parts)
    values = _tabulate(judged["threshold"].to_numpy(), *zip(*judged.pop("counts"), strict=True))
    first = ["outcome_label", "stage", "set", "model", "rule", "chosen_on"]
    last = ["threshold_min", "threshold_max", "n", "n_good", "note"]
    return pd.concat([judged[first], values, judged[last]], axis=1)


def optimism(judged: pd.DataFrame) -> pd.DataFrame:
    """Set thresholds chosen on the test scores beside those chosen on the training side.

    Parameters
    ----------
    judged : pandas.DataFrame
        From :func:`table`.

    Returns
    -------
    pandas.DataFrame
        One row a model and rule, with ``sensitivity, specificity, fnr, f1, f2, youden`` under each choice
        (``*_train``, ``*_test``) and what choosing on the test scores adds (``*_optimism``).
    """
    keys = ["outcome_label", "set", "model", "rule"]
    measures = ["sensitivity", "specificity", "fnr", "f1", "f2", "youden"]
    counts = [judged[c].to_numpy(float, na_value=np.nan) for c in ("tp", "fp", "fn", "tn")]
    full = judged.assign(**{m: rates(*counts)[m] for m in measures})[[*keys, "chosen_on", *measures]]
    both = full[full["chosen_on"] == "train_oof"].merge(
        full[full["chosen_on"] == "test"], on=keys, suffixes=("_train", "_test")
    )
    for measure in measures:
        both[f"{measure}_optimism"] = both[f"{measure}_test"] - both[f"{measure}_train"]
    return both[keys + [f"{m}_{which}" for m in measures for which in ("train", "test", "optimism")]]


def sweep(rows: pd.DataFrame, *, step: float = 0.01) -> pd.DataFrame:
    """Tabulate every threshold in steps from 0 to 1 (paper B's table S6); probabilities only."""
    grid = np.linspace(0, 1, round(1 / step) + 1)
    return _each(rows[rows["kind"] == "probability"], lambda mine: grid)


def with_low_fnr(rows: pd.DataFrame, *, below: float = MOST_FNR, most: int = 1000) -> pd.DataFrame:
    """Tabulate every observed score whose FNR, as a threshold, is below a limit (paper B's table S7).

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    below : float
        The limit.
    most : int
        Where a model has more such thresholds, so many of them, evenly spaced, the first and last included.
    """

    def candidates(mine: pd.DataFrame) -> np.ndarray:
        values = np.unique(mine["score"])
        _, _, fn, _ = confusion(mine["y_good"], mine["score"], values)
        return thinned(values[fn / mine["y_good"].sum() < below], most)

    return _each(rows, candidates)


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of some values, evenly spaced in their order, the first and last among them.

    Examples
    --------
    >>> thinned(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]


def _each(rows: pd.DataFrame, grid: Callable[[pd.DataFrame], np.ndarray]) -> pd.DataFrame:
    keys = ["outcome_label", "stage", "set", "model"]
    parts = [
        describe(mine["y_good"], mine["score"], grid(mine)).assign(**dict(zip(keys, key, strict=True)))
        for key, mine in rows.groupby(keys, sort=False)
    ]
    if not parts:
        parts = [describe([1], [1.0], []).assign(**dict.fromkeys(keys, ""))]
    table = pd.concat(parts, ignore_index=True).assign(rule="sweep", chosen_on="none")
    first = [*keys, "rule", "chosen_on"]
    return table[first + [c for c in table.columns if c not in first]]


def _judged(
    folds: Sequence[pd.DataFrame], chosen: Sequence[Choice], label: dict[str, str]
) -> dict[str, object]:
    thresholds = np.array([choice.threshold for choice in chosen])
    counts = [
        confusion(of_fold["y_good"], of_fold["score"], [threshold])
        for of_fold, threshold in zip(folds, thresholds, strict=True)
    ]
    tp, fp, fn, tn = (int(count) for count in np.sum(counts, axis=0)[:, 0])
    # A rule that fails in one fold judges none of that fold's patients, so it has no counts at all.
    none = np.isnan(thresholds).any()
    return label | {
        "threshold": np.nan if none else float(np.median(thresholds)),
        "threshold_min": np.nan if none else thresholds.min(),
        "threshold_max": np.nan if none else thresholds.max(),
        "counts": (tp, fp, fn, tn),
        "n": tp + fp + fn + tn,
        "n_good": tp + fn,
        "note": "; ".join(dict.fromkeys(choice.note for choice in chosen if choice.note)),
    }


def _tabulate(threshold: np.ndarray, tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike):
    counts = {k: np.asarray(v, int) for k, v in {"tp": tp, "fp": fp, "fn": fn, "tn": tn}.items()}
    found = rates(**counts)
    shown = {name: found[name] for name in ("sensitivity", "specificity", "ppv", "npv", "fnr")}
    upper = proportion_interval(counts["fn"], counts["tp"] + counts["fn"])[1]
    table = pd.DataFrame({"threshold": threshold} | counts | shown | {"fnr_upper": upper})
    table = table.astype(dict.fromkeys(counts, "Int64"))
    table.loc[np.isnan(threshold), table.columns[1:]] = pd.NA
    return table
