"""The connection that stays open between the transactions of runs: what one did to it, the next does not see."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor._builtin.sqlite import transaction_thread, writing
from conveyor.errors import ConfigurationError, LockLostError, StoreError, StoreUnavailableError
from conveyor.model.locks import Lock
from conveyor.model.queries import Want
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store
from tests.eventually import eventually
from tests.sqlite.jobs import LOCK, SESSION, new_job, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conveyor._builtin.sqlite.store import SQLiteStore
    from conveyor._builtin.sqlite.transactions import SqliteTransactionConnection
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

ROWS: Final = 20_000
TURNS: Final = 6


@pytest.fixture(autouse=True)
def _long_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(transaction_thread, "_KEPT_SECONDS", 5.0)


async def fetch(store: SQLiteStore, *names: str) -> list[JobData]:
    await open_session(store)
    for name in names:
        await store.jobs.save_job(new_job(name))
    return list(await store.jobs.fetch_jobs([Want("mail", len(names))], SESSION, LOCK, fetch_number=1))


@asynccontextmanager
async def sold(store: SQLiteStore, job: JobData) -> AsyncIterator[SqliteTransactionConnection]:
    """Commit what is written in the block, and complete the job."""
    assert job.token is not None
    transaction = await store.transactions.begin(Lock(job.id, job.token), timedelta(seconds=20))
    try:
        yield transaction.connection
        await transaction.commit(settle_completed(job, None))
    finally:
        await transaction.roll_back()


def kept(store: SQLiteStore) -> sqlite3.Connection | None:
    return store.transactions._thread.connection


async def test_one_transaction_after_another_has_the_same_connection(store: SQLiteStore) -> None:
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    before = kept(store)
    assert before is not None
    async with sold(store, second) as connection:
        await connection.execute("insert into books values ('Emma')")
    assert kept(store) is before


@pytest.mark.parametrize(
    ("mark", "look"),
    [
        ("create temp table scratch (n)", "select count(*) as n from sqlite_temp_schema"),
        ("attach ':memory:' as side", "select count(*) as n from pragma_database_list where name = 'side'"),
        ("pragma case_sensitive_like = 1", "select 'a' not like 'A' as n"),
    ],
)
async def test_what_outlives_a_transaction_is_gone_with_its_connection(
    store: SQLiteStore, mark: str, look: str
) -> None:
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.fetch(mark)
    assert kept(store) is None
    async with sold(store, second) as connection:
        assert await connection.fetchrow(look) == {"n": 0}


async def test_after_a_rollback_the_connection_is_closed(store: SQLiteStore) -> None:
    first, second = await fetch(store, "a", "b")
    assert first.token is not None
    transaction = await store.transactions.begin(Lock(first.id, first.token), timedelta(seconds=20))
    await transaction.connection.execute("create table books (title)")
    await transaction.roll_back()
    assert kept(store) is None
    async with sold(store, second) as connection:
        await connection.execute("create table books (title)")


@pytest.mark.parametrize("end", ["commit", "rollback", "begin immediate", "end", "savepoint mine"])
async def test_the_second_transaction_too_is_not_the_users_to_end(store: SQLiteStore, end: str) -> None:
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    async with sold(store, second) as connection:
        await connection.execute("insert into books values ('Emma')")
        if end == "savepoint mine":
            await connection.execute(end)
        else:
            with pytest.raises(ConfigurationError, match="leave its block"):
                await connection.execute(end)
        await connection.execute("insert into books values ('Persuasion')")
    with closing(sqlite3.connect(store.path)) as books:
        assert books.execute("select count(*) from books").fetchone() == (2,)


async def test_nobody_keeps_it_for_long(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_thread, "_KEPT_SECONDS", 0.01)
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")

    async def is_closed() -> bool:
        return kept(store) is None

    await eventually(is_closed)
    async with sold(store, second) as connection:
        await connection.execute("insert into books values ('Emma')")


async def test_of_a_file_that_was_replaced_none_is_kept(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SETTLES_SECONDS", 0.05)
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    copy = file.with_name("copy.db")
    with closing(sqlite3.connect(file)) as old:
        old.execute("vacuum into ?", (str(copy),))
    copy.replace(file)

    async def is_usable() -> bool:
        try:
            await store.sessions.list_sessions()
        except StoreError:
            return False
        return True

    await eventually(is_usable)
    async with sold(store, second) as connection:
        await connection.execute("insert into books values ('Emma')")
    with closing(sqlite3.connect(file)) as new:
        assert new.execute("select title from books").fetchall() == [("Emma",)]


async def test_a_zombie_begins_no_transaction_on_it_either(store: SQLiteStore) -> None:
    first, second, third = await fetch(store, "a", "b", "c")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    await store.jobs.cancel_job("b", "sold out")
    with pytest.raises(LockLostError):
        async with sold(store, second):
            pass
    async with sold(store, third) as connection:
        await connection.execute("insert into books values ('Emma')")


async def test_while_another_process_writes_it_waits_as_long_as_any(store: SQLiteStore, file: Path) -> None:
    first, second, third = await fetch(store, "a", "b", "c")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(StoreUnavailableError, match="is writing"):
            async with sold(store, second):
                pass
        other.execute("rollback")
    async with sold(store, third) as connection:
        await connection.execute("insert into books values ('Emma')")


async def test_one_in_which_nothing_is_asked_ends_in_time_too(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_thread, "_KEPT_SECONDS", 0.5)
    first, second = await fetch(store, "a", "b")
    async with sold(store, first) as connection:
        await connection.execute("create table books (title)")
    assert second.token is not None
    assert kept(store) is not None
    transaction = await store.transactions.begin(Lock(second.id, second.token), timedelta(milliseconds=100))
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as other:

        async def is_free() -> bool:
            try:
                other.execute("begin immediate")
            except sqlite3.OperationalError:
                return False
            return True

        assert not await is_free()
        await eventually(is_free)
        other.execute("rollback")
    with pytest.raises(TimeoutError):
        await transaction.connection.execute("insert into books values ('Emma')")
    await transaction.roll_back()


async def test_a_store_that_is_closed_rolls_back_what_is_open(file: Path) -> None:
    async with open_store(f"sqlite:///{file}") as store:
        (job,) = await fetch(store, "a")  # type: ignore[arg-type] # it is one of these
        assert store.transactions is not None
        assert job.token is not None
        transaction = await store.transactions.begin(Lock(job.id, job.token), timedelta(seconds=20))
        await transaction.connection.execute("create table books (title)")
    with pytest.raises(StoreError, match="closed"):
        await transaction.connection.execute("insert into books values ('Emma')")
    await transaction.roll_back()
    with closing(sqlite3.connect(file)) as books:
        assert books.execute("select count(*) from sqlite_schema where name = 'books'").fetchone() == (0,)


async def test_checkpoints_keep_pace_with_what_transactions_write(store: SQLiteStore, file: Path) -> None:
    jobs = await fetch(store, *(f"job-{number}" for number in range(TURNS)))
    log = file.with_name(file.name + "-wal")
    sizes: list[int] = []
    for job in jobs:
        async with sold(store, job) as connection:
            await connection.execute("create table if not exists books (title)")
            await connection.executemany("insert into books values (?)", [(f"{n:0100}",) for n in range(ROWS)])
        await store._writer.look()  # it has heard by then how much was written
        sizes.append(log.stat().st_size)
    assert sizes[-1] < 2 * sizes[0]
