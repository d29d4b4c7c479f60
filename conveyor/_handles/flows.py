"""Flows: the app's noun for jobs that wait for others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from conveyor._handles.handler import plain_handle
from conveyor._services import flows
from conveyor.model.job import as_added
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor._handles.job import Job
    from conveyor._services.services import Services
    from conveyor.model.flows import Flow

__all__ = ["Flows"]


class Flows:
    """Trees of jobs across queues, at ``app.flows``. A parent runs once its children have ended."""

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services

    async def add(self, flow: Flow, *, connection: object = None) -> Job[Any]:
        """Add all jobs of a flow in one transaction, and return its topmost job.

        Args:
            flow: a job, and those that it waits for.
            connection: join the transaction of this connection: the flow is there when it commits, as for ``add``.

        Raises:
            FlowError: it holds itself, is too deep or too large, has no children, or names a job twice.
            DuplicateJobError: another job has the id of one of them; nothing was added.
            CapabilityError: the store, or the job queue strategy, has no flows, or joins no transactions.
            ConfigurationError: the connection is none that the store can join.
        """
        await flows.add(self._services, flow, connection)
        data = as_added(flow.parent, datetime.now(UTC))
        data.state = JobState.WAITING_CHILDREN
        return plain_handle(self._services, data)

    async def cancel(self, job_id: str, reason: str = "cancelled by request") -> int:
        """Cancel a job and all below it that have not ended, parents first; return how many jobs.

        Each is cancelled by itself: an error halfway leaves those below as they were, and the call can be repeated.

        Raises:
            JobNotFoundError: there is no such job.
        """
        return await flows.cancel(self._services, job_id, reason)
