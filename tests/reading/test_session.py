"""A session keeps every change, loses none, and knows no outcome."""

import json
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from postarrest.data import read_export
from postarrest.places import Here
from postarrest.reading import Session, SessionError, combine, included_ids
from postarrest.reading.circles import SITES, Circle, Site
from postarrest.reading.session import reading_order

PATIENTS = [f"P{i:03d}" for i in range(40)]
CN, PU = Site("CN", "R"), Site("PU", "L")


def circle(mean_hu: float = 36.5, **changed: object) -> Circle:
    values = {"slice_index": 2, "row": 80.25, "column": 91.5, "area_mm2": 12.5, "placed": "by hand"}
    return Circle(**{**values, "mean_hu": mean_hu, **changed})


def opened(
    folder: Path, *, patients: list[str] = PATIENTS, reader: str = "anna", session: int = 1
) -> Session:
    return Session(patients, reader=reader, session=session, folder=folder)


def test_there_are_eight_regions_on_two_sides_at_three_levels():
    assert len(set(SITES)) == 16
    by_level = pd.Series([site.level for site in SITES]).value_counts()
    assert by_level.to_dict() == {"basal ganglia": 8, "centrum semiovale": 4, "high convexity": 4}


def test_the_order_depends_on_reader_and_session_and_only_on_them():
    orders = {
        (reader, session): reading_order(PATIENTS, reader=reader, session=session)
        for reader, session in product(("anna", "ben"), (1, 2))
    }
    assert len(set(orders.values())) == 4
    assert all(sorted(order) == PATIENTS for order in orders.values())
    assert reading_order(PATIENTS[::-1], reader="anna", session=1) == orders["anna", 1]
    without = [patient for patient in orders["anna", 1] if patient != "P007"]
    assert reading_order([p for p in PATIENTS if p != "P007"], reader="anna", session=1) == tuple(without)


def test_each_change_is_in_the_file_at_once(tmp_path: Path):
    session = opened(tmp_path)
    for n, site in enumerate(SITES, start=1):
        session.place(site, circle(30 + n))
        assert len(pd.read_csv(session.readings_path)) == n
    session.remove(CN)
    table = pd.read_csv(session.readings_path)
    assert len(table) == 15
    assert "CN" not in table.query("side == 'R'")["region"].tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["anna-1.csv", "anna-1.json"]


def test_a_session_resumes_at_the_first_patient_who_is_not_complete(tmp_path: Path):
    session = opened(tmp_path)
    for site in SITES:
        session.place(site, circle())
    session.go(1)
    session.place(CN, circle(31))
    assert session.n_complete == 1
    resumed = opened(tmp_path)
    assert resumed.number == 1
    assert resumed.circles == {CN: circle(31)}
    assert not resumed.can_undo
    resumed.set_rest_not_measurable(True)
    assert opened(tmp_path).number == 2
    assert opened(tmp_path).n_complete == 2


def test_undo_takes_back_one_change_after_the_other_in_the_file_too(tmp_path: Path):
    session = opened(tmp_path)
    session.place(CN, circle(30))
    session.place(CN, circle(31))
    session.go(1)
    session.place_all({CN: circle(40), PU: circle(41)})
    session.go(5)
    session.undo()
    assert session.number == 1
    assert session.circles == {}
    session.undo()
    assert session.number == 0
    assert opened(tmp_path).circles == session.circles == {CN: circle(30)}
    session.undo()
    assert session.circles == {}
    assert not session.can_undo
    session.undo()
    assert pd.read_csv(session.readings_path).empty


def test_what_changes_nothing_is_no_step_of_undo(tmp_path: Path):
    session = opened(tmp_path)
    session.place(CN, circle())
    session.place(CN, circle())
    session.remove(PU)
    session.undo()
    assert not session.can_undo


def test_the_second_session_knows_nothing_of_the_first(tmp_path: Path):
    first = opened(tmp_path)
    first.place(CN, circle())
    second = opened(tmp_path, session=2)
    assert second.n_complete == 0
    assert all(not second._patient(patient).circles for patient in PATIENTS)
    assert second.order != first.order


