"""What the manifest of a frozen model must say: its fields, and how they must agree.

The manifest is a file from elsewhere. Its hash tells that it was changed, and not by whom: somebody who
repairs the hash decides nothing about what this library runs into.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from postarrest.data.mapping import ExportSettings
from postarrest.models.parts import Kind, Part, of_json
from postarrest.settings import TYPES_IN_WORDS, Settings

_MOST_SHOWN = 80
# What a part needs to be computed, beside its columns and scores.
_SETTINGS = {
    "recalibrated": {"intercept": float, "slope": float, "edge": float},
    "ohca_score": {"floor_min": float},
    "network": {"layer": str, "head": bool, "input": str},
    "gwr_automatic": {"reader": str},
}

# What of a study's mapping a model takes along.
_MAPPED = {"columns", "codes", "units", "predictors", "table_format", "image_size"}

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]


class _Told(Settings):
    """Fields that are used; a manifest may say more."""

    model_config = ConfigDict(extra="allow")


class _Part(_Told):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Kind
    columns: list[str]
    scores: list[str]
    settings: dict[str, Any]

    @model_validator(mode="after")
    def _complete(self) -> "_Part":
        if Path(self.name).name != self.name:
            raise ValueError(f"found the name {self.name[:_MOST_SHOWN]!r}; expected that of a file")
        if self.kind in ("same", "recalibrated") and len(self.scores) != 1:
            raise ValueError(f"found {len(self.scores)} scores of kind {self.kind}; expected one")
        for name, kind in _SETTINGS.get(self.kind, {}).items():
            value = self.settings.get(name)
            # A whole number is a number; true and false are none.
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or (kind is float and isinstance(value, bool)):
                raise ValueError(f"found no setting {name}; expected {TYPES_IN_WORDS[kind.__name__]}")
        return self


class _Column(_Told):
    kind: Annotated[str, Field(pattern="^(number|text)$")]
    unit: str
    codes: list[str]
    label: str


class _Rule(_Told):
    poor_below: _Number | None
    good_from: _Number | None
    chosen_on: str
    note: str


class _OutOfFold(_Told):
    kind: Annotated[str, Field(pattern="^(probability|marker)$")]
    auc: _Share | None
    auc_lower: _Share | None
    auc_upper: _Share | None


class _Variable(_Told):
    label: str
    kind: Annotated[str, Field(pattern="^(number|category)$")]
    missing: _Share | None
    mean: _Number | None = None
    sd: _Number | None = None
    median: _Number | None = None
    q1: _Number | None = None
    q3: _Number | None = None
    low: _Number | None = None
    high: _Number | None = None
    levels: dict[str, _Share | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "_Variable":
        wanted = {"mean", "sd", "median", "q1", "q3", "low", "high"}
        wanted = {"levels"} if self.kind == "category" else wanted
        if absent := sorted(wanted - self.model_fields_set):
            raise ValueError(f"found no {', '.join(absent)} of a {self.kind}")
        values = [getattr(self, name) for name in wanted]
        if self.kind == "number" and None in values and any(value is not None for value in values):
            raise ValueError("found a number of which only some values are hidden; expected all or none")
        return self


class _Moments(_Told):
    names: list[str]
    mean: list[_Number]
    covariance: list[list[_Number]]

    @model_validator(mode="after")
    def _square(self) -> "_Moments":
        p = len(self.names)
        if {len(self.mean), len(self.covariance), *map(len, self.covariance)} - {p}:
            raise ValueError(f"found other sizes than those of {p} names; expected a mean and a row of each")
        return self


class _Population(_Told):
    n: Annotated[int, Field(ge=1)]
    n_good: _Count
    variables: dict[str, _Variable]
    moments: _Moments = _Moments(names=[], mean=[], covariance=[])

    @model_validator(mode="after")
    def _possible(self) -> "_Population":
        if self.n_good > self.n:
            raise ValueError(f"found n_good {self.n_good} of n {self.n}; expected at most n")
        if unknown := sorted(set(self.moments.names) - set(self.variables)):
            raise ValueError(f"moments names {', '.join(unknown)}, which is no variable")
        return self


class _Outcome(_Told):
    label: str
    meaning: str


def _as_export(export: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(export) - _MAPPED):
        raise ValueError(f"found {', '.join(unknown)[:_MOST_SHOWN]}; expected {', '.join(sorted(_MAPPED))}")
    ExportSettings(**export)
    return export


class _Manifest(_Told):
    study: str
    title: str
    intended_use: str
    simulated: bool
    simulation: dict[str, Any]
    outcome: _Outcome
    network: str | None
    parts: Annotated[list[_Part], Field(min_length=1)]
    files: dict[str, str]
    packages: dict[str, str]
    columns: dict[str, _Column]
    export: Annotated[dict[str, Any], AfterValidator(_as_export)]
    models: Annotated[list[str], Field(min_length=1)]
    main: str
    thresholds: dict[str, dict[str, _Rule]]
    out_of_fold: dict[str, _OutOfFold]
    population: _Population


def problems(manifest: Mapping[str, Any]) -> list[str]:
    """Return what a manifest lacks or says wrongly, one line each: the field, what was found and expected.

    Parameters
    ----------
    manifest : Mapping
        As read from the file.

    Examples
    --------
    >>> problems({"parts": "none"})[:2]
    ['study: found nothing; expected text', 'title: found nothing; expected text']
    """
    try:
        told = _Manifest(**manifest)
    except ValidationError as error:
        return [_in_words(item) for item in error.errors(include_url=False)]
    return list(_disagreements(told, [of_json(one) for one in manifest["parts"]]))


def _in_words(item: Any) -> str:
    place = ".".join(str(part)[:_MOST_SHOWN] for part in item["loc"])
    if item["type"] == "missing":
        field = _Manifest.model_fields.get(place)
        kind = getattr(field.annotation if field else None, "__name__", "")
        return f"{place}: found nothing; expected {TYPES_IN_WORDS.get(kind, 'a value')}"
    if item["type"] == "value_error":
        return f"{place}: {item['msg'].removeprefix('Value error, ')}"
    value, kind = item["input"], type(item["input"]).__name__
    shown = str(value)[:_MOST_SHOWN] if isinstance(value, int | float | str | None) else ""
    found = f"{shown} ({TYPES_IN_WORDS.get(kind, kind)})" if shown else TYPES_IN_WORDS.get(kind, kind)
    expected = TYPES_IN_WORDS.get(item["type"].removesuffix("_type"), "")
    return f"{place}: found {found}; expected {expected or _expected(item)}"


def _expected(item: Any) -> str:
    words = item["msg"].replace("Input should be ", "").removeprefix("String should match pattern ")
    return words[:1].lower() + words[1:]


def _disagreements(told: _Manifest, parts: list[Part]) -> Iterator[str]:
    """Yield what does not fit together in a manifest whose fields are each valid."""
    names: list[str] = []
    for part in parts:
        if missing := sorted(set(part.scores) - set(names)):
            yield f"model '{part.name}' uses {', '.join(missing)}, which is no part before it"
        if part.name in names:
            yield f"parts: found '{part.name}' twice; expected each once"
        if missing := sorted(set(part.columns) - set(told.columns)):
            yield f"model '{part.name}' uses {', '.join(missing)}, which columns does not list"
        if missing := sorted(set(part.files) - set(told.files)):
            yield f"model '{part.name}' needs {', '.join(missing)}, which files does not list"
        names.append(part.name)
    if missing := sorted({told.main, *told.models, *told.thresholds} - set(names)):
        yield f"names {', '.join(missing)}, which is no part"
    if told.main not in told.models:
        yield f"main: found {told.main}; expected one of models"
    if told.main not in told.thresholds:
        yield f"thresholds: found none of {told.main}; expected those of the main model"
    if missing := sorted(set(told.models) - set(told.out_of_fold)):
        yield f"out_of_fold: found nothing of {', '.join(missing)}; expected every model"
