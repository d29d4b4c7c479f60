"""The sessions facet: one row per running worker, whose lock time is that of all it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.locks import Lock
    from conveyor.model.sessions import ReconcileReport, SessionInfo

__all__ = ["SessionStore", "ThreadRenewal"]


class ThreadRenewal(Protocol):
    """A way to renew a session that does not need the event loop: used by one thread of core's, which closes it."""

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Do what `SessionStore.renew` does, blocking the thread.

        Raises:
            StoreError: the store cannot be reached, or is closed.
        """
        ...

    def close(self) -> None:
        """Give back what was opened. Called once, from the same thread."""
        ...


class SessionStore(Protocol):
    """The sessions of workers."""

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        """Make the session known, its lock running from now. Opening it again renews it."""
        ...

    async def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep everything the session holds for `lock_duration` from now; False: there is no such session."""
        ...

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        """Compare what the worker holds with what the store thinks it holds.

        Jobs the store has under this session, fetched no later than `last_fetch_number`, that are not in `held`
        are released. Locks in `held` that the store does not know are returned as lost.
        """
        ...

    async def close(self, session_id: str, /) -> int:
        """End the session: whatever it still holds is released. Returns how many jobs that were."""
        ...

    def thread_renewal(self) -> ThreadRenewal:
        """Return a way to renew from a thread, while the event loop is blocked. Opens nothing yet."""
        ...

    async def list_sessions(self) -> Sequence[SessionInfo]:
        """Return the sessions that are open, the oldest first, each with how many jobs it holds.

        Those are among them whose lock is over and that were not cleaned up yet.
        """
        ...
