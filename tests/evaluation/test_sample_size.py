"""Riley's criteria, against the PyPI packages of their authors."""

import numpy as np
import pytest
from scipy.stats import norm

from postarrest.evaluation import sample_size


# pmsampsize 0.1.0: pmsampsize(type="b", csrsquared=..., parameters=..., prevalence=...), "results_table".
@pytest.mark.parametrize(
    ("r2", "parameters", "prevalence", "golden"),
    [(0.288, 24, 0.174, (623, 662, 221)), (0.1, 10, 0.154, (850, 325, 201))],
)
def test_development_equals_pmsampsize(r2, parameters, prevalence, golden):
    found = sample_size.development(prevalence=prevalence, r2=r2, parameters=parameters)
    assert tuple(found.values()) == golden


# pmsampsize 0.1.0: pmsampsize(type="b", cstatistic=..., parameters=..., prevalence=...), "rsquared" and
# "results_table". It simulates a million patients; the last digits are chance.
@pytest.mark.parametrize(
    ("c", "parameters", "prevalence", "r2", "golden"),
    [(0.82, 12, 0.154, 0.1759, (552, 373, 201)), (0.7, 5, 0.4, 0.1163, (362, 125, 369))],
)
def test_r2_of_a_c_statistic_equals_pmsampsize(c, parameters, prevalence, r2, golden):
    found = sample_size.cox_snell_r2(c, prevalence)
    assert found == pytest.approx(r2, rel=0.01)
    needed = sample_size.development(prevalence=prevalence, r2=found, parameters=parameters)
    assert tuple(needed.values()) == pytest.approx(golden, rel=0.01)


# pmvalsampsize 0.2.1: pmvalsampsize(type="b", prevalence=..., cstatistic=..., lpnormal=(mean, sd),
# oeciwidth=..., csciwidth=..., cstatciwidth=...), "results_table". It simulates the linear predictor of a
# million patients, and takes the standard error of O:E from a grid in steps of 0.0001.
@pytest.mark.parametrize(
    ("prevalence", "c", "normal", "widths", "golden"),
    [
        (0.154, 0.82, (-2.0, 1.1), (0.2, 0.2, 0.1), (2113, 3742, 527)),
        (0.018, 0.8, (-5.0, 2.5), (0.2, 0.2, 0.1), (20975, 4544, 4252)),
        (0.43, 0.8, (-0.3, 1.2), (0.3, 0.3, 0.08), (228, 987, 481)),
    ],
)
def test_external_validation_equals_pmvalsampsize(prevalence, c, normal, widths, golden):
    log_odds = norm.ppf((np.arange(10**5) + 0.5) / 10**5, *normal)
    found = sample_size.external_validation(
        prevalence=prevalence,
        c_statistic=c,
        linear_predictor=log_odds,
        **dict(zip(("oe_width", "slope_width", "c_width"), widths, strict=True)),
    )
    assert found["oe"] == pytest.approx(golden[0], rel=0.005)
    assert found["slope"] == pytest.approx(golden[1], rel=0.01)
    assert found["c_statistic"] == golden[2]


def study(n=533, n_good=82):
    y = np.r_[np.ones(n_good, int), np.zeros(n - n_good, int)]
    probability = np.random.default_rng(1).beta(1.5 + 1.5 * y, 5 - 1.5 * y)
    return y, probability


def test_a_study_is_set_against_every_criterion():
    y, probability = study()
    found = sample_size.table(y, probability, c_statistic=0.82, parameters=12, n_development=533)
    development = found[found["purpose"] == "development"].set_index("criterion")
    assert development["met"].to_dict() == {"shrinkage": False, "optimism": True, "overall_risk": True}
    assert (found["have_n"] == 533).all()
    assert (found["have_good"] == 82).all()
    assert not found.loc[found["criterion"] == "slope", "met"].item()
    words = {verdict["of"]: verdict["verdict"] for verdict in sample_size.verdicts(found)}
    assert words["development"] == "too few for: expected shrinkage of the predictors' effects at most 10 %"


def test_enough_patients_meet_every_criterion():
    y, probability = study(40_000, 12_000)
    found = sample_size.table(y, probability, c_statistic=0.82, parameters=12, n_development=40_000)
    assert found["met"].all()
    assert {verdict["verdict"] for verdict in sample_size.verdicts(found)} == {"every criterion is met"}


@pytest.mark.parametrize("c_statistic", [0.4, 0.5, 0.500001])
def test_without_discrimination_no_number_suffices(c_statistic):
    y, _ = study()
    settings = {"c_statistic": c_statistic, "parameters": 12, "n_development": 533}
    found = sample_size.table(y, np.full(533, 0.15), **settings)
    missing = found[found["needed_n"].isna()]
    assert missing["criterion"].tolist() == [
        "shrinkage",
        *(["optimism"] if c_statistic <= 0.5 else []),
        "slope",
    ]
    assert not missing["met"].any()
    assert sample_size.verdicts(found)[0]["needed_n"] == "more than 1,000,000"
