"""Colours, sizes and type that every figure of the report shares.

Colours are those of Okabe and Ito (2008): colour-blind readers can distinguish them, and they differ in
lightness, so that they work in gray-scale print. Lines also differ by dash and points by marker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl

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
    # The same figure gives the same file: no random ids in SVG.
    "svg.hashsalt": "postarrest",
}


@contextmanager
def report_style() -> Iterator[None]:
    """Draw in the report's style, and leave matplotlib's own settings unchanged.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with report_style():
    ...     mpl.rcParams["font.size"]
    8.0
    """
    with mpl.rc_context(_RC):
        yield
