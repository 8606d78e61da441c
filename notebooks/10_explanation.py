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
# # What drives the base models?
#
# Each LightGBM base model is fitted again in every outer fold, with the hyperparameters that notebook 04 chose, and
# explained in that fold's test patients. A **contribution** (SHAP value) is what a predictor adds to the log odds of a
# good outcome in one patient; contributions and baseline add up to the prediction. They describe the model: a predictor
# that matters here need not cause the outcome, and correlated predictors share their contribution.
#
# *Reads* the cohort, the splits and the searches of notebook 04, whose parameters it takes. *Writes* the table `shap`.

# %% tags=["parameters"]
study_name: str = "ensemble"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_label: str = "standard"  # outcome label that the models learn: revised or standard
base_models: dict = {}  # as in 04_stacking
spaces: dict = {}  # as in 04_stacking
trials: int = 50  # as in 04_stacking
seed: int = 1  # as in 04_stacking
n_resamples: int = 1000  # bootstrap resamples of patients

# %%
import pandas as pd

from postarrest import evaluation, figures, models, places
from postarrest.report import Page
from postarrest.words import model_in_words

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="10_explanation")
cohort = pd.read_parquet(here.build("cohort.parquet"))
folds = models.crossfit.outer_folds(
    pd.read_parquet(here.build("splits.parquet")),
    cohort[f"y_good_{outcome_label}"],
    models.tabular.known_beforehand(cohort),
    keep=here.build("optuna"),
    trials=trials,
    seed=seed,
)

# %% [markdown]
# ## Which predictors contribute most, and do the folds agree?

# %%
explained = models.explanation.explain(
    models.tabular.declared(base_models), cohort, folds, spaces=models.tabular.spaces(spaces)
)
importance = evaluation.explanation.importance(explained.contributions, n_resamples=n_resamples, seed=seed)
page.standard_table(importance, name="shap")
for of_model in evaluation.explanation.agreement(explained.contributions):
    page.text(
        "**{model}**: the rankings of two of its {n_folds} folds correlate by {spearman} on average (Spearman; "
        "[](#tab-shap)).",
        table="shap",
        **of_model,
    )
page.text(
    "Baseline and contributions add up to the predicted log odds; the largest difference is {largest_gap}.",
    units={"largest_gap": "log odds"},
    largest_gap=explained.largest_gap,
)

# %% [markdown]
# ## In which direction, and how much in each patient?

# %%
for model, of_model in explained.contributions.groupby("model", sort=False):
    named, n = model_in_words(model), of_model["patient_id"].nunique()
    page.figure(
        figures.explanation.beeswarm(of_model, importance[importance["model"] == model]),
        name=f"shap_{model}",
        caption=f"Contributions of the predictors of the model {named} in {n} patients not used for fitting, one point "
        "per patient; at the right, their mean size with its 95 % interval.",
        alt="One row of points per predictor: the wider the row, the more the predictor moves the predictions.",
    )
    page.figure(
        figures.explanation.dependence(of_model, importance[importance["model"] == model]),
        name=f"shap_dependence_{model}",
        caption=f"Contribution of each predictor of the model {named} against its value, {n} patients; diamonds: means "
        "of fifths of the patients (or of a category) with 95 % intervals.",
        alt="One panel per predictor: where the diamonds rise, higher values make a good outcome more probable.",
    )

# %% [markdown]
# How much the ensemble relies on each base model is on the pages of the ensemble (permutation importance).

# %% [markdown]
# ## Was any patient explained by a model fitted on that patient?

# %%
leakage = pd.concat([fold.ledger.table() for fold in folds])
page.standard_table(leakage, name="leakage", part="explanation", described="leakage_of_fits")
