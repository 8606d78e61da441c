"""A record of the patients behind every fit and every score, and a check that they are disjoint.

Every fit, every choice of settings and every prediction of a study goes through a :class:`Ledger`.

What it proves. The patients of each fit and of each prediction are taken from the index of the very table
that the estimator was given, not from what was intended. Each value of that table must equal either what is
known of the patient beforehand or a score of an earlier stage; the patients behind such a score then count
as well. Values of any other origin, such as those of a transformer fitted elsewhere, are refused. If
:meth:`Ledger.check` passes, no test patient was scored by an estimator fitted on that patient, directly or
through scores of earlier stages.

What it does not prove:

- that the columns declared as known beforehand really are;
- that a choice (of hyperparameters, of the number of epochs) used no other patients than those recorded,
  which are declared by the code that chooses, or read from the kept search;
- what an estimator uses apart from its table. This matters for the network on CT: its tables have no columns,
  because a head looks up its patients' features itself. The ledger records the patients that each head was
  asked to fit and to score. It does not see the features, the weights of the frozen network, or the tuning
  set whose loss a head watches during training; the last is declared as a choice. That a patient's features
  come from that patient's slice alone follows from the code that computes them, which fits nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import write_text
from postarrest.models.splits import Split

COLUMNS = ["fold", "stage", "scored", "n_fits", "n_fitted_on", "n_scored", "n_in_both", "n_indirect"]


class LeakageError(RuntimeError):
    """A patient scored by a model fitted on that patient, or a predictor of unknown origin."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """An estimator, or a choice of settings, and the patients used for it.

    Parameters
    ----------
    estimator : object
        The fitted estimator; None for a choice.
    stage : str
        Its name in the ledger.
    patients : numpy.ndarray of shape (patients of the split,)
        Which of them it was fitted on.
    upstream : numpy.ndarray of shape (patients of the split,)
        Which of them were used for the choices that it was made with and for the models behind its
        predictors.
    """

    estimator: Any
    stage: str
    patients: np.ndarray
    upstream: np.ndarray


@dataclass
class Ledger:
    """The patients that were fitted on and scored in one split.

    Parameters
    ----------
    split : Split
        The split, whose test patients must not be used by anything that scores them.
    known : pandas.DataFrame, optional
        What is known of each patient beforehand, indexed by patient. A predictor must be one of these columns
        or the scores of an earlier stage.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> x = pd.DataFrame({"lactate_mmol_l": [9.0, 2.0, 7.0, 3.0]}, index=["p1", "p2", "p3", "p4"])
    >>> y = pd.Series([0, 1, 0, 1], index=x.index)
    >>> split = Split("outer-1", ((x.index[:1], x.index[1:2]),), x.index[2:])
    >>> ledger = Ledger(split, x)
    >>> model = ledger.fit(LogisticRegression(), x.iloc[:2], y.iloc[:2], stage="example")
    >>> _ = ledger.probability(model, x.iloc[2:])
    >>> ledger.check()
    >>> ledger.table()[["scored", "n_scored", "n_in_both", "n_indirect"]].to_numpy().tolist()
    [['test', 2, 0, 0]]
    >>> ledger.fit(LogisticRegression(), x.iloc[:2] / x.mean(), y.iloc[:2], stage="scaled by everybody")
    Traceback (most recent call last):
        ...
    postarrest.models.leakage.LeakageError: scaled by everybody: the values of 'lactate_mmol_l' are neither \
