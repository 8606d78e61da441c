"""An executed notebook made into the body of a page: headings, numbered figures and tables, references.

The template ``templates/report`` (on nbconvert's ``basic``) makes the HTML; what depends on the whole page,
or on other pages, is done on the result.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, NavigableString, Tag

TEMPLATES = Path(__file__).parent / "templates"
# The second is what nbconvert puts where a notebook has no words for a picture.
_NO_WORDS = ("", "No description has been provided for this image")
# Characters of a table's cell that is not broken into lines.
_LONGEST_LINE = 24
_KINDS = {"tab": "Table", "fig": "Figure"}


class PageError(ValueError):
    """A page that may not be published; the message lists every reason."""


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
        Name of the page that it stands on.
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
    lead : str
        The first paragraph after it, as text.
    soup : bs4.BeautifulSoup
        The HTML below the title.
    items : list of Item
        Figures and tables, in order.
    headings : list of (int, str, str)
        Level, anchor and text of each heading below the title.
    """

    name: str
    title: str
    lead: str
    soup: BeautifulSoup
    items: list[Item] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def html(self) -> str:
        """The body as HTML."""
        return str(self.soup)


def read(path: Path) -> nbformat.NotebookNode:
    """Read an executed notebook."""
    return nbformat.read(path, as_version=4)


def faults(notebook: Mapping[str, Any], name: str) -> list[str]:
    """Return why an executed notebook may not become a page.

    A notebook that was killed, or stopped at an error, is valid to look at and would be converted without a
    word.
    """
    found = []
    run = notebook["metadata"].get("papermill", {})
    if not run.get("end_time"):
        found.append(f"{name}.ipynb did not run to its end (papermill noted no end time).")
    for number, cell in enumerate(notebook["cells"], start=1):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                found.append(f"{name}.ipynb stopped in cell {number}: {output['ename']}: {output['evalue']}")
    return found


