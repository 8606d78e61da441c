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
# # Is the sample large enough, and would other patients have given another model?
#
# The number of patients is set against the published criteria of sample size. Then the nested protocol's modelling
# procedure is repeated on bootstrap samples of the patients, and on fewer patients: base models, the network's head on
# kept features, out-of-fold stack and Platt scaling. Hyperparameters are those that the first outer fold chose. Last,
# patients about whom a model cannot be sure are left undecided.
#
# *Reads* the cohort, the splits, the scores and the hyperparameters of the first outer fold. *Writes* tables and figures.

# %% tags=["parameters"]
study_name: str = "ensemble"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_label: str = "standard"  # outcome label: revised or standard
n_bootstraps: int = 100  # bootstrap samples of patients on which the procedure is repeated
n_retuned: int = 5  # of these, samples on which hyperparameters are also searched anew, as a check
trials: int = 50  # Optuna's trials for each model in these samples
spaces: dict = {}  # search spaces that replace the protocol's own, as in 04_stacking
shares: list = [0.2, 0.4, 0.6, 0.8, 1.0]  # learning curve: sizes as shares of the patients not held out
repeats: int = 20  # repeats of the learning curve, each with patients held out at random
test_share: float = 0.2  # share of the patients held out in each repeat
model: str = "ensemble"  # model of the sample size criteria and of the sentences
rule: str = "Spec-Max"  # rule whose threshold the table of stability uses
fixed_thresholds: dict = {"0.5": ["probability", 0.5]}  # thresholds set beforehand, name: [models, value]
most_false_pessimism: float = 0.05  # limit of three-way decisions: good outcomes predicted poor
most_false_optimism: float = 0.05  # limit of three-way decisions: poor outcomes predicted good
seed: int = 1  # seed of the models and of the samples

# %%
import pandas as pd

from postarrest import evaluation, figures, models, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="06_stability")
cohort = pd.read_parquet(here.build("cohort.parquet")).sort_index()
y = cohort[f"y_good_{outcome_label}"]
first = models.splits.get(pd.read_parquet(here.build("splits.parquet")), "outer-1")
chosen = models.procedure.read_chosen(
    here.build("chosen_outer-1.json"), network=here.build(f"chosen_cnn_outer-1-{outcome_label}.json")
)
rows = models.tabular.predictors_of_all(chosen, cohort)
features = models.procedure.kept_features(chosen, here)
procedure = models.procedure.Nested(chosen, n_folds=len(first.inner), seed=seed, features=features)
table = scores.read(here.build("scores.csv"))
every_set = scores.sets(table[table["stage"] == "final"])
pooled = scores.in_group(every_set, {"outcome_label": outcome_label, "set": "pooled"})

# %% [markdown]
# ## Is the sample large enough?
#
# Riley's criteria say how many patients a model needs to be developed, and how many to be validated elsewhere with
# useful precision.

# %%
validated = evaluation.stability.cross_validated(pooled[pooled["model"].isin(procedure.names)])
mine = pooled[pooled["model"] == model]
criteria = evaluation.sample_size.table(
    mine["y_good"],
    mine["score"],
    c_statistic=validated[model, "roc_auc"].value,
    parameters=models.procedure.n_parameters(chosen, rows),
    n_development=len(rows),
)
page.standard_table(criteria, name="sample_size")
for verdict in evaluation.sample_size.verdicts(criteria):
    page.text(
        "**{purpose}**: {have_n} patients of {needed_n} needed; {verdict} ([](#tab-sample-size)).",
        table="sample_size",
        **verdict,
    )

# %% [markdown]
# ## Would other patients have given other predictions?
#
# Each bootstrap sample stands for another cohort of the same size. Every model predicts the same patients, those of
# this cohort.

# %%
refits = models.repeated.bootstrap(procedure, rows, y, n_bootstraps=n_bootstraps, seed=seed)
fits = {"original": refits.original, "resampled": refits.resampled}
predicted = evaluation.stability.predictions(y, **fits, drawn=refits.drawn)
thresholds = evaluation.thresholds.table(pooled, table, fixed=fixed_thresholds)
usable = thresholds[thresholds["chosen_on"].isin(["train_oof", "fixed"])].dropna(subset="threshold")
decided = evaluation.stability.decisions(**fits, thresholds=usable)
optimism = evaluation.stability.optimism(y, **fits, drawn=refits.drawn, cross_validated=validated)
stability = evaluation.stability.table(predicted, decided, optimism, rule=rule)
page.standard_table(stability, name="stability")
page.text(
    "**{model}**: between the models of {n_bootstraps} bootstrap samples, a patient's predicted probability differs from "
    "that of the model of the whole cohort by {mape} on average ([](#tab-stability)).",
    table="stability",
    **evaluation.stability.in_words(stability, model),
)
page.figure(
    figures.stability.predictions(**fits),
    name="prediction_instability",
    caption=f"Predictions of the models of {n_bootstraps} bootstrap samples against those of the model of the whole "
    f"cohort; {len(y)} patients, counted in hexagons (darker: more). Dashed: 95 % of the predictions.",
    alt="One panel per model: the farther the predictions spread around the diagonal, the less stable the model is.",
)
page.figure(
    figures.stability.errors(evaluation.stability.errors_of_patients(**fits)),
    name="mape",
    caption=f"Distribution of the mean absolute prediction error (MAPE) of {len(y)} patients over the models of "
    f"{n_bootstraps} bootstrap samples; solid line: median, dotted: 90th percentile.",
    alt="One histogram per model of the patients' mean absolute prediction errors.",
)

