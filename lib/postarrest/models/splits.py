"""Which patients models are fitted on, chosen on and tested on.

Both protocols share one long table: one row per split and patient, with the part that the patient has in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass
from sklearn.model_selection import StratifiedKFold, train_test_split

from postarrest.describe.sites import FEWEST, by_size
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
    by : str
        ``"site"``: internal-external cross-validation. Each outer fold leaves out one hospital, so that
        ``outer_folds`` is the number of hospitals. Blank: the outer folds are random.

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
    by: Literal["", "site"] = ""


@dataclass(frozen=True)
class Split:
    """One split: development patients, in inner folds, and test patients.

    Parameters
    ----------
    name : str
        ``"holdout-1"``, ``"outer-3"``; ``"holdout_all-1"`` and ``"outer_all-1"`` have no test patients.
    inner : tuple of (pandas.Index, pandas.Index)
        Pairs of patients to fit on and patients to evaluate a choice on: one pair (training set, tuning set)
        in a hold-out split, one per inner fold in nested cross-validation.
    test : pandas.Index
        Patients that no fit and no choice may use.
    """

    name: str
    inner: tuple[tuple[pd.Index, pd.Index], ...]
    test: pd.Index

    @cached_property
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
    def shown(self) -> pd.Index:
        """Patients whose predictions are looked at one by one: the test patients.

        Where there are none, they are those of the first inner fold, on whom the model was fitted.
        """
        return self.test if len(self.test) else self.inner[0][1]

    @property
    def shown_in_words(self) -> str:
        """Who these patients are."""
        return "test patients" if len(self.test) else "patients on whom the model was also fitted or chosen"

    @property
    def protocol(self) -> str:
        """``"holdout"`` or ``"nested"``."""
        return "holdout" if self.name.startswith("holdout") else "nested"


# The split of each protocol that has every patient in development: its models are those that are frozen.
ON_ALL = {"holdout": "holdout_all-1", "nested": "outer_all-1"}


def names(protocols: Sequence[str], settings: Settings) -> list[str]:
    """Return the names of a study's splits.

    Examples
    --------
    >>> names(("holdout", "nested"), Settings(outer_folds=2))
    ['holdout-1', 'holdout_all-1', 'outer-1', 'outer-2', 'outer_all-1']
    """
    numbers = {"holdout": settings.repeats, "nested": settings.outer_folds}
    kinds = {"holdout": "holdout", "nested": "outer"}
    return [
        name
        for protocol, kind in kinds.items()
        if protocol in protocols
        for name in [*(f"{kind}-{i + 1}" for i in range(numbers[protocol])), ON_ALL[protocol]]
    ]


def with_test(protocols: Sequence[str], settings: Settings) -> list[str]:
    """Return the names of a study's splits that have test patients.

    Examples
    --------
    >>> with_test(("holdout", "nested"), Settings(outer_folds=2))
    ['holdout-1', 'outer-1', 'outer-2']
    """
    return [name for name in names(protocols, settings) if name not in ON_ALL.values()]


def fewest(protocols: Sequence[str], settings: Settings) -> int:
    """Return how many patients the rarer outcome must have.

    Each inner fold of each outer fold needs a patient of either outcome to have an AUC.

    Examples
    --------
    >>> fewest(["holdout"], Settings()), fewest(["holdout", "nested"], Settings())
    (10, 20)
    """
    return max(10, settings.outer_folds * settings.inner_folds) if "nested" in protocols else 10


def table(
    y_good: pd.Series, *, protocols: Sequence[str], settings: Settings, site: pd.Series | None = None
) -> pd.DataFrame:
    """Split patients, stratified by outcome.

    Parameters
    ----------
    y_good : pandas.Series of 0 and 1
        Outcome, indexed by ``patient_id``.
    protocols : sequence of str
        ``"holdout"``, ``"nested"`` or both.
    settings : Settings
        Fractions, folds and seed.
    site : pandas.Series of str, optional
        Hospital of the same patients; only used, and then needed, where ``settings.by`` is ``"site"``.

    Returns
    -------
    pandas.DataFrame
        ``split, patient_id, part``: part is ``train``, ``tune`` or ``test`` in a hold-out split, and ``test``
        or ``inner-<k>`` (the inner fold that leaves the patient out) in an outer fold. Each protocol's last
        split, of :data:`ON_ALL`, has no test patients: all are split as the development patients of its
        other splits are, so that what is fitted there is fitted as it was tested.

    Raises
    ------
    ValueError
        If an outcome has fewer patients than there are folds, a patient's site is not recorded, or there are
        not as many hospitals to leave out as ``outer_folds``.

    Examples
    --------
    >>> y = pd.Series([0, 1] * 40, index=[f"P{i:03d}" for i in range(80)])
    >>> t = table(y, protocols=("holdout",), settings=Settings())
    >>> t[t["split"] == "holdout-1"]["part"].value_counts().to_dict()
    {'train': 51, 'test': 16, 'tune': 13}
    >>> t[t["split"] == "holdout_all-1"]["part"].value_counts().to_dict()
    {'train': 64, 'tune': 16}
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
        name = f"holdout-{repeat + 1}"
        parts += [(name, "test", test), *_tuning(name, y[rest], settings, seed)]
    if "holdout" in protocols:
        parts += _tuning(ON_ALL["holdout"], y, settings, settings.seed)
    if "nested" in protocols:
        for k, (rest, test) in enumerate(_outer(y, settings, site), start=1):
            parts.append((f"outer-{k}", "test", y.index[test]))
            parts += _inner(f"outer-{k}", y.iloc[rest], settings, settings.seed + k)
        parts += _inner(ON_ALL["nested"], y, settings, settings.seed)
    rows = [pd.DataFrame({"split": s, "patient_id": list(ids), "part": part}) for s, part, ids in parts]
    return pd.concat(rows, ignore_index=True).sort_values(["split", "patient_id"], ignore_index=True)


