"""What a manuscript takes from a report: tables for Word and Excel, the supplement, the methods in words."""

from collections.abc import Sequence

import pandas as pd

from postarrest.data.contract import NAMES
from postarrest.files import write_bytes
from postarrest.models import tabular
from postarrest.places import Here
from postarrest.report import draft
from postarrest.report.body import Item
from postarrest.report.folds import side_by_side
from postarrest.report.methods import markdown
from postarrest.report.office import Table, excel, word
from postarrest.report.rendering import plain_value
from postarrest.report.runs import Report
from postarrest.study.load import complete_parameters
from postarrest.words import model_in_words, uncapitalised, words

_IMAGE_SETTINGS = ("architecture", "fit_image", "augmentation", "copies", "precision", "class_weights")


def write(report: Report, *, items: Sequence[Item], text: Sequence[tuple[str, str]]) -> None:
    """Write a study's files for the manuscript into ``reports/<study>/manuscript``.

    These are ``manuscript.docx`` (everything in reading order), ``tables.docx``, ``tables.xlsx``,
    ``methods.docx``, ``methods.md`` and, for a nested study, ``supplement.docx`` and ``supplement.xlsx`` with
    paper B's tables S1 to S7.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    items : sequence of Item
        The report's tables and figures, in reading order.
    text : sequence of (str, str)
        The methods, from :func:`postarrest.report.methods.methods`.
    """
    study, here, network = report.study, report.here, report.network
    # A table with parts on several pages is included once, with its first caption.
    listed = [item for item in items if item.id.startswith("tab-")]
    first = {item.name: item for item in reversed(listed)}
    saved = [i for i in listed if first[i.name] is i and here.table(i.name).is_file()]
    tables = [Table(item.label, item.caption, _read(here, item.name), item.name) for item in saved]
    run = {"stamp": draft.stamp(study.name, report.run_hash)}
    files = {
        "manuscript.docx": draft.word(report, items=items, methods=text),
        "methods.docx": word(study, [], paragraphs=text, **run),
        "methods.md": markdown(study, text).encode(),
    }
    supplement = {"supplement": supplementary(report)} if "nested" in study.protocols else {}
    for name, content in ({"tables": tables} | supplement).items():
        files[f"{name}.docx"] = word(study, content, network=network, **run)
        files[f"{name}.xlsx"] = excel(study, content, network=network)
    for name, content in files.items():
        write_bytes(here.report_dir / "manuscript" / name, content)


def supplementary(report: Report) -> list[Table]:
    """Return paper B's supplementary tables S1 to S7, made from a nested study's tables and parameters."""
    study, here, result = report.study, report.here, report.result
    network = complete_parameters(study, "03_cnn", root=here.root) if "03_cnn" in study.notebooks else {}
    if network:
        network["architecture"] = report.network.name or network["architecture"]
    if report.network.architecture == "embedded":
        del network["fit_image"]
    image = [(name, plain_value(network[name])) for name in _IMAGE_SETTINGS if name in network]
    chosen = _read(here, "hyperparameters")
    is_network, is_pupil = chosen["model"].str.startswith("cnn"), chosen["model"] == "pupil"

    def of_main(name: str) -> pd.DataFrame:
        constant = ["outcome_label", "set", "model", "rule", "chosen_on"]
        return result.rows(_read(here, name)).drop(columns=constant, errors="ignore")

    tables = {
        "S1": _predictors(report),
        "S2": side_by_side(chosen[~is_network & ~is_pupil]),
        "S3": side_by_side(chosen[is_pupil]),
        "S4": pd.DataFrame(image, columns=["setting", "value"]),
        "S5": side_by_side(chosen[is_network]),
        "S6": of_main("threshold_sweep"),
        "S7": of_main("thresholds_fnr5"),
    }
    model = uncapitalised(model_in_words(result.main, report.network.name))
    return [
        Table(f"Table {name}", words()["supplement"][name].format(model=model), data, name)
        for name, data in tables.items()
    ]


def _predictors(report: Report) -> pd.DataFrame:
    here = report.here
    stack = complete_parameters(report.study, "04_stacking", root=here.root)
    missing = _read(here, "missingness") if here.table("missingness").is_file() else None
    rows = [
        {
            "model": name,
            "algorithm": words()["algorithms"][model.algorithm],
            "predictor": predictor,
            "handling": words()["handling"][model.algorithm],
            "patients without it": _missing(missing, predictor),
        }
        for name, model in tabular.declared(stack["base_models"]).items()
        for predictor in model.predictors or ["head CT slice"]
    ]
    return pd.DataFrame(rows)


def _missing(missing: pd.DataFrame | None, predictor: str) -> str:
    if missing is None:
        return ""
    # Variables that are missing in the same patients share a row of that table.
    is_row = missing["variable"].str.contains(NAMES.get(predictor, predictor), regex=False)
    otherwise = "see the table of missing values" if predictor.endswith("*") else "0"
    return str(next(iter(missing.loc[is_row, "overall"]), otherwise))


def _read(here: Here, name: str) -> pd.DataFrame:
    # A column of values of many parameters has words as well as numbers of all sizes.
    return pd.read_csv(here.table(name), dtype={"value": str})
