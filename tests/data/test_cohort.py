"""A hospital's own tables are read as they are; the cohort is returned in the form of the contract."""

import datetime
import re
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.worksheet.formula import ArrayFormula

from broken import gwr, many, patients, write, write_gwr
from heads import nifti, png, series
from postarrest import places
from postarrest.data import DataErrors, outcome_labels, read_export, read_slices, select, tablefile
from postarrest.data.cohort import GIVEN_ONCE
from postarrest.data.mapping import TableFormat
from postarrest.pipeline import check_data
from postarrest.study import load

# ---------------------------------------------------------------------- one table in any form


def good() -> pd.DataFrame:
    return patients().assign(cause=["cardiac", "respiratory", "", "cardiac", "other", "cardiac"])


def as_csv(
    table: pd.DataFrame, path: Path, *, encoding: str = "utf-8", sep: str = ",", end: str = "\n"
) -> Path:
    path.write_bytes(table.to_csv(index=False, sep=sep, lineterminator=end).encode(encoding))
    return path


def with_types(table: pd.DataFrame) -> pd.DataFrame:
    """The table as Excel or Parquet would store it: numbers as numbers, blanks as blanks."""
    typed = table.replace("", None)
    for name in typed:
        try:
            typed[name] = typed[name].astype(float)
        except (TypeError, ValueError):
            continue
    return typed


def test_every_format_gives_the_same_cohort(tmp_path: Path):
    expected = read_export(as_csv(good(), tmp_path / "plain.csv")).patients
    declared = {
        as_csv(good(), tmp_path / "a.csv", encoding="utf-8-sig", sep=";", end="\r\n"): {"delimiter": ";"},
        as_csv(good(), tmp_path / "b.tsv", encoding="utf-16", sep="\t"): {},
        as_csv(good(), tmp_path / "c.txt", sep="|", end="\r"): {"delimiter": "|"},
    }
    with_types(good()).to_excel(tmp_path / "d.xlsx", index=False)
    with_types(good()).to_parquet(tmp_path / "e.parquet")
    good().to_parquet(tmp_path / "f.parquet")
    with_types(good()).astype({"sex": "category", "cpc": "int8"}).to_parquet(tmp_path / "g.parquet")
    declared |= {tmp_path / name: {} for name in ("d.xlsx", "e.parquet", "f.parquet", "g.parquet")}
    for path, table_format in declared.items():
        found = read_export(path, table_format=table_format).patients
        pd.testing.assert_frame_equal(found, expected, obj=path.name)


def test_types_are_those_of_the_contract(tmp_path: Path):
    found = read_export(as_csv(good(), tmp_path / "p.csv"))
    table = found.patients
    assert table.index.name == "patient_id"
    assert table.index.tolist() == good()["patient_id"].tolist()
    assert table["age_years"].dtype == table["witnessed"].dtype == table["cpc"].dtype == np.float64
    assert table["witnessed"].tolist() == [1, 0, 1, 0, 1, 0]
    assert table["creatinine_umol_l"].isna().tolist() == [False, False, False, True, False, False]
    assert table["sex"].dtype == table["cause"].dtype == pd.StringDtype(na_value=np.nan)
    assert table["exclusion"].isna().all()
    assert found.rows.tolist() == [2, 3, 4, 5, 6, 7]
    assert found.gwr is None
    assert found.ct is None
    assert not found.errors


def test_ids_stay_text_with_their_zeros(tmp_path: Path):
    table = good().assign(patient_id=[f"{i:04d}" for i in range(1, 7)])
    assert read_export(as_csv(table, tmp_path / "p.csv")).patients.index[0] == "0001"
    table.assign(patient_id=range(1, 7)).to_excel(tmp_path / "p.xlsx", index=False)
    assert read_export(tmp_path / "p.xlsx").patients.index[0] == "1"


def test_blank_rows_and_blanks_around_cells_do_not_matter(tmp_path: Path):
    text = good().to_csv(index=False).replace(",male,", ", Male ,").replace("\n", "\n,,,,,,,,,,,,,\n", 1)
    (tmp_path / "p.csv").write_text(text + "\n\n", encoding="utf-8")
    found = read_export(tmp_path / "p.csv")
    assert found.patients["sex"].tolist() == ["male", "female"] * 3
    assert found.rows.iloc[0] == 3


