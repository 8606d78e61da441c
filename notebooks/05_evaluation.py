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
# # How well do the models predict neurological recovery?
#
# The positive class is the **good** outcome unless a column says otherwise. A patient whose score is at least the
# threshold is predicted to have a good outcome. **False pessimism** (FNR) is the share of good outcomes predicted to
# be poor; the guideline wants it near zero and calls it the false positive rate.
#
# *Reads* the scores table, `build/<study>/scores.csv` or any file of that form, and nothing else of the patients.
# *Writes* the tables and figures of the evaluation.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
data: str = ""  # folder or file of real data; blank: the study's simulated patients
scores_file: str = ""  # a scores table from elsewhere, full path; blank: the study's own
model_path: str = ""  # folder of a frozen model whose thresholds are carried over; blank: there is none
n_resamples: int = 1000  # bootstrap resamples of patients
seed: int = 2026  # seed of the resamples
primary: list = []  # the two models of the primary comparison, named beforehand; none if empty
focus: str = ""  # model whose band and operating points are drawn; blank: ensemble, cnn or the first
fixed_thresholds: dict = {"0.5": ["probability", 0.5], "GWR 1.2": ["gwr_[!u]*", 1.2]}  # name: [models, value]

# %%
from pathlib import Path

import pandas as pd

from postarrest import evaluation, figures, models, places, scores, study
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="05_evaluation")
table = scores.read(Path(scores_file) if scores_file else here.build("scores.csv"))
every_stage = scores.sets(table)
final = every_stage[every_stage["stage"] == "final"]
main = scores.main(final)
resampling = {"n_resamples": n_resamples, "seed": seed}

# %% [markdown]
# ## Which patients are evaluated?

# %%
page.standard_table(scores.census(final), name="evaluated")

# %% [markdown]
# ## How well do the scores discriminate good from poor outcomes?
#
# Without skill, the PR-AUC equals the prevalence of that outcome, and the Brier skill is 0. *Fold mean* is the mean over
# the outer folds, as published; *pooled* combines them, a stricter requirement: scores must mean the same in every fold.

# %%
resampled = evaluation.discrimination.resample(final, **resampling)
performance = evaluation.discrimination.table(resampled)
page.standard_table(evaluation.discrimination.summary(performance), name="performance_summary")
aucs = evaluation.discrimination.aucs(performance, main)
focus = evaluation.discrimination.main_model([auc["of"] for auc in aucs], focus)
for auc in aucs:
    if auc["of"] in (focus, *primary):
        page.text("**{model}**: AUC {roc_auc} in {patients}.", table="performance", **auc)
page.standard_table(performance, name="performance")

# %%
frozen = models.bundle.thresholds_of(model_path)
thresholds = evaluation.thresholds.table(final, table, fixed=fixed_thresholds, frozen=frozen)
page.figures(
    figures.by_set(figures.curves.curves, final, performance, thresholds, focus=focus, **resampling),
    name="roc",
    main_first=True,
    caption="ROC and precision-recall curves, {label}. Bands: pointwise 95 % bootstrap intervals of the thick curve. "
    "Points: its thresholds, chosen on the training set if there is one, applied to these patients.",
    alt="ROC curves on the left and precision-recall curves on the right, one line per model with its AUC.",
)
page.figure(
    figures.curves.roc_panels(main, performance, thresholds, **resampling),
    name="roc_panels",
    caption="Each model's ROC curve with its pointwise 95 % bootstrap band and operating points.",
    alt="One panel per model with its ROC curve, the band around it, and marked operating points.",
)
page.figure(
    figures.thresholds.distributions(main),
    name="score_distributions",
    caption="Scores by outcome: good upwards and filled, poor downwards and hatched.",
    alt="Mirrored histograms of scores by outcome; the less they overlap, the better the model discriminates.",
)

