"""Thresholds: their choice, without any influence of the test patients, and the decisions that follow."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from evaluation_data import golden_case, holdout_scores, nested_scores
from golden_values import DCURVES, PROC_YOUDEN, R_PROPORTIONS
from postarrest import scores
from postarrest.evaluation import confusion, decision, intervals, thresholds


@pytest.mark.parametrize(("count", "n"), R_PROPORTIONS)
def test_proportions_equal_r(count, n):
    exact = intervals.proportion_interval(count, n)
    wilson = intervals.proportion_interval(count, n, method="wilson")
    np.testing.assert_allclose(np.r_[exact, wilson], R_PROPORTIONS[count, n], rtol=1e-9, atol=1e-12)


def test_proportion_of_nobody_has_no_interval():
    assert np.isnan(intervals.proportion_interval(0, 0)).all()
    with pytest.raises(ValueError, match="clopper-pearson"):
        intervals.proportion_interval(1, 2, method="wald")


@pytest.mark.parametrize("case", PROC_YOUDEN)
def test_youden_equals_proc(case):
    y, a, _ = golden_case(*case)
    chosen = thresholds.choose(y, a, "Youden")
    row = confusion.describe(y, a, [chosen.threshold]).iloc[0]
    np.testing.assert_allclose([row["sensitivity"], row["specificity"]], PROC_YOUDEN[case], rtol=1e-12)


_CASES = st.integers(4, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(int, n, elements=st.integers(0, 1)),
        hnp.arrays(float, n, elements=st.sampled_from(np.round(np.linspace(0, 1, 15), 2))),
    )
)


@given(_CASES)
@settings(max_examples=25)
def test_rules_find_the_best_of_all_thresholds(case):
    y, score = case
    assume(0 < y.sum() < len(y))
    candidates = np.unique(score)
    said = [(score >= t).astype(int) for t in candidates]
    fnr = np.array([1 - metrics.recall_score(y, s) for s in said])
    specificity = np.array([metrics.recall_score(1 - y, 1 - s, zero_division=0) for s in said])
    measures = {
        "F1-max": np.array([metrics.f1_score(y, s) for s in said]),
        "F2-max": np.array([metrics.fbeta_score(y, s, beta=2) for s in said]),
        "Youden": specificity - fnr,
        "Spec-Max": np.where(fnr < 0.05, specificity, -1),
        "FNR 0": np.where(fnr == 0, specificity, -1),
    }
    for rule, value in measures.items():
        chosen = thresholds.choose(y, score, rule)
        at = np.flatnonzero(candidates == chosen.threshold)[0]
        assert value[at] == pytest.approx(value.max()), rule
        # Of equals the lowest: fewest patients are called poor.
        assert not (value[:at] > value.max() + 1e-12).any()
        assert at == np.flatnonzero(value >= value.max() - 1e-12)[0], rule


@given(_CASES)
@settings(max_examples=30)
def test_description_equals_scikit_learn(case):
    y, score = case
    assume(0 < y.sum() < len(y))
    grid = np.array([0.0, 0.29, 0.5, 1.0])
    table = confusion.describe(y, score, grid)
    for threshold, row in zip(grid, table.to_dict("records"), strict=True):
        (tn, fp), (fn, tp) = metrics.confusion_matrix(y, score >= threshold, labels=[0, 1])
        assert [row[k] for k in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
    # A higher threshold calls more patients poor.
    assert (np.diff(table["fnr"]) >= 0).all()
    assert (np.diff(table["specificity"]) >= 0).all()
    assert (table["fnr_upper"] >= table["fnr"]).all()


@pytest.mark.parametrize(("n_good", "exists"), [(13, False), (71, False), (72, True), (82, True)])
def test_the_guideline_needs_72_good_outcomes(n_good, exists):
    y = np.r_[np.ones(n_good, int), np.zeros(200, int)]
    score = np.r_[np.linspace(0.5, 1, n_good), np.linspace(0, 0.6, 200)]
    chosen = thresholds.choose(y, score, "Spec-Max-CI")
    assert np.isfinite(chosen.threshold) == exists
    if exists:
        row = confusion.describe(y, score, [chosen.threshold]).iloc[0]
        assert row["fnr_upper"] <= 0.05
        assert row["specificity"] > 0.7
    else:
        assert f"with {n_good} good outcomes" in chosen.note
        assert "at least 72" in chosen.note


def test_patients_of_one_outcome_give_no_threshold():
    for rule in thresholds.RULES:
        chosen = thresholds.choose([0, 0, 0], [0.1, 0.2, 0.3], rule)
        assert np.isnan(chosen.threshold)
        assert "the same outcome" in chosen.note
    with pytest.raises(ValueError, match="Youden"):
        thresholds.choose([0, 1], [0.1, 0.2], "youden")


def test_each_fold_uses_the_threshold_of_its_own_training_set():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    decided = thresholds.table(rows[rows["stage"] == "final"], table)
    assert set(decided["chosen_on"]) == {"train_oof", "test"}
    for rule in ("Youden", "Spec-Max"):
        found = decided[
            (decided["model"] == "ct") & (decided["rule"] == rule) & (decided["chosen_on"] == "train_oof")
        ].iloc[0]
        counts, chosen = np.zeros(4, int), []
        for fold in range(1, 6):
            mine = table[(table["model"] == "ct") & (table["fold"] == fold)]
            train, test = mine[mine["role"] == "train_oof"], mine[mine["role"] == "test"]
            chosen.append(thresholds.choose(train["y_good"], train["score"], rule).threshold)
            counts += np.ravel(confusion.confusion(test["y_good"], test["score"], chosen[-1:]))
        assert [found[k] for k in ("tp", "fp", "fn", "tn")] == list(counts)
        assert found["threshold"] == np.median(chosen)
        assert [found["threshold_min"], found["threshold_max"]] == [min(chosen), max(chosen)]


def test_test_labels_do_not_move_thresholds_chosen_on_the_training_set():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    permuted = rows.assign(y_good=rows["y_good"].sample(frac=1, random_state=1).to_numpy())
    before, after = (thresholds.table(r[r["stage"] == "final"], table) for r in (rows, permuted))
    honest = before["chosen_on"] == "train_oof"
    pd.testing.assert_series_equal(before.loc[honest, "threshold"], after.loc[honest, "threshold"])
    assert (before.loc[~honest, "threshold"] != after.loc[~honest, "threshold"]).any()


def test_where_no_threshold_exists_the_table_says_so():
    table = scores.check(holdout_scores())
    rows = scores.sets(table)
    decided = thresholds.table(rows, table, fixed={"0.5": ["probability", 0.5], "GWR 1.2": ["gwr_*", 1.2]})
    none = decided[decided["tp"].isna()]
    assert set(none["rule"]) == {"Spec-Max-CI"}
    assert none["note"].str.contains("good outcomes are needed").all()
    assert none["fnr_upper"].isna().all()
    assert (decided.loc[decided["tp"].notna(), "note"] == "").all()
    fixed = decided[decided["chosen_on"] == "fixed"]
    assert set(zip(fixed["model"], fixed["rule"], strict=True)) == {("cnn", "0.5"), ("gwr_av", "GWR 1.2")}
    # All patients of a marker hold those that a threshold would be chosen on.
    assert set(decided.loc[decided["set"] == "all", "chosen_on"]) == {"test", "fixed"}


def test_optimism_is_the_difference_between_the_two_choices():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    decided = thresholds.table(rows[rows["stage"] == "final"], table)
    found = thresholds.optimism(decided).set_index(["model", "rule"])
    sides = decided.set_index(["model", "rule", "chosen_on"])
    expected = (
        sides.loc[("ct", "Youden", "test"), "specificity"]
        - sides.loc[("ct", "Youden", "train_oof"), "specificity"]
    )
    assert found.loc[("ct", "Youden"), "specificity_optimism"] == pytest.approx(expected)
    # On the scores that it was chosen on, a rule's own measure can't be beaten.
    assert (found.xs("Youden", level="rule")["youden_optimism"] >= -1e-12).all()
    assert (found.xs("F1-max", level="rule")["f1_optimism"] >= -1e-12).all()


def test_sweep_and_low_fnr():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    final = rows[rows["stage"] == "final"]
    swept = thresholds.sweep(final)
    assert swept.groupby("model")["threshold"].agg(list)["ct"] == pytest.approx(np.arange(101) / 100)
    low = thresholds.with_low_fnr(final)
    assert (low["fnr"] < 0.05).all()
    mine = final[final["model"] == "ct"]
    values = np.unique(mine["score"])
    fnr = confusion.describe(mine["y_good"], mine["score"], values)["fnr"]
    assert (low["model"] == "ct").sum() == (fnr < 0.05).sum()
    markers = scores.sets(scores.check(holdout_scores()))
    assert thresholds.sweep(markers[markers["kind"] == "marker"]).empty


def test_sweep_counts_scores_of_two_decimals_as_they_are_written():
    rng = np.random.default_rng(5)
    cents = rng.integers(0, 101, 400)
    rows = holdout_rows(y_good=rng.integers(0, 2, 400), score=cents / 100)
    swept = thresholds.sweep(rows)
    by_hand = [((cents >= t) & (rows["y_good"] == 1)).sum() for t in range(101)]
    assert swept["tp"].tolist() == by_hand
    # The decision curve counts the same patients.
    curve = decision.curve(rows["y_good"], rows["score"], n_resamples=2)
    inner = swept.iloc[1:-1]
    odds = inner["threshold"] / (1 - inner["threshold"])
    expected = (inner["tp"] - inner["fp"] * odds) / 400
    assert curve["net_benefit"].to_numpy() == pytest.approx(expected.to_numpy(float), abs=1e-12)


@pytest.mark.parametrize(("threshold", "model", "everyone"), DCURVES)
def test_net_benefit_and_its_gain_equal_those_of_dcurves(threshold, model, everyone):
    y, a, _ = golden_case(533, 15, 6)
    curve = decision.curve(y, a, n_resamples=2)
    at = curve[np.isclose(curve["threshold"], threshold)].iloc[0]
    assert [at["net_benefit"], at["gain"]] == pytest.approx([model, model - everyone], abs=1e-12)


def test_intervals_of_the_sweep_are_those_of_the_decisions():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    final = rows[(rows["stage"] == "final") & (rows["model"] == "ct")]
    swept = thresholds.sweep(final, step=0.1, n_resamples=4000).set_index("threshold")
    decided = thresholds.table(final, table, fixed={"0.3": ("ct", 0.3)})
    at = decision.at_thresholds(decided[decided["rule"] == "0.3"], n_resamples=4000)
    for metric, row in at[at["positive_class"] == "good"].set_index("metric").iterrows():
        if metric in ("lr_positive", "lr_negative", "balanced_accuracy"):
            continue
        within = 0.01 if metric in ("f1", "f2") else 1e-12
        found = swept.loc[0.3, [metric, f"{metric}_lower", f"{metric}_upper"]].tolist()
        assert found == pytest.approx(row[["estimate", "lower", "upper"]].tolist(), abs=within)


def holdout_rows(*, y_good, score):
    return pd.DataFrame({"y_good": y_good, "score": score}).assign(
        outcome_label="standard", stage="final", set="holdout", model="m", kind="probability"
    )


def test_what_the_main_models_thresholds_cost_is_told_in_counts():
    rows = pd.DataFrame({"outcome_label": "revised", "set": "pooled"}, index=[0])
    table = pd.DataFrame(
        {"outcome_label": "revised", "set": "pooled", "stage": "final", "model": ["m", "m", "m", "other"]}
        | {"rule": ["Spec-Max", "Spec-Max", "Spec-Max-CI", "Spec-Max"], "note": ["", "", "None", ""]}
        | {"chosen_on": ["train_oof", "test", "train_oof", "train_oof"], "threshold": [0.2, 0.3, np.nan, 0.1]}
        | {"tp": [19, 18, 0, 1], "fp": [6, 4, 0, 1], "fn": [1, 2, 0, 1], "tn": [14, 16, 0, 1]}
        | dict.fromkeys(["sensitivity", "specificity", "ppv", "npv"], 0.5)
        | {"fnr": [0.05, 0.1, np.nan, 0.5], "fnr_upper": [0.2487, 0.3, np.nan, 0.9]}
    )
    mine = decision.of_model(table, rows, "m")
    assert mine["rule"].tolist() == ["Spec-Max", "Spec-Max-CI"]
    (only,) = decision.consequences(mine)
    assert (only["wrongly_poor"], only["n_good"]) == (1, 20)
    assert (only["recognised_poor"], only["n_poor"]) == (14, 20)
    assert (str(only["fnr"]), str(only["fnr_upper"])) == ("5.0", "24.9")
