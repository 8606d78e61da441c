"""Figures, one module per topic.

In: tables of the evaluation and of the cohort.
Out: matplotlib figures in the style of a clinical journal.
"""
