"""What judges scores: intervals, discrimination, comparisons, thresholds, calibration, decision curves.

In: the scores table, and nothing else of the patients.
Out: tables of estimates with their intervals.
"""

from postarrest.evaluation import (
    bootstrap,
    calibration,
    comparisons,
    curves,
    decision,
    delong,
    discrimination,
    intervals,
    labels,
    published,
    thresholds,
)

__all__ = [
    "bootstrap",
    "calibration",
    "comparisons",
    "curves",
    "decision",
    "delong",
    "discrimination",
    "intervals",
    "labels",
    "published",
    "thresholds",
]
