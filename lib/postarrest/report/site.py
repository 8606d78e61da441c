"""The HTML report: one self-contained page per notebook, an index per study, and one index of all studies."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from postarrest.files import write_text
from postarrest.places import ROOT, Here
from postarrest.report import (
    cards,
    folds,
    index,
    interactive,
    manifest,
    manuscript,
    methods,
    privacy,
    runs,
    summary,
)
from postarrest.report.body import Body, PageError, resolve
from postarrest.report.page import KINDS
from postarrest.report.rendering import as_json, render
from postarrest.report.runs import Report
from postarrest.report.used import NO_NETWORK, used_network
from postarrest.study import load
from postarrest.study.runs import Run
from postarrest.study.runs import runs as runs_of
from postarrest.words import words

# The figures and tables of other pages that a page refers to, by its name.
Previews = Mapping[str, list[tuple[str, Markup]]]


def write_study(name: str, *, root: Path = ROOT) -> list[Path]:
    """Write the pages of a study whose notebooks have run, its joined tables and numbers, and its manifest.

    Parameters
    ----------
    name : str
        The study.

    Returns
    -------
    list of pathlib.Path
        The pages.

    Raises
    ------
    PageError
        Listing every reason not to write the report: a notebook that is missing, did not run to its end or
        stopped at an error; a picture without alternative text; a path of this machine or a patient's
        identifier in a page; a page above 3 MB.
    """
    study = load.load(name, root=root)
    here = Here(name, save_to="report", root=root)
    notebooks, bodies = runs.read_notebooks(here, runs_of(study))
    saved = runs.records(here, bodies)
    runs.join_tables(here, saved)
    network = used_network(here) if "03_cnn" in study.notebooks else NO_NETWORK
    result = summary.of(study, here.report_dir / "tables", network=network)
    environments = {run: record["environment"] for run, record in saved.items()}
    made_from = manifest.causes(study, root=root)
    run_hash = manifest.run_hash(made_from)
    overviews = folds.pages(here, bodies, network=network.name)
    report = Report(study, here, notebooks, bodies, environments, result, network, run_hash, overviews)
    numbers = {name: entry for record in saved.values() for name, entry in record["numbers"].items()}
    write_text(here.report_dir / "numbers.json", as_json(numbers | result.numbers))

    items = [item for body in report.in_order() for item in body.items]
    tables, figures = ([item for item in items if item.id.startswith(kind)] for kind in KINDS)
    text = methods.methods(study, report.computed, network=network, root=root)
    manuscript.write(report, items=items, text=text)
    further = cards.pages(report, methods=text, figures=figures)
    every = [*report.in_order(), *further]
    for body in every:
        resolve(body, items, ["index", *(body.name for body in every)])
    previews = {body.name: interactive.previews(body, every) for body in every}
    written = {f"{run.name}.html": _notebook_page(report, run, previews) for run in bodies}
    written |= {f"{body.name}.html": _overview_page(report, body, previews) for body in overviews.values()}
    written |= {f"{body.name}.html": _page(report, body, previews=previews[body.name]) for body in further}
    titles = {run.name: _short_title(run) for run in bodies} | {n: words()["chapters"][n] for n in overviews}
    entries = interactive.entries(every, titles)
    written["index.html"] = index.page(report, further=further, items=items, entries=entries)
    privacy.check_pages(written, here, study)

    for file_name, page in written.items():
        write_text(here.report_dir / file_name, page)
    about = {
        "title": study.title,
        "question": study.question,
        "simulated": study.simulated,
        "source": network.source,
        "notice": network.notice,
        "sentences": [*result.sentences, *result.further.values()],
        "headline": result.headline,
        "run": report.run_date,
        "run_hash": run_hash,
        "tables": [asdict(item) for item in tables],
        "figures": [asdict(item) for item in figures],
    }
    write_text(here.report_dir / "summary.json", as_json(about))
    # Pages of folds that the study no longer has are removed.
    for path in here.report_dir.glob("*.html"):
        if path.name not in written:
            path.unlink()
    manifest.write(study, made_from, root=root)
    return [here.report_dir / file_name for file_name in written]


def write_home(*, root: Path = ROOT) -> Path:
    """Write ``reports/index.html`` over all studies that have a report, and return its place.

    Raises
    ------
    PageError
        If no study has one.
    """
    found = sorted((root / "reports").glob("*/summary.json"))
    if not found:
        raise PageError("No study has a report yet; make one with 'make report'.")
    reports = [json.loads(p.read_text(encoding="utf-8")) | {"name": p.parent.name} for p in found]
    place = root / "reports" / "index.html"
    write_text(place, render("home.html.j2", reports=reports))
    return place


def _page(report: Report, body: Body, **values: object) -> str:
    page = {"title": body.title, "headings": body.headings, "body": Markup(str(body.soup))}
    start = {"before": ("Start of the report", "index.html"), "notice": report.network.notice}
    start["citation"] = report.citation
    return render("page.html.j2", name=body.name, study=report.study, **(page | start | values))


def _notebook_page(report: Report, run: Run, previews: Previews) -> str:
    body = report.bodies[run]
    sweep = interactive.add_slider(report, body) if run.notebook == "05_evaluation" else None
    if run.notebook in report.overviews:
        # One of several runs, which only the page over them links to.
        turn = {"before": (words()["chapters"][run.notebook], f"{run.notebook}.html")}
    else:
        turn = _turn(report, run.name)
    shown = report.head(run) | turn
    shown["title"] = f"{body.title} ({run.title})" if run.title else body.title
    shown["embedded"] = {"sweep": sweep} if sweep else {}
    return _page(report, body, short_title=_short_title(run), previews=previews[run.name], **shown)


def _short_title(run: Run) -> str:
    return ", ".join(filter(None, (words()["chapters"][run.notebook], run.title)))


def _overview_page(report: Report, body: Body, previews: Previews) -> str:
    shown = _turn(report, body.name) | {"previews": previews[body.name]}
    return _page(report, body, short_title=words()["chapters"][body.name], **shown)


def _turn(report: Report, name: str) -> dict[str, tuple[str, str]]:
    """Return the chapters before and after a page, with their links."""
    chapters = [(words()["chapters"][notebook], f"{page}.html") for notebook, page in report.chapters()]
    place = [link for _, link in chapters].index(f"{name}.html")
    turn = {"before": chapters[place - 1]} if place else {}
    return turn | ({"after": chapters[place + 1]} if place + 1 < len(chapters) else {})
