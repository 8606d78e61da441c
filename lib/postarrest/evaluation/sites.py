"""Hospitals: discrimination and calibration in each, a summary, and what to expect in the next one.

Each site first becomes a record of a few numbers (:func:`measure`), and all the rest is computed from these
records. So sites that share only their records (:mod:`postarrest.evaluation.network`) give the same tables
as their patients would.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm

from postarrest.describe import hide_small_counts
from postarrest.describe.sites import FEWEST, why_not
from postarrest.estimate import Estimate
from postarrest.evaluation import calibration
from postarrest.evaluation.confusion import confusion, tabulate
from postarrest.evaluation.delong import delong
from postarrest.evaluation.random_effects import combine
from postarrest.evaluation.thresholds import RULES, choose

RECORD = ("n", "n_good", "auc", "auc_variance", "expected", "intercept", "intercept_se", "slope", "slope_se")

# What a report says of the models that score the patients, by whether their hospital was left out.
DESIGNS = {
    True: "{n} patients of {n_sites} hospitals. **Internal-external cross-validation**: the patients of each "
    "hospital are scored by models fitted without that hospital.",
    False: "{n} patients of {n_sites} hospitals. The scores are the pooled test scores of the study's own "
    "splits, whose models **were fitted on other patients of the same hospitals**. A new hospital can differ "
    "more than these results show; `splits: {{by: site}}` leaves one hospital out in turn.",
}


@dataclass(frozen=True)
class Scale:
    """The scale on which a measure is about normal.

    Parameters
    ----------
    of_record : callable
        Returns the effect and its standard error from a record.
    back : callable
        Returns the measure from the effect.
    ideal : float
        The measure of a perfectly calibrated model, or that of chance for the AUC.
    """

    of_record: Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]
    back: Callable[[ArrayLike], np.ndarray]
    ideal: float


def _logit_auc(record: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    auc = record["auc"]
    # The delta method: the derivative of the logit is 1 / (a (1 - a)).
    return logit(auc), np.sqrt(record["auc_variance"]) / (auc * (1 - auc))


def _log_oe(record: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    observed = record["n_good"]
    return np.log(observed / record["expected"]), np.sqrt((1 - observed / record["n"]) / observed)


METRICS = {
    "roc_auc": Scale(_logit_auc, expit, 0.5),
    "oe": Scale(_log_oe, np.exp, 1.0),
    "intercept": Scale(lambda record: (record["intercept"], record["intercept_se"]), np.asarray, 0.0),
    "slope": Scale(lambda record: (record["slope"], record["slope_se"]), np.asarray, 1.0),
}


def measure(y_good: ArrayLike, score: ArrayLike, *, probability: bool) -> dict[str, float]:
    """Return the record of one model in one site.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome, with patients of both.
    score : array-like of float, (patients,)
        Scores.
    probability : bool
        Whether they are probabilities; a marker is not calibrated.

    Returns
    -------
    dict of float
        :data:`RECORD`: the AUC with DeLong's variance, the sum of the probabilities (``expected``),
        calibration intercept and slope with their standard errors; NaN where undefined.

    Examples
    --------
    >>> found = measure([0, 0, 1, 0, 1, 1], [0.1, 0.6, 0.4, 0.2, 0.7, 0.8], probability=True)
    >>> round(found["auc"], 3), round(found["expected"], 1), round(found["slope"], 2)
    (0.889, 2.8, 1.56)
    """
    y_good, score = np.asarray(y_good, int), np.asarray(score, float)
    area = delong(y_good, score)
    found = dict.fromkeys(RECORD, np.nan) | {"n": len(y_good), "n_good": int(y_good.sum())}
    found |= {"auc": float(area.auc[0]), "auc_variance": float(area.covariance[0, 0])}
    if not probability:
        return found
    again = calibration.recalibrate(y_good, score)
    z = 2 * norm.ppf(0.975)
    return found | {
        "expected": float(score.sum()),
        "intercept": again.intercept.value,
        "intercept_se": (again.intercept.upper - again.intercept.lower) / z,
        "slope": again.slope.value,
        "slope_se": (again.slope.upper - again.slope.lower) / z,
    }


def records(rows: pd.DataFrame, *, fewest: int = FEWEST) -> pd.DataFrame:
    """Return the record of every model in every site.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.main` with a column ``site`` from
        :func:`postarrest.describe.sites.names`.
    fewest : int
        A site with fewer patients of either outcome has counts only.

    Returns
    -------
    pandas.DataFrame
        ``model, kind, site``, :data:`RECORD` and ``note``, which says why a site has counts only.
    """
    found = []
    for (model, kind, site), mine in rows.groupby(["model", "kind", "site"], sort=False):
        counts = len(mine), int(mine["y_good"].sum())
        note = why_not(site, counts[1], counts[0] - counts[1], fewest=fewest)
        record = dict.fromkeys(RECORD, np.nan) | dict(zip(("n", "n_good"), counts, strict=True))
        if not note:
            record = measure(mine["y_good"], mine["score"], probability=kind == "probability")
        found.append({"model": model, "kind": kind, "site": site} | record | {"note": note})
    return pd.DataFrame(found, columns=["model", "kind", "site", *RECORD, "note"])


def effects(records: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return each measure of each model in each site with its interval.

    Parameters
    ----------
    records : pandas.DataFrame
        From :func:`records`.
    level : float
        Coverage aimed at.

    Returns
    -------
    pandas.DataFrame
        ``model, metric, site, estimate, lower, upper, effect, se, n, n_good, note``: ``effect`` and ``se``
        are on the scale of the summary (logit of the AUC, logarithm of O:E). Markers have an AUC only.
    """
    z, parts = norm.ppf((1 + level) / 2), []
    for metric, scale in METRICS.items():
        mine = records if metric == "roc_auc" else records[records["kind"] == "probability"]
        with np.errstate(divide="ignore", invalid="ignore"):
            effect, error = scale.of_record(mine)
        # Rounding leaves a variance of 1e-18 where there is none: scores that separate the outcomes.
        defined = np.isfinite(effect) & (error > 1e-8)
        effect, error = effect.where(defined), error.where(defined)
        limits = {"estimate": effect, "lower": effect - z * error, "upper": effect + z * error}
        note = mine["note"].mask(~defined & (mine["note"] == ""), "not defined in this site")
        values = {name: scale.back(value) for name, value in limits.items()}
        of = mine[["model", "site"]].assign(metric=metric, **values, effect=effect, se=error)
        parts.append(of.assign(n=mine["n"], n_good=mine["n_good"], note=note))
    order = ["model", "metric", "site", "estimate", "lower", "upper", "effect", "se", "n", "n_good", "note"]
    table = pd.concat(parts)[order]
    # Model by model: stable, so that measures and sites keep their order.
    models = {model: place for place, model in enumerate(dict.fromkeys(records["model"]))}
    return table.sort_values("model", key=lambda m: m.map(models), kind="stable", ignore_index=True)


def summary(effects: pd.DataFrame) -> pd.DataFrame:
    """Summarise each measure over the sites by random effects.

    Parameters
    ----------
    effects : pandas.DataFrame
        From :func:`effects`.

    Returns
    -------
    pandas.DataFrame
        ``model, metric, n_sites, estimate, lower, upper, next_lower, next_upper, between_sd,
        between_sd_lower, between_sd_upper, q, p_heterogeneity, note``: the mean over sites with its 95 %
        interval, the 95 % prediction interval for the next hospital, and the standard deviation between
        sites on the scale of the effect.
    """
    found = []
    for (model, metric), mine in effects.groupby(["model", "metric"], sort=False):
        known = mine.dropna(subset="effect")
        row = {"model": model, "metric": metric, "n_sites": len(known)}
        if known.empty:
            found.append(row | {"note": "defined in no site"})
            continue
        pooled, back = combine(known["effect"], known["se"] ** 2), METRICS[metric].back
        e, ahead, sd = pooled.mean, pooled.prediction, pooled.between_sd
        row |= {"estimate": back(e.value), "lower": back(e.lower), "upper": back(e.upper)}
        row |= {"next_lower": back(ahead.lower), "next_upper": back(ahead.upper)}
        row |= {"between_sd": sd.value, "between_sd_lower": sd.lower, "between_sd_upper": sd.upper}
        row |= {"q": pooled.q, "p_heterogeneity": pooled.p_heterogeneity}
        few = "" if len(known) > 2 else "a prediction needs three sites"
        found.append({k: v if isinstance(v, str | int) else float(v) for k, v in row.items()} | {"note": few})
    columns = ["model", "metric", "n_sites", "estimate", "lower", "upper", "next_lower", "next_upper"]
    columns += ["between_sd", "between_sd_lower", "between_sd_upper", "q", "p_heterogeneity", "note"]
    return pd.DataFrame(found, columns=columns)


def best_model(summary: pd.DataFrame) -> str:
    """Return the model with the highest mean AUC over the sites, the first where none has one."""
    aucs = summary[summary["metric"] == "roc_auc"].set_index("model")["estimate"].astype(float)
    return str(aucs.fillna(-1.0).idxmax())


def sentences(summary: pd.DataFrame, *, model: str) -> list[dict[str, object]]:
    """Return what a report states of one model: the mean over sites, and the next hospital.

    Parameters
    ----------
    summary : pandas.DataFrame
        From :func:`summary`.
    model : str
        Which model.

    Returns
    -------
    list of dict
        ``template`` and the numbers in it, one for each measure that has a mean.
    """
    words = {"roc_auc": "AUC", "oe": "O:E", "slope": "calibration slope"}
    found = []
    for row in summary[summary["model"] == model].dropna(subset="estimate").itertuples():
        if row.metric not in words:
            continue
        name = str(row.metric)
        template = f"**{words[name]}**: mean {{{name}}} over {{{name}_sites}} hospitals"
        numbers = {name: Estimate(row.estimate, row.lower, row.upper), f"{name}_sites": row.n_sites}
        if not np.isnan(row.next_lower):
            template += f"; in the next one, between {{{name}_next_lower}} and {{{name}_next_upper}} (95 %)"
            numbers |= {f"{name}_next_lower": row.next_lower, f"{name}_next_upper": row.next_upper}
        found.append({"template": template + " ([](#tab-sites-summary)).", **numbers})
    return found


def shown(effects: pd.DataFrame, counted: pd.DataFrame) -> pd.DataFrame:
    """Return the effects as a report shows them: the numbers of hidden patients left out.

    Parameters
    ----------
    effects : pandas.DataFrame
        From :func:`effects`.
    counted : pandas.DataFrame
        From :func:`postarrest.describe.sites.counts`, where small counts are hidden.
    """
    open_sites = counted.loc[counted["good"].str.isdigit() & counted["poor"].str.isdigit(), "site"]
    return effects.assign(n_good=effects["n_good"].where(effects["site"].isin(open_sites)))


def at_thresholds(
    rows: pd.DataFrame, table: pd.DataFrame, *, fixed: Mapping[str, tuple[str, float]] | None = None
) -> pd.DataFrame:
    """Count the decisions of every model in every site at thresholds that were not chosen on these patients.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.main` with a column ``site``.
    table : pandas.DataFrame
        The scores table, whose ``train_oof`` rows of each fold its thresholds are chosen on.
    fixed : mapping of (str, float)
        Prespecified thresholds, as for :func:`postarrest.evaluation.thresholds.table`.

    Returns
    -------
    pandas.DataFrame
        ``model, rule, chosen_on, site, threshold, tp, fp, fn, tn``: of several folds' thresholds, the median.
        A rule without a threshold in a fold is left out.
    """
    found = []
    for model, mine in rows.groupby("model", sort=False):
        for rule, chosen_on, of_fold in _thresholds(str(model), mine, table, fixed or {}):
            if np.isnan(list(of_fold.values())).any():
                continue
            for site, here in mine.groupby("site", sort=False):
                parts = [
                    confusion(part["y_good"], part["score"], [of_fold[fold]])
                    for fold, part in here.groupby("fold")
                ]
                counts = [int(count) for count in np.sum(parts, axis=0)[:, 0]]
                middle = float(np.median([of_fold[fold] for fold in here["fold"]]))
                found.append((model, rule, chosen_on, site, middle, *counts))
    columns = ["model", "rule", "chosen_on", "site", "threshold", "tp", "fp", "fn", "tn"]
    return pd.DataFrame(found, columns=columns)


def _thresholds(
    model: str, mine: pd.DataFrame, table: pd.DataFrame, fixed: Mapping[str, tuple[str, float]]
) -> Iterator[tuple[str, str, dict[int, float]]]:
    """Yield (rule, chosen on, threshold of each fold) for a model."""
    kind, folds = mine["kind"].iloc[0], mine["fold"].unique()
    same = (table["model"] == model) & (table["outcome_label"] == mine["outcome_label"].iloc[0])
    training = table[same & (table["stage"] == "final") & (table["role"] == "train_oof")]
    of_fold = dict(list(training.groupby("fold")))
    if set(folds) <= set(of_fold):
        for rule in RULES:
            chosen = {f: choose(of_fold[f]["y_good"], of_fold[f]["score"], rule).threshold for f in folds}
            yield rule, "train_oof", chosen
    for rule, (which, threshold) in fixed.items():
        if which == kind or fnmatchcase(model, which):
            yield rule, "fixed", dict.fromkeys(folds, float(threshold))


def accuracy(decisions: pd.DataFrame, *, mask_below: int = 0) -> pd.DataFrame:
    """Add the accuracy to decisions, and a row of all sites together.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`at_thresholds`.
    mask_below : int
        Counts from 1 to below this are hidden, and what could be computed from them.

    Returns
    -------
    pandas.DataFrame
        ``model, rule, chosen_on, site, threshold, tp, fp, fn, tn, sensitivity, specificity, ppv, npv, fnr,
        fnr_upper``; with ``mask_below``, counts are text.
    """
    keys, cells = ["model", "rule", "chosen_on"], ["tp", "fp", "fn", "tn"]
    parts, shown = [], []
    for key, mine in decisions.groupby(keys, sort=False):
        total = pd.DataFrame([dict(zip(keys, key, strict=True))]).assign(site="all sites")
        total = total.assign(threshold=mine["threshold"].median(), **mine[cells].sum())
        parts += [mine, total]
        # The total is shown, so that a single hidden site would follow by subtraction.
        shown += [_hidden(part[cells].to_numpy(), mask_below) for part in (mine, total)]
    if not parts:
        return decisions
    every = pd.concat(parts, ignore_index=True)
    values = tabulate(every["threshold"].to_numpy(), *(every[cell].to_numpy() for cell in cells))
    table = pd.concat([every[[*keys, "site"]], values], axis=1)
    if not mask_below:
        return table
    texts = np.concatenate(shown).astype(str)
    known = pd.DataFrame(np.char.isdigit(texts), columns=cells)
    rates = {"sensitivity": ["tp", "fn"], "fnr": ["tp", "fn"], "fnr_upper": ["tp", "fn"]}
    rates |= {"specificity": ["fp", "tn"], "ppv": ["tp", "fp"], "npv": ["fn", "tn"]}
    for rate, needed in rates.items():
        table[rate] = table[rate].where(known[needed].all(axis=1))
    return table.assign(**dict(zip(cells, texts.T, strict=True)))


def _hidden(counts: np.ndarray, below: int) -> np.ndarray:
    """Hide small counts of decisions (sites, cells), each outcome's number of patients being known."""
    texts = counts.astype(object)
    for outcome in ([0, 2], [1, 3]):
        texts[:, outcome] = hide_small_counts(counts[:, outcome], below=below)
    return texts
