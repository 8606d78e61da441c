"""Check a study's data before anything is computed: report all errors, or summarise the data on one page.

``python -m postarrest.pipeline.check_data STUDY`` reads all tables and images of a study, trains nothing and
writes only to ``build/<study>/check/``: ``summary.txt``, ``warnings.csv``, contact sheets of the CT slices
and, if there are errors, ``errors.csv``. The exit status is then 1. Patients are identified only by row.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from postarrest import files, places
from postarrest.data import errors
from postarrest.data.cohort import GIVEN_ONCE, outcome_labels, select
from postarrest.data.contract import PATIENTS
from postarrest.data.errors import Finding
from postarrest.data.export import StudyData, examine
from postarrest.data.images import Images, examine_images
from postarrest.data.mapping import ExportSettings
from postarrest.describe.masking import merge_rare_reasons
from postarrest.estimate import Estimate
from postarrest.evaluation.giveaways import giveaways
from postarrest.pipeline import running
from postarrest.study import against_data, load
from postarrest.study.load import Study
from postarrest.study.schema import StudyError

_COLUMNS, _ROWS, _TILE, _LABEL = 8, 6, 160, 14
_MOST_SHOWN = 8
# A text that fewer patients have may identify them.
_FEWEST_SHOWN = 5
_WHICH = (
    "Which data? Type: make check-data STUDY=name DATA=/path/to/export (docs/running.md, 'Your own data')."
)


@dataclass(frozen=True)
class Check:
    """What was found in a study's data.

    Parameters
    ----------
    errors, warnings : tuple of Finding
        In tables and images.
    summary : str
        One page of text, without identifiers; if there are errors, about what could be read.
    sheets : tuple of PIL.Image.Image
        Contact sheets of the CT slices, each slice labelled with its row in the patient table.
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    summary: str
    sheets: tuple[Image.Image, ...]


def check(data: Path, *, of: Study | None = None, **settings: Any) -> Check:
    """Read all of a study's data and summarise it.

    Parameters
    ----------
    data : pathlib.Path
        The study's folder or patient table.
    of : Study, optional
        The study, which is then checked to run on these patients.
    **settings
        As for `postarrest.data.export.read_export`.
    """
    study = examine(data, **settings)
    found, warnings = list(study.errors), list(study.warnings)
    images = examine_images(study, study.patients)
    if not found:
        included, _ = select(study.patients, criteria=settings.get("criteria") or {})
        labels = outcome_labels(included)
        y_good = labels[f"y_good_{of.outcome_labels[0] if of else 'standard'}"]
        found += against_data.errors(of, included, y_good) if of else []
        warnings += _giveaways(images, y_good)
    found += images.errors
    warnings += images.warnings
    sheets: list[Image.Image] = []
    for number, (image, row, noted) in enumerate(
        zip(images.slices, images.files["row"], images.files["noted"], strict=True)
    ):
        _add_to_sheets(sheets, number, image, f"row {row}" + " (see warnings)" * noted)
    summary = _summary(study, settings, images.files["source"].value_counts(), warnings)
    return Check(tuple(found), tuple(warnings), summary, tuple(sheets))


def _giveaways(images: Images, y_good: pd.Series) -> Iterator[Finding]:
    """Yield what predicts the outcome although it only says how an image was exported."""
    about = images.export[images.export.index.isin(y_good.index)]
    for row in giveaways(about, y_good[about.index]).itertuples():
        auc = Estimate(row.auc, row.lower, row.upper)
        found = f"{row.what} alone predicts the outcome, AUC {auc}"
        yield Finding("ct", "giveaway", found, "images exported alike whatever the outcome", alias="CT")


