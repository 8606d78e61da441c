"""Describe the cohort: participant flow, Table 1, missing values, agreement of two readings.

In: the included patients with their outcome, and their readings.
Out: tables of aggregates, with small counts hidden.
"""

from postarrest.describe import sites
from postarrest.describe.agreement import compare_readings, icc_a1
from postarrest.describe.cohort_tables import (
    below_cut_off,
    characteristics,
    further_variables,
    gwr_values,
    known_variables,
    missingness,
    table1,
)
from postarrest.describe.counts import data_warnings, flag_counts, flow
from postarrest.describe.course import course
from postarrest.describe.fisher import fisher_exact
from postarrest.describe.groups import grouped
from postarrest.describe.masking import hide_small_counts
from postarrest.describe.outcome_labels import label_counts, relabelled
