"""The tool does with the session what its controls say; browser/readings.test.mjs drives it."""

from pathlib import Path

import ipywidgets
import pandas as pd
import pytest

from heads import dicom, png, save, series
from postarrest.reading import Session, tool
from postarrest.reading.circles import SITES, Place, Site

CN = Site("CN", "R")


class Reader:
    """A person at the tool: finds controls by their text, and moves the mouse over the canvas."""

    def __init__(self, session: Session, paths: pd.Series, proposals: dict | None = None):
        self.session = session
        self.box = tool(session, paths, proposals=proposals or {})

    def all(self, widget: ipywidgets.Widget | None = None) -> list[ipywidgets.Widget]:
        widget = widget or self.box
        return [widget, *(found for child in getattr(widget, "children", ()) for found in self.all(child))]

    def control(self, start: str) -> ipywidgets.Widget:
        return next(w for w in self.all() if getattr(w, "description", "").startswith(start))

    def press(self, start: str) -> None:
        button = self.control(start)
        assert not button.disabled
        button.click()

    @property
    def text(self) -> str:
        return "\n".join(w.value for w in self.all() if isinstance(w, ipywidgets.HTML))

    def event(self, name: str, **content: object) -> None:
        canvas = next(w for w in self.all() if hasattr(w, "_canvases"))
        canvas[-1]._handle_frontend_event(None, {"event": name, **content}, [])

    def click(self, x: float, y: float, *, to: tuple[float, float] | None = None) -> None:
        self.event("mouse_down", x=x, y=y)
        if to:
            self.event("mouse_move", x=to[0], y=to[1])
        x, y = to or (x, y)
        self.event("mouse_up", x=x, y=y)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    paths = pd.Series({name: series(tmp_path / "ct" / name, levels=5) for name in ("P1", "P2", "P3")})
    return Reader(Session(list(paths.index), reader="anna", session=1, folder=tmp_path), paths)


def test_a_click_places_the_circle_there_and_a_drag_moves_it(reader: Reader):
    assert "Patient 1 of 3" in reader.text
    reader.click(360, 500)
    placed = reader.session.circles[CN]
    # Level 2 of 5, whose brain has 32 HU; the centre of the canvas is that of the head.
    assert placed.slice_index == 2
    assert placed.mean_hu == 32
    assert placed.column == pytest.approx(63.5, abs=0.1)
    assert placed.row > 80
    assert "32.0 HU in 12.5 mm²" in reader.text
    reader.click(360, 500, to=(360, 540))
    moved = reader.session.circles[CN]
    assert moved.row > placed.row
    reader.press("Undo")
    assert reader.session.circles == {CN: placed}
    reader.press("Undo")
    assert reader.session.circles == {}
    assert reader.control("Undo").disabled


def test_moving_the_mouse_without_a_button_changes_nothing(reader: Reader):
    reader.event("mouse_move", x=300, y=300)
    reader.event("mouse_out", x=300, y=300)
    assert not reader.session.can_undo


def test_the_area_is_that_of_the_slider(reader: Reader):
    reader.control("Area").value = 15
    reader.click(360, 500)
    assert reader.session.circles[CN].area_mm2 == 15
    reader.control("Area").value = 10
    assert reader.session.circles[CN].area_mm2 == 10
    assert (reader.control("Area").min, reader.control("Area").max) == (10, 15)


def test_keys_move_the_circle_choose_regions_and_take_back(reader: Reader):
    keys = {"shift_key": False, "ctrl_key": False, "meta_key": False}
    reader.click(360, 500)
    before = reader.session.circles[CN]
    reader.event("key_down", key="ArrowLeft", **keys)
    assert reader.session.circles[CN].column == pytest.approx(before.column - 0.5 / 1.8, abs=0.01)
    reader.event("key_down", key="Enter", **keys)
    reader.event("key_down", key="PageUp", **keys)
    reader.event("mouse_wheel", x=0, y=-100)
    reader.click(360, 480)
    assert reader.session.circles[Site("CN", "L")].slice_index == 4
    reader.event("key_down", key="z", **{**keys, "ctrl_key": True})
    assert list(reader.session.circles) == [CN]


def test_a_click_on_another_circle_chooses_it(reader: Reader):
    reader.click(360, 500)
    reader.press("PU L")
    reader.click(300, 400)
    reader.click(361, 501)
    assert reader.control("CN R").button_style == "warning"
    assert len(reader.session.circles) == 2


