"""Files of batch jobs in a real app: the same file twice, spreadsheets, and bad rows as a file to mend."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import openpyxl
import pytest
from attrs import frozen

from conveyor import AesGcmCodec, Conveyor, ErrorPolicy, FileParams, Retention, RowBatchStrategy
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor._services.maintenance.batches import remove_old
from conveyor.errors import (
    BadFileError,
    BatchJobError,
    DuplicateBatchJobError,
    StoredFileNotFoundError,
    StoreUnavailableError,
)
from conveyor.testing.conformance.file_storage import read, stream
from tests.app.batches.strategies import Counting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from conveyor import BatchJob, RowContext
    from conveyor.model.stored_files import StoredFile

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


async def test_json_as_a_whole_is_refused_before_a_batch_job_is_there(app: Conveyor) -> None:
    async with app:
        key = await put(app, '[{"name": "tea"}]', "prices.JSON")
        with pytest.raises(BadFileError, match=r"whole_json: 'prices.JSON' is JSON .* as .jsonl"):
            await app.batches.create("prices", {"file": key})
        assert (await app.batches.list()).batches == []


async def test_a_spreadsheet_is_kept_as_csv_or_not_at_all(app: Conveyor) -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["name", "price"])
    book.active.append(["tea", 1.0])
    book.save(file)
    async with app:
        stored = await app.files.write_workbook("a/prices.xlsx", file)
        assert (stored.name, stored.media_type) == ("prices.csv", "text/csv; made-of=xlsx")
        assert await read(app.files, stored.key) == b"name,price\r\ntea,1\r\n"
        with pytest.raises(BadFileError, match="no_such_sheet"):
            await app.files.write_workbook("prices.xlsx", file, sheet="mine")
        with pytest.raises(BadFileError, match="not_a_workbook"):
            await app.files.write_workbook("prices.xlsx", io.BytesIO(b"name,price\n"))


async def test_the_bad_rows_of_a_spreadsheet_come_as_one_unless_another_form_is_named(app: Conveyor) -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (["name", "price"], ["+tea", "two"], *([f"n{number}", -1] for number in range(600))):
        book.active.append(row)
    book.save(file)
    async with app, app.worker():
        stored = await app.files.write_workbook("prices.xlsx", file)
        batch = await app.batches.create("prices", {"file": stored.key})
        await batch.wait_until_ended("20 seconds")
        data = b"".join([block async for block in app.batches.error_file(batch.id)])
        header, first, *others = openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True)
        assert header == ("name", "price", "error_row", "error_code", "error_column", "error_message")
        assert first[:4] == ("'+tea", "two", 1, "invalid_value")
        assert [row[:3] for row in others] == [(f"n{number}", -1, number + 2) for number in range(600)]
        again = await app.files.write_workbook("again.xlsx", io.BytesIO(data))
        assert (await read(app.files, again.key)).splitlines()[1].startswith(b"'+tea,two,1,invalid_value,price,")
        text = b"".join([block async for block in app.batches.error_file(batch.id, as_workbook=False)])
        assert text.splitlines()[1].startswith(b"'+tea,two,1,invalid_value,price,")


class Writing(Counting):
    """Its files are what its context and its result name."""

    identifier = batch_type = "writing"

    async def stored_files(self, context: Mapping[str, Any], result: Mapping[str, Any] | None, /) -> Sequence[str]:
        return [context["out"], *([result["also"]] if result and "also" in result else [])]


async def ended(app: Conveyor, batch_type: str, context: Mapping[str, Any], **options: Any) -> BatchJob:
    return await (await app.batches.create(batch_type, context, **options)).wait_until_ended("20 seconds")


@pytest.mark.parametrize("by_pass", [False, True])
async def test_files_that_would_expire_go_with_the_last_batch_job_that_names_them(
    store_url: str, *, by_pass: bool
) -> None:
    app = Conveyor(
        store_url, batch_strategies=[Prices, Writing], payload_codec=AesGcmCodec({"a": AesGcmCodec.new_key()})
    )
    old = Retention(max_age=timedelta(microseconds=1))

    async def remove(*batches: BatchJob) -> None:
        if by_pass:
            assert await remove_old(app._services, app._services.store, old) == len(batches)
        else:
            for batch in batches:
                await app.batches.remove(batch.id)

    async with app, app.worker(retention_interval="1 hour"):
        text = stream(b"name,price\na,1\n")
        expires = (await app.files.write("a.csv", text, expires_in="1 day")).key
        stays = (await app.files.write("b.csv", text)).key
        named = (await app.files.write("c.csv", text, expires_in="1 day")).key
        waits = await app.batches.create("writing", {"out": "none", "and": [named]}, confirmation="manual")
        await remove(
            await ended(app, "prices", {"file": expires}, force=True),
            await ended(app, "prices", {"file": expires}, force=True),
            await ended(app, "prices", {"file": stays}),
            await ended(app, "writing", {"out": named}),
        )
        assert [await app.files.find(key) is not None for key in (expires, stays, named)] == [False, True, True]
        await waits.cancel()
        await remove(waits)
        # Nobody's: it was named in a place that its strategy does not mean.
        assert await app.files.find(named) is not None


async def test_files_stay_where_another_batch_job_does_not_open_or_the_storage_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(LocalFileStorage):
        async def delete(self, key: str, /) -> bool:
            raise StoreUnavailableError(f"{key} is on a disk that is not there")

    url, keys = f"sqlite:///{tmp_path}/jobs.db", [AesGcmCodec({"a": AesGcmCodec.new_key()}) for _ in range(2)]
    async with Conveyor(url, prefix="other-", batch_strategies=[Counting], payload_codec=keys[0]) as other:
        foreign = await other.batches.create("count", {})
    async with Conveyor(url, batch_strategies=[Prices], payload_codec=keys[1]) as app, app.worker():
        file = (await app.files.write("a.csv", stream(b"name,price\na,1\n"), expires_in="1 day")).key
        await app.batches.remove((await ended(app, "prices", {"file": file})).id)
        assert await app.files.find(file) is not None
        last = await ended(app, "prices", {"file": file})
    async with Conveyor(url, prefix="other-", batch_strategies=[Counting], payload_codec=keys[0]) as other:
        await other.batches.cancel(foreign.id)
        await other.batches.remove(foreign.id)
    async with Conveyor(url, batch_strategies=[Prices], payload_codec=keys[1], file_storage=Broken()) as app:
        await app.batches.remove(last.id)
        assert "could not be deleted; they are there until they expire" in caplog.text
        assert await app.files.find(file) is not None


async def test_keys_may_hold_what_json_writes_in_another_way(tmp_path: Path) -> None:
    class Quoting(LocalFileStorage):
        async def find(self, key: str, /) -> StoredFile | None:
            return await super().find(key.strip('"'))

        async def delete(self, key: str, /) -> bool:
            return await super().delete(key.strip('"'))

    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db", batch_strategies=[Writing], file_storage=Quoting())
    async with app, app.worker():
        key = f'"{(await app.files.write("a.csv", stream(b"1"), expires_in="1 day")).key}"'
        batches = [await ended(app, "writing", {"out": key}) for _ in range(2)]
        for batch, is_there in zip(batches, (True, False), strict=True):
            await app.batches.remove(batch.id)
            assert (await app.files.find(key) is not None) is is_there


async def test_the_look_at_rows_is_seen_while_it_goes_on(store_url: str) -> None:
    seen = anyio.Event()

    class Looking(Counting):
        async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
            run = self.batch_jobs.run(batch_job_id)
            await run.save(cursor=None, done=7, total=9, message="7 rows checked")
            await seen.wait()

    app = Conveyor(store_url, batch_strategies=[Looking])
    async with app, app.worker():
        batch = await app.batches.create("count", {})
        with anyio.fail_after(20):
            async with app.batches.events(batch.id) as events:
                async for event in events:
                    if event.batch.progress.done == 7:
                        break
        progress = (await app.batches.get(batch.id)).progress
        assert (progress.done, progress.total, progress.message) == (7, 9, "7 rows checked")
        seen.set()
        await batch.wait_until_ended("20 seconds")
        assert (batch.status, batch.progress.done) == ("completed", 0)
