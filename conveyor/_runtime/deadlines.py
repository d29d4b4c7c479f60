"""Deadlines of running jobs: one task for all of them, so that a job without a timeout costs nothing."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import Final, Protocol

import anyio

from conveyor._runtime.wakeup import Wakeup

__all__ = ["Deadline", "Deadlines"]

# Most jobs end long before their deadline; what they leave behind is tidied up when there are more than this.
SLACK: Final = 64


class Deadline(Protocol):
    """Something that is overdue at a time, unless it is over by then."""

    def matters(self) -> bool:
        """Whether it is not over yet."""
        ...

    def pass_by(self) -> None:
        """It is overdue."""
        ...


class Deadlines:
    """Calls back what is overdue."""

    def __init__(self) -> None:
        """Start with none."""
        self._heap: list[tuple[float, int, Deadline]] = []
        self._tidy_at = SLACK
        self._order = count()
        self._wakeup = Wakeup()

    def watch(self, seconds: float, deadline: Deadline) -> None:
        """Call back after so many seconds, if it matters then."""
        at = anyio.current_time() + seconds
        is_next = not self._heap or at < self._heap[0][0]
        if len(self._heap) >= self._tidy_at:
            self._heap = [entry for entry in self._heap if entry[2].matters()]
            heapq.heapify(self._heap)
            self._tidy_at = max(SLACK, 2 * len(self._heap))
        heapq.heappush(self._heap, (at, next(self._order), deadline))
        if is_next:
            self._wakeup.set()

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._wakeup.wait(self._seconds_to_next())
            while self._heap and self._heap[0][0] <= anyio.current_time():
                _, _, deadline = heapq.heappop(self._heap)
                if deadline.matters():
                    deadline.pass_by()

    def _seconds_to_next(self) -> float:
        return max(0.0, self._heap[0][0] - anyio.current_time()) if self._heap else math.inf
