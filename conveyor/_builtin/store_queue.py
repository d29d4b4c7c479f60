"""The default job queue strategy: any store keeps the jobs, the app's worker runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.contracts.capabilities import CONTRACT_VERSION, Durability
from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.contracts.providers import BufferStorageProvider, JobQueueProvider
from conveyor.contracts.runtime import WorkerHost
from conveyor.contracts.store import Store
from conveyor.errors import CapabilityError
from conveyor.hookspecs import hookimpl
from conveyor.model.states import SETTLED_STATES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.store import FlowStore, InspectionStore
    from conveyor.contracts.strategy import Injector
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt, JobFilter, Page
    from conveyor.model.states import JobState

__all__ = ["StoreJobQueue", "conveyor_buffer_storages", "conveyor_job_queues"]

# How many settled jobs are removed in one transaction.
CHUNK: Final = 1000


class StoreJobQueue:
    """A `JobQueueStrategy` over the app's store; starting a queue means fetching from it.

    It is all of the other protocols, too, so far as the store is.
    """

    _injector: Injector
    _store: Store

    async def init(self, injector: Injector, /) -> None:
        """Take the store."""
        self._injector = injector
        self._store = injector.get(Store)

    async def destroy(self) -> None:
        """Close nothing: the store is the app's."""

    @property
    def store(self) -> Store:
        """The app's."""
        return self._store

    @property
    def capabilities(self) -> JobQueueCapabilities:
        """Whatever any store can."""
        return JobQueueCapabilities(
            is_durable=self._store.guarantees.add is not Durability.NOTHING,
            is_shared=self._store.capabilities.is_shared,
            has_unique_ids=True,
            has_delays=True,
            has_retries=True,
            has_priorities=True,
            has_expiry=True,
            has_schedules=True,
        )

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

    async def add_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Save the jobs of a flow inside the caller's transaction."""
        return await self._flows().save_flow_in(connection, plan)

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

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """Have the worker fetch from the queue no more, and hand back what it has of it that does not run."""
        del process
        return self._injector.get(WorkerHost).remove_queue(queue_name)

    async def find_one(self, job_id: str, /) -> JobData | None:
        """Return a job."""
        return await self._store.jobs.find_job(job_id)

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Search the store."""
        inspection = self._inspection("find_many")
        return await inspection.search_jobs(wanted, cursor=cursor, limit=limit, oldest_first=oldest_first)

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        """Return those that there are."""
        found = await self._store.jobs.find_jobs(job_ids)
        return [found[job_id] for job_id in job_ids if job_id in found]

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        """Clean the queues in chunks, one state after another."""
        if not queue_names:
            queue_names = [queue.name for queue in await self._inspection("remove_settled_jobs").list_queues()]
        return sum([await self._clean(name, state, older_than) for name in queue_names for state in SETTLED_STATES])

    async def _clean(self, queue_name: str, state: JobState, older_than: timedelta) -> int:
        total = 0
        while True:
            count = await self._store.queues.clean(queue_name, state, older_than, limit=CHUNK)
            total += count
            if count < CHUNK:
                return total

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """Cancel a job of the store."""
        return await self._store.jobs.cancel_job(job_id, reason)

    def _inspection(self, needed_by: str) -> InspectionStore:
        if self._store.inspection is None:
            raise CapabilityError(self._store.name, "inspection", needed_by)
        return self._store.inspection


@hookimpl
def conveyor_job_queues() -> Sequence[JobQueueProvider]:
    """Offer the strategy under the name "store"."""
    return (JobQueueProvider(name="store", create=StoreJobQueue, contract_version=CONTRACT_VERSION),)


@hookimpl
def conveyor_buffer_storages() -> Sequence[BufferStorageProvider]:
    """Offer the buffer storage over the app's store under the same name."""
    return (BufferStorageProvider(name="store", create=_make_buffer_storage, contract_version=CONTRACT_VERSION),)


def _make_buffer_storage() -> JobBufferStorageStrategy:
    from conveyor._builtin.store_buffer import StoreBufferStorage

    return StoreBufferStorage()
