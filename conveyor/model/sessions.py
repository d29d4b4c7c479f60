"""Worker sessions: one per running worker; its lock time is the lock time of all it holds."""

from __future__ import annotations

from datetime import datetime
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
    """

    id: str
    hostname: str
    pid: int
    backend: str
    queue_names: tuple[str, ...] = ()
    opened_at: datetime | None = None
    expires_at: datetime | None = None


@frozen
class ReconcileReport:
    """What came of comparing what a worker holds with what the store thinks it holds.

    Attributes:
        lost: the worker's locks that the store knows nothing of (any more).
        released: the jobs the store thought it held and the worker did not; they wait again.
    """

    lost: Sequence[Lock] = ()
    released: Sequence[str] = ()
