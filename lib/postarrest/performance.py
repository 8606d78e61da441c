"""How well scores tell good from poor outcomes: measures, their intervals, comparisons between models."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from postarrest import bootstrap, scores, thresholds
from postarrest.bootstrap import Bootstrap
from postarrest.estimate import Estimate

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
class DeLong:
    """ROC areas of several models in the same patients, with their covariance (DeLong 1988).

    Parameters
    ----------
    models : tuple of str
        Names of the models.
    auc : numpy.ndarray
        ROC areas, (models,).
    covariance : numpy.ndarray
        Their covariance, (models, models); NaN with fewer than two patients of an outcome.
    """

    models: tuple[str, ...]
    auc: np.ndarray
    covariance: np.ndarray

    def interval(self, model: str, *, transform: str = "none", level: float = 0.95) -> Estimate:
        """Return an area with its interval.

        Parameters
        ----------
        model : str
            Which.
        transform : str
            ``"none"`` (symmetric, cut at 0 and 1, as R's pROC) or ``"logit"`` (symmetric on the logit scale,
            so that it stays between 0 and 1).
        level : float
            Coverage aimed at.

        Returns
        -------
        Estimate
            Without limits where the variance is 0: perfect or constant scores.
        """
        if transform not in ("none", "logit"):
            raise ValueError(f"The transform is {transform!r}, expected 'none' or 'logit'.")
        at = self.models.index(model)
        auc, error = float(self.auc[at]), math.sqrt(self.covariance[at, at])
        # Rounding leaves a variance of 1e-18 where there is none.
        if not error > 1e-8:
            return Estimate(auc, level=level)
        z = norm.ppf((1 + level) / 2)
        if transform == "logit":
            width = z * error / (auc * (1 - auc))
            lower, upper = expit(logit(auc) - width), expit(logit(auc) + width)
        else:
            lower, upper = max(0.0, auc - z * error), min(1.0, auc + z * error)
        return Estimate(auc, float(lower), float(upper), level=level)

    def difference(self, model_a: str, model_b: str, *, level: float = 0.95) -> tuple[Estimate, float]:
        """Return area(a) - area(b) with its paired interval, and the two-sided p value of no difference."""
        a, b = self.models.index(model_a), self.models.index(model_b)
        value = float(self.auc[a] - self.auc[b])
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        if not variance > 1e-16:
            return Estimate(value, level=level), float("nan")
        error = math.sqrt(variance)
        z = norm.ppf((1 + level) / 2)
        p = float(2 * norm.sf(abs(value) / error))
        return Estimate(value, value - z * error, value + z * error, level=level), p


def delong(y_good: ArrayLike, scores: ArrayLike, *, models: Sequence[str] = ()) -> DeLong:
    """Estimate ROC areas and their covariance by DeLong's method, in n log n (Sun and Xu 2014).

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome; the scores point towards 1.
    scores : array-like of float, (patients,) or (patients, models)
        Finite scores.
    models : sequence of str
        Names; numbers where none are given.

    Examples
    --------
    >>> result = delong([0, 0, 1, 1, 0, 1], [.1, .4, .35, .8, .2, .7], models=["ct"])
    >>> print(result.interval("ct"))
    0.89 (95 % CI 0.58 to 1.00)
    """
    y_good, values = np.asarray(y_good), np.asarray(scores, float)
    values = values[:, None] if values.ndim == 1 else values
    good, poor = values[y_good == 1], values[y_good == 0]
    m, n = len(good), len(poor)
    # A patient's component: the share of the other class that scores on the right side, ties counting half.
    among_all = rankdata(np.vstack([good, poor]), axis=0)
    v_good = (among_all[:m] - rankdata(good, axis=0)) / n
    v_poor = 1 - (among_all[m:] - rankdata(poor, axis=0)) / m
    covariance = np.full((values.shape[1], values.shape[1]), np.nan)
    if m > 1 and n > 1:
        covariance = np.atleast_2d(np.cov(v_good.T)) / m + np.atleast_2d(np.cov(v_poor.T)) / n
    names = tuple(models) or tuple(str(i) for i in range(values.shape[1]))
    return DeLong(names, v_good.mean(axis=0), covariance)


@dataclass(frozen=True)
class Resampled:
    """Models of one outcome label and set that score the same patients, resampled together.

    Parameters
    ----------
    outcome, set : str
        Which label and set.
    bootstraps : mapping of Bootstrap
        ``stratified`` (each resample has as many good outcomes as the sample: what is asked is how the scores
        would do in another cohort with exactly so many) and ``unstratified`` (their number varies, as it
        would if patients were recruited again).
    delong : DeLong
        Areas and their covariance.
    """

    outcome: str
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
        As in :func:`postarrest.bootstrap.bootstrap`.

    Returns
    -------
    list of Resampled
        One an outcome label, set and group of models. Cross-validated models stand twice: ``pooled`` (all
        test patients together) and ``fold mean`` (the measures' mean over the folds, whose patients are
        resampled within their fold).
    """
    results = []
    for (outcome, name), of_set in rows.groupby(["outcome", "set"], sort=False):
        for group in scores.groups(of_set):
            whole = _both(group, n_resamples=n_resamples, seed=seed)
            results.append(Resampled(outcome, name, whole, _delong(group)))
            if name == "pooled":
                folds = list(group.groupby("fold"))
                of_folds = [_both(part, n_resamples=n_resamples, seed=seed + fold) for fold, part in folds]
                means = {how: bootstrap.mean([fold[how] for fold in of_folds]) for how in whole}
                test = _mean_delong([_delong(part) for _, part in folds])
                results.append(Resampled(outcome, "fold mean", means, test))
    return results


