"""The planted performance: that of observers who know what no model is told. A ceiling, not a target."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from postarrest.evaluation.delong import delong
from postarrest.simulate import cohort, phantom, published
from postarrest.simulate.settings import Settings

OHCA_VARIABLES = ["initial_rhythm", "no_flow_min", "low_flow_min", "creatinine_umol_l", "lactate_mmol_l"]
PUPIL_VARIABLES = ["pupil_left_mm", "pupil_right_mm"]
# The rungs of the ladder, from what is furthest from a model.
SEVERITY = "knows the severity of the injury"
ATTENUATION = "knows the attenuation of the tissues"
TISSUE = "knows the tissue of each pixel"
PREDICTORS = "knows the distribution of the predictors"


def planted(settings: Settings) -> pd.DataFrame:
    """Estimate the best achievable AUC and Brier score of each modality in a large simulated sample.

    For the OHCA variables and the pupils this is gradient boosting, fitted on one half of the sample and
    evaluated on the other; with so many patients it approaches the likelihood ratio. For CT it is an observer
    who knows the severity of the injury, and one who knows the attenuation of white matter, cortex and deep
    nuclei without noise, both of which no network can recover from a noisy slice. The ensemble combines OHCA
    variables, pupils and either of these. GWR-AV is that of the attenuation without noise.

    For the Brier score, logistic regression on the third quarter of the sample turns each score into a
    probability, which is shifted to the study's prevalence of good outcomes and evaluated on the last
    quarter. GWR-AV is not a probability and has no Brier score.

    Parameters
    ----------
    settings : Settings
        Effect sizes, shares of missing values, seed and `n_truth`.

    Returns
    -------
    pandas.DataFrame
        `model, observer, auc` (for a good outcome), `mc_error` (its Monte Carlo standard error), `brier`,
        `brier_mc_error`.
    """
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 3]))
    n = settings.n_truth
    good = np.arange(n) % 2 == 0
    drawn = cohort.variables(good, settings=settings, rng=rng)
    table = drawn.patients.astype({"initial_rhythm": "category"})
    fit, third, last = slice(n // 2), slice(n // 2, 3 * n // 4), slice(3 * n // 4, n)

    def boosted(columns: list[str]) -> np.ndarray:
        model = LGBMClassifier(
            n_estimators=150, learning_rate=0.05, num_leaves=15, n_jobs=1, deterministic=True, verbose=-1
        )
        model.fit(table[columns][fit], good[fit])
        return model.predict(table[columns], raw_score=True)

    def combined(*columns: np.ndarray) -> np.ndarray:
        together = np.column_stack(columns)
        return LogisticRegression().fit(together[fit], good[fit]).decision_function(together)

    severity = drawn.latents["severity"].to_numpy()
    white, cortex, deep = tissue_attenuation(severity, rng)
    white, cortex, deep = (
        white + settings.white_shift_hu,
        cortex + settings.gray_shift_hu,
        deep + settings.gray_shift_hu,
    )
    attenuation = combined(white, cortex, deep)
    ohca, pupil = boosted(OHCA_VARIABLES), boosted(PUPIL_VARIABLES)
    scores = {
        ("ohca", PREDICTORS): ohca,
        ("pupil", PREDICTORS): pupil,
        ("ct", SEVERITY): -severity,
        ("ct", ATTENUATION): attenuation,
        ("ensemble", SEVERITY): combined(ohca, pupil, -severity),
        ("ensemble", ATTENUATION): combined(ohca, pupil, attenuation),
        # The network on CT is called ct where it is a base model, and cnn in the hold-out protocol.
        ("cnn", SEVERITY): -severity,
        ("cnn", ATTENUATION): attenuation,
        ("gwr_av", ATTENUATION): (deep / white + cortex / white) / 2,
    }
    rows = []
    for (model, observer), score in scores.items():
        row = {"model": model, "observer": observer, **_auc(good[n // 2 :], score[n // 2 :])}
        if model != "gwr_av":
            # The boosted models were fitted on the first half, so they are calibrated on another part.
            calibration = LogisticRegression().fit(score[third, None], good[third])
            log_odds = calibration.decision_function(score[last, None])
            row |= _brier(good[last], log_odds, prevalence=settings.n_good / settings.n_included)
        rows.append(row)
    return pd.DataFrame(rows)


def _auc(good: np.ndarray, score: np.ndarray) -> dict[str, float]:
    areas = delong(good, score)
    return {"auc": float(areas.auc[0]), "mc_error": float(np.sqrt(areas.covariance[0, 0]))}


def tissue_attenuation(
    severity: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the attenuation of white matter, cortex and deep nuclei themselves, HU."""
    baseline, cortex_own, deep_own = rng.standard_normal((3, len(severity)))
    white = phantom.WHITE_HU + phantom.BASELINE_SD_HU * baseline
    gray = phantom.BASELINE_SD_HU * baseline
    cortex = phantom.CORTEX_HU + gray + phantom.CORTEX_SD_HU * cortex_own - phantom.CORTEX_LOSS_HU * severity
    deep = phantom.DEEP_HU + gray + phantom.DEEP_SD_HU * deep_own - phantom.DEEP_LOSS_HU * severity
    return white, cortex, deep


