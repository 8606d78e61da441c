"""What training promised against what the test patients show."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from postarrest import scores
from postarrest.evaluation import optimism


def folds(*, shift=0.0, n=400, k=5, seed=0):
    """Scores of a cross-validation whose test scores of good outcomes are lower by `shift`."""
    rng = np.random.default_rng(seed)
    parts = []
    for fold in range(1, k + 1):
        for role, size in (("train_oof", n), ("test", n // 4)):
            y = rng.integers(0, 2, size)
            score = rng.normal(1.0 * y - shift * y * (role == "test"))
            ids = [f"{role}-{fold}-{i}" for i in range(size)]
            about = {
                "model": "m",
                "fold": fold,
                "role": role,
                "outcome_label": "standard",
                "stage": "final",
            } | {"kind": "marker"}
            parts.append(pd.DataFrame({"patient_id": ids, "y_good": y, "score": score}).assign(**about))
    return pd.concat(parts, ignore_index=True)


def inner_outer(table):
    return optimism.inner_outer(scores.sets(table), table)


def realised_fnr(table):
    return optimism.realised_fnr(scores.sets(table), table)


def test_inner_and_outer_are_the_means_over_folds():
    table = folds()
    row = inner_outer(table).iloc[0]
    for role, column in (("train_oof", "inner"), ("test", "outer")):
        of_role = table[table["role"] == role].groupby("fold")
        aucs = [roc_auc_score(part["y_good"], part["score"]) for _, part in of_role]
        assert row[column] == pytest.approx(np.mean(aucs))
    assert row["optimism"] == pytest.approx(row["inner"] - row["outer"])
    assert row["lower"] < row["optimism"] < row["upper"]


def test_a_planted_optimism_is_found_and_none_is_not():
    assert inner_outer(folds(shift=1.0))["lower"].iloc[0] > 0.1
    none = pd.concat([inner_outer(folds(seed=seed, n=200)) for seed in range(60)])
    covered = ((none["lower"] <= 0) & (none["upper"] >= 0)).mean()
    assert covered >= 0.9


def test_realised_false_pessimism_is_near_its_target_unless_scores_are_distributed_differently():
    same = realised_fnr(folds(n=4000)).set_index("rule")
    assert same.loc["Spec-Max", "fnr_where_chosen"] < 0.05
    assert same.loc["Spec-Max", "fnr"] == pytest.approx(0.05, abs=0.01)
    shifted = realised_fnr(folds(n=4000, shift=1.0)).set_index("rule")
    # Good outcomes that score like poor ones: the threshold is at -0.64, one standard deviation higher.
    assert shifted.loc["Spec-Max", "fnr"] == pytest.approx(stats.norm.cdf(1 - 1.645), abs=0.02)


def test_rules_that_no_threshold_meets_and_models_without_training_rows_have_no_row():
    few = folds(n=80)
    assert "Spec-Max-CI" not in set(realised_fnr(few)["rule"])
    tests_only = few[few["role"] == "test"]
    assert realised_fnr(tests_only).empty
    assert inner_outer(tests_only).empty


def test_of_repeated_hold_out_splits_the_first_counts_as_in_every_other_table():
    """All of them would count a patient several times, as if there were more patients."""
    table = folds(k=3)
    table["patient_id"] = table["patient_id"].str.replace(r"-\d-", "-", regex=True)
    first = table[table["fold"] == 1]
    pd.testing.assert_frame_equal(realised_fnr(table), realised_fnr(first))
    assert inner_outer(table)["folds"].tolist() == [1]
    assert inner_outer(table)["lower"].isna().all()


def test_folds_with_one_outcome_have_no_auc_and_no_false_pessimism():
    table = folds(k=3)
    table.loc[(table["fold"] == 2) & (table["role"] == "test"), "y_good"] = 0
    assert inner_outer(table).empty
    found = realised_fnr(table)
    assert len(found) and found["fnr_fold_max"].notna().all()
    assert (found["fnr_fold_max"] >= found["fnr"]).all()
