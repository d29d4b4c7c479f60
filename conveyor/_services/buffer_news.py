"""Who is told what happens in the buffers of this program: counts, listeners, and bounded streams."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

import anyio
from attrs import evolve

from conveyor.errors import ConfigurationError
from conveyor.model.buffers.news import BufferCounts, BufferEvent, BufferEventKind, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

__all__ = ["BUFFERED", "BufferEventStream", "BufferNews"]

BUFFERED: Final = 1000
_NOTHING: Final = BufferCounts()


class BufferEventStream:
    """Events of buffers as they come; iterate over it.

    Attributes:
        dropped: how many events went missing because nobody read them in time: the oldest of those that waited.
    """

    def __init__(self, limit: int) -> None:
        """Wait with so many at most."""
        self.dropped: int = 0
        self._events: deque[BufferEvent] = deque(maxlen=limit)
        self._arrived = anyio.Event()

    def put(self, event: BufferEvent) -> None:
        """Take an event."""
        self.dropped += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._arrived.set()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> BufferEvent:
        """Return the next event, and wait for it. It ends when its reader leaves the block."""
        while not self._events:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._events.popleft()


class BufferNews:
    """What happened so far, and who hears of what happens from now on."""

    def __init__(self, now: Callable[[], datetime], own_id: Callable[[str], str]) -> None:
        """Begin with nothing; `own_id` gives the id that the app gave to a buffer, for its whole one."""
        self._counts: dict[str, BufferCounts] = {}
        # Beside the others: it goes up with each job that is added, and a value made anew costs a tenth of an add.
        self._collected: dict[str, int] = {}
        self._now = now
        self._own_id = own_id
        self._streams: list[BufferEventStream] = []
        self._listeners: list[Callable[[BufferEvent], None]] = []

    @property
    def counts(self) -> dict[str, BufferCounts]:
        """What happened to each buffer of this program so far, by its whole id."""
        return {
            buffer_id: counted(self._counts.get(buffer_id, _NOTHING), BufferEventKind.COLLECTED, collected)
            for buffer_id, collected in (dict.fromkeys(self._counts, 0) | self._collected).items()
        }

    @property
    def added_count(self) -> int:
        """How many jobs all flushes of this program added to queues so far."""
        return sum(counts.added for counts in self._counts.values())

    def tell(
        self,
        kind: BufferEventKind,
        buffer_id: str,
        jobs: int,
        added: int = 0,
        *,
        merged: int = 0,
        dead_letters: int = 0,
        error: str = "",
    ) -> None:
        """Count an event, and hand it to every listener and every stream."""
        if kind is BufferEventKind.COLLECTED:
            self._collected[buffer_id] = self._collected.get(buffer_id, 0) + jobs
        else:
            counts = self._counts.get(buffer_id, _NOTHING)
            self._counts[buffer_id] = counted(counts, kind, jobs, added, merged=merged, dead_letters=dead_letters)
        if not self._streams and not self._listeners:
            return
        event = BufferEvent(kind, buffer_id, self._now(), jobs, added, merged, dead_letters, error)
        for heard in self._listeners:
            heard(event)
        event = evolve(event, buffer_id=self._own_id(buffer_id)) if self._streams else event
        for stream in self._streams:
            stream.put(event)

    @contextmanager
    def calling(self, heard: Callable[[BufferEvent], None]) -> Iterator[None]:
        """Call somebody with what happens from now on; see `BufferActivity.calling`."""
        self._listeners.append(heard)
        try:
            yield
        finally:
            self._listeners.remove(heard)

    @contextmanager
    def listening(self, limit: int) -> Iterator[BufferEventStream]:
        """Open a stream of what happens from now on, of which so many events wait at most.

        Raises:
            ConfigurationError: the limit is below one.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ConfigurationError(f"buffer must be a whole number of at least 1, got {limit!r}")
        stream = BufferEventStream(limit)
        self._streams.append(stream)
        try:
            yield stream
        finally:
            self._streams.remove(stream)
