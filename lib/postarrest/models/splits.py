"""Which patients are fitted on, selected on and tested on.

Two protocols share one long table: one row a split and patient, with the part that the patient has in it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split


@dataclass(frozen=True)
class Settings:
    """How a study's patients are divided.

    Parameters
    ----------
    seed : int
        Seed of every division.
    holdout_fraction : float
        Share of the patients held out (paper A: 20 %).
    tune_fraction : float
        Share of the others on which hyperparameters and epochs are chosen (paper A: 20 %).
    repeats : int
        Hold-out splits; the first is the main one, the others show the spread.
    outer_folds, inner_folds : int
        Folds of the nested cross-validation (paper B: 5 x 4).
    """

    seed: int = 20150401
    holdout_fraction: float = 0.20
    tune_fraction: float = 0.20
    repeats: int = 1
    outer_folds: int = 5
    inner_folds: int = 4

    def __post_init__(self):
        """Check all values together."""
        expected = {
            "holdout_fraction": (0 < self.holdout_fraction < 1, "between 0 and 1"),
            "tune_fraction": (0 < self.tune_fraction < 1, "between 0 and 1"),
            "repeats": (self.repeats >= 1, "1 or more"),
            "outer_folds": (self.outer_folds >= 2, "2 or more"),
            # The stack is calibrated on inner folds of what is left when one inner fold is judged.
            "inner_folds": (self.inner_folds >= 3, "3 or more"),
            "seed": (self.seed >= 0, "0 or more"),
        }
        faults = [
            f"splits: {name} is {getattr(self, name)}, expected {words}"
            for name, (fits, words) in expected.items()
            if not fits
        ]
        if faults:
            raise ValueError("\n".join(faults))


@dataclass(frozen=True)
class Split:
    """One split: the patients that models may see, how they are divided for choosing, and the test patients.

    Parameters
    ----------
    name : str
        ``"holdout-1"``, ``"outer-3"``.
    inner : tuple of (pandas.Index, pandas.Index)
        Pairs of patients to fit on and patients to judge a choice on. One pair in a hold-out split (train,
        tune), one an inner fold in nested cross-validation.
    test : pandas.Index
        Patients that no fit and no choice may see.
    """

    name: str
    inner: tuple[tuple[pd.Index, pd.Index], ...]
    test: pd.Index

    @property
    def development(self) -> pd.Index:
        """Every patient that is not a test patient."""
        fit, judge = self.inner[0]
        return fit.append(judge).sort_values()

    @property
    def membership(self) -> list[list[list[str]]]:
        """Who is fitted on and who is judged in each inner fold, as plain lists.

        What is kept of a split depends on these, and not on its name, which another seed gives as well.
        """
        return [[list(fit), list(judge)] for fit, judge in self.inner]

    @property
    def fold(self) -> int:
        """Number of the split, from 1."""
        return int(self.name.rsplit("-", 1)[1])

    @property
    def protocol(self) -> str:
        """``"holdout"`` or ``"nested"``."""
        return {"holdout": "holdout", "outer": "nested"}[self.name.rsplit("-", 1)[0]]


def names(protocols: tuple[str, ...], settings: Settings) -> list[str]:
    """Return the names of a study's splits.

    Examples
    --------
    >>> names(("holdout", "nested"), Settings(outer_folds=2))
    ['holdout-1', 'outer-1', 'outer-2']
    """
    found = []
    if "holdout" in protocols:
        found += [f"holdout-{i + 1}" for i in range(settings.repeats)]
    if "nested" in protocols:
        found += [f"outer-{i + 1}" for i in range(settings.outer_folds)]
    return found


def table(y_good: pd.Series, *, protocols: tuple[str, ...], settings: Settings) -> pd.DataFrame:
    """Divide patients, stratified by outcome.

    Parameters
    ----------
    y_good : pandas.Series of 0 and 1
        Outcome, indexed by ``patient_id``.
    protocols : tuple of str
        ``"holdout"``, ``"nested"`` or both.
    settings : Settings
        Fractions, folds and seed.

    Returns
    -------
    pandas.DataFrame
        ``split, patient_id, part``: part is ``train``, ``tune`` or ``test`` in a hold-out split, and ``test``
        or ``inner-<k>`` (the inner fold that judges the patient) in an outer fold.

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
    _check_size(y_good, protocols, settings)
    # The order of the file that the patients came in must not matter.
    y = y_good.sort_index()
    rows = []
    for repeat in range(settings.repeats if "holdout" in protocols else 0):
        seed = settings.seed + repeat
        # Rounded, as the paper did (257 and 64 of 321); scikit-learn itself would round a fraction up.
        n_test = round(settings.holdout_fraction * len(y))
        rest, test = train_test_split(y.index.to_numpy(), test_size=n_test, stratify=y, random_state=seed)
        n_tune = round(settings.tune_fraction * len(rest))
        train, tune = train_test_split(rest, test_size=n_tune, stratify=y[rest], random_state=seed)
        for part, ids in (("train", train), ("tune", tune), ("test", test)):
            rows.append(_rows(f"holdout-{repeat + 1}", ids, part))
    if "nested" in protocols:
        outer = StratifiedKFold(settings.outer_folds, shuffle=True, random_state=settings.seed)
        for k, (rest, test) in enumerate(outer.split(y, y), start=1):
            rows.append(_rows(f"outer-{k}", y.index[test], "test"))
            inner = StratifiedKFold(settings.inner_folds, shuffle=True, random_state=settings.seed + k)
            for i, (_, judged) in enumerate(inner.split(rest, y.iloc[rest]), start=1):
                rows.append(_rows(f"outer-{k}", y.index[rest[judged]], f"inner-{i}"))
    return pd.concat(rows, ignore_index=True).sort_values(["split", "patient_id"], ignore_index=True)


def get(table: pd.DataFrame, name: str) -> Split:
    """Return one split of a table made by :func:`table`.

    Raises
    ------
    KeyError
        If the table has no such split.
    """
    rows = table[table["split"] == name].set_index("patient_id")["part"].sort_index()
    if rows.empty:
        raise KeyError(f"No split '{name}'; there are {', '.join(table['split'].unique())}.")
    development = rows[rows != "test"]
    judges = ["tune"] if "tune" in set(development) else sorted(development.unique())
    return Split(
        name=name,
        inner=tuple(
            (development.index[development != j], development.index[development == j]) for j in judges
        ),
        test=rows.index[rows == "test"],
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


def _rows(split: str, ids: np.ndarray | pd.Index, part: str) -> pd.DataFrame:
    return pd.DataFrame({"split": split, "patient_id": list(ids), "part": part})


def _check_size(y: pd.Series, protocols: tuple[str, ...], settings: Settings) -> None:
    least = min(int((y == 0).sum()), int((y == 1).sum()))
    # Each inner fold of each outer fold needs a patient of either outcome to have an AUC.
    needed = settings.outer_folds * settings.inner_folds if "nested" in protocols else 10
    if least < needed:
        raise ValueError(
            f"The rarer outcome has {least} patients; {' and '.join(protocols)} with these settings "
            f"needs at least {needed}."
        )