@pytest.mark.parametrize("formula", ["=60+11", ArrayFormula("C3", "=60+11")], ids=["plain", "array"])
def test_an_excel_formula_gives_the_result_that_excel_saved(formula, tmp_path: Path):
    book = openpyxl.Workbook()
    for line in [list(patients().columns), *patients().to_numpy().tolist()]:
        book.active.append(line)
    book.active["C3"] = formula
    book.save(tmp_path / "p.xlsx")
    # openpyxl computes nothing: the result is inserted as Excel writes it.
    with zipfile.ZipFile(tmp_path / "p.xlsx") as source, zipfile.ZipFile(tmp_path / "q.xlsx", "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename.endswith("sheet1.xml"):
                data, count = re.subn(rb"60\+11</f><v ?(?:/>|></v>)", rb"60+11</f><v>71</v>", data)
                assert count == 1
            target.writestr(item, data)
    found = read_export(tmp_path / "q.xlsx")
    assert found.patients["age_years"].iloc[1] == 71
    assert "results of formulas as saved by Excel" in found.notes[0]


def test_the_sheet_named_like_the_file_is_read(tmp_path: Path):
    with pd.ExcelWriter(tmp_path / "patients.xlsx") as book:
        pd.DataFrame({"about": ["this export"]}).to_excel(book, sheet_name="readme", index=False)
        good().to_excel(book, sheet_name="patients", index=False)
    assert len(read_export(tmp_path).patients) == 6
    assert len(read_export(tmp_path, table_format={"sheet": "patients"}).patients) == 6


# ---------------------------------------------------------------------- encodings

LATIN = [
    "café",
    "né à Liège",
    "Müller-Test",
    "Ångström",
    "37 °C",
    "±2 µmol/L",
    "naïve façade",
    "STRAßE",
    "œuvre’s",
]
JAPANESE = [
    "心筋梗塞",
    "男",
    "女",
    "呼吸不全",
    "くも膜下出血",
    "ｼﾝｷﾝｺｳｿｸ",
    "CT未施行",
    "アドレナリン1mg",
    "窒息（餅）",
]


@pytest.mark.parametrize(
    ("words", "encoding"),
    [(LATIN, "cp1252"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (LATIN + JAPANESE, "utf-16-le")],
)
def test_a_declared_encoding_is_used_and_asked_for_otherwise(words: list[str], encoding: str, tmp_path: Path):
    table = pd.DataFrame({"patient_id": range(len(words)), "cause": words})
    path = as_csv(table, tmp_path / "p.csv", encoding="cp932" if encoding == "shift_jis" else encoding)
    found = tablefile.read(path, names=["cause"], table_format=TableFormat(encoding=encoding))
    assert found.cells["cause"].tolist() == words
    with pytest.raises(DataErrors, match=r"set table_format: \{encoding: "):
        tablefile.read(path, names=["cause"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_byte_order_marks_need_no_declaration(encoding: str, tmp_path: Path):
    words = LATIN + JAPANESE
    path = as_csv(pd.DataFrame({"cause": words, "n": 1}), tmp_path / "p.csv", encoding=encoding)
    assert tablefile.read(path, names=["cause"]).cells["cause"].tolist() == words


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_declared_delimiter_is_used_and_asked_for_otherwise(delimiter: str, tmp_path: Path):
    path = as_csv(good(), tmp_path / "p.csv", sep=delimiter)
    assert len(read_export(path, table_format={"delimiter": delimiter}).patients) == 6
    with pytest.raises(DataErrors, match=r"expected commas; set table_format: \{delimiter: "):
        read_export(path)


@given(st.lists(st.text(st.characters(exclude_characters="\x00\r\n", codec="utf-8"), max_size=8), min_size=2))
def test_any_text_survives_a_csv(tmp_path_factory: pytest.TempPathFactory, cells: list[str]):
    path = tmp_path_factory.mktemp("text") / "p.csv"
    as_csv(pd.DataFrame({"n": range(len(cells)), "a;b": cells}), path)
    found = tablefile.read(path, names=["n", "a;b"]).cells["a;b"]
    assert found.fillna("").tolist() == [cell.strip() for cell in cells]


# ---------------------------------------------------------------------- names, codes, units


def test_an_export_is_mapped_onto_the_contract(tmp_path: Path):
    export = pd.DataFrame(
        {
            "Fall": ["a", "b", "c"],
            "Geschlecht": ["M", "W", "M"],
            "Krea": ["0,9", "1,1", "k.A."],
            "Laktat": ["63,1", "k.A.", "90,08"],
            "Zeit bis CT (h)": ["1", "0,5", "2"],
            "beobachtet": ["ja", "nein", "unbekannt"],
            "Rhythmus": ["1", "2.0", "9"],
            "verstorben": ["0", "1", "1"],
            "pH": ["7,1", "6,9", ""],
        }
    )
    found = read_export(
        as_csv(export, tmp_path / "export.csv", sep=";", encoding="latin-1"),
        columns={
            "patient_id": "Fall",
            "sex": "Geschlecht",
            "creatinine_umol_l": "Krea",
            "lactate_mmol_l": "Laktat",
            "rosc_to_ct_min": "Zeit bis CT (h)",
            "witnessed": "beobachtet",
            "initial_rhythm": "Rhythmus",
        },
        codes={
            "sex": {"M": "male", "W": "female"},
            "witnessed": {"ja": True, "nein": False, "unbekannt": None},
            "initial_rhythm": {1: "vf_vt", 2: "pea", 9: None},
            "*": {"k.A.": None},
        },
        units={"creatinine_umol_l": "mg/dL", "lactate_mmol_l": "mg/dL", "rosc_to_ct_min": "h"},
        outcome={"column": "verstorben", "good": [0], "poor": [1], "meaning": "alive"},
        predictors=["pH"],
        table_format={"decimal": ",", "delimiter": ";", "encoding": "latin-1"},
    ).patients
    assert found["sex"].tolist() == ["male", "female", "male"]
    assert found["creatinine_umol_l"].tolist()[:2] == pytest.approx([79.56, 97.24])
    assert found["lactate_mmol_l"].iloc[[0, 2]].tolist() == pytest.approx([7.005, 10.0], abs=1e-3)
    assert found["rosc_to_ct_min"].tolist() == [60, 30, 120]
    assert found["witnessed"].tolist()[:2] == [1, 0]
    assert found["initial_rhythm"].tolist()[:2] == ["vf_vt", "pea"]
    assert found[["creatinine_umol_l", "witnessed", "initial_rhythm", "pH"]].iloc[2].isna().all()
    assert found["pH"].tolist()[:2] == [7.1, 6.9]
    assert found["y_good"].tolist() == [1, 0, 0]
    assert outcome_labels(found)["y_good_standard"].tolist() == [1, 0, 0]


def test_an_error_names_the_exports_own_column_and_its_row(tmp_path: Path):
    table = good().rename(columns={"age_years": "AGE"})
    table.loc[2, "AGE"] = "200"
    with pytest.raises(DataErrors) as caught:
        read_export(as_csv(table, tmp_path / "p.csv"), columns={"age_years": "AGE"})
    error = caught.value.table.iloc[0]
    assert (error["row"], error["column"], error["found"]) == (4, "age_years (export: AGE)", "200")


def test_predictors_are_numbers_or_categories_and_may_be_a_pattern(tmp_path: Path):
    table = good().assign(
        site=list("aabbab"), eeg_a=list("010101"), eeg_b=["", "1", "0", "1", "", "1"], note="x"
    )
    path = as_csv(table, tmp_path / "p.csv")
    found = read_export(path, predictors=["site", "eeg_*", "age_years"]).patients
    assert found["eeg_b"].dtype == np.float64
    assert found["eeg_b"].isna().sum() == 2
    assert found["site"].tolist() == list("aabbab")
    assert "note" not in found
    assert found.columns.is_unique


def test_a_huge_number_that_means_missing_is_a_code(tmp_path: Path):
    table = good().assign(ph=["7.1", "8.98846567431158e+307", "6.8", "7.2", "7", "7.3"])
    codes = {"ph": {8.98846567431158e307: None}}
    found = read_export(as_csv(table, tmp_path / "p.csv"), predictors=["ph"], codes=codes)
    assert found.patients["ph"].isna().tolist() == [False, True, *[False] * 4]


def test_rows_are_numbered_where_an_export_has_no_ids(tmp_path: Path):
    path = as_csv(good().drop(columns="patient_id"), tmp_path / "p.csv")
    found = read_export(path, columns={"patient_id": "{row}"})
    assert found.patients.index.tolist() == list("123456")
    assert found.rows["1"] == 2


# ---------------------------------------------------------------------- warnings


def test_what_is_possible_but_rare_is_a_warning_and_not_an_error(tmp_path: Path):
    table = good().assign(epinephrine_mg=["40", "1", "2", "3", "0", "5"], ct_slices="3")
    table.loc[1, ["pupil_left_mm", "pupil_right_mm"]] = ["8", "2"]
    table.loc[2, "rosc_to_ct_min"] = "200"
    table.loc[3, "exclusion"] = "none"
    found = read_export(as_csv(table, tmp_path / "p.csv"))
    warned = {(w.rule, w.row): w.found for w in found.warnings}
    assert warned == {
        ("plausible", 2): "40",
        ("anisocoria", 3): "pupils that differ by 6 mm",
        ("plausible", 4): "200",
        ("exclusion", 5): "none",
        ("column", 1): "a column that is not used",
    }


def test_a_column_without_values_is_a_warning(tmp_path: Path):
    found = read_export(as_csv(good().assign(no_flow_min=""), tmp_path / "p.csv"))
    assert [(w.rule, w.column) for w in found.warnings] == [("empty", "no_flow_min")]


# ---------------------------------------------------------------------- labels and criteria


def test_the_revised_label_includes_who_woke_and_died_of_another_cause():
    nan = np.nan
    table = pd.DataFrame(
        [
            # cpc, awake, intracranial, standard, revised
            (1, 1, nan, 1, 1),
            (2, nan, nan, 1, 1),
            (3, 1, nan, 0, 0),
            (5, 1, 0, 0, 1),
            (5, 1, 1, 0, 0),
            (5, 0, 0, 0, 0),
            (5, nan, 0, 0, 0),
            (4, 0, nan, 0, 0),
        ],
        columns=["cpc", "awake_after_ct", "death_cause_intracranial", "standard", "revised"],
    )
    labels = outcome_labels(table)
    assert labels["y_good_standard"].tolist() == table["standard"].tolist()
    assert labels["y_good_revised"].tolist() == table["revised"].tolist()
    assert labels.dtypes.tolist() == [np.int64, np.int64]
    assert list(outcome_labels(table[["cpc"]])) == ["y_good_standard"]
    with pytest.raises(ValueError, match="1 patients have no outcome"):
        outcome_labels(pd.DataFrame({"cpc": [1, nan]}))


@pytest.fixture
def screened() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age_years": [70, 17, 18, 80, np.nan, 60, 50, 40],
            "rosc_to_ct_min": [60, 60, 181, 180, 60, np.nan, 60, 60],
            "exclusion": [None, None, None, None, None, None, "stroke", "transfer"],
        },
        index=list("abcdefgh"),
    )


def test_criteria_are_applied_in_order_and_counted(screened: pd.DataFrame):
    criteria = {"exclusions": "all", "min_age_years": 18, "max_rosc_to_ct_min": 180}
    included, flow = select(screened, criteria=criteria)
    assert included.index.tolist() == ["a", "d"]
    assert flow.to_numpy().tolist() == [
        ["screened", "", 8, 8],
        ["excluded", GIVEN_ONCE, 2, 6],
        ["excluded", "age_years not recorded", 1, 5],
        ["excluded", "younger than 18 years", 1, 4],
        ["excluded", "rosc_to_ct_min not recorded", 1, 3],
        ["excluded", "CT more than 180 min after the return of circulation", 1, 2],
        ["included", "", 2, 2],
    ]


def test_a_patient_counts_at_the_first_criterion_that_fails(screened: pd.DataFrame):
    screened.loc["b", "rosc_to_ct_min"] = 999
    for criteria in (
        {"min_age_years": 18, "max_rosc_to_ct_min": 180},
        {"max_rosc_to_ct_min": 180, "min_age_years": 18},
    ):
        _, flow = select(screened, criteria=criteria)
        assert flow["n"].iloc[0] == flow["n"].iloc[1:].sum()
        counts = flow.set_index("reason")["n"]
        assert counts["younger than 18 years"] == (1 if next(iter(criteria)) == "min_age_years" else 0)


def test_some_of_the_datas_exclusions_can_be_ignored(screened: pd.DataFrame):
    included, flow = select(screened, criteria={"exclusions": ["stroke"]})
    assert "h" in included.index
    assert "g" not in included.index
    assert ["excluded", "stroke", 1, 7] in flow.to_numpy().tolist()
    assert ["kept", GIVEN_ONCE, 1, 7] in flow.to_numpy().tolist()
    assert len(select(screened, criteria={"exclusions": "none"})[0]) == 8
    assert len(select(screened, criteria={})[0]) == 6


def test_columns_can_be_required(screened: pd.DataFrame):
    included, flow = select(screened, criteria={"exclusions": "none", "require": ["age_years"]})
    assert "e" not in included.index
    assert flow["reason"].tolist()[1] == GIVEN_ONCE
    assert flow["step"].tolist() == ["screened", "kept", "excluded", "included"]


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        ({"min_age": 18}, "nearest: 'min_age_years'"),
        ({"min_age_years": "18"}, "found '18'; expected a number"),
        ({"exclusions": "some"}, "expected 'all', 'none' or a list"),
        ({"require": ["pupils"]}, "no column 'pupils'"),
    ],
)
def test_impossible_criteria_are_refused(screened: pd.DataFrame, criteria: dict, words: str):
    with pytest.raises(ValueError, match=words):
        select(screened, criteria=criteria)


