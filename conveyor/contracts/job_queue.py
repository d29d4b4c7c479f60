"""JobQueueStrategy: how jobs are persisted and reached; the seed's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = [
    "DeduplicatingJobQueueStrategy",
    "FlowJobQueueStrategy",
    "JobQueueStrategy",
    "TransactionalJobQueueStrategy",
]


class JobQueueStrategy(Protocol):
    """Takes jobs and has them processed. It is also an `InjectableStrategy`."""

    async def init(self, injector: Injector, /) -> None:
        """Open; see `InjectableStrategy.init`."""
        ...

    async def destroy(self) -> None:
        """Close; see `InjectableStrategy.destroy`."""
        ...

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Add one job; when it returns, the job will not be lost, as far as the strategy promises.

        Adding the same job again (same id, same content) answers ADDED and adds nothing; another job under
        the same id answers DUPLICATE.
        """
        ...

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add several jobs at once: all or none where the strategy can; answers in the order of the input."""
        ...

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Begin to process the jobs of a queue. Starting it twice changes nothing."""
        ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> None:
        """Take no further job from the queue; what is being processed goes on to its end."""
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
