"""Figures show what the tables hold, for every kind of study."""

import numpy as np
import pandas as pd
import pytest

from evaluation_data import golden_case, holdout_scores, nested_scores
from postarrest import evaluation, figures, scores
from postarrest.report.drawings import render
from postarrest.words import model_in_words


class _Study:
    """A scores table and everything that is computed from it."""

    def __init__(self, table: pd.DataFrame, *, outcome: str = "standard", which: str = "pooled"):
        self.table = scores.check(table)
        every = scores.sets(self.table)
        final = every[every["stage"] == "final"]
        resampled = evaluation.discrimination.resample(final, n_resamples=50)
        self.performance = evaluation.discrimination.table(resampled)
        fixed = {"0.5": ["probability", 0.5]}
        self.thresholds = evaluation.thresholds.table(final, self.table, fixed=fixed)
        self.calibration, self.curves = evaluation.calibration.table(every, n_resamples=50)
        self.net_benefit = evaluation.decision.table(final, n_resamples=50)
        self.final = final
        self.every = every[(every["outcome_label"] == outcome) & (every["set"] == which)]
        self.rows = self.every[self.every["stage"] == "final"]


@pytest.fixture(scope="module")
def nested() -> _Study:
    return _Study(nested_scores())


@pytest.fixture(scope="module")
def holdout() -> _Study:
    return _Study(holdout_scores(splits=3), outcome="revised", which="holdout")


@pytest.fixture(scope="module")
def markers() -> _Study:
    return _Study(holdout_scores(), outcome="standard", which="all")


@pytest.mark.parametrize("name", ["a{b} $c_d$", "100 % $\\frac{x}", "{}"])
def test_names_from_elsewhere_are_drawn_as_they_are(name):
    """Braces and dollar signs are no template and no mathematics."""
    study = _Study(nested_scores().replace({"model": {"ct": name}}))
    drawn = [
        figures.curves.curves(study.rows, study.performance, study.thresholds, focus=name, n_resamples=20),
        figures.forest.forest(evaluation.published.forest_rows(study.performance, [])),
    ]
    assert model_in_words(name) == name.replace("_", " ")
    for fig in drawn:
        # Also labels of ticks, which matplotlib makes only when it draws.
        shown = render(fig)[0]["svg"].decode()
        assert name.replace("_", " ").split("{")[0] in shown


@pytest.mark.parametrize("spread", [0.0, 20.0, 1e5])
def test_large_scores_are_drawn(spread):
    """Numbers near 1e17 lie 16 apart, too few for thirty bins."""
    table = holdout_scores()
    table = table[table["model"] == "gwr_av"]
    rows = scores.sets(scores.check(table.assign(score=1e17 + spread * table["score"])))
    rows = rows[(rows["outcome_label"] == "standard") & (rows["set"] == "all")]
    ax = figures.thresholds.distributions(rows).axes[0]
    assert sum(abs(bar.get_height()) for bar in ax.patches) == pytest.approx(2)


