"""A frozen model updated in other patients: its stack refitted there, and the part that an update adds."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from postarrest.models.bundle.files import Bundle
from postarrest.models.parts import Part
from postarrest.models.stacking import linear

ENDING = "_updated"


def bases(bundle: Bundle, model: str) -> list[str]:
    """Return the models whose scores a model is made from; none where it is made from patients' values only.

    Parameters
    ----------
    bundle : Bundle
        The frozen model.
    model : str
        One of its models.
    """
    parts = {part.name: part for part in bundle.parts}
    found: list[str] = []
    waiting = list(parts[model].scores)
    while waiting:
        name = waiting.pop(0)
        if name in bundle.manifest["models"]:
            found.append(name)
        else:
            waiting += parts[name].scores
    return list(dict.fromkeys(found))


def refitted(
    probabilities: pd.DataFrame, y_good: pd.Series, *, folds: int = 10, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return each patient's probability by the logistic stack, fitted here on the other patients.

    Parameters
    ----------
    probabilities : pandas.DataFrame
        Of the base models, one column each.
    y_good : pandas.Series of 0 and 1
        Outcome of the same patients.
    folds : int
        Folds, stratified by outcome; fewer where an outcome has fewer patients.
    seed : int
        Seed of the folds.

    Returns
    -------
    dict
        ``revision``: the probabilities; nothing where there are no base models.

    Examples
    --------
    >>> y = pd.Series([0, 1] * 20)
    >>> refitted(pd.DataFrame({"ct": 0.3 + 0.2 * y}), y)["revision"].round(1)[:2].tolist()
    [0.2, 0.8]
    """
    if not len(probabilities.columns):
        return {}
    splitter = StratifiedKFold(min(folds, int(y_good.value_counts().min())), shuffle=True, random_state=seed)
    predicted = cross_val_predict(linear(), probabilities, y_good, cv=splitter, method="predict_proba")
    return {"revision": predicted[:, 1]}


def part_of(update: dict[str, Any], model: str) -> Part:
    """Return the part that recalibrates a model: log odds become ``intercept + slope * log odds``.

    Parameters
    ----------
    update : dict
        ``intercept``, ``slope`` and ``edge``: probabilities closer to 0 or 1 are moved there first.
    model : str
        The model.
    """
    settings = {name: float(update[name]) for name in ("intercept", "slope", "edge")}
    return Part(model + ENDING, (), (model,), kind="recalibrated", settings=settings)


def recalibrated(probability: pd.Series, *, intercept: float, slope: float, edge: float) -> pd.Series:
    """Return recalibrated probabilities.

    Examples
    --------
    >>> recalibrated(pd.Series([0.5, 0.9]), intercept=0.0, slope=0.5, edge=0.01).round(2).tolist()
    [0.5, 0.75]
    """
    bounded = probability.clip(edge, 1 - edge)
    return 1 / (1 + np.exp(-intercept) * ((1 - bounded) / bounded) ** slope)
