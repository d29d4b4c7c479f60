"""How long this process stood still: a server's clock goes on meanwhile, and it takes away what was not extended."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Gap", "watch_gaps"]

LOOK_SECONDS: Final = 0.01


class Gap:
    """The longest time in which the event loop did not run."""

    def __init__(self) -> None:
        """Begin now."""
        self.seconds = 0.0
        self._looked_at = time.monotonic()

    def look(self) -> None:
        """Note that it runs."""
        now = time.monotonic()
        self.seconds = max(self.seconds, now - self._looked_at)
        self._looked_at = now


@asynccontextmanager
async def watch_gaps() -> AsyncIterator[Gap]:
    """Watch for as long as the block lasts."""
    gap = Gap()

    async def watch() -> None:
        while True:
            gap.look()
            await anyio.sleep(LOOK_SECONDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield gap
        gap.look()
        tasks.cancel_scope.cancel()
