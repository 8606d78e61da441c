"""What a reading session needs: the ids of the patients, their CT, and proposed places for the circles."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from postarrest.data.ct.finding import find_ct
from postarrest.data.errors import DataErrors, Finding, Findings
from postarrest.places import Here
from postarrest.reading.circles import SITES, Place, Site

_COLUMNS = ("patient_id", "region", "side", *Place._fields)


def included_ids(here: Here) -> list[str]:
    """Return the ids of a study's included patients. Nothing else of the cohort is read, so no outcome.

    Raises
    ------
    FileNotFoundError
        If the study has no cohort yet.
    """
    place = here.build("cohort.parquet")
    if not place.is_file():
        raise FileNotFoundError(
            f"The study '{here.study}' has no cohort yet. In a terminal, run first: "
            f"make report STUDY={here.study} SNAKEMAKE='--until cohort'"
        )
    return pd.read_parquet(place, columns=[]).index.astype(str).tolist()


def ct_paths(data: Path, ids: list[str]) -> pd.Series:
    """Return ``patient_id`` -> path of the head CT.

    Parameters
    ----------
    data : pathlib.Path
        The study's data folder, with ``ct/``.
    ids : list of str
        The patients.

    Raises
    ------
    postarrest.data.errors.DataErrors
        If a patient's CT is missing or there are several; a row in the message is a place among the ids.
    """
    found = Findings()
    patients = pd.DataFrame({"patient_id": ids}, index=range(1, len(ids) + 1))
    paths = find_ct(Path(data), patients, pd.Series(True, index=patients.index), found)
    if found.errors:
        raise DataErrors(found.errors)
    return paths


def read_proposals(place: Path) -> dict[str, dict[Site, Place]]:
    """Return the proposed place of each patient's circles; none if there is no such file.

    Parameters
    ----------
    place : pathlib.Path
        CSV with ``patient_id, region, side, slice_index, row, column``, in pixels of the original slice.

    Raises
    ------
    postarrest.data.errors.DataErrors
        Listing every error: missing columns, an unknown region or side, a place that is not a number, two
        places for one circle.
    """
    place = Path(place)
    if not place.is_file():
        return {}
    table = pd.read_csv(place, dtype=str, keep_default_na=False)
    errors = list(_errors(table, place.name))
    if errors:
        raise DataErrors(errors)
    proposals: dict[str, dict[Site, Place]] = {}
    for row in table.to_dict("records"):
        at = Place(int(float(row["slice_index"])), float(row["row"]), float(row["column"]))
        proposals.setdefault(row["patient_id"], {})[Site(row["region"], row["side"])] = at
    return proposals


def _errors(table: pd.DataFrame, file: str) -> Iterator[Finding]:
    missing = [name for name in _COLUMNS if name not in table]
    for name in missing:
        yield Finding(file, "column", "no such column", "a column of this name", 1, name)
    if missing:
        return
    sites = pd.MultiIndex.from_frame(table[["region", "side"]])
    numbers = table[list(Place._fields)].apply(pd.to_numeric, errors="coerce")
    wrong: Mapping[str, tuple[pd.Series, str, str]] = {
        "region": (
            ~pd.Series(sites.isin(SITES)),
            "no such region and side",
            "a region of the contract, L or R",
        ),
        "number": (
            ~numbers.ge(0).all(axis=1) | (numbers["slice_index"] % 1 != 0),
            "a place that is not three numbers of at least 0",
            "slice_index (whole), row and column",
        ),
        "duplicate": (
            table.duplicated(["patient_id", "region", "side"]),
            "a second place for the same circle",
            "one per patient, region and side",
        ),
    }
    for rule, (at, found, expected) in wrong.items():
        # Row 1 of a spreadsheet is the header.
        for row in table.index[at.to_numpy()]:
            yield Finding(file, rule, found, expected, int(row) + 2)
