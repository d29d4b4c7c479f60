"""JobContext: what a handler may ask of, and tell about, the run it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from conveyor.errors import ConfigurationError, LockLostError
from conveyor.model.job import JobData, LogEntry, Progress, ProgressReport, log_line
from conveyor.model.locks import Lock, LockToken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._services.flows import ChildJob
    from conveyor.contracts.store import OpenTransaction, TransactionConnection
    from conveyor.model.flows import Flow
    from conveyor.model.job import NewJob

__all__ = ["JobContext", "JobFlows", "JobTransaction", "Reports", "open_step"]

_NEEDS_WORKER: Final = (
    "ctx.children(), ctx.sync_children() and ctx.add_children() need a worker: nobody else knows a job's children"
)


class Reports(Protocol):
    """Where a run's logs and progress go; they are written in batches, under the run's lock."""

    def add_log(self, entry: LogEntry, /) -> None:
        """Take one line."""
        ...

    def add_progress(self, report: ProgressReport, /) -> None:
        """Take progress; of several reports of one run only the last need be written."""
        ...


class JobTransaction(Protocol):
    """The transaction that a run may open; see `JobContext.transaction`."""

    def open(self) -> AbstractAsyncContextManager[TransactionConnection]:
        """Return the block."""
        ...

    def open_step(self) -> AbstractAsyncContextManager[OpenTransaction]:
        """Return the block of a transaction that does not end the run; its body commits, else it is rolled back."""
        ...

    def set_result(self, value: object, /) -> None:
        """Take the result that the commit writes."""
        ...


class JobFlows(Protocol):
    """A run's way to the children of its job."""

    async def get_children(self) -> Sequence[ChildJob]:
        """Return what is known of them."""
        ...

    def read_children(self) -> Sequence[ChildJob]:
        """Return what is known of them, in a thread of the handler's, which waits for it."""
        ...

    async def add_children(self, children: Sequence[Flow | NewJob], /) -> None:
        """Add some, under the run's lock."""
        ...


