"""What a manuscript takes from a report: tables for Word and Excel, the supplement, the methods in words."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import jinja2
import pandas as pd

from postarrest import splits, summary, tabular, tuning
from postarrest.convert import TEMPLATES
from postarrest.files import write_bytes
from postarrest.report import shown_cells
from postarrest.study import Here, Study, complete_parameters
from postarrest.tables import NAMES

# A longer table is for a spreadsheet, not for a page.
_LONGEST_IN_WORD = 120
# Archives note when each file in them was written; the same report must give the same bytes.
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_ALGORITHMS = {
    "lightgbm": "gradient-boosted trees, LightGBM",
    "logistic": "logistic regression",
    "forest": "random forest",
    "select": "the best of logistic regression, random forest and LightGBM in the inner folds",
    "cnn": "the network on head CT",
}


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


def write(
    study: Study, here: Here, *, contents: Mapping[str, Any], text: Sequence[tuple[str, str]]
) -> list[Path]:
    """Write a study's files for the manuscript into ``reports/<study>/manuscript``.

    Parameters
    ----------
    study : Study
        The study.
    here : Here
        Its places.
    contents : Mapping
        The report's ``tables``, as ``summary.json`` has them.
    text : sequence of (str, str)
        The methods, from :func:`methods`.

    Returns
    -------
    list of pathlib.Path
        ``tables.docx``, ``tables.xlsx``, ``methods.docx``, ``methods.md`` and, of a nested study,
        ``supplement.docx`` and ``supplement.xlsx`` with paper B's tables S1 to S7.
    """
    folder = here.report_dir / "manuscript"
    tables = report_tables(here, contents)
    files = {
        "tables.docx": word(study, tables),
        "tables.xlsx": excel(study, tables),
        "methods.docx": word(study, [], paragraphs=text),
        "methods.md": markdown(study, text).encode(),
    }
    if "nested" in study.protocols:
        supplement = supplementary(study, here)
        files |= {"supplement.docx": word(study, supplement), "supplement.xlsx": excel(study, supplement)}
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]


def report_tables(here: Here, contents: Mapping[str, Any]) -> list[Table]:
    """Return the report's tables in reading order, each once."""
    found: dict[str, Table] = {}
    for entry in contents["tables"]:
        name = entry["name"]
        if name not in found and here.table(name).is_file():
            found[name] = Table(entry["label"], entry["caption"], _read(here, name), name)
    return list(found.values())


def supplementary(study: Study, here: Here) -> list[Table]:
    """Return paper B's supplementary tables S1 to S7, made from this study's tables and parameters.

    Parameters
    ----------
    study : Study
        A study with nested cross-validation.
    here : Here
        Its places.
    """
    base = complete_parameters(study, "04_stacking", root=here.root)
    network = complete_parameters(study, "03_cnn", root=here.root) if "03_cnn" in study.notebooks else {}
    chosen = _read(here, "hyperparameters")
    is_network = chosen["model"].str.startswith("cnn")
    performance = _read(here, "performance")

    def main(name: str) -> pd.DataFrame:
        rows = summary.main_rows(study, performance, _read(here, name))
        return rows.drop(columns=[c for c in ("outcome", "set", "model", "rule", "chosen_on") if c in rows])

    model = summary.model_in_words(summary.main_model(performance))
    image = ["architecture", "fit_image", "augmentation", "copies", "precision", "class_weights"]
    return [
        Table("Table S1", "Predictors, their handling and missing values.", _predictors(base, here), "S1"),
        Table(
            "Table S2",
            "Settings of the OHCA model, other base models and the stack: space searched, values chosen.",
            chosen[~is_network & (chosen["model"] != "pupil")],
            "S2",
        ),
        Table(
            "Table S3",
            "Settings of the pupil model: space searched and values chosen.",
            chosen[chosen["model"] == "pupil"],
            "S3",
        ),
        Table(
            "Table S4",
            "Image augmentation.",
            pd.DataFrame({"setting": image, "value": [_plain(network.get(name, "")) for name in image]})
            if network
            else pd.DataFrame({"setting": [], "value": []}),
            "S4",
        ),
        Table(
            "Table S5",
            "Hyperparameters of the network's head; its outputs are Platt scaled on out-of-fold scores.",
            chosen[is_network],
            "S5",
        ),
        Table(
            "Table S6",
            f"Performance of {model} at every 0.01 of predicted probability; the good outcome is positive. "
            "Other models: tables/threshold_sweep.csv.",
            main("threshold_sweep"),
            "S6",
        ),
        Table(
            "Table S7",
            f"All thresholds of {model} with an FNR (false pessimism) below 5 %; fnr_upper: its upper 95 % "
            "limit. Other models: tables/thresholds_fnr5.csv.",
            main("thresholds_fnr5"),
            "S7",
        ),
    ]


