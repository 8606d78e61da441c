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
# # Does combining the models improve prediction?
#
# In one outer fold, each base model is tuned in the inner folds and predicts its development patients out of fold.
# These probabilities are quantile-transformed, stacked by a random forest and calibrated by Platt scaling. Then
# everything is refitted on the development patients and scores the test patients, once.
#
# *Reads* the cohort, the splits and the CNN's scores of this fold. *Writes* the scores of the base models and of
# the ensemble.

# %% tags=["parameters"]
study_name: str = "ensemble"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
split: str = "outer-1"  # outer fold, or outer_all-1: all patients
outcome_label: str = "standard"  # outcome label to learn: revised or standard
base_models: dict = {}  # base models, {name: {algorithm: ..., predictors: [...]}}; empty: paper B's three
spaces: dict = {}  # search spaces that replace the protocol's own, {algorithm or stack: {hyperparameter: ...}}
trials: int = 50  # Optuna's trials for each base model and for the stack
stack_monotonic: bool = False  # a higher probability of a base model may never lower the ensemble's
super_learner: list = ["ridge", "lasso", "splines", "forest", "extra_trees", "boosting"]  # learners, or []
ohca_floor_min: float = 0.5  # least minutes of no-flow and low-flow before the OHCA score's logarithms
comparators: list = ["ohca_score"]  # scores that need no fitting: ohca_score, or none
seed: int = 1  # seed of every model

# %%
import pandas as pd

from postarrest import figures, models, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="04_stacking", part=split)
cohort = pd.read_parquet(here.build("cohort.parquet"))
y = cohort[f"y_good_{outcome_label}"]
table = pd.read_parquet(here.build("splits.parquet"))
this = models.splits.get(table, split)
ledger = models.leakage.Ledger(this, models.tabular.known_beforehand(cohort))
fold = models.crossfit.CrossFit(this, y, ledger, keep=here.build("optuna"), trials=trials, seed=seed)

# %% [markdown]
# ## Which patients are in which fold?

# %%
page.figure(
    figures.stacking.nested_design(models.splits.counts(table, y), highlight=split),
    name="nested_design",
    caption="The nested cross-validation: patients and good outcomes of each outer and inner fold. The frame marks "
    "the fold of this page.",
    alt=f"Bars of the outer folds, each split into inner folds and test patients; {split} is framed.",
)
page.text(
    "This fold: {n_development} development patients ({n_development_good} good outcomes), {n_test} test patients "
    "({n_test_good} good).",
    **fold.sizes,
)

# %% [markdown]
# ## Base models
#
# With the algorithm `select`, logistic regression, random forest and LightGBM are tried, and the one with the
# highest mean ROC-AUC in the inner folds is used.

# %%
bases = models.stacking.fit_bases(
    models.tabular.declared(base_models),
    cohort,
    fold,
    spaces=models.tabular.spaces(spaces),
    cnn_scores=here.build(f"scores_cnn_{split}-{outcome_label}.csv"),
    cnn_lineage=here.build(f"seen_cnn_{split}-{outcome_label}.json"),
)
page.table(
    bases.algorithms,
    name="base_algorithms",
    caption="Algorithm of each base model, and its mean ROC-AUC in the inner folds, where it was chosen.",
    note="These are the values of the search and therefore optimistic; the page Evaluation reports the test patients.",
    digits=3,
)
if bases.histories:
    page.figure(
        figures.cnn.history(bases.histories),
        name="base_search",
        caption="The searches: each trial (circles) and the best so far (line).",
        alt="ROC-AUC of each trial of each base model's search, with the best so far as a rising line.",
    )
else:
    page.text("The only base model is the network on head CT, which notebook 03 tuned.")

# %% [markdown]
# ## The stack's inputs
#
# Each development patient's probability comes from a model fitted without that patient.

# %%
page.figure(
    figures.stacking.meta_features(bases.out_of_fold, y),
    name="meta_features",
    caption="Out-of-fold probabilities of the development patients by outcome (paper B's Figure S1).",
    alt="Histograms of each base model's out-of-fold probabilities in good and in poor outcomes.",
)

# %% [markdown]
# ## The ensemble

