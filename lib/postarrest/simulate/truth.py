"""The performance that was planted: what an observer who knows the simulation's own variables reaches."""

import dataclasses

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import rankdata

from postarrest.simulate import cohort, phantom
from postarrest.simulate.settings import Settings

# The discrimination that the papers report, as truth.json keeps it beside the planted one.
# The network on CT is called cnn in the hold-out protocol and ct where it is a base model.
PUBLISHED_AUC = {"gwr_av": 0.83, "cnn": 0.84, "ohca": 0.76, "pupil": 0.65, "ct": 0.68, "ensemble": 0.82}
OHCA_VARIABLES = ["initial_rhythm", "no_flow_min", "low_flow_min", "creatinine_umol_l", "lactate_mmol_l"]
PUPIL_VARIABLES = ["pupil_left_mm", "pupil_right_mm"]


def planted(settings: Settings) -> dict[str, dict[str, float]]:
    """Best achievable AUC and Brier score of every modality, on a large draw.

    For the clinical variables and the pupils it is that of gradient boosting on half of the draw, judged on
    the other half: with so many patients this is the likelihood ratio in all but name. For CT, that of an
    observer who knows the injury's severity, which no network reaches from a noisy slice; for GWR-AV, that
    of a ratio read without noise or partial volume. For the ensemble, OHCA, pupils and CT together.

    Brier scores are of the same scores, made into probabilities by logistic regression on the third quarter
    of the draw, shifted to the study's share of good outcomes and judged on the last; a ratio is no
    probability and has none.

    Parameters
    ----------
    settings : Settings
        Effect sizes, missing shares, seed and `n_truth`.

    Returns
    -------
    dict
        Model name to `{"auc": AUC for a good outcome, "mc_error": its Monte Carlo standard error, "brier":
        Brier score, "brier_mc_error": its error}`, the last two not for the ratio.
    """
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 3]))
    good = np.arange(settings.n_truth) % 2 == 0
    drawn = cohort.variables(good, settings=settings, rng=rng)
    table = drawn.patients.copy()
    table["initial_rhythm"] = table["initial_rhythm"].astype("category")
    fit = np.arange(len(good)) < len(good) // 2
    judge = ~fit
    third = judge & (np.arange(len(good)) < 3 * len(good) // 4)
    last = judge & ~third

    def boosted(columns: list[str]) -> np.ndarray:
        model = LGBMClassifier(
            n_estimators=150,
            learning_rate=0.05,
            num_leaves=15,
            n_jobs=1,
            verbose=-1,
            random_state=0,
            deterministic=True,
        )
        model.fit(table.loc[fit, columns], good[fit])
        return model.predict(table[columns], raw_score=True)

    scores = {
        "ohca": boosted(OHCA_VARIABLES),
        "pupil": boosted(PUPIL_VARIABLES),
        "ct": -drawn.latents["severity"],
    }
    together = pd.DataFrame(scores).to_numpy()
    stack = LogisticRegression().fit(together[fit], good[fit])
    scores["ensemble"] = stack.decision_function(together)
    scores["cnn"] = scores["ct"]
    scores["gwr_av"] = _noise_free_gwr(drawn.latents["severity"].to_numpy(), rng)
    found = {}
    for name, score in scores.items():
        score = np.asarray(score)
        found[name] = dict(zip(("auc", "mc_error"), _auc(good[judge], score[judge]), strict=True))
        if name != "gwr_av":
            # Not on the first half, whose outcomes the boosted scores have seen.
            scale = LogisticRegression().fit(score[third, None], good[third])
            share = settings.n_good / settings.n_included
            brier = _brier(good[last], scale.decision_function(score[last, None]), share=share)
            found[name] |= dict(zip(("brier", "brier_mc_error"), brier, strict=True))
    return found


def _noise_free_gwr(severity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """GWR-AV of the tissues themselves."""
    baseline, cortex_own, deep_own = rng.standard_normal((3, len(severity)))
    white = phantom.WHITE_HU + phantom.BASELINE_SD_HU * baseline
    gray = phantom.BASELINE_SD_HU * baseline
    cortex = phantom.CORTEX_HU + gray + phantom.CORTEX_SD_HU * cortex_own - phantom.CORTEX_LOSS_HU * severity
    deep = phantom.DEEP_HU + gray + phantom.DEEP_SD_HU * deep_own - phantom.DEEP_LOSS_HU * severity
    return (deep / white + cortex / white) / 2


def _auc(good: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """AUC and its standard error (DeLong)."""
    a, b = score[good], score[~good]
    both = rankdata(np.concatenate([a, b]))
    placed_a = (both[: len(a)] - rankdata(a)) / len(b)
    placed_b = 1 - (both[len(a) :] - rankdata(b)) / len(a)
    error = np.sqrt(placed_a.var(ddof=1) / len(a) + placed_b.var(ddof=1) / len(b))
    return float(placed_a.mean()), float(error)


def _brier(good: np.ndarray, log_odds: np.ndarray, *, share: float) -> tuple[float, float]:
    """Brier score at a share of good outcomes, and its standard error.

    The draw has as many good as poor outcomes, so its log odds are those of a share of one half.
    """
    probability = expit(log_odds + np.log(share / (1 - share)))
    squared = (probability - good) ** 2
    a, b = squared[good], squared[~good]
    error = np.sqrt(share**2 * a.var(ddof=1) / len(a) + (1 - share) ** 2 * b.var(ddof=1) / len(b))
    return float(share * a.mean() + (1 - share) * b.mean()), float(error)


def document(settings: Settings) -> dict:
    """Everything that `truth.json` holds.

    Parameters
    ----------
    settings : Settings
        The study.

    Returns
    -------
    dict
        `models` (see `planted`), `outcomes` (the labels under which that holds), `targets` (the published
        AUCs), `settings` and `simulated: true`.
    """
    # Relabelled patients were drawn as good outcomes: under the standard label something else was planted.
    return {
        "simulated": True,
        "outcomes": ["revised"] if settings.n_relabelled else ["revised", "standard"],
        "models": {
            name: {k: round(v, 4) for k, v in value.items()} for name, value in planted(settings).items()
        },
        "targets": {f"{name}_auc": auc for name, auc in PUBLISHED_AUC.items()},
        "settings": dataclasses.asdict(settings),
    }
