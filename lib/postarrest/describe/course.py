"""The course after the arrest: in whom treatment was withdrawn, and the mode of death."""

import numpy as np
import pandas as pd

WITHDRAWN = "treatment_withdrawn"
_DAY = "withdrawal_day"
DIED_WITHDRAWN = "died after withdrawal"
_OTHERWISE = "died otherwise"
_ALIVE = "alive"


def course(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return in whom treatment was withdrawn, when, and how each patient died.

    Parameters
    ----------
    cohort : pandas.DataFrame
        One row per patient; ``treatment_withdrawn`` (0 or 1), and ``withdrawal_day``, ``cpc``,
        ``death_cause_intracranial`` if recorded.

    Returns
    -------
    pandas.DataFrame
        ``withdrawn`` (bool; not recorded counts as no), ``day`` (days after the arrest) and ``mode``:
        ``died after withdrawal``, ``died, intracranial cause``, ``died, other cause``, ``died otherwise``
        (where the cause is not recorded) or ``alive``. Without a CPC, patients in whom treatment was not
        withdrawn have ``alive or died otherwise``. No rows if the column is absent or blank throughout.

    Examples
    --------
    >>> course(pd.DataFrame({"treatment_withdrawn": [1, 0, 0], "withdrawal_day": [3, None, None],
    ...                      "cpc": [5, 5, 1], "death_cause_intracranial": [1, 0, None]}))
       withdrawn  day                   mode
    0       True  3.0  died after withdrawal
    1      False  NaN      died, other cause
    2      False  NaN                  alive
    """
    columns = ["withdrawn", "day", "mode"]
    if WITHDRAWN not in cohort or cohort[WITHDRAWN].isna().all():
        return pd.DataFrame(columns=columns)
    withdrawn = cohort[WITHDRAWN] == 1
    blank = pd.Series(np.nan, index=cohort.index)
    day = cohort.get(_DAY, blank).where(withdrawn).astype(float)
    if "cpc" not in cohort:
        mode = np.where(withdrawn, DIED_WITHDRAWN, f"{_ALIVE} or {_OTHERWISE}")
        return pd.DataFrame({"withdrawn": withdrawn, "day": day, "mode": mode})
    died, intracranial = cohort["cpc"] == 5, cohort.get("death_cause_intracranial", blank)
    kinds = [died & withdrawn, died & (intracranial == 1), died & (intracranial == 0), died]
    names = [DIED_WITHDRAWN, "died, intracranial cause", "died, other cause", _OTHERWISE]
    mode = np.select(kinds, names, default=_ALIVE)
    return pd.DataFrame({"withdrawn": withdrawn, "day": day, "mode": mode})
