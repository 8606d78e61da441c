"""Subgroups: performance of each model in groups of patients, and tests whether it differs between them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit
from scipy.stats import chi2, norm

from postarrest.describe.fisher import fisher_exact
from postarrest.describe.groups import NOT_RECORDED
from postarrest.describe.masking import hide_small_counts
from postarrest.estimate import Estimate
from postarrest.evaluation import calibration, comparisons, confusion, decision, thresholds
from postarrest.evaluation.delong import delong
from postarrest.evaluation.discrimination import main_model
from postarrest.evaluation.intervals import proportion_interval

EVERYBODY = "All patients"
# Scales on which the intervals of a measure are symmetric, and its levels are compared.
_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "roc_auc": logit,
    "oe": np.log,
    "calibration_slope": np.asarray,
}
_COLUMNS = ["outcome_label", "set", "model", "variable", "level", "n", "n_good", "metric", "rule"]
_COLUMNS += ["estimate", "lower", "upper", "p_interaction"]


@dataclass(frozen=True)
class Limits:
    """What is shown of a small group.

    Parameters
    ----------
    least : int
        A group with fewer good, or fewer poor, outcomes has no figures.
    mask_below : int
        Counts from 1 to below this are hidden, and so are the counts, and the figures, from which they
        follow; 0 shows all.
    """

    least: int = 10
    mask_below: int = 0


def decided(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    *,
    rules: Sequence[str],
    fixed: Mapping[str, Sequence[Any]],
) -> pd.DataFrame:
    """Return the decision on each patient at each rule's threshold, as in the table ``thresholds``.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`, of the final stage.
    table : pandas.DataFrame
        The scores table; a rule's threshold is chosen in each fold on its ``train_oof`` rows.
    rules : sequence of str
        Of :data:`postarrest.evaluation.thresholds.RULES`.
    fixed : Mapping
        Prespecified thresholds, as for :func:`postarrest.evaluation.thresholds.table`.

    Returns
    -------
    pandas.DataFrame
        With the index of ``rows``, one column per rule: 1 predicted good, 0 predicted poor, missing where
        there is no training set, or no threshold in a fold.

    Raises
    ------
    ValueError
        If a rule is unknown.
    """
    keys = ["outcome_label", "model", "fold"]
    oof = table[(table["role"] == "train_oof") & (table["stage"] == "final")]
    training = dict(list(oof.groupby(keys, sort=False)))
    found = pd.DataFrame(np.nan, index=rows.index, columns=[*rules, *fixed])
    for (label, name, model), mine in rows.groupby(["outcome_label", "set", "model"], sort=False):
        folds = dict(list(mine.groupby("fold")))
        # The set of all patients contains those that a threshold would be chosen on.
        if name != "all" and all((label, model, fold) in training for fold in folds):
            for rule in rules:
                for fold, of_fold in folds.items():
                    chosen_on = training[label, model, fold]
                    chosen = thresholds.choose(chosen_on["y_good"], chosen_on["score"], rule).threshold
                    good = (of_fold["score"] >= chosen).astype(float)
                    found.loc[of_fold.index, rule] = np.nan if np.isnan(chosen) else good
                if found.loc[mine.index, rule].isna().any():
                    found.loc[mine.index, rule] = np.nan
        for rule, (which, threshold) in fixed.items():
            if which == mine["kind"].iloc[0] or fnmatchcase(str(model), which):
                found.loc[mine.index, rule] = (mine["score"] >= threshold).astype(float)
    return found


def table(
    rows: pd.DataFrame,
    groups: pd.DataFrame,
    decisions: pd.DataFrame,
    *,
    focus: str = "",
    net_benefit_at: Sequence[float] = (0.1,),
    limits: Limits = Limits(),
    n_resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Tabulate the performance of each model in each group, and test whether the groups differ.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`, of the final stage.
    groups : pandas.DataFrame
        From :func:`postarrest.describe.groups.grouped`, indexed by patient.
    decisions : pandas.DataFrame
        From :func:`decided`.
    focus : str
        The prespecified model, whose tests are corrected on their own; blank: see
        :func:`postarrest.evaluation.discrimination.main_model`.
    net_benefit_at : sequence of float
        Threshold probabilities of the net benefit.
    limits : Limits
        What is shown of a small group.
    n_resamples, seed : int
        Bootstrap of the net benefit.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, variable, level, n, n_good, metric, rule, estimate, lower, upper,
        p_interaction, p_holm, note``: for all patients and each group one row per measure. ``roc_auc``
        (DeLong, logit), ``oe`` and ``calibration_slope`` (probabilities only), ``false_pessimism`` at each
        ``rule`` (Clopper-Pearson), ``net_benefit`` and ``net_benefit_gain`` (the difference to predicting
        all good; bootstrap). A group that is too small has one row without figures, and a note. Counts are
        text, since some are hidden.

    Notes
    -----
    ``p_interaction`` is of the hypothesis that a measure is the same in all groups of a variable that have
    figures: Cochran's Q with the standard errors of the intervals, on the scale on which these are symmetric;
    for false pessimism Fisher's exact test among the good outcomes. The net benefit depends on the
    prevalence, so it is not tested. ``p_holm`` is corrected for all tests of the main model; those of all
    other models are corrected together.
    """
    found = []
    for key, mine in rows.groupby(["outcome_label", "set", "model"], sort=False):
        kind = mine["kind"].iloc[0]
        group = _Group(mine, decisions.loc[mine.index].dropna(axis=1), kind == "probability")
        settings = {"at": net_benefit_at, "n_resamples": n_resamples, "seed": seed}
        levels = groups.reindex(mine["patient_id"]).set_axis(mine.index)
        sizes = {"n": str(len(mine)), "n_good": str(int(mine["y_good"].sum())), "note": ""}
        of_all = {"variable": EVERYBODY, "level": "", "p_interaction": np.nan} | sizes
        found += [dict(zip(_COLUMNS[:3], key, strict=True)) | of_all | row for row in group.rows(**settings)]
        for variable in levels:
            for row in _variable(group, levels[variable], limits, settings):
                found.append(dict(zip(_COLUMNS[:3], key, strict=True)) | {"variable": variable} | row)
    result = pd.DataFrame(found)
    is_main = pd.Series(False, index=result.index)
    for _, of_set in result.groupby(["outcome_label", "set"], sort=False):
        is_main[of_set.index] = of_set["model"] == main_model(list(dict.fromkeys(of_set["model"])), focus)
    result["p_holm"] = _corrected(result, is_main)
    # The main model comes first, since a page shows the first rows of a long table.
    sets = result.groupby(["outcome_label", "set"], sort=False).ngroup()
    order = np.lexsort([~is_main, sets])
    return result.iloc[order][[*_COLUMNS, "p_holm", "note"]].reset_index(drop=True)


