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
# # Who are the patients?
#
# *Reads* the study's data: the table of screened patients and, where the study has them, the readings of gray and
# white matter and the head CTs. Everything that is wrong with them is told together, and then nothing else is
# done.
#
# *Writes* the included patients with their outcome (`cohort.parquet`), their readings (`gwr.parquet`) and their
# CT slices (`images.npz`), which the other notebooks read.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
data: str = ""  # folder or file of real data; blank: the study's simulated patients
modalities: list = ["gwr", "ct"]  # what the study has beside its patient table: gwr, ct
columns: dict = {}  # contract name: the export's name; {patient_id: "{row}"} numbers the rows
codes: dict = {}  # contract name: {the export's value: the contract's value}
units: dict = {}  # contract name: the export's unit, such as {creatinine_umol_l: mg/dL}
table_format: dict = {}  # encoding, delimiter, decimal, sheet, where the files don't tell
outcome: dict = {}  # blank: CPC 1 or 2 is good; or {column: name, good: [values], poor: [values], meaning: text}
outcome_labels: list = ["revised", "standard"]  # outcome labels in use, the main one first
predictors: list = []  # further columns of the export that models use
criteria: dict = {"exclusions": "all"}  # who is included, applied in this order; see cohort.select
table1_variables: list = []  # columns of Table 1, also as eeg24h_*; blank: the data contract's that are there
mask_below: int = 0  # counts from 1 to below this are not shown; 0 shows all

# %%
import io
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest import files, places
from postarrest.data import cohort as cohort_room
from postarrest.data import contract, export
from postarrest.data.ct import slices as slices_room
from postarrest.describe import cohort_tables
from postarrest.describe import relabelled as relabelled_room
from postarrest.estimate import Estimate
from postarrest.figures import cohort as draw
from postarrest.report import page as page_room

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="01_cohort")
read = export.read_export(
    Path(data) if data else here.data,
    modalities=modalities,
    columns=columns,
    codes=codes,
    units=units,
    outcome=outcome,
    predictors=predictors,
    criteria=criteria,
    outcome_labels=outcome_labels,
    table_format=table_format,
)
included, selected = cohort_room.select(read.patients, criteria=criteria)
labelled = cohort_room.outcome_labels(included)
y_good = labelled[f"y_good_{outcome_labels[0]}"]
good_means = outcome.get("meaning", "CPC 1 or 2")

# %% [markdown]
# ## What does the study have?

# %%
page.text(
    "The data hold {n_screened} screened patients ([](#tab-flow)). A good outcome is: **{good_means}**; the label used first is "
    "the *{label}* one.",
    n_screened=len(read.patients),
    good_means=good_means,
    label=outcome_labels[0],
)
parts = {
    "gwr": "**No readings of gray and white matter.** The gray-to-white-matter ratio, its reliability and its "
    "performance (notebook 02) do not apply to this study.",
    "ct": "**No head CT.** The neural network on CT slices and its Grad-CAM (notebook 03) do not apply to this "
    "study.",
}
for modality in [m for m in parts if m not in modalities]:
    page.text(parts[modality])

# %%
# What is possible but worth a look, counted; the single values stay with the person who has the data.
doubts = pd.DataFrame(
    [(w.file, w.column, w.expected) for w in read.warnings], columns=["file", "column", "expected"]
)
counted = doubts.groupby(list(doubts), as_index=False).size().rename(columns={"size": "n"})
counted["n"] = counted["n"].astype(str).where(counted["n"] >= mask_below, f"<{mask_below}")
if len(counted):
    page.table(
        counted,
        name="data_warnings",
        caption="Values of the data that are possible but unusual, by what would be usual.",
        note="They are used as they stand. `make check-data` lists them one by one.",
    )

# %% [markdown]
# ## Who was screened, excluded and included?

# %%
flow = cohort_tables.flow(selected, y_good, mask_below=mask_below)
made_up = "" if data else " The patients are simulated, and so are the reasons."
n_excluded = int(selected.loc[selected["step"] == "excluded", "n"].sum())
page.figure(
    draw.flow(flow),
    name="flow",
    caption=f"Participant flow: {len(read.patients)} patients screened, {len(included)} included. Each exclusion "
    f"counts the patients who were left when it was applied.{made_up}",
    alt=f"Boxes joined by arrows: {len(read.patients)} screened, {n_excluded} excluded with reasons, "
    f"{len(included)} included, of whom {int(y_good.sum())} with a good outcome and "
    f"{int((1 - y_good).sum())} with a poor one.",
)
page.table(
    flow, name="flow", caption="Participant flow, step by step.", note="n_left: patients after the step."
)

