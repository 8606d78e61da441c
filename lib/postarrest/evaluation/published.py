"""The study's results compared with published and with simulated (true) ones."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.evaluation.discrimination import METRICS, RECOMMENDED
from postarrest.words import model_in_words, text_in_words


def planted(path: Path, *, simulated: bool) -> dict[str, Any]:
    """Return the true values of a simulation, as :func:`against_truth` needs them.

    Parameters
    ----------
    path : pathlib.Path
        The ``truth.json`` of the simulation; it need not exist.
    simulated : bool
        Whether the patients are simulated; of real patients no truth is known.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if simulated and path.is_file() else {}
    return {"truth": pd.DataFrame(known.get("models", [])), "outcomes": known.get("outcomes", [])}


def against_truth(performance: pd.DataFrame, truth: pd.DataFrame, *, outcomes: Sequence[str]) -> pd.DataFrame:
    """Compare the AUCs and Brier scores of a simulated cohort with their true values.

    Parameters
    ----------
    performance : pandas.DataFrame
        From :func:`table`.
    truth : pandas.DataFrame
        ``model, observer, auc, mc_error`` and for probabilities ``brier, brier_mc_error``: what an observer
        attains who knows more than a model is told.
    outcomes : sequence of str
        The outcome labels to which these values apply.

    Returns
    -------
    pandas.DataFrame
        ``outcome_label, set, model, metric, observer, planted, mc_error, recovered, lower, upper, within``.
    """
    columns = ["outcome_label", "set", "model", "metric", "observer", "planted", "mc_error"]
    columns += ["recovered", "lower", "upper", "within"]
    if truth.empty:
        return pd.DataFrame(columns=columns)
    planted_as = {"roc_auc": ("auc", "mc_error"), "brier": ("brier", "brier_mc_error")}
    parts = [
        truth[["model", "observer", value, error]]
        .set_axis(["model", "observer", "planted", "mc_error"], axis=1)
        .assign(metric=metric)
        for metric, (value, error) in planted_as.items()
    ]
    rows = performance[performance["recommended"] & performance["outcome_label"].isin(list(outcomes))]
    found = rows.merge(pd.concat(parts).dropna(), on=["model", "metric"])
    found = found.rename(columns={"estimate": "recovered"})
    found["within"] = found["planted"].between(found["lower"], found["upper"])
    return found[columns]


def against_published(
    published: Iterable[Mapping[str, object]], performance: pd.DataFrame, decisions: pd.DataFrame
) -> pd.DataFrame:
    """Compare the numbers of the papers with those of this study.

    Parameters
    ----------
    published : iterable of mapping
        The section ``numbers`` of ``params/published.yaml``: ``paper, item, value, table, model, metric,
        source, comparable_with`` and further columns that identify the row. Only numbers of the tables
        ``performance`` and ``at_thresholds`` whose model is in this study are used. If the ``chosen_on``
        of a rule is not given, it is ``test``, as in the papers.
    performance, decisions : pandas.DataFrame
        From :func:`table` and :func:`at_thresholds`.

    Returns
    -------
    pandas.DataFrame
        ``paper, item, model, metric, positive_class, outcome, set, rule, published, here, lower, upper,
        comparable_with, source``; ``here`` is NaN if the number was not computed in this study.
    """
    tables = {
        "performance": performance[performance["recommended"]],
        "at_thresholds": decisions[decisions["chosen_on"] != "train_oof"],
    }
    where = ["model", "metric", "positive_class", "outcome_label", "set", "rule", "chosen_on"]
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


def forest_rows(performance: pd.DataFrame, published: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return the rows of a forest plot: every AUC with its quoted interval and the published value.

    Returns
    -------
    pandas.DataFrame
        ``label, estimate, lower, upper, published``.
    """
    rows = performance[performance["recommended"] & (performance["metric"] == "roc_auc")]
    keys = ["model", "outcome_label", "set"]
    values = {
        tuple(entry.get(key) for key in keys): entry["value"]
        for entry in published
        if entry.get("table") == "performance" and entry.get("metric") == "roc_auc"
    }
    # The outcome label is shown only if there are several.
    several = rows["outcome_label"].nunique() > 1
    sets = rows["set"].map(text_in_words) + ", n = " + rows["n"].astype(str)
    where = rows["outcome_label"] + ", " + sets if several else sets
    lines = rows[["estimate", "lower", "upper"]].reset_index(drop=True)
    lines.insert(0, "label", (rows["model"].map(model_in_words) + " (" + where + ")").to_numpy())
    published = [values.get(key, np.nan) for key in rows[keys].itertuples(index=False, name=None)]
    return lines.assign(published=np.array(published, float))


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
        is the mean distance of the coverage below 0.95 over the cells (sizes, prevalences, models), with 0
        for cells of higher coverage.
    """
    cells = simulated.assign(shortfall=(0.95 - simulated["coverage"]).clip(lower=0))
    wanted = {"mean_coverage": ("coverage", "mean"), "lowest_coverage": ("coverage", "min")}
    wanted |= {"shortfall": ("shortfall", "mean"), "cells": ("coverage", "size")}
    summary = cells.groupby(["statistic", "interval"], sort=False).agg(**wanted).reset_index()
    quoted_kind = {name: RECOMMENDED[metric] for name, (metric, _) in METRICS.items()}
    summary.insert(2, "recommended", summary["statistic"].map(quoted_kind) == summary["interval"])
    return summary


def lowest_coverage(summary: pd.DataFrame, statistic: str) -> dict[str, float]:
    """Return the lowest coverage of a statistic's intervals, ``stratified`` and ``unstratified``.

    Parameters
    ----------
    summary : pandas.DataFrame
        From :func:`coverage_summary`.
    statistic : str
        Such as ``"brier"``.
    """
    lowest = summary[summary["statistic"] == statistic].set_index("interval")["lowest_coverage"]
    kinds = {"stratified": "bootstrap percentile, stratified", "unstratified": "bootstrap BCa, unstratified"}
    return {name: float(lowest[interval]) for name, interval in kinds.items()}


def coverage_of_trained(simulated: pd.DataFrame) -> pd.DataFrame:
    """Summarise a simulation of interval coverage in which the models are trained.

    Parameters
    ----------
    simulated : pandas.DataFrame
        ``docs/coverage-training.csv``, as ``benchmarks/coverage_training.py`` writes it.

    Returns
    -------
    pandas.DataFrame
        ``interval, mean_coverage, lowest_coverage, highest_coverage, size, half_width, cells``: ``size`` is
        the share of cohorts in which two procedures of equal AUC were found to differ at the 5 % level.
    """
    equal = simulated["estimand"] == "half - other half"
    cells = simulated.assign(size=(1 - simulated["coverage"]).where(equal))
    wanted = {"mean_coverage": ("coverage", "mean"), "lowest_coverage": ("coverage", "min")}
    wanted |= {"highest_coverage": ("coverage", "max"), "size": ("size", "mean")}
    wanted |= {"half_width": ("half_width", "mean"), "cells": ("coverage", "size")}
    return cells.groupby("interval", sort=False).agg(**wanted).reset_index()