# %% [markdown]
# Would searching the hyperparameters anew in every sample change the picture? The same samples are fitted in both ways;
# only the head of the network keeps its hyperparameters.

# %%
tuned = models.procedure.Retuned(
    chosen,
    n_folds=len(first.inner),
    seed=seed,
    features=features,
    spaces=models.tabular.spaces(spaces),
    trials=trials,
)
again = models.repeated.bootstrap(tuned, rows, y, n_bootstraps=n_retuned, seed=seed)
ways = {"first outer fold": refits, "searched anew": again}
retuned = {words: (one.original, one.resampled, one.drawn) for words, one in ways.items()}
page.standard_table(evaluation.stability.retuned(y, retuned), name="retuned")

# %% [markdown]
# ## Would decisions have changed?

# %%
page.standard_table(decided, name="reclassification")
page.figure(
    figures.stability.decisions(**fits, table=decided),
    name="decision_instability",
    caption=f"Share of the models of {n_bootstraps} bootstrap samples that decide otherwise than the model of the whole "
    f"cohort, by its predicted probability, at each threshold; means over 20 groups of the {len(y)} patients.",
    alt="One panel per model with a line per threshold: near the threshold, up to half of the models disagree.",
)

# %% [markdown]
# ## Is performance overestimated?
#
# *Apparent* is the performance of the model of the whole cohort in the patients it was fitted on. Its optimism is
# estimated in the bootstrap samples.

# %%
page.standard_table(optimism, name="optimism")
page.figure(
    figures.stability.calibration(evaluation.stability.calibration_curves(y, **fits)),
    name="calibration_instability",
    caption=f"Calibration curves in the {len(y)} patients of the cohort ({y.sum()} good outcomes): of the model of the "
    f"whole cohort, and of those of {n_bootstraps} bootstrap samples.",
    alt="One panel per model: thin curves of the bootstrap models around the curve of the model of the whole cohort.",
)

# %% [markdown]
# ## Would more patients help?
#
# In each repeat the models are fitted on samples of increasing size, each part of the next, and tested in the same
# held-out patients. The curve is not extrapolated: a few sizes of one cohort do not determine how it goes on.

# %%
learned = models.repeated.learn(
    procedure, rows, y, shares=shares, repeats=repeats, test_share=test_share, seed=seed
)
curve = evaluation.learning.table(learned, test_share=test_share)
page.standard_table(curve, name="learning_curve")
page.text(
    "**{model}**: from {n_good_before} to {n_good_after} good outcomes, the AUC in held-out patients changed by {gain} "
    "([](#tab-learning-curve)).",
    table="learning_curve",
    **evaluation.learning.last_gain(curve, model),
)
page.figure(
    figures.stability.learning_curve(curve),
    name="learning_curve",
    caption="AUC and Brier score in held-out patients against the number of good outcomes among the patients that the "
    f"models were fitted on; mean of {repeats} repeats with 95 % intervals.",
    alt="Two panels: one line per model with intervals; where a line still rises, more patients would help.",
)

# %% [markdown]
# ## Which patients can be decided?
#
# Below the lower threshold a patient is predicted poor, from the upper one on good, and between them the model abstains.
# Both thresholds are chosen so that, together with 95 % confidence, *false pessimism* and *false optimism* (poor outcomes
# predicted good) in new patients are within their limits, by exact tests of the observed scores in a fixed order (*learn
# then test*).
#
# In the evaluation, *Spec-Max* limits the observed FNR only and makes no such promise. *Spec-Max-CI* limits its exact upper
# limit and has no correction for choosing among many thresholds; it needs none, since false pessimism can only rise with
# the threshold. It controls one of the two errors.

# %%
limits = {"most_pessimism": most_false_pessimism, "most_optimism": most_false_optimism}
three_way = evaluation.three_way.table(every_set, table, **limits)
page.standard_table(three_way, name="three_way")
page.figure(
    figures.thresholds.three_way(scores.in_group(three_way, scores.group_of(pooled))),
    name="three_way",
    caption=f"Three-way decisions in the test patients of the outer folds, with at most {most_false_pessimism:.0%} false "
    f"pessimism and {most_false_optimism:.0%} false optimism in new patients.",
    alt="Stacked bars per model for good and for poor outcomes: the gray part is left indeterminate.",
)
