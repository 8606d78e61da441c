"""The HTML report: a self-contained page a notebook, an index a study, and one index over all studies.

Run as ``python -m postarrest.pages --study holdout`` once the notebooks have run, and
``python -m postarrest.pages --home`` after that.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from postarrest import convert, environment, guidelines, manifest, manuscript, splits, summary
from postarrest import study as studies
from postarrest.convert import Body, Item, PageError
from postarrest.files import write_text
from postarrest.study import ROOT, Here, Study

LARGEST_PAGE_BYTES = 3_000_000

# What the index says of a notebook that a study has no use for.
_ABSENT = {
    "02_gwr": "Not part of this report: the study has no readings of gray and white matter.",
    "03_cnn": "Not part of this report: the study has no head CT.",
    "04_stacking": "Not part of this report: the study has no nested cross-validation, so no ensemble.",
    "A1_simulation": "Not part of this report: no head CT was simulated for it.",
}
_CHAPTERS = {
    "01_cohort": "The patients",
    "02_gwr": "Gray-to-white-matter ratio",
    "03_cnn": "Convolutional network on head CT",
    "04_stacking": "Base models and ensemble",
    "05_evaluation": "Evaluation",
    "A1_simulation": "How the patients were simulated",
}
# Pages that show what the network on CT scored.
_WITH_NETWORK = ("03_cnn", "04_stacking", "05_evaluation")
_FURTHER = {
    "leakage": "Counted for every stage of every run: patients scored by what had seen them.",
    "model-card": "Intended use, patients, performance and limits of the main model.",
    "tripod-ai": "Where the report meets each item of the guideline, and what only authors can write.",
    "manuscript": "Tables for Word and Excel, sizes of the figures, the methods in words, the supplement.",
}


@dataclass(frozen=True)
class Run:
    """One run of a notebook: of its one, or of a split's.

    Parameters
    ----------
    notebook : str
        Name of the notebook.
    part : str
        Which run: ``"outer-3"``, ``"holdout-1-revised"``; blank where there is one.
    """

    notebook: str
    part: str = ""

    @property
    def name(self) -> str:
        """Name of the page, which is the executed notebook's without ending."""
        return f"{self.notebook}_{self.part}" if self.part else self.notebook

    @property
    def numbers(self) -> str:
        """Name of the file of numbers."""
        return f"{self.notebook}-{self.part}" if self.part else self.notebook

    @property
    def title(self) -> str:
        """What the part is, in words.

        Examples
        --------
        >>> Run("03_cnn", "holdout-1-revised").title
        'hold-out split 1, revised outcome'
        >>> Run("04_stacking", "outer-3").title
        'outer fold 3'
        """
        if not self.part:
            return ""
        kind, number, *label = self.part.split("-")
        words = f"{ {'holdout': 'hold-out split', 'outer': 'outer fold'}[kind] } {number}"
        return words + (f", {label[0]} outcome" if label and kind == "holdout" else "")


