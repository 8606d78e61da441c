"""What a study's data must look like: the schema of its tables, how faults are told, the data dictionary.

The pandera schemas `PATIENTS` and `GWR` are the contract. The checks of `cohort` run on them, and
``docs/data-dictionary.md`` is made from them (``python -m postarrest.contract > docs/data-dictionary.md``).
"""

import difflib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from postarrest.files import write_text

# A patient's id becomes a file name under ct/, so it holds no path and nothing that a shell or a spreadsheet
# takes for something else.
ID_PATTERN = r"[^\W_](?:[\w.\-]{0,62}[\w\-])?"
ID_EXPECTED = "1 to 64 letters, digits, '.', '-' or '_', beginning with a letter or digit"

_FAULT_COLUMNS = ["file", "row", "column", "found", "expected", "rule"]
_SHOWN_ROWS = 5
# A column in a wrong unit makes a fault in every row; a table of a million rows needs no million of them.
_MOST_ALIKE = 1000


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the data, or worth a look.

    Parameters
    ----------
    file : str
        Path within the study's data folder.
    rule : str
        Name of the rule that is broken, such as ``"range"``.
    found, expected : str
        What stands there, and what the contract asks for, in plain words.
    row : int, optional
        Row of a table as a spreadsheet counts (the header is row 1).
    column : str
        Column of the contract, with the export's own name in brackets where it differs.
    verbatim : bool
        ``found`` is a cell's own content, which could be anything, rather than this package's words about it.
    alias : str
        What to call the file where its path must not be shown because it holds a patient's id.
    """

    file: str
    rule: str
    found: str
    expected: str
    row: int | None = None
    column: str = ""
    verbatim: bool = False
    alias: str = ""


def fault_table(faults: Iterable[Fault]) -> pd.DataFrame:
    """Return faults as a table: file, row, column, found, expected, rule.

    The table tells what stands in the data, file names with ids included: it is for the screen of the person
    who has the data and for ``build/``, never for a report.

    Examples
    --------
    >>> fault_table([Fault("patients.csv", "range", "200", "0 to 125 years", row=7, column="age_years")])
               file  row     column found        expected   rule
    0  patients.csv    7  age_years   200  0 to 125 years  range
    """
    table = pd.DataFrame(
        [[getattr(fault, c) for c in _FAULT_COLUMNS] for fault in faults], columns=_FAULT_COLUMNS
    )
    return table.astype({"row": "Int64"})


class DataFaults(ValueError):
    """Everything that is wrong with a study's data, found in one pass.

    The text of the error lists every fault. A log or an executed notebook may keep that text, so a value
    that could be a person's name, number or birthday is described in it instead of shown; `faults` has it as
    it stands.

    Parameters
    ----------
    items : sequence of Fault
        At least one.

    Attributes
    ----------
    items : tuple of Fault
    faults : pandas.DataFrame
        file, row, column, found, expected, rule.

    Examples
    --------
    >>> fault = Fault("patients.csv", "range", "200", "0 to 125 years", row=7, column="age_years")
    >>> print(DataFaults([fault]))
    1 fault in the data:
      patients.csv, row 7, age_years: found 200, expected 0 to 125 years
    """

    def __init__(self, items: Sequence[Fault]):
        self.items = tuple(items)
        self.faults = fault_table(self.items)
        count = len(self.items)
        super().__init__(f"{count} fault{'s' if count != 1 else ''} in the data:\n" + listing(self.items))


def many(rows: Sequence[int], make: Callable[[int], Fault]) -> Iterator[Fault]:
    """Yield a fault for each of some rows, and beyond the first thousand one that counts the others.

    Examples
    --------
    >>> found = list(many(range(2, 5000), lambda row: Fault("gwr.csv", "range", "900", "HU", row=row)))
    >>> len(found), found[-1].found
    (1001, '3,998 more rows with such a fault')
    """
    for row in rows[:_MOST_ALIKE]:
        yield make(int(row))
    if len(rows) > _MOST_ALIKE:
        rest = f"{len(rows) - _MOST_ALIKE:,} more rows with such a fault"
        yield replace(make(int(rows[0])), row=None, found=rest, verbatim=False)


def listing(faults: Sequence[Fault]) -> str:
    """Return faults as lines of text without identifiers; the same fault in many rows is one line.

    Examples
    --------
    >>> print(listing([Fault("patients.csv", "number", "Jane Doe", "a number", row=r, column="no_flow_min",
    ...                      verbatim=True) for r in range(2, 12)]))
      patients.csv, rows 2, 3, 4, 5, 6 and 5 more, no_flow_min: found text of 8 characters, expected a number
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for fault in faults:
        found = described(fault.found) if fault.verbatim else fault.found
        key = (fault.alias or fault.file, fault.column, found, fault.expected)
        rows = groups.setdefault(key, [])
        if fault.row is not None:
            rows.append(fault.row)
    lines = []
    for (file, column, found, expected), rows in groups.items():
        place = [file, *([_rows_in_words(rows)] if rows else []), *([column] if column else [])]
        lines.append(f"  {', '.join(place)}: found {found}, expected {expected}")
    return "\n".join(lines)


