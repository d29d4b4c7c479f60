"""Open parts: the app's store and job queue, and what each must be able to do where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from attrs import frozen

from conveyor._services.elsewhere import ELSEWHERE_ADVICE, ElsewhereStore
from conveyor._services.heeding import capabilities_of
from conveyor.contracts.job_queue import (
    BulkJobQueueStrategy,
    CheckingJobQueueStrategy,
    DeduplicatingJobQueueStrategy,
    FlowJobQueueStrategy,
    TransactionalFlowJobQueueStrategy,
    TransactionalJobQueueStrategy,
)
from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.queries import AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.store import (
        BatchPartStore,
        BatchStore,
        FlowStore,
        InspectionStore,
        MetricsStore,
        ScheduleStore,
        Store,
    )
    from conveyor.model.job import NewJob

__all__ = ["AddsJobs", "OpenParts", "required"]

T = TypeVar("T")


@frozen
class _QueueKinds:
    """The open job queue strategy as each protocol that it keeps; None: it does not.

    Asked once: to find out whether an object keeps a protocol may take longer than an add.
    """

    flows: FlowJobQueueStrategy | None
    transactions: TransactionalJobQueueStrategy | None
    flows_in_transactions: TransactionalFlowJobQueueStrategy | None
    checking: CheckingJobQueueStrategy | None


def _kinds_of(job_queue: JobQueueStrategy) -> _QueueKinds:
    return _QueueKinds(
        job_queue if isinstance(job_queue, FlowJobQueueStrategy) else None,
        job_queue if isinstance(job_queue, TransactionalJobQueueStrategy) else None,
        job_queue if isinstance(job_queue, TransactionalFlowJobQueueStrategy) else None,
        job_queue if isinstance(job_queue, CheckingJobQueueStrategy) else None,
    )


class AddsJobs(Protocol):
    """Adds one job, or several at once."""

    async def add(self, job: NewJob, /) -> AddReceipt: ...

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]: ...


class _OneByOne:
    """Adds to a strategy that takes one job at a time."""

    def __init__(self, strategy: JobQueueStrategy) -> None:
        """Bind to the strategy."""
        self._strategy = strategy

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Add one job; see `JobQueueStrategy.add`."""
        answer = await self._strategy.add(job)
        return answer if isinstance(answer, AddReceipt) else AddReceipt(job.id)

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add each; where one cannot be added, those before it were."""
        return [await self.add(job) for job in jobs]


def _adding_to(job_queue: JobQueueStrategy) -> AddsJobs:
    if isinstance(job_queue, BulkJobQueueStrategy):
        return job_queue
    return _OneByOne(job_queue)


class OpenParts:
    """The store and the job queue of an app that is open, and their facets: a missing one is a CapabilityError."""

    def __init__(self) -> None:
        """Start closed."""
        self._store: Store | None = None
        self._job_queue: JobQueueStrategy | None = None
        self._adding: AddsJobs | None = None
        self._kinds: _QueueKinds | None = None
        self._file_storage: FileStorage | None = None
        self._deduplicating: JobQueueStrategy | None = None

    @property
    def store(self) -> Store:
        """The open store."""
        return required(self._store)

    @property
    def job_queue(self) -> JobQueueStrategy:
        """The open job queue strategy."""
        return required(self._job_queue)

    @property
    def adding(self) -> AddsJobs:
        """What adds to the open job queue strategy, one job or several."""
        return required(self._adding)

    async def check_addable(self, jobs: Sequence[NewJob]) -> None:
        """Raise what an add would raise for a job that the strategy could never take, where it can tell."""
        checking = required(self._kinds).checking
        if checking is not None:
            await checking.check(jobs)

    def _open_job_queue(self, job_queue: JobQueueStrategy | None) -> None:
        """Take the open strategy; None: it is closed."""
        self._job_queue = job_queue
        self._adding = None if job_queue is None else _adding_to(job_queue)
        self._kinds = None if job_queue is None else _kinds_of(job_queue)

    @property
    def file_storage(self) -> FileStorage:
        """The open file storage."""
        return required(self._file_storage)

    @file_storage.setter
    def file_storage(self, opened: FileStorage) -> None:
        self._file_storage = opened

    @property
    def is_open(self) -> bool:
        """Whether the app is open."""
        return self._store is not None

    def inspection(self, needed_by: str, *, is_grouping: bool = False) -> InspectionStore:
        """Return the store's inspection facet, as one that groups failed jobs where that is needed.

        Raises:
            CapabilityError: the store has none, or does not group them.
        """
        if is_grouping and not self.store.capabilities.has_error_groups:
            raise self._store_lacks("error groups", needed_by)
        return self._facet(self.store.inspection, "inspection", needed_by)

    def schedules(self, needed_by: str) -> ScheduleStore:
        """Return the store's schedules facet.

        Raises:
            CapabilityError: the store has none, or its schedules add nothing to the job queue.
        """
        job_queue = self.job_queue
        if not capabilities_of(job_queue).has_schedules:
            raise CapabilityError(type(job_queue).__name__, "has_schedules", needed_by, kind="job queue")
        return self._facet(self.store.schedules, "schedules", needed_by)

    def flows(self, needed_by: str) -> FlowStore:
        """Return the store's flows facet.

        Raises:
            CapabilityError: the store has none.
        """
        return self._facet(self.store.flows, "flows", needed_by)

    def batch_store(self, needed_by: str) -> BatchStore:
        """Return the store's batches facet.

        Raises:
            CapabilityError: the store has none.
        """
        return self._facet(self.store.batches, "batches", needed_by)

    def batch_part_store(self, needed_by: str) -> BatchPartStore:
        """Return the store's batch parts facet.

        Raises:
            CapabilityError: the store has none.
        """
        return self._facet(self.store.batch_parts, "batch_parts", needed_by)

    def metrics(self, needed_by: str) -> MetricsStore:
        """Return the store's metrics facet.

        Raises:
            CapabilityError: the store has none.
        """
        return self._facet(self.store.metrics, "metrics", needed_by)

    def _facet(self, facet: T | None, name: str, needed_by: str) -> T:
        if facet is None:
            raise self._store_lacks(name, needed_by)
        return facet

    def _store_lacks(self, capability: str, needed_by: str) -> CapabilityError:
        # What stands in for the store of jobs that are elsewhere has the name of their job queue.
        if isinstance(self.store, ElsewhereStore):
            return CapabilityError(self.store.name, capability, needed_by, kind="job queue", advice=ELSEWHERE_ADVICE)
        return CapabilityError(self.store.name, capability, needed_by)

    def flow_queue(self, needed_by: str) -> FlowJobQueueStrategy:
        """Return the job queue strategy as one that keeps flows.

        Raises:
            CapabilityError: it does not, or the store has no flows.
        """
        job_queue = required(self._kinds).flows
        if job_queue is None:
            raise self._lacks("flows", needed_by)
        self.flows(needed_by)
        return job_queue

    def transactional_queue(self, needed_by: str) -> TransactionalJobQueueStrategy:
        """Return the job queue strategy as one that adds inside its callers' transactions.

        Raises:
            CapabilityError: it does not, or the store has no transactions.
        """
        job_queue = required(self._kinds).transactions
        if job_queue is None:
            raise self._lacks("transactions", needed_by)
        if not self.store.capabilities.has_transactions:
            raise CapabilityError(self.store.name, "transactions", needed_by)
        return job_queue

    def transactional_flow_queue(self, needed_by: str) -> TransactionalFlowJobQueueStrategy:
        """Return the job queue strategy as one that adds flows inside its callers' transactions.

        Raises:
            CapabilityError: it does not, or the store has no transactions.
        """
        self.transactional_queue(needed_by)
        job_queue = required(self._kinds).flows_in_transactions
        if job_queue is None:
            raise self._lacks("flows in transactions", needed_by)
        return job_queue

    def _lacks(self, capability: str, needed_by: str) -> CapabilityError:
        return CapabilityError(type(self.job_queue).__name__, capability, needed_by, kind="job queue")

    def check_deduplication(self) -> None:
        """Raise CapabilityError where the job queue strategy, or the store, does not deduplicate."""
        job_queue = self.job_queue
        # Asked with each add: to find out whether an object keeps a protocol takes longer than the add itself.
        if job_queue is self._deduplicating:
            return
        if not isinstance(job_queue, DeduplicatingJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "deduplication", "deduplication=", kind="job queue")
        if not job_queue.has_deduplication:
            raise CapabilityError(self.store.name, "deduplication", "deduplication=")
        self._deduplicating = job_queue


def required(part: T | None) -> T:
    """Return a part of the app; raises ConfigurationError where the app is not open, and there is none."""
    if part is None:
        raise ConfigurationError("the app is not open: use it inside `async with app:`")
    return part
