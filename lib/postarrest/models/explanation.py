"""What drives a base model: the contributions of its predictors to each patient's log odds (TreeSHAP)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.pipeline import Pipeline

from postarrest.models.crossfit import CrossFit
from postarrest.models.tabular import BaseLearner, fit_base, predictors_of
from postarrest.models.tuning import Space

# The column of a model's mean prediction, which the contributions are added to.
BASELINE = "baseline"


@dataclass(frozen=True)
class Explained:
    """Base models explained in patients on whom they were not fitted.

    Parameters
    ----------
    contributions : pandas.DataFrame
        ``model, fold, patient_id, predictor, value, contribution``: one row per test patient and predictor;
        the contribution is in log odds of a good outcome. No rows without a LightGBM model.
    largest_gap : float
        The largest distance of baseline and contributions from the log odds of the prediction.
    """

    contributions: pd.DataFrame
    largest_gap: float


def contributions(fitted: Pipeline, x: pd.DataFrame) -> pd.DataFrame:
    """Return the contribution of each predictor to the predicted log odds of each patient.

    Parameters
    ----------
    fitted : Pipeline
        LightGBM fitted by :func:`postarrest.models.tabular.estimator`.
    x : pandas.DataFrame
        Predictors, indexed by patient.

    Returns
    -------
    pandas.DataFrame
        One column per predictor (the levels of a text column added up) and :data:`BASELINE`; each row adds
        up to the predicted log odds.

    Notes
    -----
    Shapley values along the paths of the trees (Lundberg et al., Nat Mach Intell 2020;2:56-67), by LightGBM's
    own ``pred_contrib``. They describe the model and not what causes the outcome: correlated predictors
    share their contribution in a way that depends on the trees.
    """
    columns, model = fitted["columns"], fitted["model"]
    found = model.predict(columns.transform(x), pred_contrib=True)
    sources: list[str] = []
    for name, transformer, used in columns.transformers_:
        if name == "numbers":
            sources += used
        elif len(used):
            levels = zip(used, transformer.categories_, strict=True)
            sources += [column for column, categories in levels for _ in categories]
    parts = pd.DataFrame(found, index=x.index, columns=[*sources, BASELINE])
    return parts.T.groupby(level=0, sort=False).sum().T[[*x.columns, BASELINE]]


def explain(
    models: Mapping[str, BaseLearner],
    cohort: pd.DataFrame,
    folds: Sequence[CrossFit],
    *,
    spaces: Mapping[str, Space],
) -> Explained:
    """Refit the LightGBM base models in each outer fold, and explain them in its test patients.

    Parameters
    ----------
    models : Mapping
        From :func:`postarrest.models.tabular.declared`. Models of other algorithms are left out.
    cohort : pandas.DataFrame
        Patients with their predictors.
    folds : sequence of CrossFit
        The outer folds; a search that was kept is not repeated.
    spaces : Mapping
        From :func:`postarrest.models.tabular.spaces`.
    """
    found, gaps = [], [0.0]
    for fold in folds:
        for name, model in models.items():
            if model.algorithm not in ("lightgbm", "select"):
                continue
            x = predictors_of(name, model, cohort)
            base = fit_base(name, model, x, fold, spaces=spaces)
            if base.algorithm != "lightgbm":
                continue
            parts = contributions(base.scores.refitted.estimator, x.loc[fold.split.test])
            gaps.append(float(np.abs(parts.sum(axis=1) - logit(base.scores.test)).max()))
            values = x.loc[parts.index].stack(future_stack=True).rename("value")
            long = parts[list(x.columns)].stack(future_stack=True).rename("contribution")
            both = pd.concat([values.astype(object), long], axis=1)
            both = both.rename_axis(["patient_id", "predictor"]).reset_index()
            found.append(both.assign(model=name, fold=fold.split.fold))
    columns = ["model", "fold", "patient_id", "predictor", "value", "contribution"]
    table = pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)
    return Explained(table.reset_index(drop=True), max(gaps))
