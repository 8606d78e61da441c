# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How well is recovery predicted?
#
# Reads the scores table and nothing else of the patients: `build/<study>/scores.csv`, or any file of that form.
# Writes the tables and figures of the evaluation.
#
# The positive class is the **good** outcome unless a column says otherwise. A patient whose score is at least
# the threshold is predicted good. **False pessimism** (FNR) is the share of good-outcome patients who are
# predicted poor; it is what the guideline asks to be near zero, and what it calls the false positive rate.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study in params/ whose scores are evaluated
save_to: str = "scratch"  # where results go: "report" in the pipeline, else a folder under build/<study>/
data: str = ""  # folder or file of real data; blank: the study's simulated patients
scores_file: str = ""  # a scores table from elsewhere, full path; blank: the study's own
n_resamples: int = 1000  # bootstrap resamples of patients
seed: int = 2026  # seed of the resamples
focus: str = ""  # model whose band and operating points are drawn; blank: the largest ROC area
fixed_thresholds: dict = {"0.5": ["probability", 0.5], "GWR 1.2": ["gwr_*", 1.2]}  # name: [models, value]

# %%
import json
from pathlib import Path

import pandas as pd

from postarrest import places, scores
from postarrest.evaluation import (
    calibration,
    comparisons,
    decision,
    discrimination,
    labels,
    published,
    thresholds,
)
from postarrest.figures import calibration as calibration_room
from postarrest.figures import curves, distributions, forest
from postarrest.figures import thresholds as thresholds_room
from postarrest.models import leakage
from postarrest.report import page as page_room
from postarrest.study import schema

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="05_evaluation")
table = scores.read(Path(scores_file) if scores_file else here.build("scores.csv"))
every_stage = scores.sets(table)
final = every_stage[every_stage["stage"] == "final"]
groups = [
    (f"{outcome}_{name}".replace("-", "_"), rows)
    for (outcome, name), rows in final.groupby(["outcome_label", "set"], sort=False)
]
main = groups[0][1]
resampling = {"n_resamples": n_resamples, "seed": seed}

# %% [markdown]
# ## Who is evaluated?

# %%
page.table(
    scores.census(final),
    name="evaluated",
    caption="Patients on whom each model is evaluated, by outcome label and set.",
    note="Sets: hold-out = the test patients of one split; pooled = the test folds of a cross-validation "
    "together; all = every patient with that marker, since markers are fitted on nobody.",
)

# %% [markdown]
# ## How well do the scores tell good from poor outcomes?
#
# Each model with the interval that this report quotes. *Fold mean* is the mean over the outer folds, as published;
# *pooled* puts their test patients together, which asks more: scores must mean the same in every fold.

# %%
resampled = discrimination.resample(final, **resampling)
performed = discrimination.table(resampled)
best = performed[performed["recommended"] & (performed["metric"] == "roc_auc")].merge(
    main[["outcome_label", "set"]].drop_duplicates()
)
focus = focus or best.loc[best["estimate"].idxmax(), "model"]
page.table(
    discrimination.summary(performed),
    name="performance_summary",
    caption="Discrimination and accuracy of each model, with 95 % confidence intervals.",
    note="PR-AUC is average precision; without skill it equals the share of that outcome. A Brier score is the "
    "mean squared error of the probabilities (0 is best), its skill the share of the no-skill error that the "
    "model removes (0: no better than quoting the prevalence). Markers are no probabilities and have none.",
)

# %%
for row in best.itertuples():
    area = discrimination.quoted(performed, row.model, "roc_auc")
    page.number(f"roc_auc_{row.model}", area, table="performance")
    page.text(
        "**{model}**: area under the ROC curve {area} in {n} patients, {good} of them with a good outcome ([](#tab-performance)).",
        model=row.model.replace("_", " "),
        area=str(area),
        n=str(row.n),
        good=str(row.n_good),
    )

# %%
page.table(
    performed,
    name="performance",
    caption="Every threshold-free measure with each kind of interval.",
    note="recommended marks the interval quoted in this report. n_undefined counts resamples in which a measure "
    "has no value, for lack of good outcomes drawn.",
    digits=3,
)

