"""The two layers of the canvas: the slice, and the circles over it."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from ipycanvas import Canvas, hold_canvas
from numpy.typing import NDArray

from postarrest.reading.circles import Place, Site
from postarrest.reading.view import View

_COLOURS = {"chosen": "#ffd400", "other": "#4fc3f7", "proposed": "#ff9e80"}


class Outline(NamedTuple):
    """A circle to draw; a proposal is dashed, and the chosen region's line is thicker."""

    site: Site
    at: Place
    area_mm2: float
    chosen: bool
    proposed: bool

    @property
    def colour(self) -> str:
        """The colour of its line and name."""
        kind: Literal["chosen", "other", "proposed"] = "proposed" if self.proposed else "other"
        return _COLOURS["chosen" if self.chosen else kind]


def radius(view: View, area_mm2: float) -> float:
    """Return the radius of a circle in pixels of the canvas."""
    return float(np.sqrt(area_mm2 / np.pi)) * view.per_mm


def draw_slice(
    layer: Canvas, view: View | None, hu: NDArray[np.float32] | None, *, level_hu: float, width_hu: float
) -> None:
    """Draw a slice in a window, or nothing."""
    with hold_canvas():
        layer.clear()
        if view and hu is not None:
            # Two dimensions are sent as PNG, without loss.
            layer.put_image_data(view.drawn(hu, level_hu=level_hu, width_hu=width_hu))


def draw_circles(layer: Canvas, view: View | None, outlines: Iterable[Outline]) -> None:
    """Draw circles with their names, the patient's sides, and a scale of 10 mm; nothing without a view."""
    with hold_canvas():
        layer.clear()
        if view:
            for one in outlines:
                _draw_outline(layer, view, one)
            _draw_marks(layer, view)


def _draw_outline(layer: Canvas, view: View, one: Outline) -> None:
    x, y = view.to_canvas(one.at.row, one.at.column)
    reach = radius(view, one.area_mm2)
    layer.set_line_dash([5, 4] if one.proposed else [])
    layer.line_width, layer.font = (3 if one.chosen else 2), "13px sans-serif"
    layer.stroke_style = layer.fill_style = one.colour
    layer.stroke_circle(x, y, reach)
    # Beside the circle, on the outer side, so that nothing covers what is measured.
    outwards = -1 if one.site.side == "R" else 1
    layer.text_align = "right" if one.site.side == "R" else "left"
    layer.fill_text(one.site.name, x + outwards * (reach + 4), y + 4)


def _draw_marks(layer: Canvas, view: View) -> None:
    layer.set_line_dash([])
    layer.fill_style = layer.stroke_style = "white"
    layer.font, layer.line_width, layer.text_align = "bold 18px sans-serif", 2, "center"
    for side, x in (("R", 16), ("L", view.size - 16)):
        layer.fill_text(side, x, view.size / 2)
    length = 10 * view.per_mm
    layer.stroke_line(16, view.size - 16, 16 + length, view.size - 16)
    layer.font, layer.text_align = "13px sans-serif", "left"
    layer.fill_text("10 mm", 22 + length, view.size - 12)
