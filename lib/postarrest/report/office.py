"""Tables and paragraphs as Word and Excel files."""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from postarrest.report.tables import for_readers, narrowed
from postarrest.report.used import NO_NETWORK, UsedNetwork
from postarrest.study.load import Study
from postarrest.words import column_in_words, text_in_words

# Longer tables are left to the spreadsheet.
_LONGEST_IN_WORD = 120
_DECIMALS = "0.00##"
_SIMULATED = "SIMULATED PATIENTS - no result in this file is from a real patient"


@dataclass(frozen=True)
class Table:
    """A table for a manuscript.

    Parameters
    ----------
    label : str
        Its number, such as ``"Table 5.1"`` or ``"Table S6"``.
    caption : str
        Its caption.
    data : pandas.DataFrame
        The table.
    name : str
        Name of its file, or of its sheet.
    """

    label: str
    caption: str
    data: pd.DataFrame
    name: str


def word(
    study: Study,
    tables: Sequence[Table],
    *,
    paragraphs: Sequence[tuple[str, str]] = (),
    network: UsedNetwork = NO_NETWORK,
    stamp: str = "",
) -> bytes:
    """Return a Word file of paragraphs and tables, the same bytes for the same content.

    A table of more than 120 rows is replaced by a reference to the spreadsheet.

    Parameters
    ----------
    study : Study
        The study.
    tables : sequence of Table
        The tables.
    paragraphs : sequence of (str, str)
        Headings and paragraphs, which come first.
    network : UsedNetwork
        The network on head CT.
    stamp : str
        Which run the file is from, printed at the foot of each page.
    """
    document = new_document(study, network, stamp=stamp, landscape=bool(tables))
    document.add_heading(study.title, level=1)
    for heading, paragraph in paragraphs:
        document.add_heading(heading, level=2)
        document.add_paragraph(paragraph)
    for table in tables:
        caption = document.add_paragraph()
        caption.paragraph_format.keep_with_next = True
        caption.add_run(f"{table.label}. ").bold = True
        caption.add_run(table.caption)
        if table.data.empty:
            document.add_paragraph("This study has nothing for this table.")
        elif len(table.data) > _LONGEST_IN_WORD:
            document.add_paragraph(f"{len(table.data)} rows: see sheet {table.name[:31]} of the spreadsheet.")
        else:
            _add_word_table(document, table.data, network.name)
    out = io.BytesIO()
    document.save(out)
    return timeless(out.getvalue())


def _marked(network: UsedNetwork) -> str:
    """Return the mark of a simulated study's file."""
    return f"{_SIMULATED}. The network on head CT was {network.circular}" if network.circular else _SIMULATED


def new_document(study: Study, network: UsedNetwork, *, stamp: str = "", landscape: bool = False) -> Any:
    """Return an empty Word document with the mark of simulated patients and the run."""
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.shared import Mm, Pt

    document = Document()
    document.core_properties.title = study.title
    document.core_properties.author = ""
    document.styles["Normal"].font.name = "Arial"
    document.styles["Normal"].font.size = Pt(9)
    section = document.sections[0]
    width, height = (297, 210) if landscape else (210, 297)
    section.orientation = WD_ORIENT.LANDSCAPE if landscape else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(width), Mm(height)
    section.left_margin = section.right_margin = Mm(18)
    if study.simulated:
        section.header.paragraphs[0].text = _marked(network)
    section.footer.paragraphs[0].text = stamp
    return document


