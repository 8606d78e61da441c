"""Cross-fitting: hyperparameters tuned in the inner folds, and out-of-fold predictions of each patient."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline

from postarrest import scores
from postarrest.models import splits, tuning
from postarrest.models.forests import for_search
from postarrest.models.kept import digest
from postarrest.models.leakage import Fitted, Ledger
from postarrest.models.parts import Part
from postarrest.models.splits import Split
from postarrest.models.tuning import Space, Tuned, Values


@dataclass(frozen=True)
class OutOfFold:
    """Predicted probabilities of one model in one split.

    Parameters
    ----------
    development : pandas.Series
        Of the development patients, each by models fitted without the patient.
    test : pandas.Series
        Of the test patients, by the model refitted on all development patients.
    refitted : Fitted
        That model.
    """

    development: pd.Series
    test: pd.Series
    refitted: Fitted


@dataclass(frozen=True)
class CrossFit:
    """One split in which models are tuned, fitted and used for scoring.

    Parameters
    ----------
    split : Split
        Inner folds and test patients.
    y : pandas.Series
        1 where the outcome is good, every patient.
    ledger : Ledger
        Records the patients that each model was fitted on.
    keep : pathlib.Path
        Folder for Optuna's searches.
    trials : int
        Optuna's trials for each model.
    seed : int
        Seed of searches and models.
    parts : list of Part
        The models fitted on all development patients, in the order of their fits; see :meth:`out_of_fold`.
    """

    split: Split
    y: pd.Series
    ledger: Ledger
    keep: Path
    trials: int
    seed: int
    parts: list[Part] = field(default_factory=list, repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of development and test patients, and of good outcomes among them."""
        groups = {"development": self.split.development, "test": self.split.test}
        n = {f"n_{name}": len(ids) for name, ids in groups.items()}
        return n | {f"n_{name}_good": int(self.y[ids].sum()) for name, ids in groups.items()}

    def tune(
        self, make: Callable[[Values], Any], x: pd.DataFrame, space: Space, *, name: str, about: Any = None
    ) -> Tuned:
        """Search for the hyperparameters with the highest mean ROC-AUC over the inner folds; see `tuning`.

        Parameters
        ----------
        make : callable
            Returns the unfitted estimator for given hyperparameters. All steps of a pipeline but the last are
            fitted once in each inner fold: hyperparameters are those of the last. A forest has fewer trees,
            unless their number is searched; see :func:`postarrest.models.forests.for_search`.
        x : pandas.DataFrame
            Predictors, indexed by patient.
        space : Space
            The search space.
        name : str
            Name of the kept search.
        about : object
            Whatever else the estimator depends on, of plain values.
        """
        # Of each inner fold the patients to fit on and those left out, each with their outcomes.
        prepared: list[tuple[tuple[Any, Any], ...]] = []

        def judged(values: Values) -> Iterator[tuple[float, float]]:
            for number, ids in enumerate(self.split.inner):
                model = make(values)
                before, model = (model[:-1], model[-1]) if isinstance(model, Pipeline) else (None, model)
                if number == len(prepared):
                    (x_fit, y_fit), (x_out, y_out) = ((x.loc[who], self.y.loc[who].to_numpy()) for who in ids)
                    if before is not None:
                        x_fit, x_out = before.fit_transform(x_fit, y_fit), before.transform(x_out)
                    prepared.append(((x_fit, y_fit), (x_out, y_out)))
                fitted_on, (x_out, y_out) = prepared[number]
                if "n_estimators" not in values:
                    model = for_search(model, n=len(fitted_on[1]))
                good = model.fit(*fitted_on).predict_proba(x_out)[:, 1]
                yield float(roc_auc_score(y_out, good)), float(log_loss(y_out, good))

        return tuning.search(
            judged,
            space,
            n_folds=len(self.split.inner),
            patients=self.split.development,
            trials=self.trials,
            seed=self.seed,
            keep=self.journal(name, space, x, about),
        )

    def journal(self, name: str, *about: Any) -> Path:
        """Return the file of a kept search, named after all that it depends on."""
        key = digest(*about, self.y, self.split.membership, self.seed)
        return self.keep / f"{self.split.name}-{name}-{key}.journal"

    def out_of_fold(
        self,
        make: Callable[[pd.Index], Any],
        x: pd.DataFrame,
        x_test: pd.DataFrame,
        *,
        stages: tuple[str, str],
        after: Iterable[Fitted] = (),
        inner: Sequence[tuple[pd.Index, pd.Index]] | None = None,
        keep_as: str = "",
    ) -> OutOfFold:
        """Score development patients out of fold, then refit on all of them and score the test patients.

        Parameters
        ----------
        make : callable
            Returns the unfitted estimator for the patients that it will be fitted on.
        x, x_test : pandas.DataFrame
            Predictors of the development and of the test patients, indexed by patient.
        stages : (str, str)
            Names of the out-of-fold models and of the refitted model in the ledger.
        after : iterable of Fitted
            Choices that the models were made with.
        inner : sequence of (pandas.Index, pandas.Index), optional
            Patients to fit on and patients left out, in place of the split's inner folds. The scores of a
            patient who is left out several times are averaged.
        keep_as : str
            Name under which the refitted model is added to ``parts``; blank: it is not.
        """

        def fit(ids: pd.Index, stage: str) -> Fitted:
            return self.ledger.fit(make(ids), x.loc[ids], self.y.loc[ids], stage=stage, after=after)

        parts = [
            self.ledger.probability(fit(fit_ids, stages[0]), x.loc[left_out])
            for fit_ids, left_out in (self.split.inner if inner is None else inner)
        ]
        development = pd.concat(parts) if inner is None else self.ledger.mean(parts)
        refitted = fit(self.split.development, stages[1])
        test = self.ledger.probability(refitted, x_test.loc[self.split.test])
        if keep_as:
            known = [name for name in x.columns if name in self.ledger.known]
            fed = [name for name in x.columns if name not in known]
            self.parts.append(Part(keep_as, tuple(known), tuple(fed), refitted.estimator))
        return OutOfFold(development, test, refitted)

    def score_table(self, parts: Iterable[pd.DataFrame], *, outcome_label: str) -> pd.DataFrame:
        """Return the split's rows of the scores table.

        Parameters
        ----------
        parts : iterable of pandas.DataFrame
            From :func:`rows`.
        outcome_label : str
            The outcome label of ``y``: ``revised`` or ``standard``.
        """
        table = pd.concat(parts, ignore_index=True)
        table["y_good"] = self.y.loc[table["patient_id"]].to_numpy()
        return table.assign(fold=self.split.fold, outcome_label=outcome_label)[list(scores.COLUMNS)]


def outer_folds(
    table: pd.DataFrame, y: pd.Series, known: pd.DataFrame, *, keep: Path, trials: int, seed: int
) -> list[CrossFit]:
    """Return the outer folds of a nested cross-validation, each with a ledger of its own.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`postarrest.models.splits.table`.
    y : pandas.Series
        1 where the outcome is good, every patient.
    known : pandas.DataFrame
        What is known of each patient beforehand, for the ledgers.
    keep, trials, seed
        As for :class:`CrossFit`.
    """
    names = dict.fromkeys(name for name in table["split"] if str(name).startswith("outer-"))
    each = [splits.get(table, name) for name in sorted(names, key=lambda name: int(name.split("-")[1]))]
    return [CrossFit(one, y, Ledger(one, known), keep=keep, trials=trials, seed=seed) for one in each]


def rows(
    development: pd.Series, test: pd.Series, *, model: str, stage: str = "final", kind: str = "probability"
) -> pd.DataFrame:
    """Return one model's scores as rows of the scores table, without what ``score_table`` adds."""
    both = pd.concat({"train_oof": development, "test": test}, names=["role", "patient_id"])
    return both.rename("score").reset_index().assign(model=model, stage=stage, kind=kind)
