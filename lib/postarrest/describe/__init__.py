"""What the cohort looks like: participant flow, Table 1, missing values, agreement of readings.

In: the included patients with their outcome.
Out: tables of aggregates, with small counts hidden.
"""