# %%
page.text(
    "**{n_included}** patients are analysed, **{n_good}** of them ({good_pct} %) with a good outcome ([](#tab-flow)).",
    n_included=len(included),
    n_good=int(y_good.sum()),
    good_pct=Estimate(100 * float(y_good.mean()), digits=1),
)

# %% [markdown]
# ## How do patients with a good and a poor outcome differ?
#
# Numbers are given as medians with quartiles and compared by the Mann-Whitney U test, as published, whether or not they
# are normally distributed within an outcome (the column of Shapiro-Wilk tells). Codes are compared by Fisher's exact test over all levels. The
# p-values are not corrected for their number: the table describes the cohort, it tests no hypothesis.

# %%
variables = table1_variables or [name for name in contract.NAMES if name in included]
for label in outcome_labels:
    page.table(
        cohort_tables.table1(
            included, labelled[f"y_good_{label}"], variables=variables, mask_below=mask_below
        ),
        name="table1" if label == outcome_labels[0] else f"table1_{label}",
        caption=f"Characteristics of the {len(included)} patients by outcome (good: {good_means}, {label} label).",
        note="Median (lower to upper quartile), or n (% of the patients in whom it is known). Missing: patients. "
        "shapiro_p: the smaller of both outcomes' Shapiro-Wilk p-values.",
    )

# %% [markdown]
# ## What is missing?
#
# A value may be missing for a reason that bears on the outcome: no-flow time is unknown where nobody saw the
# collapse. A difference between the outcomes says that the fact of being missing is itself a predictor.

# %%
further = [c for c in included if c not in contract.PATIENTS.columns and c != "y_good"]
missing = cohort_tables.missingness(included, y_good, variables=[*variables, *further], mask_below=mask_below)
page.table(
    missing,
    name="missingness",
    caption="Patients without a value, by outcome.",
    note="n and % of the outcome's patients; p: Fisher's exact test between the outcomes. Variables that are "
    "missing in just the same patients share a row.",
    digits=1,
)
lacking = missing[missing["overall"] != "0"]
if len(lacking):
    page.figure(
        draw.missingness(missing),
        name="missingness",
        caption=f"Share of patients without a value, by outcome ({int(y_good.sum())} good, "
        f"{int((1 - y_good).sum())} poor). Variables that nobody lacks are left out.",
        alt=f"Points for each variable and outcome; most often missing is {lacking['variable'].iloc[0]}.",
    )
else:
    page.text("No patient lacks any of these values.")

# %% [markdown]
# ## Which outcome labels are in use?
#
# *Standard*: the outcome as it was recorded. *Revised* (paper A): a patient who was awake with CPC 1 or 2 after
# the CT, and whose later death had no intracranial cause, counts as good too.

# %%
page.table(
    pd.DataFrame(
        {
            "label": [name.removeprefix("y_good_") for name in labelled],
            "n": len(labelled),
            "n_good": labelled.sum().to_numpy(),
            "good_pct": 100 * labelled.mean().to_numpy(),
        }
    ),
    name="outcome_labels",
    caption="Good outcomes by outcome label.",
    digits=1,
)
relabelled = "y_good_revised" in labelled and bool(
    (labelled["y_good_revised"] > labelled["y_good_standard"]).any()
)
if relabelled:
    page.table(
        relabelled_room.relabelled(included.join(labelled), mask_below=mask_below),
        name="relabelled",
        caption="The patients who are good by the revised label and poor by the standard one, in aggregate.",
        note="Times: median (lower to upper quartile).",
    )
else:
    page.text("No patient's label is revised in this study.")

# %% [markdown]
# ## What goes on from here
#
# The included patients, for the other notebooks. These files stay in `build/`; no row of a patient is shown here.

# %%
if read.gwr is not None:
    readings = read.gwr[read.gwr["patient_id"].isin(included.index)]
    files.write_bytes(here.out("gwr.parquet"), readings.to_parquet(index=False))
if read.ct is not None:
    paths = read.ct[read.ct.index.isin(included.index)].sort_index()
    slices = slices_room.read_slices(
        paths,
        slice_index=included.get("ct_slice"),
        slice_position_mm=included.get("ct_position_mm"),
        rows=read.rows,
    )
    kept = io.BytesIO()
    np.savez(kept, patient_id=paths.index.to_numpy(dtype=str), images=slices)
    files.write_bytes(here.out("images.npz"), kept.getvalue())
    page.text("CT slices were read of {n_ct} patients.", n_ct=len(paths))
columns_kept = included.drop(columns=["y_good", "exclusion"], errors="ignore")
kept_cohort = pd.concat([y_good.rename("y_good"), labelled, columns_kept], axis=1)
files.write_bytes(here.out("cohort.parquet"), kept_cohort.to_parquet())
