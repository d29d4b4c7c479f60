"""The wall clock, as a thing that is given and never asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Clock"]


class Clock(Protocol):
    """Tells the time of day."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC. It may jump; never measure with it."""
        ...
