"""Files of batch jobs in a real app: the same file twice, spreadsheets, and bad rows as a file to mend."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import openpyxl
import pytest
from attrs import frozen

from conveyor import Conveyor, ErrorPolicy, FileParams, RowBatchStrategy
from conveyor.errors import BadFileError, BatchJobError, DuplicateBatchJobError, StoredFileNotFoundError
from conveyor.testing.conformance.file_storage import read, stream
from tests.app.batches.strategies import Counting

if TYPE_CHECKING:
    from conveyor import RowContext

pytestmark = pytest.mark.anyio


@frozen
class Price:
    name: str
    price: int


@frozen(kw_only=True)
class Params(FileParams):
    shop: str = "here"


class Prices(RowBatchStrategy[Price, Params]):
    identifier = batch_type = "prices"
    row = Price
    params = Params
    identifying: ClassVar[tuple[str, ...]] = ("file", "shop")
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    async def process_one(self, row: Price, context: RowContext[Params], /) -> None:
        if row.price < 0:
            raise ValueError("less than nothing")


class Elsewhere(Prices):
    """Its rows are in no file, though its context names one."""

    identifier = batch_type = "elsewhere"

    async def source(self, context: RowContext[Params], cursor: Any, /) -> Any:
        yield Price("tea", 1), 1


@pytest.fixture
def app(store_url: str) -> Conveyor:
    return Conveyor(store_url, batch_strategies=[Prices, Elsewhere, Counting])


async def put(app: Conveyor, text: str, name: str = "prices.csv") -> str:
    return (await app.files.write(name, stream(text.encode()))).key


async def test_a_file_is_the_same_by_what_is_in_it(app: Conveyor) -> None:
    async with app:
        key, same, other = [await put(app, text) for text in ("name,price\na,1\n", "name,price\na,1\n", "name\n")]
        first = await app.batches.create("prices", {"file": key})
        with pytest.raises(DuplicateBatchJobError) as caught:
            await app.batches.create("prices", {"file": same})
        assert caught.value.existing_id == first.id
        await app.batches.create("prices", {"file": other})
        with pytest.raises(DuplicateBatchJobError):
            await app.batches.create("prices", {"file": same, "shop": "here"})
        await app.batches.create("prices", {"file": same, "shop": "there"})
        await app.batches.create("prices", {"file": same}, force=True)
        await app.batches.create("prices", {"file": same}, dry_run=True)


async def test_where_rows_come_from_no_file_the_context_is_compared_as_it_is(app: Conveyor) -> None:
    async with app:
        await app.batches.create("elsewhere", {"file": "a"})
        await app.batches.create("elsewhere", {"file": "b"})
        with pytest.raises(DuplicateBatchJobError):
            await app.batches.create("elsewhere", {"file": "a"})


async def test_bad_rows_come_as_a_file_that_is_mended_and_read_again(app: Conveyor) -> None:
    async with app, app.worker():
        text = "name;price\n" + "".join(f"n{number};{number - 1}\n" for number in range(600)) + "b;c\n"
        batch = await app.batches.create("prices", {"file": await put(app, text.replace(";1\n", ";-1\n"))})
        await batch.wait_until_ended("20 seconds")
        data = b"".join([block async for block in app.batches.error_file(batch.id)]).decode()
        header, *rows = data.splitlines()
        assert header == "name;price;error_row;error_code;error_column;error_message"
        assert [row.split(";")[:3] for row in rows] == [["n0", "-1", "1"], ["n2", "-1", "3"], ["b", "c", "601"]]
        mended = data.replace(";-1;", ";1;").replace("b;c;", "b;7;")
        again = await app.batches.create("prices", {"file": await put(app, mended)})
        await again.wait_until_ended("20 seconds")
        assert (again.status, again.progress.done) == ("completed", 3)
        # None are bad: the header is all there is.
        assert b"".join([block async for block in app.batches.error_file(again.id)]).decode() == f"{header}\r\n"


async def test_there_is_no_error_file_of_what_was_no_table(app: Conveyor) -> None:
    async with app:
        asked: dict[str, type[Exception]] = {}
        asked[(await app.batches.create("count", {}, id="a")).id] = BatchJobError
        asked[(await app.batches.create("elsewhere", {"file": "none"})).id] = StoredFileNotFoundError
        for content in ("", "na\0me\n"):
            asked[(await app.batches.create("prices", {"file": await put(app, content)})).id] = BatchJobError
        for batch_id, error in asked.items():
            with pytest.raises(error):
                await anext(app.batches.error_file(batch_id))


async def test_a_spreadsheet_is_kept_as_csv_or_not_at_all(app: Conveyor) -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["name", "price"])
    book.active.append(["tea", 1.0])
    book.save(file)
    async with app:
        stored = await app.files.write_workbook("a/prices.xlsx", file)
        assert (stored.name, stored.media_type) == ("prices.csv", "text/csv")
        assert await read(app.files, stored.key) == b"name,price\r\ntea,1\r\n"
        with pytest.raises(BadFileError, match="no_such_sheet"):
            await app.files.write_workbook("prices.xlsx", file, sheet="mine")
        with pytest.raises(BadFileError, match="not_a_workbook"):
            await app.files.write_workbook("prices.xlsx", io.BytesIO(b"name,price\n"))
