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
# # Does a model that was fitted elsewhere hold in these patients?
#
# A frozen model is applied as it is: nothing is fitted, tuned or chosen before the last section. Its thresholds are those that were chosen
# where it was fitted. The page Evaluation reports discrimination, calibration and net benefit in full.
#
# *Reads* a frozen model and this study's patients, with their CT slices, readings and automatic readings. *Writes* the scores of all
# patients, and the update of the model that these patients support.

# %% tags=["parameters"]
study_name: str = "hospital2"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
model_path: str = ""  # folder of the frozen model, full path
outcome_label: str = "standard"  # outcome label on which the model is judged: revised or standard
n_resamples: int = 1000  # bootstrap resamples of patients
seed: int = 2026  # seed of the resamples
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all

# %%
import json
from pathlib import Path

import pandas as pd

from postarrest import describe, evaluation, figures, files, models, places, scores, simulate
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="08_external")
frozen = models.bundle.load(Path(model_path))
about, out_of_fold = frozen.manifest, pd.DataFrame(frozen.manifest["out_of_fold"]).T
cohort = pd.read_parquet(here.build("cohort.parquet"))
y = cohort[f"y_good_{outcome_label}"]

# %% [markdown]
# ## Which model?

# %%
page.text(
    "The model of the study *{study}* ({title}) was fitted on {n_fitted} {kind} ({n_fitted_good} good outcomes, {label} "
    "label: {meaning}). Its main model is {model}. {intended}",
    study=about["study"],
    title=about["title"],
    kind="simulated patients" if about["simulated"] else "patients",
    n_fitted=about["population"]["n"],
    n_fitted_good=about["population"]["n_good"],
    label=about["outcome"]["label"],
    meaning=about["outcome"]["meaning"],
    model=about["main"],
    intended=about["intended_use"],
)
page.text(
    "It was frozen with {packages}. Network on head CT: {network}.",
    packages=", ".join(f"{name} {version}" for name, version in about["packages"].items()) or "no package",
    network=about["network"] or "none",
)

# %% [markdown]
# ## Are these patients like those in whom it was fitted?
#
# The frozen model has no patient's row, only aggregates, which are set beside the same aggregates of these patients. From
# the means and covariances of the numbers in both groups follows how well a linear membership model would tell them apart
# (Debray 2015): an AUC of .5 if they are alike, 1 if no patient here could be one from there.

# %%
known = models.tabular.known_beforehand(cohort)
beside = models.bundle.beside(about, known, y, mask_below=mask_below)
page.standard_table(beside, name="external_population")
page.text(
    "Membership model: AUC {membership}, with {n_compared} variables ({compared}).",
    **models.bundle.apart(about, known, mask_below=mask_below),
)
page.figure(
    figures.external.differences(beside),
    name="external_population",
    caption=f"Standardised differences between these {len(cohort)} patients and the {about['population']['n']} in whom the "
    "model was fitted.",
    alt="One line per characteristic from zero to its standardised difference, the largest at the top.",
)
page.standard_table(simulate.planted_differences(here.data, about["simulation"]), name="external_planted")
ct = models.cnn.features.slices(here)
# Without CT there is nothing to read.
automatic, doubts, _ = models.gwr_automatic.read(here, cohort.index) if len(ct[0]) else (None, None, 0)
flags = models.bundle.flags(frozen, known, doubts=doubts)
page.standard_table(
    describe.flag_counts(flags, n_patients=len(cohort), mask_below=mask_below), name="external_flags"
)

# %% [markdown]
# ## Who can be scored?

# %%
scored = models.bundle.score(
    frozen,
    known,
    ct=ct,
    readings=pd.read_parquet(here.build("gwr.parquet")),
    automatic=automatic,
)
page.standard_table(models.bundle.not_scored(scored, about, mask_below=mask_below), name="external_scored")
table = scores.check(models.bundle.rows(scored, about, y, outcome_label=outcome_label))
scores.write(table, here.out("scores_external.csv"))

# %% [markdown]
# ## Does it discriminate and is it calibrated here?
#
# An AUC that is lower here may be due to the model, or to patients who are more alike than those in whom it was fitted.

