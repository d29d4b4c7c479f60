"""What a job costs in statements, counted by the server: noise cannot change it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import asyncpg
import pytest
from server import Server

from conveyor import Conveyor, JobBuffer
from conveyor.model.sessions import SessionInfo
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.anyio

JOBS = 3000
COUNTS = "select query, calls from pg_stat_statements where toplevel"
# A job that is added in bulk, run at saturation, and settled.
MOST_PER_JOB = 0.05
CALLERS = 100
TURNS = 20
# Each turn of all callers is a statement; a few may be late for one.
MOST_STATEMENTS = 22


@pytest.fixture(scope="module")
def counting_url() -> Iterator[str]:
    """A server that counts statements."""
    server = Server(fsync="off", shared_preload_libraries="'pg_stat_statements'")
    try:
        server.make()
        asyncio.run(_execute(server.url, "create extension pg_stat_statements"))
        yield server.url
    finally:
        server.remove()


async def _execute(url: str, statement: str) -> Any:
    connection: Any = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def count(url: str) -> Mapping[str, int]:
    """Return how often each of the store's functions was called, and all statements together, and forget it."""
    rows = await anyio.to_thread.run_sync(asyncio.run, _execute(url, COUNTS))
    await anyio.to_thread.run_sync(asyncio.run, _execute(url, "select pg_stat_statements_reset()"))
    names = ("add_jobs", "add_to_buffer", "fetch_jobs", "settle_jobs", "settle_and_fetch")
    counts = {name: sum(calls for query, calls in rows if f"conveyor.{name}(" in query) for name in names}
    # What asyncpg asks about types that it does not know.
    counts["types"] = sum(calls for query, calls in rows if "typeinfo_tree" in query)
    return {**counts, "all": sum(calls for query, calls in rows if "pg_stat_statements" not in query)}


async def test_a_job_costs_a_small_part_of_a_statement(counting_url: str) -> None:
    """Each is a transaction of its own, or within one: there are no more transactions than statements."""
    app = Conveyor(counting_url)
    done = anyio.Event()
    missing = JOBS
    async with app:
        queue = app.queue("default")

        @queue.job()
        async def nothing(_number: int) -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                done.set()

        await count(counting_url)
        await nothing.add_many([nothing.new(number) for number in range(JOBS)])
        with anyio.fail_after(30):
            async with app.worker("default", concurrency=100):
                await done.wait()
        calls = await count(counting_url)
    assert calls["add_jobs"] == 1
    assert calls["settle_and_fetch"] > 0
    assert calls["all"] / JOBS < MOST_PER_JOB, calls


async def test_a_look_for_stalled_jobs_is_one_statement_where_nobody_died(counting_url: str) -> None:
    async with open_store(counting_url) as store:
        await store.sessions.open(SessionInfo("a" * 32, "here", 1, "none"), timedelta(minutes=1))
        await count(counting_url)
        assert await store.jobs.reclaim_stalled_jobs(3) == ()
        assert (await count(counting_url))["all"] == 1
        await store.sessions.close("a" * 32)


async def test_callers_who_add_at_once_share_statements(counting_url: str) -> None:
    app = Conveyor(counting_url)
    async with app:

        @app.queue("default").job()
        async def later(_number: int) -> None: ...

        async def add_some() -> None:
            for number in range(TURNS):
                await later.add(number)

        for is_buffered in (False, True):
            if is_buffered:
                app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=list))
            await count(counting_url)
            async with anyio.create_task_group() as callers:
                for _ in range(CALLERS):
                    callers.start_soon(add_some)
            calls = await count(counting_url)
            assert 0 < calls["add_to_buffer" if is_buffered else "add_jobs"] <= MOST_STATEMENTS, calls


async def test_a_connection_does_not_ask_about_the_types_of_what_it_sends(counting_url: str) -> None:
    """It would at the first statement of a kind, by a query that costs more than most."""
    app = Conveyor(counting_url)
    ran = anyio.Event()
    async with app:
        await count(counting_url)

        @app.queue("default").job()
        async def nothing() -> None:
            ran.set()

        await nothing.add_many([nothing.new(), nothing.new()])
        with anyio.fail_after(30):
            async with app.worker("default"):
                await ran.wait()
    calls = await count(counting_url)
    assert calls["add_jobs"] == 1
    assert calls["types"] == 0
