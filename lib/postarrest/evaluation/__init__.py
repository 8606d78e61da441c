"""Evaluation of scores: intervals, discrimination, thresholds, calibration, stability, updates, hospitals.

In: the scores table, or predictions of a procedure that was repeated, and nothing else about the patients but
the groups they belong to.
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
    external,
    giveaways,
    intervals,
    labels,
    learning,
    missing,
    network,
    optimism,
    pooling,
    published,
    random_effects,
    resamples,
    sample_size,
    sites,
    stability,
    subgroups,
    three_way,
    thresholds,
    updating,
    withdrawal,
)
