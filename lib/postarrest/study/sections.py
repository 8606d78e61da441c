"""The values that each section of a study file may have, and what its sections require of each other.

A notebook's parameters cell declares names and types. Ranges and nested values are declared by a model next
to what uses them; :data:`MODELS` says which models check which notebook's section.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from postarrest import models, simulate
from postarrest.data import contract
from postarrest.data.mapping import ExportSettings
from postarrest.describe.settings import CohortTables, Subgroups
from postarrest.evaluation.settings import Decisions, Evaluation
from postarrest.models.cnn.head import Training
from postarrest.models.cnn.network import Network
from postarrest.models.repeated import Plan
from postarrest.models.settings import Cnn, Gwr, Imputations, Stacking, names_of_scores
from postarrest.settings import Settings
from postarrest.study import schema

# The models of each notebook's section; each checks the parameters of which it has a field.
MODELS: dict[str, tuple[type[Settings], ...]] = {
    "01_cohort": (ExportSettings, CohortTables),
    "02_gwr": (Gwr,),
    "02_gwr_automatic": (Gwr,),
    "03_cnn": (Cnn, Network, Training),
    "04_stacking": (Stacking,),
    "05_evaluation": (Evaluation,),
    "06_stability": (Stacking, Plan, Decisions),
    "07_subgroups": (CohortTables, Subgroups, Evaluation, Decisions),
    "08_external": (CohortTables, Evaluation),
    "09_sites": (CohortTables, Evaluation, Decisions),
    "10_explanation": (Stacking, Evaluation),
    "11_missing": (Stacking, Imputations, Evaluation),
    "A1_simulation": (simulate.settings.Shown,),
}


def value_errors(
    parameters: Mapping[str, Mapping[str, Any]], *, section_of: Callable[[str, str], str]
) -> list[str]:
    """Return the errors in the values of notebooks' parameters, one line each.

    Parameters
    ----------
    parameters : Mapping
        Notebook -> all its parameters.
    section_of : callable
        The section of the study file that sets a notebook's parameter, from both names: an error in a value
        that several notebooks share is reported once, as of this section.

    Examples
    --------
    >>> own = lambda notebook, key: notebook
    >>> value_errors({"05_evaluation": {"n_resamples": 0}}, section_of=own)
    ["section '05_evaluation': 'n_resamples' is 0 (a whole number), expected at least 20."]
    """
    found = []
    for notebook, given in parameters.items():
        for model in MODELS.get(notebook, ()):
            for key, error in schema.errors_by_key(
                lambda model=model, given=given: model.of(given), model=model
            ):
                found.append(f"section '{section_of(notebook, key)}': {error}")
    return list(dict.fromkeys(found))


def between_sections(study: Any, parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the sections of a study, each without an error, require of each other and do not get.

    Parameters
    ----------
    study : postarrest.study.load.Study
        The study.
    parameters : Mapping
        Notebook -> all its parameters, for the notebooks that apply.
    """
    if study.scores:
        return
    splits = models.splits.Settings(**study.sections["splits"])
    if not study.protocols and not study.model:
        yield "section 'study': 'protocols' is empty, expected 'holdout', 'nested' or both."
    elif study.protocols == ("holdout",) and not study.modalities:
        yield "section 'study': nothing to evaluate in a hold-out; expected modalities gwr, ct or both."
    by_site = {"study: {sites: true}": study.sites, "the protocol 'nested'": "nested" in study.protocols}
    if splits.by == "site":
        yield from (
            f"section 'splits': by: site needs {what}." for what, there in by_site.items() if not there
        )
    if "06_stability" in parameters and "nested" not in study.protocols:
        yield "section '06_stability': needs the protocol 'nested', whose procedure it repeats."
    if "03_cnn" in parameters and "holdout" in study.protocols:
        searched = Training.of(parameters["03_cnn"]).searched("holdout")
        for name in (name for name, one in searched.items() if one.choices is None):
            yield f"section '03_cnn': 'space.{name}' is a range, expected choices: a hold-out needs a grid."
    columns = list(contract.PATIENTS.columns)
    cohort = parameters["01_cohort"]
    known = [*columns, *cohort["predictors"]]
    for name in cohort["table1_variables"]:
        if not _among(name, known):
            place = "section '01_cohort': 'table1_variables'"
            yield f"{place} names '{name}', which is no column.{_nearest(name, known)}"
    stacking = parameters.get("04_stacking", {"base_models": {}, "comparators": [], "super_learner": []})
    base_models = models.tabular.declared(stacking["base_models"]) if "04_stacking" in parameters else {}
    yield from _errors_of_base_models(base_models, study.modalities, known)
    if not study.model:
        names = names_of_scores(
            protocols=study.protocols,
            modalities=study.modalities,
            base_models=[name for name, model in base_models.items() if model.algorithm != "cnn"],
            comparators=stacking["comparators"],
            learners=stacking["super_learner"],
        )
        yield from errors_of_names(parameters, names)
    if study.simulated:
        yield from _errors_of_simulation(study, splits, cohort)


