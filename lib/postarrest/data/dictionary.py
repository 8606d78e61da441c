"""The tables of ``docs/data-dictionary.md``, made from the contract.

``python -m postarrest.data.dictionary`` renews them; the text around them is written by hand.
"""

import re

import pandera.pandas as pa

from postarrest.data.contract import GWR, ID_EXPECTED, PATIENTS, UNITS
from postarrest.files import write_text
from postarrest.places import ROOT

PATH = ROOT / "docs" / "data-dictionary.md"
_HEAD = """| column | meaning | unit | allowed | usual | other units that can be converted | needed for |
|---|---|---|---|---|---|---|
"""


def table(schema: pa.DataFrameSchema) -> str:
    """Return a schema's columns as a table in Markdown."""
    lines = []
    for name, column in schema.columns.items():
        about = column.metadata
        units = ", ".join(unit for unit, factor in UNITS.get(name, {}).items() if factor != 1)
        usual = _range(about, "plausible") if about.get("plausible") != about.get("bounds") else ""
        cells = [f"`{name}`", column.description, about.get("unit", ""), _allowed(about), usual, units]
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in [*cells, about["part"]]))
    return _HEAD + "".join(f"| {line} |\n" for line in lines)


def _allowed(about: dict) -> str:
    if "codes" in about:
        return " | ".join(about["codes"])
    if "bounds" in about:
        return _range(about, "bounds") + (", whole" if about["kind"] == "whole number" else "")
    return ID_EXPECTED if about["kind"] == "id" else "text"


def _range(about: dict, name: str) -> str:
    return "{:g} to {:g}".format(*about[name])


def renewed(text: str) -> str:
    """Return the document with its tables made anew; each is in the section of its schema's name."""
    for schema in (PATIENTS, GWR):
        section = f"## `{schema.name}`\n\n"
        content = f"{section}{schema.description}\n\n{table(schema)}\n"
        text = re.sub(f"{re.escape(section)}.*?(?=## )", lambda _, new=content: new, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    write_text(PATH, renewed(PATH.read_text(encoding="utf-8")))
