"""Compare published figures with those of a simulated study."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from postarrest.data.cohort import outcome_labels
from postarrest.models.gwr import CUT_OFF, RATIOS, measures, reliability
from postarrest.simulate import published


def against_published(data: Path) -> pd.DataFrame:
    """Return each published figure that the simulation was set to, with its value in a simulated study.

    Parameters
    ----------
    data : pathlib.Path
        A folder written by `write_study`.

    Returns
    -------
    pandas.DataFrame
        `figure, group, unit, published, source, use, simulated, n`. Figures of GWR are included if the study
        has readings, and counts if it has as many screened patients as paper A.
    """
    patients = pd.read_csv(data / "patients.csv")
    rows = clinical_figures(patients)
    if (data / "gwr.csv").exists():
        n = {group: n for figure, group, _, n in rows if figure == "men"}
        of_readings = reading_figures(patients, pd.read_csv(data / "gwr.csv"))
        rows += [(figure, group, value, n[group]) for (figure, group), value in of_readings.items()]
    simulated = pd.DataFrame(rows, columns=["figure", "group", "simulated", "n"]).dropna()
    table = published.figures().merge(simulated, on=["figure", "group"])
    same_size = len(patients) == table.set_index("figure")["published"]["patients screened"]
    return table[(table["unit"] != "patients") | same_size].reset_index(drop=True)


def over_seeds_summary(path: Path) -> pd.DataFrame:
    """Summarise the figures of the readings over several seeds.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file with one row per seed, as `benchmarks/simulation_seeds.py` writes it.

    Returns
    -------
    pandas.DataFrame
        `figure, published, mean, sd, lowest, highest, seeds`; `published` is missing if no paper reports it.
    """
    targets = published.figures()
    seeds = pd.read_csv(path)
    names = [label(*key) for key in zip(targets["figure"], targets["group"], strict=True)]
    values = seeds.drop(columns="seed")
    table = values.agg(["mean", "std", "min", "max"]).T.set_axis(["mean", "sd", "lowest", "highest"], axis=1)
    table.insert(0, "published", pd.Series(targets["published"].to_numpy(), names))
    return table.rename_axis("figure").reset_index().assign(seeds=len(seeds))


def label(figure: str, group: str) -> str:
    """Return a figure's name with its group."""
    return figure if group == "all" else f"{figure}, {group}"


def clinical_figures(patients: pd.DataFrame) -> list[tuple[str, str, float, int]]:
    """Return the figures of the clinical table: figure, group, value and number of patients behind it.

    Parameters
    ----------
    patients : pandas.DataFrame
        The table `patients` of the data contract, screening log included.
    """
    included, good = _included(patients)
    cpc, age, lactate = included["cpc"], included["age_years"], included["lactate_mmol_l"]
    no_flow, unwitnessed = included["no_flow_min"], included["witnessed"] == 0
    total, mean, median = pd.Series.sum, pd.Series.mean, pd.Series.median
    figures = {
        "patients included": (good.notna(), total),
        "good outcome, revised label": (good, total),
        "relabelled as good": (good & (cpc > 2), total),
        "age, first quartile": (age, lambda values: values.quantile(0.25)),
        "age, median": (age, median),
        "age, third quartile": (age, lambda values: values.quantile(0.75)),
        "no-flow, median": (no_flow, median),
        "low-flow, median": (included["low_flow_min"], median),
        "adrenaline, median": (included["epinephrine_mg"], median),
        "lactate, median": (lactate, median),
        "creatinine, median": (included["creatinine_umol_l"], median),
        "pupil diameter, median": (included["pupil_left_mm"], median),
        "men": (included["sex"] == "male", mean),
        "CT under ROSC": (included["circulation"] == "rosc", mean),
        "witnessed": (~unwitnessed, mean),
        "bystander CPR": (included["bystander_cpr"] == 1, mean),
        "shockable rhythm": (included["initial_rhythm"] == "vf_vt", mean),
        "lactate missing, at least": (lactate.isna(), mean),
        "lactate missing, at most": (lactate.isna(), mean),
        "no-flow missing if unwitnessed": (no_flow[unwitnessed].isna(), mean),
        "CPC 1 among CPC 1-2": (cpc[cpc <= 2] == 1, mean),
        "CPC 5 among CPC 3-5": (cpc[cpc > 2] == 5, mean),
    }
    rows = [("patients screened", "all", len(patients), len(patients))]
    for group, chosen in {"all": good.notna(), "good": good, "poor": ~good}.items():
        for figure, (values, statistic) in figures.items():
            of_group = values[chosen[values.index]]
            rows.append((figure, group, statistic(of_group), of_group.count()))
    return rows


def reading_figures(patients: pd.DataFrame, readings: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return the figures of the readings of a simulated study: figure and group (all, good, poor) -> value.

    Parameters
    ----------
    patients, readings : pandas.DataFrame
        The tables `patients` and `gwr` of the data contract.
    """
    included, is_good = _included(patients)
    values = measures(readings).reindex(included.index)
    agreement = reliability(values).set_index("measure")
    found = {}
    for ratio in RATIOS:
        mean = values[ratio, "mean"].to_numpy()
        good, poor = mean[is_good], mean[~is_good]
        found[f"{ratio}, mean", "good"], found[f"{ratio}, mean", "poor"] = good.mean(), poor.mean()
        within = np.sqrt((good.var(ddof=1) + poor.var(ddof=1)) / 2)
        found[f"{ratio}, standard deviation within groups", "all"] = within
        found[f"{ratio}, AUC", "all"] = mannwhitneyu(good, poor).statistic / len(good) / len(poor)
        found[f"{ratio} below 1.2", "all"] = (mean < CUT_OFF).sum()
        found[f"{ratio}, Spearman of two readings", "all"] = agreement.loc[ratio, "spearman"]
        found[f"{ratio}, ICC(A,1) of two readings", "all"] = agreement.loc[ratio, "icc_a1"]
    white = values[[(region, "mean") for region in ("PLIC", "CC", "MW1", "MW2")]].mean(axis=1).to_numpy()
    found["white matter HU, good minus poor", "all"] = white[is_good].mean() - white[~is_good].mean()
    return {key: float(value) for key, value in found.items()}


def _included(patients: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the included patients, and which of them have a good outcome by the revised label."""
    included = patients[patients["exclusion"].isna()].set_index("patient_id")
    return included, outcome_labels(included)["y_good_revised"] == 1
