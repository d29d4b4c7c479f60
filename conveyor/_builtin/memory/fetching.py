"""Fetching from the memory store: the first of the waiting, for all wants at once."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING

from conveyor._builtin.memory.expiring import expire_jobs
from conveyor._builtin.memory.limiting import take_guarded
from conveyor._builtin.memory.records import later, microseconds
from conveyor.errors import SessionLostError
from conveyor.model.locks import LockToken
from conveyor.model.queries import Want

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.lines import Entry, ReadyLine
    from conveyor._builtin.memory.records import JobRecord, SessionRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.job import JobData

__all__ = ["fetch_jobs", "fetching_session"]


def fetching_session(tables: Tables, worker_id: str) -> SessionRecord:
    """Return the session that wants to fetch.

    Raises:
        SessionLostError: it is not open.
    """
    session = tables.sessions.get(worker_id)
    if session is None:
        raise SessionLostError(worker_id)
    return session


def fetch_jobs(
    tables: Tables,
    session: SessionRecord,
    wants: Sequence[Want],
    lock_duration: timedelta,
    *,
    fetch_number: int,
    now: datetime,
) -> list[JobData]:
    """Lock the next jobs, or return what this fetch locked before."""
    session.extend(later(now, lock_duration))
    token = LockToken(session.info.id, fetch_number)
    if not session.begin_fetch(fetch_number):
        return [record.snapshot() for record in session.held.values() if record.token == token]
    jobs: list[JobData] = []
    for want in wants:
        queue = tables.queues.get(want.queue_name)
        if queue is None or want.limit <= 0:
            continue
        if queue.expiring:
            expire_jobs(tables, (queue,), now)
        lock = queue.lock
        for record in _next_of(queue, want, session, now):
            lock(record, session, token, now)
            jobs.append(record.snapshot())
    return jobs


def _next_of(queue: QueueTable, want: Want, session: SessionRecord, now: datetime) -> Iterable[JobRecord]:
    """Take the jobs for one want from their lines."""
    if want.is_suspect and any(record.stalled_count for record in session.held.values()):
        return ()
    if queue.guard is not None:
        return take_guarded(queue, queue.guard, want, microseconds(now))
    lines = queue.open_lines(want.job_name, is_suspect=want.is_suspect)
    return _take(lines, _one_suspect(want) if want.is_suspect else want)


def _one_suspect(want: Want) -> Want:
    return Want(want.queue_name, 1, job_name=want.job_name, is_suspect=True)


def _take(lines: list[ReadyLine], want: Want) -> Iterator[JobRecord]:
    if len(lines) == 1:
        line = lines[0]
        for _ in range(want.limit):
            record = line.take(want.lifo)
            if record is None:
                return
            yield record
    elif lines:
        yield from _take_merged(lines, want)


def _take_merged(lines: list[ReadyLine], want: Want) -> Iterator[JobRecord]:
    # Two heads are never equal, for their sequences differ; so lines are never compared.
    heads: list[tuple[Entry, ReadyLine]] = [
        (head, line) for line in lines if (head := line.head(want.lifo)) is not None
    ]
    heapify(heads)
    for _ in range(want.limit):
        if not heads:
            return
        line = heads[0][1]
        record = line.take(want.lifo)
        if record is not None:
            yield record
        head = line.head(want.lifo)
        if head is None:
            heappop(heads)
        else:
            heapreplace(heads, (head, line))
