"""Ratios from automatic readings, and their agreement with manual ones."""

import numpy as np
import pandas as pd
import pytest

from postarrest.models import gwr, gwr_automatic
from postarrest.places import Here

HU = {"CN": 37, "PU": 38, "PLIC": 30, "CC": 29, "MC1": 35, "MW1": 28, "MC2": 36, "MW2": 27}
PATIENTS = [f"P{i:02d}" for i in range(12)]


def rows(reader, *, shift=0.0, regions=HU, patients=PATIENTS):
    rng = np.random.default_rng(3)
    own = dict(zip(PATIENTS, rng.normal(0, 2, len(PATIENTS)), strict=True))
    error = np.random.default_rng(len(reader))
    found = [
        (
            patient,
            reader,
            1,
            region,
            side,
            HU[region] + shift + error.normal(0, 0.1) + own[patient] * (region in ("CN", "PU", "MC1", "MC2")),
        )
        for patient in patients
        for region in regions
        for side in "LR"
    ]
    return pd.DataFrame(found, columns=["patient_id", "reader", "reading", "region", "side", "mean_hu"])


@pytest.fixture
def ways():
    table = pd.concat(
        [
            rows("automatic, region", shift=1.0),
            rows("automatic, circle"),
            rows("automatic, unmixed", shift=-1.0, regions=["CN", "PU", "PLIC", "CC"]),
        ]
    )
    return gwr_automatic.by_way(table)


def test_each_way_is_measured_by_itself(ways):
    assert set(ways) == {"region", "circle", "unmixed"}
    assert ways["region"]["CN", "mean"].mean() - ways["circle"]["CN", "mean"].mean() == pytest.approx(
        1, abs=0.1
    )
    assert ways["unmixed"]["GWR-CE", "mean"].isna().all()


def test_agreement_is_automatic_minus_manual_with_and_without_the_doubted(ways):
    manual = gwr.measures(rows("").drop(columns="reader"))
    table = gwr_automatic.agreement(ways, manual, doubted=["P01", "P02"])
    row = table.query("reader == 'automatic, region' and measure == 'CN'").set_index("patients")
    assert row["bias"].tolist() == pytest.approx([1.0, 1.0], abs=0.1)
    assert row["n"].tolist() == [12, 10]
    assert row["n_flagged"].tolist() == [2, 0]
    ratios = table[table["measure"].isin(list(gwr.RATIOS))]
    assert ratios.loc[ratios["reader"] == "automatic, unmixed", "n_reclassified"].isna().all()
    assert ratios.loc[ratios["reader"] == "automatic, region", "n_reclassified"].notna().all()


def test_markers_of_what_no_slice_shows_are_left_out(ways):
    assert list(gwr_automatic.markers(ways)) == ["gwr_bg_auto", "gwr_ce_auto", "gwr_av_auto", "gwr_unmixed"]
    one_slice = {
        way: gwr.measures(rows(name, regions=["CN", "PU", "PLIC", "CC"]))
        for way, name in gwr_automatic.READERS.items()
    }
    found = gwr_automatic.markers(one_slice)
    assert list(found) == ["gwr_bg_auto", "gwr_unmixed"]
    # Without GWR-CE there is no average: the basal ganglia stand for it.
    of_unmixed = one_slice["unmixed"]["GWR-BG", "mean"]
    pd.testing.assert_series_equal(found["gwr_unmixed"], of_unmixed, check_names=False)


def test_a_person_strikes_readings_out(tmp_path):
    here = Here("tiny", save_to="report", root=tmp_path)
    rows("automatic, region").to_csv(here.out("gwr_auto.csv"), index=False)
    flags = pd.DataFrame({"patient_id": ["P03", "P04"], "reason": ["metal", "metal"]})
    flags.to_csv(here.out("reader_flags.csv"), index=False)
    (tmp_path / "struck.csv").write_text("patient_id\nP03\n")
    index = pd.Index(PATIENTS)
    readings, left, n_struck = gwr_automatic.read(here, index, struck_out=str(tmp_path / "struck.csv"))
    assert set(readings["patient_id"]) == set(PATIENTS) - {"P03"}
    assert left["patient_id"].tolist() == ["P04"]
    assert n_struck == 1
    (tmp_path / "struck.csv").write_text("patient_id\nnobody\n")
    with pytest.raises(ValueError, match="found 1 ids of no included patient"):
        gwr_automatic.read(here, index, struck_out=str(tmp_path / "struck.csv"))


def test_a_study_without_a_readable_ct_has_empty_measures():
    none = rows("automatic, region").iloc[:0]
    values = gwr_automatic.by_way(none)["region"]
    assert values.empty
    assert ("GWR-AV", "mean") in values.columns
