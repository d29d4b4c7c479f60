"""What the verbs work with: one object per app, filled while the app is open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from conveyor._services.batches.strategies import BatchStrategies
from conveyor._services.buffers import Buffers
from conveyor._services.handlers import HandlerRegistry
from conveyor._services.heeding import Heeding
from conveyor._services.open_parts import OpenParts, required
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.schedules import Declaration
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.model.events import EventRecord
    from conveyor.model.job import Ending, JobData, NewJob
    from conveyor.model.retry import Curve

__all__ = ["Services", "WaitForJob", "WatchEvents"]


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


class Services(OpenParts):
    """The app's open parts, and an error that says what to do where they are not open.

    `middleware` and `payload_codec` are filled when the app opens: those that were given by name are looked up then.
    """

    def __init__(self) -> None:
        """Start closed."""
        super().__init__()
        self.handlers: HandlerRegistry = HandlerRegistry()
        self.curves: dict[str, Curve] = {}
        self.middleware: Sequence[Middleware] = ()
        self.declarations: dict[str, Declaration] = {}
        self.buffers: Buffers = Buffers()
        self.batches: BatchStrategies = BatchStrategies()
        # False where somebody only looks: what the code declares is then left as the store has it.
        self.is_declaring = True
        self.payload_codec: PayloadCodec | None = None
        self._state: object = _NO_STATE
        self._own_store: Store | None = None
        self._waiters: WaitForJob | None = None
        self._feeds: WatchEvents | None = None
        self._heeding: Heeding | None = None
        # How many workers of this app serve each queue.
        self.serving: Counter[str] = Counter()

    @property
    def waiters(self) -> WaitForJob:
        """Who waits for results."""
        return required(self._waiters)

    @property
    def feeds(self) -> WatchEvents:
        """Who watches the store's events."""
        return required(self._feeds)

    @property
    def state(self) -> Any:
        """What the app's lifespan gave."""
        if self._state is _NO_STATE:
            raise ConfigurationError("the app has no state: give it one, Conveyor(lifespan=...), and open the app")
        return self._state

    def provide_state(self, state: object) -> None:
        """Take what the app's lifespan gave, until the app is closed."""
        self._state = state

    def check_heeded(self, jobs: Sequence[NewJob]) -> None:
        """Raise CapabilityError where a job has an option that the job queue strategy does not heed."""
        required(self._heeding).check(jobs)

    @property
    def own_store(self) -> Store:
        """The app's own store, also where a job queue strategy keeps its jobs elsewhere."""
        return required(self._own_store)

    def open(
        self, store: Store, own_store: Store, job_queue: JobQueueStrategy, waiters: WaitForJob, feeds: WatchEvents
    ) -> None:
        """Note that the app is open; `store` is where its jobs are, or what stands in for it."""
        self._store, self._own_store, self._waiters, self._feeds = store, own_store, waiters, feeds
        self._open_job_queue(job_queue)
        self._heeding = Heeding(job_queue)

    def close(self) -> None:
        """Note that the app is closed."""
        self._store = self._own_store = self._waiters = self._feeds = self._heeding = None
        self._open_job_queue(None)
        self._state = _NO_STATE
        self._file_storage = None
        self.buffers.close()
