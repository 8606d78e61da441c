"""Every error in a study's data is reported once, in plain words, and no message names a patient.

``python tests/helpers/broken.py`` prints the list of invalid data and messages.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import openpyxl
import pytest

import odd
from broken import CANARY, CASES, HEAD, Broken, line, messages, write
from heads import png
from postarrest import places
from postarrest.data import DataErrors, errors, read_export
from postarrest.pipeline import check_data
from postarrest.study import schema

DOCUMENT = places.ROOT / "docs" / "broken-data.md"


@pytest.mark.parametrize("broken", CASES, ids=[broken.name.replace(" ", "_") for broken in CASES])
def test_each_error_is_reported_once_as_documented(broken: Broken, tmp_path: Path):
    found = messages(broken, tmp_path)
    assert len(found) == 1
    assert CANARY not in found[0]
    assert str(tmp_path) not in found[0]
    assert line(broken, found) in DOCUMENT.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("case", odd.ODD, ids=[case.name.replace(" ", "_") for case in odd.ODD])
def test_what_is_hardly_right_is_to_be_checked_as_documented(case: Broken, tmp_path: Path):
    found = odd.remarks(case, tmp_path)
    assert found
    assert CANARY not in "".join(found)
    assert line(case, found) in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_the_document_lists_only_these_errors():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    lines = [*HEAD.splitlines(), *CASES, *odd.HEAD.splitlines(), *odd.ODD]
    assert len(text.splitlines()) == len(lines)
    assert len({broken.name for broken in CASES}) == len(CASES) >= 60


def test_a_cell_in_the_far_corner_of_a_sheet_is_found_there(tmp_path: Path):
    book = openpyxl.Workbook()
    book.active.append(["patient_id", "cpc"])
    book.active.append([CANARY, 1])
    book.active["XFD1048576"] = "x"
    book.save(tmp_path / "patients.xlsx")
    with pytest.raises(DataErrors) as error:
        read_export(tmp_path, modalities=[])
    found = {(finding.row, finding.column) for finding in error.value.findings}
    assert {(1048576, "patient_id"), (1048576, "cpc")} <= found


def test_all_errors_of_tables_and_images_are_found_in_one_pass(tmp_path: Path):
    write(tmp_path, age_years="200", lactate_mmol_l="7,5", sex="2", cpc="")
    (tmp_path / "ct").mkdir()
    png(tmp_path / "ct" / f"{CANARY}1.png")
    (tmp_path / "ct" / f"{CANARY}2.dcm").write_bytes(b"")
    result = check_data.check(tmp_path, modalities=["ct", "gwr"])
    table = errors.findings_table(result.errors)
    assert table["rule"].tolist() == [
        "number",
        "range",
        "codes",
        "outcome",
        *["missing"] * 4,
        "readable",
        "empty",
    ]
    assert table["row"].dropna().tolist() == [3, 3, 3, 3, 4, 5, 6, 7, 3]
    assert list(table.columns) == ["file", "row", "column", "found", "expected", "rule"]


def test_reading_raises_all_errors_and_shows_values_only_in_the_table(tmp_path: Path):
    write(tmp_path, lactate_mmol_l=f"{CANARY} Taro", rosc_to_ct_min="19500321")
    with pytest.raises(DataErrors) as caught:
        read_export(tmp_path)
    assert caught.value.table["found"].tolist() == [f"{CANARY} Taro", "19500321"]
    assert CANARY not in str(caught.value)
    assert "1950" not in str(caught.value)
    assert str(caught.value).startswith("2 errors in the data:\n")


@pytest.fixture
def without_rights():
    """Let a test's body run as a user who isn't root, since root may read everything."""

    @contextlib.contextmanager
    def lowered():
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)

    return lowered


@pytest.fixture
def open_folder():
    """Give a folder that every user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("what", ["patients.csv", "ct", f"ct/{CANARY}2.png"])
def test_files_without_permission_are_reported(what: str, open_folder: Path, without_rights):
    folder = open_folder
    write(folder)
    for number in range(1, 7):
        png(folder / "ct" / f"{CANARY}{number}.png", patient=number)
    # Imports everything that is needed while it may still be read.
    assert not check_data.check(folder, modalities=["ct"]).errors
    (folder / what).chmod(0)
    with without_rights():
        found = check_data.check(folder, modalities=["ct"]).errors
    (folder / what).chmod(0o755)
    assert [error.found for error in found] == ["Permission denied"]


# ---------------------------------------------------------------------- study files


@pytest.mark.parametrize(
    "text",
    [
        "common: !!python/object/apply:os.system ['touch hacked']\n",
        "common: !!python/name:os.system\n",
        "a: &a {b: 1}\nc: *a\n",
        "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "a: 1\na: 2\n",
        "- a\n- list\n",
        "a: [1, 2\n",
        "\x00\x01",
    ],
    ids=["a tag", "a name", "an anchor", "laughs", "a key twice", "a list", "a bracket", "bytes"],
)
def test_study_files_are_only_plain_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(schema.StudyError, match=r"study\.yaml"):
        schema.read_yaml(tmp_path / "study.yaml")
    assert [p.name for p in tmp_path.iterdir()] == ["study.yaml"]
