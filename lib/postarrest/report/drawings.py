"""Figures as files, and as a page shows them."""

import base64
import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# A larger drawing, in bytes, is shown as a raster image if that is smaller.
_LARGEST_INLINE_SVG = 60_000
_PREVIEW_WIDTH_PX = 1200
_PREVIEW_COLORS = 64


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
    return min(_webp(few_colors, lossless=True), _webp(image, lossless=False), key=len)


def _webp(image: Any, *, lossless: bool) -> bytes:
    out = io.BytesIO()
    image.save(out, format="webp", lossless=lossless, quality=85, method=6)
    return out.getvalue()
