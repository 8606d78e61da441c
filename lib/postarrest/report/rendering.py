"""The one Jinja environment: tables and figures of notebooks, pages, the texts of a manuscript.

Templates that end in ``.html.j2`` escape what they are given; those that end in ``.md.j2`` are Markdown, in
which the filter ``as_text`` does.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from postarrest.words import in_words, listed, words

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a template of ``templates/`` filled in."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"style": style, "words": words}
    # A page's security policy allows this script alone, by its hash.
    environment.globals |= {"script": Markup(script), "script_hash": Markup(f"sha256-{digest}")}
    environment.filters |= {"code": _code, "in_words": in_words, "listed": listed, "plain": plain_value}
    environment.filters["as_text"] = as_text
    environment.filters["percent"] = lambda share: f"{100 * share:.0f} %"
    environment.filters["file_name"] = lambda path: Path(path).name
    return environment


def plain_value(value: Any) -> str:
    """Return a parameter's value as a sentence states it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{in_words(k)} {plain_value(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " to ".join(plain_value(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_json(content: Any) -> str:
    """Return JSON with sorted keys, so that the same content gives the same bytes."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def as_text(value: Any) -> str:
    r"""Return a value for Markdown that is shown as it is written, without markup, links, tags and line ends.

    Examples
    --------
    >>> print(as_text("<b>[a](javascript:x)*"))
    &lt;b&gt;\[a\](javascript:x)\*
    """
    escaped = re.sub(r"([\\`*\[\]|])", r"\\\1", str(value)).replace("&", "&amp;")
    return " ".join(escaped.replace("<", "&lt;").replace(">", "&gt;").split())


def _code(text: str) -> Markup:
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
