"""Thresholds: how they are chosen, and the decisions that follow.

A patient whose score is at least the threshold is predicted to have a good outcome. The positive class is the
good outcome unless a column says otherwise, so the false negative rate (FNR) is false pessimism: the share of
good-outcome patients predicted poor, which the ERC/ESICM guideline calls the false positive rate.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from postarrest.evaluation.confusion import confusion, rates, tabulate, with_intervals
from postarrest.evaluation.intervals import proportion_interval

RULES = ("F1-max", "F2-max", "Youden", "Spec-Max", "Spec-Max-CI", "FNR 0")
# Largest false pessimism that the guideline and paper B accept.
MOST_FNR = 0.05
# Rules that limit the FNR, and to what; Spec-Max-CI limits its upper confidence limit.
LIMITS = {"Spec-Max": MOST_FNR, "Spec-Max-CI": MOST_FNR, "FNR 0": 0.0}


@dataclass(frozen=True)
class Choice:
    """A threshold chosen by a rule.

    Parameters
    ----------
    rule : str
        One of :data:`RULES`.
    threshold : float
        Scores from this value are predicted good; NaN if no threshold meets the rule.
    note : str
        Why there is no threshold; blank otherwise.
    """

    rule: str
    threshold: float
    note: str = ""


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
        thresholds the lowest is taken, which predicts the fewest poor outcomes.

    Returns
    -------
    Choice
        With a note instead of a threshold if none meets the rule.

    Raises
    ------
    ValueError
        If the rule is unknown.

    Examples
    --------
    >>> choose([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], "Youden").threshold
    0.3
    >>> choose([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9], "Spec-Max-CI").note[:52]
    'None: with 3 good outcomes to choose it on, an FNR o'
    """
    if rule not in RULES:
        raise ValueError(f"The rule is {rule!r}, expected one of {', '.join(RULES)}.")
    n_good = int(np.sum(y_good))
    if n_good in (0, len(np.asarray(y_good))):
        return Choice(rule, float("nan"), "None: all patients it would be chosen on have the same outcome.")
    candidates = np.unique(np.asarray(score, float))
    tp, fp, fn, tn = confusion(y_good, score, candidates)
    found = rates(tp, fp, fn, tn)
    value = found["specificity" if rule in LIMITS else rule.removesuffix("-max").lower()]
    allowed = np.isfinite(value)
    if rule == "Spec-Max":
        allowed = found["fnr"] < MOST_FNR
    elif rule == "Spec-Max-CI":
        # The upper limit rises with the count, so it suffices to know the largest count with a limit of 5 %;
        # no interval is below the share itself.
        counts = np.arange(int(MOST_FNR * n_good) + 1)
        allowed = fn < (proportion_interval(counts, n_good)[1] <= MOST_FNR).sum()
    elif rule == "FNR 0":
        allowed = fn == 0
    if not allowed.any():
        return Choice(rule, float("nan"), _why_none(n_good))
    # Candidates ascend, and argmax takes the first of equals.
    return Choice(rule, float(candidates[np.argmax(np.where(allowed, value, -np.inf))]))


def why_none(note: object) -> str:
    """Return why a rule has no threshold, from its note in :func:`table`; of folds, the first without one.

    Examples
    --------
    >>> why_none("None: too few; None: too few.")
    'too few'
    """
    return (
        str(note).split("; None:")[0].removeprefix("None:").strip().rstrip(".")
        if isinstance(note, str)
        else ""
    )


def _why_none(n_good: int) -> str:
    upper = float(proportion_interval(0, n_good)[1])
    # The least n for which 1 - (alpha / 2)^(1 / n) is at most 5 %.
    needed = int(np.ceil(np.log(0.025) / np.log(1 - MOST_FNR)))
    return (
        f"None: with {n_good} good outcomes to choose it on, an FNR of 0 has the upper limit "
        f"{100 * upper:.1f} %; at least {needed} good outcomes are needed for 5 %."
    )


