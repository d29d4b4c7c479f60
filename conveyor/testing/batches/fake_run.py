"""A batch job and its runs in memory: what a strategy saves is kept here, and a run can be stopped or killed."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from attrs import evolve, frozen

from conveyor._runtime.batches.rows.work import RowsOfStrategies
from conveyor.codec import decode_json, encode_json
from conveyor.contracts.batch_job import BatchJobService
from conveyor.contracts.file_storage import FileStorage
from conveyor.contracts.row_batches import RowWork
from conveyor.errors import (
    BatchJobNotFoundError,
    BatchStoppedError,
    CapabilityError,
    ConfigurationError,
)
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchJobData, RowError, RowOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from conveyor.contracts.batch_job import BatchRun, BatchTransaction
    from conveyor.contracts.store.transactions import TransactionConnection
    from conveyor.contracts.strategy import Injector

__all__ = ["FakeBatchJobs", "FakeBatchRun", "FakeConnection", "RunKilledError"]

T = TypeVar("T")

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class RunKilledError(BaseException):
    """The run is killed here: as by a crash, nobody may handle it."""


class FakeConnection(Protocol):
    """A transaction of the caller's own database, for `FakeBatchRun`."""

    @property
    def connection(self) -> TransactionConnection:
        """What a strategy writes with."""
        ...

    async def commit(self) -> None:
        """Keep what was written."""
        ...

    async def roll_back(self) -> None:
        """Undo what was written."""
        ...


class FakeBatchRun:
    """A batch job, and the run of it that goes on: a `BatchRun` without an app, for unit tests of strategies.

    Attributes:
        batch_job: as the store would have it.
        errors: its bad rows, by number.
        saves: how many steps were saved, in all runs.
        kill_at: the save (counted from 1) that kills the run: before it is kept, or where `kill_after` is set,
            after it was. None: none does.
        stop_reason: where it is set, the run is told to stop, with this reason, at its next save.
        logs: what the strategy logged.
        part: the part that it works on, as `BatchRun.part`, where it is set. A fake run is not divided by itself.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        *,
        batch_id: str = "batch-1",
        batch_type: str = "rows",
        dry_run: bool = False,
        state: Any = None,
        begin: Callable[[], AbstractAsyncContextManager[FakeConnection]] | None = None,
        parent_id: str | None = None,
    ) -> None:
        """Make a batch job that nobody has processed yet.

        Args:
            context: what it is to do.
            batch_id: its id.
            batch_type: its type.
            dry_run: whether it keeps nothing.
            state: what the app's lifespan would give.
            begin: begins a transaction of a database; None: there are none, as in the memory store.
            parent_id: whose bad rows it takes up.
        """
        sealed = encode_json(dict(context))
        self.batch_job: BatchJobData = BatchJobData(
            batch_id,
            batch_type,
            BatchStatus.CREATED,
            sealed,
            LONG_AGO,
            LONG_AGO,
            dry_run=dry_run,
            parent_id=parent_id,
        )
        self.context: Mapping[str, Any] = decode_json(sealed)
        self.errors: dict[int, RowError] = {}
        self.saves: int = 0
        self.kill_at: int | None = None
        self.kill_after = False
        self.stop_reason: str | None = None
        self.part: Any = None
        self.logs: list[str] = []
        self._state = state
        self._begin = begin

    @property
    def is_pre_processing(self) -> bool:
        """See `BatchRun.is_pre_processing`."""
        return self.batch_job.status is BatchStatus.CREATED

    @property
    def is_dry_run(self) -> bool:
        """See `BatchRun.is_dry_run`."""
        return self.batch_job.dry_run

    @property
    def cursor(self) -> Any:
        """See `BatchRun.cursor`."""
        return decode_json(self.batch_job.cursor)

    @property
    def result(self) -> Mapping[str, Any] | None:
        """See `BatchRun.result`."""
        return cast("Mapping[str, Any] | None", decode_json(self.batch_job.result))

    @property
    def can_divide(self) -> bool:
        """Return False; see `BatchRun.can_divide`."""
        return False

    async def process_parts(self, parts: Sequence[Any], /) -> None:
        """Refuse to divide; see `BatchRun.process_parts`.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError("fake", "batch_parts", f"run.process_parts() with {len(parts)} parts")

    @property
    def state(self) -> Any:
        """See `BatchRun.state`."""
        return self._state

    @property
    def has_transactions(self) -> bool:
        """See `BatchRun.has_transactions`."""
        return self._begin is not None

    def start(self) -> None:
        """Begin to process it, as after its confirmation; pre-processing is over."""
        if self.is_pre_processing:
            self.errors.clear()
        self.batch_job = evolve(self.batch_job, status=BatchStatus.PROCESSING)

    async def save(
        self,
        *,
        cursor: Any,
        done: int,
        total: int | None = None,
        counts: Mapping[RowOutcome, int] | None = None,
        errors: Sequence[RowError] = (),
        mended: Sequence[int] = (),
        message: str | None = None,
    ) -> None:
        """Keep how far the run is; see `BatchRun.save`."""
        self._save(_Step(cursor, done, total, counts, errors, mended, message))
        await self.check_stopped()

    async def check_stopped(self) -> None:
        """Raise BatchStoppedError where `stop_reason` is set."""
        if self.stop_reason is not None:
            raise BatchStoppedError(self.batch_job.id, self.stop_reason)

    def transaction(self) -> AbstractAsyncContextManager[BatchTransaction]:
        """Open a transaction; see `BatchRun.transaction`."""
        if self._begin is None:
            raise CapabilityError("fake", "transactions", "run.transaction()")
        return self._transaction(self._begin)

    def set_result(self, result: Mapping[str, Any], /) -> None:
        """Keep what came of it."""
        self.batch_job = evolve(self.batch_job, result=encode_json(dict(result)))

    def set_total(self, total: int, /) -> None:
        """Keep how many rows there are."""
        self.batch_job = evolve(self.batch_job, total=total)

    def log(self, message: str, /) -> None:
        """Keep a line."""
        self.logs.append(message)

    @asynccontextmanager
    async def _transaction(
        self, begin: Callable[[], AbstractAsyncContextManager[FakeConnection]]
    ) -> AsyncIterator[BatchTransaction]:
        async with begin() as opened:
            transaction = _FakeTransaction(opened.connection)
            try:
                yield transaction
                if transaction.step is None:
                    raise ConfigurationError("transaction.save was not called in this transaction")
                if not self.is_dry_run:
                    self._kill_before()
                    await opened.commit()
            finally:
                await opened.roll_back()
            self._save(transaction.step, is_committed=not self.is_dry_run)
        await self.check_stopped()

    def _kill_before(self) -> None:
        if self.saves + 1 == self.kill_at and not self.kill_after:
            raise RunKilledError(f"before save {self.kill_at}")

    def _save(self, step: _Step, *, is_committed: bool = False) -> None:
        if self.is_pre_processing:
            self.errors.update({error.row_number: error for error in step.errors})
            self.batch_job = evolve(self.batch_job, message=step.message)
            return
        if not is_committed:
            self._kill_before()
        self.saves += 1
        for number in step.mended:
            self.errors.pop(number, None)
        self.errors.update({error.row_number: error for error in step.errors})
        self.batch_job = evolve(
            self.batch_job,
            cursor=None if step.cursor is None else encode_json(step.cursor),
            done=step.done,
            total=self.batch_job.total if step.total is None else step.total,
            counts=self.batch_job.counts if step.counts is None else dict(step.counts),
            message=step.message,
            steps=self.batch_job.steps + 1,
        )
        if self.saves == self.kill_at:
            raise RunKilledError(f"after save {self.kill_at}")


