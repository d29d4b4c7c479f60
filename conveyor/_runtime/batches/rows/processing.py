"""The loop that processes the rows which are left, in chunks, each saved as a step of the run."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import anyio
from attrs import define, evolve, field, frozen

from conveyor._runtime.batches.rows.attempts import Attempt, ChunkFailedError, LastRowError, RowAgainError, Standing
from conveyor._runtime.batches.rows.checking import check_row, has_check
from conveyor._runtime.batches.rows.faults import TRANSIENT
from conveyor._runtime.batches.rows.patience import Patience, Watch
from conveyor.errors import TooManyBadRowsError
from conveyor.model.batches.chunks import FIRST_CHUNK_SIZE, next_chunk_size
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.model.batches.values import RowError, RowOutcome
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.batches.rows.ahead import RowsAhead
    from conveyor._runtime.batches.rows.attempts import Outcome
    from conveyor._runtime.batches.rows.blocks import RowBlock
    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.row_batches import RowBatchStrategy
    from conveyor.model.batches.rows import RowPreview

__all__ = ["Processing"]

RowT = TypeVar("RowT")

# From so many seconds on it is told why a run waits.
TOLD_SECONDS: Final = 1.0

# Rows, and for each what its check says: None where it is to be processed.
_Chunk: TypeAlias = "tuple[RowBlock[RowT], list[Outcome]]"


@frozen
class _Step:
    """What is saved with a chunk; see `BatchRun.save`."""

    cursor: Any
    done: int
    counts: Counter[RowOutcome]
    errors: Sequence[RowError]
    mended: Sequence[int]


@define
class Processing(Generic[RowT]):
    """The processing of one run's rows.

    Attributes:
        writes: whether rows are processed; otherwise they are only checked.
        after: the number of the row before those that are left; 0: all are.
        processed: how many rows this run brought through, and
        seconds: how long that took.
    """

    strategy: RowBatchStrategy[RowT, Any]
    context: RunRowContext[Any]
    rows: RowsAhead[RowT]
    writes: bool
    after: int = 0
    processed: int = field(init=False, default=0)
    seconds: float = field(init=False, default=0.0)
    _run: BatchRun = field(init=False)
    _policy: ErrorPolicy = field(init=False)
    _patience: Patience = field(init=False)
    _done: int = field(init=False)
    _counts: Counter[RowOutcome] = field(init=False)
    _size: int = field(init=False)
    _tries_left: int = field(init=False)
    _checks: bool = field(init=False)
    _passed: Outcome = field(init=False)
    _is_saving: bool = field(init=False, default=False)
    # The row that ended the run before, where that is known.
    _suspect: int | None = field(init=False, default=None)
    # Checked rows that were put back, the next ones last; and rows that are read and not checked.
    _waiting: list[_Chunk[RowT]] = field(init=False, factory=list)
    _unchecked: RowBlock[RowT] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Begin where the batch job stands."""
        self._run = self.context.run
        # A dry run is to show all that is wrong.
        self._policy = ErrorPolicy.skip() if self._run.is_dry_run else self.strategy.errors
        self._patience = Patience(self._run)
        self._done = self._run.batch_job.done
        self._counts = Counter(self._run.batch_job.counts)
        self._size = min(FIRST_CHUNK_SIZE, self.strategy.chunk_size)
        self._tries_left = self._policy.retries
        self._checks = has_check(self.strategy)
        self._passed = None if self.writes else RowOutcome.DONE

    async def process_rows(self) -> None:
        """Process all rows that are left."""
        self._suspect = await self._find_suspect()
        while True:
            while seconds := await self._throttled():
                await self._wait(seconds, "it is throttled")
            rows, outcomes = await self._next_chunk()
            if not rows:
                break
            try:
                handled = await self._settle(rows, outcomes)
            except LastRowError as last:
                raise await self._ended_by(last) from last.__cause__
            if handled < len(rows):
                self._waiting.append((rows.part(handled), outcomes[handled:]))
        self._check_end()

    async def _throttled(self) -> float:
        """Return for how many seconds the strategy wants to wait."""
        wanted = await self.strategy.throttle(self.context)
        return 0.0 if wanted is None else parse_duration(wanted, field="what throttle returns").total_seconds()

    async def _wait(self, seconds: float, why: str) -> None:
        """Wait, and let the batch job say why, where that is longer than it may be silent."""
        if seconds >= TOLD_SECONDS:
            message = f"waits {timedelta(seconds=seconds)}: {why}"
            await self._run.save(cursor=self._run.cursor, done=self._done, counts=self._counts, message=message)
        await self._patience.wait(seconds)

    async def _find_suspect(self) -> int | None:
        """Return the number of the row that ended the run before, if one did."""
        batch = self._run.batch_job
        if not batch.steps:
            return None
        found = await self.strategy.batch_jobs.get_errors(batch.id, after=self.after, limit=1)
        return found[0].row_number if found and found[0].ended_run else None

    def _check_end(self) -> None:
        failed = self._counts[RowOutcome.FAILED]
        if self._policy.is_exceeded(failed, self._done, self._done):
            raise TooManyBadRowsError(self._run.batch_job.id, self._policy.describe(), failed)

    async def _standing(self) -> Standing:
        return Standing(self._done, self._counts[RowOutcome.FAILED], self._run.batch_job.total, self._tries_left)

    async def _next_chunk(self) -> _Chunk[RowT]:
        """Return rows that were put back, or else as many of the source as fit, with what their checks say."""
        if self._waiting:
            rows, outcomes = self._waiting.pop()
            if len(rows) > self._size:
                self._waiting.append((rows.part(self._size), outcomes[self._size :]))
            return rows.part(0, self._size), outcomes[: self._size]
        watch = Watch(self.strategy.chunk_seconds)
        rows = self._unchecked or await self.rows.take(self._size)
        self._unchecked = None
        if not self._checks:
            return rows, self._unless_bad(rows)
        return await self._checked(rows, watch)

    def _unless_bad(self, rows: RowBlock[RowT]) -> list[Outcome]:
        if not rows.errors:
            return [self._passed] * len(rows)
        return [rows.errors.get(number, self._passed) for number in rows.numbers]

    async def _checked(self, rows: RowBlock[RowT], watch: Watch) -> _Chunk[RowT]:
        """Return rows with what their checks say, as many as there is time for; the others wait."""
        outcomes: list[Outcome] = []
        for at in range(min(len(rows), self._size)):
            checked = await check_row(self.strategy, self.context, self._patience, block=rows, at=at)
            outcomes.append(checked if isinstance(checked, RowError) else self._unless_written(checked))
            if watch.is_over(len(outcomes)):
                break
        if len(outcomes) < len(rows):
            self._unchecked = rows.part(len(outcomes))
        return rows.part(0, len(outcomes)), outcomes

    def _unless_written(self, preview: RowPreview) -> Outcome:
        return None if self.writes else preview.outcome

    async def _settle(self, rows: RowBlock[RowT], outcomes: list[Outcome]) -> int:
        """Process a chunk, in as many tries as it takes; return how many of its rows are settled and saved."""
        is_whole = True
        while True:
            try:
                handled = await self._try(rows, list(outcomes), is_whole=is_whole)
            except ChunkFailedError:
                is_whole = False
            except RowAgainError as again:
                # Alone, so that the others are neither held up nor done over and over.
                rows, outcomes = rows.part(0, 1), outcomes[:1]
                self._tries_left -= 1
                self._run.log(f"row {rows.numbers[0]} is tried again after {again.__cause__!r}")
                tries = self._policy.retries + 1
                why = f"row {rows.numbers[0]} is tried again, as try {tries - self._tries_left} of {tries}"
                await self._wait(self._policy.wait.total_seconds(), f"{why}: {again.__cause__}")
            except TRANSIENT as exc:
                if self._is_saving:
                    raise  # whether it took effect nobody knows but the store: the next run begins where that says
                if isinstance(exc, TimeoutError):
                    self._size = max(1, len(rows) // 2)
                    rows, outcomes = rows.part(0, self._size), outcomes[: self._size]
                await self._patience.forgive(exc)
            else:
                self._patience.renew()
                self._tries_left = self._policy.retries
                return handled

    async def _ended_by(self, last: LastRowError) -> TooManyBadRowsError:
        """Keep the row that ends the run among the bad ones; it is not done, so no number changes."""
        error = evolve(last.error, ended_run=True)
        await self._run.save(cursor=self._run.cursor, done=self._done, counts=self._counts, errors=[error])
        why = "; ".join(fault.describe() for fault in error.faults)
        batch_id = self._run.batch_job.id
        return TooManyBadRowsError(batch_id, self._policy.describe(), last.failed, error.row_number, why)

    async def _try(self, rows: RowBlock[RowT], outcomes: list[Outcome], *, is_whole: bool) -> int:
        self._is_saving = False
        began_at = anyio.current_time()
        standing = await self._standing()
        attempt = Attempt(
            self.strategy,
            self.context,
            self._policy,
            standing,
            ends_at=began_at + self.strategy.chunk_seconds,
            rows=rows,
            outcomes=outcomes,
            is_whole=is_whole,
        )
        if None in outcomes and self._run.has_transactions:
            step = await self._try_in_transaction(attempt)
        else:
            step = self._step(attempt, await attempt.run())
            self._read_on()
            self._is_saving = True
            await self._run.save(
                cursor=step.cursor, done=step.done, counts=step.counts, errors=step.errors, mended=step.mended
            )
        handled = step.done - self._done
        self._done, self._counts, self._suspect = step.done, step.counts, None
        self._adapt(handled, anyio.current_time() - began_at)
        return handled

    async def _try_in_transaction(self, attempt: Attempt[RowT]) -> _Step:
        try:
            async with self._run.transaction() as transaction:
                self.context.connect(transaction.connection)
                attempt.connection = transaction.connection
                step = self._step(attempt, await attempt.run())
                transaction.save(
                    cursor=step.cursor, done=step.done, counts=step.counts, errors=step.errors, mended=step.mended
                )
                self.context.connect(None)
                self._read_on()
                self._is_saving = True
        except TimeoutError:
            self._is_saving = False  # it was rolled back
            raise
        finally:
            self.context.connect(None)
        return step

    def _read_on(self) -> None:
        """Have the next rows read while a step is saved."""
        if not self._waiting and self._unchecked is None:
            self.rows.begin(self._size)

    def _step(self, attempt: Attempt[RowT], handled: int) -> _Step:
        outcomes = attempt.outcomes[:handled]
        found, errors = _count(outcomes)
        counts = self._counts + found
        counts[RowOutcome.FAILED] += len(errors)
        is_mended = attempt.rows.numbers[0] == self._suspect and not isinstance(outcomes[0], RowError)
        mended = [attempt.rows.numbers[0]] if is_mended else []
        return _Step(attempt.rows.at(handled - 1).cursor, self._done + handled, counts, errors, mended)

    def _adapt(self, handled: int, seconds: float) -> None:
        self.processed += handled
        self.seconds += seconds
        self._size = next_chunk_size(
            handled,
            seconds,
            size=self._size,
            most=self.strategy.chunk_size,
            wanted_seconds=self.strategy.chunk_seconds,
        )


def _count(outcomes: Sequence[Outcome]) -> tuple[Counter[RowOutcome], Sequence[RowError]]:
    """Count what became of rows that are not bad, most often the same for all, and return the errors of the others."""
    first = outcomes[0]
    if isinstance(first, RowOutcome) and outcomes.count(first) == len(outcomes):
        return Counter({first: len(outcomes)}), ()
    errors = [outcome for outcome in outcomes if isinstance(outcome, RowError)]
    return Counter(outcome for outcome in outcomes if isinstance(outcome, RowOutcome)), errors