# %%
every_stage = scores.sets(table)
final = every_stage[every_stage["stage"] == "final"]
resampling = {"n_resamples": n_resamples, "seed": seed}
performance = evaluation.discrimination.table(evaluation.discrimination.resample(final, **resampling))
external = evaluation.external.beside_frozen(performance, out_of_fold)
page.standard_table(external, name="external")
page.figure(
    figures.external.aucs(external),
    name="external",
    caption=f"AUC of each frozen model in these {len(y)} patients and, out of fold, in those in whom it was fitted; 95 % "
    "intervals.",
    alt="One row per model with two markers and their intervals: where the model was fitted, and here.",
)
calibration, curves = evaluation.calibration.table(every_stage, **resampling)
page.text(
    "**{model}**: AUC {auc} here ([](#tab-external)); calibration slope {slope} and intercept {intercept} (ideal: 1 and 0).",
    table="external",
    model=about["main"],
    **evaluation.external.stated(external, calibration, about["main"]),
)

# %% [markdown]
# ## What do the frozen thresholds decide here?
#
# A threshold that kept false pessimism below 5 % where it was chosen need not do so here.

# %%
thresholds = evaluation.thresholds.table(final, table, frozen=models.bundle.thresholds_of(model_path))
carried = thresholds[thresholds["chosen_on"] == "frozen"].drop(
    columns=["stage", "threshold_min", "threshold_max"]
)
page.standard_table(carried, name="external_thresholds")
for stated in evaluation.external.false_pessimism(carried, about["main"]):
    page.text(
        "**{rule}** of {model}: {wrong} of {n_good} patients with a good outcome were predicted to have a poor one: false "
        "pessimism {fnr} ([](#tab-external-thresholds)).",
        table="external_thresholds",
        of=stated["rule"],
        model=about["main"],
        **stated,
    )
page.standard_table(models.bundle.decided(scored, about, y, mask_below=mask_below), name="external_decisions")

# %% [markdown]
# ## Should the model be updated here?
#
# A model that discriminates elsewhere may predict probabilities that are too high, too low or too extreme there. The
# smallest update that repairs this is the best one, because each coefficient is estimated from the good outcomes here.
# Every update is judged in patients whom it was not fitted on, in tenfold cross-fitting.

# %%
main = final[final["model"] == about["main"]].set_index("patient_id")
bases = scored.scores.loc[main.index, models.bundle.bases(frozen, about["main"])]
judging = {"y_good": main["y_good"], "probability": main["score"]}
refit = models.bundle.refitted(bases, main["y_good"], seed=seed)
updated = evaluation.updating.cross_fit(**judging, seed=seed, further=refit)
judged, gains = evaluation.updating.performance(main["y_good"], updated, **resampling)
page.standard_table(judged, name="updating")
page.figure(
    figures.forest.updates(judged, about["main"]),
    name="updating",
    caption=f"Calibration and Brier skill of {about['main']} in these {len(main)} patients, as it was frozen and by each "
    "update, in patients whom the update was not fitted on; 95 % intervals.",
    alt="One row per update in three panels: observed to expected good outcomes, calibration slope, and Brier skill.",
)
page.standard_table(gains, name="updating_gains")

# %% [markdown]
# Which update do these patients support? The closed test keeps the model as it is unless the data contradict it.

# %%
chosen = evaluation.updating.closed_test(**judging, revision=models.stacking.log_odds(bases))
page.standard_table(chosen.steps, name="updating_test")
page.text(
    "These patients, {n_good} of them with a good outcome, support **{update}** ([](#tab-updating-test)). The model with "
    "this update is frozen again, with thresholds chosen on the scores that the update gave patients whom it was not "
    "fitted on.",
    table="updating_test",
    n_good=chosen.n_good,
    update=evaluation.updating.IN_WORDS[chosen.update],
)
files.write_text(here.out("update.json"), json.dumps(evaluation.updating.kept(chosen, **judging), indent=1))
name = about["main"] + models.bundle.ENDING
kept = main.assign(
    model=name, role="train_oof", score=updated.probabilities[chosen.update].to_numpy()
).reset_index()
scores.write(kept, here.out("scores_updated.csv"), tested=False)

# %% [markdown]
# The page Evaluation continues from the scores of the model as it was frozen.
