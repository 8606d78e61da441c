"""One session of one reader: whose turn it is, the circles, undo, and what is saved after each change."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from pydantic import Field, ValidationError

from postarrest.data.errors import safe_csv
from postarrest.files import write_text
from postarrest.reading.circles import SITES, Circle, Site
from postarrest.settings import Settings

SESSIONS = (1, 2)
# The table `gwr` of the data contract, then where each circle is and how it came to be there.
COLUMNS = [
    *("patient_id", "reader", "reading", "region", "side", "mean_hu", "area_mm2"),
    *("slice_index", "row", "column", "placed"),
]


class SessionError(ValueError):
    """A session that cannot be opened or saved; the message says what to do."""


class _Patient(Settings):
    circles: dict[str, Circle] = Field(default_factory=dict)
    rest_not_measurable: bool = False

    @property
    def complete(self) -> bool:
        return self.rest_not_measurable or len(self.circles) == len(SITES)


class _Saved(Settings):
    reader: str
    session: int
    patients: dict[str, _Patient] = Field(default_factory=dict)


class Session:
    """A reader's session, resumed where it stopped.

    Each change is saved before it takes effect: as ``<reader>-<session>.json``, from which the session is
    resumed, and as ``<reader>-<session>.csv``, the readings. No other session's file is read.

    Parameters
    ----------
    patients : sequence of str
        Ids of the patients to read.
    reader : str
        Name of the reader, or a pseudonym.
    session : int
        1 or 2.
    folder : pathlib.Path
        Where sessions are saved.

    Raises
    ------
    SessionError
        If the name or number is not possible, there is no patient, or the saved session is damaged.

    Examples
    --------
    >>> import tempfile
    >>> circle = Circle(
    ...     slice_index=3, row=80, column=90, area_mm2=12.0, mean_hu=36.5, placed="by hand"
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = Session(["P1", "P2"], reader="anna", session=1, folder=Path(folder))
    ...     session.place(Site("CN", "R"), circle)
    ...     resumed = Session(["P1", "P2"], reader="anna", session=1, folder=Path(folder))
    >>> resumed.table()[["reader", "reading", "region", "side", "mean_hu"]]
      reader  reading region side  mean_hu
    0   anna        1     CN    R     36.5
    """

    def __init__(self, patients: Sequence[str], *, reader: str, session: int, folder: Path):
        if not re.fullmatch(r"[A-Za-z0-9_]{1,32}", reader):
            raise SessionError(f"The reader is {reader!r}; expected 1 to 32 letters, digits or '_'.")
        if session not in SESSIONS:
            raise SessionError(f"The session is {session!r}; expected 1 or 2.")
        if not patients:
            raise SessionError("There is no patient to read.")
        self.reader, self.session = reader, session
        self.order = reading_order(patients, reader=reader, session=session)
        self._path = Path(folder) / f"{reader}-{session}.json"
        self._text = _text_of(self._path)
        self._saved = self._opened()
        self._undo: list[_Saved] = []
        self._undo_at: list[int] = []
        self.number = self._first_incomplete()

    @property
    def readings_path(self) -> Path:
        """Where the readings are saved."""
        return self._path.with_suffix(".csv")

    @property
    def patient(self) -> str:
        """The patient whose turn it is."""
        return self.order[self.number]

    @property
    def circles(self) -> dict[Site, Circle]:
        """The circles of the patient, in the order of `SITES`."""
        placed = self._current.circles
        return {site: placed[site.name] for site in SITES if site.name in placed}

    @property
    def rest_not_measurable(self) -> bool:
        """Whether the reader has decided that the patient's missing regions cannot be measured."""
        return self._current.rest_not_measurable

    @property
    def n_complete(self) -> int:
        """Number of patients in whom every region is placed, or cannot be measured."""
        return sum(self._patient(patient).complete for patient in self.order)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change since the session was opened."""
        return bool(self._undo)

    @property
    def _current(self) -> _Patient:
        return self._patient(self.patient)

    def _patient(self, patient: str) -> _Patient:
        return self._saved.patients.get(patient, _Patient())

    def go(self, step: int) -> None:
        """Go to another patient in the order; stays at the first and the last."""
        self.number = min(max(self.number + step, 0), len(self.order) - 1)

    def place(self, site: Site, circle: Circle) -> None:
        """Place or replace a circle of the patient."""
        self._change(lambda p: p.model_copy(update={"circles": p.circles | {site.name: circle}}))

    def place_all(self, circles: dict[Site, Circle]) -> None:
        """Place several circles as one change."""
        added = {site.name: circle for site, circle in circles.items()}
        self._change(lambda p: p.model_copy(update={"circles": p.circles | added}))

    def remove(self, site: Site) -> None:
        """Remove a circle of the patient."""
        self._change(
            lambda p: p.model_copy(
                update={"circles": {name: c for name, c in p.circles.items() if name != site.name}}
            )
        )

    def set_rest_not_measurable(self, value: bool) -> None:
        """Say whether the patient's missing regions cannot be measured."""
        self._change(lambda p: p.model_copy(update={"rest_not_measurable": value}))

    def undo(self) -> None:
        """Take back the last change, and go to the patient in whom it was made."""
        if self._undo:
            self._save(self._undo[-1])
            self._undo.pop()
            self.number = self._undo_at.pop()

    def table(self) -> pd.DataFrame:
        """Return the readings: the table `gwr` of the data contract, and where each circle is."""
        rows = [
            {
                "patient_id": patient,
                "reader": self.reader,
                "reading": self.session,
                "region": site.region,
                "side": site.side,
                **circle.model_dump(),
            }
            for patient, content in sorted(self._saved.patients.items())
            for site in SITES
            if (circle := content.circles.get(site.name))
        ]
        table = pd.DataFrame(rows, columns=COLUMNS)
        return table.round({"mean_hu": 2, "area_mm2": 1, "row": 2, "column": 2})

    def _change(self, change: Callable[[_Patient], _Patient]) -> None:
        before, patient = self._saved, self.patient
        after = before.model_copy(
            update={"patients": before.patients | {patient: change(self._patient(patient))}}
        )
        if after != before:
            self._save(after)
            self._undo.append(before)
            self._undo_at.append(self.number)

    def _save(self, saved: _Saved) -> None:
        if _text_of(self._path) != self._text:
            raise SessionError(
                f"{self._path.name} was changed by another window or person. This change is not saved; "
                "run the notebook again to go on from the file."
            )
        text = saved.model_dump_json(indent=1) + "\n"
        write_text(self._path, text)
        self._text, self._saved = text, saved
        safe_csv(self.table(), self.readings_path)

    def _opened(self) -> _Saved:
        if not self._text:
            return _Saved(reader=self.reader, session=self.session)
        try:
            saved = _Saved.model_validate_json(self._text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise SessionError(
                f"{self._path.name} is damaged ({where}: {first['msg']}). Restore it from a backup, or "
                "move it away to start this session again."
            ) from None
        if (saved.reader, saved.session) != (self.reader, self.session):
            raise SessionError(
                f"{self._path.name} is session {saved.session} of reader '{saved.reader}'. "
                "Choose another name, or move the file away."
            )
        return saved

    def _first_incomplete(self) -> int:
        left = [number for number, patient in enumerate(self.order) if not self._patient(patient).complete]
        return left[0] if left else len(self.order) - 1


def reading_order(patients: Sequence[str], *, reader: str, session: int) -> tuple[str, ...]:
    """Return patients in an order that is random, and the same whenever a session is resumed.

    Each reader and each session has its own order. A patient who is added later does not change the order of
    the others.

    Examples
    --------
    >>> reading_order(["P1", "P2", "P3"], reader="ben", session=1)
    ('P3', 'P1', 'P2')
    >>> reading_order(["P1", "P2", "P3"], reader="ben", session=2)
    ('P2', 'P3', 'P1')
    """

    def drawn(patient: str) -> bytes:
        return hashlib.sha256(f"{reader}/{session}/{patient}".encode()).digest()

    return tuple(sorted(patients, key=drawn))


def combine(folder: Path, *, reader: str) -> pd.DataFrame:
    """Write the readings of both sessions of a reader as one table, and return how many there are.

    The table is ``<reader>-gwr.csv``, the table `gwr` of the data contract.

    Parameters
    ----------
    folder : pathlib.Path
        Where sessions are saved.
    reader : str
        The reader's name.

    Returns
    -------
    pandas.DataFrame
        One row per session: `session`, `patients` (with at least one reading), `readings`.
    """
    # Ids stay as they are: 007 is not 7.
    read = {
        session: pd.read_csv(file, dtype=str, keep_default_na=False)
        for session in SESSIONS
        if (file := Path(folder) / f"{reader}-{session}.csv").is_file()
    }
    whole = pd.concat([pd.DataFrame(columns=COLUMNS, dtype=str), *read.values()], ignore_index=True)
    safe_csv(whole, Path(folder) / f"{reader}-gwr.csv")
    counted = [(n, table["patient_id"].nunique(), len(table)) for n, table in read.items()]
    return pd.DataFrame(counted, columns=["session", "patients", "readings"])


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