def test_the_first_and_the_last_patient_are_the_ends(tmp_path: Path):
    session = opened(tmp_path)
    session.go(-1)
    assert session.number == 0
    session.go(1000)
    assert session.number == len(PATIENTS) - 1


def test_another_window_is_noticed_and_nothing_of_either_is_lost(tmp_path: Path):
    one, other = opened(tmp_path), opened(tmp_path)
    one.place(CN, circle(30))
    with pytest.raises(SessionError, match=r"anna-1.json was changed by another window"):
        other.place(PU, circle(31))
    assert other.circles == {}
    one.place(PU, circle(32))
    assert opened(tmp_path).circles == {CN: circle(30), PU: circle(32)}


def test_a_change_that_cannot_be_saved_does_not_take_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session = opened(tmp_path)
    session.place(CN, circle(30))

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("postarrest.reading.session.write_text", full)
    with pytest.raises(OSError, match="No space left"):
        session.place(CN, circle(31))
    assert session.circles == opened(tmp_path).circles == {CN: circle(30)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reader": ""}, "The reader is ''"),
        ({"reader": "../x"}, "letters, digits"),
        ({"session": 3}, "The session is 3; expected 1 or 2"),
        ({"patients": []}, "no patient"),
    ],
)
def test_an_impossible_session_is_refused(arguments: dict, message: str, tmp_path: Path):
    with pytest.raises(SessionError, match=message):
        opened(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "anna-1.json is damaged"),
        (lambda text: text.replace('"row": 80.25', '"row": "80"'), r"damaged \(patients.*row: .*number"),
        (lambda text: text.replace('"session": 1', '"session": 2'), "is session 2 of reader 'anna'"),
    ],
)
def test_a_damaged_session_is_refused_and_left_as_it_is(change, message: str, tmp_path: Path):
    opened(tmp_path).place(CN, circle())
    file = tmp_path / "anna-1.json"
    file.write_text(changed := change(file.read_text()))
    with pytest.raises(SessionError, match=message):
        opened(tmp_path)
    assert file.read_text() == changed


def test_both_sessions_are_the_gwr_table_of_the_contract(tmp_path: Path):
    patients = ["007", "P1"]
    for number in (1, 2):
        session = opened(tmp_path / "readings", patients=patients, session=number)
        for step in (0, 1):
            session.go(step)
            session.place_all({site: circle(20 + i + number / 3) for i, site in enumerate(SITES)})
    assert combine(tmp_path / "readings", reader="anna").to_numpy().tolist() == [[1, 2, 32], [2, 2, 32]]
    (tmp_path / "data").mkdir()
    (tmp_path / "readings" / "anna-gwr.csv").rename(tmp_path / "data" / "gwr.csv")
    pd.DataFrame({"patient_id": patients, "cpc": [1, 5]}).to_csv(
        tmp_path / "data" / "patients.csv", index=False
    )
    study = read_export(tmp_path / "data", modalities=["gwr"])
    assert study.warnings == ()
    assert len(study.gwr) == 2 * 16 * 2
    one = study.gwr.set_index(["patient_id", "reading", "region", "side"]).loc[("007", 2, "CN", "L")]
    assert one["mean_hu"] == pytest.approx(21.67)
    assert one["area_mm2"] == 12.5
    assert combine(tmp_path / "readings", reader="ben").empty


def test_no_outcome_is_read_of_the_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = Here("mine", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="make report STUDY=mine SNAKEMAKE='--until cohort'"):
        included_ids(here)
    place = here.build("cohort.parquet")
    place.parent.mkdir(parents=True)
    pd.DataFrame({"y_good": [1, 0]}, index=pd.Index(["P2", "P1"], name="patient_id")).to_parquet(place)
    asked = []
    original = pd.read_parquet

    def spy(*args: object, **options: object) -> pd.DataFrame:
        asked.append(options["columns"])
        return original(*args, **options)

    monkeypatch.setattr(pd, "read_parquet", spy)
    assert included_ids(here) == ["P2", "P1"]
    assert asked == [[]]
    session = opened(tmp_path, patients=["P2", "P1"])
    session.place(CN, circle())
    saved = json.loads((tmp_path / "anna-1.json").read_text())
    assert list(saved) == ["reader", "session", "patients"]
