"""Prediction of neurological recovery after out-of-hospital cardiac arrest.

The thin library behind the notebooks: data -> cohort -> scores -> evaluation -> report.
"""

import sys

# nbformat imports jsonschema, which builds a grammar of international addresses if this package is there:
# seconds in each of the pipeline's many processes, for a check that no notebook asks for. It goes on without.
sys.modules.setdefault("rfc3987_syntax", None)
