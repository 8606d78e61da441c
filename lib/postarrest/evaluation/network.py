"""What a hospital of a network shares: aggregates only.

A summary (:class:`Summary`) holds counts and sums of each hospital and model, over at least
``suppressed_below`` patients of either outcome, and no patient's row or identifier.
:mod:`postarrest.evaluation.pooling` says what follows exactly from it.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from scipy.special import logit

from postarrest.describe import hide_small_counts
from postarrest.describe.sites import FEWEST
from postarrest.evaluation import calibration, sites
from postarrest.settings import Settings

FORMAT, VERSION = "postarrest site summary", 1
BELOW = 5
EDGES = tuple(i / 10 for i in range(11))
# Probabilities of 0 and 1 in the sums: a fixed bound, so that sums of hospitals are those of all patients.
_BOUND = 1e-6

_Whole = Annotated[int, Field(ge=0)]
_Count = _Whole | Annotated[str, Field(pattern=r"^(<\d+|hidden)$")]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Record(Settings):
    """What :func:`postarrest.evaluation.sites.measure` returns; None where undefined."""

    n: _Whole
    n_good: _Whole
    auc: Annotated[float, Field(ge=0, le=1)]
    auc_variance: Annotated[float, Field(ge=0)]
    expected: _Number | None
    intercept: _Number | None
    intercept_se: _Number | None
    slope: _Number | None
    slope_se: _Number | None


class Sums(Settings):
    """Sums over a hospital's patients of outcome y, probability p and log odds x.

    Parameters
    ----------
    squared_error, log_loss : float
        Of y from p.
    residual, residual_x : float
        Of y - p, and of (y - p) x: the score of intercept and slope where nothing needs correction.
    weight, weight_x, weight_xx : float
        Of p (1 - p), times x, times its square: the information there.
    fit, fit_information : list of float
        Intercept and slope of the hospital's own logistic recalibration, and the three numbers of its
        information; empty without a slope.
    """

    squared_error: Annotated[float, Field(ge=0)]
    log_loss: Annotated[float, Field(ge=0)]
    residual: _Number
    residual_x: _Number
    weight: Annotated[float, Field(ge=0)]
    weight_x: _Number
    weight_xx: Annotated[float, Field(ge=0)]
    fit: list[_Number]
    fit_information: list[_Number]


class Bin(Settings):
    """Patients whose probability lies between two of :data:`EDGES`, and the sum of their probabilities."""

    good: _Count
    poor: _Count
    expected: Annotated[float, Field(ge=0)] | None


class Decision(Settings):
    """Decisions at one threshold."""

    rule: str
    chosen_on: str
    threshold: _Number
    tp: _Count
    fp: _Count
    fn: _Count
    tn: _Count


class Model(Settings):
    """One model in one hospital; a marker has no sums and no bins."""

    kind: Literal["probability", "marker"]
    record: Record
    sums: Sums | None
    bins: list[Bin]
    decisions: list[Decision]


class Site(Settings):
    """One hospital; without models where it has too few patients of an outcome."""

    site: str
    n: _Count
    good: _Count
    poor: _Count
    note: str
    models: dict[str, Model]

    @model_validator(mode="after")
    def _consistent(self) -> "Site":
        for name, model in self.models.items():
            record = model.record
            if record.n_good > record.n or not isinstance(self.n, int) or record.n > self.n:
                raise ValueError(f"{name} has more patients than the hospital, or more good outcomes than n.")
            for one in model.decisions:
                both = ((one.tp, one.fn), record.n_good), ((one.fp, one.tn), record.n - record.n_good)
                if any(all(isinstance(c, int) for c in cells) and sum(cells) != n for cells, n in both):
                    raise ValueError(f"{name}'s decisions at {one.rule} do not add up to its patients.")
        return self


class Summary(Settings):
    """What one hospital, or a study of several, shares.

    Parameters
    ----------
    format, version : str, int
        :data:`FORMAT` and :data:`VERSION`.
    model : str
        Which model or procedure gave the scores; only summaries of one can be pooled.
    outcome : str
        The good outcome in words.
    suppressed_below : int
        Counts from 1 to below this are hidden, with others that would give them away.
    sites : list of Site
        The hospitals.
    """

    format: str
    version: int
    model: str
    outcome: str
    suppressed_below: _Whole
    sites: list[Site]


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
        As in :class:`Summary`.
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
    bounded = np.clip(p, _BOUND, 1 - _BOUND)
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
