"""Proof that no score of a patient comes from anything that was fitted on that patient.

Every fit goes through a :class:`Ledger`, which takes the patients from the index of the very table that the
estimator was given, and every score as well. So what is compared is what happened, not what was meant.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


class LeakageError(RuntimeError):
    """A score of patients whom its model was fitted on."""


@dataclass(frozen=True)
class Fitted:
    """An estimator and the patients that it was fitted on.

    Parameters
    ----------
    estimator : object
        Whatever has been fitted.
    stage : str
        What it is in the pipeline, in words.
    patients : frozenset of str
        Every patient that it, or anything inside it, has seen.
    """

    estimator: Any
    stage: str
    patients: frozenset[str]


@dataclass
class Ledger:
    """What was fitted on whom, and who was then scored, in one split.

    Parameters
    ----------
    fold : int
        The split's number.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> x = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=["p1", "p2", "p3"])
    >>> y = pd.Series([0, 1, 1], index=x.index)
    >>> ledger = Ledger(fold=1)
    >>> model = ledger.fit(DummyClassifier(), x.iloc[:2], y.iloc[:2], stage="example")
    >>> _ = ledger.probability(model, x.iloc[2:])
    >>> ledger.check()
    >>> ledger.table()["n_in_both"].tolist()
    [0]
    """

    fold: int
    _scored: list[tuple[str, frozenset[str], frozenset[str]]] = field(default_factory=list)

    def fit(self, estimator: Any, x: pd.DataFrame, y: pd.Series, *, stage: str, **fit_kwargs: Any) -> Fitted:
        """Fit an estimator and keep whom it saw.

        Raises
        ------
        ValueError
            If ``x`` and ``y`` are not of the same patients in the same order.
        """
        if not x.index.equals(y.index):
            raise ValueError(f"{stage}: predictors and outcomes are not of the same patients.")
        estimator.fit(x, y.to_numpy(), **fit_kwargs)
        return Fitted(estimator, stage, frozenset(x.index))

    def probability(self, model: Fitted, x: pd.DataFrame) -> pd.Series:
        """Return the probability of a good outcome, and keep who was scored by what.

        Parameters
        ----------
        model : Fitted
            From :meth:`fit`.
        x : pandas.DataFrame
            Predictors, indexed by patient.
        """
        self.record(model.stage, fitted_on=model.patients, scored=x.index)
        return pd.Series(model.estimator.predict_proba(x)[:, 1], index=x.index, name="score")

    def record(self, stage: str, *, fitted_on: Iterable[str], scored: Iterable[str]) -> None:
        """Keep that these patients were scored by something fitted, or chosen, on those."""
        self._scored.append((stage, frozenset(fitted_on), frozenset(scored)))

    def table(self) -> pd.DataFrame:
        """Return the ``leakage`` table of this split.

        Returns
        -------
        pandas.DataFrame
            ``fold, stage, n_fits, n_fitted_on, n_scored, n_in_both``: a stage that is fitted several times
            (on each inner fold) has one row, with the patients of its largest fit, all it scored, and the sum
            of those in both.
        """
        rows = [
            {
                "fold": self.fold,
                "stage": stage,
                "n_fitted_on": len(fitted),
                "n_scored": len(scored),
                "n_in_both": len(fitted & scored),
            }
            for stage, fitted, scored in self._scored
        ]
        each = pd.DataFrame(rows, columns=["fold", "stage", "n_fitted_on", "n_scored", "n_in_both"])
        grouped = each.groupby(["fold", "stage"], as_index=False, sort=False)
        return grouped.agg(
            n_fits=("stage", "size"),
            n_fitted_on=("n_fitted_on", "max"),
            n_scored=("n_scored", "sum"),
            n_in_both=("n_in_both", "sum"),
        )

    def check(self) -> None:
        """Stop if any patient was scored by something that had seen that patient.

        Raises
        ------
        LeakageError
            Naming each such stage and the number of patients.
        """
        leaks = self.table().query("n_in_both > 0")
        if len(leaks):
            told = "; ".join(f"{r.stage}: {r.n_in_both} of {r.n_scored}" for r in leaks.itertuples())
            raise LeakageError(f"Fold {self.fold}: patients scored by what was fitted on them. {told}.")
