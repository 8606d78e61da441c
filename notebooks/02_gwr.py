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
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does the gray-to-white-matter ratio tell, and can two readings agree on it?
#
# In a brain without oxygen, gray matter takes up water and loses density on CT, while white matter hardly changes:
# their ratio (GWR) falls. A reader places small circles in eight regions on both sides, twice.
#
# *Reads* the included patients, their readings and the hold-out splits. *Writes* each patient's ratios as scores.
# How well these predict the outcome is in notebook 05, beside the other models and on the same patients.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
cut_off: float = 1.2  # a ratio below it predicts a poor outcome
mask_below: int = 0  # counts from 1 to below this are not shown; 0 shows all

# %%
import pandas as pd

from postarrest import places, scores
from postarrest.describe import agreement, cohort_tables
from postarrest.figures import gwr as draw
from postarrest.models import gwr
from postarrest.report import page as page_room

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="02_gwr")
cohort = pd.read_parquet(here.build("cohort.parquet"))
readings = pd.read_parquet(here.build("gwr.parquet"))
splits = pd.read_parquet(here.build("splits.parquet"))
values = gwr.measures(readings).reindex(cohort.index)

# %% [markdown]
# ## What was read?
#
# The mean of both sides is taken for each region and reading, then, within each reading:
#
# - **GWR-BG** = (CN + PU) / (PLIC + CC), the basal ganglia;
# - **GWR-CE** = (MC1 + MC2) / (MW1 + MW2), the cerebrum at the centrum semiovale and the high convexity;
# - **GWR-AV** = the mean of GWR-BG and GWR-CE.
#
# The mean of both readings is used from here on. A region that was read on one side only is missing, and so are
# the ratios that need it; a patient who was read once is represented by that reading.

# %%
averages = values["GWR-AV"]
page.text(
    "GWR-AV is known in {n_known} of {n} patients; {n_twice} of them were read twice, {n_once} once.",
    n=len(cohort),
    n_known=int(averages["mean"].notna().sum()),
    n_twice=int(averages[["reading_1", "reading_2"]].notna().all(axis=1).sum()),
    n_once=int(averages[["reading_1", "reading_2"]].notna().sum(axis=1).eq(1).sum()),
)

# %% [markdown]
# ## Does it differ by outcome?
#
# Regions are in Hounsfield units (HU), ratios have no unit. The test is Mann-Whitney's; paper A's cut-off for a
# poor outcome is a ratio below 1.2.

# %%
by_label = {
    label: cohort_tables.gwr_values(values, cohort[f"y_good_{label}"], cut_off=cut_off, mask_below=mask_below)
    for label in outcome_labels
}
for label, by_outcome in by_label.items():
    page.table(
        by_outcome,
        name="gwr_values" if label == outcome_labels[0] else f"gwr_values_{label}",
        caption=f"Density of the regions and gray-to-white-matter ratios by outcome ({label} label).",
        note=f"Median (lower to upper quartile) of the mean of the readings; n_below_cutoff: patients below "
        f"{cut_off:g}. shapiro_p: the smaller of both outcomes' Shapiro-Wilk p-values.",
        digits=3,
    )

# %%
for label in outcome_labels:
    y_good = cohort[f"y_good_{label}"]
    page.figure(
        draw.by_outcome(values, y_good, cut_off=cut_off, mask_below=mask_below),
        name="gwr_by_outcome" if label == outcome_labels[0] else f"gwr_by_outcome_{label}",
        caption=f"Gray-to-white-matter ratios by outcome ({label} label; {int((1 - y_good).sum())} poor, "
        f"{int(y_good.sum())} good). Points: patients; boxes: median and quartiles, whiskers to the furthest point "
        f"within 1.5 interquartile ranges; dotted: cut-off {cut_off:g}.",
        alt=f"Three pairs of point clouds. The median GWR-AV is {averages['mean'][y_good == 0].median():.3f} in poor "
        f"and {averages['mean'][y_good == 1].median():.3f} in good outcomes; the clouds overlap.",
    )

