"""The manuscript as one Word file: a cover, then text, tables and figures, each where it is cited."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.evaluation import discrimination
from postarrest.report import office
from postarrest.report.body import Item
from postarrest.report.runs import Report
from postarrest.report.tables import for_readers
from postarrest.words import words

_WIDTH_MM = 174
_STAMP = re.compile(r"Study (\S+), run ([0-9a-f]{12})\b")
# A test is named by a letter below the table, not in a column.
_TESTS = {"test": "p", "method": "p_holm"}


def stamp(study: str, run_hash: str) -> str:
    """Return the words by which a Word file says which run it is from.

    Examples
    --------
    >>> run_of_text(stamp("holdout", "0123456789ab"))
    ('holdout', '0123456789ab')
    """
    return f"Study {study}, run {run_hash}"


def run_of_text(text: str) -> tuple[str, str] | None:
    """Return the study and the run that a text names; None if it names none."""
    found = _STAMP.search(text)
    return (found[1], found[2]) if found else None


def run_of_file(path: Path) -> tuple[str, str] | None:
    """Return the study and the run that a Word file of a report is from; None if it does not say.

    Raises
    ------
    ValueError
        If the file is not a Word file.
    """
    from docx import Document
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = Document(str(path))
    except (PackageNotFoundError, KeyError) as error:
        raise ValueError(f"{path}: not a Word file (.docx)") from error
    footers = [paragraph for section in document.sections for paragraph in section.footer.paragraphs]
    return run_of_text("\n".join(paragraph.text for paragraph in [*document.paragraphs, *footers]))


@dataclass
class _Draft:
    """A Word document that is written, with the numbers of its tables and figures."""

    report: Report
    document: Any
    items: Sequence[Item]
    counts: dict[str, int] = field(default_factory=lambda: {"Table": 0, "Figure": 0})

    def add(self, wanted: Mapping[str, Any]) -> None:
        """Add the sentence that cites a table or figure, and that below it, if the study has one."""
        kind = "tab" if "table" in wanted else "fig"
        name = wanted["table" if kind == "tab" else "figure"]
        item = self._find(kind, name)
        if item is None:
            return
        data = self._rows(item.name, wanted) if kind == "tab" else None
        if data is not None and data.empty:
            return
        word = "Table" if kind == "tab" else "Figure"
        self.counts[word] += 1
        number = self.counts[word]
        self.document.add_paragraph(wanted["says"].format(ref=f"{word} {number}"))
        if data is None:
            path = self.report.here.figure(f"{item.name}.png")
            office.add_picture(self.document, path, width_mm=_WIDTH_MM, alt=self._alt(item))
            office.add_caption(self.document, word, number, _without_label(item))
        else:
            office.add_caption(self.document, word, number, _without_label(item), before_its_table=True)
            self._add_table(item.name, data)

    def _find(self, kind: str, name: str) -> Item | None:
        """Return the item of a name or, of several by outcome label or model, the first."""
        fitting = [
            item
            for item in self.items
            if item.id.startswith(kind) and re.fullmatch(rf"{re.escape(name)}(_.+)?", item.name)
        ]
        fitting.sort(key=lambda item: item.name != name)
        there = self.report.here.table if kind == "tab" else lambda n: self.report.here.figure(f"{n}.png")
        return next((item for item in fitting if there(item.name).is_file()), None)

    def _rows(self, name: str, wanted: Mapping[str, Any]) -> pd.DataFrame:
        """Return the rows and columns of a table that a manuscript shows."""
        data = pd.read_csv(self.report.here.table(name), dtype={"value": str})
        result = self.report.result
        where = {"model": result.main} | dict(result.where) if wanted.get("of_main") else dict(result.where)
        where |= wanted.get("rows", {})
        for column, values in where.items():
            values = values if isinstance(values, list) else [values]
            if column == "set":
                # Cross-validated models are also described by the mean over the folds.
                values = [*values, *(["fold mean"] if "pooled" in values else [])]
            if column in data:
                data = data[data[column].isin(values)]
        if "model_a" in data:
            # Pairs with the main model; where models were cross-validated, the test that allows for training.
            data = data[(data[["model_a", "model_b"]] == result.main).any(axis=1)]
            for_procedure = data["method"] == discrimination.PROCEDURE
            data = data[for_procedure] if for_procedure.any() else data
        columns = [column for column in wanted.get("columns", data.columns) if column in data]
        return data[columns]

    def _add_table(self, name: str, data: pd.DataFrame) -> None:
        network = self.report.network.name
        digits = words()["tables"].get(name, {}).get("digits", 2)
        letters, notes = {}, []
        for column, of in _TESTS.items():
            if column in data and of in data:
                tests = [test for test in dict.fromkeys(data[column].dropna()) if test]
                letters = {of: data[column].map(dict(zip(tests, "abcdefgh", strict=False)))}
                notes = [f"{letter} {test}." for letter, test in zip("abcdefgh", tests, strict=False)]
                data = data.drop(columns=column)
        shown, numeric = for_readers(data, digits=digits, network=network)
        places = {
            list(shown.columns).index(head): letters[column].fillna("").to_list()
            for column in letters
            for head in for_readers(data[[column]])[0].columns
        }
        office.add_table(self.document, shown, numeric, raised=places)
        self.document.add_paragraph(" ".join(notes)).paragraph_format.space_before = 0

    def _alt(self, item: Item) -> str:
        body = next(b for b in self.report.in_order() if b.name == item.page)
        return body.soup.find("figure", id=item.id).find("img")["alt"]


def _without_label(item: Item) -> str:
    """Return an item's caption, with its number in the report at the end."""
    text = item.caption.removeprefix(f"{item.label}.").strip()
    return f"{text} (In the report: {item.label}.)"


def word(report: Report, *, items: Sequence[Item], methods: Sequence[tuple[str, str]]) -> bytes:
    """Return the manuscript as a Word file; equal content, equal bytes.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    items : sequence of Item
        The report's tables and figures, in reading order.
    methods : sequence of (str, str)
        Headings and paragraphs of the methods.
    """
    study, texts = report.study, words()["draft"]
    of_run = stamp(study.name, report.run_hash)
    document = office.new_document(study, report.network, stamp=of_run)
    document.add_heading(study.title, level=0)
    document.add_paragraph(study.question)
    for text in texts["cover"]:
        document.add_paragraph(text.format(stamp=of_run, date=report.run_date))
    document.add_paragraph(report.citation)
    document.add_page_break()
    document.add_heading("Methods", level=1)
    for heading, paragraph in methods:
        document.add_heading(heading, level=2)
        document.add_paragraph(paragraph)
    document.add_heading("Results", level=1)
    draft = _Draft(report, document, items)
    for section in texts["results"]:
        there = [w for w in section["items"] if draft._find(*_kind_and_name(w)) is not None]
        if not there and not section.get("sentences"):
            continue
        document.add_heading(section["heading"], level=2)
        if section.get("sentences"):
            document.add_paragraph(" ".join([report.result.data, report.result.text]))
        for wanted in there:
            draft.add(wanted)
    document.add_heading("Limitations", level=1)
    for text in texts["limitations"]:
        document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    return office.timeless(out.getvalue())


def _kind_and_name(wanted: Mapping[str, Any]) -> tuple[str, str]:
    return ("tab", wanted["table"]) if "table" in wanted else ("fig", wanted["figure"])