@given(st.data())
def test_the_flow_always_adds_up(data: st.DataObject):
    n = data.draw(st.integers(0, 30))
    column = st.lists(st.floats(0, 300) | st.none(), min_size=n, max_size=n)
    reasons = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=n, max_size=n)
    table = pd.DataFrame(
        {
            "age_years": np.array(data.draw(column), float),
            "rosc_to_ct_min": np.array(data.draw(column), float),
            "exclusion": pd.Series(data.draw(reasons), dtype="str"),
        }
    )
    criteria = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "exclusions": st.sampled_from(["all", "none"])
                | st.lists(st.sampled_from("abc"), unique=True),
                "min_age_years": st.integers(0, 100),
                "max_rosc_to_ct_min": st.integers(0, 300),
            },
        )
    )
    included, flow = select(table, criteria=criteria)
    steps = flow.set_index("step")["n"]
    assert steps["screened"] == n
    assert steps["included"] == len(included) == flow["n_left"].iloc[-1]
    assert flow.loc[flow["step"] == "excluded", "n"].sum() == n - len(included)


def test_outcome_and_ct_are_required_only_of_patients_who_meet_the_criteria(tmp_path: Path):
    write(tmp_path, age_years="12", cpc="")
    (tmp_path / "ct").mkdir()
    for patient in patients()["patient_id"].drop(1):
        png(tmp_path / "ct" / f"{patient}.png")
    found = read_export(tmp_path, modalities=["ct"], criteria={"min_age_years": 18})
    assert len(found.patients) == 6
    assert len(found.ct) == 5
    with pytest.raises(DataErrors) as caught:
        read_export(tmp_path, modalities=["ct"])
    assert caught.value.table["rule"].tolist() == ["outcome", "missing"]


