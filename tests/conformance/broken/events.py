"""Faults in what is recorded for those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.events import MemoryEvents
from conveyor.model.events import EventKind, EventPage, EventWatch

if TYPE_CHECKING:
    from datetime import timedelta


class ThePastIsRead(MemoryEvents):
    """Gives a new watcher what was recorded for others, too."""

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        watch = await super().watch_events(watcher_id, queue_name, duration)
        return EventWatch("0", watch.is_new)


class OtherQueuesRead(MemoryEvents):
    """Gives everybody everything."""

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        return await super().read_events("", cursor, limit=limit)

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        return await super().watch_events(watcher_id, "", duration)


class ResultsLeftOut(MemoryEvents):
    """Says that a job completed, and not with what."""

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        page = await super().read_events(queue_name, cursor, limit=limit)
        return page._replace(events=[evolve(event, result=None) for event in page.events])


class PagesOverlap(MemoryEvents):
    """Gives the last event of a page once more."""

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        page = await super().read_events(queue_name, cursor, limit=limit)
        return page._replace(cursor=str(int(page.cursor) - 1)) if len(page.events) == limit else page


class EndsBeforeRemovalsForgotten(MemoryEvents):
    """Says that a job is gone, and not how it had ended."""

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        page = await super().read_events(queue_name, cursor, limit=limit)
        gone = {event.job_id for event in page.events if event.kind is EventKind.REMOVED}
        kept = [event for event in page.events if event.kind is not EventKind.COMPLETED or event.job_id not in gone]
        return page._replace(events=kept)


class WatchersStayForEver(MemoryEvents):
    """Records for ever for somebody who is gone."""

    async def prune_events(self) -> int:
        return 0


class PrunedTooSoon(MemoryEvents):
    """Forgets what nobody could have read yet."""

    async def prune_events(self) -> int:
        return self._tables.log.forget_all()
