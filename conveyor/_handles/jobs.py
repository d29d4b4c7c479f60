"""Jobs: the app's noun for jobs across queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from conveyor._handles.handler import plain_handle
from conveyor._services import jobs
from conveyor.model.queries import JobFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._handles.job import Job
    from conveyor._services.services import Services

__all__ = ["FoundJobs", "Jobs"]


@frozen
class FoundJobs:
    """A page of jobs; give `next_cursor` to ``find`` to get those after them."""

    jobs: Sequence[Job[Any]]
    next_cursor: str | None


class Jobs:
    """Jobs of all queues, at ``app.jobs``."""

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services

    async def get(self, job_id: str) -> Job[Any]:
        """Return a job by its id. Raises JobNotFoundError where there is none."""
        return plain_handle(self._services, await jobs.get(self._services, job_id))

    async def find(self, wanted: JobFilter | None = None, *, cursor: str | None = None, limit: int = 100) -> FoundJobs:
        """Return the jobs that match (all, without a filter), newest first, a page at a time."""
        page = await jobs.find(self._services, wanted or JobFilter(), cursor, limit)
        return FoundJobs([plain_handle(self._services, job) for job in page.jobs], page.next_cursor)

    async def count(self, wanted: JobFilter | None = None) -> int:
        """Return how many jobs match, at most 100 000."""
        return await jobs.count(self._services, wanted or JobFilter())
