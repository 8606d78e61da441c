"""The readers return no name, number or date of birth; ``helpers/canary.py`` searches a whole report."""

import base64
import logging
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broken import many, patients, write_gwr
from canary import BIRTHDAYS, CANARIES, ID, NAME, forms, plant, search, traces
from heads import series
from postarrest.data import (
    DataErrors,
    contract,
    errors,
    fingerprint,
    read_export,
    read_slice,
    read_slices,
    select,
)
from postarrest.data.cohort import GIVEN_ONCE
from postarrest.describe import hide_small_counts
from postarrest.pipeline import check_data


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    write_gwr(data)
    for number, patient in enumerate(patients()["patient_id"]):
        series(data / "ct" / patient, levels=2, patient=number)
    plant(data)
    table = pd.read_csv(data / "patients.csv", dtype=str)
    table.assign(ct_slice="1").to_csv(data / "patients.csv", index=False)
    return data


def test_the_search_finds_what_was_planted(planted: Path):
    found, count, _ = search(planted)
    assert count == 14
    for canary in (NAME, ID, *BIRTHDAYS[:2]):
        assert sum(canary in trace.split(": ")[-1] for trace in found) >= 12


@pytest.mark.parametrize("canary", CANARIES)
def test_the_search_looks_into_base64_utf_16_and_archives(canary: str, tmp_path: Path):
    for shift in range(3):
        data = base64.b64encode(b"x" * shift + canary.encode() + b" and more")
        assert list(traces(data, where="a")) == [f"a: {canary}"]
    assert list(traces(canary.encode("utf-16"), where="a")) == [f"a: {canary}"]
    assert len(forms(canary)) == 6
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.txt", canary * 10)
    assert any("b.txt" in trace for trace in traces((tmp_path / "a.zip").read_bytes(), where="a"))
    assert not list(traces(b"nothing of the kind", where="a"))


def test_what_the_readers_return_has_ids_only_in_the_index(planted: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        data = read_export(planted, modalities=["gwr", "ct"])
        images = read_slices(data.ct, slice_index=data.patients["ct_slice"], rows=data.rows)
        slices = [read_slice(path, slice_index=1) for path in data.ct]
    assert not warned
    assert not caplog.text
    assert images.shape == (6, 256, 256)
    assert set(data.patients) <= set(contract.PATIENTS.columns)
    for thing in (
        data.patients.reset_index(drop=True),
        data.gwr.drop(columns="patient_id"),
        data.notes,
        slices,
    ):
        text = thing.to_csv() if isinstance(thing, pd.DataFrame) else str(thing)
        assert not list(traces(text.encode(), where=""))


def test_the_check_shows_and_writes_rows_instead_of_names(planted: Path, tmp_path: Path):
    result = check_data.check(planted, modalities=["gwr", "ct"])
    assert not result.errors
    check_data.write(result, tmp_path / "check")
    found, count, _ = search(tmp_path / "check")
    assert not found
    assert count == 3


def test_errors_are_reported_without_names(planted: Path):
    table = pd.read_csv(planted / "patients.csv", dtype=str)
    table.loc[0, ["age_years", "lactate_mmol_l", "sex"]] = [BIRTHDAYS[0], f"{NAME} Jorunn", NAME]
    table.loc[1, "patient_id"] = f"{ID}/{NAME}"
    table.loc[2, ["age_years", "rosc_to_ct_min"]] = [BIRTHDAYS[1], BIRTHDAYS[2]]
    table.to_csv(planted / "patients.csv", index=False)
    broken = next(p for p in sorted((planted / "ct").iterdir())[3].iterdir())
    broken.write_bytes(f"{NAME} {ID}".encode())
    (planted / "ct" / f"{NAME}.png").write_bytes(b"")
    result = check_data.check(planted, modalities=["gwr", "ct"])
    assert len(result.errors) > 5
    shown = errors.listing(result.errors) + errors.listing(result.warnings) + result.summary
    assert not list(traces(shown.encode(), where=""))
    with pytest.raises(DataErrors) as caught:
        read_export(planted, modalities=["gwr", "ct"])
    assert not list(traces(str(caught.value).encode(), where=""))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_reason_for_exclusion_that_few_patients_have_is_not_shown(tmp_path: Path):
    reasons = ["stroke\x1b[2J"] * 6 + ["head\ntrauma"] * 4 + [f"{NAME} went home", f"{NAME} refused"]
    table = many(48)
    table["exclusion"] = [*reasons, *[""] * 36]
    table.to_csv(tmp_path / "patients.csv", index=False)
    study = read_export(tmp_path)
    included, flow = select(study.patients, criteria={"max_age_years": 70})
    assert flow.to_numpy().tolist()[1:4] == [
        ["excluded", "stroke\x1b[2J", 6, 42],
        ["excluded", "head\ntrauma", 4, 38],
        ["excluded", GIVEN_ONCE, 2, 36],
    ]
    lines = check_data.check(tmp_path, criteria={"max_age_years": 70}).summary.splitlines()
    assert [line.split() for line in lines if line.startswith("  excluded")] == [
        ["excluded", "stroke", "[2J", "6", "42"],
        ["excluded", "other", "reasons,", "each", "rare", "6", "36"],
        ["excluded", "older", "than", "70", "years", *map(str, (36 - len(included), len(included)))],
    ]


def test_small_numbers_of_patients_can_be_hidden():
    table = pd.DataFrame({"exclusion": ["rare"] * 2 + ["stroke"] * 9 + ["trauma"] * 6 + [None] * 40})
    _, flow = select(table.assign(cpc=np.nan), criteria={})
    excluded = flow[flow["step"] == "excluded"]
    assert hide_small_counts(excluded["n"], below=5).tolist() == ["9", "hidden", "<5"]


def test_the_fingerprint_of_data_changes_with_any_file_and_contains_no_name(planted: Path):
    first = fingerprint(planted)
    assert fingerprint(planted) == first
    assert not list(traces(first.encode(), where=""))
    seen = {first}
    image = next((planted / "ct").rglob("*.dcm"))
    image.write_bytes(image.read_bytes() + b" ")
    seen.add(fingerprint(planted))
    image.rename(image.with_name("other.dcm"))
    seen.add(fingerprint(planted))
    (planted / "more.csv").touch()
    seen.add(fingerprint(planted))
    assert len(seen) == 4
    assert fingerprint(planted / "patients.csv") != fingerprint(planted / "gwr.csv")