class JobContext:
    """Given to a handler whose first parameter is annotated with it.

    `log` and `progress` return at once, also in a sync handler's thread; what they say is written to the store
    in batches, before the run's end is. What a run says after it lost its lock is dropped.
    """

    def __init__(  # noqa: PLR0913 - each is a thing that a run may ask for
        self,
        job: JobData,
        reports: Reports,
        is_cancelled: Callable[[], bool],
        on_loop: Callable[[Callable[[], None]], None] | None = None,
        *,
        is_async: bool = True,
        transaction: JobTransaction | None = None,
        flows: Callable[[JobData], JobFlows] | None = None,
        get_state: Callable[[], Any] | None = None,
        beat: Callable[[], bool] | None = None,
        is_stopping: Callable[[], bool] | None = None,
    ) -> None:
        """Bind a context to one run; core makes these, tests may.

        Args:
            job: the job as it was fetched.
            reports: where logs and progress go.
            is_cancelled: tells whether the run was asked to stop.
            on_loop: runs a function on the event loop, from whichever thread; None: it is called as it is.
            is_async: whether the handler is an async function.
            transaction: what `transaction` opens; None: this run has none.
            flows: makes the way to the job's children; None: this run has none.
            get_state: returns the app's state; None: there is no app.
            is_stopping: tells whether the worker is about to stop; None: it never is.
            beat: notes a heartbeat, and tells whether the run must end by itself; None: `is_cancelled` tells that.
        """
        self._job = job
        self._reports = reports
        self._is_cancelled = is_cancelled
        self._on_loop = on_loop
        self._is_async = is_async
        self._transaction = transaction
        self._flows = flows
        self._get_state = get_state
        self._beat = is_cancelled if beat is None else beat
        self._is_stopping = is_stopping
        self._lock = Lock(job.id, job.token or LockToken("", 0))

    @property
    def job(self) -> JobData:
        """The job as it was when this run began."""
        return self._job

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1; snoozes and stalls do not count."""
        return self._job.attempts_made + 1

    @property
    def state(self) -> Any:
        """What the app's lifespan gave: the very object, which all runs of the app share.

        Raises:
            ConfigurationError: the app has no lifespan.
        """
        if self._get_state is None:
            raise ConfigurationError("this context belongs to no app, and has no state: give it get_state=")
        return self._get_state()

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop. Async handlers are cancelled for real; a sync one should look."""
        return self._is_cancelled()

    @property
    def stopping(self) -> bool:
        """Whether the worker is about to stop; the run may still end, for as long as ``shutdown_grace`` lasts.

        A long run that can go on later where it is may end now: ``return Snooze(0)``, and another worker takes it up.
        """
        return self._is_stopping is not None and self._is_stopping()

    def heartbeat(self) -> None:
        """Say, between two steps of a long computation, that the run goes on; and end it where it must not.

        An async handler that keeps the event loop busy is taken for hung when the loop has not run for
        `max_unresponsive`; heartbeats put that off. The lock is renewed without them.

        Raises:
            LockLostError: in a thread, which nobody can cancel: the run was asked to stop. On the event loop, whose
                own watch stands still meanwhile: the lock can be trusted no more. Let it pass.
        """
        if self._beat():
            raise LockLostError(str(self._lock.token), job_id=self._job.id, queue_name=self._job.queue_name)

    def log(self, message: str) -> None:
        """Keep a line with the job; one of more than 10 000 characters is cut in the middle."""
        entry = LogEntry(self._job.id, log_line(message), lock=self._lock, attempt=self.attempt)
        self._send(lambda: self._reports.add_log(entry))

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job is: `done` of `total` (None: unknown), with an optional message.

        Raises:
            ValueError: a number is not finite.
        """
        if not (math.isfinite(done) and (total is None or math.isfinite(total))):
            raise ValueError(f"progress takes finite numbers, got done={done!r} and total={total!r}")
        text = None if message is None else log_line(message)
        report = ProgressReport(self._lock, Progress(float(done), None if total is None else float(total), text))
        self._send(lambda: self._reports.add_progress(report))

    def transaction(self) -> AbstractAsyncContextManager[TransactionConnection]:
        """Open a transaction in the store's database that commits what is written in it, and completes the job.

        ``async with ctx.transaction() as connection:`` Leaving the block commits both, or neither; an error, a
        cancel (timeout, shutdown, a lost lock) or a third of the lock duration rolls back. Adds join it with
        ``connection=connection``. Once it is committed, the job is completed whatever the handler does; the
        result is what `set_result` was given.

        Raises:
            LockLostError: on entering or leaving: another run owns the job; nothing was written.
            TimeoutError: on leaving, or from a statement: it took longer than a third of the lock duration.
            CapabilityError: the store has no transactions.
            ConfigurationError: the handler is not async, or takes batches, or this run has committed a transaction,
                or is in one.
        """
        return self._own_transaction().open()

    def set_result(self, value: object) -> None:
        """Say, inside the block of `transaction`, what the job's result is; the block's commit writes it.

        Raises:
            PayloadError: it has no JSON form.
            ConfigurationError: no transaction is open.
        """
        self._own_transaction().set_result(value)

    async def children(self) -> Sequence[ChildJob]:
        """Return what is known of the job's children, in the order in which they were added; for async handlers.

        A sync handler calls `sync_children`.

        Raises:
            CapabilityError: the store has no flows.
            ConfigurationError: there is no worker.
        """
        return await self._own_flows().get_children()

    def sync_children(self) -> Sequence[ChildJob]:
        """Return what `children` does; for sync handlers, whose thread or process waits for it.

        In a process each value is as JSON has it.

        Raises:
            CapabilityError: the store has no flows.
            ConfigurationError: there is no worker, or the handler is async.
        """
        if self._is_async:
            raise ConfigurationError("ctx.sync_children() would block the event loop: here, await ctx.children()")
        return self._own_flows().read_children()

    async def add_children(self, *children: Flow | NewJob) -> None:
        """Add children to the job, all or none; for async handlers.

        Return `WaitForChildren` to run again once they have ended. A run that was interrupted begins anew and finds
        those that it added in `children`, so look there first.

        Raises:
            LockLostError: another run owns the job; nothing was added.
            FlowError: no flow can be made of them, or one of them is the job itself.
            DuplicateJobError: another job has the id of one of them; nothing was added.
            CapabilityError: the store has no flows.
            ConfigurationError: there is no worker.
        """
        await self._own_flows().add_children(children)

    def _own_flows(self) -> JobFlows:
        if self._flows is None:
            raise ConfigurationError(_NEEDS_WORKER)
        return self._flows(self._job)

    def _own_transaction(self) -> JobTransaction:
        if self._transaction is not None:
            return self._transaction
        if not self._is_async:
            raise ConfigurationError("ctx.transaction() is for async handlers: write this one as an async function")
        raise ConfigurationError(
            "ctx.transaction() needs a worker, and a handler of one job at a time: nobody else can complete a job in it"
        )

    def _send(self, report: Callable[[], None]) -> None:
        if self._on_loop is None:
            report()
        else:
            self._on_loop(report)


def open_step(context: JobContext) -> AbstractAsyncContextManager[OpenTransaction]:
    """Open a transaction of a run that goes on after it: see `JobTransaction.open_step`."""
    return context._own_transaction().open_step()  # noqa: SLF001 - of this module, and not for handlers
