"""A hospital's export, read and checked against the data contract.

In: the files of a study's data folder, and the mapping of a hospital's own columns, codes and units.
Out: included patients, GWR readings and CT slices; or every error at once, with its location.
"""

from postarrest.data.cohort import outcome_labels, select
from postarrest.data.ct.slices import read_series, read_slice, read_slices, window
from postarrest.data.errors import DataErrors, Finding
from postarrest.data.export import StudyData, fingerprint, read_export
from postarrest.data.images import read_images
from postarrest.data.included import save_included
