"""Failed rows that are tried again: once, under the keys that they had, as carefully as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import frozen

from conveyor import Conveyor, ErrorPolicy, RowBatchStrategy
from conveyor.errors import BatchJobError, ConfigurationError, DuplicateBatchJobError
from conveyor.model.batches.status import BatchStatus
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor import BatchJob, RowContext

pytestmark = pytest.mark.anyio


@frozen
class Payment:
    amount: int


@frozen
class Params:
    rows: int = 4


class Payments(RowBatchStrategy[Payment, Params]):
    """Refuses the second and the fourth row, as long as it is to."""

    identifier = "payments"
    batch_type = "payments"
    row = Payment
    params = Params
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self) -> None:
        self.refuses = True
        self.keys = set[str]()

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Payment, Any]]:
        for number in range(cursor or 0, context.params.rows):
            yield Payment(number), number + 1

    async def check(self, row: Payment, context: RowContext[Params], /) -> None:
        if row.amount == 99:
            raise KeyError("no such account")

    async def process_one(self, row: Payment, context: RowContext[Params], /) -> None:
        if self.refuses and row.amount % 2:
            raise ValueError("the bank is closed")
        self.keys.add(context.key)


async def looked_at(batch: BatchJob) -> None:
    """Wait until a batch job waits for somebody to confirm it."""

    async def is_there() -> bool:
        return (await batch.refresh()).status is BatchStatus.PRE_PROCESSED

    await eventually(is_there)


async def test_they_are_done_once_under_the_keys_that_they_had(store_url: str) -> None:
    strategy = Payments()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("payments", {})
        await batch.wait_until_ended("20s")
        first = await app.batches.retry(batch.id, failed_rows=True)
        with pytest.raises(DuplicateBatchJobError, match=first.id):
            await app.batches.retry(batch.id, failed_rows=True)
        # Both are refused again: the rows of the rows are the same rows.
        assert (await first.wait_until_ended("20s")).status is BatchStatus.COMPLETED_WITH_ERRORS
        strategy.refuses = False
        second = await app.batches.retry(first.id, failed_rows=True)
        await second.wait_until_ended("20s")
        for ended in (batch, first):
            with pytest.raises(DuplicateBatchJobError):
                await app.batches.retry(ended.id, failed_rows=True)
        assert strategy.keys == {f"{batch.id}:{number}" for number in (1, 2, 3, 4)}
        strategy.keys.clear()
        forced = await app.batches.retry(batch.id, failed_rows=True, force=True)
        await forced.wait_until_ended("20s")
        assert strategy.keys == {f"{batch.id}:{number}" for number in (2, 4)}
        with pytest.raises(ConfigurationError, match="force is for failed_rows"):
            await app.batches.retry(batch.id, force=True)


async def test_one_that_failed_or_was_cancelled_is_no_obstacle(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Payments])
    async with app, app.worker():
        batch = await app.batches.create("payments", {})
        await batch.wait_until_ended("20s")
        await app.queue("batches").pause()
        child = await app.batches.retry(batch.id, failed_rows=True)
        await child.cancel()
        again = await app.batches.retry(batch.id, failed_rows=True)
        assert again.id != child.id


async def test_the_row_that_ended_one_is_left_to_it(store_url: str) -> None:
    class Lenient(Payments):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=1)

    strategy = Lenient()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("payments", {})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.FAILED
        assert [(error.row_number, error.ended_run) async for error in batch.errors()] == [(2, False), (4, True)]
        strategy.refuses = False
        child = await app.batches.retry(batch.id, failed_rows=True)
        assert (await child.wait_until_ended("20s")).data.done == 1
        await batch.retry()
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED_WITH_ERRORS, 4)
        assert [error.row_number async for error in batch.errors()] == [2]
        assert strategy.keys == {f"{batch.id}:{number}" for number in (1, 2, 3, 4)}


async def test_what_somebody_confirmed_waits_for_somebody_again(store_url: str) -> None:
    strategy = Payments()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("payments", {}, confirmation="manual")
        await looked_at(batch)
        await batch.confirm()
        await batch.wait_until_ended("20s")
        child = await app.batches.retry(batch.id, failed_rows=True)
        await looked_at(child)
        assert child.data.confirmation == "manual"
        # Its rows are kept with the other one.
        with pytest.raises(BatchJobError, match=f"{child.id}.*has not ended"):
            await batch.remove()
        await child.cancel()
        await batch.remove()


async def test_a_row_that_a_check_breaks_on_is_a_bad_row(store_url: str) -> None:
    class OneUnknown(Payments):
        async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Payment, Any]]:
            for number, amount in list(enumerate((2, 99, 4), 1))[cursor or 0 :]:
                yield Payment(amount), number

    app = Conveyor(store_url, batch_strategies=[OneUnknown])
    async with app, app.worker():
        batch = await app.batches.create("payments", {}, dry_run=True)
        await batch.wait_until_ended("20s")
        (bad,) = [error async for error in batch.errors()]
        assert (bad.row_number, bad.code, bad.message) == (2, "failed", "KeyError: 'no such account'")


async def test_the_history_keeps_why_it_failed(store_url: str) -> None:
    class Strict(Payments):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    strategy = Strict()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("payments", {})
        await batch.wait_until_ended("20s")
        (last,) = [error async for error in batch.errors()]
        assert (last.ended_run, "the bank is closed" in last.message) == (True, True)
        strategy.refuses = False
        await batch.retry(by="ada")
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.error) == (BatchStatus.COMPLETED, None)
        assert [error async for error in batch.errors()] == []
        (failed,) = [change for change in batch.history if change.after is BatchStatus.FAILED]
        assert failed.reason is not None
        assert "the bank is closed" in failed.reason
