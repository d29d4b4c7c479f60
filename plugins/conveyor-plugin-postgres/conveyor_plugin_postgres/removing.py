"""Removing jobs from PostgreSQL, from every table that knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor_plugin_postgres.part import Part

__all__ = ["delete_jobs", "delete_settled"]


async def delete_settled(part: Part, job_id: str) -> None:
    """Delete a job that leaves no record, but for how it ended."""
    await part.execute("jobs/remove_job_remembered", job_id)
    await delete_jobs(part, [job_id])


async def delete_jobs(part: Part, job_ids: Sequence[str]) -> int:
    """Delete jobs whatever their state, with their logs and history; return how many there were."""
    count: int = await part.fetchval("jobs/remove_job", list(job_ids))
    return count
