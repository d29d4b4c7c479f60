"""Batch jobs in parts, in a real app: what all parts leave behind is what one run would have."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import frozen

from conveyor import Conveyor, ErrorPolicy, RowBatchStrategy
from conveyor.codec import decode_json
from conveyor.errors import BatchJobError, BatchPartFailedError, CapabilityError, ConfigurationError
from conveyor.model.batches.parts import PartStatus
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome
from conveyor.testing.batches import BatchTrial, prove_resume, run_batch
from conveyor.testing.faults import FaultyStore
from conveyor.testing.stores import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from conveyor import BatchJob, RowContext
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio

ROWS = 120
BAD = frozenset({7, 8, 50, 119})
WRITTEN = [value for value in range(1, ROWS + 1) if value not in BAD]


@frozen
class Number:
    value: int


@frozen
class Params:
    rows: int = ROWS


class Parts(RowBatchStrategy[Number, Params]):
    """Writes into a table that would keep a number twice, in four parts of thirty rows."""

    identifier = "numbers"
    batch_type = "numbers"
    row = Number
    params = Params
    chunk_size: ClassVar[int] = 10
    parts: ClassVar[int] = 4
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
        for value in range((cursor or 0) + 1, context.params.rows + 1):
            yield Number(-value if value in BAD else value), value

    async def process(self, rows: Sequence[Number], context: RowContext[Params], /) -> None:
        await context.connection.executemany("INSERT INTO numbers VALUES (?)", [(row.value,) for row in rows])


class Remembered(RowBatchStrategy[Number, Params]):
    """Remembers its rows, and does what a test says before each."""

    identifier = "remembered"
    batch_type = "remembered"
    row = Number
    params = Params
    chunk_size: ClassVar[int] = 10
    parts: ClassVar[int] = 4
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    def __init__(self, at_row: Callable[[int, RowContext[Params]], Awaitable[object]] | None = None) -> None:
        self.at_row = at_row
        self.rows: list[int] = []
        self.failures: list[Exception] = []

    source = Parts.source

    async def process_one(self, row: Number, context: RowContext[Params], /) -> None:
        if self.at_row is not None:
            await self.at_row(row.value, context)
        assert abs(row.value) == context.number
        self.rows.append(row.value)

    async def on_failure(self, batch_job_id: str, error: Exception, /) -> None:
        self.failures.append(error)


class AtOneRow:
    """Changes the batch job at the 25th row of all; the rows after it, of whichever part, wait until that was done."""

    def __init__(self, change: Callable[[str], Awaitable[object]]) -> None:
        self._change = change
        self._is_changed = anyio.Event()
        self._begun = 0

    async def __call__(self, value: int, context: RowContext[Params]) -> None:
        self._begun += 1
        if self._begun == 25:
            await self._change(context.run.batch_job.id)
            self._is_changed.set()
        elif self._begun > 25:
            await self._is_changed.wait()


class Stopping(Remembered):
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()


def make_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE numbers (value INTEGER PRIMARY KEY CHECK (value > 0))")


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute("SELECT value FROM numbers ORDER BY value")]


async def comes_to(batch: BatchJob, status: BatchStatus) -> None:
    """Wait until a batch job is in a status."""

    async def is_there() -> bool:
        return (await batch.refresh()).status is status

    await eventually(is_there)


async def test_rows_of_all_parts_are_written_once_wherever_the_program_is_killed(tmp_path: Path) -> None:
    made = 0

    @asynccontextmanager
    async def begin() -> AsyncIterator[BatchTrial]:
        nonlocal made
        made += 1
        path = tmp_path / f"{made}.db"
        make_table(path)

        async def read() -> list[int]:
            return numbers(path)

        yield BatchTrial(Parts, {}, read, url=f"sqlite:///{path}")
        assert numbers(path) == WRITTEN

    assert await prove_resume(begin, at_most=4) >= 6


async def test_all_parts_together_are_the_batch_job(tmp_path: Path) -> None:
    path = tmp_path / "parts.db"
    make_table(path)
    end = await run_batch(Parts, {}, url=f"sqlite:///{path}")
    batch = end.batch_job
    assert (batch.status, batch.parts, batch.parts_done) == (BatchStatus.COMPLETED_WITH_ERRORS, 4, 4)
    assert (batch.done, batch.total) == (ROWS, ROWS)
    assert batch.counts == {RowOutcome.DONE: ROWS - len(BAD), RowOutcome.FAILED: len(BAD)}
    assert [error.row_number for error in end.errors] == sorted(BAD)
    assert end.result is not None
    assert "parts" not in end.result


async def test_a_part_has_the_rows_between_two_places() -> None:
    strategy = Remembered()
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        parts = await app.batches.parts(batch.id)
    assert sorted(strategy.rows) == sorted([*WRITTEN, *(-value for value in BAD)])
    assert [part.status for part in parts] == [PartStatus.COMPLETED] * 4
    assert [part.done for part in parts] == [30] * 4
    lasts = [decode_json(part.span)["last"] for part in parts]
    assert lasts == [30, 60, 90, 120]


async def test_parts_are_worked_on_at_the_same_time() -> None:
    at_once, together = set[int](), anyio.Event()

    async def at_row(value: int, context: RowContext[Params]) -> None:
        at_once.add(context.run.part["last"])
        if len(at_once) == 4:
            together.set()
        await together.wait()

    async with Conveyor("memory://", batch_strategies=[Remembered(at_row)]) as app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert batch.status is BatchStatus.COMPLETED


async def test_one_place_of_a_worker_is_enough_for_all_parts() -> None:
    strategy = Remembered()
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker(concurrency=1):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
    assert batch.status is BatchStatus.COMPLETED
    assert len(strategy.rows) == ROWS


async def test_too_few_rows_are_not_divided() -> None:
    async with Conveyor("memory://", batch_strategies=[Remembered()]) as app, app.worker():
        batch = await app.batches.create("remembered", {"rows": 19})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.parts, batch.data.done) == (BatchStatus.COMPLETED, 0, 19)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_all_parts_stop_when_it_is_paused_and_go_on_where_they_were(concurrency: int) -> None:
    app = Conveyor("memory://", batch_strategies=[strategy := Remembered()])
    strategy.at_row = AtOneRow(app.batches.pause)
    async with app, app.worker(concurrency=concurrency):
        batch = await app.batches.create("remembered", {})
        await comes_to(batch, BatchStatus.PAUSED)
        strategy.at_row = None
        done = (await batch.refresh()).data.done
        assert 0 < done == len(strategy.rows) < ROWS
        await batch.resume()
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)
    assert sorted(strategy.rows) == sorted([*WRITTEN, *(-value for value in BAD)])


async def test_all_parts_stop_when_it_is_cancelled() -> None:
    app = Conveyor("memory://", batch_strategies=[strategy := Remembered()])
    strategy.at_row = AtOneRow(app.batches.cancel)
    async with app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.CANCELLED, len(strategy.rows))
        assert batch.data.parts_done < 4


async def test_a_part_that_fails_stops_the_others_and_all_go_on_when_it_is_retried() -> None:
    others = anyio.Event()

    async def at_row(value: int, context: RowContext[Params]) -> None:
        if abs(value) == 65:
            raise ValueError("boom")
        if abs(value) == 100:
            # So that another part is not through by then.
            await others.wait()

    strategy = Stopping(at_row)
    app = Conveyor("memory://", batch_strategies=[strategy])
    async with app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert batch.status is BatchStatus.FAILED
        assert "row 65" in str(batch.error)
        (failure,) = strategy.failures
        assert isinstance(failure, BatchPartFailedError)
        assert failure.part == 3
        done = (await app.batches.parts(batch.id))[3].done
        others.set()
        strategy.at_row = None
        await batch.retry()
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)
        # What the last part did after its batch job had failed was not kept, so it was done again.
        assert done < 30


async def test_bad_rows_of_all_parts_count_together() -> None:
    class Few(Remembered):
        errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip(most=2)

    async def at_row(value: int, context: RowContext[Params]) -> None:
        if value % 30 == 5:
            raise ValueError("boom")

    strategy = Few(at_row)
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert batch.status is BatchStatus.FAILED
        assert "TooManyBadRowsError" in str(batch.error)


async def test_the_row_that_ended_a_part_is_told_until_it_is_done() -> None:
    is_mended = False

    async def at_row(value: int, context: RowContext[Params]) -> None:
        if value == ROWS - 3 and not is_mended:
            raise ValueError("boom")

    async with Conveyor("memory://", batch_strategies=[Stopping(at_row)]) as app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.FAILED
        (last,) = [error async for error in batch.errors()]
        assert (last.ended_run, last.message) == (True, "boom")
        is_mended = True
        await batch.retry()
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED
        assert [error async for error in batch.errors()] == []


async def test_so_many_run_at_once_as_its_type_allows_whatever_their_parts() -> None:
    class OneAtATime(Remembered):
        max_running: ClassVar[int | None] = 1

    seen: list[str] = []

    async def at_row(value: int, context: RowContext[Params]) -> None:
        seen.append(context.run.batch_job.id)
        await checkpoint()

    async with Conveyor("memory://", batch_strategies=[OneAtATime(at_row)]) as app, app.worker(concurrency=8):
        batches = [await app.batches.create("remembered", {}) for _ in range(3)]
        for batch in batches:
            await batch.wait_until_ended("20s")
    assert len(seen) == 3 * ROWS
    assert len([batch_id for batch_id, _ in groupby(seen)]) == 3


async def test_it_is_paused_between_transactions_and_no_row_is_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "paused.db"
    make_table(path)

    class Pausing(Parts):
        is_paused: ClassVar[bool] = False

        async def throttle(self, context: RowContext[Params], /) -> float | None:
            if context.run.part["last"] == 60 and context.run.batch_job.done and not Pausing.is_paused:
                Pausing.is_paused = True
                await app.batches.pause(context.run.batch_job.id)
            return None

    app = Conveyor(f"sqlite:///{path}", batch_strategies=[Pausing()])
    async with app, app.worker(concurrency=4):
        batch = await app.batches.create("numbers", {})
        await comes_to(batch, BatchStatus.PAUSED)
        kept = batch.data
        assert kept.counts.get(RowOutcome.DONE, 0) == len(numbers(path))
        assert kept.done < ROWS
        await batch.resume()
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED_WITH_ERRORS, ROWS)
    assert numbers(path) == WRITTEN


async def test_parts_go_on_while_the_job_that_leads_changes_its_worker() -> None:
    leads, led, go_on = anyio.Event(), anyio.Event(), anyio.Event()

    async def at_row(value: int, context: RowContext[Params]) -> None:
        if value == 5 and not leads.is_set():
            leads.set()
            await led.wait()
        if value == 100:
            await go_on.wait()

    async def work(places: int, stop: anyio.Event) -> None:
        async with app.worker(concurrency=places, shutdown_grace="1 hour"):
            await stop.wait()

    strategy = Remembered(at_row)
    app = Conveyor("memory://", batch_strategies=[strategy])
    first, second = anyio.Event(), anyio.Event()
    async with app, anyio.create_task_group() as tasks:
        batch = await app.batches.create("remembered", {})
        # Its one place is taken by the job that leads; those of the other worker are for the parts.
        tasks.start_soon(work, 1, first)
        await leads.wait()
        tasks.start_soon(work, 3, second)
        await eventually(lambda: are_begun(app, batch, 4))
        first.set()
        await anyio.wait_all_tasks_blocked()
        led.set()
        await eventually(lambda: was_handed_back(batch))
        go_on.set()
        await batch.wait_until_ended("20s")
        second.set()
    assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)
    assert "its worker stops" in [change.reason for change in batch.history]
    assert sorted(abs(value) for value in strategy.rows) == list(range(1, ROWS + 1))


async def was_handed_back(batch: BatchJob) -> bool:
    """Whether its worker has stopped."""
    return BatchStatus.INTERRUPTED in [change.after for change in (await batch.refresh()).history]


async def are_begun(app: Conveyor, batch: BatchJob, count: int) -> bool:
    """Whether the runs of so many parts have begun."""
    return len([part for part in await app.batches.parts(batch.id) if part.run is not None]) >= count


async def test_a_part_whose_job_was_cancelled_is_done_by_the_job_that_leads() -> None:
    async def at_row(value: int, context: RowContext[Params]) -> None:
        if value == 65:
            strategy.at_row = None
            (part,) = [part for part in await app.batches.parts(context.run.batch_job.id) if part.number == 3]
            await (await app.jobs.get(part.job_id)).cancel()
            await anyio.sleep_forever()

    strategy = Remembered(at_row)
    app = Conveyor("memory://", batch_strategies=[strategy])
    async with app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)


async def test_a_part_whose_job_failed_without_a_word_fails_the_batch_job() -> None:
    class OnceOnly(Remembered):
        max_retries: ClassVar[int] = 0

    class Refusing:
        async def around_add(
            self,
            jobs: Sequence[NewJob],
            call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]],
            /,
        ) -> Sequence[AddReceipt]:
            return await call_next(jobs)

        async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
            if job.name == "remembered:part":
                raise ValueError("no such jobs here")
            return await call_next()

    app = Conveyor("memory://", batch_strategies=[OnceOnly()], middleware=[Refusing()])
    async with app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert batch.status is BatchStatus.FAILED
        assert "its job failed" in str(batch.error)


async def test_a_part_is_tried_again_where_its_strategy_says_so() -> None:
    class Trying(Stopping):
        max_retries: ClassVar[int] = 1

        async def should_retry_on_processing_error(self, batch_job: Any, error: Exception, /) -> bool:
            return True

    async def at_row(value: int, context: RowContext[Params]) -> None:
        if abs(value) == 65:
            strategy.at_row = None
            raise ValueError("boom")

    strategy = Trying(at_row)
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker(concurrency=4):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)


async def test_one_whose_parts_are_done_processes_no_row_again() -> None:
    class Finishing(Remembered):
        has_failed: ClassVar[bool] = False

        async def post_process(self, batch_job_id: str, /) -> None:
            if not Finishing.has_failed:
                Finishing.has_failed = True
                raise RuntimeError("not yet")

    strategy = Finishing()
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker():
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.parts_done) == (BatchStatus.FAILED, 4)
        await batch.retry()
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.done) == (BatchStatus.COMPLETED, ROWS)
    assert len(strategy.rows) == ROWS


async def test_a_source_that_changed_since_it_was_checked_is_refused() -> None:
    class Shrinking(Remembered):
        is_checked: ClassVar[bool] = False

        async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Number, Any]]:
            for value in range((cursor or 0) + 1, context.params.rows + 1):
                if value != 20 or context.run.is_pre_processing:
                    yield Number(value), value

    strategy = Shrinking()
    async with Conveyor("memory://", batch_strategies=[strategy]) as app, app.worker(concurrency=1):
        batch = await app.batches.create("remembered", {})
        await batch.wait_until_ended("20s")
        assert batch.status is BatchStatus.FAILED
        assert "has changed since its rows were checked" in str(batch.error)


async def test_what_came_of_it_is_not_said_by_a_part() -> None:
    async def at_row(value: int, context: RowContext[Params]) -> None:
        with pytest.raises(BatchJobError, match="post_process"):
            context.run.set_result({})
        assert not context.run.can_divide
        with pytest.raises(BatchJobError, match="not divided"):
            await context.run.process_parts([1])

    async with Conveyor("memory://", batch_strategies=[Remembered(at_row)]) as app, app.worker():
        batch = await app.batches.create("remembered", {})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED


async def test_a_dry_run_is_not_divided() -> None:
    async with Conveyor("memory://", batch_strategies=[Remembered()]) as app, app.worker():
        batch = await app.batches.create("remembered", {}, dry_run=True)
        await batch.wait_until_ended("20s")
        assert (batch.status, batch.data.parts) == (BatchStatus.COMPLETED, 0)


async def test_parts_are_refused_where_the_store_keeps_none() -> None:
    async with open_store("memory://") as whole:
        store = FaultyStore(whole)
        store.batch_parts = None
        async with Conveyor(store, batch_strategies=[Remembered()]) as app:
            with pytest.raises(CapabilityError, match=r"Remembered\.parts"):
                async with app.worker():
                    pass


async def test_parts_are_a_whole_number() -> None:
    class Wrong(Remembered):
        parts: ClassVar[int] = 0

    with pytest.raises(ConfigurationError, match=r"Wrong\.parts"):
        async with Conveyor("memory://", batch_strategies=[Wrong()]):
            pass
