"""The executor: calls the handler of one job, on the event loop, in a thread or a process, with what it asked for."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import anyio.from_thread
import anyio.lowlevel
from attrs import frozen

from conveyor._runtime.batching import Batches, Member
from conveyor._runtime.endings import OUTCOMES
from conveyor._runtime.processes.pool import HandlerProcesses
from conveyor._runtime.transactions import RunTransaction
from conveyor._services.context import JobContext
from conveyor._services.sealing import opened, sealed_end
from conveyor.errors import FlowError, StoreUnavailableError
from conveyor.model.outcomes import Completed, Failed, Outcome, Stop, WaitForChildren

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor._runtime.board import Board
    from conveyor._runtime.deadlines import Deadlines
    from conveyor._runtime.endings import Endings
    from conveyor._runtime.handler_threads import HandlerThreads
    from conveyor._runtime.transactions import TransactionOpener
    from conveyor._services.context import JobFlows
    from conveyor._services.handlers import Handler, HandlerRegistry
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement

__all__ = ["Caller", "Executor", "RunMeans"]


class Caller(Protocol):
    """Who runs a job, as the executor sees it: a slot, which has many runs one after another.

    Attributes:
        job: the job that runs; None: its end is somebody else's affair, and so it has no transaction here.
        run_number: which of the caller's runs this is.
        transaction: the run's, if its handler may open one.
        knows_open_children: whether the run has added children to its job, or has seen one that had not ended.
    """

    job: JobData | None
    run_number: int
    transaction: RunTransaction | None
    knows_open_children: bool

    def is_stopped(self, run_number: int) -> bool:
        """Whether this run was told to stop, or is over."""
        ...

    @property
    def has_lost_lock(self) -> bool:
        """Whether the run was told to stop because its job is not its own any more."""
        ...


class MakeFlows(Protocol):
    """Makes a run's way to the children of its job."""

    def __call__(self, job: JobData, /, *, on_open: Callable[[], None]) -> JobFlows:
        """Return it; `on_open` is called once it has added some, or has seen some that had not ended."""
        ...


class _Stranger:
    """Whoever fetches and settles by himself: nobody but he stops his run, by cancelling it."""

    def __init__(self) -> None:
        self.job: JobData | None = None
        self.run_number = 0
        self.transaction: RunTransaction | None = None
        self.knows_open_children = False
        self.has_lost_lock = False
        self.is_over = False

    def is_stopped(self, run_number: int) -> bool:  # noqa: ARG002 - there is but one
        return self.is_over


@frozen
class RunMeans:
    """What runs may use by way of their context.

    Attributes:
        transactions: opens a run's transaction; None: runs have none.
        flows: makes a run's way to the children of its job, which calls `on_open` once it added or saw open ones; None:
            runs have none.
        get_state: returns what the app's lifespan gave.
        payload_codec: opens arguments and seals results; None: they are kept as they are.
        note_life: told, on the event loop, that a handler which keeps it busy has not hung.
    """

    transactions: TransactionOpener | None = None
    flows: MakeFlows | None = None
    get_state: Callable[[], Any] | None = None
    payload_codec: PayloadCodec | None = None
    note_life: Callable[[], None] | None = None


