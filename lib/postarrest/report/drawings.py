"""Figures as files, and as a page shows them."""

import base64
import io

import matplotlib as mpl
from matplotlib.figure import Figure

# A larger drawing, in bytes, is shown as a raster image if that is smaller.
_LARGEST_INLINE_SVG = 60_000
_PREVIEW_WIDTH_PX = 1300
_PREVIEW_COLORS = 128


def render(fig: Figure) -> dict[str, bytes]:
    """Return a figure as SVG, PDF and PNG of 300 dpi, by ending; the same bytes for the same figure."""
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
    drawn = {}
    with mpl.rc_context({"svg.hashsalt": "postarrest", "pdf.fonttype": 42}):
        for ending, undated in metadata.items():
            out = io.BytesIO()
            fig.savefig(out, format=ending, metadata=undated, dpi=300)
            drawn[ending] = out.getvalue()
    return drawn


def data_uri(drawn: dict[str, bytes]) -> str:
    """Return the source of an image element: the SVG or, if that is large, a smaller PNG."""
    shown, kind = drawn["svg"], "svg+xml"
    if len(shown) > _LARGEST_INLINE_SVG and len(preview := _preview(drawn["png"])) < len(shown):
        shown, kind = preview, "png"
    return f"data:image/{kind};base64,{base64.b64encode(shown).decode()}"


def _preview(png: bytes) -> bytes:
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((_PREVIEW_WIDTH_PX, 10 * _PREVIEW_WIDTH_PX))
    out = io.BytesIO()
    image.quantize(_PREVIEW_COLORS).save(out, format="png", optimize=True)
    return out.getvalue()
