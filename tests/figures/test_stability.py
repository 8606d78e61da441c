"""Figures of stability show the values of their tables."""

import numpy as np
import pandas as pd
import pytest

from postarrest import figures
from postarrest.evaluation import stability
from postarrest.report.drawings import render


@pytest.fixture
def fits():
    rng = np.random.default_rng(1)
    original = pd.DataFrame(rng.random((60, 2)), columns=["ohca", "ensemble"])
    resampled = np.clip(original.to_numpy() + rng.normal(0, 0.1, (15, 60, 2)), 0, 1)
    return original, resampled


def test_predictions_are_counted_in_hexagons_and_no_patient_is_drawn(fits):
    original, resampled = fits
    fig = figures.stability.predictions(original, resampled)
    for ax in fig.axes:
        (hexagons,) = ax.collections
        assert hexagons.get_array().sum() == pytest.approx(15 * 60)
    lower, upper = (line.get_ydata() for line in fig.axes[0].lines[1:])
    assert (lower <= upper).all()
    assert len(lower) == 20
    assert render(fig)[0]


def test_the_histogram_of_errors_counts_every_patient(fits):
    errors = stability.errors_of_patients(*fits)
    fig = figures.stability.errors(errors)
    for ax, model in zip(fig.axes, errors, strict=False):
        assert sum(bar.get_height() for bar in ax.patches) == 60
        assert f"median {errors[model].median():.3f}" in ax.texts[0].get_text()


def test_each_model_has_its_calibration_curve(fits):
    original, resampled = fits
    y = np.arange(60) % 2
    curves = stability.calibration_curves(y, original, resampled)
    fig = figures.stability.calibration(curves)
    # The bootstrap models', the diagonal, and that of the whole cohort.
    assert [len(ax.lines) for ax in fig.axes] == [17, 17]
    assert fig.axes[0].lines[-1].get_ydata() == pytest.approx(curves["ohca"][0]["observed"])


def test_decisions_change_most_near_the_threshold(fits):
    original, resampled = fits
    thresholds = pd.DataFrame(
        {"model": ["ohca", "ensemble"], "rule": "0.5", "chosen_on": "fixed", "threshold": 0.5}
    )
    table = stability.decisions(original, resampled, thresholds)
    fig = figures.stability.decisions(original, resampled, table)
    x, y = fig.axes[0].lines[0].get_data()
    assert abs(x[np.argmax(y)] - 0.5) < 0.1
    assert np.mean(y) == pytest.approx(table["share_reclassified"][0])


def test_the_learning_curve_draws_each_size_with_its_interval():
    rows = [
        ("m", 10 * k, 2 * k, metric, 0.6 + 0.01 * k, 0.5, 0.7, 5)
        for metric in ("brier", "roc_auc", "roc_auc_gain")
        for k in (1, 2, 3)
    ]
    columns = ["model", "n", "n_good", "metric", "estimate", "lower", "upper", "n_repeats"]
    fig = figures.stability.learning_curve(pd.DataFrame(rows, columns=columns))
    auc = fig.axes[0]
    assert auc.lines[0].get_ydata() == pytest.approx([0.61, 0.62, 0.63])
    assert list(auc.get_xticks()) == [2, 4, 6]
