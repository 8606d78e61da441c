"""Discrimination: measures of how well scores separate the outcomes, with intervals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
# The interval that the report quotes: the one with the best coverage in the simulation of docs/coverage.csv
# or, of equals, the one that needs no random numbers. A test compares these choices with that file.
RECOMMENDED = {
    "roc_auc": "DeLong logit",
    "pr_auc": "bootstrap BCa, unstratified",
    "brier": "bootstrap BCa, unstratified",
    "brier_skill": "bootstrap BCa, unstratified",
    "log_loss": "bootstrap BCa, unstratified",
    "prevalence": "Wilson",
}
# The interval of a cross-validated procedure instead of the models that it happened to fit.
PROCEDURE = "DeLong, for the procedure"
# In a hold-out set the split fixed the share of good outcomes to that of the cohort, so that it varies less
# than in a sample of that size and more than not at all. Where that matters, in docs/coverage-holdout.csv, is
# the Brier score and the log loss; a test compares these choices with that file.
_SPLIT = "stratified split"
RECOMMENDED_HOLDOUT = RECOMMENDED | dict.fromkeys(("brier", "log_loss"), f"bootstrap BCa, {_SPLIT}")


@dataclass(frozen=True)
class Resampled:
    """Bootstraps of the models of one outcome label and set that score the same patients.

    Parameters
    ----------
    outcome_label, set : str
        Which label and set.
    bootstraps : mapping of Bootstrap
        ``stratified`` (each resample has as many good outcomes as the sample, as if other cohorts had exactly
        this number), ``unstratified`` (their number varies, as it would if patients were recruited again)
        and, in a hold-out set, ``stratified split`` (their number varies as the prevalence of the cohort
        would, of which the split took a fixed share).
    delong : DeLong
        AUCs and their covariance.
    n_folds : int
        Number of folds of which these are means; 1 otherwise.
    """

    outcome_label: str
    set: str
    bootstraps: Mapping[str, Bootstrap]
    delong: DeLong
    n_folds: int = 1


def resample(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> list[Resampled]:
    """Bootstrap all models of a scores table; models that score the same patients share their resamples.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    list of Resampled
        One per outcome label, set and group of models. Cross-validated models have two: ``pooled`` (all test
        patients together) and ``fold mean`` (the mean of the measures over the folds, with patients resampled
        within their fold), if it is defined (:func:`comparable_folds`).
    """
    results = []
    cohorts = rows.groupby("outcome_label")["patient_id"].nunique()
    for (outcome, name), of_set in rows.groupby(["outcome_label", "set"], sort=False):
        for group in scores.groups(of_set):
            whole = _both(group, n_resamples=n_resamples, seed=seed)
            if name == "holdout":
                split = {"stratified": False, "n_cohort": int(cohorts[outcome])}
                whole[_SPLIT] = bootstrap_of(group, n_resamples=n_resamples, seed=seed, **split)
            results.append(Resampled(outcome, name, whole, delong_of(group)))
            if folds := comparable_folds(group):
                each = [_both(rows, n_resamples=n_resamples, seed=seed + k) for k, rows in folds.items()]
                means = {how: bootstrap.mean([fold[how] for fold in each]) for how in whole}
                test = mean_delong([delong_of(rows) for rows in folds.values()])
                results.append(Resampled(outcome, "fold mean", means, test, len(folds)))
    return results


def comparable_folds(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the test folds over which measures have a mean, by number; none if it is not defined.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one outcome label and set, of models that score the same
        patients.

    Returns
    -------
    dict of pandas.DataFrame
        Empty if these are not pooled folds, if the patients of a fold all have the same outcome (as when
        each fold leaves out one patient), or if the models divided the patients into different folds.
    """
    folds = {int(k): of_fold for k, of_fold in rows[rows["set"] == "pooled"].groupby("fold")}
    comparable = all(f["y_good"].nunique() == 2 and len(scores.groups(f)) == 1 for f in folds.values())
    alike = rows.groupby("fold")["model"].nunique().eq(rows["model"].nunique()).all()
    return folds if comparable and alike else {}


def _both(rows: pd.DataFrame, **settings: int) -> dict[str, Bootstrap]:
    return {
        how: bootstrap_of(rows, stratified=how == "stratified", **settings)
        for how in ("stratified", "unstratified")
    }


