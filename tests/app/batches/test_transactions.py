"""The transactions of a batch job's run: rows and how far it is are committed together, or not at all."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import AbstractBatchJobStrategy, BatchStatus, Conveyor
from conveyor.errors import BatchJobError, BatchRunLostError, BatchStoppedError, CapabilityError, StoreUnavailableError
from conveyor.model.batches.status import BatchCommand
from conveyor.model.batches.values import BatchChange
from conveyor.testing.clocks import JumpingClock
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore
from conveyor.testing.stores import open_store
from tests.app.batches.strategies import Counting
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from conveyor.contracts.batch_job import BatchRun, BatchTransaction

pytestmark = pytest.mark.anyio

ROWS: Final = 3


@pytest.fixture
def anyio_backend(steady_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Run in a time that leaves out what the machine does in between."""
    return steady_backend


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def books(file: Path) -> Iterator[sqlite3.Connection]:
    """The user's own connection to the store's file, with a table in which no row is twice."""
    connection = sqlite3.connect(file, timeout=10)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table books (number integer primary key)")
    connection.commit()
    yield connection
    connection.close()


def numbers(books: sqlite3.Connection) -> list[int]:
    return [number for (number,) in books.execute("select number from books order by number")]


class Shelving(AbstractBatchJobStrategy):
    """Writes three rows, each in a transaction of its own; `inside` is called in each."""

    identifier = "shelving"
    batch_type = "shelve"

    def __init__(self, inside: Callable[[BatchRun, BatchTransaction, int], Awaitable[object]] | None = None) -> None:
        self.inside = inside
        self.errors: list[Exception] = []

    async def process_job(self, batch_job_id: str, /) -> None:
        run = self.batch_jobs.run(batch_job_id)
        assert run.has_transactions
        for number in range((run.cursor or 0) + 1, ROWS + 1):
            try:
                await self.write(run, number)
            except Exception as exc:
                self.errors.append(exc)
                raise

    async def write(self, run: BatchRun, number: int) -> None:
        async with run.transaction() as transaction:
            await transaction.connection.execute("insert into books values (?)", number)
            if self.inside is not None:
                await self.inside(run, transaction, number)
            transaction.save(cursor=number, done=number, counts={"done": number})  # type: ignore[dict-item]

    async def build_template(self) -> str:
        return ""


async def test_rows_and_step_are_committed_together(file: Path, books: sqlite3.Connection) -> None:
    strategy = Shelving()
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert (numbers(books), batch.data.steps, batch.progress.done) == ([1, 2, 3], 3, 3)


async def test_a_dry_run_keeps_how_far_it_was_and_nothing_else(file: Path, books: sqlite3.Connection) -> None:
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[Shelving])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {}, dry_run=True)
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert (numbers(books), batch.progress.done, batch.counts) == ([], 3, {"done": 3})


async def test_what_raises_inside_is_rolled_back_with_its_step(file: Path, books: sqlite3.Connection) -> None:
    breaks = [True]

    async def fail(run: BatchRun, transaction: BatchTransaction, number: int) -> None:
        if number == 2 and breaks:
            raise ValueError("the shelf is full")

    app = Conveyor(f"sqlite:///{file}", batch_strategies=[Shelving(fail)])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.FAILED
        assert (numbers(books), batch.progress.done) == ([1], 1)
        breaks.clear()
        await batch.retry()
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert numbers(books) == [1, 2, 3]


async def test_one_that_is_paused_meanwhile_commits_and_stops(file: Path, books: sqlite3.Connection) -> None:
    paused = anyio.Event()

    async def pause(batch_id: str) -> None:
        await app.batches.pause(batch_id)
        paused.set()

    class Patient(Shelving):
        async def write(self, run: BatchRun, number: int) -> None:
            if number == 3 and not paused.is_set():
                await paused.wait()
            await super().write(run, number)

    async def ask_for_pause(run: BatchRun, transaction: BatchTransaction, number: int) -> None:
        if number == 2:
            # It waits for the transaction: one writes at a time.
            tasks.start_soon(pause, run.batch_job.id)

    strategy = Patient(ask_for_pause)
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[strategy])
    async with anyio.create_task_group() as tasks, app, app.worker():
        batch = await app.batches.create("shelve", {})
        with anyio.fail_after(10):
            await paused.wait()

        async def is_paused() -> bool:
            return (await batch.refresh()).status is BatchStatus.PAUSED

        await eventually(is_paused)
        # What was written when it was told is kept with its step.
        assert numbers(books) == list(range(1, batch.progress.done + 1))
        assert [type(error) for error in strategy.errors] == [BatchStoppedError]
        await batch.resume()
        await batch.wait_until_ended("10s")
        assert numbers(books) == [1, 2, 3]


