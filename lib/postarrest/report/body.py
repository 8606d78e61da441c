"""Executed notebooks and Markdown made into the body of a page: headings, numbered items, references.

nbconvert with the template ``templates/report`` makes the HTML. Numbers and links, which depend on the whole
page or on other pages, are set afterwards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup

from postarrest.refused import Refused
from postarrest.report.absent import gather
from postarrest.report.page import KINDS, reference
from postarrest.report.rendering import TEMPLATES
from postarrest.words import split_in_words

# nbconvert writes the second if a picture has no alternative text.
_NO_ALTERNATIVE = ("", "No description has been provided for this image")
# No page needs a script, a form or another page in it.
_ACTIVE_TAGS = ("script", "iframe", "object", "embed", "form", "base", "meta", "link")
_LINKS = ("href", "src", "action", "formaction", "xlink:href", "srcset")
_HARMLESS = re.compile(
    r"\s*(?:#|page:|https?:|mailto:|data:image/(?:png|jpeg|webp|svg\+xml)|[^:]*(?:[/?#]|$))"
)
_ABSENT = "a part that this study does not have"


class PageError(Refused):
    """A report that must not be written; the message lists every reason."""


@dataclass(frozen=True)
class Item:
    """A figure or table of a page.

    Parameters
    ----------
    id : str
        Its anchor, such as ``"tab-performance"``.
    label : str
        Its number, such as ``"Table 5.1"``.
    caption : str
        Its caption, as text.
    name : str
        Name of its file without ending.
    page : str
        Name of the page that it is on.
    """

    id: str
    label: str
    caption: str
    name: str
    page: str


@dataclass
class Body:
    """The body of a page.

    Parameters
    ----------
    name : str
        Name of the page: its file without ending.
    title : str
        The first heading.
    soup : bs4.BeautifulSoup
        The HTML below the title.
    items : list of Item
        Tables, then figures, each in reading order.
    headings : list of (int, str, str)
        Level, anchor and text of each heading below the title.
    """

    name: str
    title: str
    soup: BeautifulSoup
    items: list[Item]
    headings: list[tuple[int, str, str]]


def problems(notebook: Mapping[str, Any], name: str) -> list[str]:
    """Return why an executed notebook must not become a page.

    nbconvert converts a notebook that was killed, or stopped at an error, without a warning.
    """
    ended = notebook["metadata"].get("papermill", {}).get("end_time")
    found = [] if ended else [f"{name}.ipynb did not run to its end (papermill recorded no end time)."]
    return found + [
        f"{name}.ipynb stopped in cell {number}: {output['ename']}: {output['evalue']}"
        for number, cell in enumerate(notebook["cells"], start=1)
        for output in cell.get("outputs", [])
        if output["output_type"] == "error"
    ]


def from_notebook(notebook: nbformat.NotebookNode, *, name: str) -> Body:
    """Convert a notebook; paths among its parameters are shortened to their last part.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The notebook.
    name : str
        Name of the page; figures and tables are numbered after its leading digits.

    Raises
    ------
    PageError
        If a picture has no alternative text.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                # A warning names its file with the folders of this machine.
                output.text = re.sub(r"/\S*/(?=[^/\s]+\.py\b)", "", output.text)
    text, _ = _exporter().from_notebook_node(notebook)
    given = notebook.metadata.get("papermill", {}).get("parameters", {}).values()
    paths = [value for value in given if isinstance(value, str) and Path(value).is_absolute()]
    # Longest first: one path may contain another.
    for path in sorted(paths, key=len, reverse=True):
        text = text.replace(path, Path(path).name)
    return from_html(text, name=name)


def from_markdown(text: str, *, name: str) -> Body:
    """Convert Markdown, in the same way as a notebook of one cell."""
    cell = nbformat.v4.new_markdown_cell(text)
    return from_notebook(nbformat.v4.new_notebook(cells=[cell]), name=name)


@cache
def _exporter() -> Any:
    # The import takes a second, which other commands do not need.
    from nbconvert import HTMLExporter

    return HTMLExporter(
        template_name="report", extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True
    )


