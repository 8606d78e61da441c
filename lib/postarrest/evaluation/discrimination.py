"""How well scores tell good from poor outcomes: measures, their intervals, comparisons between models."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from postarrest import scores
from postarrest.estimate import Estimate
from postarrest.evaluation import bootstrap
from postarrest.evaluation.bootstrap import Bootstrap
from postarrest.evaluation.delong import DeLong, delong
from postarrest.evaluation.intervals import proportion_interval

# Name in the bootstrap -> name and positive class in the tables.
METRICS = {
    "roc_auc": ("roc_auc", "good"),
    "pr_auc_good": ("pr_auc", "good"),
    "pr_auc_poor": ("pr_auc", "poor"),
    "brier": ("brier", "good"),
    "brier_skill": ("brier_skill", "good"),
    "log_loss": ("log_loss", "good"),
}
# The interval that the report quotes, by what covered best in the simulation of docs/coverage.csv; where two
# cover alike, the one that needs no random numbers. A test holds these choices to that file.
RECOMMENDED = {
    "roc_auc": "DeLong logit",
    "pr_auc": "bootstrap BCa, unstratified",
    "brier": "bootstrap BCa, unstratified",
    "brier_skill": "bootstrap BCa, unstratified",
    "log_loss": "bootstrap BCa, unstratified",
    "prevalence": "Wilson",
}


@dataclass(frozen=True)
class Resampled:
    """Models of one outcome label and set that score the same patients, resampled together.

    Parameters
    ----------
    outcome_label, set : str
        Which label and set.
    bootstraps : mapping of Bootstrap
        ``stratified`` (each resample has as many good outcomes as the sample: what is asked is how the scores
        would do in another cohort with exactly so many) and ``unstratified`` (their number varies, as it
        would if patients were recruited again).
    delong : DeLong
        Areas and their covariance.
    """

    outcome_label: str
    set: str
    bootstraps: Mapping[str, Bootstrap]
    delong: DeLong


def resample(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> list[Resampled]:
    """Bootstrap all models of a scores table, those that score the same patients together.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    list of Resampled
        One an outcome label, set and group of models. Cross-validated models stand twice: ``pooled`` (all
        test patients together) and ``fold mean`` (the measures' mean over the folds, whose patients are
        resampled within their fold).
    """
    results = []
    for (outcome, name), of_set in rows.groupby(["outcome_label", "set"], sort=False):
        for group in scores.groups(of_set):
            whole = _both(group, n_resamples=n_resamples, seed=seed)
            results.append(Resampled(outcome, name, whole, delong_of(group)))
            if name == "pooled":
                folds = list(group.groupby("fold"))
                of_folds = [_both(part, n_resamples=n_resamples, seed=seed + fold) for fold, part in folds]
                means = {how: bootstrap.mean([fold[how] for fold in of_folds]) for how in whole}
                test = _mean_delong([delong_of(part) for _, part in folds])
                results.append(Resampled(outcome, "fold mean", means, test))
    return results


def _both(rows: pd.DataFrame, **settings: int) -> dict[str, Bootstrap]:
    return {
        how: bootstrap_of(rows, stratified=how == "stratified", **settings)
        for how in ("stratified", "unstratified")
    }


def bootstrap_of(rows: pd.DataFrame, **settings: int | bool) -> Bootstrap:
    """Bootstrap the models of some rows of the scores table, all of the same patients."""
    y_good, wide = scores.wide(rows)
    kinds = rows.drop_duplicates("model").set_index("model")["kind"]
    probability = (kinds.loc[wide.columns] == "probability").to_numpy()
    return bootstrap.bootstrap(y_good, wide, models=list(wide), probability=probability, **settings)


def delong_of(rows: pd.DataFrame) -> DeLong:
    """Return DeLong's variances for the models of some rows, all of the same patients."""
    y_good, wide = scores.wide(rows)
    return delong(y_good, wide, models=list(wide))