def _rows_in_words(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    named = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    return f"rows {named}" + (f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else "")


_SHORT_NUMBER = re.compile(
    r"[<>~=≤≥]?\s*[+-]?[0-9]{0,6}(?:[.,][0-9]{1,6})?(?:e[+-]?[0-9]{1,4})?"
    r"\s?(?:mg|µg|ug|g|mm|cm|min|h|s|%|mg/dL|mmol/L|µmol/L|umol/L|years|y)?|[+-]?(?:inf|nan)",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?.*|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})\b.*"
)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:\s?[ap]m)?", re.IGNORECASE)


# Words of exports that say nothing of who a patient is.
_COMMON_WORD = re.compile(
    r"n/?a|n\.a\.|nan|nd|n\.d\.|null|none|nil|missing|unknown|unk|unclear|other|pending|not done|"
    r"not measured|not recorded|not available|yes|no|maybe|true|false|male|female|man|woman|dead|"
    r"alive|died|survived|good|poor|left|right|both|vf|vt|vf/vt|pvt|pea|asystole|rosc|ecmo|ecpr|hi|lo|high|low|max|min|.|"
    r"#(?:n/a|ref!|div/0!|value!|name\?|num!|null!)",
    re.IGNORECASE,
)


def described(cell: str) -> str:
    """Return a cell's content so that no name, record number or birthday stands in it.

    Short numbers, also with a decimal comma or a unit, stand as they are, and so do words that are common in
    exports; anything else is described.

    Examples
    --------
    >>> described("4,5"), described("12 mg/dL"), described("1950-03-21"), described("Jane Doe")
    ('4,5', '12 mg/dL', 'a date', 'text of 8 characters')
    >>> described("31415926"), described(""), described("=A1*2"), described("n.d.")
    ('a number of 8 digits', 'a blank cell', 'a formula', "'n.d.'")
    """
    cell = cell.strip()
    if not cell:
        return "a blank cell"
    if _SHORT_NUMBER.fullmatch(cell):
        return cell
    if _COMMON_WORD.fullmatch(cell):
        return repr(cell)
    if _DATE.fullmatch(cell):
        return "a date"
    if _CLOCK.fullmatch(cell):
        return "a clock time"
    if cell.startswith("="):
        return "a formula"
    if re.fullmatch(r"[0-9]+", cell):
        return f"a number of {len(cell)} digits"
    return f"text of {len(cell)} characters"


def stays_inside(path: Path, folder: Path) -> bool:
    """Return whether a path, links followed, ends in a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return ``" (nearest: 'x')"`` for the most alike of some names, or nothing.

    Examples
    --------
    >>> nearest("lactate", ["lactate_mmol_l", "cpc"])
    " (nearest: 'lactate_mmol_l')"
    """
    by_folded = {str(n).casefold(): str(n) for n in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=cutoff)
    return f" (nearest: '{by_folded[close[0]]}')" if close else ""


# ---------------------------------------------------------------------- schema