def _both(rows: pd.DataFrame, **settings: int) -> dict[str, Bootstrap]:
    return {
        how: _bootstrapped(rows, stratified=how == "stratified", **settings)
        for how in ("stratified", "unstratified")
    }


def _bootstrapped(rows: pd.DataFrame, **settings: int | bool) -> Bootstrap:
    y_good, wide = scores.wide(rows)
    kinds = rows.drop_duplicates("model").set_index("model")["kind"]
    probability = (kinds.loc[wide.columns] == "probability").to_numpy()
    return bootstrap.bootstrap(y_good, wide, models=list(wide), probability=probability, **settings)


def _delong(rows: pd.DataFrame) -> DeLong:
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
        ``outcome, set, model, metric, positive_class, estimate, lower, upper, ci_method, recommended, n,
        n_good, n_undefined, note``: one row a measure and interval. ``recommended`` marks the interval that
        the report quotes; ``n_undefined`` counts resamples in which the measure has no value.
    """
    rows = []
    for part in resampled:
        boot = part.bootstraps["unstratified"]
        base = {"outcome": part.outcome, "set": part.set, "n": boot.n, "n_good": boot.n_good}
        for model in boot.models:
            lower, upper = thresholds.proportion_interval(boot.n_good, boot.n, method="wilson")
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
    columns = ["outcome", "set", "model", "metric", "positive_class", "estimate", "lower", "upper"]
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


def summary(performance: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model, outcome label and set, each measure in words with its quoted interval."""
    rows = performance[performance["recommended"]].copy()
    rows["text"] = [_short(*r) for r in rows[["estimate", "lower", "upper"]].to_numpy()]
    rows["column"] = rows["metric"].where(
        rows["metric"] != "pr_auc", "pr_auc (" + rows["positive_class"] + ")"
    )
    keys = ["outcome", "set", "model", "n", "n_good"]
    wide = rows.drop_duplicates([*keys, "column"]).pivot(index=keys, columns="column", values="text")
    order = ["roc_auc", "pr_auc (good)", "pr_auc (poor)", "brier", "brier_skill", "log_loss"]
    wide = wide[[c for c in order if c in wide]]
    return wide.loc[list(dict.fromkeys(map(tuple, rows[keys].to_numpy())))].fillna("").reset_index()


