"""The rows of one part of a batch job: those from one place that was noted when all were read, to another."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import define

from conveyor._runtime.batches.rows.ahead import reading_ahead
from conveyor._runtime.batches.rows.attempts import Standing
from conveyor._runtime.batches.rows.processing import Processing
from conveyor._runtime.batches.rows.sources import last_row, open_rows
from conveyor.codec import decode_json, encode_json
from conveyor.errors import BatchJobError, TooManyBadRowsError
from conveyor.model.batches.marks import RowMarks
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from conveyor._runtime.batches.rows.blocks import RowBlock, RowReader
    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor._runtime.batches.rows.patience import Watch
    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.row_batches import RowBatchStrategy
    from conveyor.contracts.strategy import Injector

__all__ = ["MarkedRows", "process_part", "refuse_too_many"]

RowT = TypeVar("RowT")


async def process_part(strategy: RowBatchStrategy[RowT, Any], context: RunRowContext[Any], injector: Injector) -> None:
    """Process the rows of a part that are left.

    Raises:
        TooManyBadRowsError: all parts together have more than the strategy's `errors` allow.
        BatchJobError: the source does not give the rows any more that it gave when they were checked.
    """
    run = context.run
    span: Mapping[str, Any] = run.part
    place = span["after"] if run.cursor is None else run.cursor
    if place == span["until"]:
        return
    opened = _opened_part(open_rows(strategy, context, place, injector), span, run)
    async with reading_ahead(opened, strategy.chunk_seconds) as rows:
        await _PartProcessing(strategy, context, rows, writes=True, after=last_row(place)).process_rows()


@asynccontextmanager
async def _opened_part(
    opened: AbstractAsyncContextManager[RowReader[RowT]], span: Mapping[str, Any], run: BatchRun
) -> AsyncIterator[_PartRows[RowT]]:
    async with opened as rows:
        yield _PartRows(rows, span, run)


def refuse_too_many(strategy: RowBatchStrategy[Any, Any], run: BatchRun) -> None:
    """Refuse a batch job whose parts are done and together have too many bad rows: each of them knew some alone.

    Raises:
        TooManyBadRowsError
    """
    batch, policy = run.batch_job, strategy.errors
    failed = batch.counts.get(RowOutcome.FAILED, 0)
    if policy.is_exceeded(failed, batch.done, batch.done):
        raise TooManyBadRowsError(batch.id, policy.describe(), failed)


class MarkedRows(Generic[RowT]):
    """A `RowReader` that notes where the rows it reads can be divided."""

    def __init__(self, rows: RowReader[RowT], parts: int) -> None:
        """Bind to the reader of all rows, and note places for so many parts."""
        self._rows = rows
        self._marks = RowMarks(parts)

    async def take(self, most: int, watch: Watch) -> RowBlock[RowT]:
        """Return the next rows."""
        rows = await self._rows.take(most, watch)
        if rows:
            self._marks.add(len(rows), rows.at)
        return rows

    def spans(self, *, least: int) -> list[dict[str, Any]]:
        """Return what belongs to each part; see `RowMarks.spans`."""
        return self._marks.spans(least=least)


class _PartRows(Generic[RowT]):
    """A `RowReader` of the rows up to the last of a part.

    Rows are counted from the beginning of the part. So where rows came or went since they were checked, another row
    than the last has its number, and a part would go on into the next one.
    """

    def __init__(self, rows: RowReader[RowT], span: Mapping[str, Any], run: BatchRun) -> None:
        self._rows = rows
        self._last: int = span["last"]
        self._until = span["until"]
        self._run = run
        self._rest: RowBlock[RowT] | None = None

    async def take(self, most: int, watch: Watch) -> RowBlock[RowT]:
        """Return the next rows of the part."""
        if self._rest is not None:
            return self._rest
        rows = await self._rows.take(most, watch)
        if not rows:
            raise _changed(self._run, self._last)
        if rows.numbers[-1] < self._last:
            return rows
        end = bisect_left(rows.numbers, self._last)
        # As it is kept: what has a JSON form need not be equal to it.
        if decode_json(encode_json(rows.at(end).cursor)) != self._until:
            raise _changed(self._run, rows.numbers[end])
        self._rest = rows.part(0, 0)
        return rows.part(0, end + 1)


def _changed(run: BatchRun, number: int) -> BatchJobError:
    return BatchJobError(
        f"the source of batch job {run.batch_job.id!r} has changed since its rows were checked: row {number} is "
        "not the one that it was, and parts are divided by their rows. Create it again, or declare parts = 1",
        batch_id=run.batch_job.id,
    )


@define
class _PartProcessing(Processing[RowT]):
    """The processing of a part's rows, whose bad ones count together with those of the other parts."""

    async def _standing(self) -> Standing:
        own = await super()._standing()
        if self._policy.most is None and self._policy.share is None:
            return own
        whole = await self.strategy.batch_jobs.get(self._run.batch_job.id)
        part = self._run.batch_job
        failed = whole.counts.get(RowOutcome.FAILED, 0) - part.counts.get(RowOutcome.FAILED, 0)
        return Standing(own.done + whole.done - part.done, own.failed + failed, whole.total, own.tries_left)

    def _check_end(self) -> None:
        """Leave that to the run that leads, which sees all of them."""
