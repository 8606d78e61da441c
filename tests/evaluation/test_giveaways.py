"""What says nothing about the patient must not predict the outcome, and is named if it does."""

import numpy as np
import pandas as pd
import pytest

from postarrest.evaluation.delong import delong
from postarrest.evaluation.giveaways import giveaways


def outcome(n: int = 200, share: float = 0.3) -> pd.Series:
    return pd.Series((np.arange(n) < n * share).astype(int))


def test_an_auc_is_that_of_the_better_direction_with_its_interval():
    y = outcome()
    width = pd.Series(np.random.default_rng(1).normal(0, 1, 200)) - 1.2 * y
    (row,) = giveaways(pd.DataFrame({"width": width}), y).itertuples(index=False)
    expected = delong(y, -width, models=["w"]).interval("w", transform="logit")
    assert (row.what, row.n) == ("width", 200)
    assert (row.auc, row.lower, row.upper) == (expected.value, expected.lower, expected.upper)
    assert row.auc > 0.7


def test_a_level_of_a_text_is_judged_against_all_others():
    source = pd.Series(["PNG", "JPEG", "DICOM", "DICOM"] * 50)
    y = (source == "JPEG").astype(int).where(np.arange(200) % 8 != 1, 0)
    found = giveaways(pd.DataFrame({"format": source}), y).set_index("what")["auc"]
    assert set(found.index) >= {"format JPEG"}
    assert found["format JPEG"] > 0.9


def test_a_perfect_separation_has_no_limits_and_is_named():
    y = outcome()
    (row,) = giveaways(pd.DataFrame({"width": 512 - y * 100}), y).itertuples(index=False)
    assert row.auc == 1
    assert np.isnan(row.lower)


@pytest.mark.parametrize(
    "values", [np.full(200, 512), np.tile([512, 256], 100), np.where(np.arange(200) < 2, 1, np.nan)]
)
def test_what_does_not_differ_by_outcome_is_not_named(values: np.ndarray):
    assert giveaways(pd.DataFrame({"width": values}), outcome()).empty


def test_missing_values_are_left_out():
    y = outcome()
    width = pd.Series(y * 100.0).where(np.arange(200) % 2 == 0)
    (row,) = giveaways(pd.DataFrame({"width": width}), y).itertuples(index=False)
    assert row.n == 100


def test_chance_is_rarely_named():
    rng = np.random.default_rng(3)
    y = outcome()
    named = sum(len(giveaways(pd.DataFrame({"width": rng.normal(0, 1, 200)}), y)) for _ in range(200))
    # An AUC of 0.6 or more, in either direction, with the interval above 0.5: some 2.5 % of 200.
    assert named <= 12
