import numpy as np
import optuna
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from postarrest.models import tuning

space_of = TypeAdapter(tuning.Space).validate_python
SPACE = space_of(
    {
        "a": {"low": 0.01, "high": 10.0, "log": True},
        "b": {"low": 1, "high": 20, "whole": True},
        "c": {"choices": ["x", "y"]},
    }
)


def objective(values):
    """Four inner folds with a known best region: a near 1, b near 10, c = x."""
    base = 0.9 - 0.1 * abs(np.log10(values["a"])) - 0.01 * abs(values["b"] - 10) - 0.2 * (values["c"] == "y")
    for fold in range(4):
        yield base + 0.01 * fold, 1 - base


class Killed(BaseException):
    """Like kill -9 for the search: nothing in the library catches it."""


PATIENTS = ["P1", "P2", "P3"]


def search(keep, *, trials=12, aim=objective, seed=5, patients=PATIENTS):
    return tuning.search(aim, SPACE, n_folds=4, patients=patients, trials=trials, seed=seed, keep=keep)


def test_search_finds_the_best_region(tmp_path):
    found = search(tmp_path / "s.journal", trials=40)
    assert found.values["c"] == "x"
    assert abs(found.values["b"] - 10) < 6
    assert found.auc == pytest.approx(found.history["auc"].max())


@pytest.mark.parametrize("stop_at", [1, 4, 11])
def test_resumed_search_is_the_uninterrupted_one(tmp_path, stop_at):
    whole = search(tmp_path / "whole.journal")
    calls = 0

    def dies(values):
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise Killed
        yield from objective(values)

    with pytest.raises(Killed):
        search(tmp_path / "cut.journal", aim=dies)
    resumed = search(tmp_path / "cut.journal")
    pd.testing.assert_frame_equal(resumed.history, whole.history)
    assert resumed.values == whole.values


