"""The burst: finds out that a worker has nothing left to do, so that its program may end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.transient import until_available
from conveyor._services.maintenance.fire import fire_due_schedules
from conveyor._services.maintenance.flush import FlushPass
from conveyor._services.maintenance.promote import promote_due_jobs
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from conveyor._runtime.board import Board
    from conveyor._runtime.fetcher import Fetcher
    from conveyor._runtime.settler import Settler
    from conveyor._runtime.suspects import Suspects
    from conveyor._runtime.transient import Outage
    from conveyor._services.services import Services
    from conveyor.contracts.store import Store

__all__ = ["Burst"]

# How late the end may be noticed; no job waits for it.
LOOK_SECONDS: Final = 0.05


class Burst:
    """Watches a worker from the outside. Only the store can tell that nothing waits: hints may be lost."""

    def __init__(
        self,
        store: Store,
        board: Board,
        *,
        fetcher: Fetcher,
        settler: Settler,
        suspects: Suspects,
        services: Services,
        outage: Outage,
    ) -> None:
        """Bind to a worker's parts."""
        self._buffers = services.buffers
        self._flush_pass = FlushPass(services)
        self._store = store
        self._board = board
        self._fetcher = fetcher
        self._settler = settler
        self._suspects = suspects
        self._outage = outage

    async def run(self) -> None:
        """Return when nothing waits that may run, nothing delayed is due, no buffer is, and nothing runs here.

        What is delayed into the future, paused, or runs elsewhere is not waited for, nor what is in a buffer whose
        triggers do not say so yet. A buffer that is flushed when the app closes is flushed now: its jobs run, too.
        """
        while not await self._is_over():  # noqa: ASYNC110 - no event of ours tells what others do to the store
            await anyio.sleep(LOOK_SECONDS)

    async def _is_over(self) -> bool:
        if self._is_busy:
            return False
        started_count = self._board.started_count
        # How the last run ended may be what makes the next job wait.
        await self._settler.flush()
        await self._fire()
        added_count = self._buffers.news.added_count
        await self._flush()
        await until_available(
            lambda: promote_due_jobs(self._store, self._fetcher.queue_names), "promote delayed jobs", self._outage
        )
        # Again, because a fetch of ours would break into what a suspect has to itself. No checkpoint in between.
        if self._is_busy or await self._fetcher.fetch_one_of_each() or await self._has_suspects():
            return False
        has_begun = self._board.started_count > started_count or self._buffers.news.added_count > added_count
        return not self._is_busy and not has_begun

    @property
    def _is_busy(self) -> bool:
        has_jobs = self._board.occupied > 0 or self._fetcher.is_under_way or self._fetcher.is_held
        return has_jobs or self._buffers.flushing > 0

    async def _fire(self) -> None:
        schedules = self._store.schedules
        if schedules is not None:
            await until_available(lambda: fire_due_schedules(schedules), "fire schedules", self._outage)

    async def _flush(self) -> None:
        if self._buffers.by_id:
            with suppress(CapabilityError):  # nothing was ever added to a buffer that has no place
                await until_available(self._flush_pass.look_before_the_end, "flush buffers", self._outage)

    async def _has_suspects(self) -> bool:
        names = self._fetcher.queue_names
        if not names:
            return False
        found = await until_available(
            lambda: self._store.jobs.get_suspect_queues(names), "look for suspects", self._outage
        )
        if found:
            self._suspects.notice_work()
        return bool(found)
