"""Paired differences between models on the same patients."""

import math
from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from postarrest.evaluation.bootstrap import Bootstrap
from postarrest.evaluation.delong import DeLong
from postarrest.evaluation.discrimination import METRICS, bootstrap_of, delong_of


def comparisons(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare every pair of models in the patients that both have scores of.

    A score that is known in few patients does not take the others away from the rest of the pairs.

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
        other measures by the bootstrap. ``p_holm`` is corrected for the pairs of one set, metric and method.
    """
    found = []
    for (outcome, name), of_set in rows.groupby(["outcome_label", "set"], sort=False):
        scored = of_set.groupby("model", sort=False)["patient_id"].agg(frozenset)
        pairs: dict[frozenset, list[tuple[str, str]]] = {}
        for a, b in combinations(scored.index, 2):
            pairs.setdefault(scored[a] & scored[b], []).append((a, b))
        for patients, of_patients in pairs.items():
            models = {model for pair in of_patients for model in pair}
            common = of_set[of_set["patient_id"].isin(patients) & of_set["model"].isin(models)]
            if common["y_good"].nunique() < 2:
                continue
            boot = bootstrap_of(common, n_resamples=n_resamples, seed=seed, stratified=False, jackknife=False)
            test = delong_of(common)
            base = {"outcome_label": outcome, "set": name, "n": boot.n, "n_good": boot.n_good}
            found += [base | row for a, b in of_patients for row in _differences(a, b, boot, test)]
    columns = [
        "outcome_label",
        "set",
        "model_a",
        "model_b",
        "metric",
        "positive_class",
        "difference",
        "lower",
    ]
    columns += ["upper", "p", "p_holm", "method", "n", "n_good"]
    if not found:
        return pd.DataFrame(columns=columns)
    compared = pd.DataFrame(found)
    family = compared.groupby(["outcome_label", "set", "metric", "positive_class", "method"], sort=False)["p"]
    return compared.assign(p_holm=family.transform(_holm))[columns]


def _differences(a: str, b: str, boot: Bootstrap, test: DeLong) -> Iterator[dict[str, object]]:
    for measure, (metric, positive_class) in METRICS.items():
        estimate, p = boot.difference(a, b, measure)
        results = {"paired bootstrap percentile, unstratified": (estimate, p)}
        if metric == "roc_auc":
            results = {"DeLong": test.difference(a, b)} | results
        for method, (e, p) in results.items():
            if not math.isnan(e.value):
                yield {"model_a": a, "model_b": b, "metric": metric, "positive_class": positive_class} | {
                    "difference": e.value,
                    "lower": e.lower,
                    "upper": e.upper,
                    "p": p,
                    "method": method,
                }


def _holm(p: pd.Series) -> pd.Series:
    from statsmodels.stats.multitest import multipletests

    known = p.dropna()
    if known.empty:
        return p
    return pd.Series(multipletests(known, method="holm")[1], index=known.index).reindex(p.index)