def _add_to_sheets(sheets: list[Image.Image], number: int, image: np.ndarray, label: str) -> None:
    """Draw a slice on the last contact sheet, or on a new one if that is full."""
    place = number % (_COLUMNS * _ROWS)
    if place == 0:
        sheets.append(Image.new("L", (_COLUMNS * _TILE, _ROWS * (_TILE + _LABEL)), color=40))
    left, top = place % _COLUMNS * _TILE, place // _COLUMNS * (_TILE + _LABEL)
    tile = Image.fromarray(image).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
    sheets[-1].paste(tile, (left, top + _LABEL))
    ImageDraw.Draw(sheets[-1]).text((left + 4, top), label, fill=255, font=ImageFont.load_default(11))


def _summary(
    study: StudyData, settings: Mapping[str, Any], formats: Mapping[str, int], warnings: Sequence[Finding]
) -> str:
    lines = ["Tables", *(f"  {note}" for note in study.notes)]
    if len(study.patients):
        try:
            included, flow = select(study.patients, criteria=settings.get("criteria") or {})
        except ValueError:  # reported among the errors
            included, flow = select(study.patients, criteria={})
        lines += ["", "Patients", *_indented(_flow(flow, study.patients))]
        lines += ["", "Outcome", *_outcome(included, settings.get("outcome") or {})]
        lines += ["", "Readings and images", *_modalities(study, included, formats)]
        lines += ["", "Values of the included patients", *_indented(_values(included))]
    if warnings:
        kinds: dict[tuple[str, str], list[Finding]] = {}
        for warning in warnings:
            place = warning.column or warning.alias or warning.file
            kinds.setdefault((place, warning.rule), []).append(warning)
        lines += ["", f"Please check ({len(warnings)}; each in warnings.csv)"]
        for (place, rule), of_kind in kinds.items():
            first, n = of_kind[0], len(of_kind)
            found = errors.described(first.found) if first.verbatim else first.found
            lines.append(f"  {place}: {rule}, {n} time{'s' if n > 1 else ''}, such as {found}")
    return "\n".join(map(errors.printable, lines)) + "\n"


def _flow(flow: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """Return the participant flow, in which the rare ones of the reasons in the data are merged."""
    own = flow["reason"].isin([GIVEN_ONCE, *patients.get("exclusion", pd.Series(dtype="str")).dropna()])
    steps = [flow[own & (flow["step"] == step)] for step in ("excluded", "kept")]
    rare_merged = [merge_rare_reasons(step, below=_FEWEST_SHOWN) for step in steps]
    flow = pd.concat([flow[~own], *rare_merged]).sort_index()
    left = flow["n"].iloc[0] - flow["n"].where(flow["step"] == "excluded", 0).cumsum()
    return flow.assign(n_left=left)


def _indented(table: pd.DataFrame) -> list[str]:
    text = pd.concat([table.columns.to_frame().T, table.astype(str)])
    for name, kind in table.dtypes.items():
        side = "left" if pd.api.types.is_numeric_dtype(kind) else "right"
        text[name] = text[name].str.pad(text[name].str.len().max(), side=side)
    return ["  " + "  ".join(row).rstrip() for row in text.to_numpy()]


def _outcome(included: pd.DataFrame, outcome: Mapping[str, Any]) -> list[str]:
    name = "y_good" if "y_good" in included else "cpc"
    known = included.dropna(subset=name) if name in included else included.iloc[:0]
    if known.empty:
        return ["  none could be read"]
    words = {
        "y_good_standard": outcome.get("meaning", "CPC 1 or 2"),
        "y_good_revised": "revised label: also if awake after the CT, with a later extracranial death",
    }
    return [
        f"  good ({words[name]}): {label.sum()} of {len(known)} ({label.mean():.1%})"
        for name, label in outcome_labels(known).items()
    ]


def _modalities(study: StudyData, included: pd.DataFrame, formats: Mapping[str, int]) -> list[str]:
    lines = []
    if study.gwr is not None:
        measured = included.index.isin(study.gwr["patient_id"]).sum()
        lines.append(f"  GWR: {len(study.gwr)} readings, {measured} of {len(included)} included patients")
    if study.ct is not None:
        imaged = included.index.isin(study.ct.index).sum()
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(formats.items())) or "none could be read"
        lines.append(f"  CT: {imaged} of {len(included)} included patients;")
        lines.append(f"    of all screened: {kinds}")
    return lines or ["  nothing"]


