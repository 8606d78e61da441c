"""The main result of a study in sentences, every number of them from its tables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.report.page import number_entry
from postarrest.study.load import Study

# The first of these that a study has is its main model: named beforehand, no result chooses it.
_MAIN = ("ensemble", "cnn")
# What the main model is compared with; else with the best of the other models.
_COMPARED_WITH = {"cnn": "gwr_av"}
# Sets of patients on whom nothing was fitted.
_SETS = ("pooled", "holdout")
# Steps of the participant flow that the index tells.
_STEPS = {"n_screened": "screened", "n_included": "included", "n_included_good": "good outcome"}
# Variants of the main model are no comparison.
_VARIANTS = frozenset({"ensemble_logistic"})
MODELS = {
    "gwr_bg": "the gray-to-white-matter ratio of the basal ganglia (GWR-BG)",
    "gwr_ce": "the gray-to-white-matter ratio of the cerebrum (GWR-CE)",
    "gwr_av": "the average gray-to-white-matter ratio (GWR-AV)",
    "cnn": "the convolutional network on head CT",
    "ohca_score": "the OHCA score",
    "ohca": "the model of the OHCA score's variables",
    "pupil": "the model of pupil diameters",
    "ct": "the convolutional network on head CT",
    "ensemble": "the ensemble",
    "ensemble_logistic": "the logistic ensemble",
    "clinical": "the model of clinical variables",
    "eeg24": "the model of the EEG at 24 hours",
    "eeg48": "the model of the EEG at 48 hours",
    "eeg72": "the model of the EEG at 72 hours",
}


@dataclass(frozen=True)
class Summary:
    """What the first page of a report says.

    Parameters
    ----------
    data : str
        The patients, in a sentence or two.
    sentences : list of str
        The main result: discrimination, comparison, and what the guideline asks.
    numbers : Mapping
        The numbers of those sentences as ``numbers.json`` keeps them, by name.
    main : str
        Name of the main model.
    where : Mapping
        Its ``outcome`` label and ``set`` of patients.
    """

    data: str
    sentences: list[str]
    numbers: Mapping[str, Any] = field(repr=False)
    main: str
    where: Mapping[str, str]


def model_in_words(name: str) -> str:
    """Return what a model of the scores table is, in words.

    Examples
    --------
    >>> model_in_words("ohca_score"), model_in_words("mri")
    ('the OHCA score', "the model 'mri'")
    """
    return MODELS.get(name, f"the model '{name}'")


def of(study: Study, tables: Path) -> Summary:
    """Return a study's main result in words.

    Parameters
    ----------
    study : Study
        The study.
    tables : pathlib.Path
        Folder of its tables; ``performance`` must be there, ``flow``, ``comparisons`` and ``thresholds`` are
        used where they are.

    Raises
    ------
    FileNotFoundError
        If the study has not been evaluated.
    ValueError
        If no model has a ROC area of test patients.
    """
    numbers: dict[str, Any] = {}
    read = {p.stem: pd.read_csv(p) for p in tables.glob("*.csv")}
    if "performance" not in read:
        raise FileNotFoundError(tables / "performance.csv")
    aucs = _test_aucs(read["performance"])
    main = _main_model(aucs)
    which = _where(aucs[aucs["model"] == main], study)
    aucs = _rows(aucs, which).set_index("model")
    sentences = [_discrimination(main, aucs.loc[main], numbers)]
    others = aucs.drop(index=[main, *_VARIANTS], errors="ignore")
    # A score that is defined in some patients only is compared in fewer; the others come first.
    in_same = others[others["n"] == aucs.loc[main, "n"]]
    others = others if in_same.empty else in_same
    if not others.empty:
        other = _COMPARED_WITH.get(main, "")
        other = other if other in others.index else str(others["estimate"].idxmax())
        compared = _rows(read["comparisons"], which) if "comparisons" in read else None
        sentences.append(_comparison(main, other, others.loc[other], compared, numbers))
    if "thresholds" in read:
        sentences += _guideline(main, _rows(read["thresholds"], which), numbers)
    return Summary(_data(study, read.get("flow"), numbers), sentences, numbers, main, which)


def main_rows(study: Study, performance: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table's rows that speak of the main result: its model, outcome label and set of patients.

    Parameters
    ----------
    study : Study
        The study.
    performance : pandas.DataFrame
        The performance table, which decides what the main result is.
    table : pandas.DataFrame
        The performance table itself, or another with columns ``model``, ``outcome`` and ``set``.

    Raises
    ------
    ValueError
        If no model has a ROC area of test patients.
    """
    aucs = _test_aucs(performance)
    main = _main_model(aucs)
    return _rows(table, {"model": main} | _where(aucs[aucs["model"] == main], study))


def _test_aucs(performance: pd.DataFrame) -> pd.DataFrame:
    tested = performance["recommended"] & performance["set"].isin(_SETS)
    aucs = performance[tested & (performance["metric"] == "roc_auc")]
    if aucs.empty:
        raise ValueError("tables/performance.csv has no ROC area of test patients.")
    return aucs


def main_model(performance: pd.DataFrame) -> str:
    """Return the name of the model that the main result is of."""
    return _main_model(_test_aucs(performance))


def _main_model(aucs: pd.DataFrame) -> str:
    return next(m for m in (*_MAIN, *aucs["model"]) if m in set(aucs["model"]))


def _where(rows: pd.DataFrame, study: Study) -> dict[str, str]:
    """Return the outcome label and the set of patients of the main result."""
    ranked = {"outcome_label": (*study.outcome_labels, *rows["outcome_label"]), "set": _SETS}
    return {column: next(v for v in values if v in set(rows[column])) for column, values in ranked.items()}


