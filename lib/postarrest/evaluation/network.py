"""What a hospital of a network shares: aggregates only.

A summary (:class:`postarrest.evaluation.shared.Summary`) holds counts and sums of each hospital and model,
over at least ``suppressed_below`` patients of either outcome, and no patient's row or identifier.
:mod:`postarrest.evaluation.pooling` says what follows exactly from it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from postarrest.describe import hide_small_counts
from postarrest.describe.sites import FEWEST
from postarrest.evaluation import calibration, sites
from postarrest.evaluation.shared import BOUND, EDGES

FORMAT, VERSION = "postarrest site summary", 1
BELOW = 5


def summarise(
    rows: pd.DataFrame,
    decisions: pd.DataFrame,
    *,
    model: str,
    outcome: str,
    below: int = BELOW,
    fewest: int = FEWEST,
) -> dict[str, Any]:
    """Return the summary of a study's hospitals, of plain values.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`postarrest.scores.main` with a column ``site``.
    decisions : pandas.DataFrame
        From :func:`postarrest.evaluation.sites.at_thresholds`.
    model, outcome : str
        As in :class:`postarrest.evaluation.shared.Summary`.
    below : int
        Counts from 1 to below this are hidden.
    fewest : int
        A hospital with fewer patients of either outcome shares its counts only; at least ``below``.
    """
    fewest = max(fewest, below)
    found = []
    for site, here in rows.groupby("site"):
        records = sites.records(here, fewest=fewest).set_index("model")
        patients = here.drop_duplicates("patient_id")["y_good"]
        counts = np.array([patients.sum(), (patients == 0).sum()])
        good, poor = _plain(hide_small_counts(counts, below=below))
        (n,) = _plain(hide_small_counts([counts.sum()], below=below))
        shared = {
            str(name): _of_model(mine, records.loc[name], decisions[decisions["site"] == site], below)
            for name, mine in here.groupby("model", sort=False)
            if not records.loc[name, "note"]
        }
        note = "" if shared else str(records["note"].iloc[0])
        about = {"n": n, "good": good, "poor": poor, "note": note}
        found.append({"site": str(site), "models": shared} | about)
    head = {"format": FORMAT, "version": VERSION, "model": model, "outcome": outcome}
    return head | {"suppressed_below": below, "sites": found}


def _of_model(rows: pd.DataFrame, record: pd.Series, decisions: pd.DataFrame, below: int) -> dict[str, Any]:
    kind, y, p = rows["kind"].iloc[0], rows["y_good"].to_numpy(int), rows["score"].to_numpy(float)
    mine = decisions[decisions["model"] == rows["model"].iloc[0]]
    cells = {"tp", "fp", "fn", "tn"}
    shown = [
        {c: one[c] for c in ("rule", "chosen_on", "threshold")}
        | dict(zip(("tp", "fn"), _plain(hide_small_counts([one["tp"], one["fn"]], below=below)), strict=True))
        | dict(zip(("fp", "tn"), _plain(hide_small_counts([one["fp"], one["tn"]], below=below)), strict=True))
        for one in mine[["rule", "chosen_on", "threshold", *sorted(cells)]].to_dict("records")
    ]
    values = {c: None if pd.isna(record[c]) else float(record[c]) for c in sites.RECORD}
    values |= {c: int(record[c]) for c in ("n", "n_good")}
    is_probability = kind == "probability"
    sums, bins = (_sums(y, p), _bins(y, p, below)) if is_probability else (None, [])
    return {"kind": kind, "record": values, "sums": sums, "bins": bins, "decisions": shown}


def _sums(y: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    bounded = np.clip(p, BOUND, 1 - BOUND)
    x, weight, residual = logit(bounded), p * (1 - p), y - p
    own, _ = calibration.log_odds(p)
    fit: list[float] = []
    information: list[float] = []
    if not calibration.why_no_slope(y, own):
        fitted = calibration.fit_logistic(y, [np.ones_like(own), own])
        at = fitted.fittedvalues * (1 - fitted.fittedvalues)
        fit = [float(value) for value in fitted.params]
        information = [float((at * own**power).sum()) for power in range(3)]
    return {
        "squared_error": float((residual**2).sum()),
        "log_loss": float(-np.where(y == 1, np.log(bounded), np.log1p(-bounded)).sum()),
        "residual": float(residual.sum()),
        "residual_x": float((residual * x).sum()),
        "weight": float(weight.sum()),
        "weight_x": float((weight * x).sum()),
        "weight_xx": float((weight * x * x).sum()),
        "fit": fit,
        "fit_information": information,
    }


def _bins(y: np.ndarray, p: np.ndarray, below: int) -> list[dict[str, Any]]:
    """Count the patients of each bin; a bin with a small count is hidden as a whole."""
    at = np.clip(np.searchsorted(EDGES, p, side="right") - 1, 0, len(EDGES) - 2)
    counts = np.array([[(y[at == b] == outcome).sum() for outcome in (1, 0)] for b in range(len(EDGES) - 1)])
    texts = hide_small_counts(counts, below=below)
    hidden = ~np.char.isdigit(texts.astype(str)).all(axis=1)
    # The hidden bins together are known by subtraction, so they too must not be a small count.
    while hidden.any() and ((counts[hidden].sum(axis=0) > 0) & (counts[hidden].sum(axis=0) < below)).any():
        rest = np.flatnonzero(~hidden & (counts.sum(axis=1) > 0))
        if not len(rest):
            break
        hidden[rest[np.argmin(counts[rest].sum(axis=1))]] = True
    return [
        {"good": "hidden", "poor": "hidden", "expected": None}
        if hidden[b]
        else {"good": int(counts[b, 0]), "poor": int(counts[b, 1]), "expected": float(p[at == b].sum())}
        for b in range(len(counts))
    ]


def _plain(texts: Sequence[str]) -> list[int | str]:
    return [int(text) if str(text).isdigit() else str(text) for text in texts]
