"""What a notebook shows and keeps: tables, figures and the numbers of its sentences."""

import base64
import html
import io
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from postarrest.estimate import Estimate
from postarrest.files import write_bytes, write_text
from postarrest.places import Here
from postarrest.report import environment

# A drawing with more bytes than this is shown as a picture of points where that is smaller.
_LARGEST_INLINE_SVG = 90_000
_PREVIEW_WIDTH_PX = 1300
_PREVIEW_COLORS = 128
# Each letter is drawn by reference to its glyph, so that names and blanks are most of a drawing's bytes.
_SLIMMING = (
    (rb"<!--.*?-->", b""),
    (rb"\s+", b" "),
    (rb"> <", b"><"),
    (rb"xlink:href=", b"href="),
    (rb"DejaVuSans-", b"D-"),
)
_PLACES = rb' (?:d|x|y)="[^"]+"|translate\([^)]+\)'
# A table with more rows is folded, and one with more cells is shown in part; its file has all.
_LONGEST_OPEN_TABLE = 60
_MOST_SHOWN_CELLS = 2500
_UNITS = ("%", "HU", "minutes", "min", "mm²", "mm", "years", "patients", "µmol/L", "mmol/L", "s")


@dataclass
class Page:
    """The page of the report that a notebook writes.

    Whatever the notebook shows goes through its page, which displays it (in JupyterLab and in the HTML report
    alike) and keeps it: tables as CSV, figures as SVG, PDF and PNG, numbers in ``numbers.json``. A link
    ``[](#tab-<name>)`` or ``[](#fig-<name>)`` in any text becomes "Table 5.1" in the HTML report; hyphens
    stand there for what is no letter or digit in the name.

    Parameters
    ----------
    here : Here
        The study's places, from :func:`postarrest.study.open`.
    notebook : str
        Name of the notebook, such as ``"05_evaluation"``.
    part : str
        Which of several runs of this notebook it is (an outer fold, say); blank where there is one.
    """

    here: Here
    notebook: str
    part: str = ""
    _numbers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Kept beside the numbers: pages are written later and must tell where these arose.
        place = self.here.out(f"environment/{self._stem}.json")
        write_text(
            place, json.dumps(environment.describe(root=self.here.root), indent=1, sort_keys=True) + "\n"
        )

    @property
    def _stem(self) -> str:
        return f"{self.notebook}-{self.part}" if self.part else self.notebook

    def table(
        self,
        data: pd.DataFrame,
        *,
        name: str,
        caption: str,
        note: str = "",
        digits: int = 2,
        part: str = "",
    ) -> None:
        """Show a table and keep it as ``tables/<name>.csv``.

        Parameters
        ----------
        data : pandas.DataFrame
            The table; its index is not shown.
        name : str
            File name without ending; DESIGN's output names are exact.
        caption : str
            What the table holds, in one sentence.
        note : str
            How to read it.
        digits : int
            Decimals of real numbers as shown; the CSV keeps all.
        part : str
            Name of these rows in a table that several notebooks contribute to; otherwise this run's own part.
        """
        # A notebook that runs once a fold leaves its part beside the others'; `postarrest.pages` joins them.
        part = part or self.part
        place = self.here.part(name, part) if part else self.here.table(name)
        write_text(place, data.to_csv(index=False, lineterminator="\n"))
        label = f"cap-{self._id(name)}"
        display(
            HTML(
                f'<figure class="table" id="tab-{self._id(name)}" data-name="{html.escape(name)}">'
                f'<figcaption id="{label}">{html.escape(caption)}</figcaption>'
                f"{_framed(data, label, file_name=f'{name}.csv', digits=digits)}"
                + (f'<p class="note">{html.escape(note)}</p>' if note else "")
                + "</figure>"
            )
        )

    def figure(self, fig: Figure, *, name: str, caption: str, alt: str) -> None:
        """Show a figure, keep it as SVG, PDF and 300-dpi PNG, and close it.

        Parameters
        ----------
        fig : matplotlib.figure.Figure
            The figure.
        name : str
            File name without ending.
        caption : str
            What is drawn, of whom (n), with which interval.
        alt : str
            The figure's message in words, for those who can't see it.
        """
        drawn = render(fig)
        width_px = round(fig.get_figwidth() * 110)
        plt.close(fig)
        stem = f"{name}_{self.part}" if self.part else name
        for ending, content in drawn.items():
            write_bytes(self.here.figure(f"{stem}.{ending}"), content)
        shown, kind = _slimmed(drawn["svg"]), "svg+xml"
        if len(shown) > _LARGEST_INLINE_SVG and len(points := _preview(drawn["png"])) < len(shown):
            shown, kind = points, "png"
        data = base64.b64encode(shown).decode()
        display(
            HTML(
                f'<figure class="plot" id="fig-{self._id(name)}" data-name="{html.escape(stem)}">'
                f'<img src="data:image/{kind};base64,{data}" alt="{html.escape(alt)}" width="{width_px}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        )

    def text(self, template: str, **numbers: Estimate | float | int | str) -> None:
        """Show a sentence whose numbers come from the run, and keep them in ``numbers.json``.

        Parameters
        ----------
        template : str
            Markdown with ``{name}`` where a number stands.
        **numbers : Estimate, float, int or str
            The numbers by name. Text is shown but not kept as a number.

        Raises
        ------
        KeyError
            If the template names a number that was not given.
        """
        table = re.search(r"#tab-([a-z0-9-]+)", template)
        shown = {}
        for name, value in numbers.items():
            shown[name] = _in_words(value)
            if not isinstance(value, str):
                unit = _unit_after(template, name)
                self.number(name, value, unit=unit, table=table[1].replace("-", "_") if table else "")
        display(Markdown(template.format(**shown)))

    def number(self, name: str, value: Estimate | float | int, *, unit: str = "", table: str = "") -> None:
        """Keep a number that the report states, without showing it.

        Parameters
        ----------
        name : str
            Its name within this page.
        value : Estimate, float or int
            The number.
        unit : str
            Its unit; blank for a count or a share of one.
        table : str
            Name of the table that it stands in.
        """
        key = ".".join(filter(None, (self.notebook, self.part, name)))
        self._numbers[key] = number_entry(value, unit=unit, table=table)
        write_text(self.here.numbers(self._stem), json.dumps(self._numbers, indent=1, sort_keys=True) + "\n")

    def _id(self, name: str) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{name} {self.part}".strip().lower())


def number_entry(value: Estimate | float | int, *, unit: str = "", table: str = "") -> dict[str, Any]:
    """Return a number as ``numbers.json`` keeps it; what is not defined is null.

    Examples
    --------
    >>> number_entry(Estimate(0.82, 0.77, 0.86), table="performance")
    {'value': 0.82, 'lower': 0.77, 'upper': 0.86, 'unit': '', 'table': 'performance'}
    """
    estimate = value if isinstance(value, Estimate) else Estimate(value)
    # Counts stay whole, and what NumPy counts or measures becomes plain.
    limits = {name: np.asarray(getattr(estimate, name)).item() for name in ("value", "lower", "upper")}
    return {k: (None if math.isnan(v) else v) for k, v in limits.items()} | {"unit": unit, "table": table}


def table_html(data: pd.DataFrame, *, digits: int = 2) -> str:
    """Return a table as HTML, for reading: numbers rounded and aligned, column names in words.

    Examples
    --------
    >>> table_html(pd.DataFrame({"p": [0.00002], "n": [3]})).count("&lt;0.001")
    1
    """
    columns = [_shown_column(data.iloc[:, i], digits) for i in range(data.shape[1])]
    numeric = [pd.api.types.is_numeric_dtype(data.iloc[:, i]) for i in range(data.shape[1])]
    head = "".join(
        f'<th scope="col"{_class(is_number)}>{html.escape(str(name).replace("_", " "))}</th>'
        for name, is_number in zip(data.columns, numeric, strict=True)
    )
    rows = []
    for cells in zip(*columns, strict=True):
        row = [
            f"<td{_class(is_number)}>{html.escape(cell)}</td>"
            for cell, is_number in zip(cells, numeric, strict=True)
        ]
        if not numeric[0]:
            row[0] = f'<th scope="row">{html.escape(cells[0])}</th>'
        rows.append(f"<tr>{''.join(row)}</tr>\n")
    wide = " wide" if data.shape[1] > 9 else ""
    return (
        f'<table class="data{wide}"><thead><tr>{head}</tr></thead>\n<tbody>\n{"".join(rows)}</tbody></table>'
    )


def _framed(data: pd.DataFrame, label: str, *, file_name: str, digits: int) -> str:
    if data.empty:
        return '<p class="note">No rows.</p>'
    shown = data.head(max(1, _MOST_SHOWN_CELLS // data.shape[1]))
    body = table_html(shown, digits=digits)
    frame = f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{label}">{body}</div>'
    if len(data) <= _LONGEST_OPEN_TABLE:
        return frame
    what = f"{len(data)} rows" if len(shown) == len(data) else f"the first {len(shown)} of {len(data)} rows"
    return (
        f'<details class="long"><summary>Show {what}</summary>{frame}</details>'
        f'<p class="note">All {len(data)} rows are in <code>tables/{html.escape(file_name)}</code>.</p>'
    )


def shown_cells(data: pd.DataFrame, *, digits: int = 2) -> pd.DataFrame:
    """Return a table as text, each cell as the report shows it.

    Examples
    --------
    >>> shown_cells(pd.DataFrame({"auc": [0.8211, float("nan")], "n": [64, 64]})).to_numpy().tolist()
    [['0.82', '64'], ['', '64']]
    """
    columns = {name: _shown_column(data[name], digits) for name in data.columns}
    return pd.DataFrame(columns, index=data.index, dtype=object)


def render(fig: Figure) -> dict[str, bytes]:
    """Return a figure as SVG, PDF and PNG of 300 dpi, by ending; the same bytes for the same figure."""
    settings = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    drawn = {}
    with mpl.rc_context({"svg.hashsalt": "postarrest", "pdf.fonttype": 42}):
        for ending, named in settings.items():
            out = io.BytesIO()
            fig.savefig(out, format=ending, metadata=named, dpi=300)
            drawn[ending] = out.getvalue()
    return drawn


def _slimmed(svg: bytes) -> bytes:
    """Return a drawing without what no eye sees: remarks, long names, more than two decimals."""
    for pattern, replacement in _SLIMMING:
        svg = re.sub(pattern, replacement, svg)
    return re.sub(_PLACES, lambda place: re.sub(rb"(\.\d\d)\d+", rb"\1", place[0]), svg)


def _preview(png: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image = image.convert("RGB")
        if image.width > _PREVIEW_WIDTH_PX:
            height = round(image.height * _PREVIEW_WIDTH_PX / image.width)
            image = image.resize((_PREVIEW_WIDTH_PX, height), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.quantize(colors=_PREVIEW_COLORS, method=Image.Quantize.MEDIANCUT).save(
            out, format="png", optimize=True
        )
    return out.getvalue()


def _class(is_number: bool) -> str:
    return ' class="num"' if is_number else ""


def _shown_column(column: pd.Series, digits: int) -> list[str]:
    if column.name == "p" or str(column.name).startswith("p_"):
        return [_p_value(value) for value in column]
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        return ["" if pd.isna(value) else f"{value:.0f}" for value in column]
    return [_cell(value, digits) for value in column]


def _cell(value: Any, digits: int) -> str:
    if not isinstance(value, list | dict | tuple | np.ndarray) and pd.isna(value):
        return ""
    return _number(value, digits) if isinstance(value, float | np.floating) else str(value)


def _number(value: float, digits: int) -> str:
    # A learning rate of 0.0003 must not be shown as 0.00.
    if 0 < abs(value) < 0.5 * 10**-digits:
        return f"{value:.1g}"
    return f"{value:.{digits}f}"


def _p_value(value: Any) -> str:
    if pd.isna(value) or isinstance(value, str):
        return "" if pd.isna(value) else value
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _in_words(value: Estimate | float | int | str) -> str:
    return _number(value, 2) if isinstance(value, float | np.floating) else str(value)


def _unit_after(template: str, name: str) -> str:
    place = template.find(f"{{{name}}}")
    following = template[place + len(name) + 2 :].lstrip() if place >= 0 else ""
    units = [u for u in _UNITS if re.match(re.escape(u) + r"(?!\w)", following)]
    return units[0] if units else ""
