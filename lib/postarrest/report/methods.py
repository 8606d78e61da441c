"""The methods section, written from the study's parameters."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postarrest.models import forests, splits, stacking, super_learner, tabular, tuning
from postarrest.models.cnn.head import Training
from postarrest.models.cnn.network import Augmentation, Network
from postarrest.models.tuning import Space
from postarrest.places import Here
from postarrest.report import found
from postarrest.report.rendering import as_text, plain_value, render
from postarrest.report.used import UsedNetwork
from postarrest.study.load import Study, complete_parameters
from postarrest.words import in_words, listed, model_in_words, predictor_in_sentence, uncapitalised, words

_PRECISION = {"float32": "single precision", "mixed_bfloat16": "mixed precision (bfloat16)"}


def methods(
    study: Study, computed: Mapping[str, Any], *, network: UsedNetwork, root: Path
) -> list[tuple[str, str]]:
    """Return the methods in words, from the parameters and versions that were used.

    Parameters
    ----------
    study : Study
        The study.
    computed : Mapping
        From :func:`postarrest.report.environment.describe`.
    network : UsedNetwork
        The network on head CT.

    Returns
    -------
    list of (str, str)
        Heading and paragraph.
    """
    given = {n: complete_parameters(study, n, root=root) for n in study.notebooks}
    settings, stack = given.get("03_cnn"), given.get("04_stacking")
    text = render(
        "methods.md.j2",
        study=study,
        computed=computed,
        versions=[f"{name} {version}" for name, version in computed["versions"].items()],
        splits=splits.Settings(**study.sections["splits"]),
        cohort=given.get("01_cohort"),
        ratio=given.get("02_gwr"),
        network=settings,
        head_spaces={p: _space(Training.of(settings).searched(p)) for p in study.protocols if settings},
        used=network,
        input=_input(settings, network) if settings else "",
        precision=_PRECISION[settings["precision"]] if settings else "",
        augmentation=_augmentation(settings["augmentation"]) if settings else [],
        fixed=[f"{in_words(name)} ({plain_value(v)})" for name, v in settings["fixed"].items()]
        if settings
        else [],
        stack=stack,
        base_models=_base_models(stack, network.name) if stack else [],
        base_spaces=_base_spaces(stack) if stack else [],
        learners=_learners(stack["super_learner"]) if stack else [],
        of_a_group=listed(_learners(super_learner.OF_A_GROUP)),
        networks="ct" in study.modalities,
        trees=stacking.STACK_TREES,
        most_in_a_tree=f"{forests.MOST_IN_A_TREE:,}",
        tie=tuning.TIE,
        evaluated=given["05_evaluation"],
        update=found.update(Here(study.name, save_to="report", root=root)) if study.model else {},
    )
    parts = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return [(h, " ".join(p.split())) for h, p in zip(parts[::2], parts[1::2], strict=True)]


def markdown(study: Study, text: Sequence[tuple[str, str]]) -> str:
    """Return the methods as Markdown."""
    parts = [f"# Methods: {as_text(study.title)}"]
    parts += [f"## {heading}\n\n{as_text(paragraph)}" for heading, paragraph in text]
    return "\n\n".join(parts) + "\n"


def _input(settings: Mapping[str, Any], used: UsedNetwork) -> str:
    architecture = used.architecture or settings["architecture"]
    return Network.of({**settings, "architecture": architecture, "weights": "none"}).input_in_words


def _values(given: Mapping[str, Any]) -> list[str]:
    return [f"{in_words(name)} ({plain_value(value)})" for name, value in given.items()]


def _augmentation(ranges: Mapping[str, Any]) -> list[str]:
    """Return the random changes of an augmented copy, one phrase each."""
    used, found = Augmentation(**ranges), []
    if used.sharpness:
        low, high = used.sharpness
        found.append(f"sharpness from {low:g} to {high:g} (0 blurred, 0.5 unchanged, 1 sharpened)")
    if used.rotation_deg:
        found.append(f"rotation by up to {used.rotation_deg:g}° either way")
    if used.shift:
        found.append(f"shift by up to {100 * used.shift:g} % of the image either way")
    if used.zoom:
        found.append(f"zoom by up to {100 * used.zoom:g} % either way")
    if used.erasing:
        patch = "erasing of a patch of 10 to 25 % of the image"
        found.append(f"{patch}, with a probability of {used.erasing:g}")
    return found


def _base_models(stack: Mapping[str, Any], network: str) -> list[str]:
    algorithms, models = words()["algorithms"], []
    for name, model in tabular.declared(stack["base_models"]).items():
        predictors = [predictor_in_sentence(column) for column in model.predictors]
        source = f" on {listed(predictors)}" if predictors else ""
        text = uncapitalised(model_in_words(name, network))
        # "Head CT (ResNet50)" says already what it is.
        models.append(text if ")" in text else f"{text} ({algorithms[model.algorithm]}{source})")
    return models


def _base_spaces(stack: Mapping[str, Any]) -> list[str]:
    algorithms, spaces = words()["algorithms"], tabular.spaces(stack["spaces"])
    used = {model.algorithm for model in tabular.declared(stack["base_models"]).values()}
    names = spaces if "select" in used else (used & spaces.keys()) | {"stack"}
    return [f"{algorithms[name]}: {_space(spaces[name])}" for name in sorted(names)]


def _learners(names: Sequence[str]) -> list[str]:
    return [words()["algorithms"][name] for name in names]


def _space(space: Space) -> str:
    return listed([f"{in_words(name)} ({searched})" for name, searched in space.items()])
