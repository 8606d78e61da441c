"""Ratios from automatic readings, and their agreement with manual ones."""

from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
import pytest

from postarrest import describe
from postarrest.models import gwr, gwr_automatic
from postarrest.places import Here
from postarrest.study import schema
from postarrest.words import model_in_words

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
    assert row["n_flagged"].tolist() == ["2", "0"]
    ratios = table[table["measure"].isin(list(gwr.RATIOS))]
    assert ratios.loc[ratios["reader"] == "automatic, unmixed", "n_reclassified"].isna().all()
    assert ratios.loc[ratios["reader"] == "automatic, region", "n_reclassified"].notna().all()


def test_few_doubted_patients_are_hidden_with_what_they_would_follow_from(ways):
    manual = gwr.measures(rows("").drop(columns="reader"))
    table = gwr_automatic.agreement(ways, manual, doubted=["P01", "P02"], mask_below=5)
    read = table[table["n"] > 0]
    assert set(read["n_flagged"]) == {"<5"}
    assert set(read["patients"]) == {"all"}
    shown = gwr_automatic.agreement(ways, manual, doubted=PATIENTS[:5], mask_below=5)
    assert set(shown.loc[shown["n"] > 0, "n_flagged"]) == {"5", "0"}


def test_markers_that_too_few_test_patients_have_are_left_out(ways):
    cohort = pd.DataFrame({"y_good_standard": [0, 1] * 6}, index=pd.Index(PATIENTS, name="patient_id"))
    part = ["test"] * 4 + ["train"] * 8
    about = {
        "splits": pd.DataFrame({"split": "holdout-1", "patient_id": PATIENTS, "part": part}),
        "outcome_labels": ["standard"],
    }
    table, left_out = gwr_automatic.marker_scores(ways, cohort, **about)
    assert set(table["model"]) == set(gwr_automatic.markers(ways))
    assert left_out == []
    # Of the four test patients, one has the average.
    few = {way: values.copy() for way, values in ways.items()}
    few["region"].loc[PATIENTS[1:], ("GWR-AV", "mean")] = np.nan
    table, left_out = gwr_automatic.marker_scores(few, cohort, **about)
    assert left_out == ["gwr_av_auto"]
    assert set(table["model"]) == set(gwr_automatic.markers(ways)) - {"gwr_av_auto"}
    none = {way: values.iloc[:0].reindex(PATIENTS) for way, values in ways.items()}
    table, left_out = gwr_automatic.marker_scores(none, cohort, **about)
    assert (len(table), left_out) == (0, [])


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


def test_a_study_without_a_readable_ct_has_empty_measures(tmp_path):
    here = Here("tiny", save_to="report", root=tmp_path)
    here.out("gwr_auto.csv").write_text(",".join(rows("automatic, region").columns) + "\n")
    here.out("reader_flags.csv").write_text("patient_id,reason\n")
    none, flags, _ = gwr_automatic.read(here, pd.Index(PATIENTS))
    ways = gwr_automatic.by_way(none)
    assert ways["region"].empty
    assert ("GWR-AV", "mean") in ways["region"].columns
    manual = gwr.measures(rows("").drop(columns="reader"))
    table = gwr_automatic.agreement(ways, manual, doubted=flags["patient_id"])
    assert (table["n"] == 0).all()
    assert describe.flag_counts(flags, n_patients=12)["n"].tolist() == ["0"]


def test_a_rare_reason_does_not_follow_from_the_others():
    reasons = ["metal"] * 12 + ["level"] * 4
    flags = pd.DataFrame({"patient_id": [f"P{i}" for i in range(16)], "reason": reasons})
    table = describe.flag_counts(flags, n_patients=90, mask_below=5).set_index("reason")
    assert table["n"].to_dict() == {"metal": "hidden", "level": "<5", "any reason": "16"}
    assert table["share"].notna().tolist() == [False, False, True]


def test_the_cut_off_applies_to_every_ratio_but_the_unmixed(ways):
    pattern, value = schema.declared_parameters("05_evaluation")["fixed_thresholds"].default["GWR 1.2"]
    assert value == gwr.CUT_OFF
    manual = ["gwr_bg", "gwr_ce", "gwr_av"]
    judged = [name for name in [*manual, *gwr_automatic.markers(ways)] if fnmatchcase(name, pattern)]
    assert judged == [*manual, *(f"{name}_auto" for name in manual)]
    # Readers see a name for each of them.
    assert all(model_in_words(name) != name for name in [*judged, "gwr_unmixed"])
