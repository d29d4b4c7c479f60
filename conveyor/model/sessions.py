"""Worker sessions: one per running worker; its lock time is the lock time of all it holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.locks import Lock

__all__ = ["ReconcileReport", "SessionInfo"]


@frozen
class SessionInfo:
    """A worker that is, or was, at work.

    `id` is 128 random bits in hex. The two times are the store's, and None before it has opened.

    Attributes:
        concurrency: how many jobs it runs at once.
        version: of conveyor.
        lock_duration: for how long it renews its lock; None: it does not say.
        running_count: how many jobs it held when it was listed, those fetched ahead included.
    """

    id: str
    hostname: str
    pid: int
    backend: str
    queue_names: tuple[str, ...] = ()
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    concurrency: int = 0
    version: str = ""
    lock_duration: timedelta | None = None
    running_count: int = 0

    @property
    def last_seen_at(self) -> datetime | None:
        """When it renewed its lock last, by the store's clock; None: it does not say."""
        if self.expires_at is None or self.lock_duration is None:
            return None
        return self.expires_at - self.lock_duration

    def is_lost(self, now: datetime) -> bool:
        """Return whether its lock is over at this time of the store: it died, or cannot reach the store."""
        return self.expires_at is not None and self.expires_at <= now


@frozen
class ReconcileReport:
    """What came of comparing what a worker holds with what the store thinks it holds.

    Attributes:
        lost: the worker's locks that the store knows nothing of (any more).
        released: the jobs the store thought it held and the worker did not; they wait again.
    """

    lost: Sequence[Lock] = ()
    released: Sequence[str] = ()
