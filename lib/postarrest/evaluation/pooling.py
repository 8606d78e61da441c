"""Hospitals pooled from what each shares, as if their patients were together.

From the summaries follow exactly: everything by hospital, the random-effects summary and, of all patients
together, O:E, Brier score, log loss, the test of calibration and the decisions. Not exactly follow the AUC,
intercept and slope of all patients together, nor a decision of which a count is hidden: :func:`together` and
:func:`accuracy` say so, and give bounds or an approximation.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from postarrest.evaluation import sites
from postarrest.evaluation.intervals import proportion_interval
from postarrest.evaluation.shared import EDGES, Model, Site, Summary

_CELLS = ["tp", "fp", "fn", "tn"]
_KEYS = ["model", "rule", "chosen_on"]
_RATES = ["sensitivity", "specificity", "ppv", "npv", "fnr", "fnr_upper"]
_EXACT = "yes"


def _sites(summaries: Sequence[Summary]) -> Iterator[tuple[str, Summary, Site]]:
    """Yield each hospital with its name on the page: its number, since file names could identify it."""
    for number, summary in enumerate(summaries, start=1):
        for one in summary.sites:
            several = f", {one.site}" if len(summary.sites) > 1 else ""
            yield f"hospital {number}{several}", summary, one


def _models(summaries: Sequence[Summary]) -> dict[str, list[Model]]:
    """Return each model in the hospitals that have it."""
    found: dict[str, list[Model]] = {}
    for _, _, one in _sites(summaries):
        for name, model in one.models.items():
            found.setdefault(name, []).append(model)
    return found


def counts(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return ``site, n, good, poor, judged``, as :func:`postarrest.describe.sites.counts` does."""
    rows = [
        (name, str(one.n), str(one.good), str(one.poor), one.note or "yes")
        for name, _, one in _sites(summaries)
    ]
    table = pd.DataFrame(rows, columns=["site", "n", "good", "poor", "judged"])
    by_size = pd.to_numeric(table["n"], errors="coerce").sort_values(ascending=False, kind="stable").index
    return table.loc[by_size].reset_index(drop=True)


