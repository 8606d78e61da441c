"""Look at a study's data before anything is computed: every fault, or one page on what the study will have.

``python -m postarrest.check_data STUDY`` reads all tables and images of a study, trains nothing and writes to
``build/<study>/check/`` alone: ``summary.txt``, ``warnings.csv``, contact sheets of the CT slices, and, where
something is wrong, ``faults.csv``. It ends with 1 if there are faults. What it shows names rows, not
patients.
"""

import argparse
import inspect
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from postarrest import files, places
from postarrest.data import cohort as cohort_room
from postarrest.data import contract, errors, export
from postarrest.data.ct import slices as slices_room
from postarrest.data.errors import Finding
from postarrest.study import load
from postarrest.study import schema as schema_room

_COLUMNS, _ROWS, _TILE = 8, 6, 160
_MOST_SHOWN = 8
_LEAST_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """What was found in a study's data.

    Parameters
    ----------
    faults, warnings : tuple of Finding
        Of tables and images.
    summary : str
        One page of text, without identifiers; about what could be read where there are faults.
    sheets : tuple of PIL.Image.Image
        Contact sheets of the CT slices, each slice under its row in the patient table.
    """

    faults: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    summary: str
    sheets: tuple[Image.Image, ...]


def check(data: Path, **mapping: Any) -> Check:
    """Read everything of a study's data and tell what it has.

    Parameters
    ----------
    data : pathlib.Path
        The study's folder or patient table.
    **mapping
        As for `postarrest.cohort.read`.
    """
    found = export.examine(data, **mapping)
    faults, warnings = list(found.faults), list(found.warnings)
    formats: Counter[str] = Counter()
    sheets = _Sheets()
    if found.ct is not None:
        rows = found.rows[found.ct.index]
        slices = {name: found.patients.get(f"ct_{name}") for name in ("slice", "position_mm")}
        images = slices_room.read_each(
            found.ct, slice_index=slices["slice"], slice_position_mm=slices["position_mm"], rows=rows
        )
        for row, path, image in zip(rows, found.ct, images, strict=True):
            if isinstance(image, Finding):
                faults.append(image)
                continue
            formats[image.source + (" series" if path.is_dir() else "")] += 1
            sheets.add(image, f"row {row}")
            warnings += [
                Finding(f"ct/{path.name}", "image", note, "a look at it", int(row), alias="CT")
                for note in image.notes
            ]
    summary = _summary(data, found, mapping, formats, warnings)
    return Check(tuple(faults), tuple(warnings), summary, tuple(sheets.pages))


class _Sheets:
    """Contact sheets that fill up slice by slice, so that the slices needn't be kept."""

    def __init__(self):
        self.pages: list[Image.Image] = []
        self.count = 0

    def add(self, image: slices_room.CtSlice, label: str) -> None:
        place = self.count % (_COLUMNS * _ROWS)
        if place == 0:
            self.pages.append(Image.new("L", (_COLUMNS * _TILE, _ROWS * (_TILE + 14)), color=40))
        left, top = place % _COLUMNS * _TILE, place // _COLUMNS * (_TILE + 14)
        tile = Image.fromarray(image.image).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
        self.pages[-1].paste(tile, (left, top + 14))
        mark = " (see warnings)" if image.notes else ""
        ImageDraw.Draw(self.pages[-1]).text(
            (left + 4, top), label + mark, fill=255, font=ImageFont.load_default(11)
        )
        self.count += 1


def _summary(
    data: Path,
    found: export.StudyData,
    mapping: Mapping[str, Any],
    formats: Mapping[str, int],
    warnings: Sequence[Finding],
) -> str:
    lines = ["Tables", *(f"  {note}" for note in found.notes)]
    if len(found.patients):
        try:
            included, flow = cohort_room.select(found.patients, criteria=mapping.get("criteria") or {})
        except ValueError:  # told among the faults
            included, flow = cohort_room.select(found.patients, criteria={})
        lines += ["", "Patients", *_indented(flow)]
        lines += ["", "Outcome", *_outcome(included, mapping.get("outcome") or {})]
        lines += ["", "Beside the table", *_modalities(found, included, formats)]
        lines += ["", "Values of the included patients", *_indented(_values(included))]
    if warnings:
        counts = Counter((w.column or w.file.split("/")[0], w.rule) for w in warnings)
        lines += ["", f"Worth a look ({len(warnings)}; each in warnings.csv)"]
        lines += [f"  {where}: {rule}, {n} time{'s' if n > 1 else ''}" for (where, rule), n in counts.items()]
    return "\n".join(lines) + "\n"


def _indented(table: pd.DataFrame) -> list[str]:
    cells = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    aligned = [
        [
            cell.rjust(width) if pd.api.types.is_numeric_dtype(kind) else cell.ljust(width)
            for cell, width, kind in zip(row, widths, table.dtypes, strict=True)
        ]
        for row in cells
    ]
    return ["  " + "  ".join(row).rstrip() for row in aligned]