# %%
judged = thresholds.table(final, table, fixed=fixed_thresholds)
for name, rows in groups:
    page.figure(
        curves.curves(
            rows,
            performed,
            judged,
            focus=focus if focus in set(rows["model"]) else rows["model"].iloc[-1],
            **resampling,
        ),
        name="roc" if rows is main else f"roc_{name}",
        caption=f"ROC and precision-recall curves, outcome label {rows['outcome_label'].iloc[0]}, set {rows['set'].iloc[0]} "
        f"({rows['patient_id'].nunique()} patients). Bands: pointwise 95 % bootstrap intervals of the thick curve; "
        "points: what its thresholds chosen on the training side (each fold its own) gave in the test patients.",
        alt="ROC curves on the left and precision-recall curves on the right, one line a model; the areas are in the table of performance.",
    )

# %%
page.figure(
    curves.roc_panels(main, performed, judged, **resampling),
    name="roc_panels",
    caption="Each model's ROC curve with its pointwise 95 % bootstrap band and operating points.",
    alt="One panel a model with its ROC curve, the band around it, and marked operating points.",
)

# %%
page.figure(
    distributions.distributions(main),
    name="score_distributions",
    caption="Scores by outcome: good upwards and filled, poor downwards and hatched.",
    alt="Mirrored histograms of each model's scores for good and poor outcomes; the less they overlap, the better the model tells them apart.",
)

# %% [markdown]
# ## Is one model better than another?
#
# Differences are paired: each pair is judged in the patients that both models score, and a resample draws the same
# patients for both.
# `p_holm` is corrected for the number of pairs.

# %%
compared = comparisons.comparisons(final, **resampling)
page.table(
    compared,
    name="comparisons",
    caption="Differences between models (a - b) with paired 95 % intervals.",
    note="An interval that holds 0 leaves open which of the two is better.",
    digits=3,
)

# %% [markdown]
# ## Does it depend on the split?
#
# A single hold-out set is small. Where the split was repeated, each split's ROC area stands here; the first is the
# main result above.

# %%
spread = discrimination.spread(scores.splits(table))
page.table(
    discrimination.spread_summary(spread),
    name="split_spread",
    caption="ROC area over repeated splits of the same patients.",
    note="No rows: the split was not repeated. The splits share patients, so their spread is no confidence interval.",
    digits=3,
)
for outcome, rows in spread.groupby("outcome_label", sort=False):
    page.figure(
        forest.split_spread(rows),
        name=f"split_spread_{outcome}",
        caption=f"ROC area in each of {rows['fold'].nunique()} splits (outcome label {outcome}).",
        alt="Dots for each split in a row for each model; their spread shows how far a single split can mislead.",
    )

# %%
page.table(
    discrimination.by_fold(final),
    name="performance_by_fold",
    caption="Each outer fold's test patients apart, for the good outcome.",
    note="No rows: no cross-validation. A fold is small: these values show the spread, not the performance.",
    digits=3,
)

# %% [markdown]
# ## Which threshold, and what follows from it?
#
# `chosen_on` says where a threshold comes from: `train_oof`, the training side's scores (the honest way: out of fold, or, in
# a hold-out split, those of the tuning patients, by whom a network's settings were chosen too, but never the test patients);
# `test`, the very scores that are then judged (what paper B seems to have done; optimistic); `fixed`, set beforehand.
# *Spec-Max* has the highest specificity with an FNR below 5 %; *Spec-Max-CI* asks that of the FNR's upper 95 % limit, as
# the guideline does; *FNR 0* allows no false pessimism at all.

# %%
page.table(
    judged.drop(columns="stage"),
    name="thresholds",
    caption="Thresholds by rule and what follows from them; the good outcome is positive.",
    note="fnr_upper: upper limit of the exact (Clopper-Pearson) 95 % interval. Where a row has a note instead of "
    "counts, no threshold meets its rule. threshold: the median over folds where folds have their own.",
)

# %%
page.table(
    leakage.of_thresholds(table),
    name="leakage",
    part="thresholds",
    caption="Patients on whom the thresholds of each fold were chosen, patients judged by them, and patients in both.",
    note="No rows: the scores table has no training side.",
)

