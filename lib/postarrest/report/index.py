"""The first page of a study's report."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from postarrest.report import body, head
from postarrest.report.body import Body, Item
from postarrest.report.head import Report
from postarrest.report.rendering import render
from postarrest.study import load, schema

CHAPTERS = {
    "01_cohort": "The patients",
    "02_gwr": "Gray-to-white-matter ratio",
    "03_cnn": "Convolutional network on head CT",
    "04_stacking": "Base models and ensemble",
    "05_evaluation": "Evaluation",
    "A1_simulation": "How the patients were simulated",
}
# Steps of the pipeline that run before the notebooks' order begins.
_FIRST_STEPS = ("simulate", "01_cohort", "splits", "02_gwr", "features")


def page(report: Report, *, further: Sequence[Body], items: Sequence[Item]) -> str:
    """Return the first page as HTML.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    further : sequence of Body
        The pages that are not those of notebooks.
    items : sequence of Item
        The figures and tables of all notebooks, in reading order.
    """
    # A table that several pages have parts of is listed once, with its first caption.
    tables = {i.name: i for i in reversed(items) if i.id.startswith("tab-")}
    return render(
        "index.html.j2",
        name="index",
        study=report.study,
        title=report.study.title,
        result=report.result,
        figure=Markup(_key_figure(report)),
        chapters=_chapters(report),
        further=further,
        published=_published(report),
        tables=[i for name, i in sorted(tables.items()) if report.here.table(name).is_file()],
        figures=[i for i in items if i.id.startswith("fig-")],
        about=head.of_index(report),
        versions=report.computed["versions"],
        steps=_steps(report),
    )


def _published(report: Report) -> str:
    """Return why agreement with published numbers is no replication; blank where none are shown."""
    if not report.here.table("published").is_file():
        return ""
    why = schema.read_yaml(report.here.root / "params" / "published.yaml")["why"]
    return why["simulated"] if report.study.simulated else why["other"]


def _key_figure(report: Report) -> str:
    """Return the ROC curves of the main result's patients; otherwise the evaluation's first figure."""
    evaluation = next(made for run, made in report.bodies.items() if run.notebook == "05_evaluation")
    where = report.result.where
    wanted = (f"fig-roc-{where['outcome_label']}-{where['set']}", "fig-roc")
    figures = [i for i in evaluation.items if i.id.startswith("fig-")]
    figures.sort(key=lambda i: wanted.index(i.id) if i.id in wanted else len(wanted))
    return body.picture(evaluation, figures[0]) if figures else ""


def _chapters(report: Report) -> list[dict[str, Any]]:
    chapters = []
    for notebook in load.NOTEBOOKS:
        own = [(run, made) for run, made in report.bodies.items() if run.notebook == notebook]
        links = [(run.title or made.title, f"{run.name}.html") for run, made in own]
        question = own[0][1].title if own else ""
        chapters.append(
            {"notebook": notebook, "title": CHAPTERS[notebook], "links": links, "question": question}
        )
    return chapters


def _steps(report: Report) -> list[tuple[str, float]]:
    """Return the wall time of each step in seconds: as the pipeline measured it, otherwise as papermill did."""
    seconds = {run.name: n["metadata"]["papermill"]["duration"] for run, n in report.notebooks.items()}
    for path in report.here.build("time").glob("*.tsv"):
        # Notebooks that the study no longer has may have left their times.
        if path.stem in seconds or not re.match(r"\d", path.stem):
            seconds[path.stem] = float(pd.read_csv(path, sep="\t")["s"].iloc[0])
    order = {name: place for place, name in enumerate(_FIRST_STEPS)}
    return sorted(seconds.items(), key=lambda step: (order.get(step[0], len(order)), step[0]))
