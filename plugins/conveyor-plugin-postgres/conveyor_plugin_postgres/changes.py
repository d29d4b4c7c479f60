"""Single jobs in PostgreSQL, changed by core or an operator: ended, promoted, rerun, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import InvalidJobStateError, JobNotFoundError
from conveyor.model.bulk import ChangeOutcome, ChangeReceipt
from conveyor.model.error_groups import fingerprinted
from conveyor.model.events import NotificationKind
from conveyor.model.job import ErrorInfo, moved_to_failed
from conveyor.model.queries import matches
from conveyor.model.retention import kept_for
from conveyor.model.states import Command, JobState, transition
from conveyor_plugin_postgres.reading import find_job
from conveyor_plugin_postgres.removing import delete_settled, ended, remove_jobs
from conveyor_plugin_postgres.rows import error_column, interval
from conveyor_plugin_postgres.telling import lock_flows, tell_of_end, tell_of_removals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter
    from conveyor_plugin_postgres.part import Part

__all__ = [
    "cancel_job",
    "change_jobs",
    "expire_jobs",
    "lock_job",
    "move_to_failed",
    "promote_delayed_jobs",
    "promote_job",
    "remove_job",
    "rerun_job",
]


async def cancel_job(part: Part, job_id: str, reason: str) -> JobData:
    """End a live job as cancelled; an active one loses its lock."""
    await lock_flows(part)
    job = await lock_job(part, job_id)
    transition(job_id, job.state, Command.CANCEL)
    await _end(part, job, JobState.CANCELLED, ErrorInfo("Cancelled", reason))
    return await find_job(part, job_id)


async def move_to_failed(part: Part, job_id: str, reason: str) -> JobData:
    """End a live job as failed; it goes, or is kept, as its options say."""
    await lock_flows(part)
    job = await lock_job(part, job_id)
    transition(job_id, job.state, Command.MOVE_TO_FAILED)
    removal = job.options.remove_on_fail
    error = fingerprinted(moved_to_failed(reason), job.queue_name, job.name)
    await _end(part, job, JobState.FAILED, error, kept_for(removal))
    job = await find_job(part, job_id)
    if removal is True:
        await delete_settled(part, job)
        if job.options.flow_id is not None:
            await tell_of_removals(part, [job_id])
    return job


async def _end(part: Part, job: JobData, state: JobState, error: ErrorInfo, kept: timedelta | None = None) -> None:
    text = error_column(error)
    await part.execute("jobs/cancel_job", job.id, text, part.moment, str(state), interval(kept))
    if job.state is JobState.ACTIVE:
        part.hint(NotificationKind.REVOKED, job.queue_name, job.id)
    part.hint(NotificationKind.FINISHED, job.queue_name)
    if job.options.flow_id is not None:
        await tell_of_end(part, job.id, state, text)


async def promote_job(part: Part, job_id: str) -> JobData:
    """Make a delayed job wait, available now."""
    job = await lock_job(part, job_id)
    transition(job_id, job.state, Command.PROMOTE)
    await part.execute("jobs/promote_job", job_id, part.moment)
    part.hint(NotificationKind.ADDED, job.queue_name)
    return await find_job(part, job_id)


async def promote_delayed_jobs(part: Part, queue_names: Sequence[str], limit: int) -> int:
    """Make delayed jobs wait whose time has come; return how many."""
    rows = await part.fetch("jobs/promote_delayed_jobs", list(dict.fromkeys(queue_names)), max(limit, 0), part.moment)
    for queue_name, _ in rows:
        part.hint(NotificationKind.ADDED, queue_name)
    return sum(count for _, count in rows)


async def expire_jobs(part: Part, limit: int) -> int:
    """Cancel what had not started in time, of every queue; return how many."""
    rows = await part.fetch("jobs/expire_jobs", max(limit, 0), part.moment)
    for queue_name, _ in rows:
        part.hint(NotificationKind.FINISHED, queue_name)
    return sum(count for _, count in rows)


async def rerun_job(part: Part, job_id: str, payload: bytes | None) -> JobData:
    """Make a settled job wait again, for open children first, available now; attempts and logs stay."""
    await lock_flows(part)
    job = await lock_job(part, job_id)
    transition(job_id, job.state, Command.RERUN)
    state = JobState.WAITING.value
    if job.options.flow_id is not None:
        state = await part.fetchval("jobs/rerun_job_flow", job_id)
    await part.execute("jobs/rerun_job", job_id, payload, job.options.lifo, part.moment, state, job.finished_at)
    part.hint(NotificationKind.ADDED, job.queue_name)
    return await find_job(part, job_id)


async def remove_job(part: Part, job_id: str) -> None:
    """Delete a job that is not active, with its logs and history."""
    await lock_flows(part)
    job = await lock_job(part, job_id)
    transition(job_id, job.state, Command.REMOVE)
    await remove_jobs(part, [job_id], ended(job))


async def lock_job(part: Part, job_id: str) -> JobData:
    """Return the job as it is until the transaction ends: whoever else would change it waits."""
    if not await part.fetchval("jobs/lock_job_live", job_id):
        job = await find_job(part, job_id)
        if job.finished_at and await part.fetchval("jobs/lock_job_history", job_id, job.finished_at):
            return job
        # It came back between two looks; no more than once in such a short time.
        await part.fetchval("jobs/lock_job_live", job_id)
    return await find_job(part, job_id)


async def change_jobs(
    part: Part, command: Command, job_ids: Sequence[str], wanted: JobFilter, reason: str
) -> Sequence[ChangeReceipt]:
    """Do what an operator asks for with those of the jobs that match."""
    await lock_flows(part)
    # In one order, so that two operators do not wait for each other in a circle.
    receipts = {job_id: await _change_one(part, command, job_id, wanted, reason) for job_id in sorted(set(job_ids))}
    return [receipts[job_id] for job_id in job_ids]


async def _change_one(part: Part, command: Command, job_id: str, wanted: JobFilter, reason: str) -> ChangeReceipt:
    try:
        job = await lock_job(part, job_id)
    except JobNotFoundError:
        return ChangeReceipt(job_id, ChangeOutcome.NOT_FOUND)
    if not matches(job, wanted):
        return ChangeReceipt(job_id, ChangeOutcome.NO_MATCH, job.state)
    try:
        after = await _change(part, command, job_id, reason)
    except InvalidJobStateError:
        return ChangeReceipt(job_id, ChangeOutcome.REFUSED, job.state)
    return ChangeReceipt(job_id, ChangeOutcome.DONE, None if after is None else after.state)


async def _change(part: Part, command: Command, job_id: str, reason: str) -> JobData | None:
    if command is Command.CANCEL:
        return await cancel_job(part, job_id, reason)
    if command is Command.PROMOTE:
        return await promote_job(part, job_id)
    if command is Command.RERUN:
        return await rerun_job(part, job_id, None)
    await remove_job(part, job_id)
    return None
