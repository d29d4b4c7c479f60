"""Bad rows that are found before anything is written, in a real app: who may see them, and how long they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen

from conveyor import BatchStatus, Conveyor, ErrorPolicy, RowBatchStrategy
from conveyor.errors import BadRowError
from conveyor.model.batches.values import RowOutcome
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor import BatchJob, RowContext

pytestmark = pytest.mark.anyio


@frozen
class Number:
    value: int


@frozen
class Params:
    rows: int = 20


class Odd(RowBatchStrategy[Number, Params]):
    """Refuses some numbers, as long as nobody mends what refuses them."""

    identifier = batch_type = "odd"
    row = Number
    params = Params
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=3)

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused)
        self.written: list[int] = []

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        for value in range((cursor or 0) + 1, context.params.rows + 1):
            yield Number(value), value

    async def check(self, row: Number, context: RowContext[Params], /) -> None:
        if row.value in self.refused:
            raise BadRowError("odd", f"{row.value} is odd", "value")

    async def process_one(self, row: Number, context: RowContext[Params], /) -> None:
        self.written.append(row.value)


async def bad_rows(batch: BatchJob) -> list[int]:
    return [error.row_number async for error in batch.errors()]


async def is_looked_at(batch: BatchJob) -> bool:
    return (await batch.refresh()).status is BatchStatus.PRE_PROCESSED


async def test_one_that_is_refused_has_all_its_bad_rows_and_another_look_finds_its_own(store_url: str) -> None:
    strategy = Odd(2, 4, 6, 8)
    async with Conveyor(store_url, batch_strategies=[strategy]) as app, app.worker():
        batch = await app.batches.create("odd", {})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.run, batch.counts) == (BatchStatus.FAILED, None, {})
        assert await bad_rows(batch) == [2, 4, 6, 8]
        (error, *_) = [error async for error in batch.errors()]
        assert (error.code, error.column, error.message, error.raw) == ("odd", "value", "2 is odd", '{"value":2}')
        strategy.refused = {8}
        await batch.retry()
        await batch.wait_until_ended("20s")
        assert (batch.status, await bad_rows(batch)) == (BatchStatus.COMPLETED_WITH_ERRORS, [8])
        assert len(strategy.written) == 19


async def test_who_is_to_confirm_sees_them_and_the_run_finds_its_own(store_url: str) -> None:
    strategy = Odd(2, 4)
    async with Conveyor(store_url, batch_strategies=[strategy]) as app, app.worker():
        batch = await app.batches.create("odd", {}, confirmation="manual")
        await eventually(lambda: is_looked_at(batch))
        assert await bad_rows(batch) == [2, 4]
        strategy.refused = {4}
        await batch.confirm()
        await batch.wait_until_ended("20s")
        assert batch.counts == {RowOutcome.DONE: 19, RowOutcome.FAILED: 1}
        assert await bad_rows(batch) == [4]


async def test_one_that_is_cancelled_before_anything_is_written_keeps_them(store_url: str) -> None:
    async with Conveyor(store_url, batch_strategies=[Odd(2, 4)]) as app, app.worker():
        batch = await app.batches.create("odd", {}, confirmation="manual")
        await eventually(lambda: is_looked_at(batch))
        await batch.cancel()
        assert (await batch.refresh()).status is BatchStatus.CANCELLED
        assert await bad_rows(batch) == [2, 4]
        await app.batches.remove(batch.id)
