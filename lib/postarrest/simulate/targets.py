"""The published figures that the simulation was made from, and what a simulated study shows of each.

Sources: paper A (Kawai 2023, Sci Rep 13), paper B (the ensemble), and cohorts whose tables give values by
outcome: Japanese cardiogenic arrests in intensive care (Komatsu 2014, 29 good and 198 poor outcomes), a
Korean cohort under temperature management (2021, PMC8122729, 45 and 61), non-shockable arrests (HYPERION,
PMC9576832, 24 and 315), Japanese patients' pupils on arrival (45, survivors and dead), and 232 resuscitated
patients with CT at 66 min (Crit Care cc8562).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from postarrest.describe import agreement as agreement_room
from postarrest.models import gwr

# How a figure was used. "set to": the simulation is calibrated to this value. "direction": the cohorts
# separate the outcomes more sharply than the studies that are reproduced, and differ from each other, so the
# direction is kept and the size is what those studies' discrimination leaves. "bound": the value is a limit.
SET, DIRECTION, BOUND = "set to", "direction", "bound"
_PAPER_A = "paper A"
_HYPERION = "HYPERION trial"
_KOMATSU, _KOREA, _PUPILS = "Japan, registry", "Korea, cohort", "Japan, pupils"
_DERIVED = "derived from paper A"
# figure, group, unit, published, source, use
_TARGETS = [
    ("patients screened", "all", "patients", 443, _PAPER_A, SET),
    ("patients included", "all", "patients", 321, _PAPER_A, SET),
    ("good outcome, revised label", "all", "patients", 67, _PAPER_A, SET),
    ("relabelled as good", "all", "patients", 5, _PAPER_A, SET),
    ("age, median", "all", "years", 69, _PAPER_A, SET),
    ("age, first quartile", "all", "years", 57, _PAPER_A, SET),
    ("age, third quartile", "all", "years", 78, _PAPER_A, SET),
    ("age, median", "good", "years", 62.5, _HYPERION, DIRECTION),
    ("age, median", "poor", "years", 67.6, _HYPERION, DIRECTION),
    ("men", "all", "share", 0.664, _PAPER_A, SET),
    ("men", "good", "share", 0.897, _KOMATSU, DIRECTION),
    ("men", "poor", "share", 0.672, _KOMATSU, DIRECTION),
    ("CT under ROSC", "all", "share", 0.872, _PAPER_A, SET),
    ("witnessed", "good", "share", 0.80, _KOREA, DIRECTION),
    ("witnessed", "poor", "share", 0.532, _KOREA, DIRECTION),
    ("bystander CPR", "good", "share", 0.586, _KOMATSU, DIRECTION),
    ("bystander CPR", "poor", "share", 0.298, _KOMATSU, DIRECTION),
    ("shockable rhythm", "good", "share", 0.793, _KOMATSU, DIRECTION),
    ("shockable rhythm", "poor", "share", 0.217, _KOMATSU, DIRECTION),
    ("no-flow, median", "good", "min", 0, _KOREA, DIRECTION),
    ("no-flow, median", "poor", "min", 5, _KOREA, DIRECTION),
    ("low-flow, median", "good", "min", 15, _KOREA, DIRECTION),
    ("low-flow, median", "poor", "min", 29, _KOREA, DIRECTION),
    ("adrenaline, median", "good", "mg", 0, _KOREA, DIRECTION),
    ("adrenaline, median", "poor", "mg", 3, _KOREA, DIRECTION),
    ("lactate, median", "good", "mmol/L", 7.7, _KOREA, DIRECTION),
    ("lactate, median", "poor", "mmol/L", 7.8, _KOREA, DIRECTION),
    ("creatinine, median", "all", "umol/L", 97, "Korea, ECPR cohort", SET),
    ("pupil diameter, median", "all", "mm", 4.8, _PUPILS, SET),
    ("pupil diameter, median", "good", "mm", 3.0, _PUPILS, DIRECTION),
    ("pupil diameter, median", "poor", "mm", 5.0, _PUPILS, DIRECTION),
    ("no-flow missing if unwitnessed", "all", "share", 1.0, "definition", SET),
    ("lactate missing, at least", "all", "share", 0.03, "several cohorts", BOUND),
    ("lactate missing, at most", "all", "share", 0.15, "several cohorts", BOUND),
    ("CPC 1 among CPC 1-2", "good", "share", 16 / 22, "Crit Care cc8562", SET),
    ("CPC 5 among CPC 3-5", "poor", "share", 60 / 78, "Crit Care cc8562", SET),
    ("GWR-AV, mean", "good", "ratio", 1.314, _DERIVED, SET),
    ("GWR-AV, mean", "poor", "ratio", 1.247, _DERIVED, SET),
    ("GWR-AV, standard deviation within groups", "all", "ratio", 0.05, _DERIVED, SET),
    ("GWR-AV, AUC", "all", "AUC", 0.83, _PAPER_A, SET),
    ("GWR-BG below 1.2", "all", "patients", 76, _PAPER_A, SET),
    ("GWR-CE below 1.2", "all", "patients", 50, _PAPER_A, SET),
    ("GWR-AV below 1.2", "all", "patients", 44, _PAPER_A, SET),
    ("GWR-BG, Spearman of two readings", "all", "correlation", 0.8, _PAPER_A, BOUND),
    ("GWR-CE, Spearman of two readings", "all", "correlation", 0.8, _PAPER_A, BOUND),
    ("GWR-AV, Spearman of two readings", "all", "correlation", 0.8, _PAPER_A, BOUND),
    ("white matter HU, good minus poor", "all", "HU", 0.0, "three cohorts (no difference)", SET),
]


def compared(data: Path) -> pd.DataFrame:
    """Set each published figure that was used beside what a simulated study shows.

    Parameters
    ----------
    data : pathlib.Path
        A folder that `write_study` made.

    Returns
    -------
    pandas.DataFrame
        `figure, group, unit, published, source, use, simulated, n`; figures of GWR only where the study has
        readings, and counts only where the study has the paper's 321 patients.
    """
    patients = pd.read_csv(data / "patients.csv", keep_default_na=False, na_values=[""])
    found = _clinical(patients)
    readings = data / "gwr.csv"
    if readings.exists():
        found |= _gwr(patients, pd.read_csv(readings))
    columns = ["figure", "group", "unit", "published", "source", "use"]
    table = pd.DataFrame(_TARGETS, columns=columns)
    keys = list(zip(table["figure"], table["group"], strict=True))
    table["simulated"] = [found.get(key, (np.nan, 0))[0] for key in keys]
    table["n"] = [found.get(key, (np.nan, 0))[1] for key in keys]
    counts = (table["unit"] == "patients") & (len(patients) != 443)
    return table[table["simulated"].notna() & ~counts].reset_index(drop=True)


def over_seeds_summary(seeds: pd.DataFrame) -> pd.DataFrame:
    """Summarise what several seeds gave, beside the published figures.

    Parameters
    ----------
    seeds : pandas.DataFrame
        As `seeds.over_seeds` returns it.

    Returns
    -------
    pandas.DataFrame
        `figure, published, mean, sd, lowest, highest, seeds`; `published` is missing where no paper tells it.
    """
    published = {label(figure, group): value for figure, group, _, value, _, _ in _TARGETS}
    values = seeds.drop(columns="seed")
    table = pd.DataFrame(
        {"mean": values.mean(), "sd": values.std(), "lowest": values.min(), "highest": values.max()}
    )
    table.insert(0, "published", [published.get(name, np.nan) for name in table.index])
    return table.rename_axis("figure").reset_index().assign(seeds=len(seeds))


def label(figure: str, group: str) -> str:
    """Return a figure's name with its group."""
    return figure if group == "all" else f"{figure}, {group}"


