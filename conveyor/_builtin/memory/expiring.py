"""Jobs of the memory store that had not started in time: cancelled by the pass, or by a fetch that meets them."""

from __future__ import annotations

from heapq import heappop
from typing import TYPE_CHECKING

from conveyor._builtin.memory.telling import ended, tell_parents
from conveyor.model.events import NotificationKind
from conveyor.model.job import expired
from conveyor.model.states import Command, JobState, legal_states

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables

__all__ = ["expire_jobs"]

_EXPIRING = legal_states(Command.EXPIRE)


def expire_jobs(tables: Tables, queues: Iterable[QueueTable], now: datetime, limit: int | None = None) -> int:
    """Cancel what had not started in time; return how many."""
    total = 0
    gone: list[JobRecord] = []
    for queue in queues:
        before = total
        while queue.expiring and queue.expiring[0][0] <= now and (limit is None or total < limit):
            expires_at, _, ticket, record = heappop(queue.expiring)
            # One that was rerun expires no more, though it may never have left a line since.
            is_due = record.ticket == ticket and record.expires_at == expires_at and record.state in _EXPIRING
            if is_due and tables.jobs.get(record.id) is record:
                _expire(record, expires_at, now)
                gone.append(record)
                total += 1
        if total > before:
            tables.notifier.tell(NotificationKind.FINISHED, (queue.name,))
    tell_parents(tables, [ended(record) for record in gone], now)
    return total


def _expire(record: JobRecord, expires_at: datetime, now: datetime) -> None:
    record.queue.leave(record)
    record.error = expired(expires_at)
    record.finished_at = now
    record.queue.enter(record, JobState.CANCELLED)
