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
# # Do several weak predictors make a good one?
#
# In one outer fold: each base model is tuned in the inner folds and scores its development patients out of fold;
# these probabilities are quantile-transformed, stacked by a random forest and calibrated by Platt scaling; then
# everything is refitted on the development patients and scores the test patients, once.
#
# *Reads* the cohort, the splits and the CNN's scores of this fold. *Writes* the scores of the base models and of
# the ensemble.

# %% tags=["parameters"]
study_name: str = "ensemble"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
split: str = "outer-1"  # outer fold
outcome_label: str = "standard"  # outcome label to learn: revised or standard
# fmt: off
models: dict = {"ohca": {"algorithm": "lightgbm", "predictors": ["initial_rhythm", "no_flow_min", "low_flow_min", "creatinine_umol_l", "lactate_mmol_l"]}, "pupil": {"algorithm": "logistic", "predictors": ["pupil_left_mm", "pupil_right_mm"]}, "ct": {"algorithm": "cnn"}}  # base models: algorithm and predictors of each
# fmt: on
spaces: dict = {}  # search spaces that replace the published protocol's, by algorithm
trials: int = 50  # Optuna's trials for each base model and for the stack
ohca_floor_min: float = 0.5  # least minutes of no-flow and low-flow before the OHCA score's logarithms
comparators: list = ["ohca_score"]  # scores computed as they stand: ohca_score, or none
seed: int = 1  # seed of every model

# %%
import pandas as pd

from postarrest import places, scores
from postarrest.figures import cnn as draw_search
from postarrest.figures import stacking as draw
from postarrest.models import ohca, splits, stacking, tabular, tuning
from postarrest.models.leakage import Ledger
from postarrest.report import page as page_room

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="04_stacking", part=split)
cohort = pd.read_parquet(here.build("cohort.parquet"))
y = cohort[f"y_good_{outcome_label}"]
divided = pd.read_parquet(here.build("splits.parquet"))
this = splits.get(divided, split)
declared = tabular.declared(models)
searched = tabular.SPACES | spaces
ledger = Ledger(this, tabular.known_beforehand(cohort))

# %% [markdown]
# ## Who is in which fold?

# %%
counts = splits.counts(divided, y)
page.figure(
    draw.nested_design(counts, highlight=split),
    name="nested_design",
    caption="The nested cross-validation as it was divided: patients and good outcomes of each outer and inner "
    "fold. The frame marks the fold of this page.",
    alt=f"Bars of the outer folds, each divided into inner folds and test patients; {split} is framed.",
)
page.text(
    "This fold: {n_development} development patients ({n_development_good} good outcomes), {n_test} test patients "
    "({n_test_good} good).",
    n_development=len(this.development),
    n_development_good=int(y[this.development].sum()),
    n_test=len(this.test),
    n_test_good=int(y[this.test].sum()),
)

# %% [markdown]
# ## Base models
#
# A model that takes `select` as its algorithm tries logistic regression, random forest and LightGBM and keeps the
# one with the highest mean ROC-AUC in the inner folds.

# %%
fitted = stacking.fit_bases(
    declared,
    cohort,
    y,
    this,
    trials=trials,
    seed=seed,
    spaces=searched,
    keep=here.build("optuna"),
    cnn_scores=here.build(f"scores_cnn_{split}-{outcome_label}.csv"),
    cnn_lineage=here.build(f"seen_cnn_{split}-{outcome_label}.json"),
    ledger=ledger,
)
page.table(
    fitted.algorithms,
    name="base_algorithms",
    caption="Algorithm of each base model, and its mean ROC-AUC in the inner folds, where it was chosen.",
    note="These values are those of the search and therefore optimistic; 05_evaluation judges the test patients.",
    digits=3,
)

# %%
page.figure(
    draw_search.history(fitted.histories),
    name="base_search",
    caption="The searches: each trial (circles) and the best so far (line).",
    alt="ROC-AUC of each trial of each base model's search, with the best so far as a rising line.",
)

# %% [markdown]
# ## What the stack gets to see
#
# Each development patient's probability comes from a model that was fitted without that patient.

# %%
page.figure(
    draw.meta_features(fitted.out_of_fold, y),
    name="meta_features",
    caption="Out-of-fold probabilities of the development patients by outcome (paper B's Figure S1).",
    alt="Histograms of each base model's out-of-fold probabilities in good and in poor outcomes.",
)

# %% [markdown]
# ## The ensemble

# %%
stack = stacking.fit_stack(
    fitted.out_of_fold,
    fitted.test,
    y,
    this,
    trials=trials,
    seed=seed,
    space=searched["forest"],
    keep=here.build("optuna"),
    ledger=ledger,
)
page.table(
    pd.concat([fitted.chosen, tuning.chosen_table(stack.tuned, fold=this.fold, model="ensemble")]),
    name="hyperparameters",
    caption="Hyperparameters of the base models and of the stack: the space searched and the values chosen.",
)
page.figure(
    draw_search.history({"ensemble": stack.tuned.history}),
    name="stack_search",
    caption="The search for the stack: each trial (circles) and the best so far (line).",
    alt=f"ROC-AUC of each of {len(stack.tuned.history)} trials with the best so far.",
)
page.table(
    stack.importance,
    name="meta_importance",
    caption="Loss of the ensemble's ROC-AUC in the test patients when a base model's probabilities are shuffled.",
    digits=3,
)
page.figure(
    draw.importance(stack.importance),
    name="meta_importance",
    caption=f"What the ensemble loses when a base model's probabilities are shuffled; n = {len(this.test)}.",
    alt="Loss of ROC-AUC by base model, with its standard deviation over shuffles.",
)

# %% [markdown]
# ## Scores as they stand
#
# The OHCA score (Adrie 2006) is not fitted at all. It is defined only where all its five variables are known;
# the other patients have no row of it.

# %%
standing = ohca.comparator_scores(comparators, cohort, this, floor_min=ohca_floor_min)
page.table(
    ohca.undefined(standing, this),
    name="comparators",
    caption="Patients in whom a score that is computed as it stands is defined.",
)

# %% [markdown]
# ## Was any patient scored by what had seen that patient?

# %%
ledger.check()
page.table(
    ledger.table(),
    name="leakage",
    caption="Patients that each stage was fitted or chosen on, patients it scored, and patients in both (none).",
    note="n_indirect: patients scored whom only an earlier stage had seen. It must be 0 in test patients; on the "
    "training side, hyperparameters are chosen by everybody, and the stack's inputs come from base models that "
    "were fitted on others of the training side.",
)
scores.write(
    stacking.score_rows(fitted, stack, standing, y, this, outcome_label=outcome_label),
    here.out(f"scores_stacking_{split}.csv"),
)

# %% [markdown]
# Performance is judged in `05_evaluation`, on these scores.
