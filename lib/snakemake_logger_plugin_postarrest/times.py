"""How long a run will still take, from the times of its steps in the last run."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from postarrest.files import write_text


class Times:
    """Times of a run's steps, kept in a file from one run to the next.

    Parameters
    ----------
    path : pathlib.Path, optional
        The file; without one nothing is kept, and nothing is known of an earlier run.

    Examples
    --------
    >>> times = Times()
    >>> times.start(1, "cnn", at=0), times.finish(1, at=60)
    (None, None)
    >>> times.left({"cnn": 2}, at=60), times.left({"cnn": 2, "stacking": 1}, at=60)
    (120.0, None)
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}
        self._last: dict[str, float] = kept.get("seconds", {})
        # How many steps ran at once, on average.
        self._at_once: float = kept.get("at_once", 1.0)
        self._running: dict[int, tuple[str, float]] = {}
        self._n: Counter[str] = Counter()
        self._sum: Counter[str] = Counter()
        self._began: float | None = None

    def start(self, job: int, rule: str, *, at: float) -> None:
        """Note the start of a step; ``at`` is in seconds."""
        self._began = at if self._began is None else self._began
        self._running[job] = (rule, at)

    def finish(self, job: int, *, at: float) -> None:
        """Note the end of a step, and keep the times so far."""
        if job not in self._running:
            return
        rule, since = self._running.pop(job)
        self._n[rule] += 1
        self._sum[rule] += at - since
        if self._path:
            busy = self._sum.total() / max(at - self._began, 1e-9)
            kept = {"seconds": self._last | self._means(), "at_once": round(max(1.0, busy), 2)}
            # Without the times of this run, the next one says less of the time left; nothing else needs them.
            with suppress(OSError):
                write_text(self._path, json.dumps(kept, indent=1, sort_keys=True) + "\n")

    def left(self, waiting: Mapping[str, int], *, at: float) -> float | None:
        """Return the seconds that are left, or None if the time of a step is not known.

        Parameters
        ----------
        waiting : Mapping
            Number of steps of each rule that have not started.
        at : float
            Now, in seconds.
        """
        known = self._last | self._means()
        running = list(self._running.values())
        if any(
            rule not in known for rule in [*(r for r, n in waiting.items() if n), *(r for r, _ in running)]
        ):
            return None
        seconds = sum(n * known[rule] for rule, n in waiting.items() if n)
        seconds += sum(max(0.0, known[rule] - (at - since)) for rule, since in running)
        return seconds / self._at_once

    def _means(self) -> dict[str, float]:
        return {rule: round(self._sum[rule] / n, 2) for rule, n in self._n.items()}


def in_words(seconds: float) -> str:
    """Return a time that is left, in minutes.

    Examples
    --------
    >>> in_words(20), in_words(430), in_words(6000)
    ('about 1 min', 'about 7 min', 'about 1 h 40 min')
    """
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"
