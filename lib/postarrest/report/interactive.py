"""What the script of a page (``templates/page.js``) needs: previews, entries of the search, the sweep's rows.

Whatever is embedded here is shown elsewhere too, for readers without a script: on another page, or in a
table's file.
"""

import copy
from collections.abc import Mapping, Sequence
from math import ceil, isnan
from typing import Any

import pandas as pd
from bs4 import BeautifulSoup, Tag
from markupsafe import Markup

from postarrest.report.body import Body
from postarrest.report.rendering import render
from postarrest.report.runs import Report
from postarrest.words import capitalised, column_in_words, model_in_words, text_in_words

# A preview has the first rows of a table, and of a larger figure only the caption.
_ROWS = 12
_LARGEST_PREVIEW = 60_000
_SERIES = ["outcome_label", "set", "model"]
_COUNTS = ["tp", "fp", "fn", "tn"]
_MEASURES = ("sensitivity", "specificity", "ppv", "npv", "fnr")
_PERCENTS = [f"{measure}{end}" for measure in _MEASURES for end in ("", "_lower", "_upper")]
_BENEFITS = ["net_benefit", "treat_all"]
COLUMNS = ["threshold", *_COUNTS, *_PERCENTS, *_BENEFITS]


def entries(bodies: Sequence[Body], titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return what the search over all pages finds: page, text and address of each heading and caption.

    Parameters
    ----------
    bodies : sequence of Body
        The pages, in reading order.
    titles : Mapping
        Short titles by name of the page; others have their own title.
    """
    found = []
    for body in bodies:
        title, file = titles.get(body.name, body.title), f"{body.name}.html"
        found.append((title, body.title, file))
        found += [(title, text, f"{file}#{anchor}") for _, anchor, text in body.headings]
        found += [(title, f"{i.label}. {i.caption}", f"{file}#{i.id}") for i in body.items]
    return found


def previews(page: Body, bodies: Sequence[Body]) -> list[tuple[str, Markup]]:
    """Return the figures and tables of other pages that a page refers to, by address.

    Parameters
    ----------
    page : Body
        The page, with its references resolved.
    bodies : sequence of Body
        All pages.
    """
    others = {body.name: body for body in bodies if body is not page}
    found = {}
    for link in page.soup.find_all("a", href=True):
        name, _, anchor = link["href"].partition(".html#")
        if anchor.startswith(("tab-", "fig-")) and name in others and link["href"] not in found:
            found[link["href"]] = _preview(others[name].soup.find("figure", id=anchor))
    return list(found.items())


def _preview(figure: Tag) -> Markup:
    shown = copy.copy(figure)
    for row in shown.select("tbody tr")[_ROWS:]:
        row.decompose()
    for tag in [shown, *shown.find_all(True)]:
        for name in ("id", "tabindex", "role", "aria-labelledby", "data-name"):
            del tag[name]
    if len(str(shown)) > _LARGEST_PREVIEW:
        shown = shown.find("figcaption")
    return Markup(str(shown))


def add_slider(report: Report, page: Body) -> dict[str, Any] | None:
    """Put the slider before the table of the threshold sweep, and return the rows that it looks up.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    page : Body
        The page of the evaluation; its HTML is changed.

    Returns
    -------
    dict or None
        ``columns`` and ``series``: of each model in each group of patients the ``rows``, one per threshold,
        and the row to ``start`` at. None if no model gives probabilities.
    """
    table = page.soup.find("figure", id="tab-threshold-sweep")
    if table is None:
        return None
    read = [pd.read_csv(report.here.table(t)) for t in ("threshold_sweep", "decision_curve", "thresholds")]
    groups, series = sweep_rows(*read)
    names = {
        place: [(i, model_in_words(m, report.network.name)) for i, m in g] for place, g in groups.items()
    }
    main = groups.get(_place(report.result.where["outcome_label"], report.result.where["set"]), [])
    first = next((number for number, model in main if model == report.result.main), 0)
    # The axis ends at the next tenth above the highest net benefit.
    top = ceil(10 * max(read[1]["net_benefit"].max(), read[1]["treat_all"].max())) / 10
    scale = 200 / (top + 0.05)
    shown = {"zero": round(220 - 0.05 * scale, 1), "scale": round(scale, 1), "top": top}
    measures = {name: column_in_words(name) for name in _MEASURES}
    html = render("slider.html.j2", groups=names, measures=measures, first=first, **shown)
    table.insert_before(BeautifulSoup(html, "html.parser"))
    return {"columns": COLUMNS, "series": series}


def sweep_rows(
    sweep: pd.DataFrame, net_benefit: pd.DataFrame, thresholds: pd.DataFrame
) -> tuple[dict[str, list[tuple[int, str]]], list[dict[str, Any]]]:
    """Return the sweep as the slider shows it: percentages with one decimal, net benefit with four.

    Parameters
    ----------
    sweep, net_benefit, thresholds : pandas.DataFrame
        The tables ``threshold_sweep``, ``decision_curve`` and ``thresholds``.

    Returns
    -------
    groups : dict
        Number and name of each model, by the patients that it is judged in.
    series : list of dict
        ``rows``, with the columns of :data:`COLUMNS`, and ``start``: the row of the model's own threshold
        for an FNR below 5 %, else that of 0.5.
    """
    keys = [*_SERIES, "threshold"]
    full = sweep.merge(net_benefit[[*keys, *_BENEFITS]], on=keys, how="left", validate="one_to_one")
    full[_PERCENTS] = (100 * full[_PERCENTS]).round(1)
    full[_BENEFITS] = full[_BENEFITS].round(4)
    chosen = thresholds[(thresholds["rule"] == "Spec-Max") & (thresholds["chosen_on"] != "test")]
    starts = chosen.set_index(_SERIES)["threshold"].dropna()
    groups: dict[str, list[tuple[int, str]]] = {}
    series = []
    for number, (key, rows) in enumerate(full.groupby(_SERIES, sort=False)):
        label, patients, model = key
        groups.setdefault(_place(label, patients), []).append((number, model))
        start = round(100 * float(starts.get(key, 0.5)))
        series.append({"rows": _plain(rows[COLUMNS]), "start": start})
    return groups, series


def _place(label: str, patients: str) -> str:
    return f"{capitalised(text_in_words(patients))} patients, {text_in_words(label)} outcome label"


def _plain(rows: pd.DataFrame) -> list[list[float | int | None]]:
    whole = {column: rows[column].astype(int).tolist() for column in _COUNTS}
    columns = [whole.get(column) or rows[column].tolist() for column in rows]
    return [
        [None if isinstance(v, float) and isnan(v) else v for v in row] for row in zip(*columns, strict=True)
    ]
