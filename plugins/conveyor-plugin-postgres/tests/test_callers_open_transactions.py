"""A caller's transaction that is open for long keeps nobody waiting who adds to the same queue, be it new or not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import psycopg
import pytest

from conveyor import Conveyor, JobContext
from conveyor.model.groups import Group
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.states import JobState
from conveyor.testing import open_store
from conveyor.testing.conformance.workshop import Hand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio

QUEUE: Final = "new-queue"
# A statement that waits for somebody would end by its own limit, later than this.
LONGEST_WAIT_SECONDS: Final = 30
PLAIN: Final = JobOptions()
IN_GROUP: Final = JobOptions(group=Group("customer-1"))
IN_ANOTHER: Final = JobOptions(group=Group("customer-2"))
ISOLATIONS: Final = (psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ)

isolations = pytest.mark.parametrize("isolation", ISOLATIONS, ids=lambda level: level.name)
kinds = pytest.mark.parametrize("options", [PLAIN, IN_GROUP], ids=["plain", "in a group"])


def new(job_id: str, options: JobOptions) -> NewJob:
    return NewJob(job_id, QUEUE, "pack", b"{}", options)


@asynccontextmanager
async def added_by_caller(
    store: Store, url: str, options: JobOptions, isolation: psycopg.IsolationLevel = ISOLATIONS[0]
) -> AsyncIterator[psycopg.Connection[Any]]:
    """Lend a connection whose transaction has added the first job of the queue, and is open."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = isolation
        await store.jobs.save_jobs_in(connection, [new("by-caller", options)])
        yield connection


async def names(store: Store) -> list[str]:
    assert store.inspection is not None
    return [info.name for info in await store.inspection.list_queues()]


@kinds
@isolations
async def test_others_add_to_the_queue_before_the_caller_commits(
    empty_url: str, options: JobOptions, isolation: psycopg.IsolationLevel
) -> None:
    async with open_store(empty_url) as store, added_by_caller(store, empty_url, options, isolation) as caller:
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            await store.jobs.save_jobs([new("by-store", options)])
        with psycopg.connect(empty_url) as other:
            await store.jobs.save_jobs_in(other, [new("by-other", options)])
            caller.commit()
            other.commit()
        assert await names(store) == [QUEUE]
        assert sorted(job.id for job in await store.queues.list_jobs(QUEUE, JobState.WAITING)) == [
            "by-caller",
            "by-other",
            "by-store",
        ]


@kinds
async def test_a_queue_is_known_by_those_who_commit(empty_url: str, options: JobOptions) -> None:
    async with open_store(empty_url) as store, added_by_caller(store, empty_url, options) as caller:
        assert await names(store) == []
        await store.jobs.save_jobs([new("by-store", options)])
        caller.rollback()
        assert await names(store) == [QUEUE]


@kinds
async def test_jobs_of_others_run_meanwhile_and_the_callers_after_the_commit(
    empty_url: str, options: JobOptions
) -> None:
    app = Conveyor(empty_url)
    ran: list[str] = []
    has_run = anyio.Condition()

    @app.queue(QUEUE).job("pack")
    async def pack(context: JobContext) -> None:
        async with has_run:
            ran.append(context.job.id)
            has_run.notify()

    async def wait_for(number: int) -> None:
        with anyio.fail_after(LONGEST_WAIT_SECONDS):
            async with has_run:
                while len(ran) < number:
                    await has_run.wait()

    async with (
        app,
        app.worker(QUEUE),
        open_store(empty_url) as store,
        added_by_caller(store, empty_url, options) as caller,
    ):
        await store.jobs.save_jobs([new("by-store", options)])
        await wait_for(1)
        caller.commit()
        await wait_for(2)
    assert ran == ["by-store", "by-caller"]


async def test_a_new_queue_that_was_obliterated_keeps_no_trace(empty_url: str) -> None:
    async with open_store(empty_url) as store:
        await store.jobs.save_jobs([new("by-store", IN_GROUP)])
        await store.queues.obliterate(QUEUE)
        assert store.limits is not None
        assert (await names(store), list(await store.limits.get_guarded_queues([QUEUE]))) == ([], [])


@pytest.mark.parametrize("limit", [1, 6], ids=["one by one", "together"])
@isolations
async def test_a_group_whose_caller_commits_late_takes_its_turns_once(
    empty_url: str, isolation: psycopg.IsolationLevel, limit: int
) -> None:
    async with open_store(empty_url) as store, added_by_caller(store, empty_url, IN_GROUP, isolation) as caller:
        hand = Hand(store)
        await hand.open()
        for options, name in ((IN_GROUP, "a"), (IN_ANOTHER, "b")):
            await store.jobs.save_jobs([new(f"{name}-{number}", options) for number in range(5)])
        # Both groups take their turns by now; the caller made the first known, too, before anybody.
        assert [job.id for job in await hand.fetch(2, queue=QUEUE)] == ["a-0", "b-0"]
        caller.commit()
        fetched = [job for _ in range(0, 6, limit) for job in await hand.fetch(limit, queue=QUEUE)]
        assert sorted(job.id for job in fetched) == ["a-1", "a-2", "b-1", "b-2", "b-3", "by-caller"]
