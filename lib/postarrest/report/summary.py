"""The main result of a study in sentences, with every number from its tables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.report.page import number_entry
from postarrest.report.rendering import listed, model_in_words, uncapitalised
from postarrest.study.load import Study

# The first of these that a study has is its main model: it is named beforehand, not chosen by its results.
_MAIN = ("ensemble", "cnn")
# What the main model is compared with; otherwise the best of the other models.
_COMPARED_WITH = {"cnn": "gwr_av"}
# A variant of the main model is no comparison.
_VARIANTS = ("ensemble_logistic",)
# Sets of patients not used for fitting.
_SETS = ("pooled", "holdout")
_STEPS = {"n_screened": "screened", "n_included": "included", "n_included_good": "good outcome"}
_MODALITIES = {"gwr": "readings of gray and white matter", "ct": "one head CT slice each"}


@dataclass
class Summary:
    """What the first page of a report says.

    Parameters
    ----------
    main : str
        Name of the main model.
    where : Mapping
        Outcome label (``outcome_label``) and patients (``set``) of the main result.
    data : str
        The patients, in a sentence or two.
    sentences : list of str
        The main result: discrimination, comparison, and the guideline's limit.
    numbers : dict
        The numbers of those sentences, by name, as ``numbers.json`` has them.
    """

    main: str
    where: Mapping[str, str]
    data: str = ""
    sentences: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict, repr=False)

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table that belong to the main result."""
        return _rows(table, {"model": self.main} | self.where)

    def state(self, sentence: str, table: str, *, unit: str = "", **values: Estimate | float | int) -> str:
        """Return a sentence filled with numbers of a table, and save them."""
        for name, value in values.items():
            self.numbers[f"index.{name}"] = number_entry(value, unit=unit, table=table)
        return sentence.format(**values)


def of(study: Study, tables: Path) -> Summary:
    """Return a study's main result in words.

    Parameters
    ----------
    study : Study
        The study.
    tables : pathlib.Path
        Folder of its tables; ``performance`` must be there, ``flow``, ``comparisons`` and ``thresholds`` are
        used if present.

    Raises
    ------
    FileNotFoundError
        If the study has not been evaluated.
    ValueError
        If no model has an AUC in test patients.
    """
    read = {p.stem: pd.read_csv(p) for p in tables.glob("*.csv")}
    if "performance" not in read:
        raise FileNotFoundError(tables / "performance.csv")
    performance = read["performance"]
    tested = performance["recommended"] & performance["set"].isin(_SETS)
    aucs = performance[tested & (performance["metric"] == "roc_auc")]
    if aucs.empty:
        raise ValueError("tables/performance.csv has no AUC of test patients.")
    main = _first((*_MAIN, *aucs["model"]), aucs["model"])
    own = aucs[aucs["model"] == main]
    where = {
        "outcome_label": _first((*study.outcome_labels, *own["outcome_label"]), own["outcome_label"]),
        "set": _first(_SETS, own["set"]),
    }
    result = Summary(main, where)
    aucs = _rows(aucs, where).set_index("model")
    result.sentences.append(_discrimination(result, aucs.loc[main]))
    others = aucs.drop(index=[main, *_VARIANTS], errors="ignore")
    # Scores that are defined in some of the patients only are compared only where no other score exists.
    in_same = others[others["n"] == aucs.loc[main, "n"]]
    others = others if in_same.empty else in_same
    if not others.empty:
        other = _COMPARED_WITH.get(main)
        other = other if other in others.index else str(others["estimate"].idxmax())
        pairs = _rows(read["comparisons"], where) if "comparisons" in read else None
        result.sentences.append(_comparison(result, others.loc[other], pairs))
    if "thresholds" in read:
        result.sentences += _guideline(result, result.rows(read["thresholds"]))
    result.data = _data(result, study, read.get("flow"))
    return result


def _first(ranked: tuple[str, ...], present: pd.Series) -> str:
    return next(value for value in ranked if value in set(present))


