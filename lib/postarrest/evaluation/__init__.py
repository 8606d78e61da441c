"""What judges scores: intervals, discrimination, comparisons, thresholds, calibration, decision curves.

In: the scores table, and nothing else of the patients.
Out: tables of estimates with their intervals.
"""
