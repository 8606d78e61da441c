"""TRIPOD+AI: where a report addresses each item, in words that fit the study.

``docs/tripod-ai.yaml`` lists the items. What an item says may differ between kinds of study (:data:`KINDS`).
"""

from collections.abc import Mapping
from typing import Any

from postarrest.report import found
from postarrest.report.rendering import as_text
from postarrest.report.runs import Report

KINDS = ("frozen", "subgroups", "by_site")


def filled(checklist: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return the checklist with what each item says in this study.

    Parameters
    ----------
    checklist : Mapping
        The content of ``docs/tripod-ai.yaml``.
    report : Report
        The report.
    """
    here = report.here
    kinds: list[str] = []
    values = {"groups": found.in_groups(report)}
    if report.study.model:
        kinds += ["frozen"]
        values |= {"update": found.update(here).get("sentence", ""), "apart": found.membership(here)}
    if values["groups"]:
        kinds += ["subgroups"]
    if report.study.by_site:
        kinds += ["by_site"]
    # Names of groups are the data's own, and what a checklist says is Markdown.
    return for_study(checklist, kinds, {name: as_text(value) for name, value in values.items()})


def for_study(checklist: Mapping[str, Any], kinds: list[str], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the checklist in the words for the kinds of study that apply.

    Parameters
    ----------
    checklist : Mapping
        The content of ``docs/tripod-ai.yaml``.
    kinds : list of str
        Those of :data:`KINDS` that apply.
    values : Mapping of str
        What replaces ``{name}`` in these words.

    Examples
    --------
    >>> item = {"item": "16", "met": "None.", "open": "", "frozen": {"met": "{apart}"}}
    >>> checklist = {"sections": [{"title": "Methods", "items": [item]}]}
    >>> for_study(checklist, ["frozen"], {"apart": "AUC 0.8."})["sections"][0]["items"][0]["met"]
    'AUC 0.8.'
    """
    sections = []
    for section in checklist["sections"]:
        items = []
        for item in section["items"]:
            shown = {name: value for name, value in item.items() if name not in KINDS}
            for kind in kinds:
                shown |= {name: text.format(**values) for name, text in item.get(kind, {}).items()}
            items.append(shown)
        sections.append({**section, "items": items})
    return {**checklist, "sections": sections}
