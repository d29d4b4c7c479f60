"""Rows are read ahead while a chunk is saved, in one task, and what their source raises is raised as itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from attrs import frozen

from conveyor._runtime.batches.rows.ahead import reading_ahead
from conveyor._runtime.batches.rows.contexts import RunRowContext
from conveyor._runtime.batches.rows.sources import open_rows
from conveyor.contracts.row_batches import NoParams, RowBatchStrategy
from conveyor.errors import BatchStoppedError
from conveyor.testing.batches import FakeBatchJobs, FakeBatchRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor.contracts.row_batches import RowContext

pytestmark = pytest.mark.anyio

HANG_SECONDS = 30
CHUNK = 2


@frozen
class Number:
    value: int


class Source(RowBatchStrategy[Number, NoParams]):
    """Numbers from 1 on; what is done for one before it is given, and when the source is closed, tests say."""

    identifier = "numbers"
    batch_type = "numbers"
    row = Number
    params = NoParams
    chunk_size: ClassVar[int] = CHUNK

    def __init__(self, upto: int) -> None:
        self.upto = upto
        self.given: dict[int, anyio.Event] = {number: anyio.Event() for number in range(1, upto + 1)}
        self.before: dict[int, Callable[[], Any]] = {}
        self.on_close: Callable[[], None] = lambda: None
        self.seen: list[int] = []
        self.tasks: list[int] = []

    async def source(self, context: RowContext[NoParams], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        self.tasks.append(anyio.get_current_task().id)
        try:
            for number in range((cursor or 0) + 1, self.upto + 1):
                if number in self.before:
                    await self.before[number]()
                self.given[number].set()
                yield Number(number), number
        finally:
            self.tasks.append(anyio.get_current_task().id)
            self.on_close()

    async def process_one(self, row: Number, context: RowContext[NoParams], /) -> None:
        self.seen.append(row.value)


class SlowRun(FakeBatchRun):
    """A run that keeps a step only once something has happened meanwhile."""

    meanwhile: anyio.Event | None = None

    async def save(self, **step: Any) -> None:
        if self.meanwhile is not None:
            with anyio.fail_after(HANG_SECONDS):
                await self.meanwhile.wait()
        await super().save(**step)


async def process(strategy: Source, run: FakeBatchRun) -> None:
    await strategy.init(FakeBatchJobs(run).injector())
    run.start()
    await strategy.process_job("batch-1")


async def test_the_next_rows_are_read_while_a_chunk_is_saved() -> None:
    strategy, run = Source(2 * CHUNK), SlowRun({})
    run.meanwhile = strategy.given[CHUNK + 1]
    await process(strategy, run)
    assert strategy.seen == [1, 2, 3, 4]


async def test_what_a_source_raises_is_raised_as_itself_once_the_rows_before_it_are_saved() -> None:
    strategy, run = Source(2 * CHUNK), FakeBatchRun({})

    async def fail() -> None:
        raise LookupError("no such page")

    strategy.before[CHUNK + 1] = fail
    with pytest.raises(LookupError, match="no such page"):
        await process(strategy, run)
    assert (strategy.seen, run.batch_job.done) == ([1, 2], 2)


async def test_a_source_that_keeps_a_run_waiting_does_not_keep_it_from_stopping() -> None:
    strategy, waits = Source(2 * CHUNK), anyio.Event()

    async def wait() -> None:
        waits.set()
        await anyio.sleep_forever()

    class StoppedRun(SlowRun):
        async def save(self, **step: Any) -> None:
            self.stop_reason = "it is pausing"
            await super().save(**step)

    run = StoppedRun({})
    run.meanwhile = waits
    strategy.before[CHUNK + 1] = wait
    with anyio.fail_after(HANG_SECONDS), pytest.raises(BatchStoppedError):
        await process(strategy, run)
    assert run.batch_job.done == CHUNK


@pytest.mark.parametrize("stops", [False, True])
async def test_a_source_is_closed_by_the_task_that_read_it(stops: bool) -> None:
    strategy, run = Source(2 * CHUNK), FakeBatchRun({})
    if stops:
        run.stop_reason = "it is pausing"
        with pytest.raises(BatchStoppedError):
            await process(strategy, run)
    else:
        await process(strategy, run)
    assert len(strategy.tasks) == 2
    assert len(set(strategy.tasks)) == 1


async def test_what_closing_a_source_raises_fails_the_run() -> None:
    strategy = Source(CHUNK)

    def fail() -> None:
        raise OSError("the connection was lost")

    strategy.on_close = fail
    with pytest.raises(OSError, match="the connection was lost"):
        await process(strategy, FakeBatchRun({}))


async def test_rows_that_were_read_and_are_too_many_by_now_are_given_in_parts() -> None:
    strategy, run = Source(5), FakeBatchRun({})
    injector = FakeBatchJobs(run).injector()
    await strategy.init(injector)
    opened = open_rows(strategy, RunRowContext(run, NoParams()), None, injector)
    async with reading_ahead(opened, seconds=HANG_SECONDS) as rows:
        rows.begin(4)
        await strategy.given[4].wait()
        found = [(await rows.take(3)).numbers for _ in range(4)]
    assert found == [[1, 2, 3], [4], [5], []]
