"""The tally: what the ledger's lines, read as they are written, say about the workers and the files."""

from __future__ import annotations

import bisect
from collections import deque
from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor._cli.demo.ledger import Entry, Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Tally", "WorkerTally"]

SLOWEST_COUNT: Final = 5
# Throughput is an average over this long.
WINDOW_SECONDS: Final = 3.0


@define
class WorkerTally:
    """What one process does.

    Attributes:
        running: the files it works on, by run.
        finished_count: how many runs it ended.
        sessions: the sessions it fetched with.
    """

    running: dict[tuple[str, str], str] = field(factory=dict)
    finished_count: int = 0
    sessions: set[str] = field(factory=set)


@define
class Tally:
    """Adds up the ledger."""

    workers: dict[int, WorkerTally] = field(factory=dict)
    _slowest: list[tuple[float, str]] = field(factory=list)
    _finished_at: deque[float] = field(factory=deque)

    def take(self, entries: Iterable[Entry], now: float) -> None:
        """Take in new lines, seen at `now` seconds on any steady clock."""
        for entry in entries:
            if entry.event is Event.STARTED:
                self._start(entry)
            elif entry.event is Event.FINISHED:
                self._finish(entry, now)

    def worker(self, pid: int) -> WorkerTally:
        """Return what a process does."""
        return self.workers.setdefault(pid, WorkerTally())

    def throughput(self, now: float, begun: float) -> float:
        """Return how many runs ended per second lately."""
        while self._finished_at and self._finished_at[0] < now - WINDOW_SECONDS:
            self._finished_at.popleft()
        seconds = min(WINDOW_SECONDS, now - begun)
        return len(self._finished_at) / seconds if seconds > 0 else 0.0

    def slowest_files(self) -> Sequence[tuple[float, str]]:
        """Return the runs that took longest, longest first: seconds and file."""
        return [(-negative, file) for negative, file in self._slowest]

    def _start(self, entry: Entry) -> None:
        worker = self.worker(entry.pid)
        worker.running[entry.job_id, entry.run] = entry.file
        worker.sessions.add(entry.run.partition(".")[0])

    def _finish(self, entry: Entry, now: float) -> None:
        worker = self.worker(entry.pid)
        worker.running.pop((entry.job_id, entry.run), None)
        worker.finished_count += 1
        self._finished_at.append(now)
        bisect.insort(self._slowest, (-entry.seconds, entry.file))
        del self._slowest[SLOWEST_COUNT:]