def _predictors(base: Mapping[str, Any], here: Here) -> pd.DataFrame:
    handling = {
        "lightgbm": "as they are; LightGBM takes missing values itself",
        "logistic": "standardised; missing values: median of the fitted-on patients and an indicator",
        "forest": "missing values: median of the fitted-on patients and an indicator",
        "select": "by the algorithm chosen in the inner folds",
        "cnn": "one CT slice, window 40 / 80 HU; see Table S4",
    }
    missing = _read(here, "missingness") if here.table("missingness").is_file() else pd.DataFrame()
    rows = []
    for model, given in base["models"].items():
        for predictor in given.get("predictors", ["head CT slice"]):
            rows.append(
                {
                    "model": model,
                    "algorithm": given["algorithm"],
                    "predictor": predictor,
                    "handling": handling[given["algorithm"]],
                    "patients without it": _missing(missing, predictor),
                }
            )
    return pd.DataFrame(rows)


def _missing(missing: pd.DataFrame, predictor: str) -> str:
    if missing.empty:
        return ""
    # Variables that are missing in the same patients share a row there, under the first names.
    shown = NAMES.get(predictor, predictor)
    rows = missing[missing["variable"].str.contains(shown, regex=False)]
    if len(rows):
        return str(rows["overall"].iloc[0])
    return "see the table of missing values" if predictor.endswith("*") else "0"


def methods(study: Study, computed: Mapping[str, Any], *, weights: str, root: Path) -> list[tuple[str, str]]:
    """Return the methods in words, from the parameters and versions that were used.

    Parameters
    ----------
    study : Study
        The study.
    computed : Mapping
        From :func:`postarrest.environment.describe`.
    weights : str
        Where the network's weights are from, in words; blank without a network.

    Returns
    -------
    list of (str, str)
        Heading and paragraph.
    """
    given = {n: complete_parameters(study, n, root=root) for n in study.notebooks}
    division = splits.Settings(**study.sections["splits"])
    rest = 1 - division.holdout_fraction
    network, stack = given.get("03_cnn"), given.get("04_stacking")
    text = (
        _templates()
        .get_template("methods.md.j2")
        .render(
            study=study,
            computed=computed,
            versions=[f"{name} {version}" for name, version in computed["versions"].items()],
            division=division,
            train=rest * (1 - division.tune_fraction),
            tune=rest * division.tune_fraction,
            cohort=given.get("01_cohort"),
            eligibility=_eligibility(given["01_cohort"]["criteria"]) if "01_cohort" in given else [],
            ratio=given.get("02_gwr"),
            network=network,
            weights=weights,
            stack=stack,
            base_models=_base_models(stack) if stack else [],
            base_spaces=_base_spaces(stack) if stack else [],
            trees=tabular.FOREST_TREES,
            evaluated=given["05_evaluation"],
        )
    )
    parts = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return [(h, " ".join(p.split())) for h, p in zip(parts[::2], parts[1::2], strict=True)]


def _eligibility(criteria: Mapping[str, Any]) -> list[str]:
    rules = {
        "min_age_years": "were at least {} years old",
        "max_age_years": "were at most {} years old",
        "max_rosc_to_ct_min": "had a head CT within {} minutes of the return of circulation",
    }
    met = [rules[name].format(value) for name, value in criteria.items() if name in rules]
    if criteria.get("require"):
        met.append(f"had known values of {_listed([_words(c) for c in criteria['require']])}")
    if criteria.get("exclusions", "all") == "all":
        met.append("had none of the reasons for exclusion that the data give")
    return met


def _weights(weights: str) -> str:
    known = {
        "none": "random weights",
        "imagenet": "ImageNet weights",
        "auto": "the weights that the report names",
    }
    return known.get(weights, "ImageNet weights from a file")


def _base_models(stack: Mapping[str, Any]) -> list[str]:
    models = []
    for name, model in stack["models"].items():
        columns = _listed([_variable(column) for column in model.get("predictors", [])])
        algorithm = _ALGORITHMS[model["algorithm"]]
        models.append(f"{name} ({algorithm} on {columns})" if columns else f"{name} ({algorithm})")
    return models


def _variable(column: str) -> str:
    # "No-flow time, min" is a heading; in a sentence the unit is left out.
    name = NAMES[column].split(",")[0] if column in NAMES else _words(column)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _base_spaces(stack: Mapping[str, Any]) -> list[str]:
    spaces = tabular.SPACES | stack["spaces"]
    used = {m["algorithm"] for m in stack["models"].values()}
    wanted = spaces if "select" in used else (used & spaces.keys()) | {"forest"}
    return [f"{_ALGORITHMS[name]}: {_listed(_spaces(spaces[name]))}" for name in sorted(wanted)]


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    made.filters |= {"listed": _listed, "plain": _plain, "spaces": _spaces}
    made.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    return made


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _spaces(space: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{_words(name)} ({tuning.space_in_words(spec)})" for name, spec in space.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(k)} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " to ".join(_plain(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown(study: Study, text: Sequence[tuple[str, str]]) -> str:
    """Return the methods as Markdown."""
    parts = [f"# Methods: {study.title}"] + [f"## {heading}\n\n{paragraph}" for heading, paragraph in text]
    return "\n\n".join(parts) + "\n"


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
    head = row([_words(str(c)) for c in data.columns], head=True)
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


def _read(here: Here, name: str) -> pd.DataFrame:
    # A column of values of many parameters holds words as well as numbers of all sizes.
    return pd.read_csv(here.table(name), dtype={"value": str})