def _rows(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    for column, value in which.items():
        table = table[table[column] == value]
    return table[table["stage"] == "final"] if "stage" in table.columns else table


def _discrimination(main: str, row: pd.Series, numbers: dict[str, Any]) -> str:
    auc = Estimate(row["estimate"], row["lower"], row["upper"])
    n, n_good = int(row["n"]), int(row["n_good"])
    _keep(numbers, "performance", auc=auc, n_tested=n, n_tested_good=n_good)
    subject = model_in_words(main)
    return (
        f"{subject[0].upper()}{subject[1:]} told good from poor outcome with an AUC of {auc} in {n} patients "
        f"on whom nothing had been fitted, {n_good} of them with a good outcome."
    )


def _comparison(
    main: str, other: str, row: pd.Series, compared: pd.DataFrame | None, numbers: dict[str, Any]
) -> str:
    auc = Estimate(row["estimate"], row["lower"], row["upper"])
    _keep(numbers, "performance", auc_compared=auc, n_compared=int(row["n"]))
    text = f"For comparison, {model_in_words(other)} reached {auc}"
    if int(row["n"]) != numbers["index.n_tested"]["value"]:
        text += f" in the {int(row['n'])} patients in whom it is defined"
    pair = _pair(main, other, compared) if compared is not None else None
    if pair is None:
        return text + "."
    difference, p = pair
    _keep(numbers, "comparisons", auc_difference=difference, auc_difference_p=p)
    settled = difference.lower > 0 or difference.upper < 0
    verdict = "" if settled else ", which leaves open which is better"
    shown_p = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"{text}; the difference was {difference}, {shown_p}{verdict}."


def _pair(main: str, other: str, comparisons: pd.DataFrame) -> tuple[Estimate, float] | None:
    rows = comparisons[(comparisons["metric"] == "roc_auc") & (comparisons["method"] == "DeLong")]
    for a, b, sign in ((main, other, 1), (other, main, -1)):
        found = rows[(rows["model_a"] == a) & (rows["model_b"] == b)]
        if not found.empty:
            row = found.iloc[0]
            limits = sorted((sign * row["lower"], sign * row["upper"]))
            return Estimate(sign * row["difference"], *limits), float(row["p"])
    return None


def _guideline(main: str, thresholds: pd.DataFrame, numbers: dict[str, Any]) -> list[str]:
    rows = thresholds[(thresholds["model"] == main) & (thresholds["rule"] == "Spec-Max-CI")]
    rows = rows[rows["chosen_on"] == "train_oof"]
    if rows.empty:
        return []
    row = rows.iloc[0]
    if math.isnan(row["tp"]):
        return [
            "No threshold could be chosen that keeps the upper 95 % bound of false pessimism (a patient who "
            f"recovers predicted not to) at 5 % or less, as the guideline asks{_reason(row['note'])}."
        ]
    good, poor = int(row["tp"] + row["fn"]), int(row["tn"] + row["fp"])
    wrong, recognised = int(row["fn"]), int(row["tn"])
    fnr = Estimate(100 * row["fnr"], digits=1)
    upper = Estimate(100 * row["fnr_upper"], digits=1)
    _keep(numbers, "thresholds", wrongly_poor=wrong, recognised_poor=recognised, n_poor=poor, n_good=good)
    _keep(numbers, "thresholds", unit="%", false_pessimism=fnr, false_pessimism_upper=upper)
    return [
        f"At the threshold chosen on training patients for the guideline's limit on false pessimism, {wrong} "
        f"of {good} patients who recovered were predicted not to ({fnr} %, upper 95 % bound {upper} %), and "
        f"{recognised} of {poor} poor outcomes were recognised."
    ]


def _reason(note: Any) -> str:
    # The table's note starts with the value that is missing: "None: with 54 good outcomes ...".
    text = str(note).split("; None:")[0].removeprefix("None:").strip().rstrip(".")
    return f": {text}" if isinstance(note, str) else ""


def _data(study: Study, flow: pd.DataFrame | None, numbers: dict[str, Any]) -> str:
    if study.scores:
        return "A scores table made elsewhere; nothing else of the patients is known here."
    what = "Simulated patients" if study.simulated else "Patients"
    parts = {"gwr": "readings of gray and white matter", "ct": "one head CT slice each"}
    held = [parts[m] for m in study.modalities]
    beside = f", with {' and '.join(held)}" if held else ""
    if flow is None:
        return f"{what}{beside}."
    counts = {name: _count(flow, step) for name, step in _STEPS.items()}
    told = {name: count for name, count in counts.items() if count is not None}
    _keep(numbers, "flow", **told)
    if {"n_screened", "n_included"} - told.keys():
        return f"{what}{beside}."
    good = f", {told['n_included_good']} of them with a good outcome" if "n_included_good" in told else ""
    return f"{what}{beside}: {told['n_screened']} were screened and {told['n_included']} included{good}."


def _count(flow: pd.DataFrame, step: str) -> int | None:
    """Return a step's count; None where it is absent or too small to be shown ("<5")."""
    rows = flow.loc[flow["step"] == step, "n"]
    return int(rows.iloc[0]) if len(rows) == 1 and str(rows.iloc[0]).isdigit() else None


def _keep(numbers: dict[str, Any], table: str, *, unit: str = "", **values: Estimate | float | int) -> None:
    for name, value in values.items():
        numbers[f"index.{name}"] = number_entry(value, unit=unit, table=table)
