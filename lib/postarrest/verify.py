"""A report's numbers set against those that were kept, within stated tolerances.

Run as ``python -m postarrest.verify --study holdout``. Two tiers: the same kind of machine with the same
versions gives the same bytes in every table; another machine gives the same numbers within the tolerances
below.
"""

import argparse
import hashlib
import io
import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest import environment, manifest
from postarrest import study as studies
from postarrest.files import write_text
from postarrest.study import ROOT, Here

# Larger tables (every threshold, every trial) are compared by their hash alone.
_LARGEST_KEPT_CHARACTERS = 200_000
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the kept one on another machine.

    Parameters
    ----------
    name : str
        What kind of number.
    absolute, relative : float
        The larger of ``absolute`` and ``relative`` times the kept value is allowed.
    why : str
        Why that much.
    """

    name: str
    absolute: float
    relative: float
    why: str

    def allows(self, kept: float, here: float) -> bool:
        """Return whether a number is near enough.

        Examples
        --------
        >>> COMPUTED.allows(0.8213, 0.8213000001), COMPUTED.allows(0.8213, 0.8214)
        (True, False)
        """
        if math.isnan(kept) or math.isnan(here):
            return math.isnan(kept) and math.isnan(here)
        if math.isinf(kept) or math.isinf(here):
            return kept == here
        return abs(kept - here) <= max(self.absolute, self.relative * abs(kept))


COMPUTED = Tolerance(
    "computed",
    1e-9,
    1e-6,
    "counts, and statistics computed from the data: processors differ in the last digits",
)
TRAINED = Tolerance(
    "trained",
    0.02,
    0.02,
    "what trained models say: small differences in rounding grow while a model is trained",
)
TRAINED_COUNT = Tolerance("trained, counts of patients", 2, 0.05, TRAINED.why)
TRAINED_P = Tolerance("trained, p values", 0.1, 0.0, TRAINED.why)
TOLERANCES = (COMPUTED, TRAINED, TRAINED_COUNT, TRAINED_P)

# Scores that are computed, not trained, so that their evaluation is exact.
_MARKERS = ("gwr_*", "ohca_score")
_COUNTS = frozenset({"tp", "fp", "fn", "tn", "n_undefined"})
# What a search chose or tried: of two settings that are equally good another machine may take the other, so
# that they are told and are no fault.
_SEARCHED = ("*hyperparameters", "*_search", "base_algorithms")


@dataclass(frozen=True)
class Deviation:
    """A number or cell that is not near enough to the kept one.

    Parameters
    ----------
    place : str
        Name of the number, or table, row and column.
    kept, here : str
        What was kept and what was found.
    tolerance : str
        Name of the tolerance that it exceeds.
    """

    place: str
    kept: str
    here: str
    tolerance: str

    def __str__(self) -> str:
        return f"{self.place}: kept {self.kept}, here {self.here} ({self.tolerance})"


@dataclass(frozen=True)
class Comparison:
    """A report set against the kept one.

    Parameters
    ----------
    same_machine : bool
        Whether both were computed with the same versions on the same kind of machine, so that every table is
        expected to have the same bytes.
    compared : int
        Numbers and cells compared.
    deviations : list of Deviation
        Those that are not near enough, tables in the order of their names.
    not_identical : list of str
        Tables whose bytes differ.
    not_compared : list of str
        Tables that were too large to keep, or that a search wrote, and whose bytes differ.
    """

    same_machine: bool
    compared: int
    deviations: list[Deviation]
    not_identical: list[str]
    not_compared: list[str]

    @property
    def passed(self) -> bool:
        """Whether the report is the kept one, as far as this machine can give it."""
        return not self.deviations and not (self.same_machine and self.not_identical)


def expected_file(name: str, *, root: Path = ROOT) -> Path:
    """Return where a study's kept numbers are."""
    return root / "reports" / "expected" / f"{name}.json"


