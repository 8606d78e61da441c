"""Invalid data, one error each, and the message that a user gets.

``python tests/helpers/broken.py > docs/broken-data.md`` writes all of them as a table in Markdown.
"""

import functools
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
from openpyxl.worksheet.formula import ArrayFormula
from PIL import Image

from heads import dicom, head, nifti, png, save, series
from postarrest.data import contract, errors
from postarrest.pipeline import check_data

# Every id and file name contains this word, which no message may repeat.
CANARY = "Tanaka"
IDS = [f"{CANARY}{i}" for i in range(1, 7)]


@dataclass(frozen=True)
class Broken:
    """One kind of invalid data: makes a study's folder, returns the settings to read it with."""

    name: str
    make: Callable[[Path], dict[str, Any]]


CASES: list[Broken] = []


def case(name: str) -> Callable:
    def keep(make: Callable[[Path], dict[str, Any] | None]) -> Callable:
        CASES.append(Broken(name, lambda folder: make(folder) or {}))
        return make

    return keep


def patients() -> pd.DataFrame:
    """Six patients without an error, as text."""
    return pd.DataFrame(
        {
            "patient_id": IDS,
            "exclusion": [""] * 6,
            "age_years": ["63", "71", "55", "80", "47", "66"],
            "sex": ["male", "female"] * 3,
            "witnessed": ["1", "0"] * 3,
            "initial_rhythm": ["vf_vt", "asystole", "pea"] * 2,
            "low_flow_min": ["21", "34", "18", "40", "25", "30"],
            "creatinine_umol_l": ["80", "121", "95", "", "150", "99"],
            "lactate_mmol_l": ["7.5", "11", "4.2", "9", "", "12"],
            "pupil_left_mm": ["3", "4.5", "3", "6", "2", "5"],
            "pupil_right_mm": ["3", "4.5", "3", "6", "2", "5"],
            "rosc_to_ct_min": ["60", "75", "50", "90", "110", "70"],
            "cpc": ["1", "5", "2", "5", "3", "5"],
        },
        dtype=object,
    )


def write(folder: Path, *, row: int = 3, **cells: Any) -> None:
    """Write the patients with some cells of one row (as a spreadsheet counts) changed."""
    table = patients()
    for name, cell in cells.items():
        table.loc[row - 2, name] = cell
    table.to_csv(folder / "patients.csv", index=False)


def gwr() -> pd.DataFrame:
    keys = pd.MultiIndex.from_product(
        [IDS, ["1", "2"], contract.REGIONS, ["L", "R"]], names=["patient_id", "reading", "region", "side"]
    )
    table = keys.to_frame(index=False).assign(mean_hu="34.5", area_mm2="12").astype(object)
    # Nobody reads the same twice.
    return table.assign(mean_hu=table["mean_hu"].mask(table["reading"] == "2", "34.8"))


def write_gwr(folder: Path, *, row: int = 3, **cells: Any) -> dict[str, Any]:
    write(folder)
    table = gwr()
    for name, cell in cells.items():
        table.loc[row - 2, name] = cell
    table.to_csv(folder / "gwr.csv", index=False)
    return {"modalities": ["gwr"]}


@functools.cache
def good_png(patient: int = 0) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return png(Path(folder) / "good.png", patient=patient).read_bytes()


def write_ct(folder: Path, **columns: list) -> dict[str, Any]:
    """Write a good PNG for each patient except the second, whose CT is to be invalid."""
    patients().assign(**columns).to_csv(folder / "patients.csv", index=False)
    (folder / "ct").mkdir(exist_ok=True)
    for number, patient in enumerate([IDS[0], *IDS[2:]]):
        (folder / "ct" / f"{patient}.png").write_bytes(good_png(number))
    return {"modalities": ["ct"]}


def at(folder: Path, ending: str) -> Path:
    return folder / "ct" / f"{IDS[1]}{ending}"


# ---------------------------------------------------------------------- files of tables


@case("no such data folder")
def _(folder):
    folder.rmdir()


@case("a folder without a patient table")
def _(folder):
    (folder / "readme.txt").write_text("nothing here")


@case("two patient tables")
def _(folder):
    write(folder)
    patients().to_excel(folder / "patients.xlsx", index=False)


@case("a table of zero bytes")
def _(folder):
    (folder / "patients.csv").touch()


@case("a header without rows")
def _(folder):
    (folder / "patients.csv").write_text("patient_id,cpc\n")


@case("no header")
def _(folder):
    (folder / "patients.csv").write_text(",,\nA,1,2\n")


@case("a table that links out of the folder")
def _(folder):
    outside = folder.parent / "outside.csv"
    patients().to_csv(outside, index=False)
    (folder / "patients.csv").symlink_to(outside)


@case("10 million rows")
def _(folder):
    (folder / "patients.csv").write_bytes(b"patient_id,cpc\n" + b"A,1\n" * 10_000_000)


@case("a file of 600 MB")
def _(folder):
    with (folder / "patients.csv").open("wb") as file:
        file.truncate(600 * 2**20)


@case("bytes that are not text")
def _(folder):
    (folder / "patients.csv").write_bytes(b"patient_id,cpc\n\0\1\2\3\n")


@case("Shift-JIS without a declared encoding")
def _(folder):
    (folder / "patients.csv").write_bytes("patient_id,cause,cpc\nA,心筋梗塞,1\nB,,5\n".encode("shift_jis"))


