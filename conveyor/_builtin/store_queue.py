"""The default job queue strategy: any store keeps the jobs, the app's worker runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import JobQueueProvider
from conveyor.contracts.runtime import WorkerHost
from conveyor.contracts.store import Store
from conveyor.errors import CapabilityError
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.store import FlowStore
    from conveyor.contracts.strategy import Injector
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["StoreJobQueue", "conveyor_job_queues"]


class StoreJobQueue:
    """A `JobQueueStrategy` over the app's store; starting a queue means fetching from it."""

    _injector: Injector
    _store: Store

    async def init(self, injector: Injector, /) -> None:
        """Take the store."""
        self._injector = injector
        self._store = injector.get(Store)

    async def destroy(self) -> None:
        """Close nothing: the store is the app's."""

    @property
    def has_deduplication(self) -> bool:
        """Whether the store deduplicates."""
        return self._store.capabilities.has_deduplication

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Save one job."""
        return await self._store.jobs.save_job(job)

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Save several jobs in one transaction."""
        return await self._store.jobs.save_jobs(jobs)

    async def add_many_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Save several jobs inside the caller's transaction."""
        return await self._store.jobs.save_jobs_in(connection, jobs)

    async def add_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Save the jobs of a flow in one transaction."""
        return await self._flows().save_flow(plan)

    async def add_children(self, parent_id: str, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Save children of a job that is there."""
        return await self._flows().add_children(parent_id, plan)

    def _flows(self) -> FlowStore:
        if self._store.flows is None:
            raise CapabilityError(self._store.name, "flows", "adding a flow")
        return self._store.flows

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Have the worker fetch from the queue; it settles by itself, so `process` is not called."""
        del process
        self._injector.get(WorkerHost).add_queue(queue_name)

    async def stop(self, queue_name: str, process: ProcessJob, /) -> None:
        """Have the worker fetch from the queue no more."""
        del process
        self._injector.get(WorkerHost).remove_queue(queue_name)


@hookimpl
def conveyor_job_queues() -> Sequence[JobQueueProvider]:
    """Offer the strategy under the name "store"."""
    return (JobQueueProvider(name="store", create=StoreJobQueue, contract_version=CONTRACT_VERSION),)
