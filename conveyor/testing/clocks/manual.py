"""A clock that stands still until the test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from conveyor.model.durations import Duration

__all__ = ["DEFAULT_START", "ManualClock"]

DEFAULT_START: Final = datetime(2030, 1, 1, tzinfo=UTC)


class ManualClock:
    """A wall clock that shows the same time until `advance` is called; safe to read from any thread.

    >>> clock = ManualClock()
    >>> clock.advance("5 minutes")
    datetime.datetime(2030, 1, 1, 0, 5, tzinfo=datetime.timezone.utc)
    """

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        """Begin at `start`, which must be aware.

        Raises:
            ConfigurationError: `start` has no time zone.
        """
        if start.tzinfo is None:
            raise ConfigurationError(f"start must be a datetime with a time zone, got {start!r}")
        self._now = start.astimezone(UTC)
        self._mutex = threading.Lock()

    def now(self) -> datetime:
        """Return the time it shows, in UTC."""
        with self._mutex:
            return self._now

    def advance(self, duration: Duration) -> datetime:
        """Move the time forward (a timedelta, seconds or words) and return it.

        Raises:
            ConfigurationError: the duration is negative or none.
        """
        step = parse_duration(duration, field="duration")
        with self._mutex:
            self._now += step
            return self._now