def _texts(fig) -> str:
    found = [text.get_text() for ax in fig.axes for text in ax.texts]
    found += [ax.get_title() for ax in fig.axes]
    found += [t.get_text() for ax in fig.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
    return "\n".join(found)


def _has_line(ax, x, y) -> bool:
    return any(
        len(line.get_xdata()) == len(x)
        and np.allclose(line.get_xdata(), x)
        and np.allclose(line.get_ydata(), y)
        for line in ax.lines
    )


def test_curves_show_every_model_with_its_area(nested):
    fig = figures.curves.curves(
        nested.rows, nested.performance, nested.thresholds, focus="ensemble", n_resamples=20
    )
    left, right = fig.axes
    for model, rows in nested.rows.groupby("model"):
        roc = evaluation.curves.roc_curve(rows["y_good"], rows["score"])
        pr = evaluation.curves.pr_curve(rows["y_good"], rows["score"])
        assert _has_line(left, roc["fpr"], roc["tpr"])
        assert _has_line(right, pr["recall"], pr["precision"])
        area = evaluation.discrimination.quoted(nested.performance, model, "roc_auc", set="pooled")
        assert f"{model_in_words(model)} {area}".replace("95 % CI ", "") in _texts(fig)
    assert "no skill: 0.20" in _texts(fig)


def test_operating_points_are_chosen_on_the_training_set(nested):
    fig = figures.curves.roc_panels(nested.rows, nested.performance, nested.thresholds, n_resamples=20)
    models = list(dict.fromkeys(nested.rows["model"]))
    for ax, model in zip(fig.axes, models, strict=False):
        drawn = next(line for line in ax.lines if line.get_marker() == "o")
        chosen = nested.thresholds[
            (nested.thresholds["model"] == model) & (nested.thresholds["stage"] == "final")
        ]
        unbiased = chosen[chosen["chosen_on"] != "test"].dropna(subset="tp")
        np.testing.assert_allclose(np.sort(drawn.get_ydata()), np.sort(unbiased["sensitivity"].astype(float)))
    # Without a training set, there are only the thresholds chosen on the test scores.
    alone = nested.thresholds[nested.thresholds["chosen_on"] == "test"]
    fig = figures.curves.roc_panels(nested.rows, nested.performance, alone, n_resamples=20)
    assert "Youden" in _texts(fig)


def test_calibration_shows_both_stages(nested):
    fig = figures.calibration.calibration(nested.every, nested.calibration, nested.curves)
    before = nested.curves["standard", "pooled", "ensemble", "before_platt"]
    after = nested.curves["standard", "pooled", "ensemble", "final"]
    top = fig.axes[0]
    assert _has_line(top, before["predicted"], before["observed"])
    assert _has_line(top, after["predicted"], after["observed"])
    assert "before Platt: slope" in _texts(fig)
    n_good = nested.rows.loc[nested.rows["model"] == "ct", "y_good"].sum()
    assert f"good, n = {n_good}" in _texts(fig)


def test_decision_curves_show_the_models_and_both_references(nested):
    fig = figures.thresholds.decision_curves(nested.rows, nested.net_benefit, focus="ensemble")
    text = _texts(fig)
    assert all(words in text for words in ("Ensemble", "Head CT", "predict all good", "predict nobody good"))
    mine = nested.net_benefit[
        (nested.net_benefit["model"] == "ct") & (nested.net_benefit["threshold"] <= 0.6 + 1e-9)
    ]
    assert _has_line(fig.axes[0], mine["threshold"], mine["net_benefit"])


def test_threshold_panels_mark_the_chosen_thresholds(holdout):
    fig = figures.thresholds.thresholds(holdout.rows, holdout.thresholds)
    text = _texts(fig)
    assert "5 %" in text
    assert "Youden" in text
    # With 13 good outcomes no threshold meets the guideline, so none is drawn.
    assert "Spec-Max-CI" not in text
    rows = holdout.rows[holdout.rows["model"] == "cnn"]
    values = np.unique(rows["score"])
    expected = evaluation.confusion.describe(rows["y_good"], rows["score"], values)
    cnn = fig.axes[list(dict.fromkeys(holdout.rows["model"])).index("cnn")]
    for column in ("sensitivity", "specificity", "fnr", "fnr_upper"):
        assert _has_line(cnn, values, expected[column]), column


def test_histograms_count_every_patient(holdout):
    fig = figures.thresholds.distributions(holdout.rows)
    heights = np.array([bar.get_height() for bar in fig.axes[0].patches])
    assert heights[heights > 0].sum() == pytest.approx(1)
    assert heights[heights < 0].sum() == pytest.approx(-1)


def test_forest_and_spread(holdout):
    published = [
        {
            "table": "performance",
            "metric": "roc_auc",
            "model": "cnn",
            "outcome_label": "revised",
            "set": "holdout",
            "value": 0.84,
        }
    ]
    lines = evaluation.published.forest_rows(holdout.performance, published)
    fig = figures.forest.forest(lines)
    assert _texts(fig).count("published 0.84") == 1
    assert len(fig.axes[0].get_yticks()) == len(lines)
    spread = evaluation.discrimination.spread(scores.splits(holdout.table))
    drawn = figures.forest.split_spread(spread)
    assert list(drawn) == ["revised", "standard"]
    assert _texts(drawn["revised"]).count("median") == 2
    assert drawn["revised"].get_label() == "3 splits (outcome label revised)"
    assert figures.forest.split_spread(spread.iloc[:0]) == {}


def test_one_figure_per_outcome_label_and_set(holdout):
    drawn = figures.by_set(figures.thresholds.thresholds, holdout.final, holdout.thresholds)
    assert list(drawn) == ["revised_holdout", "standard_holdout", "revised_all", "standard_all"]
    assert drawn["standard_all"].get_label() == "standard outcome label, all (321 patients)"
    # In the set of all patients there are markers only, which have no net benefit.
    drawn = figures.by_set(
        figures.thresholds.decision_curves, holdout.final, holdout.net_benefit, focus="cnn"
    )
    assert list(drawn) == ["revised_holdout", "standard_holdout"]


def test_without_the_focus_the_last_model_has_the_band(markers):
    drawn = [
        figures.curves.curves(
            markers.rows, markers.performance, markers.thresholds, focus=focus, n_resamples=20
        )
        for focus in ("cnn", "gwr_av")
    ]
    assert render(drawn[0])[0]["svg"] == render(drawn[1])[0]["svg"]


def test_markers_alone(markers):
    figures.curves.curves(
        markers.rows, markers.performance, markers.thresholds, focus="gwr_av", n_resamples=20
    )
    figures.thresholds.thresholds(markers.rows, markers.thresholds)
    figures.thresholds.distributions(markers.rows)


@pytest.mark.parametrize("kind", ["perfect", "constant", "two values"])
def test_extreme_scores_can_be_drawn(kind):
    y, _, _ = golden_case(64, 20, 6)
    score = {"perfect": 0.2 + 0.5 * y, "constant": np.full(64, 0.2), "two values": np.arange(64) % 2 * 0.5}
    table = pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in range(64)],
            "y_good": y,
            "model": "m",
            "kind": "probability",
            "role": "test",
            "fold": 1,
            "score": score[kind],
        }
    )
    study = _Study(table, which="holdout")
    assert np.isnan(study.calibration["slope"].iloc[0]) == (kind != "two values")
    drawn = [
        figures.curves.curves(study.rows, study.performance, study.thresholds, focus="m", n_resamples=20),
        figures.calibration.calibration(study.every, study.calibration, study.curves),
        figures.thresholds.decision_curves(study.rows, study.net_benefit, focus="m"),
        figures.thresholds.thresholds(study.rows, study.thresholds),
        figures.thresholds.distributions(study.rows),
        figures.forest.forest(evaluation.published.forest_rows(study.performance, [])),
    ]
    for fig in drawn:
        fig.draw_without_rendering()


