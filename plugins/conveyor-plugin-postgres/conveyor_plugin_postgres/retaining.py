"""Retention in PostgreSQL: removing settled jobs that are to be kept no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor_plugin_postgres.removing import remove_jobs
from conveyor_plugin_postgres.rows import interval
from conveyor_plugin_postgres.telling import lock_flows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.retention import Retention
    from conveyor_plugin_postgres.part import Part

__all__ = ["drop_days", "remove_outdated_jobs"]


async def drop_days(part: Part, queue_names: Sequence[str], retention: Retention) -> int:
    """Drop a day of history that is outdated as a whole, and make those to come; return how many jobs it had.

    A day is dropped in no time, whatever the number of its jobs: a chunk is not more than that.
    """
    count: int = await part.fetchval("jobs/drop_days", list(queue_names), interval(retention.max_age))
    return count


async def remove_outdated_jobs(part: Part, queue_names: Sequence[str], retention: Retention, limit: int) -> int:
    """Remove a chunk of what is to be kept no longer; return how many jobs."""
    await lock_flows(part)
    names = list(dict.fromkeys(queue_names))
    chosen = (names, interval(retention.max_age), retention.max_count, max(limit, 0))
    rows = await part.fetch("jobs/remove_outdated_jobs", *chosen, part.moment)
    if not rows:
        return 0
    ended = [ended_at for _, ended_at in rows]
    # Somebody else may remove the same at the same time: each is counted where it was deleted.
    return await remove_jobs(part, [job_id for job_id, _ in rows], (min(ended), max(ended)))
