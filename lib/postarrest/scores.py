"""The scores table, the only input of the evaluation: one row per patient, model, role and fold.

Columns: ``patient_id, y_good`` (0 or 1), ``model, kind`` (``probability`` or ``marker``), ``role``
(``train_oof`` or ``test``), ``fold`` (1, 2, ...), ``score``; a higher score always means a better expected
outcome. Two columns are optional: ``outcome_label`` (the label of ``y_good``; by default ``standard``) and
``stage`` (``before_platt`` or ``final``; by default ``final``).

``test`` rows are scores of patients on whom no part of the model was fitted. ``train_oof`` rows are scores
of the training patients of the same fold by models fitted without them, although settings may have been
chosen on them; thresholds are chosen on these rows. Where the test patients of the folds are disjoint, the
folds are one cross-validation and are pooled. Where a patient is tested in several folds, the folds are
repeated hold-out splits, of which the first is the main result.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from postarrest.data.errors import DataErrors, Finding
from postarrest.files import write_text

REQUIRED = ("patient_id", "y_good", "model", "kind", "role", "fold", "score")
OPTIONAL = {"outcome_label": "standard", "stage": "final"}
COLUMNS = (*REQUIRED, *OPTIONAL)


def _column(rule: str, expected: str, allowed: Callable[[pd.Series], pd.Series]) -> pa.Column:
    check = pa.Check(allowed, error=expected, ignore_na=False)
    return pa.Column(None, check, nullable=True, metadata={"rule": rule})


def _codes(*codes: str) -> pa.Column:
    return _column("codes", " or ".join(codes), lambda cells: cells.isin(codes))


def _is_name(cells: pd.Series) -> pd.Series:
    # A control character would end a text, or a line, where other programs read it.
    return (cells != "") & ~cells.str.contains(r"[\x00-\x1f\x7f]") & (cells.str.len() <= _LONGEST_NAME)


def _is_fold(fold: pd.Series) -> pd.Series:
    return (fold >= 1) & (fold <= _MOST_FOLDS) & (fold % 1 == 0)


_LONGEST_NAME = 200
_MOST_FOLDS = 100_000
# Beyond this, differences and squares of scores are no numbers.
_MOST_SCORE = 1e100
_NAME = _column("name", f"a name of at most {_LONGEST_NAME} printable characters", _is_name)
CELLS = pa.DataFrameSchema(
    {
        "patient_id": _NAME,
        "y_good": _codes("0", "1"),
        "model": _NAME,
        "kind": _codes("probability", "marker"),
        "role": _codes("train_oof", "test"),
        "fold": _column("fold", f"a whole number from 1 to {_MOST_FOLDS}", _is_fold),
        "score": _column(
            "number", f"a finite number within ±{_MOST_SCORE:g}", lambda x: x.abs() <= _MOST_SCORE
        ),
        "outcome_label": _NAME,
        "stage": _codes("before_platt", "final"),
    }
)
# The rule, the rows that break it, the column, what was expected there, and what was found in each row.
_Broken = tuple[str, pd.Index, str, str, pd.Series]


def read(path: Path, *, tested: bool = True) -> pd.DataFrame:
    """Read a scores table and check every row.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file in UTF-8 with a header; other columns are ignored.
    tested : bool
        Whether each model needs test rows; one that was fitted on all patients has none.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`; ``patient_id`` as text, ``y_good`` and ``fold`` whole numbers.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location.
    FileNotFoundError
        If there is no such file.
    """
    return combine([path], tested=tested)


def combine(paths: Iterable[Path], *, tested: bool = True) -> pd.DataFrame:
    """Read several scores tables into one and check them together.

    A table may have no rows if another has some: automatic readings, for example, may all have failed.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location, also those between files (a patient's row in two of them).
    """
    paths = [Path(path) for path in paths]
    raw = pd.concat([_load(path) for path in paths], ignore_index=True)
    if raw.empty:
        raise DataErrors([_no_rows(path.name) for path in paths])
    return _checked(raw, tested=tested)


def check(table: pd.DataFrame, *, name: str = "scores", tested: bool = True) -> pd.DataFrame:
    """Check a scores table in memory and return it with its optional columns filled in.

    Parameters
    ----------
    table : pandas.DataFrame
        At least the columns :data:`REQUIRED`.
    name : str
        What the messages call it.
    tested : bool
        As for :func:`read`.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "b"], "y_good": [0, 1], "model": "m",
    ...                      "kind": "probability", "role": "test", "fold": 1, "score": [0.2, 1.7]})
    >>> check(rows)
    Traceback (most recent call last):
        ...
    postarrest.data.errors.DataErrors: 1 error in the data:
      scores, row 3, score: found 1.7; expected a probability from 0 to 1.
    """
    if table.empty:
        raise DataErrors([_no_rows(name)])
    raw = table.reset_index(drop=True).astype(str).fillna("")
    return _checked(_placed(raw, name), tested=tested)


def write(table: pd.DataFrame, path: Path, *, tested: bool = True, checked: bool = False) -> None:
    """Check a scores table and write it, whole or not at all; without rows, its header is written.

    Parameters
    ----------
    table : pandas.DataFrame
        At least the columns :data:`REQUIRED`.
    path : pathlib.Path
        The CSV file.
    tested, checked : bool
        As for :func:`read`; whether :func:`combine` has just returned the table.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location.
    """
    if not (checked or table.empty):
        table = check(table, name=Path(path).name, tested=tested)
    write_text(path, table.reindex(columns=list(COLUMNS)).to_csv(index=False, lineterminator="\n"))


def sets(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows on which each model is evaluated.

    Parameters
    ----------
    table : pandas.DataFrame
        A checked scores table.

    Returns
    -------
    pandas.DataFrame
        Test rows with a column ``set``: ``holdout`` (test patients of one fold; of repeated splits, the
        first), ``pooled`` (the disjoint test folds of a cross-validation together) and ``all`` (markers
        only, which are not fitted: the test patients and all others of the same fold). A row is repeated in
        each set to which it belongs.

    Examples
    --------
    >>> rows = check(pd.DataFrame({"patient_id": ["a", "b", "c", "d"], "y_good": [0, 1, 0, 1],
    ...     "model": "gwr_av", "kind": "marker", "role": ["train_oof", "train_oof", "test", "test"],
    ...     "fold": 1, "score": [1.2, 1.3, 1.1, 1.4]}))
    >>> sets(rows).groupby("set").size().to_dict()
    {'all': 4, 'holdout': 2}
    """
    parts = []
    for _, rows in table.groupby(["outcome_label", "stage", "model"], sort=False):
        test = rows[rows["role"] == "test"]
        first = rows[rows["fold"] == test["fold"].min()]
        repeated = test["patient_id"].duplicated().any() or test["fold"].nunique() == 1
        evaluated = first[first["role"] == "test"] if repeated else test
        parts.append(evaluated.assign(set="holdout" if repeated else "pooled"))
        if rows["kind"].iloc[0] == "marker" and len(first) > len(evaluated):
            parts.append(first.assign(set="all"))
    # Set by set, so that the models of a set follow each other in every table.
    order = {"holdout": 0, "pooled": 1, "all": 2}
    return pd.concat(parts).sort_values("set", key=lambda n: n.map(order), kind="stable", ignore_index=True)


def main(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the main result, which are those of the first outcome label and set.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`sets`.
    """
    return in_group(rows, group_of(rows))


def group_of(rows: pd.DataFrame) -> dict[str, str]:
    """Return the outcome label and the set of rows that have one of each."""
    return {column: str(rows[column].iloc[0]) for column in ("outcome_label", "set")}


def in_group(table: pd.DataFrame, group: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of a table that belong to one outcome label and set; ``group`` is from `group_of`."""
    return table[(table["outcome_label"] == group["outcome_label"]) & (table["set"] == group["set"])]


def splits(table: pd.DataFrame) -> pd.DataFrame:
    """Return the test rows of repeated hold-out splits, all of them; empty where no split was repeated."""
    test = table[(table["role"] == "test") & (table["stage"] == "final")]
    again = test.duplicated(["outcome_label", "model", "patient_id"])
    repeated = test.loc[again, ["outcome_label", "model"]].drop_duplicates()
    return test.merge(repeated, on=["outcome_label", "model"])


def census(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the patients of each outcome label, set and model: ``n, n_good, n_poor, prevalence``, and folds.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`sets`.
    """
    by = rows.groupby(["outcome_label", "set", "model", "kind"], sort=False)
    counted = by.agg(n=("y_good", "size"), n_good=("y_good", "sum"), folds=("fold", "nunique"))
    counted["n_poor"] = counted["n"] - counted["n_good"]
    counted["prevalence"] = counted["n_good"] / counted["n"]
    return counted[["n", "n_good", "n_poor", "prevalence", "folds"]].reset_index()


def wide(rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the scores with one row per patient and one column per model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of one outcome, stage and set; each patient once per model.

    Returns
    -------
    y_good : numpy.ndarray
        0 or 1 for each patient.
    scores : pandas.DataFrame
        Patients in the order of their ids, models in the order of the rows; NaN where a model has no score.
    """
    models = list(dict.fromkeys(rows["model"]))
    scores = rows.pivot(index="patient_id", columns="model", values="score")[models]
    labels = rows.drop_duplicates("patient_id").set_index("patient_id")["y_good"]
    return labels.loc[scores.index].to_numpy(int), scores


def groups(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Group rows of one outcome, stage and set by models that score the same patients."""
    patients = rows.groupby("model", sort=False)["patient_id"].agg(frozenset)
    return [rows[rows["model"].isin(patients.index[patients == who])] for who in dict.fromkeys(patients)]


def _load(path: Path) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # pandas only warns when it cuts off cells that have no header.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            as_text = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "index_col": False}
            header = pd.read_csv(path, header=None, nrows=1, **as_text)
            # Blank lines are read, so that later rows have the numbers that a spreadsheet gives them.
            raw = pd.read_csv(path, skip_blank_lines=False, **as_text)
            raw = raw[raw.apply(lambda cells: cells.str.strip() != "").any(axis=1)]
    except pd.errors.EmptyDataError:
        found, expected = "an empty file", "a header and rows"
    except UnicodeDecodeError:
        found, expected = "bytes that are not UTF-8", "a CSV file in UTF-8"
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # pandas names the line and how many cells it has, and nothing of what they contain.
        quote = re.search(r"inside string starting at row (\d+)", str(error))
        found = f"a quote left open in row {int(quote[1]) + 1}" if quote else str(error).strip()
        expected = "two quotes around a cell" if quote else "as many cells in every row as in the header"
    else:
        # pandas would give the second of two columns another name.
        names = header.iloc[0].str.strip()
        about = (path.name, "columns", "two columns of this name", "one", 1)
        if twice := sorted(set(names[names.duplicated()]) & set(COLUMNS)):
            raise DataErrors([Finding(*about, name) for name in twice])
        return _placed(raw, path.name)
    raise DataErrors([Finding(path.name, "file", found, expected)])


def _no_rows(name: str) -> Finding:
    return Finding(name, "rows", "no rows", "a row for each patient and model")


def _placed(raw: pd.DataFrame, name: str) -> pd.DataFrame:
    raw = raw.rename(columns=lambda column: str(column).strip())
    missing = [column for column in REQUIRED if column not in raw]
    if missing:
        found = f"no such column among {len(raw.columns)}"
        raise DataErrors([Finding(name, "columns", found, "this column", column=c) for c in missing])
    absent = {column: value for column, value in OPTIONAL.items() if column not in raw}
    placed = raw.assign(**absent)[list(COLUMNS)].apply(lambda column: column.str.strip())
    return placed.assign(_file=name, _row=raw.index + 2)


def _checked(raw: pd.DataFrame, *, tested: bool) -> pd.DataFrame:
    """Return the typed table, or raise every error; ``_file`` and ``_row`` locate each row."""
    numbers = {column: pd.to_numeric(raw[column], errors="coerce") for column in ("fold", "score")}
    # Spreadsheets and pandas write a whole number of a column with gaps as 1.0.
    table = raw.assign(y_good=raw["y_good"].str.removesuffix(".0"), **numbers)
    broken: list[_Broken] = []
    try:
        CELLS.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        for (column, expected), rows in error.failure_cases.groupby(["column", "check"], sort=False)["index"]:
            rule = CELLS.columns[column].metadata["rule"]
            broken.append((rule, rows.astype(int), column, expected, raw[column]))
    outside = np.isfinite(table["score"]) & ~table["score"].between(0, 1)
    outside &= table["kind"] == "probability"
    expected = "a probability from 0 to 1"
    broken.append(("probability", raw.index[outside], "score", expected, raw["score"]))
    _stop(raw, broken, verbatim=True)
    table = table.astype({"y_good": int, "fold": int, "score": float})
    # Only now: errors between rows would repeat what is wrong in the cells.
    _stop(raw, [*_between_rows(table), *(_without_test(table) if tested else ())], verbatim=False)
    return table[list(COLUMNS)]


def _stop(raw: pd.DataFrame, broken: Iterable[_Broken], *, verbatim: bool) -> None:
    findings = [
        Finding(file, rule, str(found[i]), expected, int(row), column, verbatim)
        for rule, rows, column, expected, found in broken
        for i, file, row in raw.loc[rows, ["_file", "_row"]].itertuples()
    ]
    if findings:
        raise DataErrors(findings)


def _between_rows(table: pd.DataFrame) -> Iterator[_Broken]:
    key = ["outcome_label", "stage", "model", "fold", "patient_id"]
    again = table[table.duplicated([*key, "role"], keep=False)]
    first = again.groupby([*key, "role"])["_row"].transform("first").astype(str)
    twice = again.index[again.duplicated([*key, "role"])]
    found = "the patient of row " + first + " again"
    yield "unique", twice, "patient_id", "each patient once per model, stage, role and fold", found
    # Few rows share a patient, model and fold, so only they are grouped.
    several = table[table.duplicated(key, keep=False)]
    both = several.groupby(key)["role"].transform("nunique") > 1
    tested = several.index[both & (several["role"] == "test")]
    leaked = pd.Series("a test patient who is in train_oof of the same fold", index=tested)
    yield "leakage", tested, "role", "each patient either in train_oof or in test of a fold", leaked
    for column, by, expected in (
        ("y_good", ["outcome_label", "patient_id"], "one outcome per patient"),
        ("kind", ["model"], "one kind per model"),
    ):
        differing = table[[*by, column]].drop_duplicates()
        differing = differing.loc[differing.duplicated(by, keep=False), by].drop_duplicates()
        mixed = table.reset_index().merge(differing, on=by).set_index("index").sort_index()
        first = mixed.groupby(by)[[column, "_row"]].transform("first")
        found = mixed[column].astype(str) + " after another value in row " + first["_row"].astype(str)
        yield "consistent", mixed.index[mixed[column] != first[column]], column, expected, found


def _without_test(table: pd.DataFrame) -> Iterator[_Broken]:
    if not (table["stage"] == "final").any():
        first = pd.Series("before_platt in every row", index=table.index[:1])
        yield "stages", first.index, "stage", "rows whose stage is final", first
    for (outcome, stage, model), rows in table.groupby(["outcome_label", "stage", "model"], sort=False):
        test = rows[rows["role"] == "test"]
        y_good, outcomes = test["y_good"], test.groupby("fold")["y_good"].nunique()
        first, name = rows.index[:1], f"model {model} (outcome {outcome}, stage {stage})"
        if y_good.empty:
            found = f"no test row of {name}"
            yield "test rows", first, "role", "rows whose role is test", pd.Series(found, index=first)
        elif y_good.nunique() == 1:
            found = f"y_good {y_good.iloc[0]} in all {len(y_good)} test rows of {name}"
            yield "both outcomes", first, "y_good", "patients of both outcomes", pd.Series(found, index=first)
        elif test["patient_id"].duplicated().any() and (outcomes == 1).any():
            # Folds of a cross-validation are pooled, but each of repeated splits is evaluated by itself.
            folds = ", ".join(map(str, outcomes.index[outcomes == 1]))
            found, expected = f"one outcome only in test rows of {name}, fold {folds}", "both in each split"
            yield "both outcomes", first, "y_good", expected, pd.Series(found, index=first)
