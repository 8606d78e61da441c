"""Patients scored by a frozen model: scores, decisions by each rule, and what to mind of each patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from postarrest.models import gwr, gwr_automatic
from postarrest.models.bundle.files import Bundle
from postarrest.models.bundle.updating import recalibrated
from postarrest.models.ohca import ohca_score
from postarrest.models.parts import Part

NO_CT = "no head CT"
NO_READINGS = "no readings of gray and white matter"
NO_AUTOMATIC = "the head CT shows too little to be read automatically"


@dataclass(frozen=True)
class Scored:
    """The scores of some patients.

    Parameters
    ----------
    scores : pandas.DataFrame
        One row per patient, one column per part; NaN where a part cannot score a patient.
    reasons : pandas.DataFrame
        Of the same form: why not; blank where there is a score.
    """

    scores: pd.DataFrame
    reasons: pd.DataFrame


def score(
    bundle: Bundle,
    patients: pd.DataFrame,
    *,
    ct: tuple[pd.Index, np.ndarray] | None = None,
    readings: pd.DataFrame | None = None,
    no_ct: pd.Series | None = None,
    automatic: pd.DataFrame | None = None,
) -> Scored:
    """Score patients by every part of a frozen model.

    A missing predictor is handled by the model as it was in training. A model that uses another's score needs
    that score.

    Parameters
    ----------
    bundle : Bundle
        The frozen model.
    patients : pandas.DataFrame
        Its columns (:attr:`Bundle.columns`), indexed by patient.
    ct : (pandas.Index, numpy.ndarray), optional
        Patients with a CT slice, and the slices, shape (n, 256, 256), uint8, window 40 / 80 HU.
    readings : pandas.DataFrame, optional
        The data contract's table ``gwr``.
    no_ct : pandas.Series, optional
        Why a patient has no slice, where there is more to say than that there is none.
    automatic : pandas.DataFrame, optional
        The same table as ``readings``, of the network that reads CT.
    """
    ids = patients.index
    numeric = [name for name, about in bundle.columns.items() if about["kind"] == "number"]
    x = patients[list(bundle.columns)].astype(dict.fromkeys(numeric, "float64"))
    why_no_ct = pd.Series(NO_CT, index=ids)
    if no_ct is not None:
        why_no_ct.update(no_ct)
    markers = pd.DataFrame(index=ids)
    if readings is not None and len(readings):
        markers = gwr.markers(gwr.measures(readings)).reindex(ids)
    if automatic is not None and len(automatic):
        read = gwr_automatic.markers(gwr_automatic.by_way(automatic)).reindex(ids)
        markers = markers.join(read)
    has_ct = ids.isin(ct[0] if ct is not None else [])
    scores, reasons = pd.DataFrame(index=ids), pd.DataFrame(index=ids)
    for part in bundle.parts:
        given = x[list(part.columns)].join(scores[list(part.scores)])
        why = pd.Series("", index=ids)
        for name in reversed(part.scores):
            why = why.mask(scores[name].isna(), reasons[name])
        found = pd.Series(np.nan, index=ids)
        if part.kind == "network":
            found, why = _of_network(part, found, ct), why_no_ct
        elif part.kind == "ohca_score":
            found, why = -ohca_score(given, **part.settings), _blank(given)
        elif part.kind == "gwr":
            found, why = markers.get(part.name, found), pd.Series(NO_READINGS, index=ids)
        elif part.kind == "gwr_automatic":
            found, why = markers.get(part.name, found), why_no_ct.mask(has_ct, NO_AUTOMATIC)
        elif part.kind == "same":
            found = given.iloc[:, 0]
        elif part.kind == "recalibrated":
            found = recalibrated(given.iloc[:, 0], **part.settings)
        elif (why == "").any():
            ready = given[why == ""]
            found = pd.Series(part.estimator.predict_proba(ready)[:, 1], index=ready.index).reindex(ids)
        scores[part.name] = found.to_numpy(float)
        reasons[part.name] = why.where(found.isna(), "").to_numpy()
    return Scored(scores, reasons)


def _of_network(part: Part, blank: pd.Series, ct: tuple[pd.Index, np.ndarray] | None) -> pd.Series:
    from postarrest.models.cnn import frozen

    if ct is None or not len(ct[0]):
        return blank
    model, arrays = part.estimator
    probability = frozen.probability(model, arrays, part.settings, ct[1])
    return pd.Series(probability, index=ct[0]).reindex(blank.index)


def _blank(given: pd.DataFrame) -> pd.Series:
    """Return which values a patient lacks, in words."""
    lacking = given.isna().apply(lambda row: ", ".join(given.columns[row]), axis=1)
    return ("no value of " + lacking.astype(str)).where(lacking != "", "")


def cut_offs(poor_below: float, good_from: float) -> dict[str, float | None]:
    """Return the two thresholds of a rule as a manifest holds them; one that the rule does not have is None.

    Where both could be met at once, the first decides.

    Parameters
    ----------
    poor_below : float
        A lower score is predicted poor; NaN: none is.
    good_from : float
        A score from here on is predicted good; NaN: none is.

    Examples
    --------
    >>> cut_offs(0.2, 0.1)
    {'poor_below': 0.2, 'good_from': 0.2}
    >>> cut_offs(float("nan"), 0.1)
    {'poor_below': None, 'good_from': 0.1}
    """
    if poor_below > good_from:
        good_from = poor_below
    found = {"poor_below": poor_below, "good_from": good_from}
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


def decisions(
    thresholds: Mapping[str, Mapping[str, Mapping[str, Any]]], scores: pd.DataFrame
) -> pd.DataFrame:
    """Return each rule's decision: ``good``, ``indeterminate`` or ``poor``; blank without a score.

    Parameters
    ----------
    thresholds : Mapping
        Model -> rule -> ``poor_below`` and ``good_from``, each a score or None.
    scores : pandas.DataFrame
        One column per model.

    Returns
    -------
    pandas.DataFrame
        Columns ``(model, rule)``.

    Examples
    --------
    >>> rules = {"ensemble": {"Spec-Max": {"poor_below": 0.1, "good_from": 0.6}}}
    >>> decisions(rules, pd.DataFrame({"ensemble": [0.05, 0.3, 0.6, None]})).squeeze().tolist()
    ['poor', 'indeterminate', 'good', '']
    """
    found = {}
    for model, rules in thresholds.items():
        score = scores[model].to_numpy(float)
        for rule, one in rules.items():
            poor = score < (-np.inf if one["poor_below"] is None else one["poor_below"])
            good = score >= (np.inf if one["good_from"] is None else one["good_from"])
            words = np.select([np.isnan(score), poor, good], ["", "poor", "good"], "indeterminate")
            found[model, rule] = pd.Series(words, index=scores.index)
    return pd.DataFrame(found, index=scores.index)


def flags(bundle: Bundle, patients: pd.DataFrame, *, doubts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what to mind when a frozen model is applied to a patient: values unlike those of its training.

    Parameters
    ----------
    bundle : Bundle
        The frozen model.
    patients : pandas.DataFrame
        Its columns, and others that describe the patient, indexed by patient.
    doubts : pandas.DataFrame, optional
        ``patient_id, reason``: why an automatic reading is doubted.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, reason``: a predictor that is missing, outside the range of the training patients, or a
        category that none of them had. The reason names the variable, not the patient's value.
    """
    found = []
    for name, about in bundle.manifest["population"]["variables"].items():
        if name not in patients:
            continue
        values, reasons = patients[name], {}
        if name in bundle.columns:
            reasons[f"{name} is missing"] = values.isna()
        if about["kind"] == "number" and about["low"] is not None:
            low, high = about["low"], about["high"]
            outside = values.notna() & ~values.astype(float).between(low, high)
            reasons[f"{name} is outside {low:g} to {high:g}"] = outside
        elif about["kind"] == "category" and not pd.api.types.is_numeric_dtype(values):
            # Rare texts were counted together: one that is not listed may be among them.
            new = values.notna() & ~values.isin(about["levels"]) & ("other texts" not in about["levels"])
            reasons[f"{name} is of a category that no training patient had"] = new
        found += [(patient, reason) for reason, who in reasons.items() for patient in patients.index[who]]
    if doubts is not None and "gwr_automatic" in bundle.kinds:
        found += zip(doubts["patient_id"], "automatic reading: " + doubts["reason"], strict=True)
    return pd.DataFrame(found, columns=["patient_id", "reason"])
