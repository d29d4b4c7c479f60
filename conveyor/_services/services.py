"""What the verbs work with: one object per app, filled while the app is open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from conveyor._services.buffers import Buffers
from conveyor._services.handlers import HandlerRegistry
from conveyor._services.heeding import Heeding, capabilities_of
from conveyor.contracts.job_queue import (
    DeduplicatingJobQueueStrategy,
    FlowJobQueueStrategy,
    TransactionalFlowJobQueueStrategy,
    TransactionalJobQueueStrategy,
)
from conveyor.errors import CapabilityError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.schedules import Declaration
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import FlowStore, InspectionStore, MetricsStore, ScheduleStore, Store
    from conveyor.model.events import EventRecord
    from conveyor.model.job import Ending, JobData, NewJob
    from conveyor.model.retry import Curve

__all__ = ["Services", "WaitForJob", "WatchEvents"]


T = TypeVar("T")

# A lifespan may give None.
_NO_STATE: Final = object()


class WaitForJob(Protocol):
    """Waits for a job to settle."""

    async def wait(self, job_id: str, /) -> JobData | Ending:
        """Return the job once it has settled, or how it ended; raises JobNotFoundError where there is none."""
        ...


class WatchEvents(Protocol):
    """Watches the store's events on behalf of many."""

    def watch(
        self, queue_name: str, is_wanted: Callable[[EventRecord], bool], limit: int, /
    ) -> AbstractAsyncContextManager[EventBuffer]:
        """Gather the events of a queue, or of all, that are wanted, for as long as the context is open."""
        ...


class Services:
    """The app's open parts, and an error that says what to do where they are not open.

    `middleware` and `payload_codec` are filled when the app opens: those that were given by name are looked up then.
    """

    def __init__(self) -> None:
        """Start closed."""
        self.handlers: HandlerRegistry = HandlerRegistry()
        self.curves: dict[str, Curve] = {}
        self.middleware: Sequence[Middleware] = ()
        self.declarations: dict[str, Declaration] = {}
        self.buffers: Buffers = Buffers()
        # False where somebody only looks: what the code declares is then left as the store has it.
        self.is_declaring = True
        self.payload_codec: PayloadCodec | None = None
        self._state: object = _NO_STATE
        self._store: Store | None = None
        self._job_queue: JobQueueStrategy | None = None
        self._waiters: WaitForJob | None = None
        self._feeds: WatchEvents | None = None
        self._heeding: Heeding | None = None
        # How many workers of this app serve each queue.
        self.serving: Counter[str] = Counter()

    @property
    def store(self) -> Store:
        """The open store."""
        return _opened(self._store)

    @property
    def job_queue(self) -> JobQueueStrategy:
        """The open job queue strategy."""
        return _opened(self._job_queue)

    @property
    def waiters(self) -> WaitForJob:
        """Who waits for results."""
        return _opened(self._waiters)

    @property
    def feeds(self) -> WatchEvents:
        """Who watches the store's events."""
        return _opened(self._feeds)

    @property
    def state(self) -> Any:
        """What the app's lifespan gave."""
        if self._state is _NO_STATE:
            raise ConfigurationError("the app has no state: give it one, Conveyor(lifespan=...), and open the app")
        return self._state

    def provide_state(self, state: object) -> None:
        """Take what the app's lifespan gave, until the app is closed."""
        self._state = state

    @property
    def is_open(self) -> bool:
        """Whether the app is open."""
        return self._store is not None

    def inspection(self, needed_by: str) -> InspectionStore:
        """Return the store's inspection facet.

        Raises:
            CapabilityError: the store has none.
        """
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

    def metrics(self, needed_by: str) -> MetricsStore:
        """Return the store's metrics facet.

        Raises:
            CapabilityError: the store has none.
        """
        return self._facet(self.store.metrics, "metrics", needed_by)

    def _facet(self, facet: T | None, name: str, needed_by: str) -> T:
        if facet is None:
            raise CapabilityError(self.store.name, name, needed_by)
        return facet

    def flow_queue(self, needed_by: str) -> FlowJobQueueStrategy:
        """Return the job queue strategy as one that keeps flows.

        Raises:
            CapabilityError: it does not, or the store has no flows.
        """
        job_queue = self.job_queue
        if not isinstance(job_queue, FlowJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "flows", needed_by, kind="job queue")
        self.flows(needed_by)
        return job_queue

    def transactional_queue(self, needed_by: str) -> TransactionalJobQueueStrategy:
        """Return the job queue strategy as one that adds inside its callers' transactions.

        Raises:
            CapabilityError: it does not, or the store has no transactions.
        """
        job_queue = self.job_queue
        if not isinstance(job_queue, TransactionalJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "transactions", needed_by, kind="job queue")
        if not self.store.capabilities.has_transactions:
            raise CapabilityError(self.store.name, "transactions", needed_by)
        return job_queue

    def transactional_flow_queue(self, needed_by: str) -> TransactionalFlowJobQueueStrategy:
        """Return the job queue strategy as one that adds flows inside its callers' transactions.

        Raises:
            CapabilityError: it does not, or the store has no transactions.
        """
        job_queue = self.transactional_queue(needed_by)
        if not isinstance(job_queue, TransactionalFlowJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "flows in transactions", needed_by)
        return job_queue

    def check_deduplication(self) -> None:
        """Raise CapabilityError where the job queue strategy, or the store, does not deduplicate."""
        job_queue = self.job_queue
        if not isinstance(job_queue, DeduplicatingJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "deduplication", "deduplication=", kind="job queue")
        if not job_queue.has_deduplication:
            raise CapabilityError(self.store.name, "deduplication", "deduplication=")

    def check_heeded(self, jobs: Sequence[NewJob]) -> None:
        """Raise CapabilityError where a job has an option that the job queue strategy does not heed."""
        _opened(self._heeding).check(jobs)

    def open(self, store: Store, job_queue: JobQueueStrategy, waiters: WaitForJob, feeds: WatchEvents) -> None:
        """Note that the app is open; `store` is where its jobs are, or what stands in for it."""
        self._store, self._job_queue, self._waiters, self._feeds = store, job_queue, waiters, feeds
        self._heeding = Heeding(job_queue)

    def close(self) -> None:
        """Note that the app is closed."""
        self._store = self._job_queue = self._waiters = self._feeds = self._heeding = None
        self._state = _NO_STATE
        self.buffers.close()


def _opened(part: T | None) -> T:
    if part is None:
        raise ConfigurationError("the app is not open: use it inside `async with app:`")
    return part
