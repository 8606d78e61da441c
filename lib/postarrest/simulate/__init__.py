"""A simulated cohort on real anatomy, with known true performance.

In: settings, a seed, and the published numbers that the simulation is set to.
Out: a data folder in the form of a hospital's export, and tables that compare it with the published numbers.
"""

from postarrest.simulate.examples import example_slices
from postarrest.simulate.settings import Settings
from postarrest.simulate.targets import against_published, over_seeds_summary
from postarrest.simulate.truth import planted_differences, planted_performance, settings_table
from postarrest.simulate.write import write_study