known beforehand nor scores of an earlier stage. Whatever computes them may have used the test patients; \
move it into the estimator.
    """

    split: Split
    known: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    # Known numbers as predictors are: yes and no, and whole numbers with missing values, as floats.
    _beforehand: pd.DataFrame = field(init=False, repr=False)
    # Every patient of the split, in the order of every array here, and who of them is a test patient.
    _everybody: pd.Index = field(init=False, repr=False)
    _test: np.ndarray = field(init=False, repr=False)
    # Every score of an earlier stage, after who was used for it; and the same as an array.
    _scores: list[tuple[np.ndarray, pd.Series]] = field(default_factory=list, repr=False)
    _values: list[np.ndarray] = field(default_factory=list, repr=False)
    _counts: list[tuple[Any, ...]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        numeric = [c for c in self.known if pd.api.types.is_numeric_dtype(self.known[c])]
        self._everybody = self.split.development.append(self.split.test)
        self._beforehand = self.known.astype(dict.fromkeys(numeric, "float64")).reindex(self._everybody)
        self._test = np.arange(len(self._everybody)) >= len(self.split.development)

    def choice(self, stage: str, *, on: Iterable[str]) -> Fitted:
        """Record that something was chosen by its result in these patients.

        Returns
        -------
        Fitted
            To be passed as ``after`` to whatever is fitted with the choice.
        """
        used = self._who(self._places(list(on), stage))
        chosen = Fitted(None, stage, used, np.zeros_like(used))
        self._count(chosen, self._test)
        return chosen

    def fit(
        self, estimator: Any, x: pd.DataFrame, y: pd.Series, *, stage: str, after: Iterable[Fitted] = ()
    ) -> Fitted:
        """Fit an estimator and record the patients used for it and for its predictors.

        Parameters
        ----------
        estimator : object
            With scikit-learn's ``fit``.
        x : pandas.DataFrame
            Predictors, indexed by patient; without columns for a head on a frozen network's features.
        y : pandas.Series
            1 where the outcome is good.
        stage : str
            Its name in the table.
        after : iterable of Fitted
            Choices that it is made with.

        Raises
        ------
        ValueError
            If ``x`` and ``y`` are not of the same patients in the same order.
        LeakageError
            If a predictor's values are of unknown origin, or a patient is not one of the split.
        """
        if not x.index.equals(y.index):
            raise ValueError(f"{stage}: predictors and outcomes are not of the same patients.")
        places = self._places(x.index, stage)
        behind = [choice.patients | choice.upstream for choice in after]
        behind += [used for used, _ in self._origins(x, places, stage)]
        estimator.fit(x, y.to_numpy())
        return Fitted(estimator, stage, self._who(places), self._any(behind))

    def probability(self, model: Fitted, x: pd.DataFrame) -> pd.Series:
        """Return the probability of a good outcome, and record who was scored by which model.

        Parameters
        ----------
        model : Fitted
            From :meth:`fit`.
        x : pandas.DataFrame
            Predictors, indexed by patient.

        Raises
        ------
        LeakageError
            If a predictor's values are of unknown origin, or a patient is not one of the split.
        """
        places = self._places(x.index, model.stage)
        origins = self._origins(x, places, model.stage)
        self._count(model, self._who(places), *(used & has_it for used, has_it in origins))
        # A split on all patients has no test patients, and estimators refuse a table without rows.
        good = model.estimator.predict_proba(x)[:, 1] if len(x) else np.empty(0)
        score = pd.Series(good, index=x.index, name="score")
        used = self._any([model.patients, model.upstream, *(used for used, _ in origins)])
        return self._add(used, score, places)

    def mean(self, parts: Sequence[pd.Series]) -> pd.Series:
        """Return each patient's mean of several scores, and record the patients behind all of them.

        Parameters
        ----------
        parts : sequence of pandas.Series
            From :meth:`probability`; a patient may be in several.

        Raises
        ------
        LeakageError
            If one of them was not recorded.
        """
        recorded = {id(score): used for used, score in self._scores}
        if any(id(part) not in recorded for part in parts):
            raise LeakageError("a mean of scores that no earlier stage has recorded.")
        score = pd.concat(parts).groupby(level=0).mean().rename("score")
        return self._add(self._any(recorded[id(part)] for part in parts), score)

    def _places(self, ids: Iterable[str], stage: str) -> np.ndarray:
        """Return the place of each patient among everybody."""
        places = self._everybody.get_indexer(pd.Index(ids))
        if (places < 0).any():
            raise LeakageError(f"{stage}: {(places < 0).sum()} patients are not of {self.split.name}.")
        return places

    def _who(self, places: np.ndarray) -> np.ndarray:
        """Return who of everybody is at these places."""
        who = np.zeros(len(self._everybody), dtype=bool)
        who[places] = True
        return who

    def _any(self, groups: Iterable[np.ndarray]) -> np.ndarray:
        """Return who is in any of these groups."""
        found = np.zeros(len(self._everybody), dtype=bool)
        for group in groups:
            found |= group
        return found

    def _add(self, used: np.ndarray, score: pd.Series, places: np.ndarray | None = None) -> pd.Series:
        values = np.full(len(self._everybody), np.nan)
        values[self._places(score.index, "scores") if places is None else places] = score
        self._scores.append((used, score))
        self._values.append(values)
        return score

    def _count(self, model: Fitted, scored: np.ndarray, *behind_predictors: np.ndarray) -> None:
        """Count the patients scored that were used for the model itself, or behind it or their predictors."""
        indirect = self._any([model.upstream, *behind_predictors]) & ~model.patients
        for group, ids in (("training side", scored & ~self._test), ("test", scored & self._test)):
            if ids.any():
                numbers = (model.patients, ids, ids & model.patients, ids & indirect)
                counts = (int(of.sum()) for of in numbers)
                self._counts.append((self.split.fold, model.stage, group, 1, *counts))

    def _origins(
        self, x: pd.DataFrame, places: np.ndarray, stage: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return who was used for each earlier score among the predictors, and who has it."""
        found, unknown = [], []
        known = x.columns.intersection(self.known.columns)
        beforehand = self._beforehand[known].take(places)
        for name, column in x.items():
            if name in beforehand and _equal(column, beforehand[name]).all():
                continue
            explained = np.zeros(len(x), dtype=bool)
            values = pd.to_numeric(column, errors="coerce").to_numpy("float64")
            for (used, _), score in zip(self._scores, self._values, strict=True):
                same = score[places] == values
                if same.any():
                    found.append((used, self._who(places[same])))
                    explained |= same
            if not explained.all():
                unknown.append(f"'{name}'")
        if unknown:
            raise LeakageError(
                f"{stage}: the values of {', '.join(unknown)} are neither known beforehand nor scores of an "
                "earlier stage. Whatever computes them may have used the test patients; move it into the "
                "estimator."
            )
        return found

    def write(self, path: Path) -> None:
        """Save every score with the patients behind it, for a later notebook of the same split."""
        each = ((self._everybody[used], score) for used, score in self._scores)
        scores = [{"used": sorted(used), "score": score.to_dict()} for used, score in each]
        write_text(path, json.dumps({"split": self.split.name, "scores": scores}) + "\n")

    def adopt(self, path: Path) -> None:
        """Add the scores that another notebook of the same split has saved by :meth:`write`.

        Raises
        ------
        ValueError
            If they are of another split.
        """
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["split"] != self.split.name:
            raise ValueError(f"{path.name} is of split {saved['split']}, expected {self.split.name}.")
        for one in saved["scores"]:
            score = pd.Series(one["score"], dtype=float, name="score")
            self._add(self._who(self._places(one["used"], path.name)), score)

    def table(self) -> pd.DataFrame:
        """Return the ``leakage`` table of this split.

        Returns
        -------
        pandas.DataFrame
            ``fold, stage, scored, n_fits, n_fitted_on, n_scored, n_in_both, n_indirect``. ``scored`` is
            ``test`` or ``training side``. A stage that is fitted several times (on each inner fold) has one
            row for each, with the number of patients of its largest fit and the sums of the other numbers.
            ``n_in_both``: patients scored by a model fitted on them. ``n_indirect``: other patients scored
            who were used at an earlier stage only: by a base model behind the predictors, or in a choice of
            hyperparameters.
        """
        each = pd.DataFrame(self._counts, columns=COLUMNS)
        grouped = each.groupby(COLUMNS[:3], as_index=False, sort=False)
        return grouped.agg(dict.fromkeys(COLUMNS[3:], "sum") | {"n_fitted_on": "max"})

    def check(self) -> None:
        """Stop if a patient was scored by a model fitted on that patient.

        Nothing behind the model or its predictors may have used a test patient either.

        Raises
        ------
        LeakageError
            Naming each such stage and the number of patients.
        """
        counted = self.table()
        # In the training set, patients used only at an earlier stage are no leak.
        leaked = counted["n_in_both"] + counted["n_indirect"].where(counted["scored"] == "test", 0)
        leaks = counted.assign(leaked=leaked)[leaked > 0]
        if len(leaks):
            stages = "; ".join(f"{r.stage}: {r.leaked} of {r.n_scored}" for r in leaks.itertuples())
            raise LeakageError(
                f"Fold {self.split.fold}: patients were scored by models fitted on them. {stages}."
            )


