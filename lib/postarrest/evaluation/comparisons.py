"""Paired differences between models on the same patients."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations

import numpy as np
import pandas as pd

from postarrest.estimate import Estimate
from postarrest.evaluation.bootstrap import Bootstrap
from postarrest.evaluation.delong import DeLong
from postarrest.evaluation.discrimination import (
    METRICS,
    PROCEDURE,
    Resampled,
    bootstrap_of,
    comparable_folds,
    delong_of,
    mean_delong,
)


def comparisons(
    rows: pd.DataFrame,
    *,
    primary: Sequence[str] = (),
    resampled: Iterable[Resampled] = (),
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every pair of models in the patients scored by both.

    A model with few scored patients does not reduce the patients of the other pairs.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    primary : sequence of str
        The two models of the primary comparison, named before the results were known; none if empty.
    resampled : iterable of Resampled
        The same rows by :func:`postarrest.evaluation.discrimination.resample`, with these settings: what it
        has drawn is not drawn again.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model_a, model_b, primary, metric, positive_class, difference, lower, upper, p,
        p_holm, method, n, n_good``: a - b, paired. The AUC is compared by DeLong's test and by the bootstrap,
        the other measures by the bootstrap. Cross-validated models are also compared in the mean over their
        folds, given the fitted models and for the procedures
        (:meth:`postarrest.evaluation.delong.DeLong.for_procedure`). ``p_holm`` is corrected for all pairs of
        one set, metric and method except the primary one, which needs no correction.

    Raises
    ------
    ValueError
        If the primary comparison does not name two models that have scores.
    """
    unknown = set(primary) - set(rows["model"])
    if primary and (len(set(primary)) != 2 or unknown):
        known = ", ".join(dict.fromkeys(rows["model"]))
        raise ValueError(f"primary: found {list(primary)}; expected two of these models: {known}.")
    keys = ["outcome_label", "set"]
    drawn = {(r.outcome_label, r.set, *r.delong.models): r.bootstraps["unstratified"] for r in resampled}
    found = []
    for (outcome, name), of_set in rows.groupby(keys, sort=False):
        scored = of_set.groupby("model", sort=False)["patient_id"].agg(frozenset)
        pairs: dict[frozenset, list[tuple[str, str]]] = {}
        for a, b in combinations(scored.index, 2):
            pairs.setdefault(scored[a] & scored[b], []).append((a, b))
        for patients, of_patients in pairs.items():
            models = dict.fromkeys(chain.from_iterable(of_patients))
            common = of_set[of_set["patient_id"].isin(patients) & of_set["model"].isin(models)]
            if common["y_good"].nunique() < 2:
                continue
            boot = drawn.get((outcome, name, *models)) if (scored[list(models)] == patients).all() else None
            if boot is None:
                draws = {"n_resamples": n_resamples, "seed": seed, "stratified": False}
                boot = bootstrap_of(common, **draws, jackknife=False)
            tests, counts = _tests(common), (boot.n, boot.n_good)
            for a, b in of_patients:
                pair = (a, b, {a, b} == set(primary))
                for where, named, method, (e, p) in _results(a, b, boot, tests):
                    if not math.isnan(e.value):
                        values = (e.value, e.lower, e.upper, p, method, *counts)
                        found.append((outcome, where, *pair, *named, *values))
    columns = [*keys, "model_a", "model_b", "primary", "metric", "positive_class"]
    columns += ["difference", "lower", "upper", "p"]
    compared = pd.DataFrame(found, columns=[*columns, "method", "n", "n_good"])
    family = compared.groupby([*keys, "primary", "metric", "positive_class", "method"], sort=False)["p"]
    compared.insert(len(columns), "p_holm", family.transform(holm))
    return compared.sort_values(keys, key=_order, kind="stable", ignore_index=True)


def _order(column: pd.Series) -> pd.Series:
    """Sort by first appearance."""
    return column.map({value: i for i, value in enumerate(dict.fromkeys(column))})


def _tests(common: pd.DataFrame) -> list[tuple[str, str, DeLong]]:
    """Return (set, method, AUCs) of some models in the same patients."""
    name = common["set"].iloc[0]
    tests = [(name, "DeLong", delong_of(common))]
    if folds := comparable_folds(common):
        mean = mean_delong([delong_of(of_fold) for of_fold in folds.values()])
        tests += [("fold mean", "DeLong", mean), ("fold mean", PROCEDURE, mean.for_procedure(len(folds)))]
    return tests


def _results(
    a: str, b: str, boot: Bootstrap, tests: Sequence[tuple[str, str, DeLong]]
) -> Iterator[tuple[str, tuple[str, str], str, tuple[Estimate, float]]]:
    for where, method, aucs in tests:
        yield where, METRICS["roc_auc"], method, aucs.difference(a, b)
    for measure, named in METRICS.items():
        method = "paired bootstrap percentile, unstratified"
        yield tests[0][0], named, method, boot.difference(a, b, measure)


def holm(p: pd.Series) -> pd.Series:
    """Return P values corrected by Holm's method; missing ones are no tests.

    Examples
    --------
    >>> holm(pd.Series([0.01, None, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    # Not by statsmodels, which makes Python look for unused objects at each call: 0.15 s.
    values = p.to_numpy(dtype=float)
    order = np.argsort(values)[: p.count()]
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return pd.Series(corrected, index=p.index)
