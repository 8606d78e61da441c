"""Tables that describe a cohort: flow, characteristics by outcome, missing values, GWR by outcome.

Every function takes patients and returns aggregates. Counts from 1 to below ``mask_below`` are not shown, nor
the counts from which they could be worked out.
"""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from postarrest.data import contract
from postarrest.data.contract import LEVELS, NAMES
from postarrest.describe.fisher import fisher_exact
from postarrest.describe.masking import HIDDEN, hide_small, reasons_together

_GROUPS = ["overall", "good", "poor"]
# Royston's approximation to the Shapiro-Wilk test holds from 3 to 5,000 values.
_SHAPIRO_FROM, _SHAPIRO_TO = 3, 5000


def flow(selected: pd.DataFrame, y_good: pd.Series, *, mask_below: int = 0) -> pd.DataFrame:
    """Return the participant flow: the record of `cohort.select`, with the outcomes of those included.

    Parameters
    ----------
    selected : pandas.DataFrame
        ``step, reason, n`` from `cohort.select`.
    y_good : pandas.Series of 0 and 1
        Outcome of the included patients.
    mask_below : int
        Reasons of fewer patients than this stand together as one; 0 leaves all.

    Returns
    -------
    pandas.DataFrame
        ``step, reason, n, n_left``: ``n`` patients at a step (screened, excluded, kept although the data name
        a reason, included, good outcome, poor outcome), and how many are left after it.

    Examples
    --------
    >>> selected = pd.DataFrame(
    ...     [("screened", "", 9), ("excluded", "stroke", 4), ("excluded", "trauma", 1), ("included", "", 4)],
    ...     columns=["step", "reason", "n"],
    ... )
    >>> flow(selected, pd.Series([1, 0, 0, 0]))
               step  reason  n  n_left
    0      screened          9       9
    1      excluded  stroke  4       5
    2      excluded  trauma  1       4
    3      included          4       4
    4  good outcome          1       1
    5  poor outcome          3       3
    """
    steps = ["screened", "excluded", "kept", "included"]
    parts = [reasons_together(selected[selected["step"] == step], below=mask_below) for step in steps]
    made = pd.concat(parts, ignore_index=True)
    made["n_left"] = made["n"].iloc[0] - made["n"].where(made["step"] == "excluded", 0).cumsum()
    good = int((y_good == 1).sum())
    outcomes = [
        ("good outcome", "", good, good),
        ("poor outcome", "", len(y_good) - good, len(y_good) - good),
    ]
    return pd.concat([made, pd.DataFrame(outcomes, columns=made.columns)], ignore_index=True)


