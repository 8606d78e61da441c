"""Evaluation of scores: intervals, discrimination, comparisons, thresholds, calibration, decision curves.

In: the scores table, and nothing else about the patients but the groups they belong to.
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
    explanation,
    intervals,
    labels,
    missing,
    published,
    resamples,
    subgroups,
    thresholds,
    withdrawal,
)
