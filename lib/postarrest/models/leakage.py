"""Proof that no score of a patient comes from anything that was fitted on that patient.

Every fit goes through a :class:`Ledger`, and every score as well. It takes the patients from the index of the
very table that the estimator was given, and it looks where each value of that table comes from: from what is
known of the patient, or from an earlier stage's scores, whose own patients then count as well. Values of any
other origin, such as those of a transformer that was fitted elsewhere, are refused. So what is compared is
what happened, not what was meant. What a study declares beforehand is not observed: which columns are
predictors, and the weights of a frozen network.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.files import write_text
from postarrest.models.splits import Split

COLUMNS = ("fold", "stage", "scored", "n_fits", "n_fitted_on", "n_scored", "n_in_both", "n_indirect")


class LeakageError(RuntimeError):
    """A score of patients whom its model has seen, or a predictor of unknown origin."""


@dataclass(frozen=True)
class Fitted:
    """An estimator, or a choice of settings, and the patients that it was made on.

    Parameters
    ----------
    estimator : object
        Whatever has been fitted; None for a choice.
    stage : str
        What it is in the pipeline, in words.
    patients : frozenset of str
        Every patient that it was fitted on.
    upstream : frozenset of str
        Every patient that went into what it was made from: into the models whose scores it was fitted on, and
        into the choice of its hyperparameters and of the length of its training.
    """

    estimator: Any
    stage: str
    patients: frozenset[str]
    upstream: frozenset[str] = frozenset()

    @property
    def seen(self) -> frozenset[str]:
        """Every patient that it was made on, directly or not."""
        return self.patients | self.upstream


@dataclass(frozen=True)
class _Scored:
    stage: str
    seen: frozenset[str]
    score: pd.Series


@dataclass
class Ledger:
    """What was fitted on whom, and who was then scored, in one split.

    Parameters
    ----------
    split : Split
        The split; its test patients may not have been seen by anything that scores them.
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
    postarrest.models.leakage.LeakageError: scaled by everybody: the values of 'lactate_mmol_l' are neither those \