def _outcome(included: pd.DataFrame, outcome: Mapping[str, Any]) -> list[str]:
    named = "y_good" if "y_good" in included else "cpc"
    known = included[included[named].notna()] if named in included else included.iloc[:0]
    if known.empty:
        return ["  none could be read"]
    words = {
        "y_good_standard": outcome.get("meaning", "CPC 1 or 2"),
        "y_good_revised": "revised label: also awake after the CT and dead later of another cause",
    }
    labels = cohort_room.outcome_labels(known)
    return [
        f"  good ({words[name]}): {labels[name].sum()} of {len(known)} ({labels[name].mean():.1%})"
        for name in labels
    ]


def _modalities(found: export.StudyData, included: pd.DataFrame, formats: Mapping[str, int]) -> list[str]:
    lines = []
    if found.gwr is not None:
        measured = included.index.isin(found.gwr["patient_id"]).sum()
        lines.append(f"  GWR: {len(found.gwr)} readings, {measured} of {len(included)} included patients")
    if found.ct is not None:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(formats.items())) or "none could be read"
        lines.append(
            f"  CT: {included.index.isin(found.ct.index).sum()} of {len(included)} included patients;"
        )
        lines.append(f"    of all screened: {kinds}")
    return lines or ["  nothing"]


def _values(included: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name in included.columns.drop("exclusion", errors="ignore"):
        column = included[name]
        schema = contract.PATIENTS.columns.get(name)
        about = schema.metadata if schema is not None else {}
        if name == "y_good":
            about = {"kind": "yes or no", "codes": ("yes", "no")}
        if about.get("kind") == "yes or no":
            column = column.map({1.0: "yes", 0.0: "no"})
        missing = f"{column.isna().sum()} ({column.isna().mean():.0%})"
        rows.append((name, missing, _content(column, known=about.get("codes", ()))))
    return pd.DataFrame(rows, columns=["column", "missing", "median (range), or categories"])


def _content(column: pd.Series, *, known: Sequence[str]) -> str:
    if column.isna().all():
        return ""
    counts = column.value_counts()
    if pd.api.types.is_numeric_dtype(column):
        if len(counts) > 2:
            return f"{column.median():g} ({column.min():g} to {column.max():g})"
        return ", ".join(f"{level:g}: {n}" for level, n in counts.items())
    # A text that few have may say who they are, unless it is one of the contract's own codes.
    plain = counts[counts.index.isin(known) | (counts >= _LEAST_SHOWN)].head(_MOST_SHOWN)
    told = [f"{level} {n}" for level, n in plain.items()]
    if len(plain) < len(counts):
        told.append(f"{len(counts) - len(plain)} other texts {counts.sum() - plain.sum()}")
    return ", ".join(told)


def write(result: Check, folder: Path) -> None:
    """Write what `check` found; files of an earlier check are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("contact_sheet_*.png"), folder / "faults.csv"]:
        old.unlink(missing_ok=True)
    files.write_text(folder / "summary.txt", result.summary)
    errors.safe_csv(errors.fault_table(result.warnings), folder / "warnings.csv")
    if result.faults:
        errors.safe_csv(errors.fault_table(result.faults), folder / "faults.csv")
    for number, sheet in enumerate(result.sheets, start=1):
        sheet.save(folder / f"contact_sheet_{number}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a study's data; 0 if it can be run, 1 if there are faults, 2 if the study file has some."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.check_data", description=__doc__)
    parser.add_argument("study", help="name of a study, as in params/")
    name = parser.parse_args(arguments).study
    try:
        chosen = load.load(name)
    except schema_room.StudyError as error:
        print(error, file=sys.stderr)
        return 2
    here = places.open(name, save_to="report")
    parameters = chosen.parameters("01_cohort") | {"modalities": list(chosen.modalities)}
    data = Path(chosen.data) if chosen.data else here.data
    if not data.exists():
        what = f"no simulated data yet: make report STUDY={name}" if chosen.simulated else "no such data"
        print(f"{name}: {what}", file=sys.stderr)
        return 2
    known = inspect.signature(export.read_export).parameters
    result = check(data, **{k: v for k, v in parameters.items() if k in known and k != "data"})
    folder = here.build("check")
    write(result, folder)
    print(_told(result, folder))
    return 1 if result.faults else 0


def _told(result: Check, folder: Path) -> str:
    place = os.path.relpath(folder)
    text = result.summary
    if result.sheets:
        text += f"\nLook at {place}/contact_sheet_*.png before a long run.\n"
    if not result.faults:
        return text + "\nNo faults: the study can be run."
    table = errors.fault_table(result.faults)
    count = f"{len(table)} fault{'s' if len(table) > 1 else ''}, all in {place}/faults.csv:"
    return f"{text}\n{count}\n{errors.listing(result.faults)}"


if __name__ == "__main__":
    sys.exit(main())
