"""The last check before a page is written: no identifier, no path, no oversized page."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from postarrest.places import Here
from postarrest.report.body import PageError
from postarrest.study.load import Study

LARGEST_PAGE_BYTES = 3_000_000


def check_pages(written: Mapping[str, str], here: Here, study: Study) -> None:
    private = {str(here.root), str(Path.home()), study.data, study.scores} - {"", "/", "/root"}
    identifiers = _identifiers(here)
    faults = []
    for file_name, text in written.items():
        if len(text.encode()) > LARGEST_PAGE_BYTES:
            faults.append(f"{file_name} has {len(text.encode()) / 1e6:.1f} MB, at most 3 are published.")
        # What a picture's data spell is no text.
        words = re.sub(r"data:image/[^\"']+", "", text)
        faults += [f"{file_name} shows the path {p}" for p in sorted(private) if p in words]
        # An identifier may hold dots, and a sentence may end after it.
        found = identifiers & {word.rstrip(".") for word in re.findall(r"[\w.-]+", words)}
        if found:
            faults.append(f"{file_name} shows the identifiers of {len(found)} patients")
    for path in sorted((here.report_dir / "tables").glob("*.csv")):
        header = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
        if "patient_id" in header:
            faults.append(f"tables/{path.name} has a row for each patient")
    if faults:
        raise PageError("\n".join(faults))


def _identifiers(here: Here) -> set[str]:
    """Return the patients' identifiers that can't be mistaken for a number of the report."""
    cohort = here.build("cohort.parquet")
    if not cohort.is_file():
        return set()
    ids = pd.read_parquet(cohort, columns=[]).index.astype(str)
    return {i for i in ids if len(i) >= 4 and (not i.isdigit() or len(i) >= 6)}
