"""What a reader sees of a step that failed: the step, a scheduler's reason, its log, and nothing twice."""

import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_postarrest import LogHandler

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
