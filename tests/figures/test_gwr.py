"""Agreement of readings and ratios by outcome, as drawn."""

import numpy as np
import pandas as pd
import pytest

from postarrest import describe
from postarrest.figures import gwr as draw
from postarrest.models import gwr
from postarrest.report.drawings import render


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(8)
    n = 60
    ids = [f"P{i:02d}" for i in range(n)]
    y = pd.Series(np.arange(n) < 15, index=ids).astype(int)
    hu = {"CN": 35, "PU": 35, "PLIC": 28, "CC": 28, "MC1": 35, "MW1": 28, "MC2": 35, "MW2": 28}
    rows = []
    for i in ids:
        own = {region: v + rng.normal(0, 1.2) + (v > 30) * 1.5 * y[i] for region, v in hu.items()}
        rows += [
            (i, reading, region, side, own[region] + rng.normal(0, 0.8))
            for reading in (1, 2)
            for region in hu
            for side in "LR"
        ]
    readings = pd.DataFrame(rows, columns=["patient_id", "reading", "region", "side", "mean_hu"])
    return gwr.measures(readings), pd.DataFrame({"y_good_revised": y, "y_good_standard": y})


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_agreement_shows_every_pair_and_the_coefficients(study):
    values, _ = study
    fig = draw.agreement(*both(values), names=("reading 1", "reader B"))
    assert (fig.axes[0].get_xlabel(), fig.axes[0].get_ylabel()) == ("Reading 1", "Reader B")
    assert [ax.get_title() for ax in fig.axes] == [f"{name} (n = 60)" for name in gwr.RATIOS]
    for ax, name in zip(fig.axes, gwr.RATIOS, strict=True):
        points = ax.collections[0].get_offsets()
        np.testing.assert_allclose(points, values[name][["reading_1", "reading_2"]])
        result = describe.compare_readings(values[name, "reading_1"], values[name, "reading_2"])
        shown = words(ax)[-1]
        assert f"Spearman {result.spearman.value:.2f}" in shown
        assert f"ICC(A,1) {result.icc_a1.value:.2f} ({result.icc_a1.lower:.2f} to" in shown


def both(values):
    return [values.xs(reading, axis=1, level="reading") for reading in ("reading_1", "reading_2")]


def test_bland_altman_draws_bias_and_limits_where_they_are(study):
    values, _ = study
    fig = draw.bland_altman(*both(values), names=("reading 1", "reading 2"))
    assert fig.axes[0].get_ylabel() == "Reading 1 minus reading 2"
    for ax, name in zip(fig.axes, gwr.RATIOS, strict=True):
        result = describe.compare_readings(values[name, "reading_1"], values[name, "reading_2"])
        lines = [line.get_ydata()[0] for line in ax.lines]
        assert lines == pytest.approx([result.loa_upper.value, result.bias.value, result.loa_lower.value])
        assert words(ax) == [
            f"upper limit {result.loa_upper.value:+.3f}",
            f"bias {result.bias.value:+.3f}",
            f"lower limit {result.loa_lower.value:+.3f}",
        ]


def test_a_patient_read_once_is_in_neither_figure_of_agreement(study):
    values = study[0].copy()
    values.loc["P00", (slice(None), "reading_2")] = np.nan
    for draw_pair in (draw.agreement, draw.bland_altman):
        figure = draw_pair(*both(values), names=("one", "two"))
        assert all(ax.get_title().endswith("(n = 59)") for ax in figure.axes)


def test_a_ratio_that_was_not_measured_has_no_panel(study):
    values = study[0].copy()
    values.loc[:, (["GWR-CE", "GWR-AV"], "reading_2")] = np.nan
    for draw_pair in (draw.agreement, draw.bland_altman):
        figure = draw_pair(*both(values), names=("reader A", "reader B"))
        assert [ax.get_title() for ax in figure.axes] == ["GWR-BG (n = 60)"]
    # The names of readers keep their capitals.
    assert figure.axes[0].get_ylabel() == "Reader A minus reader B"
    labels = draw.reliability(gwr.reliability(values)).axes[0].get_yticklabels()
    assert [t.get_text().split(":")[0] for t in labels][::-1] == [*gwr.REGIONS, "GWR-BG"]


def test_by_outcome_counts_patients_below_the_cut_off(study):
    values, cohort = study
    y = cohort["y_good_revised"]
    fig = draw.by_outcome(values, cohort, outcome_labels=["revised"], cut_off=1.25)
    for ax, name in zip(fig.axes, gwr.RATIOS, strict=True):
        x = values[name, "mean"]
        expected = [f"{(x[y == k] < 1.25).sum()} of {(y == k).sum()} below" for k in (0, 1)]
        assert words(ax)[:2] == expected
        assert [t.get_text() for t in ax.get_xticklabels()] == ["poor", "good"]
        assert [len(c.get_offsets()) for c in ax.collections] == [45, 15]
    assert words(fig.axes[-1])[-1] == "cut-off\n1.25"


def test_by_outcome_has_a_row_of_panels_for_each_outcome_label(study):
    values, cohort = study
    cohort = cohort.assign(y_good_standard=cohort["y_good_revised"].where(cohort.index != "P00", 0))
    fig = draw.by_outcome(values, cohort, outcome_labels=["revised", "standard"])
    sizes = [[len(c.get_offsets()) for c in ax.collections] for ax in fig.axes]
    assert sizes == [[45, 15]] * 3 + [[46, 14]] * 3
    assert "(standard label)" in fig.axes[3].get_ylabel()
    assert [ax.get_xlabel() for ax in fig.axes] == [""] * 3 + ["Outcome"] * 3


def test_by_outcome_hides_small_counts(study):
    values, cohort = study
    at = float(values["GWR-AV", "mean"].nsmallest(3).iloc[-1])
    fig = draw.by_outcome(values, cohort, outcome_labels=["revised"], cut_off=at, mask_below=5)
    assert words(fig.axes[2])[0] == "<5 of 45 below"


def test_by_outcome_hides_what_would_reveal_a_small_count(study):
    # The table of these values shows how many patients are below the cut-off in all.
    values, cohort = study
    x, good = values["GWR-AV", "mean"], cohort["y_good_revised"] == 1
    at = float(x[good].nsmallest(2).iloc[-1])
    assert (x[good] < at).sum() == 1
    fig = draw.by_outcome(values, cohort, outcome_labels=["revised"], cut_off=at, mask_below=5)
    assert words(fig.axes[2])[:2] == ["hidden of 45 below", "<5 of 15 below"]


def test_reliability_has_a_row_for_each_measure_and_its_interval(study):
    table = gwr.reliability(study[0])
    ax = draw.reliability(table).axes[0]
    labels = [t.get_text() for t in ax.get_yticklabels()][::-1]
    assert [label.split(":")[0] for label in labels] == [*gwr.REGIONS, *gwr.RATIOS]
    bars = np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])[::-1]
    np.testing.assert_allclose(bars, table[["icc_lower", "icc_upper"]])


def test_the_same_values_give_the_same_bytes(study):
    values, cohort = study
    first, second = (draw.by_outcome(values, cohort, outcome_labels=["revised"]) for _ in range(2))
    assert render(first) == render(second)
