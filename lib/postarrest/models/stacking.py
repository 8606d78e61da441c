"""The ensemble: base models' out-of-fold probabilities, stacked by a random forest and calibrated.

Everything here sees the development patients of one outer fold and nothing of its test patients, who are
scored at the end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer

from postarrest import scores as scores_room
from postarrest.models import tuning
from postarrest.models.kept import digest
from postarrest.models.leakage import Ledger
from postarrest.models.splits import Split
from postarrest.models.tabular import FOREST_TREES, BaseModel, fit_base, predictors_of
from postarrest.models.tuning import Space, Tuned, Values


@dataclass(frozen=True)
class StackScores:
    """What the ensemble gives in one outer fold.

    Parameters
    ----------
    tuned : Tuned
        The random forest's search.
    scores : pandas.DataFrame
        Rows of the scores table: ``patient_id, model, stage, role, score``.
    importance : pandas.DataFrame
        ``fold, model, importance, sd``: loss of ROC-AUC in the test patients when a base model's
        probabilities are shuffled.
    """

    tuned: Tuned
    scores: pd.DataFrame
    importance: pd.DataFrame


def n_quantiles(split: Split) -> int:
    """Return the quantiles of the transform: the patients of the smallest fit, so that no fit has fewer.

    One number for every fit of an outer fold, so that the stack before and after Platt scaling is one stack.
    """
    judged = max(len(judge) for _, judge in split.inner)
    return min(len(split.development) - 2 * judged, 1000)


def forest(values: Values, n: int, *, seed: int) -> Pipeline:
    """Return the unfitted stack: quantile transform, then random forest.

    Parameters
    ----------
    values : dict
        Hyperparameters of the forest.
    n : int
        Quantiles of the transform, from :func:`n_quantiles`.
    """
    return _stacked(
        RandomForestClassifier(**values, n_estimators=FOREST_TREES, n_jobs=1, random_state=seed), n, seed
    )


def logistic(n: int, *, seed: int) -> Pipeline:
    """Return the comparator: the same transform, then logistic regression."""
    return _stacked(LogisticRegression(C=1.0), n, seed)


def _stacked(model: Any, n: int, seed: int) -> Pipeline:
    # Uniform output: trees see order alone, and logistic regression bounded inputs.
    transform = QuantileTransformer(
        n_quantiles=n, output_distribution="uniform", subsample=None, random_state=seed
    )
    return Pipeline([("quantiles", transform), ("model", model)])


def calibrated(stack: Pipeline, folds: list[tuple[np.ndarray, np.ndarray]]) -> CalibratedClassifierCV:
    """Return the stack with Platt scaling, fitted on out-of-fold outputs within the same patients.

    Parameters
    ----------
    stack : Pipeline
        Unfitted.
    folds : list of (fit positions, judge positions)
        Rows of the fitted table, from :func:`positions`.

    Notes
    -----
    ``ensemble=False``: one stack fitted on all the rows, one sigmoid fitted on out-of-fold outputs. Fitting
    the sigmoid on outputs for rows that the stack has seen would be invalid, and the default ensemble of as
    many stacks as folds is not what paper B describes.
    """
    return CalibratedClassifierCV(stack, method="sigmoid", cv=folds, ensemble=False)


def positions(
    index: pd.Index, inner: tuple[tuple[pd.Index, pd.Index], ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return inner folds as row positions of a table with this index, rows outside the table left out."""
    pairs = []
    for fit_ids, judge_ids in inner:
        fit, judge = index.get_indexer(fit_ids), index.get_indexer(judge_ids)
        pairs.append((np.sort(fit[fit >= 0]), np.sort(judge[judge >= 0])))
    return [(fit, judge) for fit, judge in pairs if len(judge)]