def from_html(text: str, *, name: str) -> Body:
    """Find a page's title, headings, figures and tables, and number the items.

    Examples
    --------
    >>> page = from_html("<h1>Who?</h1><p>All.</p><h2>How many?</h2>", name="01_cohort")
    >>> page.title, page.headings
    ('Who?', [(2, 'how-many', 'How many?')])
    """
    soup = BeautifulSoup(text, "html.parser")
    _make_inactive(soup)
    gather(soup)
    blind = [str(i)[:80] for i in soup.find_all("img") if i.get("alt", "").strip() in _NO_ALTERNATIVE]
    if blind:
        raise PageError("\n".join(f"{name}: a picture has no alternative text: {i}" for i in blind))
    heading = soup.find("h1")
    title = heading.extract().get_text(" ", strip=True) if heading else name
    return Body(name, title, soup, _numbered_items(soup, name), _anchored_headings(soup))


def _make_inactive(soup: BeautifulSoup) -> None:
    """Turn whatever could run into text, should it have passed the places where text is escaped."""
    for tag in soup.find_all(_ACTIVE_TAGS):
        tag.replace_with(str(tag))
    for tag in soup.find_all(True):
        for name in list(tag.attrs):
            if name.lower().startswith("on") or (name.lower() in _LINKS and not _HARMLESS.match(tag[name])):
                del tag[name]


def _numbered_items(soup: BeautifulSoup, page: str) -> list[Item]:
    chapter = re.match(r"0*([A-Z]?\d+)_", page)
    prefix = f"{chapter[1]}." if chapter else ""
    # One of several runs: the page over them has the plain numbers.
    run = re.search(r"(holdout|outer)(_all)?-\d+.*$", page)
    suffix = f" ({split_in_words(run[0])})" if run else ""
    items = []
    for kind, word in KINDS.items():
        for number, figure in enumerate(soup.find_all("figure", id=re.compile(f"^{kind}-")), start=1):
            label, caption = f"{word} {prefix}{number}{suffix}", figure.find("figcaption")
            text = caption.get_text(" ", strip=True)
            items.append(Item(figure["id"], label, text, figure.get("data-name", ""), page))
            caption.insert(0, soup.new_tag("strong", attrs={"class": "label"}, string=f"{label}."), " ")
    return items


def _anchored_headings(soup: BeautifulSoup) -> list[tuple[int, str, str]]:
    levels = ["h2", "h3", "h4"]
    used = {tag["id"] for tag in soup.find_all(id=True) if tag.name not in levels}
    found = []
    for heading in soup.find_all(levels):
        text = heading.get_text(" ", strip=True)
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        anchor, number = stem, 2
        while anchor in used:
            anchor, number = f"{stem}-{number}", number + 1
        used.add(anchor)
        heading["id"] = anchor
        found.append((int(heading.name[1]), anchor, text))
    return found


def resolve(page: Body, items: Sequence[Item], pages: Sequence[str] = ()) -> None:
    """Make each link to a figure or table read as its number, whichever page has it.

    A link ``page:<name>`` becomes one to that page. Links to pages, figures and tables that this study does
    not have become text.

    Parameters
    ----------
    page : Body
        The page; its HTML is changed.
    items : sequence of Item
        Figures and tables of the whole report. If several pages have an item (one per fold), the page's
        own is preferred, then the first in reading order.
    pages : sequence of str
        Names of the report's pages.
    """
    for link in page.soup.find_all("a", href=re.compile("^page:")):
        name = link["href"].removeprefix("page:")
        if name in pages:
            link["href"] = f"{name}.html"
        else:
            link.replace_with(link.get_text())
    for link in page.soup.find_all("a", href=re.compile("^#(tab|fig)-")):
        anchor = link["href"].removeprefix("#")
        # A fold's copy has the fold in its anchor: `tab-grid` finds `tab-grid-outer-1`.
        pattern = re.escape(anchor) + r"(-(holdout|outer)(-all)?-\d+(-[a-z]+)?)?"
        fitting = [item for item in items if re.fullmatch(pattern, item.id)]
        if fitting:
            item = min(fitting, key=lambda item: (item.page != page.name, item.id != anchor))
            link["href"] = f"#{item.id}" if item.page == page.name else f"{item.page}.html#{item.id}"
            link.string = item.label
        else:
            link.replace_with(link.get_text(strip=True).replace(reference(anchor), "") or _ABSENT)
