"""Two sets of numbers and tables compared, each number within its tolerance."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the kept one on another machine.

    Parameters
    ----------
    name : str
        What kind of number.
    absolute, relative : float
        The larger of ``absolute`` and ``relative`` times the kept value is allowed.
    why : str
        Why that much.
    """

    name: str
    absolute: float
    relative: float
    why: str

    def allows(self, kept: float, here: float) -> bool:
        """Return whether a number is near enough.

        Examples
        --------
        >>> COMPUTED.allows(0.8213, 0.8213000001), COMPUTED.allows(0.8213, 0.8214)
        (True, False)
        """
        if math.isnan(kept) or math.isnan(here):
            return math.isnan(kept) and math.isnan(here)
        if math.isinf(kept) or math.isinf(here):
            return kept == here
        return abs(kept - here) <= max(self.absolute, self.relative * abs(kept))


COMPUTED = Tolerance(
    "computed",
    1e-9,
    1e-6,
    "counts, and statistics computed from the data: processors differ in the last digits",
)
TRAINED = Tolerance(
    "trained",
    0.02,
    0.02,
    "what trained models say: small differences in rounding grow while a model is trained",
)
TRAINED_COUNT = Tolerance("trained, counts of patients", 2, 0.05, TRAINED.why)
TRAINED_P = Tolerance("trained, p values", 0.1, 0.0, TRAINED.why)
TOLERANCES = (COMPUTED, TRAINED, TRAINED_COUNT, TRAINED_P)
# Scores that are computed, not trained, so that their evaluation is exact.
_MARKERS = ("gwr_*", "ohca_score")
_COUNTS = frozenset({"tp", "fp", "fn", "tn", "n_undefined"})
# What a search chose or tried: of two settings that are equally good another machine may take the other, so
# that they are told and are no fault.
_SEARCHED = ("*hyperparameters", "*_search", "base_algorithms")


@dataclass(frozen=True)
class Deviation:
    """A number or cell that is not near enough to the kept one.

    Parameters
    ----------
    place : str
        Name of the number, or table, row and column.
    kept, here : str
        What was kept and what was found.
    tolerance : str
        Name of the tolerance that it exceeds.
    """

    place: str
    kept: str
    here: str
    tolerance: str

    def __str__(self) -> str:
        return f"{self.place}: kept {self.kept}, here {self.here} ({self.tolerance})"


@dataclass(frozen=True)
class Comparison:
    """A report set against the kept one.

    Parameters
    ----------
    same_machine : bool
        Whether both were computed with the same versions on the same kind of machine, so that every table is
        expected to have the same bytes.
    compared : int
        Numbers and cells compared.
    deviations : list of Deviation
        Those that are not near enough, tables in the order of their names.
    not_identical : list of str
        Tables whose bytes differ.
    not_compared : list of str
        Tables that were too large to keep, or that a search wrote, and whose bytes differ.
    """

    same_machine: bool
    compared: int
    deviations: list[Deviation]
    not_identical: list[str]
    not_compared: list[str]

    @property
    def passed(self) -> bool:
        """Whether the report is the kept one, as far as this machine can give it."""
        return not self.deviations and not (self.same_machine and self.not_identical)


