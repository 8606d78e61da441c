"""The HTML report: a self-contained page a notebook, an index a study, and one index over all studies.

Run as ``python -m postarrest.pages --study holdout`` once the notebooks have run, and
``python -m postarrest.pages --home`` after that.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from postarrest.files import write_text
from postarrest.places import ROOT, Here
from postarrest.report import body as body_room
from postarrest.report import cards, environment, manifest, manuscript, summary
from postarrest.report import methods as methods_room
from postarrest.report.body import Body, Item, PageError
from postarrest.report.index import CHAPTERS, computed_with, data_in_words, index_page, seeds_in_words
from postarrest.report.privacy import check_pages
from postarrest.report.rendering import as_json, page_footer, render_template, weights_in_words
from postarrest.report.runs import Run, environments_of_runs, join_numbers, join_tables, read_notebooks, runs
from postarrest.study import load, schema
from postarrest.study.load import Study

# Pages that show what the network on CT scored.
_WITH_NETWORK = ("03_cnn", "04_stacking", "05_evaluation")


def write_study(name: str, *, root: Path = ROOT) -> list[Path]:
    """Write the pages of a study whose notebooks have run.

    Joins the parts of tables and the pages' numbers as well.

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
        Listing every reason not to publish: a notebook that is missing, did not run to its end or stopped at
        an error; a picture without text; a path of this machine or a patient's identifier in a page; a page
        above 3 MB.
    """
    study = load.load(name, root=root)
    here = Here(name, save_to="report", root=root)
    expected = runs(study)
    notebooks = read_notebooks(here, expected)
    # Thresholds are chosen in the evaluation, which adds their rows to the table of leakage.
    join_tables(here, [*(r.part for r in expected if r.part), "thresholds"])
    numbers = join_numbers(here, expected)

    bodies = _convert(notebooks)
    items = [item for body in bodies.values() for item in body.items]
    contents = {
        kind: [_entry(i) for i in items if i.id.startswith(kind[:3])] for kind in ("tables", "figures")
    }
    told = summary.of(study, here.report_dir / "tables")
    write_text(here.report_dir / "numbers.json", as_json(numbers | told.numbers))

    computed = environments_of_runs(here, expected)
    further = _further_pages(study, here, told, contents, computed)
    names = ["index", *(run.name for run in expected), *(body.name for body in further)]
    for body in [*bodies.values(), *further]:
        body_room.resolve(body, items, names)
    order = [(run, bodies[run]) for run in expected]
    written = {
        f"{run.name}.html": _notebook_page(study, here, run, order, notebooks[run], computed)
        for run in expected
    }
    written |= {f"{body.name}.html": _further_page(study, body) for body in further}
    written["index.html"] = index_page(study, here, order, further, items, told, computed, notebooks)
    check_pages(written, here, study)
    for file_name, text in written.items():
        write_text(here.report_dir / file_name, text)
    ended = max(n["metadata"]["papermill"]["end_time"] for n in notebooks.values())
    about = {
        "title": study.title,
        "question": study.question,
        "simulated": study.simulated,
        "sentences": told.sentences,
        "run": ended[:10],
    }
    write_text(here.report_dir / "summary.json", as_json(about | contents))
    _remove_stale(here, written)
    manifest.write(study, root=root)
    return [here.report_dir / file_name for file_name in written]


def _further_pages(
    study: Study,
    here: Here,
    told: summary.Summary,
    contents: Mapping[str, Any],
    computed: Mapping[Run, dict[str, Any]],
) -> list[Body]:
    """Make the pages that are no notebook's, and the files that one of them lists."""
    weights = weights_in_words(here) if "03_cnn" in study.notebooks else ""
    outcome = study.sections["common"].get("outcome") or study.sections["01_cohort"].get("outcome") or {}
    first = next(iter(computed.values()), None) or environment.describe(root=here.root)
    methods = methods_room.methods(study, first, weights=weights, root=here.root)
    manuscript.write(study, here, contents=contents, text=methods)
    good = outcome.get("meaning", "CPC 1 or 2")
    figures = [f["name"] for f in contents["figures"]]
    files = cards.manuscript(here, methods=methods, figures=figures)
    if study.scores:
        # Nothing is known here of models that were made elsewhere.
        return [files]
    card = cards.model_card(study, here, told, good=good, weights=weights)
    made = [cards.leakage(here), card, cards.tripod(root=here.root), files]
    return [body for body in made if body is not None]