# %%
decisions = decision.at_thresholds(judged, n_resamples=n_resamples, seed=seed)
page.table(
    decisions,
    name="performance_at_thresholds",
    caption="What decisions are worth at each threshold, for both classes.",
    note="positive_class poor: the sensitivity is the share of poor outcomes predicted poor, the PPV the share of "
    "poor outcomes among those predicted poor. The row 'FNR 0', chosen on test, sensitivity, poor, is the sensitivity "
    "for a poor outcome without false pessimism; the FNR's upper limit there is in the table of thresholds. Chosen on the "
    "training side, the same rule may be pessimistic in the test patients.",
    digits=3,
)

# %%
page.table(
    thresholds.optimism(judged),
    name="threshold_optimism",
    caption="What choosing the threshold on the judged scores adds.",
    note="optimism = under the threshold chosen on the test scores less under the one chosen on the training side. "
    "No rows: the scores table has no training side.",
)

# %%
for name, rows in groups:
    page.figure(
        thresholds_room.thresholds(rows, judged),
        name="thresholds" if rows is main else f"thresholds_{name}",
        caption=f"Sensitivity, specificity and FNR (false pessimism) against the threshold, outcome label "
        f"{rows['outcome_label'].iloc[0]}, set {rows['set'].iloc[0]}; the line at 5 % is what guideline and paper B tolerate.",
        alt="One panel a model: specificity rises and sensitivity falls with the threshold; the dotted upper limit of the FNR meets 5 % only at low thresholds, if at all.",
    )

# %% [markdown]
# ### Every threshold (tables S6 and S7)

# %%
page.table(
    thresholds.sweep(final).drop(columns="stage"),
    name="threshold_sweep",
    caption="Every 0.01 of predicted probability (S6).",
    note="Markers are no probabilities and are not swept.",
)

# %%
page.table(
    thresholds.with_low_fnr(final).drop(columns="stage"),
    name="thresholds_fnr5",
    caption="All thresholds with an FNR below 5 % (S7), among the observed scores.",
    note="fnr_upper is what the guideline would ask to be at most 5 %. Where a model has more than 1,000 such "
    "thresholds, 1,000 of them, evenly spaced.",
)

# %% [markdown]
# ## Does it depend on how the outcome is labelled?
#
# The sensitivity analysis: the whole study under the second outcome label, beside the first. A ratio is the same under
# both, and differs by the patients who changed sides; a network was trained anew. Each resample draws the same patients
# under both labels.

# %%
beside = labels.between_labels(final, **resampling)
page.table(
    beside,
    name="labels",
    caption="Every threshold-free measure under both outcome labels, and the difference with its paired 95 % interval.",
    note="No rows: the study uses one outcome label. n_changed: patients whose outcome the label changes; where it is 0, as it "
    "can be in a small hold-out, a ratio can't differ, and a network differs by its training alone.",
    digits=3,
)
if len(beside):
    page.figure(
        forest.labels(beside),
        name="labels",
        caption="ROC areas with 95 % intervals under both outcome labels; at the right the difference, paired.",
        alt="Two markers with intervals for each model and set, one an outcome label; they lie close where the label matters little.",
    )
page.table(
    labels.labels_at_thresholds(decisions),
    name="labels_at_thresholds",
    caption="Sensitivity and predictive value of both classes under both outcome labels, at each threshold, with 95 % intervals.",
    note="No rows: the study uses one outcome label. positive_class poor: the share of poor outcomes predicted poor, and of "
    "poor outcomes among those predicted poor.",
)

# %% [markdown]
# ## Are the probabilities frequencies?
#
# Ideal: intercept 0, slope 1, ICI 0. A network that was trained with both outcomes weighing the same (paper A) gives
# probabilities as if half of the patients recovered: far too high where few do (intercept below 0), until recalibrated.
# Its Brier score, decisions at 0.5 and net benefit suffer from that; its ROC area does not. A slope below 1 means predictions that are too extreme; the ICI is the mean distance
# between predicted and observed frequency.

# %%
calibrated, calibration_curves = calibration.table(every_stage, n_resamples=n_resamples, seed=seed)
page.table(
    calibrated,
    name="calibration",
    caption="Calibration of each model that gives probabilities, before and after Platt scaling.",
    note="before_platt only where the model has a calibration step. n_bounded: predictions of 0 or 1 that were moved "
    "in by half a patient, 1 / (2 n), because their log odds are infinite.",
    digits=3,
)

