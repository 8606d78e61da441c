"""What training promised and what the test patients show: AUC, and false pessimism at chosen thresholds."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from postarrest.evaluation.confusion import confusion
from postarrest.evaluation.intervals import mean_over_splits, proportion_interval
from postarrest.evaluation.thresholds import LIMITS, choose, with_training

_LABELS = ["outcome_label", "model"]


def inner_outer(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Compare each model's own estimate of its ROC-AUC with that in the test patients.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage.
    train : pandas.DataFrame
        The scores table. Its ``train_oof`` rows give the model's own estimate: out-of-fold scores of the
        training patients, on whom settings were chosen.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, model, folds, inner, outer, optimism, lower, upper``: means over the folds, inner
        less outer, and its interval, from :func:`postarrest.evaluation.intervals.mean_over_splits`. Models
        whose test or training patients have the same outcome in all of a fold have no row.
    """
    found = []
    for label, _, training, tested in with_training(rows, train):
        if not training or any(part["y_good"].nunique() < 2 for part in (*training, *tested)):
            continue
        inner, outer = (
            np.array([roc_auc_score(part["y_good"], part["score"]) for part in parts])
            for parts in (training, tested)
        )
        k = len(outer)
        excess = mean_over_splits(inner - outer, test_share=1 / k)
        means = (inner.mean(), outer.mean(), excess.value, excess.lower, excess.upper)
        found.append((*(label[name] for name in _LABELS), k, *means))
    columns = ["folds", "inner", "outer", "optimism", "lower", "upper"]
    return pd.DataFrame(found, columns=[*_LABELS, *columns])


def realised_fnr(rows: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Compare the false pessimism that a threshold was chosen for with that in the test patients.

    Parameters
    ----------
    rows, train : pandas.DataFrame
        As for :func:`inner_outer`; in each fold a threshold is chosen in the training patients and applied to
        the test patients.

    Returns
    -------
    pandas.DataFrame
        One row per outcome label, model and rule with a limit: ``target`` (the limit of the FNR, for
        Spec-Max-CI of its upper confidence limit), ``fnr_where_chosen`` (in the training patients, over the
        folds), ``fn, n_good, fnr, fnr_lower, fnr_upper`` (in the test patients, with the exact 95 %
        interval), and ``fnr_fold_max``, the highest FNR of a fold with good outcomes. Rules without a
        threshold in one of the folds have no row.

    Examples
    --------
    >>> from postarrest import scores
    >>> table = pd.DataFrame({"patient_id": list("abcdefgh"), "outcome_label": "standard", "stage": "final",
    ...     "model": "m", "kind": "probability", "fold": 1, "role": ["train_oof"] * 4 + ["test"] * 4,
    ...     "y_good": [0, 0, 1, 1] * 2, "score": [0.1, 0.3, 0.5, 0.7, 0.1, 0.2, 0.4, 0.8]})
    >>> found = realised_fnr(scores.sets(table), table)
    >>> print(*found.loc[0, ["rule", "fnr_where_chosen", "fnr"]])
    Spec-Max 0.0 0.5
    """
    found = []
    for label, _, training, tested in with_training(rows, train):
        for rule, target in LIMITS.items() if training else ():
            thresholds = [choose(part["y_good"], part["score"], rule).threshold for part in training]
            if np.isnan(thresholds).any():
                continue
            chosen_in, applied_to = (_missed(parts, thresholds) for parts in (training, tested))
            fn, n_good = applied_to.sum(axis=0)
            lower, upper = map(float, proportion_interval(fn, n_good))
            trained = chosen_in[:, 0].sum() / chosen_in[:, 1].sum()
            with_good = applied_to[applied_to[:, 1] > 0]
            worst = (with_good[:, 0] / with_good[:, 1]).max()
            about = (label["outcome_label"], label["model"], rule, target, trained)
            found.append((*about, fn, n_good, fn / n_good, lower, upper, worst))
    columns = [
        "rule",
        "target",
        "fnr_where_chosen",
        "fn",
        "n_good",
        "fnr",
        "fnr_lower",
        "fnr_upper",
        "fnr_fold_max",
    ]
    return pd.DataFrame(found, columns=[*_LABELS, *columns])


def _missed(parts: list[pd.DataFrame], thresholds: list[float]) -> np.ndarray:
    """Return good outcomes predicted poor, and all good outcomes, of each fold."""
    found = []
    for part, threshold in zip(parts, thresholds, strict=True):
        tp, _, fn, _ = confusion(part["y_good"], part["score"], [threshold])
        found.append((int(fn[0]), int(tp[0] + fn[0])))
    return np.array(found)