def compare(kept: Mapping[str, Any], here: Mapping[str, Any], *, only: str = "") -> Comparison:
    """Compare two snapshots.

    Parameters
    ----------
    kept, here : Mapping
        From :func:`snapshot`.
    only : str
        Compare what this notebook alone made, such as ``"05_evaluation"``; blank for everything.
    """
    deviations: list[Deviation] = []
    compared = 0
    wanted = {n: e for n, e in kept["numbers"].items() if n.startswith(only)}
    for name, entry in wanted.items():
        found = here["numbers"].get(name)
        if found is None:
            deviations.append(Deviation(name, "a number", "nothing", "must be there"))
            continue
        tolerance = _of_number(name, entry)
        for part in ("value", "lower", "upper"):
            compared += entry[part] is not None
            deviations += _deviation(f"{name} ({part})", _float(entry[part]), _float(found[part]), tolerance)
    extra = [n for n in here["numbers"] if n.startswith(only) and n not in kept["numbers"]]
    deviations += [Deviation(n, "nothing", "a number", "must not be there") for n in extra]

    not_identical, not_compared = [], []
    for name, table in kept["tables"].items():
        if not table["page"].startswith(only):
            continue
        found = here["tables"].get(name)
        if found is None:
            deviations.append(Deviation(f"tables/{name}.csv", "a table", "nothing", "must be there"))
            continue
        if found["sha256"] == table["sha256"]:
            compared += 1
            continue
        not_identical.append(name)
        if table["csv"] is None or found["csv"] is None or _matches(name, _SEARCHED):
            not_compared.append(name)
            continue
        cells, differing = _compare_tables(name, table["page"], table["csv"], found["csv"])
        compared += cells
        deviations += differing
    return Comparison(
        kept["environment"] == here["environment"], compared, deviations, not_identical, not_compared
    )


def _compare_tables(name: str, page: str, kept: str, here: str) -> tuple[int, list[Deviation]]:
    then, now = (pd.read_csv(io.StringIO(t), dtype=str, keep_default_na=False) for t in (kept, here))
    if list(then.columns) != list(now.columns):
        shown = ", ".join(map(str, then.columns)), ", ".join(map(str, now.columns))
        return 0, [Deviation(f"tables/{name}.csv, columns", *shown, "must be equal")]
    if len(then) != len(now):
        shown = f"{len(then)} rows", f"{len(now)} rows"
        return 0, [Deviation(f"tables/{name}.csv", *shown, "must be equal")]
    deviations = []
    for position, (row, found) in enumerate(
        zip(then.to_dict("records"), now.to_dict("records"), strict=True), start=1
    ):
        for column in then.columns:
            tolerance = _of_cell(page, column, row)
            if not _cells_agree(row[column], found[column], tolerance):
                place = f"tables/{name}.csv, row {position}, {column}"
                deviations.append(Deviation(place, row[column], found[column], tolerance.name))
    return then.size, deviations


def _cells_agree(kept: str, here: str, tolerance: Tolerance) -> bool:
    """Return whether two cells say the same: their words exactly, their numbers within the tolerance."""
    if kept == here:
        return True
    if _NUMBER.sub("#", kept) != _NUMBER.sub("#", here):
        return False
    pairs = zip(_NUMBER.findall(kept), _NUMBER.findall(here), strict=True)
    return all(tolerance.allows(float(a), float(b)) for a, b in pairs)


def _of_cell(page: str, column: str, row: Mapping[str, str]) -> Tolerance:
    models = [row[c] for c in ("model", "model_a", "model_b") if c in row]
    trained = page.startswith(("03_", "04_", "05_")) and not (
        models and all(_matches(model, _MARKERS) for model in models)
    )
    # Whoever was counted in is in, whatever a model says of them.
    if not trained or column in ("n", "n_good", "n_fitted_on", "n_scored", "n_in_both", "fold"):
        return COMPUTED
    if column in _COUNTS:
        return TRAINED_COUNT
    return TRAINED_P if column == "p" or column.startswith("p_") else TRAINED


def _of_number(name: str, entry: Mapping[str, Any]) -> Tolerance:
    if name.startswith(("01_", "02_")) or name.rsplit(".", 1)[-1].startswith("n_"):
        return COMPUTED
    if name.endswith("_p"):
        return TRAINED_P
    return TRAINED_COUNT if isinstance(entry["value"], int) else TRAINED


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _deviation(place: str, kept: float, here: float, tolerance: Tolerance) -> list[Deviation]:
    if tolerance.allows(kept, here):
        return []
    return [Deviation(place, f"{kept:g}", f"{here:g}", tolerance.name)]


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
