"""What notebooks 02 to 04 may be asked, with ranges, and the models whose scores they write."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from postarrest.files import kind_at
from postarrest.models import gwr, stacking
from postarrest.models.super_learner import MODEL as SUPER_LEARNER
from postarrest.models.super_learner import Library
from postarrest.models.tabular import BaseModels, Spaces
from postarrest.settings import MaskBelow, Seed, Settings, distinct, wrong

# Weights that are not a file's path.
NAMED_WEIGHTS = ("auto", "imagenet", "embedded", "none")
# What files of weights begin with: HDF5, or a zip archive (.keras, .npz).
_SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")


def _weights(weights: str) -> str:
    if weights in NAMED_WEIGHTS:
        return weights
    if kind_at(weights) != "file":
        raise wrong(f"one of {', '.join(NAMED_WEIGHTS)}, or the path of a file")
    file = Path(weights).expanduser()
    with file.open("rb") as opened:
        if not opened.read(8).startswith(_SIGNATURES):
            raise wrong("weights as Keras saves them (HDF5)", f"'{file.name}', which is another kind of file")
    return weights


def _file_or_blank(path: str) -> str:
    if path and kind_at(path) != "file":
        raise wrong("the path of a file, or blank")
    return path


class Gwr(Settings):
    """Settings of notebooks 02; their meaning is in the parameters cells."""

    cut_off: float = Field(gwr.CUT_OFF, ge=0.5, le=2)
    most_drawn: int = Field(6, ge=0, le=50)
    struck_out: Annotated[str, AfterValidator(_file_or_blank)] = ""
    mask_below: MaskBelow = 0


class Cnn(Settings):
    """Settings of notebook 03 besides those of the network and its training."""

    weights: Annotated[str, AfterValidator(_weights)] = "auto"
    trials: int = Field(20, ge=1, le=5000)
    shown_patients: int = Field(4, ge=1, le=50)
    seed: Seed = 1


class Stacking(Settings):
    """Settings of notebook 04, and of those that repeat what it does; no base models: paper B's three."""

    base_models: BaseModels = Field({})
    spaces: Spaces = Field({})
    trials: int = Field(50, ge=1, le=5000)
    super_learner: Library = Field([])
    ohca_floor_min: float = Field(0.5, gt=0, le=60)
    comparators: Annotated[list[Literal["ohca_score"]], AfterValidator(distinct)] = Field([])
    seed: Seed = 1


class Imputations(Settings):
    """Settings of notebook 11 besides those that it shares."""

    imputations: int = Field(5, ge=2, le=100)


def names_of_scores(
    *,
    protocols: Iterable[str],
    modalities: Iterable[str],
    base_models: Iterable[str],
    comparators: Iterable[str],
    learners: Iterable[str] = (),
) -> list[str]:
    """Return the names in the scores table of a study of patients.

    Parameters
    ----------
    protocols, modalities : iterable of str
        Of the study.
    base_models, comparators, learners : iterable of str
        Of notebook 04; learners are those of the super learner. The scores of the
        network on CT are called ``ct``, whatever its base model is called.

    Examples
    --------
    >>> names_of_scores(protocols=["holdout"], modalities=["gwr"], base_models=[], comparators=[])
    ['gwr_bg', 'gwr_ce', 'gwr_av']
    """
    ratios = [ratio.lower().replace("-", "_") for ratio in gwr.RATIOS]
    names = ratios if "gwr" in modalities else []
    if "ct" in modalities:
        names = [*names, *(f"{ratio}_auto" for ratio in ratios), "gwr_unmixed"]
        names += ["cnn"] if "holdout" in protocols else []
        names += ["ct"] if "nested" in protocols else []
    if "nested" in protocols:
        names += [*base_models, *comparators, "ensemble", "ensemble_logistic", *stacking.REFERENCES]
        names += [SUPER_LEARNER] if list(learners) else []
    return list(dict.fromkeys(names))
