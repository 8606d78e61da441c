"""Frozen thresholds applied elsewhere, and measures beside those where the model was fitted."""

import numpy as np
import pandas as pd

from postarrest import scores
from postarrest.evaluation import discrimination, external, thresholds


def rows():
    rng = np.random.default_rng(5)
    y = np.r_[np.ones(30, int), np.zeros(90, int)]
    score = np.clip(0.3 + 0.25 * y + 0.15 * rng.standard_normal(120), 0, 1)
    table = pd.DataFrame({"patient_id": [f"p{i}" for i in range(120)], "y_good": y, "score": score})
    return scores.check(table.assign(model="m", kind="probability", role="test", fold=1))


FROZEN = pd.DataFrame(
    [
        ("m", "Spec-Max", 0.4, ""),
        ("m", "Spec-Max-CI", np.nan, "None: too few."),
        ("other", "Youden", 0.5, ""),
    ],
    columns=["model", "rule", "threshold", "note"],
)


def test_frozen_thresholds_are_applied_and_not_chosen_again():
    table = rows()
    decided = thresholds.table(scores.sets(table), table, frozen=FROZEN)
    carried = decided[decided["chosen_on"] == "frozen"].set_index("rule")
    assert list(carried.index) == ["Spec-Max", "Spec-Max-CI"]
    good = table[table["y_good"] == 1]
    assert carried.loc["Spec-Max", "fn"] == (good["score"] < 0.4).sum()
    assert np.isnan(carried.loc["Spec-Max-CI", "threshold"])
    assert carried.loc["Spec-Max-CI", "note"] == "None: too few."
    (stated,) = external.false_pessimism(carried.reset_index(), "m")
    assert (stated["rule"], stated["n_good"]) == ("Spec-Max", 30)
    assert stated["fnr"].value == carried.loc["Spec-Max", "fnr"]
    assert stated["fnr"].upper == carried.loc["Spec-Max", "fnr_upper"]


def test_the_auc_where_the_model_was_fitted_stands_beside():
    final = scores.sets(rows())
    performance = discrimination.table(discrimination.resample(final, n_resamples=50, seed=1))
    there = pd.DataFrame({"auc": [0.8], "auc_lower": [None], "auc_upper": [0.9]}, index=["m"])
    table = external.beside_frozen(performance, there).set_index(["metric", "positive_class"])
    assert table.loc[("roc_auc", "good"), "frozen"] == 0.8
    assert np.isnan(table.loc[("roc_auc", "good"), "frozen_lower"])
    assert table.drop(index=("roc_auc", "good"))["frozen"].isna().all()
