"""History is parted by days: those to come are made ahead, and one that is outdated as a whole goes at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from conveyor.model.retention import Retention
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

QUEUE = "default"
RETENTION = Retention(max_age=timedelta(days=30))
FILL = """
with jobs as (
  insert into conveyor.history
    (id, seq, queue, name, state, priority, attempts_made, stalled_count, created_at, run_at, finished_at, payload)
  select $1 || '-' || n, n, $1, 'noop', 'completed', 0, 1, 0, $2::date, $2::date,
         ($2::date + interval '12 hours') at time zone 'UTC', ''
  from generate_series(1, $3::int) as n
  returning id
),
runs as (
  insert into conveyor.attempts (job_id, number, session_id, fetch_number, started_at, ended_at, outcome)
  select id, 1, 'gone', 1, now(), now(), 'failed' from jobs
),
known as (
  insert into conveyor.queues (name) values ($1)
)
insert into conveyor.logs (job_id, message, at) select id, 'line', now() from jobs
"""


@pytest.fixture
def anyio_backend() -> str:
    """It is about the database."""
    return "asyncio"


@pytest.fixture
async def connection(empty_url: str) -> AsyncIterator[Any]:
    """A connection beside the store's."""
    connection: Any = await asyncpg.connect(empty_url)
    yield connection
    await connection.execute(f"drop table if exists {table(old_day())}")
    await connection.close()


def old_day() -> date:
    """Return a day that is outdated."""
    return datetime.now(UTC).date() - timedelta(days=40)


def table(day: date) -> str:
    """Return the name of a day's partition."""
    return f"conveyor.history_{day:%Y%m%d}"


async def exists(connection: Any, day: date) -> bool:
    """Return whether a day has a partition."""
    return await connection.fetchval("select to_regclass($1)", table(day)) is not None


async def fill(connection: Any, queue_name: str, count: int) -> None:
    """Have jobs that ended on the old day."""
    await connection.execute("select conveyor.make_partition($1)", old_day())
    await connection.execute(FILL, queue_name, old_day(), count)


async def remove(url: str, *queue_names: str) -> int:
    """Run a pass."""
    async with open_store(url) as store:
        return await store.jobs.remove_outdated_jobs(queue_names, RETENTION)


async def test_the_days_to_come_are_made_ahead(empty_url: str, connection: Any) -> None:
    today = datetime.now(UTC).date()
    await connection.execute(f"drop table {table(today + timedelta(days=2))}")
    await remove(empty_url, QUEUE)
    assert [await exists(connection, today + timedelta(days=ahead)) for ahead in range(3)] == [True, True, True]


async def test_an_outdated_day_goes_as_a_whole_with_what_is_known_of_its_jobs(empty_url: str, connection: Any) -> None:
    await fill(connection, QUEUE, 1500)
    assert await remove(empty_url, QUEUE) == 1500
    assert not await exists(connection, old_day())
    assert await connection.fetchval("select count(*) from conveyor.history") == 0
    assert await connection.fetchval("select count(*) from conveyor.attempts") == 0
    assert await connection.fetchval("select count(*) from conveyor.logs") == 0


async def test_a_day_that_others_need_stays_without_our_jobs(empty_url: str, connection: Any) -> None:
    await fill(connection, QUEUE, 10)
    await fill(connection, "elsewhere", 3)
    assert await remove(empty_url, QUEUE) == 10
    assert await connection.fetch("select distinct queue from conveyor.history") == [("elsewhere",)]
    assert await connection.fetchval("select count(*) from conveyor.logs") == 3


async def test_a_day_that_is_in_use_does_not_keep_the_pass_waiting(empty_url: str, connection: Any) -> None:
    await fill(connection, QUEUE, 10)
    async with asyncio.timeout(5), connection.transaction():
        await connection.fetch(f"select from {table(old_day())} limit 1")
        assert await remove(empty_url, QUEUE) == 10
        assert await exists(connection, old_day())
    await remove(empty_url, QUEUE)
    assert not await exists(connection, old_day())


async def test_jobs_in_no_day_of_their_own_are_removed_one_by_one(empty_url: str, connection: Any) -> None:
    await connection.execute(FILL, QUEUE, old_day(), 10)
    assert await remove(empty_url, QUEUE) == 10
    assert await connection.fetchval("select count(*) from conveyor.history_other") == 0
