"""Tables for Word and Excel."""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd

from postarrest.report.methods import in_words
from postarrest.report.page import shown_cells
from postarrest.study.load import Study

# A longer table is for a spreadsheet, not for a page.
_LONGEST_IN_WORD = 120
# Archives note when each file in them was written; the same report must give the same bytes.
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


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


def word(study: Study, tables: Sequence[Table], *, paragraphs: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a Word file of paragraphs and tables, the same bytes for the same content.

    Longer tables than a page are left to the spreadsheet, and the file says so in their place.
    """
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.oxml import parse_xml
    from docx.shared import Mm, Pt

    document = Document()
    document.core_properties.title = study.title
    document.core_properties.author = ""
    document.styles["Normal"].font.name = "Arial"
    document.styles["Normal"].font.size = Pt(9)
    section = document.sections[0]
    if tables:
        section.orientation = WD_ORIENT.LANDSCAPE
    wide, high = (Mm(297), Mm(210)) if tables else (Mm(210), Mm(297))
    section.page_width, section.page_height = wide, high
    section.left_margin = section.right_margin = Mm(18)
    if study.simulated:
        section.header.paragraphs[0].text = "SIMULATED PATIENTS - no result of this file is of a real patient"
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
            document.add_paragraph("No rows.")
        elif len(table.data) > _LONGEST_IN_WORD:
            document.add_paragraph(f"{len(table.data)} rows: see sheet {table.name[:31]} of the spreadsheet.")
        else:
            # Cell by cell, python-docx needs a minute for what takes a moment as a whole.
            document.element.body.insert(-1, parse_xml(_word_table(table.data)))
            document.add_paragraph()
    out = io.BytesIO()
    document.save(out)
    return _timeless(out.getvalue())


def _word_table(data: pd.DataFrame) -> str:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    size = "14" if data.shape[1] > 9 else "16"
    numeric = [pd.api.types.is_numeric_dtype(data.iloc[:, i]) for i in range(data.shape[1])]

    def row(cells: Sequence[str], *, head: bool = False) -> str:
        edges = '<w:top w:val="single" w:sz="8"/>' if head else ""
        edges += (
            f'<w:bottom w:val="single" w:sz="{8 if head else 2}" w:color="{"000000" if head else "BBBBBB"}"/>'
        )
        bold = "<w:b/>" if head else ""
        run = f'<w:rPr>{bold}<w:sz w:val="{size}"/></w:rPr>'
        texts = [
            f"<w:tc><w:tcPr><w:tcBorders>{edges}</w:tcBorders></w:tcPr><w:p><w:pPr><w:spacing w:after='0'/>"
            f'<w:jc w:val="{"right" if is_number else "left"}"/></w:pPr><w:r>{run}'
            f'<w:t xml:space="preserve">{escape(cell)}</w:t></w:r></w:p></w:tc>'
            for cell, is_number in zip(cells, numeric, strict=True)
        ]
        # The head is repeated on each page, and no row is broken between two.
        repeated = "<w:tblHeader/>" if head else ""
        return f"<w:tr><w:trPr><w:cantSplit/>{repeated}</w:trPr>{''.join(texts)}</w:tr>"

    grid = "<w:gridCol/>" * data.shape[1]
    head = row([in_words(str(c)) for c in data.columns], head=True)
    body = "".join(row(list(cells)) for cells in shown_cells(data).itertuples(index=False, name=None))
    return (
        f'<w:tbl {space}><w:tblPr><w:tblW w:w="5000" w:type="pct"/><w:tblLayout w:type="autofit"/></w:tblPr>'
        f"<w:tblGrid>{grid}</w:tblGrid>{head}{body}</w:tbl>"
    )


def excel(study: Study, tables: Sequence[Table]) -> bytes:
    """Return an Excel file with a sheet of contents and one a table, the same bytes for the same content."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    contents = book.active
    contents.title = "contents"
    contents.append([study.title])
    if study.simulated:
        contents.append(["SIMULATED PATIENTS - no result of this file is of a real patient"])
    contents.append([])
    contents.append(["table", "sheet", "caption"])
    for table in tables:
        name = table.name[:31]
        contents.append([table.label, name, table.caption])
        contents.cell(contents.max_row, 2).hyperlink = f"#'{name}'!A1"
        sheet = book.create_sheet(name)
        sheet.append([f"{table.label}. {table.caption}"])
        sheet.append([])
        sheet.append([str(c) for c in table.data.columns])
        for cells in table.data.itertuples(index=False, name=None):
            sheet.append([_excel_cell(value) for value in cells])
        for cell in sheet[3]:
            cell.font = Font(bold=True)
        sheet["A1"].font = Font(bold=True)
        sheet.freeze_panes = "A4"
        for i, column in enumerate(table.data.columns, start=1):
            longest = table.data[column].astype(str).str.len().max() if len(table.data) else 0
            sheet.column_dimensions[get_column_letter(i)].width = min(40, max(len(str(column)), longest) + 2)
    contents["A1"].font = Font(bold=True)
    contents.column_dimensions["A"].width = 12
    contents.column_dimensions["B"].width = 26
    contents.column_dimensions["C"].width = 100
    out = io.BytesIO()
    book.save(out)
    return _timeless(out.getvalue())


def _excel_cell(value: Any) -> Any:
    if pd.isna(value):
        return None
    # A text that begins like a formula must stay a text.
    text = isinstance(value, str) and value[:1] in "=+-@" and not re.fullmatch(r"[-+]?[\d.]+", value)
    return f"'{value}" if text else value


def _timeless(archive: bytes) -> bytes:
    """Return an Office file without the times at which it was written."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?", b"1980-01-01T00:00:00Z", content)
            fixed = zipfile.ZipInfo(entry.filename, _FIXED_TIME)
            fixed.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(fixed, content)
    return out.getvalue()
