"""The first page of a study's report."""

import re
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from postarrest.report import environment
from postarrest.report.body import Body, Item
from postarrest.report.rendering import render
from postarrest.report.runs import Report
from postarrest.study import load
from postarrest.study.schema import read_yaml


def page(
    report: Report, *, further: Sequence[Body], items: Sequence[Item], entries: Sequence[tuple[str, str, str]]
) -> str:
    """Return the first page as HTML.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    further : sequence of Body
        The pages that are not those of notebooks.
    items : sequence of Item
        The figures and tables of all notebooks, in reading order.
    entries : sequence of (str, str, str)
        What the search finds, from :func:`postarrest.report.interactive.entries`.
    """
    here, study = report.here, report.study
    # A table with parts on several pages is listed once, with its first caption.
    tables = {i.name: i for i in reversed(items) if i.id.startswith("tab-")}
    network = load.complete_parameters(study, "03_cnn", root=here.root) if report.weights else {}
    compared = here.table("published").is_file()
    return render(
        "index.html.j2",
        name="index",
        study=study,
        title=study.title,
        notice=report.network.notice,
        report=report,
        citation=report.citation,
        embedded={"entries": entries},
        figure=Markup(_key_figure(report)),
        further=further,
        published=read_yaml(here.root / "params" / "published.yaml")["why"] if compared else {},
        tables=[i for name, i in sorted(tables.items()) if here.table(name).is_file()],
        figures=[i for i in items if i.id.startswith("fig-")],
        precision=network.get("precision"),
        differing=environment.differing(report.environments.values()),
        steps=_steps(report),
    )


def _key_figure(report: Report) -> str:
    """Return the ROC curves of the main result's patients; otherwise the evaluation's first figure."""
    evaluation = next(made for run, made in report.bodies.items() if run.notebook == "05_evaluation")
    where = report.result.where
    wanted = (f"fig-roc-{where['outcome_label']}-{where['set']}", "fig-roc")
    figures = [i for i in evaluation.items if i.id.startswith("fig-")]
    figures.sort(key=lambda i: wanted.index(i.id) if i.id in wanted else len(wanted))
    return str(evaluation.soup.find("figure", id=figures[0].id)) if figures else ""


def _steps(report: Report) -> list[tuple[str, float]]:
    """Return the wall time of each step in seconds, the longest first.

    The pipeline's measurement is used if it exists, otherwise papermill's.
    """
    seconds = {run.name: n["metadata"]["papermill"]["duration"] for run, n in report.notebooks.items()}
    for path in report.here.build("time").glob("*.tsv"):
        # Notebooks that the study no longer has may have left their times.
        if path.stem in seconds or not re.match(r"\d", path.stem):
            seconds[path.stem] = float(pd.read_csv(path, sep="\t")["s"].iloc[0])
    return sorted(seconds.items(), key=lambda step: (-step[1], step[0]))
