"""The data dictionary, written from the contract."""

import io

from postarrest.data.contract import GWR, ID_EXPECTED, PATIENTS, UNITS


def dictionary() -> str:
    """Return the data dictionary, as Markdown, made from the schemas."""
    text = io.StringIO()
    text.write(_DICTIONARY_HEAD)
    for schema in (PATIENTS, GWR):
        text.write(f"\n## `{schema.name}`\n\n{schema.description}\n\n")
        text.write(
            "| column | meaning | unit | allowed | usual | other units that can be converted | needed for |\n"
        )
        text.write("|---|---|---|---|---|---|---|\n")
        for name, column in schema.columns.items():
            about = column.metadata
            units = ", ".join(u for u, factor in UNITS.get(name, {}).items() if factor != 1)
            cells = [
                f"`{name}`",
                column.description,
                about.get("unit", ""),
                _allowed(about),
                _usual(about),
                units,
            ]
            text.write(
                "| " + " | ".join(cell.replace("|", "\\|") for cell in [*cells, about["part"]]) + " |\n"
            )
    text.write(_DICTIONARY_TAIL)
    return text.getvalue()


def _allowed(about: dict) -> str:
    if "codes" in about:
        return " | ".join(about["codes"])
    if about["kind"] in ("text", "id"):
        return "text" if about["kind"] == "text" else ID_EXPECTED
    low, high = about["bounds"]
    return f"{low:g} to {high:g}" + (", whole" if about["kind"] == "whole number" else "")


def _usual(about: dict) -> str:
    if "plausible" not in about or about["plausible"] == about["bounds"]:
        return ""
    return "{:g} to {:g}".format(*about["plausible"])


_DICTIONARY_HEAD = """# Data dictionary

What a study's data may hold. Made from the schema in `lib/postarrest/data/contract.py` by `python -m
postarrest.data.dictionary > docs/data-dictionary.md`; change it there.

A study's data are a folder with `patients` and, where the study has them, `gwr` and `ct/`; or the
patient table alone. Only `patient_id` and the outcome are always needed. Other columns are needed where
a part of the report uses them, and any further column can be a predictor. Columns that no part uses are
not read.

**Cells.** Blank means missing or not applicable. Letter case and blanks around a value do not matter.
Yes and no may be `yes`, `y`, `true`, `1` and `no`, `n`, `false`, `0`. *Allowed* is enforced: anything
else is a fault, and nothing is run. *Usual* is not: values outside are listed for a person to look at.
"""
_DICTIONARY_TAIL = """
## `ct/`

One head CT a patient, named by `patient_id`, in any mix of

| name | what |
|---|---|
| `<patient_id>/` | the DICOM files of one axial series |
| `<patient_id>.dcm` | one DICOM file, of one frame or several |
| `<patient_id>.nii`, `.nii.gz` | a NIfTI volume in HU |
| `<patient_id>.png` | the slice alone: 256 x 256 gray pixels of 8 or 16 bits, level 40, width 80 HU |

Of a volume, `ct_slice` or `ct_position_mm` says which slice is meant, unless there is only one. DICOM
may be uncompressed, RLE, JPEG lossless, JPEG-LS or JPEG 2000; it needs rescale slope and intercept,
pixel spacing and, in a series, positions. Images are turned so that the patient's right is at the left
and the front at the top. Names, numbers and dates in a header are never read.

## An export with other names, codes and units

Nobody edits an export by hand: the study file (`params/<study>.yaml`, section `01_cohort`) says what is
what.

```yaml
columns:                   # contract name: the export's name
  patient_id: "{row}"      # an export without identifiers: its rows are numbered
  age_years: Alter
codes:                     # contract name: {the export's value: the contract's}
  sex: {M: male, W: female}
  initial_rhythm: {VF: vf_vt, pVT: vf_vt, PEA: pea, Asystolie: asystole, unbekannt: null}
  "*": {NA: null, "n.d.": null}   # in every column; null = missing
units:                     # contract name: the export's unit
  creatinine_umol_l: mg/dL
  lactate_mmol_l: mg/dL
# instead of cpc:
outcome: {column: dead_at_discharge, good: [0], poor: [1], meaning: alive at discharge}
predictors: [ph, "eeg24h_*"]      # further columns, also by pattern
criteria:                  # applied in this order
  exclusions: all          # or none, or a list of the reasons that count
  min_age_years: 18
  max_rosc_to_ct_min: 180
  require: [pupil_left_mm] # not blank
# where a file doesn't tell:
table_format: {encoding: shift_jis, delimiter: ";", decimal: ",", sheet: Cohort}
```

Tables are CSV (comma, semicolon, tab or bar; UTF-8, UTF-16 with its mark, Shift-JIS or Latin-1, told
apart by their bytes, and refused where they can't be), Excel (`.xlsx`) or Parquet, of at most 1,000,000
rows and 512 MB.

`make check-data STUDY=...` reads everything, trains nothing, and tells all faults at once. What it tells
of broken data is listed in [broken-data.md](broken-data.md).
"""


if __name__ == "__main__":
    print(dictionary(), end="")
