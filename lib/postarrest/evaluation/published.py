"""The study's results beside the published and the planted ones."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.evaluation.discrimination import METRICS, RECOMMENDED


def planted(path: Path, *, simulated: bool) -> dict[str, Any]:
    """Return what was planted in simulated patients, as :func:`against_truth` needs it.

    Parameters
    ----------
    path : pathlib.Path
        The simulation's ``truth.json``, if it is there.
    simulated : bool
        Whether the patients are simulated; in real ones nothing was planted.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if simulated and path.is_file() else {}
    return {"truth": known.get("models", {}), "outcomes": known.get("outcomes", [])}


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
        ``outcome_label, set, model, metric, planted, mc_error, recovered, lower, upper, within``.
    """
    planted_as = {"roc_auc": ("auc", "mc_error"), "brier": ("brier", "brier_mc_error")}
    rows = performance[performance["recommended"] & performance["metric"].isin(list(planted_as))]
    rows = rows[rows["outcome_label"].isin(list(outcomes))]
    found = []
    for row in rows.to_dict("records"):
        of_model = truth.get(row["model"], {})
        value, error = planted_as[row["metric"]]
        if value in of_model:
            found.append(
                {key: row[key] for key in ("outcome_label", "set", "model", "metric")}
                | {"planted": of_model[value], "mc_error": of_model[error], "recovered": row["estimate"]}
                | {"lower": row["lower"], "upper": row["upper"]}
                | {"within": row["lower"] <= of_model[value] <= row["upper"]}
            )
    columns = [
        "outcome_label",
        "set",
        "model",
        "metric",
        "planted",
        "mc_error",
        "recovered",
        "lower",
        "upper",
    ]
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


def beside_published(performance: pd.DataFrame, published: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return the lines of a forest plot: every ROC area with its quoted interval and the published value.

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
    # The outcome label is told only where there are several.
    label = (
        rows["set"] if rows["outcome_label"].nunique() == 1 else rows["outcome_label"] + ", " + rows["set"]
    )
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
