"""The look at all rows before anything is written: the bad rows that it finds are kept, until they are processed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from conveyor import ErrorPolicy, FileParams, RowBatchStrategy
from conveyor.errors import BadFileError, BadRowError, BatchStoppedError, TooManyBadRowsError
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun
from tests.runtime.batches.catalogue import Import, Params, Product, products
from tests.runtime.batches.test_row_files import run_of, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.row_batches import RowContext

pytestmark = pytest.mark.anyio

ROWS = 1000


class Careful(Import):
    """Finds by its check what the database would refuse, and allows none of it."""

    errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()

    async def check(self, row: Product, context: RowContext[Params], /) -> None:
        if row.price < 0:
            raise BadRowError("negative", "a price is not below 0", "price")


class Unchecked(RowBatchStrategy[Product, FileParams]):
    """Has rows that cannot even be read."""

    identifier = batch_type = "unchecked"
    row = Product
    params = FileParams

    async def process_one(self, row: Product, context: RowContext[FileParams], /) -> None:
        raise AssertionError("nothing is to be written")


class CountingRun(FakeBatchRun):
    """Knows how many bad rows came at once."""

    def __init__(self, context: dict[str, Any], **options: Any) -> None:
        super().__init__(context, **options)
        self.came: list[int] = []

    async def save(self, **step: Any) -> None:
        self.came.append(len(step["errors"]))
        await super().save(**step)


async def looked(strategy: Import, run: FakeBatchRun) -> None:
    await strategy.init(FakeBatchJobs(run).injector())
    await strategy.pre_process_batch_job("batch-1")


@pytest.mark.parametrize("bad", [{0}, {ROWS - 1}, {3, 4, 700}, set(range(450)), set(range(ROWS))])
async def test_every_bad_row_is_kept_and_few_wait_for_that(bad: set[int]) -> None:
    run = CountingRun({})
    with pytest.raises(TooManyBadRowsError):
        await looked(Careful(products(ROWS, bad)), run)
    assert sorted(run.errors) == [index + 1 for index in sorted(bad)]
    error = run.errors[min(bad) + 1]
    assert (error.code, error.column, error.message) == ("negative", "price", "a price is not below 0")
    assert error.raw == f'{{"price":-1,"sku":"sku-{min(bad)}"}}'
    assert max(run.came) <= 200


async def test_where_the_source_breaks_off_the_bad_rows_before_are_kept() -> None:
    class Broken(Careful):
        async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
            for number in range(1, 601):
                yield Product("", -1), number
            raise BadFileError("ragged", "it breaks off")

    run = FakeBatchRun({})
    with pytest.raises(BadFileError):
        await looked(Broken(), run)
    # Those that were read together with what broke off nobody looked at.
    assert sorted(run.errors) == list(range(1, 501))


async def test_rows_that_cannot_be_read_are_kept_as_they_stood_in_the_file() -> None:
    files, run = stored("sku,price\na,1\nb,two\nc,three\n"), run_of()
    strategy = Unchecked()
    await strategy.init(FakeBatchJobs(run, files=cast("FileStorage", files)).injector())
    with pytest.raises(TooManyBadRowsError):
        await strategy.pre_process_batch_job("batch-1")
    assert [(error.row_number, error.column, error.raw) for error in run.errors.values()] == [
        (2, "price", "b,two"),
        (3, "price", "c,three"),
    ]


async def test_a_look_that_is_to_stop_stops_where_it_hands_over_bad_rows() -> None:
    run = FakeBatchRun({})
    run.stop_reason = "it was cancelled"
    with pytest.raises(BatchStoppedError):
        await looked(Careful(products(ROWS, set(range(ROWS)))), run)
    assert 0 < len(run.errors) < ROWS