# %%
probabilities = every_stage[every_stage["kind"] == "probability"]
for (outcome, name), rows in probabilities.groupby(["outcome_label", "set"], sort=False):
    page.figure(
        calibration_room.calibration(rows, calibrated, calibration_curves),
        name=f"calibration_{outcome}_{name}".replace("-", "_"),
        caption=f"Observed against predicted frequency of a good outcome (local lines with 95 % bootstrap bands), and the "
        f"predictions below; outcome label {outcome}, set {name}.",
        alt="One panel a model: a curve near the diagonal means that predicted probabilities are observed frequencies.",
    )

# %% [markdown]
# ## Would acting on it help?
#
# Net benefit weighs good outcomes recognised against poor ones taken for good, by the threshold at which one would act.
# A model helps where it lies above both lines that need no model.

# %%
decided = decision.table(final, n_resamples=n_resamples, seed=seed)
page.table(
    decided,
    name="decision_curve",
    caption="Net benefit at each threshold probability.",
    note="One unit is a good outcome recognised, per patient.",
    digits=3,
)
for name, rows in [(name, rows) for name, rows in groups if "probability" in set(rows["kind"])]:
    page.figure(
        thresholds_room.decision_curves(rows, decided, focus=focus),
        name="decision_curve" if rows is main else f"decision_curve_{name}",
        caption=f"Decision curves, outcome label {rows['outcome_label'].iloc[0]}, set {rows['set'].iloc[0]}; band: "
        "pointwise 95 % bootstrap interval of the thick or last model.",
        alt="Net benefit of each model against threshold probability, with the lines of predicting all or nobody good.",
    )

# %% [markdown]
# ## Beside what was published, and what was planted
#
# A study on simulated patients can't replicate a paper: it only shows that the pipeline finds what was put in.

# %%
papers = schema.read_yaml(here.root / "params" / "published.yaml")["numbers"]
page.table(
    published.against_published(papers, performed, decisions),
    name="published",
    caption="Published numbers beside those of this run.",
    note="here is blank where this run has no such number.",
)
page.figure(
    forest.forest(published.beside_published(performed, papers)),
    name="forest",
    caption="Areas under the ROC curve with 95 % intervals beside the published ones.",
    alt="One row a model and set: a square with its interval, and a diamond where a paper gave a value.",
)

# %%
known = here.data / "truth.json"
simulated = not data and known.is_file()
truth = json.loads(known.read_text(encoding="utf-8")) if simulated else {}
page.table(
    published.against_truth(performed, truth.get("models", {}), outcomes=truth.get("outcomes", [])),
    name="truth",
    caption="ROC area and Brier score that were planted in the simulated cohort, and what was recovered.",
    note="No rows: the patients are real, or their truth is not at hand. planted is the best that a modality can reach (the "
    "largest ROC area, the smallest Brier score); a network that has to learn it from few images does worse. Under the label "
    "by which the outcomes were drawn.",
    digits=3,
)

# %% [markdown]
# ## Which interval can be believed?
#
# From a simulation in which the truth is known (`make coverage`): cohorts of 64, 321 and 533 patients with 15 and 21 %
# good outcomes, drawn one patient at a time, and how often each kind of 95 % interval held the truth. A stratified
# bootstrap keeps the number of good outcomes as if it were known beforehand. That does little harm to the ROC area, but
# much to Brier score, log loss and PR-AUC, which depend on the prevalence: their stratified intervals are too narrow for
# a cohort that was recruited one patient at a time. The report quotes the intervals marked as recommended.

# %%
simulated = pd.read_csv(here.root / "docs" / "coverage.csv")
covered = published.coverage_summary(simulated)
page.table(
    covered,
    name="coverage",
    caption="How often each kind of 95 % interval held the truth, over sizes, prevalences and models.",
    note="Not made from this study's patients; every single cell with its Monte Carlo error is in docs/coverage.csv. "
    "shortfall: how far the coverage stayed below 0.95 in the mean of the cells.",
    digits=3,
)
brier = covered[covered["statistic"] == "brier"].set_index("interval")["lowest_coverage"]
page.text(
    "At worst, the interval of the Brier score held the truth in {stratified} of simulated cohorts with a stratified "
    "bootstrap, and in {unstratified} without strata ([](#tab-coverage)).",
    stratified=float(brier["bootstrap percentile, stratified"]),
    unstratified=float(brier["bootstrap BCa, unstratified"]),
)
