"""Live jobs in PostgreSQL, edited by an operator or by their own handlers; each keeps its id and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.events import NotificationKind
from conveyor.model.states import Command, JobState, transition
from conveyor_plugin_postgres.changes import lock_job
from conveyor_plugin_postgres.reading import find_job
from conveyor_plugin_postgres.rows import interval

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from conveyor.model.job import JobData
    from conveyor_plugin_postgres.part import Part

__all__ = ["change_delay", "change_priority", "discard", "move_to_delayed", "update_data"]


async def update_data(part: Part, job_id: str, payload: bytes) -> JobData:
    """Give the job another payload, for the runs to come."""
    await _edited(part, job_id, Command.UPDATE_DATA)
    await part.execute("jobs/update_data", job_id, payload)
    return await find_job(part, job_id)


async def change_priority(part: Part, job_id: str, priority: int) -> JobData:
    """Put the job at its place within another priority."""
    job = await _edited(part, job_id, Command.CHANGE_PRIORITY)
    await part.execute("jobs/change_priority", job_id, priority)
    part.hint(NotificationKind.ADDED, job.queue_name)
    return await find_job(part, job_id)


async def change_delay(part: Part, job_id: str, delay: timedelta) -> JobData:
    """Let a delayed job be due so long from now."""
    job = await _edited(part, job_id, Command.CHANGE_DELAY)
    await part.execute("jobs/change_delay", job_id, interval(delay), part.moment)
    part.hint(NotificationKind.DELAYED, job.queue_name)
    return await find_job(part, job_id)


async def move_to_delayed(part: Part, job_id: str, run_at: datetime) -> JobData:
    """Put the job off; an active one loses its lock."""
    job = await _edited(part, job_id, Command.MOVE_TO_DELAYED)
    await part.execute("jobs/move_to_delayed", job_id, run_at, part.moment)
    if job.state is JobState.ACTIVE:
        part.hint(NotificationKind.REVOKED, job.queue_name, job_id)
    part.hint(NotificationKind.DELAYED, job.queue_name)
    return await find_job(part, job_id)


async def discard(part: Part, job_id: str) -> JobData:
    """Let the job have no further attempt."""
    await _edited(part, job_id, Command.DISCARD)
    await part.execute("jobs/discard", job_id)
    return await find_job(part, job_id)


async def _edited(part: Part, job_id: str, command: Command) -> JobData:
    job = await lock_job(part, job_id)
    transition(job_id, job.state, command)
    return job