def _groups(patients: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the included patients: all, and by the revised label."""
    included = patients[patients["exclusion"].isna()]
    good = _good(included)
    return {"all": included, "good": included[good], "poor": included[~good]}


def _good(included: pd.DataFrame) -> pd.Series:
    """Return who has a good outcome by the revised label."""
    relabelled = (included["awake_after_ct"] == 1) & (included["death_cause_intracranial"] == 0)
    return (included["cpc"] <= 2) | relabelled


def _clinical(patients: pd.DataFrame) -> dict[tuple[str, str], tuple[float, int]]:
    """Return each clinical figure's value and number of patients, by figure and group."""
    medians = {
        "age, median": "age_years",
        "no-flow, median": "no_flow_min",
        "low-flow, median": "low_flow_min",
        "adrenaline, median": "epinephrine_mg",
        "lactate, median": "lactate_mmol_l",
        "creatinine, median": "creatinine_umol_l",
        "pupil diameter, median": "pupil_left_mm",
    }
    found = {}
    groups = _groups(patients)
    for group, rows in groups.items():
        for figure, column in medians.items():
            found[figure, group] = rows[column].median(), rows[column].notna().sum()
        shares = {
            "men": rows["sex"] == "male",
            "CT under ROSC": rows["circulation"] == "rosc",
            "witnessed": rows["witnessed"] == 1,
            "bystander CPR": rows["bystander_cpr"] == 1,
            "shockable rhythm": rows["initial_rhythm"] == "vf_vt",
            "lactate missing, at least": rows["lactate_mmol_l"].isna(),
            "lactate missing, at most": rows["lactate_mmol_l"].isna(),
            "no-flow missing if unwitnessed": rows.loc[rows["witnessed"] == 0, "no_flow_min"].isna(),
            "CPC 1 among CPC 1-2": rows.loc[rows["cpc"] <= 2, "cpc"] == 1,
            "CPC 5 among CPC 3-5": rows.loc[rows["cpc"] > 2, "cpc"] == 5,
        }
        found |= {(figure, group): (share.mean(), len(share)) for figure, share in shares.items()}
    everyone = groups["all"]
    n = len(everyone)
    found["age, first quartile", "all"] = everyone["age_years"].quantile(0.25), n
    found["age, third quartile", "all"] = everyone["age_years"].quantile(0.75), n
    found["patients screened", "all"] = len(patients), len(patients)
    found["patients included", "all"] = n, n
    found["good outcome, revised label", "all"] = len(groups["good"]), n
    found["relabelled as good", "all"] = (groups["good"]["cpc"] > 2).sum(), n
    return found


def _gwr(patients: pd.DataFrame, readings: pd.DataFrame) -> dict[tuple[str, str], tuple[float, int]]:
    """Return each figure of the readings, by figure and group."""
    figures = reading_figures(patients, readings)
    n = len(_groups(patients)["all"])
    n_good = len(_groups(patients)["good"])
    sizes = {"all": n, "good": n_good, "poor": n - n_good}
    return {key: (value, sizes[key[1]]) for key, value in figures.items()}


def reading_figures(patients: pd.DataFrame, readings: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return what the readings of a simulated study show.

    Parameters
    ----------
    patients, readings : pandas.DataFrame
        The tables `patients` and `gwr` of the data contract.

    Returns
    -------
    dict
        (figure, group) to value.
    """
    included = patients[patients["exclusion"].isna()].set_index("patient_id")
    values = gwr.measures(readings).reindex(included.index)
    good = _good(included).to_numpy()
    found = {}
    for ratio in gwr.RATIOS:
        mean = values[ratio, "mean"].to_numpy()
        within = np.sqrt((mean[good].var(ddof=1) + mean[~good].var(ddof=1)) / 2)
        agreement = agreement_room.agreement(values[ratio, "reading_1"], values[ratio, "reading_2"])
        found[f"{ratio}, mean", "good"] = mean[good].mean()
        found[f"{ratio}, mean", "poor"] = mean[~good].mean()
        found[f"{ratio}, standard deviation within groups", "all"] = within
        found[f"{ratio}, AUC", "all"] = _auc(mean, good)
        found[f"{ratio} below 1.2", "all"] = (mean < gwr.CUT_OFF).sum()
        found[f"{ratio}, Spearman of two readings", "all"] = agreement.spearman.value
        found[f"{ratio}, ICC(A,1) of two readings", "all"] = agreement.icc_a1.value
    white = values[[(region, "mean") for region in ("PLIC", "CC", "MW1", "MW2")]].mean(axis=1).to_numpy()
    found["white matter HU, good minus poor", "all"] = white[good].mean() - white[~good].mean()
    return {key: float(value) for key, value in found.items()}


def _auc(score: np.ndarray, good: np.ndarray) -> float:
    """Return the area under the ROC curve."""
    ranks = rankdata(score)
    n_good = good.sum()
    return float((ranks[good].mean() - (n_good + 1) / 2) / (len(good) - n_good))