@dataclass(frozen=True)
class _Group:
    """Patients with the scores of one model and the decisions on them."""

    scored: pd.DataFrame
    decisions: pd.DataFrame
    probability: bool

    def of(self, member: pd.Series) -> "_Group":
        return _Group(self.scored[member], self.decisions[member], self.probability)

    @property
    def counts(self) -> tuple[int, int, int]:
        good = int(self.scored["y_good"].sum())
        return len(self.scored), good, len(self.scored) - good

    def pessimism(self, rule: str) -> tuple[int, int]:
        """Return how many of the good outcomes are predicted poor."""
        good = self.decisions.loc[self.scored["y_good"] == 1, rule]
        return int((good == 0).sum()), len(good)

    def rows(self, *, at: Sequence[float], n_resamples: int, seed: int) -> list[dict[str, Any]]:
        """Return the measures, each with its interval."""
        y, score = self.scored["y_good"].to_numpy(), self.scored["score"].to_numpy()
        found = [("roc_auc", "", delong(y, score).interval("0", transform="logit"), "")]
        if self.probability:
            fitted = calibration.recalibrate(y, score)
            found.append(("oe", "", calibration.observed_to_expected(y, score), ""))
            found.append(("calibration_slope", "", fitted.slope, fitted.note))
        for rule in self.decisions:
            wrong, good = self.pessimism(rule)
            bounds = map(float, proportion_interval(wrong, good))
            found.append(("false_pessimism", rule, Estimate(wrong / good, *bounds), ""))
        for threshold in at if self.probability else ():
            cells = tuple(int(c[0]) for c in confusion.confusion(y, score, [threshold]))
            both = decision.at_threshold(cells, threshold, n_resamples=n_resamples, seed=seed)
            for metric, estimate in zip(("net_benefit", "net_benefit_gain"), both, strict=True):
                found.append((metric, f"at {threshold:g}", estimate, ""))
        return [
            {"metric": metric, "rule": rule, "estimate": e.value, "lower": e.lower, "upper": e.upper}
            | ({"note": note} if note else {})
            for metric, rule, e, note in found
        ]