@case("Latin-1 without a declared encoding")
def _(folder):
    text = "patient_id,cause,cpc\nA,né à Liège,1\nB,,5\n"
    (folder / "patients.csv").write_bytes(text.encode("latin-1"))


@case("EUC-JP without a declared encoding")
def _(folder):
    text = "patient_id,cause,cpc\nA,心筋梗塞,1\nB,くも膜下出血,5\n"
    (folder / "patients.csv").write_bytes(text.encode("euc_jp"))


@case("GB18030 without a declared encoding")
def _(folder):
    text = "patient_id,cause,cpc\nA,心肌梗死,1\nB,肺栓塞,5\nC,窒息,5\n"
    (folder / "patients.csv").write_bytes(text.encode("gb18030"))


@case("KOI8-R without a declared encoding")
def _(folder):
    text = "patient_id,cause,cpc\nA,Инфаркт миокарда,1\nB,Тромбоэмболия,5\nC,Утопление,5\n"
    (folder / "patients.csv").write_bytes(text.encode("koi8-r"))


@case("two encodings in one file")
def _(folder):
    text = "patient_id,cause,cpc\nA,心筋梗塞,1\n".encode("shift_jis")
    (folder / "patients.csv").write_bytes(text + "B,\x90\xff,5\n".encode("latin-1"))
    return {"table_format": {"encoding": "shift_jis"}}


@case("UTF-16 without its byte-order mark")
def _(folder):
    (folder / "patients.csv").write_bytes(patients().to_csv(index=False).encode("utf-16-le"))


@case("semicolons without a declared delimiter")
def _(folder):
    patients().to_csv(folder / "patients.csv", index=False, sep=";")


@case("tabs without a declared delimiter")
def _(folder):
    patients().to_csv(folder / "patients.csv", index=False, sep="\t")


@case("a delimiter of two characters")
def _(folder):
    write(folder)
    return {"table_format": {"delimiter": ";;"}}


@case("an unknown decimal sign")
def _(folder):
    write(folder)
    return {"table_format": {"decimal": "·"}}


@case("an unknown encoding")
def _(folder):
    write(folder)
    return {"table_format": {"encoding": "ebcdic-japan"}}


@case("the wrong encoding declared")
def _(folder):
    (folder / "patients.csv").write_bytes("patient_id,cause,cpc\nA,心筋梗塞,1\nB,,5\n".encode("shift_jis"))
    return {"table_format": {"encoding": "euc_jp"}}


@case("a quote that is never closed")
def _(folder):
    text = patients().to_csv(index=False).replace("vf_vt", '"vf_vt', 1)
    (folder / "patients.csv").write_text(text)


@case("a decimal comma in a comma-separated file")
def _(folder):
    (folder / "patients.csv").write_text(patients().to_csv(index=False).replace("7.5", "7,5"))


@case("a row cut short")
def _(folder):
    (folder / "patients.csv").write_text(patients().to_csv(index=False).rstrip().removesuffix(",70,5"))


@case("two columns of one name")
def _(folder):
    text = patients().to_csv(index=False).replace("pupil_right_mm", "pupil_left_mm")
    (folder / "patients.csv").write_text(text)


@case("an .xls of before 2007")
def _(folder):
    (folder / "patients.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (folder / "patients.csv").rename(folder / "patients.xlsx")


@case("a damaged Excel file")
def _(folder):
    (folder / "patients.xlsx").write_bytes(b"PK\3\4 and no more")


@case("a zip bomb of an Excel file")
def _(folder):
    archive = zipfile.ZipFile(folder / "patients.xlsx", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
        for _ in range(520):
            sheet.write(bytes(2**20))


@case("a Parquet file with one text of 1 MB in 5,000 rows")
def _(folder):
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 5000), pa.array(["x" * 2**20]))
    pq.write_table(pa.table({"patient_id": one}), folder / "patients.parquet")


@case("a Parquet file with texts of 1 MB that go on from the one before")
def _(folder):
    texts = pa.array(["x" * 2**20 + str(i) for i in range(600)])
    how = {"use_dictionary": False, "column_encoding": {"patient_id": "DELTA_BYTE_ARRAY"}}
    pq.write_table(pa.table({"patient_id": texts}), folder / "patients.parquet", compression="zstd", **how)


@case("a Parquet file of 20 million rows")
def _(folder):
    pq.write_table(pa.table({"patient_id": np.zeros(20_000_000, np.int8)}), folder / "patients.parquet")


@case("two sheets with something in them")
def _(folder):
    with pd.ExcelWriter(folder / "patients.xlsx") as book:
        patients().to_excel(book, sheet_name="2015", index=False)
        patients().to_excel(book, sheet_name="2016", index=False)


@case("a missing sheet")
def _(folder):
    patients().to_excel(folder / "patients.xlsx", sheet_name="Cohort", index=False)
    return {"table_format": {"sheet": "Kohort"}}


@case("an Excel formula without a result")
def _(folder):
    book = openpyxl.Workbook()
    for line in [list(patients().columns), *patients().to_numpy().tolist()]:
        book.active.append(line)
    book.active["C3"] = "=60+11"
    book.save(folder / "patients.xlsx")


@case("an Excel formula of several cells without a result")
def _(folder):
    book = sheet()
    book.active["C3"] = ArrayFormula("C3", "=60+11")
    book.save(folder / "patients.xlsx")


def sheet() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for line in [list(patients().columns), *patients().to_numpy().tolist()]:
        book.active.append(line)
    return book