# %% [markdown]
# ## Is one model better than another?
#
# Each pair is compared in the patients that both models score. *P value (Holm)* is corrected for the number of pairs,
# except in the primary comparison. A test that takes the fitted models as given rejects too often when they were trained in a
# cross-validation; *for the procedure* allows for training on other patients of the same hospitals. If each fold leaves out
# a hospital, it does not hold for the next one.

# %%
compared = evaluation.comparisons.comparisons(final, primary=primary, resampled=resampled, **resampling)
page.standard_table(compared, name="comparisons")

# %% [markdown]
# ## Does the result depend on the split?
#
# Repeated splits share patients, so their spread is not a confidence interval. Nor is that of the small outer folds.

# %%
spread = evaluation.discrimination.spread(scores.splits(table))
page.standard_table(evaluation.discrimination.spread_summary(spread), name="split_spread")
page.figures(
    figures.forest.split_spread(spread),
    name="split_spread",
    caption="AUC in each of {label}.",
    alt="One row of dots per model, one dot per split; their spread shows how misleading a single split can be.",
)
page.standard_table(evaluation.discrimination.by_fold(final), name="performance_by_fold")
page.standard_table(evaluation.optimism.inner_outer(final, table), name="inner_outer")

# %% [markdown]
# ## Which threshold, and with what consequences?
#
# A threshold is chosen on *training* scores (out-of-fold predictions, or those of the tuning set of a hold-out split),
# *where the model was fitted* (a frozen model), on *test* scores (the same that are then evaluated, as paper B seems to
# have done: optimistic), or is *fixed* (set beforehand). *Spec-Max* has the highest specificity with an FNR below 5 %; *Spec-Max-CI* applies this to the upper
# 95 % confidence limit of the FNR (exact), as the guideline does; *FNR 0* allows no false pessimism.

# %%
of_main = evaluation.decision.of_model(thresholds, main, focus)
for decided in evaluation.decision.consequences(of_main):
    page.text(
        "**{rule}**: the main model predicted {wrongly_poor} of {n_good} good outcomes to be poor, an FNR of {fnr} % (upper "
        "95 % limit {fnr_upper} %), and recognised {recognised_poor} of {n_poor} poor outcomes.",
        table="thresholds",
        units={"fnr": "%", "fnr_upper": "%"},
        **decided,
    )
for undecided in of_main[of_main["threshold"].isna()].itertuples():
    page.text(
        "**{rule}**: no threshold: {why}.",
        rule=undecided.rule,
        why=evaluation.thresholds.why_none(undecided.note),
    )
page.standard_table(of_main.drop(columns="note"), name="thresholds_of_main")
page.standard_table(thresholds.drop(columns="stage"), name="thresholds")
page.figures(
    figures.by_set(figures.thresholds.thresholds, final, thresholds),
    name="thresholds",
    main_first=True,
    caption="Sensitivity, specificity and FNR against the threshold, {label}. At most 5 % FNR is tolerated.",
    alt="One panel per model: specificity rises and sensitivity falls with the threshold, and the FNR rises.",
)
page.standard_table(models.leakage.of_thresholds(table), name="leakage", part="thresholds")
decisions = evaluation.decision.at_thresholds(thresholds, **resampling)
page.standard_table(decisions, name="performance_at_thresholds")
page.standard_table(evaluation.thresholds.optimism(thresholds), name="threshold_optimism")
sweep = evaluation.thresholds.sweep(final, **resampling).drop(columns="stage")
page.standard_table(sweep, name="threshold_sweep")
low = evaluation.thresholds.with_low_fnr(final, **resampling).drop(columns="stage")
page.standard_table(low, name="thresholds_fnr5")
page.standard_table(evaluation.optimism.realised_fnr(final, table), name="realised_fnr")

# %% [markdown]
# ## Sensitivity analysis: the other outcome label
#
# Under the other label, GWR is the same and only the patients whose label changes differ; a network was trained
# again. Each resample draws the same patients under both labels.

