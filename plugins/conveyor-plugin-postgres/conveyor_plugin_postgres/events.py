"""The events facet of the PostgreSQL store: written while somebody watches, and read in the order of the commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from conveyor.codec import decode_error, decode_progress
from conveyor.model.events import EVENTS_KEPT, EVENTS_KEPT_FOR, EventKind, EventPage, EventRecord, EventWatch
from conveyor_plugin_postgres.rows import interval

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["PostgresEvents", "note_of_queue"]

# A transaction of a caller may be open for long; who begins to watch waits for it no longer than this.
LONGEST_WAIT_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.005
_WITH_ERROR: Final = (EventKind.FAILED, EventKind.CANCELLED, EventKind.RETRIED)


class _Cursor(NamedTuple):
    """Where a reader stands, as text without spaces in its parts.

    Numbers are given out before the commit, so a higher one may be read first. What was read is therefore told by a
    snapshot: `since` sees it all. A page that was full goes on up to the snapshot `until`, after the number `after`.
    `highest` is the highest number that was read.
    """

    since: str
    until: str = ""
    after: int = 0
    highest: int = 0

    @classmethod
    def parsed(cls, text: str) -> _Cursor:
        since, until, after, highest = text.split(" ")
        return cls(since, until, int(after), int(highest))

    def __str__(self) -> str:
        return f"{self.since} {self.until} {self.after} {self.highest}"


class PostgresEvents:
    """What happens, while somebody watches. See `conveyor.contracts.store.events`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        """Record the events of a queue, or of all, for so long."""
        is_known = await self._database.write_one(_watch, watcher_id, queue_name, duration)
        # Only now, after the commit: whoever looks for watchers from here on finds this one.
        cursor = await self._database.read(_begin, is_known)
        return EventWatch(str(cursor), not is_known)

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        """Return recorded events after a cursor."""
        return await self._database.read(_read_events, queue_name, _Cursor.parsed(cursor), max(limit, 0))

    async def unwatch_events(self, watcher_id: str, /) -> None:
        """Record no more for this watcher."""
        await self._database.write_one(_unwatch, watcher_id)

    async def prune_events(self) -> int:
        """Forget watchers that are gone and events that are old; without watchers, everything."""
        return await self._database.write_one(_prune)


async def note_of_queue(part: Part, kind: EventKind, queue_name: str, *, job_name: str = "", count: int = 0) -> None:
    """Write down what happened to a queue, if somebody watches it."""
    await part.execute("events/watch_events_of_queue", kind.value, queue_name, job_name, count)


async def _watch(part: Part, watcher_id: str, queue_name: str, duration: timedelta) -> bool:
    known: bool = await part.fetchval("events/watch_events", watcher_id, queue_name, interval(duration), part.moment)
    return known


async def _begin(part: Part, is_known: bool) -> _Cursor:
    if not is_known:
        await _outlast_writers(part)
    [(committed, highest)] = await part.fetch("events/watch_events_snapshot")
    return _Cursor(committed, highest=highest)


async def _outlast_writers(part: Part) -> None:
    """Wait for those who looked for watchers before there was this one; what they do is not written down."""
    # Looking takes a lock that stands until the end of the transaction, so they can be told.
    deadline = asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS
    before = await _writers(part)
    while before and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        before &= await _writers(part)


async def _writers(part: Part) -> set[str]:
    return {transaction for (transaction,) in await part.fetch("events/watch_events_writers")}


async def _read_events(part: Part, queue_name: str, cursor: _Cursor, limit: int) -> EventPage:
    bounds = cursor.since, cursor.until or None, cursor.after, queue_name, limit, cursor.highest
    rows = await part.fetch("events/read_events", *bounds)
    until, lost = rows[0][0], rows[0][1]
    found = [row for row in rows if row[2] is not None]
    last = found[-1][2] if found else cursor.after
    highest = max(cursor.highest, last)
    is_full = bool(found) and len(found) == limit
    following = _Cursor(cursor.since, until, last, highest) if is_full else _Cursor(until, highest=highest)
    # Told once, with the first page of what was committed since.
    return EventPage([_event(row) for row in found], str(following), 0 if cursor.until else lost or 0)


def _event(row: Row) -> EventRecord:
    _, _, _, at, name, queue_name, job_id, job_name, data, count = row
    event = EventRecord(EventKind(name), at, queue_name, job_id, job_name, count=count)
    if data is None:
        return event
    if event.kind is EventKind.PROGRESS:
        event.progress = decode_progress(data)
    elif event.kind is EventKind.COMPLETED:
        event.result = data
    elif event.kind in _WITH_ERROR:
        event.error = decode_error(data)
    return event


async def _unwatch(part: Part, watcher_id: str) -> None:
    await part.execute("events/unwatch_events", watcher_id)


async def _prune(part: Part) -> int:
    if not await part.fetchval("events/prune_events_needed"):
        return 0
    count: int = await part.fetchval("events/prune_events", EVENTS_KEPT_FOR, EVENTS_KEPT, part.moment)
    return count
