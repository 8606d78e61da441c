"""Apply a frozen model to a hospital's patients, whose outcome need not be known.

``python -m postarrest.pipeline.apply --model FOLDER --data EXPORT --out FILE.csv`` reads the export by the
data contract, with the mapping of the study that the model is from, or of another (``--study``). One row per
patient: the main model's score and each rule's decision, what to mind, why a model has no score, then every
other model. Nobody is left out. The file holds patients' rows: it belongs with the export.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest.data.contract import PATIENTS
from postarrest.data.ct.slices import CtSlice, read_each
from postarrest.data.errors import DataErrors, Finding, nearest, safe_csv
from postarrest.data.export import StudyData, examine
from postarrest.data.mapping import ExportSettings
from postarrest.models import bundle
from postarrest.models.bundle import Bundle, BundleError, Scored
from postarrest.pipeline import read_ct, running
from postarrest.pipeline.warm import thread_environment
from postarrest.study import load
from postarrest.study.schema import StudyError


@dataclass(frozen=True)
class Applied:
    """A frozen model applied to an export.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per patient, as it is written.
    scored : Scored
        Scores of all parts, and why some are missing.
    flags : pandas.DataFrame
        ``patient_id, reason``.
    """

    table: pd.DataFrame
    scored: Scored
    flags: pd.DataFrame


def apply(frozen: Bundle, data: Path, *, mapping: Mapping[str, Any] | None = None) -> Applied:
    """Score every patient of an export.

    Parameters
    ----------
    frozen : Bundle
        The frozen model.
    data : pathlib.Path
        The export: a folder, or the patient table where there is nothing else.
    mapping : Mapping, optional
        How the export maps onto the data contract; by default as that of the model's own study did.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error: columns that the model needs and the export lacks, values that break the
        contract, no CT at all where the model needs them.
    """
    mapping = frozen.manifest["export"] if mapping is None else mapping
    study, patients = _read(frozen, data, mapping)
    ct, unreadable = _slices(study, patients)
    automatic, doubts = None, None
    if study.ct is not None and "gwr_automatic" in frozen.kinds:
        automatic, doubts = read_ct.readings(study.ct, image_size=study.image_size)
    given = {"ct": ct, "readings": study.gwr, "no_ct": unreadable, "automatic": automatic}
    scored = bundle.score(frozen, patients, **given)
    flags = bundle.flags(frozen, patients, doubts=doubts)
    excluded = study.patients.get("exclusion", pd.Series(dtype=str)).dropna()
    more = pd.DataFrame({"patient_id": excluded.index, "reason": "the export has a reason for exclusion"})
    flags = pd.concat([flags, more], ignore_index=True)
    return Applied(_table(frozen, scored, flags), scored, flags)


def _read(frozen: Bundle, data: Path, mapping: Mapping[str, Any]) -> tuple[StudyData, pd.DataFrame]:
    modalities = ["ct"] if {"network", "gwr_automatic"} & frozen.kinds else []
    if "gwr" in frozen.kinds and data.is_dir() and any(path.stem == "gwr" for path in data.iterdir()):
        modalities.append("gwr")
    everybody = {"criteria": {"exclusions": "none"}, "for_scoring": True}
    study = examine(data, modalities=modalities, **mapping, **everybody)
    shown = ExportSettings(**mapping).shown_name
    errors, patients = list(study.errors), study.patients.copy()
    reported = {error.column for error in errors}
    for name, about in frozen.columns.items():
        if name not in patients:
            expected = f"a column that the model needs{nearest(name, patients.columns)}"
            if len(patients.columns) and not {name, mapping.get("columns", {}).get(name)} & reported:
                errors.append(Finding("patients", "column", "no such column", expected, 1, shown(name)))
        elif name not in PATIENTS.columns:
            found = "number" if pd.api.types.is_numeric_dtype(patients[name]) else "text"
            if patients[name].isna().all():
                patients[name] = patients[name].astype({"number": float, "text": "str"}[about["kind"]])
            elif found != about["kind"]:
                errors.append(
                    Finding("patients", "kind", f"{found}s", f"{about['kind']}s", column=shown(name))
                )
    if errors:
        raise DataErrors(errors)
    return study, patients


def _slices(study: StudyData, patients: pd.DataFrame) -> tuple[tuple[pd.Index, np.ndarray] | None, pd.Series]:
    """Return the patients with a readable CT and their slices, and why others' could not be read."""
    if study.ct is None:
        return None, pd.Series(dtype=str)
    index, position_mm = patients.get("ct_slice"), patients.get("ct_position_mm")
    choices = {"slice_index": index, "slice_position_mm": position_mm, "rows": study.rows}
    read = read_each(study.ct, image_size=study.image_size, **choices)
    found = dict(zip(study.ct.index, read, strict=True))
    images = {patient: one.image for patient, one in found.items() if isinstance(one, CtSlice)}
    broken = {
        patient: f"the head CT cannot be read: found {one.found}; expected {one.expected}"
        for patient, one in found.items()
        if isinstance(one, Finding)
    }
    slices = np.stack(list(images.values())) if images else np.empty((0, 256, 256), np.uint8)
    return (pd.Index(list(images)), slices), pd.Series(broken, dtype=str)


