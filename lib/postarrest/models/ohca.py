"""The OHCA score (Adrie 2006), which needs no fitting."""

import numpy as np
import pandas as pd

from postarrest.models import crossfit
from postarrest.models.parts import Part
from postarrest.models.splits import Split

VARIABLES = ["initial_rhythm", "no_flow_min", "low_flow_min", "creatinine_umol_l", "lactate_mmol_l"]


def ohca_score(cohort: pd.DataFrame, *, floor_min: float = 0.5) -> pd.Series:
    """Return the OHCA score of Adrie et al. (2006); higher is worse.

    ``-13 if VF/VT + 6 ln(no-flow, min) + 9 ln(low-flow, min) - 1434 / creatinine (umol/L) + 10 ln(lactate,
    mmol/L)``.

    Parameters
    ----------
    cohort : pandas.DataFrame
        With the columns :data:`VARIABLES`.
    floor_min : float
        Least minutes before the logarithm; the score's authors do not say what to do with a no-flow of 0.

    Returns
    -------
    pandas.Series
        NaN where a variable is missing.

    References
    ----------
    Adrie C et al. Predicting survival with good neurological recovery at hospital admission after successful
    resuscitation of out-of-hospital cardiac arrest: the OHCA score. Eur Heart J 2006;27:2840-5.

    Examples
    --------
    >>> patient = pd.DataFrame({"initial_rhythm": ["asystole"], "no_flow_min": [5.0], "low_flow_min": [30.0],
    ...     "creatinine_umol_l": [100.0], "lactate_mmol_l": [10.0]})
    >>> round(float(ohca_score(patient).iloc[0]), 2)
    48.95
    """
    no_flow = np.log(cohort["no_flow_min"].clip(lower=floor_min))
    low_flow = np.log(cohort["low_flow_min"].clip(lower=floor_min))
    rhythm = cohort["initial_rhythm"]
    shockable = (rhythm == "vf_vt").astype(float).where(rhythm.notna())
    clinical = -13 * shockable + 6 * no_flow + 9 * low_flow
    return clinical - 1434 / cohort["creatinine_umol_l"] + 10 * np.log(cohort["lactate_mmol_l"])


def comparator_scores(
    names: list[str], cohort: pd.DataFrame, split: Split, *, floor_min: float
) -> pd.DataFrame:
    """Return scores that need no fitting, with the sign changed so that higher is better.

    Returns
    -------
    pandas.DataFrame
        One column per score, indexed by patient; NaN where a variable is missing.

    Raises
    ------
    ValueError
        If a score is unknown.
    """
    if unknown := set(names) - {"ohca_score"}:
        raise ValueError(f"comparators: {', '.join(sorted(unknown))} unknown; known: ohca_score.")
    patients = split.development.append(split.test)
    columns = {name: -ohca_score(cohort.loc[patients], floor_min=floor_min) for name in names}
    return pd.DataFrame(columns, index=patients)


def parts(names: list[str], *, floor_min: float) -> list[Part]:
    """Return each score as a part of a frozen model."""
    settings = {"floor_min": floor_min}
    return [Part(name, tuple(VARIABLES), (), kind="ohca_score", settings=settings) for name in names]


def rows(comparators: pd.DataFrame, split: Split) -> list[pd.DataFrame]:
    """Return each score as rows of the scores table, where it is defined."""
    return [
        crossfit.rows(
            score[split.development].dropna(), score[split.test].dropna(), model=name, kind="marker"
        )
        for name, score in comparators.items()
    ]


def defined(comparators: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Count the patients in whom each score is defined.

    Returns
    -------
    pandas.DataFrame
        ``fold, score, patients, n, n_defined``.
    """
    rows = [
        (split.fold, name, group, len(ids), int(score.loc[ids].notna().sum()))
        for name, score in comparators.items()
        for group, ids in (("development", split.development), ("test", split.test))
    ]
    return pd.DataFrame(rows, columns=["fold", "score", "patients", "n", "n_defined"])
