"""Figures as files, and as a page shows them."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from postarrest.files import write_bytes
from postarrest.report.rendering import render as render_template

# A larger drawing, in bytes, is shown as a raster image if that is smaller.
_LARGEST_INLINE_SVG = 60_000
_PREVIEW_WIDTH_PX = 1200
_PREVIEW_COLORS = 64
# Labels of ticks are made only when a figure is saved, and are no mathematics either.
_SAVING = {
    **{"figure.constrained_layout.use": False, "figure.autolayout": False, "text.parse_math": False},
    **{"svg.hashsalt": "postarrest", "pdf.fonttype": 42},
}


def render(fig: Figure) -> dict[str, bytes]:
    """Return a figure as SVG, PDF and PNG of 300 dpi, by ending; the same bytes for the same figure."""
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    drawn = {}
    fig.set_dpi(300)
    with mpl.rc_context(_SAVING):
        # Laid out once, at the PNG's resolution: matplotlib would do so again for each file.
        if layout := fig.get_layout_engine():
            layout.execute(fig)
        fig.set_layout_engine(None)
        for ending, undated in metadata.items():
            out = io.BytesIO()
            fig.savefig(out, format=ending, metadata=undated, dpi=300)
            drawn[ending] = out.getvalue()
    return drawn


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
    drawn = render(fig)
    width_px = round(fig.get_figwidth() * 110)
    plt.close(fig)
    for ending, content in drawn.items():
        write_bytes(folder / f"{name}.{ending}", content)
    about = {"anchor": anchor or name.replace("_", "-"), "name": name, "caption": caption, "alt": alt}
    return render_template("figure.html.j2", source=data_uri(drawn), width_px=width_px, **about)


def data_uri(drawn: dict[str, bytes]) -> str:
    """Return the source of an image element: the SVG or, if that is large, a smaller WebP."""
    shown, kind = drawn["svg"], "svg+xml"
    if len(shown) > _LARGEST_INLINE_SVG and len(preview := _preview(drawn["png"])) < len(shown):
        shown, kind = preview, "webp"
    return f"data:image/{kind};base64,{base64.b64encode(shown).decode()}"


def _preview(png: bytes) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((_PREVIEW_WIDTH_PX, 10 * _PREVIEW_WIDTH_PX))
    # Line drawings are smaller without loss, images of brains with a loss that nobody sees.
    few_colors = image.quantize(_PREVIEW_COLORS).convert("RGB")
    # Without loss, quality is only the time spent on a smaller file: more gains nothing.
    return min(_webp(few_colors, lossless=True, quality=25), _webp(image, quality=85, method=2), key=len)


def _webp(image: Any, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format="webp", **settings)
    return out.getvalue()
