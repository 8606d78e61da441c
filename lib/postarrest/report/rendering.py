"""Jinja templates and the texts that several pages share."""

import json
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from postarrest.places import Here
from postarrest.report import body
from postarrest.study.load import Study

FURTHER = {
    "leakage": "Counted for every stage of every run: patients scored by what had seen them.",
    "model-card": "Intended use, patients, performance and limits of the main model.",
    "tripod-ai": "Where the report meets each item of the guideline, and what only authors can write.",
    "manuscript": "Tables for Word and Excel, sizes of the figures, the methods in words, the supplement.",
}


def weights_in_words(here: Here) -> str:
    """Return where the network's weights are from, as noted when its features were computed."""
    noted = here.build("features.json")
    return json.loads(noted.read_text(encoding="utf-8"))["weights"] if noted.is_file() else "not noted"


def page_footer(study: Study) -> str:
    what = "Simulated patients. " if study.simulated else ""
    return f"{study.title}. {what}Research software; not for the care of patients."


def as_json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(body.TEMPLATES)
    made = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    made.globals["style"] = Markup((body.TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return made


def render_template(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)
