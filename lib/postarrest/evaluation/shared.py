"""What a summary of a network's hospital may say: its fields, their limits, and how they must agree.

A summary is a file from another hospital. Whatever patients cannot have given is refused here, in words, so
that :mod:`postarrest.evaluation.pooling` never meets it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from postarrest.settings import MaskBelow, Settings

EDGES = tuple(i / 10 for i in range(11))
# Probabilities of 0 and 1 in the sums: a fixed bound, so that sums of hospitals are those of all patients.
BOUND = 1e-6
# As many patients as a table of patients may have rows.
_MOST = 1_000_000
_HIDDEN = re.compile(r"<\d{1,3}|hidden")
# Characters that end a text or a line elsewhere, and halves of characters that no file can hold.
_NOT_PRINTED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Log odds of the bound, and the largest p (1 - p) |x| and p (1 - p) x^2 that a log odds x can have.
_LARGEST_X, _LARGEST_WX, _LARGEST_WXX = math.log((1 - BOUND) / BOUND), 0.2239, 0.4393


def _printed(text: Any) -> Any:
    # Before pydantic's own check, whose words for half a character are about encodings.
    if isinstance(text, str) and _NOT_PRINTED.search(text):
        raise ValueError("found characters that cannot be printed; expected text.")
    return text


def _counted(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    if not is_count and not (isinstance(value, str) and _HIDDEN.fullmatch(value)):
        raise ValueError(f"expected a whole number from 0 to {_MOST:,}, or a hidden count such as '<5'.")
    return value


def _each_once(names: Iterable[str], what: str) -> None:
    names = list(names)
    if len(set(names)) < len(names):
        raise ValueError(f"found {what} twice; expected each once.")


_Text = Annotated[str, BeforeValidator(_printed), Field(max_length=1000)]
_Name = Annotated[str, BeforeValidator(_printed), Field(min_length=1, max_length=200)]
_Whole = Annotated[int, Field(ge=0, le=_MOST)]
_Count = Annotated[Any, AfterValidator(_counted)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Number = Annotated[float, Field(ge=-1e9, le=1e9)]
# Beyond what a million patients leave of uncertainty.
_Error = Annotated[float, Field(ge=1e-5, le=1e9)]


class Record(Settings):
    """What :func:`postarrest.evaluation.sites.measure` returns; None where undefined."""

    n: _Whole
    n_good: _Whole
    auc: Annotated[float, Field(ge=0, le=1)]
    auc_variance: Annotated[float, Field(ge=0, le=1)]
    expected: _Number | None
    intercept: _Number | None
    intercept_se: _Error | None
    slope: _Number | None
    slope_se: _Error | None


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
    fit: Annotated[list[_Number], Field(max_length=2)]
    fit_information: Annotated[list[_Number], Field(max_length=3)]

    @model_validator(mode="after")
    def _complete(self) -> "Sums":
        if (len(self.fit), len(self.fit_information)) not in ((0, 0), (2, 3)):
            found = f"{len(self.fit)} and {len(self.fit_information)}"
            raise ValueError(f"found {found} numbers of fit and its information; expected 2 and 3, or none.")
        if self.fit:
            first, mixed, last = self.fit_information
            if not (first > 0 and last > 0 and mixed**2 <= first * last * (1 + 1e-9)):
                raise ValueError("found an information of fit that is not above 0; expected that of a fit.")
        return self


class Bin(Settings):
    """Patients whose probability lies between two of :data:`EDGES`, and the sum of their probabilities."""

    good: _Count
    poor: _Count
    expected: Annotated[float, Field(ge=0, le=_MOST)] | None

    @model_validator(mode="after")
    def _whole(self) -> "Bin":
        shown = [isinstance(self.good, int), isinstance(self.poor, int), self.expected is not None]
        if any(shown) and not all(shown):
            raise ValueError("found a bin that is hidden in part; expected all of it hidden or none.")
        return self


class Decision(Settings):
    """Decisions at one threshold."""

    rule: _Name
    chosen_on: Literal["train_oof", "fixed"]
    threshold: _Finite
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

    @model_validator(mode="after")
    def _possible(self) -> "Model":
        record = self.record
        if not 2 <= record.n_good <= record.n - 2:
            raise ValueError(
                f"found n_good {record.n_good} of n {record.n}; expected at least 2 of each outcome."
            )
        _each_once((f"{one.rule}, {one.chosen_on}" for one in self.decisions), "decisions of a rule")
        _stop([*_of_auc(record), *_of_decisions(self)])
        is_probability = self.kind == "probability"
        shared = [self.sums is not None, record.expected is not None, len(self.bins) == len(EDGES) - 1]
        if (is_probability and not all(shared)) or (not is_probability and (any(shared) or self.bins)):
            expected = f"sums, expected and {len(EDGES) - 1} bins of a probability, and none of a marker"
            raise ValueError(f"found a {self.kind} with other parts; expected {expected}.")
        if is_probability:
            _stop([*_of_sums(record, self.sums), *_of_bins(record, self.bins)])
        return self


def _stop(problems: Sequence[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems) + ".")


def _of_auc(record: Record) -> Iterator[str]:
    """Yield what is impossible in DeLong's variance; its components are shares of the other outcome."""
    good, poor = record.n_good, record.n - record.n_good
    # An AUC counts pairs; a tie is half a pair.
    half = 0.5 / (good * poor)
    if record.auc not in (0, 1) and not 0.99 * half <= record.auc <= 1 - 0.99 * half:
        yield f"found auc {record.auc:g}; expected a share of {good * poor} pairs"
    most = 0.25 / (good - 1) + 0.25 / (poor - 1)
    # Without any variance all scores are equal, or separate the outcomes; else one pair more makes a
    # difference of at least half a pair in one component.
    least = 0.0 if min(abs(record.auc - value) for value in (0, 0.5, 1)) < 1e-9 else 0.25 / (good * poor) ** 2
    if not 0.99 * least <= record.auc_variance <= 1.01 * most:
        yield f"found auc_variance {record.auc_variance:g}; expected {least:.1g} to {most:.1g} of {record.n}"


