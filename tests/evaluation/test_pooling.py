"""Hospitals that share aggregates only, against their patients together."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import chi2
from sklearn.metrics import log_loss, roc_auc_score

from postarrest.evaluation import calibration, network, pooling, sites
from postarrest.evaluation import shared as shared_by


def hospitals(seed=1, *, n_sites=5, n=200):
    """Rows of a scores table, ``site`` among them: a model and a marker in hospitals that differ."""
    rng = np.random.default_rng(seed)
    parts = []
    for site in range(n_sites):
        x = rng.normal(-0.5, 1.2, n + 20 * (site % 5))
        y = (rng.random(len(x)) < expit(x + rng.normal(0, 0.4))).astype(int)
        about = {"patient_id": [f"patient-{site}-{i}" for i in range(len(x))], "y_good": y}
        about |= {"site": f"site {n_sites - site}", "fold": 1, "role": "test", "stage": "final"}
        about |= {"outcome_label": "standard", "set": "holdout"}
        parts.append(pd.DataFrame(about | {"model": "m", "kind": "probability", "score": expit(x)}))
        marker = 1.2 + 0.1 * x + rng.normal(0, 0.1, len(x))
        parts.append(pd.DataFrame(about | {"model": "gwr_av", "kind": "marker", "score": marker}))
    return pd.concat(parts, ignore_index=True)


FIXED = {"0.5": ("probability", 0.5), "0.2": ("probability", 0.2), "GWR 1.2": ("gwr_*", 1.2)}


def decided(rows):
    return sites.at_thresholds(rows, rows, fixed=FIXED)


def shared(rows, **settings):
    """What each hospital shares, as a file and read again."""
    found = []
    for site in sorted(rows["site"].unique()):
        here = rows[rows["site"] == site]
        one = network.summarise(here, decided(here), model="m", outcome="CPC 1 or 2", **settings)
        found.append(shared_by.Summary.model_validate(json.loads(json.dumps(one, allow_nan=False))))
    return found


def numbered(rows):
    names = {site: f"hospital {k}" for k, site in enumerate(sorted(rows["site"].unique()), start=1)}
    return rows.assign(site=rows["site"].map(names))


def test_everything_by_hospital_equals_that_of_the_patients():
    rows = numbered(hospitals())
    summaries = shared(rows, below=0)
    own = sites.effects(sites.records(rows)).sort_values(["model", "metric", "site"], ignore_index=True)
    theirs = sites.effects(pooling.records(summaries)).sort_values(
        ["model", "metric", "site"], ignore_index=True
    )
    pd.testing.assert_frame_equal(own, theirs, rtol=0, atol=1e-9, check_dtype=False)
    own, theirs = (sites.summary(e).set_index(["model", "metric"]).sort_index() for e in (own, theirs))
    pd.testing.assert_frame_equal(own, theirs, rtol=0, atol=1e-9, check_dtype=False)
    keys = ["model", "rule", "site"]
    own = sites.accuracy(decided(rows)).sort_values(keys, ignore_index=True)
    theirs = pooling.accuracy(summaries).sort_values(keys, ignore_index=True)
    cells = ["tp", "fp", "fn", "tn"]
    assert (own[cells].astype(str) == theirs[cells]).all(axis=None)
    for rate in ("sensitivity", "specificity", "fnr", "fnr_upper"):
        np.testing.assert_allclose(own[rate].astype(float), theirs[rate].astype(float), rtol=0, atol=1e-9)
    np.testing.assert_allclose(theirs["fnr_lowest"], theirs["fnr_highest"])


@given(st.integers(0, 10**6))
@settings(max_examples=6)
def test_what_is_called_exact_equals_the_patients_together(seed):
    rows = hospitals(seed, n_sites=3)
    found = pooling.together(shared(rows)).set_index(["model", "metric"]).loc["m"]
    mine = rows[rows["model"] == "m"]
    y, p = mine["y_good"].to_numpy(), mine["score"].to_numpy()
    oe = calibration.observed_to_expected(y, p)
    np.testing.assert_allclose(
        found.loc["oe", ["estimate", "lower", "upper"]].astype(float),
        [oe.value, oe.lower, oe.upper],
        rtol=1e-9,
    )
    x = logit(p)
    score = np.array([(y - p).sum(), ((y - p) * x).sum()])
    w = p * (1 - p)
    information = np.array([[w.sum(), (w * x).sum()], [(w * x).sum(), (w * x * x).sum()]])
    statistic = score @ np.linalg.inv(information) @ score
    exact = {
        "prevalence": y.mean(),
        "brier": ((p - y) ** 2).mean(),
        "log_loss": log_loss(y, p),
        "calibration test": statistic,
    }
    for metric, value in exact.items():
        assert found.loc[metric, "exact"] == "yes"
        assert found.loc[metric, "estimate"] == pytest.approx(value, abs=1e-9)
    assert found.loc["calibration test", "p"] == pytest.approx(chi2.sf(statistic, 2), abs=1e-9)
    # What is not exact says so, and is near.
    again = calibration.recalibrate(y, p)
    for metric, value, tolerance in (
        ("intercept", again.intercept.value, 0.05),
        ("slope", again.slope.value, 0.1),
        ("roc_auc", roc_auc_score(y, p), 0.03),
    ):
        assert found.loc[metric, "exact"].startswith("no: ")
        assert found.loc[metric, "estimate"] == pytest.approx(value, abs=tolerance)
    assert found.loc["roc_auc", "lower"] <= roc_auc_score(y, p) <= found.loc["roc_auc", "upper"]


@given(st.integers(0, 10**6), st.integers(2, 8))
@settings(max_examples=6)
def test_no_small_count_is_shared_and_bounds_hold(seed, below):
    rows = hospitals(seed, n_sites=3, n=60)
    summaries = shared(rows, below=below)
    cells = ["tp", "fp", "fn", "tn"]
    for _, _, one in pooling._sites(summaries):
        for model in one.models.values():
            counts = [b for found in model.bins for b in (found.good, found.poor)]
            counts += [getattr(d, cell) for d in model.decisions for cell in cells]
            assert not any(isinstance(count, int) and 0 < count < below for count in counts)
            hidden_good = model.record.n_good - sum(b.good for b in model.bins if isinstance(b.good, int))
            assert not model.bins or hidden_good == 0 or hidden_good >= below
    found = pooling.accuracy(summaries).set_index(["model", "rule", "site"])
    own = sites.accuracy(decided(rows))
    total = own[own["site"] == "all sites"].set_index(["model", "rule"])
    for (model, rule), row in total.iterrows():
        bounds = found.loc[(model, rule, "all sites")]
        assert bounds["fnr_lowest"] - 1e-12 <= row["fnr"] <= bounds["fnr_highest"] + 1e-12
        if bounds["fnr_lowest"] < bounds["fnr_highest"]:
            assert np.isnan(bounds["fnr"])
    bins = pooling.calibration_bins(summaries)
    assert bins["n"].sum() <= len(rows) / 2


def test_a_hospital_with_too_few_shares_its_counts_only():
    rows = hospitals(n_sites=3)
    few = rows.index[(rows["site"] == "site 3") & (rows["y_good"] == 1)]
    summaries = shared(rows.drop(few[4:]))
    small = summaries[2].sites[0]
    assert small.models == {} and small.note.startswith("too few")
    assert small.good == "<5" and small.poor == "hidden"
    assert pooling.counts(summaries)["judged"].str.startswith("too few").sum() == 1
    assert pooling.records(summaries)["site"].nunique() == 2


def test_no_patient_is_in_a_summary():
    rows = hospitals(n_sites=2)
    text = json.dumps(network.summarise(rows, decided(rows), model="m", outcome="o"))
    assert "patient" not in text
    # No single score either, to the digits that would identify it.
    scores = {repr(score) for score in rows.loc[rows["model"] == "m", "score"]}
    assert not any(score in text for score in scores)


def test_a_hundred_hospitals_are_pooled():
    rows = hospitals(n_sites=100, n=40)
    summaries = shared(rows)
    summary = sites.summary(sites.effects(pooling.records(summaries)))
    pooling.accuracy(summaries), pooling.together(summaries), pooling.calibration_bins(summaries)
    assert summary.set_index(["model", "metric"]).loc[("m", "roc_auc"), "n_sites"] >= 95


def test_decisions_that_do_not_add_up_are_refused():
    one = network.summarise(hospitals(n_sites=2), decided(hospitals(n_sites=2)), model="m", outcome="o")
    one["sites"][0]["models"]["m"]["decisions"][0]["tp"] += 1
    with pytest.raises(ValueError, match=r"decisions at .* do not add up"):
        shared_by.Summary.model_validate(one)


def test_predictions_that_do_not_differ_are_pooled():
    """There is no slope then, and no test of it; everything else is defined."""
    rows = hospitals(n_sites=2)
    found = pooling.together(shared(rows.assign(score=rows["score"].where(rows["kind"] == "marker", 0.3))))
    of_model = found[found["model"] == "m"].set_index("metric")
    assert of_model.loc[["calibration test", "slope"], "estimate"].isna().all()
    assert of_model.loc["calibration test", "exact"].startswith("no: not defined")
    assert np.isfinite(of_model.loc[["oe", "brier", "log_loss", "intercept", "roc_auc"], "estimate"]).all()


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-9, 0.5, 1.0]), st.integers(2, 30))
@settings(max_examples=20)
def test_whatever_patients_give_can_be_pooled(seed, extreme, n):
    rng = np.random.default_rng(seed)
    y = np.r_[0, 0, 1, 1, rng.integers(0, 2, n)]
    score = np.where(rng.random(len(y)) < 0.5, extreme, rng.choice([rng.random(), 0.3, 1 - 1e-12], len(y)))
    about = {"patient_id": range(len(y)), "y_good": y, "site": "a", "fold": 1, "role": "test", "model": "m"}
    about |= {"outcome_label": "standard", "stage": "final", "set": "holdout", "kind": "probability"}
    rows = pd.DataFrame(about | {"score": score})
    both = shared(rows, below=0, fewest=2) * 2
    pooling.together(both), pooling.accuracy(both), pooling.calibration_bins(both)
