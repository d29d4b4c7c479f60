"""Jobs: the app's noun for jobs across queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from conveyor._handles.handler import found_handle, plain_handle
from conveyor._services import jobs
from conveyor._services.bulk import change_matching
from conveyor.model.error_groups import ErrorGroupFilter
from conveyor.model.queries import JobFilter
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._handles.job import Job
    from conveyor._services.services import Services
    from conveyor.model.bulk import BulkReport
    from conveyor.model.error_groups import ErrorGroupPage

__all__ = ["FoundJobs", "Jobs"]


@frozen
class FoundJobs:
    """A page of jobs; give `next_cursor` to ``find`` to get those after them."""

    jobs: Sequence[Job[Any]]
    next_cursor: str | None


class Jobs:
    """Jobs of all queues, at ``app.jobs``.

    ``cancel``, ``promote``, ``rerun`` and ``remove`` change all jobs that match when they are called, a chunk at a
    time, and return what they did. Where a filter names no states, it means those in which the command is legal. A
    job that moved on meanwhile is skipped, and so is what is added later. An error halfway, or a cancel, leaves
    earlier chunks changed. `progress` is called after each chunk with the report so far.
    """

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services

    async def get(self, job_id: str) -> Job[Any]:
        """Return a job by its id, be it in a buffer or merged. Raises JobNotFoundError where there is none."""
        return found_handle(self._services, job_id, await jobs.get(self._services, job_id))

    async def find(
        self,
        wanted: JobFilter | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        oldest_first: bool = False,
    ) -> FoundJobs:
        """Return the jobs that match (all, without a filter), newest (or oldest) first, a page at a time."""
        asked = JobFilter() if wanted is None else wanted
        page = await jobs.find(self._services, asked, cursor, limit, oldest_first=oldest_first)
        return FoundJobs([plain_handle(self._services, job) for job in page.jobs], page.next_cursor)

    async def count(self, wanted: JobFilter | None = None) -> int:
        """Return how many jobs match, at most 100 000."""
        return await jobs.count(self._services, JobFilter() if wanted is None else wanted)

    async def error_groups(
        self, wanted: ErrorGroupFilter | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        """Return the failed jobs in groups of those that failed alike, those that failed last first, a page at a time.

        The `id` of a group is what a `JobFilter` takes as `error_group`, to find its jobs or to rerun them.
        """
        asked = ErrorGroupFilter() if wanted is None else wanted
        return await jobs.error_groups(self._services, asked, cursor, limit)

    async def cancel(
        self,
        wanted: JobFilter,
        *,
        reason: str = "cancelled by request",
        progress: Callable[[BulkReport], None] | None = None,
    ) -> BulkReport:
        """End the jobs that match as cancelled; those that run lose their locks."""
        return await change_matching(self._services, Command.CANCEL, wanted, reason=reason, progress=progress)

    async def promote(self, wanted: JobFilter, *, progress: Callable[[BulkReport], None] | None = None) -> BulkReport:
        """Run the delayed jobs that match now."""
        return await change_matching(self._services, Command.PROMOTE, wanted, progress=progress)

    async def rerun(self, wanted: JobFilter, *, progress: Callable[[BulkReport], None] | None = None) -> BulkReport:
        """Run the settled jobs that match again, from their first attempt."""
        return await change_matching(self._services, Command.RERUN, wanted, progress=progress)

    async def remove(self, wanted: JobFilter, *, progress: Callable[[BulkReport], None] | None = None) -> BulkReport:
        """Delete the jobs that match and do not run, with their history."""
        return await change_matching(self._services, Command.REMOVE, wanted, progress=progress)
