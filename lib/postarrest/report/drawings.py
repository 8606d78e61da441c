"""Figures as files, and as a page shows them."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from fontTools.subset import Options
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from postarrest.files import write_bytes
from postarrest.report.rendering import render as render_template

_DPI = 300
# A larger drawing, in bytes, is shown as a raster image if that is smaller.
_LARGEST_INLINE_SVG = 60_000
_PREVIEW_WIDTH_PX = 1200
_PREVIEW_COLORS = 64
# Drawings of the report with few colours take up to 0.7 of their size as photographs, brains more than 0.9.
_DRAWN = 0.8
# Labels of ticks are made only when a figure is saved, and are no mathematics either.
_SAVING = {
    **{"figure.constrained_layout.use": False, "figure.autolayout": False, "text.parse_math": False},
    **{"svg.hashsalt": "postarrest", "pdf.fonttype": 42},
}
# In a PDF each letter has its place. What a font says about that is not used, and takes a tenth of a second.
Options._drop_tables_default = [*Options._drop_tables_default, "GDEF", "GPOS", "GSUB"]


def render(fig: Figure) -> tuple[dict[str, bytes], Image.Image]:
    """Return a figure as SVG, PDF and PNG of 300 dpi, by ending, and as an image.

    The same figure gives the same bytes.
    """
    drawn = {}
    fig.set_dpi(_DPI)
    with mpl.rc_context(_SAVING):
        # Laid out once, at the PNG's resolution: matplotlib would do so again for each file.
        if layout := fig.get_layout_engine():
            layout.execute(fig)
        fig.set_layout_engine(None)
        for ending, undated in {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.items():
            out = io.BytesIO()
            fig.savefig(out, format=ending, metadata=undated, dpi=_DPI)
            drawn[ending] = out.getvalue()
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn["png"] = _encoded(image, "png", dpi=(_DPI, _DPI))
    return drawn, image


def figure_html(fig: Figure, folder: Path, *, name: str, caption: str, alt: str, anchor: str = "") -> str:
    """Write a figure's files, close it, and return it with its caption as HTML.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    folder : pathlib.Path
        Where ``<name>.svg``, ``.pdf`` and ``.png`` are written.
    name, caption, alt : str
        As for :meth:`postarrest.report.page.Page.figure`.
    anchor : str
        Links to the figure use ``fig-<anchor>``; by default the name with hyphens.
    """
    drawn, image = render(fig)
    width_px = round(fig.get_figwidth() * 110)
    plt.close(fig)
    for ending, content in drawn.items():
        write_bytes(folder / f"{name}.{ending}", content)
    about = {"anchor": anchor or name.replace("_", "-"), "name": name, "caption": caption, "alt": alt}
    return render_template("figure.html.j2", source=data_uri(drawn, image), width_px=width_px, **about)


def data_uri(drawn: dict[str, bytes], image: Image.Image) -> str:
    """Return the source of an image element: the SVG or, if that is large, a smaller WebP."""
    shown, kind = drawn["svg"], "svg+xml"
    if len(shown) > _LARGEST_INLINE_SVG and len(preview := _preview(image)) < len(shown):
        shown, kind = preview, "webp"
    return f"data:image/{kind};base64,{base64.b64encode(shown).decode()}"


def _preview(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((_PREVIEW_WIDTH_PX, 10 * _PREVIEW_WIDTH_PX))
    # Line drawings are much smaller with few colours and no further loss; few colours would show as bands in
    # images of brains, which have a loss that nobody sees.
    few_colors = small.quantize(_PREVIEW_COLORS, method=Image.Quantize.FASTOCTREE).convert("RGB")
    # Without loss, quality is only the time spent on a smaller file: more gains nothing.
    drawing = _encoded(few_colors, "webp", lossless=True, quality=25)
    photograph = _encoded(small, "webp", quality=85, method=2)
    return drawing if len(drawing) < _DRAWN * len(photograph) else photograph


def _encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **settings)
    return out.getvalue()
