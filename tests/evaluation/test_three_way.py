"""Three-way decisions: what they promise for new patients, in simulated cohorts."""

import numpy as np
import pytest
from scipy.stats import norm

from evaluation_data import nested_scores
from postarrest import scores
from postarrest.evaluation import three_way, thresholds

SHIFT = 1.2


@pytest.mark.parametrize(("n_good", "n_poor"), [(82, 451), (150, 150)])
def test_both_limits_hold_together_in_95_percent_of_cohorts(n_good, n_poor):
    rng = np.random.default_rng(2)
    y = np.r_[np.ones(n_good, int), np.zeros(n_poor, int)]
    chosen = [three_way.choose(y, rng.normal(SHIFT * y)) for _ in range(1000)]
    lower, upper = (np.array([getattr(one, side) for one in chosen]) for side in ("lower", "upper"))
    pessimistic, optimistic = norm.cdf(lower - SHIFT) > 0.05, norm.sf(upper) > 0.05
    # The error of an exact test is at most 2.5 %; 1.1 % is two standard errors of 1,000 cohorts.
    assert pessimistic.mean() <= 0.036
    assert optimistic.mean() <= 0.036
    assert (pessimistic | optimistic).mean() <= 0.064
    # And not far below, so that as few as possible are left indeterminate.
    assert optimistic.mean() >= 0.004


def test_the_limits_hold_where_scores_are_tied():
    rng = np.random.default_rng(3)
    y = np.r_[np.ones(120, int), np.zeros(300, int)]
    chosen = [three_way.choose(y, np.round(rng.normal(SHIFT * y), 1)) for _ in range(1000)]
    lower, upper = (np.array([getattr(one, side) for one in chosen]) for side in ("lower", "upper"))
    # A rounded score is below a threshold if the score is below the threshold by half a step.
    assert (norm.cdf(lower - 0.05 - SHIFT) > 0.05).mean() <= 0.036
    assert (norm.sf(upper - 0.05) > 0.05).mean() <= 0.036


def test_an_observed_error_below_the_limit_promises_nothing_and_its_upper_limit_does():
    """Spec-Max-CI corrects for nothing and need not: false pessimism only rises with the threshold."""
    rng = np.random.default_rng(4)
    y = np.r_[np.ones(82, int), np.zeros(451, int)]
    broken = {"Spec-Max": 0, "Spec-Max-CI": 0}
    for _ in range(300):
        score = rng.normal(SHIFT * y)
        for rule in broken:
            broken[rule] += norm.cdf(thresholds.choose(y, score, rule).threshold - SHIFT) > 0.05
    assert broken["Spec-Max"] > 120
    assert broken["Spec-Max-CI"] <= 15


def test_no_threshold_exists_where_a_cohort_is_too_small():
    rng = np.random.default_rng(5)
    y = np.r_[np.ones(71, int), np.zeros(72, int)]
    found = three_way.choose(y, rng.normal(SHIFT * y))
    assert np.isnan(found.lower)
    assert np.isfinite(found.upper)
    assert found.note == (
        "Nobody is predicted poor: with 71 good outcomes no threshold exists, at least 72 are needed."
    )


def test_nobody_is_indeterminate_where_outcomes_are_separate():
    y = np.r_[np.ones(100, int), np.zeros(100, int)]
    found = three_way.choose(y, np.arange(200)[::-1])
    assert found.lower == found.upper
    decided = np.arange(200)[::-1]
    assert not ((decided < found.lower)[:100]).any()


def test_the_table_counts_every_patient_once():
    table = scores.check(nested_scores(800))
    rows = scores.sets(table[table["stage"] == "final"])
    found = three_way.table(rows, table)
    assert set(found["chosen_on"]) == {"train_oof", "test"}
    assert (found[["good", "indeterminate", "poor"]].sum(axis=1) == found["n"]).all()
    assert (found["n_false_pessimism"] <= found["poor"]).all()
    assert (found["n_false_optimism"] <= found["good"]).all()
    own = found[found["chosen_on"] == "test"].set_index("model").loc["ensemble"]
    mine = rows[rows["model"] == "ensemble"]
    assert own["poor"] == (mine["score"] < own["lower_threshold"]).sum()
    assert own["good"] == (mine["score"] >= own["upper_threshold"]).sum()
    assert own["false_pessimism_upper"] <= 0.05
    # The training scores of a fold decide in its test patients only.
    assert found.loc[found["chosen_on"] == "train_oof", "n"].eq(800).all()
