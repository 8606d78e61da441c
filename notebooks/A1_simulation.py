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
# Nobody can be given the patients of the papers, so the default studies are simulated. This appendix shows what was
# made up and how it was set: the slices, the clinical figures beside the published ones they were drawn from, and
# the discrimination that was planted.
#
# *Reads* the data folder of a simulated study and nothing else of the pipeline. *Writes* tables and figures only.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
save_to: str = "scratch"  # "report" in the pipeline; any other name is a folder under build/<study>/
shown: int = 16  # slices in the picture, half of them of good outcomes
real_ct: str = ""  # folder or file of a real head CT to set beside them; blank: none
real_slices: list = [57, 58, 59]  # its slices, from the caudal end, whose mean is shown
seed_table: str = "docs/simulation-seeds.csv"  # what make simulation-check wrote; from the project's root

# %%
import json
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest import places
from postarrest.data import cohort as cohort_room
from postarrest.data import export
from postarrest.data.ct import slices
from postarrest.figures import simulation as draw
from postarrest.report import page as page_room
from postarrest.simulate import targets

here = places.open(study_name, save_to=save_to)
page = page_room.Page(here, notebook="A1_simulation")
read = export.read_export(here.data, modalities=["ct"])
included = read.patients.loc[read.ct.index]
good = cohort_room.outcome_labels(included)["y_good_revised"].eq(1)
truth = json.loads((here.data / "truth.json").read_text(encoding="utf-8"))

# %% [markdown]
# ## What do the slices look like?
#
# The anatomy is that of the MNI152 template, a mean of 152 healthy brains, through the foramen of Monro and the pineal
# gland. Each patient has a head of another size, shape and position, other sulci, ventricles as wide as the age
# makes likely, and a density of its own. In poor outcomes gray matter is less dense and sulci are narrower, white
# matter is the same.

# %%
chosen = pd.concat([good[good].head(shown // 2), good[~good].head(shown - shown // 2)]).index
positions = included.loc[chosen, "ct_slice"] if "ct_slice" in included else None
images = slices.read_slices(read.ct[chosen], slice_index=positions)
titles = ["good outcome" if good[patient] else "poor outcome" for patient in chosen]
real = [slices.read_slice(Path(real_ct), slice_index=number).hu for number in real_slices] if real_ct else []
real_image = [slices.window(np.mean(real, axis=0))] if real_ct else []
page.figure(
    draw.slice_grid(np.array([*images, *real_image]), titles + ["a real head"] * len(real_image)),
    name="simulated_slices",
    caption=f"Slices of {len(chosen)} simulated patients, window 40 / 80 HU"
    + ("; the last is a real head CT under the same window." if real_ct else "."),
    alt="Axial head CT slices with skull, ventricles, deep nuclei, gray and white matter and fine noise.",
)

# %%
groups = {
    "good outcome": images[np.array([title.startswith("good") for title in titles])],
    "poor outcome": images[np.array([title.startswith("poor") for title in titles])],
}
page.figure(
    draw.densities(groups | ({"a real head": np.array(real_image)} if real_ct else {})),
    name="simulated_densities",
    caption="Density of what is neither air, fat nor bone, pooled over the slices shown.",
    alt="Two peaks close together, white and gray matter, with a tail of fluid; gray matter is less dense in poor "
    "outcomes.",
)

# %% [markdown]
# ## Which published figures was it set to?
#
# *set to*: the simulation was calibrated to this value. *direction*: the cohorts at hand separate the outcomes more
# sharply than the studies that are reproduced, so the direction was kept and the size is what those studies'
# discrimination leaves. *bound*: the value is a limit. Reasons for exclusion are made up; only their sum is published.

# %%
figures = targets.compared(here.data)
page.table(
    figures,
    name="simulation_targets",
    caption="Published figures beside those of the simulated patients",
    note="good, poor: outcome by the revised label. n: patients behind the simulated figure.",
    digits=3,
)

# %% [markdown]
# ## Do the readings come out so with every seed?
#
# The readings are taken on the images, so that GWR and the CNN speak of one picture; nothing is drawn as a GWR. Their
# means, spread and reliability are therefore results, not settings.

# %%
place = places.ROOT / seed_table
seeds = pd.read_csv(place) if seed_table and place.is_file() else pd.DataFrame({"seed": []})
page.table(
    targets.over_seeds_summary(seeds),
    name="simulation_seeds",
    caption=f"Readings of the hold-out study, simulated with {len(seeds)} seeds",
    note="Mean, standard deviation, lowest and highest value over the seeds. Made by make simulation-check.",
    digits=3,
)

# %% [markdown]
# ## What was planted?
#
# The best AUC and Brier score that each source of information allows: for OHCA variables and pupils from a very large draw of the
# same simulation; for CT that of an observer who knows the severity of the injury, which no network reaches from a
# noisy slice; for GWR-AV that of ratios read without noise. What the models recovered is in notebook 05.

# %%
models = pd.DataFrame(truth["models"]).T.rename_axis("model").reset_index()
models["published"] = [truth["targets"][f"{model}_auc"] for model in models["model"]]
page.table(
    models,
    name="simulation_truth",
    caption="Planted performance: AUC for a good outcome, and Brier score",
    note="cnn (hold-out protocol) and ct (base model) are both the network on CT. mc error: Monte Carlo standard error of the planted value. published: the AUC of the paper's model.",
    digits=3,
)
settings = pd.Series(truth["settings"], name="value").rename_axis("setting").reset_index()
page.table(settings.astype(str), name="simulation_settings", caption="Settings of this simulation")

# %%
# Time differs from run to run: it is told, and kept neither among the tables nor among the numbers.
spent = here.build("time/simulate.tsv")
timing = pd.read_csv(spent, sep="\t").iloc[-1] if spent.is_file() else pd.Series({"s": "?", "max_rss": "?"})
page.text(
    "Making this study took {seconds} s and {memory} MB of memory at the peak of one process.",
    seconds=str(timing["s"]),
    memory=str(timing["max_rss"]),
)
