"""Hyperparameters chosen by Optuna, in studies that are kept on disk and taken up again after a crash.

A study that was stopped and resumed is the study that was never stopped: each trial has a sampler of its own,
seeded from the study's seed and the number of trials finished before it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

Space = Mapping[str, Mapping[str, Any]]
Values = dict[str, Any]
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Parameters
    ----------
    values : dict
        The hyperparameters chosen.
    auc : float
        Their mean ROC-AUC over the inner folds.
    history : pandas.DataFrame
        One row a trial: ``trial, auc`` (NaN where pruned), ``best`` so far, and each hyperparameter.
    space : Mapping
        The space that was searched.
    patients : frozenset of str
        The patients by whom it was found, as the kept study has them.
    """

    values: Values
    auc: float
    history: pd.DataFrame
    space: Space
    patients: frozenset[str]


def faults_of_space(space: Space) -> list[str]:
    """Return what is wrong with a search space as a study file writes it; one sentence a fault.

    Examples
    --------
    >>> faults_of_space({"C": {"low": 0.01, "high": 10.0, "log": True}, "width": {"choices": [0, 64]}})
    []
    >>> faults_of_space({"C": {"low": "1e-2", "high": 10.0}})
    ["search space of 'C': low is '1e-2', expected a number (in YAML, write 1.0e-3, not 1e-3)."]
    """
    faults = []
    for name, spec in space.items():
        where = f"search space of '{name}'"
        if not isinstance(spec, Mapping) or not ({"choices"} <= set(spec) or {"low", "high"} <= set(spec)):
            faults.append(f"{where}: found {spec!r}, expected choices or low and high.")
            continue
        unknown = sorted(set(spec) - {"choices", "low", "high", "log", "whole"})
        faults += [f"{where}: '{key}' is unknown; known: choices, low, high, log, whole." for key in unknown]
        if "choices" in spec:
            if not isinstance(spec["choices"], list) or not spec["choices"]:
                faults.append(f"{where}: choices is {spec['choices']!r}, expected a list of values.")
            continue
        wrong = [k for k in ("low", "high") if not isinstance(spec[k], int | float)]
        faults += [
            f"{where}: {key} is {spec[key]!r}, expected a number (in YAML, write 1.0e-3, not 1e-3)."
            for key in wrong
        ]
        if not wrong and not spec["low"] < spec["high"]:
            faults.append(f"{where}: low {spec['low']} is not below high {spec['high']}.")
        if not wrong and spec.get("log", False) and spec["low"] <= 0:
            faults.append(f"{where}: low is {spec['low']}, expected above 0 on a log scale.")
    return faults


def suggest(trial: optuna.Trial, space: Space) -> Values:
    """Draw a trial's hyperparameters from a space written in a study file.

    Parameters
    ----------
    trial : optuna.Trial
        The trial.
    space : Mapping
        ``{name: {choices: [...]}}`` or ``{name: {low:, high:, log: bool, whole: bool}}``, without a fault
        that :func:`faults_of_space` would tell.
    """
    values: Values = {}
    for name, spec in space.items():
        if "choices" in spec:
            values[name] = trial.suggest_categorical(name, list(spec["choices"]))
        else:
            draw = trial.suggest_int if spec.get("whole", False) else trial.suggest_float
            values[name] = draw(name, spec["low"], spec["high"], log=spec.get("log", False))
    return values


def search(
    objective: Callable[[Values], Iterator[float]],
    space: Space,
    *,
    n_folds: int,
    patients: Iterable[str],
    trials: int,
    seed: int,
    keep: Path,
) -> Tuned:
    """Search a space with TPE for the highest mean ROC-AUC over inner folds.

    A trial is stopped early where it can't win any more: where perfect inner folds from here on would leave
    it below the best trial so far. That spares time and can't change which of the trials drawn is best.

    Parameters
    ----------
    objective : callable
        Yields the ROC-AUC of one inner fold after the other for given hyperparameters.
    space : Mapping
        As for :func:`suggest`.
    n_folds : int
        Inner folds that the objective yields.
    patients : iterable of str
        Patients whom the objective fits on and judges; kept with the study.
    trials : int
        Trials in all, those of an earlier, interrupted call included. Where more are kept, the first of them
        are taken: they are what a search of that length is.
    seed : int
        Seed of the study.
    keep : pathlib.Path
        Journal file of the study; what is there is taken up.

    Returns
    -------
    Tuned
    """
    with _quiet():
        study = _open(keep, patients)
        for number in range(_finished(study), trials):
            study.sampler = optuna.samplers.TPESampler(
                # Positive, and unlike for neighbouring studies: a sequence of two numbers, not their sum.
                seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
                multivariate=True,
                constant_liar=False,
            )
            study.optimize(lambda trial: _mean(trial, objective, space, n_folds), n_trials=1)
    return _tuned(study, space, trials)


