"""JobQueueStrategy: how jobs are persisted and reached; the seed's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt, JobFilter, Page
    from conveyor.model.settlement import Settlement

__all__ = [
    "BulkJobQueueStrategy",
    "CheckingJobQueueStrategy",
    "DeclaringJobQueueStrategy",
    "DeduplicatingJobQueueStrategy",
    "DeliveringJobQueueStrategy",
    "Delivery",
    "FlowJobQueueStrategy",
    "InspectableJobQueueStrategy",
    "JobQueueCapabilities",
    "JobQueueStrategy",
    "StoreBackedJobQueueStrategy",
    "TransactionalFlowJobQueueStrategy",
    "TransactionalJobQueueStrategy",
]


@frozen
class JobQueueCapabilities:
    """What a job queue strategy heeds of a job's options: the others are refused when a job is added.

    Those of a strategy that declares none are all False.

    Attributes:
        is_durable: a job whose add was acknowledged is there after the process died.
        is_shared: several processes may add to, and process, the same queues.
        has_unique_ids: another job under the id of one that is kept is DUPLICATE, and the same add again is ADDED.
        runs_at_once: a job runs while it is being added, with or without a worker.
        has_delays: `delay` and `run_at`; without it, what is retried is retried at once.
        has_retries: `attempts` above 1.
        has_priorities: `priority` and `lifo`.
        has_expiry: `expires`.
        has_schedules: schedules, which add jobs to the store that keeps the others.
    """

    is_durable: bool = False
    is_shared: bool = False
    has_unique_ids: bool = False
    runs_at_once: bool = False
    has_delays: bool = False
    has_retries: bool = False
    has_priorities: bool = False
    has_expiry: bool = False
    has_schedules: bool = False


class JobQueueStrategy(Protocol):
    """Takes jobs and has them processed. It is also an `InjectableStrategy`."""

    async def init(self, injector: Injector, /) -> None:
        """Open; see `InjectableStrategy.init`."""
        ...

    async def destroy(self) -> None:
        """Close; see `InjectableStrategy.destroy`."""
        ...

    async def add(self, job: NewJob, /) -> object:
        """Add one job; when it returns, the job will not be lost, as far as the strategy promises.

        An `AddReceipt` says what came of it: adding the same job again (same id, same content) answers ADDED and adds
        nothing; another job under the same id answers DUPLICATE. Anything else that is returned, such as nothing, or
        the job, says that it was added.
        """
        ...

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Begin to process the jobs of a queue. Starting it twice changes nothing."""
        ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """Take no further job from the queue; what is being processed goes on to its end.

        What was taken and has not begun is handed back: it is due at once elsewhere, with no attempt counted. Return
        the ids of those jobs. What comes of a fetch that is still under way is handed back, too, and not told.
        Stopping a queue that is not started changes nothing, and hands nothing back.
        """
        ...


@runtime_checkable
class BulkJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that adds several jobs at once; to others they are added one after another."""

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Add one job; see `JobQueueStrategy.add`."""
        ...

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add several jobs at once: all or none where the strategy can; answers in the order of the input."""
        ...


@runtime_checkable
class CheckingJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that can tell beforehand that it would refuse a job, such as one that is too large.

    It is asked before a buffer takes jobs: when the buffer is flushed, nobody is there to be told.
    """

    async def check(self, jobs: Sequence[NewJob], /) -> None:
        """Raise what `add` would raise for the first of these jobs that could never be added; add nothing.

        Raises:
            PayloadError, or another JobError.
        """
        ...


@runtime_checkable
class DeduplicatingJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that may heed `NewJob.deduplication`; without it, the option is refused."""

    @property
    def has_deduplication(self) -> bool:
        """Whether adds are deduplicated as `JobStore.save_jobs` says; asked while the strategy is open."""
        ...


@runtime_checkable
class TransactionalJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that can add inside its caller's own transaction; without it, ``connection=`` is refused."""

    async def add_many_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add several jobs inside the transaction of this connection; see `JobStore.save_jobs_in`."""
        ...


@runtime_checkable
class FlowJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that keeps flows; without it, they are refused."""

    async def add_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow, all or none; see `FlowStore.save_flow`."""
        ...

    async def add_children(self, parent_id: str, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add children to a job that is there; see `FlowStore.add_children`."""
        ...


