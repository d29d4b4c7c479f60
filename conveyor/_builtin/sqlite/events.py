"""The events facet of the SQLite store: triggers write events down while somebody watches, and are dropped then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.rows import from_micros, micros_after, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.codec import decode_error, decode_progress
from conveyor.model.events import EVENTS_KEPT_FOR, EventKind, EventPage, EventRecord, EventWatch

if TYPE_CHECKING:
    import sqlite3
    from datetime import timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer

__all__ = ["SqliteEvents", "note_of_queue"]

_MADE: Final = (
    "events/watch_events_added",
    "events/watch_events_rerun",
    "events/watch_events_removed",
    "events/watch_events_moved",
    "events/watch_events_progress",
    "events/watch_events_settled",
    "events/watch_events_gone",
)
_DROPPED: Final = (
    "events/prune_events_added",
    "events/prune_events_rerun",
    "events/prune_events_removed",
    "events/prune_events_moved",
    "events/prune_events_progress",
    "events/prune_events_settled",
    "events/prune_events_gone",
)
_WITH_ERROR: Final = (EventKind.FAILED, EventKind.CANCELLED, EventKind.RETRIED)


class SqliteEvents:
    """What happens, while somebody watches. See `conveyor.contracts.store.events`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._write = writer.run
        self._read = readers.run

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        """Record the events of a queue, or of all, for so long."""
        return await self._write(_watch, watcher_id, queue_name, duration)

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        """Return recorded events after a cursor."""
        return await self._read(_read_events, queue_name, int(cursor), max(limit, 0))

    async def unwatch_events(self, watcher_id: str, /) -> None:
        """Record no more for this watcher. The triggers stay for the next one, until the pass finds none."""
        await self._write(_unwatch, watcher_id)

    async def prune_events(self) -> int:
        """Forget watchers that are gone and events that are old; without watchers, everything."""
        # To look takes no write lock, and mostly there is nothing.
        return await self._write(_prune) if await self._read(_is_needed) else 0


def note_of_queue(
    transaction: Transaction, kind: EventKind, queue_name: str, *, job_name: str = "", count: int = 0
) -> None:
    """Write down what happened to a queue, if somebody watches it."""
    row = (transaction.now, str(kind), queue_name, job_name, count)
    transaction.connection.execute(sql("events/watch_events_of_queue"), row)


def _watch(transaction: Transaction, watcher_id: str, queue_name: str, duration: timedelta) -> EventWatch:
    connection, now = transaction.connection, transaction.now
    for trigger in _MADE:
        connection.execute(sql(trigger))
    is_known, last = connection.execute(sql("events/watch_events_known"), (watcher_id, now)).fetchone()
    connection.execute(sql("events/watch_events"), (watcher_id, queue_name, micros_after(now, duration)))
    return EventWatch(str(last), not is_known)


def _read_events(connection: sqlite3.Connection, queue_name: str, after: int, limit: int) -> EventPage:
    last, first = connection.execute(sql("events/read_events_bounds")).fetchone()
    # Events go from their oldest end only, so what lies before the first is gone.
    lost = max((last + 1 if first is None else first) - 1 - after, 0)
    rows = connection.execute(sql("events/read_events"), (after, queue_name, limit)).fetchall()
    # Those of other queues need not be passed over again.
    cursor = rows[-1][0] if len(rows) == limit and rows else last
    return EventPage([_event(row) for row in rows], str(cursor), lost)


def _event(row: JobRow) -> EventRecord:
    _, at, name, queue_name, job_id, job_name, data, count = row
    event = EventRecord(EventKind(name), from_micros(at), queue_name, job_id, job_name, count=count)
    if data is None:
        return event
    if event.kind is EventKind.PROGRESS:
        event.progress = decode_progress(data)
    elif event.kind is EventKind.COMPLETED:
        event.result = data
    elif event.kind in _WITH_ERROR:
        event.error = decode_error(data)
    return event


def _unwatch(transaction: Transaction, watcher_id: str) -> None:
    transaction.connection.execute(sql("events/unwatch_events"), (watcher_id,))


def _is_needed(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute(sql("events/prune_events_needed")).fetchone()[0])


def _prune(transaction: Transaction) -> int:
    connection, now = transaction.connection, transaction.now
    connection.execute(sql("events/prune_events_watchers"), (now,))
    last, _ = connection.execute(sql("events/read_events_bounds")).fetchone()
    if connection.execute(sql("events/prune_events_watched")).fetchone()[0]:
        return _prune_old(connection, now)
    for trigger in _DROPPED:
        connection.execute(sql(trigger))
    connection.execute(sql("events/prune_events_marks"), (now,))
    return connection.execute(sql("events/prune_events"), (last,)).rowcount


def _prune_old(connection: sqlite3.Connection, now: int) -> int:
    # By what was noted at the store's time: triggers know the database's alone.
    old = now - span_micros(EVENTS_KEPT_FOR)
    connection.execute(sql("events/prune_events_mark"), (now,))
    (number,) = connection.execute(sql("events/prune_events_old"), (old,)).fetchone()
    count = connection.execute(sql("events/prune_events"), (number,)).rowcount
    connection.execute(sql("events/prune_events_marks"), (old,))
    return count
