"""PROBAST+AI: each signalling question answered from what a run contains, or left to the authors.

``docs/probast-ai.yaml`` lists the questions. One with a ``check`` is answered by the function of that name in
:data:`CHECKS`, from the study's tables and parameters; only the words of each answer are written beforehand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from postarrest.report import environment
from postarrest.report.runs import Report
from postarrest.study.load import complete_parameters

MET, NOT_MET, NOT_APPLICABLE, AUTHORS = "met", "not met", "not applicable", "only the authors can say"
_NOT_COUNTED = "Not counted in this run."
_TABLES = ("flow", "evaluated", "leakage", "sample_size", "hyperparameters", "performance", "calibration")
_TABLES += ("decision_curve",)


class Answer(NamedTuple):
    """A verdict (one of the constants of this module) and its reason in words."""

    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a run contains that the questions are answered from.

    Parameters
    ----------
    tables : Mapping of DataFrame
        The report's tables by name, those of the main result where a table has several; absent ones are left
        out.
    simulated : bool
        Whether the patients are simulated.
    standard_outcome : bool or None
        Whether the main outcome is CPC 1-2 as recorded; None if the study has another outcome.
    linear : list of str
        Base models that are linear in their predictors.
    class_weights : bool
        Whether the network was trained with equal weight of both outcomes.
    networks : list of str
        Names of the network's models.
    differing : list of str
        In what the runs' environments differ.
    frozen : bool
        Whether the study evaluates a model that was fitted in other patients and frozen.
    """

    tables: Mapping[str, pd.DataFrame]
    simulated: bool
    standard_outcome: bool | None
    linear: list[str] = field(default_factory=list)
    class_weights: bool = False
    networks: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    frozen: bool = False

    def count(self, step: str) -> int:
        """Return the number of patients at a step of the participant flow."""
        flow = self.tables["flow"]
        return int(flow.loc[flow["step"] == step, "n"].iloc[0])


def evidence(report: Report) -> Evidence:
    """Gather what a report's run contains."""
    study, here = report.study, report.here
    paths = {name: here.table(name) for name in _TABLES}
    tables = {name: pd.read_csv(path) for name, path in paths.items() if path.is_file()}
    for name in ("evaluated", "performance", "decision_curve"):
        if name in tables:
            tables[name] = report.result.rows(tables[name])
    given = {name: complete_parameters(study, name, root=here.root) for name in study.notebooks}
    declared = given.get("04_stacking", {}).get("base_models", {})
    networks = [name for name, model in declared.items() if model["algorithm"] == "cnn"]
    networks += ["cnn"] if "holdout" in study.protocols else []
    # Without declared base models notebook 04 fits paper B's, one of which is linear.
    linear = [name for name, model in declared.items() if model["algorithm"] == "logistic"]
    if "04_stacking" in given and not declared:
        linear, networks = ["pupil"], [*networks, "ct"]
    own_outcome = bool(study.parameters("01_cohort").get("outcome"))
    return Evidence(
        tables=tables,
        simulated=study.simulated,
        standard_outcome=None if own_outcome else report.result.where["outcome_label"] == "standard",
        linear=linear,
        class_weights=bool(given.get("03_cnn", {}).get("class_weights")),
        networks=networks,
        differing=environment.differing(list(report.environments.values())),
        frozen=bool(study.model),
    )


def real_patients(run: Evidence) -> Answer:
    """Check that the patients are real; how they were found, only the authors know."""
    return Answer(NOT_MET, "All patients are simulated.") if run.simulated else Answer(AUTHORS)


def same_code(run: Evidence) -> Answer:
    """Check that every run used the same code and versions, so that all patients were processed alike."""
    if run.differing:
        return Answer(NOT_MET, f"The runs of this report differ in: {', '.join(run.differing)}.")
    return Answer(MET, "All runs used the same code, versions and machine; errors in the data stop a run.")


def standard_outcome(run: Evidence) -> Answer:
    """Check that the main outcome is CPC 1-2 as recorded, not revised by what was observed later."""
    if run.standard_outcome is None:
        return Answer(AUTHORS, "The study has an outcome of its own.")
    if run.standard_outcome:
        return Answer(MET, "CPC 1 or 2 as recorded, set before the run.")
    return Answer(NOT_MET, "The main outcome label is revised by observations made after the CT.")