def runs(study: Study) -> list[Run]:
    """Return the runs of notebooks that make up a study's report, in reading order."""
    settings = splits.Settings(**study.sections["splits"])
    held = [
        (name, label)
        for name in splits.names(("holdout",), settings)
        for label in study.labels
        if "holdout" in study.protocols
    ]
    outer = splits.names(("nested",), settings) if "nested" in study.protocols else []
    parts = {
        "03_cnn": [f"{n}-{label}" for n, label in held] + [f"{n}-{study.labels[0]}" for n in outer],
        "04_stacking": outer,
    }
    return [Run(n, part) for n in study.notebooks for part in parts.get(n, [""])]


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
    study = studies.load(name, root=root)
    here = Here(name, save_to="report", root=root)
    expected = runs(study)
    notebooks = _read_notebooks(here, expected)
    # Thresholds are chosen in the evaluation, which adds their rows to the table of leakage.
    join_tables(here, [*(r.part for r in expected if r.part), "thresholds"])
    numbers = join_numbers(here, expected)

    bodies = _convert(notebooks)
    items = [item for body in bodies.values() for item in body.items]
    contents = {
        kind: [_entry(i) for i in items if i.id.startswith(kind[:3])] for kind in ("tables", "figures")
    }
    told = summary.of(study, here.report_dir / "tables")
    write_text(here.report_dir / "numbers.json", _as_json(numbers | told.numbers))

    computed = _environments(here, expected)
    further = _further_pages(study, here, told, contents, computed)
    names = ["index", *(run.name for run in expected), *(body.name for body in further)]
    for body in [*bodies.values(), *further]:
        convert.resolve(body, items, names)
    order = [(run, bodies[run]) for run in expected]
    written = {
        f"{run.name}.html": _notebook_page(study, here, run, order, notebooks[run], computed)
        for run in expected
    }
    written |= {f"{body.name}.html": _further_page(study, body) for body in further}
    written["index.html"] = _index_page(study, here, order, further, items, told, computed, notebooks)
    _check(written, here, study)
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
    write_text(here.report_dir / "summary.json", _as_json(about | contents))
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
    weights = _weights(here) if "03_cnn" in study.notebooks else ""
    outcome = study.sections["common"].get("outcome") or study.sections["01_cohort"].get("outcome") or {}
    first = next(iter(computed.values()), None) or environment.describe(root=here.root)
    methods = manuscript.methods(study, first, weights=weights, root=here.root)
    manuscript.write(study, here, contents=contents, text=methods)
    good = outcome.get("meaning", "CPC 1 or 2")
    figures = [f["name"] for f in contents["figures"]]
    files = guidelines.manuscript(here, methods=methods, figures=figures)
    if study.scores:
        # Nothing is known here of models that were made elsewhere.
        return [files]
    card = guidelines.model_card(study, here, told, good=good, weights=weights)
    made = [guidelines.leakage(here), card, guidelines.tripod(root=here.root), files]
    return [body for body in made if body is not None]


def _weights(here: Here) -> str:
    """Return where the network's weights are from, as noted when its features were computed."""
    noted = here.build("features.json")
    return json.loads(noted.read_text(encoding="utf-8"))["weights"] if noted.is_file() else "not noted"


def _further_page(study: Study, body: Body) -> str:
    return _render(
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
        footer=_footer(study),
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
    page = _render(
        "home.html.j2",
        title="Prediction of recovery after cardiac arrest",
        headings=[(2, r["name"], r["title"]) for r in reports],
        reports=reports,
        footer="Research software; not for the care of patients.",
    )
    place = root / "reports" / "index.html"
    write_text(place, page)
    return place


def join_tables(here: Here, parts: Sequence[str]) -> list[Path]:
    """Join the parts of tables that a notebook's runs left, as ``tables/<name>.csv`` with a column ``run``.

    Parameters
    ----------
    here : Here
        The study's places.
    parts : sequence of str
        The parts that belong to the study as it is, in reading order: others, of folds that it had once, stay
        out.

    Raises
    ------
    PageError
        If a table has parts and none of them belongs to the study.
    """
    folders = sorted(p for p in here.build("parts").glob("*") if p.is_dir())
    written = []
    faults = []
    for folder in folders:
        files = [folder / f"{part}.csv" for part in parts if (folder / f"{part}.csv").is_file()]
        if not files:
            faults.append(f"The parts of table '{folder.name}' are of no run of this study.")
            continue
        # As text: a number is to leave this as it came, to the last digit.
        tables = {f.stem: pd.read_csv(f, dtype=str, keep_default_na=False) for f in files}
        joined = pd.concat(tables, names=["run", None]).reset_index("run").fillna("")
        place = here.table(folder.name)
        write_text(place, joined.to_csv(index=False, lineterminator="\n"))
        written.append(place)
    if faults:
        raise PageError("\n".join(faults))
    return written


def join_numbers(here: Here, expected: Iterable[Run]) -> dict[str, Any]:
    """Return the numbers that the pages of a study left, by name."""
    joined: dict[str, Any] = {}
    for run in expected:
        place = here.numbers(run.numbers)
        if place.is_file():
            joined |= json.loads(place.read_text(encoding="utf-8"))
    return joined


def _read_notebooks(here: Here, expected: Sequence[Run]) -> dict[Run, Any]:
    faults, found = [], {}
    for run in expected:
        path = here.report_dir / f"{run.name}.ipynb"
        if not path.is_file():
            faults.append(f"{path.name} is missing; 'make report STUDY={here.study}' runs it.")
            continue
        found[run] = convert.read(path)
        faults += convert.faults(found[run], run.name)
    if faults:
        raise PageError("\n".join(faults))
    return found


def _convert(notebooks: Mapping[Run, Any]) -> dict[Run, Body]:
    made, faults = {}, []
    for run, notebook in notebooks.items():
        given = notebook["metadata"]["papermill"].get("parameters", {})
        try:
            made[run] = convert.body(notebook, name=run.name, hidden=_paths(given.values()))
        except PageError as error:
            faults.append(str(error))
    if faults:
        raise PageError("\n".join(faults))
    return made


def _paths(values: Iterable[Any]) -> list[str]:
    return [v for v in values if isinstance(v, str) and v and Path(v).is_absolute()]


def _environments(here: Here, expected: Iterable[Run]) -> dict[Run, dict[str, Any]]:
    places = {run: here.build(f"environment/{run.numbers}.json") for run in expected}
    return {r: json.loads(p.read_text(encoding="utf-8")) for r, p in places.items() if p.is_file()}


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
        ("Data", _data_in_words(study)),
        ("Seed", _seeds(study, values)),
        ("Weights", _weights(here) if "03_cnn" in study.notebooks and run.notebook in _WITH_NETWORK else ""),
        *_computed_with(computed.get(run)),
        ("Run", _run_time(notebook)),
    ]
    return _render(
        "page.html.j2",
        study=study,
        simulated=study.simulated,
        title=f"{body.title} ({run.title})" if run.title else body.title,
        trail=[("All reports", "../index.html"), (study.title, "index.html")],
        short_title=_CHAPTERS[run.notebook] + (f", {run.title}" if run.title else ""),
        headings=body.headings,
        about=[(k, v) for k, v in about if v],
        parameters=values,
        body=Markup(body.html),
        before=_turn(order, place - 1) or ("Start of the report", "index.html"),
        after=_turn(order, place + 1),
        footer=_footer(study),
    )


