"""What training promised and what the test patients show: AUC, and false pessimism at chosen thresholds."""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from postarrest.evaluation.confusion import confusion
from postarrest.evaluation.intervals import proportion_interval
from postarrest.evaluation.thresholds import MOST_FNR, choose

# The FNR that each rule is chosen for; Spec-Max-CI limits its upper confidence limit.
TARGETS = {"Spec-Max": MOST_FNR, "Spec-Max-CI": MOST_FNR, "FNR 0": 0.0}
_KEYS = ["outcome_label", "model"]


def inner_outer(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each model's own estimate of its ROC-AUC with that in the test patients.

    Parameters
    ----------
    table : pandas.DataFrame
        The scores table. Its ``train_oof`` rows give the model's own estimate: out-of-fold scores of the
        training patients, on whom settings were chosen.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, model, folds, inner, outer, optimism, lower, upper``: means over the folds, inner
        less outer, and its 95 % interval by the t distribution with Nadeau and Bengio's variance, since the
        folds share training patients; NaN with one fold.

    References
    ----------
    Nadeau C, Bengio Y. Inference for the generalization error. Mach Learn 2003;52:239-81.
    """
    rows = []
    for key, mine in _trained(table):
        auc = mine.groupby(["fold", "role"])[["y_good", "score"]].apply(
            lambda part: roc_auc_score(part["y_good"], part["score"])
        )
        inner, outer = (auc.xs(role, level="role") for role in ("train_oof", "test"))
        difference, k = inner - outer, len(outer)
        half = np.nan
        if k > 1:
            half = stats.t.ppf(0.975, k - 1) * np.sqrt(difference.var() * (1 / k + 1 / (k - 1)))
        mean = float(difference.mean())
        rows.append((*key, k, inner.mean(), outer.mean(), mean, mean - half, mean + half))
    return pd.DataFrame(rows, columns=[*_KEYS, "folds", "inner", "outer", "optimism", "lower", "upper"])


def realised_fnr(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the false pessimism that a threshold was chosen for with that in the test patients.

    Parameters
    ----------
    table : pandas.DataFrame
        The scores table; in each fold a threshold is chosen on the ``train_oof`` rows and applied to the
        ``test`` rows.

    Returns
    -------
    pandas.DataFrame
        One row per outcome label, model and rule with a limit: ``target`` (the limit of the FNR, for
        Spec-Max-CI of its upper confidence limit), ``fnr_train`` (where the thresholds were chosen, over the
        folds), ``fn, n_good, fnr, fnr_lower, fnr_upper`` (in the test patients, with the exact 95 %
        interval), and ``fnr_fold_max``, the highest FNR of a fold. Rules without a threshold in one of the
        folds have no row.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": list("abcdefgh"), "outcome_label": "standard", "stage": "final",
    ...     "model": "m", "fold": 1, "role": ["train_oof"] * 4 + ["test"] * 4, "y_good": [0, 0, 1, 1] * 2,
    ...     "score": [0.1, 0.3, 0.5, 0.7, 0.1, 0.2, 0.4, 0.8]})
    >>> print(realised_fnr(rows)[["rule", "target", "fnr_train", "fnr"]].head(1).to_string(index=False))
        rule  target  fnr_train  fnr
    Spec-Max    0.05        0.0  0.5
    """
    rows = []
    for key, mine in _trained(table):
        folds = [(of_fold[of_fold["role"] == "train_oof"], of_fold) for _, of_fold in mine.groupby("fold")]
        for rule, target in TARGETS.items():
            thresholds = [choose(train["y_good"], train["score"], rule).threshold for train, _ in folds]
            if np.isnan(thresholds).any():
                continue
            tests = [of_fold[of_fold["role"] == "test"] for _, of_fold in folds]
            chosen_in = _missed([train for train, _ in folds], thresholds)
            applied_to = _missed(tests, thresholds)
            fn, n_good = applied_to.sum(axis=0)
            lower, upper = proportion_interval(fn, n_good)
            trained = chosen_in[:, 0].sum() / chosen_in[:, 1].sum()
            worst = (applied_to[:, 0] / applied_to[:, 1]).max()
            rows.append((*key, rule, target, trained, fn, n_good, fn / n_good, lower, upper, worst))
    columns = ["rule", "target", "fnr_train", "fn", "n_good", "fnr", "fnr_lower", "fnr_upper", "fnr_fold_max"]
    return pd.DataFrame(rows, columns=[*_KEYS, *columns])


def _trained(table: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return the final rows of each model that has scores of training patients."""
    final = table[table["stage"] == "final"]
    return [(key, mine) for key, mine in final.groupby(_KEYS, sort=False) if mine["role"].nunique() == 2]


def _missed(parts: list[pd.DataFrame], thresholds: list[float]) -> np.ndarray:
    """Return good outcomes predicted poor, and all good outcomes, of each fold."""
    found = []
    for part, threshold in zip(parts, thresholds, strict=True):
        tp, _, fn, _ = confusion(part["y_good"], part["score"], [threshold])
        found.append((int(fn[0]), int(tp[0] + fn[0])))
    return np.array(found)