def _of_sums(record: Record, sums: Sums) -> Iterator[str]:
    """Yield which sums these patients cannot have."""
    n, near = record.n, 1e-6 * record.n
    limits = {
        "expected": (record.expected, 0, n),
        "squared_error": (sums.squared_error, 0, n),
        "log_loss": (sums.log_loss, 0, n * _LARGEST_X),
        "residual": (sums.residual, *[record.n_good - record.expected] * 2),
        "residual_x": (sums.residual_x, -n * _LARGEST_X, n * _LARGEST_X),
        "weight": (sums.weight, 0, n / 4),
        "weight_x": (sums.weight_x, -n * _LARGEST_WX, n * _LARGEST_WX),
        "weight_xx": (sums.weight_xx, 0, n * _LARGEST_WXX),
    }
    for name, (value, low, high) in limits.items():
        if not low - near <= value <= high + near:
            yield f"found {name} {value:g}; expected {low:g} to {high:g} of {n} patients"
    if sums.weight_x**2 > sums.weight * sums.weight_xx * (1 + 1e-9) + near**2:
        yield "found a weight_x that is too large for weight and weight_xx"


def _of_bins(record: Record, bins: Sequence[Bin]) -> Iterator[str]:
    """Yield which bins these patients cannot have."""
    near, open_bins = 1e-6 * record.n, [one for one in bins if one.expected is not None]
    for one, (low, high) in zip(bins, pairwise(EDGES), strict=True):
        if one.expected is not None:
            n = one.good + one.poor
            if not n * low - near <= one.expected <= n * high + near:
                yield f"found expected {one.expected:g} of {n} patients in the bin {low:g} to {high:g}"
    wanted = {
        "good outcomes": (sum(one.good for one in open_bins), record.n_good),
        "poor outcomes": (sum(one.poor for one in open_bins), record.n - record.n_good),
        "expected": (sum(one.expected for one in open_bins), record.expected),
    }
    is_open = len(open_bins) == len(bins)
    for name, (found, of_all) in wanted.items():
        if found > of_all + near or (is_open and found < of_all - near):
            yield f"found {found:g} {name} in the bins; expected {'' if is_open else 'at most '}{of_all:g}"


def _of_decisions(model: Model) -> Iterator[str]:
    good, poor = model.record.n_good, model.record.n - model.record.n_good
    for one in model.decisions:
        for cells, n in (((one.tp, one.fn), good), ((one.fp, one.tn), poor)):
            least, most = (sum(ends) for ends in zip(*(_range(c, n) for c in cells), strict=True))
            if not least <= n <= most:
                yield f"decisions at {one.rule} do not add up to the {n} patients of an outcome"


def _range(count: int | str, n: int) -> tuple[int, int]:
    """Return the least and the largest that a count of at most `n` patients can be."""
    if isinstance(count, int):
        return count, count
    return (1, n) if count == "hidden" else (1, int(count[1:]) - 1)


class Site(Settings):
    """One hospital; without models where it has too few patients of an outcome."""

    site: _Name
    n: _Count
    good: _Count
    poor: _Count
    note: _Text
    models: dict[_Name, Model]

    @model_validator(mode="after")
    def _consistent(self) -> "Site":
        are_known = all(isinstance(count, int) for count in (self.n, self.good, self.poor))
        if are_known and self.good + self.poor != self.n:
            found = f"{self.good} good and {self.poor} poor outcomes"
            raise ValueError(f"found {found} of {self.n} patients; expected as many together.")
        for name, model in self.models.items():
            good, poor = model.record.n_good, model.record.n - model.record.n_good
            if not are_known or good > self.good or poor > self.poor:
                raise ValueError(f"found more patients of an outcome in {name} than in the hospital.")
        return self


class Summary(Settings):
    """What one hospital, or a study of several, shares.

    Parameters
    ----------
    format, version : str, int
        :data:`postarrest.evaluation.network.FORMAT` and ``VERSION``.
    model : str
        Which model or procedure gave the scores; only summaries of one can be pooled.
    outcome : str
        The good outcome in words.
    suppressed_below : int
        Counts from 1 to below this are hidden, with others that would give them away.
    sites : list of Site
        The hospitals.
    """

    format: _Text
    version: int
    model: _Text
    outcome: _Text
    suppressed_below: MaskBelow
    sites: Annotated[list[Site], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _hidden_as_said(self) -> "Summary":
        _each_once((one.site for one in self.sites), "a hospital")
        for one in self.sites:
            for model in one.models.values():
                fewest = min(model.record.n_good, model.record.n - model.record.n_good)
                cells = [getattr(d, cell) for d in model.decisions for cell in ("tp", "fp", "fn", "tn")]
                marks = {c for c in cells if isinstance(c, str)} - {"hidden", f"<{self.suppressed_below}"}
                if fewest < self.suppressed_below or marks:
                    found = f"'{min(marks)}'" if marks else f"{fewest} patients of an outcome"
                    raise ValueError(f"found {found} with counts hidden below {self.suppressed_below}.")
        return self
