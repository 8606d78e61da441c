"""Distributions of scores by outcome."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from postarrest.figures import looks, style


def distributions(rows: pd.DataFrame) -> Figure:
    """Draw each model's scores by outcome: good above the line, poor below it.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, of one outcome label and set.
    """
    values = looks.outcomes_and_scores(rows)
    with style.panels(len(values), height=1.9) as (fig, axes):
        for ax, (model, (y_good, score)) in zip(axes, values.items(), strict=False):
            edges = np.histogram_bin_edges(score, bins=30)
            looks.mirrored_histogram(ax, y_good, score, edges=edges, share=True)
            ax.set(title=looks.model_name(model), xlabel="Score")
        axes[0].set_ylabel("Share of that outcome")
    return fig
