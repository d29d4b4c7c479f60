"""One run of a batch job: what its strategy saves by, under the run's token."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import evolve

from conveyor._runtime.batches.steps import open_rows
from conveyor._runtime.transient import until_available
from conveyor._services.batches.sealing import opened_context, opened_result, sealed_result
from conveyor.codec import decode_json, encode_json
from conveyor.errors import BatchJobError, BatchRunLostError, BatchStoppedError, CapabilityError
from conveyor.model.batches.changing import stepped
from conveyor.model.batches.parts import seen_by_part
from conveyor.model.batches.status import STOPPING_STATUSES, BatchStatus
from conveyor.model.batches.values import BatchStep, RowError, RowFault, RowOutcome
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor._runtime.transient import Outage
    from conveyor._services.context import JobContext
    from conveyor._services.services import Services
    from conveyor.contracts.batch_job import BatchTransaction
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import BatchJobData

__all__ = ["Run"]

# The job that works for a batch job tells so often how far it is; the batch job itself has each step.
TELL_SECONDS: Final = 1.0


class Run:
    """A `BatchRun`; see there.

    Attributes:
        token: compared by the store with every write; empty while the batch job is only looked at.
        is_told: whether the strategy was told to stop.
    """

    def __init__(
        self,
        services: Services,
        batch: BatchJobData,
        context: JobContext,
        *,
        token: str,
        outage: Outage,
        part: BatchPart | None = None,
        lead: Callable[[Run, Sequence[Any]], Awaitable[None]] | None = None,
    ) -> None:
        """Bind to a batch job that was started with the token, and to the job that works for it.

        Args:
            services: of the app.
            batch: the batch job as it was started.
            context: of the job that works for it.
            token: compared by the store with every write.
            outage: whether the store can be used.
            part: the part that was started with the token; None: the batch job was.
            lead: divides the batch job and leads its parts; None: this run may not.
        """
        self.token = token
        self.is_told = False
        self._services = services
        self._batch = batch if part is None else seen_by_part(batch, part)
        self._part = part
        self._lead = lead
        self._job = context
        self._outage = outage
        # Opened when the strategy asks, so that what does not open is an error of the run.
        self._context: Mapping[str, Any] | None = None
        # None: nothing that this run said itself.
        self._new_result: Mapping[str, Any] | None = None
        self._has_new_result = False
        self._total = batch.total
        self._untold: BatchStep | None = None
        self._tell_at = -math.inf
        # One step at a time, or two of them would have one number.
        self._saving = anyio.Lock(fast_acquire=True)

    @property
    def batch_job(self) -> BatchJobData:
        """The batch job as the store last answered."""
        return self._batch

    @property
    def job(self) -> JobContext:
        """The run of the job that works for it."""
        return self._job

    @property
    def context(self) -> Mapping[str, Any]:
        """What it is to do."""
        if self._context is None:
            self._context = opened_context(self._services, self._batch)
        return self._context

    @property
    def is_pre_processing(self) -> bool:
        """Whether it is only looked at yet."""
        return not self.token

    @property
    def is_dry_run(self) -> bool:
        """Whether it tries everything and keeps nothing."""
        return self._batch.dry_run

    @property
    def cursor(self) -> Any:
        """What was last saved as such."""
        cursor = self._batch.cursor
        return None if cursor is None or self.is_pre_processing else decode_json(cursor)

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What came of it so far."""
        return opened_result(self._services, self._batch) if self._new_result is None else self._new_result

    @property
    def total(self) -> int | None:
        """How many rows there are, where it is known."""
        return self._total

    @property
    def part(self) -> Any:
        """What belongs to the part that this run works on; None: all."""
        return None if self._part is None else decode_json(self._part.span)

    @property
    def can_divide(self) -> bool:
        """Whether `process_parts` works."""
        has_parts = self._services.store.batch_parts is not None
        return has_parts and self._lead is not None and not self.is_dry_run

    async def process_parts(self, parts: Sequence[Any], /) -> None:
        """Divide the batch job, once, and see to it that all its parts are processed."""
        if self._lead is None or self.is_dry_run:
            raise BatchJobError(
                f"batch job {self._batch.id!r} is not divided by a dry run, before it is processed, or in a part",
                batch_id=self._batch.id,
            )
        await self._lead(self, parts)
        await self._take_up()

    @property
    def state(self) -> Any:
        """What the app's lifespan gave."""
        return self._services.state

    @property
    def has_transactions(self) -> bool:
        """Whether `transaction` works."""
        return not self.is_pre_processing and self._services.store.capabilities.has_transactions

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
        async with self._saving:
            step = self.step(cursor, done, total, counts=counts, errors=errors, mended=mended, message=message)
            if not self.is_pre_processing:
                await self._save(step)
        if self.is_pre_processing:
            if step.errors:
                await self._keep_errors(step.errors)
            self._tell_progress(step)
            await self.check_stopped()
        self._raise_if_stopping()

    async def check_stopped(self) -> None:
        """Raise BatchStoppedError where the run is to stop."""
        found = await self.look()
        if found is not None and self.token and found.run != self.token:
            raise BatchRunLostError(found.id, self.token)
        status = BatchStatus.CANCELLED if found is None else found.status
        self._batch = evolve(self._batch, status=status)
        self._raise_if_stopping()

    async def look(self) -> BatchJobData | None:
        """Return the batch job as it is by now; the run of a part sees the part's numbers as its own."""
        store = self._services.batch_store("a batch job's run")
        found = await until_available(lambda: store.get_batch(self._batch.id), "look at a batch job", self._outage)
        if found is None or self._part is None:
            return found
        number, parts = self._part.number, self._services.batch_part_store("a batch job's run")
        kept = await until_available(lambda: parts.get_parts(found.id), "look at parts of a batch job", self._outage)
        return next((seen_by_part(found, part) for part in kept if part.number == number), None)

    def transaction(self) -> AbstractAsyncContextManager[BatchTransaction]:
        """Open a transaction for rows; see `BatchRun.transaction`."""
        store = self._services.store
        if not store.capabilities.has_transactions:
            raise CapabilityError(store.name, "transactions", "the transaction of a batch job's run")
        if self.is_pre_processing:
            raise BatchJobError(
                f"batch job {self._batch.id!r} is only looked at yet: nothing is written", batch_id=self._batch.id
            )
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[BatchTransaction]:
        batches = self._services.batch_store("a batch job's run")
        async with self._saving, open_rows(self, batches, self._outage) as rows:
            yield rows
        self._raise_if_stopping()

    def set_result(self, result: Mapping[str, Any], /) -> None:
        """Say what came of it."""
        if self._part is not None:
            raise BatchJobError(
                f"batch job {self._batch.id!r} is in parts, and its result is that of all: set it in post_process",
                batch_id=self._batch.id,
            )
        # What cannot be kept is refused here, where it was said.
        sealed_result(self._services, self._batch, result)
        self._new_result = dict(result)
        self._has_new_result = True

    def set_total(self, total: int, /) -> None:
        """Say how many rows there are."""
        self._total = _whole(self._batch.id, "total", total)

    def log(self, message: str, /) -> None:
        """Keep a line with the job that works for the batch job."""
        self._job.log(message)

    def new_result(self) -> bytes | None:
        """Return what the strategy said came of it, as it is kept; None: nothing since it was last kept."""
        if not self._has_new_result or self._new_result is None:
            return None
        return sealed_result(self._services, self._batch, self._new_result)

    def step(
        self,
        cursor: Any,
        done: int,
        total: int | None,
        *,
        counts: Mapping[RowOutcome, int] | None,
        errors: Sequence[RowError],
        mended: Sequence[int],
        message: str | None,
    ) -> BatchStep:
        """Return the next step.

        Raises:
            BatchJobError: a number is none, or less than nothing.
            PayloadError: the cursor has no JSON form.
        """
        batch_id = self._batch.id
        if total is not None:
            self.set_total(total)
        return BatchStep(
            self._batch.steps + 1,
            None if cursor is None else encode_json(cursor),
            _whole(batch_id, "done", done),
            self._total,
            {RowOutcome(name): _whole(batch_id, "counts", count) for name, count in (counts or {}).items()},
            tuple(_clean(error) for error in errors),
            None if message is None else clean_text(message),
            self.new_result(),
            None if self._part is None else self._part.number,
            tuple(mended),
        )

    async def _take_up(self) -> None:
        """Take up what the runs of the parts have written."""
        found = await self.look()
        if found is None or found.run != self.token:
            raise BatchRunLostError(self._batch.id, self.token)
        self._batch = found
        self._total = found.total

    async def _save(self, step: BatchStep) -> None:
        store = self._services.batch_store("a batch job's run")
        status = await until_available(
            lambda: store.save_step(self._batch.id, self.token, step), "save how far a batch job is", self._outage
        )
        self.saved(step, status)

    async def _keep_errors(self, errors: Sequence[RowError]) -> None:
        store = self._services.batch_store("a batch job's run")
        await until_available(
            lambda: store.save_errors(self._batch.id, self._job.job.id, errors), "keep bad rows", self._outage
        )

    def saved(self, step: BatchStep, status: BatchStatus) -> None:
        """Note that a step was kept, and the status that the store answered with."""
        # The store's own clock is not asked for: its next answer brings the time.
        kept = stepped(self._batch, self.token, step, self._batch.updated_at)
        # A part goes on while the run that leads changes its worker.
        is_led_on = self._part is not None and status is BatchStatus.INTERRUPTED
        self._batch = evolve(kept, status=BatchStatus.PROCESSING if is_led_on else status)
        self._has_new_result = False
        self._tell_progress(step)

    def tell_end(self) -> None:
        """Say how far the run came, where that was not said yet; of a look that just said so, its result tells."""
        if not self.is_pre_processing or anyio.current_time() >= self._tell_at:
            self._tell_rest()

    def _tell_rest(self) -> None:
        step, self._untold = self._untold, None
        if step is not None:
            self._job.progress(step.done, step.total, step.message)

    def _tell_progress(self, step: BatchStep) -> None:
        self._untold = step
        now = anyio.current_time()
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            self._tell_rest()

    def _raise_if_stopping(self) -> None:
        status = self._batch.status
        if status in STOPPING_STATUSES or status.is_ended:
            reason = f"it is {status}"
        elif self._job.stopping:
            reason = "its worker stops"
        else:
            # It was resumed before it had stopped.
            self.is_told = False
            return
        self.is_told = True
        raise BatchStoppedError(self._batch.id, reason)


def _whole(batch_id: str, name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BatchJobError(f"{name} of batch job {batch_id!r} must be whole numbers from 0, got {value!r}")
    return value


def _clean(error: RowError) -> RowError:
    """Return a bad row as every store can keep it, whatever was in the file."""
    first, *others = (
        RowFault(clean_text(fault.code), clean_text(fault.message), fault.column and clean_text(fault.column))
        for fault in error.faults
    )
    raw = clean_text(error.raw)
    return RowError(
        error.row_number, first.code, first.message, first.column, raw, tuple(others), ended_run=error.ended_run
    )
