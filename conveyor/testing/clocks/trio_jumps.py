"""trio's mock clock, held back while something real is under way."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hold", "trio_options"]

# trio itself always waits for the socket by which other threads wake it.
OWN_WAITS: Final = 1

_holds: Final = trio.lowlevel.RunVar("conveyor_jump_holds", 0)


def trio_options() -> dict[str, Any]:
    """Return the options of ``trio.run`` for a clock that jumps."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return {"clock": clock, "instruments": [_Watch(clock)]}


class _Watch(trio.abc.Instrument):
    """Looks before each wait whether something real is under way: trio's own autojump does not know of threads."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        self._is_real = False

    def before_run(self) -> None:
        """Begin anew with each run."""
        self._be_real(False)

    def before_io_wait(self, timeout: float) -> None:
        """Switch between jumps and real time."""
        is_real = _is_real()
        if is_real != self._is_real:
            self._be_real(is_real)
            # How long to wait now, and whether to jump, was decided before the switch; being woken undoes both.
            trio.lowlevel.current_trio_token().run_sync_soon(_nothing, idempotent=True)

    def _be_real(self, is_real: bool) -> None:
        self._is_real = is_real
        self._clock.rate = 1.0 if is_real else 0.0
        self._clock.autojump_threshold = math.inf if is_real else 0.0


def _nothing() -> None:
    pass


def _is_real() -> bool:
    return _holds.get() > 0 or trio.testing.active_thread_count() > 0 or _has_io()


def _has_io() -> bool:
    # Its fields differ between platforms; all of them count.
    io = trio.lowlevel.current_statistics().io_statistics
    waiting = sum(getattr(io, name, 0) for name in ("tasks_waiting_read", "tasks_waiting_write", "tasks_waiting"))
    return waiting > OWN_WAITS


@contextmanager
def hold() -> Iterator[None]:
    """Keep the run from jumping, if its clock is one that jumps."""
    _holds.set(_holds.get() + 1)
    try:
        yield
    finally:
        _holds.set(_holds.get() - 1)
