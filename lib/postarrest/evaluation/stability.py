"""Would other patients have given another model? A procedure refitted on bootstrap samples.

The predictions of models fitted on bootstrap samples are compared with those of the model fitted on the whole
cohort, in the patients of the cohort (Riley and Collins 2023). Arrays of resampled predictions have the shape
(bootstraps, patients, models).

References
----------
Riley RD, Collins GS. Stability of clinical prediction models developed using statistical or machine learning
methods. Biometrical Journal 2023;65:2200302.
Harrell FE, Lee KL, Mark DB. Multivariable prognostic models. Statistics in Medicine 1996;15:361-387.
Noma H, Shinozaki T, Iba K, et al. Confidence intervals of prediction accuracy measures for multivariable
prediction models based on the bootstrap-based optimism correction methods. Statistics in Medicine
2021;40:5691-5701.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from postarrest.estimate import Estimate
from postarrest.evaluation import calibration, discrimination

# A patient's decision is unstable if more than this share of the models decide otherwise.
UNSTABLE = 0.1
_RANGE = (0.025, 0.975)
# 95 % of fewer models are all of them.
_FEWEST = 20


def errors_of_patients(original: pd.DataFrame, resampled: np.ndarray) -> pd.DataFrame:
    """Return each patient's mean absolute prediction error (MAPE), one column per model.

    The mean, over the models fitted on bootstrap samples, of the absolute difference from the prediction of
    the model fitted on the whole cohort.

    Examples
    --------
    >>> original = pd.DataFrame({"m": [0.2, 0.5]})
    >>> errors_of_patients(original, np.array([[[0.1], [0.5]], [[0.4], [0.5]]]))["m"].round(2).tolist()
    [0.15, 0.0]
    """
    mean = np.abs(resampled - original.to_numpy()).mean(axis=0)
    return pd.DataFrame(mean, original.index, original.columns)


def predictions(
    y_good: ArrayLike, original: pd.DataFrame, resampled: np.ndarray, drawn: np.ndarray
) -> pd.DataFrame:
    """Summarise how far predictions differ between the models fitted on bootstrap samples.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    original : pandas.DataFrame of shape (patients, models)
        Probabilities by the models fitted on the cohort.
    resampled : numpy.ndarray
        Probabilities by the models fitted on bootstrap samples.
    drawn : numpy.ndarray of shape (bootstraps, patients)
        How often each patient was drawn.

    Returns
    -------
    pandas.DataFrame
        One row per model: ``model, n, n_good, n_bootstraps, mape`` (mean over patients), ``mape_lower,
        mape_upper`` (range of 95 % of the models; NaN if they are fewer than 20), ``mape_median, mape_90``
        (over patients) and ``mape_new``: as for a new patient, the mean absolute difference between a
        prediction and the mean prediction, of the models fitted without the patient.
    """
    y_good = np.asarray(y_good)
    of_models = np.abs(resampled - original.to_numpy()).mean(axis=1)
    lower, upper = _range(of_models)
    of_patients = errors_of_patients(original, resampled)
    # Patients who are in every sample count for nothing here.
    unseen = np.where((drawn == 0)[:, :, None], resampled, np.nan)[:, (drawn == 0).any(axis=0)]
    apart = np.abs(unseen - np.nanmean(unseen, axis=0))
    found = {
        "model": list(original),
        "n": len(y_good),
        "n_good": int(y_good.sum()),
        "n_bootstraps": len(resampled),
        "mape": of_models.mean(axis=0),
        "mape_lower": lower,
        "mape_upper": upper,
        "mape_median": of_patients.median().to_numpy(),
        "mape_90": of_patients.quantile(0.9).to_numpy(),
        "mape_new": np.nanmean(apart, axis=0).mean(axis=0),
    }
    return pd.DataFrame(found)


def decisions(original: pd.DataFrame, resampled: np.ndarray, thresholds: pd.DataFrame) -> pd.DataFrame:
    """Return the share of decisions that differ from those of the model fitted on the whole cohort.

    Parameters
    ----------
    original, resampled
        As for :func:`predictions`.
    thresholds : pandas.DataFrame
        ``model, rule, chosen_on, threshold``.

    Returns
    -------
    pandas.DataFrame
        One row per model and rule: ``model, rule, chosen_on, threshold, share_reclassified`` (mean over
        models), ``reclassified_lower, reclassified_upper`` (range of 95 % of the models) and
        ``share_unstable``: the share of patients for whom more than 10 % of the models decide otherwise.
    """
    found = []
    known = thresholds[thresholds["model"].isin(original.columns)]
    # In the order of the models, as in the other tables.
    order = {"by": "model", "key": original.columns.get_indexer, "kind": "stable"}
    for row in known.sort_values(**order).itertuples():
        otherwise = changes(original, resampled, row.model, row.threshold)
        lower, upper = _range(otherwise.mean(axis=1))
        unstable = (otherwise.mean(axis=0) > UNSTABLE).mean()
        shares = (otherwise.mean(), lower, upper, unstable)
        found.append((row.model, row.rule, row.chosen_on, row.threshold, *map(float, shares)))
    columns = ["model", "rule", "chosen_on", "threshold", "share_reclassified", "reclassified_lower"]
    return pd.DataFrame(found, columns=[*columns, "reclassified_upper", "share_unstable"])


def _range(values: np.ndarray) -> np.ndarray:
    """Return the range of 95 % of the models, along the first axis; NaN where there are too few to say."""
    return np.quantile(values, _RANGE, axis=0) * (1 if len(values) >= _FEWEST else np.nan)


def changes(original: pd.DataFrame, resampled: np.ndarray, model: str, threshold: float) -> np.ndarray:
    """Return, for each bootstrap and patient, whether a model decides otherwise at a threshold."""
    before = original[model].to_numpy() >= threshold
    return (resampled[:, :, original.columns.get_loc(model)] >= threshold) != before


def _slope(y_good: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> float:
    y_good, probability = np.repeat(y_good, counts), np.repeat(probability, counts)
    return calibration.recalibrate(y_good, probability).slope.value


def _auc(y_good: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> float:
    return float(roc_auc_score(y_good, probability, sample_weight=counts))


MEASURES = {"roc_auc": _auc, "slope": _slope}


def optimism(
    y_good: ArrayLike,
    original: pd.DataFrame,
    resampled: np.ndarray,
    drawn: np.ndarray,
    cross_validated: Mapping[tuple[str, str], Estimate],
) -> pd.DataFrame:
    """Correct the AUC and the calibration slope for optimism by the bootstrap.

    Optimism is the mean difference between the value of a model in the sample that it was fitted on and its
    value in the cohort (Harrell 1996). 63 % of the cohort's patients are in a bootstrap sample, so that for
    models that memorise patients it is too small; the value in the patients who were not drawn has no such
    error.

    Parameters
    ----------
    y_good, original, resampled, drawn
        As for :func:`predictions`.
    cross_validated : mapping of Estimate
        By (model, measure), from :func:`cross_validated`.

    Returns
    -------
    pandas.DataFrame
        One row per model and measure: ``model, metric, n, n_good, apparent, optimism, corrected,
        corrected_lower, corrected_upper`` (95 % interval from the standard deviation of the apparent values
        in the bootstrap samples, moved by the optimism; after Noma 2021), ``not_drawn`` (mean over the models
        of their value in patients who were not drawn), ``cross_validated`` with its limits, and
        ``n_undefined``: fits that separate the outcomes perfectly and have no slope.
    """
    y_good, found = np.asarray(y_good), []
    once = np.ones(len(y_good), int)
    for number, model in enumerate(original):
        for metric, measure in MEASURES.items():
            apparent = measure(y_good, original[model].to_numpy(), once)
            values = np.array(
                [
                    [
                        measure(y_good, fit[:, number], which)
                        for which in (counts, once, (counts == 0).astype(int))
                    ]
                    for fit, counts in zip(resampled, drawn, strict=True)
                ]
            )
            # A table's mean and deviation of no fits are missing; an array's are an error.
            defined = pd.DataFrame(values, columns=["own", "cohort", "not_drawn"]).dropna()
            excess = float((defined["own"] - defined["cohort"]).mean())
            # The middle of its own values is not that of the cohort's model: only their spread is used.
            half = norm.ppf(_RANGE[1]) * defined["own"].std()
            lower, upper = apparent - excess - half, apparent - excess + half
            reference = cross_validated[model, metric]
            found.append(
                {"model": model, "metric": metric, "n": len(y_good), "n_good": int(y_good.sum())}
                | {"apparent": apparent, "optimism": excess, "corrected": apparent - excess}
                | {
                    "corrected_lower": lower,
                    "corrected_upper": upper,
                    "not_drawn": defined["not_drawn"].mean(),
                }
                | {"cross_validated": reference.value, "cross_validated_lower": reference.lower}
                | {"cross_validated_upper": reference.upper, "n_undefined": len(values) - len(defined)}
            )
    return pd.DataFrame(found)


def cross_validated(rows: pd.DataFrame) -> dict[tuple[str, str], Estimate]:
    """Return the cross-validated AUC (fold mean, interval of the procedure) and slope (pooled) by model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.sets` of the final stage, one outcome label and the set ``pooled``,
        of models that score the same patients.
    """
    folds = [mine for _, mine in rows.groupby("fold")]
    delong = discrimination.mean_delong([discrimination.delong_of(mine) for mine in folds])
    procedure = delong.for_procedure(len(folds))
    found = {}
    for model, mine in rows.groupby("model", sort=False):
        found[str(model), "roc_auc"] = procedure.interval(str(model), transform="logit")
        found[str(model), "slope"] = calibration.recalibrate(mine["y_good"], mine["score"]).slope
    return found


def table(
    predictions: pd.DataFrame, decisions: pd.DataFrame, optimism: pd.DataFrame, *, rule: str
) -> pd.DataFrame:
    """Join the main figures of each model's stability.

    Parameters
    ----------
    predictions, decisions, optimism : pandas.DataFrame
        From the functions of these names.
    rule : str
        Whose threshold is meant; ``share_reclassified`` is missing where a model has none.
    """
    at_rule = decisions[decisions["rule"] == rule].drop_duplicates("model").set_index("model")
    excess = optimism.pivot(index="model", columns="metric", values="optimism")
    models = predictions["model"]
    return predictions.assign(
        rule=rule,
        share_reclassified=at_rule["share_reclassified"].reindex(models).to_numpy(),
        auc_optimism=excess["roc_auc"].loc[models].to_numpy(),
        slope_optimism=excess["slope"].loc[models].to_numpy(),
    )


def retuned(
    y_good: ArrayLike, ways: Mapping[str, tuple[pd.DataFrame, np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """Compare the stability in the same bootstrap samples of hyperparameters that were found in two ways.

    Parameters
    ----------
    y_good : array-like of {0, 1}, (patients,)
        Outcome.
    ways : mapping
        ``original, resampled, drawn``, as for :func:`predictions`, by a description of the hyperparameters.
        The first samples of each are used, as many as all have.

    Returns
    -------
    pandas.DataFrame
        One row per model and way: ``model, hyperparameters``, the columns of :func:`predictions` and
        ``auc_not_drawn``, the mean AUC in the patients who were not drawn.
    """
    least = min(len(resampled) for _, resampled, _ in ways.values())
    parts = []
    for words, (original, resampled, drawn) in ways.items():
        fits, counts = resampled[:least], drawn[:least]
        part = predictions(y_good, original, fits, counts)
        part.insert(1, "hyperparameters", words)
        pairs = [(fit, (count == 0).astype(int)) for fit, count in zip(fits, counts, strict=True)]
        aucs = [[_auc(np.asarray(y_good), p, out) for p in fit.T] for fit, out in pairs]
        parts.append(part.assign(auc_not_drawn=np.mean(aucs, axis=0)))
    order = {model: number for number, model in enumerate(parts[0]["model"])}
    key = {"by": "model", "key": lambda names: names.map(order), "kind": "stable"}
    return pd.concat(parts).sort_values(**key, ignore_index=True)


def in_words(table: pd.DataFrame, model: str) -> dict[str, object]:
    """Return a model's figures for use in a sentence: its name, ``n_bootstraps`` and ``mape``.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`table`.
    model : str
        Which model.
    """
    row = table.set_index("model").loc[model]
    # Its limits hold 95 % of the models; they are not a confidence interval.
    mape = f"{row['mape']:.3f}"
    if np.isfinite(row["mape_lower"]):
        mape += f" (95 % of the models: {row['mape_lower']:.3f} to {row['mape_upper']:.3f})"
    return {"model": model, "n_bootstraps": int(row["n_bootstraps"]), "mape": mape}


def calibration_curves(
    y_good: ArrayLike, original: pd.DataFrame, resampled: np.ndarray
) -> dict[str, list[pd.DataFrame]]:
    """Return the calibration curves in the cohort: of the model fitted on it, then of the others."""
    return {
        model: [
            calibration.curve(y_good, probability, n_resamples=0)[0]
            for probability in (original[model].to_numpy(), *resampled[:, :, number])
        ]
        for number, model in enumerate(original)
    }
