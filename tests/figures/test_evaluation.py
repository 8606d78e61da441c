"""Figures show what the tables hold, for every kind of study."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from evaluation_data import golden_case, holdout_scores, nested_scores
from postarrest import scores
from postarrest.evaluation import calibration, decision, discrimination, thresholds
from postarrest.evaluation import curves as curves_room
from postarrest.evaluation import published as published_room
from postarrest.figures import calibration as calibration_room
from postarrest.figures import curves, distributions, forest
from postarrest.figures import thresholds as thresholds_room
from postarrest.report import page


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


class _Study:
    """A scores table and everything that is computed from it."""

    def __init__(self, table: pd.DataFrame, *, outcome: str = "standard", which: str = "pooled"):
        self.table = scores.check(table)
        every = scores.sets(self.table)
        final = every[every["stage"] == "final"]
        self.performed = discrimination.table(discrimination.resample(final, n_resamples=50))
        self.judged = thresholds.table(final, self.table, fixed={"0.5": ["probability", 0.5]})
        self.calibrated, self.curves = calibration.table(every, n_resamples=50)
        self.decided = decision.table(final, n_resamples=50)
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


def test_curves_draw_every_model_and_say_their_areas(nested):
    fig = curves.curves(nested.rows, nested.performed, nested.judged, focus="ensemble", n_resamples=20)
    left, right = fig.axes
    for model, rows in nested.rows.groupby("model"):
        roc = curves_room.roc_curve(rows["y_good"], rows["score"])
        pr = curves_room.pr_curve(rows["y_good"], rows["score"])
        assert _has_line(left, roc["fpr"], roc["tpr"])
        assert _has_line(right, pr["recall"], pr["precision"])
        area = discrimination.quoted(nested.performed, model, "roc_auc", set="pooled")
        assert f"{model} {area}".replace("95 % CI ", "") in _texts(fig)
    assert "no skill: 0.20" in _texts(fig)


def test_operating_points_are_those_chosen_on_the_training_side(nested):
    fig = curves.roc_panels(nested.rows, nested.performed, nested.judged, n_resamples=20)
    models = list(dict.fromkeys(nested.rows["model"]))
    for ax, model in zip(fig.axes, models, strict=False):
        drawn = next(line for line in ax.lines if line.get_marker() == "o")
        judged = nested.judged[(nested.judged["model"] == model) & (nested.judged["stage"] == "final")]
        honest = judged[judged["chosen_on"] != "test"].dropna(subset="tp")
        np.testing.assert_allclose(np.sort(drawn.get_ydata()), np.sort(honest["sensitivity"].astype(float)))
    # Without a training side the thresholds chosen on the scores themselves are all there is.
    alone = nested.judged[nested.judged["chosen_on"] == "test"]
    fig = curves.roc_panels(nested.rows, nested.performed, alone, n_resamples=20)
    assert "Youden" in _texts(fig)


def test_calibration_shows_both_stages(nested):
    fig = calibration_room.calibration(nested.every, nested.calibrated, nested.curves)
    before = nested.curves["standard", "pooled", "ensemble", "before_platt"]
    after = nested.curves["standard", "pooled", "ensemble", "final"]
    top = fig.axes[0]
    assert _has_line(top, before["predicted"], before["observed"])
    assert _has_line(top, after["predicted"], after["observed"])
    assert "before Platt: slope" in _texts(fig)
    n_good = nested.rows.loc[nested.rows["model"] == "ct", "y_good"].sum()
    assert f"good, n = {n_good}" in _texts(fig)


def test_decision_curves_hold_the_models_and_both_references(nested):
    fig = thresholds_room.decision_curves(nested.rows, nested.decided, focus="ensemble")
    text = _texts(fig)
    assert all(words in text for words in ("ensemble", "ct", "predict all good", "predict nobody good"))
    mine = nested.decided[(nested.decided["model"] == "ct") & (nested.decided["threshold"] <= 0.6 + 1e-9)]
    assert _has_line(fig.axes[0], mine["threshold"], mine["net_benefit"])


def test_threshold_panels_mark_the_chosen_thresholds(holdout):
    fig = thresholds_room.thresholds(holdout.rows, holdout.judged)
    text = _texts(fig)
    assert "5 %" in text
    assert "Youden" in text
    # With 13 good outcomes no threshold meets the guideline, so none is drawn.
    assert "Spec-Max-CI" not in text
    rows = holdout.rows[holdout.rows["model"] == "cnn"]
    values = np.unique(rows["score"])
    expected = thresholds.describe(rows["y_good"], rows["score"], values)
    cnn = fig.axes[list(dict.fromkeys(holdout.rows["model"])).index("cnn")]
    for column in ("sensitivity", "specificity", "fnr", "fnr_upper"):
        assert _has_line(cnn, values, expected[column]), column


def test_histograms_count_every_patient(holdout):
    fig = distributions.distributions(holdout.rows)
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
    lines = published_room.beside_published(holdout.performed, published)
    fig = forest.forest(lines)
    assert _texts(fig).count("published 0.84") == 1
    assert len(fig.axes[0].get_yticks()) == len(lines)
    spread = discrimination.spread(scores.splits(holdout.table))
    fig = forest.split_spread(spread[spread["outcome_label"] == "revised"])
    assert _texts(fig).count("median") == 2


def test_markers_alone(markers):
    curves.curves(markers.rows, markers.performed, markers.judged, focus="gwr_av", n_resamples=20)
    thresholds_room.thresholds(markers.rows, markers.judged)
    distributions.distributions(markers.rows)


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
    assert np.isnan(study.calibrated["slope"].iloc[0]) == (kind != "two values")
    figures = [
        curves.curves(study.rows, study.performed, study.judged, focus="m", n_resamples=20),
        calibration_room.calibration(study.every, study.calibrated, study.curves),
        thresholds_room.decision_curves(study.rows, study.decided, focus="m"),
        thresholds_room.thresholds(study.rows, study.judged),
        distributions.distributions(study.rows),
        forest.forest(published_room.beside_published(study.performed, [])),
    ]
    for fig in figures:
        fig.draw_without_rendering()


def test_the_same_figure_gives_the_same_bytes(holdout):
    lines = published_room.beside_published(holdout.performed, [])
    first, second = (page.render(forest.forest(lines))["svg"] for _ in range(2))
    assert first == second
