"""Good, indeterminate or poor: two thresholds that limit both errors for new patients.

*False pessimism* is the share of good outcomes predicted poor, *false optimism* the share of poor outcomes
predicted good. Each threshold is found by fixed-sequence testing (Angelopoulos 2021, *Learn then test*): the
observed scores are tried as thresholds in order, the most cautious first. Each is tested, by the exact
binomial test, for an error above the limit, and the first that is not rejected ends the sequence, which needs
no further correction for the number of thresholds. It ends at an order statistic of one outcome's scores, so
that the error in new patients has a beta distribution: that of the upper Clopper-Pearson limit. The two
errors concern different patients and are tested at half the level each, so that both limits hold together
with the confidence asked for.

Assumed: new patients' scores come from the same distribution as those that the thresholds are chosen on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binom

from postarrest.evaluation.intervals import proportion_interval
from postarrest.evaluation.thresholds import MOST_FNR, with_training

# What the guideline accepts of false pessimism, and here also of false optimism.
LIMIT = MOST_FNR


@dataclass(frozen=True)
class ThreeWay:
    """Two thresholds: below ``lower`` predicted poor, from ``upper`` on predicted good, else indeterminate.

    Parameters
    ----------
    lower, upper : float
        NaN if no threshold exists: nobody is predicted poor (good) then.
    note : str
        Why there is no threshold; blank otherwise.
    """

    lower: float
    upper: float
    note: str = ""


def allowed_errors(n: int, *, limit: float, alpha: float) -> int:
    """Return the most errors in ``n`` patients that reject an error rate above the limit; -1 if none do.

    Examples
    --------
    >>> allowed_errors(71, limit=0.05, alpha=0.025), allowed_errors(72, limit=0.05, alpha=0.025)
    (-1, 0)
    """
    return int((binom.cdf(np.arange(n + 1), n, limit) <= alpha).sum()) - 1


def fewest(*, limit: float, alpha: float) -> int:
    """Return the fewest patients of an outcome in whom a threshold can exist.

    Examples
    --------
    >>> fewest(limit=0.05, alpha=0.025)
    72
    """
    return int(np.ceil(np.log(alpha) / np.log1p(-limit)))


def choose(
    y_good: ArrayLike,
    score: ArrayLike,
    *,
    most_pessimism: float = LIMIT,
    most_optimism: float = LIMIT,
    confidence: float = 0.95,
) -> ThreeWay:
    """Choose both thresholds among the observed scores.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    score : array-like of float, (patients,)
        Score.
    most_pessimism, most_optimism : float
        Limits of false pessimism and of false optimism in new patients.
    confidence : float
        Probability with which both limits hold.

    Examples
    --------
    >>> y, score = np.arange(200) % 2, np.arange(200) / 200
    >>> found = choose(y, score, most_pessimism=0.05, most_optimism=0.1)
    >>> found.lower, found.upper
    (0.005, 0.955)
    >>> choose([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]).note[:67]
    'Nobody is predicted poor: with 2 good outcomes no threshold exists,'
    """
    y_good, score = np.asarray(y_good), np.asarray(score, float)
    alpha = (1 - confidence) / 2
    good, poor = np.sort(score[y_good == 1]), np.sort(score[y_good == 0])[::-1]
    few_good = allowed_errors(len(good), limit=most_pessimism, alpha=alpha)
    few_poor = allowed_errors(len(poor), limit=most_optimism, alpha=alpha)
    lower = upper = np.nan
    notes = []
    if few_good >= 0:
        # As many good outcomes as are allowed score below it (at most, where scores are tied).
        lower = good[few_good]
    else:
        notes.append(_none("poor", len(good), "good", fewest(limit=most_pessimism, alpha=alpha)))
    if few_poor >= 0:
        # Predicted good is a score of at least the threshold: the next one above that poor outcome's.
        above = score[score > poor[few_poor]]
        upper = above.min() if above.size else np.nan
        if not above.size:
            notes.append("Nobody is predicted good: no score is above those of poor outcomes.")
    else:
        notes.append(_none("good", len(poor), "poor", fewest(limit=most_optimism, alpha=alpha)))
    if lower > upper:
        # Nobody is indeterminate; the lower of the two thresholds has the less false pessimism.
        lower = upper
    return ThreeWay(float(lower), float(upper), " ".join(notes))


def _none(predicted: str, n: int, outcome: str, needed: int) -> str:
    return (
        f"Nobody is predicted {predicted}: with {n} {outcome} outcomes no threshold exists, "
        f"at least {needed} are needed."
    )


def table(rows: pd.DataFrame, train: pd.DataFrame, **limits: float) -> pd.DataFrame:
    """Choose both thresholds of every model, and count the decisions in the test patients.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage.
    train : pandas.DataFrame
        The scores table, whose ``train_oof`` rows thresholds are chosen on.
    **limits : float
        Of :func:`choose`.

    Returns
    -------
    pandas.DataFrame
        One row per outcome label, set, model and ``chosen_on``: ``train_oof`` (each fold's thresholds,
        applied to its test patients; the median over the folds is shown) or ``test`` (chosen on these
        scores: the limits hold in new patients who are scored in the same way, and the counts are of the
        patients that the thresholds were chosen on). Then ``lower_threshold, upper_threshold``, the patients
        predicted ``good``, ``indeterminate`` and ``poor``, the share that is indeterminate, and for both
        errors their number, rate and upper 95 % limit.
    """
    found = []
    for label, mine, training, tested in with_training(rows, train):
        ways = {"train_oof": (training, tested)} if training else {}
        for chosen_on, (learned, applied) in (ways | {"test": ([mine], [mine])}).items():
            chosen = [choose(part["y_good"], part["score"], **limits) for part in learned]
            found.append(label | {"chosen_on": chosen_on} | _decided(applied, chosen))
    return pd.DataFrame(found).drop(columns="stage")


def _decided(parts: Sequence[pd.DataFrame], chosen: Sequence[ThreeWay]) -> Mapping[str, object]:
    scores = pd.concat(parts, ignore_index=True)
    repeated = [len(part) for part in parts]
    lower, upper = (
        np.repeat([getattr(one, side) for one in chosen], repeated) for side in ("lower", "upper")
    )
    # No comparison with NaN is true: without a threshold nobody is predicted.
    poor, good = (scores["score"] < lower).to_numpy(), (scores["score"] >= upper).to_numpy()
    is_good = (scores["y_good"] == 1).to_numpy()
    n, n_good = len(scores), int(is_good.sum())
    pessimism, optimism = int((poor & is_good).sum()), int((good & ~is_good).sum())
    undecided = ~(poor | good)
    return {
        "lower_threshold": float(np.median([one.lower for one in chosen])),
        "upper_threshold": float(np.median([one.upper for one in chosen])),
        "n": n,
        "n_good": n_good,
        "good": int(good.sum()),
        "indeterminate": int(undecided.sum()),
        "poor": int(poor.sum()),
        "share_indeterminate": float(undecided.mean()),
        "n_false_pessimism": pessimism,
        "false_pessimism": pessimism / n_good,
        "false_pessimism_upper": float(proportion_interval(pessimism, n_good)[1]),
        "n_false_optimism": optimism,
        "false_optimism": optimism / (n - n_good),
        "false_optimism_upper": float(proportion_interval(optimism, n - n_good)[1]),
        "note": " ".join(dict.fromkeys(one.note for one in chosen if one.note)),
    }