class Executor:
    """Knows how to run one job; the slots share it."""

    def __init__(
        self,
        handlers: HandlerRegistry,
        middleware: Sequence[Middleware],
        endings: Endings,
        board: Board,
        deadlines: Deadlines,
        *,
        threads: HandlerThreads,
        means: RunMeans,
    ) -> None:
        """Bind to what a run needs."""
        self.board = board
        self.deadlines = deadlines
        self.threads = threads
        self.batches = Batches(threads)
        self.processes = HandlerProcesses()
        self._handlers = handlers
        self._middleware = tuple(middleware)
        self._endings = endings
        self._means = means
        self._loop_thread = threading.get_ident()
        self.loop_token = anyio.lowlevel.current_token()

    async def call(self, job: JobData, caller: Caller) -> object:
        """Find the handler, read its arguments, and call it inside the middleware."""
        handler = self._handlers.get_or_stand_in(job)
        job = opened(self._means.payload_codec, job)
        if handler.is_in_process:
            in_process = partial(self.processes.call, job, handler, self._context(job, caller, handler))
            return await self._inside_middleware(job, in_process)
        args, kwargs = handler.read(job)
        if handler.wants_context:
            args = (self._context(job, caller, handler), *args)
        call: Callable[[], Awaitable[object]]
        if handler.batch is not None:
            # What is ready may belong to the same batch, which waits for nobody who is not there yet.
            self.board.wake_seats(len(self.board.ready))
            call = partial(self.batches.run, handler, handler.batch, Member(job, caller, args))
        elif not self._middleware and handler.is_async:
            return await handler.function(*args, **kwargs)
        else:
            call = partial(self._call_handler, job, handler, args, kwargs)
        return await self._inside_middleware(job, call)

    async def _inside_middleware(self, job: JobData, call: Callable[[], Awaitable[object]]) -> object:
        for middleware in reversed(self._middleware):
            call = partial(middleware.around_run, job, call)
        return await call()

    async def process(self, job: JobData, /) -> Outcome:
        """Run one job in the caller's task and return what its handler meant; see `ProcessJob`."""
        stranger = _Stranger()
        try:
            value = await self.call(job, stranger)
        except Stop as stop:
            return stop.outcome
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is that job's failure
            return Failed(exc)
        finally:
            # A thread that was left behind is told.
            stranger.is_over = True
        return value if isinstance(value, OUTCOMES) else Completed(value)

    async def wait_for_children(self, job: JobData, caller: Caller) -> Outcome:
        """Return what a run comes to that asks to wait for children: it fails where there is none to wait for.

        Such a job would run again at once, for ever, and no attempt would be counted. Children that the run itself has
        added, or has seen open, may have ended meanwhile; it does not know yet.
        """
        if self._means.flows is None or caller.knows_open_children:
            return WaitForChildren()
        try:
            children = await self._means.flows(job, on_open=lambda: None).get_children()
        except StoreUnavailableError:
            # Not the handler's fault; it is found out the next time.
            return WaitForChildren()
        if any(child.is_open for child in children):
            return WaitForChildren()
        raise FlowError(
            f"the handler of {job.name} returned WaitForChildren(), and no child of the job is open:"
            " look at the children first, and add some before you wait for them"
        )

    async def _call_handler(
        self, job: JobData, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        if handler.is_async:
            return await handler.function(*args, **kwargs)
        return await self.threads.call(job, partial(handler.function, *args, **kwargs))

    def _context(self, job: JobData, caller: Caller, handler: Handler) -> JobContext:
        means, transaction = self._means, None
        # `process` runs jobs for whoever settles them by himself: such a run has no transaction of ours.
        # A batch handler has many jobs, of which each may be left alone in the middle.
        is_single = handler.is_async and handler.batch is None
        if means.transactions is not None and caller.job is not None and is_single:
            caller.transaction = transaction = RunTransaction(job, self.board.outbox, means.transactions)
        return JobContext(
            job,
            transaction or self.board.outbox,
            partial(caller.is_stopped, caller.run_number),
            self._on_loop,
            is_async=handler.is_async,
            transaction=transaction,
            flows=None
            if means.flows is None
            else partial(means.flows, on_open=partial(setattr, caller, "knows_open_children", True)),
            get_state=means.get_state,
            beat=partial(self._beat, caller, caller.run_number),
            is_stopping=lambda: self.board.is_closing,
        )

    def _beat(self, caller: Caller, run_number: int) -> bool:
        """Take a handler's heartbeat, and return whether it must end by itself."""
        if threading.get_ident() != self._loop_thread:
            # A thread says nothing about the loop, which may hang nevertheless.
            return caller.is_stopped(run_number)
        if self._means.note_life is not None:
            self._means.note_life()
        # Whatever else stops a run cancels it at its next checkpoint.
        return caller.has_lost_lock and caller.run_number == run_number

    def _on_loop(self, report: Callable[[], None]) -> None:
        """Run something on the event loop; handlers report from threads, too, also from those of their own."""
        if threading.get_ident() == self._loop_thread:
            report()
        else:
            anyio.from_thread.run_sync(report, token=self.loop_token)

    def settlement(self, job: JobData, value: object, run_seconds: float = 0.0) -> Settlement:
        """Turn what a handler returned, after so long, into what the store is asked to do."""
        is_limited = job.queue_name in self.board.guarded.limited
        settlement = self._endings.settlement_of(job, value, is_limited=is_limited)
        # Nobody else has it yet.
        settlement.run_seconds = run_seconds
        return sealed_end(self._means.payload_codec, settlement, job)
