"""Updating: a frozen model's probabilities, recalibrated in new patients.

A model that discriminates well elsewhere often predicts probabilities that are too high, too low or too
extreme there. The smallest update that repairs this is the best one, since a larger update needs more good
outcomes. Every update is judged in patients whom it was not fitted on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import chi2
from sklearn.model_selection import StratifiedKFold

from postarrest.estimate import Estimate
from postarrest.evaluation import bootstrap, calibration
from postarrest.evaluation.delong import delong
from postarrest.evaluation.discrimination import RECOMMENDED

# From the smallest to the largest, with the number of coefficients that each fits.
UPDATES = {"none": 0, "intercept": 1, "intercept and slope": 2}
REVISION = "revision"
IN_WORDS = {
    "none": "no update",
    "intercept": "a new intercept",
    "intercept and slope": "a new intercept and slope",
    REVISION: "a refit of the stack",
}
_COUNTS = ["n", "n_good"]


@dataclass(frozen=True)
class Update:
    """A recalibration: log odds become ``intercept + slope * log odds``.

    Parameters
    ----------
    kind : str
        One of :data:`UPDATES`.
    intercept, slope : float
        Its coefficients: 0 and 1 without an update.
    edge : float
        Probabilities closer to 0 or 1 are moved there first, as when it was fitted.
    n, n_good : int
        Patients that it was fitted on, and those of them with a good outcome.
    """

    kind: str
    intercept: float
    slope: float
    edge: float
    n: int
    n_good: int

    def apply(self, probability: ArrayLike) -> np.ndarray:
        """Return updated probabilities; without an update, the very same ones."""
        probability = np.asarray(probability, float)
        if self.kind == "none":
            return probability
        bounded = np.clip(probability, self.edge, 1 - self.edge)
        return expit(self.intercept + self.slope * (np.log(bounded) - np.log1p(-bounded)))


def fit(y_good: ArrayLike, probability: ArrayLike, kind: str) -> Update:
    """Fit an update by maximum likelihood.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    probability : array-like of float, (patients,)
        Probability of a good outcome by the frozen model.
    kind : str
        ``"none"``, ``"intercept"`` (calibration in the large) or ``"intercept and slope"`` (logistic
        recalibration, Cox 1958).

    Raises
    ------
    ValueError
        If the kind is unknown, all outcomes are equal, or no slope can be fitted.

    Examples
    --------
    >>> update = fit([0, 0, 1, 0, 1, 1, 0, 1], [0.1, 0.6, 0.4, 0.2, 0.7, 0.8, 0.3, 0.2], "intercept")
    >>> round(update.intercept, 2), update.slope, update.n_good
    (0.47, 1.0, 4)
    """
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    if kind not in UPDATES:
        raise ValueError(f"The update is {kind!r}, expected one of {', '.join(UPDATES)}.")
    if len(np.unique(y_good)) < 2:
        raise ValueError("All patients have the same outcome.")
    counts = {"n": len(y_good), "n_good": int(y_good.sum()), "edge": 1 / (2 * len(y_good))}
    x, _ = calibration.log_odds(probability)
    ones = np.ones_like(x)
    if kind == "none":
        return Update(kind, 0.0, 1.0, **counts)
    if kind == "intercept":
        fitted = calibration.fit_logistic(y_good, [ones], offset=x)
        return Update(kind, float(fitted.params[0]), 1.0, **counts)
    if note := calibration.why_no_slope(y_good, x):
        raise ValueError(note)
    fitted = calibration.fit_logistic(y_good, [ones, x])
    return Update(kind, *map(float, fitted.params), **counts)


@dataclass(frozen=True)
class CrossFitted:
    """Probabilities of each patient by updates fitted without that patient.

    Parameters
    ----------
    probabilities : pandas.DataFrame
        One row per patient in the order given, one column per update.
    fits : pandas.DataFrame
        ``update, fold, n, n_good, intercept, slope``: what each update was fitted on. A refit that was passed
        in has no rows.
    notes : dict of str
        Why an update could not be fitted, by update; such an update has no column.
    """

    probabilities: pd.DataFrame
    fits: pd.DataFrame
    notes: Mapping[str, str]


def cross_fit(
    y_good: ArrayLike,
    probability: ArrayLike,
    *,
    folds: int = 10,
    seed: int = 0,
    further: Mapping[str, ArrayLike] | None = None,
) -> CrossFitted:
    """Update each patient's probability by updates fitted without that patient.

    Parameters
    ----------
    y_good, probability : array-like, (patients,)
        As for :func:`fit`.
    folds : int
        Folds, stratified by outcome; fewer where an outcome has fewer patients.
    seed : int
        Seed of the folds.
    further : mapping of str to array-like, optional
        Other updates' probabilities in the same patients, each made without that patient: a refit of the
        model, for example.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> p = rng.uniform(0.1, 0.9, 200)
    >>> y = (rng.random(200) < p / 2).astype(int)
    >>> cross_fit(y, p).probabilities.mean().round(2).to_dict()
    {'none': 0.51, 'intercept': 0.3, 'intercept and slope': 0.3}
    """
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    rarer = int(min(y_good.sum(), len(y_good) - y_good.sum()))
    if rarer < 2:
        raise ValueError("An update that is judged in other patients needs two patients of either outcome.")
    splitter = StratifiedKFold(min(folds, rarer), shuffle=True, random_state=seed)
    parts = list(splitter.split(y_good, y_good))
    columns, fits, notes = {}, [], {}
    x, _ = calibration.log_odds(probability)
    for kind in UPDATES:
        why = [calibration.why_no_slope(y_good[rest], x[rest]) for rest, _ in parts]
        if kind == "intercept and slope" and any(why):
            notes[kind] = next(filter(None, why))
            continue
        updated = np.full(len(y_good), np.nan)
        fitted = [fit(y_good[rest], probability[rest], kind) for rest, _ in parts]
        for fold, (update, (_, left_out)) in enumerate(zip(fitted, parts, strict=True), start=1):
            updated[left_out] = update.apply(probability[left_out])
            fits.append((kind, fold, update.n, update.n_good, update.intercept, update.slope))
        columns[kind] = updated
    columns |= {name: np.asarray(values, float) for name, values in (further or {}).items()}
    named = ["update", "fold", *_COUNTS, "intercept", "slope"]
    return CrossFitted(pd.DataFrame(columns), pd.DataFrame(fits, columns=named), notes)


@dataclass(frozen=True)
class Choice:
    """The update that the data support.

    Parameters
    ----------
    update : str
        One of :data:`UPDATES`, or ``"revision"``.
    steps : pandas.DataFrame
        ``against, largest, statistic, df, p, rejected``: the tests that were made, in their order.
    n_good : int
        Good outcomes that the tests had.
    """

    update: str
    steps: pd.DataFrame
    n_good: int


def closed_test(
    y_good: ArrayLike,
    probability: ArrayLike,
    *,
    revision: pd.DataFrame | None = None,
    level: float = 0.05,
) -> Choice:
    """Choose an update by the closed testing procedure of Vergouwe et al. (Stat Med 2017).

    The largest update is tested against none, then against the intercept, then against intercept and slope,
    each by a likelihood ratio test at the same level. The first that it does not improve on is chosen; if it
    improves on all, it is chosen itself. So the model stays as it is, if it needs no update, with a
    probability of about 1 - ``level``.

    Parameters
    ----------
    y_good, probability : array-like, (patients,)
        As for :func:`fit`.
    revision : pandas.DataFrame, optional
        Predictors whose coefficients a revision would estimate anew, (patients, predictors), such as the base
        models' log odds; known in every patient. The revision has these in addition to intercept and slope,
        so that the smaller updates are special cases of it. Without them, intercept and slope are the
        largest update.
    level : float
        Level of each test.

    Raises
    ------
    ValueError
        If all outcomes are equal or a predictor is missing.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> p = rng.uniform(0.05, 0.95, 300)
    >>> closed_test((rng.random(300) < p).astype(int), p).update
    'none'
    >>> closed_test((rng.random(300) < expit(np.log(p / (1 - p)) - 1)).astype(int), p).update
    'intercept'
    """
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    if len(np.unique(y_good)) < 2:
        raise ValueError("All patients have the same outcome.")
    x, _ = calibration.log_odds(probability)
    ones = np.ones_like(x)
    fits: dict[str, tuple[float, int]] = {
        "none": (_log_likelihood(y_good, x), 0),
        "intercept": (float(calibration.fit_logistic(y_good, [ones], offset=x).llf), 1),
    }
    if not calibration.why_no_slope(y_good, x):
        fits["intercept and slope"] = (float(calibration.fit_logistic(y_good, [ones, x]).llf), 2)
    if revision is not None and len(revision.columns):
        values = revision.to_numpy(float)
        if not np.isfinite(values).all():
            raise ValueError("A predictor of the revision is missing.")
        design = _independent(np.column_stack([ones, x, values]))
        fits[REVISION] = (float(calibration.fit_logistic(y_good, list(design.T)).llf), design.shape[1])
    largest = list(fits)[-1]
    steps, chosen = [], largest
    for smaller in list(fits)[:-1]:
        statistic = max(0.0, 2 * (fits[largest][0] - fits[smaller][0]))
        df = fits[largest][1] - fits[smaller][1]
        p = float(chi2.sf(statistic, df))
        steps.append((smaller, largest, statistic, df, p, p < level))
        if p >= level:
            chosen = smaller
            break
    columns = ["against", "largest", "statistic", "df", "p", "rejected"]
    return Choice(chosen, pd.DataFrame(steps, columns=columns), int(y_good.sum()))


def _log_likelihood(y_good: np.ndarray, x: np.ndarray) -> float:
    return float((y_good * x - np.logaddexp(0, x)).sum())


def _independent(columns: np.ndarray) -> np.ndarray:
    """Return orthogonal columns that span the same space: a predictor may be a sum of others."""
    scaled = columns / np.linalg.norm(columns, axis=0)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.sqrt(len(columns)) * left[:, values > 1e-9 * values[0]]


def performance(
    y_good: ArrayLike, updated: CrossFitted, *, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate the performance of every update in patients whom it was not fitted on.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    updated : CrossFitted
        From :func:`cross_fit`.
    n_resamples, seed : int
        Bootstrap of the Brier score and the log loss; all updates share the resamples.

    Returns
    -------
    performance : pandas.DataFrame
        ``update, metric, estimate, lower, upper, ci_method, n, n_good, n_good_fitted, note``: the last is the
        smallest number of good outcomes that a fit of the update had (none: 0; NaN for a refit that was
        passed in). Intervals take the updates as fitted.
    gains : pandas.DataFrame
        ``update, metric, difference, lower, upper, p``: Brier score and log loss minus those without an
        update, paired; below 0 the update is better.
    """
    y_good = np.asarray(y_good, int)
    wide = updated.probabilities
    fewest = updated.fits.groupby("update")["n_good"].min()
    fewest["none"] = 0
    names = list(wide)
    settings = {"n_resamples": n_resamples, "seed": seed, "stratified": False}
    boot = bootstrap.bootstrap(y_good, wide, models=names, **settings)
    areas = delong(y_good, wide, models=names)
    rows, gains = [], []
    for name in names:
        fitted = calibration.recalibrate(y_good, wide[name])
        _, distances = calibration.curve(y_good, wide[name], n_resamples=0)
        found = {
            "roc_auc": (areas.interval(name, transform="logit"), RECOMMENDED["roc_auc"]),
            "oe": (calibration.observed_to_expected(y_good, wide[name]), "log"),
            "intercept": (fitted.intercept, "Wald"),
            "slope": (fitted.slope, "Wald"),
            "ici": (Estimate(distances["ici"]), ""),
        }
        for metric in ("brier", "brier_skill", "log_loss"):
            found[metric] = (boot.interval(name, metric, method="bca"), RECOMMENDED[metric])
        for metric, (e, method) in found.items():
            note = fitted.note if metric == "slope" else ""
            counts = (boot.n, boot.n_good, float(fewest.get(name, np.nan)))
            rows.append((name, metric, e.value, e.lower, e.upper, method, *counts, note))
        for metric in ("brier", "log_loss"):
            if name != "none":
                difference, p = boot.difference(name, "none", metric)
                gains.append((name, metric, difference.value, difference.lower, difference.upper, p))
    columns = [
        "update",
        "metric",
        "estimate",
        "lower",
        "upper",
        "ci_method",
        *_COUNTS,
        "n_good_fitted",
        "note",
    ]
    found = pd.DataFrame(rows, columns=columns)
    return found, pd.DataFrame(gains, columns=["update", "metric", "difference", "lower", "upper", "p"])


def kept(chosen: Choice, y_good: ArrayLike, probability: ArrayLike) -> dict[str, Any]:
    """Return an update as it is kept, fitted on all these patients.

    Parameters
    ----------
    chosen : Choice
        The update that they support.
    y_good, probability : array-like, (patients,)
        As for :func:`fit`.

    Returns
    -------
    dict
        ``kind, n, n_good``; except for a revision, which the models themselves make, also ``intercept``,
        ``slope`` and ``edge``, as :class:`Update` has them.
    """
    if chosen.update == REVISION:
        return {"kind": REVISION, "n": len(np.asarray(y_good)), "n_good": chosen.n_good}
    return asdict(fit(y_good, probability, chosen.update))