def snapshot(folder: Path, computed_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a report: its numbers, its tables and what they were computed with.

    Parameters
    ----------
    folder : pathlib.Path
        The report: ``numbers.json``, ``summary.json`` and ``tables/``.
    computed_with : Mapping
        From :func:`postarrest.environment.describe`.
    """
    pages = {item["name"]: item["page"] for item in _read_json(folder / "summary.json").get("tables", [])}
    tables = {}
    for path in sorted((folder / "tables").glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        tables[path.stem] = {
            "page": pages.get(path.stem, ""),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "csv": text if len(text) <= _LARGEST_KEPT_CHARACTERS else None,
        }
    return {
        "environment": environment.kind(computed_with),
        "numbers": _read_json(folder / "numbers.json"),
        "tables": tables,
    }


def compare(kept: Mapping[str, Any], here: Mapping[str, Any], *, only: str = "") -> Comparison:
    """Compare two snapshots.

    Parameters
    ----------
    kept, here : Mapping
        From :func:`snapshot`.
    only : str
        Compare what this notebook alone made, such as ``"05_evaluation"``; blank for everything.
    """
    deviations: list[Deviation] = []
    compared = 0
    wanted = {n: e for n, e in kept["numbers"].items() if n.startswith(only)}
    for name, entry in wanted.items():
        found = here["numbers"].get(name)
        if found is None:
            deviations.append(Deviation(name, "a number", "nothing", "must be there"))
            continue
        tolerance = _of_number(name, entry)
        for part in ("value", "lower", "upper"):
            compared += entry[part] is not None
            deviations += _deviation(f"{name} ({part})", _float(entry[part]), _float(found[part]), tolerance)
    extra = [n for n in here["numbers"] if n.startswith(only) and n not in kept["numbers"]]
    deviations += [Deviation(n, "nothing", "a number", "must not be there") for n in extra]

    not_identical, not_compared = [], []
    for name, table in kept["tables"].items():
        if not table["page"].startswith(only):
            continue
        found = here["tables"].get(name)
        if found is None:
            deviations.append(Deviation(f"tables/{name}.csv", "a table", "nothing", "must be there"))
            continue
        if found["sha256"] == table["sha256"]:
            compared += 1
            continue
        not_identical.append(name)
        if table["csv"] is None or found["csv"] is None or _matches(name, _SEARCHED):
            not_compared.append(name)
            continue
        cells, differing = _compare_tables(name, table["page"], table["csv"], found["csv"])
        compared += cells
        deviations += differing
    return Comparison(
        kept["environment"] == here["environment"], compared, deviations, not_identical, not_compared
    )


def _compare_tables(name: str, page: str, kept: str, here: str) -> tuple[int, list[Deviation]]:
    then, now = (pd.read_csv(io.StringIO(t), dtype=str, keep_default_na=False) for t in (kept, here))
    if list(then.columns) != list(now.columns):
        shown = ", ".join(map(str, then.columns)), ", ".join(map(str, now.columns))
        return 0, [Deviation(f"tables/{name}.csv, columns", *shown, "must be equal")]
    if len(then) != len(now):
        shown = f"{len(then)} rows", f"{len(now)} rows"
        return 0, [Deviation(f"tables/{name}.csv", *shown, "must be equal")]
    deviations = []
    for position, (row, found) in enumerate(
        zip(then.to_dict("records"), now.to_dict("records"), strict=True), start=1
    ):
        for column in then.columns:
            tolerance = _of_cell(page, column, row)
            if not _cells_agree(row[column], found[column], tolerance):
                place = f"tables/{name}.csv, row {position}, {column}"
                deviations.append(Deviation(place, row[column], found[column], tolerance.name))
    return then.size, deviations


def _cells_agree(kept: str, here: str, tolerance: Tolerance) -> bool:
    """Return whether two cells say the same: their words exactly, their numbers within the tolerance."""
    if kept == here:
        return True
    if _NUMBER.sub("#", kept) != _NUMBER.sub("#", here):
        return False
    pairs = zip(_NUMBER.findall(kept), _NUMBER.findall(here), strict=True)
    return all(tolerance.allows(float(a), float(b)) for a, b in pairs)


def _of_cell(page: str, column: str, row: Mapping[str, str]) -> Tolerance:
    models = [row[c] for c in ("model", "model_a", "model_b") if c in row]
    trained = page.startswith(("03_", "04_", "05_")) and not (
        models and all(_matches(model, _MARKERS) for model in models)
    )
    # Whoever was counted in is in, whatever a model says of them.
    if not trained or column in ("n", "n_good", "n_fitted_on", "n_scored", "n_in_both", "fold"):
        return COMPUTED
    if column in _COUNTS:
        return TRAINED_COUNT
    return TRAINED_P if column == "p" or column.startswith("p_") else TRAINED


def _of_number(name: str, entry: Mapping[str, Any]) -> Tolerance:
    if name.startswith(("01_", "02_")) or name.rsplit(".", 1)[-1].startswith("n_"):
        return COMPUTED
    if name.endswith("_p"):
        return TRAINED_P
    return TRAINED_COUNT if isinstance(entry["value"], int) else TRAINED


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _deviation(place: str, kept: float, here: float, tolerance: Tolerance) -> list[Deviation]:
    if tolerance.allows(kept, here):
        return []
    return [Deviation(place, f"{kept:g}", f"{here:g}", tolerance.name)]


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _computed_with(here: Here) -> dict[str, Any]:
    # What the notebooks noted when they ran; the report may have been copied to this machine.
    noted = sorted(here.build("environment").glob("*.json"))
    return _read_json(noted[0]) if noted else environment.describe(root=here.root)


def keep(name: str, *, root: Path = ROOT) -> Path:
    """Keep a study's numbers and tables, for later runs to be set against; return the file."""
    here = Here(name, save_to="report", root=root)
    place = expected_file(name, root=root)
    content = snapshot(here.report_dir, _computed_with(here))
    write_text(place, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return place


def evaluate_scores(name: str, scores: Path, *, root: Path = ROOT) -> dict[str, Any]:
    """Run the evaluation alone on a scores table and return its snapshot; nothing of the report is touched.

    Parameters
    ----------
    name : str
        The study.
    scores : pathlib.Path
        The scores table.
    """
    from postarrest import pipeline

    study = studies.load(name, root=root)
    aside = Here(name, save_to="from-scores", root=root)
    given = study.parameters("05_evaluation") | {
        "save_to": aside.save_to,
        "scores_file": str(scores.resolve()),
    }
    pipeline.run_notebook(
        "05_evaluation",
        given,
        executed=aside.report_dir / "05_evaluation.ipynb",
        failed=aside.out("failed/05_evaluation.ipynb"),
        log=aside.out("05_evaluation.log"),
        threads=1,
    )
    folder = aside.report_dir
    kept_pages = _read_json(expected_file(name, root=root))["tables"]
    contents = {"tables": [{"name": t, "page": v["page"]} for t, v in kept_pages.items()]}
    write_text(folder / "summary.json", json.dumps(contents))
    write_text(folder / "numbers.json", aside.numbers("05_evaluation").read_text(encoding="utf-8"))
    return snapshot(folder, environment.describe(root=root))


def _told(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.same_machine:
        lines.append("Same versions, same kind of machine: every table is expected to have the same bytes.")
    else:
        lines.append("Other versions or another machine: numbers are compared within these tolerances:")
        lines += [
            f"  {t.name}: {t.absolute:g}, or {100 * t.relative:g} % where that is more; {t.why}"
            for t in TOLERANCES
        ]
    lines.append(f"{comparison.compared} numbers, cells and identical tables compared.")
    shown = comparison.deviations[:40]
    lines += [f"  DIFFERS: {deviation}" for deviation in shown]
    if len(comparison.deviations) > len(shown):
        lines.append(f"  and {len(comparison.deviations) - len(shown)} more")
    if comparison.same_machine and comparison.not_identical:
        lines.append(f"  NOT THE SAME BYTES: {', '.join(comparison.not_identical)}")
    elif comparison.not_compared:
        named = ", ".join(comparison.not_compared)
        lines.append(f"Differ, but are not compared (large, or what a search tried): {named}")
    lines.append("The numbers are those that were kept." if comparison.passed else "THE NUMBERS DIFFER.")
    return lines


def _told_manifest(differing: Sequence[manifest.Difference]) -> list[str]:
    if not differing:
        return ["Every file is as the manifest says."]
    first = differing[0]
    lines = [f"THE FIRST FILE THAT DIFFERS from the manifest: {first.file} ({first.kind}, {first.what})"]
    lines += [f"  also {d.file} ({d.kind}, {d.what})" for d in differing[1:20]]
    return lines + ([f"  and {len(differing) - 20} more"] if len(differing) > 20 else [])


def _wanting(here: Here, expected: Path, from_scores: str | None) -> str:
    """Return what is not there for a comparison; blank where everything is."""
    if from_scores is None and not (here.report_dir / "summary.json").is_file():
        return f"No report of this study yet: make report STUDY={here.study}"
    if from_scores is not None and not expected.is_file():
        return f"No numbers of this study are kept in {expected.relative_to(ROOT)} to compare with."
    scores = Path(from_scores) if from_scores else here.build("scores.csv")
    if from_scores is not None and not scores.is_file():
        return f"No scores table: {os.path.relpath(scores)}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Verify a report; the exit status is 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.verify", description=__doc__)
    parser.add_argument("--study", required=True)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="keep this report's numbers as the expected ones")
    what.add_argument(
        "--from-scores",
        nargs="?",
        const="",
        metavar="FILE",
        help="run the evaluation alone, on the study's scores table or on FILE, and compare that",
    )
    given = parser.parse_args(arguments)
    try:
        study = studies.load(given.study)
    except studies.StudyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    here = Here(study.name, save_to="report")
    expected = expected_file(study.name)
    wanting = _wanting(here, expected, given.from_scores)
    if wanting:
        sys.stderr.write(f"{wanting}\n")
        return 1
    if given.keep:
        sys.stdout.write(f"Kept in {keep(study.name).relative_to(ROOT)}\n")
        return 0
    if given.from_scores is not None:
        scores = Path(given.from_scores) if given.from_scores else here.build("scores.csv")
        comparison = compare(_read_json(expected), evaluate_scores(study.name, scores), only="05_evaluation")
        sys.stdout.write("\n".join(_told(comparison)) + "\n")
        return 0 if comparison.passed else 1
    differing = manifest.check(study)
    lines = _told_manifest(differing)
    passed = not differing
    if expected.is_file():
        comparison = compare(_read_json(expected), snapshot(here.report_dir, _computed_with(here)))
        lines += _told(comparison)
        passed = passed and comparison.passed
    else:
        lines.append(f"No numbers of this study are kept in {expected.relative_to(ROOT)} to compare with.")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
