"""Locks in SQLite: extended, handed back, and taken from workers that died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.metrics import count_runs
from conveyor._builtin.sqlite.reading import find_job
from conveyor._builtin.sqlite.removing import delete_settled
from conveyor._builtin.sqlite.rows import error_column, job_from_row, micros_after, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor._builtin.sqlite.telling import End, forget_parents, tell_parents
from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.flows import ChildOutcome
from conveyor.model.job import ErrorInfo
from conveyor.model.locks import Lock, LockToken
from conveyor.model.metrics import stalls
from conveyor.model.retention import kept_for
from conveyor.model.states import JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData

__all__ = ["extend_locks", "get_stalled_jobs", "has_expired_sessions", "reclaim_stalled_jobs", "release_locks"]


def extend_locks(transaction: Transaction, locks: Sequence[Lock], lock_duration: timedelta) -> Sequence[Lock]:
    """Extend what is held, by way of its session, and return what is lost."""
    connection = transaction.connection
    until = micros_after(transaction.now, lock_duration)
    held: set[Lock] = set()
    for session_id in {lock.token.session_id for lock in locks}:
        rows = connection.execute(sql("jobs/extend_locks_held"), (session_id,))
        held |= {Lock(job_id, LockToken(session_id, number)) for job_id, number in rows}
    for session_id in {lock.token.session_id for lock in locks if lock in held}:
        connection.execute(sql("jobs/extend_locks"), (session_id, until))
    return [lock for lock in locks if lock not in held]


def release_locks(transaction: Transaction, locks: Iterable[Lock]) -> Sequence[Lock]:
    """Let the jobs wait again whose locks hold, and return the other locks."""
    lost: list[Lock] = []
    for lock in locks:
        released = transaction.connection.execute(sql("jobs/release_locks"), (lock.job_id, *lock.token)).fetchall()
        for (queue_name,) in released:
            transaction.hint(NotificationKind.ADDED, queue_name)
        if not released:
            lost.append(lock)
    return lost


def get_stalled_jobs(connection: sqlite3.Connection, now: int, threshold: timedelta, limit: int) -> Sequence[JobData]:
    """Return active jobs whose lock has been over for longer than the threshold."""
    rows = connection.execute(sql("jobs/get_stalled_jobs"), (now - span_micros(threshold), max(limit, 0)))
    return [job_from_row(row) for row in rows]


def has_expired_sessions(connection: sqlite3.Connection, now: int) -> bool:
    """Return whether the lock of any session is over."""
    return bool(connection.execute(sql("jobs/reclaim_stalled_jobs_any"), (now,)).fetchone()[0])


def reclaim_stalled_jobs(transaction: Transaction, max_stalled: int, limit: int) -> Sequence[JobData]:
    """Take jobs from sessions whose lock is over, and forget those sessions that hold nothing then."""
    connection, now = transaction.connection, transaction.now
    stalled = connection.execute(sql("jobs/reclaim_stalled_jobs_expired"), (now, max(limit, 0))).fetchall()
    jobs = [_reclaim(transaction, job_from_row(row), max_stalled) for row in stalled]
    connection.execute(sql("jobs/reclaim_stalled_jobs_sessions"), (now,))
    count_runs(transaction, stalls((job.queue_name, job.name) for job in jobs))
    return jobs


def _reclaim(transaction: Transaction, job: JobData, max_stalled: int) -> JobData:
    transaction.hint(NotificationKind.REVOKED, job.queue_name, job.id)
    if job.stalled_count < max_stalled:
        transaction.connection.execute(sql("jobs/reclaim_stalled_jobs_attempt"), (job.id, transaction.now))
        transaction.connection.execute(sql("jobs/reclaim_stalled_jobs"), (job.id,))
        transaction.hint(NotificationKind.ADDED, job.queue_name)
        job.state = JobState.WAITING
        job.stalled_count += 1
        return job
    return _give_up(transaction, job, max_stalled)


def _give_up(transaction: Transaction, job: JobData, max_stalled: int) -> JobData:
    connection = transaction.connection
    times = f"{job.stalled_count + 1} times, more often than max_stalled={max_stalled}"
    stalled = ErrorInfo("Stalled", f"its worker died or lost touch {times}")
    error = error_column(fingerprinted(stalled, job.queue_name, job.name))
    kept = kept_for(job.options.remove_on_fail)
    remove_at = None if kept is None else micros_after(transaction.now, kept)
    connection.execute(sql("jobs/reclaim_stalled_jobs_failed"), (job.id, transaction.now, error, remove_at))
    connection.execute(sql("jobs/remove_job_live"), (job.id,))
    failed = find_job(connection, job.id)
    if job.options.remove_on_fail is True:
        delete_settled(transaction, job.id)
    transaction.hint(NotificationKind.FINISHED, job.queue_name)
    if job.options.flow_id is not None:
        if job.options.remove_on_fail is True:
            forget_parents(transaction, [job.id])
        tell_parents(transaction, [End(job.id, ChildOutcome.FAILED, None, error)])
    return failed