def bootstrap_of(rows: pd.DataFrame, **settings: int | bool) -> Bootstrap:
    """Bootstrap the models in rows of the scores table that all have the same patients."""
    y_good, wide = scores.wide(rows)
    kinds = rows.drop_duplicates("model").set_index("model")["kind"]
    probability = (kinds.loc[wide.columns] == "probability").to_numpy()
    return bootstrap.bootstrap(y_good, wide, models=list(wide), probability=probability, **settings)


def delong_of(rows: pd.DataFrame) -> DeLong:
    """Return DeLong's variances for models in rows of the scores table that all have the same patients."""
    y_good, wide = scores.wide(rows)
    return delong(y_good, wide, models=list(wide))


def mean_delong(folds: Sequence[DeLong]) -> DeLong:
    """Return the mean AUCs of disjoint test folds, with their variances given the fitted models."""
    # Given the fitted models, the AUCs of the folds are independent, since their patients differ.
    auc = np.mean([fold.auc for fold in folds], axis=0)
    covariance = np.sum([fold.covariance for fold in folds], axis=0) / len(folds) ** 2
    return DeLong(folds[0].models, auc, covariance)


def table(resampled: Iterable[Resampled]) -> pd.DataFrame:
    """Tabulate every threshold-free measure of every model with each kind of interval.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, metric, positive_class, estimate, lower, upper, ci_method, recommended,
        n, n_good, n_undefined, note``: one row per measure and interval. ``recommended`` marks the interval
        that the report quotes; ``n_undefined`` is the number of resamples in which the measure is undefined.
    """
    found = []
    for part in resampled:
        boot = part.bootstraps["unstratified"]
        key, counts = (part.outcome_label, part.set), (boot.n, boot.n_good)
        limits = proportion_interval(boot.n_good, boot.n, method="wilson")
        prevalence = Estimate(boot.n_good / boot.n, *map(float, limits))
        for model in boot.models:
            rows = [("prevalence", "good", "Wilson", prevalence, 0)]
            for measure, named in METRICS.items():
                rows += [(*named, *interval) for interval in _intervals(part, model, measure)]
            quoted = RECOMMENDED_HOLDOUT if part.set == "holdout" else RECOMMENDED
            if _is_procedure(part, model):
                quoted = quoted | {"roc_auc": PROCEDURE}
            for metric, positive_class, method, e, undefined in rows:
                row = (*key, model, metric, positive_class, e.value, e.lower, e.upper)
                found.append((*row, method, quoted[metric] == method, *counts, undefined))
    columns = ["outcome_label", "set", "model", "metric", "positive_class", "estimate", "lower", "upper"]
    columns += ["ci_method", "recommended", "n", "n_good", "n_undefined"]
    table = pd.DataFrame(found, columns=columns)
    return table.assign(note=np.where(table["lower"].isna(), "no interval: the measure does not vary", ""))


def _intervals(part: Resampled, model: str, measure: str) -> Iterator[tuple[str, Estimate, int]]:
    """Yield (method, estimate, undefined resamples) for each kind of interval of a measure, if defined."""
    for how, boot in part.bootstraps.items():
        if np.isnan(boot.values(model, measure)[0]):
            return
        for words, method in (("percentile", "percentile"), ("BCa", "bca")):
            estimate = boot.interval(model, measure, method=method)
            yield f"bootstrap {words}, {how}", estimate, boot.n_undefined(model, measure)
    if measure == "roc_auc":
        yield "DeLong", part.delong.interval(model), 0
        yield "DeLong logit", part.delong.interval(model, transform="logit"), 0
        if _is_procedure(part, model):
            procedure = part.delong.for_procedure(part.n_folds)
            yield PROCEDURE, procedure.interval(model, transform="logit"), 0


def _is_procedure(part: Resampled, model: str) -> bool:
    """Return whether these are means over the folds of a model that was trained in each of them."""
    # Only markers, which are not trained, have no Brier score.
    return part.n_folds > 1 and not np.isnan(part.bootstraps["unstratified"].values(model, "brier")[0])


