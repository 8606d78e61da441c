"""The scores table: one row per patient, model and role; the only input of the evaluation.

Columns: ``patient_id, y_good`` (0 or 1), ``model, kind`` (``probability`` or ``marker``), ``role``
(``train_oof`` or ``test``), ``fold`` (1, 2, ...), ``score``; a higher score always means a better expected
outcome. Two columns are optional: ``outcome_label`` (the label of ``y_good``; by default ``standard``) and
``stage`` (``before_platt`` or ``final``; by default ``final``).

``test`` rows are scores of patients whom no part of the model has seen. ``train_oof`` rows are scores of the
training side of the same fold by models that were not fitted on these patients, though settings may have been
chosen by them; thresholds are chosen on them. Where the folds' test patients
are disjoint they are one cross-validation and are pooled; where a patient is tested in several folds these
are repeated hold-out splits, and the first is the main result.
"""

import warnings
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from postarrest.data.errors import DataErrors, Finding
from postarrest.files import write_text

REQUIRED = ("patient_id", "y_good", "model", "kind", "role", "fold", "score")
OPTIONAL = {"outcome_label": "standard", "stage": "final"}
COLUMNS = (*REQUIRED, *OPTIONAL)
ALLOWED = {
    "y_good": ("0", "1"),
    "kind": ("probability", "marker"),
    "role": ("train_oof", "test"),
    "stage": ("before_platt", "final"),
}


