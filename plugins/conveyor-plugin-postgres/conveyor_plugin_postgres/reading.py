"""Reading single jobs, their log lines and their attempts from PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import JobNotFoundError
from conveyor_plugin_postgres.ids import made_between
from conveyor_plugin_postgres.rows import attempt_from_row, ending_from_row, jobs_from_rows, log_from_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from conveyor.model.job import Attempt, Ending, JobData, LogEntry
    from conveyor_plugin_postgres.part import Part

__all__ = [
    "find_by_key",
    "find_endings",
    "find_job",
    "find_jobs",
    "get_attempts",
    "get_job",
    "get_logs",
    "get_next_delayed_timestamp",
    "get_suspect_queues",
    "look_for_job",
]


async def get_job(part: Part, queue_name: str, job_id: str) -> JobData | None:
    """Return the job where this queue has it."""
    job = await look_for_job(part, job_id)
    return job if job is not None and job.queue_name == queue_name else None


async def look_for_job(part: Part, job_id: str) -> JobData | None:
    """Return the job, or None."""
    return (await find_jobs(part, (job_id,))).get(job_id)


async def find_by_key(part: Part, queue_name: str, job_name: str, key: str) -> JobData | None:
    """Return the live job that has a deduplication key."""
    job_id = await part.fetchval("jobs/find_by_deduplication_key", queue_name, job_name, key, part.moment)
    job = None if job_id is None else await look_for_job(part, job_id)
    return None if job is None or job.state.is_settled else job


async def find_job(part: Part, job_id: str) -> JobData:
    """Return the job.

    Raises:
        JobNotFoundError: there is none.
    """
    job = await look_for_job(part, job_id)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


async def find_jobs(part: Part, job_ids: Sequence[str]) -> Mapping[str, JobData]:
    """Return those of the jobs that exist, by id."""
    since, until = made_between(job_ids)
    return {job.id: job for job in jobs_from_rows(await part.fetch("jobs/find_jobs", list(job_ids), since, until))}


async def find_endings(part: Part, job_ids: Sequence[str]) -> Mapping[str, Ending]:
    """Return how those of the jobs ended that left no record, by id."""
    return dict(map(ending_from_row, await part.fetch("jobs/find_endings", list(job_ids))))


async def get_logs(part: Part, job_id: str, start: int, end: int) -> Sequence[LogEntry]:
    """Return lines of a job, oldest first."""
    first = max(start, 0)
    return [log_from_row(row) for row in await part.fetch("jobs/get_logs", job_id, max(end - first, 0), first)]


async def get_attempts(part: Part, job_id: str) -> Sequence[Attempt]:
    """Return the runs of a job that ended, oldest first."""
    rows = await part.fetch("jobs/get_attempts", job_id, *made_between((job_id,)))
    return [attempt_from_row(row) for row in rows]


async def get_next_delayed_timestamp(part: Part, queue_names: Sequence[str]) -> datetime | None:
    """Return when the next delayed job of these queues is due."""
    due: datetime | None = await part.fetchval("jobs/get_next_delayed_timestamp", list(queue_names))
    return due


async def get_suspect_queues(part: Part, queue_names: Sequence[str]) -> Sequence[str]:
    """Return the queues that have a suspect to fetch."""
    names = list(dict.fromkeys(queue_names))
    found = {name for (name,) in await part.fetch("jobs/get_suspect_queues", names)}
    return [name for name in names if name in found]