that are known of the patients nor scores of an earlier stage; whatever computes them may have seen the test \
patients and belongs in the estimator.
    """

    split: Split
    known: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    _scores: list[_Scored] = field(default_factory=list, repr=False)
    _counts: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def choice(self, stage: str, *, on: Iterable[str]) -> Fitted:
        """Take down that something was chosen by its result in these patients.

        Returns
        -------
        Fitted
            To be given as ``after`` to whatever is fitted with the choice.
        """
        chosen = Fitted(None, stage, frozenset(on))
        self._count(chosen, self.split.test, frozenset())
        return chosen

    def fit(
        self, estimator: Any, x: pd.DataFrame, y: pd.Series, *, stage: str, after: Iterable[Fitted] = ()
    ) -> Fitted:
        """Fit an estimator and keep whom it, and whatever made its predictors, has seen.

        Parameters
        ----------
        estimator : object
            With scikit-learn's ``fit``.
        x : pandas.DataFrame
            Predictors, indexed by patient. It may have no columns: an estimator that looks the patients up
            itself (a head on a frozen network's features) gets them from what is the same for all.
        y : pandas.Series
            1 where the outcome is good.
        stage : str
            What it is, in words.
        after : iterable of Fitted
            Choices that it was made with.

        Raises
        ------
        ValueError
            If ``x`` and ``y`` are not of the same patients in the same order.
        LeakageError
            If a predictor's values are of unknown origin.
        """
        if not x.index.equals(y.index):
            raise ValueError(f"{stage}: predictors and outcomes are not of the same patients.")
        behind = [one.seen for one in after] + [made.seen for made, _ in self._origins(x, stage)]
        estimator.fit(x, y.to_numpy())
        return Fitted(estimator, stage, frozenset(x.index), frozenset().union(*behind))

    def probability(self, model: Fitted, x: pd.DataFrame) -> pd.Series:
        """Return the probability of a good outcome, and keep who was scored by what.

        Parameters
        ----------
        model : Fitted
            From :meth:`fit`.
        x : pandas.DataFrame
            Predictors, indexed by patient.

        Raises
        ------
        LeakageError
            If a predictor's values are of unknown origin.
        """
        origins = self._origins(x, model.stage)
        own = frozenset().union(*(made.seen & ids for made, ids in origins))
        self._count(model, x.index, own)
        score = pd.Series(model.estimator.predict_proba(x)[:, 1], index=x.index, name="score")
        seen = model.seen.union(*(made.seen for made, _ in origins))
        self._scores.append(_Scored(model.stage, seen, score))
        return score

    def _count(self, model: Fitted, scored: Iterable[str], own: frozenset[str]) -> None:
        """Count the patients scored whom the model itself saw, or what is behind it or their predictors."""
        scored, test = frozenset(scored), frozenset(self.split.test)
        for side, ids in (("training side", scored - test), ("test", scored & test)):
            if ids:
                row = {"fold": self.split.fold, "stage": model.stage, "scored": side, "n_fits": 1}
                row |= {"n_fitted_on": len(model.patients), "n_scored": len(ids)}
                row |= {"n_in_both": len(ids & model.patients)}
                row |= {"n_indirect": len((ids & (model.upstream | own)) - model.patients)}
                self._counts.append(row)

    def _origins(self, x: pd.DataFrame, stage: str) -> list[tuple[_Scored, frozenset[str]]]:
        """Find the scores that predictors are made of, with the patients whose values they are."""
        found: list[tuple[_Scored, frozenset[str]]] = []
        strange = []
        for name, column in x.items():
            if name in self.known and _same(column, self.known[name].reindex(x.index)).all():
                continue
            explained = np.zeros(len(x), dtype=bool)
            for made in self._scores:
                same = _same(column, made.score.reindex(x.index)) & x.index.isin(made.score.index)
                if same.any():
                    found.append((made, frozenset(x.index[same])))
                    explained |= same
            if not explained.all():
                strange.append(f"'{name}'")
        if strange:
            raise LeakageError(
                f"{stage}: the values of {', '.join(strange)} are neither those that are known of the "
                "patients nor scores of an earlier stage; whatever computes them may have seen the test "
                "patients and belongs in the estimator."
            )
        return found

    def write(self, path: Path) -> None:
        """Keep every score with the patients behind it, for a later notebook of the same split."""
        kept = [
            {
                "stage": s.stage,
                "seen": sorted(s.seen),
                "score": dict(zip(s.score.index, s.score, strict=True)),
            }
            for s in self._scores
        ]
        write_text(path, json.dumps({"split": self.split.name, "scores": kept}) + "\n")

    def adopt(self, path: Path) -> None:
        """Take over the scores that another notebook of the same split has kept by :meth:`write`.

        Raises
        ------
        ValueError
            If they are of another split.
        """
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["split"] != self.split.name:
            raise ValueError(f"{path.name} is of split {kept['split']}, expected {self.split.name}.")
        for one in kept["scores"]:
            score = pd.Series(one["score"], dtype=float, name="score")
            self._scores.append(_Scored(one["stage"], frozenset(one["seen"]), score))

    def table(self) -> pd.DataFrame:
        """Return the ``leakage`` table of this split.

        Returns
        -------
        pandas.DataFrame
            ``fold, stage, scored, n_fits, n_fitted_on, n_scored, n_in_both, n_indirect``: a stage that is
            fitted several times (on each inner fold) has one row a side, with the patients of its largest fit
            and the sums of the others. ``scored`` is ``test`` or ``training side``. ``n_in_both``: patients
            scored by what was fitted on them. ``n_indirect``: patients scored whom only an earlier stage had
            seen: a base model behind the predictors of the other patients, or a choice of hyperparameters.
        """
        each = pd.DataFrame(self._counts, columns=list(COLUMNS))
        grouped = each.groupby(["fold", "stage", "scored"], as_index=False, sort=False)
        return grouped.agg(
            n_fits=("n_fits", "sum"),
            n_fitted_on=("n_fitted_on", "max"),
            n_scored=("n_scored", "sum"),
            n_in_both=("n_in_both", "sum"),
            n_indirect=("n_indirect", "sum"),
        )

    def check(self) -> None:
        """Stop if a patient was scored by what had been fitted on that patient.

        Nothing that is behind the model or its predictors may have seen a test patient either.

        Raises
        ------
        LeakageError
            Naming each such stage and the number of patients.
        """
        counted = self.table()
        # On the training side, whom only an earlier stage had seen is no leak.
        leaked = counted["n_in_both"] + counted["n_indirect"].where(counted["scored"] == "test", 0)
        leaks = counted.assign(leaked=leaked)[leaked > 0]
        if len(leaks):
            told = "; ".join(f"{r.stage}: {r.leaked} of {r.n_scored}" for r in leaks.itertuples())
            raise LeakageError(f"Fold {self.split.fold}: patients scored by what was fitted on them. {told}.")


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
        As :meth:`Ledger.table`, one row a fold, outcome label and model.
    """
    rows = []
    final = scores[scores["stage"] == "final"]
    for (outcome, model, fold), mine in final.groupby(["outcome_label", "model", "fold"], sort=False):
        ids = {role: frozenset(of_role["patient_id"]) for role, of_role in mine.groupby("role")}
        chosen, judged = ids.get("train_oof", frozenset()), ids.get("test", frozenset())
        if chosen and judged:
            row = {"fold": fold, "stage": f"{model}: thresholds ({outcome} outcome)", "scored": "test"}
            row |= {"n_fits": 1, "n_fitted_on": len(chosen), "n_scored": len(judged)}
            rows.append(row | {"n_in_both": len(chosen & judged), "n_indirect": 0})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _same(values: pd.Series, others: pd.Series) -> np.ndarray:
    """Tell where two columns of the same patients hold the same; a missing value is the same as another."""
    missing = values.isna().to_numpy() & others.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and pd.api.types.is_numeric_dtype(others):
        return missing | (values.to_numpy(float, na_value=np.nan) == others.to_numpy(float, na_value=np.nan))
    a, b = (column.astype(object).where(column.notna(), None) for column in (values, others))
    return missing | (a == b).to_numpy(bool)
