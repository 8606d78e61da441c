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
# # What is the attenuation of gray and white matter on each head CT?
#
# The published protocol: one reader, who does not know the outcome, places a circle of 10 to 15 mm² in eight regions on
# both sides of the brain, and repeats this in a second session. Here the reader does so, with no other software. The
# readings are what notebook 02 needs.
#
# *Reads* the ids of the included patients, their head CTs and, where the study has them, proposed places
# (`proposals.csv`). No outcome is read. *Writes* `build/<study>/readings/`.

# %% tags=["parameters"]
study_name: str = "holdout"  # the study, a file in params/
data_path: str = ""  # folder of real data; blank: the study's simulated patients
reader: str = "reader1"  # who reads: a name of letters, digits or '_'
session: int = 1  # 1 or 2; a second session has a new order and does not show the first one's circles
show_proposals: bool = True  # whether proposed places of the circles are shown, if the study has them

# %%
from pathlib import Path

from postarrest import places, reading

here = places.open(study_name)
folder = here.build("readings")
ids = reading.included_ids(here)
paths = reading.ct_paths(Path(data_path) if data_path else here.data, ids)
proposals = reading.read_proposals(here.build("proposals.csv")) if show_proposals else {}
mine = reading.Session(ids, reader=reader, session=session, folder=folder)

# %% [markdown]
# ## Where are the circles placed?
#
# | level | gray matter | white matter |
# |---|---|---|
# | basal ganglia | CN caudate nucleus, PU putamen | PLIC posterior limb of the internal capsule, CC corpus callosum |
# | centrum semiovale | MC1 medial cortex | MW1 medial white matter |
# | high convexity | MC2 medial cortex | MW2 medial white matter |
#
# The patient's right is at the left of the image. Patients come in a random order. Each change is saved at once, and
# running the notebook again resumes at the first patient who is not complete. A region that the CT does not show is left
# out: tick *The missing regions cannot be measured*.
#
# The mean is that of the pixels of the original slice whose centre is inside the circle. Window, zoom and interpolation
# do not change it.
#
# Proposals are dashed. A reading that starts from a proposal is not independent of what proposed it, so agreement between
# the two, and between two sessions, will look better than it is. The column `placed` of the readings shows which circles
# were accepted or moved. The published protocol has no proposals: `show_proposals = False`.

# %%
reading.tool(mine, paths, proposals=proposals)

# %% [markdown]
# ## Next steps
#
# Run the next cell after each session. It writes the readings of both sessions as one table,
# `build/<study>/readings/<reader>-gwr.csv`. Copy it to the study's data folder as `gwr.csv`, and add `gwr` to the
# `modalities` of the study file; notebook 02 then shows how well the two sessions agree, and what the ratio predicts.

# %%
reading.combine(folder, reader=reader)