# %%
below = by_label[outcome_labels[0]].set_index("measure")["n_below_cutoff"]
below = {name: int(n) if n.isdigit() else n for name, n in below.items()}
page.text(
    "Below {cut_off} lie {n_below_bg} patients by GWR-BG, {n_below_ce} by GWR-CE and {n_below_av} by GWR-AV ([](#tab-gwr-values)). A ratio "
    "below the cut-off predicts a **poor** outcome; what such a prediction is worth stands in notebook 05, which "
    "evaluates the ratios on the hold-out patients beside the other models and on all patients.",
    cut_off=cut_off,
    n_below_bg=below["GWR-BG"],
    n_below_ce=below["GWR-CE"],
    n_below_av=below["GWR-AV"],
)

# %% [markdown]
# ## Do two readings agree?
#
# Paper A reports Spearman's rank correlation ("higher than 0.8"). It tells whether two readings put the patients in
# the same order, not whether they give the same number, which a fixed cut-off needs. So beside it stand
#
# - **ICC(A,1)**, the share of all variance that is between patients, where a reader's constant shift counts as
#   disagreement: what a single reading is worth;
# - **Bland and Altman's limits of agreement**: 95 % of the differences between two readings lie between them.

# %%
agreed = gwr.reliability(values)
page.table(
    agreed,
    name="gwr_reliability",
    caption="Agreement of the two readings for each region and ratio.",
    note="Intervals are 95 %. bias: reading 1 minus reading 2; loa: limits of agreement, with their own intervals "
    "(from, to); both in HU or as a ratio.",
    digits=3,
)

# %%
ratios = agreed[agreed["unit"] == "ratio"]
if ratios["icc_a1"].notna().all():
    limits = agreed.set_index("measure").loc["GWR-AV"]
    page.figure(
        draw.reliability(agreed),
        name="gwr_reliability",
        caption="Agreement of the two readings: ICC(A,1) with its 95 % interval, and Spearman's correlation.",
        alt=f"Points with intervals for eight regions and three ratios; ICC(A,1) of GWR-AV is "
        f"{limits['icc_a1']:.2f}.",
    )
    page.figure(
        draw.agreement(values),
        name="gwr_agreement",
        caption="Second against first reading; a point is a patient, the line is identity.",
        alt=f"Three scatter plots along the line of identity; Spearman's correlation of GWR-AV is "
        f"{limits['spearman']:.2f}.",
    )
    page.figure(
        draw.bland_altman(values),
        name="gwr_bland_altman",
        caption="Difference of the readings against their mean (Bland and Altman). Solid: bias; dashed: limits of "
        "agreement; bands: 95 % intervals.",
        alt=f"Three scatter plots around zero; 95 % of the differences in GWR-AV lie between "
        f"{limits['loa_lower']:.3f} and {limits['loa_upper']:.3f}.",
    )
    average = agreement.agreement(averages["reading_1"], averages["reading_2"], digits=3)
    page.text(
        "For GWR-AV in {n_pairs} patients: Spearman {spearman}, ICC(A,1) {icc_a1}, bias {bias}, limits of agreement "
        "{loa_lower} and {loa_upper} ([](#tab-gwr-reliability), [](#fig-gwr-bland-altman)).",
        n_pairs=average.n,
        spearman=average.spearman,
        icc_a1=average.icc_a1,
        bias=average.bias,
        loa_lower=average.loa_lower,
        loa_upper=average.loa_upper,
    )
else:
    page.text("Fewer than three patients were read twice, so nothing can be said about reliability.")

# %% [markdown]
# ## What goes on from here
#
# The ratios as markers in the scores table, higher meaning a better expected outcome. They were fitted to nobody:
# those of the held-out patients are the test scores, those of the others serve to choose thresholds.

# %%
marked = pd.concat(
    [
        gwr.marker_scores(values, y_good=cohort[f"y_good_{label}"], splits=splits, outcome_label=label)
        for label in outcome_labels
    ],
    ignore_index=True,
)
scores.write(marked, here.out("scores_gwr.csv"))
held_out = marked[(marked["role"] == "test") & (marked["fold"] == 1) & (marked["model"] == "gwr_av")]
page.text(
    "GWR-AV of {n_test} held-out patients goes into the evaluation in each outcome label, and with it that of all "
    "{n_all} patients.",
    n_test=held_out["patient_id"].nunique(),
    n_all=marked.loc[marked["model"] == "gwr_av", "patient_id"].nunique(),
)
