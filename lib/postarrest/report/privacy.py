"""The last check before a report is written: no identifier, no path of this machine, no oversized page."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from postarrest.places import Here
from postarrest.report.body import PageError
from postarrest.study.load import Study

LARGEST_PAGE_BYTES = 3_000_000


def check_pages(written: Mapping[str, str], here: Here, study: Study) -> None:
    """Refuse pages that would disclose a patient or this machine, and those that are too large.

    Parameters
    ----------
    written : Mapping
        HTML by file name.
    here : Here
        The study's places; its tables are checked as well.
    study : Study
        The study, whose paths are private.

    Raises
    ------
    PageError
        Listing every reason, without any identifier.
    """
    model = study.model if Path(study.model).is_absolute() else ""
    private = {str(here.root), str(Path.home()), study.data, study.scores, model} - {"", "/", "/root"}
    cohort = here.build("cohort.parquet")
    ids = pd.read_parquet(cohort, columns=[]).index.astype(str) if cohort.is_file() else []
    # Shorter ones could be a number of the report.
    identifiers = {i for i in ids if len(i) >= 4 and (not i.isdigit() or len(i) >= 6)}
    reasons = []
    for file_name, text in written.items():
        if len(text.encode()) > LARGEST_PAGE_BYTES:
            reasons.append(f"{file_name} has {len(text.encode()) / 1e6:.1f} MB, expected at most 3 MB")
        # The encoded data of pictures are not text.
        words = re.sub(r"data:image/[^\"']+", "", text)
        reasons += [f"{file_name} shows the path {p}" for p in sorted(private) if p in words]
        # An identifier may contain dots, and one may end a sentence.
        found = identifiers & {word.rstrip(".") for word in re.findall(r"[\w.-]+", words)}
        if found:
            reasons.append(f"{file_name} shows the identifiers of {len(found)} patients")
    for path in sorted((here.report_dir / "tables").glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            if "patient_id" in file.readline().strip().split(","):
                reasons.append(f"tables/{path.name} has one row per patient")
    if reasons:
        raise PageError("\n".join(reasons))
