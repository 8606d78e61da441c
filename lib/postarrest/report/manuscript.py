"""What a manuscript takes from a report: tables for Word and Excel, the supplement, the methods in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.data.contract import NAMES
from postarrest.files import write_bytes
from postarrest.models import tabular
from postarrest.places import Here
from postarrest.report import summary
from postarrest.report.methods import markdown, plain_value
from postarrest.report.office import Table, excel, word
from postarrest.study.load import Study, complete_parameters


def write(
    study: Study, here: Here, *, contents: Mapping[str, Any], text: Sequence[tuple[str, str]]
) -> list[Path]:
    """Write a study's files for the manuscript into ``reports/<study>/manuscript``.

    Parameters
    ----------
    study : Study
        The study.
    here : Here
        Its places.
    contents : Mapping
        The report's ``tables``, as ``summary.json`` has them.
    text : sequence of (str, str)
        The methods, from :func:`methods`.

    Returns
    -------
    list of pathlib.Path
        ``tables.docx``, ``tables.xlsx``, ``methods.docx``, ``methods.md`` and, of a nested study,
        ``supplement.docx`` and ``supplement.xlsx`` with paper B's tables S1 to S7.
    """
    folder = here.report_dir / "manuscript"
    tables = report_tables(here, contents)
    files = {
        "tables.docx": word(study, tables),
        "tables.xlsx": excel(study, tables),
        "methods.docx": word(study, [], paragraphs=text),
        "methods.md": markdown(study, text).encode(),
    }
    if "nested" in study.protocols:
        supplement = supplementary(study, here)
        files |= {"supplement.docx": word(study, supplement), "supplement.xlsx": excel(study, supplement)}
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]


def report_tables(here: Here, contents: Mapping[str, Any]) -> list[Table]:
    """Return the report's tables in reading order, each once."""
    found: dict[str, Table] = {}
    for entry in contents["tables"]:
        name = entry["name"]
        if name not in found and here.table(name).is_file():
            found[name] = Table(entry["label"], entry["caption"], _read(here, name), name)
    return list(found.values())


def supplementary(study: Study, here: Here) -> list[Table]:
    """Return paper B's supplementary tables S1 to S7, made from this study's tables and parameters.

    Parameters
    ----------
    study : Study
        A study with nested cross-validation.
    here : Here
        Its places.
    """
    base = complete_parameters(study, "04_stacking", root=here.root)
    network = complete_parameters(study, "03_cnn", root=here.root) if "03_cnn" in study.notebooks else {}
    chosen = _read(here, "hyperparameters")
    is_network = chosen["model"].str.startswith("cnn")
    performance = _read(here, "performance")

    def main(name: str) -> pd.DataFrame:
        rows = summary.main_rows(study, performance, _read(here, name))
        return rows.drop(
            columns=[c for c in ("outcome_label", "set", "model", "rule", "chosen_on") if c in rows]
        )

    model = summary.model_in_words(summary.main_model(performance))
    image = ["architecture", "fit_image", "augmentation", "copies", "precision", "class_weights"]
    return [
        Table("Table S1", "Predictors, their handling and missing values.", _predictors(base, here), "S1"),
        Table(
            "Table S2",
            "Settings of the OHCA model, other base models and the stack: space searched, values chosen.",
            chosen[~is_network & (chosen["model"] != "pupil")],
            "S2",
        ),
        Table(
            "Table S3",
            "Settings of the pupil model: space searched and values chosen.",
            chosen[chosen["model"] == "pupil"],
            "S3",
        ),
        Table(
            "Table S4",
            "Image augmentation.",
            pd.DataFrame({"setting": image, "value": [plain_value(network.get(name, "")) for name in image]})
            if network
            else pd.DataFrame({"setting": [], "value": []}),
            "S4",
        ),
        Table(
            "Table S5",
            "Hyperparameters of the network's head; its outputs are Platt scaled on out-of-fold scores.",
            chosen[is_network],
            "S5",
        ),
        Table(
            "Table S6",
            f"Performance of {model} at every 0.01 of predicted probability; the good outcome is positive. "
            "Other models: tables/threshold_sweep.csv.",
            main("threshold_sweep"),
            "S6",
        ),
        Table(
            "Table S7",
            f"All thresholds of {model} with an FNR (false pessimism) below 5 %; fnr_upper: its upper 95 % "
            "limit. Other models: tables/thresholds_fnr5.csv.",
            main("thresholds_fnr5"),
            "S7",
        ),
    ]


def _predictors(base: Mapping[str, Any], here: Here) -> pd.DataFrame:
    handling = {
        "lightgbm": "as they are; LightGBM takes missing values itself",
        "logistic": "standardised; missing values: median of the fitted-on patients and an indicator",
        "forest": "missing values: median of the fitted-on patients and an indicator",
        "select": "by the algorithm chosen in the inner folds",
        "cnn": "one CT slice, window 40 / 80 HU; see Table S4",
    }
    missing = _read(here, "missingness") if here.table("missingness").is_file() else pd.DataFrame()
    rows = []
    for model, given in tabular.declared(base["models"]).items():
        for predictor in given.predictors or ["head CT slice"]:
            rows.append(
                {
                    "model": model,
                    "algorithm": given.algorithm,
                    "predictor": predictor,
                    "handling": handling[given.algorithm],
                    "patients without it": _missing(missing, predictor),
                }
            )
    return pd.DataFrame(rows)


def _missing(missing: pd.DataFrame, predictor: str) -> str:
    if missing.empty:
        return ""
    # Variables that are missing in the same patients share a row there, under the first names.
    shown = NAMES.get(predictor, predictor)
    rows = missing[missing["variable"].str.contains(shown, regex=False)]
    if len(rows):
        return str(rows["overall"].iloc[0])
    return "see the table of missing values" if predictor.endswith("*") else "0"


def _read(here: Here, name: str) -> pd.DataFrame:
    # A column of values of many parameters holds words as well as numbers of all sizes.
    return pd.read_csv(here.table(name), dtype={"value": str})
