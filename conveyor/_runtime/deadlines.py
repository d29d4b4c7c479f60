"""Deadlines of running jobs: one task for all of them, so that a job without a timeout costs nothing."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import TYPE_CHECKING

import anyio

from conveyor._runtime.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deadlines"]


class Deadlines:
    """Calls back what is overdue."""

    def __init__(self) -> None:
        """Start with none."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._wakeup = Wakeup()

    def watch(self, seconds: float, on_overdue: Callable[[], None]) -> None:
        """Call back after so many seconds. A callback whose job is over by then must do nothing."""
        at = anyio.current_time() + seconds
        is_next = not self._heap or at < self._heap[0][0]
        heapq.heappush(self._heap, (at, next(self._order), on_overdue))
        if is_next:
            self._wakeup.set()

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._wakeup.wait(self._seconds_to_next())
            while self._heap and self._heap[0][0] <= anyio.current_time():
                _, _, on_overdue = heapq.heappop(self._heap)
                on_overdue()

    def _seconds_to_next(self) -> float:
        return max(0.0, self._heap[0][0] - anyio.current_time()) if self._heap else math.inf
