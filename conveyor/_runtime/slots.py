"""The slots: each runs jobs one after another, inside a cancel scope that reaches the handler.

A slot keeps its scope over many jobs, because opening one per job costs more than a small job does. It leaves
the scope as soon as it was cancelled, however the job ended: otherwise a cancel that came too late for one job
would hit the next.
"""

from __future__ import annotations

import logging
import math
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint
from attrs import define

from conveyor._runtime.board import SEATS_WOKEN
from conveyor._runtime.turns import Turn
from conveyor.model.outcomes import Failed, Stop, WaitForChildren

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from conveyor._runtime.executor import Executor
    from conveyor._runtime.transactions import RunTransaction
    from conveyor.model.job import JobData

__all__ = ["Slot", "StopReason"]

logger: Final = logging.getLogger("conveyor.worker")


class StopReason(Enum):
    """Why a running handler was cancelled."""

    TIMEOUT = auto()
    LOCK_LOST = auto()
    SHUTDOWN = auto()


@define
class RunDeadline:
    """The time by which one run of a slot must have ended."""

    slot: Slot
    run_number: int

    def matters(self) -> bool:
        """Whether that run goes on."""
        return self.slot.job is not None and self.slot.run_number == self.run_number

    def pass_by(self) -> None:
        """Cancel the run."""
        self.slot.stop(StopReason.TIMEOUT, self.run_number)


