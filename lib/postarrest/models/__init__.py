"""Models that score patients: splits, tuning, GWR, base models on tables, the CNN and the ensemble.

In: the cohort, splits, readings and slices.
Out: rows of the scores table, each predicted by a model fitted without that patient; and the predictions of a
procedure that is repeated on other samples of the patients.
"""

from postarrest.models import (
    bundle,
    cnn,
    crossfit,
    ct_reader,
    explanation,
    gwr,
    gwr_automatic,
    leakage,
    missing,
    ohca,
    parts,
    platt,
    procedure,
    repeated,
    splits,
    stacking,
    super_learner,
    tabular,
    tuning,
)