def table1(
    cohort: pd.DataFrame,
    y_good: pd.Series,
    *,
    variables: Sequence[str],
    names: Mapping[str, str] = NAMES,
    mask_below: int = 0,
) -> pd.DataFrame:
    """Return the characteristics of the patients by outcome.

    Numbers are given as median (lower to upper quartile) and compared by the Mann-Whitney U test; codes as n
    (% of the patients in whom it is known) and compared by Fisher's exact test over all levels. A column of 0
    and 1 is shown by its level "yes".

    Parameters
    ----------
    cohort : pandas.DataFrame
        Patients in rows.
    y_good : pandas.Series of 0 and 1
        Outcome, with the index of ``cohort``.
    variables : sequence of str
        Columns of ``cohort``, in the order of the table; ``eeg24h_*`` stands for all that begin so.
    names : Mapping
        What the table calls them.
    mask_below : int
        Counts from 1 to below this are not shown; 0 shows all.

    Returns
    -------
    pandas.DataFrame
        ``variable, level, overall, good, poor, missing, test, p, shapiro_p``. What holds for a whole variable
        (``missing`` patients, its test) stands in its first row. ``shapiro_p`` is the smaller of both
        outcomes' Shapiro-Wilk p-values (not defined beyond 5,000 patients).

    Raises
    ------
    ValueError
        If a variable is no column, or if all patients have the same outcome.

    Examples
    --------
    >>> cohort = pd.DataFrame({"age_years": [61, 70, 55, 80], "witnessed": [1, 0, 1, None]})
    >>> t = table1(cohort, pd.Series([1, 0, 1, 0]), variables=["age_years", "witnessed"])
    >>> t[["variable", "level", "good", "missing"]]
               variable level               good missing
    0          Patients                        2       0
    1        Age, years        58 (56.5 to 59.5)       0
    2  Witnessed arrest   yes        2 (100.0 %)       1
    """
    variables = _columns(cohort, variables)
    good = _outcome(cohort, y_good)
    sizes = (f"{n}" for n in _counts(np.ones_like(good), good))
    rows = [{"variable": "Patients"} | dict(zip(_GROUPS, sizes, strict=True)) | {"missing": "0"}]
    for column in variables:
        describe = _number_rows if _kind(cohort[column]) == "number" else _code_rows
        described = describe(cohort[column], good, below=mask_below)
        rows += [{"variable": names.get(column, column)} | row for row in described]
    blank = {"level": "", "missing": "", "test": "", "p": math.nan, "shapiro_p": math.nan}
    columns = ["variable", "level", *_GROUPS, "missing", "test", "p", "shapiro_p"]
    return pd.DataFrame([blank | row for row in rows], columns=columns)


def missingness(
    cohort: pd.DataFrame,
    y_good: pd.Series,
    *,
    variables: Sequence[str],
    names: Mapping[str, str] = NAMES,
    mask_below: int = 0,
) -> pd.DataFrame:
    """Return how often each variable is missing, by outcome.

    Variables that are missing in just the same patients (all findings of one recording, say) share a row, and
    so do those that nobody lacks.

    Parameters
    ----------
    cohort, y_good, variables, names, mask_below
        As for :func:`table1`.

    Returns
    -------
    pandas.DataFrame
        ``variable, n_variables``, then for ``overall``, ``good`` and ``poor`` the patients without a value
        (``<group>``, as text) and their percentage (``<group>_pct``; NaN where the count is not shown), and
        ``p`` of Fisher's exact test between the outcomes. Most often missing first.

    Raises
    ------
    ValueError
        As for :func:`table1`.

    Examples
    --------
    >>> cohort = pd.DataFrame({"a": [1, None, 3, 4], "b": [None, None, 1, 1], "c": [None, None, 2, 2]})
    >>> t = missingness(cohort, pd.Series([1, 0, 1, 0]), variables=["a", "b", "c"])
    >>> t[["variable", "n_variables", "overall", "overall_pct", "poor_pct"]]
         variable  n_variables overall  overall_pct  poor_pct
    0  b and c              2       2         50.0      50.0
    1        a              1       1         25.0      50.0
    """
    variables = _columns(cohort, variables)
    good = _outcome(cohort, y_good)
    alike: dict[bytes, list[str]] = {}
    for column in variables:
        alike.setdefault(cohort[column].isna().to_numpy().tobytes(), []).append(names.get(column, column))
    rows = []
    for pattern, columns in alike.items():
        lost = np.frombuffer(pattern, dtype=bool)
        counts = _counts(lost, good)
        shown = hide_small(counts[None, :], [[f"{n}" for n in counts]], below=mask_below)[0]
        percent = 100 * counts / [len(good), good.sum(), (~good).sum()]
        p, _ = fisher_exact([[n, m] for n, m in zip(counts[1:], _counts(~lost, good)[1:], strict=True)])
        rows.append(
            {"variable": _joined(columns, complete=not lost.any()), "n_variables": len(columns)}
            | dict(zip(_GROUPS, shown, strict=True))
            | {
                f"{g}_pct": v if s.isdigit() else math.nan
                for g, v, s in zip(_GROUPS, percent, shown, strict=True)
            }
            | {"p": p, "_order": -counts[0]}
        )
    table = pd.DataFrame(rows).sort_values("_order", kind="stable", ignore_index=True)
    return table.drop(columns="_order")


