"""JobBufferStorageStrategy: where jobs wait that a buffer collected; the seed's contract, and what makes it safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor.contracts.strategy import Injector
    from conveyor.model.buffers.values import BufferPlace, BufferSize, FlushPlan, KeptJob
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = [
    "DeclaringBufferStorage",
    "EditableBufferStorage",
    "JobBufferStorageStrategy",
    "SearchableBufferStorage",
    "TransactionalBufferStorage",
]


@runtime_checkable
class JobBufferStorageStrategy(Protocol):
    """Keeps jobs by the id of their buffer. It is also an `InjectableStrategy`.

    These methods are all that a strategy must have. `flush` clears before anything is added, so a process that dies
    in between loses what it returned: core says so by name when the app opens. `TransactionalBufferStorage` has no
    such window.

    What cannot be added is put back by `add`, behind what came since; the next flush of the program that added the
    jobs reduces them in the order in which it did. Of jobs that other programs put there, core knows their number
    alone: `max_age` and `idle` count from when a worker first saw them, and their bytes count for nothing.
    """

    async def init(self, injector: Injector, /) -> None:
        """Open; see `InjectableStrategy.init`."""
        ...

    async def destroy(self) -> None:
        """Close; see `InjectableStrategy.destroy`."""
        ...

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        """Keep one job, after those that are there, and return it."""
        ...

    async def buffer_size(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, int]:
        """Return how many jobs there are in each of these buffers; None and none given mean all that have jobs."""
        ...

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        """Clear these buffers, and return what was in them, in the order in which it came; None and none mean all."""
        ...


@runtime_checkable
class DeclaringBufferStorage(JobBufferStorageStrategy, Protocol):
    """A strategy that says how long it keeps jobs; of others, core takes for granted that the process may stop."""

    @property
    def is_durable(self) -> bool:
        """Whether jobs are there after the process stopped; asked while the strategy is open."""
        ...


@runtime_checkable
class TransactionalBufferStorage(JobBufferStorageStrategy, Protocol):
    """A strategy of which a flush is one step: it takes, and commits what was reduced. See `BufferStore`.

    Where the queues are in the app's store, `commit` is all that adds the jobs of the plan. A strategy that keeps what
    is buffered elsewhere adds them to the store that the injector gives it, and removes what was taken after that: who
    dies in between leaves jobs that are added again, under the same ids. Where the queues are elsewhere, core adds to
    them first, and then commits a plan without jobs.
    """

    async def add_many(
        self, buffer_id: str, jobs: Sequence[NewJob], /, *, connection: object = None
    ) -> Sequence[AddReceipt]:
        """Keep several jobs in one step, inside the caller's transaction where a connection is given."""
        ...

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is that has jobs."""
        ...

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer; below 1 the limit takes none, and changes nothing.

        While `reduce` goes on, core asks again with the token, in time.
        """
        ...

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken and add what it was reduced to, in one step."""
        ...

    async def release(self, token: str, /) -> None:
        """Let others take what this token took."""
        ...

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return those of the jobs that are in a buffer or went into another job."""
        ...


@runtime_checkable
class EditableBufferStorage(JobBufferStorageStrategy, Protocol):
    """A strategy from which single jobs can be taken again; without it, core refuses that. See `BufferStore`."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job that is in a buffer as cancelled, and return it; None: it is in none."""
        ...

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job that is in a buffer; return whether it was there."""
        ...


@runtime_checkable
class SearchableBufferStorage(JobBufferStorageStrategy, Protocol):
    """A strategy that knows jobs by the beginning of their ids, as people type them; see `BufferStore`."""

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return the ids that begin so of jobs that are in a buffer or went into another job: the lowest, so many."""
        ...
