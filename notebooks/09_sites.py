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
# # Do the models work in every hospital, and what is to be expected in the next one?
#
# Discrimination and calibration in each hospital, their mean over hospitals, and a **95 % prediction interval**: limits
# between which the measure of a further hospital of the same kind is expected. The interval of the mean alone says
# nothing about a single hospital.
#
# *Reads* the scores table, the cohort's column `site` and the splits. *Writes* the tables and figures by hospital.

# %% tags=["parameters"]
study_name: str = "arrest1000"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
name_sites: bool = False  # the report names the hospitals; otherwise site 1, site 2, ... from the largest
fewest_per_outcome: int = 10  # a hospital with fewer patients of either outcome is counted, but not judged
focus: str = ""  # model that is drawn; blank: the highest AUC
fixed_thresholds: dict = {"0.5": ["probability", 0.5], "GWR 1.2": ["gwr_[!u]*", 1.2]}  # name: [models, value]
drawn_rules: list = ["Spec-Max", "Spec-Max-CI", "0.5"]  # thresholds whose false pessimism is drawn
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all

# %%
import pandas as pd

from postarrest import describe, evaluation, figures, models, places, scores
from postarrest.report import Page
from postarrest.words import model_in_words

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="09_sites")
cohort = pd.read_parquet(here.build("cohort.parquet"))
table = scores.read(here.build("scores.csv"))
site = describe.sites.of(cohort, named=name_sites)
final = scores.sets(table[table["stage"] == "final"])
main = scores.main(final).assign(site=lambda rows: rows["patient_id"].map(site))
left_out = models.splits.by_site(pd.read_parquet(here.build("splits.parquet")), cohort["site"])
patients = main.drop_duplicates("patient_id")

# %% [markdown]
# ## Who is judged, and by which models?

# %%
page.text(evaluation.sites.DESIGNS[left_out], n=len(patients), n_sites=patients["site"].nunique())
counted = describe.sites.counts(
    patients["site"], patients["y_good"], fewest=fewest_per_outcome, mask_below=mask_below
)
page.standard_table(counted, name="sites_patients")

# %% [markdown]
# ## How well do the models discriminate in each hospital, and are they calibrated there?
#
# O:E is the number of good outcomes observed for each one expected: below 1, the probabilities of a good outcome are
# too high. Below 1, the slope means that they are too extreme.

# %%
effects = evaluation.sites.effects(evaluation.sites.records(main, fewest=fewest_per_outcome))
summary = evaluation.sites.summary(effects)
focus = focus or evaluation.sites.best_model(summary)
named = model_in_words(focus)
page.figure(
    figures.sites.forest(effects, summary, model=focus),
    name="sites_forest",
    caption=f"{named} by hospital, with 95 % intervals and the number of patients. Diamond: mean over hospitals with its "
    "95 % interval (Hartung-Knapp). Bar: 95 % prediction interval for the next hospital. Dashed: chance, or ideal.",
    alt=f"Forest plot of the AUC, O:E and calibration slope of {named}: a row per hospital, then the mean and the next.",
)
for row in evaluation.sites.sentences(summary, model=focus):
    page.text(row.pop("template"), table="sites_summary", **row)
page.standard_table(summary, name="sites_summary")
page.standard_table(evaluation.sites.shown(effects, counted), name="sites")

# %% [markdown]
# ## How many good outcomes would be missed in each hospital?
#
# False pessimism (FNR) at thresholds that were not chosen on these patients: *train_oof* thresholds are those of the
# models' own training set, *fixed* ones were set beforehand. The guideline wants the upper limit at most 5 %.

# %%
decisions = evaluation.sites.at_thresholds(main, table, fixed=fixed_thresholds)
accuracy = evaluation.sites.accuracy(decisions, mask_below=mask_below)
page.figure(
    figures.sites.false_pessimism(accuracy, model=focus, rules=drawn_rules),
    name="sites_false_pessimism",
    caption=f"False pessimism of {named} by hospital and threshold: good outcomes predicted poor, in %, with the upper 95 % "
    "limit (exact). Dashed: the guideline's limit of 5 %.",
    alt="A row per hospital for each threshold; a point at the false pessimism and a line to its upper limit.",
)
page.standard_table(accuracy, name="sites_thresholds")