# %%
stack = models.stacking.fit_stack(
    bases.out_of_fold,
    bases.test,
    fold,
    space=models.tabular.spaces(spaces)["stack"],
    monotonic=stack_monotonic,
)
page.table(
    pd.concat([*bases.chosen, models.tuning.chosen_table(stack.tuned, fold=this.fold, model="ensemble")]),
    name="hyperparameters",
    caption="Hyperparameters of the base models and of the stack: the space searched and the values chosen.",
    note="The least size of a leaf is at most a tenth of the development patients: with few patients, larger leaves would "
    "leave trees that cannot tell the outcomes apart.",
)
page.figure(
    figures.cnn.history({("ensemble",): stack.tuned.history}),
    name="stack_search",
    caption="The search for the stack: each trial (circles) and the best so far (line).",
    alt=f"ROC-AUC of each of {len(stack.tuned.history)} trials with the best so far.",
)

# %%
values = stack.tuned.values | {"monotonic": stack_monotonic}
settings = bases.settings | {"ensemble": models.tuning.Chosen("stack", values)}
models.tuning.write_chosen(settings, here.out(f"chosen_{split}.json"))

# %% [markdown]
# How much does the ensemble rely on each base model? Its probabilities are shuffled among patients; the
# more the ROC-AUC falls, the more it relies on them.

# %%
page.table(
    stack.importance,
    name="meta_importance",
    caption=f"Loss of the ensemble's ROC-AUC when a base model's probabilities are shuffled among {len(this.shown)} "
    f"{this.shown_in_words}.",
    digits=3,
)
page.figure(
    figures.stacking.importance(stack.importance),
    name="meta_importance",
    caption=f"Loss of the ensemble's ROC-AUC when a base model's probabilities are shuffled; n = {len(this.shown)}.",
    alt="Loss of ROC-AUC by base model, with its standard deviation over shuffles.",
)

# %% [markdown]
# ## A second ensemble
#
# The super learner also sees all predictors at once. Its learners need no search; their out-of-fold probabilities are
# means over repeated folds, and a logistic regression combines the log odds, starting from equal weights.

# %%
library = models.super_learner.declared(super_learner)
second = models.super_learner.fit(cohort, bases, fold, library=library)
page.table(
    second.weights,
    name="super_learner",
    caption="The super learner's learners: ROC-AUC out of fold in the development patients, and weight.",
    note="Weights are those of the log odds, as shares of their sum.",
    digits=3,
    if_empty="This study names no learners for a super learner.",
)

# %% [markdown]
# ## What do both have to beat?
#
# Logistic regression (L2, C = 1) and a random forest (500 trees, leaves of at least 5 patients) on all predictors at once,
# without any search; the network on CT counts as one predictor. The page Evaluation shows them beside the ensemble.

# %%
references = models.stacking.fit_references(cohort, bases, fold)

# %% [markdown]
# ## Scores that need no fitting
#
# The OHCA score (Adrie 2006) is defined only where all its five variables are known; other patients have no row of
# it.

# %%
unfitted = models.ohca.comparator_scores(comparators, cohort, this, floor_min=ohca_floor_min)
page.table(
    models.ohca.defined(unfitted, this),
    name="comparators",
    caption="Patients in whom a score that needs no fitting is defined.",
)

# %% [markdown]
# ## Was any patient scored by a model fitted on that patient?

# %%
ledger.check()
page.table(
    ledger.table(),
    name="leakage",
    caption="Patients each stage was fitted or chosen on, patients it scored, and patients in both (none).",
    note="n_indirect: patients scored who were used at an earlier stage only. It must be 0 in test patients; in the "
    "training set, hyperparameters are chosen on every patient, and the stack's inputs come from base models "
    "fitted on other training patients.",
)
rows = stack.rows + second.rows + references + bases.rows + models.ohca.rows(unfitted, this)
scores.write(
    fold.score_table(rows, outcome_label=outcome_label),
    here.out(f"scores_stacking_{split}.csv"),
    tested=len(this.test) > 0,
)
models.parts.keep(
    [*fold.parts, *models.ohca.parts(comparators, floor_min=ohca_floor_min)],
    here.out(f"models/04_stacking_{split}"),
)

# %% [markdown]
# The page Evaluation reports performance from these scores.
