"""Models that score patients: splits, tuning, GWR, base models on tables, the CNN and the ensemble.

In: the cohort, splits, readings and slices.
Out: rows of the scores table, each predicted by a model fitted without that patient.
"""

from postarrest.models import (
    cnn,
    crossfit,
    ct_reader,
    explanation,
    gwr,
    gwr_automatic,
    leakage,
    missing,
    ohca,
    platt,
    splits,
    stacking,
    tabular,
    tuning,
)
