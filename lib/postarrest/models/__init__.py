"""Models that score patients: splits, tuning, GWR, base models on tables, the CNN and the ensemble.

In: the cohort, splits, readings and slices.
Out: rows of the scores table, each predicted by a model fitted without that patient.
"""

from postarrest.models import (
    bundle,
    cnn,
    crossfit,
    ct_reader,
    gwr,
    gwr_automatic,
    leakage,
    ohca,
    parts,
    platt,
    splits,
    stacking,
    super_learner,
    tabular,
    tuning,
)