def with_spo2(folder: Path, values: list[float]) -> dict[str, Any]:
    """Write the patients as Excel with a predictor whose values up to 1 are shown in percent."""
    book = sheet()
    book.active["N1"] = "spo2"
    for row, value in enumerate(values, start=2):
        book.active.cell(row, 14, value).number_format = "0%" if value < 1 else "0"
    book.save(folder / "patients.xlsx")
    return {"predictors": ["spo2"]}


@case("merged cells")
def _(folder):
    book = sheet()
    book.active.merge_cells("C3:C5")
    book.save(folder / "patients.xlsx")


@case("percent beside plain numbers in an Excel file")
def _(folder):
    return with_spo2(folder, [0.97, 0.88, 91, 0.99, 85, 0.9])


@case("percent in every cell of a CSV")
def _(folder):
    patients().assign(spo2=["97 %"] * 6).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["spo2"]}


@case("an Excel date instead of minutes")
def _(folder):
    table = patients()
    table.loc[1, "low_flow_min"] = pd.Timestamp("2021-03-04")
    table.to_excel(folder / "patients.xlsx", index=False)


@case("a damaged Parquet file")
def _(folder):
    (folder / "patients.parquet").write_bytes(b"PAR1 and no more PAR1")


@case("lists in the cells of a Parquet file")
def _(folder):
    table = patients().assign(age_years=[[63, 64]] * 6)
    table.to_parquet(folder / "patients.parquet")


# ---------------------------------------------------------------------- columns and settings


@case("no outcome column")
def _(folder):
    patients().rename(columns={"cpc": "CPC_30d"}).to_csv(folder / "patients.csv", index=False)


@case("a mapped column that is missing")
def _(folder):
    write(folder)
    return {"columns": {"age_years": "AGE"}}


@case("a missing predictor")
def _(folder):
    write(folder)
    return {"predictors": ["lactate"]}


@case("a pattern that matches no column")
def _(folder):
    write(folder)
    return {"predictors": ["eeg24h_*"]}


@case("a name that is not in the contract")
def _(folder):
    write(folder)
    return {"columns": {"age_year": "age"}}


@case("codes of an unknown column")
def _(folder):
    write(folder)
    return {"codes": {"gender": {"M": "male"}}}


@case("a unit that cannot be converted")
def _(folder):
    write(folder)
    return {"units": {"creatinine_umol_l": "g/L"}}


@case("a unit for a column without units")
def _(folder):
    write(folder)
    return {"units": {"cpc": "mg/dL"}}


@case("an outcome without its values")
def _(folder):
    write(folder)
    return {"outcome": {"column": "cpc", "good": [1, 2], "meaning": "CPC 1 or 2"}}


@case("one value as good and as poor")
def _(folder):
    write(folder)
    return {"outcome": {"column": "cpc", "good": [1, 2], "poor": [2, 3, 4, 5], "meaning": "CPC"}}


@case("the outcome among the predictors")
def _(folder):
    patients().assign(dead=["0", "1"] * 3).to_csv(folder / "patients.csv", index=False)
    outcome = {"column": "dead", "good": [0], "poor": [1], "meaning": "alive"}
    return {"outcome": outcome, "predictors": ["dead"]}


@case("the outcome among the predictors, by a pattern")
def _(folder):
    patients().assign(eeg_gpd=["0", "1"] * 3, eeg_dead=["0", "1"] * 3).to_csv(
        folder / "patients.csv", index=False
    )
    outcome = {"column": "eeg_dead", "good": [0], "poor": [1], "meaning": "alive"}
    return {"outcome": outcome, "predictors": ["eeg_*"]}


@case("a predictor named like the outcome")
def _(folder):
    patients().assign(y_good=["1", "0"] * 3).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["y_good"]}


@case("a predictor named like the outcome, by a pattern")
def _(folder):
    patients().assign(y_good=["1", "0"] * 3).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["y*"]}


@case("an unknown criterion")
def _(folder):
    write(folder)
    return {"criteria": {"minimum_age": 18}}


@case("a criterion without its column")
def _(folder):
    patients().drop(columns="age_years").to_csv(folder / "patients.csv", index=False)
    return {"criteria": {"min_age_years": 18}}


@case("a criterion of the wrong kind")
def _(folder):
    write(folder)
    return {"criteria": {"min_age_years": "eighteen"}}


@case("an unknown key of table_format")
def _(folder):
    write(folder)
    return {"table_format": {"separator": ";"}}


@case("numbered rows as the outcome")
def _(folder):
    write(folder)
    return {"columns": {"cpc": "{row}"}}


@case("numbered rows as a predictor")
def _(folder):
    write(folder)
    return {"predictors": ["{row}"]}


@case("numbered rows as an outcome of the study")
def _(folder):
    write(folder)
    return {"outcome": {"column": "{row}", "good": [1], "poor": [2], "meaning": "alive"}}


@case("numbered rows together with CT")
def _(folder):
    write(folder)
    return {"columns": {"patient_id": "{row}"}, "modalities": ["ct"]}


# ---------------------------------------------------------------------- cells


def cell(name: str, /, *, row: int = 3, **cells: Any) -> None:
    case(name)(lambda folder: write(folder, row=row, **cells))


