"""The worker: a session, its loops, and the slots that run jobs; started, stopped and handed back in order.

    worker
    ├─ loops, shielded                                       until everything is written
    │  └─ lock renewer, stall detector, retainer, promoter, ticker,
    │     limit watcher, deadlines, fetcher, suspects, settler
    └─ slots, one per job at once                            until the last job ends

Stopping: fetch no more; hand back what was not started; let running jobs end, for as long as the grace lasts;
cancel the rest and hand it back; write every outcome; close the session. A cancelled program skips the grace, and
nothing else: handlers may take long to clean up, and so long their locks are kept and what ends is written.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

from conveyor._runtime.burst import Burst
from conveyor._runtime.crew import Crew
from conveyor._runtime.slots import Slot, StopReason
from conveyor._services import limits
from conveyor.contracts.job_queue import DeliveringJobQueueStrategy, StoreBackedJobQueueStrategy
from conveyor.errors import CapabilityError, ConveyorInternalError, StoreError
from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._runtime.board import RunListener
    from conveyor._runtime.crew import Equipment
    from conveyor._runtime.executor import Executor
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.model.job import JobData
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Worker"]

logger: Final = logging.getLogger("conveyor.worker")

# How long the last writes may take when the program is being cancelled; what they miss is reclaimed as stalled.
LAST_WRITES_SECONDS: Final = 5.0


class Worker:
    """Fetches and runs jobs of some queues. It is a `WorkerHost` for the job queue strategy."""

    def __init__(
        self,
        equipment: Equipment,
        weights: Mapping[str, int],
        options: WorkerOptions,
        listener: RunListener | None = None,
    ) -> None:
        """Bind to the app; nothing is opened yet. Must be called inside the event loop."""
        self._equipment = equipment
        self._weights = weights
        self._options = options
        self._crew = crew = Crew(equipment, weights, options, listener)
        self._board, self._session, self._executor = crew.board, crew.session, crew.executor
        self._fetcher, self._settler = crew.fetcher, crew.settler
        self._slots: list[Slot] = []
        self._stopping = anyio.Event()
        self._grace_ends_at: float | None = None
        self.has_left_in_order = False

    @property
    def process(self) -> ProcessJob:
        """Runs one job and returns its outcome, for strategies that fetch and settle by themselves."""
        return self._executor.process

    @property
    def running_count(self) -> int:
        """How many jobs run at the moment."""
        return len(self._board.running)

    @property
    def handed_back_count(self) -> int:
        """How many running jobs were handed back because the worker stops."""
        return self._board.handed_back_count

    @property
    def jobs_in_threads(self) -> Mapping[int, JobData]:
        """The jobs whose handlers are in threads at the moment, by thread; a thread outlives the run it was for."""
        return dict(self._executor.threads.jobs)

    @property
    def is_held(self) -> bool:
        """Whether it fetches nothing because of a job that stalled before: making room for one, or running it alone."""
        return self._fetcher.is_held

    @property
    def grace_seconds_left(self) -> float:
        """How long running jobs may still take to end."""
        if self._grace_ends_at is None:
            return self._options.shutdown_grace.total_seconds()
        return max(0.0, self._grace_ends_at - anyio.current_time())

    @property
    def slots(self) -> Sequence[Slot]:
        """What runs its jobs."""
        return self._slots

    @property
    def executor(self) -> Executor:
        """What its slots share."""
        return self._executor

    async def finished(self) -> None:
        """Return when it has run as many jobs as it may."""
        await self._board.finished.wait()

    async def drained(self) -> None:
        """Return when nothing of its queues waits, is due or runs here."""
        await Burst(
            self._equipment.store,
            self._board,
            fetcher=self._fetcher,
            settler=self._settler,
            suspects=self._crew.suspects,
            services=self._equipment.services,
            outage=self._equipment.outage,
        ).run()

    def add_queue(self, queue_name: str) -> None:
        """Fetch from a queue from now on."""
        self._fetcher.add_queue(queue_name, self._weights.get(queue_name, 1))
        self._crew.suspects.notice_work()
        self._crew.promoter.look_again()
        self._crew.limit_watcher.look_again()

    def remove_queue(self, queue_name: str) -> Sequence[str]:
        """Fetch from a queue no more, and hand back what does not run; return the ids of those jobs."""
        self._fetcher.remove_queue(queue_name)
        return [job.id for job in self._board.hand_back_ready_of(queue_name)]

    @property
    def is_paused(self) -> bool:
        """Whether it begins no job, for now."""
        return self._fetcher.is_paused

    def pause(self) -> None:
        """Begin no more jobs, and hand back what was fetched ahead; what runs goes on.

        Raises:
            CapabilityError: the job queue strategy runs jobs by itself, and does not ask.
        """
        job_queue = self._equipment.services.job_queue
        if not isinstance(job_queue, StoreBackedJobQueueStrategy | DeliveringJobQueueStrategy):
            raise CapabilityError(type(job_queue).__name__, "pausing", "worker.pause()", kind="job queue")
        self._fetcher.is_paused = True
        self._board.hand_back_ready()

    def resume(self) -> None:
        """Begin jobs again."""
        self._fetcher.is_paused = False
        self._fetcher.notice_work()
        self._crew.suspects.notice_work()
        self._crew.promoter.look_again()
        self._crew.limit_watcher.look_again()

    def stop(self) -> None:
        """Ask for a graceful stop; `run` returns when it is done."""
        self._stopping.set()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Work until stopped or cancelled; started once the session is open.

        Raises:
            ConfigurationError: a queue has other limits than its options declare; nothing was opened.
        """
        await limits.declare(self._equipment.store, self._weights, self._options.limits)
        await self._session.open()
        # Before the first fetch, which would take jobs ahead that may not be.
        await self._crew.limit_watcher.learn(tuple(self._weights))
        remove_listener = self._equipment.event_bus.add_listener(self._hear)
        try:
            with self._crew.watchdog.watching():
                await self._run_loops(task_status)
        finally:
            remove_listener()

    async def _run_loops(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        loops = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_loops, loops, name="conveyor loops")
            task_status.started()
            try:
                await self._run_slots()
                if not self._stopping.is_set():
                    raise ConveyorInternalError("the slots of a worker ended though nobody stopped it")
            finally:
                try:
                    await self._leave()
                finally:
                    loops.cancel()
                    await self._executor.processes.close()

    async def _keep_loops(self, scope: anyio.CancelScope) -> None:
        """Run the loops in a scope that only the worker cancels."""
        with scope:
            async with anyio.create_task_group() as loops:
                for loop in self._crew.loops:
                    loops.start_soon(loop.run, name=f"conveyor {type(loop).__name__}")

    async def _run_slots(self) -> None:
        self._slots = [Slot(self._executor) for _ in range(self._options.concurrency)]
        async with anyio.create_task_group() as grace:
            async with anyio.create_task_group() as slots:
                self._executor.batches.open(slots)
                for number, slot in enumerate(self._slots):
                    slots.start_soon(slot.run, name=f"conveyor slot {number}")
                try:
                    await self._stopping.wait()
                finally:
                    self._close_board()
                    # Where the program is cancelled, so is the grace.
                    grace.start_soon(self._end_grace, name="conveyor shutdown grace")
            grace.cancel_scope.cancel()

    def _close_board(self) -> None:
        self._fetcher.close()
        self._board.is_closing = True
        self._board.hand_back_ready()
        self._executor.batches.close()
        for slot in self._slots:
            slot.wake()

    async def _end_grace(self) -> None:
        grace_seconds = self._options.shutdown_grace.total_seconds()
        self._grace_ends_at = anyio.current_time() + grace_seconds
        try:
            await anyio.sleep(grace_seconds)
            logger.warning("%d jobs did not end within %g s; handing them back", self.running_count, grace_seconds)
        finally:
            # A timeout that passes while a handler cleans up comes too late to be charged.
            for slot in self._slots:
                slot.stop(StopReason.SHUTDOWN)

    async def _leave(self) -> None:
        """Write what is left to write and close the session, also while the program is being cancelled."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WRITES_SECONDS) as in_time:
            self._fetcher.close()
            self._board.is_closing = True
            self._board.hand_back_ready()
            try:
                await self._settler.flush()
                await self._session.close()
                self.has_left_in_order = True
            except StoreError:
                logger.exception("the last writes of this worker failed; its jobs will be reclaimed")
        if in_time.cancelled_caught:
            logger.error("the last writes of this worker took too long; its jobs will be reclaimed")

    def _hear(self, notification: Notification, /) -> None:
        kind, queue_name, job_id = notification
        if kind in (NotificationKind.ADDED, NotificationKind.CHANGED, NotificationKind.ANYTHING):
            self._fetcher.notice_work(queue_name)
            self._crew.suspects.notice_work()
        if kind in (NotificationKind.DELAYED, NotificationKind.CHANGED, NotificationKind.ANYTHING):
            self._crew.promoter.look_again()
        if kind in (NotificationKind.SCHEDULED, NotificationKind.ANYTHING):
            self._crew.ticker.look_again()
        if kind in (NotificationKind.CHANGED, NotificationKind.ANYTHING):
            self._crew.limit_watcher.look_again()
        elif queue_name in self._board.guarded.limited:
            self._fetcher.notice_work(queue_name)  # a run of it may have ended
        is_mine = kind is NotificationKind.REVOKED and self._board.is_running(job_id)
        if is_mine or (kind is NotificationKind.ANYTHING and self._board.running):
            self._crew.renewer.check_soon()
