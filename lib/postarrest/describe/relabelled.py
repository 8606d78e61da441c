"""The patients whose outcome label is revised, in aggregate."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from postarrest.data.contract import LEVELS, NAMES
from postarrest.describe.cohort_tables import median_quartiles, n_percent
from postarrest.describe.masking import hide_small

_PERIODS = ("on the same day", "after 1 to 14 days", "after more than 14 days")


def relabelled(
    cohort: pd.DataFrame, *, names: Mapping[str, str] = NAMES, mask_below: int = 0
) -> pd.DataFrame:
    """Describe, in aggregate, the patients who are good by the revised label and poor by the standard one.

    Parameters
    ----------
    cohort : pandas.DataFrame
        Patients with ``y_good_standard`` and ``y_good_revised``, and those of the contract's columns that are
        there.
    names, mask_below
        As for :func:`table1`. Of a group smaller than ``mask_below`` nothing but its existence is told.

    Returns
    -------
    pandas.DataFrame
        ``characteristic, level, value``: their number, the causes of their arrests and deaths, the medians
        (quartiles) of the times, and when they died. Nothing is told of a single patient.

    Raises
    ------
    ValueError
        If nobody is relabelled.
    """
    changed = (cohort["y_good_revised"] == 1) & (cohort["y_good_standard"] == 0)
    group = cohort[changed]
    if group.empty:
        raise ValueError("No patient is relabelled.")
    if 0 < len(group) < mask_below:
        return pd.DataFrame(
            [{"characteristic": "Patients relabelled good", "level": "", "value": f"<{mask_below}"}]
        )
    rows = [{"characteristic": "Patients relabelled good", "level": "", "value": f"{len(group)}"}]
    counted = {}
    if "cause" in group:
        counted[names["cause"]] = group["cause"]
    if "death_cause" in group:
        counted["Cause of death"] = group["death_cause"]
    if "arrest_to_death_days" in group:
        periods = pd.cut(group["arrest_to_death_days"], [-1, 0, 14, np.inf], labels=list(_PERIODS))
        counted["Death after the arrest"] = periods
    for name, values in counted.items():
        counts = values.value_counts()
        counts = counts[counts > 0]
        shown = hide_small(
            counts.to_numpy()[:, None], [[n_percent(n, len(group))] for n in counts], below=mask_below
        )
        rows += [
            {"characteristic": name, "level": LEVELS.get(level, level), "value": text}
            for level, (text,) in zip(counts.index, shown, strict=True)
        ]
    columns = ("no_flow_min", "low_flow_min", "rosc_to_ct_min")
    times = {names.get(c, c): group[c] for c in columns if c in group}
    if {"no_flow_min", "low_flow_min"} <= set(group):
        times["Arrest to circulation, min"] = group["no_flow_min"] + group["low_flow_min"]
    if "arrest_to_death_days" in group:
        times["Arrest to death, days"] = group["arrest_to_death_days"]
    for name, values in times.items():
        known = values.dropna()
        if len(known) >= max(mask_below, 2):
            rows.append(
                {"characteristic": name, "level": f"known in {len(known)}", "value": median_quartiles(known)}
            )
    return pd.DataFrame(rows)
