"""The events facet of the memory store: who watches which queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.memory.records import later
from conveyor.model.events import EVENTS_KEPT_FOR, EventPage, EventWatch

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.tables import Tables

__all__ = ["MemoryEvents"]


class MemoryEvents:
    """What happens, while somebody watches. See `conveyor.contracts.store.events`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._watchers: dict[str, tuple[str, datetime]] = {}

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        """Record the events of a queue, or of all, for so long."""
        now = self._tables.now()
        known = self._watchers.get(watcher_id)
        is_new = known is None or known[1] <= now
        self._watchers[watcher_id] = (queue_name, later(now, duration))
        self._apply()
        return EventWatch(str(self._tables.log.last), is_new)

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        """Return recorded events after a cursor."""
        return self._tables.log.read(queue_name, int(cursor), max(limit, 0))

    async def unwatch_events(self, watcher_id: str, /) -> None:
        """Record no more for this watcher."""
        self._watchers.pop(watcher_id, None)
        self._apply()

    async def prune_events(self) -> int:
        """Forget watchers that are gone and events that are old."""
        now = self._tables.now()
        self._watchers = {known: watch for known, watch in self._watchers.items() if watch[1] > now}
        self._apply()
        log = self._tables.log
        return log.forget_old(now - EVENTS_KEPT_FOR) if self._watchers else log.forget_all()

    def _apply(self) -> None:
        """Let those queues write down what happens that somebody watches, and no others."""
        self._tables.watch({queue_name for queue_name, _ in self._watchers.values()})
