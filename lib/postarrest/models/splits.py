"""Which patients models are fitted on, chosen on and tested on.

Both protocols share one long table: one row per split and patient, with the part that the patient has in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass
from sklearn.model_selection import StratifiedKFold, train_test_split

from postarrest.settings import Seed


@checked_dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Settings:
    """How a study's patients are split.

    Parameters
    ----------
    seed : int
        Seed of every split.
    holdout_fraction : float
        Share of the patients held out (paper A: 20 %).
    tune_fraction : float
        Share of the others on which hyperparameters and epochs are chosen (paper A: 20 %).
    repeats : int
        Hold-out splits; the first is the main one, the others show the spread.
    outer_folds, inner_folds : int
        Folds of the nested cross-validation (paper B: 5 x 4). The stack is calibrated on the inner folds that
        remain when one is left out, so that three are needed.

    Raises
    ------
    pydantic.ValidationError
        Listing every value that is out of range.
    """

    seed: Seed = 20150401
    holdout_fraction: float = Field(0.20, ge=0.05, le=0.5)
    tune_fraction: float = Field(0.20, ge=0.05, le=0.5)
    repeats: int = Field(1, ge=1, le=200)
    outer_folds: int = Field(5, ge=2, le=50)
    inner_folds: int = Field(4, ge=3, le=20)


@dataclass(frozen=True)
class Split:
    """One split: development patients, in inner folds, and test patients.

    Parameters
    ----------
    name : str
        ``"holdout-1"``, ``"outer-3"``.
    inner : tuple of (pandas.Index, pandas.Index)
        Pairs of patients to fit on and patients to evaluate a choice on: one pair (training set, tuning set)
        in a hold-out split, one per inner fold in nested cross-validation.
    test : pandas.Index
        Patients that no fit and no choice may use.
    """

    name: str
    inner: tuple[tuple[pd.Index, pd.Index], ...]
    test: pd.Index

    @property
    def development(self) -> pd.Index:
        """Every patient that is not a test patient."""
        fit, left_out = self.inner[0]
        return fit.append(left_out).sort_values()

    @property
    def inner_fold(self) -> pd.Series:
        """The inner fold that leaves out each development patient, from 0, in the order of the folds."""
        return pd.concat([pd.Series(k, index=left_out) for k, (_, left_out) in enumerate(self.inner)])

    @property
    def membership(self) -> list[list[list[str]]]:
        """The patients of each inner fold, as plain lists.

        What is kept of a split depends on these and not on its name, which other splits share.
        """
        return [[list(fit), list(left_out)] for fit, left_out in self.inner]

    @property
    def fold(self) -> int:
        """Number of the split, from 1."""
        return int(self.name.rsplit("-", 1)[1])

    @property
    def protocol(self) -> str:
        """``"holdout"`` or ``"nested"``."""
        return "holdout" if self.name.startswith("holdout") else "nested"


def names(protocols: Sequence[str], settings: Settings) -> list[str]:
    """Return the names of a study's splits.

    Examples
    --------
    >>> names(("holdout", "nested"), Settings(outer_folds=2))
    ['holdout-1', 'outer-1', 'outer-2']
    """
    holdout = settings.repeats if "holdout" in protocols else 0
    outer = settings.outer_folds if "nested" in protocols else 0
    return [f"holdout-{i + 1}" for i in range(holdout)] + [f"outer-{i + 1}" for i in range(outer)]


def fewest(protocols: Sequence[str], settings: Settings) -> int:
    """Return how many patients the rarer outcome must have.

    Each inner fold of each outer fold needs a patient of either outcome to have an AUC.

    Examples
    --------
    >>> fewest(["holdout"], Settings()), fewest(["holdout", "nested"], Settings())
    (10, 20)
    """
    return max(10, settings.outer_folds * settings.inner_folds) if "nested" in protocols else 10


def table(y_good: pd.Series, *, protocols: Sequence[str], settings: Settings) -> pd.DataFrame:
    """Split patients, stratified by outcome.

    Parameters
    ----------
    y_good : pandas.Series of 0 and 1
        Outcome, indexed by ``patient_id``.
    protocols : sequence of str
        ``"holdout"``, ``"nested"`` or both.
    settings : Settings
        Fractions, folds and seed.

    Returns
    -------
    pandas.DataFrame
        ``split, patient_id, part``: part is ``train``, ``tune`` or ``test`` in a hold-out split, and ``test``
        or ``inner-<k>`` (the inner fold that leaves the patient out) in an outer fold.

    Raises
    ------
    ValueError
        If an outcome has fewer patients than there are folds.

    Examples
    --------
    >>> y = pd.Series([0, 1] * 40, index=[f"P{i:03d}" for i in range(80)])
    >>> t = table(y, protocols=("holdout",), settings=Settings())
    >>> t["part"].value_counts().to_dict()
    {'train': 51, 'test': 16, 'tune': 13}
    """
    needed = fewest(protocols, settings)
    rarer = int(min(y_good.sum(), len(y_good) - y_good.sum()))
    if rarer < needed:
        raise ValueError(
            f"The rarer outcome has {rarer} patients; {' and '.join(protocols)} with these settings "
            f"needs at least {needed}."
        )
    # The order of patients in the file must not matter.
    y = y_good.sort_index()
    parts: list[tuple[str, str, np.ndarray | pd.Index]] = []
    for repeat in range(settings.repeats if "holdout" in protocols else 0):
        seed = settings.seed + repeat
        # Rounded, as the paper did (257 and 64 of 321); scikit-learn itself would round a fraction up.
        n_test = round(settings.holdout_fraction * len(y))
        rest, test = train_test_split(y.index.to_numpy(), test_size=n_test, stratify=y, random_state=seed)
        n_tune = round(settings.tune_fraction * len(rest))
        train, tune = train_test_split(rest, test_size=n_tune, stratify=y[rest], random_state=seed)
        name = f"holdout-{repeat + 1}"
        parts += [(name, "train", train), (name, "tune", tune), (name, "test", test)]
    if "nested" in protocols:
        outer = StratifiedKFold(settings.outer_folds, shuffle=True, random_state=settings.seed)
        for k, (rest, test) in enumerate(outer.split(y, y), start=1):
            parts.append((f"outer-{k}", "test", y.index[test]))
            inner = StratifiedKFold(settings.inner_folds, shuffle=True, random_state=settings.seed + k)
            for i, (_, left_out) in enumerate(inner.split(rest, y.iloc[rest]), start=1):
                parts.append((f"outer-{k}", f"inner-{i}", y.index[rest[left_out]]))
    rows = [pd.DataFrame({"split": s, "patient_id": list(ids), "part": part}) for s, part, ids in parts]
    return pd.concat(rows, ignore_index=True).sort_values(["split", "patient_id"], ignore_index=True)


def get(table: pd.DataFrame, name: str) -> Split:
    """Return one split of a table made by :func:`table`.

    Raises
    ------
    KeyError
        If the table has no such split.
    """
    part = table[table["split"] == name].set_index("patient_id")["part"].sort_index()
    if part.empty:
        raise KeyError(f"No split '{name}'; there are {', '.join(table['split'].unique())}.")
    development = part[part != "test"]
    left_out = ["tune"] if "tune" in set(development) else sorted(development.unique())
    return Split(
        name=name,
        inner=tuple(
            (development.index[development != one], development.index[development == one]) for one in left_out
        ),
        test=part.index[part == "test"],
    )


def counts(table: pd.DataFrame, y_good: pd.Series) -> pd.DataFrame:
    """Count the patients and the good outcomes of every part of every split.

    Returns
    -------
    pandas.DataFrame
        ``split, part, n, n_good``.
    """
    good = y_good.reindex(table["patient_id"]).to_numpy()
    counted = table.assign(good=good).groupby(["split", "part"], as_index=False, sort=True)
    return counted.agg(n=("good", "size"), n_good=("good", "sum"))