def _number(
    meaning: str,
    *,
    unit: str,
    low: float,
    high: float,
    plausible: tuple[float, float],
    part: str,
    whole: bool = False,
    below_means: str = "",
    above_means: str = "",
) -> pa.Column:
    words = f"{low:g} to {high:g} {unit}".rstrip()
    checks = [pa.Check.in_range(low, high, name="range", error=words)]
    if whole:
        checks.append(pa.Check(lambda s: s % 1 == 0, name="whole", error="a whole number"))
    metadata = {
        "kind": "whole number" if whole else "number",
        "unit": unit,
        "range": words,
        "bounds": (low, high),
        "plausible": plausible,
        "part": part,
        "below_means": below_means,
        "above_means": above_means,
    }
    return pa.Column(float, checks, nullable=True, required=False, description=meaning, metadata=metadata)


def _yes_no(meaning: str, *, part: str) -> pa.Column:
    return pa.Column(
        float,
        [pa.Check.isin([0, 1], name="codes", error="yes | no")],
        nullable=True,
        required=False,
        description=meaning,
        metadata={"kind": "yes or no", "codes": ("yes", "no"), "part": part},
    )


def _category(meaning: str, *, codes: tuple[str, ...], part: str) -> pa.Column:
    return pa.Column(
        str,
        [pa.Check.isin(codes, name="codes", error=" | ".join(codes))],
        nullable=True,
        required=False,
        description=meaning,
        metadata={"kind": "code", "codes": codes, "part": part},
    )


def _text(meaning: str, *, part: str) -> pa.Column:
    return pa.Column(
        str,
        nullable=True,
        required=False,
        description=meaning,
        metadata={"kind": "text", "part": part},
    )


def _patient_id(meaning: str, *, unique: bool) -> pa.Column:
    return pa.Column(
        str,
        [pa.Check.str_matches(f"^{ID_PATTERN}$", name="id", error=ID_EXPECTED)],
        unique=unique,
        report_duplicates="exclude_first",
        description=meaning,
        metadata={"kind": "id", "part": "always"},
    )


_CREATININE_HINT = "looks like mg/dL: say units: {creatinine_umol_l: mg/dL}"
_LACTATE_HINT = "looks like mg/dL: say units: {lactate_mmol_l: mg/dL}"
_CM_HINT = "looks like cm: say units: {pupil_left_mm: cm, pupil_right_mm: cm}"
_TENTHS_HINT = "looks like tenths of a mm or a lost decimal point"