def test_the_same_figure_gives_the_same_bytes(holdout):
    lines = evaluation.published.forest_rows(holdout.performance, [])
    first, second = (render(figures.forest.forest(lines))[0]["svg"] for _ in range(2))
    assert first == second


def test_three_way_bars_add_up_to_every_patient(nested):
    table = evaluation.three_way.table(nested.rows, nested.table, most_pessimism=0.1, most_optimism=0.1)
    fig = figures.thresholds.three_way(table)
    assert len(fig.axes) == 4
    for ax in fig.axes:
        ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
        assert max(ends) == pytest.approx(1)
    own = table[table["chosen_on"] == "test"].iloc[-1]
    first = fig.axes[-2].patches[0]
    assert first.get_width() == pytest.approx(own["n_false_pessimism"] / own["n_good"])
    assert render(fig)[0]


def test_forest_of_subgroups_shows_each_group_or_why_not(nested):
    patients = nested.final["patient_id"].unique()
    third = np.where(np.arange(len(patients)) < 12, "small", np.where(np.arange(len(patients)) % 2, "a", "b"))
    groups = pd.DataFrame({"Sex": third}, index=patients).astype("category")
    decided = evaluation.subgroups.decided(nested.final, nested.table, rules=["Youden"], fixed={})
    table = evaluation.subgroups.table(nested.final, groups, decided, n_resamples=20)
    fig = figures.forest.subgroups(nested.rows, table)
    assert [ax.get_xlabel() for ax in fig.axes] == [
        *("AUC", "O:E", "False pessimism\n(Youden)", "Net benefit\n(at 0.1)")
    ]
    mine = table[(table["model"] == "ensemble") & (table["metric"] == "oe")]
    drawn = [line.get_xdata() for line in fig.axes[1].lines if line.get_marker() == "s"]
    np.testing.assert_allclose(drawn, [mine["estimate"]])
    assert "too few" in _texts(fig)
    assert [t.get_text().split(" (")[0] for t in fig.axes[0].get_yticklabels()] == [
        *("All patients", "a", "b", "small")
    ]
    render(fig)


def test_forest_of_handlings_names_the_models_and_the_studys_own(nested):
    rows = nested.rows[nested.rows["model"] == "ensemble"]
    own = rows.assign(handling="native", own=True, complete=True)
    other = own.assign(handling="multiple_imputation", own=False, score=own["score"] ** 0.9)
    table = evaluation.missing.table(pd.concat([own, other]), n_resamples=20)
    fig = figures.forest.handlings(table)
    assert [ax.get_xlabel() for ax in fig.axes] == ["AUC", "AUC, difference", "O:E"]
    labels = [t.get_text().split(" (n")[0] for t in fig.axes[0].get_yticklabels()]
    assert labels == ["as they are (LightGBM) (the study's own)", "multiple imputation"]
    assert "Ensemble (random forest), all patients" in _texts(fig)
    render(fig)


def test_withdrawal_and_its_bounds_are_drawn(nested):
    rows = nested.rows[nested.rows["model"] == "ensemble"]
    course = pd.DataFrame({"withdrawn": False, "day": np.nan, "mode": "alive"}, index=rows["patient_id"])
    withdrawn = rows.loc[(rows["y_good"] == 0), "patient_id"].iloc[:40]
    course.loc[withdrawn] = [True, 3.0, "died after withdrawal"]
    table = evaluation.withdrawal.by_risk(rows, course)
    ax = figures.withdrawal.by_risk(table).axes[0]
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    shares = 100 * table["died after withdrawal"].astype(int) / table["n"].astype(int)
    np.testing.assert_allclose(heights["died after withdrawal"], shares)
    decided = evaluation.subgroups.decided(nested.final, nested.table, rules=["Youden"], fixed={})
    bounds = evaluation.withdrawal.bounds(nested.rows, course, decided)
    fig = figures.forest.bounds(bounds, "ensemble")
    assert [ax.get_xlabel() for ax in fig.axes] == ["AUC", "False pessimism\n(Youden)"]
    assert "of 40 patients in whom treatment was withdrawn" in _texts(fig)
