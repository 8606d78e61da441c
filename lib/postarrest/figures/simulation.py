"""Slices of simulated patients by outcome, next to a real head CT if there is one, and their attenuation."""

from collections.abc import Mapping
from itertools import chain

import numpy as np
from matplotlib.figure import Figure

from postarrest.figures import style

_COLUMNS = 6
# A window of 80 HU in 255 steps.
_HU_PER_GRAY = 80 / 255
_LINES = {"good outcome": (style.GOOD, "-"), "poor outcome": (style.POOR, "--")}


def slice_grid(groups: Mapping[str, np.ndarray]) -> Figure:
    """Draw slices in rows of six, as a viewing station shows them.

    Parameters
    ----------
    groups : Mapping
        Name of the group, printed above each of its slices, to slices, uint8, shape (n, 256, 256), window
        level 40, width 80 HU.

    Examples
    --------
    >>> figure = slice_grid({"good outcome": np.zeros((7, 256, 256), np.uint8)})
    >>> len([axes for axes in figure.axes if axes.images])
    7
    """
    titles = [group for group, images in groups.items() for _ in images]
    rows = -(-len(titles) // _COLUMNS)
    height = rows * (style.DOUBLE_COLUMN_IN / _COLUMNS + 0.2)
    with style.drawing(rows, _COLUMNS, height=height) as (fig, axes):
        style.draw_slices(axes, chain(*groups.values()), titles, fontsize=7, pad=2)
    return fig


def attenuation(groups: Mapping[str, np.ndarray]) -> Figure:
    """Draw the distribution of attenuation in the brain window, one line per group of slices.

    Parameters
    ----------
    groups : Mapping
        As for :func:`slice_grid`. Black and white pixels (air and fat; bone) are left out.
    """
    with style.drawing(width=style.SINGLE_COLUMN_IN * 1.3, height=2.6) as (fig, ax):
        for number, (group, images) in enumerate(groups.items()):
            colour, dash = _LINES.get(group, ("#000000", ":"))
            # Whole HU, as CT stores them; in other bins, the number of values per bin would vary.
            values = np.round(images[(images > 0) & (images < 255)] * _HU_PER_GRAY).astype(int)
            ax.plot(100 * np.bincount(values, minlength=81) / len(values), dash, color=colour)
            look = {"color": colour, "ha": "right", "va": "top"}
            ax.text(0.98, 0.95 - 0.1 * number, group, transform=ax.transAxes, **look)
        ax.set(xlabel="attenuation, HU", ylabel="pixels, %", xlim=(0, 80), ylim=(0, None))
    return fig