def records(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return the records of all hospitals, as :func:`postarrest.evaluation.sites.records` does."""
    rows = [
        {"model": model, "kind": found.kind, "site": name, **found.record.model_dump(), "note": ""}
        for name, _, one in _sites(summaries)
        for model, found in one.models.items()
    ]
    table = pd.DataFrame(rows, columns=["model", "kind", "site", *sites.RECORD, "note"])
    return table.astype(dict.fromkeys(sites.RECORD, float))


def accuracy(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return the decisions of each hospital, and of all together, with their accuracy.

    Returns
    -------
    pandas.DataFrame
        As :func:`postarrest.evaluation.sites.accuracy`, and ``fnr_lowest, fnr_highest``: what the false
        pessimism can be where a count is hidden; both are the false pessimism itself where none is.
    """
    rows = [
        {"model": model, "site": name, **decision.model_dump(), "n_good": found.record.n_good}
        | dict(zip(("low", "high"), _bounds(decision.fn, summary, found.record.n_good), strict=True))
        for name, summary, one in _sites(summaries)
        for model, found in one.models.items()
        for decision in found.decisions
    ]
    order = [*_KEYS, "site", "threshold", *_CELLS, *_RATES, "fnr_lowest", "fnr_highest"]
    if not rows:
        return pd.DataFrame(columns=order)
    parts = [_accuracy(mine) for _, mine in pd.DataFrame(rows).groupby(_KEYS, sort=False)]
    return pd.concat(parts, ignore_index=True)[order]


def _bounds(count: int | str, summary: Summary, total: int) -> tuple[int, int]:
    """Return the least and the largest value of a count that may be hidden."""
    if isinstance(count, int):
        return count, count
    # A count that is hidden to protect another is what that one leaves of the total.
    most = summary.suppressed_below - 1
    return (1, most) if count.startswith("<") else (total - most, total - 1)


def _accuracy(mine: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions at one threshold of one model."""
    is_open = mine[_CELLS].map(lambda count: isinstance(count, int))
    known = mine[is_open.all(axis=1)]
    exact = sites.accuracy(known[[*_KEYS, "site", "threshold", *_CELLS]]).reindex(columns=["site", *_RATES])
    total = mine[_KEYS].iloc[:1].assign(site="all sites", threshold=mine["threshold"].median())
    total = total.assign(**mine[["low", "high", "n_good"]].sum())
    total = total.assign(**{c: mine[c].sum() if is_open[c].all() else "hidden" for c in _CELLS})
    if len(known) < len(mine):
        exact = exact[exact["site"] != "all sites"]
    every = pd.concat([mine, total]).merge(exact, on="site", how="left")
    every[_CELLS] = every[_CELLS].astype(str)
    lowest, highest = every["low"] / every["n_good"], every["high"] / every["n_good"]
    return every.assign(fnr_lowest=lowest, fnr_highest=highest)


def together(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return measures of all patients together, each with whether it is exact.

    Returns
    -------
    pandas.DataFrame
        ``model, metric, estimate, lower, upper, p, exact, n_sites, n, n_good``. Where ``exact`` is ``"yes"``,
        the value is that of the patients themselves; otherwise it says what it is.
    """
    found = []
    for name, models in _models(summaries).items():
        n, n_good = (sum(getattr(m.record, field) for m in models) for field in ("n", "n_good"))
        for metric, estimate, lower, upper, p, exact in _together(models, n, n_good):
            found.append((name, metric, estimate, lower, upper, p, exact, len(models), n, n_good))
    columns = ["model", "metric", "estimate", "lower", "upper", "p", "exact", "n_sites", "n", "n_good"]
    return pd.DataFrame(found, columns=columns)


def _together(models: Sequence[Model], n: int, n_good: int) -> Iterator[tuple]:
    nan = np.nan
    lower, upper = proportion_interval(n_good, n, method="wilson")
    yield "prevalence", n_good / n, float(lower), float(upper), nan, _EXACT
    if models[0].kind != "probability":
        return
    whole = pd.DataFrame([{"n": n, "n_good": n_good, "expected": sum(m.record.expected for m in models)}])
    effect, error = (float(value.iloc[0]) for value in sites.METRICS["oe"].of_record(whole))
    reach = norm.ppf(0.975) * error
    yield "oe", *map(float, np.exp([effect, effect - reach, effect + reach])), nan, _EXACT
    sums = {name: sum(getattr(m.sums, name) for m in models) for name in ("squared_error", "log_loss")}
    yield "brier", sums["squared_error"] / n, nan, nan, nan, _EXACT
    yield "log_loss", sums["log_loss"] / n, nan, nan, nan, _EXACT
    score = np.sum([[m.sums.residual, m.sums.residual_x] for m in models], axis=0)
    information = np.sum(
        [_matrix([m.sums.weight, m.sums.weight_x, m.sums.weight_xx]) for m in models], axis=0
    )
    if _is_singular(information):
        yield "calibration test", nan, nan, nan, nan, "no: not defined, the predictions do not differ"
    else:
        statistic = float(score @ np.linalg.solve(information, score))
        yield "calibration test", statistic, nan, nan, float(chi2.sf(statistic, 2)), _EXACT
    yield "intercept", *_fixed_effect(models), nan, "no: mean of the hospitals, weighted by information"
    yield "slope", *_slope(models), nan, "no: mean of the hospitals' fits, weighted by information"
    yield (
        "roc_auc",
        *_auc(models, n, n_good),
        nan,
        "no: from counts in bins; lower and upper are what it can be",
    )


def _matrix(values: Sequence[float]) -> np.ndarray:
    """Return the information on intercept and slope from its three numbers."""
    return np.array([[values[0], values[1]], [values[1], values[2]]])


def _is_singular(information: np.ndarray) -> bool:
    """Return whether predictions that hardly differ say nothing of a slope."""
    return bool(np.linalg.matrix_rank(information, hermitian=True) < len(information))


def _fixed_effect(models: Sequence[Model]) -> tuple[float, float, float]:
    effect, error = np.array([[m.record.intercept, m.record.intercept_se] for m in models], float).T
    weight = 1 / error**2
    mean, reach = float(weight @ effect / weight.sum()), norm.ppf(0.975) / np.sqrt(weight.sum())
    return mean, float(mean - reach), float(mean + reach)


def _slope(models: Sequence[Model]) -> tuple[float, float, float]:
    fits = [(np.array(m.sums.fit), _matrix(m.sums.fit_information)) for m in models if m.sums.fit]
    information = np.sum([np.zeros((2, 2)), *(matrix for _, matrix in fits)], axis=0)
    if _is_singular(information):
        return np.nan, np.nan, np.nan
    slope = float(np.linalg.solve(information, np.sum([matrix @ fit for fit, matrix in fits], axis=0))[1])
    reach = float(norm.ppf(0.975) * np.sqrt(np.linalg.inv(information)[1, 1]))
    return slope, slope - reach, slope + reach


def _auc(models: Sequence[Model], n: int, n_good: int) -> tuple[float, float, float]:
    """Return the AUC, and what it can be at least and at most.

    Pairs of one hospital are known from its AUC. Of the others, those in different bins are, those in one bin
    count half, and those with a hidden patient are taken to be ordered as often as those of one hospital.
    """
    own = np.array([[m.record.n_good, m.record.n - m.record.n_good, m.record.auc] for m in models])
    within, pairs = float(own[:, 0] @ own[:, 1]), n_good * (n - n_good)
    ordered = float((own[:, 0] * own[:, 1]) @ own[:, 2])
    of_one = np.sum([_ordered(*_visible([m])) for m in models], axis=0)
    certain, ties, seen = np.array(_ordered(*_visible(models))) - of_one
    hidden, hidden_within = pairs - within - seen, within - of_one[2]
    share = (ordered - of_one[0] - of_one[1] / 2) / hidden_within if hidden_within else 0.0
    estimate = ordered + certain + ties / 2 + hidden * min(1.0, share)
    return estimate / pairs, (ordered + certain) / pairs, (ordered + certain + ties + hidden) / pairs


def _ordered(good: np.ndarray, poor: np.ndarray) -> tuple[float, float, float]:
    """Return how many pairs of a good and a poor outcome are ordered rightly, are in one bin, and exist."""
    return float(good @ (np.cumsum(poor) - poor)), float(good @ poor), float(good.sum() * poor.sum())


def _visible(models: Sequence[Model]) -> tuple[np.ndarray, np.ndarray]:
    """Return good and poor outcomes in each bin, of those that are not hidden."""
    shown = [[[b.good, b.poor] if b.expected is not None else [0, 0] for b in m.bins] for m in models]
    return tuple(np.sum(shown, axis=0).T.astype(float))


def calibration_bins(summaries: Sequence[Summary]) -> pd.DataFrame:
    """Return predicted and observed frequencies in bins of the predicted probability.

    Returns
    -------
    pandas.DataFrame
        ``model, from, to, predicted, observed, lower, upper, n, n_good, n_hidden``: Wilson's intervals;
        ``n_hidden`` is the number of hospitals whose bin is hidden and left out.
    """
    found = []
    for name, models in _models(summaries).items():
        if models[0].kind != "probability":
            continue
        good, poor = _visible(models)
        n = good + poor
        for at, (low, high) in enumerate(pairwise(EDGES)):
            expected = sum(m.bins[at].expected or 0.0 for m in models)
            hidden = sum(m.bins[at].expected is None for m in models)
            if n[at]:
                limits = map(float, proportion_interval(good[at], n[at], method="wilson"))
                shares = expected / n[at], good[at] / n[at]
                found.append((name, low, high, *shares, *limits, int(n[at]), int(good[at]), hidden))
            elif hidden:
                found.append((name, low, high, *[np.nan] * 4, 0, 0, hidden))
    columns = ["model", "from", "to", "predicted", "observed", "lower", "upper", "n", "n_good", "n_hidden"]
    return pd.DataFrame(found, columns=columns)