def fit_stack(
    meta: pd.DataFrame,
    meta_test: pd.DataFrame,
    y: pd.Series,
    split: Split,
    *,
    trials: int,
    seed: int,
    space: Space,
    keep: Path,
    ledger: Ledger,
) -> StackScores:
    """Tune, fit and calibrate the ensemble on the development patients, and score the test patients.

    Parameters
    ----------
    meta : pandas.DataFrame
        Out-of-fold probabilities of the development patients, one column a base model.
    meta_test : pandas.DataFrame
        Probabilities of the test patients by the refitted base models, the same columns.
    y : pandas.Series
        1 where the outcome is good, every patient.
    split : Split
        The outer fold.
    trials, seed, space, keep, ledger
        As for :func:`postarrest.tabular.fit_base`.

    Notes
    -----
    The meta-features of a patient come from base models whose hyperparameters were chosen with that patient
    among the judged (as in the paper); within development this makes them slightly optimistic. The test
    patients are untouched by it.
    """
    development = split.development
    meta, y_dev = meta.loc[development], y.loc[development]
    name = digest("stack", meta, y_dev, space, split.membership, seed, FOREST_TREES)
    tuned = tuning.search(
        lambda values: _inner_aucs(values, meta, y, split, seed=seed),
        space,
        n_folds=len(split.inner),
        patients=development,
        trials=trials,
        seed=seed,
        keep=keep / f"{split.name}-ensemble-{name}.journal",
    )
    chosen = ledger.choice("ensemble: hyperparameters", on=tuned.patients)
    rows = []
    n = n_quantiles(split)
    variants = {
        ("ensemble", "before_platt"): (False, forest(tuned.values, n, seed=seed)),
        ("ensemble", "final"): (True, forest(tuned.values, n, seed=seed)),
        ("ensemble_logistic", "final"): (False, logistic(n, seed=seed)),
    }
    final = None
    for (model, stage), (platt, stack) in variants.items():
        after = [chosen] if model == "ensemble" else []
        words = f"{model}{'' if platt or model != 'ensemble' else ' before Platt'}"
        for fit_ids, judge_ids in split.inner:
            fitted = ledger.fit(
                _ready(stack, platt, fit_ids, split),
                meta.loc[fit_ids],
                y.loc[fit_ids],
                stage=f"{words}: out-of-fold stack",
                after=after,
            )
            rows.append(_rows(ledger.probability(fitted, meta.loc[judge_ids]), model, stage, "train_oof"))
        fitted = ledger.fit(
            _ready(stack, platt, development, split),
            meta,
            y_dev,
            stage=f"{words}: stack for the test patients",
            after=after,
        )
        rows.append(_rows(ledger.probability(fitted, meta_test.loc[split.test]), model, stage, "test"))
        if (model, stage) == ("ensemble", "final"):
            final = fitted
    importance = permutation_importance(
        final.estimator,
        meta_test.loc[split.test],
        y.loc[split.test].to_numpy(),
        scoring="roc_auc",
        n_repeats=50,
        random_state=seed,
        n_jobs=1,
    )
    return StackScores(
        tuned,
        pd.concat(rows, ignore_index=True),
        pd.DataFrame(
            {
                "fold": split.fold,
                "model": list(meta.columns),
                "importance": importance.importances_mean,
                "sd": importance.importances_std,
            }
        ),
    )


def _ready(stack: Pipeline, platt: bool, ids: pd.Index, split: Split) -> Any:
    return calibrated(clone(stack), positions(ids, split.inner)) if platt else clone(stack)


def _inner_aucs(
    values: Values, meta: pd.DataFrame, y: pd.Series, split: Split, *, seed: int
) -> Iterator[float]:
    for fit_ids, judge_ids in split.inner:
        model = forest(values, n_quantiles(split), seed=seed)
        model.fit(meta.loc[fit_ids], y.loc[fit_ids].to_numpy())
        yield float(roc_auc_score(y.loc[judge_ids], model.predict_proba(meta.loc[judge_ids])[:, 1]))


def _rows(score: pd.Series, model: str, stage: str, role: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": score.index,
            "model": model,
            "stage": stage,
            "role": role,
            "score": score.to_numpy(),
        }
    )


