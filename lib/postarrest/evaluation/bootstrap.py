"""All threshold-free measures of all models in every bootstrap resample at once.

A resample is a vector of counts: how often each patient was drawn. A measure of the resample is then the
measure of the original patients with these counts as weights. So each model's scores are sorted once, and
every resample is a cumulative sum over the sorted patients instead of another sort: n log n for the sort and
n for each resample. All models are weighted with the same counts, so that their differences are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from postarrest.estimate import Estimate
from postarrest.evaluation import resamples
from postarrest.evaluation.intervals import interval

MEASURES = ("roc_auc", "pr_auc_good", "pr_auc_poor", "brier", "brier_skill", "log_loss")
# Same guard against log(0) as scikit-learn's log_loss.
_TINY = np.finfo(float).eps


@dataclass(frozen=True)
class Bootstrap:
    """Measures of several models, in the sample and in each resample.

    Parameters
    ----------
    models : tuple of str
        Names of the models.
    measures : tuple of str
        Names of the measures.
    estimate : numpy.ndarray
        Value in the sample, (models, measures); NaN where a measure isn't defined for a model.
    resampled : numpy.ndarray
        Value in each resample, (models, measures, resamples).
    left_out : tuple of numpy.ndarray
        Jackknife values, one array (models, measures, groups left out) per stratum; empty without jackknife.
    n, n_good : int
        Patients, and those with a good outcome.
    stratified : bool
        Whether each resample keeps the numbers of good and poor outcomes.
    """

    models: tuple[str, ...]
    measures: tuple[str, ...]
    estimate: np.ndarray
    resampled: np.ndarray
    left_out: tuple[np.ndarray, ...]
    n: int
    n_good: int
    stratified: bool

    def values(self, model: str, measure: str) -> tuple[float, np.ndarray]:
        """Return a measure of a model in the sample, and in each resample."""
        at = self.models.index(model), self.measures.index(measure)
        return self.estimate[at], self.resampled[at]

    def interval(
        self, model: str, measure: str, *, method: str = "percentile", level: float = 0.95
    ) -> Estimate:
        """Return a measure of a model with its interval.

        Parameters
        ----------
        model, measure : str
            Which.
        method : str
            ``"percentile"``, or ``"bca"`` (bias-corrected and accelerated; Efron 1987, with the acceleration
            of several samples as in ``scipy.stats.bootstrap``).
        level : float
            Coverage aimed at.

        Returns
        -------
        Estimate
            Without limits where the resamples do not vary, since an interval of width 0 would be misleading.
        """
        at = self._at(model, measure)
        left_out = [stratum[at] for stratum in self.left_out]
        return interval(self.estimate[at], self.resampled[at], left_out, method=method, level=level)

    def difference(
        self, model_a: str, model_b: str, measure: str, *, method: str = "percentile", level: float = 0.95
    ) -> tuple[Estimate, float]:
        """Return measure(a) - measure(b) with its paired interval, and a two-sided p value.

        The p value is twice the share of resamples on the far side of zero (with one added to both counts, so
        that it is never 0), the smallest level at which the percentile interval excludes zero.
        """
        a, b = self._at(model_a, measure), self._at(model_b, measure)
        resampled = self.resampled[a] - self.resampled[b]
        left_out = [stratum[a] - stratum[b] for stratum in self.left_out]
        value = self.estimate[a] - self.estimate[b]
        estimate = interval(value, resampled, left_out, method=method, level=level)
        defined = resampled[np.isfinite(resampled)]
        if not defined.size:
            return estimate, float("nan")
        sides = min((defined <= 0).sum(), (defined >= 0).sum())
        return estimate, float(min(1.0, 2 * (sides + 1) / (defined.size + 1)))

    def n_undefined(self, model: str, measure: str) -> int:
        """Return in how many resamples a measure was undefined, for example without any good outcome."""
        return int(np.isnan(self.values(model, measure)[1]).sum())

    def _at(self, model: str, measure: str) -> tuple[int, int]:
        return self.models.index(model), self.measures.index(measure)


class _Sorted:
    """Scores of one model, sorted once, for measures under any weights of the patients."""

    def __init__(self, y_good: np.ndarray, score: np.ndarray, *, probability: bool):
        good, poor = score[y_good == 1], score[y_good == 0]
        self.good_order, self.poor_order = np.argsort(good, kind="stable"), np.argsort(poor, kind="stable")
        g, p = good[self.good_order], poor[self.poor_order]
        # For a patient with a good outcome: how many score less; for one with a poor outcome: not more.
        self.poor_below_good = np.searchsorted(p, g, "left")
        self.poor_upto_good = np.searchsorted(p, g, "right")
        self.good_below_good = np.searchsorted(g, g, "left")
        self.good_upto_poor = np.searchsorted(g, p, "right")
        self.poor_upto_poor = np.searchsorted(p, p, "right")
        self.ties_between = not np.array_equal(self.poor_below_good, self.poor_upto_good)
        self.probability = probability
        if probability:
            bounded = np.clip(score, _TINY, 1 - _TINY)
            squared = (score - y_good) ** 2
            logged = -np.where(y_good == 1, np.log(bounded), np.log1p(-bounded))
            self.good_losses = squared[y_good == 1], logged[y_good == 1]
            self.poor_losses = squared[y_good == 0], logged[y_good == 0]

    def measures(self, good: np.ndarray, poor: np.ndarray) -> np.ndarray:
        """Return :data:`MEASURES` for each row of counts: (measures, rows)."""
        out = np.full((len(MEASURES), len(good)), np.nan)
        n_good, n_poor = good.sum(axis=1), poor.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:3] = self._ranking(good, poor, n_good, n_poor)
            if self.probability:
                n = n_good + n_poor
                brier, log_loss = (
                    (_weighted(good, of_good) + _weighted(poor, of_poor)) / n
                    for of_good, of_poor in zip(self.good_losses, self.poor_losses, strict=True)
                )
                no_skill = (n_good / n) * (n_poor / n)
                out[3:] = brier, np.where(no_skill > 0, 1 - brier / no_skill, np.nan), log_loss
        return out

    def _ranking(self, good, poor, n_good, n_poor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        good = np.take(good, self.good_order, axis=1)
        poor = np.take(poor, self.poor_order, axis=1)
        good_sum, poor_sum = _running(good), _running(poor)
        below = np.take(poor_sum, self.poor_below_good, axis=1)
        pairs = _dot(good, below)
        if self.ties_between:
            upto = np.take(poor_sum, self.poor_upto_good, axis=1)
            pairs = (pairs + _dot(good, upto)) / 2
        roc_auc = pairs / (n_good.astype(float) * n_poor)

        # Precision for the good class at the score of each patient with a good outcome; the same for poor.
        hits = n_good[:, None] - np.take(good_sum, self.good_below_good, axis=1)
        named = hits + n_poor[:, None] - below
        pr_good = _dot(good, hits / np.maximum(named, 1)) / n_good
        hits = np.take(poor_sum, self.poor_upto_poor, axis=1)
        named = hits + np.take(good_sum, self.good_upto_poor, axis=1)
        pr_poor = _dot(poor, hits / np.maximum(named, 1)) / n_poor
        undefined = (n_good == 0) | (n_poor == 0)
        pr_good[undefined] = pr_poor[undefined] = np.nan
        return roc_auc, pr_good, pr_poor


def _running(counts_sorted: np.ndarray) -> np.ndarray:
    """Return cumulative sums along the patients with a zero before the first."""
    total = np.zeros((len(counts_sorted), counts_sorted.shape[1] + 1), counts_sorted.dtype)
    np.cumsum(counts_sorted, axis=1, out=total[:, 1:])
    return total


def _weighted(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    # Not by a matrix product: how that rounds depends on the processor and on how many rows there are.
    return np.einsum("ij,j->i", counts, values, dtype=float)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b, dtype=float)


def bootstrap(
    y_good: ArrayLike,
    scores: ArrayLike,
    *,
    models: Sequence[str] = (),
    probability: bool | Sequence[bool] = True,
    n_resamples: int = 1000,
    seed: int = 0,
    stratified: bool = True,
    n_cohort: int = 0,
    jackknife: bool = True,
) -> Bootstrap:
    """Bootstrap every measure of every model over patients, with the same resamples for all models.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome; the scores point towards 1.
    scores : array-like of float, (patients,) or (patients, models)
        Finite scores.
    models : sequence of str
        Names of the models; their numbers where none are given.
    probability : bool or sequence of bool
        Whether the scores are probabilities; Brier, Brier skill and log loss are undefined for others.
    n_resamples : int
        Resamples; 0 for the estimates alone.
    seed : int
        Seed of the resamples.
    stratified : bool
        Keep the numbers of good and poor outcomes in each resample.
    n_cohort : int
        As in :func:`postarrest.evaluation.resamples.counts`; only with ``stratified=False``.
    jackknife : bool
        Compute jackknife values for BCa intervals: one evaluation per patient for up to 1,000 patients of a
        stratum, 200 random groups beyond.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ValueError
        If outcomes are not 0 and 1, scores are not finite, shapes don't fit, or a probability is outside
        0 to 1.

    Notes
    -----
    ``pr_auc_*`` are average precisions for the good and for the poor class. The Brier skill is
    1 - Brier / (p (1 - p)) with p the prevalence of the (re)sample.

    Examples
    --------
    >>> result = bootstrap([0, 0, 1, 1, 0, 1], [.1, .4, .35, .8, .2, .7], models=["ct"], seed=1)
    >>> print(result.interval("ct", "roc_auc"))
    0.89 (95 % CI 0.56 to 1.00)
    """
    y_good, scores = _checked(y_good, scores)
    names = tuple(models) or tuple(str(m) for m in range(scores.shape[1]))
    is_probability = np.broadcast_to(probability, scores.shape[1])
    if len(names) != scores.shape[1]:
        raise ValueError(f"{len(names)} names for {scores.shape[1]} models.")
    if ((scores[:, is_probability] < 0) | (scores[:, is_probability] > 1)).any():
        raise ValueError("A probability is outside 0 to 1.")
    ranked = [_Sorted(y_good, scores[:, m], probability=bool(is_probability[m])) for m in range(len(names))]
    n, n_good = len(y_good), int(y_good.sum())

    def measured(good: np.ndarray, poor: np.ndarray) -> np.ndarray:
        return np.stack([model.measures(good, poor) for model in ranked])

    def in_stratum(stratum: int, good: np.ndarray, poor: np.ndarray) -> tuple[int, np.ndarray]:
        return stratum, measured(good, poor)

    estimate = measured(np.ones((1, n_good), np.int32), np.ones((1, n - n_good), np.int32))[:, :, 0]
    empty = np.empty((len(names), len(MEASURES), 0))
    how = {"n_resamples": n_resamples, "seed": seed, "stratified": stratified, "n_cohort": n_cohort}
    chunks = resamples.on_all_cores(measured, resamples.counts(y_good, **how), n=n)
    left_out: list[list[np.ndarray]] = [[] for _ in range(2 if stratified else 1)]
    if jackknife:
        kept = resamples.jackknife_counts(y_good, stratified=stratified)
        for stratum, values in resamples.on_all_cores(in_stratum, kept, n=n):
            left_out[stratum].append(values)
    return Bootstrap(
        models=names,
        measures=MEASURES,
        estimate=estimate,
        resampled=np.concatenate([empty, *chunks], axis=2),
        left_out=tuple(np.concatenate([empty, *parts], axis=2) for parts in left_out) if jackknife else (),
        n=n,
        n_good=n_good,
        stratified=stratified,
    )


def _checked(y_good: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    y_good, scores = np.asarray(y_good), np.asarray(scores, dtype=float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if y_good.ndim != 1 or scores.ndim != 2 or len(scores) != len(y_good):
        raise ValueError(f"Outcomes have the shape {y_good.shape} and scores {scores.shape}.")
    if not np.isin(y_good, (0, 1)).all():
        raise ValueError("An outcome is neither 0 nor 1.")
    if not np.isfinite(scores).all():
        raise ValueError("A score is not a finite number.")
    if len(np.unique(y_good)) < 2:
        raise ValueError("All patients have the same outcome.")
    return y_good.astype(int), scores


def mean(folds: Sequence[Bootstrap]) -> Bootstrap:
    """Return the mean of the measures over disjoint folds, whose patients were resampled within each fold.

    Parameters
    ----------
    folds : sequence of Bootstrap
        Of the same models and measures, with as many resamples, from different seeds.

    Returns
    -------
    Bootstrap
        A measure that is undefined in one fold is undefined in the mean.
    """
    estimate = np.mean([fold.estimate for fold in folds], axis=0)
    # Leaving a patient out of one fold moves the mean by that fold's share.
    left_out = tuple(
        estimate[:, :, None] + (stratum - fold.estimate[:, :, None]) / len(folds)
        for fold in folds
        for stratum in fold.left_out
    )
    resampled = np.mean([fold.resampled for fold in folds], axis=0)
    n, n_good = (sum(getattr(fold, count) for fold in folds) for count in ("n", "n_good"))
    return replace(folds[0], estimate=estimate, resampled=resampled, left_out=left_out, n=n, n_good=n_good)
