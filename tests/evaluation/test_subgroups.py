"""Subgroups: what is shown, what is hidden, no more false alarms than promised, planted gaps found."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import chi2_contingency

from evaluation_data import holdout_scores, nested_scores
from postarrest import evaluation, scores
from postarrest.evaluation import subgroups


def cohort(rng, n=400, *, gap=0.0, shift=0.0, noise=0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A cross-validated model that is right in every group, unless a gap is planted in women.

    ``gap`` takes that share of the predictions' log odds from women's outcomes, ``shift`` adds to women's log
    odds; ``noise`` makes a second, worse model.
    """
    ids = [f"P{i:04d}" for i in range(n)]
    groups = pd.DataFrame(
        {
            "Sex": rng.choice(["male", "female"], n, p=[0.6, 0.4]),
            "Age, years": rng.choice(["<50", "50 to <65", "≥65"], n),
            "Initial rhythm": rng.choice(["shockable", "not shockable"], n, p=[0.4, 0.6]),
        },
        index=ids,
    ).astype("category")
    x = rng.normal(-1.2, 1.4, n)
    women = (groups["Sex"] == "female").to_numpy()
    y = (rng.random(n) < expit(np.where(women, (1 - gap) * x + shift, x))).astype(int)
    fold, parts = np.arange(n) % 5 + 1, []
    models = {"ensemble": expit(x)} | ({"ct": expit(x + rng.normal(0, noise, n))} if noise else {})
    for model, score in models.items():
        for k in range(1, 6):
            for role, here in (("train_oof", fold != k), ("test", fold == k)):
                rows = {"patient_id": np.array(ids)[here], "y_good": y[here], "score": score[here]}
                about = {"model": model, "kind": "probability", "role": role, "fold": k}
                parts.append(pd.DataFrame(rows).assign(**about))
    return scores.check(pd.concat(parts)), groups


def tabulated(table: pd.DataFrame, groups: pd.DataFrame, **settings) -> pd.DataFrame:
    final = scores.sets(table)
    final = final[final["stage"] == "final"]
    decided = subgroups.decided(final, table, rules=["Spec-Max", "Youden"], fixed={})
    return subgroups.table(final, groups, decided, **{"n_resamples": 50} | settings)


def p_values(found: pd.DataFrame) -> pd.DataFrame:
    return found.dropna(subset="p_interaction").drop_duplicates(["model", "variable", "metric", "rule"])


def test_a_null_cohort_raises_no_more_than_5_percent_false_alarms():
    rng = np.random.default_rng(19)
    alarms = [(p_values(tabulated(*cohort(rng), n_resamples=2))["p_holm"] < 0.05).any() for _ in range(80)]
    # At a rate of 5 %, more than 8 of 80 would have a probability of 2 %.
    assert np.sum(alarms) <= 8


@pytest.mark.parametrize(
    ("planted", "metrics"), [({"gap": 1.0}, {"roc_auc", "calibration_slope"}), ({"shift": -1.5}, {"oe"})]
)
def test_a_planted_gap_is_found_where_it_was_planted(planted, metrics):
    rng = np.random.default_rng(7)
    for _ in range(3):
        tests = p_values(tabulated(*cohort(rng, 900, **planted), n_resamples=2))
        alarms = tests[tests["p_holm"] < 0.05]
        assert set(alarms["variable"]) == {"Sex"}
        assert metrics <= set(alarms["metric"])


def test_a_group_has_the_figures_that_its_patients_have_alone():
    table, groups = cohort(np.random.default_rng(3))
    found = tabulated(table, groups).set_index(["variable", "level", "metric"])
    women = groups.index[groups["Sex"] == "female"]
    alone = scores.sets(table[table["patient_id"].isin(women)])
    performance = evaluation.discrimination.table(evaluation.discrimination.resample(alone, n_resamples=10))
    wanted = performance[(performance["ci_method"] == "DeLong logit") & (performance["set"] == "pooled")]
    here = found.loc[("Sex", "female", "roc_auc"), ["estimate", "lower", "upper"]]
    np.testing.assert_allclose(here.to_numpy(float).ravel(), wanted[["estimate", "lower", "upper"]].iloc[0])
    calibration, _ = evaluation.calibration.table(alone, n_resamples=2)
    for metric, column in (("oe", "oe"), ("calibration_slope", "slope")):
        limits = calibration.loc[0, [column, f"{column}_lower", f"{column}_upper"]].to_numpy(float)
        here = found.loc[("Sex", "female", metric), ["estimate", "lower", "upper"]]
        np.testing.assert_allclose(here.to_numpy(float).ravel(), limits)
    curve = evaluation.decision.curve(alone["y_good"], alone["score"], n_resamples=2).set_index("threshold")
    for metric, column in (("net_benefit", "net_benefit"), ("net_benefit_gain", "gain")):
        here = found.loc[("Sex", "female", metric), "estimate"]
        assert here == pytest.approx(curve.loc[0.1, column])


