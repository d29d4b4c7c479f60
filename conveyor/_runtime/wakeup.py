"""A wake-up that can be set again and again, for one waiting task."""

from __future__ import annotations

import math

import anyio

__all__ = ["Wakeup"]


class Wakeup:
    """An event that clears itself when it is waited for; setting it while nobody waits is remembered."""

    def __init__(self) -> None:
        """Start unset."""
        self._is_set = False
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake the task that waits, or the next that will."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self, timeout_seconds: float = math.inf) -> bool:
        """Wait until it is set, at most so long; return whether it was. Always yields to other tasks."""
        if self._is_set:
            await anyio.lowlevel.checkpoint()
        elif timeout_seconds > 0:
            self._event = anyio.Event()
            try:
                with anyio.move_on_after(timeout_seconds):
                    await self._event.wait()
            finally:
                self._event = None
        else:
            await anyio.lowlevel.checkpoint()
        was_set, self._is_set = self._is_set, False
        return was_set
