"""Tables that describe a cohort: characteristics by outcome, missing values, GWR by outcome.

Every function takes patients and returns aggregates. With ``mask_below``, counts from 1 to below it are
hidden, and so are the counts from which they could be derived (:mod:`postarrest.describe.masking`).
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from postarrest.data.contract import LEVELS, NAMES, PATIENTS
from postarrest.data.tablefile import matching
from postarrest.describe.fisher import fisher_exact
from postarrest.describe.masking import HIDDEN, hide_small_counts
from postarrest.describe.texts import decimals, median_quartiles, n_percent

_GROUPS = ("overall", "good", "poor")
_BELOW_CUT_OFF = ("n_below_cutoff", "good_below_cutoff", "poor_below_cutoff")


def characteristics(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return a cohort with the time from arrest to circulation, if only its two parts are recorded.

    Examples
    --------
    >>> characteristics(pd.DataFrame({"no_flow_min": [5, None], "low_flow_min": [20, 31]}))
       no_flow_min  low_flow_min  arrest_to_circulation_min
    0          5.0            20                       25.0
    1          NaN            31                        NaN
    """
    parts = ["no_flow_min", "low_flow_min"]
    if "arrest_to_circulation_min" in cohort or not set(parts) <= set(cohort):
        return cohort
    return cohort.assign(arrest_to_circulation_min=cohort[parts].sum(axis=1, skipna=False))


def known_variables(cohort: pd.DataFrame) -> list[str]:
    """Return the data contract's variables that a cohort has, in the order of Table 1."""
    return [name for name in NAMES if name in cohort]


def further_variables(cohort: pd.DataFrame) -> list[str]:
    """Return the columns of a cohort that the data contract does not define: a study's own predictors."""
    return [name for name in cohort if name not in PATIENTS.columns and name != "y_good"]


def table1(
    cohort: pd.DataFrame, y_good: pd.Series, *, variables: Sequence[str], mask_below: int = 0
) -> pd.DataFrame:
    """Return the characteristics of the patients by outcome.

    Continuous variables: median (lower to upper quartile) and the Mann-Whitney U test. Categorical variables:
    n (% of the patients with a value) and Fisher's exact test over all levels. A column of 0 and 1 is
    described by its level "yes". The CPC is described by its levels and not tested: it is the outcome.

    Parameters
    ----------
    cohort : pandas.DataFrame
        One row per patient.
    y_good : pandas.Series of 0 and 1
        Outcome, with the index of ``cohort``.
    variables : sequence of str
        Columns of ``cohort``, in the order of the table; ``eeg24h_*`` means all columns that begin like this.
    mask_below : int
        Counts from 1 to below this are hidden; 0 shows all.

    Returns
    -------
    pandas.DataFrame
        ``variable, level, overall, good, poor, missing, test, p, shapiro_p``. The first row of a variable has
        its number of missing values and its test. ``shapiro_p`` is the smaller of the Shapiro-Wilk P values
        of the two outcomes (not defined beyond 5,000 patients).

    Raises
    ------
    ValueError
        If a variable is not a column, or if all patients have the same outcome.

    Examples
    --------
    >>> cohort = pd.DataFrame({"age_years": [61, 70, 55, 80], "witnessed": [1, 0, 1, None]})
    >>> t = table1(cohort, pd.Series([1, 0, 1, 0]), variables=["age_years", "witnessed"])
    >>> t[["variable", "level", "good", "missing"]]
               variable level                 good missing
    0          Patients                          2       0
    1        Age, years        58.0 (56.5 to 59.5)       0
    2  Witnessed arrest   yes          2 (100.0 %)       1
    """
    columns = _columns(cohort, variables)
    good = _outcome(cohort, y_good)
    sizes = _counts(np.ones_like(good), good).astype(str)
    rows = [{"variable": "Patients", "missing": "0", **_by_group(sizes)}]
    for column in columns:
        describe = _continuous_rows if _kind(cohort[column]) == "continuous" else _categorical_rows
        described = describe(cohort[column], good, below=mask_below)
        rows += [{"variable": NAMES.get(column, column), **row} for row in described]
    blank = dict.fromkeys(["variable", "level", *_GROUPS, "missing", "test"], "")
    blank |= {"p": math.nan, "shapiro_p": math.nan}
    return pd.DataFrame([blank | row for row in rows])