cell("a patient twice", patient_id=IDS[3])
cell("no id", patient_id="")
cell("an id with a path in it", patient_id=f"../../{CANARY}")
cell("an id with a Windows path in it", patient_id=f"C:\\{CANARY}")
cell("an id that is a formula", patient_id=f"={CANARY}")
cell("an id with a blank in it", patient_id=f"{CANARY} Taro")
cell("an id of 80 characters", patient_id=CANARY * 16)
cell("age 200", age_years="200")
cell("a negative age", age_years="-3")
cell("an age in words", age_years="seventy")
cell("a date of birth instead of the age", age_years="1950-03-21")
cell("a date of birth in eight digits", age_years="19500321")
cell("a unit next to the number", age_years="63 y")
cell("a decimal comma", lactate_mmol_l="7,5")
cell("commas as thousands separators", creatinine_umol_l="1,234.5")
cell("full-width digits", age_years="６３")
cell("a sign next to the number", lactate_mmol_l=">20")
cell("a date instead of minutes", low_flow_min="2021/03/04")
cell("a clock time instead of minutes", low_flow_min="0:35")
cell("a formula in a CSV", low_flow_min="=B3*60")
cell("a spreadsheet error", low_flow_min="#N/A")
cell("infinity", lactate_mmol_l="inf")
cell("a number too large for a computer", lactate_mmol_l="1e999")
cell("a word for missing", lactate_mmol_l="unknown")
cell("a name in the wrong column", lactate_mmol_l=f"{CANARY} Taro")
cell("creatinine in mg/dL", creatinine_umol_l="0.9")
cell("lactate in mg/dL", lactate_mmol_l="68")
cell("a pupil of 40 mm", pupil_left_mm="40")
cell("a pupil in cm", pupil_left_mm="0.3")
cell("a CPC of 0", cpc="0")
cell("a CPC of 2.5", cpc="2.5")
cell("a CPC in words", cpc="dead")
cell("a sex with another code", sex="2")
cell("a rhythm with another code", initial_rhythm="VF")
cell("maybe witnessed", witnessed="maybe")
cell("minutes below zero", rosc_to_ct_min="-20")
cell("no outcome", cpc="")


@case("mixed units: a creatinine in umol/L among mg/dL")
def _(folder):
    patients().assign(creatinine_umol_l=["0.9", "88", "1.1", "2", "1", ""]).to_csv(
        folder / "patients.csv", index=False
    )
    return {"units": {"creatinine_umol_l": "mg/dL"}}


@case("the same outcome in every patient")
def _(folder):
    patients().assign(cpc="5").to_csv(folder / "patients.csv", index=False)


@case("no patient included")
def _(folder):
    patients().assign(exclusion="trauma").to_csv(folder / "patients.csv", index=False)


@case("awake, then died; cause of death not recorded")
def _(folder):
    patients().assign(awake_after_ct=["1", "1", "1", "0", "0", "0"], death_cause_intracranial="").to_csv(
        folder / "patients.csv", index=False
    )
    return {"outcome_labels": ["revised"]}


@case("died; not recorded whether awake before")
def _(folder):
    known = patients().assign(death_cause_intracranial="0")
    died = known.index[known["cpc"] == "5"][0]
    known["awake_after_ct"] = "0"
    known.loc[died, "awake_after_ct"] = ""
    known.to_csv(folder / "patients.csv", index=False)
    return {"outcome_labels": ["revised"]}


@case("an outcome that is neither good nor poor")
def _(folder):
    patients().assign(dead=["0", "9", "1", "1", "0", "1"]).to_csv(folder / "patients.csv", index=False)
    return {"outcome": {"column": "dead", "good": [0], "poor": [1], "meaning": "alive at discharge"}}


@case("a predictor without values")
def _(folder):
    patients().assign(eeg="").to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["eeg"]}


@case("a predictor of free text")
def _(folder):
    many(48).assign(note=[f"seen by Dr {CANARY} {k}" for k in range(48)]).to_csv(
        folder / "patients.csv", index=False
    )
    return {"predictors": ["note"]}


@case("a word in a predictor of numbers")
def _(folder):
    patients().assign(ph=["7.1", "6.9", "n.d.", "7.2", "7.0", "7.3"]).to_csv(
        folder / "patients.csv", index=False
    )
    return {"predictors": ["ph"]}


@case("the number that Stata writes for a missing value")
def _(folder):
    ph = ["7.1", "8.98846567431158e+307", "6.8", "7.2", "7.0", "7.3"]
    patients().assign(ph=ph).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["ph"]}


def with_commas(folder: Path, **columns: list) -> dict[str, Any]:
    """Write the patients with decimal commas, and some columns as they are given."""
    table = patients().replace(r"\.", ",", regex=True).assign(**columns)
    table.to_csv(folder / "patients.csv", index=False, sep=";")
    return {"table_format": {"delimiter": ";", "decimal": ","}}


@case("a point where decimals have a comma")
def _(folder):
    return with_commas(folder, creatinine_umol_l=["80", "1.234", "95", "", "150", "99,5"])


@case("points in a predictor where decimals have a comma")
def _(folder):
    ph = ["7.1", "6.9", "7.05", "7.2", "7.0", "7.3"]
    return with_commas(folder, ph=ph) | {"predictors": ["ph"]}


@case("commas in a predictor where decimals have a point")
def _(folder):
    ph = ["7,1", "6,9", "7,05", "7,2", "7,0", "7,3"]
    patients().assign(ph=ph).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["ph"]}


@case("a formula in a predictor of categories")
def _(folder):
    patients().assign(site=["a", "=cmd()", "b", "a", "b", "a"]).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["site"]}


# ---------------------------------------------------------------------- readings


@case("no table of readings")
def _(folder):
    write(folder)
    return {"modalities": ["gwr"]}


@case("readings without their side")
def _(folder):
    mapping = write_gwr(folder)
    gwr().drop(columns="side").drop_duplicates().to_csv(folder / "gwr.csv", index=False)
    return mapping