# %%
labels = evaluation.labels.between_labels(final, **resampling)
page.standard_table(labels, name="labels")
if len(labels):
    page.figure(
        figures.forest.labels(labels),
        name="labels",
        caption="AUCs with 95 % intervals under both outcome labels; at the right, the paired difference.",
        alt="Two markers with intervals per model and set; where they are close, the label matters little.",
    )
    page.standard_table(evaluation.labels.labels_at_thresholds(decisions), name="labels_at_thresholds")

# %% [markdown]
# ## Are the predicted probabilities calibrated?
#
# Ideal: intercept 0, slope 1, ICI (mean distance between predicted and observed frequency) 0. Below 0, the intercept
# means that predictions are too high, as after training with equal class weights (paper A); below 1, the slope means
# that they are too extreme. Both affect the Brier score, decisions at 0.5 and net benefit, but not the AUC.

# %%
calibration, calibration_curves = evaluation.calibration.table(every_stage, **resampling)
page.standard_table(calibration, name="calibration")
page.figures(
    figures.by_set(figures.calibration.calibration, every_stage, calibration, calibration_curves),
    name="calibration",
    caption="Observed against predicted frequency (local regression, 95 % bootstrap bands) and predictions; {label}.",
    alt="One panel per model: near the diagonal, predicted probabilities equal observed frequencies.",
)

# %% [markdown]
# ## Is the model clinically useful?
#
# Net benefit is good outcomes recognised per patient, minus poor ones predicted good, weighted by the threshold at which
# one would act. A model is useful where it lies above both lines that need no model.

# %%
net_benefit = evaluation.decision.table(final, **resampling)
for of_model in evaluation.decision.useful(net_benefit, main):
    page.text(
        "**{model}**: net benefit above that of predicting all good and above that of predicting nobody good, with both "
        "lower 95 % limits above 0, {where} ([](#tab-decision-curve)).",
        table="decision_curve",
        **of_model,
    )
page.standard_table(net_benefit, name="decision_curve")
page.figures(
    figures.by_set(figures.thresholds.decision_curves, final, net_benefit, focus=focus),
    name="decision_curve",
    main_first=True,
    caption="Decision curves, {label}. Band: pointwise 95 % bootstrap interval of the model with the solid line.",
    alt="Net benefit against threshold probability by model, with the lines for predicting all or nobody good.",
)

# %% [markdown]
# ## How do the results compare with the published and the planted values?
#
# A study of simulated patients cannot replicate a paper: it shows only whether the pipeline recovers what was planted.

# %%
papers = study.read_yaml(here.root / "params" / "published.yaml")["numbers"]
page.standard_table(evaluation.published.against_published(papers, performance, decisions), name="published")
page.figure(
    figures.forest.forest(evaluation.published.forest_rows(performance, papers)),
    name="forest",
    caption="AUCs with 95 % intervals alongside the published ones.",
    alt="One row per model and set: a square with its interval, and a diamond for a published value.",
)
planted = evaluation.published.planted(here.data / "truth.json", simulated=not data)
page.standard_table(evaluation.published.against_truth(performance, **planted), name="truth")

# %% [markdown]
# ## Which intervals keep their nominal coverage?
#
# In simulated cohorts (`make coverage`), not this study's. A stratified bootstrap treats the number of good outcomes as
# known, so the intervals of measures that depend on the prevalence are too narrow.

# %%
coverage = evaluation.published.coverage_summary(pd.read_csv(here.root / "docs" / "coverage.csv"))
page.standard_table(coverage, name="coverage")
page.text(
    "The lowest coverage of the Brier score's interval was {stratified} with a stratified bootstrap and {unstratified} "
    "with an unstratified one ([](#tab-coverage)).",
    table="coverage",
    **evaluation.published.lowest_coverage(coverage, "brier"),
)

# %% [markdown]
# Models that are trained vary with their training patients. An interval that takes them as given is too narrow for the
# procedure; that of DeLong with the variance of Nadeau and Bengio for the procedure costs no further fits.

# %%
trained = pd.read_csv(here.root / "docs" / "coverage-training.csv")
page.standard_table(evaluation.published.coverage_of_trained(trained), name="coverage_training")
