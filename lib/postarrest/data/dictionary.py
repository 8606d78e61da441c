"""The tables of ``docs/data-dictionary.md``, made from the contract.

``python -m postarrest.data.dictionary`` renews them; the text around them is written by hand.
"""

import re

import pandera.pandas as pa

from postarrest.data.contract import GWR, PATIENTS
from postarrest.files import write_text
from postarrest.places import ROOT

PATH = ROOT / "docs" / "data-dictionary.md"
_HEAD = """| column | meaning | allowed | usual | other units that can be converted | needed for |
|---|---|---|---|---|---|
"""


def table(schema: pa.DataFrameSchema) -> str:
    """Return a schema's columns as a table in Markdown."""
    lines = [_HEAD]
    for name, column in schema.columns.items():
        about = column.metadata
        allowed = ", ".join(check.error for check in column.checks) or "text"
        is_narrower = about.get("plausible") != about.get("bounds")
        usual = "{:g} to {:g}".format(*about["plausible"]) if is_narrower else ""
        units = ", ".join(unit for unit, factor in about["other_units"].items() if factor != 1)
        cells = [f"`{name}`", column.description, allowed, usual, units, about["part"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(lines)


def renewed(text: str) -> str:
    """Return the document with its tables made anew; each is in the section of its schema's name."""
    for schema in (PATIENTS, GWR):
        section = f"## `{schema.name}`\n\n"
        content = f"{section}{schema.description}\n\n{table(schema)}\n"
        text = re.sub(f"{re.escape(section)}.*?(?=## )", lambda _, new=content: new, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    write_text(PATH, renewed(PATH.read_text(encoding="utf-8")))
