"""Figures of a simulated study: its slices, beside a real one where there is one, and their densities."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from postarrest.figures.style import DOUBLE_COLUMN_IN, GOOD, POOR, SINGLE_COLUMN_IN, report_style

_COLUMNS = 6
# A window of 80 HU around 40, as 8 bits.
_HU_PER_GRAY = 80 / 255


def slice_grid(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draw slices in rows of six, as a viewing station shows them.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (n, 256, 256)
        Slices, window 40 / 80 HU.
    titles : sequence of str
        What stands above each.

    Examples
    --------
    >>> figure = slice_grid(np.zeros((7, 256, 256), np.uint8), ["good"] * 7)
    >>> len([axes for axes in figure.axes if axes.images])
    7
    """
    rows = -(-len(images) // _COLUMNS)
    with report_style():
        size = DOUBLE_COLUMN_IN / _COLUMNS
        fig, axes = plt.subplots(rows, _COLUMNS, figsize=(DOUBLE_COLUMN_IN, rows * (size + 0.2)))
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, image, title in zip(axes.flat, images, titles, strict=False):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
            ax.set_title(title, fontsize=7, pad=2)
    return fig


def densities(groups: Mapping[str, np.ndarray]) -> Figure:
    """Draw how often each density occurs in the brain window, one line a group of slices.

    Parameters
    ----------
    groups : Mapping
        Name to slices, uint8, shape (n, 256, 256), window 40 / 80 HU. Black and white pixels (air and fat;
        bone) are left out.
    """
    colours = {"good outcome": (GOOD, "-"), "poor outcome": (POOR, "--")}
    with report_style():
        fig, ax = plt.subplots(figsize=(SINGLE_COLUMN_IN * 1.3, 2.6))
        for number, (name, images) in enumerate(groups.items()):
            colour, dash = colours.get(name, ("#000000", ":"))
            values = np.round(images[(images > 0) & (images < 255)] * _HU_PER_GRAY).astype(int)
            # Whole HU, as CT stores them: other bins would hold one value here and two there.
            share = np.bincount(values, minlength=81) / len(values)
            ax.plot(100 * share, dash, color=colour)
            ax.annotate(
                name,
                (0.98, 0.95 - 0.1 * number),
                xycoords="axes fraction",
                color=colour,
                ha="right",
                va="top",
            )
        ax.set(xlabel="density, HU", ylabel="pixels, %", xlim=(0, 80), ylim=(0, None))
    return fig
