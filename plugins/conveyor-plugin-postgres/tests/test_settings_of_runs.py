"""What a run leaves on the connection of its transaction is gone before the next one has it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from conveyor.model.job import NewJob
from conveyor.model.locks import Lock
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.states import Command
from conveyor.testing import open_store
from conveyor.testing.conformance.workshop import ending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conveyor.contracts.store import Store
    from conveyor.contracts.store.transactions import OpenTransaction

pytestmark = pytest.mark.anyio

SESSION: Final = "f" * 32
QUEUE: Final = "default"
MINUTE: Final = timedelta(minutes=1)
# Of a session: none of them ends with the transaction.
LEFT: Final = (
    "set lock_timeout = '7s'",
    "set search_path = pg_catalog",
    "set role keeper",
    "select pg_advisory_lock(7)",
    "listen nobody",
)
SEEN: Final = """
select current_setting('lock_timeout') as lock_timeout, current_setting('search_path') as search_path,
       current_setting('statement_timeout') as statement_timeout, current_user::text as role,
       pg_backend_pid() as process,
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
       array(select pg_listening_channels()) as channels
"""


@pytest.fixture
def kept_url(empty_url: str) -> Iterator[str]:
    """An empty store, and beside it a role that may do everything."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop role if exists keeper; create role keeper superuser")
        yield empty_url
        connection.execute("drop role keeper")


@asynccontextmanager
async def runs(url: str) -> AsyncIterator[Store]:
    """A store with one connection, and two jobs."""
    async with open_store(f"{url}?pool_size=1") as store:
        await store.sessions.open(SessionInfo(SESSION, "here", 1, "none"), MINUTE)
        await store.jobs.save_jobs([NewJob(id, QUEUE, "noop", b"[]", JobOptions()) for id in ("first", "second")])
        yield store


async def begin(store: Store, number: int) -> tuple[Lock, OpenTransaction]:
    """Fetch a job, and begin the transaction of its run."""
    (job,) = await store.jobs.fetch_jobs([Want(QUEUE, 1)], SESSION, MINUTE, fetch_number=number)
    assert job.token is not None
    assert store.transactions is not None
    lock = Lock(job.id, job.token)
    return lock, await store.transactions.begin(lock, MINUTE)


@pytest.mark.parametrize("is_committed", [True, False])
async def test_what_a_run_set_is_not_there_for_the_next(kept_url: str, *, is_committed: bool) -> None:
    async with runs(kept_url) as store:
        lock, transaction = await begin(store, 1)
        before = await transaction.connection.fetchrow(SEEN)
        for statement in LEFT:
            await transaction.connection.execute(statement)
        assert await transaction.connection.fetchrow(SEEN) != before
        if is_committed:
            await transaction.commit(ending(lock, Command.COMPLETE))
        else:
            await transaction.roll_back()
        _, transaction = await begin(store, 2)
        assert await transaction.connection.fetchrow(SEEN) == before
        await transaction.roll_back()
