"""The clinical table, the screening log, and the latent variables behind them.

The outcome is drawn first, and every other variable given the outcome. Distributions follow the cohorts
listed in `params/published.yaml`. Where these separate the outcomes more sharply than the study whose
discrimination is reproduced, only the direction of the difference is kept; its size is set by that
discrimination.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from postarrest.simulate.settings import Settings

# Mean difference in severity between the outcomes, in standard deviations, at ct_effect = 1.
SEVERITY_DIFFERENCE = 1.85
# Why patients were not analysed: the reasons are paper A's; the shares are made up, because we could not
# obtain the figure with the counts. All screened patients are adults, as in the paper.
EXCLUSION_SHARES = {
    "no CT within 3 h": 0.28,
    "stroke": 0.20,
    "inter-hospital transfer": 0.14,
    "head trauma": 0.11,
    "previous intracranial disease": 0.11,
    "inadequate CT coverage": 0.08,
    "withdrawal of life-sustaining therapy": 0.05,
    "death during surgery for aortic rupture": 0.03,
}


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort.

    Attributes
    ----------
    patients : pandas.DataFrame
        The data contract's `patients` table, one row per screened patient, `patient_id` a column.
    latents : pandas.DataFrame
        Unobservable variables, in the rows of `patients`: `good` (the outcome that all other variables depend
        on), `severity` (of the injury, in within-outcome standard deviations), `atrophy` (standard normal).
    """

    patients: pd.DataFrame
    latents: pd.DataFrame


def draw(settings: Settings) -> Cohort:
    """Draw a whole study's clinical table, screening log included.

    Parameters
    ----------
    settings : Settings
        Counts, effect sizes, shares of missing values and seed.

    Returns
    -------
    Cohort
        `settings.n_screened` rows in random order.

    Examples
    --------
    >>> cohort = draw(Settings(n_included=40, n_good=10, n_relabelled=1, n_screened=50))
    >>> len(cohort.patients), int((cohort.patients["exclusion"] == "").sum())
    (50, 40)
    """
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 0]))
    n, n_included = settings.n_screened, settings.n_included
    # The relabelled patients come first, then the other good outcomes, the poor ones and the excluded.
    good = np.arange(n) < settings.n_good
    good[n_included:] = rng.random(n - n_included) < settings.n_good / n_included
    number = rng.permutation(n)
    cohort = variables(good[number], settings=settings, rng=rng)
    width = max(4, len(str(n)))
    cohort.patients.insert(0, "patient_id", [f"SIM{i:0{width}d}" for i in range(1, n + 1)])
    cohort.patients.insert(1, "exclusion", "")
    if settings.n_sites > 1:
        cohort.patients.insert(2, "site", _sites(good[number], settings))
    _relabel(cohort.patients, np.flatnonzero(number < settings.n_relabelled))
    _exclude(cohort.patients, np.flatnonzero(number >= n_included), rng)
    return cohort


def _sites(good: np.ndarray, settings: Settings) -> np.ndarray:
    """Return each patient's hospital, drawn after the outcome.

    Hospitals differ in how often the outcome is good, on the log odds scale by a normal variable, and in
    nothing else: given the outcome, their patients are alike.
    """
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 2]))
    weight = np.exp(settings.site_sd * rng.standard_normal(settings.n_sites))
    even = np.full(settings.n_sites, 1 / settings.n_sites)
    drawn = [rng.choice(settings.n_sites, size=len(good), p=p) for p in (weight / weight.sum(), even)]
    names = np.array([f"hospital {i}" for i in range(1, settings.n_sites + 1)])
    return names[np.where(good, *drawn)]