def gwr_values(
    values: pd.DataFrame, y_good: pd.Series, *, cut_off: float, mask_below: int = 0
) -> pd.DataFrame:
    """Return regional HU and the ratios by outcome (paper A's Table 2).

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures` or `gwr.ratios`; the mean of the readings is described.
    y_good : pandas.Series of 0 and 1
        Outcome by ``patient_id``, of every patient in ``values``.
    cut_off : float
        A ratio below it predicts a poor outcome.
    mask_below : int
        As for :func:`table1`.

    Returns
    -------
    pandas.DataFrame
        ``measure, unit, n, n_missing``; median (quartiles) ``overall, good, poor``; ``test, p, shapiro_p``;
        means and standard deviations ``good_mean, good_sd, poor_mean, poor_sd``; and for ratios the patients
        below the cut-off ``n_below_cutoff, good_below_cutoff, poor_below_cutoff`` (text; blank for regions).

    Raises
    ------
    ValueError
        If all patients have the same outcome.
    """
    means = values.xs("mean", axis=1, level="reading")
    good = _outcome(means, y_good.reindex(means.index))
    rows = []
    for measure in means.columns:
        x, ratio = means[measure].to_numpy(), measure.startswith("GWR-")
        described = _number_rows(means[measure], good, below=mask_below, digits=3 if ratio else 1)[0]
        below_counts = _counts(x < cut_off, good)
        below = hide_small(below_counts[None, :], [[f"{n}" for n in below_counts]], below=mask_below)[0]
        rows.append(
            {"measure": measure, "unit": "ratio" if ratio else "HU", "n": int(np.isfinite(x).sum())}
            | {"n_missing": described.pop("missing")}
            | described
            | _mean_and_sd("good", x[good], below=mask_below)
            | _mean_and_sd("poor", x[~good], below=mask_below)
            | dict(
                zip(
                    ("n_below_cutoff", "good_below_cutoff", "poor_below_cutoff"),
                    below if ratio else ["", "", ""],
                    strict=True,
                )
            )
        )
    return pd.DataFrame(rows)


def _mean_and_sd(name: str, values: np.ndarray, *, below: int) -> dict[str, float]:
    known = values[np.isfinite(values)]
    shown = len(known) >= max(below, 2)
    return {
        f"{name}_mean": known.mean() if shown else np.nan,
        f"{name}_sd": known.std(ddof=1) if shown else np.nan,
    }


def _columns(cohort: pd.DataFrame, variables: Sequence[str]) -> list[str]:
    """Return the columns that names and patterns stand for, each once."""
    # A name with brackets in it fits no pattern, not even itself.
    found = {v: [c for c in cohort.columns if fnmatchcase(c, v)] or [v] * (v in cohort) for v in variables}
    absent = [v for v, columns in found.items() if not columns]
    if absent:
        raise ValueError(f"Not among the patients' columns: {', '.join(absent)}.")
    return list(dict.fromkeys(c for columns in found.values() for c in columns))


def _outcome(cohort: pd.DataFrame, y_good: pd.Series) -> np.ndarray:
    if not y_good.index.equals(cohort.index):
        raise ValueError("The outcome's patients are not those of the cohort, in the same order.")
    if not y_good.isin([0, 1]).all() or y_good.nunique() != 2:
        found = ", ".join(str(v) for v in y_good.unique()[:5])
        raise ValueError(f"The outcome holds {found}; expected patients with 0 and patients with 1.")
    return y_good.to_numpy() == 1


def _kind(values: pd.Series) -> str:
    """Return ``number``, ``yes/no`` or ``code``."""
    if not pd.api.types.is_numeric_dtype(values):
        return "code"
    known = values.dropna()
    return "yes/no" if len(known) and known.isin([0, 1]).all() else "number"


