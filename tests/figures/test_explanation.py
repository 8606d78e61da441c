"""Beeswarm and dependence figures show every patient's contribution."""

import numpy as np
import pandas as pd
import pytest

from postarrest import evaluation, figures
from postarrest.report.drawings import render


@pytest.fixture
def contributions():
    rng = np.random.default_rng(4)
    lactate = rng.normal(9, 3, 60)
    lactate[:10] = np.nan
    rhythm = rng.choice(["vf_vt", "pea"], 60).astype(object)
    parts = [
        pd.DataFrame({"predictor": "lactate_mmol_l", "value": lactate, "contribution": -0.1 * lactate}),
        pd.DataFrame(
            {
                "predictor": "initial_rhythm",
                "value": rhythm,
                "contribution": 0.5 * (rhythm == "vf_vt") + rng.normal(0, 0.1, 60),
            }
        ),
    ]
    ids = [f"P{i}" for i in range(60)]
    both = pd.concat([part.astype({"value": object}).assign(patient_id=ids) for part in parts])
    return both.fillna({"contribution": -0.3}).assign(model="ohca", fold=np.tile(np.arange(60) % 2 + 1, 2))


def test_each_patient_is_a_point_of_each_predictor(contributions):
    importance = evaluation.explanation.importance(contributions, n_resamples=50)
    ax = figures.explanation.beeswarm(contributions, importance).axes[0]
    drawn = np.concatenate([points.get_offsets()[:, 0] for points in ax.collections])
    np.testing.assert_allclose(np.sort(drawn), np.sort(contributions["contribution"]))
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert sorted(names) == ["Initial rhythm", "Lactate, mmol/L"]


def test_dependence_shows_units_missing_values_and_names_of_codes(contributions):
    importance = evaluation.explanation.importance(contributions, n_resamples=50)
    fig = figures.explanation.dependence(contributions, importance)
    by_name = {ax.get_xlabel(): ax for ax in fig.axes if ax.get_visible()}
    lactate = by_name["Lactate, mmol/L (n = 50)"]
    assert "missing" in [text.get_text() for text in lactate.texts]
    assert sum(len(points.get_offsets()) for points in lactate.collections) >= 60
    labels = [t.get_text() for t in by_name["Initial rhythm (n = 60)"].get_xticklabels()]
    assert sorted(labels) == ["PEA", "VF or\npulseless VT"]
    render(fig)
