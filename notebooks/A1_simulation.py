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
# # Do the simulated patients look like patients?
#
# The papers' patients are private, so the default studies are simulated. This appendix shows how well the simulation
# succeeds: its CT slices, its clinical figures alongside the published ones, and the discrimination that was planted.
# How a patient is simulated is described in `docs/simulation.md`.
#
# *Reads* the data folder of a simulated study, `params/published.yaml` and `docs/simulation-seeds.csv`. *Writes* tables
# and figures.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
n_slices: int = 16  # simulated slices shown, half of them of good outcomes
real_ct: str = ""  # folder or file of a real head CT, shown for comparison; blank: none
real_slices: list = [57, 58, 59]  # its slices whose mean is shown, counted from the caudal end
seed_table: str = "docs/simulation-seeds.csv"  # readings over many seeds, made by make simulation-check

# %%
from postarrest import figures, places, simulate
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="A1_simulation")

# %% [markdown]
# ## What do the slices look like?
#
# The anatomy is that of the MNI152 template, the mean of 152 healthy brains, at the level of the foramen of Monro and
# the pineal gland. Each patient has a head of different size, shape and position, different sulci, ventricles as wide as
# is likely at that age, and a different attenuation of the brain.

# %%
slices = simulate.example_slices(here.data, n=n_slices, real_ct=real_ct, real_slices=real_slices)
page.figure(
    figures.simulation.slice_grid(slices),
    name="simulated_slices",
    caption="CT slices of simulated patients by outcome; window level 40 HU, width 80 HU.",
    alt="Axial head CT slices with skull, ventricles, deep nuclei, gray and white matter, and fine noise.",
)

# %% [markdown]
# In poor outcomes the attenuation of gray matter is lower and sulci are narrower; white matter is the same. In one slice
# this is hard to see. Pooled over slices, the peak of brain tissue is lower.

# %%
page.figure(
    figures.simulation.attenuation(slices),
    name="simulated_densities",
    caption="Attenuation in the slices shown, without air, fat and bone.",
    alt="One peak of white and gray matter at 20 to 45 HU, with a tail of cerebrospinal fluid below; in poor outcomes "
    "the peak is at a lower attenuation.",
)

# %% [markdown]
# ## Do the patients agree with published ones?
#
# How to read the column *use*: the simulation was *set to* this value; or the cohorts separate the outcomes more sharply
# than the papers' patients, so that only the *direction* was kept and the papers' discrimination sets the size; or the
# value is a *bound*. Reasons for exclusion are made up; only their sum is published.

# %%
page.table(
    simulate.against_published(here.data),
    name="simulation_targets",
    caption="Published figures and those of the simulated patients",
    note="good, poor: outcome by the revised label. n: patients behind the simulated figure. "
    "Sources: params/published.yaml.",
    digits=3,
)

# %% [markdown]
# ## Do the readings agree with published ones whatever the seed?
#
# The regions of interest are read on the simulated images, so GWR and the CNN measure the same picture. The means,
# spread and reliability of GWR are therefore results of the simulation, not settings.

# %%
page.table(
    simulate.over_seeds_summary(places.ROOT / seed_table),
    name="simulation_seeds",
    caption="Readings of the hold-out study over simulation seeds",
    note="Mean, standard deviation, lowest and highest value over the seeds. Published: blank where no paper reports it.",
    digits=3,
)

# %% [markdown]
# ## What performance was planted?
#
# The best AUC and Brier score that each source of information allows. For OHCA variables and pupils they come from a very
# large sample of the same simulation. For CT they form a ladder, down from an observer who knows the severity of the
# injury; each is a ceiling, not a target, since no network is told what the observer knows. What the models recovered is
# in notebook 05.

# %%
page.table(
    simulate.planted_performance(here.data),
    name="simulation_truth",
    caption="Planted performance: AUC for a good outcome, and Brier score",
    note="The observer who knows the tissue of each pixel reads the study's own images, so the error of that value is "
    "that of as many patients; all other values come from a large sample. The network on CT has two rows, as a base model and in the hold-out protocol. Monte Carlo error: "
    "standard error of the planted value. Published: the AUC reported for the paper's model.",
    digits=3,
)

# %% [markdown]
# ## With which settings?
#
# Each setting is explained in `lib/postarrest/simulate/settings.py`; the section `simulate` of the study file changes it.

# %%
page.table(
    simulate.settings_table(here.data), name="simulation_settings", caption="Settings of this simulation"
)
