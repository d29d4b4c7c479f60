"""NOTIFY is sent where somebody else listens, and only there; who begins to listen misses nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg
import pytest
from conveyor_plugin_postgres.notifier import PostgresNotifier
from facets import needed

from conveyor.model.events import NotificationKind
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conveyor.model.events import Notification

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 30
QUEUE: Final = "orders"
END: Final = "end"
CUT_LISTENERS: Final = """
select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
"""
ROUNDS: Final = 16


class Spy:
    """Hears each NOTIFY, and shows to nobody that it listens."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        connection.execute('listen "conveyor.hints"')

    def heard(self) -> list[str]:
        """Return the payloads until now."""
        self._connection.execute(f"notify \"conveyor.hints\", '{END}'")
        payloads: list[str] = []
        for notify in self._connection.notifies(timeout=DEADLINE_SECONDS):
            if notify.payload == END:
                return payloads
            payloads.append(notify.payload)
        pytest.fail("the server did not deliver")


@contextmanager
def spying(url: str) -> Iterator[Spy]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield Spy(connection)


@pytest.fixture
def spy(empty_url: str) -> Iterator[Spy]:
    with spying(empty_url) as spy:
        yield spy


def job(job_id: str) -> NewJob:
    return NewJob(job_id, QUEUE, "pack", b"{}", JobOptions())


async def add_and_close(url: str, job_id: str) -> None:
    """Add a job; what is to be told of it was told when the store is closed. It listens itself."""
    async with open_store(url) as store, needed(store.notifier).subscribe(QUEUE):
        await store.jobs.save_job(job(job_id))


async def next_of(hints: AsyncIterator[Notification]) -> NotificationKind:
    with anyio.fail_after(DEADLINE_SECONDS):
        return (await anext(aiter(hints))).kind


async def test_nobody_is_told_where_nobody_else_listens(empty_url: str, spy: Spy) -> None:
    await add_and_close(empty_url, "a")
    assert spy.heard() == []


async def test_whoever_listens_is_told_and_nobody_after_that(empty_url: str, spy: Spy) -> None:
    async with open_store(empty_url) as other, needed(other.notifier).subscribe(QUEUE) as hints:
        await add_and_close(empty_url, "a")
        assert await next_of(hints) is NotificationKind.ADDED
        assert len(spy.heard()) == 1
    await add_and_close(empty_url, "b")
    assert spy.heard() == []


async def test_whoever_lost_the_connection_that_listens_is_told_once_it_is_made_anew(empty_url: str, spy: Spy) -> None:
    async with open_store(empty_url) as other, needed(other.notifier).subscribe(QUEUE) as hints:
        with psycopg.connect(empty_url, autocommit=True) as connection:
            assert connection.execute(CUT_LISTENERS).fetchall() == [(True,)]
        assert await next_of(hints) is NotificationKind.ANYTHING
        await add_and_close(empty_url, "a")
        assert await next_of(hints) is NotificationKind.ADDED
        assert len(spy.heard()) == 1


async def test_whoever_begins_to_listen_sees_the_job_or_hears_of_it(empty_url: str) -> None:
    """Whichever comes first: the add, its hint, or the listener."""
    outcomes: set[str] = set()
    async with open_store(empty_url) as store:
        for number in range(ROUNDS):
            async with open_store(empty_url) as other, anyio.create_task_group() as tasks:
                tasks.start_soon(store.jobs.save_job, job(f"{number}"))
                # Each round the listener is a little later.
                await anyio.sleep(number * 0.001)
                async with needed(other.notifier).subscribe(QUEUE) as hints:
                    if await other.jobs.find_job(f"{number}") is None:
                        assert await next_of(hints) is NotificationKind.ADDED
                        outcomes.add("heard")
                    else:
                        outcomes.add("seen")
    assert "seen" in outcomes


async def test_an_add_of_a_callers_transaction_wakes_whoever_began_to_listen_before_the_commit(empty_url: str) -> None:
    async with open_store(empty_url) as store, open_store(empty_url) as other:
        with psycopg.connect(empty_url) as connection:
            await store.jobs.save_jobs_in(connection, [job("a")])
            async with needed(other.notifier).subscribe(QUEUE) as hints:
                assert await other.jobs.find_job("a") is None
                connection.commit()
                assert await next_of(hints) is NotificationKind.ADDED


LISTENERS: Final = """
select count(*)
from pg_locks
where locktype = 'advisory' and objsubid = 1
  and (classid::bigint << 32) | objid::bigint = hashtextextended('conveyor.hints', 0)
"""


def count_listeners(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(LISTENERS).fetchone()
        assert row is not None
        return int(row[0])


async def test_a_connection_that_nobody_listens_to_is_closed_and_made_again(empty_url: str) -> None:
    async with open_store(empty_url) as store, open_store(empty_url) as other:
        assert isinstance(store.notifier, PostgresNotifier)
        async with store.notifier.subscribe(QUEUE):
            await store.notifier.rest()
            assert count_listeners(empty_url) == 1
        await store.notifier.rest()
        assert count_listeners(empty_url) == 0
        await store.jobs.save_job(job("a"))
        async with store.notifier.subscribe(QUEUE) as hints:
            await other.jobs.save_job(job("b"))
            assert await next_of(hints) is NotificationKind.ADDED


async def test_two_who_both_listen_hear_each_other(empty_url: str, spy: Spy) -> None:
    async with (
        open_store(empty_url) as one,
        open_store(empty_url) as other,
        needed(one.notifier).subscribe("one") as to_one,
        needed(other.notifier).subscribe("other") as to_other,
    ):
        await one.jobs.save_job(NewJob("a", "other", "pack", b"{}", JobOptions()))
        assert await next_of(to_other) is NotificationKind.ADDED
        await other.jobs.save_job(NewJob("b", "one", "pack", b"{}", JobOptions()))
        assert await next_of(to_one) is NotificationKind.ADDED
    assert len(spy.heard()) == 2


async def test_a_store_that_is_not_to_notify_tells_nobody(empty_url: str) -> None:
    async with open_store(empty_url) as other, needed(other.notifier).subscribe(QUEUE) as hints:
        async with open_store(f"{empty_url}?notify=false") as store:
            assert store.notifier is None
            await store.jobs.save_job(job("quiet"))
        await other.jobs.save_job(job("loud"))
        assert await next_of(hints) is NotificationKind.ADDED
        with spying(empty_url) as spy:
            assert spy.heard() == []