def _sample_size(run: Evidence, purpose: str) -> Answer:
    if run.frozen:
        return Answer(NOT_MET, "Not assessed: the report of a frozen model has no page on sample size.")
    if "sample_size" not in run.tables:
        return Answer(NOT_MET, "Not assessed: the study file does not name the section 06_stability.")
    mine = run.tables["sample_size"].query("purpose == @purpose")
    unmet = mine.loc[~mine["met"].astype(bool), "target"]
    if len(unmet):
        return Answer(NOT_MET, f"Too few patients for: {' and '.join(unmet)} ([](#tab-sample-size)).")
    return Answer(MET, "Every criterion is met ([](#tab-sample-size)).")


def enough_to_develop(run: Evidence) -> Answer:
    """Check that Riley's criteria for development are met."""
    return _sample_size(run, "development")


def enough_to_evaluate(run: Evidence) -> Answer:
    """Check that Riley's criteria of precision are met in the patients of the evaluation."""
    return _sample_size(run, "external validation")


def not_only_linear(run: Evidence) -> Answer:
    """Check that no base model takes its predictors to be linear."""
    if run.linear:
        return Answer(NOT_MET, f"Linear in their predictors, without a check: {', '.join(run.linear)}.")
    return Answer(MET, "Continuous predictors enter as they are, into models that need not be linear.")


def nobody_dropped(run: Evidence) -> Answer:
    """Check that every included patient is evaluated, and none was left out for missing values."""
    included, n = run.count("included"), int(run.tables["evaluated"]["n"].iloc[0])
    whole = run.frozen or run.tables["evaluated"]["set"].iloc[0] == "pooled"
    if whole and n < included:
        return Answer(NOT_MET, f"{included - n} of {included} included patients are not evaluated.")
    words = f"{n} of {included} included patients are evaluated" + (
        "" if whole else ", a random split of them"
    )
    handled = "as the frozen model does it" if run.frozen else "within each fit"
    return Answer(MET, f"{words}; missing values are handled {handled} ([](#tab-missingness)).")


def recalibrated(run: Evidence) -> Answer:
    """Check that a network trained with class weights is recalibrated afterwards."""
    if not run.class_weights:
        return Answer(NOT_APPLICABLE, "No correction for class imbalance was used.")
    # A model that was scaled has its calibration before as well.
    calibration = run.tables.get("calibration", pd.DataFrame(columns=["model", "stage"]))
    scaled = set(calibration.loc[calibration["stage"] == "before_platt", "model"])
    without = [name for name in run.networks if name not in scaled]
    if without:
        return Answer(NOT_MET, f"Trained with class weights and not recalibrated: {', '.join(without)}.")
    return Answer(MET, "The network, trained with class weights, is Platt scaled ([](#tab-calibration)).")


def tuned_in_folds(run: Evidence) -> Answer:
    """Check that hyperparameters were tuned, which the leakage table shows to be apart from test patients."""
    if run.tables.get("hyperparameters", pd.DataFrame()).empty:
        return Answer(NOT_MET, "No hyperparameters were tuned.")
    return Answer(MET, "Hyperparameters are tuned on inner folds or a tuning set ([](#tab-hyperparameters)).")


def tested_in_others(run: Evidence) -> Answer:
    """Check that patients are tested by models that were not fitted on them."""
    if run.frozen:
        return Answer(MET, "External: the model was fitted elsewhere and scores these patients as it is.")
    if not len(_test_rows(run)):
        return Answer(NOT_MET, _NOT_COUNTED)
    if n := int(_test_rows(run)["n_in_both"].sum()):
        return Answer(NOT_MET, f"{n} scores are of patients that a model was fitted on.")
    return Answer(MET, "Every patient is tested by models fitted on others ([leakage](page:leakage)).")


def prevalence_kept(run: Evidence) -> Answer:
    """Check that the test patients have the cohort's prevalence, whatever the weights in training."""
    if run.frozen:
        n, n_good = run.tables["evaluated"][["n", "n_good"]].iloc[0]
        words = "The patients are neither weighted nor resampled"
        return Answer(MET, f"{words}: {n_good} of {n} have a good outcome, as recorded.")
    if not run.class_weights:
        return Answer(NOT_APPLICABLE, "No correction for class imbalance was used.")
    tested = run.tables["evaluated"].iloc[0]
    expected = tested["n"] * run.count("good outcome") / run.count("included")
    words = f"{tested['n_good']} of {tested['n']} test patients have a good outcome; {expected:.0f} expected"
    # A stratified split keeps the prevalence to within a patient.
    return Answer(MET if abs(tested["n_good"] - expected) <= 1 else NOT_MET, f"{words}.")