def _rows(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    for column, value in which.items():
        table = table[table[column] == value]
    return table[table["stage"] == "final"] if "stage" in table.columns else table


def _discrimination(result: Summary, row: pd.Series) -> str:
    return result.state(
        f"{model_in_words(result.main)} discriminated good from poor outcome with an AUC of {{auc}} in "
        "{n_tested} patients not used for fitting, {n_tested_good} of them with a good outcome.",
        "performance",
        auc=Estimate(row["estimate"], row["lower"], row["upper"]),
        n_tested=int(row["n"]),
        n_tested_good=int(row["n_good"]),
    )


def _comparison(result: Summary, row: pd.Series, pairs: pd.DataFrame | None) -> str:
    other, n = str(row.name), int(row["n"])
    text = f"For comparison, the AUC was {{auc_compared}} for {uncapitalised(model_in_words(other))}"
    if n != result.numbers["index.n_tested"]["value"]:
        text += " in the {n_compared} patients in whom it is defined"
    auc = Estimate(row["estimate"], row["lower"], row["upper"])
    text = result.state(text, "performance", auc_compared=auc, n_compared=n)
    if pairs is None:
        return f"{text}."
    pairs = pairs[(pairs["metric"] == "roc_auc") & (pairs["method"] == "DeLong")]
    pairs = pairs[pairs["model_a"].isin([result.main, other]) & pairs["model_b"].isin([result.main, other])]
    if pairs.empty:
        return f"{text}."
    pair = pairs.iloc[0]
    sign = 1 if pair["model_a"] == result.main else -1
    limits = sorted((sign * pair["lower"], sign * pair["upper"]))
    difference, p = Estimate(sign * pair["difference"], *limits), float(pair["p"])
    found = result.state(
        "; the difference was {auc_difference}", "comparisons", auc_difference=difference, auc_difference_p=p
    )
    verdict = ", which does not show which is better" if limits[0] <= 0 <= limits[1] else ""
    return f"{text}{found}, {'P < 0.001' if p < 0.001 else f'P = {p:.3f}'}{verdict}."


def _guideline(result: Summary, thresholds: pd.DataFrame) -> list[str]:
    rows = thresholds[(thresholds["rule"] == "Spec-Max-CI") & (thresholds["chosen_on"] == "train_oof")]
    if rows.empty:
        return []
    row = rows.iloc[0]
    if math.isnan(row["tp"]):
        return [
            "No threshold keeps the upper 95 % confidence limit of false pessimism (a good outcome predicted "
            f"poor) at 5 % or less, as the guideline requires{_reason(row['note'])}."
        ]
    counts = result.state(
        "At the threshold chosen on training patients for the guideline's limit on false pessimism, "
        "{wrongly_poor} of {n_good} patients with a good outcome were predicted to have a poor one, and "
        "{recognised_poor} of {n_poor} poor outcomes were recognised.",
        "thresholds",
        wrongly_poor=int(row["fn"]),
        n_good=int(row["tp"] + row["fn"]),
        recognised_poor=int(row["tn"]),
        n_poor=int(row["tn"] + row["fp"]),
    )
    rate = result.state(
        "False pessimism was {false_pessimism} % (upper 95 % confidence limit {false_pessimism_upper} %).",
        "thresholds",
        unit="%",
        false_pessimism=Estimate(100 * row["fnr"], digits=1),
        false_pessimism_upper=Estimate(100 * row["fnr_upper"], digits=1),
    )
    return [counts, rate]


def _reason(note: Any) -> str:
    # The table's note starts with the value that is missing: "None: with 54 good outcomes ...".
    text = str(note).split("; None:")[0].removeprefix("None:").strip().rstrip(".")
    return f": {text}" if isinstance(note, str) else ""


def _data(result: Summary, study: Study, flow: pd.DataFrame | None) -> str:
    if study.scores:
        return "A scores table made elsewhere; nothing else is known here about the patients."
    text = "Simulated patients" if study.simulated else "Patients"
    if study.modalities:
        text += f", with {listed([_MODALITIES[m] for m in study.modalities])}"
    if flow is None:
        return f"{text}."
    n = flow.drop_duplicates("step", keep=False).set_index("step")["n"].astype(str)
    # A count too small to be shown is "<5".
    counts = {name: int(n[step]) for name, step in _STEPS.items() if n.get(step, "").isdigit()}
    if {"n_screened", "n_included"} <= counts.keys():
        text += ": {n_screened} were screened and {n_included} included"
        text += ", {n_included_good} of them with a good outcome" if "n_included_good" in counts else ""
    return result.state(f"{text}.", "flow", **counts)
