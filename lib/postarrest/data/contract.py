"""What a study's data must look like: the schema of its tables, how faults are told, the data dictionary.

The pandera schemas `PATIENTS` and `GWR` are the contract. The checks of `cohort` run on them, and
``docs/data-dictionary.md`` is made from them (``python -m postarrest.data.dictionary > docs/data-dictionary.md``).
"""

import pandera.pandas as pa

# A patient's id becomes a file name under ct/, so it holds no path and nothing that a shell or a spreadsheet
# takes for something else.
ID_PATTERN = r"[^\W_](?:[\w.\-]{0,62}[\w\-])?"
ID_EXPECTED = "1 to 64 letters, digits, '.', '-' or '_', beginning with a letter or digit"


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

# What Table 1 calls the contract's columns, in its order.
NAMES = {
    "age_years": "Age, years",
    "sex": "Sex",
    "witnessed": "Witnessed arrest",
    "bystander_cpr": "Bystander CPR",
    "initial_rhythm": "Initial rhythm",
    "defibrillated": "Defibrillated",
    "cause": "Cause of arrest",
    "epinephrine_mg": "Epinephrine, mg",
    "no_flow_min": "No-flow time, min",
    "low_flow_min": "Low-flow time, min",
    "creatinine_umol_l": "Creatinine, µmol/L",
    "lactate_mmol_l": "Lactate, mmol/L",
    "pupil_left_mm": "Left pupil, mm",
    "pupil_right_mm": "Right pupil, mm",
    "circulation": "Circulation at CT",
    "rosc_to_ct_min": "Circulation to CT, min",
}
LEVELS = {
    "vf_vt": "VF or pulseless VT",
    "pea": "PEA",
    "rosc": "spontaneous (ROSC)",
    "ecmo": "VA-ECMO",
}
