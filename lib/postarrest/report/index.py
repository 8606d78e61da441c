"""The first page of a study's report."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from postarrest.models import splits
from postarrest.places import Here
from postarrest.report import body as body_room
from postarrest.report import environment, summary
from postarrest.report.body import Body, Item
from postarrest.report.rendering import FURTHER, page_footer, render_template, weights_in_words
from postarrest.report.runs import Run
from postarrest.study import load, schema
from postarrest.study.load import Study

# What the index says of a notebook that a study has no use for.
_ABSENT = {
    "02_gwr": "Not part of this report: the study has no readings of gray and white matter.",
    "03_cnn": "Not part of this report: the study has no head CT.",
    "04_stacking": "Not part of this report: the study has no nested cross-validation, so no ensemble.",
    "A1_simulation": "Not part of this report: no head CT was simulated for it.",
}
CHAPTERS = {
    "01_cohort": "The patients",
    "02_gwr": "Gray-to-white-matter ratio",
    "03_cnn": "Convolutional network on head CT",
    "04_stacking": "Base models and ensemble",
    "05_evaluation": "Evaluation",
    "A1_simulation": "How the patients were simulated",
}


def index_page(
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
        ("Data", data_in_words(study)),
        ("Seed", seeds_in_words(study, [])),
        *computed_with(first),
        ("Precision", _precision(study, root=here.root)),
        ("Weights", weights_in_words(here) if "03_cnn" in study.notebooks else ""),
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
    return render_template(
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
        further=[(body.title, f"{body.name}.html", FURTHER[body.name]) for body in further],
        published=_why(study, here),
        tables=_tables(here, items),
        figures=_figures(here, items),
        about=[(k, v) for k, v in about if v],
        versions=list((first or {"versions": {}})["versions"].items()),
        steps=_steps(here, notebooks),
        footer=page_footer(study),
    )


def _why(study: Study, here: Here) -> str:
    """Return why agreement with published numbers is no replication; blank where none stand beside ours."""
    if not here.table("published").is_file():
        return ""
    why = schema.read_yaml(here.root / "params" / "published.yaml")["why"]
    return why["simulated"] if study.simulated else why["other"]


def _key_figure(evaluation: Body, where: Mapping[str, str]) -> str:
    """Return the ROC curves of the main result's patients; else the evaluation's first figure."""
    own = f"fig-roc-{where['outcome_label']}-{where['set']}"
    plots = [i for i in evaluation.items if i.id.startswith("fig-")]
    ranked = sorted(plots, key=lambda i: (i.id != own, i.id != "fig-roc"))
    return body_room.picture(evaluation, ranked[0]) if ranked else ""


def _absent(study: Study, notebook: str) -> str:
    if study.scores:
        return "Not part of this report, which is of a scores table made elsewhere."
    return _ABSENT[notebook]


def _chapters(study: Study, order: Sequence[tuple[Run, Body]]) -> list[dict[str, Any]]:
    chapters = []
    for notebook in load.NOTEBOOKS:
        own = [(run, body) for run, body in order if run.notebook == notebook]
        chapters.append(
            {
                "title": CHAPTERS[notebook] + (":" if len(own) > 1 else ". " if not own else ""),
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


def data_in_words(study: Study) -> str:
    if study.simulated:
        return "SIMULATED patients"
    if study.scores:
        return f"the scores table '{Path(study.scores).name}'"
    return f"the export '{Path(study.data).name}'"


def seeds_in_words(study: Study, values: Sequence[tuple[str, str, str]]) -> str:
    seeds = {} if study.scores else {"splits": str(splits.Settings(**study.sections["splits"]).seed)}
    if study.simulated and "seed" in study.sections["simulate"]:
        seeds["simulation"] = str(study.sections["simulate"]["seed"])
    seeds |= {name: value for name, value, _ in values if name.endswith("seed")}
    return ", ".join(f"{value} ({name})" for name, value in seeds.items())


def computed_with(described: Mapping[str, Any] | None) -> list[tuple[str, str]]:
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
    return load.complete_parameters(study, "03_cnn", root=root)["precision"]


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
