"""Hyperparameters chosen by Optuna, in searches that are kept on disk and resume after a crash.

A search that was stopped and resumed equals one that was never stopped: each trial has a sampler of its own,
seeded from the seed of the search and the number of trials finished before it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field, field_validator, model_validator

from postarrest.files import write_text
from postarrest.settings import Scalar, Settings, distinct

Values = dict[str, Any]
# AUCs that differ by less than this are ties: a sixth of the standard error of the inner folds' mean in 400
# patients. The AUC cannot see whether probabilities are too extreme or too timid, so the log loss decides.
TIE = 0.005


class Searched(Settings):
    """What is searched of one hyperparameter: ``choices``, or the range from ``low`` to ``high``.

    Parameters
    ----------
    choices : list, optional
        Values to choose from.
    low, high : float, optional
        Ends of a range.
    log : bool
        Whether the range is searched on a log scale.
    whole : bool
        Whether only whole numbers are searched.

    Examples
    --------
    >>> print(Searched(low=0.01, high=0.3, log=True))
    0.01 to 0.3, log scale
    >>> print(Searched(choices=[0, 0.5]))
    one of 0, 0.5
    """

    choices: Annotated[list[Scalar], AfterValidator(distinct)] | None = Field(
        None, min_length=1, max_length=100
    )
    low: int | float | None = Field(None, allow_inf_nan=False)
    high: int | float | None = Field(None, allow_inf_nan=False)
    log: bool = False
    whole: bool = False

    @field_validator("low", "high", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("expected a number (in YAML, write 1.0e-3, not 1e-3)")
        return value

    @model_validator(mode="after")
    def _one_form(self) -> "Searched":
        given = {name for name in ("choices", "low", "high") if getattr(self, name) is not None}
        if given not in ({"choices"}, {"low", "high"}):
            raise ValueError("expected choices, or low and high")
        if self.choices is None and not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.whole and not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise ValueError(f"low {self.low} and high {self.high} are not both whole numbers")
        if self.choices is None and self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, expected above 0 on a log scale")
        return self

    def __str__(self) -> str:
        if self.choices is not None:
            return f"one of {', '.join(str(choice) for choice in self.choices)}"
        return f"{self.low} to {self.high}" + (", log scale" if self.log else "")

    def suggest(self, trial: Any, name: str) -> Any:
        """Return a trial's value of the hyperparameter of this name."""
        if self.choices is not None:
            return trial.suggest_categorical(name, self.choices)
        draw = trial.suggest_int if self.whole else trial.suggest_float
        return draw(name, self.low, self.high, log=self.log)


Space = dict[str, Searched]


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Parameters
    ----------
    values : dict
        The hyperparameters chosen.
    auc : float
        Their mean ROC-AUC over the inner folds.
    history : pandas.DataFrame
        One row per trial: ``trial, auc, log_loss`` (NaN where stopped early), ``best`` AUC so far, and each
        hyperparameter.
    space : Space
        The space that was searched.
    patients : frozenset of str
        The patients on whom they were chosen, as recorded when the search began.
    """

    values: Values
    auc: float
    history: pd.DataFrame
    space: Space
    patients: frozenset[str]


@dataclass(frozen=True)
class Chosen:
    """A model as it was chosen in one split.

    Parameters
    ----------
    algorithm : str
        Its algorithm.
    values : dict
        Its hyperparameters.
    predictors : list of str
        Columns of the cohort; none where its inputs are images or other models' probabilities.
    """

    algorithm: str
    values: Values
    predictors: list[str] = field(default_factory=list)


def write_chosen(chosen: Mapping[str, Chosen], path: Path) -> None:
    """Write models as they were chosen, by name, as JSON."""
    write_text(path, json.dumps({name: asdict(one) for name, one in chosen.items()}, indent=1) + "\n")


def read_chosen(path: Path) -> dict[str, Chosen]:
    """Read what :func:`write_chosen` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: Chosen(**one) for name, one in content.items()}