def _counts(member: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Count members overall, with a good and with a poor outcome."""
    return np.array([member.sum(), (member & good).sum(), (member & ~good).sum()])


def _number_rows(
    values: pd.Series, good: np.ndarray, *, below: int, digits: int | None = None
) -> list[dict[str, object]]:
    x = values.to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(x)
    row: dict[str, object] = {}
    for group, member in zip(_GROUPS, (np.ones_like(good), good, ~good), strict=True):
        found = x[member & known]
        row[group] = (
            "" if not len(found) else HIDDEN if len(found) < below else median_quartiles(found, digits)
        )
    row["missing"] = _missing(known, below=below)
    groups = [x[good & known], x[~good & known]]
    if min(len(g) for g in groups) and np.ptp(x[known]) > 0:
        row |= {"test": "Mann-Whitney U", "p": float(stats.mannwhitneyu(*groups).pvalue)}
    normal = [
        float(stats.shapiro(g).pvalue)
        for g in groups
        if _SHAPIRO_FROM <= len(g) <= _SHAPIRO_TO and np.ptp(g) > 0
    ]
    return [row | {"shapiro_p": min(normal) if len(normal) == len(groups) else math.nan}]


def _code_rows(values: pd.Series, good: np.ndarray, *, below: int) -> list[dict[str, object]]:
    known = values.notna().to_numpy()
    levels = _levels(values)
    members = [(values == level).fillna(False).to_numpy(dtype=bool) for level in levels]
    counts = np.array([_counts(member, good) for member in members]).reshape(-1, len(_GROUPS))
    sizes = _counts(known, good)
    texts = [[n_percent(n, size) for n, size in zip(row, sizes, strict=True)] for row in counts]
    shown = hide_small(counts, texts, below=below)
    p, test = fisher_exact(counts[:, 1:])
    if _kind(values) == "yes/no":
        shown, levels = shown[-1:], ["yes"]
    rows: list[dict[str, object]] = [
        {"level": LEVELS.get(level, level), **dict(zip(_GROUPS, row, strict=True))}
        for level, row in zip(levels, shown, strict=True)
    ]
    rows = rows or [{"level": "", **dict.fromkeys(_GROUPS, "")}]
    rows[0] |= {"missing": _missing(known, below=below), "test": test, "p": p}
    return rows


def _missing(known: np.ndarray, *, below: int) -> str:
    n = int((~known).sum())
    return f"<{below}" if 0 < n < below else f"{n}"


def _levels(values: pd.Series) -> list:
    """Return the levels of a code: 0 and 1, the contract's in its order, others by name with "other" last."""
    if _kind(values) == "yes/no":
        return [0, 1]
    found = list(values.dropna().unique())
    column = contract.PATIENTS.columns.get(str(values.name))
    known = list(column.metadata.get("codes", ())) if column is not None else []
    return [c for c in known if c in found] + sorted(
        (v for v in found if v not in known), key=lambda v: (v == "other", str(v))
    )


def n_percent(n: int, size: int) -> str:
    return f"{n} ({100 * n / size:.1f} %)" if size else f"{n}"


def median_quartiles(values: ArrayLike, digits: int | None = None) -> str:
    """Return ``median (lower to upper quartile)``, by default to three figures: 9.63, 31.2, 105."""
    x = np.asarray(values, dtype=float)
    quartiles = np.quantile(x, [0.5, 0.25, 0.75])
    whole = digits is None and bool(np.all(x % 1 == 0))
    if digits is None:
        largest = max(np.abs(quartiles).max(), 1e-9)
        digits = int(np.clip(2 - math.floor(math.log10(largest)), 0, 1 if whole else 2))
    texts = (f"{v:.{digits}f}" for v in quartiles)
    median, low, high = (t.removesuffix(".0") if whole else t for t in texts)
    return f"{median} ({low} to {high})"


def _joined(names: Sequence[str], *, complete: bool) -> str:
    if len(names) > 1 and complete:
        return f"{len(names)} variables known in all patients"
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