def missingness(
    cohort: pd.DataFrame, y_good: pd.Series, *, variables: Sequence[str], mask_below: int = 0
) -> pd.DataFrame:
    """Return how often each variable is missing, by outcome.

    Variables that are missing in exactly the same patients (all findings of one recording, for example) share
    a row, and so do the variables with no missing values.

    Parameters
    ----------
    cohort, y_good, variables, mask_below
        As for :func:`table1`.

    Returns
    -------
    pandas.DataFrame
        ``variable, n_variables``; then for ``overall``, ``good`` and ``poor`` the patients without a value
        (``<group>``, as text) and their percentage (``<group>_pct``; NaN where the count is hidden); and
        ``p`` of Fisher's exact test between the outcomes. The variable missing most often comes first.

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
    columns = _columns(cohort, variables)
    good = _outcome(cohort, y_good)
    names_by_pattern: dict[tuple[bool, ...], list[str]] = {}
    for column in columns:
        pattern = tuple(cohort[column].isna())
        names_by_pattern.setdefault(pattern, []).append(NAMES.get(column, column))
    rows = []
    for pattern, names in sorted(names_by_pattern.items(), key=lambda item: -sum(item[0])):
        missing = np.array(pattern, dtype=bool)
        counts, known = _counts(missing, good), _counts(~missing, good)
        shown = hide_small_counts(counts, below=mask_below)
        percent = np.where([n.isdigit() for n in shown], 100 * counts / (counts + known), np.nan)
        p, _ = fisher_exact(np.column_stack([counts[1:], known[1:]]))
        row = {"variable": _joined(names, complete=not missing.any()), "n_variables": len(names)}
        percents = {f"{group}_pct": value for group, value in _by_group(percent).items()}
        rows.append({**row, **_by_group(shown), **percents, "p": p})
    # Named, for a cohort in which nothing but the outcome is recorded.
    names = ["variable", "n_variables", *_GROUPS, *(f"{group}_pct" for group in _GROUPS), "p"]
    return pd.DataFrame(rows, columns=names)


def gwr_values(
    values: pd.DataFrame, y_good: pd.Series, *, cut_off: float, mask_below: int = 0
) -> pd.DataFrame:
    """Return the attenuation of each region and the ratios by outcome (paper A's Table 2).

    Parameters
    ----------
    values : pandas.DataFrame
        From `gwr.measures`; the mean of the readings is described.
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
        x, is_ratio = means[measure].to_numpy(), measure.startswith("GWR-")
        (described,) = _continuous_rows(means[measure], good, below=mask_below, digits=3 if is_ratio else 1)
        row = {"measure": measure, "unit": "ratio" if is_ratio else "HU", "n": int(np.isfinite(x).sum())}
        row |= {"n_missing": described.pop("missing"), **described}
        for group, members in (("good", x[good]), ("poor", x[~good])):
            known = members[np.isfinite(members)]
            shown = len(known) >= max(mask_below, 2)
            row[f"{group}_mean"] = known.mean() if shown else np.nan
            row[f"{group}_sd"] = known.std(ddof=1) if shown else np.nan
        below = hide_small_counts(_counts(x < cut_off, good), below=mask_below)
        rows.append(row | dict(zip(_BELOW_CUT_OFF, below if is_ratio else ["", "", ""], strict=True)))
    return pd.DataFrame(rows)


def below_cut_off(gwr_table: pd.DataFrame) -> dict[str, int | str]:
    """Return how many patients are below the cut-off by each ratio, from a table of :func:`gwr_values`.

    Returns
    -------
    dict
        ``n_below_bg, n_below_ce, n_below_av``: a number, or text where it is hidden.
    """
    counts = gwr_table.set_index("measure")["n_below_cutoff"]
    by_name = {f"n_below_{name}": counts[f"GWR-{name.upper()}"] for name in ("bg", "ce", "av")}
    return {name: int(n) if n.isdigit() else n for name, n in by_name.items()}


def _by_group(values: Iterable) -> dict:
    return dict(zip(_GROUPS, values, strict=True))


def _columns(cohort: pd.DataFrame, variables: Sequence[str]) -> list[str]:
    """Return the columns that names and patterns match, without repeats."""
    found = {variable: matching(list(cohort.columns), [variable]) for variable in variables}
    absent = [variable for variable, columns in found.items() if not columns]
    if absent:
        raise ValueError(f"Not among the patients' columns: {', '.join(absent)}.")
    return list(dict.fromkeys(column for columns in found.values() for column in columns))


def _outcome(cohort: pd.DataFrame, y_good: pd.Series) -> np.ndarray:
    if not y_good.index.equals(cohort.index):
        raise ValueError("The outcome and the cohort must have the same patients in the same order.")
    if not y_good.isin([0, 1]).all() or y_good.nunique() != 2:
        found = ", ".join(str(v) for v in y_good.unique()[:5])
        raise ValueError(f"The outcome holds {found}; expected patients with 0 and patients with 1.")
    return y_good.to_numpy() == 1


def _kind(values: pd.Series) -> str:
    """Return ``continuous``, ``yes/no`` or ``categorical``."""
    if values.name == "cpc" or not pd.api.types.is_numeric_dtype(values):
        return "categorical"
    known = values.dropna()
    return "yes/no" if len(known) and known.isin([0, 1]).all() else "continuous"


def _counts(member: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Count members overall, with a good and with a poor outcome."""
    return np.array([member.sum(), (member & good).sum(), (member & ~good).sum()])


def _continuous_rows(
    values: pd.Series, good: np.ndarray, *, below: int, digits: int | None = None
) -> list[dict[str, object]]:
    known = values.notna().to_numpy()
    x = values.to_numpy(dtype=float, na_value=np.nan)
    groups = [x[known], x[known & good], x[known & ~good]]
    if digits is None:
        # One row, one number of decimals.
        digits = max(map(decimals, groups))
    row = _by_group(HIDDEN if 0 < len(g) < below else median_quartiles(g, digits) for g in groups)
    row |= {"missing": _missing_text(known, below), "test": "", "p": math.nan, "shapiro_p": math.nan}
    if all(map(len, groups)) and np.ptp(groups[0]) > 0:
        row |= {"test": "Mann-Whitney U", "p": float(stats.mannwhitneyu(*groups[1:]).pvalue)}
    # Royston's approximation to the Shapiro-Wilk test holds from 3 to 5,000 values.
    if all(3 <= len(group) <= 5000 and np.ptp(group) > 0 for group in groups[1:]):
        row["shapiro_p"] = min(float(stats.shapiro(group).pvalue) for group in groups[1:])
    return [row]


def _categorical_rows(values: pd.Series, good: np.ndarray, *, below: int) -> list[dict[str, object]]:
    known = values.notna().to_numpy()
    levels = levels_of(values)
    members = [(values == level).fillna(False).to_numpy(dtype=bool) for level in levels]
    counts = np.array([_counts(member, good) for member in members]).reshape(-1, len(_GROUPS))
    sizes = _counts(known, good)
    texts = [[n_percent(n, size) for n, size in zip(row, sizes, strict=True)] for row in counts]
    shown = hide_small_counts(counts, texts, below=below)
    if _kind(values) == "yes/no":
        shown, levels = shown[-1:], ["yes"]
    rows = [
        {"level": LEVELS.get(i, f"{i:g}" if isinstance(i, float) else i), **_by_group(row)}
        for i, row in zip(levels, shown, strict=True)
    ]
    rows = rows or [_by_group(["", "", ""])]
    p, test = (math.nan, "") if values.name == "cpc" else fisher_exact(counts[:, 1:])
    rows[0] |= {"missing": _missing_text(known, below), "test": test, "p": p}
    return rows


def _missing_text(known: np.ndarray, below: int) -> str:
    return hide_small_counts([(~known).sum()], below=below)[0]


def levels_of(values: pd.Series) -> list:
    """Return the levels of a categorical variable.

    Those of the data contract come in its order, then others in alphabetical order, with "other" last.
    """
    if _kind(values) == "yes/no":
        return [0, 1]
    column = PATIENTS.columns.get(str(values.name))
    order = list(column.metadata.get("codes", ())) if column is not None else []
    found = values.dropna().unique()
    if values.name == "cpc":
        return sorted(found)
    others = sorted(set(found) - set(order), key=lambda level: (level == "other", str(level)))
    return [level for level in order if level in found] + others


def _joined(names: Sequence[str], *, complete: bool) -> str:
    if len(names) > 1 and complete:
        return f"{len(names)} variables known in all patients"
    return " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"
