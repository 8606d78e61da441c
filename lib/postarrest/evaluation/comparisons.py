"""Paired differences between models on the same patients."""

import math
from collections.abc import Iterator
from itertools import chain, combinations

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.evaluation.bootstrap import Bootstrap
from postarrest.evaluation.delong import DeLong
from postarrest.evaluation.discrimination import METRICS, bootstrap_of, delong_of


def comparisons(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare every pair of models in the patients scored by both.

    A model with few scored patients does not reduce the patients of the other pairs.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model_a, model_b, metric, positive_class, difference, lower, upper, p, p_holm,
        method, n, n_good``: a - b, paired. The AUC is compared by DeLong's test and by the bootstrap, the
        other measures by the bootstrap. ``p_holm`` is corrected for all pairs of one set, metric and method.
    """
    keys = ["outcome_label", "set"]
    found = []
    for (outcome, name), of_set in rows.groupby(keys, sort=False):
        scored = of_set.groupby("model", sort=False)["patient_id"].agg(frozenset)
        pairs: dict[frozenset, list[tuple[str, str]]] = {}
        for a, b in combinations(scored.index, 2):
            pairs.setdefault(scored[a] & scored[b], []).append((a, b))
        for patients, of_patients in pairs.items():
            models = set(chain.from_iterable(of_patients))
            common = of_set[of_set["patient_id"].isin(patients) & of_set["model"].isin(models)]
            if common["y_good"].nunique() < 2:
                continue
            boot = bootstrap_of(common, n_resamples=n_resamples, seed=seed, stratified=False, jackknife=False)
            test = delong_of(common)
            found += [
                (outcome, name, a, b, *named, e.value, e.lower, e.upper, p, method, boot.n, boot.n_good)
                for a, b in of_patients
                for named, method, (e, p) in _differences(a, b, boot, test)
                if not math.isnan(e.value)
            ]
    columns = [*keys, "model_a", "model_b", "metric", "positive_class", "difference", "lower", "upper", "p"]
    compared = pd.DataFrame(found, columns=[*columns, "method", "n", "n_good"])
    family = compared.groupby([*keys, "metric", "positive_class", "method"], sort=False)["p"]
    compared.insert(len(columns), "p_holm", family.transform(_holm))
    return compared


def _differences(
    a: str, b: str, boot: Bootstrap, test: DeLong
) -> Iterator[tuple[tuple[str, str], str, tuple[Estimate, float]]]:
    yield METRICS["roc_auc"], "DeLong", test.difference(a, b)
    for measure, named in METRICS.items():
        yield named, "paired bootstrap percentile, unstratified", boot.difference(a, b, measure)


def _holm(p: pd.Series) -> pd.Series:
    from statsmodels.stats.multitest import multipletests

    known = p.dropna()
    corrected = multipletests(known, method="holm")[1] if len(known) else []
    return pd.Series(corrected, index=known.index, dtype=float).reindex(p.index)