def no_leakage(run: Evidence) -> Answer:
    """Check that no stage scored a patient that it was fitted on."""
    if run.frozen:
        words = "Nothing is fitted before these patients are scored ([external validation](page:08_external))"
        if run.simulated:
            return Answer(MET, f"{words}; they are simulated apart from those of the development.")
        # A frozen model holds aggregates only, so that nobody can be found again.
        return Answer(AUTHORS, f"{words}. Whether one of them was among those fitted on cannot be checked.")
    leaked = int(run.tables.get("leakage", pd.DataFrame({"n_in_both": [-1]}))["n_in_both"].sum())
    if leaked < 0:
        return Answer(NOT_MET, _NOT_COUNTED)
    if leaked:
        return Answer(NOT_MET, f"{leaked} scores are of patients that the same stage was fitted on.")
    return Answer(MET, "Counted for every stage of every run: none ([leakage](page:leakage)).")


def steps_repeated(run: Evidence) -> Answer:
    """Check that no earlier stage, such as the choice of hyperparameters, used a test patient."""
    if run.frozen:
        return Answer(NOT_APPLICABLE, "The evaluation resamples no development: it is in other patients.")
    if not len(_test_rows(run)):
        return Answer(NOT_MET, _NOT_COUNTED)
    if n := int(_test_rows(run)["n_indirect"].sum()):
        return Answer(NOT_MET, f"{n} test scores depend on an earlier stage that used the same patient.")
    return Answer(MET, "Tuning, fitting, calibration and thresholds are repeated without the test patients.")


def measures_reported(run: Evidence) -> Answer:
    """Check that discrimination, calibration and net benefit are reported with intervals."""
    have = {
        "discrimination": _limits(run.tables.get("performance"), "lower"),
        "calibration": _limits(run.tables.get("calibration"), "slope_lower"),
        "net benefit": _limits(run.tables.get("decision_curve"), "lower"),
    }
    missing = [name for name, there in have.items() if not there]
    if missing:
        return Answer(NOT_MET, f"Not reported with an interval: {', '.join(missing)}.")
    return Answer(MET, "[](#tab-performance), [](#tab-calibration) and [](#tab-decision-curve).")


def _limits(table: pd.DataFrame | None, column: str) -> bool:
    return table is not None and bool(table[column].notna().any())


def _test_rows(run: Evidence) -> pd.DataFrame:
    leakage = run.tables.get("leakage", pd.DataFrame(columns=["scored", "n_in_both", "n_indirect"]))
    return leakage[leakage["scored"] == "test"]


CHECKS: dict[str, Callable[[Evidence], Answer]] = {
    check.__name__: check
    for check in (
        *(real_patients, same_code, standard_outcome, enough_to_develop, not_only_linear, nobody_dropped),
        *(recalibrated, tuned_in_folds, tested_in_others, enough_to_evaluate, prevalence_kept, no_leakage),
        *(steps_repeated, measures_reported),
    )
}


def appraise(checklist: Mapping[str, Any], run: Evidence) -> list[dict[str, Any]]:
    """Answer every question of the checklist.

    Parameters
    ----------
    checklist : Mapping
        The content of ``docs/probast-ai.yaml``.
    run : Evidence
        From :func:`evidence`.

    Returns
    -------
    list of dict
        One per question: ``part, domain, item, asks, verdict, reason, open``.
    """
    found = []
    for part in checklist["parts"]:
        for domain in part["domains"]:
            for item in domain["items"]:
                answer = CHECKS[item["check"]](run) if item["check"] else Answer(AUTHORS)
                place = {"part": part["title"], "domain": domain["title"]}
                place |= {name: item[name] for name in ("item", "asks", "open")}
                if run.frozen and part["of"] == "development":
                    answer, place["open"] = Answer(NOT_APPLICABLE, "Fitted elsewhere."), ""
                found.append(place | answer._asdict())
    return found