def _further_page(study: Study, body: Body) -> str:
    return render_template(
        "page.html.j2",
        study=study,
        simulated=study.simulated,
        title=body.title,
        trail=[("All reports", "../index.html"), (study.title, "index.html")],
        headings=body.headings,
        about=[],
        body=Markup(body.html),
        before=("Start of the report", "index.html"),
        after=None,
        footer=page_footer(study),
    )


def write_home(*, root: Path = ROOT) -> Path:
    """Write ``reports/index.html`` over all studies that have a report.

    Raises
    ------
    PageError
        If no study has one.
    """
    found = sorted((root / "reports").glob("*/summary.json"))
    if not found:
        raise PageError("No study has a report yet; make one with 'make report'.")
    reports = [json.loads(p.read_text(encoding="utf-8")) | {"name": p.parent.name} for p in found]
    page = render_template(
        "home.html.j2",
        title="Prediction of recovery after cardiac arrest",
        headings=[(2, r["name"], r["title"]) for r in reports],
        reports=reports,
        footer="Research software; not for the care of patients.",
    )
    place = root / "reports" / "index.html"
    write_text(place, page)
    return place


def _convert(notebooks: Mapping[Run, Any]) -> dict[Run, Body]:
    made, faults = {}, []
    for run, notebook in notebooks.items():
        given = notebook["metadata"]["papermill"].get("parameters", {})
        try:
            made[run] = body_room.body(notebook, name=run.name, hidden=_paths(given.values()))
        except PageError as error:
            faults.append(str(error))
    if faults:
        raise PageError("\n".join(faults))
    return made


def _paths(values: Iterable[Any]) -> list[str]:
    return [v for v in values if isinstance(v, str) and v and Path(v).is_absolute()]


def _notebook_page(
    study: Study,
    here: Here,
    run: Run,
    order: Sequence[tuple[Run, Body]],
    notebook: Any,
    computed: Mapping[Run, dict[str, Any]],
) -> str:
    place = [r for r, _ in order].index(run)
    body = order[place][1]
    values = _parameters(run, notebook, root=here.root)
    about = [
        ("Study", study.title),
        ("Part", run.title),
        ("Data", data_in_words(study)),
        ("Seed", seeds_in_words(study, values)),
        (
            "Weights",
            weights_in_words(here) if "03_cnn" in study.notebooks and run.notebook in _WITH_NETWORK else "",
        ),
        *computed_with(computed.get(run)),
        ("Run", _run_time(notebook)),
    ]
    return render_template(
        "page.html.j2",
        study=study,
        simulated=study.simulated,
        title=f"{body.title} ({run.title})" if run.title else body.title,
        trail=[("All reports", "../index.html"), (study.title, "index.html")],
        short_title=CHAPTERS[run.notebook] + (f", {run.title}" if run.title else ""),
        headings=body.headings,
        about=[(k, v) for k, v in about if v],
        parameters=values,
        body=Markup(body.html),
        before=_turn(order, place - 1) or ("Start of the report", "index.html"),
        after=_turn(order, place + 1),
        footer=page_footer(study),
    )


def _turn(order: Sequence[tuple[Run, Body]], place: int) -> tuple[str, str] | None:
    if not 0 <= place < len(order):
        return None
    run = order[place][0]
    return ", ".join(filter(None, (CHAPTERS[run.notebook], run.title))), f"{run.name}.html"


def _parameters(run: Run, notebook: Any, *, root: Path) -> list[tuple[str, str, str]]:
    given = notebook["metadata"]["papermill"].get("parameters", {})
    declared = schema.declared_parameters(run.notebook, root=root)
    values = {name: given.get(name, p.default) for name, p in declared.items()}
    return [(name, _shown_value(value), declared[name].help) for name, value in values.items()]


def _shown_value(value: Any) -> str:
    if isinstance(value, str):
        return Path(value).name if value and Path(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False)


def _run_time(notebook: Any) -> str:
    run = notebook["metadata"]["papermill"]
    return f"{run['end_time'][:16].replace('T', ' ')}, {run['duration']:.0f} s"


def _remove_stale(here: Here, written: Mapping[str, str]) -> None:
    # A fold that the study no longer has must not stand beside those that it has.
    for path in here.report_dir.glob("*.html"):
        if path.name not in written:
            path.unlink()


def _entry(item: Item) -> dict[str, str]:
    return {"name": item.name, "label": item.label, "caption": item.caption, "page": item.page}


def main(arguments: list[str] | None = None) -> int:
    """Write a study's pages, or the index over all studies."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pages", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--study", help="write this study's pages")
    what.add_argument("--home", action="store_true", help="write the index over all studies")
    given = parser.parse_args(arguments)
    try:
        if given.home:
            write_home()
        else:
            write_study(given.study)
    except (PageError, schema.StudyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
