"""Settled jobs of the memory store that are to be kept no longer: found from their oldest end, and removed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush, merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.records import later
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.retention import Retention

__all__ = ["keep_for", "remove_outdated_jobs"]

# Below this many stale entries tidying up is not worth it.
_SLACK: Final = 64
# In one order always: the set of the model has another one in each process.
_SETTLED: Final = tuple(state for state in JobState if state.is_settled)


def keep_for(record: JobRecord, kept_for: timedelta, now: datetime) -> None:
    """Note that a job that was settled now goes by itself after so long."""
    # The sequence tells whether the job ran again or went meanwhile; the id alone keeps no record alive.
    heappush(record.queue.outdating, (later(now, kept_for), record.sequence, record.id))


def remove_outdated_jobs(tables: Tables, queues: Iterable[QueueTable], retention: Retention, limit: int) -> int:
    """Remove what is to be kept no longer; return how many."""
    now = tables.now()
    total = 0
    for queue in queues:
        _tidy(tables, queue)
        for record in islice(_own(tables, queue, now), max(limit - total, 0)):
            tables.remove(record)
            total += 1
        for record in list(islice(_old(queue, retention, now), max(limit - total, 0))):
            tables.remove(record)
            total += 1
    return total


def _own(tables: Tables, queue: QueueTable, now: datetime) -> Iterator[JobRecord]:
    """Take those whose own duration is over, one by one."""
    heap = queue.outdating
    while heap and heap[0][0] <= now:
        record = _settled(tables, heap[0])
        if record is not None:
            yield record
        heappop(heap)


def _old(queue: QueueTable, retention: Retention, now: datetime) -> Iterator[JobRecord]:
    """Go through those that are too old or too many, oldest end first."""
    settled = [queue.by_state[state] for state in _SETTLED]
    surplus = 0 if retention.max_count is None else sum(map(len, settled)) - retention.max_count
    for place, record in enumerate(merge(*(records.values() for records in settled), key=attrgetter("finished_at"))):
        if place >= surplus and not _is_old(record, retention.max_age, now):
            return
        yield record


def _is_old(record: JobRecord, max_age: timedelta | None, now: datetime) -> bool:
    return max_age is not None and record.finished_at is not None and now - record.finished_at >= max_age


def _settled(tables: Tables, entry: tuple[datetime, int, str]) -> JobRecord | None:
    """Return the job of an entry, or None where it went, or ran again, since."""
    record = tables.jobs.get(entry[2])
    return record if record is not None and record.sequence == entry[1] else None


def _tidy(tables: Tables, queue: QueueTable) -> None:
    """Drop the entries of jobs that are gone, once they are more than the others can be."""
    heap = queue.outdating
    if len(heap) > 2 * sum(len(queue.by_state[state]) for state in _SETTLED) + _SLACK:
        heap[:] = [entry for entry in heap if _settled(tables, entry) is not None]
        heapify(heap)
