"""A modelling procedure, repeated on bootstrap samples of the patients and on fewer patients."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import joblib
import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from sklearn.model_selection import train_test_split

from postarrest.models.procedure import Procedure
from postarrest.settings import Settings


class Plan(Settings):
    """How often, and on how many patients.

    Parameters
    ----------
    n_bootstraps, n_retuned : int
        Bootstrap samples, and those in which hyperparameters are also searched anew.
    trials : int
        Optuna's trials in the latter.
    shares : list of float
        Sizes of the learning curve, increasing, as shares of the patients who are not held out.
    repeats : int
        Repeats of the learning curve.
    test_share : float
        Share held out in each.

    Raises
    ------
    pydantic.ValidationError
        Listing every value that is out of range.
    """

    n_bootstraps: int = Field(ge=2, le=5000)
    n_retuned: int = Field(ge=2, le=5000)
    trials: int = Field(ge=1, le=5000)
    shares: list[float] = Field(min_length=2, max_length=50)
    repeats: int = Field(ge=2, le=1000)
    test_share: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> "Plan":
        if self.n_retuned > self.n_bootstraps:
            raise ValueError(f"n_retuned is {self.n_retuned}, expected at most n_bootstraps")
        if not all(0 < low < high <= 1 for low, high in pairwise(self.shares)):
            raise ValueError(f"shares is {self.shares}, expected increasing numbers above 0, at most 1")
        return self


@dataclass(frozen=True)
class Refits:
    """A procedure fitted on a cohort and on bootstrap samples of it; each predicts every patient.

    Parameters
    ----------
    original : pandas.DataFrame of shape (patients, models)
        Probabilities by the procedure fitted on the cohort.
    resampled : numpy.ndarray of shape (bootstraps, patients, models)
        Probabilities by the procedure fitted on each bootstrap sample.
    drawn : numpy.ndarray of shape (bootstraps, patients)
        How often each patient was drawn.
    """

    original: pd.DataFrame
    resampled: np.ndarray
    drawn: np.ndarray


def bootstrap(
    procedure: Procedure, rows: pd.DataFrame, y: pd.Series, *, n_bootstraps: int, seed: int
) -> Refits:
    """Fit a procedure on the cohort and on bootstrap samples of its patients, on all cores.

    Parameters
    ----------
    procedure : Procedure
        The procedure; its own seed stays the same, so that fits differ by their patients only.
    rows : pandas.DataFrame
        Predictors, one row per patient.
    y : pandas.Series
        1 where the outcome is good.
    n_bootstraps, seed : int
        Number of samples, and their seed.
    """
    n = len(rows)
    samples = [np.arange(n)]
    samples += [
        np.sort(np.random.default_rng([seed, number]).integers(0, n, n)) for number in range(n_bootstraps)
    ]
    fits = _on_all_cores((procedure, rows, y, sample, np.arange(n)) for sample in samples)
    drawn = np.array([np.bincount(sample, minlength=n) for sample in samples[1:]])
    return Refits(fits[0], np.array([fit.to_numpy() for fit in fits[1:]]), drawn)


@dataclass(frozen=True)
class Learned:
    """A procedure fitted on some patients, and its probabilities of test patients.

    Parameters
    ----------
    size : int
        Which of the sizes, from 0.
    n, n_good : int
        Patients that it was fitted on, and good outcomes among them.
    y_good : numpy.ndarray
        Outcomes of the test patients.
    probability : pandas.DataFrame
        Their probabilities, one column per model.
    """

    size: int
    n: int
    n_good: int
    y_good: np.ndarray
    probability: pd.DataFrame


def learn(
    procedure: Procedure,
    rows: pd.DataFrame,
    y: pd.Series,
    *,
    shares: list[float],
    repeats: int,
    test_share: float,
    seed: int,
) -> list[Learned]:
    """Fit a procedure on samples of increasing size, and predict the patients of a test set.

    In each repeat a stratified test set is held out, and the others are taken in random order: a smaller
    sample is part of each larger one, with the same prevalence, and sizes are compared in the same patients.

    Parameters
    ----------
    procedure, rows, y
        As for :func:`bootstrap`.
    shares : list of float
        Sizes, as shares of the patients who are not held out.
    repeats : int
        Number of test sets.
    test_share : float
        Share held out.
    seed : int
        Seed of the samples.
    """
    jobs, sizes = [], []
    for repeat in range(repeats):
        settings = {"test_size": test_share, "stratify": y, "random_state": seed + repeat}
        rest, test = train_test_split(np.arange(len(y)), **settings)
        # train_test_split has shuffled them.
        good, poor = rest[y.iloc[rest] == 1], rest[y.iloc[rest] == 0]
        for size, share in enumerate(shares):
            sample = np.sort(np.r_[good[: round(share * len(good))], poor[: round(share * len(poor))]])
            jobs.append((procedure, rows, y, sample, test))
            sizes.append(size)
    fits = _on_all_cores(jobs)
    return [
        Learned(size, len(sample), int(y.iloc[sample].sum()), y.iloc[test].to_numpy(), fit)
        for size, (*_, sample, test), fit in zip(sizes, jobs, fits, strict=True)
    ]


def _on_all_cores(jobs: Iterable[tuple]) -> list[pd.DataFrame]:
    with joblib.parallel_config("loky", n_jobs=joblib.cpu_count(), inner_max_num_threads=1):
        return joblib.Parallel()(joblib.delayed(_fit)(*job) for job in jobs)


def _fit(
    procedure: Procedure, rows: pd.DataFrame, y: pd.Series, sample: np.ndarray, predicted: np.ndarray
) -> pd.DataFrame:
    return procedure(rows.iloc[sample], y.iloc[sample])(rows.iloc[predicted])
