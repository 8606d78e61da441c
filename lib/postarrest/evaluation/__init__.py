"""Evaluation of scores: intervals, discrimination, thresholds, calibration, sample size, stability.

In: the scores table, or predictions of a procedure that was repeated, and nothing else about the patients.
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
    external,
    intervals,
    labels,
    learning,
    optimism,
    published,
    resamples,
    sample_size,
    stability,
    three_way,
    thresholds,
)