def quoted(performance: pd.DataFrame, model: str, metric: str, **which: str) -> Estimate:
    """Return a measure with the interval that the report quotes.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    model, metric : str
        Which measure of which model; the positive class is ``good`` unless given.
    **which : str
        ``outcome_label``, ``set``, ``positive_class``; by default those of the first row.

    Raises
    ------
    KeyError
        If there is no such row.
    """
    wanted = {"recommended": True, "model": model, "metric": metric, "positive_class": "good"} | which
    rows = performance[(performance[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if rows.empty:
        raise KeyError(f"No row of the performance table has {wanted}.")
    return Estimate(*rows[["estimate", "lower", "upper"]].iloc[0])


def aucs(performance: pd.DataFrame, rows: pd.DataFrame) -> list[dict[str, object]]:
    """Return the AUC of each model with its quoted interval, for use in sentences.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one outcome label and set.

    Returns
    -------
    list of dict
        For each model ``of`` and ``model`` (its identifier), ``roc_auc`` (an
        :class:`~postarrest.estimate.Estimate`) and ``patients`` (their number in words).
    """
    found = scores.in_group(performance, scores.group_of(rows))
    found = found[found["recommended"] & (found["metric"] == "roc_auc")]
    return [
        {
            "of": row.model,
            "model": row.model,
            "roc_auc": Estimate(row.estimate, row.lower, row.upper),
            "patients": f"{row.n} patients, {row.n_good} of them with a good outcome",
        }
        for row in found.itertuples()
    ]


def main_model(models: Sequence[str], focus: str = "") -> str:
    """Return the main model: ``focus`` if given and present, or that of a paper; not chosen by its results.

    Examples
    --------
    >>> main_model(["ohca", "ensemble"]), main_model(["gwr_av", "gwr_bg"]), main_model(["ct", "cnn"], "ct")
    ('ensemble', 'gwr_av', 'ct')
    """
    return next(model for model in (focus, "ensemble", "cnn", *models) if model in set(models))


def summary(performance: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model, outcome label and set: each measure with its quoted interval as text."""
    rows = performance[performance["recommended"]].copy()
    rows["text"] = [short_interval(*r) for r in rows[["estimate", "lower", "upper"]].to_numpy()]
    pr_auc = rows["metric"] == "pr_auc"
    rows["column"] = rows["metric"].mask(pr_auc, "pr_auc (" + rows["positive_class"] + ")")
    keys = ["outcome_label", "set", "model", "n", "n_good"]
    wide = rows.pivot(index=keys, columns="column", values="text")
    order = ["roc_auc", "pr_auc (good)", "pr_auc (poor)", "brier", "brier_skill", "log_loss"]
    wide = wide[[c for c in order if c in wide]]
    return wide.reindex(pd.MultiIndex.from_frame(rows[keys].drop_duplicates())).fillna("").reset_index()


def short_interval(value: float, lower: float, upper: float) -> str:
    """Return an estimate and its interval as a table saves them: no "95 % CI", and a hyphen as the minus."""
    return str(Estimate(value, lower, upper)).replace("95 % CI ", "").replace("\N{MINUS SIGN}", "-")


def by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the measures of each model in the test patients of every outer fold.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`; only those of the set ``pooled`` are used.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, model, fold, n, n_good, roc_auc, pr_auc, brier`` for the good outcome, without
        intervals, since a fold is too small. A fold whose patients all have the same outcome has no row: it
        has no AUC, and if it is a single patient, the others would be that patient's outcome and score.
    """
    columns = ["outcome_label", "model", "fold", "n", "n_good", "roc_auc", "pr_auc", "brier"]
    wanted = [bootstrap.MEASURES.index(m) for m in ("roc_auc", "pr_auc_good", "brier")]
    found = []
    pooled = rows[rows["set"] == "pooled"]
    for key, of_fold in pooled.groupby(["outcome_label", "model", "fold"], sort=False):
        if of_fold["y_good"].nunique() < 2:
            continue
        boot = bootstrap_of(of_fold, n_resamples=0, jackknife=False)
        found.append([*key, boot.n, boot.n_good, *boot.estimate[0, wanted]])
    return pd.DataFrame(found, columns=columns)


def spread(splits: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC of each model in every repeated hold-out split.

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
    summary = {"splits": "size", "first": "first", "median": "median"}
    return by.agg(**summary, lowest="min", highest="max", sd="std").reset_index()