def of_thresholds(scores: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the ``leakage`` table for the choice of thresholds.

    Parameters
    ----------
    scores : pandas.DataFrame
        A scores table: in each fold, thresholds are chosen on its ``train_oof`` rows and applied to its
        ``test`` rows.

    Returns
    -------
    pandas.DataFrame
        As :meth:`Ledger.table`, one row per fold, outcome label and model.
    """
    rows = []
    final = scores[scores["stage"] == "final"]
    for (label, model, fold), mine in final.groupby(["outcome_label", "model", "fold"], sort=False):
        ids = mine.groupby("role")["patient_id"].agg(set)
        if {"train_oof", "test"} <= set(ids.index):
            counts = (len(ids["train_oof"]), len(ids["test"]), len(ids["train_oof"] & ids["test"]))
            rows.append((fold, f"{model}: thresholds ({label} outcome)", "test", 1, *counts, 0))
    return pd.DataFrame(rows, columns=COLUMNS)


def _equal(values: pd.Series, others: pd.Series) -> np.ndarray:
    """Return where two columns agree, patient by patient; two missing values agree."""
    if values.dtype == others.dtype == np.float64:
        a, b = values.to_numpy(), others.to_numpy()
        return (a == b) | (np.isnan(a) & np.isnan(b))
    # As objects, so that a number in two types, or text and a category, compare by value.
    a, b = (column.astype(object).where(column.notna(), None) for column in (values, others))
    return ((a.isna() & b.isna()) | (a == b)).to_numpy(bool)
