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
# # Who are the patients, who was excluded, and how do the outcomes differ?
#
# *Reads* the study's data: the table of screened patients and, where the study has them, the readings of gray and
# white matter and the head CTs. Every error in them is reported at once, and then the run stops.
#
# *Writes* the included patients with their outcome (`cohort.parquet`), their readings (`gwr.parquet`) and their CT
# slices (`images.npz`) for the other notebooks.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
data_path: str = ""  # folder or file of real data; blank: the study's simulated patients
modalities: list = ["gwr", "ct"]  # what the study has besides its patient table: gwr, ct
columns: dict = {}  # contract name: the export's name; {patient_id: "{row}"} numbers the rows
codes: dict = {}  # contract name: {the export's value: the contract's value}
units: dict = {}  # contract name: the export's unit, such as {creatinine_umol_l: mg/dL}
table_format: dict = {}  # encoding, delimiter, decimal, sheet, where the files do not show them
image_size: str = "exact"  # fit: a PNG or JPEG of any size is padded and resampled to 256 x 256 pixels
outcome: dict = {}  # blank: CPC 1 or 2 is good; or {column: name, good: [values], poor: [values], meaning: text}
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
predictors: list = []  # further columns of the export that models use
criteria: dict = {"exclusions": "all"}  # who is included, applied in this order; see data.select
table1_variables: list = []  # columns of Table 1, also as eeg24h_*; blank: those that the data contract defines
mask_below: int = 0  # counts from 1 to below this are hidden; 0 shows all

# %%
from postarrest import data, describe, evaluation, figures, places
from postarrest.estimate import Estimate
from postarrest.report import Page

here = places.open(study_name, save_to=save_to)
page = Page(here, notebook="01_cohort")
study = data.read_export(
    data_path or here.data,
    modalities=modalities,
    columns=columns,
    codes=codes,
    units=units,
    outcome=outcome,
    predictors=predictors,
    criteria=criteria,
    outcome_labels=outcome_labels,
    table_format=table_format,
    image_size=image_size,
)
included, steps = data.select(study.patients, criteria=criteria)
images = data.read_images(study, included)
labels = data.outcome_labels(included)
main_label = outcome_labels[0]
y_good = labels[f"y_good_{main_label}"]
n_screened, n_included, n_good = len(study.patients), len(included), int(y_good.sum())
n_ct = len(images.slices)
good_means = outcome.get("meaning", "CPC 1 or 2")
if main_label == "revised":
    good_means += ", or awake with it after the CT before a death without an intracranial cause"

# %% [markdown]
# ## What does the study have?

# %%
page.text(
    "The data hold {n_screened} screened patients ([Table: participant flow](#tab-flow)). A good outcome is "
    "**{good_means}**; the main outcome label is the *{label}* one.",
    table="flow",
    n_screened=n_screened,
    good_means=good_means,
    label=main_label,
)
if not data_path:
    page.text("The patients and the reasons for exclusion are simulated.")
if "gwr" not in modalities:
    page.text(
        "**No readings of gray and white matter**, so the gray-to-white-matter ratio (notebook 02) is left out."
    )
if "ct" not in modalities:
    page.text("**No head CT**, so the neural network on CT slices (notebook 03) is left out.")

# %% [markdown]
# Values and images that are possible but unusual are used as they are. They are counted here; `make check-data`
# lists them one by one.

# %%
unusual = describe.data_warnings([*study.warnings, *images.warnings], mask_below=mask_below)
if len(unusual):
    page.table(
        unusual,
        name="data_warnings",
        caption="Unusual values in the data, by what would be usual.",
        note="n: number of values or images.",
    )
else:
    page.text("The data have no unusual values.")

# %% [markdown]
# Images of good and poor outcomes may come from different scanners or exports. A model can then predict the outcome
# without looking at the brain.

# %%
revealing = evaluation.giveaways.giveaways(images.export, y_good[images.export.index])
if len(revealing):
    page.table(
        revealing,
        name="image_files",
        caption="What predicts the outcome although it only says how an image was exported.",
        note="AUC in the direction in which it predicts a good outcome, with its 95 % confidence interval; those of 0.6 "
        "or more whose interval excludes 0.5. Judge the models of CT with care.",
        digits=2,
    )
elif n_ct:
    page.text("Format, size and pixel spacing of the images do not predict the outcome by themselves.")

