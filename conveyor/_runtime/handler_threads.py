"""Handler threads: where handlers run that are no coroutines, and which job is in which."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.model.job import JobData

__all__ = ["HandlerThreads"]


class HandlerThreads:
    """The threads of one worker's handlers."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        """Start none; the limiter says how many there may be at once."""
        # By thread, also after the run was given up.
        self.jobs: dict[int, JobData] = {}
        self._limiter = limiter

    async def call(self, job: JobData, function: Callable[[], object]) -> object:
        """Call a job's handler in a thread; where the run is cancelled the thread goes on, as it must."""
        return await anyio.to_thread.run_sync(
            partial(self._call, job, function), abandon_on_cancel=True, limiter=self._limiter
        )

    def _call(self, job: JobData, function: Callable[[], object]) -> object:
        own = threading.get_ident()
        self.jobs[own] = job
        try:
            return function()
        finally:
            del self.jobs[own]
