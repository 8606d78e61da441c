"""Hospitals: the random-effects summary against R, and planted differences between sites."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from statsmodels.stats.meta_analysis import combine_effects

from evaluation_data import golden_case, nested_scores
from golden_values import METAFOR
from postarrest import scores
from postarrest.describe import sites as describe_sites
from postarrest.evaluation import calibration, delong, random_effects, sites, thresholds


@pytest.mark.parametrize("case", METAFOR)
def test_summary_equals_metafor(case):
    found, known = random_effects.combine(*case), METAFOR[case]
    mean, sd = found.mean, found.between_sd
    np.testing.assert_allclose([mean.value, mean.lower, mean.upper], known["mean"], rtol=1e-9)
    assert sd.value**2 == pytest.approx(known["tau2"], rel=1e-9, abs=1e-15)
    np.testing.assert_allclose([sd.value, sd.lower, sd.upper], known["tau"], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose([found.q, found.p_heterogeneity], known["q"], rtol=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 20), st.floats(0, 1))
def test_summary_equals_statsmodels(seed, k, tau):
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.2, k)
    y = rng.normal(1, tau, k) + rng.normal(0, np.sqrt(v))
    found, known = random_effects.combine(y, v), combine_effects(y, v, method_re="pm", use_t=True)
    assert found.between_sd.value**2 == pytest.approx(known.tau2, rel=1e-4, abs=1e-5)
    assert found.mean.value == pytest.approx(known.mean_effect_re, abs=1e-5)
    assert found.q == pytest.approx(known.q)
    sd = found.between_sd
    # Sites that agree more than by chance have no interval.
    assert sd.lower <= sd.value <= sd.upper or (sd.value == 0 and np.isnan(sd.upper))
    # Never narrower than with a scale of 1.
    lower, upper = known.conf_int()[1]
    assert found.mean.upper - found.mean.lower >= (upper - lower) * (1 - 1e-3)
    if k > 2:
        assert found.prediction.lower < found.mean.lower < found.mean.upper < found.prediction.upper


def test_prediction_interval_is_that_of_nagashima():
    y, v = map(np.array, next(iter(METAFOR)))
    rng = np.random.default_rng(1)
    # Their algorithm, by simulation: a variance that agrees with Q, a mean with its error, the next site.
    between = random_effects._variances_at(y, v, rng.chisquare(len(y) - 1, 20000))
    mean, error = random_effects._mean(y, v, between)
    ahead = mean + error * rng.standard_t(len(y) - 1, 20000) + np.sqrt(between) * rng.normal(size=20000)
    found = random_effects.combine(y, v).prediction
    np.testing.assert_allclose([found.lower, found.upper], np.quantile(ahead, [0.025, 0.975]), atol=0.06)


@pytest.mark.parametrize("tau", [0.2, 0.5])
def test_coverage_over_200_networks(tau):
    rng = np.random.default_rng(7)
    covered = {"mean": 0, "between_sd": 0, "next": 0}
    for _ in range(200):
        k = int(rng.integers(4, 13))
        v = rng.uniform(0.02, 0.15, k)
        y = rng.normal(1.2, tau, k) + rng.normal(0, np.sqrt(v))
        found = random_effects.combine(y, v)
        covered["mean"] += found.mean.lower <= 1.2 <= found.mean.upper
        covered["between_sd"] += found.between_sd.lower <= tau <= found.between_sd.upper
        covered["next"] += found.prediction.lower <= rng.normal(1.2, tau) <= found.prediction.upper
    # 200 networks: a standard error of 1.5 %.
    assert all(count / 200 >= 0.92 for count in covered.values()), covered


def test_few_sites():
    one = random_effects.combine([1.0], [0.1])
    assert np.isnan(one.mean.lower) and np.isnan(one.between_sd.value) and np.isnan(one.prediction.lower)
    two = random_effects.combine([1.0, 1.5], [0.1, 0.1])
    assert np.isfinite(two.mean.lower) and np.isnan(two.prediction.lower)
    for effect, variance in (([], []), ([1.0, np.nan], [0.1, 0.1]), ([1.0, 2.0], [0.1, 0.0])):
        with pytest.raises(ValueError, match="variances above 0"):
            random_effects.combine(effect, variance)


def network(seed, *, n_sites=12, n=150, between_sd=0.5):
    """Rows of a scores table: hospitals whose baseline risk differs with a planted standard deviation."""
    rng = np.random.default_rng(seed)
    parts = []
    for site, shift in enumerate(rng.normal(0, between_sd, n_sites)):
        x = rng.normal(-0.5, 1.3, n)
        y = (rng.random(n) < expit(x + shift)).astype(int)
        ids = [f"{site}-{i}" for i in range(n)]
        parts.append(
            pd.DataFrame({"patient_id": ids, "y_good": y, "score": expit(x), "site": f"site {site}"})
        )
    about = {"model": "m", "kind": "probability", "role": "test", "fold": 1, "outcome_label": "standard"}
    return pd.concat(parts, ignore_index=True).assign(**about, stage="final", set="holdout")


def test_planted_difference_between_sites_is_in_its_interval():
    inside = 0
    for seed in range(30):
        found = (
            sites.summary(sites.effects(sites.records(network(seed)))).set_index("metric").loc["intercept"]
        )
        inside += found["between_sd_lower"] <= 0.5 <= found["between_sd_upper"]
    assert inside >= 27


def test_records_are_those_of_the_evaluation():
    y, a, _ = golden_case(321, 21, 6)
    found = sites.measure(y, a, probability=True)
    area = delong.delong(y, a)
    assert found["auc"] == area.auc[0] and found["auc_variance"] == area.covariance[0, 0]
    record = pd.DataFrame([found | {"model": "m", "kind": "probability", "site": "s", "note": ""}])
    effects = sites.effects(record).set_index("metric")
    same = {
        "roc_auc": area.interval("0", transform="logit"),
        "oe": calibration.observed_to_expected(y, a),
        "intercept": calibration.recalibrate(y, a).intercept,
        "slope": calibration.recalibrate(y, a).slope,
    }
    for metric, e in same.items():
        limits = effects.loc[metric, ["estimate", "lower", "upper"]].astype(float)
        np.testing.assert_allclose(limits, [e.value, e.lower, e.upper], rtol=1e-12)
    assert effects.loc["roc_auc", "effect"] == pytest.approx(logit(found["auc"]))


def test_small_sites_are_counted_and_not_judged():
    rows = network(1, n_sites=3)
    few = rows["site"].eq("site 2") & rows.index.to_series().gt(315)
    rows = rows[~few].assign(site=lambda d: d["site"].mask(d.index < 5, describe_sites.NOT_RECORDED))
    records = sites.records(rows)
    notes = records.set_index("site")["note"]
    assert notes["site 2"] == "too few: fewer than 10 of an outcome"
    assert notes["not recorded"] == "the patients' site is not recorded"
    assert records["n"].sum() == len(rows)
    effects = sites.effects(records)
    judged = effects.dropna(subset="estimate")
    assert set(judged["site"]) == {"site 0", "site 1"}
    assert sites.summary(effects)["n_sites"].eq(2).all()
    assert sites.summary(effects)["note"].eq("a prediction needs three sites").all()


def test_scores_that_separate_the_outcomes_have_no_logit():
    rows = network(1, n_sites=4)
    perfect = rows["site"] == "site 3"
    rows["score"] = rows["score"].mask(perfect, 0.1 + 0.8 * rows["y_good"])
    effects = sites.effects(sites.records(rows))
    separated = effects[effects["site"] == "site 3"].set_index("metric")
    assert separated.loc["roc_auc", "note"] == separated.loc["slope", "note"] == "not defined in this site"
    assert np.isfinite(separated.loc["oe", "estimate"])
    summary = sites.summary(effects).set_index("metric")["n_sites"]
    assert summary.to_dict() == {"roc_auc": 3, "oe": 4, "intercept": 4, "slope": 3}


def test_decisions_by_site_add_up_to_those_of_all():
    table = scores.check(nested_scores())
    rows = scores.main(scores.sets(table[table["stage"] == "final"]))
    site = pd.Series(np.arange(300) % 3, index=[f"N{i:03d}" for i in range(300)]).map("site {}".format)
    rows["site"] = rows["patient_id"].map(site)
    fixed = {"0.5": ("probability", 0.5)}
    found = sites.accuracy(sites.at_thresholds(rows, table, fixed=fixed))
    known = thresholds.table(rows, table, fixed=fixed)
    known = known[known["chosen_on"] != "test"].set_index(["model", "rule"])
    total = found[found["site"] == "all sites"].set_index(["model", "rule"])
    cells = ["tp", "fp", "fn", "tn"]
    assert len(total) > 8
    for key, row in total.iterrows():
        assert row[cells].tolist() == known.loc[key, cells].tolist()
        assert row["fnr_upper"] == known.loc[key, "fnr_upper"]
    by_site = found[found["site"] != "all sites"].groupby(["model", "rule"])[cells].sum()
    pd.testing.assert_frame_equal(by_site.loc[total.index], total[cells])


def test_small_counts_of_decisions_are_hidden():
    counts = {"model": "m", "rule": "0.5", "chosen_on": "fixed", "site": ["a", "b"], "threshold": 0.5}
    decisions = pd.DataFrame(counts | {"tp": [40, 30], "fp": [20, 20], "fn": [3, 9], "tn": [30, 40]})
    found = sites.accuracy(decisions, mask_below=5).set_index("site")
    assert found.loc["a", ["tp", "fp", "fn", "tn"]].tolist() == ["hidden", "20", "<5", "30"]
    # Otherwise, the hidden counts would be the total minus these.
    assert found.loc["b", ["tp", "fn"]].tolist() == ["hidden", "hidden"]
    assert found.loc["a", ["sensitivity", "fnr", "fnr_upper", "ppv", "npv"]].isna().all()
    assert found.loc["a", "specificity"] == 0.6
    assert "3" not in found.loc["a"].astype(str).tolist()
    assert found.loc["all sites", ["tp", "fp", "fn", "tn"]].tolist() == ["70", "40", "12", "70"]


def test_names_of_sites():
    site = pd.Series(["b", "a", "a", None, "", "c"])
    assert describe_sites.names(site).tolist() == [
        "site 2",
        "site 1",
        "site 1",
        *["not recorded"] * 2,
        "site 3",
    ]
    assert describe_sites.names(site, named=True).tolist() == ["b", "a", "a", *["not recorded"] * 2, "c"]
    y = pd.Series([1, 0, 1, 1, 0, 0])
    table = describe_sites.counts(describe_sites.names(site), y, fewest=1)
    assert table["n"].astype(int).tolist() == [2, 1, 1, 2]
    assert table["site"].iloc[-1] == "not recorded"
    hidden = describe_sites.counts(describe_sites.names(site), y, fewest=1, mask_below=3)
    assert not set("12") & set("".join(hidden[["n", "good", "poor"]].to_numpy().ravel()))


def test_without_a_judged_site_there_is_a_model_and_no_summary():
    rows = network(1, n_sites=2, n=150).query("site == 'site 0'").head(12)
    effects = sites.effects(sites.records(rows))
    summary = sites.summary(effects)
    assert summary["n_sites"].eq(0).all() and summary["estimate"].isna().all()
    assert sites.best_model(summary) == "m"
    assert sites.sentences(summary, model="m") == []
