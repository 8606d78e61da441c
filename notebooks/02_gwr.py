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
# # What does the gray-to-white-matter ratio predict, and do the two readings agree?
#
# In a brain without oxygen, gray matter swells and its attenuation on CT falls, while that of white matter hardly
# changes: their ratio (GWR) falls. A reader places small circles in eight regions on both sides, twice.
#
# *Reads* the included patients, their readings and the hold-out splits. *Writes* each patient's ratios as scores. How
# well they predict the outcome is shown in notebook 05, alongside the other models and in the same patients.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
cut_off: float = 1.2  # a ratio below it predicts a poor outcome
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all

# %%
import pandas as pd

from postarrest import describe, figures, models, places, scores
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="02_gwr")
cohort = pd.read_parquet(here.build("cohort.parquet"))
readings = pd.read_parquet(here.build("gwr.parquet"))
splits = pd.read_parquet(here.build("splits.parquet"))
values = models.gwr.measures(readings).reindex(cohort.index)
main_label = outcome_labels[0]

# %% [markdown]
# ## What was measured?
#
# The mean of both sides is taken for each region and reading. Then, within each reading:
#
# - **GWR-BG** = (CN + PU) / (PLIC + CC), the basal ganglia;
# - **GWR-CE** = (MC1 + MC2) / (MW1 + MW2), the cerebrum at the centrum semiovale and the high convexity;
# - **GWR-AV** = the mean of GWR-BG and GWR-CE.
#
# The mean of both readings is used from here on. A region that was measured on one side only is missing, and so are
# the ratios that need it; a patient who was measured once is represented by that reading.

# %%
page.text(
    "GWR-AV is available for {n_known} of {n} patients: in {n_twice} it was measured twice, in {n_once} once.",
    **models.gwr.times_measured(values, "GWR-AV"),
)

# %% [markdown]
# ## Does it differ by outcome?
#
# Regions are in Hounsfield units (HU); ratios have no unit. P values are from the Mann-Whitney U test. Paper A predicts
# a poor outcome if a ratio is below 1.2.

# %%
by_outcome = describe.gwr_values(
    values, cohort[f"y_good_{main_label}"], cut_off=cut_off, mask_below=mask_below
)
average = by_outcome.set_index("measure").loc["GWR-AV"]
page.table(
    by_outcome,
    name="gwr_values",
    caption=f"Attenuation of the regions and gray-to-white-matter ratios by outcome ({main_label} label).",
    note=f"Median (lower to upper quartile) of the mean of the readings. n_below_cutoff: patients below {cut_off:g}. "
    "shapiro_p: the smaller of the Shapiro-Wilk P values of the two outcomes.",
    digits=3,
)
page.figure(
    figures.gwr.by_outcome(
        values, cohort, outcome_labels=outcome_labels, cut_off=cut_off, mask_below=mask_below
    ),
    name="gwr_by_outcome",
    caption=f"Gray-to-white-matter ratios by outcome, under each outcome label. Points: patients; boxes: median and "
    f"quartiles, whiskers to the furthest point within 1.5 interquartile ranges; dotted: cut-off {cut_off:g}.",
    alt=f"Pairs of point clouds that overlap. The median (quartiles) of GWR-AV is {average['poor']} in poor and "
    f"{average['good']} in good outcomes ({main_label} label).",
)

# %%
for label in outcome_labels[1:]:
    page.table(
        describe.gwr_values(values, cohort[f"y_good_{label}"], cut_off=cut_off, mask_below=mask_below),
        name=f"gwr_values_{label}",
        caption=f"Attenuation of the regions and gray-to-white-matter ratios by outcome under the {label} label.",
        note="As in the table before.",
        digits=3,
    )

# %%
page.text(
    "{n_below_bg} patients are below {cut_off} by GWR-BG, {n_below_ce} by GWR-CE and {n_below_av} by GWR-AV "
    "([Table: GWR by outcome](#tab-gwr-values)). A ratio below the cut-off predicts a **poor** outcome; how accurate "
    "this is, notebook 05 shows in the hold-out patients, alongside the other models, and in all patients.",
    table="gwr_values",
    cut_off=cut_off,
    **describe.below_cut_off(by_outcome),
)

