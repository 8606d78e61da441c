"""The published numbers that the simulation was set to, read from `params/published.yaml`."""

from typing import Any

import pandas as pd

from postarrest.files import load_yaml
from postarrest.places import ROOT


def figures() -> pd.DataFrame:
    """Return the published figures that the simulation was set to.

    Returns
    -------
    pandas.DataFrame
        `figure`, `group` (all; good or poor outcome by the revised label), `unit`, `published`, `source` and
        `use` (set to, direction or bound: see the YAML file).
    """
    content = _content()
    paper_a = {entry["item"]: entry["value"] for entry in content["numbers"] if entry["paper"] == "A"}
    table = pd.DataFrame(content["simulation"])
    table["published"] = table["value"].fillna(table["number"].map(paper_a))
    return table[["figure", "group", "unit", "published", "source", "use"]]


def aucs() -> dict[str, float]:
    """Return the AUC that a paper reports for each model.

    Paper A reports two outcome labels. The revised one is its main analysis and comes first in the file.

    Examples
    --------
    >>> aucs()["ensemble"]
    0.82
    """
    numbers = pd.DataFrame(_content()["numbers"])
    main = numbers[numbers["metric"] == "roc_auc"].drop_duplicates("model")
    return main.set_index("model")["value"].to_dict()


def _content() -> dict[str, Any]:
    return load_yaml(ROOT / "params" / "published.yaml")