def on_images(good: np.ndarray, ratio: np.ndarray) -> pd.DataFrame:
    """Return the AUC of the observer who knows the tissue of each pixel of the study's own images.

    Parameters
    ----------
    good : numpy.ndarray of bool, shape (n,)
        The outcome of the study's patients.
    ratio : numpy.ndarray, shape (n,)
        From `readings.gray_to_white`.

    Returns
    -------
    pandas.DataFrame
        As from `planted`, for `ct` and `cnn`; `mc_error` is that of the study's own patients.
    """
    found = _auc(good, ratio)
    return pd.DataFrame([{"model": model, "observer": TISSUE, **found} for model in ("ct", "cnn")])


def _brier(good: np.ndarray, log_odds: np.ndarray, *, prevalence: float) -> dict[str, float]:
    """Return the Brier score at a prevalence of good outcomes, and its standard error.

    Half of the simulated sample has a good outcome, so its log odds are those of a prevalence of one half.
    """
    probability = expit(log_odds + np.log(prevalence / (1 - prevalence)))
    share = np.array([prevalence, 1 - prevalence])
    squared = [((probability - good) ** 2)[group] for group in (good, ~good)]
    variance = [errors.var(ddof=1) / len(errors) for errors in squared]
    value = share @ [errors.mean() for errors in squared]
    return {"brier": float(value), "brier_mc_error": float(np.sqrt(share**2 @ variance))}


def document(settings: Settings, ladder: pd.DataFrame) -> dict[str, Any]:
    """Return the content of a study's `truth.json`.

    Parameters
    ----------
    settings : Settings
        The study's settings.
    ladder : pandas.DataFrame
        From `planted` and `on_images`.

    Returns
    -------
    dict
        `models` (the rows of the ladder), `outcomes` (the outcome labels for which they hold), `targets` (the
        published AUCs), `settings` and `simulated: true`.
    """
    rows = ladder.round(4).to_dict("records")
    return {
        "simulated": True,
        # Relabelled patients are drawn as good outcomes, so the values do not hold under the standard label.
        "outcomes": ["revised"] if settings.n_relabelled else ["revised", "standard"],
        "models": [{name: value for name, value in row.items() if value == value} for row in rows],
        "targets": {f"{model}_auc": auc for model, auc in published.aucs().items()},
        "settings": dataclasses.asdict(settings),
    }


def planted_performance(data: Path) -> pd.DataFrame:
    """Return what was planted in a simulated study, with the published AUCs.

    Parameters
    ----------
    data : pathlib.Path
        A folder written by `write_study`.

    Returns
    -------
    pandas.DataFrame
        `model, observer, auc, mc_error, brier, brier_mc_error, published`.
    """
    models = pd.DataFrame(_read(data)["models"])
    return models.assign(published=models["model"].map(published.aucs()))


def settings_table(data: Path) -> pd.DataFrame:
    """Return a simulated study's settings: `setting, value`, the values as text."""
    settings = pd.Series(_read(data)["settings"], name="value", dtype=object).astype(str)
    return settings.rename_axis("setting").reset_index()


def planted_differences(data: Path, there: Mapping[str, Any]) -> pd.DataFrame:
    """Return in which settings two simulated studies differ: what was planted between two hospitals.

    Parameters
    ----------
    data : pathlib.Path
        A folder written by `write_study`; another folder gives no rows.
    there : Mapping
        Settings of the other study; blank where it is not simulated.

    Returns
    -------
    pandas.DataFrame
        `setting, meaning, frozen` (the other study's value) and `here`, the values as text.
    """
    if not (data / "truth.json").is_file() or not there:
        return pd.DataFrame(columns=["setting", "meaning", "frozen", "here"])
    here = _read(data)["settings"]
    meanings = {field.name: field.default.description for field in dataclasses.fields(Settings)}
    rows = [
        (name, meanings[name], str(there[name]), str(value))
        for name, value in here.items()
        if name in there and name in meanings and there[name] != value and name not in ("seed", "ct")
    ]
    return pd.DataFrame(rows, columns=["setting", "meaning", "frozen", "here"])


def _read(data: Path) -> dict[str, Any]:
    return json.loads((data / "truth.json").read_text(encoding="utf-8"))