def test_the_revised_label_needs_its_columns(tmp_path: Path):
    patients().drop(columns=["awake_after_ct"], errors="ignore").to_csv(
        tmp_path / "patients.csv", index=False
    )
    assert len(read_export(tmp_path, outcome_labels=["standard"]).patients) == 6
    with pytest.raises(DataErrors, match="awake_after_ct"):
        read_export(tmp_path, outcome_labels=["revised", "standard"])
    own = {"column": "cpc", "good": [1], "poor": [2, 3, 4, 5], "meaning": "CPC 1"}
    with pytest.raises(DataErrors, match="revised"):
        read_export(tmp_path, outcome=own, outcome_labels=["revised"])


# ---------------------------------------------------------------------- readings and images


def test_readings_are_typed_and_gaps_are_warnings(tmp_path: Path):
    mapping = write_gwr(tmp_path)
    gwr().iloc[:-33].sample(frac=1, random_state=1).to_csv(tmp_path / "gwr.csv", index=False)
    found = read_export(tmp_path, **mapping)
    assert len(found.gwr) == 6 * 32 - 33
    assert found.gwr["reading"].dtype == np.int64
    assert found.gwr["mean_hu"].tolist() == found.gwr["reading"].map({1: 34.5, 2: 34.8}).tolist()
    assert [w.found for w in found.warnings] == [
        "1 included patients with no readings",
        "1 included patients with some readings",
    ]


