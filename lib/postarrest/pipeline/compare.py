"""Compare two sets of numbers and tables, each number within its tolerance."""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class Tolerance(NamedTuple):
    """How far a number may differ from the expected one on another machine.

    The larger of ``absolute`` and ``relative`` times the expected value is allowed.
    """

    name: str
    absolute: float
    relative: float
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.absolute:g}, or {100 * self.relative:g} % where that is more; {self.why}"

    def allows(self, expected: float, here: float) -> bool:
        """Return whether a number is close enough.

        Examples
        --------
        >>> COMPUTED.allows(0.8213, 0.8213000001), COMPUTED.allows(0.8213, 0.8214)
        (True, False)
        """
        atol = max(self.absolute, self.relative * abs(expected))
        return bool(np.isclose(here, expected, atol=atol, rtol=0, equal_nan=True))


COMPUTED = Tolerance(
    "computed", 1e-9, 1e-6, "counts and statistics of the data; processors differ in the last digits"
)
TRAINED = Tolerance(
    "trained", 0.02, 0.02, "results of trained models; small differences in rounding grow during training"
)
TRAINED_COUNT = Tolerance("trained, counts of patients", 2, 0.05, TRAINED.why)
TRAINED_P = Tolerance("trained, P values", 0.1, 0.0, TRAINED.why)
TOLERANCES = (COMPUTED, TRAINED, TRAINED_COUNT, TRAINED_P)
# Scores that are computed, not trained, so their evaluation is exact. Automatic readings are a network's.
_MARKERS = ("gwr_bg", "gwr_ce", "gwr_av", "ohca_score")
_COUNTS = ("tp", "fp", "fn", "tn", "n_undefined")
# Pages on which nothing is a trained model's.
_COMPUTED_PAGES = ("01_cohort", "02_gwr", "A1_simulation")
# Counts of patients that do not depend on a model's scores.
_FIXED = ("n", "n_good", "n_fitted_on", "n_scored", "n_in_both", "fold")
# What a search tried or chose. Of two equally good settings another machine may choose the other; this is
# reported, but it is not an error.
_SEARCHED = ("*hyperparameters", "*_search", "base_algorithms")


class Deviation(NamedTuple):
    """A number or cell that is not close enough: its place, both values and the tolerance it exceeds."""

    place: str
    expected: str
    here: str
    tolerance: str = "must agree"

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, here {self.here} ({self.tolerance})"


@dataclass
class Comparison:
    """A report compared with the expected one.

    Parameters
    ----------
    same_machine : bool
        Whether both were computed with the same versions on the same kind of machine; every table should
        then have the same bytes.
    compared : int
        Numbers and cells compared.
    deviations : list of Deviation
        Those that are not close enough.
    not_identical : list of str
        Tables whose bytes differ.
    not_compared : list of str
        Tables among these that are too large to compare, or that contain a search.
    """

    same_machine: bool
    compared: int = 0
    deviations: list[Deviation] = field(default_factory=list)
    not_identical: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the report is the expected one, as far as this machine can reproduce it."""
        return not self.deviations and not (self.same_machine and self.not_identical)

    def differs(self, *deviation: str) -> None:
        """Add a deviation: place, expected value, value here and, of a number, the name of the tolerance."""
        self.deviations.append(Deviation(*deviation))


def compare(expected: Mapping[str, Any], here: Mapping[str, Any], *, only: str = "") -> Comparison:
    """Compare two snapshots (see :func:`postarrest.pipeline.verify.snapshot`).

    Parameters
    ----------
    expected, here : Mapping
        The snapshots.
    only : str
        Compare only the results of this notebook, such as ``"05_evaluation"``; blank for everything.
    """
    result = Comparison(expected["environment"] == here["environment"])
    then, now = ({k: v for k, v in s["numbers"].items() if k.startswith(only)} for s in (expected, here))
    _presence(result, then, now, "{}", "a number")
    for name in then.keys() & now.keys():
        tolerance = _of_number(name, then[name])
        for part in ("value", "lower", "upper"):
            old, new = (math.nan if s[name][part] is None else float(s[name][part]) for s in (then, now))
            result.compared += not math.isnan(old)
            if not tolerance.allows(old, new):
                result.differs(f"{name} ({part})", f"{old:g}", f"{new:g}", tolerance.name)
    then = {k: v for k, v in expected["tables"].items() if v["page"].startswith(only)}
    now = {k: v for k, v in here["tables"].items() if k in then}
    _presence(result, then, now, "tables/{}.csv", "a table")
    for name in sorted(now):
        old, new = then[name], now[name]
        if old["sha256"] == new["sha256"]:
            result.compared += 1
            continue
        result.not_identical.append(name)
        if old["csv"] is None or new["csv"] is None or any(fnmatchcase(name, p) for p in _SEARCHED):
            result.not_compared.append(name)
        else:
            _compare_tables(result, name, old["page"], old["csv"], new["csv"])
    return result


def _presence(result: Comparison, then: Mapping, now: Mapping, place: str, what: str) -> None:
    for name in sorted(then.keys() ^ now.keys()):
        result.differs(place.format(name), *((what, "nothing") if name in then else ("nothing", what)))


def _compare_tables(result: Comparison, name: str, page: str, expected: str, here: str) -> None:
    then, now = (pd.read_csv(io.StringIO(t), dtype=str, keep_default_na=False) for t in (expected, here))
    place = f"tables/{name}.csv"
    if list(then) != list(now):
        result.differs(f"{place}, columns", ", ".join(then), ", ".join(now))
    elif len(then) != len(now):
        result.differs(place, f"{len(then)} rows", f"{len(now)} rows")
    else:
        result.compared += then.size
        for row, column in zip(*np.nonzero((then != now).to_numpy()), strict=True):
            old, new = then.iat[row, column], now.iat[row, column]
            tolerance = _of_cell(page, then.columns[column], then.iloc[row])
            if not _agree(old, new, tolerance):
                result.differs(f"{place}, row {row + 1}, {then.columns[column]}", old, new, tolerance.name)


def _agree(expected: str, here: str, tolerance: Tolerance) -> bool:
    """Return whether two cells agree: their words exactly, their numbers within the tolerance."""
    if _NUMBER.sub("#", expected) != _NUMBER.sub("#", here):
        return False
    pairs = zip(_NUMBER.findall(expected), _NUMBER.findall(here), strict=True)
    return all(tolerance.allows(float(a), float(b)) for a, b in pairs)


def _of_cell(page: str, column: str, row: pd.Series) -> Tolerance:
    models = row.reindex(["model", "model_a", "model_b"]).dropna()
    marker = len(models) > 0 and all(any(fnmatchcase(m, p) for p in _MARKERS) for m in models)
    if column in _FIXED or marker or page in _COMPUTED_PAGES:
        return COMPUTED
    if column in _COUNTS:
        return TRAINED_COUNT
    return TRAINED_P if column == "p" or column.startswith("p_") else TRAINED


def _of_number(name: str, entry: Mapping[str, Any]) -> Tolerance:
    if name.split(".")[0] in _COMPUTED_PAGES or name.rsplit(".", 1)[-1].startswith("n_"):
        return COMPUTED
    if name.endswith("_p"):
        return TRAINED_P
    return TRAINED_COUNT if isinstance(entry["value"], int) else TRAINED
