"""The buffer of one event stream: bounded, so that a slow reader holds up nobody; what it drops, it counts."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

from conveyor.model.events import EventKind, EventRecord

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventBuffer"]


class EventBuffer:
    """Events that were not read yet, oldest first. Beyond `limit` the oldest go, and a LOST takes their place.

    Attributes:
        dropped: how many events went missing so far, here or before they came here.
    """

    def __init__(self, is_wanted: Callable[[EventRecord], bool], limit: int) -> None:
        self.dropped: int = 0
        self._is_wanted = is_wanted
        self._limit = limit
        self._events: deque[EventRecord] = deque()
        # What is missing before the first event that is there.
        self._gap: EventRecord | None = None
        self._end: Exception | None = None
        self._arrived = anyio.Event()

    def put(self, event: EventRecord) -> None:
        """Take an event if it is wanted."""
        if event.kind is EventKind.LOST:
            self.dropped += event.count
        elif not self._is_wanted(event):
            return
        if len(self._events) >= self._limit:
            self._drop(self._events.popleft())
        self._events.append(event)
        self._arrived.set()

    def end(self, reason: Exception) -> None:
        """Let the reader be told, after what is there, why nothing more comes."""
        self._end = reason
        self._arrived.set()

    async def take(self) -> EventRecord:
        """Return the next event; wait for it. A cancelled wait loses nothing.

        Raises:
            Exception: the reason that `end` was given.
        """
        while self._gap is None and not self._events:
            if self._end is not None:
                raise self._end
            self._arrived = anyio.Event()
            await self._arrived.wait()
        gap, self._gap = self._gap, None
        return self._events.popleft() if gap is None else gap

    def clear(self) -> None:
        """Forget what is there, for who wants to know only that something happened."""
        self._events.clear()
        self._gap = None

    def _drop(self, event: EventRecord) -> None:
        is_loss = event.kind is EventKind.LOST
        self.dropped += 0 if is_loss else 1
        count = (0 if self._gap is None else self._gap.count) + (event.count if is_loss else 1)
        self._gap = EventRecord(EventKind.LOST, event.at, event.queue_name, count=count)
