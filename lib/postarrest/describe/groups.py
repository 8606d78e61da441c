"""Groups of patients that a study compares: levels of its variables, as the study file declares them."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from postarrest.data.contract import LEVELS, NAMES
from postarrest.data.errors import nearest
from postarrest.describe.cohort_tables import levels_of

# Groups by default; of these, a study has those whose column its export has.
DEFAULT: dict[str, Any] = {
    "sex": [],
    "age_years": [50, 65, 80],
    "initial_rhythm": {"shockable": ["vf_vt"], "not shockable": ["pea", "asystole", "other"]},
    "witnessed": [],
    "rosc_to_ct_min": [60, 120],
    "circulation": [],
    "site": [],
}
NOT_RECORDED = "not recorded"
# A variable with more values than this needs cut points.
_MOST_LEVELS = 20

Groups = dict[str, list[float] | dict[str, list[Any]]]


def declared(groups: Mapping[str, Any]) -> Groups:
    """Return the groups that a study file declares, checked.

    Parameters
    ----------
    groups : Mapping
        By column of the cohort: ``[]`` (each value is a group), cut points (a group from each to below the
        next), or ``{name of the group: [values]}``; empty for :data:`DEFAULT`.

    Raises
    ------
    pydantic.ValidationError
        Listing every error.

    Examples
    --------
    >>> declared({"age_years": [65]})
    {'age_years': [65.0]}
    >>> "sex" in declared({})
    True
    """
    return TypeAdapter(Groups).validate_python(groups or DEFAULT)


def grouped(cohort: pd.DataFrame, groups: Mapping[str, Any]) -> pd.DataFrame:
    """Return the group of each patient by each variable.

    Parameters
    ----------
    cohort : pandas.DataFrame
        One row per patient.
    groups : Mapping
        As for :func:`declared`. Of the default groups, those without a column in the cohort are left out.

    Returns
    -------
    pandas.DataFrame
        One column per variable, named as in Table 1; ordered categories, :data:`NOT_RECORDED` last.

    Raises
    ------
    ValueError
        Listing every error: no such column, a value in no group, too many values, cut points for text.

    Examples
    --------
    >>> cohort = pd.DataFrame({"age_years": [44, 65, 80, None], "sex": ["male", "female", "male", "male"]})
    >>> grouped(cohort, {"age_years": [50, 80], "sex": []})
         Age, years     Sex
    0           <50    male
    1     50 to <80  female
    2           ≥80    male
    3  not recorded    male
    """
    if found := errors(cohort, groups):
        raise ValueError("\n".join(f"groups: {error}" for error in found))
    wanted = _wanted(cohort, groups)
    levels = {NAMES.get(column, column): _levels(cohort[column], rule) for column, rule in wanted.items()}
    return pd.DataFrame(levels, index=cohort.index)


def errors(cohort: pd.DataFrame, groups: Mapping[str, Any]) -> list[str]:
    """Return why a cohort's patients cannot be put into groups, one sentence or more for each variable.

    Parameters
    ----------
    cohort, groups
        As for :func:`grouped`.

    Examples
    --------
    >>> errors(pd.DataFrame({"age_years": [44]}), {"age_years": [80, 50], "lactate": []})
    ["the cut points of 'age_years' do not ascend.", "the cohort has no column 'lactate'."]
    """
    each = (_error(cohort, column, rule) for column, rule in _wanted(cohort, groups).items())
    return [error for error in each if error]


def _wanted(cohort: pd.DataFrame, groups: Mapping[str, Any]) -> Groups:
    return {column: rule for column, rule in declared(groups).items() if groups or column in cohort}


def _error(cohort: pd.DataFrame, column: str, rule: list[float] | dict[str, list[Any]]) -> str:
    if column not in cohort:
        return f"the cohort has no column '{column}'{nearest(column, cohort.columns)}."
    known = cohort[column].dropna()
    numeric = pd.api.types.is_numeric_dtype(known)
    if isinstance(rule, dict):
        listed = [value for values in rule.values() for value in values]
        twice = len(listed) - len(set(listed))
        left = (~known.isin(listed)).sum()
        found = [f"{twice} values of '{column}' are in two groups."] if twice else []
        found += [f"{left} patients' values of '{column}' are in no group."] if left else []
        return " ".join(found)
    if rule and not numeric:
        return f"'{column}' is text and has cut points; expected numbers, or names with lists of values."
    if rule != sorted(set(rule)):
        return f"the cut points of '{column}' do not ascend."
    if not rule and known.nunique() > _MOST_LEVELS:
        return f"'{column}' has {known.nunique()} values; expected cut points, or at most {_MOST_LEVELS}."
    return ""


def _levels(values: pd.Series, rule: list[float] | dict[str, list[Any]]) -> pd.Categorical:
    if isinstance(rule, dict):
        names = {value: name for name, of_group in rule.items() for value in of_group}
        order = list(rule)
    elif rule:
        order = [f"<{rule[0]:g}", *(f"{a:g} to <{b:g}" for a, b in pairwise(rule))]
        order.append(f"≥{rule[-1]:g}")
        bands = pd.cut(values, [-float("inf"), *rule, float("inf")], right=False, labels=order)
        return _with_missing(bands.astype(object), order)
    else:
        names = _names(values)
        order = [str(name) for name in names.values()]
    return _with_missing(values.map(names).astype(object), order)


def _names(values: pd.Series) -> dict[Any, str]:
    """Return the names of a variable's values, in order."""
    if values.name == "site":
        # Hospitals are not named: they are numbered from the largest.
        counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        return {value: f"site {number}" for number, value in enumerate(counts.index, start=1)}
    if not pd.api.types.is_numeric_dtype(values):
        return {value: LEVELS.get(value, value) for value in levels_of(values)}
    known = sorted(values.dropna().unique())
    # 0 and 1 are a column of no and yes.
    yes_no = {0: "no", 1: "yes"} if set(known) <= {0, 1} else {}
    return {value: yes_no.get(value, f"{value:g}") for value in known}


def _with_missing(values: pd.Series, order: list[str]) -> pd.Categorical:
    names = values.where(values.notna(), NOT_RECORDED).astype(str)
    known = [name for name in [*order, NOT_RECORDED] if (names == name).any()]
    return pd.Categorical(names, categories=known, ordered=True)
