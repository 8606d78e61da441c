"""What an Excel file shows and its cells do not say is noticed, in the columns that are read."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from broken import patients, sheet
from postarrest.data import tablefile, workbook
from postarrest.data.export import examine


@pytest.fixture
def book() -> openpyxl.Workbook:
    return sheet()


def found(book: openpyxl.Workbook, folder: Path, **settings) -> tuple[list[str], list[str]]:
    book.save(folder / "patients.xlsx")
    study = examine(folder, **settings)
    return [e.found for e in study.errors], [w.found for w in study.warnings]


def test_a_plain_file_has_nothing_of_the_kind(book: openpyxl.Workbook, tmp_path: Path):
    assert found(book, tmp_path) == ([], [])


def test_merged_cells_are_named(book: openpyxl.Workbook, tmp_path: Path):
    for cells in ("C3:C5", "C6:D6", "A2:A3", "E2:E4"):
        book.active.merge_cells(cells)
    assert found(book, tmp_path)[0] == ["merged cells A2:A3, C3:C5, C6:D6 and 1 more"]


def test_merged_and_hidden_cells_beside_what_is_read_do_not_matter(book: openpyxl.Workbook, tmp_path: Path):
    book.active["P1"] = "remarks"
    book.active.merge_cells("P2:Q5")
    book.active.column_dimensions["P"].hidden = True
    assert found(book, tmp_path) == ([], [])


def test_hidden_rows_are_counted_and_still_read(book: openpyxl.Workbook, tmp_path: Path):
    for row in (2, 3, 4, 7):
        book.active.row_dimensions[row].hidden = True
    assert found(book, tmp_path)[1] == ["hidden rows: 4 (2 to 4, 7), read like the others"]
    assert len(tablefile.read(tmp_path / "patients.xlsx", names=["patient_id"]).cells) == 6


def test_a_group_of_hidden_columns_is_named_one_by_one(book: openpyxl.Workbook, tmp_path: Path):
    book.active.column_dimensions.group("C", "E", hidden=True)
    study_warnings = found(book, tmp_path)[1]
    assert study_warnings == ["a hidden column, which is read like the others"] * 3


def test_numbers_in_percent_are_read_as_stored(book: openpyxl.Workbook, tmp_path: Path):
    book.active["N1"] = "spo2"
    for row in range(2, 8):
        book.active.cell(row, 14, 0.9 + row / 100).number_format = "0.0%"
    errors, warnings = found(book, tmp_path, predictors=["spo2"])
    assert errors == []
    assert warnings == ["6 cells shown in percent, read as stored: 45 % is 0.45"]
    assert examine(tmp_path, predictors=["spo2"]).patients["spo2"].tolist()[0] == 0.92


def test_percent_signs_in_a_csv_are_no_categories(tmp_path: Path):
    cells = ["97 %", "88%", "91,5 %", "99 %", "", "90 %"]
    patients().assign(spo2=cells).to_csv(tmp_path / "patients.csv", index=False)
    errors = examine(tmp_path, predictors=["spo2"], table_format={"decimal": "."}).errors
    assert {e.rule for e in errors} == {"number"}
    assert [e.row for e in errors] == [2, 3, 4, 5, 7]


@pytest.mark.parametrize("far", ["A1:XFD1048576", "A2:A1048576"])
def test_a_merge_over_the_whole_sheet_does_not_fill_the_memory(
    far: str, book: openpyxl.Workbook, tmp_path: Path
):
    book.active.merge_cells("C3:C5")
    book.save(tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as old, zipfile.ZipFile(tmp_path / "patients.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'ref="C3:C5"', f'ref="{far}"'.encode()))
    (tmp_path / "a.xlsx").unlink()
    (error,) = examine(tmp_path).errors
    assert "cells merged into one" in error.found


def test_a_cell_in_the_far_corner_is_passed_over(book: openpyxl.Workbook, tmp_path: Path):
    book.active.row_dimensions[3].hidden = True
    book.active["XFD1048576"] = "a stray one"
    assert found(book, tmp_path)[1] == ["hidden rows: 1 (3), read like the others"]


def test_a_large_file_says_that_it_was_not_looked_at(
    book: openpyxl.Workbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workbook, "_MOST_BYTES", 1000)
    book.active.row_dimensions[3].hidden = True
    assert "too much to look for merged cells" in found(book, tmp_path)[1][0]
