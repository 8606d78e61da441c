"""The figure of withdrawal of treatment and mode of death by predicted risk."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures.style import GOOD, PALETTE, POOR, SINGLE_COLUMN_IN, drawing

_BEFORE_MODES = ("score", "n", "n_good", "n_withdrawn", "withdrawal_day")
_HATCHES = ("", "////", "....", "xxxx", "----")


def by_risk(table: pd.DataFrame) -> Figure:
    """Draw the share of each mode of death by groups of predicted score, from the lowest.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.withdrawal.by_risk`. A hidden count leaves its part blank.
    """
    modes = [column for column in table if column not in _BEFORE_MODES]
    places, total = np.arange(len(table)), table["n"].astype(int).to_numpy()
    colors = dict(zip(modes, (GOOD, POOR, *PALETTE[2:]), strict=False))
    with drawing(width=SINGLE_COLUMN_IN * 1.6, height=2.8) as (fig, ax):
        bottom = np.zeros(len(table))
        for mode, hatch in zip(modes, _HATCHES, strict=False):
            known = pd.to_numeric(table[mode], errors="coerce").fillna(0).to_numpy()
            look = {"color": colors[mode], "hatch": hatch, "edgecolor": "white", "width": 0.7}
            ax.bar(places, 100 * known / total, bottom=bottom, label=mode, **look)
            bottom += 100 * known / total
        for place, n in zip(places, total, strict=True):
            ax.annotate(f"n = {n}", (place, 101), ha="center", va="bottom", fontsize=6.5)
        ax.set_xticks(places, table["score"])
        ax.set(ylim=(0, 112), ylabel="patients, %", xlabel="score (fourths of the patients, lowest first)")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig
