"""The base of everything that a study file may say."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings that are checked when they are made: exact types, no unknown names, no later change.

    A ``pydantic.ValidationError`` (a ``ValueError``) lists every error together.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the settings that a notebook's parameters hold, among others."""
        return cls(**{name: parameters[name] for name in cls.model_fields})
