"""What the evaluation may be asked."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from postarrest.evaluation.thresholds import RULES
from postarrest.settings import Seed, Settings, distinct, wrong


def _pair(models: list[str]) -> list[str]:
    if len(models) not in (0, 2):
        raise wrong("the names of two models, or none")
    return distinct(models)


def _threshold(of: list[Any]) -> list[Any]:
    of_models, value = of if len(of) == 2 else (None, None)
    if not isinstance(of_models, str) or not of_models or type(value) not in (int, float):
        raise wrong("[models, threshold], such as [probability, 0.5]")
    return of


def _rule(name: str) -> str:
    if name in RULES:
        raise wrong("another name: a rule that chooses thresholds is called so")
    return name


class Evaluation(Settings):
    """Settings of notebook 05; their meaning is in its parameters cell."""

    n_resamples: int = Field(1000, ge=20, le=20_000)
    seed: Seed = 2026
    primary: Annotated[list[str], AfterValidator(_pair)] = Field([])
    focus: str = ""
    fixed_thresholds: dict[
        Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_rule)],
        Annotated[list[Any], AfterValidator(_threshold)],
    ] = Field({})
