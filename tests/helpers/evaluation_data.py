"""Data for tests of the evaluation, made by arithmetic that R and Python do alike."""

import numpy as np
import pandas as pd


def golden_case(n: int, share: int, digits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome and two scores. In R:

    data <- function(n, share, digits) {
      i <- seq_len(n)
      y <- as.integer((i * 7919) %% 100 < share)
      u <- function(k) ((i * k) %% 1009) / 1009
      a <- round(0.55 * u(7907) + 0.25 * u(104729) + 0.20 * y, digits)
      b <- round(0.60 * u(6101) + 0.30 * u(15485) + 0.10 * y, digits)
      list(y = y, a = a, b = b)
    }
    """
    i = np.arange(1, n + 1)
    y = ((i * 7919) % 100 < share).astype(int)

    def u(k):
        return (i * k) % 1009 / 1009

    a = np.round(0.55 * u(7907) + 0.25 * u(104729) + 0.20 * y, digits)
    b = np.round(0.60 * u(6101) + 0.30 * u(15485) + 0.10 * y, digits)
    return y, a, b


def holdout_scores(splits: int = 1) -> pd.DataFrame:
    """A hold-out study: a marker of 321 patients and a model of their hold-out, under two outcome labels."""
    y, a, b = golden_case(321, 21, 6)
    ids = np.array([f"H{i:03d}" for i in range(321)])
    standard = y.copy()
    standard[np.flatnonzero(y)[:5]] = 0
    parts = []
    for outcome, label in (("revised", y), ("standard", standard)):
        for split in range(1, splits + 1):
            drawn = np.random.default_rng(split).permutation(321)
            test, tune = np.isin(np.arange(321), drawn[:64]), np.isin(np.arange(321), drawn[64:115])
            rows = (
                ("gwr_av", "marker", 1.0 + 0.5 * a, test, ~test),
                ("cnn", "probability", b, test, tune),
            )
            for model, kind, score, tested, trained in rows:
                for role, here in (("train_oof", trained), ("test", tested)):
                    parts.append(_rows(ids, label, score, here, model, kind, role, split, outcome=outcome))
    return pd.concat(parts, ignore_index=True)


def nested_scores(n: int = 300) -> pd.DataFrame:
    """A cross-validation of five folds with two models, one of them before and after Platt scaling."""
    y, a, b = golden_case(n, 20, 6)
    ids = np.array([f"N{i:03d}" for i in range(n)])
    order = np.argsort(y, kind="stable")
    fold_of = np.empty(n, int)
    fold_of[order] = np.arange(n) % 5 + 1
    parts = []
    for fold in range(1, 6):
        for role, here in (("train_oof", fold_of != fold), ("test", fold_of == fold)):
            parts += [
                _rows(ids, y, a, here, "ensemble", "probability", role, fold),
                _rows(ids, y, a**2, here, "ensemble", "probability", role, fold, stage="before_platt"),
                _rows(ids, y, b, here, "ct", "probability", role, fold),
            ]
    return pd.concat(parts, ignore_index=True)


def _rows(ids, y, score, here, model, kind, role, fold, *, outcome="standard", stage="final"):
    return pd.DataFrame(
        {
            "patient_id": ids[here],
            "y_good": y[here],
            "model": model,
            "kind": kind,
            "role": role,
            "fold": fold,
            "score": score[here],
            "outcome_label": outcome,
            "stage": stage,
        }
    )