def search(
    objective: Callable[[Values], Iterator[tuple[float, float]]],
    space: Space,
    *,
    n_folds: int,
    patients: Iterable[str],
    trials: int,
    seed: int,
    keep: Path,
) -> Tuned:
    """Search a space with TPE for the highest mean ROC-AUC over inner folds, and the lowest log loss of ties.

    A trial is stopped early once it cannot win: if perfect remaining inner folds would leave it below the
    best trial so far by more than a tie. That saves time and cannot change which of the trials drawn is best.

    Parameters
    ----------
    objective : callable
        Yields the ROC-AUC and the log loss of one inner fold after the other for given hyperparameters.
    space : Space
        The space.
    n_folds : int
        Number of inner folds.
    patients : iterable of str
        Patients whom the objective uses; recorded with the search.
    trials : int
        Number of trials, including those of an earlier, interrupted call. If more are kept, the first of them
        are used, as in a search of that length.
    seed : int
        Seed of the search.
    keep : pathlib.Path
        Journal file; an existing one is resumed.
    """
    import optuna

    study = _open(keep, patients)

    def mean_auc(trial: optuna.Trial) -> float:
        best = max((t.value for t in _finished(study) if t.value is not None), default=0)
        aucs, losses = [], []
        for auc, loss in objective({name: searched.suggest(trial, name) for name, searched in space.items()}):
            aucs.append(auc)
            losses.append(loss)
            left = n_folds - len(aucs)
            if left and (sum(aucs) + left) / n_folds < best - TIE:
                raise optuna.TrialPruned
        trial.set_user_attr("log_loss", float(np.mean(losses)))
        return float(np.mean(aucs))

    for number in range(len(_finished(study)), trials):
        # A sequence of two numbers, not their sum, so that neighbouring searches differ.
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=own_seed, multivariate=True, constant_liar=False)
        study.optimize(mean_auc, n_trials=1)
    return _tuned(study, space, trials)


def grid(
    objective: Callable[[Values], tuple[float, float]],
    space: Space,
    *,
    patients: Iterable[str],
    keep: Path,
) -> Tuned:
    """Try every combination of a space of choices, as written; ties are decided as in a search.

    Parameters
    ----------
    objective : callable
        Returns the ROC-AUC and the log loss for given hyperparameters.
    space : Space
        Every hyperparameter by ``choices``.
    patients, keep
        As for :func:`search`.

    Raises
    ------
    ValueError
        If a hyperparameter is given by a range.
    """
    import optuna

    ranges = [name for name, searched in space.items() if searched.choices is None]
    if ranges:
        raise ValueError(f"a grid needs choices; found a range for {', '.join(ranges)}.")
    choices = {name: optuna.distributions.CategoricalDistribution(s.choices) for name, s in space.items()}
    combinations = list(product(*(searched.choices for searched in space.values())))
    study = _open(keep, patients)
    for combination in combinations[len(_finished(study)) :]:
        values = dict(zip(space, combination, strict=True))
        auc, loss = objective(dict(values))
        kept = {"params": values, "distributions": choices, "user_attrs": {"log_loss": loss}}
        study.add_trial(optuna.create_trial(**kept, value=auc))
    return _tuned(study, space, len(combinations))


def _open(keep: Path, patients: Iterable[str]) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    keep.parent.mkdir(parents=True, exist_ok=True)
    if keep.exists() and not (content := keep.read_bytes()).endswith(b"\n"):
        # Optuna cannot read past a last line that a crash left unfinished.
        keep.write_bytes(content[: content.rfind(b"\n") + 1])
    # Optuna logs each trial; the report shows them all.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(keep))),
        study_name=keep.stem,
        direction="maximize",
        load_if_exists=True,
    )
    if "patients" not in study.user_attrs:
        study.set_user_attr("patients", sorted(patients))
    return study


def _finished(study: Any) -> list[Any]:
    """Return the finished trials; one that a crash cut off does not count and is run again."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _tuned(study: Any, space: Space, trials: int) -> Tuned:
    done = _finished(study)[:trials]
    found = [
        {
            "trial": number,
            "auc": np.nan if trial.value is None else trial.value,
            "log_loss": trial.user_attrs.get("log_loss", np.nan),
        }
        for number, trial in enumerate(done, 1)
    ]
    history = pd.DataFrame([one | trial.params for one, trial in zip(found, done, strict=True)])
    history.insert(2, "best", history["auc"].cummax().ffill())
    tied = history[history["auc"] >= history["auc"].max() - TIE]
    # Of equal trials the first.
    best = done[int(tied["log_loss"].idxmin())]
    patients = frozenset(study.user_attrs["patients"])
    return Tuned(dict(best.params), float(best.value), history, space, patients)


def chosen_table(tuned: Tuned, *, fold: int, model: str) -> pd.DataFrame:
    """Return a search's result as rows of the ``hyperparameters`` table.

    Returns
    -------
    pandas.DataFrame
        ``fold, model, parameter, value, search_space``.
    """
    rows = []
    for name, searched in tuned.space.items():
        value = tuned.values[name]
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        rows.append((fold, model, name, shown, str(searched)))
    return pd.DataFrame(rows, columns=["fold", "model", "parameter", "value", "search_space"])