def grid(objective: Callable[[Values], float], space: Space, *, patients: Iterable[str], keep: Path) -> Tuned:
    """Try every combination of a space of choices.

    Parameters
    ----------
    objective : callable
        Returns the ROC-AUC for given hyperparameters.
    space : Mapping
        Every hyperparameter by ``choices``.
    patients, keep
        As for :func:`search`.

    Raises
    ------
    ValueError
        If a hyperparameter is given by a range.
    """
    ranges = [name for name, spec in space.items() if "choices" not in spec]
    if ranges:
        raise ValueError(f"a grid needs choices; found a range for {', '.join(ranges)}.")
    combinations = [
        dict(zip(space, c, strict=True)) for c in product(*(s["choices"] for s in space.values()))
    ]
    with _quiet():
        study = _open(keep, patients)
        for values in combinations[_finished(study) :]:
            # The combinations come one by one in their written order, so that a resumed grid goes on.
            study.enqueue_trial(values)
            study.optimize(lambda trial: objective(suggest(trial, space)), n_trials=1)
    return _tuned(study, space, len(combinations))


def _mean(
    trial: optuna.Trial, objective: Callable[[Values], Iterator[float]], space: Space, n_folds: int
) -> float:
    best = max(
        (t.value for t in trial.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])), default=0
    )
    aucs = []
    for auc in objective(suggest(trial, space)):
        aucs.append(auc)
        left = n_folds - len(aucs)
        if left and (sum(aucs) + left) / n_folds < best:
            raise optuna.TrialPruned
    return float(np.mean(aucs))


def _open(keep: Path, patients: Iterable[str]) -> optuna.Study:
    keep.parent.mkdir(parents=True, exist_ok=True)
    _mend(keep)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(keep))),
        study_name=keep.stem,
        direction="maximize",
        load_if_exists=True,
    )
    if "patients" not in study.user_attrs:
        study.set_user_attr("patients", sorted(patients))
    # Cut off in the middle, or before it began: it counts for nothing, and is done again.
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    for _ in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        # A trial that waits is told nothing before it is asked for.
        study.tell(study.ask(), state=TrialState.FAIL)
    return study


def _mend(keep: Path) -> None:
    """Take away a last line that a crash left unfinished, which Optuna would refuse to read past."""
    if keep.exists():
        content = keep.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            keep.write_bytes(whole)


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=_FINISHED))


def _tuned(study: optuna.Study, space: Space, trials: int) -> Tuned:
    done = study.get_trials(deepcopy=False, states=_FINISHED)[:trials]
    rows = [
        {"trial": i, "auc": t.value if t.state == TrialState.COMPLETE else np.nan} | t.params
        for i, t in enumerate(done, start=1)
    ]
    history = pd.DataFrame(rows)
    history.insert(2, "best", history["auc"].cummax().ffill())
    # The first of equals: a later trial that is no better changes nothing.
    first = max((t for t in done if t.state == TrialState.COMPLETE), key=lambda t: (t.value, -t.number))
    patients = frozenset(study.user_attrs["patients"])
    return Tuned(dict(first.params), float(first.value), history, space, patients)


@contextmanager
def _quiet() -> Iterator[None]:
    # Optuna logs each trial; the history is in the report.
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def space_in_words(spec: Mapping[str, Any]) -> str:
    """Return one hyperparameter's search space as a reader would write it.

    Examples
    --------
    >>> space_in_words({"low": 0.01, "high": 0.3, "log": True})
    '0.01 to 0.3, log scale'
    >>> space_in_words({"choices": [0, 0.5]})
    'one of 0, 0.5'
    """
    if "choices" in spec:
        return f"one of {', '.join(str(c) for c in spec['choices'])}"
    return f"{spec['low']} to {spec['high']}" + (", log scale" if spec.get("log", False) else "")


def chosen_table(tuned: Tuned, *, fold: int, model: str) -> pd.DataFrame:
    """Return a search's result as rows of the ``hyperparameters`` table.

    Returns
    -------
    pandas.DataFrame
        ``fold, model, parameter, value, search_space``.
    """
    return pd.DataFrame(
        [
            {
                "fold": fold,
                "model": model,
                "parameter": name,
                "value": _plain(tuned.values[name]),
                "search_space": space_in_words(spec),
            }
            for name, spec in tuned.space.items()
        ]
    )


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