def test_the_same_region_may_be_read_by_several_readers(tmp_path: Path):
    mapping = write_gwr(tmp_path) | {"columns": {"reader": "rater"}}
    others = gwr().replace({"mean_hu": {"34.5": "33.9", "34.8": "34.1"}})
    table = pd.concat([gwr().assign(rater="Sato, K."), others.assign(rater="2")])
    table.to_csv(tmp_path / "gwr.csv", index=False)
    found = read_export(tmp_path, **mapping)
    assert found.gwr.groupby("reader", sort=False).size().to_dict() == {"Sato, K.": 192, "2": 192}
    assert not found.warnings
    without = read_export(tmp_path, modalities=[])
    assert without.gwr is None


def test_without_a_column_there_is_one_blank_reader(tmp_path: Path):
    assert read_export(tmp_path, **write_gwr(tmp_path)).gwr["reader"].unique().tolist() == [""]


def test_rows_that_may_be_of_another_reader_are_listed(tmp_path: Path):
    mapping = write_gwr(tmp_path)
    table = pd.concat([gwr().assign(reader=name) for name in ("Abe", "Sato")], ignore_index=True)
    table.loc[1, "reader"] = ""
    table.loc[2, "reader"] = "abe"
    table.to_csv(tmp_path / "gwr.csv", index=False)
    warned = [w for w in read_export(tmp_path, **mapping).warnings if w.rule == "readers"]
    assert [(w.row, w.found) for w in warned] == [
        (3, ""),
        (None, "names of readers that differ only in capitals or full-width characters"),
    ]