def fixed_for(model: str, kind: str, fixed: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """Return the thresholds set beforehand that apply to a model, by name.

    Parameters
    ----------
    model, kind : str
        The model, and whether its scores are a ``probability`` or a ``marker``.
    fixed : Mapping
        Name -> of which models (a kind, or a pattern of names such as ``gwr_*``) and the threshold.

    Examples
    --------
    >>> fixed_for("gwr_av", "marker", {"0.5": ["probability", 0.5], "GWR 1.2": ["gwr_*", 1.2]})
    {'GWR 1.2': 1.2}
    """
    return {
        rule: float(threshold)
        for rule, (which, threshold) in fixed.items()
        if which == kind or fnmatchcase(model, which)
    }


def with_training(
    rows: pd.DataFrame, train: pd.DataFrame
) -> Iterator[tuple[dict[str, str], pd.DataFrame, list[pd.DataFrame], list[pd.DataFrame]]]:
    """Yield each model of each set with the training patients on whom thresholds may be chosen.

    Parameters
    ----------
    rows, train : pandas.DataFrame
        As for :func:`table`.

    Yields
    ------
    label : dict
        ``outcome_label, stage, set, model``.
    mine : pandas.DataFrame
        The model's rows in the set.
    training, tested : list of pandas.DataFrame
        Of each fold, the ``train_oof`` rows and the rows in the set; both empty if a fold has no training
        rows, or if the set contains them (``all``).
    """
    keys = ["outcome_label", "stage", "model"]
    oof = train[train["role"] == "train_oof"]
    training_sets = {key: dict(list(of_model.groupby("fold"))) for key, of_model in oof.groupby(keys)}
    for (outcome, stage, name, model), mine in rows.groupby([*keys[:2], "set", "model"], sort=False):
        folds = dict(list(mine.groupby("fold")))
        training = training_sets.get((outcome, stage, model), {})
        usable = list(folds) if name != "all" and set(folds) <= set(training) else []
        label = {"outcome_label": outcome, "stage": stage, "set": name, "model": model}
        yield label, mine, [training[k] for k in usable], [folds[k] for k in usable]


def table(
    rows: pd.DataFrame,
    train: pd.DataFrame,
    *,
    fixed: Mapping[str, Sequence[Any]] | None = None,
    frozen: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Choose thresholds in the training set and, marked as such, in the test set; apply both to the test set.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    train : pandas.DataFrame
        The scores table, whose ``train_oof`` rows the thresholds are chosen on.
    fixed : mapping of (str, float)
        Prespecified thresholds by name, as for :func:`fixed_for`.
    frozen : pandas.DataFrame, optional
        ``model, rule, threshold, note``: thresholds that were chosen in other patients.

    Returns
    -------
    pandas.DataFrame
        One row per outcome label, set, model, rule and ``chosen_on``, with the columns of
        :func:`postarrest.evaluation.confusion.describe`.
        ``chosen_on`` is ``train_oof`` (the threshold of each fold's training set is applied to its test
        patients, then the counts are summed; ``threshold`` is the median over the folds, ``threshold_min``
        and ``threshold_max`` their range), ``test`` (chosen on the same scores that are evaluated, as paper B
        seems to have done; optimistic), ``frozen`` (chosen where the model was fitted) or ``fixed``. If the
        rule has no threshold in a fold there are no counts, and ``note`` gives the reason.
    """
    found = []
    for label, mine, training, tested in with_training(rows, train):
        model, decisions = label["model"], []
        for rule in RULES:
            if training:
                chosen = [choose(part["y_good"], part["score"], rule) for part in training]
                decisions.append(("train_oof", tested, chosen))
            decisions.append(("test", [mine], [choose(mine["y_good"], mine["score"], rule)]))
        if frozen is not None:
            for one in frozen[frozen["model"] == model].itertuples():
                decisions.append(("frozen", [mine], [Choice(one.rule, one.threshold, one.note)]))
        for rule, threshold in fixed_for(str(model), mine["kind"].iloc[0], fixed or {}).items():
            decisions.append(("fixed", [mine], [Choice(rule, threshold)]))
        found += [
            label | {"rule": chosen[0].rule, "chosen_on": chosen_on} | _decided(parts, chosen)
            for chosen_on, parts, chosen in decisions
        ]
    decided = pd.DataFrame(found)
    values = tabulate(decided["threshold"].to_numpy(), *zip(*decided.pop("counts"), strict=True))
    first = ["outcome_label", "stage", "set", "model", "rule", "chosen_on"]
    last = ["threshold_min", "threshold_max", "n", "n_good", "note"]
    return pd.concat([decided[first], values, decided[last]], axis=1)


def _decided(folds: Sequence[pd.DataFrame], chosen: Sequence[Choice]) -> dict[str, object]:
    thresholds = np.array([choice.threshold for choice in chosen])
    counts = [
        confusion(of_fold["y_good"], of_fold["score"], [threshold])
        for of_fold, threshold in zip(folds, thresholds, strict=True)
    ]
    tp, fp, fn, tn = (int(count) for count in np.sum(counts, axis=0)[:, 0])
    # A rule without a threshold in one fold decides nothing there, so it has no counts at all: medians and
    # ranges are NaN.
    return {
        "threshold": float(np.median(thresholds)),
        "threshold_min": thresholds.min(),
        "threshold_max": thresholds.max(),
        "counts": (tp, fp, fn, tn),
        "n": tp + fp + fn + tn,
        "n_good": tp + fn,
        "note": "; ".join(dict.fromkeys(choice.note for choice in chosen if choice.note)),
    }


def optimism(decisions: pd.DataFrame) -> pd.DataFrame:
    """Compare thresholds chosen in the test set with those chosen in the training set.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`table`.

    Returns
    -------
    pandas.DataFrame
        One row per model and rule, with ``sensitivity, specificity, fnr, f1, f2, youden`` for each choice
        (``*_train``, ``*_test``) and the difference, test minus training (``*_optimism``).
    """
    keys = ["outcome_label", "set", "model", "rule"]
    measures = ["sensitivity", "specificity", "fnr", "f1", "f2", "youden"]
    found = rates(*(decisions[c].to_numpy(float, na_value=np.nan) for c in ("tp", "fp", "fn", "tn")))
    full = decisions.assign(**{m: found[m] for m in measures})[[*keys, "chosen_on", *measures]]
    train, test = (full[full["chosen_on"] == where] for where in ("train_oof", "test"))
    both = train.merge(test, on=keys, suffixes=("_train", "_test"))
    for measure in measures:
        both[f"{measure}_optimism"] = both[f"{measure}_test"] - both[f"{measure}_train"]
    return both[keys + [f"{m}_{which}" for m in measures for which in ("train", "test", "optimism")]]


def sweep(rows: pd.DataFrame, *, step: float = 0.01, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Tabulate every threshold in steps from 0 to 1 (paper B's table S6); probabilities only.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    step : float
        Distance of the thresholds.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.confusion.with_intervals`.

    Examples
    --------
    >>> rows = pd.DataFrame({"outcome_label": "standard", "stage": "final", "set": "pooled", "model": "m",
    ...                      "kind": "probability", "y_good": [0, 1], "score": [0.2, 0.35]})
    >>> int(sweep(rows).set_index("threshold").loc[0.35, "tp"])
    1
    """
    probabilities = rows[rows["kind"] == "probability"]
    return _each(probabilities, lambda mine: grid(step), n_resamples=n_resamples, seed=seed)


def with_low_fnr(
    rows: pd.DataFrame,
    *,
    below: float = MOST_FNR,
    most: int = 1000,
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Tabulate every observed score whose FNR, as a threshold, is below a limit (paper B's table S7).

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    below : float
        The limit.
    most : int
        The largest number of thresholds per model; of more, this many are taken, evenly spaced, with the
        first and the last.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.confusion.with_intervals`.
    """

    def candidates(mine: pd.DataFrame) -> np.ndarray:
        values = np.unique(mine["score"])
        _, _, fn, _ = confusion(mine["y_good"], mine["score"], values)
        return thinned(values[fn / mine["y_good"].sum() < below], most)

    return _each(rows, candidates, n_resamples=n_resamples, seed=seed)


def grid(step: float) -> np.ndarray:
    """Return the thresholds from 0 to 1 in steps, each the number that its decimals are read as.

    Multiples of a step are not: 35 * 0.01 is 0.35000000000000003, which a score of 0.35 does not reach.

    Examples
    --------
    >>> 0.35 in grid(0.01), 0.35 in np.linspace(0, 1, 101)
    (True, False)
    """
    n = round(1 / step)
    return np.arange(n + 1) / n


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most ``most`` of some values, evenly spaced in their order, with the first and the last.

    Examples
    --------
    >>> thinned(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(int)]


def _each(
    rows: pd.DataFrame, thresholds_of: Callable[[pd.DataFrame], np.ndarray], **resampling: int
) -> pd.DataFrame:
    keys = ["outcome_label", "stage", "set", "model"]
    parts = {
        key: with_intervals(mine["y_good"], mine["score"], thresholds_of(mine), **resampling)
        for key, mine in rows.groupby(keys, sort=False)
    }
    if not parts:
        parts = {("", "", "", ""): with_intervals([0, 1], [0.0, 1.0], [0.5], **resampling).iloc[:0]}
    table = pd.concat(parts, names=keys).reset_index(keys).reset_index(drop=True)
    table.insert(len(keys), "rule", "sweep")
    table.insert(len(keys) + 1, "chosen_on", "none")
    return table
