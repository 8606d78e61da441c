"""The base of everything that a study file may say."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

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
