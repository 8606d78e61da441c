"""What makes scores: splits, tuning, GWR, tabular models, the CNN and the ensemble.

In: the cohort, splits, readings and slices.
Out: rows of the scores table, each predicted by a model fitted without that patient.
"""