def comparisons(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Compare every pair of models in the patients that both have scores of.

    A score that is known in few patients does not take the others away from the rest of the pairs.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``outcome, set, model_a, model_b, metric, positive_class, difference, lower, upper, p, p_holm, method,
        n, n_good``: a - b, paired. The ROC area is compared by DeLong's test and by the bootstrap, the other
        measures by the bootstrap. ``p_holm`` is corrected for the pairs of one set, metric and method.
    """
    found = []
    for (outcome, name), of_set in rows.groupby(["outcome", "set"], sort=False):
        scored = of_set.groupby("model", sort=False)["patient_id"].agg(frozenset)
        pairs: dict[frozenset, list[tuple[str, str]]] = {}
        for a, b in combinations(scored.index, 2):
            pairs.setdefault(scored[a] & scored[b], []).append((a, b))
        for patients, of_patients in pairs.items():
            models = {model for pair in of_patients for model in pair}
            common = of_set[of_set["patient_id"].isin(patients) & of_set["model"].isin(models)]
            if common["y_good"].nunique() < 2:
                continue
            boot = _bootstrapped(
                common, n_resamples=n_resamples, seed=seed, stratified=False, jackknife=False
            )
            test = _delong(common)
            base = {"outcome": outcome, "set": name, "n": boot.n, "n_good": boot.n_good}
            found += [base | row for a, b in of_patients for row in _differences(a, b, boot, test)]
    columns = ["outcome", "set", "model_a", "model_b", "metric", "positive_class", "difference", "lower"]
    columns += ["upper", "p", "p_holm", "method", "n", "n_good"]
    if not found:
        return pd.DataFrame(columns=columns)
    compared = pd.DataFrame(found)
    family = compared.groupby(["outcome", "set", "metric", "positive_class", "method"], sort=False)["p"]
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


def between_labels(rows: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Set every threshold-free measure under one outcome label beside the same under another.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`.
    n_resamples, seed : int
        As in :func:`postarrest.bootstrap.bootstrap`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, metric, positive_class, n, n_changed`` (patients whose outcome the label changes), for
        each label its ``<label>_n_good, <label>,
        <label>_lower, <label>_upper`` with the quoted interval, and ``difference, lower, upper`` (first
        label less second) with the paired bootstrap's percentile interval: in patients that the model scores
        under both labels, each resample draws the same for both. No rows where there is one label only.

    Notes
    -----
    A model that was trained anew under the second label differs in its scores as well, a marker in the
    patients who changed sides alone.
    """
    labels = list(dict.fromkeys(rows["outcome"]))
    columns = ["set", "model", "metric", "positive_class", "n", "n_changed", "difference", "lower", "upper"]
    found: list[dict[str, object]] = []
    if len(labels) == 2:
        columns[6:6] = [f"{one}{part}" for one in labels for part in ("_n_good", "", "_lower", "_upper")]
        for _, mine in rows.groupby(["set", "model"], sort=False):
            pair = {label: mine[mine["outcome"] == label] for label in labels}
            both = set.intersection(*(set(one["patient_id"]) for one in pair.values()))
            pair = {label: one[one["patient_id"].isin(both)] for label, one in pair.items()}
            if all(one["y_good"].nunique() == 2 for one in pair.values()):
                found += _labels_beside(pair, n_resamples, seed)
    return pd.DataFrame(found, columns=columns)


def _labels_beside(
    pair: Mapping[str, pd.DataFrame], n_resamples: int, seed: int
) -> Iterator[dict[str, object]]:
    # Unstratified, and sorted by patient: the same seed draws the same patients under both labels.
    boots = [
        _bootstrapped(mine, n_resamples=n_resamples, seed=seed, stratified=False) for mine in pair.values()
    ]
    model, where = boots[0].models[0], next(iter(pair.values()))["set"].iloc[0]
    first, second = (mine.set_index("patient_id")["y_good"] for mine in pair.values())
    n_changed = int((first != second.loc[first.index]).sum())
    for m, (measure, (metric, positive_class)) in enumerate(METRICS.items()):
        values = [float(boot.estimate[0, m]) for boot in boots]
        if np.isnan(values).any():
            continue
        row = {"set": where, "model": model, "metric": metric, "positive_class": positive_class}
        row |= {"n": boots[0].n, "n_changed": n_changed}
        for (label, mine), boot in zip(pair.items(), boots, strict=True):
            if metric == "roc_auc":
                one = _delong(mine).interval(model, transform="logit")
            else:
                one = boot.interval(model, measure, method="bca")
            row |= {f"{label}_n_good": boot.n_good, label: one.value}
            row |= {f"{label}_lower": one.lower, f"{label}_upper": one.upper}
        resampled = boots[0].resampled[0, m] - boots[1].resampled[0, m]
        difference = bootstrap.interval(values[0] - values[1], resampled)
        yield row | {"difference": difference.value, "lower": difference.lower, "upper": difference.upper}


def labels_at_thresholds(decisions: pd.DataFrame) -> pd.DataFrame:
    """Set what decisions are worth under one outcome label beside the same under another.

    Parameters
    ----------
    decisions : pandas.DataFrame
        From :func:`at_thresholds`.

    Returns
    -------
    pandas.DataFrame
        ``set, model, rule, chosen_on, metric, positive_class`` and, for each label, the estimate with its
        interval in words; sensitivity and PPV for both classes. No rows where there is one label only.
    """
    labels = list(dict.fromkeys(decisions["outcome"]))
    keys = ["set", "model", "rule", "chosen_on", "metric", "positive_class"]
    # The specificity for one class is the sensitivity for the other, the NPV of one the PPV of the other.
    shown = decisions[decisions["metric"].isin(["sensitivity", "ppv"])]
    if len(labels) != 2 or shown.empty:
        return pd.DataFrame(columns=[*keys, *labels])
    shown = shown.assign(text=[_short(*r) for r in shown[["estimate", "lower", "upper"]].to_numpy()])
    wide = shown.pivot(index=keys, columns="outcome", values="text")[labels]
    order = list(dict.fromkeys(map(tuple, shown[keys].to_numpy())))
    return wide.loc[order].fillna("").rename_axis(columns=None).reset_index()


def _short(value: float, lower: float, upper: float) -> str:
    # "(95 % CI 0.68 to 0.82)" in every cell of a table would be hard to read.
    return str(Estimate(value, lower, upper)).replace("95 % CI ", "")


def _holm(p: pd.Series) -> pd.Series:
    from statsmodels.stats.multitest import multipletests

    known = p.dropna()
    if known.empty:
        return p
    return pd.Series(multipletests(known, method="holm")[1], index=known.index).reindex(p.index)


def at_thresholds(judged: pd.DataFrame, *, n_resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Tabulate what decisions are worth, for both classes, each with its interval.

    Parameters
    ----------
    judged : pandas.DataFrame
        From :func:`postarrest.thresholds.table`.
    n_resamples, seed : int
        Bootstrap of F1, F2 and balanced accuracy.

    Returns
    -------
    pandas.DataFrame
        ``outcome, set, model, rule, chosen_on, threshold, metric, positive_class, estimate, lower, upper,
        ci_method, n, n_good``. With ``positive_class`` poor, the sensitivity is the share of poor outcomes
        predicted poor, the PPV the share of poor outcomes among those predicted poor, and so on. Proportions
        have Clopper-Pearson intervals, likelihood ratios the log method's (Simel 1991).

    Notes
    -----
    At a given threshold a patient counts only by the cell he falls into, so a bootstrap of patients is a
    multinomial draw of the four cells.
    """
    found = []
    keys = ["outcome", "set", "model", "rule", "chosen_on", "threshold", "n", "n_good"]
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
        lower, upper = thresholds.proportion_interval(count, n)
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
        found.append((name, "bootstrap percentile", bootstrap.interval(value[name], resampled[name])))
    return found


def roc_curve(y_good: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    """Return the ROC curve: ``threshold, fpr, tpr``, the good outcome positive."""
    from sklearn import metrics

    fpr, tpr, threshold = metrics.roc_curve(y_good, score)
    return pd.DataFrame({"threshold": threshold, "fpr": fpr, "tpr": tpr})


def pr_curve(y_good: ArrayLike, score: ArrayLike) -> pd.DataFrame:
    """Return the precision-recall curve: ``threshold, recall, precision``, the good outcome positive."""
    from sklearn import metrics

    precision, recall, threshold = metrics.precision_recall_curve(y_good, score)
    return pd.DataFrame({"threshold": [*threshold, np.inf], "recall": recall, "precision": precision})


def curve_bands(
    y_good: ArrayLike,
    score: ArrayLike,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return pointwise bootstrap bands of the ROC and the precision-recall curve.

    Patients are resampled without strata: the precision depends on the prevalence.

    Returns
    -------
    pandas.DataFrame
        ``at, tpr_lower, tpr_upper, precision_lower, precision_upper`` at 101 points from 0 to 1: of the false
        positive rate for the ROC curve, of the recall for the other.
    """
    y_good, score = np.asarray(y_good), np.asarray(score, float)
    order = np.argsort(-score, kind="stable")
    # Patients of one score are called good together: a curve has a point at the last of each tie.
    last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    good_at = np.flatnonzero(y_good[order] == 1)
    poor_at = np.flatnonzero(y_good[order] == 0)
    of_good = order[good_at], np.searchsorted(good_at, last, "right")
    of_poor = order[poor_at], np.searchsorted(poor_at, last, "right")
    place = np.empty(len(y_good), int)
    place[y_good == 1] = np.arange(len(good_at))
    place[y_good == 0] = np.arange(len(poor_at))

    at = np.linspace(0, 1, 101)
    tpr, precision = [], []
    for chunk in bootstrap.counts(y_good, n_resamples=n_resamples, seed=seed, stratified=False):
        for good, poor in zip(*chunk, strict=True):
            tp = np.concatenate([[0], np.cumsum(good[place[of_good[0]]])])[of_good[1]]
            fp = np.concatenate([[0], np.cumsum(poor[place[of_poor[0]]])])[of_poor[1]]
            if tp[-1] and fp[-1]:
                tpr.append(np.interp(at, np.r_[0, fp / fp[-1]], np.r_[0, tp / tp[-1]]))
                reached = np.searchsorted(tp, at * tp[-1] * (1 - 1e-12), "left")
                precision.append(tp[reached] / np.maximum(tp + fp, 1)[reached])
    tails = [(1 - level) / 2, (1 + level) / 2]
    bands = np.quantile(tpr, tails, axis=0), np.quantile(precision, tails, axis=0)
    return pd.DataFrame(
        {
            "at": at,
            "tpr_lower": bands[0][0],
            "tpr_upper": bands[0][1],
            "precision_lower": bands[1][0],
            "precision_upper": bands[1][1],
        }
    )


def by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each model's measures in the test patients of every outer fold.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`; those of the set ``pooled`` count.

    Returns
    -------
    pandas.DataFrame
        ``outcome, model, fold, n, n_good, roc_auc, pr_auc, brier``: for the good outcome, without intervals,
        which a fold is too small for.
    """
    columns = ["outcome", "model", "fold", "n", "n_good", "roc_auc", "pr_auc", "brier"]
    wanted = [bootstrap.MEASURES.index(m) for m in ("roc_auc", "pr_auc_good", "brier")]
    found = []
    pooled = rows[rows["set"] == "pooled"]
    for key, of_fold in pooled.groupby(["outcome", "model", "fold"], sort=False):
        boot = _bootstrapped(of_fold, n_resamples=0, jackknife=False)
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
        ``outcome, model, fold, n, n_good, roc_auc``.
    """
    columns = ["outcome", "model", "fold", "n", "n_good", "roc_auc"]
    found = [
        [*key, len(rows), int(rows["y_good"].sum()), float(delong(rows["y_good"], rows["score"]).auc[0])]
        for key, rows in splits.groupby(["outcome", "model", "fold"], sort=False)
    ]
    return pd.DataFrame(found, columns=columns)


def spread_summary(spread: pd.DataFrame) -> pd.DataFrame:
    """Summarise repeated splits: ``outcome, model, splits, first, median, lowest, highest, sd``.

    Parameters
    ----------
    spread : pandas.DataFrame
        From :func:`spread`.
    """
    by = spread.sort_values("fold", kind="stable").groupby(["outcome", "model"], sort=False)["roc_auc"]
    return by.agg(
        splits="size", first="first", median="median", lowest="min", highest="max", sd="std"
    ).reset_index()


def against_truth(
    performance: pd.DataFrame, truth: Mapping[str, Mapping[str, float]], *, outcomes: Sequence[str]
) -> pd.DataFrame:
    """Set the ROC areas and Brier scores that were recovered beside those planted in a simulated cohort.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    truth : mapping
        For each model ``auc``, the best that it can reach, with ``mc_error``, and where it gives
        probabilities ``brier`` with ``brier_mc_error``.
    outcomes : sequence of str
        The outcome labels under which this was planted.

    Returns
    -------
    pandas.DataFrame
        ``outcome, set, model, metric, planted, mc_error, recovered, lower, upper, within``.
    """
    planted_as = {"roc_auc": ("auc", "mc_error"), "brier": ("brier", "brier_mc_error")}
    rows = performance[performance["recommended"] & performance["metric"].isin(list(planted_as))]
    rows = rows[rows["outcome"].isin(list(outcomes))]
    found = []
    for row in rows.to_dict("records"):
        of_model = truth.get(row["model"], {})
        value, error = planted_as[row["metric"]]
        if value in of_model:
            found.append(
                {key: row[key] for key in ("outcome", "set", "model", "metric")}
                | {"planted": of_model[value], "mc_error": of_model[error], "recovered": row["estimate"]}
                | {"lower": row["lower"], "upper": row["upper"]}
                | {"within": row["lower"] <= of_model[value] <= row["upper"]}
            )
    columns = ["outcome", "set", "model", "metric", "planted", "mc_error", "recovered", "lower", "upper"]
    return pd.DataFrame(found, columns=[*columns, "within"])


def against_published(
    published: Iterable[Mapping[str, object]], performance: pd.DataFrame, decisions: pd.DataFrame
) -> pd.DataFrame:
    """Set the papers' numbers beside those found here.

    Parameters
    ----------
    published : iterable of mapping
        The section ``numbers`` of ``params/published.yaml``: ``paper, item, value, table, model, metric,
        source, comparable_with`` and what else tells the row. Taken are the numbers of the tables
        ``performance`` and ``at_thresholds`` whose model is here. Where a rule's ``chosen_on`` is left
        open it is ``test``, the papers' way.
    performance, decisions : pandas.DataFrame
        From :func:`table` and :func:`at_thresholds`.

    Returns
    -------
    pandas.DataFrame
        ``paper, item, model, metric, positive_class, outcome, set, rule, published, here, lower, upper,
        comparable_with, source``; ``here`` is NaN where the number was not computed in this study.
    """
    tables = {
        "performance": performance[performance["recommended"]],
        "at_thresholds": decisions[decisions["chosen_on"] != "train_oof"],
    }
    where = ["model", "metric", "positive_class", "outcome", "set", "rule", "chosen_on"]
    found = []
    for entry in published:
        rows = tables.get(str(entry.get("table")))
        if rows is None or entry.get("model") not in set(rows["model"]):
            continue
        asked = {column: entry[column] for column in where if entry.get(column)}
        for column, value in asked.items():
            rows = rows[rows[column] == value]
        here = rows.iloc[0].to_dict() if len(rows) else {}
        found.append(
            {"paper": entry["paper"], "item": entry["item"]}
            | {column: asked.get(column, here.get(column, "")) for column in where[:-1]}
            | {"published": entry["value"], "here": here.get("estimate", np.nan)}
            | {limit: here.get(limit, np.nan) for limit in ("lower", "upper")}
            | {"comparable_with": entry.get("comparable_with", ""), "source": entry["source"]}
        )
    columns = ["paper", "item", *where[:-1], "published", "here", "lower", "upper"]
    return pd.DataFrame(found, columns=[*columns, "comparable_with", "source"])


def beside_published(performance: pd.DataFrame, published: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return the lines of a forest plot: every ROC area with its quoted interval and the published value.

    Returns
    -------
    pandas.DataFrame
        ``label, estimate, lower, upper, published``.
    """
    rows = performance[performance["recommended"] & (performance["metric"] == "roc_auc")]
    keys = ["model", "outcome", "set"]
    values = {
        tuple(entry.get(key) for key in keys): entry["value"]
        for entry in published
        if entry.get("table") == "performance" and entry.get("metric") == "roc_auc"
    }
    # The outcome label is told only where there are several.
    label = rows["set"] if rows["outcome"].nunique() == 1 else rows["outcome"] + ", " + rows["set"]
    label = rows["model"].str.replace("_", " ") + " (" + label + ")"
    value = [values.get(key, np.nan) for key in zip(*(rows[key] for key in keys), strict=True)]
    lines = {"label": label, "estimate": rows["estimate"], "lower": rows["lower"], "upper": rows["upper"]}
    return pd.DataFrame(lines | {"published": np.array(value, float)}).reset_index(drop=True)


def coverage_summary(simulated: pd.DataFrame) -> pd.DataFrame:
    """Summarise a simulation of interval coverage over its sizes, prevalences and models.

    Parameters
    ----------
    simulated : pandas.DataFrame
        ``docs/coverage.csv``, as ``benchmarks/coverage.py`` writes it.

    Returns
    -------
    pandas.DataFrame
        ``statistic, interval, recommended, mean_coverage, lowest_coverage, shortfall, cells``: ``shortfall``
        is how far the coverage stays below 0.95 in the mean of the cells (sizes, prevalences, models); cells
        that cover more count as 0.
    """
    cells = simulated.assign(shortfall=(0.95 - simulated["coverage"]).clip(lower=0))
    summary = (
        cells.groupby(["statistic", "interval"], sort=False)
        .agg(
            mean_coverage=("coverage", "mean"),
            lowest_coverage=("coverage", "min"),
            shortfall=("shortfall", "mean"),
            cells=("coverage", "size"),
        )
        .reset_index()
    )
    quoted_kind = {name: RECOMMENDED[metric] for name, (metric, _) in METRICS.items()}
    summary.insert(2, "recommended", summary["statistic"].map(quoted_kind) == summary["interval"])
    return summary
