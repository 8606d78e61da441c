"""The contract: how errors are reported, what leaves the computer, and the data dictionary."""

import csv
import io
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postarrest.data import contract, dictionary, errors
from postarrest.data.errors import Finding
from postarrest.describe import hide_small_counts
from postarrest.places import ROOT


def test_the_data_dictionary_is_that_of_the_schema():
    written = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert written == dictionary.renewed(written), "renew it: python -m postarrest.data.dictionary"


def test_the_data_dictionary_explains_every_column():
    for schema in (contract.PATIENTS, contract.GWR):
        text = dictionary.table(schema)
        for name, column in schema.columns.items():
            assert f"| `{name}` | {column.description} |" in text
            assert len(column.description) > 3
            unit = column.metadata.get("unit", "")
            assert not unit or f" {unit} |" in text


def test_units_are_converted_by_molar_mass():
    # Molar masses: creatinine 113.12 g/mol, lactic acid 90.08 g/mol. 1 mg/dL = 10 mg/L.
    assert contract.UNITS["creatinine_umol_l"]["mg/dL"] == pytest.approx(10 / 113.12 * 1000, rel=1e-3)
    assert contract.UNITS["lactate_mmol_l"]["mg/dL"] == pytest.approx(10 / 90.08, rel=1e-3)
    assert all(1 in {*factors.values()} for factors in contract.UNITS.values())


# ---------------------------------------------------------------------- errors


def test_equal_errors_share_a_line_and_each_has_a_row_of_the_table():
    found = [
        Finding("p.csv", "range", "300", "0 to 125 years", row=r, column="age_years") for r in range(2, 9)
    ]
    found.append(Finding("gwr.csv", "column", "no such column", "a column", column="side"))
    error = errors.DataErrors(found)
    assert len(error.table) == 8
    assert str(error).splitlines() == [
        "8 errors in the data:",
        "  p.csv, rows 2, 3, 4, 5, 6 and 2 more, age_years: found 300; expected 0 to 125 years.",
        "  gwr.csv, side: found no such column; expected a column.",
    ]


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo", "Zs"]), min_size=5, max_size=40))
def test_no_word_from_a_cell_is_repeated_unless_it_is_common_in_exports(word: str):
    shown = errors.described(f"Tanaka {word}")
    assert "Tanaka" not in shown
    assert shown.startswith("text of")


@given(st.dates().map(str) | st.integers(10**7, 10**12).map(str) | st.dates().map(lambda d: f"{d:%d.%m.%Y}"))
def test_no_date_and_no_long_number_is_repeated(cell: str):
    assert errors.described(cell) != cell


@given(st.floats(-99999, 99999).map(lambda x: f"{x:.2f}"))
def test_short_numbers_are_shown(cell: str):
    assert errors.described(cell) == cell
    assert errors.described(cell.replace(".", ",")) == cell.replace(".", ",")


def test_a_million_equal_errors_are_a_thousand_and_a_count():
    found = errors.in_rows(pd.Series("1", index=range(10**6)), "p.csv", "range", "2")
    assert len(found) == 1001
    assert found[-1].found == "999,000 more rows with this error"
    assert found[-1].row is None


# ---------------------------------------------------------------------- what is written


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=5))
def test_no_cell_of_a_csv_opens_as_a_formula(cells: list[str]):
    table = errors.safe_cells(pd.DataFrame({"=1+1": cells, "n": np.arange(len(cells)) - 2.5}))
    written = table.to_csv(index=False)
    rows = list(csv.reader(io.StringIO(written)))
    assert len(rows) == 1 + len(cells)
    for row in rows:
        text = row[0]
        assert text[:1] not in ("=", "+", "-", "@", "\t", "\r") or errors.is_number(text)
    # Numbers stay numbers, and text only gains an apostrophe.
    assert table["n"].tolist() == (np.arange(len(cells)) - 2.5).tolist()
    kept = [c.replace("\r\n", "\n").replace("\r", "\n").removeprefix("'") for c in cells]
    assert [t.removeprefix("'") for t in table.iloc[:, 0]] == kept


def test_a_formula_is_written_to_a_csv_as_text(tmp_path: Path):
    table = pd.DataFrame({"site": ["=HYPERLINK(0)", "+1 ward", "-3.5", "@x", "plain"], "n": [1, -2, 3, 4, 5]})
    errors.safe_csv(table, tmp_path / "out.csv")
    back = pd.read_csv(tmp_path / "out.csv")
    assert back["site"].tolist() == ["'=HYPERLINK(0)", "'+1 ward", "-3.5", "'@x", "plain"]
    assert back["n"].tolist() == [1, -2, 3, 4, 5]
    # What a spreadsheet makes of it: no cell is a formula.
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))):
        book.active.append(row)
    assert all(cell.data_type != "f" for row in book.active.iter_rows() for cell in row)


def test_a_csv_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "out.csv"
    errors.safe_csv(pd.DataFrame({"a": [1]}), path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        errors.safe_csv(pd.DataFrame({"a": [2]}), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(2, 10))
def test_masked_counts_reveal_no_small_number(counts: list[int], below: int):
    masked = hide_small_counts(counts, below=below)
    hidden = [count for count, text in zip(counts, masked, strict=True) if not text.isdigit()]
    for count, text in zip(counts, masked, strict=True):
        assert text == str(count) or count > 0
        assert not (0 < count < below) or text == f"<{below}"
    # With the total known, a single hidden number is the total less the others: there are none or several,
    # unless no other number of patients is left to hide.
    if len(hidden) == 1:
        assert sum(count > 0 for count in counts) == 1
    if all(count == 0 or count >= below for count in counts):
        assert not hidden


def test_only_small_counts_are_hidden_if_no_total_is_shown():
    assert hide_small_counts([3, 9], below=5, totals_known=False).tolist() == ["<5", "9"]
