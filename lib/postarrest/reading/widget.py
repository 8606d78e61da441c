"""What the reader sees in JupyterLab: the slice, its window, the regions, and the buttons."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path

import ipywidgets as w
import numpy as np
import pandas as pd
from ipycanvas import MultiCanvas

from postarrest.data.ct.slices import LEVEL_HU, WIDTH_HU, Series, read_series
from postarrest.data.errors import DataErrors
from postarrest.reading.circles import (
    AREA_MM2,
    LEVELS,
    REGION_NAMES,
    SITES,
    Circle,
    CircleError,
    Place,
    Site,
    measured,
)
from postarrest.reading.drawing import Outline, draw_circles, draw_slice, radius
from postarrest.reading.session import Session, SessionError
from postarrest.reading.view import View, whole_head

_SIZE = 720
_KEY_STEP_MM = 0.5
# One notch of a mouse wheel; a trackpad sends many small steps.
_WHEEL_STEP = 100
_NO_SPACING = "This CT is a PNG or JPEG, whose pixel spacing is unknown: areas in mm² need DICOM or NIfTI."
_HELP = (
    "Click where the centre of the circle should be; drag to move it. Click on another circle, or on a "
    "name, to choose its region. Mouse wheel, Page Up, Page Down: slices. Arrow keys: move the circle by "
    "0.5 mm. Enter: next region without a circle. Ctrl+Z: undo."
)


def tool(session: Session, paths: pd.Series, *, proposals: Mapping[str, Mapping[Site, Place]]) -> w.Widget:
    """Return the reader's tool.

    Parameters
    ----------
    session : Session
        The reader's session; each change is saved at once.
    paths : pandas.Series
        ``patient_id`` -> path of the head CT.
    proposals : Mapping
        Proposed places of each patient's circles; may be empty.
    """
    return _Tool(session, paths, proposals).box


class _Tool:
    """The controls and what they do; the state is in the session."""

    def __init__(self, session: Session, paths: pd.Series, proposals: Mapping[str, Mapping[Site, Place]]):
        self._session, self._paths, self._all_proposals = session, paths, proposals
        self._series: Series | None = None
        self._head: View | None = None
        self._view: View | None = None
        self._site = SITES[0]
        # While the mouse button is down: the circle as it would be, not yet saved.
        self._draft: Circle | None = None
        self._dragging = False
        self._wheel = 0.0
        self._canvas = MultiCanvas(2, width=_SIZE, height=_SIZE, layout={"width": f"{_SIZE}px"})
        self._progress, self._message, self._reading = w.HTML(), w.HTML(), w.HTML()
        wide = {"style": {"description_width": "75px"}, "layout": {"width": f"{_SIZE // 2 - 4}px"}}
        self._slice = w.IntSlider(description="Slice", **wide)
        self._level = w.IntSlider(LEVEL_HU, -100, 300, description="Level, HU", **wide)
        self._width = w.IntSlider(WIDTH_HU, 10, 1000, description="Width, HU", **wide)
        self._zoom = w.FloatSlider(1, min=1, max=4, step=0.5, description="Zoom", **wide)
        self._area = w.FloatSlider(
            np.mean(AREA_MM2),
            min=AREA_MM2[0],
            max=AREA_MM2[1],
            step=0.5,
            description="Area, mm²",
            continuous_update=False,
        )
        self._names = {site: w.Button(layout={"width": "210px"}) for site in SITES}
        own_width = {"width": "auto"}
        self._accept = w.Button(description="Accept the proposal", layout=own_width)
        self._accept_all = w.Button(description="Accept all proposals", layout=own_width)
        self._remove = w.Button(description="Remove the circle", layout=own_width)
        self._undo = w.Button(description="Undo", icon="undo")
        self._rest = w.Checkbox(description="The missing regions cannot be measured", indent=False)
        self._previous = w.Button(description="Previous patient", icon="arrow-left")
        self._next = w.Button(description="Next patient", icon="arrow-right", button_style="primary")
        self.box = self._arranged()
        self._connect()
        self._open_patient()

    # ------------------------------------------------------------------ controls

    def _arranged(self) -> w.Widget:
        levels: list[w.Widget] = []
        for level, regions in LEVELS.items():
            levels.append(w.HTML(f"<b>{level.capitalize()}</b>"))
            pairs = [[self._names[Site(region, side)] for side in ("R", "L")] for region in regions]
            levels += [w.HBox(pair) for pair in pairs]
        right = [
            self._progress,
            *levels,
            self._reading,
            self._area,
            w.HBox([self._remove, self._undo]),
            *([w.HBox([self._accept, self._accept_all])] if self._all_proposals else []),
            self._rest,
            w.HBox([self._previous, self._next]),
            self._message,
            w.HTML(f'<div style="width:430px;line-height:1.4">{_HELP}</div>'),
        ]
        sliders = [w.HBox([self._slice, self._zoom]), w.HBox([self._level, self._width])]
        left = [self._canvas, *sliders]
        return w.HBox([w.VBox(left), w.VBox(right, layout={"margin": "0 0 0 16px"})])

    def _connect(self) -> None:
        self._canvas.on_client_ready(self._draw)
        self._canvas.on_mouse_down(self._acting(self._mouse_down))
        self._canvas.on_mouse_move(self._acting(self._mouse_move))
        self._canvas.on_mouse_up(self._acting(self._mouse_up))
        self._canvas.on_mouse_out(self._acting(self._mouse_up))
        self._canvas.on_mouse_wheel(self._acting(self._turned))
        self._canvas.on_key_down(self._acting(self._key))
        for slider in (self._slice, self._level, self._width):
            slider.observe(lambda _: self._draw(), "value")
        self._zoom.observe(lambda _: self._zoomed(), "value")
        self._area.observe(self._acting(lambda _: self._resized()), "value")
        self._rest.observe(self._acting(lambda _: self._decided()), "value")
        for site, button in self._names.items():
            button.on_click(self._acting(lambda _, site=site: self._choose(site)))
        self._accept.on_click(self._acting(lambda _: self._accept_proposals([self._site])))
        self._accept_all.on_click(self._acting(lambda _: self._accept_proposals(self._without_circle())))
        self._remove.on_click(self._acting(lambda _: self._session.remove(self._site)))
        self._undo.on_click(self._acting(lambda _: self._undone()))
        self._previous.on_click(self._acting(lambda _: self._go(-1)))
        self._next.on_click(self._acting(lambda _: self._go(1)))

    def _acting(self, act: Callable[..., object]) -> Callable[..., None]:
        """Return what a control calls: an action, after which the tool shows the session as it is."""

        def acting(*arguments: object) -> None:
            try:
                message = act(*arguments)
            except (CircleError, SessionError) as error:
                message = str(error)
            except OSError as error:
                message = f"Not saved: {error.strerror or error}."
            # Mouse movements without a button, which return False, change nothing.
            if message is not False:
                self._message.value = f"<b>{escape(message)}</b>" if isinstance(message, str) else ""
                self._show()

        return acting

    # ------------------------------------------------------------------ the patient

    def _open_patient(self) -> None:
        self._series = self._head = self._view = self._draft = None
        self._dragging = False
        self._progress.value = "Reading the CT …"
        problem = ""
        try:
            series = read_series(Path(self._paths[self._session.patient]), image_size="fit")
        except DataErrors as error:
            problem = f"Patient {self._session.patient} cannot be read. {error}"
        else:
            if series.spacing_mm is None:
                problem = f"Patient {self._session.patient} cannot be read. {_NO_SPACING}"
            else:
                self._series = series
                self._head = whole_head(series.hu, spacing_mm=series.spacing_mm, size=_SIZE)
                self._view = self._head
                self._slice.max = len(series.hu) - 1
                self._slice.value = len(series.hu) // 2
                self._zoom.value = 1
        self._choose(next(iter(self._without_circle()), SITES[0]))
        notes = "; ".join(note.found for note in self._series.notes) if self._series else ""
        self._message.value = f"<b>{escape(problem)}</b>" if problem else escape(notes)
        # Sliders that stay where they were draw nothing.
        self._draw()
        self._show()

    def _go(self, step: int) -> object:
        before = self._session.number
        self._session.go(step)
        if self._session.number == before:
            return f"This is the {'last' if step > 0 else 'first'} patient."
        self._open_patient()
        return False

    def _undone(self) -> object:
        before = self._session.number
        self._session.undo()
        if self._session.number != before:
            self._open_patient()
            return False
        return None

    @property
    def _proposals(self) -> Mapping[Site, Place]:
        """The patient's proposals that lie in the image."""
        if self._series is None:
            return {}
        found = self._all_proposals.get(self._session.patient, {})
        rows, columns = self._series.hu[0].shape
        inside = (len(self._series.hu), rows, columns)
        return {site: at for site, at in found.items() if all(np.less(at, inside))}

    # ------------------------------------------------------------------ circles

    def _choose(self, site: Site) -> None:
        self._site = site
        circle = self._session.circles.get(site)
        place = circle.place if circle else self._proposals.get(site)
        if place and self._series:
            self._slice.value = place.slice_index
        if circle:
            self._area.value = circle.area_mm2

    def _measured(self, site: Site, at: Place) -> Circle:
        return measured(self._series, at, area_mm2=self._area.value, proposal=self._proposals.get(site))

    def _resized(self) -> object:
        circle = self._session.circles.get(self._site)
        # The slider also follows the circle that is chosen.
        if circle and self._series and circle.area_mm2 != self._area.value:
            self._session.place(self._site, self._measured(self._site, circle.place))
            return None
        self._draw_circles()
        return False

    def _decided(self) -> object:
        # The box also follows the patient who is shown.
        if self._rest.value == self._session.rest_not_measurable:
            return False
        return self._session.set_rest_not_measurable(self._rest.value)

    def _accept_proposals(self, sites: Iterable[Site]) -> None:
        proposed = self._proposals
        circles = {site: self._measured(site, proposed[site]) for site in sites if site in proposed}
        self._session.place_all(circles)

    def _without_circle(self) -> list[Site]:
        return [site for site in SITES if site not in self._session.circles]

    def _mouse_down(self, x: float, y: float) -> object:
        if self._series is None:
            return False
        for site, circle in self._session.circles.items():
            if site != self._site and circle.slice_index == self._slice.value:
                centre = self._view.to_canvas(circle.row, circle.column)
                if np.hypot(*np.subtract(centre, (x, y))) <= radius(self._view, circle.area_mm2):
                    self._choose(site)
                    return None
        self._dragging = True
        return self._mouse_move(x, y)

    def _mouse_move(self, x: float, y: float) -> object:
        if not self._dragging:
            return False
        # To a hundredth of a pixel, as it is saved.
        row, column = (round(at, 2) for at in self._view.to_slice(x, y))
        self._draft = self._measured(self._site, Place(self._slice.value, row, column))
        return None

    def _mouse_up(self, *_: float) -> object:
        circle, self._draft, self._dragging = self._draft, None, False
        if circle is None:
            return False
        return self._session.place(self._site, circle)

    def _turned(self, _: float, down: float) -> object:
        self._wheel += down
        steps = int(self._wheel / _WHEEL_STEP)
        self._wheel -= steps * _WHEEL_STEP
        # Towards the reader: towards the feet.
        self._slice.value = min(max(self._slice.value - steps, 0), self._slice.max)
        return False

    def _key(self, key: str, _shift: bool, ctrl: bool, meta: bool) -> object:
        moves = {"ArrowUp": (-1, 0), "ArrowDown": (1, 0), "ArrowLeft": (0, -1), "ArrowRight": (0, 1)}
        slices = {"PageUp": 1, "PageDown": -1}
        circle = self._session.circles.get(self._site)
        if key in moves and circle and self._series:
            step = np.multiply(moves[key], _KEY_STEP_MM) / self._series.spacing_mm
            row, column = (round(float(at), 2) for at in np.add((circle.row, circle.column), step))
            self._session.place(
                self._site, self._measured(self._site, Place(circle.slice_index, row, column))
            )
        elif key in slices:
            self._slice.value = min(max(self._slice.value + slices[key], 0), self._slice.max)
        elif key == "Enter":
            left = self._without_circle()
            later = [site for site in left if SITES.index(site) > SITES.index(self._site)]
            self._choose(next(iter(later + left), self._site))
        elif key.lower() == "z" and (ctrl or meta):
            return self._undone()
        else:
            return False
        return None

    # ------------------------------------------------------------------ what is shown

    def _zoomed(self) -> None:
        if self._series is None:
            return
        circle = self._session.circles.get(self._site)
        place = circle.place if circle else self._proposals.get(self._site)
        at = (place.row, place.column) if place else (self._head.row, self._head.column)
        if self._zoom.value == 1:
            at = (self._head.row, self._head.column)
        side_mm = self._head.side_mm / self._zoom.value
        self._view = View(*at, side_mm=side_mm, spacing_mm=self._head.spacing_mm, size=_SIZE)
        self._draw()

    def _draw(self) -> None:
        hu = self._series.hu[self._slice.value] if self._series else None
        window = {"level_hu": self._level.value, "width_hu": self._width.value}
        draw_slice(self._canvas[0], self._view, hu, **window)
        self._draw_circles()

    def _draw_circles(self) -> None:
        circles = dict(self._session.circles)
        if self._draft:
            circles[self._site] = self._draft
        outlines = [Outline(s, c.place, c.area_mm2, s == self._site, False) for s, c in circles.items()]
        outlines += [
            Outline(site, at, self._area.value, site == self._site, True)
            for site, at in self._proposals.items()
            if site not in circles
        ]
        shown = [one for one in outlines if one.at.slice_index == self._slice.value]
        draw_circles(self._canvas[1], self._view, shown)

    def _show(self) -> None:
        session, circles = self._session, self._session.circles
        total = len(session.order)
        self._progress.value = (
            f"<b>Patient {session.number + 1} of {total}</b> · {session.n_complete} complete · reader "
            f"{session.reader}, session {session.session}"
        )
        for site, button in self._names.items():
            circle = circles.get(site)
            value = f": {circle.mean_hu:.1f} HU, {circle.area_mm2:.1f} mm²" if circle else ""
            button.description = site.name + value
            button.tooltip = f"{REGION_NAMES[site.region]}, {'right' if site.side == 'R' else 'left'}"
            button.button_style = "warning" if site == self._site else "success" if circle else ""
            button.disabled = self._series is None
        circle = self._draft or circles.get(self._site)
        side = "right" if self._site.side == "R" else "left"
        value = f"{circle.mean_hu:.1f} HU in {circle.area_mm2:.1f} mm²" if circle else "no circle yet"
        self._reading.value = (
            f'<div style="font-size:16px">{self._site.name}, {REGION_NAMES[self._site.region]}, {side}'
            f"<br><b>{value}</b></div>"
        )
        self._undo.disabled = not session.can_undo
        self._remove.disabled = self._site not in circles
        self._accept.disabled = self._site not in self._proposals
        self._accept_all.disabled = all(site in circles for site in self._proposals)
        self._rest.value = session.rest_not_measurable
        self._rest.layout.visibility = "hidden" if len(circles) == len(SITES) else "visible"
        self._previous.disabled = session.number == 0
        self._next.disabled = session.number == total - 1
        self._draw_circles()