@pytest.mark.parametrize("saves", [0, 2])
async def test_how_far_the_run_is_is_said_once(file: Path, books: sqlite3.Connection, saves: int) -> None:
    class Careless(Shelving):
        async def write(self, run: BatchRun, number: int) -> None:
            async with run.transaction() as transaction:
                await transaction.connection.execute("insert into books values (?)", number)
                for _ in range(saves):
                    transaction.save(cursor=number, done=number)

    strategy = Careless()
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.FAILED
        assert numbers(books) == []
        assert isinstance(strategy.errors[0], BatchJobError)


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
@pytest.mark.parametrize("verb", ["begin", "commit_step", "change_batch", "get_batch"])
async def test_a_commit_whose_answer_is_lost_is_looked_for(
    file: Path, books: sqlite3.Connection, verb: str, kind: FaultKind
) -> None:
    script = FaultScript()

    spoiled: list[int] = []

    async def spoil(run: BatchRun, transaction: BatchTransaction, number: int) -> None:
        if number == 1 and not spoiled:
            spoiled.append(number)
            script.spoil(verb, 2, kind)

    strategy = Shelving(spoil)
    async with open_store(f"sqlite:///{file}") as store:
        app = Conveyor(FaultyStore(store, script), batch_strategies=[strategy])
        async with app, app.worker():
            batch = await app.batches.create("shelve", {})
            assert (await batch.wait_until_ended("30s")).status is BatchStatus.COMPLETED
            # The key of the table says that no row was written twice.
            assert (numbers(books), batch.data.steps) == ([1, 2, 3], 3)
            assert all(isinstance(error, StoreUnavailableError) for error in strategy.errors)


async def test_a_zombie_commits_nothing(file: Path, books: sqlite3.Connection) -> None:
    stolen: list[str] = []

    class Robbed(Shelving):
        async def write(self, run: BatchRun, number: int) -> None:
            if number == 2 and not stolen:
                stolen.append(run.batch_job.id)
                theft = BatchChange("theft", BatchCommand.START, run="another")
                await app._services.batch_store("the test").change_batch(run.batch_job.id, theft)
            await super().write(run, number)

    strategy = Robbed()
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED
        assert [type(error) for error in strategy.errors] == [BatchRunLostError]
        assert (numbers(books), batch.data.steps) == ([1, 2, 3], 3)


async def test_a_worker_that_stops_commits_the_row_and_hands_the_rest_back(
    file: Path, books: sqlite3.Connection
) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(run: BatchRun, transaction: BatchTransaction, number: int) -> None:
        if number == 2 and not begun.is_set():
            begun.set()
            await go_on.wait()

    strategy = Shelving(wait)
    app = Conveyor(f"sqlite:///{file}", batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("shelve", {})
        async with anyio.create_task_group() as tasks, app.worker(shutdown_grace="1 hour"):
            await begun.wait()

            async def let_go() -> None:
                await anyio.sleep(0.05)
                go_on.set()

            tasks.start_soon(let_go)
        await batch.refresh()
        assert (batch.status, numbers(books)) == (BatchStatus.INTERRUPTED, [1, 2])
        assert [type(error) for error in strategy.errors] == [BatchStoppedError]
        async with app.worker():
            await batch.wait_until_ended("10s")
        assert numbers(books) == [1, 2, 3]


async def test_one_that_takes_too_long_is_rolled_back(file: Path, books: sqlite3.Connection) -> None:
    async def dawdle(run: BatchRun, transaction: BatchTransaction, number: int) -> None:
        if number == 2:
            await anyio.sleep_forever()

    strategy = Shelving(dawdle)
    app = Conveyor(f"sqlite:///{file}", clock=JumpingClock(), batch_strategies=[strategy])
    async with app, app.worker(lock_duration="3s"):
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.FAILED
        assert (numbers(books), batch.progress.done) == ([1], 1)
        assert "took longer than" in (batch.error or "")


async def test_where_there_are_none_it_says_so() -> None:
    refused: list[str] = []

    async def ask(run: BatchRun, number: int) -> None:
        assert not run.has_transactions
        with pytest.raises(CapabilityError, match="transactions"):
            async with run.transaction():
                pass
        refused.append(run.batch_job.id)

    app = Conveyor("memory://", batch_strategies=[Counting(ask)])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 1})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert refused == [batch.id]


async def test_nothing_is_written_while_it_is_only_looked_at(file: Path, books: sqlite3.Connection) -> None:
    class Hasty(Shelving):
        async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
            run = self.batch_jobs.run(batch_job_id)
            assert not run.has_transactions
            async with run.transaction():
                pass

    app = Conveyor(f"sqlite:///{file}", batch_strategies=[Hasty])
    async with app, app.worker():
        batch = await app.batches.create("shelve", {})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.FAILED
        assert "nothing is written" in (batch.error or "")
