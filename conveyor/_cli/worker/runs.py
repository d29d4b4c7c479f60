"""The runs of a worker: a line for each as it starts and ends, and how many ended how."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final

from conveyor._cli.masks import mask_of
from conveyor._cli.output import in_words, printable, say

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor.model.job import JobData
    from conveyor.model.locks import LockToken
    from conveyor.model.settlement import Settlement

__all__ = ["Runs"]

_HANDED_BACK: Final = "handed back"


class Runs:
    """A `RunListener` that speaks with a person."""

    def __init__(self, app: Conveyor, *, is_talking: bool) -> None:
        """Start with none.

        Args:
            app: whose secrets are left out of errors.
            is_talking: say when each starts and ends.
        """
        self._is_talking = is_talking
        self._mask = mask_of(app, unmasked=False)
        self._started_at: dict[tuple[str, LockToken | None], float] = {}
        self._ends: Counter[str] = Counter()

    def run_started(self, job: JobData, /) -> None:
        """Say that it has."""
        if self._is_talking:
            self._started_at[job.id, job.token] = time.monotonic()
            _say(f"start {_named(job)}")

    def run_ended(self, job: JobData, settlement: Settlement | None, /) -> None:
        """Say how, and after how long."""
        end = _HANDED_BACK if settlement is None else str(settlement.outcome)
        self._ends[end] += 1
        if self._is_talking:
            seconds = time.monotonic() - self._started_at.pop((job.id, job.token))
            _say(f"{end} {_named(job)} after {in_words(seconds)}{self._reason(job, settlement)}")

    def _reason(self, job: JobData, settlement: Settlement | None) -> str:
        if settlement is None or settlement.error is None:
            return ""
        return f": {printable(' '.join(self._mask.text(str(settlement.error), job).split()))}"

    def summary(self) -> str:
        """Return how many runs there were, and how they ended."""
        total = self._ends.total()
        ends = ", ".join(f"{count} {end}" for end, count in self._ends.most_common())
        return f"ran {total} job{'' if total == 1 else 's'}{f': {ends}' if ends else ''}"


def _say(text: str) -> None:
    say(f"{datetime.now().astimezone():%H:%M:%S} {text}")


def _named(job: JobData) -> str:
    attempt = f", attempt {job.attempts_made + 1}" if job.attempts_made else ""
    return f"{job.queue_name}/{job.name} ({job.id}{attempt})"
