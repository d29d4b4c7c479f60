"""The lock renewer: keeps the locks of what the worker holds, and stops the runs whose locks are gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.wakeup import Wakeup
from conveyor.errors import StoreUnavailableError
from conveyor.model.locks import renewal_interval_seconds

if TYPE_CHECKING:
    from conveyor._runtime.board import Board
    from conveyor._runtime.fetcher import Fetcher
    from conveyor._runtime.session import Session
    from conveyor._runtime.transient import Outage
    from conveyor._runtime.trust import Trust
    from conveyor._runtime.watchdog import Watchdog
    from conveyor.contracts.store import Store
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["LockRenewer"]

logger: Final = logging.getLogger("conveyor.worker")

# How much sooner than usual to try again after a renewal failed.
HURRY: Final = 10
LONGEST_HURRY_SECONDS: Final = 2.0


class LockRenewer:
    """One batched call for everything held, every third of the lock duration."""

    def __init__(
        self,
        store: Store,
        board: Board,
        session: Session,
        options: WorkerOptions,
        *,
        trust: Trust,
        fetcher: Fetcher,
        watchdog: Watchdog,
        outage: Outage,
    ) -> None:
        """Bind to a board and its session."""
        self._fetcher = fetcher
        self._watchdog = watchdog
        self._outage = outage
        self._has_stopped = False
        self._store = store
        self._board = board
        self._session = session
        self._options = options
        self._trust = trust
        self._interval_seconds = renewal_interval_seconds(options.lock_duration)
        self._check = Wakeup()

    def check_soon(self) -> None:
        """Somebody says that a lock may have been taken away: look at once."""
        self._check.set()

    def note_life(self) -> None:
        """A handler that keeps the event loop busy says that it has not hung; what the loop would see now, it sees."""
        self._watchdog.note_life()
        self._hear_thread()
        self._stop_unless_trusted()

    async def run(self) -> None:
        """Renew for ever; where the store cannot be reached, stop the handlers when trust ends."""
        async with anyio.create_task_group() as tasks:
            # A task of its own: a renewal may hang inside the store, where no timeout reaches it.
            tasks.start_soon(self._watch_trust, name="conveyor trust")
            try:
                await self._keep_renewing()
            finally:
                self._outage.forget(self)

    async def _keep_renewing(self) -> None:
        wait_seconds = self._interval_seconds
        while True:
            await self._check.wait(wait_seconds)
            wait_seconds = await self._renew()

    async def _watch_trust(self) -> None:
        while True:
            self._watchdog.beat()
            self._hear_thread()
            self._stop_unless_trusted()
            left = self._trust.seconds_left
            # Once it is over and everything stopped, there is no hurry any more.
            await anyio.sleep(min(left, self._interval_seconds) if left > 0 else self._interval_seconds / HURRY)

    def _hear_thread(self) -> None:
        age_seconds = self._watchdog.take_renewal_age_seconds()
        if age_seconds is not None:
            self._trust.extend(anyio.current_time() - age_seconds)

    async def _renew(self) -> float:
        asked_at = anyio.current_time()
        try:
            await self._renew_once()
        except StoreUnavailableError as exc:
            self._outage.note_failure(self, "renew locks", exc)
            return min(self._interval_seconds / HURRY, LONGEST_HURRY_SECONDS)
        self._outage.note_success(self)
        self._trust.extend(asked_at)
        # Counted from the question, as trust is: an answer that took long leaves little of it.
        return max(0.0, asked_at + self._interval_seconds - anyio.current_time())

    async def _renew_once(self) -> None:
        held = self._board.held_locks()
        if not held:
            await self._session.renew()
            # A job may be left in the store whose run could not be settled.
            await self._reconcile()
            return
        lost = await self._store.jobs.extend_locks(held, self._options.lock_duration)
        if len(lost) == len(held):
            # Nothing was extended: all held were runs whose end is settled and not yet answered, say. Trust is the
            # session's, and a fetch under way may have locked jobs in it.
            await self._session.renew()
        # What ended while the answer was on its way is on the board no more, and is not lost.
        for lock in lost:
            self._board.lose(lock)
        await self._reconcile()

    async def _reconcile(self) -> None:
        """Give back what the store thinks this session holds and the worker does not: an answer was lost."""
        # Taken together, with no checkpoint between: a fetch that is answered later has a higher number.
        held, last_number = self._board.held_locks(), self._fetcher.last_delivered_number
        report = await self._store.sessions.reconcile(self._session.info.id, held, last_number)
        for lock in report.lost:
            self._board.lose(lock)
        if report.released:
            logger.warning("%d jobs of a fetch whose answer was lost wait again", len(report.released))

    def _stop_unless_trusted(self) -> None:
        if self._trust.seconds_left > 0:
            self._has_stopped = False
        elif self._board.occupied:
            if not self._has_stopped:
                # A handler that takes its time to stop is told again, its operator is not.
                logger.error("the locks of %d jobs can no longer be trusted; stopping them", self._board.occupied)
            self._has_stopped = True
            self._board.lose_all()