@frozen
class _Step:
    """What is saved; see `BatchRun.save`."""

    cursor: Any
    done: int
    total: int | None
    counts: Mapping[RowOutcome, int] | None
    errors: Sequence[RowError]
    mended: Sequence[int]
    message: str | None


class _FakeTransaction:
    """A `BatchTransaction`."""

    def __init__(self, connection: TransactionConnection) -> None:
        self.connection = connection
        self.step: _Step | None = None

    def save(
        self,
        *,
        cursor: Any,
        done: int,
        total: int | None = None,
        counts: Mapping[RowOutcome, int] | None = None,
        errors: Sequence[RowError] = (),
        mended: Sequence[int] = (),
        message: str | None = None,
    ) -> None:
        if self.step is not None:
            raise ConfigurationError("transaction.save was called before in this transaction")
        self.step = _Step(cursor, done, total, counts, errors, mended, message)


class FakeBatchJobs:
    """A `BatchJobService` of some fake runs."""

    def __init__(self, *runs: FakeBatchRun, files: FileStorage | None = None) -> None:
        """Know these runs, and where their files are."""
        self._runs = {run.batch_job.id: run for run in runs}
        self._services: dict[type[Any], object] = {BatchJobService: self}
        self._services[RowWork] = RowsOfStrategies(self.injector())
        if files is not None:
            self._services[FileStorage] = files

    async def get(self, batch_job_id: str, /) -> BatchJobData:
        """Return a batch job; see `BatchJobService.get`."""
        return self._find(batch_job_id).batch_job

    async def get_errors(self, batch_job_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return bad rows; see `BatchJobService.get_errors`."""
        errors = self._find(batch_job_id).errors
        return [errors[number] for number in sorted(errors) if number > after][:limit]

    def run(self, batch_job_id: str, /) -> BatchRun:
        """Return the run of a batch job; see `BatchJobService.run`."""
        return self._find(batch_job_id)

    def injector(self) -> Injector:
        """Return what a strategy's `init` takes."""
        return _FakeInjector(self._services)

    def _find(self, batch_job_id: str) -> FakeBatchRun:
        try:
            return self._runs[batch_job_id]
        except KeyError:
            raise BatchJobNotFoundError(batch_job_id) from None


class _FakeInjector:
    """An `Injector`."""

    def __init__(self, services: Mapping[type[Any], object]) -> None:
        self._services = services

    def get(self, service: type[T], /, name: str = "") -> T:
        try:
            return cast("T", self._services[service])
        except KeyError:
            raise ConfigurationError(f"a fake injector has no {service.__name__}") from None