def _table(frozen: Bundle, scored: Scored, flags: pd.DataFrame) -> pd.DataFrame:
    main, models = frozen.manifest["main"], frozen.manifest["models"]
    decided = bundle.decisions(frozen.manifest["thresholds"], scored.scores)
    columns: dict[str, pd.Series] = {}

    def add(model: str) -> None:
        columns[model] = scored.scores[model]
        for rule in frozen.manifest["thresholds"].get(model, {}):
            columns[f"{model}, {rule}"] = decided[model, rule]

    add(main)
    by_patient = flags.groupby("patient_id", sort=False)["reason"].agg("; ".join)
    ids = scored.scores.index
    columns["to_mind"] = by_patient.reindex(ids).fillna("")
    whys = scored.reasons[models].apply(
        lambda row: "; ".join(f"{model}: {why}" for model, why in row.items() if why), axis=1
    )
    columns["not_scored"] = whys
    before = [name for name in scored.scores if name.endswith("_before_platt")]
    for model in [name for name in models if name != main]:
        add(model)
    for name in before:
        columns[name] = scored.scores[name]
    return pd.DataFrame(columns, index=ids).rename_axis("patient_id").reset_index()


def summary(frozen: Bundle, applied: Applied) -> str:
    """Return what was done, in counts."""
    main = frozen.manifest["main"]
    n, scored = len(applied.table), int(applied.scored.scores[main].notna().sum())
    lines = [f"{scored} of {n} patients were scored by the main model, {main}."]
    reasons = applied.scored.reasons[main]
    lines += [f"  no score: {why}, {k}" for why, k in reasons[reasons != ""].value_counts().items()]
    counts = applied.flags.groupby("reason")["patient_id"].nunique().sort_values(ascending=False)
    lines += [f"  to mind: {why}, {k}" for why, k in counts.items()]
    if frozen.manifest["simulated"]:
        lines.append("The model was fitted on simulated patients: its scores mean nothing for real ones.")
    return "\n".join([*lines, "Not for clinical use."])


def misplaced(out: Path, *, model: Path, data: Path) -> str:
    """Return why scores may not be written to a file, which would replace something else; "" if they may.

    Examples
    --------
    >>> misplaced(Path("export/patients.csv"), model=Path("model"), data=Path("export"))
    'export/patients.csv: found a place in the export, expected one outside it and the model.'
    """
    for place, name in ((data, "the export"), (model, "the model")):
        if out.resolve().is_relative_to(place.resolve()):
            return f"{out}: found a place in {name}, expected one outside it and the model."
    if out.exists() and not out.is_file():
        return f"{out}: found something that is no file, expected a new file or one to replace."
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Apply a frozen model; return 0, 1 for errors in the model or the data, 2 for others."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline.apply", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a frozen model")
    parser.add_argument("--data", type=Path, required=True, help="a hospital's export")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--study", default="", help="study in params/ whose mapping is used")
    given = parser.parse_args(arguments)
    if why := misplaced(given.out, model=given.model, data=given.data):
        print(why, file=sys.stderr)
        return 2
    os.environ.update(thread_environment(1))
    try:
        frozen = bundle.load(given.model)
        mapping = None
        if given.study:
            study = load.load(given.study, environment={"POSTARREST_DATA": str(given.data.resolve())})
            mapping = bundle.export_of(load.complete_parameters(study, "01_cohort"), frozen.columns)
        applied = apply(frozen, given.data, mapping=mapping)
        safe_csv(applied.table, given.out)
    except (BundleError, DataErrors, StudyError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{given.out}: cannot be written ({error.strerror}).", file=sys.stderr)
        return 2
    print(f"{summary(frozen, applied)}\nWritten: {given.out}")
    return 0


if __name__ == "__main__":
    with running.ended_in_words():
        sys.exit(main())
