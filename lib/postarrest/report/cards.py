"""Pages that reviewers and authors ask for: leakage, model card, checklists, files for a manuscript.

Each page is a Markdown template and what it is filled with.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.places import Here
from postarrest.report import appraisal, found, main_model, tripod
from postarrest.report.body import Body, Item, from_markdown
from postarrest.report.rendering import render
from postarrest.report.runs import Report
from postarrest.report.tables import table_html
from postarrest.study.schema import read_yaml
from postarrest.words import model_in_words

_MM_PER_POINT = 25.4 / 72


def pages(report: Report, *, methods: Sequence[tuple[str, str]], figures: Sequence[Item]) -> list[Body]:
    """Return the pages that apply to a study.

    Parameters
    ----------
    report : Report
        What the pages are made from; the files of the manuscript have been written.
    methods : sequence of (str, str)
        Heading and paragraph, from :func:`postarrest.report.methods.methods`.
    figures : sequence of Item
        The figures, in reading order.
    """
    filled = {"manuscript": _manuscript(report.here, methods, figures)}
    # Nothing more is known about models that were fitted elsewhere.
    if not report.study.scores:
        filled = {
            "leakage": leakage(report.here),
            "model-card": _model_card(report),
            "tripod-ai": {"checklist": tripod.filled(_checklist(report, "tripod-ai"), report)},
            "probast-ai": _probast(report),
        } | filled
    return [
        from_markdown(render(f"{name}.md.j2", **values), name=name)
        for name, values in filled.items()
        if values is not None
    ]


def leakage(here: Here) -> dict[str, Any] | None:
    """Return the counts of patients scored by a stage that was fitted on them.

    None if no model was fitted here: scores from elsewhere leave nothing to count.
    """
    counted = pd.read_csv(here.table("leakage")) if here.table("leakage").is_file() else pd.DataFrame()
    if counted.empty or (counted["run"] == "thresholds").all():
        return None
    is_test = counted["scored"] == "test"
    test, training = counted[is_test], counted[~is_test]
    caption = "Every stage of every run (tables/leakage.csv)."
    return {
        "n_in_both": counted["n_in_both"].sum() + test["n_indirect"].sum(),
        "stages": counted["stage"].nunique(),
        "runs": counted.loc[counted["run"] != "thresholds", "run"].nunique(),
        "n_scored": counted["n_scored"].sum(),
        "n_test": test["n_scored"].sum(),
        "n_training": training["n_scored"].sum(),
        "n_indirect": training["n_indirect"].sum(),
        "table": table_html(counted, anchor="leakage-all", caption=caption),
    }


def _model_card(report: Report) -> dict[str, Any]:
    outcome = report.study.parameters("01_cohort").get("outcome") or {}
    performance = report.result.rows(pd.read_csv(report.here.table("performance")))
    shown = performance[performance["recommended"]].itertuples()
    return {
        "report": report,
        "model": model_in_words(report.result.main, report.network.name),
        "main": main_model.of(report),
        "good": outcome.get("meaning", "CPC 1 or 2"),
        "measures": {
            f"{m.metric} {m.positive_class}": (Estimate(m.estimate, m.lower, m.upper), m.n, m.n_good)
            for m in shown
        },
        "update": found.update(report.here).get("sentence", "") if report.study.model else "",
        "groups": found.in_groups(report),
        "depth": report.study.parameters("03_cnn").get("depth", "head"),
    }


def _probast(report: Report) -> dict[str, Any]:
    checklist = _checklist(report, "probast-ai")
    answers = appraisal.appraise(checklist, appraisal.evidence(report))
    by_domain: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for answer in answers:
        by_domain.setdefault((answer["part"], answer["domain"]), []).append(answer)
    counts = Counter(answer["verdict"] for answer in answers)
    kind = {"frozen": bool(report.study.model), "by_site": report.study.by_site}
    return {"source": checklist["source"], "answers": by_domain, "counts": counts} | kind


def _checklist(report: Report, name: str) -> dict[str, Any]:
    return read_yaml(report.here.root / "docs" / f"{name}.yaml")


def _manuscript(here: Here, methods: Sequence[tuple[str, str]], figures: Sequence[Item]) -> dict[str, Any]:
    measured = [(item.name, *_size_mm(here.figure(f"{item.name}.pdf"))) for item in figures]
    sizes = pd.DataFrame(measured, columns=["figure", "width, mm", "height, mm"])
    return {
        "files": [path.name for path in (here.report_dir / "manuscript").iterdir()],
        "methods": methods,
        "sizes": table_html(sizes, anchor="sizes", caption="Size of each figure."),
    }


def _size_mm(pdf: Path) -> list[int]:
    # matplotlib writes the page's size in points: "/MediaBox [ 0 0 252 144 ]".
    points = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf.read_bytes()).groups()
    return [round(float(length) * _MM_PER_POINT) for length in points]
