"""How many patients a prediction model of a binary outcome needs: Riley's criteria.

References
----------
Riley RD, Ensor J, Snell KIE, et al. Calculating the sample size required for developing a clinical
prediction model. BMJ 2020;368:m441.
Riley RD, Van Calster B, Collins GS. A note on estimating the Cox-Snell R2 from a reported C statistic.
Statistics in Medicine 2021;40:859-864.
Riley RD, Debray TPA, Collins GS, et al. Minimum sample size for external validation of a clinical
prediction model with a binary outcome. Statistics in Medicine 2021;40:4230-4251.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, logit
from scipy.stats import norm

_Z = norm.ppf(0.975)
# More patients than any study will have: an AUC near 0.5 asks for absurd numbers.
_MOST = 1_000_000
DEVELOPMENT = {
    "shrinkage": "expected shrinkage of the predictors' effects at most 10 %",
    "optimism": "optimism of Nagelkerke's R2 at most 0.05",
    "overall_risk": "prevalence known to within 0.05",
}
VALIDATION = {
    "oe": "95 % interval of O:E at most 0.2 wide",
    "slope": "95 % interval of the calibration slope at most 0.2 wide",
    "c_statistic": "95 % interval of the AUC at most 0.1 wide",
}


def cox_snell_r2(c_statistic: float, prevalence: float) -> float:
    """Return the Cox-Snell R2 of a model with a given C statistic.

    The log odds are taken to be normal with equal variances in both outcomes (Riley 2021); the expectation
    is integrated, where the paper simulates a million patients.

    Parameters
    ----------
    c_statistic : float
        Expected AUC, below 1; one below 0.5 counts as 0.5.
    prevalence : float
        Expected share of good outcomes.

    Examples
    --------
    >>> round(cox_snell_r2(0.82, 0.154), 3)
    0.176
    """
    shift = np.sqrt(2) * norm.ppf(max(c_statistic, 0.5))
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    base = logit(prevalence) - shift**2 / 2
    good = weights @ log_expit(base + shift * (nodes + shift))
    poor = weights @ log_expit(-(base + shift * nodes))
    model = prevalence * good + (1 - prevalence) * poor
    return float(-np.expm1(2 * (_null(prevalence) - model)))


def _null(prevalence: float) -> float:
    """Return the mean log likelihood of predicting the prevalence for every patient."""
    return prevalence * np.log(prevalence) + (1 - prevalence) * np.log1p(-prevalence)


def development(
    *,
    prevalence: float,
    r2: float,
    parameters: int,
    shrinkage: float = 0.9,
    optimism: float = 0.05,
    margin: float = 0.05,
) -> dict[str, float]:
    """Return the patients needed to develop a model, by criterion of :data:`DEVELOPMENT`.

    The formulas are for regression; trees and networks need more patients for the same number of predictors.

    Parameters
    ----------
    prevalence : float
        Expected share of good outcomes.
    r2 : float
        Expected Cox-Snell R2. At 0, no number of patients meets the first two criteria: infinity is returned.
    parameters : int
        Candidate predictor parameters: one for a number, one fewer than its levels for a text.
    shrinkage, optimism, margin : float
        Least expected shrinkage factor, largest difference between apparent and adjusted Nagelkerke R2, and
        half width of the 95 % interval of the prevalence.

    Examples
    --------
    >>> development(prevalence=0.174, r2=0.288, parameters=24)
    {'shrinkage': 623.0, 'optimism': 662.0, 'overall_risk': 221.0}
    """
    largest_r2 = -np.expm1(2 * _null(prevalence))
    needed = {
        "shrinkage": _for_shrinkage(shrinkage, r2, parameters),
        "optimism": _for_shrinkage(r2 / (r2 + optimism * largest_r2), r2, parameters),
        "overall_risk": (_Z / margin) ** 2 * prevalence * (1 - prevalence),
    }
    return {name: float(np.ceil(n)) for name, n in needed.items()}


def _for_shrinkage(factor: float, r2: float, parameters: int) -> float:
    if r2 <= 0:
        return np.inf
    return parameters / ((factor - 1) * np.log1p(-r2 / factor))


def external_validation(
    *,
    prevalence: float,
    c_statistic: float,
    linear_predictor: ArrayLike,
    oe_width: float = 0.2,
    slope_width: float = 0.2,
    c_width: float = 0.1,
) -> dict[str, float]:
    """Return the patients needed to validate a model elsewhere, by criterion of :data:`VALIDATION`.

    The model is taken to be calibrated there (O:E and slope 1).

    Parameters
    ----------
    prevalence, c_statistic : float
        Expected share of good outcomes, and AUC, below 1.
    linear_predictor : array-like of float
        Log odds predicted in patients like those of the validation.
    oe_width, slope_width, c_width : float
        Widths of the 95 % intervals.

    Examples
    --------
    >>> log_odds = norm.ppf((np.arange(2000) + 0.5) / 2000, -2.0, 1.1)
    >>> external_validation(prevalence=0.154, c_statistic=0.82, linear_predictor=log_odds)
    {'oe': 2118.0, 'slope': 3746.0, 'c_statistic': 527.0}
    """
    # The interval of O:E is symmetric for the logarithm: exp(z se) - exp(-z se) is its width.
    error = np.arcsinh(oe_width / 2) / _Z
    oe = (1 - prevalence) / (prevalence * error**2)
    # Fisher information of one patient on intercept and slope.
    x = np.asarray(linear_predictor, float)
    weight = expit(x) * expit(-x)
    i00, i01, i11 = weight.mean(), (weight * x).mean(), (weight * x * x).mean()
    determinant = i00 * i11 - i01**2
    error = slope_width / (2 * _Z)
    slope = i00 / (error**2 * determinant) if determinant > 1e-12 * i00 else np.inf
    # Newcombe's variance of the C statistic, solved for n.
    c, error = c_statistic, c_width / (2 * _Z)
    k = (1 - c) / (2 - c) + c / (1 + c)
    a = error**2 * prevalence * (1 - prevalence) / (c * (1 - c))
    of_c = (k / 2 + np.sqrt(k**2 / 4 + 4 * a * (1 - k))) / (2 * a)
    needed = {"oe": oe, "slope": slope, "c_statistic": of_c}
    return {name: float(np.ceil(n)) for name, n in needed.items()}


def table(
    y_good: ArrayLike, probability: ArrayLike, *, c_statistic: float, parameters: int, n_development: int
) -> pd.DataFrame:
    """Set the study's numbers against Riley's criteria.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    probability : array-like of float, (patients,)
        Predicted probabilities, by models fitted without the patient.
    c_statistic : float
        Expected AUC; one above 0.999 counts as 0.999, since perfect discrimination has no finite log odds.
    parameters : int
        Candidate predictor parameters.
    n_development : int
        Patients on whom the final model is developed.

    Returns
    -------
    pandas.DataFrame
        ``purpose, criterion, target, needed_n, needed_good, have_n, have_good, met``; ``needed_n`` is missing
        where more than a million are needed.
    """
    y_good = np.asarray(y_good)
    n, prevalence = len(y_good), float(np.mean(y_good))
    # Half a patient away from 0 and 1, as for the calibration slope.
    edge = 1 / (2 * n)
    log_odds = logit(np.clip(np.asarray(probability, float), edge, 1 - edge))
    c_statistic = min(c_statistic, 0.999)
    r2 = cox_snell_r2(c_statistic, prevalence)
    expected = {"prevalence": prevalence, "c_statistic": c_statistic, "linear_predictor": log_odds}
    purposes = {
        "development": (DEVELOPMENT, development(prevalence=prevalence, r2=r2, parameters=parameters)),
        "external validation": (VALIDATION, external_validation(**expected)),
    }
    have = {"development": n_development, "external validation": n}
    rows = [
        (purpose, name, words[name], needed, np.ceil(needed * prevalence), have[purpose])
        for purpose, (words, found) in purposes.items()
        for name, needed in found.items()
    ]
    found = pd.DataFrame(
        rows, columns=["purpose", "criterion", "target", "needed_n", "needed_good", "have_n"]
    )
    found["have_good"] = (found["have_n"] * prevalence).round()
    found["met"] = found["have_n"] >= found["needed_n"]
    found.loc[found["needed_n"] > _MOST, ["needed_n", "needed_good"]] = np.nan
    whole = ["needed_n", "needed_good", "have_n", "have_good"]
    return found.astype(dict.fromkeys(whole, "Int64"))


def verdicts(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return the verdict on each purpose, for use in sentences.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`table`.

    Returns
    -------
    list of dict
        ``of, purpose, have_n, needed_n`` (the largest of the criteria; text above a million) and
        ``verdict``, in words.
    """
    found = []
    for purpose, mine in table.groupby("purpose", sort=False):
        unmet = mine[~mine["met"]]
        needed = f"more than {_MOST:,}" if mine["needed_n"].isna().any() else int(mine["needed_n"].max())
        names = " and ".join(f"{row.target}" for row in unmet.itertuples())
        words = "every criterion is met" if unmet.empty else f"too few for: {names}"
        have = int(mine["have_n"].iloc[0])
        label = {"of": purpose.replace(" ", "_"), "purpose": purpose.capitalize()}
        found.append(label | {"have_n": have, "needed_n": needed, "verdict": words})
    return found