def _mean_delong(folds: Sequence[DeLong]) -> DeLong:
    # The folds' patients differ, so that their areas are independent given the fitted models.
    auc = np.mean([fold.auc for fold in folds], axis=0)
    covariance = np.sum([fold.covariance for fold in folds], axis=0) / len(folds) ** 2
    return DeLong(folds[0].models, auc, covariance)


def table(resampled: Iterable[Resampled]) -> pd.DataFrame:
    """Tabulate every threshold-free measure of every model with each kind of interval.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, metric, positive_class, estimate, lower, upper, ci_method, recommended,
        n, n_good, n_undefined, note``: one row a measure and interval. ``recommended`` marks the interval
        that the report quotes; ``n_undefined`` counts resamples in which the measure has no value.
    """
    rows = []
    for part in resampled:
        boot = part.bootstraps["unstratified"]
        base = {"outcome_label": part.outcome_label, "set": part.set, "n": boot.n, "n_good": boot.n_good}
        for model in boot.models:
            lower, upper = proportion_interval(boot.n_good, boot.n, method="wilson")
            prevalence = Estimate(boot.n_good / boot.n, float(lower), float(upper))
            rows.append(_row(base, model, "prevalence", "good", prevalence, "Wilson"))
            for measure, (metric, positive_class) in METRICS.items():
                if np.isnan(boot.estimate[boot.models.index(model), boot.measures.index(measure)]):
                    continue
                intervals = {
                    f"bootstrap {words}, {how}": (
                        drawn.interval(model, measure, method=method),
                        drawn.n_undefined(model, measure),
                    )
                    for how, drawn in part.bootstraps.items()
                    for words, method in (("percentile", "percentile"), ("BCa", "bca"))
                }
                if metric == "roc_auc":
                    intervals |= {
                        "DeLong": (part.delong.interval(model), 0),
                        "DeLong logit": (part.delong.interval(model, transform="logit"), 0),
                    }
                rows += [
                    _row(base, model, metric, positive_class, estimate, method, undefined)
                    for method, (estimate, undefined) in intervals.items()
                ]
    columns = ["outcome_label", "set", "model", "metric", "positive_class", "estimate", "lower", "upper"]
    return pd.DataFrame(rows)[[*columns, "ci_method", "recommended", "n", "n_good", "n_undefined", "note"]]


def _row(
    base: Mapping[str, object],
    model: str,
    metric: str,
    positive_class: str,
    estimate: Estimate,
    method: str,
    undefined: int = 0,
) -> dict[str, object]:
    none = math.isnan(estimate.lower)
    return {
        **base,
        "model": model,
        "metric": metric,
        "positive_class": positive_class,
        "estimate": estimate.value,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "ci_method": method,
        "recommended": RECOMMENDED[metric] == method,
        "n_undefined": undefined,
        "note": "no interval: the measure does not vary" if none else "",
    }


def quoted(performance: pd.DataFrame, model: str, metric: str, **which: str) -> Estimate:
    """Return a measure with the interval that the report quotes.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    model, metric : str
        Which; the positive class is ``good`` unless given.
    **which : str
        ``outcome``, ``set``, ``positive_class`` where the first row would not do.

    Raises
    ------
    KeyError
        If there is no such row.
    """
    wanted = {"model": model, "metric": metric, "positive_class": "good"} | which
    rows = performance[performance["recommended"]]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    if rows.empty:
        raise KeyError(f"No row of the performance table has {wanted}.")
    return Estimate(*rows[["estimate", "lower", "upper"]].iloc[0])


