"""Distributions of scores by outcome."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import style
from postarrest.figures.looks import mirrored_histogram, model_name, panel_grid, values_by_model


def distributions(rows: pd.DataFrame) -> Figure:
    """Draw each model's scores by outcome: good above the line, poor below it.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of the final stage.
    """
    values = values_by_model(rows)
    with style.report_style():
        fig, axes = panel_grid(len(values), height=1.9, columns=3)
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            edges = np.histogram_bin_edges(score, bins=30)
            mirrored_histogram(ax, y_good, score, edges=edges, share=True)
            ax.set(title=model_name(model), xlabel="Score")
        axes[0].set_ylabel("Share of that outcome")
    return fig
