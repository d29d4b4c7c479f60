"""Jumping clocks: event loops that skip the time in which everybody only waits, and a wall clock that follows.

A loop jumps to its next deadline when no task can run and nothing real is under way: no worker thread, no wait for
a socket or pipe, no `hold_jumps`. While something real is under way, time passes at its usual pace.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sniffio

from conveyor.errors import ConfigurationError
from conveyor.testing.clocks.manual import DEFAULT_START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["JumpingClock", "hold_jumps", "jumping_backends"]


def jumping_backends() -> list[tuple[str, dict[str, Any]]]:
    """Return both backends on jumping loops, in the form that ``anyio.run`` and the fixture ``anyio_backend`` take.

    Use each entry for one event loop at a time.

    >>> import anyio
    >>> (asyncio, options), *_ = jumping_backends()
    >>> anyio.run(anyio.sleep, 86_400, backend=asyncio, backend_options=options)
    """
    from conveyor.testing.clocks.asyncio_jumps import JumpingLoop
    from conveyor.testing.clocks.trio_jumps import trio_options

    return [("asyncio", {"loop_factory": JumpingLoop}), ("trio", trio_options())]


@contextmanager
def hold_jumps() -> Iterator[None]:
    """Let time pass at its usual pace in this block, because something real is going on that the loop cannot see.

    Threads started through anyio and waits for sockets are seen anyway. On a loop that does not jump it does nothing.
    """
    if sniffio.current_async_library() == "trio":
        from conveyor.testing.clocks.trio_jumps import hold
    else:
        from conveyor.testing.clocks.asyncio_jumps import hold
    with hold():
        yield


class JumpingClock:
    """A wall clock that follows the event loop's time: on a jumping loop it jumps along.

    It begins at `start` when a loop asks it first, stands still while there is no loop, and goes on with the next.
    Any thread may read it.
    """

    def __init__(self, start: datetime = DEFAULT_START) -> None:
        """Begin at `start`, which must be aware.

        Raises:
            ConfigurationError: `start` has no time zone.
        """
        if start.tzinfo is None:
            raise ConfigurationError(f"start must be a datetime with a time zone, got {start!r}")
        self._mutex = threading.Lock()
        self._loop_time: Callable[[], float] | None = None
        self._loop_began_at = 0.0
        self._began = self._shown = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time it shows, in UTC."""
        loop_time = _running_loop_time()
        with self._mutex:
            if loop_time is not None and loop_time != self._loop_time:
                # Another loop: its time has nothing to do with that of the one before.
                self._loop_time, self._loop_began_at, self._began = loop_time, loop_time(), self._shown
            if self._loop_time is not None:
                passed = timedelta(seconds=self._loop_time() - self._loop_began_at)
                self._shown = max(self._shown, self._began + passed)
            return self._shown


def _running_loop_time() -> Callable[[], float] | None:
    """Return what tells the time of the loop that runs in this thread; it can be called from any thread."""
    # A loop that runs has been imported; to look costs no import of the other.
    if (trio := sys.modules.get("trio")) is not None and trio.lowlevel.in_trio_run():
        current_time: Callable[[], float] = trio.lowlevel.current_clock().current_time
        return current_time
    if (asyncio := sys.modules.get("asyncio")) is not None:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - documented for this: no exception where there is none
        return None if loop is None else loop.time
    return None
