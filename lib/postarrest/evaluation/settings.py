"""What the evaluation may be asked."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

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


FixedThresholds = dict[
    Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_rule)],
    Annotated[list[Any], AfterValidator(_threshold)],
]
Rules = Annotated[list[str], AfterValidator(distinct)]


class Evaluation(Settings):
    """Settings of notebooks 05 to 11; their meaning is in the parameters cells."""

    n_resamples: int = Field(1000, ge=20, le=20_000)
    seed: Seed = 2026
    primary: Annotated[list[str], AfterValidator(_pair)] = Field([])
    focus: str = ""
    fixed_thresholds: FixedThresholds = Field({})
    fewest_per_outcome: int = Field(10, ge=2, le=1000)


class Decisions(Settings):
    """Which decisions notebooks 06, 07 and 09 show."""

    fixed_thresholds: FixedThresholds = Field({})
    rule: str = "Spec-Max"
    rules: Rules = Field([])
    drawn_rules: Rules = Field([])
    most_false_pessimism: float = Field(0.05, gt=0, lt=1)
    most_false_optimism: float = Field(0.05, gt=0, lt=1)
    net_benefit_at: list[Annotated[float, Field(gt=0, lt=1)]] = Field([])

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = (*RULES, *self.fixed_thresholds)
        unknown = [name for name in (self.rule, *self.rules, *self.drawn_rules) if name not in known]
        if unknown:
            raise wrong(f"rules among {', '.join(known)}", f"the rule '{unknown[0]}'")
        return self
