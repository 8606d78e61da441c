"""Calibration curves before and after Platt scaling."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import style
from postarrest.figures.looks import label_and_set, mirrored_histogram, model_name, rows_of, values_by_model


def calibration(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    calibration_curves: Mapping[tuple[str, str, str, str], pd.DataFrame],
) -> Figure:
    """Draw calibration curves before and after Platt scaling over the histogram of the final predictions.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of every stage.
    table : pandas.DataFrame
        From :func:`postarrest.calibration.table`.
    calibration_curves : mapping of DataFrame
        From the same, by (outcome, set, model, stage).
    """
    here = label_and_set(rows)
    values = values_by_model(rows[(rows["stage"] == "final") & (rows["kind"] == "probability")])
    table = rows_of(table, here).set_index(["model", "stage"])
    stages = {"before_platt": ("before Platt", "0.35", "--"), "final": ("final", style.GOOD, "-")}
    columns = min(3, len(values))
    lines = math.ceil(len(values) / columns)
    with style.report_style():
        fig, axes = plt.subplots(
            2 * lines,
            columns,
            figsize=(max(style.SINGLE_COLUMN_IN, style.DOUBLE_COLUMN_IN * columns / 3), 3.4 * lines),
            height_ratios=[3, 1] * lines,
            squeeze=False,
        )
        for spare in range(len(values), lines * columns):
            axes[2 * (spare // columns), spare % columns].set_visible(False)
            axes[2 * (spare // columns) + 1, spare % columns].set_visible(False)
        for i, (model, (y_good, score)) in enumerate(values.items()):
            top, bottom = axes[2 * (i // columns), i % columns], axes[2 * (i // columns) + 1, i % columns]
            top.plot([0, 1], [0, 1], color="0.6", lw=0.8)
            present = [stage for stage in stages if (model, stage) in table.index]
            for k, stage in enumerate(present):
                words, color, dash = stages[stage]
                line = calibration_curves[here["outcome_label"], here["set"], model, stage]
                top.plot(line["predicted"], line["observed"], color=color, ls=dash)
                if stage == "final":
                    top.fill_between(
                        line["predicted"], line["lower"], line["upper"], color=color, alpha=0.15, lw=0
                    )
                found = table.loc[(model, stage)]
                top.text(
                    0.03,
                    0.97 - 0.09 * k,
                    f"{words}: slope {found['slope']:.2f}, ICI {found['ici']:.3f}",
                    transform=top.transAxes,
                    va="top",
                    color=color,
                    fontsize=6.5,
                )
            top.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            if i % columns == 0:
                top.set_ylabel("Observed share of good outcomes")
            top.set_title(model_name(model))
            mirrored_histogram(bottom, y_good, score, edges=np.linspace(0, 1, 41))
            bottom.set(xlim=(-0.01, 1.01), xlabel="Predicted probability (good)")
            if i % columns == 0:
                bottom.set_ylabel("Patients")
    return fig
