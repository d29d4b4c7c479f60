"""A wake-up for the run that leads the parts of a batch job."""

from __future__ import annotations

import anyio

__all__ = ["Bell"]


class Bell:
    """Remembers that it rang until somebody has waited for it: what rings between a look and a wait is not missed."""

    def __init__(self) -> None:
        """Be silent."""
        self._rung = anyio.Event()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, at most so long."""
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        self._rung = anyio.Event()