@runtime_checkable
class DeclaringJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that heeds more of a job's options than the arguments of its handler."""

    @property
    def capabilities(self) -> JobQueueCapabilities:
        """What it heeds; asked while the strategy is open."""
        ...


@runtime_checkable
class StoreBackedJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that keeps its jobs in a store: whatever is asked of a job or a queue is asked there.

    It heeds every option that the store does. Without a store, `InspectableJobQueueStrategy` answers what it can,
    and the rest is refused with CapabilityError.
    """

    @property
    def store(self) -> Store:
        """The store, asked for while the strategy is open: the app's, or one of its own."""
        ...


@runtime_checkable
class InspectableJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy that can be looked into."""

    async def find_one(self, job_id: str, /) -> JobData | None:
        """Return a job by its id, or None."""
        ...

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, sorted and by pages as `InspectionStore.search_jobs` does."""
        ...

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        """Return the jobs of these ids, in the order of the ids; those that are not there are left out."""
        ...

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        """Remove completed, failed and cancelled jobs that ended longer ago than this; return how many.

        Args:
            queue_names: of these queues; an empty list means all.
            older_than: zero means all that ended.
        """
        ...

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a job as cancelled, as `JobStore.cancel_job` does, and return it.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...


class Delivery(Protocol):
    """One job that a message broker gave to this process, until it is settled, handed back, or lost.

    In the words of brokers `settle` acknowledges, and `hand_back` does so negatively. Every verb may
    raise StoreUnavailableError, after which core asks again: it can be repeated.
    """

    @property
    def job(self) -> JobData:
        """The job: active, with the attempts it made before, so far as the broker can tell. Core sets its token.

        Where its `stalled_count` says that workers died which had it, core runs it alone, and hands back what else is
        delivered meanwhile: so a delivery that was handed back is not to count as a stall.
        """
        ...

    async def settle(self, settlement: Settlement, /) -> None:
        """The job came to its end (COMPLETE, FAIL, GIVE_UP or STOP): it is never delivered again.

        What a broker keeps of ends, such as a dead letter, is written before.

        Raises:
            LockLostError: it is somebody else's by now; nothing was written.
        """
        ...

    async def hand_back(self, delay: timedelta, /, *, is_counted: bool) -> None:
        """Let it be delivered again after `delay`, to whoever asks.

        Args:
            delay: never above zero without `JobQueueCapabilities.has_delays`.
            is_counted: whether the run is an attempt: a retry is, a job handed back because its worker stops is not.

        Raises:
            LockLostError: it is somebody else's by now; nothing was changed.
        """
        ...

    async def extend(self) -> None:
        """Keep it for another `DeliveringJobQueueStrategy.lock_duration` from now.

        Raises:
            LockLostError: it is somebody else's by now.
        """
        ...


@runtime_checkable
class DeliveringJobQueueStrategy(JobQueueStrategy, Protocol):
    """A strategy over a message broker: it gives deliveries, and core does the rest.

    While a queue is started, core fetches as many deliveries as it has room for, runs them as any other job, with
    their timeouts, extends them, and settles them or hands them back. `JobQueueStrategy.start` makes the queue
    ready and is given a `process` that need not be called; `stop` ends its fetches with what they have.
    """

    @property
    def lock_duration(self) -> timedelta:
        """How long a delivery stays with this process unless it is extended; afterwards it goes to another."""
        ...

    async def fetch(self, queue_name: str, limit: int, /) -> Sequence[Delivery]:
        """Wait until the queue has a delivery, and return 1 to `limit` of them, in the broker's order.

        Empty only when the queue was stopped. Core has one fetch of a queue under way at a time. What a cancelled
        fetch had taken is handed back, or is delivered again once its time is over.

        Raises:
            StoreUnavailableError: the broker cannot be reached now; core asks again.
        """
        ...


@runtime_checkable
class TransactionalFlowJobQueueStrategy(FlowJobQueueStrategy, Protocol):
    """A strategy that can add flows inside its caller's own transaction; without it, ``connection=`` is refused."""

    async def add_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow inside the transaction of this connection; see `FlowStore.save_flow_in`."""
        ...
