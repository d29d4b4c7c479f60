"""Until when a worker may trust its locks, on its own monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from conveyor.model.locks import trusted_until_seconds

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Trust"]


class Trust:
    """Moves forward with every fetch and renewal that the store answered."""

    def __init__(self, lock_duration: timedelta) -> None:
        """Trust the session that is just being opened."""
        self._lock_duration = lock_duration
        self.until = trusted_until_seconds(anyio.current_time(), lock_duration)

    def extend(self, asked_at: float) -> None:
        """Note that the store extended the locks when it was asked at this time."""
        self.until = max(self.until, trusted_until_seconds(asked_at, self._lock_duration))

    @property
    def seconds_left(self) -> float:
        """How long the locks may still be trusted; not positive: no longer."""
        return self.until - anyio.current_time()
