"""Time that is real, but leaves out what a busy machine kept this process from doing.

It is for bounds of time where something real is under way, so that no clock can jump: a lock of 300 ms is over after
300 ms in which this process could run, whatever the machine did in between. The fixture `steady_backend` lets event
loops and threads follow it; a store follows with a `JumpingClock`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Final

import trio

__all__ = ["STEADY_TIME", "block", "steady_backends"]

# A thread looks so often, and what passed since the last look counts for no more than that.
TICK_SECONDS: Final = 0.01
LONGEST_STEP_SECONDS: Final = 0.05


class SteadyTime:
    """Seconds that pass by small steps."""

    def __init__(self) -> None:
        """Begin with what other clocks say, so that those who look at both see no jump."""
        self._mutex = threading.Lock()
        self._seconds = time.monotonic()
        self._asked_at: float | None = None

    def ask(self) -> float:
        """Return the time in seconds; any thread may ask."""
        with self._mutex:
            now = time.perf_counter()
            if self._asked_at is None:
                self._asked_at = now
                threading.Thread(target=self._tick, name="steady time", daemon=True).start()
            self._seconds += min(now - self._asked_at, LONGEST_STEP_SECONDS)
            self._asked_at = now
            return self._seconds

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            self.ask()


# One for all: its thread is the process's, and has no end.
STEADY_TIME: Final = SteadyTime()


def steady_backends() -> list[tuple[str, dict[str, Any]]]:
    """Return both backends on loops of steady time, in the form that the fixture ``anyio_backend`` takes."""
    return [("asyncio", {"loop_factory": SteadyLoop}), ("trio", {"clock": SteadyClock()})]


def block(seconds: float) -> None:
    """Let nothing else run in this thread for so long."""
    until = STEADY_TIME.ask() + seconds
    while STEADY_TIME.ask() < until:
        time.sleep(TICK_SECONDS)


class SteadyLoop(asyncio.SelectorEventLoop):
    """It waits for as long as others do; where its time says then that it is too early, it waits for the rest."""

    def time(self) -> float:
        """Return the time in seconds."""
        return STEADY_TIME.ask()


class SteadyClock(trio.abc.Clock):
    """The same for trio."""

    def start_clock(self) -> None:
        """Nothing is to be done: time passes by itself."""

    def current_time(self) -> float:
        """Return the time in seconds."""
        return STEADY_TIME.ask()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return how long to wait."""
        return deadline - STEADY_TIME.ask()
