"""The HTML report: one self-contained page per notebook, an index per study, and one index of all studies."""

import json
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from postarrest.files import write_text
from postarrest.places import ROOT, Here
from postarrest.report import cards, index, manifest, manuscript, methods, privacy, runs, summary
from postarrest.report.body import Body, PageError, resolve
from postarrest.report.page import KINDS
from postarrest.report.rendering import as_json, render, words
from postarrest.report.runs import Report
from postarrest.report.used import NO_NETWORK, used_network
from postarrest.study import load
from postarrest.study.runs import Run
from postarrest.study.runs import runs as runs_of


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
    report = Report(study, here, notebooks, bodies, environments, result, network)
    numbers = {name: entry for record in saved.values() for name, entry in record["numbers"].items()}
    write_text(here.report_dir / "numbers.json", as_json(numbers | result.numbers))

    items = [item for body in bodies.values() for item in body.items]
    tables, figures = ([item for item in items if item.id.startswith(kind)] for kind in KINDS)
    text = methods.methods(study, report.computed, network=network, root=root)
    manuscript.write(report, items=tables, text=text)
    further = cards.pages(report, methods=text, figures=figures)
    every = [*bodies.values(), *further]
    for body in every:
        resolve(body, items, ["index", *(body.name for body in every)])
    written = {f"{run.name}.html": _notebook_page(report, run) for run in bodies}
    written |= {f"{body.name}.html": _page(report, body) for body in further}
    written["index.html"] = index.page(report, further=further, items=items)
    privacy.check_pages(written, here, study)

    for file_name, page in written.items():
        write_text(here.report_dir / file_name, page)
    about = {
        "title": study.title,
        "question": study.question,
        "simulated": study.simulated,
        "source": network.source,
        "notice": network.notice,
        "sentences": result.sentences,
        "run": max(n["metadata"]["papermill"]["end_time"] for n in notebooks.values())[:10],
        "tables": [asdict(item) for item in tables],
        "figures": [asdict(item) for item in figures],
    }
    write_text(here.report_dir / "summary.json", as_json(about))
    # Pages of folds that the study no longer has are removed.
    for path in here.report_dir.glob("*.html"):
        if path.name not in written:
            path.unlink()
    manifest.write(study, root=root)
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
    return render("page.html.j2", name=body.name, study=report.study, **(page | start | values))


def _notebook_page(report: Report, run: Run) -> str:
    body, order = report.bodies[run], list(report.bodies)
    place = order.index(run)
    links = [(_short_title(r), f"{r.name}.html") for r in order]
    shown = report.head(run) | ({"before": links[place - 1]} if place else {})
    shown["title"] = f"{body.title} ({run.title})" if run.title else body.title
    after = links[place + 1] if run != order[-1] else None
    return _page(report, body, short_title=_short_title(run), after=after, **shown)


def _short_title(run: Run) -> str:
    return ", ".join(filter(None, (words()["chapters"][run.notebook], run.title)))