def _turn(order: Sequence[tuple[Run, Body]], place: int) -> tuple[str, str] | None:
    if not 0 <= place < len(order):
        return None
    run = order[place][0]
    return ", ".join(filter(None, (_CHAPTERS[run.notebook], run.title))), f"{run.name}.html"


def _index_page(
    study: Study,
    here: Here,
    order: Sequence[tuple[Run, Body]],
    further: Sequence[Body],
    items: Sequence[Item],
    told: summary.Summary,
    computed: Mapping[Run, dict[str, Any]],
    notebooks: Mapping[Run, Any],
) -> str:
    evaluation = next(body for run, body in order if run.notebook == "05_evaluation")
    first = next(iter(computed.values()), None)
    about = [
        ("Data", _data_in_words(study)),
        ("Seed", _seeds(study, [])),
        *_computed_with(first),
        ("Precision", _precision(study, root=here.root)),
        ("Weights", _weights(here) if "03_cnn" in study.notebooks else ""),
        ("Same throughout", "" if not computed else _sameness(computed)),
    ]
    headings = [
        (2, "data", "The data"),
        (2, "result", "The main result"),
        (2, "pages", "The report, in reading order"),
        (2, "further", "For the reviewer and the manuscript"),
        (2, "files", "Tables and figures as files"),
        (2, "environment", "How this was computed"),
    ]
    return _render(
        "index.html.j2",
        study=study,
        simulated=study.simulated,
        title=study.title,
        trail=[("All reports", "../index.html")],
        headings=headings,
        data=told.data,
        sentences=told.sentences,
        figure=Markup(_key_figure(evaluation, told.where)),
        chapters=_chapters(study, order),
        further=[(body.title, f"{body.name}.html", _FURTHER[body.name]) for body in further],
        published=_why(study, here),
        tables=_tables(here, items),
        figures=_figures(here, items),
        about=[(k, v) for k, v in about if v],
        versions=list((first or {"versions": {}})["versions"].items()),
        steps=_steps(here, notebooks),
        footer=_footer(study),
    )


