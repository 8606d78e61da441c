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
# # What do missing values do to the models?
#
# Each base model on tables is fitted again in every outer fold, with the hyperparameters that notebook 04 chose, and
# only the handling of missing numbers differs: **as they are** (LightGBM), the **median with an indicator**, **multiple
# imputation** (chained equations without the outcome, several draws, probabilities averaged) and **complete cases**.
# Whatever is imputed is learned from the same patients as the model, never from those it is tested on.
#
# *Reads* the cohort, the splits, the network's scores and the searches of notebook 04, whose parameters it takes.
# *Writes* the table `missing_data`.

# %% tags=["parameters"]
study_name: str = "ensemble"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_label: str = "standard"  # outcome label that the models learn: revised or standard
base_models: dict = {}  # as in 04_stacking
spaces: dict = {}  # as in 04_stacking
trials: int = 50  # as in 04_stacking
stack_monotonic: bool = False  # as in 04_stacking
seed: int = 1  # as in 04_stacking
imputations: int = 5  # imputations whose probabilities are averaged
n_resamples: int = 1000  # bootstrap resamples of patients

# %%
import pandas as pd

from postarrest import evaluation, figures, models, places
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="11_missing")
cohort = pd.read_parquet(here.build("cohort.parquet"))
splits = pd.read_parquet(here.build("splits.parquet"))
study = (splits, cohort[f"y_good_{outcome_label}"], models.tabular.known_beforehand(cohort))
searches = {"keep": here.build("optuna"), "trials": trials, "seed": seed}
declared, searched = models.tabular.declared(base_models), models.tabular.spaces(spaces)

# %% [markdown]
# ## Does the handling change the base models?
#
# Complete cases are other patients: they are compared with the other handlings in the patients who have no missing value,
# and nobody else can be predicted that way.

# %%
folds = models.crossfit.outer_folds(*study, **searches)
handled = models.missing.compare(declared, cohort, folds, spaces=searched, imputations=imputations)
resampling = {"n_resamples": n_resamples, "seed": seed}
by_handling = evaluation.missing.table(handled, **resampling)
if len(by_handling):
    page.figure(
        figures.forest.handlings(by_handling),
        name="missing_handling",
        caption=f"Base models by handling of missing values, {len(cohort)} patients, in patients not used for fitting, "
        "with 95 % intervals; differences are paired, to the study's own handling.",
        alt="One row per model and handling: where the difference's interval includes 0, the handling is not shown to "
        "matter.",
    )

# %% [markdown]
# ## What if a base model is missing when the ensemble is used?
#
# A hospital without a CT scan, or a patient whose pupils were not measured, has no probability of that base model. It is
# replaced by the mean of that probability in the training patients; the ensemble is not fitted again.

# %%
folds_at_use = models.crossfit.outer_folds(*study, **searches)
at_use = models.missing.missing_at_use(
    declared,
    cohort,
    folds_at_use,
    spaces=searched,
    monotonic=stack_monotonic,
    scores_of=here.build(""),
    label=outcome_label,
)
by_pattern = evaluation.missing.table(at_use, **resampling)
page.figure(
    figures.forest.handlings(by_pattern),
    name="missing_at_use",
    caption=f"The ensemble with base models replaced by their training mean, {len(at_use['patient_id'].unique())} "
    "patients not used for fitting, with 95 % intervals; differences are paired, to the ensemble that knows all.",
    alt="One row per combination of missing base models: the further left, the more the ensemble loses without them.",
)
page.standard_table(pd.concat([by_handling, by_pattern]), name="missing_data")

# %% [markdown]
# ## Was any patient scored by a model fitted on that patient?

# %%
for part, of_part in {"missing values": folds, "missing base models": folds_at_use}.items():
    leakage = pd.concat([fold.ledger.table() for fold in of_part])
    page.standard_table(leakage, name="leakage", part=part, described="leakage_of_fits")
