"""Whether a study can be run on its patients: its columns, its predictors and the size of its splits."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from postarrest import models
from postarrest.data import contract
from postarrest.data.errors import Finding, nearest
from postarrest.data.tablefile import matching
from postarrest.describe import groups
from postarrest.study.load import Study, complete_parameters


def errors(study: Study, cohort: pd.DataFrame, y_good: pd.Series) -> list[Finding]:
    """Return why notebooks would stop on these patients, before anything is computed.

    Parameters
    ----------
    study : Study
        The study.
    cohort : pandas.DataFrame
        The included patients, indexed by ``patient_id``.
    y_good : pandas.Series of 0 and 1
        Their outcome by the main label.
    """
    parameters = {name: complete_parameters(study, name) for name in study.notebooks}
    missing = list(_missing(parameters, cohort))
    found = missing
    if "04_stacking" in parameters and not missing:
        found = list(_unusable(parameters["04_stacking"]["base_models"], cohort))
    if "07_subgroups" in parameters:
        in_groups = "groups in which these patients are"
        for error in groups.errors(cohort, parameters["07_subgroups"]["groups"]):
            found.append(Finding("study file", "07_subgroups: groups", error.rstrip("."), in_groups))
    settings = models.splits.Settings(**study.sections["splits"])
    try:
        models.splits.table(y_good, protocols=study.protocols, settings=settings)
    except ValueError as error:
        enough = "more patients, or fewer folds and larger fractions in splits"
        found.append(Finding("study file", "splits", str(error).rstrip("."), enough))
    return found


def needed_columns(parameters: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the columns of the patient table, also as patterns, that notebooks use, and what for.

    Parameters
    ----------
    parameters : dict
        Notebook -> all its parameters, for the notebooks that apply.

    Examples
    --------
    >>> needed_columns({"01_cohort": {"table1_variables": ["age_years"]}})
    {'age_years': 'Table 1 (table1_variables)'}
    """
    needed = dict.fromkeys(parameters["01_cohort"]["table1_variables"], "Table 1 (table1_variables)")
    if "04_stacking" in parameters:
        stacking = parameters["04_stacking"]
        if "ohca_score" in stacking["comparators"]:
            needed |= dict.fromkeys(models.ohca.VARIABLES, "the OHCA score (comparators: [] leaves it out)")
        for name, model in models.tabular.declared(stacking["base_models"]).items():
            needed |= dict.fromkeys(model.predictors, f"base model '{name}'")
    return needed


def _missing(parameters: dict[str, dict[str, Any]], cohort: pd.DataFrame) -> Iterator[Finding]:
    columns = [str(column) for column in cohort.columns]
    # The time from arrest to circulation is added to Table 1 where its two parts are recorded.
    parts = {"no_flow_min", "low_flow_min"} <= set(columns)
    available = [*columns, *(["arrest_to_circulation_min"] if parts else [])]
    for column, what in needed_columns(parameters).items():
        among = columns if what.startswith("base model") else available
        if not matching(among, [column]):
            expected = f"a column of this name for {what}{nearest(column, columns)}"
            yield Finding(contract.PATIENTS.name, "column", "no such column", expected, column=column)


def _unusable(base_models: dict[str, Any], cohort: pd.DataFrame) -> Iterator[Finding]:
    for name, model in models.tabular.declared(base_models).items():
        try:
            models.tabular.predictors_of(name, model, cohort)
        except models.tabular.ModelError as error:
            for line in str(error).splitlines():
                expected = "predictors that a model can use"
                yield Finding("study file", "predictors", line.rstrip("."), expected)
