"""Removing jobs from PostgreSQL, from every table that knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor_plugin_postgres.telling import tell_of_removals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.job import JobData
    from conveyor_plugin_postgres.part import Part

__all__ = ["NONE_ENDED", "Ended", "delete_ended", "delete_jobs", "delete_settled", "ended", "remove_jobs"]


# Between which times settled jobs ended, so that other days of the history are not looked at; two times None: none is
# settled.
Ended: TypeAlias = "tuple[datetime, datetime] | tuple[None, None]"
NONE_ENDED: Final = (None, None)


async def delete_settled(part: Part, job: JobData) -> None:
    """Delete a job that leaves no record, but for how it ended."""
    await part.execute("jobs/remove_job_remembered", job.id, job.finished_at)
    await delete_jobs(part, [job.id], ended(job))


async def delete_ended(part: Part, job_id: str, finished_at: datetime) -> None:
    """Do what `delete_settled` does, where no more is known of the job than when it ended."""
    await part.execute("jobs/remove_job_remembered", job_id, finished_at)
    await delete_jobs(part, [job_id], (finished_at, finished_at))


async def delete_jobs(part: Part, job_ids: Sequence[str], span: Ended) -> int:
    """Delete jobs whatever their state, with their logs and history; return how many there were."""
    count: int = await part.fetchval("jobs/remove_job", list(job_ids), *span)
    return count


async def remove_jobs(part: Part, job_ids: Sequence[str], span: Ended) -> int:
    """Delete jobs as `delete_jobs` does, and tell those who waited for them; `lock_flows` comes before their locks."""
    count = await delete_jobs(part, job_ids, span)
    await tell_of_removals(part, job_ids)
    return count


def ended(job: JobData) -> Ended:
    """Return when a job ended, as `remove_jobs` takes it."""
    return NONE_ENDED if job.finished_at is None else (job.finished_at, job.finished_at)
