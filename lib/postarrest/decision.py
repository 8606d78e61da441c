"""Decision curves: what acting on a prediction gains, in units of good outcomes recognised."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


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
        :func:`curve`'s columns after ``outcome, set, model``.
    """
    keys = ["outcome", "set", "model"]
    parts = [
        curve(mine["y_good"], mine["score"], n_resamples=n_resamples, seed=seed).assign(
            **dict(zip(keys, key, strict=True))
        )
        for key, mine in rows[rows["kind"] == "probability"].groupby(keys, sort=False)
    ]
    columns = [*keys, "threshold", "net_benefit", "lower", "upper", "treat_all", "treat_none"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
