"""The executor: slots that run jobs one after another, each inside a cancel scope that reaches the handler.

A slot keeps its scope over many jobs, because opening one per job costs more than a small job does. It leaves
the scope as soon as it was cancelled, however the job ended: otherwise a cancel that came too late for one job
would hit the next.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from attrs import define

from conveyor._runtime.transactions import RunTransaction
from conveyor._services.context import JobContext
from conveyor.codec import encode_json
from conveyor.errors import PayloadError
from conveyor.model.outcomes import Cancel, Completed, Failed, Outcome, Retry, Snooze, Stop
from conveyor.model.settlement import Settlement, settle, settle_completed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from conveyor._runtime.board import Board
    from conveyor._runtime.deadlines import Deadlines
    from conveyor._runtime.transactions import TransactionOpener
    from conveyor._services.handlers import Handler, HandlerRegistry
    from conveyor.contracts.middleware import Middleware
    from conveyor.model.job import JobData
    from conveyor.model.retry import Curve

__all__ = ["Executor", "Slot", "StopReason"]

logger: Final = logging.getLogger("conveyor.worker")

_OUTCOMES: Final = (Completed, Failed, Retry, Snooze, Cancel)


class StopReason(Enum):
    """Why a running handler was cancelled."""

    TIMEOUT = auto()
    LOCK_LOST = auto()
    SHUTDOWN = auto()


class Executor:
    """Knows how to run one job; the slots share it."""

    def __init__(
        self,
        handlers: HandlerRegistry,
        middleware: Sequence[Middleware],
        curves: Mapping[str, Curve],
        board: Board,
        deadlines: Deadlines,
        *,
        thread_limiter: anyio.CapacityLimiter,
        transactions: TransactionOpener | None = None,
    ) -> None:
        """Bind to what a run needs; without `transactions`, runs have none."""
        self.board = board
        self.deadlines = deadlines
        self._handlers = handlers
        self._middleware = tuple(middleware)
        self._curves = curves
        self._thread_limiter = thread_limiter
        self._transactions = transactions
        # By thread: the jobs whose handlers are in threads, also after their runs were given up.
        self.threads: dict[int, JobData] = {}
        self._loop_thread = threading.get_ident()
        self.loop_token = anyio.lowlevel.current_token()

    async def call(self, job: JobData, slot: Slot) -> object:
        """Find the handler, read its arguments, and call it inside the middleware."""
        handler = self._handlers.get(job)
        args, kwargs = handler.read(job)
        if handler.wants_context:
            args = (self._context(job, slot, handler), *args)
        if not self._middleware and handler.is_async:
            return await handler.function(*args, **kwargs)
        call: Callable[[], Awaitable[object]] = partial(self._call_handler, job, handler, args, kwargs)
        for middleware in reversed(self._middleware):
            call = partial(middleware.around_run, job, call)
        return await call()

    async def process(self, job: JobData, /) -> Outcome:
        """Run one job in the caller's task and return what its handler meant; see `ProcessJob`."""
        try:
            value = await self.call(job, Slot(self))
        except Stop as stop:
            return stop.outcome
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is that job's failure
            return Failed(exc)
        return value if isinstance(value, _OUTCOMES) else Completed(value)

    async def _call_handler(
        self, job: JobData, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        if handler.is_async:
            return await handler.function(*args, **kwargs)
        return await anyio.to_thread.run_sync(
            partial(self._call_in_thread, job, partial(handler.function, *args, **kwargs)),
            abandon_on_cancel=True,
            limiter=self._thread_limiter,
        )

    def _call_in_thread(self, job: JobData, function: Callable[[], object]) -> object:
        own = threading.get_ident()
        self.threads[own] = job
        try:
            return function()
        finally:
            del self.threads[own]

    def _context(self, job: JobData, slot: Slot, handler: Handler) -> JobContext:
        run = slot.run_number
        on_loop = self._on_loop
        # `process` runs jobs for whoever settles them by himself: such a run has no transaction of ours.
        if self._transactions is None or slot.job is None or not handler.is_async:
            return JobContext(job, self.board.outbox, lambda: slot.is_stopped(run), on_loop, is_async=handler.is_async)
        slot.transaction = transaction = RunTransaction(job, self.board.outbox, self._transactions)
        return JobContext(job, transaction, lambda: slot.is_stopped(run), on_loop, transaction=transaction)

    def _on_loop(self, report: Callable[[], None]) -> None:
        """Run something on the event loop; handlers report from threads, too, also from those of their own."""
        if threading.get_ident() == self._loop_thread:
            report()
        else:
            anyio.from_thread.run_sync(report, token=self.loop_token)

    def settlement(self, job: JobData, value: object) -> Settlement:
        """Turn what a handler returned into what the store is asked to do."""
        try:
            if value is None:
                return settle_completed(job, None)
            if not isinstance(value, _OUTCOMES):
                return settle_completed(job, encode_json(value))
            result = encode_json(value.value) if isinstance(value, Completed) and value.value is not None else None
        except PayloadError as exc:
            refused = PayloadError("result", exc.path, exc.reason, name=job.name, job_id=job.id)
            return self.settlement(job, Failed(refused, retry=False))
        return self._settle(job, value, result)

    def _settle(self, job: JobData, outcome: Outcome, result: bytes | None) -> Settlement:
        jitter = random.random()  # noqa: S311 - spreads retries, no secret
        try:
            return settle(job, outcome, result=result, jitter=jitter, curves=self._curves)
        except Exception as exc:  # noqa: BLE001 - a back-off curve is user code, or is not registered here
            return settle(job, Failed(exc, retry=False), result=None, jitter=jitter)


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
        # What shows where its run is: see dumps.py. Kept once, so that a run costs nothing.
        self.task: anyio.TaskInfo | None = None
        self.coroutine: Coroutine[object, object, None] | None = None
        self._executor = executor
        self._board = executor.board
        self._scope: anyio.CancelScope | None = None
        self._stop_reason: StopReason | None = None
        self._event: anyio.Event | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the run's transaction has settled its job already."""
        return self.transaction is not None and self.transaction.settlement is not None

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
        while True:
            job = board.take()
            if job is not None:
                await self._run_one(job)
                if scope.cancel_called:
                    return
            elif board.is_closing:
                return
            else:
                self._event = anyio.Event()
                board.idle.append(self)
                await self._event.wait()
                self._event = None

    async def _run_one(self, job: JobData) -> None:
        self._begin(job)
        try:
            value = await self._executor.call(job, self)
        except Stop as stop:
            self._end(job, stop.outcome)
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
            self._board.finish(job, self._executor.settlement(job, value))

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
