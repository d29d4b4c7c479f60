"""The metrics facet of the memory store."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor.model.metrics import HOUR, MINUTE, Metrics, QueueDepth, begin_of, merged, roll_up_of
from conveyor.model.states import SETTLED_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.metrics import Counts, Tally

__all__ = ["MemoryMetrics", "RunCounts"]

# The queue and the name of a job, and when a span begins; None: ever.
_Key: TypeAlias = tuple[str, str, datetime | None]
_LIVE_STATES: Final = tuple(state for state in JobState if state not in SETTLED_STATES)


class RunCounts:
    """What was counted: of minutes, of hours, and of all that was before, each by queue, name and begin."""

    def __init__(self) -> None:
        self.by_span: dict[timedelta | None, dict[_Key, Counts]] = {MINUTE: {}, HOUR: {}, None: {}}

    def add(self, tallies: Iterable[Tally], now: datetime) -> None:
        """Count runs that ended now."""
        start = begin_of(now, MINUTE)
        for tally in tallies:
            self._add((tally.queue_name, tally.name, start), MINUTE, tally.counts)

    def move_up(self, span: timedelta, into: timedelta | None, older_than: datetime, limit: int) -> int:
        """Add spans that ended by this time to those that they belong to; return how many."""
        counts_of = self.by_span[span]
        old = [key for key in counts_of if key[2] is not None and _end(key[2], into or span) <= older_than]
        for queue_name, name, start in (chosen := list(islice(old, max(limit, 0)))):
            longer = None if into is None or start is None else begin_of(start, into)
            self._add((queue_name, name, longer), into, counts_of.pop((queue_name, name, start)))
        return len(chosen)

    def forget_queue(self, queue_name: str) -> None:
        """Forget what was counted in a queue."""
        for span, counts_of in self.by_span.items():
            self.by_span[span] = {key: counts for key, counts in counts_of.items() if key[0] != queue_name}

    def _add(self, key: _Key, span: timedelta | None, counts: Counts) -> None:
        counts_of = self.by_span[span]
        known = counts_of.get(key)
        counts_of[key] = dict(counts) if known is None else merged((known, counts))


def _end(start: datetime, span: timedelta) -> datetime:
    return begin_of(start, span) + span


class MemoryMetrics:
    """What was counted, and how full queues are. See `conveyor.contracts.store.metrics`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def get_metrics(self, window: timedelta | None, /, *, queue_names: Sequence[str] = ()) -> Metrics:
        """Return depths and roll-ups."""
        now = self._tables.now()
        since = None if window is None else now - window
        wanted = set(queue_names or self._tables.queues)
        found = [
            roll_up_of(queue_name, name, counts, start=start, span=span)
            for span, counts_of in reversed(self._tables.run_counts.by_span.items())
            for (queue_name, name, start), counts in sorted(counts_of.items(), key=_in_order)
            if queue_name in wanted and _reaches(start, span, since)
        ]
        depths = [_depth(queue) for name, queue in sorted(self._tables.queues.items()) if name in wanted]
        return Metrics(now, window, depths, found)

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        """Add minutes up to hours, and hours to one sum."""
        now, moved, counts = self._tables.now(), 0, self._tables.run_counts
        if minutes_kept is not None:
            moved += counts.move_up(MINUTE, HOUR, now - minutes_kept, limit)
        if hours_kept is not None:
            moved += counts.move_up(HOUR, None, now - hours_kept, limit - moved)
        return moved


def _in_order(row: tuple[_Key, Counts]) -> tuple[float, str, str]:
    (queue_name, name, start), _ = row
    return (0.0 if start is None else start.timestamp(), queue_name, name)


def _reaches(start: datetime | None, span: timedelta | None, since: datetime | None) -> bool:
    return since is None or (start is not None and span is not None and start + span > since)


def _depth(queue: QueueTable) -> QueueDepth:
    waiting = queue.by_state[JobState.WAITING].values()
    return QueueDepth(
        queue.name,
        {state: len(queue.by_state[state]) for state in _LIVE_STATES},
        min((record.run_at for record in waiting), default=None),
    )