def _values(included: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, column in included.drop(columns="exclusion", errors="ignore").items():
        about = PATIENTS.columns[name].metadata if name in PATIENTS.columns else {}
        known = about.get("codes", ())
        if name == "y_good" or about.get("kind") == "yes or no":
            column, known = column.map({1.0: "yes", 0.0: "no"}), ("yes", "no")
        missing = f"{column.isna().sum()} ({column.isna().mean():.0%})"
        rows.append((name, missing, _content(column, known=known)))
    return pd.DataFrame(rows, columns=["column", "missing", "median (range), or categories"])


def _content(column: pd.Series, *, known: Sequence[str]) -> str:
    counts = column.value_counts()
    if pd.api.types.is_numeric_dtype(column) and len(counts) > 2:
        return f"{column.median():g} ({column.min():g} to {column.max():g})"
    if pd.api.types.is_numeric_dtype(column):
        return ", ".join(f"{level:g}: {n}" for level, n in counts.items())
    # The contract's own codes identify nobody.
    is_code = counts.index.isin(known)
    texts = pd.DataFrame({"step": "", "reason": counts.index, "n": counts.to_numpy()})
    rare_merged = merge_rare_reasons(texts[~is_code], below=_FEWEST_SHOWN, label="other texts, each rare")
    shown = pd.concat([texts[is_code], rare_merged])
    listed = [f"{text} {n}" for text, n in zip(shown["reason"], shown["n"], strict=True)]
    more = [f"and {len(listed) - _MOST_SHOWN} more"] if len(listed) > _MOST_SHOWN else []
    return ", ".join(listed[:_MOST_SHOWN] + more)


def write(result: Check, folder: Path) -> None:
    """Write what `check` found; the files of an earlier check are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("contact_sheet_*.png"), folder / "errors.csv"]:
        old.unlink(missing_ok=True)
    files.write_text(folder / "summary.txt", result.summary)
    errors.safe_csv(errors.findings_table(result.warnings), folder / "warnings.csv")
    if result.errors:
        errors.safe_csv(errors.findings_table(result.errors), folder / "errors.csv")
    for number, sheet in enumerate(result.sheets, start=1):
        sheet.save(folder / f"contact_sheet_{number}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check studies' data; return 0 if all can be run, 1 for errors in data, 2 for errors in a study file."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline.check_data", description=__doc__)
    parser.add_argument("studies", nargs="*", help="names of studies, as in params/")
    studies = parser.parse_args(arguments).studies
    if not studies:
        print(f"{_WHICH} The studies are {', '.join(load.names())}.", file=sys.stderr)
        return 2
    return max(_check_study(name) for name in studies)


def _check_study(name: str) -> int:
    try:
        study = load.load(name)
        here = places.open(name, save_to="report")
        data = Path(study.data) if study.data else here.data
        if study.scores:
            raise StudyError(f"{name}: has scores and no data of patients; make evaluate checks them.")
        if not data.exists():
            what = f"no simulated data yet: make report STUDY={name}" if study.simulated else "no such data"
            raise StudyError(f"{name}: {what}")
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    settings = {k: v for k, v in study.parameters("01_cohort").items() if k in ExportSettings.model_fields}
    result = check(data, of=study, **settings)
    folder = here.build("check")
    write(result, folder)
    print(_report(result, os.path.relpath(folder)))
    return 1 if result.errors else 0


def _report(result: Check, folder: str) -> str:
    text = result.summary
    if result.sheets:
        text += f"\nLook at {folder}/contact_sheet_*.png before a long run.\n"
    count = len(result.errors)
    if not count:
        return text + "\nNo errors: the study can be run."
    where = f"{count} error{'s' if count > 1 else ''}, all in {folder}/errors.csv:"
    return f"{text}\n{where}\n{errors.listing(result.errors)}"


if __name__ == "__main__":
    with running.ended_in_words():
        sys.exit(main())