@case("a reader in a column that is not there")
def _(folder):
    return write_gwr(folder) | {"columns": {"reader": "rater"}}


@case("a number of each row as the reader")
def _(folder):
    mapping = write_gwr(folder)
    table = gwr()
    table.assign(reader=table.index.astype(str)).to_csv(folder / "gwr.csv", index=False)
    return mapping


@case("a reading twice by one of two readers")
def _(folder):
    mapping = write_gwr(folder)
    table = pd.concat([gwr().assign(reader=name) for name in "AB"])
    pd.concat([table.head(1), table]).to_csv(folder / "gwr.csv", index=False)
    return mapping


def reading(name: str, /, **cells: Any) -> None:
    case(name)(lambda folder: write_gwr(folder, **cells))


reading("a reading of an unknown patient", patient_id=f"{CANARY}99")
reading("a reading twice", side="L")
reading("a reading numbered 0", reading="0")
reading("a reading numbered 1.5", reading="1.5")
reading("an unknown region", region="THAL")
reading("an unknown side", side="both")
reading("a reading of 900 HU", mean_hu="900")
reading("a reading without a value", mean_hu="")
reading("white matter of 0 HU", region="PLIC", side="L", row=6, mean_hu="0")


# ---------------------------------------------------------------------- where the CTs lie


@case("no folder of CTs")
def _(folder):
    write(folder)
    return {"modalities": ["ct"]}


@case("no CT of an included patient")
def _(folder):
    return write_ct(folder)


@case("two CTs of one patient")
def _(folder):
    png(at(folder, ".png"))
    nifti(at(folder, ".nii.gz"))
    return write_ct(folder)


@case("a CT that links out of the folder")
def _(folder):
    outside = png(folder.parent / "outside.png")
    at(folder, "").parent.mkdir(parents=True)
    at(folder, ".png").symlink_to(outside)
    return write_ct(folder)


@case("a slice that links out of its series")
def _(folder):
    outside = save(dicom(), folder.parent / "outside.dcm")
    at(folder, "").mkdir(parents=True)
    (at(folder, "") / "1.dcm").symlink_to(outside)
    return write_ct(folder)


@case("links in a circle")
def _(folder):
    at(folder, "").parent.mkdir(parents=True)
    at(folder, ".png").symlink_to(at(folder, ".png"))
    return write_ct(folder)


@case("an empty series")
def _(folder):
    at(folder, "").mkdir(parents=True)
    return write_ct(folder)


@case("a folder in the folder of a series")
def _(folder):
    series(at(folder, "") / "more")
    return write_ct(folder)


# ---------------------------------------------------------------------- DICOM


def dicom_case(name: str, hu: np.ndarray | None = None, /, **tags: Any) -> None:
    def make(folder: Path) -> dict[str, Any]:
        save(dicom(hu, **tags), at(folder, ".dcm"))
        return write_ct(folder)

    case(name)(make)


def bytes_case(name: str, ending: str, content: Callable[[], bytes]) -> None:
    def make(folder: Path) -> dict[str, Any]:
        mapping = write_ct(folder)
        at(folder, ending).write_bytes(content())
        return mapping

    case(name)(make)


def series_case(name: str, change: Callable[[Path], None], /, levels: int = 5, **columns: list) -> None:
    def make(folder: Path) -> dict[str, Any]:
        series(at(folder, ""), levels=levels)
        change(at(folder, ""))
        return write_ct(folder, **columns)

    case(name)(make)


