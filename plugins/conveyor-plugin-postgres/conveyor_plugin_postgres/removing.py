"""Removing jobs from PostgreSQL, from every table that knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_plugin_postgres.telling import tell_of_removals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor_plugin_postgres.part import Part

__all__ = ["delete_jobs", "delete_settled", "remove_jobs"]


async def delete_settled(part: Part, job_id: str) -> None:
    """Delete a job that leaves no record, but for how it ended."""
    await part.execute("jobs/remove_job_remembered", job_id)
    await delete_jobs(part, [job_id])


async def delete_jobs(part: Part, job_ids: Sequence[str]) -> int:
    """Delete jobs whatever their state, with their logs and history; return how many there were."""
    count: int = await part.fetchval("jobs/remove_job", list(job_ids))
    return count


async def remove_jobs(part: Part, job_ids: Sequence[str]) -> int:
    """Delete jobs as `delete_jobs` does, and tell those who waited for them; `lock_flows` comes before their locks."""
    count = await delete_jobs(part, job_ids)
    await tell_of_removals(part, job_ids)
    return count