# %% [markdown]
# ## Who was screened, excluded and included?

# %%
flow = describe.flow(steps, y_good, mask_below=mask_below)
page.figure(
    figures.cohort.flow(flow),
    name="flow",
    caption=f"Participant flow: {n_screened} patients screened, {n_included} included. Each exclusion counts the "
    "patients who were left when it was applied.",
    alt=f"Boxes joined by arrows: {n_screened} screened, {n_screened - n_included} excluded with reasons, {n_included} "
    f"included, of whom {n_good} with a good and {n_included - n_good} with a poor outcome.",
)
page.table(
    flow,
    name="flow",
    caption="Participant flow, step by step.",
    note="n_left: patients remaining after the step.",
)

# %%
page.text(
    "**{n_included}** patients are analysed, **{n_good}** of them ({good_pct} %) with a good outcome "
    "([Table: participant flow](#tab-flow)).",
    table="flow",
    units={"good_pct": "%"},
    n_included=n_included,
    n_good=n_good,
    good_pct=Estimate(100 * float(y_good.mean()), digits=1),
)

# %% [markdown]
# ## How do patients with a good and a poor outcome differ?
#
# Continuous variables are given as median with quartiles and compared by the Mann-Whitney U test, as published,
# whether or not they are normally distributed (see the Shapiro-Wilk P values). Categorical variables are compared by
# Fisher's exact test over all levels. P values are not corrected for multiple testing: the table describes the cohort
# and tests no hypothesis.

# %%
described = describe.characteristics(included)
variables = table1_variables or describe.known_variables(described)
page.table(
    describe.table1(described, y_good, variables=variables, mask_below=mask_below),
    name="table1",
    caption=f"Characteristics of the {n_included} patients by outcome (good: {good_means}; {main_label} label).",
    note="Median (lower to upper quartile), or n (% of the patients with a value). missing: patients without a value. "
    "shapiro_p: the smaller of the Shapiro-Wilk P values of the two outcomes.",
)

# %%
for label in outcome_labels[1:]:
    page.table(
        describe.table1(described, labels[f"y_good_{label}"], variables=variables, mask_below=mask_below),
        name=f"table1_{label}",
        caption=f"Characteristics of the {n_included} patients by outcome under the {label} label.",
        note="As in the table before.",
    )

# %% [markdown]
# ## What is missing?
#
# A value may be missing for a reason that is related to the outcome: no-flow time is unknown if nobody saw the
# collapse. Where the outcomes differ in how often a value is missing, the missingness itself is a predictor.

# %%
all_variables = [*variables, *describe.further_variables(described)]
missing = describe.missingness(described, y_good, variables=all_variables, mask_below=mask_below)
page.table(
    missing,
    name="missingness",
    caption="Missing values by outcome.",
    note="n and % of the patients with this outcome; P value: Fisher's exact test between the outcomes. Variables that are "
    "missing in exactly the same patients share a row.",
    digits=1,
)
if missing["overall"].ne("0").any():
    page.figure(
        figures.cohort.missingness(missing),
        name="missingness",
        caption=f"Missing values by outcome ({n_good} good, {n_included - n_good} poor). Variables with no missing "
        "values are left out.",
        alt=f"One point for each variable and outcome; most often missing is {missing['variable'].iloc[0]}.",
    )
else:
    page.text("None of these variables has missing values.")

# %% [markdown]
# ## Does the outcome depend on the label?
#
# *Standard*: the outcome as recorded. *Revised* (paper A): a patient who was awake with CPC 1 or 2 after the CT, and
# whose later death had no intracranial cause, also counts as a good outcome.

# %%
page.table(
    describe.label_counts(labels), name="outcome_labels", caption="Good outcomes by outcome label.", digits=1
)
relabelled = describe.relabelled(included.join(labels), mask_below=mask_below)
if len(relabelled):
    page.table(
        relabelled,
        name="relabelled",
        caption="Patients with a good outcome by the revised label and a poor one by the standard label, in aggregate.",
        note="Times: median (lower to upper quartile).",
    )
else:
    page.text("No patient's outcome is revised in this study.")

# %% [markdown]
# ## Next steps
#
# The included patients are saved for the other notebooks, in `build/` only: no patient's data reach the report.

# %%
data.save_included(study, images, included, labels, main_label=main_label, here=here)
if n_ct:
    page.text("CT slices of {n_ct} patients were read.", n_ct=n_ct)