def _why(study: Study, here: Here) -> str:
    """Return why agreement with published numbers is no replication; blank where none stand beside ours."""
    if not here.table("published").is_file():
        return ""
    why = studies.read_yaml(here.root / "params" / "published.yaml")["why"]
    return why["simulated"] if study.simulated else why["other"]


def _key_figure(evaluation: Body, where: Mapping[str, str]) -> str:
    """Return the ROC curves of the main result's patients; else the evaluation's first figure."""
    own = f"fig-roc-{where['outcome']}-{where['set']}"
    plots = [i for i in evaluation.items if i.id.startswith("fig-")]
    ranked = sorted(plots, key=lambda i: (i.id != own, i.id != "fig-roc"))
    return convert.picture(evaluation, ranked[0]) if ranked else ""


def _absent(study: Study, notebook: str) -> str:
    if study.scores:
        return "Not part of this report, which is of a scores table made elsewhere."
    return _ABSENT[notebook]


def _chapters(study: Study, order: Sequence[tuple[Run, Body]]) -> list[dict[str, Any]]:
    chapters = []
    for notebook in studies.NOTEBOOKS:
        own = [(run, body) for run, body in order if run.notebook == notebook]
        chapters.append(
            {
                "title": _CHAPTERS[notebook] + (":" if len(own) > 1 else ". " if not own else ""),
                "absent": "" if own else _absent(study, notebook),
                "links": [(run.title or body.title, f"{run.name}.html") for run, body in own],
                "lead": own[0][1].title if own else "",
            }
        )
    return chapters


def _tables(here: Here, items: Sequence[Item]) -> list[tuple[str, str, str]]:
    # Of a table that has a part on each of several pages, the first caption stands for all.
    captions = {i.name: f"{i.label}. {i.caption}" for i in reversed(items) if i.id.startswith("tab-")}
    return [
        (name, f"tables/{name}.csv", caption)
        for name, caption in sorted(captions.items())
        if here.table(name).is_file()
    ]


def _figures(here: Here, items: Sequence[Item]) -> list[tuple[str, list[tuple[str, str]], str]]:
    folder = here.report_dir / "figures"
    found = []
    for item in items:
        if item.id.startswith("fig-"):
            endings = [e for e in ("svg", "pdf", "png") if (folder / f"{item.name}.{e}").is_file()]
            links = [(e, f"figures/{item.name}.{e}") for e in endings]
            found.append((item.name, links, f"{item.label}. {item.caption}"))
    return found


def _parameters(run: Run, notebook: Any, *, root: Path) -> list[tuple[str, str, str]]:
    given = notebook["metadata"]["papermill"].get("parameters", {})
    declared = studies.declared_parameters(run.notebook, root=root)
    values = {name: given.get(name, p.default) for name, p in declared.items()}
    return [(name, _shown_value(value), declared[name].help) for name, value in values.items()]


def _shown_value(value: Any) -> str:
    if isinstance(value, str):
        return Path(value).name if value and Path(value).is_absolute() else value
    return json.dumps(value, ensure_ascii=False)


def _data_in_words(study: Study) -> str:
    if study.simulated:
        return "SIMULATED patients"
    if study.scores:
        return f"the scores table '{Path(study.scores).name}'"
    return f"the export '{Path(study.data).name}'"


def _seeds(study: Study, values: Sequence[tuple[str, str, str]]) -> str:
    seeds = {} if study.scores else {"splits": str(splits.Settings(**study.sections["splits"]).seed)}
    if study.simulated and "seed" in study.sections["simulate"]:
        seeds["simulation"] = str(study.sections["simulate"]["seed"])
    seeds |= {name: value for name, value, _ in values if name.endswith("seed")}
    return ", ".join(f"{value} ({name})" for name, value in seeds.items())


