"""A report's numbers set against those that were kept, within stated tolerances.

Run as ``python -m postarrest.verify --study holdout``. Two tiers: the same kind of machine with the same
versions gives the same bytes in every table; another machine gives the same numbers within the tolerances
below.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postarrest.files import write_text
from postarrest.pipeline.compare import TOLERANCES, Comparison, compare
from postarrest.places import ROOT, Here
from postarrest.report import environment, manifest
from postarrest.study import load, schema

# Larger tables (every threshold, every trial) are compared by their hash alone.
_LARGEST_KEPT_CHARACTERS = 200_000


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
    from postarrest.pipeline import notebook

    study = load.load(name, root=root)
    aside = Here(name, save_to="from-scores", root=root)
    given = study.parameters("05_evaluation") | {
        "save_to": aside.save_to,
        "scores_file": str(scores.resolve()),
    }
    notebook.run_notebook(
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
        study = load.load(given.study)
    except schema.StudyError as error:
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
