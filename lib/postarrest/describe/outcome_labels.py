"""Outcome labels: good outcomes by label, and the patients whose label is revised, in aggregate."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from postarrest.data.contract import LEVELS, NAMES
from postarrest.describe.masking import hide_small_counts
from postarrest.describe.texts import median_quartiles, n_percent

_PERIODS = ("on the same day", "after 1 to 14 days", "after more than 14 days")
_CATEGORICAL = {
    "cause": NAMES["cause"],
    "death_cause": "Cause of death",
    "death_period": "Death after the arrest",
}
_TIMES = {
    **{name: NAMES[name] for name in ("no_flow_min", "low_flow_min", "rosc_to_ct_min")},
    "arrest_to_circulation_min": "Arrest to circulation, min",
    "arrest_to_death_days": "Arrest to death, days",
}


def label_counts(labels: pd.DataFrame) -> pd.DataFrame:
    """Count the good outcomes of each outcome label.

    Parameters
    ----------
    labels : pandas.DataFrame of 0 and 1
        One column per label, as `data.outcome_labels` returns them.

    Returns
    -------
    pandas.DataFrame
        ``label, n, n_good, good_pct``, one row per label.

    Examples
    --------
    >>> label_counts(pd.DataFrame({"y_good_standard": [1, 0, 0, 0], "y_good_revised": [1, 1, 0, 0]}))
          label  n  n_good  good_pct
    0  standard  4       1      25.0
    1   revised  4       2      50.0
    """
    names = labels.columns.str.removeprefix("y_good_")
    counts = {"n": len(labels), "n_good": labels.sum().to_numpy(), "good_pct": 100 * labels.mean().to_numpy()}
    return pd.DataFrame({"label": names, **counts})


def relabelled(cohort: pd.DataFrame, *, mask_below: int = 0) -> pd.DataFrame:
    """Describe, in aggregate, the patients who are good by the revised label and poor by the standard one.

    Parameters
    ----------
    cohort : pandas.DataFrame
        Patients with ``y_good_standard`` and, where it is in use, ``y_good_revised``. Of the causes of arrest
        and death and the times, those are described that the cohort has.
    mask_below : int
        Counts from 1 to below this are hidden. Of a group smaller than this, only its existence is stated.

    Returns
    -------
    pandas.DataFrame
        ``characteristic, level, value``: number of patients, causes of arrest and death, time of death, and
        medians (quartiles) of times that at least two patients have. No rows if no patient is relabelled.
    """
    standard = cohort["y_good_standard"]
    group = cohort[(cohort.get("y_good_revised", standard) == 1) & (standard == 0)]
    rows = []
    if len(group):
        rows.append(("Patients relabelled good", "", hide_small_counts([len(group)], below=mask_below)[0]))
    if len(group) >= max(mask_below, 1):
        rows += _characteristics(group, mask_below)
    return pd.DataFrame(rows, columns=["characteristic", "level", "value"])


def _characteristics(group: pd.DataFrame, mask_below: int) -> Iterator[tuple[str, str, str]]:
    if "arrest_to_death_days" in group:
        days = group["arrest_to_death_days"]
        group = group.assign(death_period=pd.cut(days, [-1, 0, 14, np.inf], labels=list(_PERIODS)))
    if {"no_flow_min", "low_flow_min"} <= set(group):
        group = group.assign(arrest_to_circulation_min=group["no_flow_min"] + group["low_flow_min"])
    for column, name in _CATEGORICAL.items():
        if column in group:
            counts = group[column].value_counts()
            counts = counts[counts > 0]
            texts = [n_percent(n, len(group)) for n in counts]
            shown = hide_small_counts(counts, texts, below=mask_below)
            yield from ((name, LEVELS.get(i, i), text) for i, text in zip(counts.index, shown, strict=True))
    for column, name in _TIMES.items():
        known = group[column].dropna() if column in group else []
        if len(known) >= max(mask_below, 2):
            yield name, f"known in {len(known)}", median_quartiles(known)
