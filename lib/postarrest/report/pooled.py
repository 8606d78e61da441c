"""The page of a network of hospitals, pooled from their summaries."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from postarrest import figures
from postarrest.evaluation import pooling, sites
from postarrest.evaluation.shared import Summary
from postarrest.files import write_text
from postarrest.report.drawings import figure_html
from postarrest.report.rendering import render
from postarrest.report.tables import table_html
from postarrest.words import model_in_words, number_in_words, words

_RULES = ("Spec-Max", "Spec-Max-CI", "0.5")


def write(summaries: Sequence[Summary], folder: Path) -> Path:
    """Write the page, its tables (CSV) and figures, and return the page's place.

    Parameters
    ----------
    summaries : sequence of Summary
        One of each hospital, or of several together.
    folder : pathlib.Path
        Where ``index.html``, ``tables`` and ``figures`` are written.
    """
    effects = sites.effects(pooling.records(summaries))
    summary = sites.summary(effects)
    focus = sites.best_model(summary)
    accuracy = pooling.accuracy(summaries)
    counted = pooling.counts(summaries)
    tables = {
        "pooled_patients": counted,
        "sites_summary": summary,
        "sites": effects,
        "sites_thresholds": accuracy,
        "pooled": pooling.together(summaries),
        "pooled_bins": pooling.calibration_bins(summaries),
    }
    shown = {name: _table(name, table, folder) for name, table in tables.items()}
    drawings = {
        "sites_forest": figures.sites.forest(effects, summary, model=focus),
        "sites_false_pessimism": figures.sites.false_pessimism(accuracy, model=focus, rules=_RULES),
    }
    shown |= {name: _figure(name, fig, model_in_words(focus), folder) for name, fig in drawings.items()}
    sections = [
        ("patients", "Who is judged?", ["pooled_patients"]),
        (
            "hospitals",
            "Discrimination and calibration by hospital",
            ["sites_forest", "sites_summary", "sites"],
        ),
        ("together", "All patients together", ["pooled", "pooled_bins"]),
        ("missed", "False pessimism by hospital", ["sites_false_pessimism", "sites_thresholds"]),
    ]
    about = {
        "sections": [(anchor, title, [shown[name] for name in names]) for anchor, title, names in sections],
        "summaries": summaries,
        "n_hospitals": len(counted),
        "below": sorted({s.suppressed_below for s in summaries}),
        "lines": [_line(row, model_in_words(focus)) for row in sites.sentences(summary, model=focus)],
    }
    place = folder / "index.html"
    headings = [(2, anchor, title) for anchor, title, _ in sections]
    body = Markup(render("pooled.html.j2", **about))
    title = "A network of hospitals"
    write_text(place, render("page.html.j2", name="index", title=title, headings=headings, body=body))
    return place


def _line(row: dict[str, object], model: str) -> str:
    template = str(row.pop("template")).replace("**", "").replace(" ([](#tab-sites-summary))", "")
    numbers = {name: number_in_words(v) if isinstance(v, float) else v for name, v in row.items()}
    return f"{model}, {template.format(**numbers)}"


def _table(name: str, table: pd.DataFrame, folder: Path) -> Markup:
    write_text(folder / "tables" / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    about = {key: value for key, value in words()["tables"][name].items() if key != "if_empty"}
    return Markup(table_html(table, anchor=name.replace("_", "-"), name=name, **about))


def _figure(name: str, fig: Figure, model: str, folder: Path) -> Markup:
    about = {key: text.format(model=model) for key, text in words()["pooled_figures"][name].items()}
    return Markup(figure_html(fig, folder / "figures", name=name, **about))