def add_caption(document: Any, word: str, number: int, text: str, *, before_its_table: bool = False) -> None:
    """Add a caption whose number Word counts itself, so that it can list the tables and figures."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    paragraph = document.add_paragraph(style="Caption")
    paragraph.paragraph_format.keep_with_next = before_its_table
    paragraph.add_run(f"{word} ")
    counted = OxmlElement("w:fldSimple")
    counted.set(qn("w:instr"), f"SEQ {word} \\* ARABIC")
    run, shown = OxmlElement("w:r"), OxmlElement("w:t")
    shown.text = str(number)
    run.append(shown)
    counted.append(run)
    paragraph._p.append(counted)
    paragraph.add_run(f". {text}")


def add_picture(document: Any, path: Path, *, width_mm: float, alt: str) -> None:
    """Add a picture, at most so wide, with its alternative text."""
    from docx.shared import Mm

    picture = document.add_picture(str(path))
    if picture.width > Mm(width_mm):
        picture.height = round(picture.height * Mm(width_mm) / picture.width)
        picture.width = Mm(width_mm)
    picture._inline.docPr.set("descr", alt)
    document.paragraphs[-1].paragraph_format.keep_with_next = True


def _add_word_table(document: Any, data: pd.DataFrame, network: str) -> None:
    narrow, constant = narrowed(data, network=network)
    add_table(document, *for_readers(narrow, network=network))
    document.add_paragraph(constant)


def add_table(
    document: Any,
    shown: pd.DataFrame,
    numeric: Sequence[bool],
    *,
    raised: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Add a table of text.

    Parameters
    ----------
    document : docx.document.Document
        The document.
    shown, numeric
        From :func:`postarrest.report.tables.for_readers`.
    raised : Mapping
        Number of a column to the letters after its cells that refer to footnotes.
    """
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.shared import Pt

    lines = [list(shown), *shown.to_numpy().tolist()]
    size = Pt(7 if shown.shape[1] > 9 else 8)
    table = document.add_table(len(lines), shown.shape[1], style="Light Shading")
    # Word repeats a row that is marked as the head on every page.
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    for place, (row, line) in enumerate(zip(table.rows, lines, strict=True)):
        for column, (cell, text, is_number) in enumerate(zip(row.cells, line, numeric, strict=True)):
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text).font.size = size
            if place and text and column in raised:
                letter = paragraph.add_run(raised[column][place - 1])
                letter.font.size, letter.font.superscript = size, True
            paragraph.paragraph_format.space_after = 0
            if is_number:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def excel(study: Study, tables: Sequence[Table], *, network: UsedNetwork = NO_NETWORK) -> bytes:
    """Return an Excel file with a sheet of contents and one per table; equal content, equal bytes."""
    from openpyxl import Workbook

    listed = [(t.label, t.name[:31], t.caption) for t in tables]
    title = study.title + (f" ({_marked(network)})" if study.simulated else "")
    # Row by row: all cells as objects take twice as long.
    book = Workbook(write_only=True)
    contents = pd.DataFrame(listed, columns=["Table", "Sheet", "Caption"])
    _fill(book.create_sheet("contents"), title, contents, links="Sheet")
    for t in tables:
        _fill(book.create_sheet(t.name[:31]), f"{t.label}. {t.caption}", _for_excel(t.data, network.name))
    out = io.BytesIO()
    book.save(out)
    return timeless(out.getvalue())


def _fill(sheet: Any, heading: str, data: pd.DataFrame, *, links: str = "") -> None:
    """Fill a sheet; the cells of the column ``links`` lead to the sheets that they name."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    def cell(value: Any, **look: Any) -> Any:
        styled = WriteOnlyCell(sheet, value)
        for name, kind in look.items():
            setattr(styled, name, kind)
        return styled

    rows = data.astype(object).where(data.notna(), None).to_numpy().tolist()
    for place, column in enumerate(zip(data.columns, *rows, strict=True), start=1):
        longest = max(len(str(value)) for value in column)
        sheet.column_dimensions[get_column_letter(place)].width = min(60, longest + 2)
    sheet.freeze_panes = "A4"
    bold = Font(bold=True)
    sheet.append([cell(heading, font=bold)])
    sheet.append([])
    sheet.append([cell(name, font=bold) for name in data.columns])
    # One cell for all numbers, written before its next: to look up a format takes longer than to write.
    number = cell(0.0, number_format=_DECIMALS)

    def cells(row: Sequence[Any]) -> Iterator[Any]:
        for column, value in zip(data.columns, row, strict=True):
            if column == links:
                yield cell(value, hyperlink=f"#'{value}'!A1")
            elif isinstance(value, float) and np.isfinite(value):
                number.value = value
                yield number
            else:
                # Excel has no infinity.
                yield str(value) if isinstance(value, float) else value

    for row in rows:
        sheet.append(cells(row))


def _for_excel(data: pd.DataFrame, network: str) -> pd.DataFrame:
    """Return a table with heads and texts in words; numbers stay whole, and each limit has its column."""
    shown = {}
    for column in data.columns:
        is_number = data[column].dtype.kind in "iuf"
        about = {"column": str(column), "network": network}
        shown[column] = (
            data[column] if is_number else [_excel_cell(_in_words(v, **about)) for v in data[column]]
        )
    return pd.DataFrame(shown).set_axis([column_in_words(c) for c in data.columns], axis=1)


def _in_words(value: Any, **about: str) -> Any:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return text_in_words(value, **about) if isinstance(value, str) else value


def _excel_cell(value: Any) -> Any:
    # A text that begins like a formula must stay a text.
    is_formula = isinstance(value, str) and value[:1] in "=+-@" and not re.fullmatch(r"[-+]?[\d.]+", value)
    return f"'{value}" if is_formula and value else value


def timeless(archive: bytes) -> bytes:
    """Return an Office file without the times at which it was written: equal content, equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?", b"1980-01-01T00:00:00Z", content)
            # Without a time of its own, an entry is from 1980.
            new.writestr(zipfile.ZipInfo(entry.filename), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
