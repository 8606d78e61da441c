"""What does not apply to a study: left out of its pages, and named in one line at the end of each."""

from itertools import takewhile

from bs4 import BeautifulSoup, Tag
from markupsafe import escape

_MARK = "absent"


def sentence(text: str) -> str:
    """Return a sentence, as HTML, that says why a table does not apply to a study.

    Examples
    --------
    >>> sentence("This study has one split.")
    '<p class="absent">This study has one split.</p>'
    """
    return f'<p class="{_MARK}">{escape(text)}</p>'


def gather(soup: BeautifulSoup) -> None:
    """Move these sentences into one line at the end of the page; sections that have nothing else go.

    Examples
    --------
    >>> page = f"<h2>A</h2><p>One?</p>{sentence('One split.')}<h2>B</h2><p>Two.</p>"
    >>> soup = BeautifulSoup(page, "html.parser")
    >>> gather(soup)
    >>> print(soup)
    <h2>B</h2><p>Two.</p><p class="absent"><strong>Not part of this report.</strong> One split.</p>
    """
    found = soup.find_all("p", class_=_MARK)
    if not found:
        return
    for heading in soup.find_all("h2"):
        section = list(takewhile(lambda tag: tag.name != "h2", heading.find_next_siblings(True)))
        outputs = [out for part in section for out in _outputs(part)]
        if outputs and all(out in found for out in outputs):
            for part in (heading, *section):
                part.extract()
    for mark in found:
        mark.extract()
    line = soup.new_tag("p", attrs={"class": _MARK})
    line.append(soup.new_tag("strong", string="Not part of this report."))
    # Several tables may be absent for one reason.
    for text in dict.fromkeys(mark.get_text(" ", strip=True) for mark in found):
        line.append(f" {text}")
    soup.append(line)


def _outputs(part: Tag) -> list[Tag]:
    """Return what a cell displayed: absent marks, and everything else that is not part of another output."""
    if _MARK in part.get("class", []):
        return [part]
    areas = part.find_all("div", class_="output_subarea")
    return [child for area in areas for child in area.find_all(True, recursive=False)]