class Slot:
    """Runs jobs one after another; a worker has as many as its concurrency."""

    def __init__(self, executor: Executor) -> None:
        """Take a seat at the executor's board."""
        self.job: JobData | None = None
        self.run_number = 0
        self.transaction: RunTransaction | None = None
        self.knows_open_children = False
        # What shows where its run is: see dumps.py. Kept once, so that a run costs nothing.
        self.task: anyio.TaskInfo | None = None
        self.coroutine: Coroutine[object, object, None] | None = None
        self._executor = executor
        self._board = executor.board
        self._scope: anyio.CancelScope | None = None
        self._stop_reason: StopReason | None = None
        self._event: anyio.Event | None = None
        # Not the event loop's clock: to ask for that takes longer than a small job.
        self._began = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether the run's transaction has settled its job already."""
        return self.transaction is not None and self.transaction.settlement is not None

    @property
    def has_lost_lock(self) -> bool:
        """Whether its run was told to stop because its job is not its own any more."""
        return self._stop_reason is StopReason.LOCK_LOST

    def wake(self) -> None:
        """There may be work, or the end."""
        if self._event is not None:
            self._event.set()

    def lose(self) -> None:
        """The lock of its job is gone: stop the run, unless its transaction is what ended the lock."""
        if self.transaction is None or not self.transaction.is_ending:
            self.stop(StopReason.LOCK_LOST)

    def stop(self, reason: StopReason, run_number: int | None = None) -> None:
        """Cancel the handler that runs now (if it is still the run meant)."""
        if self.job is None or self._stop_reason is not None or run_number not in (None, self.run_number):
            return
        self._stop_reason = reason
        if self._scope is not None:
            self._scope.cancel()

    def is_stopped(self, run_number: int) -> bool:
        """Whether this run was told to stop, or is over."""
        return self._stop_reason is not None or run_number != self.run_number

    async def run(self) -> None:
        """Run jobs until the board closes."""
        self.task = anyio.get_current_task()
        self.coroutine = self._run()
        await self.coroutine

    async def _run(self) -> None:
        board = self._board
        while not (board.is_closing and not board.ready):
            with anyio.CancelScope() as self._scope:
                await self._run_jobs(self._scope)

    async def _run_jobs(self, scope: anyio.CancelScope) -> None:
        board = self._board
        turn = Turn()
        while True:
            job = board.take()
            if job is not None:
                await self._run_one(job)
                if scope.cancel_called:
                    return
                if turn.is_over:
                    await checkpoint()
                    turn.begin()
            elif board.is_closing:
                return
            else:
                self._event = anyio.Event()
                board.idle.append(self)
                await self._event.wait()
                self._event = None
                turn.begin()
                # Others are for what this one leaves: its own job may wait.
                board.wake_seats(min(SEATS_WOKEN, len(board.ready) - 1))

    async def _run_one(self, job: JobData) -> None:
        self._begin(job)
        try:
            try:
                value = await self._executor.call(job, self)
            except Stop as stop:
                value = stop.outcome
            if isinstance(value, WaitForChildren) and not self.is_settled:
                value = await self._executor.wait_for_children(job, self)
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is that job's failure
            self._end(job, self._failure(job, exc))
        except BaseException as exc:
            if not self._is_passing_through(exc):
                logger.warning("a handler of job %s raised %s", job.id, type(exc).__name__)
                self._end(job, self._failure(job, exc))
                return
            self._end_cancelled(job)
            _raise_only_cancellation(exc)
            raise
        else:
            self._end(job, value)

    def _begin(self, job: JobData) -> None:
        self.job = job
        self.run_number += 1
        self._stop_reason = None
        self.transaction = None
        self.knows_open_children = False
        self._began = time.monotonic()
        self._board.start(job, self)
        timeout = job.options.timeout
        if timeout is not None:
            self._executor.deadlines.watch(timeout.total_seconds(), RunDeadline(self, self.run_number))

    def _end(self, job: JobData, value: object) -> None:
        self.job = None
        if self.transaction is not None and self.transaction.settlement is not None:
            self.transaction.tell_ignored(value)
            # The same again, which changes nothing: so this run, too, ends by way of the settler.
            self._board.finish(job, self.transaction.settlement)
        elif self._stop_reason is StopReason.LOCK_LOST:
            # Where trust ended and the lock did not, nobody else would ever give the job up: the session lives on.
            self._board.abandon(job, is_stopping=False)
        else:
            self._board.finish(job, self._executor.settlement(job, value, time.monotonic() - self._began))

    def _is_passing_through(self, exc: BaseException) -> bool:
        """Whether this is a cancellation from outside of the handler, or the user's Ctrl-C.

        Anything else is the handler's failure, however it is derived: ``sys.exit()`` in a job ends the job, not
        the worker, and so does a CancelledError that the handler made for itself, as asyncio's tasks do.
        """
        cancelled = anyio.get_cancelled_exc_class()
        kinds = (KeyboardInterrupt, cancelled)
        if isinstance(exc, BaseExceptionGroup):
            if exc.subgroup(kinds) is None:
                return False
        elif not isinstance(exc, kinds):
            return False
        if not isinstance(exc, cancelled):
            return True
        return self._stop_reason is not None or anyio.current_effective_deadline() == -math.inf

    def _failure(self, job: JobData, exc: BaseException) -> Failed:
        # A handler may turn its cancellation into an error of its own; the timeout is what happened.
        return self._timed_out(job, exc) if self._stop_reason is StopReason.TIMEOUT else Failed(exc)

    def _end_cancelled(self, job: JobData) -> None:
        match self._stop_reason:
            case StopReason.TIMEOUT:
                self._end(job, self._timed_out(job, None))
            case StopReason.LOCK_LOST:
                self._end(job, None)
            case _ if self.is_settled:
                self._end(job, None)
            case StopReason.SHUTDOWN | None:  # None: the whole program is being cancelled
                self.job = None
                self._board.abandon(job, is_stopping=True)

    def _timed_out(self, job: JobData, cause: BaseException | None) -> Failed:
        error = TimeoutError(f"the run took longer than {job.options.timeout}")
        error.__cause__ = cause
        return Failed(error)


def _raise_only_cancellation(exc: BaseException) -> None:
    """Where a handler's own task group mixed errors with its cancellation, let only the cancellation out.

    The errors belong to the job, which has its outcome already; outside they would take the worker down.
    """
    if not isinstance(exc, BaseExceptionGroup):
        return
    cancelled, errors = exc.split(anyio.get_cancelled_exc_class())
    if cancelled is not None and (errors is None or isinstance(errors, ExceptionGroup)):
        if errors is not None:
            logger.warning("a handler failed while it was being cancelled", exc_info=errors)
        raise cancelled