def errors_of_names(parameters: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> Iterator[str]:
    """Yield parameters that name a model without scores, one line each.

    Parameters
    ----------
    parameters : Mapping
        Notebook -> all its parameters.
    names : iterable of str
        Models that have scores.
    """
    for notebook, given in parameters.items():
        asked = [("primary", name) for name in given.get("primary", [])]
        asked += [(key, given[key]) for key in ("focus", "model") if key in given]
        for key, name in asked:
            if name and name not in names:
                nearest = schema.nearest_name(name, names)
                yield f"section '{notebook}': '{key}' names '{name}', which has no scores.{nearest}"


def _errors_of_base_models(
    base_models: Mapping[str, Any], modalities: Iterable[str], known: Iterable[str]
) -> Iterator[str]:
    for name, model in base_models.items():
        place = f"section '04_stacking': base model '{name}'"
        if model.algorithm == "cnn" and "ct" not in modalities:
            yield f"{place} is a cnn, which needs head CT; expected modalities with ct, or other base_models."
        for column in model.predictors:
            stem = column.removesuffix("*")
            if any(name == stem or (name.startswith(stem) and stem != column) for name in contract.OUTCOME):
                yield f"{place} uses '{column}', which is part of the outcome and unknown beforehand."
            elif not _among(column, known):
                hint = " Declare further columns of the export in predictors of 01_cohort."
                yield f"{place} uses '{column}', which is no column.{_nearest(column, known)}{hint}"


def _errors_of_simulation(study: Any, splits: Any, cohort: Mapping[str, Any]) -> Iterator[str]:
    simulated = simulate.Settings(**study.sections["simulate"])
    if "ct" in study.modalities and simulated.ct == "none":
        yield "section 'simulate': 'ct' is 'none' although the study has the modality ct."
    if "gwr" in study.modalities and not simulated.gwr:
        yield "section 'simulate': 'gwr' is false although the study has the modality gwr."
    n_standard = simulated.n_good - simulated.n_relabelled
    n_good = simulated.n_good if study.outcome_labels[0] == "revised" else n_standard
    fewest = min(n_good, simulated.n_included - n_good)
    if study.protocols and fewest < (least := models.splits.fewest(study.protocols, splits)):
        yield f"section 'simulate': the rarer outcome has {fewest} patients; these splits need {least}."
    for name in ("columns", "codes", "units", "table_format", "outcome", "predictors"):
        if cohort[name]:
            yield f"section '01_cohort': simulated patients need no '{name}'; leave it out, or set data: ask."


def _among(name: str, known: Iterable[str]) -> bool:
    """Return whether a name, or a pattern with ``*``, can mean one of some columns or patterns."""
    stem = name.split("*")[0]
    return any(
        name == one
        or ("*" in name and fnmatchcase(one, name))
        or ("*" in one and (fnmatchcase(name, one) or ("*" in name and _overlap(stem, one.split("*")[0]))))
        for one in known
    )


def _overlap(a: str, b: str) -> bool:
    return a.startswith(b) or b.startswith(a)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = schema.nearest_name(name, known)
    # A list of all columns would hide the error.
    return close if close.startswith(" Did") else ""