def test_images_in_all_formats_are_found_by_id(tmp_path: Path):
    ids = patients()["patient_id"].tolist()
    write(tmp_path, exclusion="no CT within 3 h")
    folder = tmp_path / "ct"
    png(folder / f"{ids[0]}.png")
    nifti(folder / f"{ids[2]}.nii.gz")
    nifti(folder / f"{ids[3]}.nii")
    series(folder / ids[4], levels=1)
    series(folder / ids[5], levels=3)
    png(folder / "nobody.png")
    png(tmp_path / "tissue" / f"{ids[0]}.png")
    table = patients().assign(
        exclusion=["", "no CT within 3 h", "", "", "", ""], ct_slice=["", "", "1", "1", "", "2"]
    )
    table.to_csv(tmp_path / "patients.csv", index=False)
    found = read_export(tmp_path, modalities=["ct"])
    assert found.ct.index.tolist() == [ids[i] for i in (0, 2, 3, 4, 5)]
    assert [w.file for w in found.warnings] == ["ct/nobody.png"]
    images = read_slices(found.ct, slice_index=found.patients["ct_slice"], rows=found.rows)
    assert images.shape == (5, 256, 256)


# ---------------------------------------------------------------------- the check before a run


def test_the_check_summarises_a_study(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    write(data)
    for number, patient in enumerate(patients()["patient_id"]):
        png(data / "ct" / f"{patient}.png", patient=number)
    result = check_data.check(data, modalities=["ct"], criteria={"min_age_years": 50})
    assert not result.errors
    assert "good (CPC 1 or 2): 2 of 5 (40.0%)" in result.summary
    assert "younger than 50 years" in result.summary
    assert "of all screened: 6 PNG" in result.summary
    assert "creatinine_umol_l  1 (20%)" in result.summary
    check_data.write(result, tmp_path / "check")
    assert sorted(p.name for p in (tmp_path / "check").iterdir()) == [
        "contact_sheet_1.png",
        "summary.txt",
        "warnings.csv",
    ]
    assert result.sheets[0].size == (8 * 160, 6 * 174)


def test_a_contact_sheet_holds_48_slices(tmp_path: Path):
    table = pd.concat([patients()] * 9, ignore_index=True)
    table["patient_id"] = [f"P{i}" for i in range(len(table))]
    table.to_csv(tmp_path / "patients.csv", index=False)
    image = png(tmp_path / "ct" / "P0.png").read_bytes()
    for patient in table["patient_id"]:
        (tmp_path / "ct" / f"{patient}.png").write_bytes(image)
    assert len(check_data.check(tmp_path, modalities=["ct"]).sheets) == 2


def test_the_command_checks_a_study_by_name(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch):
    monkeypatch.setattr(places.Here, "build", lambda self, name: tmp_path / "build" / name)
    data = many(48).rename(columns={"age_years": "age"}).assign(dead_at_discharge=list("0011" * 12))
    for name in ("ohca", "eeg24h_a", "eeg48h_a", "eeg72h_a"):
        data[name] = list("010011" * 8)
    path = as_csv(data.drop(columns=["patient_id", "cpc"]), tmp_path / "patients.csv")
    monkeypatch.setenv("POSTARREST_DATA", str(path))
    assert check_data.main(["arrest1000"]) == 0
    assert "good (alive at discharge): 24 of 48 (50.0%)" in capsys.readouterr().out
    as_csv(data.drop(columns="cpc").assign(sex="x"), path)
    assert check_data.main(["arrest1000"]) == 1
    assert "sex: found 'x'; expected male | female" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "build" / "check" / "errors.csv")
    assert found["row"].tolist() == list(range(2, 50))
    as_csv(data.drop(columns="cpc")[:30], path)
    assert check_data.main(["arrest1000"]) == 1
    assert "The rarer outcome has 14 patients; nested with these settings needs" in capsys.readouterr().out
    assert check_data.main(["nothing"]) == 2
    assert "No study 'nothing'" in capsys.readouterr().err