def as_bytes(file: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def with_syntax(uid: str, pixels: bytes) -> bytes:
    file = dicom()
    file.file_meta.TransferSyntaxUID = uid
    file.PixelData = pydicom.encaps.encapsulate([pixels])
    file["PixelData"].VR = "OB"
    return as_bytes(file)


bytes_case("a DICOM file of zero bytes", ".dcm", lambda: b"")
bytes_case("a DICOM file cut off in its header", ".dcm", lambda: as_bytes(dicom())[:400])
bytes_case("a DICOM file cut off in its pixels", ".dcm", lambda: as_bytes(dicom())[:-5000])
bytes_case("a text file named .dcm", ".dcm", lambda: b"This is not an image. " * 20)
bytes_case("a JPEG named .dcm", ".dcm", lambda: b"\xff\xd8\xff\xe0" + bytes(400))
dicom_case("an MR", Modality="MR", SOPClassUID=pydicom.uid.MRImageStorage)
dicom_case("a localizer", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
dicom_case("a screenshot", SOPClassUID=pydicom.uid.SecondaryCaptureImageStorage)
dicom_case("no rescale", RescaleSlope=None, RescaleIntercept=None)
dicom_case("a rescale slope of 0", RescaleSlope="0")
dicom_case("a rescale to another unit", RescaleType="OD")
dicom_case("no pixel spacing", PixelSpacing=None)
dicom_case("a pixel spacing of 0", PixelSpacing=[0, 0])
dicom_case("a colour DICOM", SamplesPerPixel=3)
dicom_case("a sagittal slice", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
dicom_case("a position of two numbers", ImagePositionPatient=[1, 2])
dicom_case("65,535 x 65,535 pixels claimed", Rows=65535, Columns=65535)
dicom_case("a million frames claimed", NumberOfFrames=1_000_000)
dicom_case("only water", np.where(head() > -500, 0.0, -1000))
dicom_case("values without air", np.maximum(head(), 0))
dicom_case("a body of 400 mm", np.kron(head(), np.ones((2, 2))), PixelSpacing=[2.1, 1.9])
dicom_case("bone without brain", np.where(head() > -500, 900.0, -1000))
dicom_case("empty air", np.where(np.arange(128) == 64, 900.0, -1000) * np.ones((128, 1)))


@case("a rescale slope that is not a number")
def _(folder):
    content = as_bytes(dicom(RescaleSlope="1.0"))
    at(folder, "").parent.mkdir(parents=True)
    at(folder, ".dcm").write_bytes(content.replace(b"DS\x04\x001.0 ", b"DS\x04\x00nan "))
    return write_ct(folder)


bytes_case(
    "a compression without a decoder",
    ".dcm",
    lambda: with_syntax(pydicom.uid.MPEG2MPML, bytes(200)),
)


@case("a deflated DICOM file")
def _(folder):
    file = dicom()
    file.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    save(file, at(folder, ".dcm"))
    return write_ct(folder)


bytes_case(
    "damaged JPEG 2000 data",
    ".dcm",
    lambda: with_syntax(
        pydicom.uid.JPEG2000Lossless,
        b"\xff\x4f\xff\x51\0\x29\0\0" + b"\0\0\0\x80" * 2 + bytes(8) + bytes(100),
    ),
)
bytes_case(
    "JPEG 2000 data of another size than in the header",
    ".dcm",
    lambda: with_syntax(
        pydicom.uid.JPEG2000Lossless,
        b"\xff\x4f\xff\x51\0\x29\0\0" + b"\0\1\0\0" * 2 + bytes(8) + bytes(100),
    ),
)

series_case("a series without a selected slice", lambda folder: None)
series_case("a slice beyond the series", lambda folder: None, ct_slice=["", "7", "", "", "", ""])
series_case("a slice number with a fraction", lambda folder: None, ct_slice=["", "1.5", "", "", "", ""])
series_case("a position beyond the series", lambda folder: None, ct_position_mm=["", "80", "", "", "", ""])
series_case(
    "a missing slice", lambda folder: (folder / "IM003.dcm").unlink(), ct_slice=["", "1", "", "", "", ""]
)
series_case(
    "two series of about the same noise",
    lambda folder: series(folder, levels=1, SeriesInstanceUID="1.2.3.5") and None,
    levels=5,
)


def _two_patients_in_a_series(folder: Path) -> None:
    save(dicom(InstanceNumber=1, PatientID=CANARY), folder / "IM005.dcm")
    save(dicom(PatientID=f"{CANARY}2", ImagePositionPatient=[-100, -120, 5]), folder / "IM004.dcm")


def _a_series_of_another_patient(folder: Path) -> None:
    save(dicom(PatientID=CANARY), folder / "IM001.dcm")
    save(dicom(PatientID=f"{CANARY}2", SeriesInstanceUID="9.9"), folder / "more.dcm")


def _another_pixel_spacing(folder: Path) -> None:
    tags = {"ImagePositionPatient": [-100, -120, 10], "PixelSpacing": [1.7, 1.7]}
    save(dicom(InstanceNumber=3, **tags), folder / "IM003.dcm")


def _no_dicom(folder: Path) -> None:
    (folder / "IM001.dcm").unlink()
    (folder / "Thumbs.db").write_bytes(b"previews")
    (folder / f"{CANARY}.jpg").write_bytes(png_bytes(bright(), "JPEG"))


SECOND = ["", "1", "", "", "", ""]
series_case("a slice of another patient, by the headers", _two_patients_in_a_series, ct_slice=SECOND)
series_case("another patient's series in the folder", _a_series_of_another_patient, levels=1)
series_case("a slice of another pixel spacing in a series", _another_pixel_spacing, ct_slice=SECOND)
series_case("no DICOM file in the folder", _no_dicom, levels=1)
series_case(
    "two slices at one position",
    lambda folder: save(dicom(InstanceNumber=9), folder / "copy.dcm") and None,
    ct_slice=["", "1", "", "", "", ""],
)
series_case(
    "slices that are not parallel",
    lambda folder: (
        save(
            dicom(
                InstanceNumber=9,
                ImagePositionPatient=[-100, -120, 99],
                ImageOrientationPatient=[1, 0, 0, 0, 0.9, 0.436],
            ),
            folder / "tilted.dcm",
        )
        and None
    ),
    ct_slice=["", "1", "", "", "", ""],
)
series_case(
    "a file in the series that is not DICOM",
    lambda folder: (folder / "IM900").write_text("a report " * 50) and None,
    ct_slice=["", "1", "", "", "", ""],
)
series_case(
    "a series without positions",
    lambda folder: (
        [save(dicom(InstanceNumber=i, ImagePositionPatient=None), folder / f"x{i}.dcm") for i in (8, 9)]
        and None
    ),
    ct_slice=["", "1", "", "", "", ""],
)


# ---------------------------------------------------------------------- NIfTI


def nifti_case(name: str, make_hu: Callable[[], np.ndarray], ending: str = ".nii.gz", **options: Any) -> None:
    def make(folder: Path) -> dict[str, Any]:
        nifti(at(folder, ending), make_hu(), **options)
        return write_ct(folder, ct_slice=["", "1", "", "", "", ""])

    case(name)(make)


def volume(value: float | None = None) -> np.ndarray:
    hu = np.stack([head().T] * 3, axis=2)
    if value is not None:
        hu[64, 64, 1] = value
    return hu


nifti_case("a voxel that is not a number", lambda: volume(np.nan))
nifti_case("a voxel that is infinite", lambda: volume(np.inf))
nifti_case("a volume over time", lambda: np.stack([volume()] * 2, axis=3))
nifti_case("an image of two dimensions", lambda: volume()[:, :, 0])
nifti_case("an MR as NIfTI", lambda: (volume() + 1000) / 2)
bytes_case("a text file named .nii", ".nii", lambda: b"This is not a volume. " * 40)
bytes_case("a file named .nii.gz that is not gzip", ".nii.gz", lambda: b"This is not packed. " * 40)


@case("a NIfTI file cut off")
def _(folder):
    whole = nifti(folder / "ct" / "whole.nii").read_bytes()
    (folder / "ct" / "whole.nii").unlink()
    at(folder, ".nii").write_bytes(whole[:-100_000])
    return write_ct(folder, ct_slice=["", "2", "", "", "", ""])


@case("a NIfTI volume without directions")
def _(folder):
    whole = bytearray(nifti(folder / "ct" / "whole.nii").read_bytes())
    (folder / "ct" / "whole.nii").unlink()
    whole[280:328] = bytes(48)
    at(folder, ".nii").write_bytes(whole)
    return write_ct(folder, ct_slice=["", "1", "", "", "", ""])


@case("a NIfTI header that claims 2 GB before the voxels")
def _(folder):
    whole = bytearray(nifti(folder / "ct" / "whole.nii").read_bytes())
    (folder / "ct" / "whole.nii").unlink()
    whole[108:112] = np.float32(2e9).tobytes()
    at(folder, ".nii").write_bytes(whole)
    return write_ct(folder, ct_slice=["", "1", "", "", "", ""])


@case("a NIfTI header that claims 30,000 voxels a side")
def _(folder):
    whole = bytearray(nifti(folder / "ct" / "whole.nii").read_bytes())
    (folder / "ct" / "whole.nii").unlink()
    whole[40:48] = np.array([3, 30000, 30000, 30000], np.int16).tobytes()
    at(folder, ".nii").write_bytes(whole)
    return write_ct(folder, ct_slice=["", "1", "", "", "", ""])


# ---------------------------------------------------------------------- PNG


def png_case(name: str, make_pixels: Callable[[np.ndarray], np.ndarray]) -> None:
    def make(folder: Path) -> dict[str, Any]:
        mapping = write_ct(folder)
        good = np.asarray(Image.open(folder / "ct" / f"{IDS[0]}.png"))
        png(at(folder, ".png"), make_pixels(good))
        return mapping

    case(name)(make)


def png_bytes(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def fit_case(name: str, ending: str, content: Callable[[np.ndarray], bytes]) -> None:
    """An invalid image in a study that reads images of any size."""

    def make(folder: Path) -> dict[str, Any]:
        mapping = write_ct(folder)
        good = np.asarray(Image.open(folder / "ct" / f"{IDS[0]}.png"))
        at(folder, ending).write_bytes(content(good))
        return mapping | {"image_size": "fit"}

    case(name)(make)


def png_of(side: int, packed: bytes) -> bytes:
    """A PNG in gray of as many rows and columns by its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = 2 * side.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A PNG of 100 kB that unpacks to 100 MB."""
    packer = zlib.compressobj(9)
    return png_of(10_000, b"".join(packer.compress(bytes(10_001 * 1000)) for _ in range(10)) + packer.flush())


def animation() -> bytes:
    buffer = io.BytesIO()
    good = np.full((256, 256), 100, np.uint8)
    Image.fromarray(good).save(buffer, "PNG", save_all=True, append_images=[Image.fromarray(good + 20)])
    return buffer.getvalue()


bytes_case("a PNG of zero bytes", ".png", lambda: b"")


def bright() -> np.ndarray:
    return np.full((256, 256), 120, np.uint8)


bytes_case("a JPEG named .png", ".png", lambda: png_bytes(np.zeros((256, 256), np.uint8), "JPEG"))
bytes_case("a zip bomb of a PNG", ".png", bomb)
bytes_case("an animated PNG", ".png", animation)
png_case("a PNG of 512 x 512 pixels", lambda good: np.kron(good, np.ones((2, 2), np.uint8)))
png_case("a PNG of 255 x 255 pixels", lambda good: good[:255, :255])
bytes_case("a JPEG where PNGs of one size are asked for", ".jpg", lambda: png_bytes(bright(), "JPEG"))
png_case("a PNG in colour", lambda good: np.stack([good, good, good // 2], axis=2))
png_case("a PNG with transparent parts", lambda good: np.stack([good, good, good, good], axis=2))
png_case("a PNG of one gray value", lambda good: np.full_like(good, 128))
png_case("an inverted PNG", lambda good: 255 - good)
png_case("a PNG of only black and white", lambda good: (good > 128).astype(np.uint8) * 255)
png_case("a PNG of 12 bits in 16", lambda good: good.astype(np.uint16) * 16)


def photograph() -> np.ndarray:
    """A bright sky over a dark landscape, and a darker house."""
    y, x = np.mgrid[:300, :400]
    gray = np.select([(y > 120) & (abs(x - 200) < 60), y < 150 + 20 * np.sin(x / 40)], [70, 245 - y / 3], 90)
    return (gray + (x * 7 + y * 13) % 11).clip(0, 255).astype(np.uint8)


def turned_by_a_camera(good: np.ndarray) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # orientation
    Image.fromarray(good).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


png_end = 12 + 4  # the last chunk, and the checksum before it
fit_case("a PNG cut off at its end", ".png", lambda good: png_bytes(good)[:-png_end])
fit_case(
    "a PNG of fewer rows than its header says",
    ".png",
    lambda good: png_of(256, zlib.compress(b"".join(b"\0" + row.tobytes() for row in good[:180]))),
)
fit_case("a JPEG cut off at its end", ".jpg", lambda good: png_bytes(good, "JPEG")[:-2])
fit_case("a thumbnail", ".png", lambda good: png_bytes(good[::5, ::5]))
fit_case("a photograph in colour", ".jpg", lambda good: png_bytes(np.dstack([good, good, good // 2]), "JPEG"))
noise = np.random.default_rng(2).integers(0, 256, (256, 256)).astype(np.uint8)
fit_case("pure noise", ".png", lambda good: png_bytes(noise))
fit_case("a photograph in gray", ".jpg", lambda good: png_bytes(photograph(), "JPEG"))
fit_case("a JPEG that a camera turned", ".jpg", turned_by_a_camera)
fit_case("a PNG named .jpeg", ".jpeg", png_bytes)


@case("a PNG cut off")
def _(folder):
    mapping = write_ct(folder)
    noisy = np.random.default_rng(1).integers(0, 255, (256, 256)).astype(np.uint8)
    at(folder, ".png").write_bytes(png_bytes(noisy)[:20_000])
    return mapping


# ---------------------------------------------------------------------- the list


def checked(case: Broken, place: Path) -> check_data.Check:
    """Return what is found in one kind of data, made in an empty folder."""
    data = place / "study"
    data.mkdir(parents=True)
    settings = case.make(data)
    return check_data.check(data, **settings)


def messages(broken: Broken, place: Path) -> list[str]:
    """Return the messages that a user gets for one kind of invalid data, made in an empty folder."""
    result = checked(broken, place)
    return [line.strip() for line in errors.listing(result.errors).splitlines()]


# ---------------------------------------------------------------------- possible cells, impossible data


def many(n: int = 24) -> pd.DataFrame:
    """Patients without an error, enough of them for what is rare by chance."""
    table = pd.concat([patients()] * (n // 6), ignore_index=True)
    number = table.index.to_series()
    return table.assign(
        patient_id=[f"{CANARY}{i}" for i in range(n)],
        lactate_mmol_l=(number * 7 % n / 3 + 1).round(1).astype(str),
        creatinine_umol_l=(number * 5 % n + 80).astype(str),
        low_flow_min=(number * 11 % n + 15).astype(str),
        rosc_to_ct_min=(number * 13 % n + 50).astype(str),
    )


@case("a predictor that copies the outcome")
def _(folder):
    table = many()
    table.assign(recovered=table["cpc"].isin(["1", "2"]).astype(int)).to_csv(
        folder / "patients.csv", index=False
    )
    return {"predictors": ["recovered"]}


@case("a predictor in words that copies the outcome")
def _(folder):
    table = many()
    went = table["cpc"].isin(["1", "2"]).map({True: "home", False: "ward"})
    table.assign(discharged_to=went).to_csv(folder / "patients.csv", index=False)
    return {"predictors": ["discharged_to"]}


@case("every row twice under new ids")
def _(folder):
    again = many().assign(patient_id=[f"{CANARY}B{i}" for i in range(24)])
    pd.concat([many(), again]).to_csv(folder / "patients.csv", index=False)


@case("one image for two patients")
def _(folder):
    mapping = write_ct(folder)
    (folder / "ct" / f"{IDS[1]}.png").write_bytes(good_png(3))
    return mapping


@case("infinity in a Parquet file")
def _(folder):
    ph = np.where(np.arange(6) == 1, np.inf, 7.1 + np.arange(6) / 10)
    patients().assign(ph=ph).to_parquet(folder / "patients.parquet")
    return {"predictors": ["ph"]}


@case("two columns mapped to one of the export")
def _(folder):
    write(folder)
    return {"columns": {"pupil_left_mm": "pupil", "pupil_right_mm": "pupil"}}


@case("a column mapped to one that is read under its own name")
def _(folder):
    write(folder)
    return {"columns": {"low_flow_min": "rosc_to_ct_min"}}


@case("a code that the contract does not have")
def _(folder):
    write(folder)
    return {"codes": {"sex": {"M": "man"}}}


@case("one sign between columns and for decimals")
def _(folder):
    write(folder)
    return {"table_format": {"delimiter": ",", "decimal": ","}}


@case("a criterion that no patient can meet")
def _(folder):
    write(folder)
    return {"criteria": {"min_age_years": 90, "max_age_years": 20}}


HEAD = """# Error messages for invalid data

Each row is data with one error, as made by `tests/helpers/broken.py`, and the message that a user gets. Made
by `python tests/helpers/broken.py > docs/broken-data.md`; a test compares the list with the actual messages.

| invalid data | message |
|---|---|
"""


def line(broken: Broken, found: list[str]) -> str:
    cell = " ".join(found).replace("<", "&lt;").replace("|", "\\|")
    return f"| {broken.name} | {cell} |"


def main() -> None:
    import odd  # which takes its patients from here

    print(HEAD, end="")
    with tempfile.TemporaryDirectory() as place:
        for number, broken in enumerate(CASES):
            print(line(broken, messages(broken, Path(place) / str(number))))
        print(odd.HEAD, end="")
        for number, case in enumerate(odd.ODD):
            print(line(case, odd.remarks(case, Path(place) / f"odd{number}")))


if __name__ == "__main__":
    main()
