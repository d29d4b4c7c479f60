"""Statements that are known to be short run on the event loop, and all others on the transaction's thread."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor._builtin.sqlite.paces import SHORT_SECONDS, TELLING_ROWS, Paces
from conveyor.errors import StoreError
from conveyor.model.locks import Lock
from conveyor.model.queries import Want
from tests.sqlite.jobs import LOCK, SESSION, new_job, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor._builtin.sqlite.store import SQLiteStore
    from conveyor._builtin.sqlite.transactions import SqliteTransactionConnection

INSERT: Final = "insert into books values (?)"
TITLES: Final = [(f"Emma, volume {number}",) for number in range(TELLING_ROWS)]


class Timer:
    """Tells what it was told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> Callable[[], int]:
        """Return work that takes so long."""

        def work() -> int:
            self.seconds += seconds
            return 0

        return work


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def paces(timer: Timer) -> Paces:
    return Paces(timer)


def test_a_statement_that_never_ran_is_not_short(paces: Paces) -> None:
    assert not paces.is_short(INSERT, 1)


def test_one_run_for_many_rows_tells_of_the_next(paces: Paces, timer: Timer) -> None:
    per_row = SHORT_SECONDS / 500
    paces.measure(INSERT, 500, timer.pass_(0.9 * 500 * per_row))
    assert paces.is_short(INSERT, 500)
    assert not paces.is_short(INSERT, 1000)
    paces.measure(INSERT, 500, timer.pass_(2 * 500 * per_row))
    assert not paces.is_short(INSERT, 500)


def test_one_insert_of_a_row_tells_little(paces: Paces, timer: Timer) -> None:
    paces.measure(INSERT, 1, timer.pass_(0))
    assert not paces.is_short(INSERT, 1)
    for _ in range(20 * TELLING_ROWS):
        paces.measure(INSERT, 1, timer.pass_(0))
    assert paces.is_short(INSERT, 1)


@pytest.mark.parametrize(
    "sql",
    ["delete from books where shelf = ?", "update books set shelf = ?", "insert into books select * from shelf"],
)
def test_what_may_mean_any_number_of_rows_is_never_short_for_one_value(paces: Paces, timer: Timer, sql: str) -> None:
    for _ in range(20 * TELLING_ROWS):
        paces.measure(sql, 1, timer.pass_(0))
    assert not paces.is_short(sql, 1)
    paces.measure(sql, TELLING_ROWS, timer.pass_(0))
    assert paces.is_short(sql, TELLING_ROWS)
    assert not paces.is_short(sql, 1)


def test_texts_that_are_never_the_same_are_not_all_remembered(paces: Paces, timer: Timer) -> None:
    for number in range(1000):
        paces.measure(f"insert into books values ({number}, ?)", TELLING_ROWS, timer.pass_(0))
    assert len(paces._seconds) <= 100


def test_no_rows_at_all_tell_nothing(paces: Paces, timer: Timer) -> None:
    paces.measure(INSERT, 0, timer.pass_(0))
    assert not paces.is_short(INSERT, 1)


@asynccontextmanager
async def begun(store: SQLiteStore) -> AsyncIterator[SqliteTransactionConnection]:
    await open_session(store)
    await store.jobs.save_job(new_job("a"))
    (job,) = await store.jobs.fetch_jobs([Want("mail", 1)], SESSION, LOCK, fetch_number=1)
    assert job.token is not None
    transaction = await store.transactions.begin(Lock(job.id, job.token), timedelta(seconds=5))
    try:
        await transaction.connection.execute("create table books (title unique)")
        yield transaction.connection
    finally:
        await transaction.roll_back()


def short(store: SQLiteStore) -> None:
    """Have inserts taken for short, however slow this machine is."""
    store.transactions._paces._seconds[INSERT] = 0.0


@pytest.fixture
def threads(store: SQLiteStore) -> list[threading.Thread]:
    """Which threads statements were measured on."""
    seen: list[threading.Thread] = []
    store.transactions._paces._timer = lambda: seen.append(threading.current_thread()) or 0.0  # type: ignore[func-returns-value]
    return seen


@pytest.mark.anyio
async def test_a_short_statement_needs_no_thread(store: SQLiteStore, threads: list[threading.Thread]) -> None:
    async with begun(store) as connection:
        assert await connection.executemany(INSERT, TITLES) == len(TITLES)
        assert threading.current_thread() not in threads
        threads.clear()
        await connection.execute("delete from books")
        short(store)
        threads.clear()
        assert await connection.executemany(INSERT, TITLES) == len(TITLES)
        assert set(threads) == {threading.current_thread()}
        threads.clear()
        assert await connection.execute("delete from books") == len(TITLES)
        assert threading.current_thread() not in threads


@pytest.mark.anyio
async def test_a_short_statement_that_is_refused_leaves_the_transaction_open(store: SQLiteStore) -> None:
    async with begun(store) as connection:
        short(store)
        await connection.execute(INSERT, "Emma")
        with pytest.raises(StoreError, match="UNIQUE"):
            await connection.execute(INSERT, "Emma")
        await connection.execute(INSERT, "Persuasion")
        assert len(await connection.fetch("select * from books")) == 2


@pytest.mark.anyio
async def test_a_short_statement_is_a_checkpoint(store: SQLiteStore) -> None:
    async with begun(store) as connection:
        short(store)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await connection.execute(INSERT, "Emma")
        assert scope.cancelled_caught
        assert await connection.fetch("select * from books") == []


@pytest.mark.anyio
async def test_a_short_statement_waits_for_one_that_goes_on_beside_it(store: SQLiteStore) -> None:
    counting = (
        "insert into books with recursive c(n) as (select 1 union all select n + 1 from c where n < 200000) "
        "select max(n) from c"
    )
    async with begun(store) as connection:
        short(store)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.execute, counting)
            await anyio.lowlevel.checkpoint()
            await connection.execute(INSERT, "Emma")
        assert len(await connection.fetch("select * from books")) == 2


@pytest.mark.anyio
async def test_a_short_statement_is_refused_once_its_transaction_ends(store: SQLiteStore) -> None:
    refused: list[StoreError] = []

    async def insert() -> None:
        try:
            await connection.execute(INSERT, "Emma")
        except StoreError as exc:
            refused.append(exc)

    async with begun(store) as connection:
        short(store)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(insert)
            # It is at its checkpoint then; when it goes on, the connection may be another transaction's.
            await anyio.lowlevel.checkpoint()
            await connection._turn.leave()
    assert "the transaction is over" in str(refused[0])
