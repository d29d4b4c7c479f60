"""The sessions facet of the SQLite store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.locking import release_locks
from conveyor._builtin.sqlite.rows import micros_after, session_from_row, span_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.events import NotificationKind
from conveyor.model.locks import Lock, LockToken
from conveyor.model.retention import WORKERS_KEPT
from conveyor.model.sessions import ReconcileReport

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.thread_renewal import SqliteThreadRenewal
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.sessions import SessionInfo

__all__ = ["SqliteSessions"]


class SqliteSessions:
    """Worker sessions. See `conveyor.contracts.store.sessions`."""

    def __init__(self, writer: Writer, readers: Readers, make_renewal: Callable[[], SqliteThreadRenewal]) -> None:
        self._write = writer.run_passing
        self._read = readers.run
        self._make_renewal = make_renewal

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        """Make the session known, or renew it."""
        await self._write(_open, session, lock_duration)

    async def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        return await self._write(_renew, session_id, lock_duration)

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        """Release what only the store thinks is held; return what only the worker thinks is held."""
        return await self._write(_reconcile, session_id, held, last_fetch_number)

    def thread_renewal(self) -> SqliteThreadRenewal:
        """Return a way to renew from a thread."""
        return self._make_renewal()

    async def close(self, session_id: str, /) -> int:
        """End the session; return how many jobs it still held."""
        return await self._write(_close, session_id)

    async def list_sessions(self) -> Sequence[SessionInfo]:
        """Return the sessions, the oldest first."""
        return await self._read(_list_sessions)


def _open(transaction: Transaction, session: SessionInfo, lock_duration: timedelta) -> None:
    row = (
        session.id,
        session.hostname,
        session.pid,
        session.backend,
        json.dumps(list(session.queue_names)),
        transaction.now,
        micros_after(transaction.now, lock_duration),
        session.concurrency,
        session.version,
        None if session.lock_duration is None else span_micros(session.lock_duration),
    )
    transaction.connection.execute(sql("sessions/open"), row)
    worker = (session.id, session.hostname, session.pid)
    if transaction.connection.execute(sql("sessions/open_worker"), worker).rowcount:
        transaction.connection.execute(sql("sessions/open_worker_trim"), (WORKERS_KEPT,))


def _renew(transaction: Transaction, session_id: str, lock_duration: timedelta) -> bool:
    until = micros_after(transaction.now, lock_duration)
    return transaction.connection.execute(sql("sessions/renew"), (session_id, until)).rowcount > 0


def _reconcile(
    transaction: Transaction, session_id: str, held: Sequence[Lock], last_fetch_number: int
) -> ReconcileReport:
    rows = transaction.connection.execute(sql("jobs/extend_locks_held"), (session_id,))
    known = [Lock(job_id, LockToken(session_id, number)) for job_id, number in rows]
    worker, store = set(held), set(known)
    dropped = [lock for lock in known if lock not in worker and lock.token.fetch_number <= last_fetch_number]
    release_locks(transaction, dropped)
    return ReconcileReport([lock for lock in held if lock not in store], [lock.job_id for lock in dropped])


def _close(transaction: Transaction, session_id: str) -> int:
    released = transaction.connection.execute(sql("sessions/close_held"), (session_id,)).fetchall()
    for (queue_name,) in released:
        transaction.hint(NotificationKind.ADDED, queue_name)
    transaction.connection.execute(sql("sessions/close"), (session_id,))
    return len(released)


def _list_sessions(connection: sqlite3.Connection) -> Sequence[SessionInfo]:
    rows = connection.execute(sql("sessions/list_sessions"))
    return [session_from_row(row, tuple(json.loads(row[6]))) for row in rows]