def _variable(
    whole: _Group, level: pd.Series, limits: Limits, settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of all levels of one variable, with the tests between them."""
    parts = {name: whole.of(level == name) for name in level.cat.categories if (level == name).any()}
    counts = np.array([part.counts for part in parts.values()])
    shown = hide_small_counts(counts, below=limits.mask_below)
    rows: dict[str, list[dict[str, Any]]] = {}
    for (name, part), text in zip(parts.items(), shown, strict=True):
        note = _why_not(part.counts, text, limits)
        measured = [{"metric": "", "rule": ""}] if note else part.rows(**settings)
        about = {"level": name, "n": text[0], "n_good": text[1], "note": note}
        rows[name] = [about | row for row in measured]
    tested = [name for name in parts if not rows[name][0]["note"] and name != NOT_RECORDED]
    compared = pd.DataFrame([row for name in tested for row in rows[name]])
    p = {}
    for (metric, rule), of_metric in compared.groupby(["metric", "rule"]) if tested else ():
        p[metric, rule] = _interaction(metric, rule, of_metric, [parts[name] for name in tested])
    for name in parts:
        for row in rows[name]:
            known = name in tested
            yield row | {"p_interaction": p[row["metric"], row["rule"]] if known else np.nan}


def _why_not(counts: tuple[int, int, int], shown: np.ndarray, limits: Limits) -> str:
    for outcome, n, text in zip(("good", "poor"), counts[1:], shown[1:], strict=True):
        if n < limits.least:
            return f"too few: {text} {outcome} outcome" + ("s" if text != "1" else "")
    # Figures with exact intervals would give the count away.
    return "" if all(text.isdigit() for text in shown) else "not shown: a count of this group is hidden"


def _interaction(metric: str, rule: str, rows: pd.DataFrame, parts: Sequence[_Group]) -> float:
    """Return the P value of the hypothesis that a measure is the same in all levels."""
    if metric == "false_pessimism":
        counts = [(wrong, good - wrong) for wrong, good in (part.pessimism(rule) for part in parts)]
        return fisher_exact(counts)[0]
    if metric not in _SCALES:
        return np.nan
    return heterogeneity(rows[["estimate", "lower", "upper"]].to_numpy(), scale=_SCALES[metric])


def heterogeneity(estimates: ArrayLike, *, scale: Callable[[np.ndarray], np.ndarray] = np.asarray) -> float:
    """Return the P value of Cochran's Q: that independent estimates are of one value.

    Parameters
    ----------
    estimates : array-like of float, (estimates, 3)
        Estimates, each with its 95 % limits; those without limits are left out.
    scale : callable
        Makes the intervals symmetric.

    Returns
    -------
    float
        NaN for fewer than two estimates with limits.

    Examples
    --------
    >>> round(heterogeneity([(0.9, 0.8, 1.0), (0.6, 0.5, 0.7)]), 6)
    3.2e-05
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        values, lower, upper = scale(np.array(estimates, float).reshape(-1, 3)).T
    known = np.isfinite(values + lower + upper) & (upper > lower)
    if known.sum() < 2:
        return float("nan")
    weights = (2 * norm.ppf(0.975) / (upper - lower)[known]) ** 2
    values = values[known]
    q = (weights * (values - np.average(values, weights=weights)) ** 2).sum()
    return float(chi2.sf(q, len(values) - 1))


def _corrected(result: pd.DataFrame, is_main: pd.Series) -> pd.Series:
    """Return P values corrected by Holm's method, those of the main model on their own."""
    keys = ["outcome_label", "set"]
    test = [*keys, "model", "variable", "metric", "rule"]
    # A test has a row for each level.
    of_levels = result.dropna(subset="p_interaction").groupby(test, sort=False)["p_interaction"]
    tests = result.loc[[rows[0] for rows in of_levels.groups.values()]]
    family = tests.groupby([*keys, is_main[tests.index]], sort=False)["p_interaction"]
    by_test = pd.Series(family.transform(comparisons.holm), index=tests.index)
    first = of_levels.transform(lambda rows: rows.index[0])
    return first.map(by_test).reindex(result.index)


# What the tests of a main model found, as sentences of a page.
_SENTENCES = {
    "none": "**{model}** ({where}): no variable has two groups that are large enough to be compared.",
    "nothing": "**{model}** ({where}): none of {n_tests} tests found a difference between groups; the "
    "smallest corrected P value was {p}.",
    "found": "**{model}** ({where}): {n_found} of {n_tests} tests found a difference between groups after "
    "correction: {found}.",
}


def differences(subgroups: pd.DataFrame, focus: str = "", *, level: float = 0.05) -> list[dict[str, Any]]:
    """Return what the tests of each set's main model found, for use in sentences.

    Parameters
    ----------
    subgroups : pandas.DataFrame
        From :func:`table`.
    focus : str
        As for :func:`table`.
    level : float
        A difference is reported if its corrected P value is below this.

    Returns
    -------
    list of dict
        For each outcome label and set ``sentence`` (a template), ``of`` and ``where`` (which set), ``model``,
        ``n_tests``, ``n_found``, ``found`` (variables and measures in words) and ``p`` (the smallest
        corrected P value; NaN without a test).
    """
    result = []
    for (label, name), of_set in subgroups.groupby(["outcome_label", "set"], sort=False):
        model = main_model(list(dict.fromkeys(of_set["model"])), focus)
        tests = of_set[(of_set["model"] == model) & of_set["p_interaction"].notna()]
        tests = tests.drop_duplicates(["variable", "metric", "rule"])
        alarms = tests[tests["p_holm"] < level]
        texts = [
            f"{row.variable}, {row.metric.replace('_', ' ')}"
            + (f" at {row.rule}" if row.rule else "")
            + f" (P {'< 0.001' if row.p_holm < 0.001 else f'= {row.p_holm:.3f}'})"
            for row in alarms.itertuples()
        ]
        kind = "found" if len(alarms) else "nothing" if len(tests) else "none"
        about = {"sentence": _SENTENCES[kind], "of": f"{label}_{name}", "where": f"set {name}"}
        about |= {"model": model, "n_tests": len(tests), "n_found": len(alarms)}
        result.append(about | {"found": "; ".join(texts), "p": float(tests["p_holm"].min())})
    return result
