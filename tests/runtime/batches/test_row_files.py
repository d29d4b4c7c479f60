"""Rows that stand in a stored file: read as a stream, gone on with in the middle, and tried again where they failed."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from attrs import frozen

from conveyor.contracts.row_batches import FileParams, FileRows, RowBatchStrategy
from conveyor.errors import BadFileError, BatchJobError, ConfigurationError, StoredFileNotFoundError
from conveyor.model.batches.policy import ErrorPolicy
from conveyor.model.batches.values import RowOutcome
from conveyor.model.stored_files import StoredFile
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun, RunKilledError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.row_batches import RowContext, RowSource

pytestmark = pytest.mark.anyio


class Files:
    """A file storage in memory, as far as reading goes: it notes from where, and how many blocks were taken."""

    def __init__(self, block: int = 64) -> None:
        self.files: dict[str, bytes] = {}
        self.offsets: list[int] = []
        self.blocks = 0
        self.open = 0
        self._block = block

    async def find(self, key: str, /) -> StoredFile | None:
        data = self.files.get(key)
        if data is None:
            return None
        return StoredFile(key, key, len(data), sha256(data).hexdigest(), "text/csv", datetime(2026, 1, 1, tzinfo=UTC))

    @asynccontextmanager
    async def read(self, key: str, offset: int = 0, /) -> AsyncIterator[AsyncIterator[bytes]]:
        if key not in self.files:
            raise StoredFileNotFoundError(key)
        self.offsets.append(offset)
        self.open += 1
        try:
            async with aclosing(self._blocks(key, offset)) as blocks:
                yield blocks
        finally:
            self.open -= 1

    async def _blocks(self, key: str, offset: int) -> AsyncGenerator[bytes, None]:
        for start in range(offset, len(self.files[key]), self._block):
            self.blocks += 1
            yield self.files[key][start : start + self._block]


@frozen
class Product:
    sku: str
    price: int


class Import(RowBatchStrategy[Product, FileParams]):
    identifier = "import"
    batch_type = "products"
    row = Product
    params = FileParams
    chunk_size: ClassVar[int] = 10
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self) -> None:
        self.written: list[tuple[str, int]] = []
        self.is_mended = False

    async def process_one(self, row: Product, context: RowContext[FileParams], /) -> RowOutcome:
        if row.price == 7 and not self.is_mended:
            raise ValueError("seven is out")
        self.written.append((row.sku, row.price))
        return RowOutcome.CREATED


CSV = "sku,price\n" + "".join(f"sku-{number},{number}\n" for number in range(100))
WRITTEN = [(f"sku-{number}", number) for number in range(100)]


def stored(text: str = CSV, key: str = "products.csv") -> Files:
    files = Files()
    files.files[key] = text.encode()
    return files


async def opened(strategy: Import, files: Files, *runs: FakeBatchRun) -> Import:
    await strategy.init(FakeBatchJobs(*runs, files=cast("FileStorage", files)).injector())
    return strategy


async def whole(strategy: Import, files: Files, run: FakeBatchRun) -> None:
    await opened(strategy, files, run)
    await strategy.pre_process_batch_job(run.batch_job.id)
    run.start()
    await strategy.process_job(run.batch_job.id)


def run_of(key: str = "products.csv", **context: Any) -> FakeBatchRun:
    return FakeBatchRun({"file": key, **context})


async def test_a_file_is_read_to_its_end() -> None:
    strategy, files, run = Import(), stored(), run_of()
    await whole(strategy, files, run)
    assert strategy.written == [row for row in WRITTEN if row[1] != 7]
    assert (run.batch_job.done, run.batch_job.total) == (100, 100)
    assert run.errors[8].raw == "sku-7,7"
    assert files.open == 0
    assert run.result is not None
    assert run.result["file"] == {
        "name": "products.csv", "size": len(CSV), "sha256": sha256(CSV.encode()).hexdigest(),
    }  # fmt: skip


async def test_json_lines_are_told_by_the_name() -> None:
    strategy = Import()
    await whole(strategy, stored('{"sku": "a", "price": 1}\n{"sku": "b", "price": 2}\n', "p.jsonl"), run_of("p.jsonl"))
    assert strategy.written == [("a", 1), ("b", 2)]


async def test_a_run_goes_on_in_the_middle_of_the_file() -> None:
    files, run = stored(), run_of()
    run.kill_at, run.kill_after = 5, True
    first = Import()
    with pytest.raises(RunKilledError):
        await whole(first, files, run)
    run.kill_at = None
    second = await opened(Import(), files, run)
    await second.process_job("batch-1")
    assert first.written + second.written == [row for row in WRITTEN if row[1] != 7]
    assert files.offsets == [0, 0, CSV.index(f"{second.written[0][0]},")]
    assert files.open == 0


async def test_no_more_of_the_file_is_read_than_the_chunk_needs() -> None:
    files, run = stored(), run_of()
    run.kill_at, run.kill_after = 1, True
    strategy = await opened(Import(), files, run)
    run.start()
    with pytest.raises(RunKilledError):
        await strategy.process_job("batch-1")
    assert files.blocks <= 4


async def test_rows_that_cannot_be_read_are_kept_apart_as_they_stand_there() -> None:
    text = 'sku,price\na,1\n"b;x",many\nc\nd,4\n'
    strategy, run = Import(), run_of()
    await whole(strategy, stored(text), run)
    assert strategy.written == [("a", 1), ("d", 4)]
    assert [(error.row_number, error.column, error.raw) for error in run.errors.values()] == [
        (2, "price", '"b;x",many'),
        (3, None, "c"),
    ]


async def test_failed_rows_alone_are_taken_up_again_under_their_numbers() -> None:
    text = 'sku;price\na;1\n"b\nx";7\nc;many\nd;7\n'
    parent = run_of(encoding="utf-16-le")
    files = Files()
    files.files["products.csv"] = text.encode("utf-16-le")
    await whole(Import(), files, parent)
    assert sorted(parent.errors) == [2, 3, 4]
    child = FakeBatchRun(parent.context, batch_id="batch-2", parent_id="batch-1")
    strategy = await opened(Import(), files, parent, child)
    strategy.is_mended = True
    await strategy.pre_process_batch_job("batch-2")
    child.start()
    await strategy.process_job("batch-2")
    assert strategy.written == [("b\nx", 7), ("d", 7)]
    assert (child.batch_job.total, child.batch_job.done) == (3, 3)
    assert sorted(child.errors) == [3]
    assert child.errors[3].raw == "c;many"


async def test_failed_rows_go_on_after_the_last_that_was_tried() -> None:
    text = "sku,price\n" + "a,7\n" * 40
    parent, files = run_of(), stored(text)
    await whole(Import(), files, parent)
    child = FakeBatchRun(parent.context, batch_id="batch-2", parent_id="batch-1")
    child.start()
    child.kill_at, child.kill_after = 2, True
    first = await opened(Import(), files, parent, child)
    first.is_mended = True
    with pytest.raises(RunKilledError):
        await first.process_job("batch-2")
    child.kill_at = None
    second = await opened(Import(), files, parent, child)
    second.is_mended = True
    await second.process_job("batch-2")
    assert len(first.written) + len(second.written) == child.batch_job.done == 40


class Generated(Import):
    async def source(self, context: RowContext[FileParams], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        for number in range(cursor or 0, 10):
            yield Product(f"sku-{number}", number), number + 1


async def test_failed_rows_of_other_sources_are_kept_as_json() -> None:
    parent, files = FakeBatchRun({"file": "none"}), Files()
    strategy = await opened(Generated(), files, parent)
    parent.start()
    await strategy.process_job("batch-1")
    assert sorted(parent.errors) == [8]
    child = FakeBatchRun(parent.context, batch_id="batch-2", parent_id="batch-1")
    child.start()
    again = await opened(Generated(), files, parent, child)
    again.is_mended = True
    await again.process_job("batch-2")
    assert again.written == [("sku-7", 7)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_file"),
        ("sku,price\n", "no_rows"),
        ("sku,price,price\na,1,1\n", "duplicate_column"),
        ("sku,cost\na,1\n", "unknown_column"),
        ("sku\na\n", "missing_column"),
    ],
)
async def test_a_file_that_is_no_table_is_told_before_anything_is_written(text: str, code: str) -> None:
    strategy, run = Import(), run_of()
    with pytest.raises(BadFileError) as caught:
        await whole(strategy, stored(text), run)
    assert caught.value.code == code
    assert (strategy.written, run.saves) == ([], 0)


async def test_wrong_bytes_are_told_before_anything_is_written() -> None:
    files, strategy = Files(), Import()
    files.files["products.csv"] = b"sku,price\nca\xe9,1\n"
    with pytest.raises(BadFileError, match="wrong_encoding in row 1"):
        await whole(strategy, files, run_of())
    strategy = Import()
    await whole(strategy, files, run_of(encoding="latin-1"))
    assert strategy.written == [("caé", 1)]


async def test_a_file_that_is_not_there_is_told_when_the_batch_job_is_created() -> None:
    strategy = await opened(Import(), stored(), run_of())
    await strategy.validate_context({"file": "products.csv"})
    with pytest.raises(StoredFileNotFoundError, match=r"no stored file 'other\.csv'"):
        await strategy.validate_context({"file": "other.csv"})
    with pytest.raises(BatchJobError, match="missing required field `file`"):
        await strategy.validate_context({})


async def test_a_template_is_made_of_the_row_class_and_accepted_back() -> None:
    strategy, run = Import(), run_of()
    await opened(strategy, stored(), run)
    template = await strategy.build_template()
    assert template.startswith("sku *,price *")
    await whole(strategy, stored(template + "a,1,\n"), run)
    assert strategy.written == [("a", 1)]
    generated = await opened(Generated(), stored(), run)
    assert await generated.build_template() == ""


async def test_a_source_may_say_which_file_it_is() -> None:
    class Named(Import):
        def source(self, context: RowContext[FileParams], cursor: Any, /) -> RowSource[Product]:
            return FileRows(f"{context.params.file}.csv")

    strategy = Named()
    await whole(strategy, stored(), run_of("products"))
    assert len(strategy.written) == 99


@frozen
class Fileless:
    name: str


async def test_a_strategy_without_a_source_and_without_a_file_is_refused() -> None:
    class Sourceless(Import):
        params = Fileless  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="Sourceless has no source, and its params Fileless no field 'file'"):
        await opened(Sourceless(), Files())


async def test_a_row_class_that_fits_no_table_is_refused() -> None:
    @frozen
    class Nested:
        values: list[int]

    class Import2(Import):
        row = Nested  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="values is of type"):
        await opened(Import2(), Files())