@dataclass(frozen=True)
class Bases:
    """The base models of one outer fold.

    Parameters
    ----------
    out_of_fold, test : pandas.DataFrame
        Probabilities of the development and of the test patients, one column a base model.
    chosen : pandas.DataFrame
        Rows of the ``hyperparameters`` table.
    algorithms : pandas.DataFrame
        ``fold, model, algorithm, auc, used``: every algorithm that was tried.
    histories : dict of str to pandas.DataFrame
        Trials of each search.
    fitted_here : tuple of str
        Models whose scores are not in a table already.
    """

    out_of_fold: pd.DataFrame
    test: pd.DataFrame
    chosen: pd.DataFrame
    algorithms: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    fitted_here: tuple[str, ...]


def fit_bases(
    models: tuple[BaseModel, ...],
    cohort: pd.DataFrame,
    y: pd.Series,
    split: Split,
    *,
    trials: int,
    seed: int,
    spaces: Mapping[str, Space],
    keep: Path,
    cnn_scores: Path,
    cnn_lineage: Path,
    ledger: Ledger,
) -> Bases:
    """Fit every base model that a study declares, and take the CNN's scores from its table.

    Parameters
    ----------
    models : tuple of BaseModel
        Base models.
    cohort : pandas.DataFrame
        Patients with their predictors.
    cnn_scores : pathlib.Path
        Scores table of the CNN in this fold; read where a model's algorithm is ``cnn``.
    cnn_lineage : pathlib.Path
        Whom the makers of these scores had seen, as notebook 03's ledger kept it.
    y, split, trials, seed, spaces, keep, ledger
        As for :func:`postarrest.tabular.fit_base`.
    """
    out_of_fold, test, chosen, rows, histories = {}, {}, [], [], {}
    for model in models:
        if model.algorithm == "cnn":
            ledger.adopt(cnn_lineage)
            out_of_fold[model.name], test[model.name] = _kept_scores(cnn_scores, split)
            continue
        base = fit_base(
            model,
            predictors_of(model, cohort),
            y,
            split,
            trials=trials,
            seed=seed,
            spaces=spaces,
            keep=keep,
            ledger=ledger,
        )
        out_of_fold[model.name], test[model.name] = base.out_of_fold, base.test
        chosen.append(tuning.chosen_table(base.tuned[base.algorithm], fold=split.fold, model=model.name))
        for algorithm, tuned in base.tuned.items():
            rows.append((split.fold, model.name, algorithm, tuned.auc, algorithm == base.algorithm))
            histories[f"{model.name}\n{algorithm}"] = tuned.history
    columns = ["fold", "model", "parameter", "value", "search_space"]
    return Bases(
        pd.DataFrame(out_of_fold),
        pd.DataFrame(test),
        pd.concat(chosen, ignore_index=True) if chosen else pd.DataFrame(columns=columns),
        pd.DataFrame(rows, columns=["fold", "model", "algorithm", "auc", "used"]),
        histories,
        tuple(m.name for m in models if m.algorithm != "cnn"),
    )


def _kept_scores(path: Path, split: Split) -> tuple[pd.Series, pd.Series]:
    kept = scores_room.read(path)
    kept = kept[kept["stage"] == "final"].set_index("patient_id")
    return (
        kept.loc[kept["role"] == "train_oof", "score"].loc[split.development],
        kept.loc[kept["role"] == "test", "score"].loc[split.test],
    )


def score_rows(
    bases: Bases,
    stack: StackScores,
    standing: pd.DataFrame,
    y: pd.Series,
    split: Split,
    *,
    outcome_label: str,
) -> pd.DataFrame:
    """Return one outer fold's scores as rows of the scores table.

    The CNN's are not among them: they stand in its own table.
    """
    parts = [stack.scores.assign(kind="probability")]
    for model in bases.fitted_here:
        for role, score in (("train_oof", bases.out_of_fold[model]), ("test", bases.test[model])):
            parts.append(_rows(score, model, "final", role).assign(kind="probability"))
    for name in standing.columns:
        for role, ids in (("train_oof", split.development), ("test", split.test)):
            score = standing.loc[ids, name].dropna()
            parts.append(_rows(score, name, "final", role).assign(kind="marker"))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(
        y_good=y.loc[table["patient_id"]].to_numpy(), fold=split.fold, outcome_label=outcome_label
    )
    return table[["patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome_label", "stage"]]
