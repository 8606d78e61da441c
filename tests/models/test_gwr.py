"""Ratios from readings, agreement against published values, marker scores."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from postarrest import describe
from postarrest.data import contract
from postarrest.describe import agreement
from postarrest.models import gwr

# Shrout PE, Fleiss JL. Psychological Bulletin 1979;86:420-428, table 2: 6 targets, 4 judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def readings(hu, *, patient="a", reading=1):
    return pd.DataFrame(
        [(patient, reading, region, side, float(v)) for region, v in hu.items() for side in "LR"],
        columns=["patient_id", "reading", "region", "side", "mean_hu"],
    )


HU = {"CN": 37, "PU": 38, "PLIC": 30, "CC": 29, "MC1": 35, "MW1": 28, "MC2": 36, "MW2": 27}


class TestMeasures:
    def test_ratios_follow_their_definitions(self):
        values = gwr.measures(readings(HU)).loc["a"]
        assert values["GWR-BG", "mean"] == pytest.approx((37 + 38) / (30 + 29))
        assert values["GWR-CE", "mean"] == pytest.approx((35 + 36) / (28 + 27))
        assert values["GWR-AV", "mean"] == pytest.approx((75 / 59 + 71 / 55) / 2)
        assert values["CN", "mean"] == 37

    def test_sides_are_averaged_before_the_ratio(self):
        table = readings(HU)
        table.loc[(table["region"] == "CN") & (table["side"] == "L"), "mean_hu"] = 41
        assert gwr.by_region(table).loc[("a", "", 1), "CN"] == 39
        assert gwr.measures(table).loc["a", ("GWR-BG", "mean")] == pytest.approx((39 + 38) / (30 + 29))

    def test_two_readings_are_averaged_as_ratios(self):
        second = readings(HU | {"CN": 40, "PLIC": 25}, reading=2)
        values = gwr.measures(pd.concat([readings(HU), second])).loc["a", "GWR-BG"]
        assert values["reading_1"] == pytest.approx(75 / 59)
        assert values["reading_2"] == pytest.approx(78 / 54)
        assert values["mean"] == pytest.approx((75 / 59 + 78 / 54) / 2)

    def test_a_single_reading_is_the_mean_and_the_other_is_missing(self):
        values = gwr.measures(readings(HU)).loc["a", "GWR-CE"]
        assert values["mean"] == values["reading_1"]
        assert math.isnan(values["reading_2"])

    def test_a_region_read_on_one_side_leaves_its_ratios_missing_and_no_others(self):
        table = readings(HU)
        table = table[~((table["region"] == "PU") & (table["side"] == "R"))]
        values = gwr.measures(table).loc["a"].xs("mean", level="reading")
        assert values[["PU", "GWR-BG", "GWR-AV"]].isna().all()
        assert values.drop(["PU", "GWR-BG", "GWR-AV"]).notna().all()

    def test_a_repeated_row_is_refused(self):
        with pytest.raises(ValueError, match="16 rows repeat a patient, reader, reading, region and side"):
            gwr.measures(pd.concat([readings(HU), readings(HU)]))

    def test_the_regions_are_those_of_the_data_contract(self):
        assert tuple(gwr.REGIONS) == contract.REGIONS

    def test_columns_are_complete_and_in_the_order_of_the_definitions(self):
        columns = gwr.measures(readings(HU)).columns
        assert list(columns.get_level_values("measure").unique()) == [*gwr.REGIONS, *gwr.RATIOS]
        assert list(columns.get_level_values("reading")[:3]) == ["reading_1", "reading_2", "mean"]
        assert len(columns) == 33

    @given(st.permutations(range(32)))
    @settings(max_examples=25, deadline=None)
    def test_the_order_of_rows_does_not_matter(self, order):
        table = pd.concat([readings(HU), readings(HU | {"MC2": 31}, reading=2)], ignore_index=True)
        pd.testing.assert_frame_equal(gwr.measures(table.iloc[order]), gwr.measures(table))


class TestIccA1:
    def test_shrout_and_fleiss(self):
        # Published: ICC(2,1) = .29. All digits and the interval are those of R's psych 2.2.9:
        # sf <- matrix(c(9,2,5,8,6,1,3,2,8,4,6,8,7,1,2,6,10,5,6,9,6,2,4,7), ncol = 4, byrow = TRUE)
        # print(psych::ICC(sf, lmer = FALSE)$results, digits = 8)
        icc = describe.icc_a1(SHROUT_FLEISS)
        assert round(icc.value, 2) == 0.29
        assert icc.value == pytest.approx(0.28976378, abs=5e-9)
        assert icc.lower == pytest.approx(0.018786513, abs=5e-10)
        assert icc.upper == pytest.approx(0.76108437, abs=5e-9)

    def test_the_published_table_is_the_one_used_here(self, shared):
        table = pd.read_csv(shared / "data" / "reliability" / "shrout_fleiss_1979.csv")
        wide = table.pivot(index="target", columns="judge", values="score")
        assert wide.to_numpy().tolist() == SHROUT_FLEISS

    def test_peak_flow_meters(self, shared):
        # d <- read.csv("PEFR.csv"); w <- subset(d, meth == "Wright" & repl == 1)$y; w2: repl == 2; m: Mini, 1
        # print(psych::ICC(cbind(w, m), lmer = FALSE)$results[2, ], digits = 10), and the same of cbind(w, w2)
        large, mini, again = peak_flow(shared)
        between, within = describe.compare_readings(large, mini), describe.compare_readings(large, again)
        assert between.icc_a1.value == pytest.approx(0.9459284056, abs=5e-11)
        assert between.icc_a1.lower == pytest.approx(0.8574111712, abs=5e-11)
        assert between.icc_a1.upper == pytest.approx(0.9800786591, abs=5e-11)
        assert within.icc_a1.value == pytest.approx(0.9831640083, abs=5e-11)
        assert within.icc_a1.lower == pytest.approx(0.9552167234, abs=5e-11)
        assert within.icc_a1.upper == pytest.approx(0.9938189727, abs=5e-11)

    def test_its_interval_covers_the_truth(self):
        # The model's raters are a sample of all raters, so they differ in every draw.
        rng = np.random.default_rng(3)
        subjects, raters, noise = 1.0, 0.1, 0.25
        truth = subjects / (subjects + raters + noise)
        draws = 600
        covered = 0
        for _ in range(draws):
            x = rng.normal(0, math.sqrt(subjects), (40, 1)) + rng.normal(0, math.sqrt(raters), (1, 4))
            icc = describe.icc_a1(x + rng.normal(0, math.sqrt(noise), (40, 4)))
            covered += icc.lower <= truth <= icc.upper
        # Three standard errors of a coverage of .95 seen in so many draws.
        assert abs(covered / draws - 0.95) < 3 * math.sqrt(0.95 * 0.05 / draws)

    def test_a_constant_shift_lowers_agreement_but_not_rank_correlation(self):
        first = np.array([1.1, 1.2, 1.3, 1.25, 1.4, 1.33])
        shifted = describe.compare_readings(first, first + 0.1)
        assert shifted.spearman.value == pytest.approx(1)
        assert shifted.icc_a1.value < 0.8
        assert shifted.bias.value == pytest.approx(-0.1)
        assert shifted.sd_difference == pytest.approx(0, abs=1e-12)

    def test_identical_readings_agree_perfectly(self):
        icc = describe.icc_a1([[1, 1], [2, 2], [4, 4]])
        assert (icc.value, icc.lower, icc.upper) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("ratings", "message"),
        [
            ([[1, 2]], "at least 2 subjects and 2 ratings"),
            ([[1], [2]], "at least 2 subjects and 2 ratings"),
            ([[1, 2], [3, math.nan]], "missing or infinite"),
            ([[5, 5], [5, 5]], "all ratings are equal"),
        ],
    )
    def test_errors(self, ratings, message):
        with pytest.raises(ValueError, match=message):
            describe.icc_a1(ratings)

    @given(
        st.lists(
            st.tuples(st.floats(-50, 50).map(lambda v: round(v, 2)), st.floats(0.1, 3)),
            min_size=4,
            max_size=25,
        ),
        st.floats(0.5, 4),
        st.floats(-20, 20),
    )
    @settings(deadline=None)
    def test_units_do_not_matter_and_the_value_lies_in_its_interval(self, rows, scale, shift):
        x = np.array([(a, a + b * (-1) ** i) for i, (a, b) in enumerate(rows)])
        icc, other = describe.icc_a1(x), describe.icc_a1(shift + scale * x[:, ::-1])
        assert icc.lower - 1e-9 <= icc.value <= icc.upper + 1e-9
        assert (other.value, other.lower, other.upper) == pytest.approx(
            (icc.value, icc.lower, icc.upper), abs=1e-7
        )


class TestAgreement:
    def test_bland_and_altman_1986(self, shared):
        # Lancet 1986;327:307-310: mean difference -2.1 (interval -22.0 to 17.8), SD 38.8 l/min.
        large, mini, _ = peak_flow(shared)
        result = describe.compare_readings(large, mini)
        assert result.n == 17
        assert round(result.bias.value, 2) == -2.12
        assert round(result.sd_difference, 2) == 38.77
        assert (round(result.bias.lower, 1), round(result.bias.upper, 1)) == (-22.0, 17.8)
        # The paper multiplied by 2; its authors later used 1.96 (Stat Methods Med Res 1999;8:135-160).
        assert result.loa_lower.value == pytest.approx(-2.117647 - 1.959964 * 38.765130, abs=1e-4)
        assert result.loa_upper.value == pytest.approx(-2.117647 + 1.959964 * 38.765130, abs=1e-4)
        # R: cor(w, m, method = "spearman")
        assert result.spearman.value == pytest.approx(0.899509803922, abs=1e-11)

    def test_intervals_of_the_limits_cover_the_true_limits(self):
        rng = np.random.default_rng(11)
        draws, n = 1000, 17
        inside = np.zeros(2)
        for _ in range(draws):
            first = rng.normal(0, 3, n)
            result = describe.compare_readings(first, first + rng.normal(0, 1, n))
            for side, (limit, truth) in enumerate(
                [(result.loa_lower, -1.959964), (result.loa_upper, 1.959964)]
            ):
                inside[side] += limit.lower <= truth <= limit.upper
        assert np.all(np.abs(inside / draws - 0.95) < 3 * math.sqrt(0.95 * 0.05 / draws))

    def test_limits_and_their_intervals_are_in_order(self):
        rng = np.random.default_rng(5)
        first = rng.normal(1.25, 0.05, 321)
        r = describe.compare_readings(first, first + rng.normal(0, 0.03, 321))
        order = [
            *(r.loa_lower.lower, r.loa_lower.value, r.loa_lower.upper),
            *(r.bias.lower, r.bias.value, r.bias.upper),
            *(r.loa_upper.lower, r.loa_upper.value, r.loa_upper.upper),
        ]
        assert order == sorted(order)

    def test_swapped_readings_turn_the_sign_of_the_bias(self):
        rng = np.random.default_rng(6)
        first = rng.normal(1.25, 0.05, 30)
        second = first + rng.normal(0.01, 0.03, 30)
        a, b = describe.compare_readings(first, second), describe.compare_readings(second, first)
        assert b.bias.value == pytest.approx(-a.bias.value)
        assert b.loa_upper.value == pytest.approx(-a.loa_lower.value)
        assert b.loa_upper.upper == pytest.approx(-a.loa_lower.lower)
        assert b.icc_a1.value == pytest.approx(a.icc_a1.value)

    def test_incomplete_pairs_are_left_out_and_counted(self):
        first, second = [1.0, 2.0, 3.0, 4.0, math.nan], [1.1, 2.2, 2.9, math.nan, 5.0]
        result = describe.compare_readings(first, second)
        assert (result.n, result.n_incomplete) == (3, 2)
        assert result.bias.value == pytest.approx(describe.compare_readings(first[:3], second[:3]).bias.value)

    def test_spearman_is_scipy_s_and_lies_in_its_interval(self):
        rng = np.random.default_rng(7)
        first = np.round(rng.normal(35, 3, 60))
        second = np.round(first + rng.normal(0, 2, 60))
        rho = describe.compare_readings(first, second).spearman
        assert rho.value == pytest.approx(stats.spearmanr(first, second).statistic)
        assert rho.lower < rho.value < rho.upper < 1

    def test_too_few_pairs_are_refused(self):
        with pytest.raises(ValueError, match="found 2 complete pairs; expected at least 3"):
            describe.compare_readings([1, 2, math.nan], [1, 2, 3])

    def test_a_reading_without_spread_has_no_rank_correlation(self):
        assert math.isnan(describe.compare_readings([1, 1, 1, 1], [1, 2, 3, 4]).spearman.value)


class TestTimesMeasured:
    def test_patients_measured_twice_once_and_not_at_all(self):
        table = cohort_readings(n=6)
        table = table[~((table["patient_id"] == "P00") & (table["reading"] == 2))]
        table = table[~((table["patient_id"] == "P01") & (table["region"] == "MC1"))]
        values = gwr.measures(table)
        assert gwr.times_measured(values) == {"n": 6, "n_known": 5, "n_twice": 4, "n_once": 1}
        assert gwr.times_measured(values, "GWR-BG")["n_twice"] == 5


class TestReliability:
    def test_one_row_per_region_and_ratio(self):
        table = gwr.reliability(gwr.measures(cohort_readings(n=12)))
        assert list(table["measure"]) == [*gwr.REGIONS, *gwr.RATIOS]
        assert list(table["unit"].unique()) == ["HU", "ratio"]
        assert {"n", "spearman", "icc_a1", "icc_lower", "icc_upper", "bias", "loa_lower", "loa_upper"} <= set(
            table
        )
        assert (table["n"] == 12).all()
        assert (table["loa_lower_from"] < table["loa_lower_to"]).all()

    def test_icc_of_means_is_that_of_shrout_and_fleiss(self):
        ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
        # Shrout and Fleiss 1979, table 4: ICC(2,1) .29 and ICC(2,4) .62.
        single = agreement.icc_a1(ratings)
        assert single.value == pytest.approx(0.29, abs=0.005)
        assert agreement.of_mean(single, k=4).value == pytest.approx(0.62, abs=0.005)

    def test_patients_on_both_sides_of_the_cut_off_are_counted(self):
        values = gwr.measures(cohort_readings(n=12))
        first, second = (values["GWR-AV", f"reading_{k}"].copy() for k in (1, 2))
        first.iloc[:], second.iloc[:] = 1.3, 1.25
        first.iloc[:5], second.iloc[:4] = 1.1, 1.15
        values["GWR-AV", "reading_1"], values["GWR-AV", "reading_2"] = first, second
        row = gwr.reliability(values).set_index("measure").loc["GWR-AV"]
        assert row["n_reclassified"] == 1
        assert row["largest_difference"] == pytest.approx(0.15)
        # 4 below in both, 1 in the first alone, 7 in none: observed 11/12, by chance (5 * 4 + 7 * 8) / 144.
        chance = (5 * 4 + 7 * 8) / 144
        assert row["kappa"] == pytest.approx((11 / 12 - chance) / (1 - chance))

    def test_measures_read_once_have_only_counts(self):
        readings = cohort_readings(n=12)
        table = gwr.reliability(gwr.measures(readings[readings["reading"] == 1]))
        assert (table["n"] == 0).all()
        assert (table["n_incomplete"] == 12).all()
        assert table["icc_a1"].isna().all()


class TestMarkerScores:
    def test_every_patient_once_per_split_and_ratio_with_the_role_of_the_split(self):
        values = gwr.measures(cohort_readings(n=10))
        y = pd.Series([0, 1] * 5, index=values.index)
        cohort = pd.DataFrame({"y_good_revised": y})
        splits = split_table(values.index, {"holdout-1": 2, "holdout-2": 3})
        scores = gwr.marker_scores(gwr.markers(values), cohort, splits=splits, outcome_labels=["revised"])
        assert list(scores.columns) == [
            *("patient_id", "y_good", "model", "kind", "role", "fold", "score", "outcome_label")
        ]
        assert len(scores) == 2 * 10 * 3
        assert not scores.duplicated(["patient_id", "model", "fold"]).any()
        tests = scores[scores["role"] == "test"].groupby("fold")["patient_id"].nunique()
        assert tests.to_dict() == {1: 2, 2: 3}
        row = scores[(scores["model"] == "gwr_av") & (scores["fold"] == 2)].set_index("patient_id")
        pd.testing.assert_series_equal(row["score"], values["GWR-AV", "mean"], check_names=False)
        assert (scores["y_good"] == scores["patient_id"].map(y)).all()
        assert set(scores["kind"]) == {"marker"}
        assert set(scores["outcome_label"]) == {"revised"}

    def test_the_number_of_the_split_is_the_fold_also_beyond_nine(self):
        values = gwr.measures(cohort_readings(n=10))
        splits = split_table(values.index, {f"holdout-{i}": 2 for i in (1, 10, 2)})
        cohort = pd.DataFrame({"y_good_standard": 1}, index=values.index)
        scores = gwr.marker_scores(gwr.markers(values), cohort, splits=splits, outcome_labels=["standard"])
        assert sorted(scores["fold"].unique()) == [1, 2, 10]

    def test_hold_out_splits_are_used_where_there_are_any_and_outer_folds_where_not(self):
        values = gwr.measures(cohort_readings(n=10))
        cohort = pd.DataFrame({"y_good_standard": [0, 1] * 5}, index=values.index)
        both = split_table(values.index, {"holdout-1": 2, "outer-1": 5, "outer-2": 5})
        outer = both[both["split"] != "holdout-1"]
        for splits, folds in ((both, {1}), (outer, {1, 2})):
            scores = gwr.marker_scores(
                gwr.markers(values), cohort, splits=splits, outcome_labels=["standard"]
            )
            assert set(scores["fold"]) == folds

    def test_each_outcome_label_has_its_own_rows(self):
        values = gwr.measures(cohort_readings(n=10))
        cohort = pd.DataFrame({"y_good_revised": 1, "y_good_standard": [0, 1] * 5}, index=values.index)
        labels = ["revised", "standard"]
        splits = split_table(values.index, {"holdout-1": 2})
        scores = gwr.marker_scores(gwr.markers(values), cohort, splits=splits, outcome_labels=labels)
        assert list(scores["outcome_label"].unique()) == labels
        assert scores.groupby("outcome_label")["y_good"].mean().to_dict() == {"revised": 1, "standard": 0.5}

    def test_a_missing_ratio_has_no_row(self):
        table = cohort_readings(n=10)
        lost = (table["patient_id"] == "P03") & (table["region"] == "MC1")
        values = gwr.measures(table[~lost])
        splits = split_table(values.index, {"holdout-1": 2})
        cohort = pd.DataFrame({"y_good_standard": 0}, index=values.index)
        scores = gwr.marker_scores(gwr.markers(values), cohort, splits=splits, outcome_labels=["standard"])
        assert scores["score"].notna().all()
        assert scores.groupby("model")["patient_id"].nunique().to_dict() == {
            "gwr_av": 9,
            "gwr_bg": 10,
            "gwr_ce": 9,
        }


def peak_flow(shared):
    table = pd.read_csv(shared / "data" / "reliability" / "PEFR.csv")
    wide = table.pivot(index="item", columns=["meth", "repl"], values="y")
    return wide["Wright", 1], wide["Mini", 1], wide["Wright", 2]


def cohort_readings(*, n):
    rng = np.random.default_rng(2)
    return pd.concat(
        [
            readings({k: v + rng.normal(0, 1) for k, v in HU.items()}, patient=f"P{i:02d}", reading=reading)
            for i in range(n)
            for reading in (1, 2)
        ],
        ignore_index=True,
    )


def split_table(ids, tests):
    return pd.concat(
        [
            pd.DataFrame(
                {"split": name, "patient_id": list(ids), "part": ["test"] * n + ["train"] * (len(ids) - n)}
            )
            for name, n in tests.items()
        ],
        ignore_index=True,
    )


READERS = st.lists(st.text(min_size=1, max_size=12), min_size=3, max_size=3, unique=True)


def by_readers(*sessions):
    """Six patients read by several readers; of each session its reader, number and shift in HU."""
    rng = np.random.default_rng(0)
    parts = []
    for patient in "abcdef":
        own = rng.normal(0, 1.5)
        for reader, reading, shift in sessions:
            hu = {
                r: v + own * r.startswith(("C", "P", "MC")) + shift + rng.normal(0, 0.2)
                for r, v in HU.items()
            }
            parts.append(readings(hu, patient=patient, reading=reading).assign(reader=reader))
    return pd.concat(parts, ignore_index=True)


class TestReaders:
    """Any number of readers and readings."""

    THREE = ("reading 1 of reader A", "reading 2 of reader A", "reading 1 of reader B")

    @pytest.fixture
    def values(self):
        return gwr.measures(by_readers(("A", 1, 0.0), ("A", 2, 0.5), ("B", 1, -1.0)))

    def test_each_reading_and_each_reader_has_a_column_and_the_mean_is_of_all_readings(self, values):
        of_bg = values["GWR-BG"]
        assert list(of_bg) == [*self.THREE, "reader A", "reader B", "mean"]
        np.testing.assert_allclose(of_bg["reader A"], of_bg[list(self.THREE[:2])].mean(axis=1))
        np.testing.assert_allclose(of_bg["mean"], of_bg[list(self.THREE)].mean(axis=1))

    def test_agreement_is_within_and_between_readers(self, values):
        table = gwr.reliability(values)
        assert table["compared"].unique().tolist() == ["reading 1 and 2 of reader A", "readers A and B"]
        of_cn = table[table["measure"] == "CN"].set_index("compared")["bias"]
        assert of_cn.iloc[0] == pytest.approx(-0.5, abs=0.3)
        assert of_cn.iloc[1] == pytest.approx(1.25, abs=0.3)
        means = [values["CN", f"reader {name}"] for name in "AB"]
        assert of_cn.iloc[1] == pytest.approx(describe.compare_readings(*means).bias.value)

    def test_readers_who_read_once_are_compared_and_counted(self):
        values = gwr.measures(by_readers(("A", 1, 0.0), ("B", 1, 0.0), ("", 1, 0.0)))
        assert [pair.compared for pair in gwr.pairs(values)] == [
            "the unnamed reader and reader A",
            "the unnamed reader and reader B",
            "readers A and B",
        ]
        assert gwr.times_measured(values) == {"n": 6, "n_known": 6, "n_twice": 6, "n_once": 0}

    def test_readers_of_different_patients_are_not_comparable(self):
        table = by_readers(("A", 1, 0.0), ("A", 2, 0.0), ("B", 1, 0.0))
        apart = table["patient_id"].isin(list("abc")) == (table["reader"] == "A")
        values = gwr.measures(table[apart])
        assert [pair.compared for pair in gwr.comparable(values)] == ["reading 1 and 2 of reader A"]
        table = gwr.reliability(values)
        assert table.loc[table["compared"] == "readers A and B", "n"].eq(0).all()
        assert gwr.times_measured(values)["n_once"] == 3

    def test_a_blank_reader_is_one_reader_as_without_the_column(self):
        table = cohort_readings(n=5)
        for blank in ("", None):
            pd.testing.assert_frame_equal(
                gwr.measures(table.assign(reader=blank)), gwr.measures(table), check_exact=True
            )
        assert gwr.reliability(gwr.measures(table))["compared"].unique() == ["reading 1 and reading 2"]

    @given(READERS)
    @settings(max_examples=10)
    def test_the_readers_names_change_nothing_but_the_names(self, names):
        # Also names that look like a column of the measures.
        sessions = [("A", 1, 0.0), ("A", 2, 0.5), ("B", 1, -1.0), ("C", 1, 0.0)]
        table = by_readers(*sessions)
        renamed = table.assign(reader=table["reader"].map(dict(zip("ABC", names, strict=True))))
        self.same_but_names(table, renamed, dict(zip("ABC", names, strict=True)))

    @pytest.mark.parametrize("name", ["mean", "reading_1", "A, reading 1", "reading 1 of reader B", "reader"])
    def test_a_reader_may_have_the_name_of_a_column(self, name):
        table = by_readers(("A", 1, 0.0), ("A", 2, 0.5), ("B", 1, -1.0))
        names = {"A": name, "B": "B"}
        self.same_but_names(table, table.assign(reader=table["reader"].map(names)), names)

    def same_but_names(self, table, renamed, names):
        one, other = gwr.measures(table), gwr.measures(renamed)
        assert one.shape == other.shape
        means = [t.xs("mean", axis=1, level="reading") for t in (one, other)]
        pd.testing.assert_frame_equal(*means)
        for reader, name in names.items():
            own = (one["GWR-AV", f"reader {reader}"], other["GWR-AV", f"reader {name}"])
            pd.testing.assert_series_equal(*own, check_names=False)
        # A difference between readers has the other sign if their order is another.
        agreed = [
            gwr.reliability(t)[["measure", "n", "icc_a1", "spearman", "largest_difference"]]
            .sort_values(["measure", "icc_a1"])
            .reset_index(drop=True)
            for t in (one, other)
        ]
        pd.testing.assert_frame_equal(*agreed)

    @given(st.integers(1, 3), st.text(max_size=12).filter(lambda name: name != "A"))
    @settings(max_examples=10)
    def test_a_second_reader_who_reads_the_same_leaves_the_mean(self, n, name):
        once = by_readers(*[("A", number, 0.1 * number) for number in range(1, n + 1)])
        twice = pd.concat([once, once.assign(reader=name)])
        one, other = (gwr.measures(t).xs("mean", axis=1, level="reading") for t in (once, twice))
        pd.testing.assert_frame_equal(one, other)

    def test_three_readings_of_one_reader_are_compared_in_pairs(self):
        table = pd.concat([readings(HU, patient=p, reading=n) for p in "abcd" for n in (1, 2, 3)])
        assert [pair.compared for pair in gwr.pairs(gwr.measures(table))] == [
            "reading 1 and reading 2",
            "reading 1 and reading 3",
            "reading 2 and reading 3",
        ]
        assert gwr.times_measured(gwr.measures(table)) == {"n": 4, "n_known": 4, "n_twice": 4, "n_once": 0}
