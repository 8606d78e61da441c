"""Withdrawal that follows the prediction makes the recorded figures wrong; the bounds hold the truth."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from postarrest import scores
from postarrest.describe import course
from postarrest.evaluation import subgroups, withdrawal


def simulated(rng, n: int, *, follows: bool):
    """Patients with the outcome that they would have had without any withdrawal.

    Treatment is withdrawn in 70 % of those predicted poor at 0.1 if it follows the prediction.
    """
    x = rng.normal(-1.0, 1.2, n)
    score, potential = expit(x), (rng.random(n) < expit(x)).astype(int)
    poor = score < 0.1
    withdrawn = rng.random(n) < (np.where(poor, 0.7, 0.0) if follows else 0.1)
    recorded = np.where(withdrawn, 0, potential)
    ids = [f"P{i:05d}" for i in range(n)]
    about = {"model": "ensemble", "kind": "probability", "role": "test", "fold": 1}
    table = pd.DataFrame({"patient_id": ids, "y_good": recorded, "score": score}).assign(**about)
    cohort = pd.DataFrame({"treatment_withdrawn": withdrawn.astype(float)}, index=ids)
    cohort["cpc"] = np.where(recorded == 1, 1.0, np.where(withdrawn | (rng.random(n) < 0.5), 5.0, 3.0))
    return scores.sets(scores.check(table)), cohort, potential


def bounded(rows: pd.DataFrame, cohort: pd.DataFrame, threshold: float = 0.1, **settings) -> pd.DataFrame:
    decided = subgroups.decided(rows, rows, rules=[], fixed={"cut": ["probability", threshold]})
    return withdrawal.bounds(rows, course(cohort), decided, **settings).set_index(["metric", "scenario"])


def test_the_recorded_figures_are_wrong_and_the_bounds_hold_the_truth():
    rng = np.random.default_rng(23)
    rows, cohort, potential = simulated(rng, 6000, follows=True)
    found = bounded(rows, cohort)
    score = rows["score"].to_numpy()
    truth = {
        "roc_auc": roc_auc_score(potential, score),
        "false_pessimism": (score[potential == 1] < 0.1).mean(),
    }
    for metric, value in truth.items():
        at = found.loc[metric]
        assert at.loc[withdrawal.LOWEST, "estimate"] <= value <= at.loc[withdrawal.HIGHEST, "estimate"]
    recorded = found.xs(withdrawal.RECORDED, level="scenario")
    # Too rosy by more than chance: the recorded interval does not contain the truth.
    assert recorded.loc["false_pessimism", "upper"] < truth["false_pessimism"]
    assert recorded.loc["roc_auc", "lower"] > truth["roc_auc"]


def test_the_bounds_hold_the_truth_in_every_cohort_whatever_withdrawal_follows():
    rng = np.random.default_rng(5)
    for follows in (True, False) * 8:
        rows, cohort, potential = simulated(rng, 300, follows=follows)
        found, score = bounded(rows, cohort)["estimate"], rows["score"].to_numpy()
        auc, wrong = roc_auc_score(potential, score), (score[potential == 1] < 0.1).mean()
        for metric, value in (("roc_auc", auc), ("false_pessimism", wrong)):
            assert found[metric, withdrawal.LOWEST] <= value + 1e-12
            assert value - 1e-12 <= found[metric, withdrawal.HIGHEST]


def test_the_bounds_are_the_extremes_over_all_outcomes():
    rng = np.random.default_rng(1)
    rows, cohort, _ = simulated(rng, 30, follows=False)
    cohort["treatment_withdrawn"] = [1.0] * 8 + [0.0] * 22
    rows.loc[:3, "y_good"] = 0
    rows.loc[[25, 27], "y_good"] = 1
    unknown = np.flatnonzero((cohort["treatment_withdrawn"] == 1).to_numpy() & (rows["y_good"] == 0))
    y, score = rows["y_good"].to_numpy(), rows["score"].to_numpy()
    aucs, wrong = [], []
    for outcomes in product([0, 1], repeat=len(unknown)):
        changed = y.copy()
        changed[unknown] = outcomes
        aucs.append(roc_auc_score(changed, score))
        wrong.append((score[changed == 1] < 0.3).mean())
    found = bounded(rows, cohort, 0.3)["estimate"]
    for metric, values in (("roc_auc", aucs), ("false_pessimism", wrong)):
        assert found[metric, withdrawal.LOWEST] == pytest.approx(min(values))
        assert found[metric, withdrawal.HIGHEST] == pytest.approx(max(values))
        assert found[metric, withdrawal.RECORDED] == pytest.approx(values[0])
        assert found[metric, withdrawal.ALL] == pytest.approx(values[-1])


def test_withdrawal_is_counted_by_fourths_of_the_score():
    rng = np.random.default_rng(9)
    rows, cohort, _ = simulated(rng, 400, follows=True)
    cohort["withdrawal_day"] = np.where(cohort["treatment_withdrawn"] == 1, 4.0, np.nan)
    found = withdrawal.by_risk(rows, course(cohort))
    assert found["n"].tolist() == ["100"] * 4
    withdrawn = found["n_withdrawn"].astype(int)
    assert withdrawn.sum() == cohort["treatment_withdrawn"].sum()
    assert withdrawn.iloc[0] > 40 and withdrawn.iloc[3] == 0
    modes = found[["alive", "died after withdrawal", "died otherwise"]].astype(int)
    assert modes.to_numpy().sum() == 400
    assert found["withdrawal_day"].iloc[0] == "4 (4 to 4)" and found["withdrawal_day"].iloc[3] == ""
    masked = withdrawal.by_risk(rows, course(cohort), mask_below=30)
    assert "<30" in masked[["alive", "died otherwise"]].to_numpy()


def test_a_study_that_does_not_record_withdrawal_has_no_figures():
    rng = np.random.default_rng(9)
    rows, cohort, _ = simulated(rng, 100, follows=True)
    for absent in (cohort[["cpc"]], cohort.assign(treatment_withdrawn=np.nan)):
        assert withdrawal.by_risk(rows, course(absent)).empty
        assert bounded(rows, absent).empty
    nobody = bounded(rows, cohort.assign(treatment_withdrawn=0.0))
    assert nobody.empty and withdrawal.sentence(nobody.reset_index(), "ensemble") == []
    assert bounded(rows, cohort, mask_below=101).empty


def test_modes_of_death_are_those_recorded():
    cohort = pd.DataFrame(
        {
            "treatment_withdrawn": [1, 1, 0, 0, 0, None],
            "cpc": [5, 3, 5, 5, 5, 2],
            "death_cause_intracranial": [1, None, 1, 0, None, None],
        }
    )
    assert course(cohort)["mode"].tolist() == [
        "died after withdrawal",
        "alive",
        "died, intracranial cause",
        "died, other cause",
        "died otherwise",
        "alive",
    ]
    without = course(cohort[["treatment_withdrawn"]])
    assert without["mode"].tolist() == ["died after withdrawal"] * 2 + ["alive or died otherwise"] * 4
