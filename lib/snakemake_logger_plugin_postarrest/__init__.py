"""Snakemake's progress in one plain line per step: what it does, how many steps and minutes are left."""

import logging
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from postarrest.pipeline.running import full_disk
from snakemake_logger_plugin_postarrest.times import Times, in_words


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of this handler on Snakemake's command line."""

    times: Path | None = field(
        default=None,
        metadata={"help": "File that keeps the times of the steps, for the time left", "type": Path},
    )


class LogHandler(LogHandlerBase):
    """Writes a line to standard error as each step starts, and what failed.

    Snakemake's own, longer log stays in ``.snakemake/log``.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._total = 0
        self._started = 0
        self._steps: dict[int, str] = {}
        self._waiting: Counter[str] = Counter()
        self._times = Times(self.settings.times if self.settings else None)
        self._failed: set[int] = set()
        # Of a line that does not fit on the disk of Snakemake's own log, the log would show a trace here.
        logging.raiseExceptions = False

    def emit(self, record: LogRecord) -> None:
        """Write the line of an event; other events are ignored."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            # The rule 'all' only collects files.
            self._waiting = Counter(record.stats)
            self._total = self._waiting.pop("total", 0) - self._waiting.pop("all", 0)
        elif event == LogEvent.JOB_INFO and record.rule_name != "all":
            self._started += 1
            self._steps[record.jobid] = record.rule_msg or record.rule_name
            self._waiting[record.rule_name] -= 1
            self._times.start(record.jobid, record.rule_name, at=record.created)
            left = f"{max(self._total - self._started, 0)} left"
            seconds = self._times.left(+self._waiting, at=record.created)
            if seconds is not None:
                left += f", {in_words(seconds)}"
            self._line(f"step {self._started} of {self._total}, {left}: {self._steps[record.jobid]}")
        elif event == LogEvent.JOB_FINISHED:
            self._times.finish(record.job_id, at=record.created)
        elif event == LogEvent.JOB_ERROR and record.jobid not in self._failed:
            # Snakemake repeats each failure at its end.
            self._failed.add(record.jobid)
            self._line(f"FAILED: {self._steps.get(record.jobid, record.rule_name)}")
            # A scheduler's reason comes first, then its plugin repeats the log and the command.
            reason = re.split("For further error details|sbatch call:", record.rule_msg or "", maxsplit=1)[0]
            for said in filter(None, map(str.strip, reason.splitlines())):
                self._line(f"        {said}")
            for log in record.log or []:
                for said in last_error(Path(log)):
                    self._line(f"        {said}")
                self._line(f"        its log: {log}")
        # What Snakemake itself cannot write on a full disk, the pipeline tells at its end, in words.
        elif event == LogEvent.ERROR and not _repeats(record) and not full_disk():
            self._line(record.getMessage())

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
        sys.stderr.flush()


def last_error(log: Path, most: int = 40) -> list[str]:
    """Return the lines of the error at the end of a step's log, without the trace that leads to it.

    Parameters
    ----------
    log : pathlib.Path
        The log; steps write an error in words after a blank line, and Python a trace, whose last part counts.
    most : int
        Lines to return at most.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = Path(folder) / "a.log"
    ...     _ = log.write_text("Traceback (most recent call last):" + chr(10) + "KeyError: 'x'")
    ...     last_error(log)
    ["KeyError: 'x'"]
    """
    if not log.is_file():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().split("\n\n")[-1].splitlines()
    traces = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if traces:
        after = lines[traces[-1] + 1 :]
        lines = after[next((i for i, line in enumerate(after) if not line.startswith(" ")), 0) :]
    return lines[:most] + [f"and {len(lines) - most} more lines"] * (len(lines) > most)


def _repeats(record: LogRecord) -> bool:
    """Whether an error only repeats that a step failed."""
    return record.exception == "RuleException" or "At least one job did not complete" in record.getMessage()