PATIENTS = pa.DataFrameSchema(
    {
        "patient_id": _patient_id(
            "Pseudonym of a patient, also the name of the CT file or folder. Map it to '{row}' for an export "
            "without identifiers: rows are then numbered.",
            unique=True,
        ),
        "exclusion": _text(
            "Why a screened patient is not included; blank = included.", part="flow of patients"
        ),
        "age_years": _number(
            "Age at the arrest.", unit="years", low=0, high=125, plausible=(18, 105), part="criteria, Table 1"
        ),
        "sex": _category("Sex.", codes=("male", "female"), part="Table 1"),
        "witnessed": _yes_no("The collapse was seen or heard.", part="Table 1"),
        "bystander_cpr": _yes_no("A bystander gave chest compressions.", part="Table 1"),
        "initial_rhythm": _category(
            "First recorded rhythm; vf_vt = ventricular fibrillation or pulseless ventricular tachycardia.",
            codes=("vf_vt", "pea", "asystole", "other"),
            part="OHCA model and score, Table 1",
        ),
        "defibrillated": _yes_no("At least one shock was given.", part="Table 1"),
        "cause": _text("Cause of the arrest, in the study's own categories.", part="Table 1"),
        "epinephrine_mg": _number(
            "Total adrenaline (epinephrine) until circulation returned.",
            unit="mg",
            low=0,
            high=100,
            plausible=(0, 20),
            part="Table 1",
        ),
        "no_flow_min": _number(
            "Collapse to the first chest compression; blank where the collapse was not witnessed.",
            unit="min",
            low=0,
            high=240,
            plausible=(0, 60),
            part="OHCA model and score",
        ),
        "low_flow_min": _number(
            "First chest compression to the return of circulation, spontaneous or by ECMO.",
            unit="min",
            low=0,
            high=600,
            plausible=(0, 150),
            part="OHCA model and score",
        ),
        "creatinine_umol_l": _number(
            "First serum creatinine.",
            unit="µmol/L",
            low=15,
            high=3000,
            plausible=(30, 1500),
            part="OHCA model and score",
            below_means=_CREATININE_HINT,
        ),
        "lactate_mmol_l": _number(
            "First arterial lactate.",
            unit="mmol/L",
            low=0.1,
            high=40,
            plausible=(0.5, 30),
            part="OHCA model and score",
            above_means=_LACTATE_HINT,
        ),
        "pupil_left_mm": _number(
            "Diameter of the left pupil just after the return of circulation.",
            unit="mm",
            low=0.5,
            high=10,
            plausible=(1, 8.5),
            part="pupil model",
            below_means=_CM_HINT,
            above_means=_TENTHS_HINT,
        ),
        "pupil_right_mm": _number(
            "Diameter of the right pupil just after the return of circulation.",
            unit="mm",
            low=0.5,
            high=10,
            plausible=(1, 8.5),
            part="pupil model",
            below_means=_CM_HINT,
            above_means=_TENTHS_HINT,
        ),
        "circulation": _category(
            "What carried the circulation at the CT: return of spontaneous circulation, or ECMO.",
            codes=("rosc", "ecmo"),
            part="Table 1",
        ),
        "rosc_to_ct_min": _number(
            "Return of circulation to the head CT.",
            unit="min",
            low=0,
            high=10080,
            plausible=(0, 180),
            part="criteria, Table 1",
        ),
        "cpc": _number(
            "Cerebral Performance Category at 30 days or discharge: 1 good, 2 moderate disability, 3 severe "
            "disability, 4 vegetative, 5 dead. Good outcome = 1 or 2. May be blank only for patients who are "
            "not included. Not needed where `outcome` names another outcome.",
            unit="",
            low=1,
            high=5,
            plausible=(1, 5),
            part="outcome",
            whole=True,
        ),
        "awake_after_ct": _yes_no(
            "Awake with CPC 1 or 2 at some time after the CT (for the revised outcome label).",
            part="revised outcome",
        ),
        "death_cause_intracranial": _yes_no(
            "The patient died of an intracranial cause (for the revised outcome label); blank for survivors.",
            part="revised outcome",
        ),
        "death_cause": _text(
            "Cause of death, in the study's own categories; blank for survivors. Shown, in aggregate, of the "
            "patients whom the revised label counts as good.",
            part="revised outcome",
        ),
        "arrest_to_death_days": _number(
            "Arrest to death, 0 for the day of the arrest; blank for survivors. Shown, in aggregate, of the "
            "patients whom the revised label counts as good.",
            unit="days",
            low=0,
            high=3650,
            plausible=(0, 365),
            part="revised outcome",
        ),
        "ct_slice": _number(
            "Which slice of a series to use, counted from 0 at the caudal end.",
            unit="",
            low=0,
            high=9999,
            plausible=(0, 9999),
            part="CT, for series of more than one slice",
            whole=True,
        ),
        "ct_position_mm": _number(
            "Instead of ct_slice: position along the body's axis; the nearest slice is used.",
            unit="mm",
            low=-5000,
            high=5000,
            plausible=(-5000, 5000),
            part="CT, for series of more than one slice",
        ),
    },
    name="patients",
    description="One row a screened patient.",
)

REGIONS = ("CN", "PU", "PLIC", "CC", "MC1", "MW1", "MC2", "MW2")

GWR = pa.DataFrameSchema(
    {
        "patient_id": _patient_id("Patient of the reading, as in patients.", unique=False),
        "reading": _number(
            "First or second reading.", unit="", low=1, high=2, plausible=(1, 2), part="GWR", whole=True
        ),
        "region": _category(
            "CN caudate nucleus, PU putamen, PLIC posterior limb of the internal capsule, CC corpus "
            "callosum, MC1 and MW1 medial cortex and white matter at the centrum semiovale, MC2 and MW2 at "
            "the high convexity.",
            codes=REGIONS,
            part="GWR",
        ),
        "side": _category("L left, R right.", codes=("L", "R"), part="GWR"),
        "mean_hu": _number(
            "Mean attenuation in the region of interest.",
            unit="HU",
            low=-50,
            high=150,
            plausible=(10, 60),
            part="GWR",
        ),
        "area_mm2": _number(
            "Area of the region of interest.", unit="mm²", low=0.5, high=500, plausible=(5, 30), part="GWR"
        ),
    },
    name="gwr",
    unique=["patient_id", "reading", "region", "side"],
    report_duplicates="exclude_first",
    description="One row a reading of one region on one side.",
)

