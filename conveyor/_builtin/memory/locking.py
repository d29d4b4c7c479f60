"""Locks in the memory store: extended, handed back, and taken from workers that died."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from conveyor._builtin.memory.records import later
from conveyor._builtin.memory.retaining import keep_for
from conveyor._builtin.memory.telling import ended, tell_parents
from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.job import AttemptOutcome, ErrorInfo
from conveyor.model.locks import is_expired
from conveyor.model.metrics import stalls
from conveyor.model.retention import kept_for
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.job import JobData
    from conveyor.model.locks import Lock

__all__ = ["extend_locks", "get_stalled_jobs", "is_held", "reclaim_stalled_jobs", "release", "release_locks"]


def is_held(tables: Tables, lock: Lock) -> bool:
    """Return whether this run owns its job."""
    record = tables.jobs.get(lock.job_id)
    return record is not None and record.is_held_under(lock.token)


def extend_locks(tables: Tables, locks: Sequence[Lock], lock_duration: timedelta) -> list[Lock]:
    """Extend what is held, by way of its session, and return what is lost."""
    until = later(tables.now(), lock_duration)
    lost: list[Lock] = []
    for lock in locks:
        record = tables.jobs.get(lock.job_id)
        if record is not None and record.session is not None and record.is_held_under(lock.token):
            record.session.extend(until)
        else:
            lost.append(lock)
    return lost


def release_locks(tables: Tables, locks: Sequence[Lock]) -> list[Lock]:
    """Let the jobs wait again whose locks hold, and return the other locks."""
    lost: list[Lock] = []
    released: list[JobRecord] = []
    for lock in locks:
        record = tables.jobs.get(lock.job_id)
        if record is not None and record.is_held_under(lock.token):
            _wait_again(record)
            released.append(record)
        else:
            lost.append(lock)
    _tell_added(tables, released)
    return lost


def release(tables: Tables, records: Sequence[JobRecord]) -> None:
    """Let active jobs wait again at their old places, as if they had not been fetched."""
    for record in records:
        _wait_again(record)
    _tell_added(tables, records)


def get_stalled_jobs(tables: Tables, threshold: timedelta, limit: int) -> tuple[JobData, ...]:
    """Return active jobs whose lock has been over for longer than the threshold."""
    now = tables.now()
    stalled = (
        record
        for session in tables.sessions.values()
        if now - session.expires_at > threshold
        for record in session.held.values()
    )
    return tuple(record.snapshot() for record in islice(stalled, max(limit, 0)))


def reclaim_stalled_jobs(tables: Tables, max_stalled: int, limit: int) -> tuple[JobData, ...]:
    """Take jobs from sessions whose lock is over, and forget those sessions that hold nothing then."""
    now = tables.now()
    stalled = list(islice(_expired(tables, now), max(limit, 0)))
    for record in stalled:
        _reclaim(record, max_stalled, now)
    tables.run_counts.add(stalls((record.queue.name, record.name) for record in stalled), now)
    jobs = tuple(record.snapshot() for record in stalled)
    ends = [ended(record) for record in stalled if record.state is JobState.FAILED]
    for record in stalled:
        if record.state is JobState.FAILED and record.options.remove_on_fail is True:
            tables.removed.remember(record, AttemptOutcome.STALLED)
            tables.remove(record)
    for session in list(tables.sessions.values()):
        if not session.held and is_expired(session.expires_at, now):
            del tables.sessions[session.info.id]
    for record in stalled:
        tables.notifier.tell(NotificationKind.REVOKED, (record.queue.name,), record.id)
    _tell_added(tables, [record for record in stalled if record.state is JobState.WAITING])
    finished = {record.queue.name for record in stalled if record.state is JobState.FAILED}
    tables.notifier.tell(NotificationKind.FINISHED, finished)
    tell_parents(tables, ends, now)
    return jobs


def _expired(tables: Tables, now: datetime) -> Iterator[JobRecord]:
    for session in tables.sessions.values():
        if is_expired(session.expires_at, now):
            yield from session.held.values()


def _reclaim(record: JobRecord, max_stalled: int, now: datetime) -> None:
    record.queue.leave(record)
    record.stalled_count += 1
    if record.stalled_count <= max_stalled:
        record.end_run(now, AttemptOutcome.STALLED, None)
        record.queue.enter(record, JobState.WAITING)
        return
    times = f"{record.stalled_count} times, more often than max_stalled={max_stalled}"
    error = ErrorInfo("Stalled", f"its worker died or lost touch {times}")
    error = fingerprinted(error, record.queue.name, record.name)
    record.end_run(now, AttemptOutcome.STALLED, error)
    record.error = error
    record.finished_at = now
    record.queue.enter(record, JobState.FAILED)
    if (kept := kept_for(record.options.remove_on_fail)) is not None:
        keep_for(record, kept, now)


def _wait_again(record: JobRecord) -> None:
    record.queue.leave(record)
    record.queue.enter(record, JobState.WAITING)


def _tell_added(tables: Tables, records: Iterable[JobRecord]) -> None:
    tables.notifier.tell(NotificationKind.ADDED, {record.queue.name for record in records})
