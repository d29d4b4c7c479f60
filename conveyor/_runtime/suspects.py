"""Suspects: the jobs that stalled before, run one at a time while the worker is otherwise empty (P8).

A suspect may be what its last worker died of. So before a worker takes one it fetches nothing more and lets what
runs come to its end: whatever the suspect does, it does it to itself. After each suspect the others have their
turn, so neither kind waits for ever. Room that was made for a suspect which may not start yet is not made again
at once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.board import Board
    from conveyor._runtime.fetcher import Fetcher
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.store import Store
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Suspects"]

logger: Final = logging.getLogger("conveyor.worker")

# Under load hints come all the time; a look this often is enough, and leaves the others their turn.
PAUSE_SECONDS: Final = 0.05
# A worker that is busy leaves a suspect to one that is idle, for so long.
LEAD_SECONDS: Final = 0.25
# Another worker may take the suspect that this one makes room for, and tells nobody.
LOOK_AGAIN_SECONDS: Final = 1.0
# A worker that fetches nothing else for so long says so, and again each time that has doubled.
WARN_AFTER_SECONDS: Final = 60.0


class Suspects:
    """Makes room for suspects, and fetches them."""

    def __init__(self, store: Store, board: Board, fetcher: Fetcher, options: WorkerOptions, *, outage: Outage) -> None:
        """Bind to a board and the fetcher that is held meanwhile."""
        self._store = store
        self._board = board
        self._fetcher = fetcher
        self._outage = outage
        # Hints may be lost, so it waits for one no longer than an idle fetcher does.
        self._poll_seconds = options.poll_interval.total_seconds()
        self._wakeup = Wakeup()

    def notice_work(self) -> None:
        """Somebody says that jobs wait: one of them may be a suspect."""
        self._wakeup.set()

    async def run(self) -> None:
        """Run suspects for ever."""
        while True:
            if not await self._run_next():
                await self._wakeup.wait(self._poll_seconds)
            await anyio.sleep(PAUSE_SECONDS)

    async def _run_next(self) -> bool:
        """Run one suspect if there is any; return whether there was."""
        if not await self._queue_names():
            return False
        if self._is_busy:
            await anyio.sleep(LEAD_SECONDS)
        began_at = anyio.current_time()
        is_vain = False
        try:
            self._fetcher.hold()
            queue_names = await self._queue_names_once_empty()
            if queue_names:
                is_vain = not await self._fetcher.fetch_suspect(queue_names)
                await self._until_empty()
        finally:
            self._fetcher.go_on()
        if is_vain:
            # A limit of its queue holds it up. The others get as much time as room was made for nothing.
            await anyio.sleep(max(anyio.current_time() - began_at, self._poll_seconds))
        return bool(queue_names)

    @property
    def _is_busy(self) -> bool:
        return self._board.occupied > 0 or self._fetcher.is_under_way

    async def _queue_names_once_empty(self) -> Sequence[str]:
        """Let the worker become empty for as long as there is a suspect; return the queues that have one then."""
        self._board.hand_back_ready()
        patience = _Patience("a job that stalled before waits until this worker is empty", self._board)
        while self._is_busy:
            patience.warn_if_over()
            if not await self._board.emptied.wait(LOOK_AGAIN_SECONDS) and not await self._queue_names():
                return ()
        return await self._queue_names()

    async def _until_empty(self) -> None:
        patience = _Patience("a job that stalled before has this worker to itself", self._board)
        while self._is_busy:
            patience.warn_if_over()
            # A job that was lost before it began ends without a sign.
            await self._board.emptied.wait(LOOK_AGAIN_SECONDS)

    async def _queue_names(self) -> Sequence[str]:
        names = self._fetcher.queue_names
        if not names:
            return ()
        return await until_available(
            lambda: self._store.jobs.get_suspect_queues(names), "look for suspects", self._outage
        )


class _Patience:
    """Tells an operator, once in a while, why a worker fetches nothing."""

    def __init__(self, reason: str, board: Board) -> None:
        self._reason = reason
        self._board = board
        self._began_at = anyio.current_time()
        self._next_seconds = WARN_AFTER_SECONDS

    def warn_if_over(self) -> None:
        seconds = anyio.current_time() - self._began_at
        if seconds < self._next_seconds:
            return
        self._next_seconds *= 2
        running = ", ".join(
            f"{job.queue_name}/{job.name} {job.id}" for seat in self._board.running.values() if (job := seat.job)
        )
        logger.warning("%s: nothing else was fetched for %d s; running: %s", self._reason, seconds, running or "none")
