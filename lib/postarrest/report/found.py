"""What some pages of a study found, in words, for the pages that refer to them."""

import json
import math
from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.evaluation import subgroups, updating
from postarrest.places import Here
from postarrest.report.runs import Report
from postarrest.words import words


def update(here: Here) -> dict[str, Any]:
    """Return which updates of a frozen model were examined, and which one the patients support.

    Returns
    -------
    dict
        ``examined`` (list of str), ``supported`` (blank if it is none of them) and ``sentence``, in words;
        empty where the study examined none.
    """
    place = here.build("update.json")
    if not place.is_file():
        return {}
    kind = json.loads(place.read_text(encoding="utf-8"))["kind"]
    judged = pd.read_csv(here.table("updating"))["update"].unique()
    supported = "" if kind == "none" else updating.IN_WORDS[kind]
    sentence = words()["sentences"]["updated" if supported else "not_updated"]
    return {
        "examined": [updating.IN_WORDS[name] for name in judged if name != "none"],
        "supported": supported,
        "sentence": sentence.format(update=supported),
    }


def membership(here: Here) -> str:
    """Return how well a membership model distinguishes these patients from those of the frozen model."""
    place = here.report_dir / "numbers.json"
    entry = json.loads(place.read_text(encoding="utf-8")).get("08_external.membership", {})
    value, lower, upper = (entry.get(part) for part in ("value", "lower", "upper"))
    limits = [math.nan if limit is None else limit for limit in (lower, upper)]
    return words()["sentences"]["not_apart" if value is None else "apart"].format(
        membership=Estimate(math.nan if value is None else value, *limits)
    )


def in_groups(report: Report) -> str:
    """Return what tests between groups of patients found for the main model; blank without any."""
    place = report.here.table("subgroups")
    if "07_subgroups" not in report.study.notebooks or not place.is_file():
        return ""
    table = pd.read_csv(place, dtype={"rule": str}).fillna({"rule": ""})
    for column, value in report.result.where.items():
        table = table[table[column] == value]
    # One entry at most, since the rows are of one outcome label and set.
    for tested in subgroups.differences(table, report.result.main):
        kind = "differ" if tested["n_found"] else "alike" if tested["n_tests"] else "untested"
        return words()["sentences"][f"groups_{kind}"].format(**tested)
    return ""
