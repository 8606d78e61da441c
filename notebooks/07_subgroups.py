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
# # For whom do the models work?
#
# Each group is evaluated on the same scores as on the page Evaluation: patients not used for fitting. A group with too few
# good, or too few poor, outcomes has no figures. **False pessimism** (FNR) is the share of good outcomes predicted to be
# poor, at thresholds chosen on the training set of each fold and not in the group.
#
# *Reads* the scores table and, of the cohort, the variables that define the groups. *Writes* the table `subgroups`.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
groups: dict = {}  # column: [] (each value), cut points, or {name: [values]}; empty: the usual ones
least: int = 10  # fewest good, and fewest poor, outcomes of a group with figures
focus: str = ""  # main model: drawn, its tests corrected on their own; blank: ensemble, else cnn
rules: list = ["Spec-Max", "Spec-Max-CI", "Youden"]  # thresholds at which false pessimism is given
fixed_thresholds: dict = {"GWR 1.2": ["gwr_[!u]*", 1.2]}  # further thresholds, name: [models, value]
net_benefit_at: list = [0.1]  # threshold probabilities of the net benefit
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all; as in 01_cohort
n_resamples: int = 1000  # bootstrap resamples of patients
seed: int = 2026  # seed of the resamples

# %%
import pandas as pd

from postarrest import describe, evaluation, figures, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="07_subgroups")
cohort = pd.read_parquet(here.build("cohort.parquet"))
table = scores.read(here.build("scores.csv"))
every_set = scores.sets(table[table["stage"] == "final"])
final = every_set[every_set["outcome_label"] == every_set["outcome_label"].iloc[0]]

# %% [markdown]
# ## How do the models perform in each group?
#
# The question of every test is whether a measure is the same in all groups of a variable. With many tests, some P values
# are small by chance, so they are corrected (Holm). A test that finds nothing does not show that the groups are alike:
# most are too small for that, as their intervals show.

# %%
grouped = describe.grouped(cohort, groups)
decisions = evaluation.subgroups.decided(final, table, rules=rules, fixed=fixed_thresholds)
subgroups = evaluation.subgroups.table(
    final,
    grouped,
    decisions,
    focus=focus,
    net_benefit_at=net_benefit_at,
    limits=evaluation.subgroups.Limits(least=least, mask_below=mask_below),
    n_resamples=n_resamples,
    seed=seed,
)
for found in evaluation.subgroups.differences(subgroups, focus):
    page.text(found.pop("sentence"), table="subgroups", **found)
page.figures(
    figures.by_set(figures.forest.subgroups, final, subgroups, focus=focus),
    name="subgroups",
    main_first=True,
    caption="Performance of the main model in groups of patients with 95 % intervals, {label}. Lines: AUC of chance, "
    "O:E of 1, false pessimism of 5 %, net benefit of predicting nobody good.",
    alt="One row per group, one panel per measure, with intervals; where they overlap, no difference is shown. Groups "
    "with too few good or poor outcomes have no marker.",
)
page.standard_table(subgroups, name="subgroups")

# %% [markdown]
# ## Did the predictions fulfil themselves?
#
# Where treatment is withdrawn because a patient is expected to do poorly, the outcome is poor, whatever it would have been:
# false pessimism is then recorded as too low, and the AUC as too high. By how much cannot be known, but it has limits. This
# matters for everything that the treating team could see: an early head CT, the pupils, the circumstances of the arrest.

# %%
course = describe.course(cohort)
main = scores.main(final)
drawn = evaluation.discrimination.main_model(list(main["model"].unique()), focus)
by_risk = evaluation.withdrawal.by_risk(main[main["model"] == drawn], course, mask_below=mask_below)
page.standard_table(by_risk, name="withdrawal")
if len(by_risk):
    page.figure(
        figures.withdrawal.by_risk(by_risk),
        name="withdrawal",
        caption=f"Mode of death by fourths of the score of the main model, {len(course)} patients; n above the bars.",
        alt="One stacked bar per fourth of the score, from the lowest: if deaths after withdrawal crowd in the first bar, "
        "treatment followed what the score predicts.",
    )
    bounds = evaluation.withdrawal.bounds(main, course, decisions, mask_below=mask_below)
    page.standard_table(bounds, name="withdrawal_bounds")
    if drawn in set(bounds["model"]):
        page.figure(
            figures.forest.bounds(bounds, drawn),
            name="withdrawal_bounds",
            caption=f"What the main model's AUC and false pessimism could be without withdrawal of treatment, {len(course)} "
            "patients, with 95 % intervals.",
            alt="One row per assumption about the patients in whom treatment was withdrawn: the wider apart lowest and highest, "
            "the less the recorded figures say.",
        )
    for limits in evaluation.withdrawal.sentence(bounds, drawn):
        page.text(
            "**{model}**, {measure}: {recorded} as recorded; without any withdrawal between {lowest} and {highest}, since the "
            "outcome of {n_unknown} patients would be unknown ([](#tab-withdrawal-bounds)).",
            table="withdrawal_bounds",
            **limits,
        )
