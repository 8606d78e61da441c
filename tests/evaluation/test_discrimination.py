"""Measures, intervals and comparisons against R's pROC, SciPy, scikit-learn and their own properties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from statsmodels.stats.multitest import multipletests

from evaluation_data import golden_case, holdout_scores, nested_scores
from golden_values import PROC
from postarrest import scores
from postarrest.evaluation import (
    bootstrap,
    calibration,
    comparisons,
    curves,
    decision,
    discrimination,
    labels,
    resamples,
    thresholds,
)
from postarrest.evaluation.delong import delong
from postarrest.evaluation.published import (
    against_published,
    against_truth,
    coverage_of_trained,
    coverage_summary,
    forest_rows,
)
from postarrest.places import ROOT
from postarrest.words import model_in_words


@pytest.mark.parametrize("case", PROC)
def test_delong_equals_proc(case):
    y, a, b = golden_case(*case)
    known = PROC[case]
    ours = delong(y, np.column_stack([a, b]), models=["a", "b"])
    np.testing.assert_allclose(ours.auc, known["auc"], rtol=1e-12)
    for model, key in (("a", "ci_a"), ("b", "ci_b")):
        found = ours.interval(model)
        np.testing.assert_allclose([found.lower, found.upper], known[key], rtol=1e-12)
    np.testing.assert_allclose(ours.covariance[[0, 1, 0], [0, 1, 1]], known["cov"], rtol=1e-11)
    difference, p = ours.difference("a", "b")
    np.testing.assert_allclose([p, difference.lower, difference.upper], known["test"], rtol=1e-10)


@pytest.mark.parametrize("case", PROC)
def test_measures_equal_scikit_learn(case):
    y, a, _ = golden_case(*case)
    found = bootstrap.bootstrap(y, a, n_resamples=0, jackknife=False).estimate[0]
    brier = metrics.brier_score_loss(y, a)
    expected = [
        metrics.roc_auc_score(y, a),
        metrics.average_precision_score(y, a),
        metrics.average_precision_score(1 - y, -a),
        brier,
        1 - brier / metrics.brier_score_loss(y, np.full(len(y), y.mean())),
        metrics.log_loss(y, a),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("case", [(64, 20, 6), (321, 21, 1)])
def test_every_resample_equals_scikit_learn_on_the_drawn_patients(case, stratified):
    y, a, b = golden_case(*case)
    both = np.column_stack([a, b])
    ours = bootstrap.bootstrap(y, both, n_resamples=60, seed=5, stratified=stratified, jackknife=False)
    good, poor = next(resamples.counts(y, n_resamples=60, seed=5, stratified=stratified))
    for row in range(60):
        times = np.empty(len(y), int)
        times[y == 1], times[y == 0] = good[row], poor[row]
        drawn = np.repeat(np.arange(len(y)), times)
        for model in (0, 1):
            expected = [
                metrics.roc_auc_score(y[drawn], both[drawn, model]),
                metrics.average_precision_score(y[drawn], both[drawn, model]),
                metrics.average_precision_score(1 - y[drawn], -both[drawn, model]),
                metrics.brier_score_loss(y[drawn], both[drawn, model]),
            ]
            np.testing.assert_allclose(ours.resampled[model, :4, row], expected, rtol=1e-11)
            assert times.sum() == len(y)
            assert not stratified or y[drawn].sum() == y.sum()


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("measure", ["roc_auc", "pr_auc_good", "brier"])
def test_intervals_equal_scipy_on_the_same_resamples(method, measure):
    y, a, _ = golden_case(64, 20, 6)
    functions = {
        "roc_auc": metrics.roc_auc_score,
        "pr_auc_good": metrics.average_precision_score,
        "brier": metrics.brier_score_loss,
    }

    def two_samples(good, poor, axis=-1):
        return functions[measure](np.r_[np.ones(len(good)), np.zeros(len(poor))], np.r_[good, poor])

    def one_sample(y, score, axis=-1):
        return functions[measure](y, score)

    for stratified, data, statistic in (
        (True, (a[y == 1], a[y == 0]), two_samples),
        (False, (y, a), one_sample),
    ):
        ours = bootstrap.bootstrap(y, a, n_resamples=999, seed=3, stratified=stratified)
        distribution = ours.resampled[0, ours.measures.index(measure)]
        earlier = stats._resampling.BootstrapResult(None, distribution, None)
        theirs = stats.bootstrap(
            data,
            statistic,
            paired=not stratified,
            vectorized=False,
            n_resamples=0,
            bootstrap_result=earlier,
            method={"percentile": "percentile", "bca": "BCa"}[method],
        ).confidence_interval
        found = ours.interval("0", measure, method=method)
        np.testing.assert_allclose([found.lower, found.upper], [theirs.low, theirs.high], rtol=1e-10)


def test_resamples_depend_neither_on_their_number_nor_on_the_other_models():
    y, a, b = golden_case(3000, 20, 3)
    few = bootstrap.bootstrap(y, a, n_resamples=50, seed=9, jackknife=False)
    many = bootstrap.bootstrap(y, np.column_stack([b, a]), n_resamples=200, seed=9, jackknife=False)
    np.testing.assert_array_equal(few.resampled[0], many.resampled[1, :, :50])
    other = bootstrap.bootstrap(y, a, n_resamples=50, seed=10, jackknife=False)
    assert not np.array_equal(few.resampled, other.resampled)


def test_differences_are_paired():
    y, a, _ = golden_case(321, 21, 6)
    ours = bootstrap.bootstrap(y, np.column_stack([a, a]), models=["a", "twin"], n_resamples=200)
    difference, p = ours.difference("a", "twin", "roc_auc")
    assert difference.value == 0
    assert np.isnan(difference.lower)
    assert p == 1


def test_jackknife_by_groups_gives_about_the_exact_bca_interval():
    y, a, _ = golden_case(2400, 50, 6)
    exact = bootstrap.bootstrap(y[:900], a[:900], n_resamples=500, seed=1)
    assert [part.shape[-1] for part in exact.left_out] == [y[:900].sum(), 900 - y[:900].sum()]
    grouped = bootstrap.bootstrap(y, a, n_resamples=500, seed=1)
    assert [part.shape[-1] for part in grouped.left_out] == [200, 200]
    found, percentile = grouped.interval("0", "roc_auc", method="bca"), grouped.interval("0", "roc_auc")
    # With 1,200 patients of each outcome the correction is small.
    np.testing.assert_allclose([found.lower, found.upper], [percentile.lower, percentile.upper], atol=0.003)


# Few distinct scores, so that ties within and between outcomes are the rule.
_CASES = st.integers(4, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(int, n, elements=st.integers(0, 1)),
        hnp.arrays(int, n, elements=st.integers(0, 12)),
    )
)


def _estimates(y, score, **settings):
    found = bootstrap.bootstrap(y, score, n_resamples=0, jackknife=False, **settings)
    return dict(zip(found.measures, found.estimate[0], strict=True))


@given(_CASES)
@settings(max_examples=60, deadline=None)
def test_ranking_measures_are_properties_of_ranks(case):
    y, k = case
    assume(0 < y.sum() < len(y))
    score = k / 12
    here = _estimates(y, score)
    pairs = np.sign(score[y == 1][:, None] - score[y == 0][None, :])
    assert here["roc_auc"] == pytest.approx((pairs + 1).mean() / 2)
    assert delong(y, score).auc[0] == pytest.approx(here["roc_auc"])
    # A monotone transform changes no rank; swapped labels mirror the area, and so do scores turned round.
    stretched = _estimates(y, score**3 / 2)
    swapped = _estimates(1 - y, score)
    mirrored = _estimates(1 - y, 1 - score)
    twice = _estimates(np.r_[y, y], np.r_[score, score])
    for measure in ("roc_auc", "pr_auc_good", "pr_auc_poor"):
        assert stretched[measure] == pytest.approx(here[measure])
    assert swapped["roc_auc"] == pytest.approx(1 - here["roc_auc"])
    assert mirrored["roc_auc"] == pytest.approx(here["roc_auc"])
    assert mirrored["pr_auc_poor"] == pytest.approx(here["pr_auc_good"])
    assert mirrored["brier"] == pytest.approx(here["brier"])
    assert twice == pytest.approx(here)


@given(_CASES, st.booleans())
@settings(max_examples=40, deadline=None)
def test_intervals_contain_the_median_resample_and_stay_in_range(case, stratified):
    y, k = case
    assume(0 < y.sum() < len(y))
    found = bootstrap.bootstrap(y, k / 12, n_resamples=200, seed=1, stratified=stratified)
    for measure in found.measures:
        for method in ("percentile", "bca"):
            interval = found.interval("0", measure, method=method)
            if not np.isnan(interval.lower):
                assert interval.lower <= interval.upper
                if measure in ("roc_auc", "pr_auc_good", "pr_auc_poor", "brier"):
                    assert interval.lower >= -1e-12
                    assert interval.upper <= 1 + 1e-12
    logit = delong(y, k / 12).interval("0", transform="logit")
    assert np.isnan(logit.lower) or 0 < logit.lower <= logit.value <= logit.upper < 1


def test_one_good_outcome():
    y = np.array([1, 0, 0, 0, 0, 0])
    score = np.array([0.6, 0.1, 0.7, 0.3, 0.2, 0.4])
    found = bootstrap.bootstrap(y, score, n_resamples=400, seed=2, stratified=False)
    undefined = found.n_undefined("0", "roc_auc")
    # A resample misses the one patient with probability (5/6)^6 = .335.
    assert 0.25 < undefined / 400 < 0.42
    assert found.interval("0", "roc_auc").value == pytest.approx(0.8)
    # Leaving the only good outcome out leaves no area: there is no acceleration and no BCa interval.
    assert np.isnan(found.interval("0", "roc_auc", method="bca").lower)
    assert np.isnan(delong(y, score).interval("0").lower)


@pytest.mark.parametrize(("score", "auc"), [([0.3] * 6, 0.5), ([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], 1.0)])
def test_constant_and_perfect_scores_have_no_interval(score, auc):
    y = np.array([0, 0, 0, 1, 1, 1])
    found = bootstrap.bootstrap(y, score, n_resamples=100)
    for interval in (
        found.interval("0", "roc_auc"),
        found.interval("0", "roc_auc", method="bca"),
        delong(y, score).interval("0"),
        delong(y, score).interval("0", transform="logit"),
    ):
        assert interval.value == auc
        assert np.isnan(interval.lower)


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], "neither 0 nor 1"),
        ([0, 0, 0], [0.1, 0.2, 0.3], "same outcome"),
        ([0, 1, 1], [0.1, np.nan, 0.3], "finite"),
        ([0, 1, 1], [0.1, 0.2], "shape"),
        ([0, 1, 1], [0.1, 0.2, 1.3], "outside 0 to 1"),
    ],
)
def test_bad_arguments_are_refused(y, score, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.bootstrap(y, score)


def test_markers_have_no_probability_measures():
    y, a, _ = golden_case(64, 20, 6)
    found = _estimates(y, 100 * a, probability=False)
    assert np.isnan([found[m] for m in ("brier", "brier_skill", "log_loss")]).all()
    assert np.isfinite(found["roc_auc"])


def test_table_of_a_cross_validation():
    table = scores.check(nested_scores())
    rows = scores.sets(table)
    final = rows[rows["stage"] == "final"]
    performed = discrimination.table(discrimination.resample(final, n_resamples=100, seed=1))
    columns = ["model", "metric", "positive_class", "estimate", "lower", "upper", "ci_method", "n", "n_good"]
    assert set(columns) <= set(performed)
    assert set(performed["set"]) == {"pooled", "fold mean"}
    one = performed[performed["recommended"]]
    assert not one.duplicated(["set", "model", "metric", "positive_class"]).any()

    ensemble = final[final["model"] == "ensemble"]
    pooled = discrimination.quoted(performed, "ensemble", "roc_auc", set="pooled")
    assert pooled.value == pytest.approx(metrics.roc_auc_score(ensemble["y_good"], ensemble["score"]))
    for metric, function in (
        ("roc_auc", metrics.roc_auc_score),
        ("pr_auc", metrics.average_precision_score),
        ("brier", metrics.brier_score_loss),
    ):
        by_fold = [function(part["y_good"], part["score"]) for _, part in ensemble.groupby("fold")]
        found = discrimination.quoted(performed, "ensemble", metric, set="fold mean")
        assert found.value == pytest.approx(np.mean(by_fold))
        assert found.lower < found.value < found.upper
    with pytest.raises(KeyError, match="No row"):
        discrimination.quoted(performed, "ensemble", "accuracy")
    summary = discrimination.summary(performed)
    assert list(summary["model"]) == ["ensemble", "ct"] * 2
    assert summary["roc_auc"].iloc[0] == str(pooled).replace("95 % CI ", "")


def divided(folds: np.ndarray) -> pd.DataFrame:
    """Rows of the pooled patients of a cross-validation of two models."""
    y, a, b = golden_case(len(folds), 40, 6)
    about = {"patient_id": [f"P{i:03d}" for i in range(len(folds))], "y_good": y, "fold": folds}
    about |= {"kind": "probability", "role": "test"}
    models = [pd.DataFrame(about | {"model": name, "score": score}) for name, score in (("a", a), ("b", b))]
    return scores.sets(scores.check(pd.concat(models)))


def test_folds_with_one_outcome_have_no_mean():
    """As when each fold leaves out one patient: the pooled AUC is defined, that of a fold is not."""
    alone, several = divided(np.arange(60) + 1), divided(np.arange(60) % 3 + 1)
    for rows, expected in ((alone, {"pooled"}), (several, {"pooled", "fold mean"})):
        performed = discrimination.table(discrimination.resample(rows, n_resamples=20))
        assert set(performed["set"]) == expected
        assert set(comparisons.comparisons(rows, n_resamples=20)["set"]) == expected
    # A row of one patient would be that patient's outcome and score.
    assert discrimination.by_fold(alone).empty
    assert len(discrimination.by_fold(several)) == 6
    one = several[(several["fold"] != 2) | (several["y_good"] == 0)]
    assert set(discrimination.by_fold(one)["fold"]) == {1, 3}
    assert set(discrimination.table(discrimination.resample(one, n_resamples=20))["set"]) == {"pooled"}


def test_models_that_were_tested_in_different_folds_have_no_mean_to_compare():
    rows = divided(np.arange(60) % 3 + 1)
    other = rows["fold"].where(rows["model"] == "a", rows["fold"] % 3 + 1)
    for mixed in (rows.assign(fold=other), rows.assign(fold=rows["fold"] + 3 * (rows["model"] == "b"))):
        found = discrimination.table(discrimination.resample(mixed, n_resamples=20))
        assert set(found["set"]) == {"pooled"}
        assert set(comparisons.comparisons(mixed, n_resamples=20)["set"]) == {"pooled"}


def test_table_of_a_holdout_shows_markers_on_all_patients_too():
    rows = scores.sets(scores.check(holdout_scores()))
    performed = discrimination.table(discrimination.resample(rows, n_resamples=50))
    areas = performed[(performed["metric"] == "roc_auc") & performed["recommended"]]
    found = set(map(tuple, areas[["outcome_label", "set", "model", "n"]].to_numpy()))
    assert found == {
        (outcome, name, model, n)
        for outcome in ("revised", "standard")
        for name, model, n in (("holdout", "gwr_av", 64), ("holdout", "cnn", 64), ("all", "gwr_av", 321))
    }
    assert "brier" not in set(performed.loc[performed["model"] == "gwr_av", "metric"])


def test_each_pair_is_compared_in_the_patients_that_both_score():
    table = scores.check(holdout_scores())
    # The marker could not be read in three hold-out patients.
    test = (table["role"] == "test") & (table["model"] == "gwr_av") & (table["outcome_label"] == "revised")
    rows = scores.sets(table.drop(index=table.index[test][:3]))
    compared = comparisons.comparisons(rows, n_resamples=200, seed=4)
    revised = compared[(compared["outcome_label"] == "revised") & (compared["metric"] == "roc_auc")]
    assert set(revised["n"]) == {61}
    assert set(revised["method"]) == {"DeLong", "paired bootstrap percentile, unstratified"}
    assert set(compared["set"]) == {"holdout"}
    y, wide = scores.wide(rows[(rows["outcome_label"] == "revised") & (rows["set"] == "holdout")])
    complete = wide.notna().all(axis=1).to_numpy()
    aucs = [metrics.roc_auc_score(y[complete], wide.loc[complete, m]) for m in wide]
    assert revised["difference"].iloc[0] == pytest.approx(aucs[0] - aucs[1])
    assert compared["p"].between(0, 1).all()
    # A third score, known in all, meets each of the two in as many patients as they share.
    whole = rows[rows["model"] == "cnn"].assign(model="other")
    third = comparisons.comparisons(pd.concat([rows, whole]), n_resamples=200, seed=4)
    third = third[(third["outcome_label"] == "revised") & (third["metric"] == "roc_auc")]
    n = third.groupby(["model_a", "model_b"])["n"].first().to_dict()
    assert n == {("gwr_av", "cnn"): 61, ("gwr_av", "other"): 61, ("cnn", "other"): 64}
    assert third["difference"].iloc[0] == revised["difference"].iloc[0]
    # What the models' own intervals have drawn serves only the pairs that share all of these patients.
    both = pd.concat([rows, whole])
    drawn = discrimination.resample(both, n_resamples=200, seed=4)
    again = comparisons.comparisons(both, resampled=drawn, n_resamples=200, seed=4)
    pd.testing.assert_frame_equal(again, comparisons.comparisons(both, n_resamples=200, seed=4))


def test_many_patients_have_the_same_intervals_and_curves_on_one_core_and_on_two(monkeypatch):
    rng = np.random.default_rng(3)
    y = rng.random(21_000) < 0.2
    score = 1 / (1 + np.exp(1.5 - y + rng.normal(size=len(y))))
    found = []
    for cores in ("1", "2"):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", cores)
        boot = bootstrap.bootstrap(y, score, n_resamples=60, seed=1)
        curve, _ = calibration.curve(y, score, n_resamples=60, seed=1)
        bands = curves.curve_bands(y, score, n_resamples=60, seed=1)
        found.append((boot.resampled, *boot.left_out, curve.to_numpy(), bands.to_numpy()))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("p", [[], [0.03], [0.5, None, 0.01, 0.01, 1.0, 0.02], [0.0, 0.4, None, 0.3, 0.3]])
def test_holm_is_that_of_statsmodels(p):
    p = pd.Series(p, dtype=float, index=["pair"] * len(p))
    found, known = comparisons.holm(p), p.notna().to_numpy()
    wanted = multipletests(p[known], method="holm")[1] if known.any() else []
    np.testing.assert_allclose(found[known], wanted)
    assert found[~known].isna().all()


def test_holm():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.5), "holm") gives 0.04 0.09 0.09 0.5
    rows = []
    y, a, b = golden_case(321, 21, 6)
    for model, score in (("m1", a), ("m2", b), ("m3", 0.5 * a + 0.5 * b)):
        rows.append(
            pd.DataFrame(
                {
                    "patient_id": np.arange(321).astype(str),
                    "y_good": y,
                    "model": model,
                    "kind": "probability",
                    "fold": 1,
                    "score": score,
                    "outcome_label": "standard",
                    "set": "holdout",
                }
            )
        )
    compared = comparisons.comparisons(pd.concat(rows), n_resamples=50)
    delong = compared[compared["method"] == "DeLong"].sort_values("p")
    expected = np.maximum.accumulate(np.minimum(1, delong["p"].to_numpy() * [3, 2, 1]))
    np.testing.assert_allclose(delong["p_holm"], expected)


def test_decisions_have_both_classes():
    table = scores.check(holdout_scores())
    rows = scores.sets(table)
    decided = thresholds.table(rows, table, fixed={"GWR 1.2": ["gwr_*", 1.2]})
    decisions = decision.at_thresholds(decided, n_resamples=200, seed=1)
    here = decisions[
        (decisions["outcome_label"] == "revised")
        & (decisions["set"] == "all")
        & (decisions["model"] == "gwr_av")
        & (decisions["rule"] == "GWR 1.2")
    ].set_index(["metric", "positive_class"])["estimate"]
    mine = rows[(rows["outcome_label"] == "revised") & (rows["set"] == "all") & (rows["model"] == "gwr_av")]
    y, predicted = mine["y_good"].to_numpy(), (mine["score"] >= 1.2).to_numpy().astype(int)
    for positive, label in ((1, "good"), (0, "poor")):
        truth, said = (y, predicted) if positive else (1 - y, 1 - predicted)
        expected = {
            "sensitivity": metrics.recall_score(truth, said),
            "ppv": metrics.precision_score(truth, said),
            "f1": metrics.f1_score(truth, said),
            "f2": metrics.fbeta_score(truth, said, beta=2),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
            "lr_positive": metrics.class_likelihood_ratios(truth, said)[0],
            "lr_negative": metrics.class_likelihood_ratios(truth, said)[1],
        }
        for metric, value in expected.items():
            assert here[metric, label] == pytest.approx(value), (metric, label)
    assert here["specificity", "good"] == here["sensitivity", "poor"]
    assert here["npv", "good"] == here["ppv", "poor"]


def test_decision_bootstrap_is_a_bootstrap_of_patients():
    rng = np.random.default_rng(0)
    decided = pd.DataFrame(
        {
            "outcome_label": "standard",
            "set": "holdout",
            "model": "m",
            "rule": "0.5",
            "chosen_on": "fixed",
            "threshold": 0.5,
            "tp": [30],
            "fp": [40],
            "fn": [10],
            "tn": [120],
            "n": 200,
            "n_good": 40,
        }
    )
    ours = decision.at_thresholds(decided, n_resamples=4000, seed=1)
    ours = ours[(ours["metric"] == "f1") & (ours["positive_class"] == "good")].iloc[0]
    y = np.r_[np.ones(40, int), np.zeros(160, int)]
    said = np.r_[np.ones(30, int), np.zeros(10, int), np.ones(40, int), np.zeros(120, int)]
    drawn = rng.integers(0, 200, (4000, 200))
    right, named, good = (c[drawn].sum(axis=1) for c in (y * said, said, y))
    f1 = 2 * right / (named + good)
    np.testing.assert_allclose([ours["lower"], ours["upper"]], np.quantile(f1, [0.025, 0.975]), atol=0.015)


def test_bands_contain_the_curve_and_its_ends():
    y, a, _ = golden_case(533, 15, 6)
    bands = curves.curve_bands(y, a, n_resamples=300, seed=1)
    roc = curves.roc_curve(y, a)
    tpr = np.interp(bands["at"], roc["fpr"], roc["tpr"])
    assert (bands["tpr_lower"] <= tpr + 1e-9).mean() > 0.97
    assert (bands["tpr_upper"] >= tpr - 1e-9).mean() > 0.97
    assert bands["tpr_lower"].iloc[-1] == 1
    pr = curves.pr_curve(y, a)
    # At full recall everybody from the lowest good score on is named good.
    at_full = pr.loc[pr["recall"] == 1, "precision"].max()
    assert bands["precision_lower"].iloc[-1] <= at_full <= bands["precision_upper"].iloc[-1]
    assert (bands["tpr_lower"] <= bands["tpr_upper"]).all()


def test_band_at_a_point_is_the_bootstrap_of_that_point():
    y, a, _ = golden_case(64, 20, 6)
    bands = curves.curve_bands(y, a, n_resamples=80, seed=6)
    good, poor = next(resamples.counts(y, n_resamples=80, seed=6, stratified=False))
    tpr = []
    for row in range(80):
        times = np.empty(len(y), int)
        times[y == 1], times[y == 0] = good[row], poor[row]
        fpr, hits, _ = metrics.roc_curve(
            y[times > 0], a[times > 0], sample_weight=times[times > 0], drop_intermediate=False
        )
        tpr.append(np.interp(0.2, fpr, hits))
    expected = np.quantile(tpr, [0.025, 0.975])
    np.testing.assert_allclose(
        bands.iloc[20][["tpr_lower", "tpr_upper"]].to_numpy(float), expected, atol=1e-12
    )


def test_spread_of_repeated_splits():
    table = scores.check(holdout_scores(splits=3))
    spread = discrimination.spread(scores.splits(table))
    assert len(spread) == 2 * 2 * 3
    summary = discrimination.spread_summary(spread)
    first = scores.sets(table)
    performed = discrimination.table(discrimination.resample(first, n_resamples=20))
    for row in summary.itertuples():
        quoted = discrimination.quoted(
            performed, row.model, "roc_auc", outcome_label=row.outcome_label, set="holdout"
        )
        assert row.first == pytest.approx(quoted.value)
        assert row.lowest <= row.median <= row.highest
    assert discrimination.spread(scores.splits(scores.check(holdout_scores()))).empty


def test_results_are_compared_with_the_truth_and_with_published_numbers():
    table = scores.check(holdout_scores())
    rows = scores.sets(table)
    performed = discrimination.table(discrimination.resample(rows, n_resamples=50))
    decisions = decision.at_thresholds(thresholds.table(rows, table), n_resamples=20)
    names = ["model", "observer", "auc", "mc_error", "brier", "brier_mc_error"]
    ladder = [
        ("cnn", "near", 0.62, 0.001, 0.14, 0.001),
        ("gwr_av", "near", 0.8, 0.002, None, None),
        ("ct", "near", 0.7, 0.001, None, None),
    ]
    planted_ladder = pd.DataFrame(ladder, columns=names)
    truth = against_truth(performed, planted_ladder, outcomes=sorted(set(performed["outcome_label"])))
    assert against_truth(performed, planted_ladder, outcomes=["another"]).empty
    assert against_truth(performed, pd.DataFrame(), outcomes=["standard"]).empty
    assert set(truth["model"]) == {"cnn", "gwr_av"}
    assert set(truth.loc[truth["model"] == "gwr_av", "metric"]) == {"roc_auc"}
    for row in truth[truth["model"] == "cnn"].to_dict("records"):
        planted = {"roc_auc": 0.62, "brier": 0.14}[row["metric"]]
        assert row["planted"] == planted
        assert row["within"] == (row["lower"] <= planted <= row["upper"])
    papers = [
        {
            "paper": "A",
            "item": "area",
            "value": 0.84,
            "table": "performance",
            "model": "cnn",
            "metric": "roc_auc",
            "outcome_label": "standard",
            "set": "holdout",
            "source": "text",
        },
        {
            "paper": "A",
            "item": "sensitivity without false pessimism",
            "value": 0.4,
            "table": "at_thresholds",
            "model": "cnn",
            "metric": "sensitivity",
            "positive_class": "poor",
            "rule": "FNR 0",
            "source": "text",
        },
        {"paper": "A", "item": "women", "value": 0.3, "table": "cohort", "source": "text"},
        {"paper": "B", "item": "x", "value": 1, "table": "performance", "model": "pupil", "source": "text"},
        {
            "paper": "A",
            "item": "accuracy",
            "value": 0.9,
            "table": "performance",
            "model": "cnn",
            "metric": "accuracy",
            "source": "text",
        },
    ]
    published = against_published(papers, performed, decisions).set_index("item")
    assert list(published.index) == ["area", "sensitivity without false pessimism", "accuracy"]
    area = discrimination.quoted(performed, "cnn", "roc_auc", outcome_label="standard", set="holdout")
    assert published.loc["area", "here"] == area.value
    mine = rows[(rows["model"] == "cnn") & (rows["outcome_label"] == "revised")]
    lowest_good = mine.loc[mine["y_good"] == 1, "score"].min()
    found = (mine.loc[mine["y_good"] == 0, "score"] < lowest_good).mean()
    assert published.loc["sensitivity without false pessimism", "here"] == pytest.approx(found)
    assert np.isnan(published.loc["accuracy", "here"])
    forest = forest_rows(performed, papers)
    label = f"{model_in_words('cnn')} (standard, hold-out, n = 64)"
    assert forest.loc[forest["label"] == label, "published"].item() == 0.84
    assert forest["published"].isna().sum() == len(forest) - 1


def test_quoted_intervals_are_those_of_best_coverage():
    simulated = pd.read_csv(ROOT / "docs" / "coverage.csv")
    assert set(simulated["n"]) == {64, 321, 533}
    assert set(simulated["prevalence"]) == {0.15, 0.21}
    summary = coverage_summary(simulated)
    for statistic in discrimination.METRICS:
        mine = summary[summary["statistic"] == statistic]
        chosen = mine[mine["recommended"]]
        assert len(chosen) == 1, statistic
        # Two Monte Carlo errors of a mean over 18 cells of 1,000 cohorts are about 0.003.
        assert chosen["shortfall"].item() <= mine["shortfall"].min() + 0.003, statistic
    # What the report says of strata.
    brier = summary[summary["statistic"] == "brier"].set_index("interval")["mean_coverage"]
    assert brier["bootstrap BCa, stratified"] < 0.8 < 0.93 < brier["bootstrap BCa, unstratified"]


def test_a_holdout_quotes_intervals_of_a_stratified_split():
    rows = scores.sets(scores.check(holdout_scores()))
    performed = discrimination.table(discrimination.resample(rows, n_resamples=500, seed=5))
    brier = performed[(performed["metric"] == "brier") & (performed["set"] == "holdout")]
    cnn = rows[(rows["set"] == "holdout") & (rows["model"] == "cnn") & (rows["outcome_label"] == "revised")]
    # The table has 321 patients; the split took 64 of them.
    alone = discrimination.bootstrap_of(cnn, n_resamples=500, seed=5, stratified=False, n_cohort=321)
    expected = alone.interval("cnn", "brier", method="bca")
    found = discrimination.quoted(performed, "cnn", "brier", outcome_label="revised", set="holdout")
    assert found == expected
    assert set(brier.loc[brier["recommended"], "ci_method"]) == {"bootstrap BCa, stratified split"}


def test_the_intervals_quoted_in_a_holdout_are_those_of_best_coverage():
    simulated = pd.read_csv(ROOT / "docs" / "coverage-holdout.csv").set_index(["statistic", "interval"])
    distance = (simulated["coverage"] - 0.95).abs()
    for statistic in distance.index.unique("statistic"):
        metric, _ = discrimination.METRICS[statistic]
        assert distance[statistic].idxmin() == discrimination.RECOMMENDED_HOLDOUT[metric], statistic


@pytest.mark.parametrize("n_cohort", [80, 400])
def test_good_outcomes_of_a_stratified_split_vary_as_the_prevalence_of_its_cohort(n_cohort):
    y = np.repeat([1, 0], [20, 60])
    drawn = list(resamples.counts(y, n_resamples=20000, seed=1, n_cohort=n_cohort, cells=80 * 7000))
    good = np.concatenate([good for good, _ in drawn]).sum(axis=1)
    poor = np.concatenate([poor for _, poor in drawn]).sum(axis=1)
    assert (good + poor == 80).all()
    expected = 80 * np.sqrt(0.25 * 0.75 / n_cohort)
    # Rounding to whole patients adds a variance of 1/12.
    assert good.std() == pytest.approx(np.hypot(expected, 0.29 if n_cohort > 80 else 0), rel=0.03)


def test_the_quoted_procedure_interval_keeps_its_coverage_when_models_are_trained():
    found = coverage_of_trained(pd.read_csv(ROOT / "docs" / "coverage-training.csv")).set_index("interval")
    quoted, conditional = found.loc[discrimination.PROCEDURE], found.loc["DeLong"]
    assert quoted["size"] <= 0.06 < 0.1 < conditional["size"]
    assert quoted["mean_coverage"] >= 0.94 and conditional["mean_coverage"] < 0.9
    # Of the intervals with coverage, the narrowest.
    with_coverage = found[found["mean_coverage"] >= 0.94]
    assert quoted["half_width"] == with_coverage["half_width"].min()


def test_trained_models_of_random_outcomes_are_rarely_found_to_differ():
    """Five-fold cross-validated logistic regressions on either half of eight predictors without signal."""
    rejected = {"given the models": 0, "for the procedure": 0}
    halves = (slice(0, 4), slice(4, 8))
    for seed in range(150):
        x, y = np.random.default_rng(seed).normal(size=(80, 8)), np.repeat([0, 1], [60, 20])
        folds = []
        for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
            models = [LogisticRegression().fit(x[train, half], y[train]) for half in halves]
            pairs = zip(models, halves, strict=True)
            scored = [model.decision_function(x[test, half]) for model, half in pairs]
            folds.append(delong(y[test], np.column_stack(scored), models=["a", "b"]))
        mean = discrimination.mean_delong(folds)
        rejected["given the models"] += mean.difference("a", "b")[1] < 0.05
        rejected["for the procedure"] += mean.for_procedure(5).difference("a", "b")[1] < 0.05
    # The nominal number is 7.5, with a standard deviation of 2.7.
    assert rejected["for the procedure"] <= 13 < rejected["given the models"]


def test_a_marker_has_no_interval_for_a_procedure():
    rows = scores.sets(scores.check(nested_scores()))
    final = rows[rows["stage"] == "final"]
    marker = final[final["model"] == "ct"].assign(model="marker", kind="marker")
    found = discrimination.table(discrimination.resample(pd.concat([final, marker]), n_resamples=20))
    means = found[(found["set"] == "fold mean") & (found["metric"] == "roc_auc") & found["recommended"]]
    methods = means.set_index("model")["ci_method"]
    assert methods["marker"] == "DeLong logit"
    assert methods["ct"] == discrimination.PROCEDURE


def test_the_primary_comparison_needs_no_correction():
    final = scores.sets(scores.check(nested_scores()))
    final = final[final["stage"] == "final"]
    models = list(dict.fromkeys(final["model"]))[:3]
    rows = final[final["model"].isin(models)]
    compared = comparisons.comparisons(rows, primary=models[:2], n_resamples=50)
    delong = compared[compared["method"] == "DeLong"]
    for _, family in delong.groupby("set"):
        primary, others = family[family["primary"]], family[~family["primary"]].sort_values("p")
        assert primary["p_holm"].item() == primary["p"].item()
        expected = np.maximum.accumulate(np.minimum(1, others["p"].to_numpy() * [2, 1][: len(others)]))
        np.testing.assert_allclose(others["p_holm"], expected)
    with pytest.raises(ValueError, match="expected two of these models"):
        comparisons.comparisons(rows, primary=[models[0], "nobody"], n_resamples=50)


class TestBetweenLabels:
    def rows(self):
        return scores.sets(scores.check(holdout_scores()))

    def test_each_label_has_the_values_of_the_performance_table(self):
        rows = self.rows()
        compared = labels.between_labels(rows, n_resamples=300, seed=5)
        performed = discrimination.table(discrimination.resample(rows, n_resamples=300, seed=5))
        for row in compared.to_dict("records"):
            for label in ("revised", "standard"):
                quoted = discrimination.quoted(
                    performed,
                    row["model"],
                    row["metric"],
                    outcome_label=label,
                    set=row["set"],
                    positive_class=row["positive_class"],
                )
                found = [row[label], row[f"{label}_lower"], row[f"{label}_upper"]]
                np.testing.assert_allclose(found, [quoted.value, quoted.lower, quoted.upper], rtol=1e-12)
            assert row["difference"] == pytest.approx(row["revised"] - row["standard"], abs=1e-15)
        assert set(compared["set"]) == {"holdout", "all"}
        assert {"roc_auc", "brier"} <= set(compared["metric"])
        # Labels change the prevalence, on which average precision depends.
        assert "pr_auc" not in set(compared["metric"])

    def test_the_interval_is_that_of_a_loop_over_scikit_learn(self):
        """The same drawn patients under both labels, one resample after another."""
        rows = self.rows()
        compared = labels.between_labels(rows, n_resamples=200, seed=5)
        of_model = rows[(rows["model"] == "gwr_av") & (rows["set"] == "all")].sort_values("patient_id")
        y = {label: part["y_good"].to_numpy() for label, part in of_model.groupby("outcome_label")}
        score = of_model[of_model["outcome_label"] == "revised"]["score"].to_numpy()
        differences = []
        drawn = np.random.default_rng(np.random.SeedSequence(5).spawn(2)[0]).integers(0, 321, (200, 321))
        for who in drawn:
            areas = [metrics.roc_auc_score(y[label][who], score[who]) for label in ("revised", "standard")]
            differences.append(areas[0] - areas[1])
        row = compared.set_index(["model", "set", "metric"]).loc[("gwr_av", "all", "roc_auc")]
        expected = np.quantile(differences, [0.025, 0.975])
        np.testing.assert_allclose([row["lower"], row["upper"]], expected, atol=1e-12)

    def test_only_patients_with_scores_under_both_labels_count(self):
        rows = self.rows()
        gone = rows["patient_id"].isin(rows.loc[rows["set"] == "all", "patient_id"].unique()[:20])
        fewer = rows[~(gone & (rows["outcome_label"] == "standard"))]
        compared = labels.between_labels(fewer, n_resamples=20)
        assert set(compared.loc[compared["set"] == "all", "n"]) == {301}

    def test_one_label_has_no_rows(self):
        rows = self.rows()
        one = rows[rows["outcome_label"] == "revised"]
        assert labels.between_labels(one, n_resamples=20).empty
        decided = thresholds.table(one, holdout_scores())
        assert labels.labels_at_thresholds(decision.at_thresholds(decided, n_resamples=20)).empty

    def test_decisions_under_both_labels(self):
        table = scores.check(holdout_scores())
        decided = thresholds.table(scores.sets(table), table, fixed={"GWR 1.2": ("gwr_*", 1.2)})
        decisions = decision.at_thresholds(decided, n_resamples=20)
        compared = labels.labels_at_thresholds(decisions)
        where = {"set": "all", "model": "gwr_av", "rule": "GWR 1.2", "metric": "ppv"}
        where["positive_class"] = "poor"
        row = compared.loc[(compared[list(where)] == pd.Series(where)).all(axis=1)].iloc[0]
        for label in ("revised", "standard"):
            of_label = decisions[(decisions[list(where)] == pd.Series(where)).all(axis=1)]
            estimate = of_label[of_label["outcome_label"] == label].iloc[0]
            assert row[label].startswith(f"{estimate['estimate']:.2f} ({estimate['lower']:.2f} to")
