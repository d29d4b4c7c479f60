"""The memory that rows take does not grow with their number."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from conveyor.errors import BadRowError
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun
from tests.runtime.batches.catalogue import Import, Params, Product

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor.contracts.row_batches import RowContext
    from conveyor.model.batches.values import RowOutcome

pytestmark = pytest.mark.anyio


class Endless(Import):
    """Makes rows, one in ten of them bad, and keeps none."""

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        for number in range(cursor or 0, context.params.rows):
            yield Product("" if number % 10 == 0 else f"sku-{number}", number), number + 1

    async def process(
        self, rows: Sequence[Product], context: RowContext[Params], /
    ) -> Sequence[RowOutcome | BadRowError | None]:
        return [BadRowError("odd", "is odd") if row.price % 20 == 5 else None for row in rows]


class ForgetfulRun(FakeBatchRun):
    """Keeps no bad rows: a store has them."""

    async def save(self, **step: Any) -> None:
        await super().save(**step)
        self.errors.clear()


async def peak_of(rows: int) -> int:
    run = ForgetfulRun({"rows": rows})
    strategy = Endless()
    await strategy.init(FakeBatchJobs(run).injector())
    tracemalloc.start()
    try:
        await strategy.pre_process_batch_job("batch-1")
        run.start()
        await strategy.process_job("batch-1")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert run.batch_job.done == rows


async def test_five_times_the_rows_take_no_more_memory() -> None:
    await peak_of(2_000)  # what is made once is made here
    few, many = await peak_of(2_000), await peak_of(10_000)
    assert many < 1.2 * few
