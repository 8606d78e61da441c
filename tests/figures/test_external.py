"""A frozen model's patients and AUCs beside those of another hospital, as drawn."""

import numpy as np
import pandas as pd

from postarrest.figures import external as draw


def test_differences_are_drawn_from_the_largest():
    rows = [("Patients", "", np.nan), ("Age, years", "", 0.2), ("Sex", "male", -0.7), ("Lactate", "", 0.05)]
    table = pd.DataFrame(rows, columns=["variable", "level", "standardised_difference"])
    axes = draw.differences(table).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Sex: male", "Age, years", "Lactate"]
    (points,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert list(points.get_xdata()) == [-0.7, 0.2, 0.05]
    assert list(points.get_ydata()) == [0, 1, 2]


def test_aucs_here_and_where_the_model_was_fitted():
    table = pd.DataFrame(
        {
            "model": ["ensemble", "ensemble", "ohca"],
            "metric": ["roc_auc", "brier", "roc_auc"],
            "estimate": [0.71, 0.1, 0.66],
            "lower": [0.6, 0.05, 0.5],
            "upper": [0.8, 0.2, 0.75],
            "frozen": [0.82, np.nan, 0.76],
            "frozen_lower": [0.77, np.nan, None],
            "frozen_upper": [0.86, np.nan, None],
            "n": [200, 200, 190],
        }
    )
    axes = draw.aucs(table).axes[0]
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert drawn["here"] == [0.71, 0.66]
    assert drawn["where it was fitted, out of fold"] == [0.82, 0.76]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "Ensemble (random forest) (n = 200)",
        "OHCA variables (n = 190)",
    ]
