"""Labels of a figure that lie on each other, or that its edge cuts off."""

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

# A bounding box includes the space below letters; texts may share so many points of it.
_TOLERANCE_PT = 1.5


def texts(fig: Figure) -> list[tuple[str, Bbox]]:
    """Return every visible text of a figure with its bounding box, in points."""
    fig.draw_without_rendering()
    renderer = fig.canvas.get_renderer()
    hidden = _ticks_out_of_view(fig)
    for axes in fig.axes:
        if not axes.get_visible():
            hidden |= set(axes.findobj(Text))
        elif not axes.axison:
            hidden |= set(axes.xaxis.findobj(Text)) | set(axes.yaxis.findobj(Text))
    # An annotation's own extent would include its arrow.
    return [
        (artist.get_text(), Bbox(Text.get_window_extent(artist, renderer).get_points() * 72 / fig.dpi))
        for artist in fig.findobj(Text)
        if artist.get_text().strip() and artist.get_visible() and artist not in hidden
    ]


def _ticks_out_of_view(fig: Figure) -> set[Text]:
    """Return the labels of ticks beyond the limits of their axis, which are never drawn."""
    found = set()
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            span = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - span <= tick.get_loc() <= high + span:
                    found |= {tick.label1, tick.label2}
    return found


def on_another(fig: Figure) -> list[str]:
    """Return pairs of texts that cover each other, in words."""
    found = []
    for (one, a), (other, b) in combinations(texts(fig), 2):
        both = Bbox.intersection(a, b)
        if both is not None and min(both.width, both.height) > _TOLERANCE_PT:
            found.append(f"{one!r} and {other!r}")
    return found


def outside(fig: Figure) -> list[str]:
    """Return texts that the figure's edge cuts off."""
    width, height = 72 * fig.get_size_inches()
    return [
        text
        for text, box in texts(fig)
        if min(box.x0, box.y0, width - box.x1, height - box.y1) < -_TOLERANCE_PT
    ]