# Factors from the units that laboratories and exports use onto the contract's.
UNITS: dict[str, dict[str, float]] = {
    "age_years": {"years": 1, "months": 1 / 12, "days": 1 / 365.25},
    "epinephrine_mg": {"mg": 1, "µg": 1e-3, "ug": 1e-3},
    "no_flow_min": {"min": 1, "s": 1 / 60, "h": 60},
    "low_flow_min": {"min": 1, "s": 1 / 60, "h": 60},
    "rosc_to_ct_min": {"min": 1, "s": 1 / 60, "h": 60, "days": 1440},
    # Molar mass of creatinine 113.12 g/mol, of lactate (as laboratories state it) 90.08 g/mol.
    "creatinine_umol_l": {"µmol/L": 1, "umol/L": 1, "mmol/L": 1000, "mg/dL": 88.4, "mg/L": 8.84},
    "lactate_mmol_l": {"mmol/L": 1, "mg/dL": 1 / 9.008, "mg/L": 1 / 90.08},
    "pupil_left_mm": {"mm": 1, "cm": 10},
    "pupil_right_mm": {"mm": 1, "cm": 10},
    "area_mm2": {"mm²": 1, "mm2": 1, "cm²": 100, "cm2": 100},
}


def check(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Fault]:
    """Return every place where a table breaks a schema's rules.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed columns, the index being the row of the file.
    schema : pandera.DataFrameSchema
        `PATIENTS` or `GWR`; columns that the table lacks are not asked for.
    cells : pandas.DataFrame
        The same rows as they stand in the file, for the message.
    file : str
        What to call the file.
    names : dict
        How to call each column, for the message.
    """
    present = schema.select_columns([c for c in schema.columns if c in table.columns])
    if not set(present.unique or []) <= set(table.columns):
        present.unique = None
    try:
        present.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        failures = error.failure_cases
    else:
        return []
    found: list[Fault] = []
    for (context, column, rule), cases in failures.groupby(["schema_context", "column", "check"], sort=False):
        if context != "Column" and column != schema.unique[0]:
            continue  # rows that repeat several columns are told once, not for each of these columns
        key = [column] if context == "Column" else list(schema.unique)
        rows = cases["index"].drop_duplicates().astype(int).tolist()
        place = {"file": file, "column": names.get(column, column) if context == "Column" else ""}
        if "uniqueness" in rule:
            found += _duplicates(table, key, rows, place)
        elif column == "patient_id":
            found += many(
                rows,
                lambda row, place=place: Fault(
                    rule="id",
                    found=_what_is_wrong_with_id(table.loc[row, "patient_id"]),
                    expected=ID_EXPECTED,
                    row=row,
                    **place,
                ),
            )
        else:
            found += many(
                rows, _out_of_bounds(table[column], cells[column], schema.columns[column], rule, place)
            )
    return found


def _duplicates(table: pd.DataFrame, key: list[str], rows: Sequence[int], place: dict) -> Iterator[Fault]:
    what = "patient" if key == ["patient_id"] else "combination of " + ", ".join(key)
    keys = table[key].apply(tuple, axis=1)
    first = {value: row for row, value in reversed(list(keys.items()))}
    return many(
        rows,
        lambda row: Fault(
            rule="duplicate",
            found=f"the same {what} as in row {first[keys[row]]}",
            expected=f"each {what} once",
            row=row,
            **place,
        ),
    )


def _what_is_wrong_with_id(value: str) -> str:
    if re.search(r"[/\\]|\.\.", value):
        return "an id with a path in it"
    if len(value) > 64:
        return f"an id of {len(value)} characters"
    if value[0] in "=+-@":
        return f"an id that starts with {value[0]!r}, as a formula does"
    strange = sorted({c for c in value if not re.fullmatch(r"[\w.\-]", c)})
    if strange:
        return f"an id with {', '.join('a blank' if c.isspace() else ascii(c) for c in strange)} in it"
    return f"an id that starts with {value[0]!r} and ends with {value[-1]!r}"