def aucs(performance: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, object]]:
    """Return each model's AUC in some patients with the quoted interval, as sentences need it.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one outcome label and set.

    Returns
    -------
    list of dict
        For each model ``of`` (its identifier), ``model`` (in words), ``roc_auc`` (an
        :class:`~postarrest.estimate.Estimate`) and ``patients`` (their number in words).
    """
    group = rows[["outcome_label", "set"]].drop_duplicates()
    found = performance[performance["recommended"] & (performance["metric"] == "roc_auc")].merge(group)
    return [
        {
            "of": row.model,
            "model": row.model.replace("_", " "),
            "roc_auc": Estimate(row.estimate, row.lower, row.upper),
            "patients": f"{row.n} patients, {row.n_good} of them with a good outcome",
        }
        for row in found.itertuples()
    ]


def best_model(aucs: Iterable[Mapping[str, object]]) -> str:
    """Return the model with the highest AUC, the first of equals; ``aucs`` is from :func:`aucs`."""
    return max(aucs, key=lambda auc: auc["roc_auc"].value)["of"]


def summary(performance: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model, outcome label and set, each measure in words with its quoted interval."""
    rows = performance[performance["recommended"]].copy()
    rows["text"] = [short_interval(*r) for r in rows[["estimate", "lower", "upper"]].to_numpy()]
    rows["column"] = rows["metric"].where(
        rows["metric"] != "pr_auc", "pr_auc (" + rows["positive_class"] + ")"
    )
    keys = ["outcome_label", "set", "model", "n", "n_good"]
    wide = rows.drop_duplicates([*keys, "column"]).pivot(index=keys, columns="column", values="text")
    order = ["roc_auc", "pr_auc (good)", "pr_auc (poor)", "brier", "brier_skill", "log_loss"]
    wide = wide[[c for c in order if c in wide]]
    return wide.loc[list(dict.fromkeys(map(tuple, rows[keys].to_numpy())))].fillna("").reset_index()


def short_interval(value: float, lower: float, upper: float) -> str:
    """Return an estimate with its interval, without the words "95 % CI"."""
    # "(95 % CI 0.68 to 0.82)" in every cell of a table would be hard to read.
    return str(Estimate(value, lower, upper)).replace("95 % CI ", "")


def by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each model's measures in the test patients of every outer fold.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`; those of the set ``pooled`` count.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, model, fold, n, n_good, roc_auc, pr_auc, brier``: for the good outcome; a fold is
        too small for intervals.
    """
    columns = ["outcome_label", "model", "fold", "n", "n_good", "roc_auc", "pr_auc", "brier"]
    wanted = [bootstrap.MEASURES.index(m) for m in ("roc_auc", "pr_auc_good", "brier")]
    found = []
    pooled = rows[rows["set"] == "pooled"]
    for key, of_fold in pooled.groupby(["outcome_label", "model", "fold"], sort=False):
        boot = bootstrap_of(of_fold, n_resamples=0, jackknife=False)
        found.append([*key, boot.n, boot.n_good, *boot.estimate[0, wanted]])
    return pd.DataFrame(found, columns=columns)


def spread(splits: pd.DataFrame) -> pd.DataFrame:
    """Return each model's ROC area in every repeated hold-out split.

    Parameters
    ----------
    splits : pandas.DataFrame
        From :func:`postarrest.scores.splits`.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, model, fold, n, n_good, roc_auc``.
    """
    columns = ["outcome_label", "model", "fold", "n", "n_good", "roc_auc"]
    found = [
        [*key, len(rows), int(rows["y_good"].sum()), float(delong(rows["y_good"], rows["score"]).auc[0])]
        for key, rows in splits.groupby(["outcome_label", "model", "fold"], sort=False)
    ]
    return pd.DataFrame(found, columns=columns)


def spread_summary(spread: pd.DataFrame) -> pd.DataFrame:
    """Summarise repeated splits: ``outcome_label, model, splits, first, median, lowest, highest, sd``.

    Parameters
    ----------
    spread : pandas.DataFrame
        From :func:`spread`.
    """
    by = spread.sort_values("fold", kind="stable").groupby(["outcome_label", "model"], sort=False)["roc_auc"]
    return by.agg(
        splits="size", first="first", median="median", lowest="min", highest="max", sd="std"
    ).reset_index()
