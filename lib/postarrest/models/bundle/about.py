"""What a frozen model says of the data it needs and of the patients it was fitted on, in aggregates."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from postarrest.data.contract import NAMES, PATIENTS
from postarrest.data.mapping import ALL_COLUMNS
from postarrest.describe.masking import hide_small_counts
from postarrest.models.bundle.membership import moments
from postarrest.models.parts import Part

# Texts of fewer patients are counted together: they may identify a patient.
RARE = 5
# Beside predictors, what a patient's flags are about: who the model is meant for.
DESCRIBING = ("age_years", "rosc_to_ct_min")
# What reading an export needs besides predictors.
_TECHNICAL = ("patient_id", "exclusion", "ct_slice", "ct_position_mm")
_GWR = ("reader", "reading", "region", "side", "mean_hu", "area_mm2")


def columns_of(parts: Iterable[Part]) -> list[str]:
    """Return every column of the cohort that some part uses."""
    return list(dict.fromkeys(name for part in parts for name in part.columns))


def contract_of(names: Iterable[str], cohort: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return what an export must hold in each column: its kind, unit, codes and name for readers.

    Examples
    --------
    >>> contract_of(["lactate_mmol_l"], pd.DataFrame({"lactate_mmol_l": [9.0]}))["lactate_mmol_l"]["unit"]
    'mmol/L'
    """
    found = {}
    for name in names:
        about = PATIENTS.columns[name].metadata if name in PATIENTS.columns else {}
        kind = "number" if pd.api.types.is_numeric_dtype(cohort[name]) else "text"
        found[name] = {
            "kind": kind,
            "unit": about.get("unit", ""),
            "codes": list(about.get("codes", ())),
            "label": NAMES.get(name, name),
        }
    return found


def ct_of(parts: Iterable[Part]) -> dict[str, Any] | None:
    """Return how a CT slice must be prepared; None if no part uses one."""
    words = [part.settings["input"] for part in parts if part.kind == "network"]
    if not words:
        return None
    return {
        "slice": "axial, at the foramen of Monro",
        "window_level_hu": 40,
        "window_width_hu": 80,
        "pixels": 256,
        "network_input": words[0],
    }


def export_of(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the part of a study's mapping that reading an export for scoring needs.

    Parameters
    ----------
    given : Mapping
        Parameters of notebook 01.
    names : iterable of str
        Columns that are used.

    Examples
    --------
    >>> export_of({"columns": {"age_years": "age", "cpc": "cpc_90"}}, ["age_years"])["columns"]
    {'age_years': 'age'}
    """
    names = list(names)
    used = {*names, *_TECHNICAL, *_GWR, *DESCRIBING, ALL_COLUMNS}
    mapped = {
        key: {name: value for name, value in given.get(key, {}).items() if name in used}
        for key in ("columns", "codes", "units")
    }
    predictors = [name for name in names if name not in PATIENTS.columns]
    how_read = {"table_format": dict(given.get("table_format", {}))}
    how_read["image_size"] = given.get("image_size", "exact")
    return mapped | {"predictors": predictors} | how_read


def population(
    cohort: pd.DataFrame, y_good: pd.Series, *, variables: Iterable[str], mask_below: int
) -> dict[str, Any]:
    """Describe the patients that a model was fitted on, without any patient's row.

    Parameters
    ----------
    cohort : pandas.DataFrame
        One row per patient.
    y_good : pandas.Series of 0 and 1
        Their outcome.
    variables : iterable of str
        Columns to describe.
    mask_below : int
        Counts from 1 to below this are hidden, and each end of a range is the value that this many patients
        reach or exceed.

    Returns
    -------
    dict
        ``n, n_good``, ``moments`` (from :func:`postarrest.models.bundle.membership.moments`) and
        ``variables``. Of a number: ``n`` (patients with a value), ``missing`` (share),
        ``mean, sd, median, q1, q3`` and the range ``low, high``. Of a category: ``n, missing`` and ``levels``
        (shares). Hidden values are None.

    Examples
    --------
    >>> cohort = pd.DataFrame({"age_years": [61.0, 70.0, 55.0, None]})
    >>> found = population(cohort, pd.Series([1, 0, 1, 0]), variables=["age_years"], mask_below=0)
    >>> found["variables"]["age_years"]["median"], found["variables"]["age_years"]["missing"]
    (61.0, 0.25)
    """
    described = {
        name: (_number if _is_number(cohort[name]) else _category)(cohort[name], mask_below)
        for name in variables
    }
    known = moments(cohort, variables=described, mask_below=mask_below)
    return {"n": len(cohort), "n_good": int(y_good.sum()), "variables": described, "moments": known}


def _is_number(values: pd.Series) -> bool:
    known = values.dropna()
    return pd.api.types.is_numeric_dtype(values) and not known.isin([0, 1]).all()


def _basic(values: pd.Series, kind: str, below: int) -> dict[str, Any]:
    missing = int(values.isna().sum())
    shown = hide_small_counts([missing, len(values) - missing], below=below)[0].isdigit()
    share = missing / len(values) if shown else None
    about = {"label": NAMES.get(str(values.name), str(values.name)), "kind": kind}
    return about | {"n": len(values) - missing if shown else None, "missing": share}


def _number(values: pd.Series, below: int) -> dict[str, Any]:
    x = np.sort(values.dropna().to_numpy(float))
    names = ("mean", "sd", "median", "q1", "q3", "low", "high")
    found: dict[str, Any] = dict.fromkeys(names)
    if len(x) >= max(2 * below, 2):
        q1, median, q3 = np.quantile(x, [0.25, 0.5, 0.75])
        # With hidden counts, an end of the range must not be one patient's value.
        end = max(below, 1) - 1
        numbers = (x.mean(), x.std(ddof=1), median, q1, q3, x[end], x[-1 - end])
        found = dict(zip(names, map(float, numbers), strict=True))
    return _basic(values, "number", below) | found


def _category(values: pd.Series, below: int) -> dict[str, Any]:
    name = str(values.name)
    codes = PATIENTS.columns[name].metadata.get("codes", ()) if name in PATIENTS.columns else ()
    is_text = not pd.api.types.is_numeric_dtype(values)
    words = values.dropna().astype(str) if is_text else values.dropna().map({0: "no", 1: "yes"})
    counts = words.value_counts().sort_index()
    rare = [level for level in counts.index if level not in (*codes, "yes", "no") and counts[level] < RARE]
    merged = counts.drop(rare)
    if rare:
        merged["other texts"] = int(counts[rare].sum())
    shown = hide_small_counts(merged.to_numpy(), below=below) if len(merged) else []
    levels = {
        str(level): (n / len(words) if text.isdigit() else None)
        for (level, n), text in zip(merged.items(), shown, strict=True)
    }
    return _basic(values, "category", below) | {"levels": levels}
