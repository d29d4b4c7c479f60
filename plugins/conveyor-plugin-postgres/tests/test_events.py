"""Events in PostgreSQL: numbers that commit out of order, writers who looked too early, and what is gone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg
import pytest
from facets import needed

from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.store import EventStore, Store

pytestmark = pytest.mark.anyio

QUEUE: Final = "orders"
WATCH: Final = timedelta(minutes=1)
DEADLINE_SECONDS: Final = 10


def new(job_id: str) -> NewJob:
    """Return a job to be added."""
    return NewJob(job_id, QUEUE, "pack", b"{}", JobOptions())


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Store, EventStore]]:
    """Open the store, and its events, with the queue known: its first add would hold up those of other transactions."""
    async with open_store(url) as store:
        await store.jobs.save_jobs([new("before")])
        yield store, needed(store.events)


async def read(events: EventStore, cursor: str, limit: int = 1000) -> tuple[list[str], str]:
    """Return the ids of the jobs of the next events, and where to read on."""
    page = await events.read_events(QUEUE, cursor, limit=limit)
    assert page.lost_count == 0
    return [event.job_id for event in page.events], page.cursor


async def test_what_is_committed_out_of_order_is_read_once_and_all_of_it(empty_url: str) -> None:
    async with opened(empty_url) as (store, events):
        cursor = (await events.watch_events("w", QUEUE, WATCH)).cursor
        with psycopg.connect(empty_url) as early, psycopg.connect(empty_url) as late:
            await store.jobs.save_jobs_in(early, [new("early")])
            await store.jobs.save_jobs_in(late, [new("late")])
            found, cursor = await read(events, cursor)
            assert found == []
            late.commit()
            found, cursor = await read(events, cursor)
            assert found == ["late"]
            found, cursor = await read(events, cursor)
            assert found == []
            early.commit()
            found, cursor = await read(events, cursor)
            assert found == ["early"]
            assert (await read(events, cursor))[0] == []


async def test_pages_that_are_full_pass_over_nothing_that_is_committed_meanwhile(empty_url: str) -> None:
    async with opened(empty_url) as (store, events):
        cursor = (await events.watch_events("w", QUEUE, WATCH)).cursor
        with psycopg.connect(empty_url) as early:
            await store.jobs.save_jobs_in(early, [new("early")])
            await store.jobs.save_jobs([new("first"), new("second")])
            found, cursor = await read(events, cursor, limit=1)
            assert found == ["first"]
            early.commit()
        seen: list[str] = []
        for _ in range(4):
            found, cursor = await read(events, cursor, limit=1)
            seen += found
        assert seen == ["second", "early"]


async def test_who_begins_to_watch_outlasts_those_who_looked_before(empty_url: str) -> None:
    async with opened(empty_url) as (store, events):
        watches: list[Any] = []

        async def watch() -> None:
            watches.append(await events.watch_events("w", QUEUE, WATCH))

        with psycopg.connect(empty_url) as early, psycopg.connect(empty_url, autocommit=True) as looking:
            await store.jobs.save_jobs_in(early, [new("early")])
            with anyio.fail_after(DEADLINE_SECONDS):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(watch)
                    while not looking.execute("select from conveyor.watchers").fetchall():
                        await store.queues.get_active_count(QUEUE)
                    assert watches == []
                    early.commit()
            assert await store.jobs.find_job("early") is not None
            await store.jobs.save_jobs([new("a")])
            assert (await read(events, watches[0].cursor))[0] == ["a"]


async def test_a_transaction_that_does_not_end_is_not_waited_for(empty_url: str) -> None:
    async with opened(empty_url) as (store, events):
        with psycopg.connect(empty_url) as early:
            await store.jobs.save_jobs_in(early, [new("early")])
            with anyio.fail_after(DEADLINE_SECONDS):
                cursor = (await events.watch_events("w", QUEUE, WATCH)).cursor
            await store.jobs.save_jobs([new("a")])
            assert (await read(events, cursor))[0] == ["a"]


async def test_who_fell_behind_is_told_how_many_are_gone(empty_url: str) -> None:
    async with opened(empty_url) as (store, events):
        cursor = (await events.watch_events("w", QUEUE, WATCH)).cursor
        for number in range(5):
            await store.jobs.save_jobs([new(str(number))])
        with psycopg.connect(empty_url, autocommit=True) as connection:
            pruned = connection.execute("select conveyor.prune_events('1 minute', 2, %s)", [datetime.now(UTC)])
            assert pruned.fetchall() == [(3,)]
        page = await events.read_events(QUEUE, cursor)
        assert [event.job_id for event in page.events] == ["3", "4"]
        assert page.lost_count >= 3
        assert (await events.read_events(QUEUE, page.cursor)).lost_count == 0


async def test_a_program_without_watchers_writes_no_event(empty_url: str) -> None:
    async with open_store(empty_url) as store:
        await store.jobs.save_jobs([new("a")])
        await store.jobs.cancel_job("a", "enough")
        with psycopg.connect(empty_url, autocommit=True) as connection:
            assert connection.execute("select count(*) from conveyor.events").fetchone() == (0,)
