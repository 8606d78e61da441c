"""Decision curves: what acting on a prediction gains, in units of good outcomes recognised."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from postarrest.estimate import Estimate
from postarrest.evaluation import intervals, thresholds


def curve(
    y_good: ArrayLike,
    probability: ArrayLike,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    step: float = 0.01,
) -> pd.DataFrame:
    """Return the net benefit of treating those predicted good at each threshold (Vickers 2006).

    Net benefit = TP / n - FP / n * t / (1 - t), with the good outcome positive: one unit is a good outcome
    recognised, and the threshold t says that missing one weighs as much as (1 - t) / t poor outcomes taken
    for good.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    probability : array-like of float, (patients,)
        Predicted probability of a good outcome.
    n_resamples, seed : int
        Bootstrap of patients (not stratified: the prevalence is part of the net benefit).
    level : float
        Coverage of the pointwise band.
    step : float
        Distance of the thresholds, which run from one step to one step below 1.

    Returns
    -------
    pandas.DataFrame
        ``threshold, net_benefit, lower, upper, treat_all, treat_none``.

    Examples
    --------
    >>> curve([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], step=0.25).round(2).iloc[1, :2].tolist()
    [0.5, 0.0]
    """
    y_good, probability = np.asarray(y_good, int), np.asarray(probability, float)
    grid = np.arange(1, round(1 / step)) * step
    # Between two thresholds all patients of one outcome count alike, so a bootstrap of patients is a
    # multinomial draw of how many fall there. Rounding: a prediction of 0.29 reaches the threshold 0.29.
    reached = np.searchsorted(grid, probability + 1e-12, "right")
    cells = np.stack([np.bincount(reached[y_good == y], minlength=len(grid) + 1) for y in (0, 1)])
    n = len(y_good)
    drawn = np.random.default_rng(seed).multinomial(n, cells.ravel() / n, n_resamples)
    drawn = drawn.reshape(n_resamples, 2, len(grid) + 1)

    def net_benefit(counts: np.ndarray) -> np.ndarray:
        # Predicted good at a threshold are all who reach it.
        false, true = np.moveaxis(counts[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:], -2, 0)
        return (true - false * grid / (1 - grid)) / n

    lower, upper = np.quantile(net_benefit(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    prevalence = y_good.mean()
    odds = grid / (1 - grid)
    return pd.DataFrame(
        {
            "threshold": grid,
            "net_benefit": net_benefit(cells),
            "lower": lower,
            "upper": upper,
            "treat_all": prevalence - (1 - prevalence) * odds,
            "treat_none": 0.0,
        }
    )


def table(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return the decision curve of every model that gives probabilities.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one stage.

    Returns
    -------
    pandas.DataFrame
        :func:`curve`'s columns after ``outcome_label, set, model``.
    """
    keys = ["outcome_label", "set", "model"]
    parts = [
        curve(mine["y_good"], mine["score"], n_resamples=n_resamples, seed=seed).assign(
            **dict(zip(keys, key, strict=True))
        )
        for key, mine in rows[rows["kind"] == "probability"].groupby(keys, sort=False)
    ]
    columns = [*keys, "threshold", "net_benefit", "lower", "upper", "treat_all", "treat_none"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def at_thresholds(judged: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Tabulate what decisions are worth, for both classes, each with its interval.

    Parameters
    ----------
    judged : pandas.DataFrame
        From :func:`postarrest.evaluation.thresholds.table`.
    n_resamples, seed : int
        Bootstrap of F1, F2 and balanced accuracy.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, rule, chosen_on, threshold, metric, positive_class, estimate, lower,
        upper, ci_method, n, n_good``. With ``positive_class`` poor, the sensitivity is the share of poor
        outcomes predicted poor, the PPV the share of poor outcomes among those predicted poor, and so on.
        Proportions have Clopper-Pearson intervals, likelihood ratios the log method's (Simel 1991).

    Notes
    -----
    At a given threshold a patient counts only by the cell he falls into, so a bootstrap of patients is a
    multinomial draw of the four cells.
    """
    found = []
    keys = ["outcome_label", "set", "model", "rule", "chosen_on", "threshold", "n", "n_good"]
    for position, row in enumerate(judged.dropna(subset="tp").to_dict("records")):
        cells = [int(row[c]) for c in ("tp", "fp", "fn", "tn")]
        stream = np.random.default_rng([seed, position])
        drawn = stream.multinomial(sum(cells), np.array(cells) / sum(cells), n_resamples).T
        label = {key: row[key] for key in keys}
        for positive_class, order in (("good", [0, 1, 2, 3]), ("poor", [3, 2, 1, 0])):
            found += [
                label
                | {"metric": metric, "positive_class": positive_class, "estimate": e.value}
                | {"lower": e.lower, "upper": e.upper, "ci_method": method}
                for metric, method, e in _decision(*(cells[i] for i in order), drawn[order])
            ]
    columns = [*keys[:6], "metric", "positive_class", "estimate", "lower", "upper", "ci_method", *keys[6:]]
    return pd.DataFrame(found, columns=columns)


def _decision(tp: int, fp: int, fn: int, tn: int, drawn: np.ndarray) -> list[tuple[str, str, Estimate]]:
    value = {name: float(v) for name, v in thresholds.rates(tp, fp, fn, tn).items()}
    proportions = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
    }
    found = []
    for name, (count, n) in proportions.items():
        lower, upper = intervals.proportion_interval(count, n)
        found.append((name, "Clopper-Pearson", Estimate(value[name], float(lower), float(upper))))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = {
            "lr_positive": np.sqrt(1 / np.float64(tp) - 1 / (tp + fn) + 1 / np.float64(fp) - 1 / (fp + tn)),
            "lr_negative": np.sqrt(1 / np.float64(fn) - 1 / (tp + fn) + 1 / np.float64(tn) - 1 / (fp + tn)),
        }
    for name, error in spread.items():
        limits = [np.nan, np.nan]
        if np.isfinite(error) and np.isfinite(value[name]) and value[name] > 0:
            limits = np.exp(np.log(value[name]) + norm.ppf([0.025, 0.975]) * error)
        found.append((name, "log method", Estimate(value[name], float(limits[0]), float(limits[1]))))
    resampled = thresholds.rates(*drawn)
    for name in ("f1", "f2", "balanced_accuracy"):
        found.append((name, "bootstrap percentile", intervals.interval(value[name], resampled[name])))
    return found
