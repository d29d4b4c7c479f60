"""Transactions of runs in SQLite: other writers, errors that end them, and processes that die."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import StoreError, StoreUnavailableError
from conveyor.model.locks import Lock
from conveyor.model.queries import Want
from conveyor.model.settlement import settle_completed
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import LOCK, SESSION, new_job, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conveyor._builtin.sqlite.store import SQLiteStore
    from conveyor.contracts.store import OpenTransaction
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

SELLER: Final = """
import os, signal, sys, anyio
from conveyor import Conveyor, JobContext

app = Conveyor(sys.argv[1])

@app.queue("till").job()
async def sell(context: JobContext) -> None:
    async with context.transaction() as connection:
        await connection.execute("create table if not exists books (title)")
        await connection.execute("insert into books values ('Emma')")
        if sys.argv[2] == "inside":
            os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with app, app.worker(lock_duration="500ms"):
        await sell.options(job_id="sale").add()
        await anyio.sleep(30)

anyio.run(main)
"""


async def fetch(store: SQLiteStore) -> JobData:
    await open_session(store)
    await store.jobs.save_job(new_job("a"))
    (job,) = await store.jobs.fetch_jobs([Want("mail", 1)], SESSION, LOCK, fetch_number=1)
    return job


@asynccontextmanager
async def begun(store: SQLiteStore, job: JobData) -> AsyncIterator[OpenTransaction]:
    assert job.token is not None
    transaction = await store.transactions.begin(Lock(job.id, job.token), timedelta(seconds=5))
    try:
        yield transaction
    finally:
        await transaction.roll_back()


async def test_other_writers_wait_for_the_busy_timeout_and_hear_so(store: SQLiteStore) -> None:
    job = await fetch(store)
    async with begun(store, job) as transaction:
        with pytest.raises(StoreUnavailableError, match="is writing"):
            await store.jobs.save_job(new_job("b"))
        await transaction.commit(settle_completed(job, None))
    await store.jobs.save_job(new_job("b"))


async def test_a_transaction_begun_while_another_process_writes_says_so(store: SQLiteStore, file: Path) -> None:
    job = await fetch(store)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreUnavailableError, match="is writing"):
        async with begun(store, job):
            pass
    other.execute("rollback")
    other.close()
    async with begun(store, job) as transaction:
        await transaction.commit(settle_completed(job, None))


async def test_a_run_that_waits_for_its_turn_can_be_cancelled(store: SQLiteStore, file: Path) -> None:
    job = await fetch(store)
    async with open_store(f"sqlite:///{file}?busy_timeout=1h") as patient:
        other = sqlite3.connect(file, isolation_level=None)
        assert patient.transactions is not None
        assert job.token is not None
        first = await patient.transactions.begin(Lock(job.id, job.token), timedelta(seconds=5))
        with anyio.move_on_after(0.05) as scope:
            await patient.transactions.begin(Lock(job.id, job.token), timedelta(seconds=5))
        assert scope.cancelled_caught
        await first.roll_back()
        other.close()


async def test_a_statement_that_is_refused_leaves_the_transaction_open(store: SQLiteStore) -> None:
    job = await fetch(store)
    async with begun(store, job) as transaction:
        connection = transaction.connection
        await connection.execute("create table books (title unique)")
        await connection.execute("insert into books values ('Emma')")
        with pytest.raises(StoreError, match="UNIQUE") as caught:
            await connection.execute("insert into books values ('Emma')")
        assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
        assert await connection.execute("insert into books values ('Persuasion') returning title") == 1
        await transaction.commit(settle_completed(job, None))
    assert (await store.jobs.find_jobs(["a"]))["a"].state is JobState.COMPLETED


async def test_after_an_error_that_rolled_back_nothing_is_written_outside_of_the_transaction(
    store: SQLiteStore, file: Path
) -> None:
    job = await fetch(store)
    other = sqlite3.connect(file)
    other.execute("create table books (title unique)")
    other.commit()
    async with begun(store, job) as transaction:
        connection = transaction.connection
        await connection.execute("insert into books values ('Emma')")
        with pytest.raises(StoreError, match="UNIQUE"):
            await connection.execute("insert or rollback into books values ('Emma')")
        with pytest.raises(StoreError, match="rolled the transaction back"):
            await connection.execute("insert into books values ('Persuasion')")
        with pytest.raises(StoreError, match="rolled the transaction back"):
            await transaction.commit(settle_completed(job, None))
    assert other.execute("select * from books").fetchall() == []
    other.close()
    assert (await store.jobs.find_jobs(["a"]))["a"].state is JobState.ACTIVE


@pytest.mark.parametrize("where", ["inside", "after"])
async def test_a_process_killed_in_or_after_its_transaction_leaves_all_or_nothing(file: Path, where: str) -> None:
    """Before the commit: nothing is written, and the job runs again. After it: both are there, and it does not."""
    arguments = [sys.executable, "-c", SELLER, f"sqlite:///{file}", where]
    with anyio.fail_after(30):
        killed = await anyio.run_process(arguments, check=False, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    books = sqlite3.connect(file)
    tables = books.execute("select count(*) from sqlite_master where name = 'books'").fetchone()[0]
    assert tables == (0 if where == "inside" else 1)

    app = Conveyor(f"sqlite:///{file}")
    runs: list[int] = []

    @app.queue("till").job()
    async def sell(context: JobContext) -> None:
        runs.append(context.job.stalled_count)
        async with context.transaction() as connection:
            await connection.execute("create table if not exists books (title)")
            await connection.execute("insert into books values ('Emma')")

    async with app, app.worker(stalled_interval="50ms"):
        job = await app.jobs.get("sale")
        await job.wait_until_finished(timeout="15s")
    assert job.state is JobState.COMPLETED
    assert runs == ([1] if where == "inside" else [])
    assert books.execute("select title from books").fetchall() == [("Emma",)]
    books.close()