def test_a_click_beside_the_image_says_so_and_places_nothing(tmp_path: Path):
    # A head that fills its image: the margin of the canvas lies outside.
    paths = pd.Series({"P1": series(tmp_path / "P1", levels=1)})
    reader = Reader(Session(["P1"], reader="anna", session=1, folder=tmp_path), paths)
    reader.control("Zoom").value = 1
    reader.event("mouse_down", x=-900, y=10)
    assert "beyond the image" in reader.text
    reader.event("mouse_up", x=-900, y=10)
    assert "beyond the image" in reader.text
    assert reader.session.circles == {}


def test_the_next_patient_is_shown_without_circles(reader: Reader):
    reader.click(360, 500)
    reader.press("Next patient")
    assert "Patient 2 of 3" in reader.text
    assert reader.control("CN R").description == "CN R"
    reader.press("Previous patient")
    assert reader.control("CN R").description == "CN R: 32.0 HU, 12.5 mm²"


def test_the_slice_of_each_patient_is_drawn(reader: Reader, monkeypatch: pytest.MonkeyPatch):
    # All sliders stay where they were.
    drawn = []
    monkeypatch.setattr("postarrest.reading.widget.draw_slice", lambda _, view, hu, **k: drawn.append(view))
    reader.press("Next patient")
    assert drawn[-1] is not None


def test_what_cannot_be_measured_completes_a_patient(reader: Reader):
    reader.control("The missing regions").value = True
    assert "1 complete" in reader.text
    reader.press("Next patient")
    assert reader.control("The missing regions").value is False
    assert reader.session.n_complete == 1


def test_proposals_are_shown_accepted_and_moved(tmp_path: Path):
    paths = pd.Series({"P1": series(tmp_path / "P1", levels=5)})
    proposals = {site: Place(4 if site.level == "high convexity" else 1, 90.0, 64.0) for site in SITES}
    proposals[Site("MC2", "L")] = Place(7, 90.0, 64.0)
    session = Session(["P1"], reader="anna", session=1, folder=tmp_path)
    reader = Reader(session, paths, {"P1": proposals})
    assert reader.control("Slice").value == 1
    reader.press("Accept the proposal")
    assert session.circles[CN].placed == "proposal accepted"
    reader.press("CN L")
    reader.click(360, 500)
    assert session.circles[Site("CN", "L")].placed == "proposal moved"
    reader.press("Accept all proposals")
    # All but the one that lies in no slice; the circle that was moved stays.
    assert len(session.circles) == 15
    assert session.circles[Site("CN", "L")].placed == "proposal moved"
    reader.press("MW2 R")
    assert reader.control("Slice").value == 4
    reader.press("Undo")
    assert len(session.circles) == 2


def test_an_image_that_cannot_be_measured_is_explained_and_passed(tmp_path: Path):
    (tmp_path / "broken.dcm").write_bytes(b"no image")
    paths = pd.Series(
        {
            "P1": png(tmp_path / "P1.png"),
            "P2": tmp_path / "broken.dcm",
            "P3": save(dicom(), tmp_path / "P3.dcm"),
        }
    )
    session = Session(list(paths.index), reader="anna", session=1, folder=tmp_path)
    reader = Reader(session, paths)
    seen = {}
    for _ in paths:
        seen[session.patient] = reader.text
        reader.click(360, 400)
        if session.number < 2:
            reader.press("Next patient")
    assert "Patient P1 cannot be read. This CT is a PNG or JPEG, whose pixel spacing is unknown" in seen["P1"]
    assert "a file that is not DICOM" in seen["P2"]
    assert "cannot be read" not in seen["P3"]
    assert session.table()["patient_id"].tolist() == ["P3"]


def test_a_session_changed_elsewhere_is_reported(reader: Reader, tmp_path: Path):
    (tmp_path / "anna-1.json").write_text("{}")
    reader.click(360, 500)
    assert "changed by another window" in reader.text
    assert reader.session.circles == {}


def test_the_window_changes_what_is_shown_and_nothing_else(reader: Reader):
    reader.click(360, 500)
    before = reader.session.circles
    reader.control("Level").value = 30
    reader.control("Width").value = 40
    reader.control("Zoom").value = 3
    reader.click(360, 360)
    assert reader.session.circles[CN].mean_hu == before[CN].mean_hu
    assert reader.session.circles[CN].row == pytest.approx(before[CN].row, abs=0.01)
