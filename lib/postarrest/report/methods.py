"""The methods section, written from the study's parameters."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from postarrest.data.contract import NAMES
from postarrest.models import cnn, splits, tabular
from postarrest.report.body import TEMPLATES
from postarrest.study.load import Study, complete_parameters

_ALGORITHMS = {
    "lightgbm": "gradient-boosted trees, LightGBM",
    "logistic": "logistic regression",
    "forest": "random forest",
    "select": "the best of logistic regression, random forest and LightGBM in the inner folds",
    "cnn": "the network on head CT",
}


def methods(study: Study, computed: Mapping[str, Any], *, weights: str, root: Path) -> list[tuple[str, str]]:
    """Return the methods in words, from the parameters and versions that were used.

    Parameters
    ----------
    study : Study
        The study.
    computed : Mapping
        From :func:`postarrest.environment.describe`.
    weights : str
        Where the network's weights are from, in words; blank without a network.

    Returns
    -------
    list of (str, str)
        Heading and paragraph.
    """
    given = {n: complete_parameters(study, n, root=root) for n in study.notebooks}
    division = splits.Settings(**study.sections["splits"])
    rest = 1 - division.holdout_fraction
    network, stack = given.get("03_cnn"), given.get("04_stacking")
    searched = cnn.head.Training.of(network).searched if network else None
    text = (
        _templates()
        .get_template("methods.md.j2")
        .render(
            study=study,
            computed=computed,
            versions=[f"{name} {version}" for name, version in computed["versions"].items()],
            division=division,
            train=rest * (1 - division.tune_fraction),
            tune=rest * division.tune_fraction,
            cohort=given.get("01_cohort"),
            eligibility=_eligibility(given["01_cohort"]["criteria"]) if "01_cohort" in given else [],
            ratio=given.get("02_gwr"),
            network=network,
            head_spaces={protocol: searched(protocol) for protocol in study.protocols} if network else {},
            weights=weights,
            stack=stack,
            base_models=_base_models(stack) if stack else [],
            base_spaces=_base_spaces(stack) if stack else [],
            trees=tabular.FOREST_TREES,
            evaluated=given["05_evaluation"],
        )
    )
    parts = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return [(h, " ".join(p.split())) for h, p in zip(parts[::2], parts[1::2], strict=True)]


def _eligibility(criteria: Mapping[str, Any]) -> list[str]:
    rules = {
        "min_age_years": "were at least {} years old",
        "max_age_years": "were at most {} years old",
        "max_rosc_to_ct_min": "had a head CT within {} minutes of the return of circulation",
    }
    met = [rules[name].format(value) for name, value in criteria.items() if name in rules]
    if criteria.get("require"):
        met.append(f"had known values of {_listed([in_words(c) for c in criteria['require']])}")
    if criteria.get("exclusions", "all") == "all":
        met.append("had none of the reasons for exclusion that the data give")
    return met


def _weights(weights: str) -> str:
    known = {
        "none": "random weights",
        "imagenet": "ImageNet weights",
        "auto": "the weights that the report names",
    }
    return known.get(weights, "ImageNet weights from a file")


def _base_models(stack: Mapping[str, Any]) -> list[str]:
    models = []
    for name, model in tabular.declared(stack["models"]).items():
        columns = _listed([_variable(column) for column in model.predictors])
        algorithm = _ALGORITHMS[model.algorithm]
        models.append(f"{name} ({algorithm} on {columns})" if columns else f"{name} ({algorithm})")
    return models


def _variable(column: str) -> str:
    # "No-flow time, min" is a heading; in a sentence the unit is left out.
    name = NAMES[column].split(",")[0] if column in NAMES else in_words(column)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _base_spaces(stack: Mapping[str, Any]) -> list[str]:
    spaces = tabular.spaces(stack["spaces"])
    used = {model.algorithm for model in tabular.declared(stack["models"]).values()}
    wanted = spaces if "select" in used else (used & spaces.keys()) | {"forest"}
    return [f"{_ALGORITHMS[name]}: {_listed(_spaces(spaces[name]))}" for name in sorted(wanted)]


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    made.filters |= {"listed": _listed, "plain": plain_value, "spaces": _spaces}
    made.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    return made


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def in_words(name: str) -> str:
    return name.replace("_", " ")


def _spaces(space: Mapping[str, Any]) -> list[str]:
    return [f"{in_words(name)} ({searched})" for name, searched in space.items()]


def plain_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{in_words(k)} {plain_value(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " to ".join(plain_value(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def markdown(study: Study, text: Sequence[tuple[str, str]]) -> str:
    """Return the methods as Markdown."""
    parts = [f"# Methods: {study.title}"] + [f"## {heading}\n\n{paragraph}" for heading, paragraph in text]
    return "\n\n".join(parts) + "\n"
