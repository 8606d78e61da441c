"""Figures, one module per topic.

In: tables of the evaluation and of the cohort.
Out: matplotlib figures in the style of a clinical journal.
"""

from postarrest.figures import (
    calibration,
    cnn,
    cohort,
    curves,
    explanation,
    external,
    folds,
    forest,
    gwr,
    simulation,
    sites,
    stability,
    stacking,
    thresholds,
    withdrawal,
)
from postarrest.figures.looks import by_set
