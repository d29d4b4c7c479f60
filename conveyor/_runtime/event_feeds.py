"""Event feeds: one reader of the store's events for each queue that somebody in this program watches.

A feed watches the store for a while at a time, reads on after each hint, and in between, and hands what it reads to
the buffers of all streams. Nobody watches: no query. Readers of streams are not waited for.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.event_buffer import EventBuffer
from conveyor.errors import CapabilityError, ConfigurationError, StoreError, StoreUnavailableError
from conveyor.model.events import EventKind, EventRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.store import EventStore, Store
    from conveyor.model.events import Notification

__all__ = ["EventFeeds"]

logger: Final = logging.getLogger("conveyor.events")

# Not every event comes with a hint, so this is how late one may be.
POLL_SECONDS: Final = 0.1
OUTAGE_SECONDS: Final = 1.0
# Who dies while it watches costs its store something for so long.
WATCH: Final = timedelta(seconds=30)
RENEW_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 2.0


class EventFeeds:
    """All feeds of an app."""

    def __init__(self, store: Store, outage: Outage, clock: Clock) -> None:
        """Bind to a store."""
        self._store = store
        self._outage = outage
        self._clock = clock
        self._feeds: dict[str, _Feed] = {}
        self._opening = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup | None = None

    def notify(self, notification: Notification, /) -> None:
        """Hear a hint of the store."""
        for feed in self._feeds.values():
            feed.hear(notification.queue_name)

    @asynccontextmanager
    async def watch(
        self, queue_name: str, is_wanted: Callable[[EventRecord], bool], limit: int, /
    ) -> AsyncIterator[EventBuffer]:
        """Gather the events of a queue (all: an empty name) that are wanted, of what happens from now on.

        Raises:
            CapabilityError: the store records no events.
            StoreError: it cannot be asked to.
        """
        buffer = EventBuffer(is_wanted, limit)
        feed = await self._joined(queue_name, buffer)
        try:
            yield buffer
        finally:
            feed.buffers.remove(buffer)
            if not feed.buffers and self._feeds.get(queue_name) is feed:
                del self._feeds[queue_name]
                await feed.close()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep the tasks of the feeds until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    async def close(self) -> None:
        """Tell every reader that the app is closed, and the store that nobody watches any more."""
        feeds, self._feeds = list(self._feeds.values()), {}
        for feed in feeds:
            feed.end(ConfigurationError("the app was closed while its events were watched"))
            await feed.close()

    async def _joined(self, queue_name: str, buffer: EventBuffer) -> _Feed:
        events, tasks = self._store.events, self._tasks
        if events is None or tasks is None:
            raise CapabilityError(self._store.name, "events", "watching events")
        async with self._opening:
            feed = self._feeds.get(queue_name)
            if feed is None or feed.is_over:
                feed = _Feed(events, queue_name, self._outage, self._clock)
                await feed.begin()
                feed.buffers.append(buffer)
                self._feeds[queue_name] = feed
                tasks.start_soon(feed.run, name=f"conveyor event feed {queue_name}")
            else:
                await feed.join(buffer)
            return feed


class _Feed:
    """Reads the events of one queue, or of all."""

    def __init__(self, events: EventStore, queue_name: str, outage: Outage, clock: Clock) -> None:
        self.buffers: list[EventBuffer] = []
        self.is_over = False
        self._events = events
        self._queue_name = queue_name
        self._outage = outage
        self._clock = clock
        self._id = secrets.token_hex(16)
        self._cursor = ""
        self._renew_at = 0.0
        self._scope = anyio.CancelScope()
        self._wakeup = Wakeup()
        # The task of the feed and those who join it read in turn.
        self._reading = anyio.Lock()

    def hear(self, queue_name: str) -> None:
        """Read on at once if this concerns the queue."""
        if not queue_name or self._queue_name in ("", queue_name):
            self._wakeup.set()

    async def begin(self) -> None:
        """Watch from now on."""
        watch = await until_available(
            lambda: self._events.watch_events(self._id, self._queue_name, WATCH), "watch events", self._outage
        )
        self._cursor = watch.cursor
        self._renew_at = anyio.current_time() + RENEW_SECONDS

    async def join(self, buffer: EventBuffer) -> None:
        """Let one more read, from now on: what happened before goes to the others first."""
        async with self._reading:
            await self._read_on()
            self.buffers.append(buffer)

    def end(self, reason: Exception) -> None:
        """Tell every reader why nothing more comes."""
        self.is_over = True
        for buffer in self.buffers:
            buffer.end(reason)

    async def close(self) -> None:
        """Stop reading, and let the store record no more for this feed."""
        self.is_over = True
        self._scope.cancel()
        self._outage.forget(self)
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
            try:
                await self._events.unwatch_events(self._id)
            except StoreError as exc:
                logger.debug("could not end the watch of events, which ends by itself: %s", exc)

    async def run(self) -> None:
        """Read for ever, at most half of the time."""
        with self._scope:
            while not self.is_over:
                await self._wakeup.wait(POLL_SECONDS)
                started = anyio.current_time()
                try:
                    async with self._reading:
                        await self._renew()
                        await self._read_on()
                except StoreUnavailableError as exc:
                    self._outage.note_failure(self, "read events", exc)
                    await anyio.sleep(OUTAGE_SECONDS)
                except StoreError as exc:
                    # It concerns those who watch, not the app.
                    self.end(exc)
                else:
                    self._outage.note_success(self)
                    await anyio.sleep(min(POLL_SECONDS, anyio.current_time() - started))

    async def _renew(self) -> None:
        if anyio.current_time() < self._renew_at:
            return
        watch = await self._events.watch_events(self._id, self._queue_name, WATCH)
        self._renew_at = anyio.current_time() + RENEW_SECONDS
        if watch.is_new:
            # Nobody knows how many there were while the watch was over.
            self._hand_on(EventRecord(EventKind.LOST, self._clock.now(), self._queue_name))
        await self._events.prune_events()

    async def _read_on(self) -> None:
        while True:
            page = await self._events.read_events(self._queue_name, self._cursor)
            self._cursor = page.cursor
            if page.lost_count:
                self._hand_on(EventRecord(EventKind.LOST, self._clock.now(), self._queue_name, count=page.lost_count))
            for event in page.events:
                self._hand_on(event)
            if not page.events:
                return

    def _hand_on(self, event: EventRecord) -> None:
        for buffer in self.buffers:
            buffer.put(event)