def variables(good: np.ndarray, *, settings: Settings, rng: np.random.Generator) -> Cohort:
    """Draw every variable of patients who can be analysed, given their outcome.

    Parameters
    ----------
    good : numpy.ndarray of bool, shape (n,)
        Which patients have a good outcome.
    settings : Settings
        Effect sizes and shares of missing values; its counts are not used.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Cohort
        n rows; `patients` has no identifiers and no exclusions.
    """
    n = len(good)
    shared = rng.standard_normal(n)
    rho = settings.modality_correlation

    def insult() -> np.ndarray:
        # Standard normal given the outcome, with correlation rho between any two; higher is worse.
        return np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.standard_normal(n)

    def by_outcome(poor: float, good_value: float) -> np.ndarray:
        return np.where(good, poor + settings.ohca_effect * (good_value - poor), poor)

    def happens(probability: np.ndarray | float) -> np.ndarray:
        return rng.random(n) < probability

    clinical = insult()

    def worse() -> np.ndarray:
        # Standard normal given the outcome; the patient's clinical insult explains a quarter of the variance.
        return 0.5 * clinical + np.sqrt(0.75) * rng.standard_normal(n)

    age_z = rng.standard_normal(n)
    # Skewed to the left as in the published quartiles (57, 69, 78); adults only.
    age = by_outcome(67.8, 60.0) + 15.0 * (age_z - 0.22 * (age_z**2 - 1))
    age = np.clip(np.round(age + settings.age_shift_years), 18, 99).astype(int)
    male = happens(expit(by_outcome(logit(0.64), logit(0.77))))

    cardiac, respiratory = happens(expit(by_outcome(logit(0.55), logit(0.70)))), happens(0.45)
    cause = np.select([cardiac, respiratory], ["cardiac", "respiratory"], "other")
    ems_witnessed = happens(expit(by_outcome(logit(0.09), logit(0.13))))
    witnessed = ems_witnessed | happens(expit(by_outcome(logit(0.58), logit(0.72))))
    bystander_cpr = ~ems_witnessed & happens(expit(by_outcome(logit(0.42), logit(0.52))))

    shockable_logit = by_outcome(-2.45, -0.9) + 0.9 * cardiac + 0.6 * witnessed + 0.2 * male
    shockable = happens(expit(shockable_logit - 0.3 * clinical))
    pea = ~shockable & happens(np.where(witnessed, 0.52, 0.24))
    other = ~shockable & ~pea & happens(0.12)
    rhythm = np.select([shockable, pea, other], ["vf_vt", "pea", "other"], "asystole")
    defibrillated = np.where(shockable, happens(0.94), happens(0.12))

    # No-flow time: none if emergency staff witnessed the arrest, else until a bystander or they began.
    response_min = np.exp(np.log(8.5) + 0.35 * worse())
    until_bystander_min = np.exp(np.log(2.2) + 0.8 * worse())
    no_flow = np.where(bystander_cpr, np.minimum(until_bystander_min, response_min), response_min)
    no_flow = np.where(ems_witnessed, 0.0, no_flow * np.exp(by_outcome(0.0, -0.25)))
    no_flow = np.where(witnessed, no_flow, no_flow * np.exp(0.4 + 0.6 * rng.standard_normal(n)))

    low_flow = np.exp(by_outcome(np.log(29.5), np.log(17.3)) - 0.05 * shockable + 0.58 * worse())
    low_flow = low_flow * settings.low_flow_factor
    ecmo = happens(expit(-4.53 + 0.055 * np.minimum(low_flow, 80) + 1.6 * shockable - 0.03 * (age - 65)))
    low_flow = np.where(ecmo, np.maximum(low_flow, 30) + 12 * rng.random(n), low_flow)
    low_flow = np.clip(np.round(low_flow), 1, 120)
    no_flow = np.clip(np.round(no_flow), 0, 60)

    epinephrine_rate = np.maximum(low_flow - 10, 0) / 6.0 * np.where(shockable, 0.8, 1.05) + 0.15
    epinephrine = np.minimum(rng.poisson(epinephrine_rate), 15)
    log_duration = np.log((low_flow + no_flow) / 30 + 0.05)
    lactate = np.exp(by_outcome(np.log(9.5), np.log(8.4)) + 0.22 * log_duration + 0.38 * worse())
    kidney_disease = happens(0.08)
    log_creatinine = by_outcome(np.log(88.0), np.log(79.0)) + 0.16 * male + 0.004 * (age - 68)
    log_creatinine = log_creatinine + 0.26 * worse()
    creatinine = np.exp(log_creatinine + kidney_disease * (0.9 + 0.5 * rng.random(n)))

    severity = insult() + np.where(good, 0.0, settings.ct_effect * SEVERITY_DIFFERENCE)
    # Atrophy depends on age relative to patients with the same outcome: with ct_effect = 0 the image does not
    # depend on the outcome.
    atrophy = 0.75 * age_z + np.sqrt(1 - 0.75**2) * rng.standard_normal(n)
    left, right = _pupils(insult(), good=good, effect=settings.pupil_effect, rng=rng)

    # Blood is drawn late or not at all in the most unstable patients, who were resuscitated longer.
    instability = 0.8 * (np.log(low_flow) - np.log(27.0)) / 0.6
    no_lactate = happens(_share(settings.lab_missing, instability))
    no_creatinine = (no_lactate & happens(0.35)) | happens(_share(settings.lab_missing * 0.3, instability))
    no_pupils = happens(settings.pupil_missing)
    no_flow_unknown = ~witnessed & happens(settings.no_flow_missing)

    # The last draw, where it stands, so that no other variable depends on its settings.
    delay = np.log(settings.ct_median_min) + 0.42 * rng.standard_normal(n)
    patients = pd.DataFrame(
        {
            "age_years": age,
            "sex": np.where(male, "male", "female"),
            "witnessed": witnessed.astype(int),
            "bystander_cpr": bystander_cpr.astype(int),
            "initial_rhythm": rhythm,
            "defibrillated": defibrillated.astype(int),
            "cause": cause,
            "epinephrine_mg": epinephrine.astype(int),
            "no_flow_min": np.where(no_flow_unknown, np.nan, no_flow),
            "low_flow_min": low_flow,
            "creatinine_umol_l": np.where(no_creatinine, np.nan, np.clip(np.round(creatinine), 20, 1500)),
            "lactate_mmol_l": np.where(no_lactate, np.nan, np.clip(np.round(lactate, 1), 0.8, 30)),
            "pupil_left_mm": np.where(no_pupils, np.nan, left),
            "pupil_right_mm": np.where(no_pupils, np.nan, right),
            "circulation": np.where(ecmo, "ecmo", "rosc"),
            "rosc_to_ct_min": np.clip(np.round(np.exp(delay)), 12, 178),
        }
    )
    patients["cpc"] = _cpc(good, rng)
    patients["awake_after_ct"] = good.astype(int)
    dead = patients["cpc"] == 5
    patients["death_cause_intracranial"] = np.where(dead, happens(0.72).astype(float), np.nan)
    # Separate random streams, so that no other variable depends on the day and cause of death.
    of_time, of_cause = rng.spawn(2)
    other = np.where(of_cause.random(n) < 0.7, "cardiogenic", "respiratory")
    intracranial = patients["death_cause_intracranial"] == 1
    patients["death_cause"] = np.where(dead, np.where(intracranial, "intracranial", other), "")
    days = np.floor(np.exp(np.log(5) + 0.8 * of_time.standard_normal(n)))
    patients["arrest_to_death_days"] = np.where(dead, np.minimum(days, 30), np.nan)
    return Cohort(patients, pd.DataFrame({"good": good, "severity": severity, "atrophy": atrophy}))


