"""The base of everything that a study file may say."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_Values = TypeVar("_Values", list, tuple)

# Types in words, by the names that Python and pydantic's errors give them.
TYPES_IN_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "nothing",
    **dict.fromkeys(("str", "string"), "text"),
    **dict.fromkeys(("list", "tuple"), "a list"),
    **dict.fromkeys(("dict", "model"), "keys with values"),
}


class Settings(BaseModel):
    """Settings that are checked when they are made: exact types, no unknown names, no later change.

    A ``pydantic.ValidationError`` (a ``ValueError``) lists every error together.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the settings that are among a notebook's parameters; of others, the defaults."""
        return cls(**{name: parameters[name] for name in cls.model_fields if name in parameters})


def wrong(expected: str, found: str = "") -> PydanticCustomError:
    """Return a validator's error: what is expected, and what was found if it is not the value itself.

    Examples
    --------
    >>> raise wrong("at least two readings")
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.PydanticCustomError: at least two readings
    """
    return PydanticCustomError("setting", "{expected}", {"expected": expected, "found": found})


def distinct(values: _Values) -> _Values:
    """Return a list in which nothing is named twice; for use as a validator."""
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise wrong("each once", f"{', '.join(twice)} twice")
    return values


def _single(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str | None):
        raise wrong("a single value")
    return value


# LightGBM and NumPy take seeds up to different limits; this is the smallest.
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
# Counts from 1 to below this are hidden.
MOST_HIDDEN = 100
MaskBelow = Annotated[int, Field(ge=0, le=MOST_HIDDEN)]
# A value that is neither a list nor keys with values.
Scalar = Annotated[Any, AfterValidator(_single)]
