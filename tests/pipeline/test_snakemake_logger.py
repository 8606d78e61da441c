"""What a reader sees of a step that failed: the step, a scheduler's reason, its log, and nothing twice."""

import logging
from collections import Counter

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_postarrest import LogHandler, LogHandlerSettings

STEP = {"jobid": 3, "rule_name": "stack", "rule_msg": "ensemble: base models and stack, outer-2"}
# As Snakemake's executor for Slurm says it, with the footer that every remote executor adds.
TIMEOUT = (
    "SLURM-job '17' failed, SLURM status is: 'TIMEOUT'. For further error details see the cluster/cloud "
    "log and the log files of the involved rule(s)."
)


@pytest.fixture
def say(capsys):
    """Return what the handler writes of some events, one after another, without the time of day."""

    def said(*events: dict) -> list[str]:
        handler = LogHandler(None, None)
        for event in events:
            handler.emit(logging.makeLogRecord(event))
        return [line[10:] for line in capsys.readouterr().err.splitlines()]

    return said


@pytest.fixture
def run(tmp_path, capsys):
    """Return what is written of a run of some steps: job, rule, start and end in seconds."""
    settings = LogHandlerSettings(times=tmp_path / "step-times-ensemble.json")

    def ran(*steps: tuple[int, str, float, float]) -> list[str]:
        handler = LogHandler(None, settings)
        counts = Counter(rule for _, rule, _, _ in steps)
        events = [(0, {"event": LogEvent.RUN_INFO, "stats": {**counts, "total": len(steps) + 1, "all": 1}})]
        for job, rule, start, end in steps:
            info = {"event": LogEvent.JOB_INFO, "jobid": job, "rule_name": rule, "rule_msg": rule}
            events += [(start, info), (end, {"event": LogEvent.JOB_FINISHED, "job_id": job})]
        for at, event in sorted(events, key=lambda e: e[0]):
            handler.emit(logging.makeLogRecord(event | {"created": at}))
        return [line[10:] for line in capsys.readouterr().err.splitlines()]

    return ran


def test_the_time_left_is_known_from_the_last_run(run):
    steps = [(1, "cohort", 0, 60), (2, "cnn", 60, 360), (3, "cnn", 360, 660), (4, "pages", 660, 720)]
    assert run(*steps)[0] == "step 1 of 4, 3 left: cohort"
    assert run(*steps) == [
        "step 1 of 4, 3 left, about 12 min: cohort",
        "step 2 of 4, 2 left, about 11 min: cnn",
        "step 3 of 4, 1 left, about 6 min: cnn",
        "step 4 of 4, 0 left, about 1 min: pages",
    ]
    # A run of some of the steps keeps the others' times.
    assert run((1, "pages", 0, 60)) == ["step 1 of 1, 0 left, about 1 min: pages"]
    assert run(*steps)[0] == "step 1 of 4, 3 left, about 12 min: cohort"
    # A step that the last run did not have: nothing is guessed, until one like it has ended.
    new = [(1, "cohort", 0, 60), (2, "sites", 60, 180), (3, "sites", 180, 300)]
    assert [", about" in line for line in run(*new)] == [False, False, True]


def test_steps_side_by_side_take_less_time(run):
    steps = [(1, "cnn", 0, 600), (2, "cnn", 0, 600)]
    run(*steps)
    assert run(*steps) == ["step 1 of 2, 1 left, about 10 min: cnn", "step 2 of 2, 0 left, about 10 min: cnn"]


def test_times_that_cannot_be_written_stop_no_line(capsys, tmp_path):
    """As on a full disk: the thread of Snakemake's log would end with a trace, and later lines be lost."""
    (tmp_path / "file").touch()
    handler = LogHandler(None, LogHandlerSettings(times=tmp_path / "file" / "step-times.json"))
    for event in (STARTED | {"created": 0}, {"event": LogEvent.JOB_FINISHED, "job_id": 3, "created": 9}):
        handler.emit(logging.makeLogRecord(event))
    handler.emit(logging.makeLogRecord(failed("") | {"log": []}))
    assert "FAILED" in capsys.readouterr().err


def test_on_a_full_disk_only_the_run_tells_of_snakemake_s_own_errors(say, monkeypatch):
    error = {"event": LogEvent.ERROR, "msg": "OSError: No space left on device", "exception": None}
    assert say(error) == ["OSError: No space left on device"]
    monkeypatch.setattr("snakemake_logger_plugin_postarrest.full_disk", lambda: "The disk is full")
    assert say(error) == []


STARTED = {"event": LogEvent.JOB_INFO, **STEP}


def failed(reason):
    return {"event": LogEvent.JOB_ERROR, **STEP, "rule_msg": reason, "log": ["build/ensemble/logs/a.log"]}


def test_a_schedulers_reason_stands_under_the_failed_step_once(say):
    lines = say(STARTED, failed(TIMEOUT), failed(TIMEOUT))[1:]
    assert lines == [
        "FAILED: ensemble: base models and stack, outer-2",
        "        SLURM-job '17' failed, SLURM status is: 'TIMEOUT'.",
        "        its log: build/ensemble/logs/a.log",
    ]


def test_of_a_refused_submission_the_reason_is_told_and_not_the_call(say):
    refused = (
        "SLURM sbatch failed. The error message was invalid partition.\n    sbatch call:\n        sbatch x\n"
    )
    assert say(STARTED, failed(refused))[2] == (
        "        SLURM sbatch failed. The error message was invalid partition."
    )


def test_a_step_that_failed_here_has_no_reason_but_its_log(say):
    assert say(STARTED, failed(None))[1:] == [
        "FAILED: ensemble: base models and stack, outer-2",
        "        its log: build/ensemble/logs/a.log",
    ]


@pytest.mark.parametrize(
    ("exception", "message", "told"),
    [
        ("WorkflowError", "Failed to submit the job: invalid partition.", True),
        ("WorkflowError", "WorkflowError:\nAt least one job did not complete successfully.", False),
        ("RuleException", "RuleException:\nCalledProcessError in file Snakefile", False),
        ("MissingInputException", "Missing input files for rule cohort", True),
    ],
)
def test_snakemakes_own_errors_are_told_unless_they_repeat_a_failed_step(say, exception, message, told):
    record = {"event": LogEvent.ERROR, "exception": exception, "msg": message}
    assert say(record) == (message.splitlines() if told else [])


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            "read 3 files\n\n2 errors in the data:\n  row 3\n  row 5\n",
            ["2 errors in the data:", "  row 3", "  row 5"],
        ),
        (
            "warning\n\nTraceback (most recent call last):\n  File 'a.py', line 3\n    x\n"
            "OSError: 12 requested and 4 written\n",
            ["OSError: 12 requested and 4 written"],
        ),
        (
            "Traceback (most recent call last):\n  a\nKeyError: 1\n\nDuring handling of it:\n\n"
            "Traceback (most recent call last):\n  b\nValueError: two\nlines\n",
            ["ValueError: two", "lines"],
        ),
        ("x\n" * 45, ["x"] * 40 + ["and 5 more lines"]),
        ("", []),
    ],
)
def test_the_error_at_the_end_of_a_log_stands_under_its_step(say, tmp_path, monkeypatch, log, told):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "build" / "ensemble" / "logs" / "a.log"
    place.parent.mkdir(parents=True)
    place.write_text(log)
    expected = [*(f"        {line}" for line in told), "        its log: build/ensemble/logs/a.log"]
    assert say(STARTED, failed(None))[2:] == expected
