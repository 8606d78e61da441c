"""Participant flow and missing values, as drawn."""

import numpy as np
import pandas as pd
import pytest

from postarrest import describe
from postarrest.figures import cohort as draw
from postarrest.report.drawings import render


@pytest.fixture
def flow_table():
    selected = pd.DataFrame(
        [
            ("screened", "", 443),
            ("excluded", "no CT within 3 h", 80),
            (
                "excluded",
                "head trauma, or a stroke, or any other disease of the head that was there before",
                42,
            ),
            ("kept", "withdrawal of life-sustaining therapy", 4),
            ("included", "", 321),
        ],
        columns=["step", "reason", "n"],
    )
    return describe.flow(selected, pd.Series([1] * 67 + [0] * 254))


def words(fig):
    return [text.get_text() for ax in fig.axes for text in ax.texts]


class TestFlow:
    def test_boxes_hold_the_table_s_counts_and_reasons(self, flow_table):
        text = " ".join(words(draw.flow(flow_table)))
        for expected in (
            "Screened n = 443",
            "Excluded, n = 122",
            "no CT within 3 h: 80",
            "before: 42",
            "Included n = 321",
            "withdrawal of life-sustaining therapy: 4",
            "Good outcome n = 67 (20.9 %)",
            "Poor outcome n = 254 (79.1 %)",
        ):
            assert expected in " ".join(text.split())

    def test_all_text_lies_within_a_box_of_its_own(self, flow_table):
        fig = draw.flow(flow_table)
        fig.canvas.draw()
        ax = fig.axes[0]
        boxes = [patch.get_window_extent() for patch in ax.patches]
        for text in ax.texts:
            if not text.get_text():
                continue
            extent = text.get_window_extent()
            inside = [
                b
                for b in boxes
                if b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 and extent.y1 <= b.y1
            ]
            assert len(inside) == 1, text.get_text()

    def test_boxes_do_not_overlap(self, flow_table):
        boxes = [patch.get_window_extent() for patch in draw.flow(flow_table).axes[0].patches]
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert not a.overlaps(b)

    def test_a_study_without_exclusions_has_an_empty_box(self):
        selected = pd.DataFrame([("screened", "", 50), ("included", "", 50)], columns=["step", "reason", "n"])
        fig = draw.flow(describe.flow(selected, pd.Series([1] * 20 + [0] * 30)))
        assert "Excluded, n = 0" in words(fig)

    def test_a_reason_is_text_and_never_a_formula(self):
        selected = pd.DataFrame(
            [("screened", "", 50), ("excluded", "cost > $100 and $x_1$", 10), ("included", "", 40)],
            columns=["step", "reason", "n"],
        )
        fig = draw.flow(describe.flow(selected, pd.Series([1] * 20 + [0] * 20)))
        fig.canvas.draw()
        assert "- cost > $100 and $x_1$: 10" in words(fig)

    def test_the_same_table_gives_the_same_bytes(self, flow_table):
        assert render(draw.flow(flow_table)) == render(draw.flow(flow_table))


class TestMissingness:
    def table(self):
        rng = np.random.default_rng(0)
        y = pd.Series(rng.integers(0, 2, 100))
        patients = pd.DataFrame(
            {
                "no_flow_min": np.where(rng.random(100) < 0.4, np.nan, 5.0),
                "lactate_mmol_l": np.where(rng.random(100) < 0.1, np.nan, 9.0),
                "age_years": 60.0,
            }
        )
        return describe.missingness(patients, y, variables=list(patients))

    def test_one_row_per_variable_with_missing_values(self):
        table = self.table()
        ax = draw.missingness(table).axes[0]
        assert [t.get_text() for t in ax.get_yticklabels()] == ["Lactate, mmol/L", "No-flow time, min"]
        good, poor = (c.get_offsets() for c in ax.collections[1:])
        assert good[:, 0][::-1].tolist() == pytest.approx(table["good_pct"].iloc[:2].tolist())
        assert poor[:, 0][::-1].tolist() == pytest.approx(table["poor_pct"].iloc[:2].tolist())

    def test_nothing_to_draw_is_refused(self):
        table = self.table()
        with pytest.raises(ValueError, match="No value is missing"):
            draw.missingness(table[table["overall"] == "0"])
