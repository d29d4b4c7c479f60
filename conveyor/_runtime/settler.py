"""The settler: writes how runs ended, in batches that form by themselves.

One flush is under way at a time; what ends meanwhile joins the next. The first outcome flushes at once.
Logs and progress are written before the ends of their runs, because afterwards the lock is gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor._runtime.transient import until_available
from conveyor.errors import SessionLostError
from conveyor.model.settlement import RefusalReason, settle_stalled
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor._runtime.board import Board
    from conveyor._runtime.fetcher import Fetch, Fetcher
    from conveyor._runtime.transient import Outage
    from conveyor._runtime.wakeup import Wakeup
    from conveyor.contracts.store import Store
    from conveyor.model.settlement import Settlement, SettleReport
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Settler"]

T = TypeVar("T")

logger: Final = logging.getLogger("conveyor.worker")


class Settler:
    """Empties the board's outboxes into the store."""

    def __init__(
        self, store: Store, board: Board, fetcher: Fetcher, options: WorkerOptions, *, wakeup: Wakeup, outage: Outage
    ) -> None:
        """Bind to a board and the fetcher that sends its wants along."""
        self._store = store
        self._board = board
        self._outbox = board.outbox
        self._fetcher = fetcher
        self._options = options
        self._wakeup = wakeup
        self._outage = outage
        # The last flush of a stopping worker must not overtake one that is under way.
        self._one_at_a_time = anyio.Lock(fast_acquire=True)

    async def run(self) -> None:
        """Flush whenever there is something, for ever."""
        while True:
            await self._wakeup.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits to be written."""
        async with self._one_at_a_time:
            await self._flush()

    async def finish_flush(self) -> None:
        """Wait until the flush that is under way, if any, is over."""
        async with self._one_at_a_time:
            return

    async def _flush(self) -> None:
        outbox = self._outbox
        # Hand-backs first: the fetch that goes with the settlements may then bring those jobs, which are next.
        if locks := outbox.take_hand_backs():
            await until_available(lambda: self._store.jobs.release_locks(locks), "hand jobs back", self._outage)
            outbox.confirm_released(locks)
            self._fetcher.notice_work()
        while outbox.has_reports:
            await self._write_reports()
        # No checkpoint since: a run that has ended meanwhile may have left reports, too.
        if outbox.has_settlements:
            await self._settle()

    async def _write_reports(self) -> None:
        logs, progress = self._outbox.take_reports()
        await _each_if_not_all(self._store.jobs.set_progress, progress, "store progress", self._outage)
        await _each_if_not_all(self._store.jobs.append_logs, logs, "store logs", self._outage)
        self._outbox.confirm_reports()

    async def _settle(self) -> None:
        settlements = self._outbox.take_settlements()
        fetch = self._fetcher.begin(settlements)
        try:
            if fetch is None:
                report = await self._settle_all(settlements)
            else:
                report = await self._settle_and_fetch(settlements, fetch)
        except Exception as exc:  # noqa: BLE001 - one settlement that cannot be written must not take others with it
            await self._settle_one_by_one(settlements, exc)
            return
        self._outbox.confirm_settled()
        _tell_refusals(report)

    async def _settle_and_fetch(self, settlements: Sequence[Settlement], fetch: Fetch) -> SettleReport:
        try:
            report = await until_available(
                lambda: self._store.jobs.settle_jobs(
                    settlements,
                    fetch.wants,
                    self._board.session_id,
                    self._options.lock_duration,
                    fetch_number=fetch.number,
                ),
                "settle jobs",
                self._outage,
            )
        except SessionLostError:
            # Nothing was settled, either. The fetcher meets the same when it asks next, and opens the session again.
            self._fetcher.give_up(fetch)
            return await self._settle_all(settlements)
        except BaseException:
            self._fetcher.give_up(fetch)
            raise
        self._fetcher.deliver(fetch, report.jobs)
        return report

    async def _settle_all(self, settlements: Sequence[Settlement]) -> SettleReport:
        return await until_available(lambda: self._store.jobs.settle_jobs(settlements), "settle jobs", self._outage)

    async def _settle_one_by_one(self, settlements: Sequence[Settlement], cause: Exception) -> None:
        """Save what can be saved of a batch the store refused as a whole; of the rest, each run counts as a stall.

        Raises:
            StoreError: it is not about one settlement, the store refuses everything: nothing more is given back.
        """
        logger.error("the store refused a batch of %d settlements: %s", len(settlements), cause)
        for settlement in settlements:
            try:
                _tell_refusals(await self._settle_all([settlement]))
            except Exception as exc:
                await self._check_store()
                logger.exception("job %s cannot be settled; this run of it counts as a stall", settlement.job_id)
                await self._stall(settlement, exc)
        self._outbox.confirm_settled()

    async def _stall(self, settlement: Settlement, cause: Exception) -> None:
        """Count a stall of a job whose run cannot be settled: after `max_stalled` of them it fails with the cause."""
        try:
            jobs = await until_available(
                lambda: self._store.jobs.find_jobs([settlement.job_id]), "look a job up", self._outage
            )
            job = jobs.get(settlement.job_id)
            if job is not None and job.state is JobState.ACTIVE and job.token == settlement.token:
                stalled = settle_stalled(job, cause, self._options.max_stalled)
                _tell_refusals(await self._settle_all([stalled]))
        except Exception:
            # It waits again once the session reconciles what it holds: not at once, so that nobody runs it in a loop.
            logger.exception("not even a stall of job %s can be written; it will be run again", settlement.job_id)

    async def _check_store(self) -> None:
        """Ask for something simple. A store that is damaged, or has another schema, refuses that as well."""
        session_id, lock_duration = self._board.session_id, self._options.lock_duration
        await until_available(
            lambda: self._store.sessions.renew(session_id, lock_duration), "renew the session", self._outage
        )


async def _each_if_not_all(
    write: Callable[[Sequence[T]], Awaitable[object]], reports: list[T], what: str, outage: Outage
) -> None:
    """Write reports together; where the store refuses them, one by one, and drop what it does not take."""
    if not reports:
        return
    try:
        await until_available(lambda: write(reports), what, outage)
    except Exception:
        if len(reports) == 1:
            logger.exception("could not %s: it is dropped", what)
            return
        for report in reports:
            await _each_if_not_all(write, [report], what, outage)


def _tell_refusals(report: SettleReport) -> None:
    for refusal in report.refused:
        if refusal.reason is RefusalReason.LOCK_LOST:
            logger.warning("the run %s of job %s ended after its lock was lost", refusal.token, refusal.job_id)
        else:
            logger.warning("job %s was removed while it ran", refusal.job_id)