def read(path: Path) -> pd.DataFrame:
    """Read a scores table and check every row.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file in UTF-8 with a header; columns beyond the contract's are left out.

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
    return combine([path])


def combine(paths: Iterable[Path]) -> pd.DataFrame:
    """Read several scores tables into one and check them together.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location, also those between files (a patient's row in two of them).
    """
    return _checked(pd.concat([_load(Path(path)) for path in paths], ignore_index=True))


def check(table: pd.DataFrame, *, name: str = "scores") -> pd.DataFrame:
    """Check a scores table in memory and return it with its optional columns filled in.

    Parameters
    ----------
    table : pandas.DataFrame
        At least the columns :data:`REQUIRED`.
    name : str
        What the messages call it.

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
    raw = table.reset_index(drop=True)
    raw = raw.astype(str).fillna("")
    return _checked(_placed(raw, name))


def write(table: pd.DataFrame, path: Path) -> None:
    """Check a scores table and write it, whole or not at all.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error with its location.
    """
    checked = check(table, name=Path(path).name)
    write_text(path, checked.to_csv(index=False, lineterminator="\n"))


def sets(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out the patients on whom each model is evaluated.

    Parameters
    ----------
    table : pandas.DataFrame
        A checked scores table.

    Returns
    -------
    pandas.DataFrame
        Test rows with a column ``set``: ``hold-out`` (one fold's test patients; of repeated splits the
        first), ``pooled`` (the disjoint test folds of a cross-validation together) and ``all`` (markers only,
        which are fitted on nobody: the test patients and all others of the same fold). A row stands once in
        each set that it belongs to.

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
        if test["patient_id"].duplicated().any() or test["fold"].nunique() == 1:
            main = test[test["fold"] == test["fold"].min()].assign(set="holdout")
        else:
            main = test.assign(set="pooled")
        parts.append(main)
        if rows["kind"].iloc[0] == "marker" and len(first) > len(main):
            parts.append(first.assign(set="all"))
    laid_out = pd.concat(parts, ignore_index=True)
    # Set by set, so that models stand beside each other in every table.
    order = {name: i for i, name in enumerate(("holdout", "pooled", "all"))}
    return laid_out.sort_values("set", key=lambda s: s.map(order), kind="stable", ignore_index=True)


def main(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the main result: those of the first outcome label and set.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of :func:`sets`.
    """
    first = rows.iloc[0]
    return rows[(rows["outcome_label"] == first["outcome_label"]) & (rows["set"] == first["set"])]


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
    """Set models side by side: one row a patient, one column a model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of one outcome, stage and set; each patient once a model.

    Returns
    -------
    y_good : numpy.ndarray
        0 or 1, one a patient.
    scores : pandas.DataFrame
        Patients in the order of their ids, models in the order of the rows; NaN where a model has no score.
    """
    models = list(dict.fromkeys(rows["model"]))
    scores = rows.pivot(index="patient_id", columns="model", values="score")[models]
    labels = rows.drop_duplicates("patient_id").set_index("patient_id")["y_good"]
    return labels.loc[scores.index].to_numpy(int), scores


def groups(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Split rows of one outcome, stage and set into groups of models that score the same patients."""
    patients = rows.groupby("model", sort=False)["patient_id"].agg(frozenset)
    return [rows[rows["model"].isin(patients.index[patients == who])] for who in dict.fromkeys(patients)]


def models(table: pd.DataFrame, pattern: str) -> list[str]:
    """Return the models whose name fits a pattern (``gwr_*``), in the table's order.

    Examples
    --------
    >>> models(pd.DataFrame({"model": ["gwr_bg", "cnn", "gwr_av", "cnn"]}), "gwr_*")
    ['gwr_bg', 'gwr_av']
    """
    return [model for model in dict.fromkeys(table["model"]) if fnmatchcase(model, pattern)]


def _load(path: Path) -> pd.DataFrame:
    name = path.name
    try:
        with warnings.catch_warnings():
            # pandas only warns when it cuts off cells that have no header.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except pd.errors.EmptyDataError:
        raise DataErrors([Finding(name, "file", "an empty file", "a header and rows")]) from None
    except UnicodeDecodeError:
        raise DataErrors([Finding(name, "file", "bytes that are not UTF-8", "a CSV file in UTF-8")]) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # pandas says which line and how many cells, and nothing of what stands in them.
        expected = "as many cells in every row as in the header"
        raise DataErrors([Finding(name, "file", str(error).strip(), expected)]) from None
    return _placed(raw, name)


def _placed(raw: pd.DataFrame, name: str) -> pd.DataFrame:
    raw = raw.rename(columns=lambda column: str(column).strip())
    missing = [column for column in REQUIRED if column not in raw]
    if missing:
        found = f"no such column among {len(raw.columns)}"
        raise DataErrors([Finding(name, "columns", found, "this column", column=c) for c in missing])
    if raw.empty:
        raise DataErrors([Finding(name, "rows", "no rows", "a row for each patient and model")])
    for column, default in OPTIONAL.items():
        if column not in raw:
            raw[column] = default
    placed = raw[list(COLUMNS)].apply(lambda column: column.str.strip())
    return placed.assign(_file=name, _row=np.arange(2, len(raw) + 2))


class _Errors:
    """The errors of one table, collected."""

    def __init__(self, table: pd.DataFrame):
        self.table = table
        self.items: list[Finding] = []

    def add(self, where: pd.Series, column: str, expected: str, rule: str, found: pd.Series | None = None):
        """Add rows; by default, what was found is the cell itself."""
        said = self.table[column] if found is None else found
        self.items += [
            Finding(file, rule, str(cell), expected, row=int(row), column=column, verbatim=found is None)
            for file, row, cell in zip(
                self.table.loc[where, "_file"], self.table.loc[where, "_row"], said[where], strict=True
            )
        ]

    def stop(self) -> None:
        if self.items:
            raise DataErrors(self.items)


def _checked(raw: pd.DataFrame) -> pd.DataFrame:
    errors = _Errors(raw)
    # Spreadsheets and pandas write a whole number of a column with gaps as 1.0.
    y_good = raw["y_good"].str.removesuffix(".0")
    score = pd.to_numeric(raw["score"], errors="coerce").astype(float)
    fold = pd.to_numeric(raw["fold"], errors="coerce")
    finite = pd.Series(np.isfinite(score), index=raw.index)
    for column in ("patient_id", "model", "outcome_label"):
        errors.add(raw[column] == "", column, "a name", "blank")
    for column, allowed in ALLOWED.items():
        found = y_good if column == "y_good" else raw[column]
        errors.add(~found.isin(allowed), column, " or ".join(allowed), "codes")
    errors.add(~((fold >= 1) & (fold % 1 == 0)), "fold", "a whole number from 1", "fold")
    errors.add(~finite, "score", "a finite number", "number")
    outside = finite & (raw["kind"] == "probability") & ~score.between(0, 1)
    errors.add(outside, "score", "a probability from 0 to 1", "probability")
    # Rules between rows would only repeat what is wrong in the cells.
    errors.stop()

    table = raw.assign(y_good=y_good.astype(int), fold=fold.astype(int), score=score)
    _check_between_rows(table)
    return table[list(COLUMNS)]


def _check_between_rows(table: pd.DataFrame) -> None:
    errors = _Errors(table)
    key = ["outcome_label", "stage", "model", "fold", "patient_id"]
    first = table.groupby([*key, "role"], sort=False)["_row"].transform("first")
    errors.add(
        table.duplicated([*key, "role"]),
        "patient_id",
        "each patient once a model, stage, role and fold",
        "unique",
        "the patient of row " + first.astype(str) + " again",
    )
    roles = table.groupby(key, sort=False)["role"].transform("nunique")
    errors.add(
        (roles > 1) & (table["role"] == "test"),
        "role",
        "a patient on one side of a fold only",
        "leakage",
        pd.Series("a test patient who is in train_oof of the same fold", index=table.index),
    )
    for column, by, rule in (
        ("y_good", ["outcome_label", "patient_id"], "one outcome a patient"),
        ("kind", ["model"], "one kind a model"),
    ):
        groups = table.groupby(by, sort=False)
        first_row = groups["_row"].transform("first")
        errors.add(
            table[column] != groups[column].transform("first"),
            column,
            rule,
            "consistent",
            table[column].astype(str) + " after another value in row " + first_row.astype(str),
        )
    for (outcome, stage, model), rows in table.groupby(["outcome_label", "stage", "model"], sort=False):
        test = rows[rows["role"] == "test"]
        place = pd.Series(table.index == rows.index[0], index=table.index)
        name = f"model {model} (outcome {outcome}, stage {stage})"
        if test.empty:
            found = pd.Series(f"no test row of {name}", index=table.index)
            errors.add(place, "role", "rows whose role is test", "test rows", found)
        elif test["y_good"].nunique() == 1:
            same = f"y_good {test['y_good'].iloc[0]} in all {len(test)} test rows of {name}"
            found = pd.Series(same, index=table.index)
            errors.add(place, "y_good", "patients of both outcomes", "both outcomes", found)
    errors.stop()
