"""The sessions facet of the memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.locking import is_held, release
from conveyor._builtin.memory.records import SessionRecord, later
from conveyor.model.locks import Lock
from conveyor.model.retention import WORKERS_KEPT
from conveyor.model.sessions import ReconcileReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.sessions import SessionInfo

__all__ = ["MemorySessions", "MemoryThreadRenewal"]


class MemoryThreadRenewal:
    """Renews from a thread: one assignment, which Python makes atomic."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        return _renew(self._tables, session_id, lock_duration)

    def close(self) -> None:
        """Nothing was opened."""


def _renew(tables: Tables, session_id: str, lock_duration: timedelta) -> bool:
    record = tables.sessions.get(session_id)
    if record is None:
        return False
    record.expires_at = later(tables.now(), lock_duration)
    return True


class MemorySessions:
    """Worker sessions. See `conveyor.contracts.store.sessions`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        """Make the session known, or renew it and what is said of it."""
        now = self._tables.now()
        record = self._tables.sessions.get(session.id)
        if record is None:
            info = evolve(session, opened_at=now)
            self._tables.sessions[session.id] = SessionRecord(info, later(now, lock_duration))
            self._note_worker(session)
            return
        record.info = evolve(session, opened_at=record.info.opened_at)
        record.expires_at = later(now, lock_duration)

    def _note_worker(self, session: SessionInfo) -> None:
        workers = self._tables.workers
        workers[session.id] = (session.hostname, session.pid)
        if len(workers) > WORKERS_KEPT:
            del workers[next(iter(workers))]

    async def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        return _renew(self._tables, session_id, lock_duration)

    def thread_renewal(self) -> MemoryThreadRenewal:
        """Return a way to renew from a thread."""
        return MemoryThreadRenewal(self._tables)

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        """Release what only the store thinks is held; return what only the worker thinks is held."""
        lost = tuple(lock for lock in held if not is_held(self._tables, lock))
        session = self._tables.sessions.get(session_id)
        if session is None:
            return ReconcileReport(lost)
        locks = set(held)
        dropped = [
            record
            for record in session.held.values()
            if record.token is not None
            and record.token.fetch_number <= last_fetch_number
            and Lock(record.id, record.token) not in locks
        ]
        release(self._tables, dropped)
        return ReconcileReport(lost, tuple(record.id for record in dropped))

    async def close(self, session_id: str, /) -> int:
        """End the session; return how many jobs it still held."""
        session = self._tables.sessions.pop(session_id, None)
        if session is None:
            return 0
        held = list(session.held.values())
        release(self._tables, held)
        return len(held)

    async def list_sessions(self) -> Sequence[SessionInfo]:
        """Return the sessions, those included whose lock is over and that were not reclaimed yet."""
        return tuple(session.snapshot() for session in self._tables.sessions.values())
