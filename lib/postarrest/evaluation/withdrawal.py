"""The self-fulfilling prophecy: outcomes that are poor because treatment was withdrawn.

A patient in whom treatment was withdrawn and who died is recorded as a poor outcome. Had treatment gone on,
the outcome might have been good. If treatment is withdrawn in those who are predicted to do poorly, the
predictions make themselves true: false pessimism is recorded as too low and the AUC as too high. The data
cannot show by how much, but they limit it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from postarrest.describe.masking import hide_small_counts
from postarrest.describe.texts import median_quartiles
from postarrest.estimate import Estimate
from postarrest.evaluation.delong import delong
from postarrest.evaluation.intervals import proportion_interval

# What is assumed of the patients in whom treatment was withdrawn and whose outcome was poor.
RECORDED, ALL = "none would have recovered (as recorded)", "all would have recovered"
LOWEST, HIGHEST = "lowest possible", "highest possible"


def by_risk(
    rows: pd.DataFrame, course: pd.DataFrame, *, groups: int = 4, mask_below: int = 0
) -> pd.DataFrame:
    """Count withdrawal of treatment and modes of death by groups of predicted score.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of one model, outcome label and set.
    course : pandas.DataFrame
        From :func:`postarrest.describe.course.course`, indexed by patient.
    groups : int
        Number of groups of equal size.
    mask_below : int
        Counts from 1 to below this are hidden, and so are those from which they follow.

    Returns
    -------
    pandas.DataFrame
        ``score`` (range of the group), ``n, n_good, n_withdrawn``, ``withdrawal_day`` (median and quartiles),
        and a column for each mode of death. Counts are text. No rows if the withdrawal of treatment is not
        recorded.
    """
    if course.empty:
        return pd.DataFrame(columns=["score", "n", "n_good", "n_withdrawn", "withdrawal_day"])
    mine = course.reindex(rows["patient_id"]).set_axis(rows.index).assign(y=rows["y_good"])
    # By rank, so that equal scores do not make a group empty.
    group = pd.qcut(rows["score"].rank(method="first"), groups, labels=False)
    each = [(rows.loc[group == k, "score"], mine[group == k]) for k in range(groups)]
    modes = sorted(mine["mode"].unique(), key=lambda mode: (mode != "alive", mode))
    counts = np.array([[(part["mode"] == mode).sum() for mode in modes] for _, part in each])
    shown = hide_small_counts(counts, below=mask_below)
    pairs = np.array([[len(part), part["y"].sum(), (part["y"] == 0).sum()] for _, part in each])
    good = hide_small_counts(pairs, below=mask_below)[:, 1]
    pairs = np.array([[part["withdrawn"].sum(), (~part["withdrawn"].astype(bool)).sum()] for _, part in each])
    withdrawn = hide_small_counts(pairs, below=mask_below)[:, 0]
    found = []
    for k, (score, part) in enumerate(each):
        days = part["day"].dropna()
        row = {"score": f"{score.min():.2f} to {score.max():.2f}", "n": str(len(part)), "n_good": good[k]}
        row |= {"n_withdrawn": withdrawn[k]}
        row["withdrawal_day"] = median_quartiles(days) if len(days) >= max(mask_below, 1) else ""
        found.append(row | dict(zip(modes, shown[k], strict=True)))
    return pd.DataFrame(found)


def bounds(
    rows: pd.DataFrame, course: pd.DataFrame, decisions: pd.DataFrame, *, mask_below: int = 0
) -> pd.DataFrame:
    """Bound the AUC and false pessimism that would be found had treatment been withdrawn in nobody.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets`, of the final stage.
    course : pandas.DataFrame
        From :func:`postarrest.describe.course.course`, indexed by patient.
    decisions : pandas.DataFrame
        From :func:`postarrest.evaluation.subgroups.decided`; the thresholds stay as they are.
    mask_below : int
        With fewer patients of unknown outcome than this there are no bounds.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, metric, rule, scenario, n, n_good, n_unknown, estimate, lower, upper``.
        ``n_unknown``: patients in whom treatment was withdrawn and whose outcome was poor. Scenarios: none of
        them would have recovered (as recorded), all would have, and the lowest and highest value that any of
        their outcomes could give. The limits are those of sampling, as elsewhere, in that scenario.

    Notes
    -----
    The bounds assume nothing about these patients (Manski 1990). For the AUC the extreme outcomes are those
    of a cut in their scores, since a good outcome with a higher score always adds at least as many pairs in
    the right order.
    """
    columns = ["outcome_label", "set", "model", "metric", "rule", "scenario", "n", "n_good", "n_unknown"]
    found = []
    for key, mine in rows.groupby(["outcome_label", "set", "model"], sort=False):
        withdrawn = course["withdrawn"].reindex(mine["patient_id"]).eq(True).to_numpy()
        y, score = mine["y_good"].to_numpy(), mine["score"].to_numpy()
        unknown = withdrawn & (y == 0)
        if unknown.sum() < max(mask_below, 1):
            continue
        about = dict(zip(columns[:3], key, strict=True)) | {"n": len(y), "n_unknown": int(unknown.sum())}
        found += [about | row for row in _auc(y, score, unknown)]
        decided = decisions.loc[mine.index].dropna(axis=1)
        for rule in decided:
            found += [about | {"rule": rule} | row for row in _pessimism(y, decided[rule] == 0, unknown)]
    return pd.DataFrame(found, columns=[*columns, "estimate", "lower", "upper"]).fillna({"rule": ""})


def _auc(y: np.ndarray, score: np.ndarray, unknown: np.ndarray) -> Iterator[dict[str, Any]]:
    ascending = np.flatnonzero(unknown)[np.argsort(score[unknown], kind="stable")]

    def outcome(recovered: np.ndarray) -> np.ndarray:
        changed = y.copy()
        changed[recovered] = 1
        return changed

    cuts = range(len(ascending) + 1)
    # With the lowest scores recovered the AUC is lowest, with the highest ones it is highest.
    candidates = {LOWEST: [ascending[:k] for k in cuts], HIGHEST: [ascending[k:] for k in cuts]}
    chosen = {RECORDED: ascending[:0], ALL: ascending}
    for scenario, each in candidates.items():
        defined = [recovered for recovered in each if 0 < outcome(recovered).sum() < len(y)]
        values = [float(delong(outcome(recovered), score).auc[0]) for recovered in defined]
        chosen[scenario] = defined[int((np.argmin if scenario == LOWEST else np.argmax)(values))]
    for scenario, recovered in chosen.items():
        changed = outcome(recovered)
        if 0 < changed.sum() < len(y):
            e = delong(changed, score).interval("0", transform="logit")
            yield _row("roc_auc", scenario, int(changed.sum()), e)


def _pessimism(y: np.ndarray, poor: pd.Series, unknown: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield false pessimism: the share of good outcomes predicted poor."""
    poor = poor.to_numpy()
    wrong, good = int((poor & (y == 1)).sum()), int(y.sum())
    more_wrong, more = int((poor & unknown).sum()), int(unknown.sum())
    scenarios = {
        RECORDED: (wrong, good),
        ALL: (wrong + more_wrong, good + more),
        # Lowest if only those predicted good would have recovered, highest if only those predicted poor.
        LOWEST: (wrong, good + more - more_wrong),
        HIGHEST: (wrong + more_wrong, good + more_wrong),
    }
    for scenario, (count, n) in scenarios.items():
        if n:
            limits = map(float, proportion_interval(count, n))
            yield _row("false_pessimism", scenario, n, Estimate(count / n, *limits))


def _row(metric: str, scenario: str, n_good: int, e: Estimate) -> dict[str, Any]:
    values = {"estimate": e.value, "lower": e.lower, "upper": e.upper}
    return {"metric": metric, "scenario": scenario, "n_good": n_good} | values


def sentence(found: pd.DataFrame, model: str) -> list[Mapping[str, Any]]:
    """Return recorded and possible AUC and false pessimism of a model, for use in sentences.

    Parameters
    ----------
    found : pandas.DataFrame
        From :func:`bounds`.
    model : str
        Which model.

    Returns
    -------
    list of dict
        ``of, model, measure, recorded, lowest, highest, n_unknown`` for the AUC and each rule; empty without
        bounds.
    """
    result = []
    for (metric, rule), rows in found[found["model"] == model].groupby(["metric", "rule"], sort=False):
        values = rows.drop_duplicates("scenario").set_index("scenario")["estimate"]
        words = "AUC" if metric == "roc_auc" else f"false pessimism at {rule}"
        about = {"of": f"{metric}_{rule}".strip("_"), "model": model, "measure": words}
        named = {"recorded": RECORDED, "lowest": LOWEST, "highest": HIGHEST}
        numbers = {name: float(values[scenario]) for name, scenario in named.items()}
        result.append(about | numbers | {"n_unknown": int(rows["n_unknown"].iloc[0])})
    return result
