"""Table 1, missing values, GWR by outcome, relabelled patients; small counts hidden."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from golden_values import R_FISHER
from postarrest import data, describe
from postarrest.describe.masking import HIDDEN
from postarrest.models import gwr


def cohort(n=200, *, seed=0):
    rng = np.random.default_rng(seed)
    y = pd.Series(rng.permutation([1] * (n // 4) + [0] * (n - n // 4)), index=[f"P{i:05d}" for i in range(n)])
    rhythm = np.where(
        rng.random(n) < 0.15 + 0.4 * y,
        "vf_vt",
        rng.choice(["pea", "asystole", "other"], n, p=[0.4, 0.5, 0.1]),
    )
    patients = pd.DataFrame(
        {
            "age_years": np.round(rng.normal(70 - 6 * y, 12)),
            "lactate_mmol_l": np.where(rng.random(n) < 0.1, np.nan, np.exp(rng.normal(2.2 - 0.2 * y, 0.4))),
            "sex": pd.array(np.where(rng.random(n) < 0.66, "male", "female"), dtype="str"),
            "initial_rhythm": pd.array(rhythm, dtype="str"),
            "witnessed": np.where(rng.random(n) < 0.2, np.nan, rng.random(n) < 0.5 + 0.2 * y),
        },
        index=y.index,
    )
    return patients, y


class TestFlow:
    def selected(self):
        rows = [
            ("screened", "", 100),
            ("excluded", "stroke", 20),
            ("excluded", "trauma", 3),
            ("excluded", "aortic rupture", 1),
            ("excluded", "younger than 18 years", 0),
            ("kept", "withdrawal of treatment", 6),
            ("included", "", 76),
        ]
        return pd.DataFrame(rows, columns=["step", "reason", "n"])

    def test_every_patient_is_accounted_for(self):
        flow = describe.flow(self.selected(), pd.Series([1] * 16 + [0] * 60))
        n = flow.set_index("step")["n"]
        assert n["screened"] - n["excluded"].sum() == n["included"]
        assert n["good outcome"] + n["poor outcome"] == n["included"]
        left = flow.set_index("step")["n_left"]
        assert left["excluded"].tolist() == [80, 77, 76, 76]
        assert left["included"] == 76
        assert list(flow.columns) == ["step", "reason", "n", "n_left"]

    def test_rare_reasons_are_merged_and_none_is_lost(self):
        flow = describe.flow(self.selected(), pd.Series([1] * 16 + [0] * 60), mask_below=4)
        excluded = flow[flow["step"] == "excluded"].set_index("reason")["n"]
        assert excluded.to_dict() == {
            "stroke": 20,
            "younger than 18 years": 0,
            "other reasons, each rare": 4,
        }

    def test_rare_reasons_that_are_still_few_are_merged_with_the_next(self):
        flow = describe.flow(self.selected(), pd.Series([1] * 16 + [0] * 60), mask_below=5)
        excluded = flow[(flow["step"] == "excluded") & (flow["n"] > 0)]
        assert excluded[["reason", "n"]].values.tolist() == [["other reasons, each rare", 24]]
        assert "withdrawal of treatment" in set(flow["reason"])


class TestTable1:
    def test_numbers_are_scipy_s(self):
        patients, y = cohort()
        table = describe.table1(patients, y, variables=["age_years", "lactate_mmol_l"]).set_index("variable")
        for name, column in (("Age, years", "age_years"), ("Lactate, mmol/L", "lactate_mmol_l")):
            known = patients[column].dropna()
            good, poor = known[y[known.index] == 1], known[y[known.index] == 0]
            row = table.loc[name]
            assert row["p"] == stats.mannwhitneyu(good, poor).pvalue
            assert row["shapiro_p"] == min(stats.shapiro(good).pvalue, stats.shapiro(poor).pvalue)
            assert row["test"] == "Mann-Whitney U"
            assert row["missing"] == str(patients[column].isna().sum())
            low, median, high = np.quantile(good, [0.25, 0.5, 0.75])
            shown = [float(v) for v in re.findall(r"[\d.]+", row["good"])]
            assert shown == pytest.approx([median, low, high], abs=0.05)

    def test_a_row_has_one_number_of_decimals(self):
        y = pd.Series([1] * 10 + [0] * 10)
        lactate = pd.Series([*np.linspace(1.2, 4.1, 10), *np.linspace(11.3, 19.7, 10)])
        age = pd.Series([*range(50, 60), *range(61, 71)])
        table = describe.table1(
            pd.DataFrame({"lactate_mmol_l": lactate, "age_years": age}),
            y,
            variables=["lactate_mmol_l", "age_years"],
        ).set_index("variable")
        for _, row in table.iloc[1:].iterrows():
            shown = " ".join(row[["overall", "good", "poor"]])
            assert len({len(number) for number in re.findall(r"\d+\.?(\d*)", shown)}) == 1, shown

    def test_time_from_arrest_to_circulation_is_the_sum_of_its_parts_unless_recorded(self):
        parts = pd.DataFrame({"no_flow_min": [5.0, np.nan], "low_flow_min": [20.0, 30.0]})
        added = describe.characteristics(parts)["arrest_to_circulation_min"]
        assert added[0] == 25
        assert np.isnan(added[1])
        recorded = parts.assign(arrest_to_circulation_min=[24.0, 33.0])
        assert describe.characteristics(recorded) is recorded

    def test_cpc_is_shown_by_level_and_not_tested(self):
        cpc = pd.Series([1.0] * 3 + [2.0] + [5.0] * 6, name="cpc")
        table = describe.table1(cpc.to_frame(), (cpc <= 2).astype(int), variables=["cpc"]).iloc[1:]
        assert table["level"].tolist() == ["1", "2", "5"]
        assert table["good"].tolist() == ["3 (75.0 %)", "1 (25.0 %)", "0 (0.0 %)"]
        assert table["p"].isna().all()

    def test_categories_are_counted_and_compared_by_fisher_s_test(self):
        patients, y = cohort()
        table = describe.table1(patients, y, variables=["sex", "initial_rhythm", "witnessed"])
        counts = pd.crosstab(patients["sex"], y)
        row = table[(table["variable"] == "Sex") & (table["level"] == "male")].iloc[0]
        assert row["good"] == f"{counts.loc['male', 1]} ({100 * counts.loc['male', 1] / 50:.1f} %)"
        assert row["poor"] == f"{counts.loc['male', 0]} ({100 * counts.loc['male', 0] / 150:.1f} %)"
        assert row["p"] == pytest.approx(stats.fisher_exact(counts).pvalue)
        witnessed = patients["witnessed"].dropna()
        row = table[table["variable"] == "Witnessed arrest"].iloc[0]
        assert row["level"] == "yes"
        assert row["overall"] == f"{witnessed.sum():.0f} ({100 * witnessed.mean():.1f} %)"
        assert row["missing"] == str(200 - len(witnessed))

    def test_levels_are_in_the_contract_s_order_and_the_test_in_the_first_row(self):
        patients, y = cohort()
        table = describe.table1(patients, y, variables=["initial_rhythm"]).iloc[1:]
        assert list(table["level"]) == ["VF or pulseless VT", "PEA", "asystole", "other"]
        assert list(table["p"].notna()) == [True, False, False, False]
        assert list(table["missing"]) == ["0", "", "", ""]
        assert set(table["variable"]) == {"Initial rhythm"}

    def test_columns_outside_the_contract_keep_their_names_and_levels_are_sorted(self):
        patients, y = cohort()
        patients["site"] = np.where(np.arange(200) % 3 == 0, "B", "A")
        table = describe.table1(patients, y, variables=["site"])
        assert list(table["variable"]) == ["Patients", "site", "site"]
        assert list(table["level"]) == ["", "A", "B"]

    def test_a_cohort_s_variables_are_the_contract_s_and_its_own(self):
        patients, y = cohort()
        patients = patients.assign(eeg24h_delta=1.0, y_good=y)
        assert describe.known_variables(patients) == [
            *("age_years", "sex", "witnessed", "initial_rhythm", "lactate_mmol_l")
        ]
        assert describe.further_variables(patients) == ["eeg24h_delta"]

    def test_a_pattern_means_the_columns_that_match_it(self):
        patients, y = cohort()
        patients = patients.assign(eeg24h_delta=1.0, eeg24h_theta=0.0, eeg48h_delta=1.0)
        table = describe.table1(patients, y, variables=["eeg24h_*", "eeg24h_delta", "sex"])
        assert list(table["variable"].unique()) == ["Patients", "eeg24h_delta", "eeg24h_theta", "Sex"]

    def test_a_variable_missing_or_equal_in_all_patients_has_no_test(self):
        patients, y = cohort()
        patients = patients.assign(
            cause=pd.array([None] * 200, dtype="str"),
            no_flow_min=np.nan,
            low_flow_min=20.0,
            circulation=pd.array(["rosc"] * 200, dtype="str"),
        )
        table = describe.table1(
            patients, y, variables=["cause", "no_flow_min", "low_flow_min", "circulation"]
        ).set_index("variable")
        assert table["p"].isna().all()
        assert table.loc["Cause of arrest", "missing"] == "200"
        assert table.loc["No-flow time, min", "overall"] == ""
        assert table.loc["Low-flow time, min", "overall"] == "20 (20 to 20)"
        assert table.loc["Circulation at CT", "overall"] == "200 (100.0 %)"

    def test_a_large_cohort_is_described_within_seconds_and_without_warnings(self):
        patients, y = cohort(20_000)
        table = describe.table1(patients, y, variables=list(patients.columns))
        assert table.iloc[0]["overall"] == "20000"
        assert math.isnan(table.loc[table["variable"] == "Age, years", "shapiro_p"].iloc[0])
        assert table.loc[table["variable"] == "Initial rhythm", "test"].iloc[0].endswith("tables drawn)")

    @pytest.mark.parametrize(
        ("variables", "outcome", "message"),
        [
            (["age_years", "weight_kg", "eeg_*"], None, "Not among the patients' columns: weight_kg, eeg_"),
            (["age_years"], 0, "The outcome holds 0; expected patients with 0 and patients with 1"),
        ],
    )
    def test_errors(self, variables, outcome, message):
        patients, y = cohort()
        y = y if outcome is None else y * 0 + outcome
        with pytest.raises(ValueError, match=message):
            describe.table1(patients, y, variables=variables)

    def test_an_outcome_in_another_order_is_refused(self):
        patients, y = cohort()
        with pytest.raises(ValueError, match="in the same order"):
            describe.table1(patients, y.iloc[::-1], variables=["sex"])


class TestSmallCounts:
    def test_a_small_count_is_hidden_with_what_would_reveal_it(self):
        y = pd.Series([1] * 30 + [0] * 70)
        codes = ["a"] * 2 + ["b"] * 8 + ["c"] * 20 + ["a"] * 10 + ["b"] * 30 + ["c"] * 30
        table = describe.table1(pd.DataFrame({"code": codes}), y, variables=["code"], mask_below=5).iloc[1:]
        assert list(table["good"]) == ["<5", HIDDEN, "20 (66.7 %)"]
        assert list(table["poor"]) == [HIDDEN, HIDDEN, "30 (42.9 %)"]
        assert list(table["overall"]) == ["12 (12.0 %)", "38 (38.0 %)", "50 (50.0 %)"]

    def test_nothing_is_hidden_by_default(self):
        patients, y = cohort(40)
        assert not describe.table1(patients, y, variables=list(patients)).isin([HIDDEN]).any().any()

    @given(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=5),
        st.integers(2, 6),
    )
    @settings(max_examples=60, deadline=None)
    def test_no_hidden_count_follows_from_the_shown_ones(self, counts, below):
        # Two large levels, so that both outcomes have enough patients and more can be hidden.
        counts = [*counts, (40, 90), (50, 80)]
        codes = [f"{i}" for i, row in enumerate(counts) for n in row for _ in range(n)]
        y = pd.Series([g for row in counts for n, g in zip(row, (1, 0), strict=True) for _ in range(n)])
        table = describe.table1(pd.DataFrame({"code": codes}), y, variables=["code"], mask_below=below).iloc[
            1:
        ]
        shown = table[["good", "poor", "overall"]].to_numpy()
        hidden = np.array([[not re.match(r"\d", cell) for cell in row] for row in shown])
        # Unknowns are the counts by level and outcome; what is known: shown cells, totals of the outcomes.
        levels = len(table)
        known = [np.concatenate([np.tile([1, 0], levels)]), np.concatenate([np.tile([0, 1], levels)])]
        for i in range(levels):
            for j, weights in enumerate(([1, 0], [0, 1], [1, 1])):
                if not hidden[i, j]:
                    row = np.zeros(2 * levels)
                    row[2 * i : 2 * i + 2] = weights
                    known.append(row)
        rank = np.linalg.matrix_rank(np.array(known))
        for i in range(levels):
            for j in range(2):
                if shown[i, j].startswith("<"):
                    unit = np.zeros(2 * levels)
                    unit[2 * i + j] = 1
                    assert np.linalg.matrix_rank(np.array([*known, unit])) > rank


class TestMissingness:
    def test_counts_and_percentages_by_outcome(self):
        patients, y = cohort()
        table = describe.missingness(patients, y, variables=list(patients)).set_index("variable")
        lost = patients["witnessed"].isna()
        row = table.loc["Witnessed arrest"]
        assert row["overall"] == str(lost.sum())
        assert row["good_pct"] == pytest.approx(100 * lost[y == 1].mean())
        assert row["poor_pct"] == pytest.approx(100 * lost[y == 0].mean())
        assert row["p"] == pytest.approx(stats.fisher_exact(pd.crosstab(lost, y)).pvalue)
        assert list(table["overall"].astype(int)) == sorted(table["overall"].astype(int), reverse=True)

    def test_variables_missing_together_share_a_row(self):
        patients, y = cohort()
        lost = np.arange(200) < 30
        findings = {f"eeg_{i}": np.where(lost, np.nan, i) for i in range(5)}
        table = describe.missingness(patients.assign(**findings), y, variables=[*findings, "sex"])
        assert list(table["variable"]) == ["eeg_0 and 4 more", "Sex"]
        assert list(table["n_variables"]) == [5, 1]

    def test_small_counts_have_no_percentage(self):
        y = pd.Series([1] * 20 + [0] * 30)
        x = pd.Series([np.nan] * 2 + [1.0] * 18 + [np.nan] * 8 + [2.0] * 22)
        row = describe.missingness(pd.DataFrame({"x": x}), y, variables=["x"], mask_below=5).iloc[0]
        assert (row["overall"], row["good"], row["poor"]) == ("10", "<5", HIDDEN)
        assert math.isnan(row["good_pct"])
        assert math.isnan(row["poor_pct"])
        assert row["overall_pct"] == 20


class TestGwrValues:
    def measures(self, n=80):
        rng = np.random.default_rng(4)
        ids = [f"P{i:02d}" for i in range(n)]
        y = pd.Series([1] * (n // 4) + [0] * (n - n // 4), index=ids)
        hu = {"CN": 37, "PU": 38, "PLIC": 30, "CC": 29, "MC1": 35, "MW1": 28, "MC2": 36, "MW2": 28}
        rows = [
            (i, reading, region, side, v + (1 - y[i]) * -2 * (v > 31) + rng.normal(0, 1.5))
            for i in ids
            for reading in (1, 2)
            for region, v in hu.items()
            for side in "LR"
        ]
        readings = pd.DataFrame(rows, columns=["patient_id", "reading", "region", "side", "mean_hu"])
        return gwr.measures(readings), y

    def test_values_and_counts_are_those_of_the_mean_of_the_readings(self):
        values, y = self.measures()
        table = describe.gwr_values(values, y, cut_off=1.2).set_index("measure")
        assert list(table.index) == [*gwr.REGIONS, *gwr.RATIOS]
        x = values["GWR-AV", "mean"]
        row = table.loc["GWR-AV"]
        assert row["n_below_cutoff"] == str((x < 1.2).sum())
        assert row["good_below_cutoff"] == str((x[y == 1] < 1.2).sum())
        assert int(row["good_below_cutoff"]) + int(row["poor_below_cutoff"]) == int(row["n_below_cutoff"])
        assert row["p"] == pytest.approx(stats.mannwhitneyu(x[y == 1], x[y == 0]).pvalue)
        assert row["poor_mean"] == pytest.approx(x[y == 0].mean())
        assert row["poor_sd"] == pytest.approx(x[y == 0].std())
        assert re.fullmatch(r"1\.\d{3} \(1\.\d{3} to 1\.\d{3}\)", row["good"])
        assert table.loc["CN", "n_below_cutoff"] == ""

    def test_a_missing_ratio_is_counted_and_not_below_the_cut_off(self):
        values, y = self.measures()
        values.loc["P00", ("GWR-AV", "mean")] = np.nan
        row = describe.gwr_values(values, y, cut_off=10).set_index("measure").loc["GWR-AV"]
        assert (row["n"], row["n_missing"], row["n_below_cutoff"]) == (79, "1", "79")

    def test_numbers_below_the_cut_off_by_ratio(self):
        values, y = self.measures()
        x = values.xs("mean", axis=1, level="reading")
        counts = describe.below_cut_off(describe.gwr_values(values, y, cut_off=1.2))
        ratios = {"bg": "GWR-BG", "ce": "GWR-CE", "av": "GWR-AV"}
        assert counts == {f"n_below_{name}": (x[ratio] < 1.2).sum() for name, ratio in ratios.items()}
        hidden = describe.below_cut_off(describe.gwr_values(values, y, cut_off=1.2, mask_below=1000))
        assert set(hidden.values()) == {"<1000"}

    def test_the_cut_off_itself_is_not_below(self):
        values, y = self.measures()
        at = values["GWR-AV", "mean"].median()
        values.loc[values.index[:3], ("GWR-AV", "mean")] = at
        x = values["GWR-AV", "mean"]
        row = describe.gwr_values(values, y, cut_off=at).set_index("measure").loc["GWR-AV"]
        assert row["n_below_cutoff"] == str((x < at).sum())


class TestRelabelled:
    def patients(self, n=5):
        return pd.DataFrame(
            {
                "y_good_standard": [0] * n + [1] * 20 + [0] * 60,
                "y_good_revised": [1] * (n + 20) + [0] * 60,
                "cause": (["cardiac", "cardiac", "cardiac", "respiratory", "respiratory"] * 20)[: n + 80],
                "death_cause": (["cardiogenic", "respiratory"] * 20)[:n] + [None] * 80,
                "no_flow_min": [4.0] * (n + 80),
                "low_flow_min": [float(v % 40) for v in range(n + 80)],
                "arrest_to_death_days": ([16.0, 21.0, 0.0, 18.0, 26.0] * 20)[:n] + [None] * 80,
            }
        )

    def test_number_causes_and_times_in_aggregate(self):
        table = describe.relabelled(self.patients())
        value = table.set_index(["characteristic", "level"])["value"]
        assert value["Patients relabelled good", ""] == "5"
        assert value["Cause of arrest", "cardiac"] == "3 (60.0 %)"
        assert value["Low-flow time, min", "known in 5"] == "2 (1 to 3)"
        assert value["Arrest to circulation, min", "known in 5"] == "6 (5 to 7)"
        assert value["Cause of death", "cardiogenic"] == "3 (60.0 %)"
        assert value["Death after the arrest", "on the same day"] == "1 (20.0 %)"
        assert value["Death after the arrest", "after more than 14 days"] == "4 (80.0 %)"
        assert value["Arrest to death, days", "known in 5"] == "18 (16 to 21)"

    def test_of_a_group_that_is_too_small_only_its_existence_is_stated(self):
        table = describe.relabelled(self.patients(), mask_below=6)
        assert table["value"].tolist() == ["<6"]

    def test_small_causes_are_hidden(self):
        table = describe.relabelled(self.patients(), mask_below=5)
        assert set(table.loc[table["characteristic"] == "Cause of arrest", "value"]) == {"<5"}

    def test_no_rows_if_no_patient_is_relabelled(self):
        empty = describe.relabelled(self.patients(0))
        assert list(empty.columns) == ["characteristic", "level", "value"]
        assert empty.empty

    def test_no_rows_if_the_revised_label_is_not_in_use(self):
        assert describe.relabelled(self.patients().drop(columns="y_good_revised")).empty


class TestDataWarnings:
    def test_unusual_values_are_counted_and_never_shown(self):
        ages = [
            data.Finding("patients.csv", "usual", "104", "18 to 100 years", i, "age_years") for i in range(6)
        ]
        late = data.Finding("patients.csv", "usual", "200", "0 to 180 min", 9, "rosc_to_ct_min")
        table = describe.data_warnings([*ages, late])
        assert list(table.columns) == ["file", "column", "expected", "n"]
        assert table.to_numpy().tolist() == [
            ["patients.csv", "age_years", "18 to 100 years", "6"],
            ["patients.csv", "rosc_to_ct_min", "0 to 180 min", "1"],
        ]
        assert describe.data_warnings([*ages, late], mask_below=5)["n"].tolist() == ["6", "<5"]

    def test_no_rows_without_warnings(self):
        assert describe.data_warnings([]).empty


class TestFisherExact:
    @pytest.mark.parametrize(("counts", "p"), R_FISHER)
    def test_r(self, counts, p):
        found, method = describe.fisher_exact(counts)
        assert found == pytest.approx(p, rel=1e-9)
        assert method == "Fisher exact"

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=4))
    @settings(max_examples=60, deadline=None)
    def test_it_is_the_sum_over_all_tables_of_the_same_margins(self, counts):
        table = np.array(counts)
        p, method = describe.fisher_exact(table)
        table = table[table.sum(axis=1) > 0]
        if len(table) < 2 or (table.sum(axis=0) == 0).any():
            assert math.isnan(p)
            assert method == ""
            return
        margins = stats.random_table(table.sum(axis=1), table.sum(axis=0))
        first = np.stack(
            np.meshgrid(*[np.arange(n + 1) for n in table.sum(axis=1)], indexing="ij"), axis=-1
        ).reshape(-1, len(table))
        first = first[first.sum(axis=1) == table[:, 0].sum()]
        every = np.stack([first, table.sum(axis=1) - first], axis=-1)
        weights = np.array([margins.pmf(t) for t in every])
        assert p == pytest.approx(weights[weights <= margins.pmf(table) * (1 + 1e-7)].sum(), rel=1e-6)

    def test_drawn_tables_give_the_exact_value_within_their_error(self):
        # The counts are just beyond those that are listed; the chi-squared test holds at such a size.
        counts = np.array([[1450, 4600], [1500, 4400], [1480, 4500], [10, 20]])
        p, method = describe.fisher_exact(counts)
        assert method == "Fisher exact (99,999 tables drawn)"
        assert p == describe.fisher_exact(counts)[0]
        assert p == pytest.approx(stats.chi2_contingency(counts).pvalue, abs=0.02)
