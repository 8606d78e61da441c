"""Compare a report's numbers with the expected ones, within stated tolerances.

There are two levels: the same kind of machine with the same versions gives the same bytes in every table;
another machine gives the same numbers within the tolerances of :mod:`postarrest.pipeline.compare`.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postarrest.files import write_text
from postarrest.pipeline import running
from postarrest.pipeline.compare import TOLERANCES, Comparison, compare
from postarrest.pipeline.notebook import run_notebook
from postarrest.places import ROOT, Here
from postarrest.report import environment, manifest
from postarrest.report.rendering import as_json
from postarrest.report.used import used_network
from postarrest.study import load, schema

# Larger tables (every threshold, every trial) are compared by their hash alone.
_LARGEST_KEPT_CHARACTERS = 200_000
_SHOWN = 40


def expected_file(name: str, source: str, *, root: Path = ROOT) -> Path:
    """Return the file of a study's expected numbers, by the source of its network's weights.

    Examples
    --------
    >>> expected_file("ensemble", "imagenet").name, expected_file("arrest1000", "").name
    ('ensemble-imagenet.json', 'arrest1000.json')
    """
    return root / "reports" / "expected" / f"{name}{source and f'-{source}'}.json"


def source_of(name: str, *, root: Path = ROOT) -> str:
    """Return the source of the weights of a study's network; blank without a network.

    The report states it; a study without a report has it from its features.
    """
    here = Here(name, save_to="report", root=root)
    place = here.report_dir / "summary.json"
    return _read(place).get("source", "") if place.is_file() else used_network(here).source


def snapshot(
    folder: Path, numbers: Mapping[str, Any], pages: Mapping[str, str], computed_with: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is saved of a report: its numbers, its tables and what they were computed with.

    Parameters
    ----------
    folder : pathlib.Path
        The report, with its ``tables/``.
    numbers : Mapping
        The report's numbers, by name.
    pages : Mapping
        The page of each table.
    computed_with : Mapping
        From :func:`postarrest.report.environment.describe`.
    """
    tables = {}
    for path in sorted((folder / "tables").glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        tables[path.stem] = {
            "page": pages.get(path.stem, ""),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "csv": text if len(text) <= _LARGEST_KEPT_CHARACTERS else None,
        }
    return {"environment": environment.kind(computed_with), "numbers": dict(numbers), "tables": tables}


def snapshot_of(name: str, *, root: Path = ROOT) -> dict[str, Any]:
    """Return the snapshot of a study's report."""
    here = Here(name, save_to="report", root=root)
    # A table with parts on several pages belongs to the first: the evaluation alone cannot make all of it.
    listed = reversed(_read(here.report_dir / "summary.json").get("tables", []))
    pages = {table["name"]: table["page"] for table in listed}
    # What the first notebook recorded; the report may have been copied to this machine.
    records = sorted(here.build("pages").glob("*.json"))
    computed_with = _read(records[0])["environment"] if records else environment.describe(root=root)
    return snapshot(here.report_dir, _read(here.report_dir / "numbers.json"), pages, computed_with)


def keep(name: str, *, root: Path = ROOT) -> Path:
    """Save a study's numbers and tables as the expected ones; return the file."""
    place = expected_file(name, source_of(name, root=root), root=root)
    write_text(place, as_json(snapshot_of(name, root=root)))
    return place


def evaluate_scores(name: str, scores: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Run only the evaluation, on a scores table, and return its snapshot; the report is left unchanged."""
    aside = Here(name, save_to="from-scores")
    parameters = load.load(name, runs=False).parameters("05_evaluation")
    parameters |= {"save_to": aside.save_to, "scores_file": str(scores.resolve())}
    run_notebook(name, "05_evaluation", parameters)
    pages = {table: entry["page"] for table, entry in expected["tables"].items()}
    record = _read(aside.page("05_evaluation"))
    return snapshot(aside.report_dir, record["numbers"], pages, record["environment"])


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _in_words(comparison: Comparison) -> list[str]:
    if comparison.same_machine:
        lines = ["Same versions, same kind of machine: every table should have the same bytes."]
    else:
        lines = ["Other versions or another machine: numbers are compared within these tolerances:"]
        lines += [f"  {tolerance}" for tolerance in TOLERANCES]
    lines.append(f"{comparison.compared} numbers, cells and identical tables compared.")
    lines += [f"  DIFFERS: {deviation}" for deviation in comparison.deviations[:_SHOWN]]
    if more := len(comparison.deviations[_SHOWN:]):
        lines.append(f"  and {more} more")
    if comparison.same_machine and comparison.not_identical:
        lines.append(f"  NOT THE SAME BYTES: {', '.join(comparison.not_identical)}")
    elif comparison.not_compared:
        names = ", ".join(comparison.not_compared)
        lines.append(f"Differ, but are not compared (large, or a search): {names}")
    return [*lines, "The numbers are the expected ones." if comparison.passed else "THE NUMBERS DIFFER."]


def _in_words_manifest(differing: list[manifest.Difference]) -> list[str]:
    if not differing:
        return ["Every file agrees with the manifest."]
    first, *others = (f"{d.file} ({d.kind}, {d.what})" for d in differing[:20])
    lines = [f"THE FIRST FILE THAT DIFFERS from the manifest: {first}", *(f"  also {o}" for o in others)]
    return lines + ([f"  and {len(differing) - 20} more"] if len(differing) > 20 else [])


def missing(name: str, source: str, *, root: Path = ROOT) -> str:
    """Return in words that a study has no expected numbers for some weights, and for which it has."""
    weights = f" with weights from the source '{source}'" if source else ""
    folder = expected_file(name, source, root=root).parent
    kept = sorted(path.stem.removeprefix(f"{name}-") for path in folder.glob(f"{name}-*.json"))
    others = f" There are some for: {', '.join(kept)}." if kept else ""
    return f"There are no expected numbers of the study {name}{weights}.{others}"


def of_copy(path: Path, *, root: Path = ROOT) -> tuple[bool, list[str]]:
    """Return whether a Word file is from the run that its study's report is of, and what to print."""
    from postarrest.report import draft

    if not path.is_file():
        return False, [f"{path}: no such file"]
    try:
        found = draft.run_of_file(path)
    except ValueError as error:
        return False, [str(error)]
    if found is None:
        return False, [f"{path}: does not say which run it is from; expected a Word file of a report"]
    name, run = found
    place = Here(name, save_to="report", root=root).report_dir / "summary.json"
    if not place.is_file():
        return False, [
            f"{path}: from run {run} of the study {name}, which has no report here to compare with"
        ]
    now = _read(place)["run_hash"]
    if run == now:
        return True, [f"{path}: CURRENT. It is from run {run} of the study {name}, as the report is."]
    current = place.parent.relative_to(root) / "manuscript"
    return False, [
        f"{path}: OUT OF DATE. It is from run {run} of the study {name}; the report is of run {now}.",
        f"The current files are in {current}.",
    ]


def _verify(given: argparse.Namespace) -> tuple[bool, list[str]]:
    """Return whether a study's report is the expected one, and what to print."""
    if given.docx is not None:
        return of_copy(Path(given.docx))
    # The report is there already: the data are compared where they are named, and needed nowhere.
    study = load.load(given.study, runs=False)
    source = source_of(study.name) if given.source is None else given.source
    here, place = Here(study.name, save_to="report"), expected_file(study.name, source)
    none = missing(study.name, source)
    if given.from_scores is not None:
        scores = Path(given.from_scores or here.build("scores.csv"))
        if not place.is_file() or not scores.is_file():
            return False, [none if scores.is_file() else f"No scores table: {os.path.relpath(scores)}"]
        expected = _read(place)
        comparison = compare(expected, evaluate_scores(study.name, scores, expected), only="05_evaluation")
        return comparison.passed, _in_words(comparison)
    if not (here.report_dir / "summary.json").is_file():
        return False, [f"No report of this study yet: make report STUDY={study.name}"]
    if given.keep:
        return True, [f"Saved in {keep(study.name).relative_to(ROOT)}"]
    differing = manifest.check(study)
    lines = _in_words_manifest(differing)
    if not place.is_file():
        return not differing, [*lines, none]
    comparison = compare(_read(place), snapshot_of(study.name))
    return comparison.passed and not differing, lines + _in_words(comparison)


def main(arguments: list[str] | None = None) -> int:
    """Verify a report; the exit status is 1 if something differs."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.pipeline.verify", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--study")
    which.add_argument("--docx", metavar="FILE", help="a Word file of a report: is it from the report's run?")
    help_source = (
        "compare with the numbers of weights from SOURCE: imagenet, embedded or none; else the report's own"
    )
    parser.add_argument("--source", help=help_source)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="save this report's numbers as the expected ones")
    help_scores = "run only the evaluation, on the study's scores table or on FILE, and compare that"
    what.add_argument("--from-scores", nargs="?", const="", metavar="FILE", help=help_scores)
    try:
        passed, lines = _verify(parser.parse_args(arguments))
    except schema.StudyError as error:
        passed, lines = False, [str(error)]
    (sys.stdout if passed else sys.stderr).write("\n".join(lines) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    with running.ended_in_words():
        sys.exit(main())
