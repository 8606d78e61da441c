"""Gray-to-white-matter ratios from automatic readings of head CT, and their agreement with manual ones."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from postarrest.describe import hide_small_counts
from postarrest.models import gwr
from postarrest.models.ct_reader.reading import READERS
from postarrest.places import Here


def read(here: Here, patients: pd.Index, *, struck_out: str = "") -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return a study's automatic readings and their flags, without those that a person struck out.

    Parameters
    ----------
    here : Here
        The study's places; ``gwr_auto.csv`` and ``reader_flags.csv`` are in its ``build/``.
    patients : pandas.Index
        The included patients.
    struck_out : str
        A CSV file with a column ``patient_id``; blank for none.

    Returns
    -------
    readings : pandas.DataFrame
        As for :func:`gwr.by_region`, with ``reader``.
    flags : pandas.DataFrame
        ``patient_id, reason``.
    n_struck : int
        Number of patients struck out.

    Raises
    ------
    ValueError
        If the file names someone who is not a patient of the study.
    """
    text = {"patient_id": str}
    struck = set(pd.read_csv(struck_out, dtype=text)["patient_id"]) if struck_out else set()
    unknown = len(struck - set(patients))
    if unknown:
        raise ValueError(
            f"struck_out: found {unknown} ids of no included patient; expected ids of the study."
        )
    readings, flags = (
        pd.read_csv(here.build(name), dtype=text) for name in ("gwr_auto.csv", "reader_flags.csv")
    )
    left = [table[~table["patient_id"].isin(struck)] for table in (readings, flags)]
    return *left, len(struck)


def by_way(readings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the measures of each automatic way of reading.

    Parameters
    ----------
    readings : pandas.DataFrame
        As for :func:`gwr.by_region`, with ``reader`` as in `ct_reader.reading.READERS`.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``region``, ``circle`` and ``unmixed`` -> from :func:`gwr.measures`.
    """
    return {way: gwr.measures(readings[readings["reader"] == reader]) for way, reader in READERS.items()}


def agreement(
    ways: Mapping[str, pd.DataFrame],
    manual: pd.DataFrame,
    *,
    doubted: Collection[str],
    mask_below: int = 0,
) -> pd.DataFrame:
    """Return the agreement of automatic readings with the mean of the manual ones, as a table.

    All patients are the main analysis, those without a flag a sensitivity analysis.

    Parameters
    ----------
    ways : Mapping
        From :func:`by_way`.
    manual : pandas.DataFrame
        From :func:`gwr.measures`.
    doubted : collection of str
        Patients whose automatic reading is flagged.
    mask_below : int
        Numbers of flagged patients from 1 to below this are hidden, and with them the rows of the patients
        without a flag, from whose number they would follow; 0 shows all.

    Returns
    -------
    pandas.DataFrame
        As from :func:`gwr.reliability`, for each ``reader``, in all patients and in those without a flag
        (``patients``); ``n_flagged`` (text) of the patients compared have one. ``bias`` is automatic minus
        manual. For unmixed ratios there is no ``n_reclassified``: the cut-off 1.2 does not apply to them.
    """
    rows = []
    flagged = manual.index.isin(list(doubted))
    theirs = manual.xs("mean", axis=1, level="reading")
    for way, values in ways.items():
        ours = values.xs("mean", axis=1, level="reading").reindex(manual.index)
        n_flagged = (ours.notna() & theirs.notna())[flagged].sum()
        for patients, chosen in (("all", np.ones(len(ours), bool)), ("without a flag", ~flagged)):
            for measure in theirs:
                if patients != "all" and 0 < n_flagged[measure] < mask_below:
                    continue
                row = gwr.agreement(measure, ours.loc[chosen, measure], theirs.loc[chosen, measure])
                if way == "unmixed":
                    row |= {"n_reclassified": pd.NA, "kappa": np.nan}
                about = {"reader": READERS[way], "patients": patients, "measure": measure}
                rows.append(about | row | {"n_flagged": n_flagged[measure] if patients == "all" else 0})
    table = gwr.agreement_table(rows, first=("reader", "patients"))
    counts = [row["n_flagged"] for row in rows]
    return table.assign(n_flagged=hide_small_counts(counts, below=mask_below, totals_known=False))


def markers(ways: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the markers of automatic readings.

    Returns
    -------
    pandas.DataFrame
        ``gwr_bg_auto, gwr_ce_auto, gwr_av_auto`` by region, and ``gwr_unmixed``: GWR-AV, or GWR-BG in a
        patient whose CT shows the basal ganglia only. A marker that no patient has is left out.
    """
    unmixed = ways["unmixed"].xs("mean", axis=1, level="reading")
    pure = unmixed["GWR-AV"].fillna(unmixed["GWR-BG"]).rename("gwr_unmixed")
    return pd.concat([gwr.markers(ways["region"], ending="_auto"), pure], axis=1).dropna(axis=1, how="all")


def marker_scores(
    ways: Mapping[str, pd.DataFrame],
    cohort: pd.DataFrame,
    *,
    splits: pd.DataFrame,
    outcome_labels: Sequence[str],
) -> tuple[pd.DataFrame, list[str]]:
    """Return the automatic markers as rows of the scores table, and which of them can't be evaluated.

    Parameters
    ----------
    ways : Mapping
        From :func:`by_way`.
    cohort, splits, outcome_labels
        As for :func:`gwr.marker_scores`.

    Returns
    -------
    rows : pandas.DataFrame
        As from :func:`gwr.marker_scores`; possibly none.
    left_out : list of str
        Markers that too few test patients have: not both outcomes occur among them.
    """
    found = markers(ways)
    rows = gwr.marker_scores(found, cohort, splits=splits, outcome_labels=outcome_labels)
    tests = rows[rows["role"] == "test"].groupby(["model", "outcome_label"])["y_good"].nunique().unstack()
    both = tests.reindex(list(found)).eq(2).all(axis=1)
    return rows[rows["model"].map(both).astype(bool)].reset_index(drop=True), list(both.index[~both])
