"""Damaged and random files are reported, never a crash; ``python tests/helpers/fuzz.py`` tries many more."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken import patients
from fuzz import mutate, read, seeds
from postarrest.data import DataErrors, contract, read_export, tablefile
from postarrest.data.mapping import TableFormat

SEEDS = seeds()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", SEEDS)
def test_sound_files_are_read(name: str, folder: Path):
    assert read(name, SEEDS[name], folder) == "read"


@pytest.mark.filterwarnings("ignore")  # parsers of damaged files may warn
@pytest.mark.parametrize("name", SEEDS)
@given(st.integers(0, 2**32))
@settings(max_examples=15)
def test_damaged_files_are_reported_or_read(name: str, folder: Path, seed: int):
    rng = random.Random(seed)
    other = SEEDS[rng.choice(sorted(SEEDS))]
    assert read(name, mutate(SEEDS[name], other, rng), folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet", ".dcm", ".nii", ".nii.gz", ".png"])
@given(st.binary(min_size=1, max_size=600))
@settings(max_examples=30)
def test_random_bytes_are_reported(ending: str, folder: Path, data: bytes):
    assert read(f"a{ending}", data, folder) != "read"


CELL = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
    st.floats().map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(
        ["", "1", "0", "yes", "male", "vf_vt", "7,5", "=A1", "2021-01-01", "١٢", "1e400", "-0", "#N/A"]
    ),
)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(patients().columns)), CELL), max_size=8))
@settings(max_examples=60)
def test_only_allowed_values_are_returned_whatever_the_cells_contain(folder: Path, changes: list):
    table = patients()
    for row, column, cell in changes:
        table.loc[row, column] = cell
    path = folder / "cells.csv"
    table.to_csv(path, index=False, encoding="utf-8")
    try:
        found = read_export(path).patients
    except DataErrors as error:
        assert len(error.table)
        return
    assert found.index.is_unique
    assert found.index.str.fullmatch(contract.ID_PATTERN).all()
    for name in found:
        about = contract.PATIENTS.columns[name].metadata
        values = found[name].dropna()
        if "bounds" in about:
            assert values.between(*about["bounds"]).all()
        elif about["kind"] == "yes or no":
            assert values.isin([0, 1]).all()
        elif "codes" in about:
            assert values.isin(about["codes"]).all()


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_no_cell_is_lost_or_moved(folder: Path, rows: list, delimiter: str):
    path = folder / "moved.csv"
    table = pd.DataFrame(rows, columns=["first", "second"]).assign(n=np.arange(len(rows)))
    table = table.replace(r"[\r\n]", " ", regex=True)
    table.to_csv(path, index=False, sep=delimiter, encoding="utf-8")
    found = tablefile.read(path, names=list(table), table_format=TableFormat(delimiter=delimiter)).cells
    for name in ("first", "second"):
        assert found[name].fillna("").tolist() == table[name].str.strip().tolist()
    assert found["n"].astype(int).tolist() == list(range(len(rows)))
