"""Calibration curves before and after Platt scaling."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest import scores
from postarrest.figures import looks, style

# Words, colour and dash of each stage.
STAGES = {"before_platt": ("before Platt", "0.35", "--"), "final": ("final", style.GOOD, "-")}


def calibration(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    calibration_curves: Mapping[tuple[str, str, str, str], pd.DataFrame],
) -> Figure:
    """Draw calibration curves before and after Platt scaling above the histogram of the final predictions.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of every stage, of one outcome label and set.
    table : pandas.DataFrame
        From :func:`postarrest.evaluation.calibration.table`.
    calibration_curves : mapping of DataFrame
        From the same function, by (outcome label, set, model, stage).
    """
    group = scores.group_of(rows)
    values = looks.outcomes_and_scores(rows[(rows["stage"] == "final") & (rows["kind"] == "probability")])
    table = scores.in_group(table, group).set_index(["model", "stage"])
    columns = min(3, len(values))
    lines = math.ceil(len(values) / columns)
    width = max(style.SINGLE_COLUMN_IN, style.DOUBLE_COLUMN_IN * columns / 3)
    shape = {"height_ratios": [3, 1] * lines, "squeeze": False}
    with style.drawing(2 * lines, columns, width=width, height=3.4 * lines, **shape) as (fig, axes):
        pairs = np.column_stack([axes[::2].ravel(), axes[1::2].ravel()])
        for spare in pairs[len(values) :].flat:
            spare.set_visible(False)
        for (top, bottom), (model, (y_good, score)) in zip(pairs, values.items(), strict=False):
            top.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            y = 0.97
            for stage, (words, color, dash) in STAGES.items():
                if (model, stage) not in table.index:
                    continue
                line = calibration_curves[group["outcome_label"], group["set"], model, stage]
                top.plot(line["predicted"], line["observed"], color=color, ls=dash)
                if stage == "final":
                    looks.band(top, line["predicted"], line["lower"], line["upper"], color)
                found = table.loc[(model, stage)]
                text = f"{words}: slope {found['slope']:.2f}, ICI {found['ici']:.3f}"
                top.text(0.03, y, text, transform=top.transAxes, va="top", color=color, fontsize=6.5)
                y -= 0.09
            top.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            top.set_title(looks.panel_title(model), fontsize=8)
            looks.mirrored_histogram(bottom, y_good, score, edges=np.linspace(0, 1, 41))
            bottom.set(xlim=(-0.01, 1.01), xlabel="Predicted probability (good)")
        for top, bottom in pairs[: len(values) : columns]:
            top.set_ylabel("Observed share of good outcomes")
            bottom.set_ylabel("Patients")
    return fig
