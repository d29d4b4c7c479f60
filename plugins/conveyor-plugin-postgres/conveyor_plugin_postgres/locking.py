"""Locks in PostgreSQL: extended, handed back, and taken from workers that died."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.job import ErrorInfo
from conveyor.model.locks import Lock, LockToken
from conveyor.model.metrics import stalls
from conveyor.model.retention import kept_for
from conveyor.model.states import JobState
from conveyor_plugin_postgres.metrics import count_runs
from conveyor_plugin_postgres.reading import find_job
from conveyor_plugin_postgres.removing import delete_settled
from conveyor_plugin_postgres.rows import error_column, interval, job_from_row, jobs_from_rows
from conveyor_plugin_postgres.telling import tell_of_end, tell_of_removals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor.model.job import JobData
    from conveyor_plugin_postgres.part import Part

__all__ = [
    "extend_locks",
    "get_stalled_jobs",
    "has_expired_sessions",
    "held_locks",
    "reclaim_stalled_jobs",
    "release_locks",
]


async def extend_locks(part: Part, locks: Sequence[Lock], lock_duration: timedelta) -> Sequence[Lock]:
    """Extend what is held, by way of its session, and return what is lost."""
    session_ids = sorted({lock.token.session_id for lock in locks})
    held = set(await held_locks(part, session_ids))
    keeping = sorted({lock.token.session_id for lock in locks if lock in held})
    if keeping:
        await part.execute("jobs/extend_locks", keeping, interval(lock_duration), part.moment)
    return [lock for lock in locks if lock not in held]


async def held_locks(part: Part, session_ids: Sequence[str]) -> Sequence[Lock]:
    """Return the locks of the jobs that these sessions hold."""
    rows = await part.fetch("jobs/extend_locks_held", session_ids)
    return [Lock(job_id, LockToken(session_id, number)) for job_id, session_id, number in rows]


async def release_locks(part: Part, locks: Sequence[Lock]) -> Sequence[Lock]:
    """Let the jobs wait again whose locks hold, and return the other locks."""
    rows = await part.fetch(
        "jobs/release_locks",
        [lock.job_id for lock in locks],
        [lock.token.session_id for lock in locks],
        [lock.token.fetch_number for lock in locks],
    )
    released: set[Lock] = set()
    for job_id, session_id, number, queue_name in rows:
        released.add(Lock(job_id, LockToken(session_id, number)))
        part.hint(NotificationKind.ADDED, queue_name)
    return [lock for lock in locks if lock not in released]


async def get_stalled_jobs(part: Part, threshold: timedelta, limit: int) -> Sequence[JobData]:
    """Return active jobs whose lock has been over for longer than the threshold."""
    rows = await part.fetch("jobs/get_stalled_jobs", interval(threshold), max(limit, 0), part.moment)
    return jobs_from_rows(rows)


async def has_expired_sessions(part: Part) -> bool:
    """Return whether the lock of any session is over."""
    found: bool = await part.fetchval("jobs/reclaim_stalled_jobs_any", part.moment)
    return found


async def reclaim_stalled_jobs(part: Part, max_stalled: int, limit: int) -> Sequence[JobData]:
    """Take jobs from sessions whose lock is over, and forget those sessions that hold nothing then."""
    now = await part.now()
    await part.fetchval("jobs/reclaim_stalled_jobs_lock", now)
    # The session's row first: whoever renews it meanwhile waits, and then finds its jobs lost.
    expired = [session_id for (session_id,) in await part.fetch("jobs/reclaim_stalled_jobs_sessions", now)]
    if not expired:
        return ()
    rows = await part.fetch("jobs/reclaim_stalled_jobs_held", expired, max(limit, 0))
    jobs = [await _reclaim(part, job_from_row(row), max_stalled, now) for row in rows]
    await part.execute("jobs/reclaim_stalled_jobs_forget", expired)
    await count_runs(part, stalls((job.queue_name, job.name) for job in jobs), now)
    return jobs


async def _reclaim(part: Part, job: JobData, max_stalled: int, now: datetime) -> JobData:
    part.hint(NotificationKind.REVOKED, job.queue_name, job.id)
    if job.stalled_count < max_stalled:
        await part.execute("jobs/reclaim_stalled_jobs", job.id, now)
        part.hint(NotificationKind.ADDED, job.queue_name)
        job.state = JobState.WAITING
        job.stalled_count += 1
        return job
    return await _give_up(part, job, max_stalled, now)


async def _give_up(part: Part, job: JobData, max_stalled: int, now: datetime) -> JobData:
    times = f"{job.stalled_count + 1} times, more often than max_stalled={max_stalled}"
    stalled = ErrorInfo("Stalled", f"its worker died or lost touch {times}")
    error = error_column(fingerprinted(stalled, job.queue_name, job.name))
    kept = interval(kept_for(job.options.remove_on_fail))
    await part.execute("jobs/reclaim_stalled_jobs_failed", job.id, now, error, kept)
    failed = await find_job(part, job.id)
    part.hint(NotificationKind.FINISHED, job.queue_name)
    if job.options.flow_id is not None:
        await tell_of_end(part, job.id, JobState.FAILED, error)
    if job.options.remove_on_fail is True:
        await delete_settled(part, failed)
        if job.options.flow_id is not None:
            await tell_of_removals(part, [job.id])
    return failed
