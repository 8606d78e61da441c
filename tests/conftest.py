"""What tests share."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from postarrest.places import ROOT

# No test asks the internet for anything, nor does a program that it starts: this proxy refuses everything.
os.environ["https_proxy"] = "http://127.0.0.1:9"

# A make that a test starts is not part of 'make test': it has neither its variables nor its lines.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

# The same cases in every run, and no verdict on time: a slow machine must not fail a test.
settings.register_profile("postarrest", deadline=None, derandomize=True)
settings.load_profile("postarrest")

# At the end nobody should wait for one of these alone.
_LONGEST = ("tests/pipeline/test_pipeline", "tests/pipeline/", "tests/models/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; the order within a file stays."""
    items.sort(key=lambda item: next((i for i, s in enumerate(_LONGEST) if item.nodeid.startswith(s)), 9))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and weights that some developers have next to the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder 'shared' with real data is not next to the project")
    return folder


@pytest.fixture(scope="session")
def patients() -> pd.DataFrame:
    """160 patients with a clinical signal, missing values and a text column; 64 good outcomes."""
    rng = np.random.default_rng(11)
    n = 160
    y = np.r_[np.ones(64, int), np.zeros(96, int)]
    lactate = rng.lognormal(2.2 - 0.5 * y, 0.5)
    lactate[rng.random(n) < 0.1] = np.nan
    rhythm = np.where(rng.random(n) < 0.2 + 0.4 * y, "vf_vt", "asystole").astype(object)
    rhythm[:5] = None
    table = pd.DataFrame(
        {
            "y_good": y,
            "lactate_mmol_l": lactate,
            "low_flow_min": rng.gamma(4, 8 - 3 * y).round(),
            "initial_rhythm": rhythm,
            "pupil_left_mm": (rng.normal(4.5 - 0.8 * y, 1.0) * 2).round() / 2,
        },
        index=pd.Index([f"P{i:03d}" for i in range(n)], name="patient_id"),
    )
    return table.sample(frac=1, random_state=3)