def test_thresholds_and_false_pessimism_are_those_of_the_table_of_thresholds():
    table = scores.check(nested_scores())
    final = scores.sets(table)
    final = final[final["stage"] == "final"]
    thresholds = evaluation.thresholds.table(final, table, fixed={"0.5": ("probability", 0.5)})
    thresholds = thresholds[thresholds["chosen_on"] != "test"].set_index(["model", "rule"])
    fixed = {"0.5": ["probability", 0.5]}
    decided = subgroups.decided(final, table, rules=["Spec-Max", "Youden"], fixed=fixed)
    groups = pd.DataFrame({"all": "one"}, index=final["patient_id"].unique()).astype("category")
    found = subgroups.table(final, groups, decided, n_resamples=2)
    found = found[(found["metric"] == "false_pessimism") & (found["level"] == "one")]
    assert len(found) == 6
    for row in found.itertuples():
        assert row.estimate == pytest.approx(thresholds.loc[(row.model, row.rule), "fnr"])
        assert row.upper == pytest.approx(thresholds.loc[(row.model, row.rule), "fnr_upper"])


def test_a_set_that_contains_its_training_patients_has_only_fixed_thresholds():
    table = scores.check(holdout_scores())
    final = scores.sets(table)
    decided = subgroups.decided(final, table, rules=["Youden"], fixed={"GWR 1.2": ["gwr_*", 1.2]})
    everybody = final["set"] == "all"
    assert decided.loc[everybody, "Youden"].isna().all()
    assert decided.loc[everybody, "GWR 1.2"].notna().all()
    assert decided.loc[~everybody, "Youden"].notna().all()


def test_small_groups_have_no_figures_and_small_counts_are_hidden():
    table, groups = cohort(np.random.default_rng(5))
    y = table.drop_duplicates("patient_id").set_index("patient_id")["y_good"]
    good, poor = y.index[y == 1], y.index[y == 0]
    few = pd.Series("many", index=groups.index)
    few[[*good[:3], *poor[:60]]] = "few good"
    few[[*good[3:40], *poor[60:62]]] = "few poor"
    groups = pd.DataFrame({"size": few.astype("category")})
    found = tabulated(table, groups).set_index("level")
    assert found.loc["few good", "note"] == "too few: 3 good outcomes"
    assert found.loc["few poor", "note"] == "too few: 2 poor outcomes"
    assert found.loc[["few good", "few poor"], ["estimate", "p_interaction"]].isna().all(axis=None)
    assert found.loc["many", "estimate"].notna().all()
    limits = subgroups.Limits(mask_below=5)
    masked = tabulated(table, groups, limits=limits).set_index("level")
    assert masked.loc["few good", "note"] == "too few: <5 good outcomes"
    assert masked.loc["few good", "n_good"] == "<5"
    assert masked.loc["many", "estimate"].notna().all()
    # With two groups, the count that is hidden would follow from the other and the total.
    groups["size"] = few.replace("few poor", "many").astype("category")
    masked = tabulated(table, groups, limits=limits).set_index("level")
    assert masked.loc["many", "note"] == "not shown: a count of this group is hidden"
    assert masked.loc["few good", "n_good"] == "<5" and masked.loc["many", "n_good"] == "hidden"
    assert masked.loc[["few good", "many"], "estimate"].isna().all()


def test_patients_without_a_record_are_shown_but_not_p_values():
    table, groups = cohort(np.random.default_rng(5))
    unknown = groups["Sex"].astype(object)
    unknown.iloc[::3] = "not recorded"
    found = tabulated(table, pd.DataFrame({"Sex": unknown.astype("category")}))
    of_auc = found[found["metric"] == "roc_auc"].set_index("level")
    assert np.isnan(of_auc.loc["not recorded", "p_interaction"])
    assert np.isfinite(of_auc.loc["not recorded", "estimate"])
    without = table[~table["patient_id"].isin(unknown.index[unknown == "not recorded"])]
    again = tabulated(without, groups[["Sex"]])
    again = again[again["metric"] == "roc_auc"].set_index("level")
    assert of_auc.loc["male", "p_interaction"] == pytest.approx(again.loc["male", "p_interaction"])


def test_the_main_model_is_corrected_on_its_own():
    table, groups = cohort(np.random.default_rng(2), noise=1.0)
    tests = p_values(tabulated(table, groups))
    alone = p_values(tabulated(table[table["model"] == "ensemble"], groups))
    np.testing.assert_allclose(tests.loc[tests["model"] == "ensemble", "p_holm"], alone["p_holm"])
    other = p_values(tabulated(table, groups, focus="ct"))
    assert other["model"].iloc[0] == "ct"
    assert sorted(other["p_interaction"]) == sorted(tests["p_interaction"])
    assert (tests["p_holm"] >= tests["p_interaction"]).all()


def test_cochrans_q_is_pearsons_chi_square_for_large_groups():
    counts = np.array([[430, 570], [470, 530], [500, 500]])
    share = counts[:, 0] / 1000
    half = 1.959964 * np.sqrt(share * (1 - share) / 1000)
    p = subgroups.heterogeneity(np.column_stack([share, share - half, share + half]))
    assert p == pytest.approx(chi2_contingency(counts, correction=False).pvalue, rel=0.05)


def test_sentences_say_what_was_p_values():
    table, groups = cohort(np.random.default_rng(7), 900, shift=-1.5)
    (said,) = subgroups.differences(tabulated(table, groups))
    assert said["n_found"] >= 1 and "Sex, oe (P < 0.001)" in said["found"]
    assert said["sentence"].format(**said).startswith("**ensemble** (set pooled): ")
    (said,) = subgroups.differences(tabulated(table, groups, limits=subgroups.Limits(least=10_000)))
    assert said["n_tests"] == 0 and "no variable has two groups" in said["sentence"]
