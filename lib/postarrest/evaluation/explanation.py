"""Importance of predictors: the mean size of their contributions, and how stable its ranking is."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from postarrest.evaluation.intervals import interval


def importance(contributions: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Rank the predictors of each model by the mean absolute contribution to the log odds.

    Parameters
    ----------
    contributions : pandas.DataFrame
        ``model, fold, patient_id, predictor, contribution``; each patient is a test patient of one fold.
    n_resamples, seed : int
        Bootstrap of patients.

    Returns
    -------
    pandas.DataFrame
        ``model, predictor, n, mean_abs, lower, upper, rank, rank_sd, rank_min, rank_max``: the mean over all
        patients with its percentile interval, given the fitted models; its rank (1 is the largest); standard
        deviation and range of the ranks in the single folds.

    Examples
    --------
    >>> rows = pd.DataFrame({"model": "m", "fold": [1, 1, 2, 2], "patient_id": list("aabb"),
    ...                      "predictor": ["x", "z"] * 2, "contribution": [0.5, -0.1, -0.7, 0.0]})
    >>> importance(rows)[["predictor", "mean_abs", "rank", "rank_sd"]]
      predictor  mean_abs  rank  rank_sd
    0         x      0.60     1      0.0
    1         z      0.05     2      0.0
    """
    columns = ["model", "predictor", "n", "mean_abs", "lower", "upper"]
    found = [pd.DataFrame(columns=[*columns, "rank", "rank_sd", "rank_min", "rank_max"])]
    for model, mine in contributions.groupby("model", sort=False):
        sizes = mine.assign(size=mine["contribution"].abs())
        wide = sizes.pivot(index="patient_id", columns="predictor", values="size").astype(float)
        n = len(wide)
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_resamples) @ wide / n
        means = wide.mean()
        limits = [interval(means[p], drawn[p].to_numpy()) for p in wide]
        table = pd.DataFrame({"mean_abs": means}).assign(model=model, n=n)
        table = table.assign(lower=[e.lower for e in limits], upper=[e.upper for e in limits])
        ranks = fold_ranks(mine)
        table = table.assign(rank=means.rank(ascending=False, method="first").astype(int))
        table = table.assign(rank_sd=ranks.std(), rank_min=ranks.min(), rank_max=ranks.max())
        found.append(table.sort_values("rank").rename_axis("predictor").reset_index()[found[0].columns])
    return pd.concat(found[1:] or found, ignore_index=True)


def fold_ranks(contributions: pd.DataFrame) -> pd.DataFrame:
    """Return the rank of each predictor of one model in each fold: folds by predictors, 1 is the largest."""
    sizes = contributions.assign(size=contributions["contribution"].abs())
    means = sizes.groupby(["fold", "predictor"])["size"].mean().unstack("predictor")
    return means.rank(axis=1, ascending=False, method="first").astype(int)


def agreement(contributions: pd.DataFrame) -> list[dict[str, object]]:
    """Return how well the folds agree on the ranking of each model's predictors.

    Returns
    -------
    list of dict
        For each model ``of``, ``model`` (in words), ``n_folds`` and ``spearman``, the mean rank correlation
        of two folds (1: the same ranking); NaN with one fold or one predictor.
    """
    found = []
    for model, mine in contributions.groupby("model", sort=False):
        ranks = fold_ranks(mine)
        enough = min(ranks.shape) > 1
        pairs = combinations(ranks.to_numpy(), 2) if enough else []
        each = [float(spearmanr(a, b).statistic) for a, b in pairs]
        about = {"of": model, "model": str(model), "n_folds": len(ranks)}
        found.append(about | {"spearman": float(np.mean(each)) if each else float("nan")})
    return found
