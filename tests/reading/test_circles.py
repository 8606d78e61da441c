"""A circle measures the original pixels, with their real spacing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads import head, png, series
from postarrest.data import DataErrors, read_series
from postarrest.reading.circles import SITES, CircleError, Place, Site, mean_in_circle, measured
from postarrest.reading.sources import ct_paths, read_proposals
from postarrest.reading.view import View, whole_head


def test_the_mean_is_that_of_the_pixels_whose_centre_is_inside():
    hu = np.random.default_rng(1).normal(35, 8, (60, 70)).astype(np.float32)
    row, column, area, spacing = 30.3, 41.8, 13.0, (0.45, 0.45)
    inside = [
        hu[r, c]
        for r in range(60)
        for c in range(70)
        if ((r - row) * 0.45) ** 2 + ((c - column) * 0.45) ** 2 <= area / np.pi
    ]
    assert len(inside) * 0.45**2 == pytest.approx(area, rel=0.1)
    found = mean_in_circle(hu, row=row, column=column, area_mm2=area, spacing_mm=spacing)
    assert found == pytest.approx(np.mean(inside, dtype=float), abs=1e-9)


def test_a_circle_is_round_in_mm_where_pixels_are_not_square():
    hu = np.zeros((80, 80), np.float32)
    hu[36:44] = 40
    # The band is 4 mm or 2 mm high; the circle's diameter is 3.9 mm.
    assert mean_in_circle(hu, row=39.5, column=40, area_mm2=12, spacing_mm=(0.5, 2.0)) == 40
    assert mean_in_circle(hu, row=39.5, column=40, area_mm2=12, spacing_mm=(0.25, 2.0)) < 40
    assert mean_in_circle(hu.T, row=40, column=39.5, area_mm2=12, spacing_mm=(2.0, 0.5)) == 40
    assert mean_in_circle(hu.T, row=40, column=39.5, area_mm2=12, spacing_mm=(2.0, 0.25)) < 40


@given(st.floats(2.5, 36.5), st.floats(2.5, 36.5), st.floats(10, 15))
def test_any_circle_inside_an_even_image_has_its_attenuation(row: float, column: float, area: float):
    hu = np.full((40, 40), 31.5, np.float32)
    assert mean_in_circle(hu, row=row, column=column, area_mm2=area, spacing_mm=(0.9, 0.9)) == 31.5


@pytest.mark.parametrize("at", [(-3, 20), (20, 0.5), (39, 20), (20, 200)])
def test_a_circle_beyond_the_image_is_refused(at: tuple[float, float]):
    with pytest.raises(CircleError, match="beyond the image"):
        mean_in_circle(np.zeros((40, 40)), row=at[0], column=at[1], area_mm2=12, spacing_mm=(0.9, 0.9))


def test_a_circle_between_the_pixels_is_refused():
    with pytest.raises(CircleError, match="smaller than a pixel"):
        mean_in_circle(np.zeros((40, 40)), row=20.5, column=20.5, area_mm2=10, spacing_mm=(4.0, 4.0))


def test_a_circle_is_measured_on_its_slice_and_says_how_it_was_placed(tmp_path: Path):
    found = read_series(series(tmp_path / "P1", levels=3))
    for i in range(3):
        assert measured(found, Place(i, 90, 64), area_mm2=12).mean_hu == 30 + i
    at = Place(1, 90.0, 64.0)
    assert measured(found, at, area_mm2=12).placed == "by hand"
    assert measured(found, at, area_mm2=12, proposal=at).placed == "proposal accepted"
    assert measured(found, at, area_mm2=12, proposal=Place(2, 90, 64)).placed == "proposal moved"
    assert measured(found, at, area_mm2=12).place == at


# ---------------------------------------------------------------------- what is shown


@given(st.floats(0, 500), st.floats(0, 500))
def test_a_place_on_the_canvas_and_in_the_slice_is_the_same_place(x: float, y: float):
    view = View(row=130.5, column=99, side_mm=210, spacing_mm=(0.45, 0.9), size=500)
    assert view.to_canvas(*view.to_slice(x, y)) == pytest.approx((x, y))


@pytest.mark.parametrize("zoom", [1, 3])
def test_what_is_drawn_under_the_mouse_is_what_is_measured_there(zoom: int):
    # One pixel of 0.9 x 1.8 mm that is bright.
    hu = np.zeros((128, 100), np.float32)
    hu[70, 40] = 80
    view = View(row=68, column=42, side_mm=180 / zoom, spacing_mm=(0.9, 1.8), size=720)
    drawn = view.drawn(hu, level_hu=40, width_hu=80)
    rows, columns = np.nonzero(drawn >= drawn.max() - 20)
    x, y = columns.mean() + 0.5, rows.mean() + 0.5
    assert view.to_slice(x, y) == pytest.approx((70, 40), abs=0.1)
    row, column = view.to_slice(x, y)
    # A circle within that pixel.
    assert mean_in_circle(hu, row=row, column=column, area_mm2=0.3, spacing_mm=(0.9, 1.8)) == 80


def test_the_whole_head_fills_the_canvas():
    # heads.py: 190 mm long, 150 mm wide.
    held = head()
    held[-4, 10:-10] = 300
    view = whole_head([head(), held], spacing_mm=(1.8, 1.8), size=720)
    assert view.side_mm == pytest.approx(190 * 1.04, abs=4)
    drawn = view.drawn(head().astype(np.float32), level_hu=40, width_hu=80)
    at = np.flatnonzero(drawn.any(axis=1))
    assert 0.93 < np.ptp(at) / 720 < 1
    # The haemorrhage in the front of the patient's left half is at the upper right.
    assert drawn[:360, 360:].mean() > drawn[:360, :360].mean()
    assert whole_head([np.full((20, 20), -1000.0)], spacing_mm=(1, 1), size=100).side_mm == pytest.approx(
        20.8
    )


# ---------------------------------------------------------------------- what is read


def test_the_ct_of_each_patient_is_found_and_missing_ones_are_reported_together(tmp_path: Path):
    series(tmp_path / "ct" / "P1", levels=2)
    png(tmp_path / "ct" / "P2.png")
    paths = ct_paths(tmp_path, ["P2", "P1"])
    assert paths.to_dict() == {"P1": tmp_path / "ct" / "P1", "P2": tmp_path / "ct" / "P2.png"}
    with pytest.raises(DataErrors) as caught:
        ct_paths(tmp_path, ["P1", "P3", "P4"])
    assert len(caught.value.findings) == 2


def test_proposals_are_read_by_patient_and_site(tmp_path: Path):
    assert read_proposals(tmp_path / "none.csv") == {}
    place = tmp_path / "proposals.csv"
    place.write_text("patient_id,region,side,slice_index,row,column\n007,CN,R,3,100.5,90\n007,PU,L,4,1,2\n")
    assert read_proposals(place) == {
        "007": {Site("CN", "R"): Place(3, 100.5, 90), Site("PU", "L"): Place(4, 1, 2)}
    }
    assert Site("CN", "R") in SITES


def test_every_error_in_the_proposals_is_reported(tmp_path: Path):
    place = tmp_path / "proposals.csv"
    place.write_text(
        "patient_id,region,side,slice_index,row,column\n"
        "P1,CN,R,3,100,90\nP1,CX,R,3,100,90\nP1,PU,R,2.5,100,90\nP1,PU,L,2,,90\nP1,CN,R,3,100,91\n"
    )
    with pytest.raises(DataErrors) as caught:
        read_proposals(place)
    found = {(finding.row, finding.rule) for finding in caught.value.findings}
    assert found == {(3, "region"), (4, "number"), (5, "number"), (6, "duplicate")}
    place.write_text("patient_id,region,side,slice,row,column\n")
    with pytest.raises(DataErrors, match="slice_index: found no such column"):
        read_proposals(place)
