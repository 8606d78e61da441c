"""Evaluation of scores: intervals, discrimination, comparisons, thresholds, calibration, updates, hospitals.

In: the scores table, and nothing else about the patients.
Out: tables of estimates with their intervals.
"""

from postarrest.evaluation import (
    bootstrap,
    calibration,
    comparisons,
    confusion,
    curves,
    decision,
    delong,
    discrimination,
    intervals,
    labels,
    network,
    pooling,
    published,
    random_effects,
    resamples,
    sites,
    thresholds,
    updating,
)