def _computed_with(described: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if described is None:
        return []
    versions = described["versions"]
    named = [f"{p} {versions[p]}" for p in ("numpy", "pandas", "scikit-learn", "tensorflow") if p in versions]
    differing = described["differs_from_lock"]
    lock = f"all {described['n_installed']} packages as in the lock"
    if differing:
        lock = f"{len(differing)} of {described['n_installed']} packages differ from the lock: " + "; ".join(
            differing
        )
    commit = described["commit"] or "not under version control"
    return [
        ("Versions", ", ".join([f"Python {described['python']}", *named]) + f"; {lock}"),
        (
            "Machine",
            f"{described['processor']}, {described['cores']} cores, {described['system']}; "
            f"{described['threads']} thread{'s' if described['threads'] > 1 else ''} a step",
        ),
        ("Commit", commit + (", with changes since" if described["changed"] else "")),
    ]


def _sameness(computed: Mapping[Run, dict[str, Any]]) -> str:
    if environment.agree(computed.values()):
        return "every notebook ran with these versions, this commit and this kind of machine"
    compared = [environment.kind(d) | {k: d[k] for k in ("commit", "changed")} for d in computed.values()]
    differing = [key for key in compared[0] if len({repr(d[key]) for d in compared}) > 1]
    return f"NO: the notebooks differ in {' and '.join(differing)}; each page has its own"


def _precision(study: Study, *, root: Path) -> str:
    if "03_cnn" not in study.notebooks:
        return ""
    return studies.complete_parameters(study, "03_cnn", root=root)["precision"]


def _run_time(notebook: Any) -> str:
    run = notebook["metadata"]["papermill"]
    return f"{run['end_time'][:16].replace('T', ' ')}, {run['duration']:.0f} s"


def _steps(here: Here, notebooks: Mapping[Run, Any]) -> list[tuple[str, str]]:
    """Return the wall time of each step: the pipeline's own note of it, else papermill's."""
    seconds = {run.name: run_["metadata"]["papermill"]["duration"] for run, run_ in notebooks.items()}
    for path in sorted(here.build("time").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        if path.stem in seconds or not re.match(r"\d", path.stem):
            seconds[path.stem] = float(row["s"])
    first = ["simulate", "01_cohort", "splits", "02_gwr", "features"]
    ranked = sorted(seconds, key=lambda n: (first.index(n) if n in first else 9, n))
    total = ("all steps, one after the other", f"{sum(seconds.values()):.0f}")
    return [(name, f"{seconds[name]:.1f}") for name in ranked] + [total]


def _footer(study: Study) -> str:
    what = "Simulated patients. " if study.simulated else ""
    return f"{study.title}. {what}Research software; not for the care of patients."


def _check(written: Mapping[str, str], here: Here, study: Study) -> None:
    private = {str(here.root), str(Path.home()), study.data, study.scores} - {"", "/", "/root"}
    identifiers = _identifiers(here)
    faults = []
    for file_name, text in written.items():
        if len(text.encode()) > LARGEST_PAGE_BYTES:
            faults.append(f"{file_name} has {len(text.encode()) / 1e6:.1f} MB, at most 3 are published.")
        # What a picture's data spell is no text.
        words = re.sub(r"data:image/[^\"']+", "", text)
        faults += [f"{file_name} shows the path {p}" for p in sorted(private) if p in words]
        # An identifier may hold dots, and a sentence may end after it.
        found = identifiers & {word.rstrip(".") for word in re.findall(r"[\w.-]+", words)}
        if found:
            faults.append(f"{file_name} shows the identifiers of {len(found)} patients")
    for path in sorted((here.report_dir / "tables").glob("*.csv")):
        header = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
        if "patient_id" in header:
            faults.append(f"tables/{path.name} has a row for each patient")
    if faults:
        raise PageError("\n".join(faults))


def _identifiers(here: Here) -> set[str]:
    """Return the patients' identifiers that can't be mistaken for a number of the report."""
    cohort = here.build("cohort.parquet")
    if not cohort.is_file():
        return set()
    ids = pd.read_parquet(cohort, columns=[]).index.astype(str)
    return {i for i in ids if len(i) >= 4 and (not i.isdigit() or len(i) >= 6)}


def _remove_stale(here: Here, written: Mapping[str, str]) -> None:
    # A fold that the study no longer has must not stand beside those that it has.
    for path in here.report_dir.glob("*.html"):
        if path.name not in written:
            path.unlink()


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(convert.TEMPLATES)
    made = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    made.globals["style"] = Markup((convert.TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return made


def _entry(item: Item) -> dict[str, str]:
    return {"name": item.name, "label": item.label, "caption": item.caption, "page": item.page}


def _render(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


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
    except (PageError, studies.StudyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
