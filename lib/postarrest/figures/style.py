"""Colours, sizes and type that every figure of the report shares.

Colours are those of Okabe and Ito (2008): colour-blind readers can distinguish them, and they differ in
lightness, so that they work in gray-scale print. Lines also differ by dash and points by marker.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

GOOD = "#0072B2"  # good outcome (CPC 1-2): blue, filled circle, solid line
POOR = "#D55E00"  # poor outcome (CPC 3-5): vermilion, open triangle, dashed line
NEUTRAL = "#4D4D4D"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 1)), (0, (3, 3)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
SINGLE_COLUMN_IN = 3.5  # width of one journal column
DOUBLE_COLUMN_IN = 7.2  # width of a journal page
_RC = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.5,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    # Names of models, hospitals and thresholds may have dollar signs, which are not mathematics.
    "text.parse_math": False,
    # The same figure gives the same file: no random ids in SVG.
    "svg.hashsalt": "postarrest",
}


@contextmanager
def drawing(
    rows: int = 1, columns: int = 1, *, height: float, width: float = DOUBLE_COLUMN_IN, **settings: Any
) -> Iterator[tuple[Figure, Any]]:
    """Provide a figure and its axes in the report's style; matplotlib's own settings stay unchanged.

    Parameters
    ----------
    rows, columns : int
        Panels.
    height, width : float
        Size of the figure in inches.
    **settings
        Of :func:`matplotlib.pyplot.subplots`.

    Examples
    --------
    >>> with drawing(height=2) as (fig, ax):
    ...     mpl.rcParams["font.size"], float(fig.get_figwidth())
    (8.0, 7.2)
    """
    with mpl.rc_context(_RC):
        yield plt.subplots(rows, columns, figsize=(width, height), **settings)


@contextmanager
def panels(count: int, *, height: float, columns: int = 3) -> Iterator[tuple[Figure, np.ndarray]]:
    """Provide a figure with ``count`` panels, each ``height`` inches high; spare ones are hidden."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = DOUBLE_COLUMN_IN if columns > 1 else SINGLE_COLUMN_IN * 1.4
    with drawing(rows, columns, width=width, height=height * rows, squeeze=False) as (fig, axes):
        for ax in axes.ravel()[count:]:
            ax.set_visible(False)
        yield fig, axes.ravel()


def draw_slices(axes: np.ndarray, slices: Iterable[np.ndarray], titles: Iterable[str], **title: Any) -> None:
    """Draw a CT slice with its title on each panel, without axes; spare panels stay empty."""
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, text in zip(axes.flat, slices, titles, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set_title(text, **title)
