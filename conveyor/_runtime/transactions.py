"""The transaction of one run: begun, bounded and ended around the handler's block, whatever becomes of it.

The store commits the run's completion with what the handler wrote, under the run's lock. So a run whose
transaction is committed is settled: its lock is gone and not lost, and nothing it does afterwards changes that.
What it says meanwhile (logs, progress) is written in the same transaction: the settler could write it only
afterwards, when there is no lock any more.
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import frozen

from conveyor._runtime.transient import until_available
from conveyor._services.sealing import sealed_result
from conveyor.codec import encode_json
from conveyor.errors import CapabilityError, ConfigurationError, PayloadError, StoreError, StoreUnavailableError
from conveyor.model.locks import Lock, LockToken
from conveyor.model.outcomes import Completed, Failed
from conveyor.model.settlement import settle_completed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from conveyor._runtime.outbox import Outbox
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import OpenTransaction, Store, TransactionConnection
    from conveyor.model.job import JobData, LogEntry, ProgressReport
    from conveyor.model.settlement import Settlement

__all__ = ["RunTransaction", "TransactionOpener"]

logger: Final = logging.getLogger("conveyor.worker")

# How long a commit or rollback may take, also while the run is being cancelled.
ENDING_SECONDS: Final = 5.0


@frozen
class TransactionOpener:
    """What the transactions of one worker's runs have in common.

    Attributes:
        store: where they take place.
        longest: after so long a transaction is rolled back.
        finish_flush: waits until no report is on its way to the store.
        outage: told where one cannot begin.
        payload_codec: seals results; None: they are kept as they are.
    """

    store: Store
    longest: timedelta
    finish_flush: Callable[[], Awaitable[None]]
    outage: Outage
    payload_codec: PayloadCodec | None = None


class _State(Enum):
    CLOSED = auto()
    OPEN = auto()
    COMMITTING = auto()
    COMMITTED = auto()


class RunTransaction:
    """The transaction that a run may open; it takes the run's reports as `Reports`."""

    def __init__(self, job: JobData, outbox: Outbox, opener: TransactionOpener) -> None:
        """Bind to one run; nothing is opened yet."""
        self.settlement: Settlement | None = None
        self._job = job
        self._began = time.monotonic()
        self._lock = Lock(job.id, job.token or LockToken("", 0))
        self._outbox = outbox
        self._opener = opener
        self._state = _State.CLOSED
        self._result: bytes | None = None
        self._has_reported = False
        self._logs: list[LogEntry] = []
        self._progress: dict[Lock, ProgressReport] = {}

    @property
    def is_ending(self) -> bool:
        """Whether the store itself tells, or has told, if the lock held: nobody else's news count any more."""
        return self._state in (_State.COMMITTING, _State.COMMITTED)

    def add_log(self, entry: LogEntry, /) -> None:
        """Take one line."""
        if self._state is _State.OPEN:
            self._logs.append(entry)
            return
        self._has_reported = True
        self._outbox.add_log(entry)

    def add_progress(self, report: ProgressReport, /) -> None:
        """Take the run's progress."""
        if self._state is _State.OPEN:
            self._progress[report.lock] = report
            return
        self._has_reported = True
        self._outbox.add_progress(report)

    def set_result(self, value: object) -> None:
        """Take the result that the commit writes; see `JobContext.set_result`."""
        if self._state is not _State.OPEN:
            raise ConfigurationError("set_result is for the block of ctx.transaction(); elsewhere return the result")
        try:
            self._result = None if value is None else encode_json(value)
        except PayloadError as exc:
            raise PayloadError("result", exc.path, exc.reason, name=self._job.name, job_id=self._job.id) from exc

    def open(self) -> AbstractAsyncContextManager[TransactionConnection]:
        """Return the block; see `JobContext.transaction`."""
        self._check_closed()
        return self._opened()

    def open_step(self) -> AbstractAsyncContextManager[OpenTransaction]:
        """Return the block of a transaction that does not end the run; see `JobTransaction.open_step`."""
        self._check_closed()
        return self._opened_step()

    def _check_closed(self) -> None:
        if self._state is _State.COMMITTED:
            raise ConfigurationError("this run's transaction is committed, and its job completed: a run has only one")
        if self._state is not _State.CLOSED:
            raise ConfigurationError("this run is in its transaction: leave that block before you open another")
        store = self._opener.store
        if not store.capabilities.has_transactions:
            raise CapabilityError(store.name, "transactions", "ctx.transaction()")

    def tell_ignored(self, outcome: object) -> None:
        """Say what the run meant after its commit, where that is something else."""
        value = outcome.value if isinstance(outcome, Completed) else outcome
        if isinstance(outcome, Failed):
            error = outcome.error if isinstance(outcome.error, BaseException) else None
            logger.error(
                "job %s stays completed, but its run failed after its transaction: %s",
                self._job.id,
                outcome.error,
                exc_info=error,
            )
        elif value is not None and not self._is_result(value):
            logger.warning(
                "job %s completed with its transaction; what its handler returned is not kept: "
                "give the result to ctx.set_result() inside the block",
                self._job.id,
            )

    def _is_result(self, value: object) -> bool:
        try:
            return encode_json(value) == self._result
        except PayloadError:
            return False

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[TransactionConnection]:
        self._state = _State.OPEN
        try:
            await self._take_reports()
            transaction = await self._begin()
            try:
                with anyio.move_on_after(self._opener.longest.total_seconds()) as limit:
                    yield transaction.connection
                    # A run that was told to stop commits nothing, also if it did not notice.
                    await checkpoint_if_cancelled()
                if limit.cancelled_caught:
                    raise TimeoutError(f"the transaction took longer than {self._opener.longest} and was rolled back")
                await self._commit(transaction)
            finally:
                await self._roll_back(transaction)
        finally:
            self._close()

    @asynccontextmanager
    async def _opened_step(self) -> AsyncIterator[OpenTransaction]:
        self._state = _State.OPEN
        try:
            transaction = await self._begin()
            try:
                with anyio.move_on_after(self._opener.longest.total_seconds()) as limit:
                    yield transaction
                if limit.cancelled_caught:
                    raise TimeoutError(f"the transaction took longer than {self._opener.longest} and was rolled back")
            finally:
                await self._roll_back(transaction)
        finally:
            self._close()

    async def _take_reports(self) -> None:
        """Take what the run has said so far into its transaction, after which it holds its lock no more."""
        if self._has_reported:
            logs, progress = self._outbox.take_reports_of(self._lock)
            self._logs += logs
            if progress is not None:
                self._progress.setdefault(self._lock, progress)
            # What the settler has in hand would come after the commit otherwise, and be refused.
            await self._opener.finish_flush()

    async def _begin(self) -> OpenTransaction:
        transactions = self._opener.store.transactions
        if transactions is None:
            raise CapabilityError(self._opener.store.name, "transactions", "ctx.transaction()")
        return await until_available(
            lambda: transactions.begin(self._lock, self._opener.longest), "begin a transaction", self._opener.outage
        )

    async def _commit(self, transaction: OpenTransaction) -> None:
        result = sealed_result(self._opener.payload_codec, self._result, self._job)
        settlement = settle_completed(self._job, result)
        settlement.run_seconds = time.monotonic() - self._began
        self._state = _State.COMMITTING
        with anyio.move_on_after(ENDING_SECONDS, shield=True) as in_time:
            await transaction.commit(settlement, self._logs, list(self._progress.values()))
        if in_time.cancelled_caught:
            raise StoreUnavailableError("the commit was not answered; the job's state will tell if it took effect")
        self.settlement = settlement
        self._state = _State.COMMITTED
        self._logs, self._progress = [], {}

    async def _roll_back(self, transaction: OpenTransaction) -> None:
        if self.settlement is not None:
            return
        try:
            with anyio.move_on_after(ENDING_SECONDS, shield=True) as in_time:
                await transaction.roll_back()
        except StoreError as exc:
            # What ended the block is what counts: it may be a cancellation. The store undoes by itself what stays open.
            logger.error("the transaction of job %s was not rolled back: %s", self._job.id, exc)  # noqa: TRY400 - said
            return
        if in_time.cancelled_caught:
            logger.error("the transaction of job %s was not rolled back in time", self._job.id)

    def _close(self) -> None:
        if self.settlement is not None:
            return
        self._state = _State.CLOSED
        self._result = None
        # What the run said is kept also where what it wrote is not.
        logs, self._logs = self._logs, []
        progress, self._progress = self._progress, {}
        for entry in logs:
            self.add_log(entry)
        for report in progress.values():
            self.add_progress(report)