def body(notebook: nbformat.NotebookNode, *, name: str, hidden: Sequence[str] = ()) -> Body:
    """Convert an executed notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The notebook, from :func:`read`.
    name : str
        Name of the page; figures and tables are numbered after its leading digits.
    hidden : sequence of str
        Paths that the notebook was given; each is shown as its last part alone.

    Raises
    ------
    PageError
        If a picture has no text that stands for it.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                # A warning names the file that it is from; where that lies is the machine's affair.
                output.text = re.sub(r"/\S*/(?=[^/\s]+\.py\b)", "", output.text)
    text, _ = _exporter().from_notebook_node(notebook)
    # Longest first: a path may lie within another.
    for path in sorted(hidden, key=len, reverse=True):
        text = text.replace(path, Path(path).name)
    return from_html(text, name=name)


@cache
def _exporter() -> Any:
    # The import takes a second, which other commands need not wait for.
    from nbconvert import HTMLExporter

    return HTMLExporter(
        template_name="report", extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True
    )


def from_html(text: str, *, name: str) -> Body:
    """Take a page's HTML apart: title, lead, headings, figures and tables, each numbered.

    Examples
    --------
    >>> page = from_html("<h1>Who?</h1><p>All.</p><h2>How many?</h2>", name="01_cohort")
    >>> page.title, page.lead, page.headings
    ('Who?', 'All.', [(2, 'how-many', 'How many?')])
    """
    soup = BeautifulSoup(text, "html.parser")
    blind = [str(i)[:80] for i in soup.find_all("img") if i.get("alt", "").strip() in _NO_WORDS]
    if blind:
        raise PageError("\n".join(f"{name}: a picture has no text that stands for it: {i}" for i in blind))
    for mark in soup.find_all("a", class_="anchor-link"):
        mark.decompose()
    _shape_tables(soup)
    heading = soup.find("h1")
    title = heading.get_text(" ", strip=True) if heading else name
    lead = ""
    if heading:
        first = heading.find_next("p")
        lead = first.get_text(" ", strip=True) if first else ""
        heading.decompose()
    made = Body(name=name, title=title, lead=lead, soup=soup)
    _number_items(made)
    _anchor_headings(made)
    return made


def _shape_tables(soup: BeautifulSoup) -> None:
    for cell in soup.select("table.data tbody :is(td, th)"):
        # Short cells stay on one line; only a long text is broken.
        if len(cell.get_text()) > _LONGEST_LINE:
            cell["class"] = [*cell.get("class", []), "long"]
    for note in soup.select("figure p.note"):
        for text in note.find_all(string=re.compile("`[^`]+`")):
            parts = re.split("`([^`]+)`", str(text))
            made = [
                soup.new_tag("code", string=t) if i % 2 else NavigableString(t) for i, t in enumerate(parts)
            ]
            text.replace_with(*made)


def _number_items(page: Body) -> None:
    chapter = re.match(r"0*([A-Z]?\d+)_", page.name)
    prefix = f"{chapter[1]}." if chapter else ""
    counts = dict.fromkeys(_KINDS, 0)
    for figure in page.soup.find_all("figure", id=re.compile("^(tab|fig)-")):
        kind = figure["id"][:3]
        counts[kind] += 1
        label = f"{_KINDS[kind]} {prefix}{counts[kind]}"
        caption = figure.find("figcaption")
        shown = caption.get_text(" ", strip=True)
        strong = page.soup.new_tag("strong", attrs={"class": "label"})
        strong.string = f"{label}."
        caption.insert(0, strong, " ")
        page.items.append(Item(figure["id"], label, shown, figure.get("data-name", ""), page.name))


def _anchor_headings(page: Body) -> None:
    used = {tag["id"] for tag in page.soup.find_all(id=True) if tag.name not in ("h2", "h3", "h4")}
    for heading in page.soup.find_all(["h2", "h3", "h4"]):
        text = heading.get_text(" ", strip=True)
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
        anchor, number = stem, 2
        while anchor in used:
            anchor, number = f"{stem}-{number}", number + 1
        used.add(anchor)
        heading["id"] = anchor
        page.headings.append((int(heading.name[1]), anchor, text))


def resolve(page: Body, items: Sequence[Item], pages: Sequence[str] = ()) -> list[str]:
    """Make each link to a figure or table say its number, on whichever page it stands.

    A link ``page:<name>`` becomes one to that page.

    Parameters
    ----------
    page : Body
        The page; its HTML is changed.
    items : sequence of Item
        Figures and tables of the whole report. Where several pages have one (a fold each), the page's own
        comes first, then the first in reading order.
    pages : sequence of str
        Names of the report's pages.

    Returns
    -------
    list of str
        Anchors and pages that the report does not have: parts that this study is without. Their text stays,
        without a link.
    """
    missing = []
    for link in page.soup.find_all("a", href=re.compile("^page:")):
        name = link["href"].removeprefix("page:")
        if name in pages:
            link["href"] = f"{name}.html"
        else:
            missing.append(name)
            link.replace_with(link.get_text())
    for link in page.soup.find_all("a", href=re.compile("#(tab|fig)-")):
        anchor = link["href"].split("#", 1)[1]
        item = _wanted(anchor, page.name, items)
        if item is None:
            missing.append(anchor)
            link.replace_with(link.get_text() or "a part that this study does not have")
            continue
        link["href"] = f"#{item.id}" if item.page == page.name else f"{item.page}.html#{item.id}"
        if not link.get_text(strip=True):
            link.string = item.label
    return missing


def _wanted(anchor: str, page: str, items: Sequence[Item]) -> Item | None:
    # A fold's copy carries the fold in its anchor: `tab-grid` finds `tab-grid-outer-1`.
    fitting = [i for i in items if i.id == anchor] or [
        i for i in items if re.fullmatch(re.escape(anchor) + r"-(holdout|outer)-\d+(-[a-z]+)?", i.id)
    ]
    own = [i for i in fitting if i.page == page]
    return next(iter(own or fitting), None)


def picture(page: Body, item: Item) -> str:
    """Return a figure of a page as HTML, for showing it on another one.

    Raises
    ------
    KeyError
        If the page has no such figure.
    """
    found = page.soup.find("figure", id=item.id)
    if not isinstance(found, Tag):
        raise KeyError(item.id)
    return str(found)
