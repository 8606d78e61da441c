"""The planted performance: that of an observer who knows the simulation's own variables."""

import dataclasses
import json
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


def planted(settings: Settings) -> dict[str, dict[str, float]]:
    """Estimate the best achievable AUC and Brier score of each modality in a large simulated sample.

    For the OHCA variables and the pupils this is gradient boosting, fitted on one half of the sample and
    evaluated on the other; with so many patients it approaches the likelihood ratio. For CT it is an observer
    who knows the severity of the injury, which no network can recover from a noisy slice; for GWR-AV, a ratio
    measured without noise or partial volume. The ensemble combines OHCA variables, pupils and CT.

    For the Brier score, logistic regression on the third quarter of the sample turns each score into a
    probability, which is shifted to the study's prevalence of good outcomes and evaluated on the last
    quarter. GWR-AV is not a probability and has no Brier score.

    Parameters
    ----------
    settings : Settings
        Effect sizes, shares of missing values, seed and `n_truth`.

    Returns
    -------
    dict
        Model name to `{"auc": AUC for a good outcome, "mc_error": its Monte Carlo standard error, "brier":
        Brier score, "brier_mc_error": its Monte Carlo standard error}`.
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

    severity = drawn.latents["severity"].to_numpy()
    scores = {"ohca": boosted(OHCA_VARIABLES), "pupil": boosted(PUPIL_VARIABLES), "ct": -severity}
    together = np.column_stack(list(scores.values()))
    scores["ensemble"] = LogisticRegression().fit(together[fit], good[fit]).decision_function(together)
    # The network on CT is called ct where it is a base model, and cnn in the hold-out protocol.
    scores["cnn"] = scores["ct"]
    scores["gwr_av"] = _noise_free_gwr(severity, rng)
    found = {}
    for name, score in scores.items():
        areas = delong(good[n // 2 :], score[n // 2 :])
        found[name] = {"auc": areas.auc[0], "mc_error": np.sqrt(areas.covariance[0, 0])}
        if name != "gwr_av":
            # The boosted models were fitted on the first half, so they are calibrated on another part.
            calibration = LogisticRegression().fit(score[third, None], good[third])
            log_odds = calibration.decision_function(score[last, None])
            found[name] |= _brier(good[last], log_odds, prevalence=settings.n_good / settings.n_included)
    return {name: {key: float(value) for key, value in of_model.items()} for name, of_model in found.items()}


def _noise_free_gwr(severity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return GWR-AV of the attenuation of the tissues themselves."""
    baseline, cortex_own, deep_own = rng.standard_normal((3, len(severity)))
    white = phantom.WHITE_HU + phantom.BASELINE_SD_HU * baseline
    gray = phantom.BASELINE_SD_HU * baseline
    cortex = phantom.CORTEX_HU + gray + phantom.CORTEX_SD_HU * cortex_own - phantom.CORTEX_LOSS_HU * severity
    deep = phantom.DEEP_HU + gray + phantom.DEEP_SD_HU * deep_own - phantom.DEEP_LOSS_HU * severity
    return (deep / white + cortex / white) / 2


def _brier(good: np.ndarray, log_odds: np.ndarray, *, prevalence: float) -> dict[str, float]:
    """Return the Brier score at a prevalence of good outcomes, and its standard error.

    Half of the simulated sample has a good outcome, so its log odds are those of a prevalence of one half.
    """
    probability = expit(log_odds + np.log(prevalence / (1 - prevalence)))
    share = np.array([prevalence, 1 - prevalence])
    squared = [((probability - good) ** 2)[group] for group in (good, ~good)]
    variance = [errors.var(ddof=1) / len(errors) for errors in squared]
    value = share @ [errors.mean() for errors in squared]
    return {"brier": value, "brier_mc_error": np.sqrt(share**2 @ variance)}


def document(settings: Settings) -> dict[str, Any]:
    """Return the content of a study's `truth.json`.

    Returns
    -------
    dict
        `models` (see `planted`), `outcomes` (the outcome labels for which they hold), `targets` (the
        published AUCs), `settings` and `simulated: true`.
    """
    models = planted(settings)
    return {
        "simulated": True,
        # Relabelled patients are drawn as good outcomes, so the values do not hold under the standard label.
        "outcomes": ["revised"] if settings.n_relabelled else ["revised", "standard"],
        "models": {m: {key: round(value, 4) for key, value in models[m].items()} for m in models},
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
        `model, auc, mc_error, brier, brier_mc_error, published`.
    """
    models = pd.DataFrame(_read(data)["models"]).T.rename_axis("model").reset_index()
    return models.assign(published=models["model"].map(published.aucs()))


def settings_table(data: Path) -> pd.DataFrame:
    """Return a simulated study's settings: `setting, value`, the values as text."""
    settings = pd.Series(_read(data)["settings"], name="value", dtype=object).astype(str)
    return settings.rename_axis("setting").reset_index()


def _read(data: Path) -> dict[str, Any]:
    return json.loads((data / "truth.json").read_text(encoding="utf-8"))
