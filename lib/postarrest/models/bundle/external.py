"""A frozen model in other patients than its own: the two populations side by side, and rows of scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest import scores
from postarrest.describe import hide_small_counts
from postarrest.models.bundle.about import population
from postarrest.models.bundle.files import BundleError, read_manifest
from postarrest.models.bundle.membership import membership, moments
from postarrest.models.bundle.scoring import Scored, decisions

_BEFORE = "_before_platt"


def thresholds_of(folder: str) -> pd.DataFrame:
    """Return the thresholds that were chosen where a model was fitted: ``model, rule, threshold, note``.

    Parameters
    ----------
    folder : str
        Of a frozen model; blank for none.
    """
    columns = ["model", "rule", "threshold", "note"]
    if not folder:
        return pd.DataFrame(columns=columns)
    rows = [
        (model, rule, np.nan if one["poor_below"] is None else one["poor_below"], one["note"])
        for model, rules in read_manifest(Path(folder))["thresholds"].items()
        for rule, one in rules.items()
        if one["chosen_on"] != "fixed"
    ]
    return pd.DataFrame(rows, columns=columns)


def rows(
    scored: Scored, manifest: Mapping[str, Any], y_good: pd.Series, *, outcome_label: str
) -> pd.DataFrame:
    """Return a frozen model's scores as rows of the scores table; all are test rows of one fold.

    Raises
    ------
    BundleError
        If the main model could score nobody.
    """
    main = manifest["main"]
    if scored.scores[main].isna().all():
        raise BundleError(f"the main model, {main}, could score nobody: {scored.reasons[main].mode()[0]}.")
    found = []
    for model in manifest["models"]:
        for name, stage in ((model, "final"), (model + _BEFORE, "before_platt")):
            if name in scored.scores:
                score = scored.scores[name].dropna().rename("score").rename_axis("patient_id").reset_index()
                kind = manifest["out_of_fold"][model]["kind"]
                found.append(score.assign(model=model, stage=stage, kind=kind, role="test", fold=1))
    table = pd.concat(found, ignore_index=True).assign(outcome_label=outcome_label)
    return table.assign(y_good=table["patient_id"].map(y_good))[list(scores.COLUMNS)]


def not_scored(scored: Scored, manifest: Mapping[str, Any], *, mask_below: int = 0) -> pd.DataFrame:
    """Count the patients whom each model scores, and why others have no score: ``model, n, reason``."""
    found = []
    for model in manifest["models"]:
        reasons = scored.reasons[model]
        counts = reasons.where(reasons != "", "scored").value_counts()
        shown = hide_small_counts(counts, below=mask_below)
        found += [(model, why, n) for why, n in zip(counts.index, shown, strict=True)]
    return pd.DataFrame(found, columns=["model", "reason", "n"])


def decided(
    scored: Scored, manifest: Mapping[str, Any], y_good: pd.Series, *, mask_below: int = 0
) -> pd.DataFrame:
    """Count the main model's decisions by rule and outcome.

    Returns
    -------
    pandas.DataFrame
        ``rule, decision, n, n_good, n_poor``, the numbers as text.
    """
    main = manifest["main"]
    table = decisions({main: manifest["thresholds"][main]}, scored.scores)[main]
    found = []
    for rule in table:
        counts = pd.crosstab(table[rule], y_good.to_numpy()).reindex(columns=[1, 0], fill_value=0)
        counts = counts.reindex(["good", "indeterminate", "poor"], fill_value=0)
        every = np.column_stack([counts.sum(axis=1), counts])
        shown = hide_small_counts(every, below=mask_below)
        found += [(rule, word, *row) for word, row in zip(counts.index, shown, strict=True)]
    return pd.DataFrame(found, columns=["rule", "decision", "n", "n_good", "n_poor"])


def beside(
    manifest: Mapping[str, Any], cohort: pd.DataFrame, y_good: pd.Series, *, mask_below: int = 0
) -> pd.DataFrame:
    """Describe the patients that a model was fitted on, and others, side by side.

    Parameters
    ----------
    manifest : Mapping
        Of the frozen model; it has aggregates only.
    cohort : pandas.DataFrame
        The other patients.
    y_good : pandas.Series of 0 and 1
        Their outcome.
    mask_below : int
        Small counts of theirs are hidden, as in :func:`population`.

    Returns
    -------
    pandas.DataFrame
        ``variable, level, frozen, here`` (as text), ``frozen_missing, here_missing`` (%) and
        ``standardised_difference`` (here minus there).

    Examples
    --------
    >>> there, y = pd.DataFrame({"age_years": [50.0, 60.0, 70.0, 80.0]}), pd.Series([1, 0, 0, 0])
    >>> frozen = {"population": population(there, y, variables=["age_years"], mask_below=0)}
    >>> t = beside(frozen, there + 10, pd.Series([1, 0, 0, 1]))
    >>> t[["variable", "here", "standardised_difference"]].round(2).to_numpy().tolist()
    [['Patients', '4', nan], ['Good outcome', '50.0 %', 0.53], ['Age, years', '75.0 (67.5 to 82.5)', 0.77]]
    """
    there = manifest["population"]
    here = population(
        cohort,
        y_good,
        variables=[name for name in there["variables"] if name in cohort],
        mask_below=mask_below,
    )
    share = [one["n_good"] / one["n"] for one in (there, here)]
    blank = {"level": "", "frozen_missing": np.nan, "here_missing": np.nan, "standardised_difference": np.nan}
    found = [
        {"variable": "Patients", "frozen": str(there["n"]), "here": str(here["n"])},
        {"variable": "Good outcome", **_shares(*share)},
    ]
    for name, mine in here["variables"].items():
        other = there["variables"][name]
        missing = {"frozen_missing": _percent(other["missing"]), "here_missing": _percent(mine["missing"])}
        first = {"variable": mine["label"]} | missing
        if mine["kind"] != other["kind"]:
            # All values of one are 0 or 1, so that they cannot be compared as they are described.
            continue
        if mine["kind"] == "number":
            found.append(first | _numbers(other, mine))
            continue
        levels = dict.fromkeys([*other["levels"], *mine["levels"]])
        for level in [one for one in levels if one != "no"]:
            shares = _shares(*(one["levels"].get(level, 0.0) for one in (other, mine)))
            found.append({"variable": mine["label"], "level": level} | shares | first)
            first = {}
    order = dict.fromkeys(["variable", "level", "frozen", "here", *blank])
    return pd.DataFrame([blank | row for row in found])[list(order)]


def apart(manifest: Mapping[str, Any], cohort: pd.DataFrame, *, mask_below: int = 0) -> dict[str, Any]:
    """Return how well a membership model tells these patients from those that a model was fitted on.

    Returns
    -------
    dict
        ``membership`` (its AUC, an `Estimate`; not defined if the model kept no means and covariances),
        ``n_compared`` and ``compared`` (variables, in number and in words).
    """
    # Models that were frozen before they kept moments can be compared with nobody.
    there = manifest["population"].get("moments", {"names": [], "mean": [], "covariance": []})
    variables = [name for name in there["names"] if name in cohort]
    here = moments(cohort, variables=variables, mask_below=mask_below)
    sizes = {"n_there": manifest["population"]["n"], "n_here": len(cohort)}
    auc, n = membership(there, here, **sizes)
    labels = [manifest["population"]["variables"][name]["label"] for name in here["names"]]
    return {"membership": auc, "n_compared": n, "compared": "; ".join(labels) or "none"}


def _percent(share: float | None) -> float:
    return np.nan if share is None else 100 * share


def _numbers(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    if there["mean"] is None or here["mean"] is None:
        return dict.fromkeys(("frozen", "here"), "")
    sd = np.sqrt((there["sd"] ** 2 + here["sd"] ** 2) / 2)
    words = [f"{one['median']:.1f} ({one['q1']:.1f} to {one['q3']:.1f})" for one in (there, here)]
    difference = (here["mean"] - there["mean"]) / sd if sd > 0 else np.nan
    return {"frozen": words[0], "here": words[1], "standardised_difference": difference}


def _shares(there: float | None, here: float | None) -> dict[str, Any]:
    if there is None or here is None:
        return {"frozen": "" if there is None else f"{100 * there:.1f} %", "here": ""}
    sd = np.sqrt((there * (1 - there) + here * (1 - here)) / 2)
    difference = (here - there) / sd if sd > 0 else np.nan
    words = {"frozen": f"{100 * there:.1f} %", "here": f"{100 * here:.1f} %"}
    return words | {"standardised_difference": difference}
