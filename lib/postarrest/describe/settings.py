"""What the tables of a cohort may be asked."""

from typing import Annotated

from pydantic import AfterValidator, Field

from postarrest.describe.groups import Groups
from postarrest.settings import MaskBelow, Settings, distinct


class CohortTables(Settings):
    """Settings of notebook 01 that concern its tables.

    Parameters
    ----------
    table1_variables : list of str
        Columns of Table 1, also as patterns; empty for those that the data contract defines.
    mask_below : int
        Counts from 1 to below this are hidden; 0 shows all.
    """

    table1_variables: Annotated[list[str], AfterValidator(distinct)] = Field([])
    mask_below: MaskBelow = 0


class Subgroups(Settings):
    """Settings of notebook 07 that concern its groups; none are the usual ones."""

    groups: Groups = Field({})
    least: int = Field(10, ge=2, le=1000)
