"""What a manuscript takes from a report: tables for Word and Excel, the supplement, the methods in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from postarrest.data.contract import NAMES
from postarrest.files import write_bytes
from postarrest.models import tabular
from postarrest.places import Here
from postarrest.report.head import Report
from postarrest.report.methods import markdown
from postarrest.report.office import Table, excel, word
from postarrest.report.rendering import model_in_words, plain_value
from postarrest.study.load import complete_parameters

_HANDLING = {
    "lightgbm": "unchanged; LightGBM handles missing values itself",
    "logistic": "standardised; missing values: median of the fitted patients, with an indicator",
    "forest": "missing values: median of the fitted patients, with an indicator",
    "select": "by the algorithm chosen in the inner folds",
    "cnn": "one CT slice, window 40 / 80 HU; see Table S4",
}
_IMAGE_SETTINGS = ("architecture", "fit_image", "augmentation", "copies", "precision", "class_weights")


def write(report: Report, *, contents: Sequence[Mapping[str, str]], text: Sequence[tuple[str, str]]) -> None:
    """Write a study's files for the manuscript into ``reports/<study>/manuscript``.

    These are ``tables.docx``, ``tables.xlsx``, ``methods.docx``, ``methods.md`` and, for a nested study,
    ``supplement.docx`` and ``supplement.xlsx`` with paper B's tables S1 to S7.

    Parameters
    ----------
    report : Report
        What the pages are made from.
    contents : sequence of Mapping
        ``name``, ``label`` and ``caption`` of the report's tables, in reading order.
    text : sequence of (str, str)
        The methods, from :func:`postarrest.report.methods.methods`.
    """
    study, here = report.study, report.here
    # A table that several pages have parts of is included once, with its first caption.
    first = {entry["name"]: entry for entry in reversed(contents)}
    order = dict.fromkeys(entry["name"] for entry in contents)
    tables = [
        Table(first[name]["label"], first[name]["caption"], _read(here, name), name)
        for name in order
        if here.table(name).is_file()
    ]
    files = {
        "tables.docx": word(study, tables),
        "tables.xlsx": excel(study, tables),
        "methods.docx": word(study, [], paragraphs=text),
        "methods.md": markdown(study, text).encode(),
    }
    if "nested" in study.protocols:
        supplement = supplementary(report)
        files |= {"supplement.docx": word(study, supplement), "supplement.xlsx": excel(study, supplement)}
    for name, content in files.items():
        write_bytes(here.report_dir / "manuscript" / name, content)


def supplementary(report: Report) -> list[Table]:
    """Return paper B's supplementary tables S1 to S7, made from a nested study's tables and parameters."""
    study, here, result = report.study, report.here, report.result
    network = complete_parameters(study, "03_cnn", root=here.root) if "03_cnn" in study.notebooks else {}
    image = [(name, plain_value(network[name])) for name in _IMAGE_SETTINGS if name in network]
    chosen = _read(here, "hyperparameters")
    is_network, is_pupil = chosen["model"].str.startswith("cnn"), chosen["model"] == "pupil"
    model = model_in_words(result.main)

    def of_main(name: str) -> pd.DataFrame:
        constant = ["outcome_label", "set", "model", "rule", "chosen_on"]
        return result.rows(_read(here, name)).drop(columns=constant, errors="ignore")

    tables = [
        ("Predictors, their handling and missing values.", _predictors(report)),
        (
            "Hyperparameters of the OHCA model, other base models and the ensemble: search space and values "
            "chosen.",
            chosen[~is_network & ~is_pupil],
        ),
        ("Hyperparameters of the pupil model: search space and values chosen.", chosen[is_pupil]),
        ("Image augmentation.", pd.DataFrame(image, columns=["setting", "value"])),
        (
            "Hyperparameters of the network's head, whose outputs are Platt scaled on out-of-fold scores.",
            chosen[is_network],
        ),
        (
            f"Performance of {model} at every 0.01 of predicted probability; the good outcome is the positive "
            "class. Other models: tables/threshold_sweep.csv.",
            of_main("threshold_sweep"),
        ),
        (
            f"All thresholds of {model} with false pessimism (FNR) below 5 %; fnr_upper is the upper 95 % "
            "confidence limit. Other models: tables/thresholds_fnr5.csv.",
            of_main("thresholds_fnr5"),
        ),
    ]
    return [
        Table(f"Table S{number}", caption, data, f"S{number}")
        for number, (caption, data) in enumerate(tables, start=1)
    ]


def _predictors(report: Report) -> pd.DataFrame:
    here = report.here
    stack = complete_parameters(report.study, "04_stacking", root=here.root)
    missing = _read(here, "missingness") if here.table("missingness").is_file() else None
    rows = [
        {
            "model": name,
            "algorithm": model.algorithm,
            "predictor": predictor,
            "handling": _HANDLING[model.algorithm],
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
    shown = NAMES.get(predictor, predictor)
    rows = missing[missing["variable"].str.contains(shown, regex=False)]
    if len(rows):
        return str(rows["overall"].iloc[0])
    return "see the table of missing values" if predictor.endswith("*") else "0"


def _read(here: Here, name: str) -> pd.DataFrame:
    # A column of values of many parameters has words as well as numbers of all sizes.
    return pd.read_csv(here.table(name), dtype={"value": str})
