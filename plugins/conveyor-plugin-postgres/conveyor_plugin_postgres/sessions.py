"""The sessions facet of the PostgreSQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.events import NotificationKind
from conveyor.model.sessions import ReconcileReport
from conveyor_plugin_postgres.locking import held_locks, release_locks
from conveyor_plugin_postgres.rows import interval, session_from_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from conveyor.model.locks import Lock
    from conveyor.model.sessions import SessionInfo
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part
    from conveyor_plugin_postgres.thread_renewal import PostgresThreadRenewal

__all__ = ["PostgresSessions", "renew"]


class PostgresSessions:
    """Worker sessions. See `conveyor.contracts.store.sessions`."""

    def __init__(self, database: Database, make_renewal: Callable[[], PostgresThreadRenewal]) -> None:
        self._database = database
        self._make_renewal = make_renewal

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        """Make the session known, or renew it."""
        await self._database.write_one(_open, session, lock_duration)

    async def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        return await self._database.write_one(renew, session_id, lock_duration)

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        """Release what only the store thinks is held; return what only the worker thinks is held."""
        return await self._database.write(_reconcile, session_id, held, last_fetch_number)

    def thread_renewal(self) -> PostgresThreadRenewal:
        """Return a way to renew from a thread."""
        return self._make_renewal()

    async def close(self, session_id: str, /) -> int:
        """End the session; return how many jobs it still held."""
        return await self._database.write(_close, session_id)

    async def list_sessions(self) -> Sequence[SessionInfo]:
        """Return the sessions, the oldest first."""
        return await self._database.read(_list_sessions)


async def _open(part: Part, session: SessionInfo, lock_duration: timedelta) -> None:
    names = list(session.queue_names)
    about = (session.id, session.hostname, session.pid, session.backend, names)
    more = (session.concurrency, session.version, session.lock_duration)
    await part.execute("sessions/open", *about, interval(lock_duration), part.moment, *more)


async def renew(part: Part, session_id: str, lock_duration: timedelta) -> bool:
    """Keep what a session holds; False: there is no such session."""
    return await part.execute("sessions/renew", session_id, interval(lock_duration), part.moment) > 0


async def _reconcile(part: Part, session_id: str, held: Sequence[Lock], last_fetch_number: int) -> ReconcileReport:
    known = await held_locks(part, [session_id])
    worker, store = set(held), set(known)
    dropped = [lock for lock in known if lock not in worker and lock.token.fetch_number <= last_fetch_number]
    await release_locks(part, dropped)
    return ReconcileReport([lock for lock in held if lock not in store], [lock.job_id for lock in dropped])


async def _close(part: Part, session_id: str) -> int:
    released = await part.fetch("sessions/close_held", session_id)
    for (queue_name,) in released:
        part.hint(NotificationKind.ADDED, queue_name)
    await part.execute("sessions/close", session_id)
    return len(released)


async def _list_sessions(part: Part) -> Sequence[SessionInfo]:
    return [session_from_row(row) for row in await part.fetch("sessions/list_sessions")]
