"""Events, as they are handed to users: one event, the stream of them, and one job as it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import anyio
from attrs import asdict, frozen

from conveyor._services import jobs
from conveyor._services.sealing import opened_at
from conveyor.codec import decode_json
from conveyor.model.payload import PayloadPlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from conveyor._services.buffered_jobs import FoundJob
    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.services import Services
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.events import EventKind, EventRecord
    from conveyor.model.job import ErrorInfo, JobData, Progress

__all__ = ["Event", "EventStream", "Observation"]

T = TypeVar("T")

# Who observes a job looks at it so often in spite of hearing nothing.
LOOK_SECONDS: Final = 5.0
# One in a buffer is looked at more often: nothing tells that it was merged into another.
LOOK_IN_BUFFER_SECONDS: Final = 1.0


@frozen
class Event:
    """Something that happened to a job, to a queue, or (LOST) to the stream itself.

    Attributes:
        record: the event as the store has it.
    """

    record: EventRecord
    _codec: PayloadCodec | None = None

    @property
    def kind(self) -> EventKind:
        """What happened."""
        return self.record.kind

    @property
    def at(self) -> datetime:
        """When, by the store's clock."""
        return self.record.at

    @property
    def queue_name(self) -> str:
        """In which queue; empty for LOST where it concerns all."""
        return self.record.queue_name

    @property
    def job_id(self) -> str:
        """To which job; empty where it concerns a queue."""
        return self.record.job_id

    @property
    def job_name(self) -> str:
        """The name of the job's handler; of PAUSED and RESUMED, the name that was, empty for the whole queue."""
        return self.record.job_name

    @property
    def progress(self) -> Progress | None:
        """How far the job is, of PROGRESS."""
        return self.record.progress

    @property
    def result(self) -> Any:
        """What the handler returned, of COMPLETED, as JSON-like values.

        Raises:
            PayloadError: it is encrypted, and this app has no key for it.
        """
        record = self.record
        if record.result is None:
            return None
        place = PayloadPlace("result", record.job_id, record.queue_name, record.job_name)
        opened = opened_at(self._codec, record.result, place)
        return None if opened is None else decode_json(opened)

    @property
    def error(self) -> ErrorInfo | None:
        """Why, of FAILED, CANCELLED and RETRIED."""
        return self.record.error

    @property
    def count(self) -> int:
        """How many events are missing, of LOST (0: nobody knows); how many jobs were removed, of DRAINED."""
        return self.record.count

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-like values; what does not apply to its kind is left out.

        Raises:
            PayloadError: as `result` does.
        """
        error, progress = self.error, self.progress
        known = {
            "kind": str(self.kind),
            "at": self.at.isoformat(),
            "queue_name": self.queue_name,
            "job_id": self.job_id,
            "job_name": self.job_name,
            "progress": None if progress is None else asdict(progress),
            "error": None if error is None else asdict(error),
            "count": self.count,
        }
        shown = {name: value for name, value in known.items() if value not in (None, "", 0)}
        return shown if self.record.result is None else {**shown, "result": self.result}


class EventStream:
    """What happens, as an async iterator. It never ends by itself."""

    def __init__(self, buffer: EventBuffer, codec: PayloadCodec | None) -> None:
        """Bind to a buffer; ``app.events()``, ``queue.events()`` and ``job.events()`` do."""
        self._buffer = buffer
        self._codec = codec

    @property
    def dropped(self) -> int:
        """How many events are missing so far, because this reader was too slow; each gap is a LOST in the stream."""
        return self._buffer.dropped

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event, or wait for one.

        Raises:
            ConfigurationError: the app was closed meanwhile.
            StoreError: the store cannot be read, in a way that does not pass by itself.
        """
        return Event(await self._buffer.take(), self._codec)


class Observation(Generic[T]):
    """One job as it changes, as an async iterator: first as it is, last as it ended; steps between may be left out."""

    def __init__(
        self,
        services: Services,
        known: JobData,
        buffer: EventBuffer,
        *,
        heard: set[str],
        accept: Callable[[FoundJob], T],
    ) -> None:
        """Bind to a buffer of the job's events; ``job.observe()`` and ``queue.observe(id)`` do.

        `heard` are the ids of the jobs whose events come there: a job that is merged has the events of another.
        """
        self._services = services
        self._known = known
        self._look_seconds = LOOK_SECONDS
        self._heard = heard
        self._buffer = buffer
        self._accept = accept
        self._is_begun = False

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Return the job once it is another than before.

        Raises:
            JobNotFoundError: somebody removed it.
            ConfigurationError: the app was closed meanwhile.
            StoreError: the store cannot be read.
        """
        before = self._known
        if self._is_begun and before.state.is_settled:
            raise StopAsyncIteration
        while True:
            if self._is_begun:
                with anyio.move_on_after(self._look_seconds):
                    await self._buffer.take()
            # What happened until here is seen by looking.
            self._buffer.clear()
            found = await jobs.look(self._services, before)
            self._known = found.data
            self._heard.add(found.data.id)
            self._look_seconds = LOOK_SECONDS if found.buffer_id is None else LOOK_IN_BUFFER_SECONDS
            if not self._is_begun or self._known != before:
                self._is_begun = True
                return self._accept(found)