def _out_of_bounds(
    values: pd.Series, cells: pd.Series, column: pa.Column, expected: str, place: dict
) -> Callable[[int], Fault]:
    """Return what makes the fault of one row."""
    about = column.metadata
    rule = "range" if expected == about.get("range") else "codes" if "codes" in about else "whole"

    def fault(row: int) -> Fault:
        value, cell = values[row], str(cells[row])
        wanted = expected
        if rule == "range":
            low, _ = about["bounds"]
            hint = about["below_means"] if value < low else about["above_means"]
            if is_number(cell) and float(cell) != value:
                wanted += f"; converted it is {value:.4g}: is this cell in another unit than the column"
            elif hint:
                wanted += f" ({hint})"
        return Fault(rule=rule, found=cell, expected=wanted, row=row, verbatim=True, **place)

    return fault


NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def is_number(cell: str) -> bool:
    """Return whether a cell's text is a plain number with a decimal point."""
    return re.fullmatch(NUMBER_PATTERN, cell.strip()) is not None


def implausible(
    table: pd.DataFrame, schema: pa.DataFrameSchema, *, cells: pd.DataFrame, file: str, names: dict[str, str]
) -> list[Fault]:
    """Return values that are possible but so rare that a person should look: warnings, not faults.

    The parameters are those of `check`.
    """
    found = []
    for name, column in schema.columns.items():
        if name not in table.columns or "plausible" not in (column.metadata or {}):
            continue
        low, high = column.metadata["plausible"]
        least, most = column.metadata["bounds"]
        values = table[name]
        odd = values[((values < low) & (values >= least)) | ((values > high) & (values <= most))]
        usual = f"{low:g} to {high:g} {column.metadata['unit']} as a rule".replace("  ", " ")
        place = {"file": file, "column": names.get(name, name)}
        found += many(
            odd.index,
            lambda row, name=name, usual=usual, place=place: Fault(
                rule="plausible",
                found=str(cells.loc[row, name]),
                expected=usual,
                row=row,
                verbatim=True,
                **place,
            ),
        )
    return found


# ---------------------------------------------------------------------- writing


def safe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is one that a spreadsheet would take for a formula.

    Text that starts with ``= + - @``, a tab or a line end, and is not a number, gets an apostrophe before it.

    Examples
    --------
    >>> safe_cells(pd.DataFrame({"=A1": ["=1+1", "-2.5", "plain"]}))
        '=A1
    0  '=1+1
    1   -2.5
    2  plain
    """
    safe = table.copy()
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
            safe.isetitem(position, column.map(_safe_cell).astype(object))
    safe.columns = [_safe_cell(name) for name in safe.columns]
    return safe


def _safe_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # A lone carriage return would start a new row for some readers; a line feed is put in quotes.
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if text.startswith(tuple("=+-@\t\n")) and not is_number(text) else text


def safe_csv(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a table as CSV (UTF-8), whole or not at all, in which no cell opens as a formula.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    path : pathlib.Path
        The file.
    index : bool
        Write the index as the first column.
    """
    write_text(
        path, safe_cells(table.reset_index() if index else table).to_csv(index=False, lineterminator="\n")
    )


def mask_small(counts: pd.Series, *, below: int = 5, total_shown: bool = True) -> pd.Series:
    """Return counts as text in which those of few patients are hidden.

    Parameters
    ----------
    counts : pandas.Series of int
        Numbers of patients.
    below : int
        Counts of 1 to ``below - 1`` become ``"<below"``.
    total_shown : bool
        The counts' sum is known to the reader. If exactly one count is hidden, the next smallest is hidden
        too, since a subtraction would give the one.

    Examples
    --------
    >>> mask_small(pd.Series([122, 3, 9, 0])).tolist()
    ['122', '<5', 'hidden', '0']
    """
    small = (counts > 0) & (counts < below)
    text = counts.map(str).where(~small, f"<{below}")
    others = counts[(counts > 0) & ~small]
    if total_shown and small.sum() == 1 and len(others):
        text.loc[others.idxmin()] = "hidden"
    return text


# ---------------------------------------------------------------------- dictionary


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

What a study's data may hold. Made from the schema in `lib/postarrest/contract.py` by `python -m
postarrest.contract > docs/data-dictionary.md`; change it there.

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
