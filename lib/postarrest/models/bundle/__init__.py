"""A frozen model: the models of a study fitted on all its patients, in a folder that can travel.

In: fitted models (:mod:`postarrest.models.parts`), the patients they were fitted on, thresholds.
Out: a folder that holds no patient's row; and from it, the scores and decisions of other patients.
"""

from postarrest.models.bundle.about import columns_of, contract_of, ct_of, export_of, population
from postarrest.models.bundle.external import apart, beside, decided, not_scored, rows, thresholds_of
from postarrest.models.bundle.files import (
    MANIFEST,
    OF_THE_FILES,
    Bundle,
    BundleError,
    load,
    read_manifest,
    write,
)
from postarrest.models.bundle.scoring import Scored, cut_offs, decisions, flags, score
from postarrest.models.bundle.updating import ENDING, bases, part_of, refitted
