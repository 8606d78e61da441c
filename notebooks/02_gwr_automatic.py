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
# # Can a CT measure its own gray-to-white-matter ratio?
#
# A network that was trained on simulated heads finds the regions on each patient's CT, without a person placing a
# circle. What is measured is measured in Hounsfield units on the original slice.
#
# *Reads* the included patients, the automatic readings and their flags, the manual readings if there are any, and the
# splits. *Writes* each patient's automatic ratios as scores. `docs/ct-reader.md` says what the network was trained on,
# how right it is, and where it fails.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
struck_out: str = ""  # CSV of patient_id whose reading a person struck out (make read-ct); blank: none
cut_off: float = 1.2  # a ratio below it predicts a poor outcome
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all

# %%
import pandas as pd

from postarrest import describe, figures, models, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="02_gwr_automatic")
cohort = pd.read_parquet(here.build("cohort.parquet"))
splits = pd.read_parquet(here.build("splits.parquet"))
manual = models.gwr.measures(pd.read_parquet(here.build("gwr.parquet"))).reindex(cohort.index)
readings, flags, n_struck = models.gwr_automatic.read(here, cohort.index, struck_out=struck_out)
ways = {way: values.reindex(cohort.index) for way, values in models.gwr_automatic.by_way(readings).items()}
main_label = outcome_labels[0]

# %% [markdown]
# ## What was measured?
#
# Each region is measured in three ways, of which *region* and *unmixed* become markers; *circle* shows what the network
# would measure as a reader does:
#
# - **region**: the pixels that lie deepest inside the region's tissue, without the lowest and highest fifth;
# - **circle**: one circle of 12.5 mm², placed as a reader would place it;
# - **unmixed**: the attenuation of pure tissue, without the partial volume that every region contains. It is higher than a
#   manual ratio, so the cut-off 1.2 does not apply to it.
#
# A level that no slice shows is not read: from a single slice at the basal ganglia comes GWR-BG alone.

# %%
page.text(
    "By region, GWR-BG was measured in {n_basal} of {n_patients} patients and GWR-AV in {n_average}; unmixed, a ratio in "
    "{n_unmixed}. {n_struck} patients were struck out by a person and count as not measured.",
    n_basal=int(ways["region"]["GWR-BG", "mean"].notna().sum()),
    n_unmixed=int(ways["unmixed"].xs("mean", axis=1, level="reading").notna().any(axis=1).sum()),
    n_patients=len(cohort),
    n_average=int(ways["region"]["GWR-AV", "mean"].notna().sum()),
    n_struck=n_struck,
)

# %% [markdown]
# ## When does it doubt itself?
#
# No reading is dropped for a doubt: all are used, and the agreement is given with and without the doubtful ones.
# `make read-ct` writes a page on which a person can look at each patient's regions and strike a reading out.

# %%
page.table(
    describe.flag_counts(flags, n_patients=len(cohort), mask_below=mask_below),
    name="reader_flags",
    caption="Reasons why automatic readings are doubted.",
    note="A patient may have several.",
    digits=3,
)

# %% [markdown]
# ## Does it differ by outcome?

# %%
by_outcome = describe.gwr_values(
    ways["region"], cohort[f"y_good_{main_label}"], cut_off=cut_off, mask_below=mask_below
)
page.table(
    by_outcome,
    name="gwr_automatic_values",
    caption=f"Attenuation of the regions and ratios by outcome, automatic readings by region ({main_label} label).",
    note=f"Median (lower to upper quartile). n_below_cutoff: patients below {cut_off:g}.",
    digits=3,
)

# %% [markdown]
# ## Does it agree with a person?

# %%
agreement = models.gwr_automatic.agreement(
    ways, manual, doubted=flags["patient_id"].unique(), mask_below=mask_below
)
page.table(
    agreement[agreement["n"] > 0],
    name="automatic_agreement",
    caption="Agreement of automatic readings with the mean of the manual ones.",
    note="Intervals are 95 %. Bias: automatic minus manual. Limits of agreement have intervals of their own (from, "
    "to); in HU for regions. n_reclassified: patients on different sides of the cut-off 1.2.",
    digits=3,
    if_empty="No region was measured both automatically and by hand, so agreement cannot be assessed.",
)
region, mean = (v.xs("mean", axis=1, level="reading") for v in (ways["region"], manual))
if compared := models.gwr.ratios_in_both(region, mean):
    page.figure(
        figures.gwr.bland_altman(region, mean, names=("automatic", "manual")),
        name="gwr_automatic_bland_altman",
        caption="Difference of automatic (region) and manual ratios against their mean. Solid: bias; dashed: limits of "
        "agreement; bands: 95 % intervals.",
        alt=f"Scatter plots of {' and '.join(compared)} around the line of the bias with limits of agreement.",
    )

# %% [markdown]
# ## Next steps
#
# The ratios are markers in the scores table, beside the manual ones and in the same patients. A marker is left out if
# the test patients who have it do not include both outcomes.

# %%
markers, left_out = models.gwr_automatic.marker_scores(
    ways, cohort, splits=splits, outcome_labels=outcome_labels
)
scores.write(markers, here.out("scores_gwr_automatic.csv"))
if left_out:
    page.text("Left out: {markers}.", markers=", ".join(left_out))
