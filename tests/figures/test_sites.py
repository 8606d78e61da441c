"""Figures by hospital: they show the values of their tables."""

import numpy as np
import pandas as pd

from postarrest import figures
from postarrest.evaluation import sites

RECORD = {
    "kind": "probability",
    "expected": 40.0,
    "intercept": 0.1,
    "intercept_se": 0.2,
    "slope_se": 0.2,
    "note": "",
}


def effects(n_sites):
    rows = [
        {"model": "ensemble", "site": f"site {k}", "n": 200 - 10 * k, "n_good": 40}
        | {"auc": 0.7 + 0.02 * k, "auc_variance": 0.0009, "slope": 1.0 + 0.05 * k, **RECORD}
        for k in range(n_sites)
    ]
    few = dict.fromkeys(sites.RECORD, np.nan) | {
        "n": 12,
        "n_good": 3,
        "note": "too few: fewer than 10 of an outcome",
    }
    return sites.effects(
        pd.DataFrame([*rows, {"model": "ensemble", "kind": "probability", "site": "small"} | few])
    )


def test_forest_shows_each_hospital_the_mean_and_the_next():
    found = effects(5)
    summary = sites.summary(found)
    fig = figures.sites.forest(found, summary, model="ensemble")
    fig.draw_without_rendering()
    auc = fig.axes[0]
    names = [label.get_text() for label in auc.get_yticklabels()]
    assert names == [
        *(f"site {k} (n = {200 - 10 * k})" for k in range(5)),
        "small (n = 12)",
        "mean",
        "next hospital",
    ]
    points = next(line for line in auc.lines if line.get_marker() == "s")
    np.testing.assert_allclose(points.get_xdata()[:5], 0.7 + 0.02 * np.arange(5))
    texts = [text.get_text() for text in auc.texts]
    row = summary.set_index("metric").loc["roc_auc"]
    assert texts[5] == "too few"
    assert texts[-1] == f"{row['next_lower']:.2f} to {row['next_upper']:.2f}"
    assert len(fig.axes) == 3


def test_two_hospitals_have_no_prediction():
    found = effects(2)
    fig = figures.sites.forest(found, sites.summary(found), model="ensemble")
    fig.draw_without_rendering()
    assert fig.axes[0].texts[-1].get_text() == "a prediction needs three sites"


def test_without_a_judged_hospital_there_are_names_only():
    found = effects(0)
    fig = figures.sites.forest(found, sites.summary(found), model="ensemble")
    fig.draw_without_rendering()
    assert [text.get_text() for text in fig.axes[0].texts] == ["too few"]


def test_false_pessimism_and_hidden_counts():
    about = {"model": "m", "rule": "0.5", "chosen_on": "fixed", "site": ["a", "b"], "threshold": 0.5}
    decisions = pd.DataFrame(about | {"tp": [40, 30], "fp": [20, 20], "fn": [10, 3], "tn": [30, 40]})
    fig = figures.sites.false_pessimism(sites.accuracy(decisions), model="m", rules=["0.5", "F1-max"])
    (ax,) = fig.axes
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xdata(), 100 * np.array([10 / 50, 3 / 33, 13 / 83]))
    assert [text.get_text() for text in ax.texts] == ["10 of 50", "3 of 33", "13 of 83"]
    masked = sites.accuracy(decisions, mask_below=5)
    (ax,) = figures.sites.false_pessimism(masked, model="m", rules=["0.5"]).axes
    assert ax.texts[1].get_text() == "hidden"
    possible = masked.assign(fnr_lowest=[0.2, 1 / 33, 0.13], fnr_highest=[0.2, 4 / 33, 0.17])
    (ax,) = figures.sites.false_pessimism(possible, model="m", rules=["0.5"]).axes
    assert ax.texts[1].get_text() == "3.0 to 12.1 %"
    none = figures.sites.false_pessimism(masked, model="m", rules=["Youden"])
    none.draw_without_rendering()