def _outer(
    y: pd.Series, settings: Settings, site: pd.Series | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions of the development and of the test patients of each outer fold."""
    if settings.by == "site":
        if site is None:
            raise ValueError("'by: site' needs the column site, each patient's hospital.")
        left_out = site_folds(y, site.reindex(y.index))
        if len(left_out) != settings.outer_folds:
            raise ValueError(
                f"{len(left_out)} hospitals or groups of small ones can be left out in turn, and outer_folds "
                f"is {settings.outer_folds}; set outer_folds: {len(left_out)}."
            )
        for group in left_out:
            test = site.reindex(y.index).isin(group).to_numpy()
            yield np.flatnonzero(~test), np.flatnonzero(test)
        return
    outer = StratifiedKFold(settings.outer_folds, shuffle=True, random_state=settings.seed)
    yield from outer.split(y, y)


def _inner(name: str, y: pd.Series, settings: Settings, seed: int) -> list[tuple[str, str, pd.Index]]:
    """Split the development patients of an outer fold into inner folds."""
    inner = StratifiedKFold(settings.inner_folds, shuffle=True, random_state=seed)
    return [(name, f"inner-{i}", y.index[ids]) for i, (_, ids) in enumerate(inner.split(y, y), start=1)]


def _tuning(
    name: str, y: pd.Series, settings: Settings, seed: int
) -> list[tuple[str, str, np.ndarray | pd.Index]]:
    """Split the development patients of a hold-out split into those fitted on and those chosen on."""
    n_tune = round(settings.tune_fraction * len(y))
    train, tune = train_test_split(y.index.to_numpy(), test_size=n_tune, stratify=y, random_state=seed)
    return [(name, "train", train), (name, "tune", tune)]


def site_folds(y_good: pd.Series, site: pd.Series, *, fewest: int = FEWEST) -> list[list[str]]:
    """Return the hospitals that each outer fold leaves out, the largest first.

    Hospitals with fewer than ``fewest`` patients of either outcome are left out together; if they are too few
    even then, together with the smallest of the others.

    Raises
    ------
    ValueError
        If a patient's site is not recorded, or there are not two hospitals to leave out.

    Examples
    --------
    >>> y, site = pd.Series([0, 1] * 40), pd.Series(["a"] * 30 + ["b"] * 40 + ["c"] * 6 + ["d"] * 4)
    >>> site_folds(y, site)
    [['b'], ['a', 'c', 'd']]
    >>> site_folds(y, site, fewest=4)
    [['b'], ['a'], ['c', 'd']]
    """
    blank = int((site.isna() | (site == "")).sum())
    if blank:
        raise ValueError(f"{blank} included patients have no site; 'by: site' needs that of every patient.")
    of_either = pd.crosstab(site, y_good).reindex(columns=[0, 1], fill_value=0)
    order = by_size(site)
    large = [name for name in order if of_either.loc[name].min() >= fewest]
    small = [name for name in order if name not in large]
    folds = [[name] for name in large]
    if small and of_either.loc[small].sum().min() >= fewest:
        folds.append(small)
    elif small and folds:
        folds[-1] = folds[-1] + small
    if len(folds) < 2:
        raise ValueError(f"Fewer than two hospitals have {fewest} patients of either outcome.")
    return folds


def by_site(table: pd.DataFrame, site: pd.Series) -> bool:
    """Return whether each outer fold's models are fitted without any patient of the hospitals they score.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`table`.
    site : pandas.Series of str
        Hospital, indexed by patient.

    Examples
    --------
    >>> folds = {"split": "outer-1", "patient_id": ["p", "q"], "part": ["test", "inner-1"]}
    >>> by_site(pd.DataFrame(folds), pd.Series({"p": "a", "q": "b"}))
    True
    """
    outer = table[table["split"].str.startswith("outer")]
    of = outer["patient_id"].map(site)
    tested = outer["part"] == "test"
    sides = pd.DataFrame({"split": outer["split"], "site": of, "tested": tested})
    return bool(
        len(outer) and of.notna().all() and (sides.groupby(["split", "site"])["tested"].nunique() == 1).all()
    )


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
