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
# # What does the gray-to-white-matter ratio predict, and do the readings agree?
#
# In a brain without oxygen, gray matter swells and its attenuation on CT falls, while that of white matter hardly
# changes: their ratio (GWR) falls. A reader places small circles in eight regions on both sides, as a
# rule twice; a study may have several readers.
#
# *Reads* the included patients, their readings and the hold-out splits. *Writes* each patient's ratios as scores. How
# well they predict the outcome is shown in notebook 05, alongside the other models and in the same patients.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
cut_off: float = 1.2  # a ratio below it predicts a poor outcome
most_drawn: int = 6  # most pairs of readings that are drawn; the table has all
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
# The mean of both sides is taken for each region and reading. Then, within each reading of a reader:
#
# - **GWR-BG** = (CN + PU) / (PLIC + CC), the basal ganglia;
# - **GWR-CE** = (MC1 + MC2) / (MW1 + MW2), the cerebrum at the centrum semiovale and the high convexity;
# - **GWR-AV** = the mean of GWR-BG and GWR-CE.
#
# The mean of all readings is used from here on. A region that was measured on one side only is missing, and so are
# the ratios that need it; a patient who was measured once is represented by that reading.

# %%
page.text(
    "GWR-AV is available for {n_known} of {n} patients: in {n_twice} it was measured at least twice, in {n_once} once.",
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
# ## Do the readings agree?
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
# (kappa is the agreement beyond chance), and how far apart two readings of one patient can be.
#
# With several readers, each reader's readings are compared with each other (*within* a reader), and the readers' means
# (*between* readers).

# %%
reliability = models.gwr.reliability(values)
page.table(
    reliability,
    name="gwr_reliability",
    caption="Agreement of two readings for each region and ratio.",
    note="Intervals are 95 %. Bias: the first minus the second of those compared. Limits of agreement have intervals of their own "
    "(from, to); in HU for regions, without unit for ratios.",
    digits=3,
)

# %%
drawn = models.gwr.comparable(values)[:most_drawn]
for place, pair in enumerate(drawn, start=1):
    ending = "" if place == 1 else f"_{place}"
    first, second = (values.xs(name, axis=1, level="reading") for name in pair[:2])
    names = pair.first.replace("_", " "), pair.second.replace("_", " ")
    ratios = models.gwr.ratios_in_both(first, second)
    agreed = describe.compare_readings(first[ratios[-1]], second[ratios[-1]], digits=3)
    page.text(
        "For {ratio} in {n_pairs} patients, {compared}: Spearman {spearman}, ICC(A,1) {icc_a1}, ICC(A,2) {icc_a2}, bias "
        "{bias}, limits of agreement {loa_lower} and {loa_upper} ([Table: agreement](#tab-gwr-reliability)).",
        table="gwr_reliability",
        of=ending.removeprefix("_"),
        ratio=ratios[-1],
        compared=pair.compared,
        n_pairs=agreed.n,
        spearman=agreed.spearman,
        icc_a1=agreed.icc_a1,
        icc_a2=agreed.icc_a2,
        bias=agreed.bias,
        loa_lower=agreed.loa_lower,
        loa_upper=agreed.loa_upper,
    )
    page.figure(
        figures.gwr.reliability(reliability[reliability["compared"] == pair.compared]),
        name=f"gwr_reliability{ending}",
        caption=f"Agreement of {pair.compared}: ICC(A,1) with its 95 % interval, and Spearman's correlation.",
        alt=f"Points with intervals for regions and ratios; ICC(A,1) of {ratios[-1]} is {agreed.icc_a1.value:.2f}.",
    )
    page.figure(
        figures.gwr.agreement(first, second, names=names),
        name=f"gwr_agreement{ending}",
        caption=f"Agreement of {pair.compared}; points: patients; line: identity.",
        alt=f"Scatter plots along the line of identity; Spearman's correlation of {ratios[-1]} is "
        f"{agreed.spearman.value:.2f}.",
    )
    page.figure(
        figures.gwr.bland_altman(first, second, names=names),
        name=f"gwr_bland_altman{ending}",
        caption=f"Difference of {pair.compared} against their mean (Bland and Altman). Solid: bias; dashed: limits of "
        "agreement; bands: 95 % intervals.",
        alt=f"Scatter plots around zero; 95 % of the differences in {ratios[-1]} lie between "
        f"{agreed.loa_lower.value:.3f} and {agreed.loa_upper.value:.3f}.",
    )
if not drawn:
    page.text(
        "Fewer than three patients have a ratio that was measured twice, so agreement cannot be assessed."
    )

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