# ---------------------------------------------------------------------- real data


def test_a_thousand_real_patients(shared: Path):
    path = shared / "data" / "cardiac-arrest-1000" / "patients.csv"
    parameters = load.load("arrest1000", environment={"POSTARREST_DATA": str(path)}).parameters("01_cohort")
    names = ("columns", "codes", "outcome", "predictors")
    found = read_export(path, **{name: parameters[name] for name in names})
    assert len(found.patients) == 1000
    # PROVENANCE.md beside the data: 64.4 % died.
    assert found.patients["y_good"].sum() == 356
    assert sum(name.startswith("eeg") for name in found.patients) == 69
    # Two ages of 121 years stand in the export, and one patient twice.
    rules = [warning.rule for warning in found.warnings]
    assert rules == ["plausible", "plausible", "copied"]
    assert [warning.found for warning in found.warnings[:2]] == ["121", "121"]


def test_a_date_in_a_parquet_table_is_reported_as_a_date(tmp_path: Path):
    good().assign(low_flow_min=datetime.date(2021, 3, 4)).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataErrors, match="found a date; expected a number, not a date"):
        read_export(tmp_path / "p.parquet")


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_of_a_parquet_table_are_read_however_they_are_written(tmp_path: Path, encoding: str):
    table = pa.table({"patient_id": [f"P{k}" for k in range(50)]})
    how = {"use_dictionary": False, "column_encoding": {"patient_id": encoding}}
    pq.write_table(table, tmp_path / "p.parquet", **how)
    assert len(tablefile.read(tmp_path / "p.parquet", names=["patient_id"]).cells) == 50


def test_no_damaged_byte_of_a_parquet_footer_ends_the_process(tmp_path: Path):
    pq.write_table(pa.table({"patient_id": ["a", "b"]}), tmp_path / "p.parquet")
    sound = (tmp_path / "p.parquet").read_bytes()
    footer = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    refused = 0
    for place in range(footer, len(sound) - 8):
        for value in (8, 10):
            (tmp_path / "p.parquet").write_bytes(sound[:place] + bytes([value]) + sound[place + 1 :])
            try:
                tablefile.read(tmp_path / "p.parquet", names=["patient_id"])
            except DataErrors:
                refused += 1
    assert refused > 100


def test_numbers_of_an_excel_file_have_no_decimal_sign(tmp_path: Path):
    table = with_types(good()).assign(ph=["7,1", *map(str, np.arange(6.5, 7, 0.1).round(1))])
    table.to_excel(tmp_path / "p.xlsx", index=False)
    found = read_export(tmp_path / "p.xlsx", predictors=["ph"], table_format={"decimal": ","}).patients
    assert found["lactate_mmol_l"].iloc[0] == 7.5
    assert found["ph"].tolist() == [7.1, 6.5, 6.6, 6.7, 6.8, 6.9]