def _share(share: float, pull: np.ndarray) -> np.ndarray:
    """Return a probability with a mean of about `share` that rises with `pull` (mean 0, SD about 1)."""
    return expit(logit(share) - 0.15 + 0.6 * pull)


def _pupils(insult: np.ndarray, *, good: np.ndarray, effect: float, rng: np.random.Generator) -> np.ndarray:
    """Return left and right diameters, mm; some readers round to 0.5 and some to 1 mm; 5 % are anisocoric."""
    n = len(good)
    # Means of 4.75 mm in poor and 3.95 mm in good outcomes, and an SD of 1.25 mm within both.
    both = 4.75 + effect * (3.95 - 4.75) * good + 1.25 * insult
    sides = both[:, None] + 0.2 * rng.standard_normal((n, 2))
    anisocoric = rng.random(n) < 0.05
    wide = rng.integers(0, 2, n)
    sides[np.arange(n), wide] += anisocoric * (0.75 + 1.25 * rng.random(n))
    # A reader rounds both eyes alike.
    step = np.where(rng.random(n) < 0.3, 1.0, 0.5)[:, None]
    return np.clip(np.round(sides / step) * step, 1.0, 8.0).T


def _cpc(good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the CPC, with the shares of 232 resuscitated patients with early CT (16/6/6/12/60 %)."""
    u = rng.random(len(good))
    return np.where(good, np.where(u < 16 / 22, 1, 2), np.select([u < 6 / 78, u < 18 / 78], [3, 4], 5))


def _relabel(patients: pd.DataFrame, rows: np.ndarray) -> None:
    """Turn good outcomes into patients who woke and then died of an extracranial cause, as in paper A."""
    n = len(rows)
    patients.loc[rows, ["cpc", "death_cause_intracranial"]] = [5, 0.0]
    # One cardiogenic death is on the day of the arrest, four are after more than 14 days; which is made up.
    patients.loc[rows, "death_cause"] = np.where(np.resize([1, 0, 1, 0, 1], n), "cardiogenic", "respiratory")
    patients.loc[rows, "arrest_to_death_days"] = np.resize([16.0, 21.0, 0.0, 18.0, 26.0], n)
    # Time from arrest to circulation (no-flow + low-flow), min.
    durations = np.resize([19, 23, 37, 19, 63], n)
    no_flow = patients.loc[rows, "no_flow_min"].clip(upper=durations - 5)
    patients.loc[rows, "no_flow_min"] = no_flow
    patients.loc[rows, "low_flow_min"] = durations - no_flow.fillna(0)


def _exclude(patients: pd.DataFrame, rows: np.ndarray, rng: np.random.Generator) -> None:
    """Give the patients who are not analysed a reason, and the values that follow from it."""
    reason = rng.choice(list(EXCLUSION_SHARES), size=len(rows), p=list(EXCLUSION_SHARES.values()))
    patients.loc[rows, "exclusion"] = reason
    late = rows[reason == "no CT within 3 h"]
    # Most had no CT at all, the others a later one.
    minutes = np.where(rng.random(len(late)) < 0.65, np.nan, 181 + np.round(rng.gamma(1.5, 120, len(late))))
    patients.loc[late, "rosc_to_ct_min"] = minutes
    in_surgery = rows[reason == "death during surgery for aortic rupture"]
    known = ["cpc", "awake_after_ct", "death_cause_intracranial", "death_cause", "arrest_to_death_days"]
    patients.loc[in_surgery, [*known, "cause"]] = [5, 0, 0.0, "cardiogenic", 0.0, "other"]
    patients.loc[rows[np.isin(reason, ["stroke", "head trauma"])], "cause"] = "other"
