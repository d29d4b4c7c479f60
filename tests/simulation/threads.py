"""What the runtime does by real time, by virtual time: the watchdog without its thread, and turns by number."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio

from conveyor.errors import StoreUnavailableError
from conveyor.model.locks import renewal_interval_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conveyor.model.worker_options import WorkerOptions
    from tests.simulation.faults import ThreadWay

__all__ = ["VirtualTurn", "VirtualWatchdog"]

# How much later than usual a beat may come before the thread renews: as in the watchdog itself.
PATIENCE: Final = 1.25
JOBS_OF_A_TURN: Final = 3


class VirtualWatchdog:
    """Takes the place of `conveyor._runtime.watchdog.Watchdog`, whose thread would go by real time."""

    def __init__(self, renewal: ThreadWay, session_id: str, options: WorkerOptions) -> None:
        """Bind to a session, and become the watchdog of its line."""
        self._renewal = renewal
        self._session_id = session_id
        self._lock_duration = options.lock_duration
        self._renewed_at: float | None = None
        self._is_stopped = True
        self.interval_seconds = renewal_interval_seconds(options.lock_duration)
        renewal.line.watchdog = self

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for as long as the context is open."""
        self.beat()
        self._is_stopped = False
        try:
            yield
        finally:
            self._is_stopped = True

    def beat(self) -> None:
        """Hear that the event loop runs."""
        self._beat_at = anyio.current_time()

    def take_renewal_age_seconds(self) -> float | None:
        """Return how long ago the thread last renewed, if it did since this was asked last."""
        renewed_at, self._renewed_at = self._renewed_at, None
        return None if renewed_at is None else anyio.current_time() - renewed_at

    def look(self) -> None:
        """Do what the thread does, every half of the interval."""
        now = anyio.current_time()
        if self._is_stopped or now - self._beat_at <= self.interval_seconds * PATIENCE:
            return
        try:
            if self._renewal.renew(self._session_id, self._lock_duration):
                self._renewed_at = now
        except StoreUnavailableError:
            return  # it looks again


class VirtualTurn:
    """Takes the place of `conveyor._runtime.turns.Turn`: virtual time stands still while a slot goes on."""

    def __init__(self) -> None:
        """Begin."""
        self.begin()

    def begin(self) -> None:
        """Others have just had theirs."""
        self._jobs = 0

    @property
    def is_over(self) -> bool:
        """Whether others should have theirs now."""
        self._jobs += 1
        return self._jobs >= JOBS_OF_A_TURN