def test_search_resumes_after_a_half_written_line(tmp_path):
    whole = search(tmp_path / "whole.journal")
    search(tmp_path / "cut.journal", trials=5)
    with (tmp_path / "cut.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "stu')
    pd.testing.assert_frame_equal(search(tmp_path / "cut.journal").history, whole.history)


def test_finished_search_runs_no_further_trials(tmp_path):
    search(tmp_path / "s.journal")

    def never(values):
        raise AssertionError("a finished search ran a trial")

    assert len(search(tmp_path / "s.journal", aim=never).history) == 12


def test_fewer_trials_than_are_kept_are_the_shorter_search(tmp_path):
    fresh = search(tmp_path / "short.journal", trials=4)
    search(tmp_path / "long.journal", trials=12)
    again = search(tmp_path / "long.journal", trials=4)
    pd.testing.assert_frame_equal(again.history, fresh.history)
    assert (again.values, again.auc) == (fresh.values, fresh.auc)


def test_a_kept_search_reports_the_patients_it_was_begun_with(tmp_path):
    """Not the patients that the caller names later."""
    search(tmp_path / "s.journal", trials=2)
    assert search(tmp_path / "s.journal", patients=["P9"]).patients == set(PATIENTS)


def test_the_seed_determines_the_search(tmp_path):
    one, other = (search(tmp_path / f"{s}.journal", seed=s) for s in (1, 2))
    assert not one.history["a"].equals(other.history["a"])


def test_early_stopping_saves_folds_and_keeps_the_best_of_the_trials(tmp_path):
    evaluated = []

    def counted(values):
        for auc in hopeless(values):
            evaluated.append(auc)
            yield auc, 1 - auc

    def hopeless(values):
        yield from ([0.99] * 4 if values["c"] == "x" else [0.1] * 4)

    found = search(tmp_path / "s.journal", aim=counted)
    stopped = found.history["auc"].isna()
    assert stopped.any()
    assert len(evaluated) < 4 * 12
    full = {c: np.mean(list(hopeless({"c": c}))) for c in ("x", "y")}
    assert full[found.values["c"]] == max(full.values())


def test_grid_tries_every_combination_once_and_resumes(tmp_path):
    space = space_of({"a": {"choices": [1, 2, 3]}, "b": {"choices": [0.1, 0.2]}})
    tried = []

    def auc(values):
        tried.append((values["a"], values["b"]))
        if len(tried) == 4:
            raise Killed
        return values["a"] * values["b"], 1.0

    with pytest.raises(Killed):
        tuning.grid(auc, space, patients=PATIENTS, keep=tmp_path / "g.journal")
    found = tuning.grid(auc, space, patients=PATIENTS, keep=tmp_path / "g.journal")
    assert found.values == {"a": 3, "b": 0.2}
    assert len(found.history) == 6
    assert found.history[["a", "b"]].drop_duplicates().shape[0] == 6


@pytest.mark.parametrize(("gap", "chosen"), [(0.004, "timid"), (0.006, "extreme")])
def test_the_log_loss_decides_between_aucs_that_hardly_differ(tmp_path, gap, chosen):
    judged = {"extreme": (0.7 + gap, 0.9), "timid": (0.7, 0.6), "bad": (0.5, 0.1)}
    space = space_of({"a": {"choices": list(judged)}})
    grid = tuning.grid(lambda v: judged[v["a"]], space, patients=PATIENTS, keep=tmp_path / "g.journal")
    assert grid.values == {"a": chosen}

    def folds(values):
        yield from [judged[values["a"]]] * 4

    kept = {"patients": PATIENTS, "trials": 20, "seed": 1, "keep": tmp_path / "s.journal"}
    searched = tuning.search(folds, space, n_folds=4, **kept)
    assert searched.values == {"a": chosen}
    assert searched.auc == judged[chosen][0]


def test_grid_refuses_a_range(tmp_path):
    with pytest.raises(ValueError, match="found a range for a"):
        tuning.grid(
            lambda values: (0.5, 0.7),
            space_of({"a": {"low": 0, "high": 1}}),
            patients=PATIENTS,
            keep=tmp_path / "g.journal",
        )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"low": 1}, "expected choices, or low and high"),
        (3, "valid dictionary"),
        ({"choices": []}, "at least 1 item"),
        ({"choices": 0.1}, "valid list"),
        ({"low": "1e-4", "high": 0.1}, "write 1.0e-3, not 1e-3"),
        ({"low": 2, "high": 1}, "low 2 is not below high 1"),
        ({"low": 0, "high": 1, "log": True}, "expected above 0 on a log scale"),
        ({"low": 0, "high": 1, "logarithmic": True}, "Extra inputs are not permitted"),
    ],
)
def test_an_error_in_a_space_is_reported_with_its_name(spec, message):
    with pytest.raises(ValidationError) as error:
        space_of({"valid": {"choices": [1]}, "a": spec})
    (found,) = error.value.errors()
    assert found["loc"][0] == "a"
    assert message in found["msg"]


@pytest.mark.parametrize("left", ["waiting", "running"])
def test_a_grid_resumes_after_a_kill_at_any_moment(tmp_path, left):
    def auc(values):
        return values["a"] / 10, 1.0

    space = space_of({"a": {"choices": [1, 3, 2]}})
    undisturbed = tuning.grid(auc, space, patients=PATIENTS, keep=tmp_path / "whole.journal")
    # What a kill may leave: a trial that was enqueued and not begun, or begun and not ended.
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "cut.journal"))
    )
    study = optuna.create_study(storage=storage, study_name="cut", direction="maximize")
    study.enqueue_trial({"a": 1})
    if left == "running":
        study.ask()
    resumed = tuning.grid(auc, space, patients=PATIENTS, keep=tmp_path / "cut.journal")
    assert resumed.values == undisturbed.values
    pd.testing.assert_frame_equal(resumed.history, undisturbed.history)
