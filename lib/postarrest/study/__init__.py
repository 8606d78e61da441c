"""A study file turned into each notebook's checked parameters.

In: a YAML file of params/.
Out: parameters by notebook; or every error in the file at once.
"""

from postarrest.study import against_data, load, schema
from postarrest.study.load import Study
from postarrest.study.schema import StudyError, read_yaml