# %% [markdown]
# ## Do the two readings agree?
#
# Paper A reports Spearman's rank correlation ("higher than 0.8"). It shows whether two readings rank the patients in
# the same order, not whether they give the same value, which a fixed cut-off requires. So two measures of agreement
# are shown alongside:
#
# - **ICC(A,1)**: the proportion of the total variance that is between patients, where a constant shift between readings
#   counts as disagreement. It describes how reliable a single reading is; **ICC(A,2)**, the mean of two readings.
# - **Bland and Altman's limits of agreement**: 95 % of the differences between two readings lie between them.
#
# What matters at the bedside is how many patients the second reading would put on the other side of the cut-off 1.2
# (`n_reclassified`; `kappa` is the agreement beyond chance), and how far apart two readings of one patient can be.

# %%
reliability = models.gwr.reliability(values)
page.table(
    reliability,
    name="gwr_reliability",
    caption="Agreement of the two readings for each region and ratio.",
    note="Intervals are 95 %. bias: reading 1 minus reading 2; loa: limits of agreement, with their own intervals "
    "(from, to); in HU for regions, without unit for ratios.",
    digits=3,
)

# %%
if reliability["icc_a1"].notna().all():
    readings_1_and_2 = [values.xs(reading, axis=1, level="reading") for reading in ("reading_1", "reading_2")]
    agreed = describe.compare_readings(values["GWR-AV", "reading_1"], values["GWR-AV", "reading_2"], digits=3)
    page.text(
        "For GWR-AV in {n_pairs} patients: Spearman {spearman}, ICC(A,1) {icc_a1}, ICC(A,2) {icc_a2}, bias {bias}, limits of agreement "
        "{loa_lower} and {loa_upper} ([Table: agreement](#tab-gwr-reliability), "
        "[Figure: Bland-Altman](#fig-gwr-bland-altman)).",
        table="gwr_reliability",
        n_pairs=agreed.n,
        spearman=agreed.spearman,
        icc_a1=agreed.icc_a1,
        icc_a2=agreed.icc_a2,
        bias=agreed.bias,
        loa_lower=agreed.loa_lower,
        loa_upper=agreed.loa_upper,
    )
    page.figure(
        figures.gwr.reliability(reliability),
        name="gwr_reliability",
        caption="Agreement of the two readings: ICC(A,1) with its 95 % interval, and Spearman's correlation.",
        alt=f"Points with intervals for eight regions and three ratios; ICC(A,1) of GWR-AV is {agreed.icc_a1.value:.2f}.",
    )
    page.figure(
        figures.gwr.agreement(*readings_1_and_2),
        name="gwr_agreement",
        caption="Second against first reading; points: patients; line: identity.",
        alt=f"Three scatter plots along the line of identity; Spearman's correlation of GWR-AV is "
        f"{agreed.spearman.value:.2f}.",
    )
    page.figure(
        figures.gwr.bland_altman(*readings_1_and_2, names=("reading 1", "reading 2")),
        name="gwr_bland_altman",
        caption="Difference of the readings against their mean (Bland and Altman). Solid: bias; dashed: limits of "
        "agreement; bands: 95 % intervals.",
        alt=f"Three scatter plots around zero; 95 % of the differences in GWR-AV lie between "
        f"{agreed.loa_lower.value:.3f} and {agreed.loa_upper.value:.3f}.",
    )
else:
    page.text("Fewer than three patients were measured twice, so agreement cannot be assessed.")

# %% [markdown]
# ## Next steps
#
# The ratios are markers in the scores table, higher meaning a better expected outcome. They were not fitted to any
# patient: those of the test patients are the test scores, those of the others serve to choose thresholds.

# %%
ratios = models.gwr.markers(values)
markers = models.gwr.marker_scores(ratios, cohort, splits=splits, outcome_labels=outcome_labels)
scores.write(markers, here.out("scores_gwr.csv"))
gwr_av = markers.query("model == 'gwr_av' and fold == 1 and outcome_label == @main_label")
page.text(
    "The evaluation uses the GWR-AV of the {n_test} test patients, and in a separate analysis of all {n_all} patients.",
    n_test=int(gwr_av["role"].eq("test").sum()),
    n_all=len(gwr_av),
)
