"""A file that is deleted or replaced while it is open: nothing is answered that is not in the file at the path."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from conveyor._builtin.sqlite import writing
from conveyor._builtin.sqlite.connections import connect_reader
from conveyor._builtin.sqlite.options import SqliteOptions
from conveyor._builtin.sqlite.readers import Readers
from conveyor._builtin.sqlite.watched_file import WatchedFile
from conveyor.errors import SchemaError, StoreUnavailableError
from conveyor.model.locks import Lock
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store
from tests.eventually import eventually
from tests.sqlite.jobs import new_job

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor._builtin.sqlite.store import SQLiteStore
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio

SESSION = SessionInfo("5" * 32, "here", 1, "none")
LONG = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _settle_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "SETTLES_SECONDS", 0.05)


async def copy_of(file: Path) -> Path:
    """Return a copy of the database as it is now."""
    copy = file.with_name("copy.db")
    connection = sqlite3.connect(file)
    connection.execute("vacuum into ?", (str(copy),))
    connection.close()
    return copy


async def until_usable(store: Store) -> None:
    """Ask until the store answers."""

    async def is_usable() -> bool:
        try:
            await store.sessions.list_sessions()
        except StoreUnavailableError:
            return False
        return True

    await eventually(is_usable)


async def test_what_is_committed_to_a_file_that_was_just_replaced_is_not_acknowledged(
    store: SQLiteStore, file: Path
) -> None:
    copy = await copy_of(file)

    def replace_before_the_commit(transaction: Transaction) -> None:
        transaction.connection.execute("insert into conveyor_paused (queue, name) values ('mail', 'here')")
        copy.replace(file)

    with pytest.raises(StoreUnavailableError, match="was replaced while it was in use"):
        await store._writer.run(replace_before_the_commit)
    await until_usable(store)
    assert list(await store.queues.get_paused_job_names("mail")) == []


async def test_reads_do_not_show_the_file_that_is_gone(store: SQLiteStore, file: Path) -> None:
    copy = await copy_of(file)
    await store.jobs.save_job(new_job("only-in-the-old"))
    assert await store.jobs.find_job("only-in-the-old") is not None
    copy.replace(file)
    with pytest.raises(StoreUnavailableError, match="was replaced"):
        await store.jobs.find_job("only-in-the-old")
    await until_usable(store)
    assert await store.jobs.find_job("only-in-the-old") is None


async def test_every_process_that_has_the_file_open_finds_the_new_one(store: SQLiteStore, file: Path) -> None:
    async with open_store(f"sqlite:///{file}") as other:
        copy = await copy_of(file)
        copy.replace(file)
        for opened in (store, other):
            await until_usable(opened)
        await store.jobs.save_job(new_job("from-one"))
        await other.jobs.save_job(new_job("from-the-other"))
        for opened in (store, other):
            assert set(await opened.jobs.find_jobs(["from-one", "from-the-other"])) == {"from-one", "from-the-other"}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


async def test_the_renewal_thread_renews_in_the_new_file(store: SQLiteStore, file: Path) -> None:
    await store.sessions.open(SESSION, LONG)
    renewal = store.sessions.thread_renewal()
    assert await anyio.to_thread.run_sync(renewal.renew, SESSION.id, LONG)
    copy = await copy_of(file)
    await store.sessions.close(SESSION.id)
    copy.replace(file)
    with pytest.raises(StoreUnavailableError):
        await anyio.to_thread.run_sync(renewal.renew, SESSION.id, LONG)
    await until_usable(store)
    assert await anyio.to_thread.run_sync(renewal.renew, SESSION.id, LONG)
    await anyio.to_thread.run_sync(renewal.close)


async def test_a_transaction_whose_file_was_replaced_says_so(store: SQLiteStore, file: Path) -> None:
    await store.jobs.save_job(new_job("job"))
    await store.sessions.open(SESSION, LONG)
    (job,) = await store.jobs.fetch_jobs([Want("mail", 1)], SESSION.id, LONG, fetch_number=1)
    assert job.token is not None
    copy = await copy_of(file)
    transaction = await store.transactions.begin(Lock(job.id, job.token), LONG)
    copy.replace(file)
    with pytest.raises(StoreUnavailableError, match="was replaced"):
        await transaction.commit(settle_completed(job, None))
    await until_usable(store)
    found = await store.jobs.find_job("job")
    assert found is not None
    assert not found.state.is_settled


async def test_a_file_in_the_making_is_not_opened(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SETTLES_SECONDS", 0.3)
    whole = (await copy_of(file)).read_bytes()
    await anyio.Path(file).unlink()
    with file.open("wb") as unfinished:
        for start in range(0, len(whole), len(whole) // 5):
            unfinished.write(whole[start : start + len(whole) // 5])
            unfinished.flush()
            await anyio.sleep(0.1)
            with pytest.raises(StoreUnavailableError, match="was replaced"):
                await store.jobs.save_job(new_job("too-early"))
    await until_usable(store)
    await store.jobs.save_job(new_job("in-time"))


async def test_an_older_schema_is_migrated_only_where_that_was_allowed(file: Path, tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{file}"):
        pass
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).execute("create table thing (id)").connection.close()
    async with open_store(f"sqlite:///{file}?auto_migrate=false", clock=ManualClock()) as store:
        empty.replace(file)

        async def is_refused() -> bool:
            try:
                await store.jobs.save_job(new_job("job"))
            except SchemaError:
                return True
            except StoreUnavailableError:
                return False
            return False

        await eventually(is_refused)


@pytest.mark.parametrize("comes_another", [False, True])
async def test_a_file_that_goes_while_it_is_opened_to_be_read_is_unavailable(
    tmp_path: Path, *, comes_another: bool
) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(f"sqlite:///{path}"):
        another = await copy_of(path)
    options = SqliteOptions(path=path)
    file = WatchedFile(path)
    file.note_opened()

    def connect_too_late() -> sqlite3.Connection:
        path.rename(tmp_path / "away.db")
        if comes_another:
            another.rename(path)
        return connect_reader(options)

    readers = Readers(file, connect_too_late)
    with pytest.raises(StoreUnavailableError, match="replaced" if comes_another else "deleted or moved"):
        await readers.run(lambda connection: connection.execute("select 1").fetchone())
    readers.close()
